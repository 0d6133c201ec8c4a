"""How long the pipeline takes, by a serial `dvc repro` and by `python -m fanout`; what their own work costs.

python -m benchmarks.pipeline run               both in clean clones of HEAD, in turn
python -m benchmarks.pipeline run --busy 3 --only fanout      one of them, beside three busy processes
python -m benchmarks.pipeline schedule 10000    the scheduler alone, on a simulated pipeline
python -m benchmarks.pipeline locks 100 2000    writing dvc.lock together and stage by stage
"""

import argparse
import copy
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from pathlib import Path

from dvc.dvcfile import Lockfile
from dvc.logger import set_loggers_level
from dvc.repo import Repo

from fanout.locks import LockFiles
from fanout.schedule import Schedule, left

COMMANDS = {"dvc repro": ["-m", "dvc", "repro"], "fanout": ["-m", "fanout"]}
RESULTS = ("dvc.lock", "metrics", "plots")


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that want a core each."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run_clone(folder: Path, command: list[str]) -> float:
    """Seconds of a command in a clean clone without results."""
    subprocess.run(["git", "clone", "-q", ".", str(folder)], check=True)
    for name in RESULTS:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # DVC's order of several targets, and so that of dvc.lock, is one of chance without PYTHONHASHSEED.
    environment = os.environ | {"PATH": path, "PYTHONHASHSEED": "0"}
    start = time.perf_counter()
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        subprocess.run([sys.executable, *command], cwd=folder, stdout=log, stderr=log, check=True, env=environment)
    return time.perf_counter() - start


def same(one: Path, other: Path) -> bool:
    """Are dvc.lock, metrics and plots equal, byte for byte?"""

    def content(folder: Path) -> dict[Path, bytes]:
        paths = (path for name in RESULTS for path in [folder / name, *(folder / name).rglob("*")])
        return {path.relative_to(folder): path.read_bytes() for path in paths if path.is_file()}

    return content(one) == content(other)


def time_pipeline(titles: list[str], rounds: int, processes: int, targets: list[str]) -> None:
    """Print the seconds of each run, and whether both made the same."""
    with tempfile.TemporaryDirectory() as name, busy(processes):
        for number in range(rounds):
            folders = {}
            for title in titles:
                folders[title] = Path(name) / f"{title.replace(' ', '_')}_{number}"
                print(f"{title:10} {run_clone(folders[title], [*COMMANDS[title], *targets]):6.0f} s", flush=True)
            if len(folders) > 1:
                print("dvc.lock, metrics and plots are equal:", same(*folders.values()), flush=True)


def simulated_pipeline(count: int) -> tuple[dict[str, set[str]], dict[str, float]]:
    """Data sets of 49 trainings and evaluations each; what each stage needs, and its seconds."""
    needs, seconds, rng = {}, {}, random.Random(0)
    for number in range(count // 100):
        needs[f"prepare@{number}"] = set()
        for run in range(49):
            needs[f"train@{number}-{run}"] = {f"prepare@{number}"}
            needs[f"evaluate@{number}-{run}"] = {f"train@{number}-{run}"}
        needs[f"tables@{number}"] = {f"evaluate@{number}-{run}" for run in range(49)}
    for name in needs:
        seconds[name] = rng.lognormvariate(5 if name.startswith("train") else 2, 1)
    return needs, seconds


def simulated_run(needs: dict[str, set[str]], seconds: dict[str, float], slots: int) -> float:
    """Let the scheduler run a pipeline whose time does not pass; how long it would have taken."""
    schedule, now, ends = Schedule(needs, seconds), 0.0, []
    while True:
        while len(ends) < slots and (name := schedule.next()):
            heappush(ends, (now + seconds[name], name))
        if not ends:
            return now
        now, name = heappop(ends)
        schedule.done(name)


def simulate(count: int, slots: int = 64) -> None:
    """Print what the scheduler costs, and how good it is."""
    needs, seconds = simulated_pipeline(count)
    start = time.perf_counter()
    took = simulated_run(needs, seconds, slots)
    spent = time.perf_counter() - start
    tracemalloc.start()
    simulated_run(needs, seconds, slots)
    peak = tracemalloc.get_traced_memory()[1]
    print(f"{len(needs)} stages on {slots} slots: {spent / len(needs) * 1e6:.0f} us a stage, {peak / 1e6:.1f} MB;")
    print(f"the whole takes {took / left(needs, seconds, slots):.3f} times the least that is possible")


def time_locks(counts: list[int]) -> None:
    """Write dvc.lock once after so many stages, as fanout does, and once more for one of them, as DVC does for each."""
    with Repo() as repo, tempfile.TemporaryDirectory() as name, set_loggers_level(logging.ERROR):
        (sample,) = repo.stage.collect("train@digits-mmvae-0")
        for count in counts:
            stages = [copy.copy(sample) for _ in range(count)]
            for number, stage in enumerate(stages):
                stage.name = f"train@digits-mmvae-{number}"
            lockfile, files = Lockfile(repo, str(Path(name) / f"{count}.lock")), LockFiles(stages, Path(name))
            start = time.perf_counter()
            files.add(lockfile, random.Random(0).sample(stages, count))
            files.write()
            together = time.perf_counter() - start
            start = time.perf_counter()
            lockfile.dump_stages(stages[-1:])
            once = time.perf_counter() - start
            print(f"{count} stages: {together:.1f} s together, {once:.1f} s for the last one by DVC,")
            print(f"whose every write is in proportion: {once * count / 2:.0f} s for all", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    run = what.add_parser("run")
    run.add_argument("targets", nargs="*")
    run.add_argument("--rounds", type=int, default=2)
    run.add_argument("--busy", type=int, default=0)
    run.add_argument("--only", choices=COMMANDS)
    what.add_parser("schedule").add_argument("stages", type=int)
    what.add_parser("locks").add_argument("stages", type=int, nargs="+")
    given = parser.parse_args()
    if given.what == "run":
        time_pipeline([given.only] if given.only else list(COMMANDS), given.rounds, given.busy, given.targets)
    elif given.what == "schedule":
        simulate(given.stages)
    else:
        time_locks(given.stages)


if __name__ == "__main__":
    main()
