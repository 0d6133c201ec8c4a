"""What README.md and docs/ tell the reader to type runs here, and prints what the pages show (pages.py)."""

import hashlib
import importlib.util
import json
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ROOT
from dvc.cli import DvcParserError
from dvc.cli.parser import get_main_parser
from pages import NOT_RUN, PAGES, Command, commands, every_command, run, shows
from tiny import call, snapshot, stages_run

EVERY = every_command()
RUN = [command for command in EVERY if not command.left_out]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OF_RESULTS = re.compile("dvc (metrics|plots|exp show)")  # in the README, they show the committed results


class World:
    """What stands for the places of the pages: a finished tiny project, a remote, and clones of the project."""

    def __init__(self, finished: Path, metrics: Path, base: Path):
        self.base, self.project, self.results = base, base / "project", base / "results"
        for folder in (self.project, self.results):
            shutil.copytree(finished, folder, symlinks=True)
        with_another_objective(self.results, metrics)

    def folder(self, command: Command) -> Path:
        """Where it is typed: what pulls is typed on another machine, one for each block."""
        if command.page == "README.md":
            return self.results if OF_RESULTS.match(command.text) else self.project
        if not any("pull" in one.text for one in EVERY if (one.page, one.line) == (command.page, command.line)):
            return self.project
        clone = self.base / f"clone {command.line}"
        if not clone.exists():
            call(self.base, "git", "clone", "-q", str(self.project), clone.name)
            if "--pull" in command.text:  # from before there were any results
                call(clone, "git", "rm", "-qr", "dvc.lock", "metrics", "plots")
        return clone

    def placed(self, text: str) -> str:
        """The command with places of this machine."""
        places = {"/path/to/project": self.project, "/path/to/folder": self.base / "remote", "/big": self.base / "big"}
        for name, own in (places | {" elsewhere": f" {self.base}/elsewhere"}).items():
            text = text.replace(name, str(own))
        return text


@pytest.fixture(scope="module")
def world(finished_project, recorded, tmp_path_factory) -> World:
    return World(finished_project[0], recorded / "metrics", tmp_path_factory.mktemp("docs"))


def with_another_objective(folder: Path, metrics: Path) -> None:
    """The committed results, and the change that the README shows, as an experiment."""
    shutil.copytree(metrics, folder / "metrics", dirs_exist_ok=True)
    call(folder, "git", "commit", "-qam", "the committed results")
    [diff] = [one.shown for one in commands(README) if one.text == "dvc metrics diff"]
    for path, *rows in (line.split() for line in diff.splitlines()[1:]):
        content = json.loads((folder / path).read_text())
        change(content, *rows)
        (folder / path).write_text(json.dumps(content))
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("objective: iwae", "objective: dreg_iwae"))
    call(folder, "dvc", "exp", "save", "--name", "ridgy-keep", "check_params")


def change(content: dict, key: str, before: str, after: str, difference: str) -> None:
    """A number of which `dvc metrics diff` says so."""
    *path, last = key.split(".")
    for part in path:
        content = content[part]
    near = sorted((float(after) + step * 1e-6 for step in range(-5, 6)), key=lambda x: abs(x - float(after)))
    shown = (float(after), float(difference))
    content[last] = next(x for x in near if (round(x, 5), round(x - content[last], 5)) == shown)


def nothing_but_code_runs(_: Path, output: str) -> None:
    assert stages_run(output) <= {"code"}


def inputs_of_tables_alone(folder: Path, _: str) -> None:
    assert {path.parts[1] for path in files(folder, "data")} == {"evaluations", "params_checked.txt"}
    assert {path.parts[2] for path in files(folder, "data/evaluations")} == {"digits"}


def tables_are_up_to_date(folder: Path, output: str) -> None:
    assert stages_run(output) == {"code"}
    assert call(folder, "git", "status", "--porcelain") == ""


def nothing_of_other_sets(folder: Path, _: str) -> None:
    assert files(folder, "data/prepared") == {Path("data/prepared/digits.npz")}
    assert not [path for path in files(folder, "data") | files(folder, "models") if "birds" in str(path)]


def files(folder: Path, name: str) -> set[Path]:
    return {path.relative_to(folder) for path in (folder / name).rglob("*") if path.is_file()}


def links_to_a_whole_cache(folder: Path, _: str) -> None:
    """Also after a stage has run under DVC, and by hand."""
    cache = folder.parent / "big/cache/files/md5"
    output = folder / "data/pairs/digits.npz"
    assert output.is_symlink()
    call(folder, "dvc", "repro", "-f", "-s", "pair_digits@digits")
    assert output.resolve().is_relative_to(cache)
    call(folder, "python", "-m", "stages.pair_digits", "--set", "digits")
    assert not output.is_symlink()
    whole = [path for path in cache.rglob("*") if path.is_file()]
    assert whole
    assert all(hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.stem for path in whole)
    nothing_but_code_runs(folder, call(folder, "dvc", "repro"))


def results_come_from_the_run_cache(folder: Path, output: str) -> None:
    assert stages_run(output) == {"code", "check_params", "download@digits"}
    made, whole = snapshot(folder), snapshot(folder.parent / "project")
    del made["dvc.lock"]
    assert {"models/digits/mmvae/0.safetensors", "plots/digits/curves/mmvae_0.csv"} < set(made)
    assert made.items() < whole.items()


def models_are_there(folder: Path, _: str) -> None:
    runs = {path.parts[2] for path in files(folder, "models/digits")}
    assert {"mmvae", "mmvae_tight", "vae_grey", "vae_colour"} <= runs


def two_are_queued(_: Path, output: str) -> None:
    assert output.count("Queued") == 2


def experiments_have_names(_: Path, output: str) -> None:
    assert re.search(r"^\W*Experiment\b", output, re.MULTILINE)


PROMISES: dict[str, Callable[[Path, str], None]] = {  # what the page says beside a command
    "dvc repro": nothing_but_code_runs,
    "dvc pull check_params train_classifiers evaluate evaluate_own": inputs_of_tables_alone,
    "dvc repro code && dvc repro -s tables@digits": tables_are_up_to_date,
    "dvc pull --with-deps tables@digits": nothing_of_other_sets,
    "dvc pull train": models_are_there,
    "dvc repro --pull tables@digits": results_come_from_the_run_cache,
    "dvc queue status": two_are_queued,
    "dvc exp show --only-changed": experiments_have_names,
    "dvc checkout --relink": links_to_a_whole_cache,
}


def ordered(command: Command, output: str) -> str:
    """What a command prints; `dvc metrics diff` puts the two files in another order every time."""
    if command.text != "dvc metrics diff":
        return output
    return "".join(sorted(output.splitlines(keepends=True), key=lambda row: row.startswith("metrics/birds")))


@pytest.mark.parametrize("command", RUN, ids=lambda one: f"{one.page}-{one.text.splitlines()[0]}")
def test_a_command_prints_what_its_page_shows(command, world):
    folder = world.folder(command)
    output = run(world.placed(command.text), folder, fails="Error: " in (command.shown or ""))
    assert shows(command.shown or "...", ordered(command, output)), output
    if promise := PROMISES.get(command.text):
        promise(folder, output)
    if command.page == "README.md" and folder == world.project:
        call(folder, "git", "checkout", "-q", "HEAD", ".")


def test_what_is_not_run_is_there():
    """No line of the list outlives its command."""
    matched = {
        pattern: [one.text for one in EVERY if re.fullmatch(pattern, one.text, re.DOTALL)] for pattern in NOT_RUN
    }
    assert all(matched.values())
    assert len(RUN) > len(EVERY) / 2


def test_what_changed_is_the_same_in_both_tables_of_the_readme():
    """In `dvc metrics diff`, and in `dvc exp show --only-changed`, which rounds to five digits first."""
    after = README.partition("--only-changed --drop Created")[2]
    names, _, *rows = (line.strip("|").split("|") for line in after.split("\n\n")[1].splitlines())
    table = {row[0].strip(): dict(zip((name.strip() for name in names), row, strict=True)) for row in rows}
    [diff] = [one.shown for one in commands(README) if one.text == "dvc metrics diff"]
    changed = [line.split() for line in diff.splitlines()[1:]]
    assert len(names) <= 70
    for _, metric, before, after, _ in changed:
        if metric not in table["main"]:
            assert f"{float(before):.5g}" == f"{float(after):.5g}"
            continue
        for row, number in (("main", before), ("workspace", after)):
            assert float(table[row][metric]) == pytest.approx(float(number), rel=1e-4, abs=1e-5)


def test_the_stages_that_the_readme_names_would_run(world):
    """A dry run tells what is trained; test_pipeline.py, what follows."""
    [command] = [one for one in commands(README) if one.text == "dvc exp run -S objective=dreg_iwae"]
    named = re.findall("^Running stage '(.*)':$", command.shown, re.MULTILINE)
    first, *trained = [name for name in named if not name.startswith("evaluate")]
    assert named == [first, *trained, *(name.replace("train", "evaluate") for name in trained)]
    params = world.project / "params.yaml"
    params.write_text(params.read_text().replace("objective: iwae", "objective: dreg_iwae"))
    would = re.findall("^Running stage '(.*)':$", run("dvc repro --dry", world.project), re.MULTILINE)
    call(world.project, "git", "checkout", "-q", "HEAD", ".")
    assert would[: 1 + len(trained)] == [first, *trained]


INLINE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`(?! of\s+commit)")  # what is of another commit is there


def inline(page: Path) -> list[str]:
    """What stands in the text of a page as code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"At\s+commit\s+\w+\s+`[^`]*`", "", text)
    return [" ".join(found.split()) for found in INLINE.findall(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_sentence_names_is_there(page):
    """Every option of DVC, module, target of make and marker of pytest."""
    makefile = (ROOT / "Makefile").read_text()
    for text in inline(page):
        program, *rest = shlex.split(text) if re.match("(dvc|python -m|make|pytest) ", text) else [""]
        if program == "dvc":
            assert understood(rest), text
        elif program == "python" and not rest[1].startswith("<"):
            assert importlib.util.find_spec(rest[1]), text
        elif program == "make":
            assert f"\n{rest[0]}:" in makefile, text
        elif program == "pytest" and "-m" in rest:
            assert f'"{rest[rest.index("-m") + 1]}: ' in (ROOT / "pyproject.toml").read_text(), text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_tests_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", text)
    assert [link for link, _ in linked if not (page.parent / link).exists()] == []
    parts = [(page.parent / link if link else page, part) for link, part in linked if part]
    assert [(str(at), part) for at, part in parts if part not in anchors(at.read_text(encoding="utf-8"))] == []
    written = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"\btest_\w+\.py\b", text)) <= set(written)
    every = "".join(written.values())
    assert [name for name in re.findall(r"\btest_\w+\b(?!\.py)", text) if f"def {name}" not in every] == []


def anchors(text: str) -> set[str]:
    """What a page's headings are called in links to them."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)}


def understood(words: list[str]) -> bool:
    """Whether DVC knows the command and its options; a sentence may leave out what they are given."""
    for given in ([], ["x"], ["x", "y"]):
        with suppress(DvcParserError, SystemExit):
            get_main_parser().parse_args(words + given)
            return True
    return len(words) == 1
