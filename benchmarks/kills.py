"""Kill the pipeline at random moments, over and over; its results must be those of a run that was never killed.

`python -m benchmarks.kills --kills 100 --minutes 60`. The repository's committed state is cloned into an empty folder
and `dvc repro` is started there again and again, and killed after a random time in a random way. The reference is a run
in a second clone, with the same number of threads, that nothing disturbs; `--reference` names one that exists. After
every kill: no process is left, and every output under its final name is whole. Whenever a run comes to its end:
dvc.lock, metrics, plots, data and models are the reference's byte for byte, and every object of DVC's cache has the
content that its name promises; then the clone is emptied and the next run begins.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
import yaml
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
GRACE = 15.0  # seconds in which what is left of a killed run has to end
OUTPUTS = ("data", "models", "metrics", "plots")
WAYS = {  # who gets which signal
    "kill -9, everything": ("all", signal.SIGKILL),
    "kill -9, dvc": ("dvc", signal.SIGKILL),
    "kill -9, the stage": ("stage", signal.SIGKILL),
    "SIGTERM, dvc": ("dvc", signal.SIGTERM),
    "SIGTERM, the stage": ("stage", signal.SIGTERM),
    "Ctrl-C": ("all", signal.SIGINT),
}


def clone(repository: Path, folder: Path) -> Path:
    """A clone without outputs and without a cache."""
    subprocess.run(["git", "clone", "-q", str(repository), str(folder)], check=True)
    return folder


def start(folder: Path, log: Path, *targets: str) -> subprocess.Popen:
    """What `make repro` does once its environment is there, in a process group of its own."""
    with log.open("ab") as file:
        python = shlex.quote(sys.executable)
        command = f"{python} -m stages.recover && exec {python} -m dvc repro {shlex.join(targets)}"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            ["bash", "-c", command],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_interruptible,
            env=os.environ | {"PATH": path, "TQDM_DISABLE": "1"},
        )


def _interruptible() -> None:
    """A shell's background job ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def strike(process: subprocess.Popen, whom: str, number: signal.Signals) -> None:
    """Send the signal to the whole group, to DVC, or to the stage that it runs."""
    if whom == "all":
        os.killpg(process.pid, number)
        return
    children = psutil.Process(process.pid).children()
    target = children[0].pid if whom == "stage" and children else process.pid
    os.kill(target, number)


def left_over(folder: Path) -> list[psutil.Process]:
    """Processes that work in `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for_end(folder: Path) -> list[str]:
    """Wait for what is left of a killed run; command lines of what does not end (and is ended here)."""
    deadline = time.monotonic() + GRACE
    while (left := left_over(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in left:
        process.kill()
    return [" ".join(process.cmdline()) for process in left]


def digests(folder: Path) -> dict[str, str]:
    """Path -> md5 of every output under its final name."""
    files = [path for name in OUTPUTS for path in (folder / name).rglob("*") if path.is_file()]
    whole = [path for path in files if ".partial" not in str(path.relative_to(folder))]
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in sorted(whole)}


def damaged_objects(folder: Path) -> list[str]:
    """Objects of DVC's cache whose content is not what their name says."""
    cache = folder / ".dvc" / "cache" / "files" / "md5"
    objects = [path for path in cache.rglob("*") if path.is_file() and len(path.name.removesuffix(".dir")) == 30]
    wrong = [path for path in objects if hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.stem]
    return [str(path.relative_to(folder)) for path in wrong]


def run_through(folder: Path, log: Path) -> None:
    if start(folder, log).wait():
        sys.exit(f"dvc repro failed in {folder}; see {log}")


def reset(folder: Path) -> None:
    """Back to a bare clone: no outputs, no cache, the committed results."""
    subprocess.run(["git", "reset", "-q", "--hard"], cwd=folder, check=True)
    subprocess.run(["rm", "-rf", "data", "models", ".checkpoints", ".dvc/cache", ".dvc/tmp"], cwd=folder, check=True)


def compare(folder: Path, reference: dict[str, str], lock: bytes) -> list[str]:
    """What differs from the reference after a run that came to its end."""
    found = digests(folder)
    wrong = [path for path in sorted(found.keys() | reference.keys()) if found.get(path) != reference.get(path)]
    if yaml.load((folder / "dvc.lock").read_bytes(), yaml.CSafeLoader) != yaml.load(lock, yaml.CSafeLoader):
        wrong.append("dvc.lock")
    elif (folder / "dvc.lock").read_bytes() != lock:
        wrong.append("dvc.lock (order)")
    return wrong + damaged_objects(folder)


def campaign(folder: Path, reference: Path, kills: int, minutes: float, mean: float, seed: int) -> dict:
    """The kills, and what was found wrong."""
    log, expected, lock = folder.with_suffix(".log"), digests(reference), (reference / "dvc.lock").read_bytes()
    rng, deadline = random.Random(seed), time.monotonic() + 60 * minutes
    done, strays, halves, wrong, passes = Counter(), [], [], [], 0
    with tqdm(total=kills, unit="kill") as bar:
        while done.total() < kills and time.monotonic() < deadline:
            process = start(folder, log)
            try:
                if process.wait(rng.expovariate(1 / mean)):
                    sys.exit(f"dvc repro failed by itself after {done.total()} kills; see {log}")
                wrong += compare(folder, expected, lock)
                passes += 1
                reset(folder)
                continue
            except subprocess.TimeoutExpired:
                way = rng.choice(list(WAYS))
            strike(process, *WAYS[way])
            process.wait()
            strays += wait_for_end(folder)
            found = digests(folder)
            made = {path for path in found if not path.startswith(("metrics", "plots"))}
            halves += [path for path in made if found[path] != expected.get(path)]
            done[way] += 1
            bar.update()
    run_through(folder, log)
    wrong += compare(folder, expected, lock)
    mended = log.read_text(errors="replace").count("was cut off by a kill")
    return {
        "kills": done.total(),
        **done,
        "runs to the end": passes + 1,
        "files mended by stages.recover": mended,
        "processes left": strays,
        "outputs not whole after a kill": halves,
        "wrong results at the end": wrong,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=Path, default=ROOT, help="what is cloned; its committed state")
    parser.add_argument("--reference", type=Path, help="a finished, undisturbed run of the same state")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=60, help="no kill after this; the last run is let through")
    parser.add_argument("--mean", type=float, default=25, help="seconds between a start and its kill, on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work, default a temporary folder")
    given = parser.parse_args()
    base = (given.folder or Path(tempfile.mkdtemp())).resolve()
    base.mkdir(parents=True, exist_ok=True)
    reference = given.reference
    if reference is None:
        reference = clone(given.repository, base / "reference")
        run_through(reference, base / "reference.log")
    result = campaign(
        clone(given.repository, base / "killed"), reference, given.kills, given.minutes, given.mean, given.seed
    )
    for key, value in result.items():
        print(f"{key:32} {value if not isinstance(value, list) else value or 'none'}")
    if result["processes left"] or result["outputs not whole after a kill"] or result["wrong results at the end"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
