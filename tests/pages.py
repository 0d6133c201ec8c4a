"""The commands of README.md and docs/: where they stand, what the pages show of their output, and which are not run."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT
from tiny import ENVIRONMENT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = {  # a pattern of whole commands -> why they are not run here
    r"make (repro|test|figure2|tuning)( JOBS=4)?": "minutes: the whole pipeline, every test, every system",
    r"cd studies/figure2 && .*": "hours on real digits",
    r"python -m fanout -S .*": "minutes; test_fanout.py compares experiments with those of DVC",
    r"python -m fanout .*--on .*|.venv/bin/ray .*|pytest tests/test_clusters.py": "needs a cluster, or its packages",
    r"pip install .*": "needs a package index",
    r"dvc exp run -S objective=dreg_iwae": "minutes; its stages are compared with a dry run",
    r"cd studies/estimators/measure && .*": "hours on real digits",
    r"python -m benchmarks\..*": "measures the machine for minutes",
    r"ssh .*|dvc remote .*(ssh:|keyfile).*": "needs an SSH server",
    r"dvc queue (start|stop) .*": "leaves workers behind the test",
}


@dataclass(frozen=True)
class Command:
    """A command of a page, what the page shows of its output (None: nothing), and the line where it stands."""

    page: str
    line: int
    text: str
    shown: str | None = None

    @property
    def left_out(self) -> bool:
        return any(re.fullmatch(pattern, self.text, re.DOTALL) for pattern in NOT_RUN)


def blocks(text: str, *languages: str) -> list[tuple[int, str]]:
    """Line and content of the fenced blocks in these languages."""
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, one.start(2)) + 1, one[2]) for one in found if one[1] in languages]


def commands(text: str, page: str = "") -> list[Command]:
    """All lines of bash blocks, and what stands after `$ ` in blocks of text, in the order of the page."""
    found = []
    for line, block in blocks(text, "bash"):
        found += [Command(page, line, one) for one in script(block)]
    for line, block in blocks(text, "text"):
        for session in re.findall(r"^\$ (.*?)(?=^\$ |\Z)", block, re.MULTILINE | re.DOTALL):
            one, _, shown = session.partition("\n")
            found.append(Command(page, line, one, shown))
    return sorted(found, key=lambda command: command.line)


def script(block: str) -> list[str]:
    """The commands of a bash block without comments; each begins in the folder that `cd` went to."""
    found, folder, waiting = [], "", ""
    for line in block.splitlines():
        waiting += re.sub(r"\s+#\s.*$", "", line) + "\n"
        if waiting.endswith("\\\n") or waiting.count("'") % 2:
            continue
        command, waiting = waiting.strip(), ""
        if command.startswith("cd "):
            folder = f"{command} && "
        elif command:
            found.append(folder + command)
    return found


def every_command() -> list[Command]:
    return [one for page in PAGES for one in commands(page.read_text(encoding="utf-8"), page.name)]


def shows(shown: str, output: str) -> bool:
    """Whether a page shows this output, where `...` stands for anything."""
    lines = ("\n".join(line.rstrip() for line in text.strip().splitlines()) for text in (shown, output))
    page, printed = lines
    return bool(re.fullmatch(".*".join(map(re.escape, page.split("..."))), printed, re.DOTALL))


def run(command: str, folder: Path, fails: bool = False) -> str:
    """What a command prints in bash."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=ENVIRONMENT | {"COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
    )
    assert (done.returncode != 0) == fails, f"{command}\n{done.stdout[-4000:]}"
    return done.stdout
