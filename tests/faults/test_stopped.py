"""Every stage killed, interrupted and terminated at random moments: then the same command gives the same bytes."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from unittest.mock import Mock

import kills
import psutil
import pytest
import yaml
from conftest import ROOT
from tiny import call, locked_stage, remove_outputs, snapshot

import stages

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = {re.search(r"-m (\S+)", stage["cmd"])[1]: name for name, stage in reversed(PIPELINE.items())}
GO_ON = ("download", "train")
SIGNALS = {"kill -9": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}


@pytest.fixture(scope="module")
def finished(finished_project) -> tuple[Path, dict[str, bytes]]:
    """The folder of a finished project, and all its outputs."""
    folder, _ = finished_project
    return folder, snapshot(folder)


def outputs(folder: Path, stage: dict) -> dict[str, bytes]:
    """The files of a stage's outputs that are there, but for what is half written."""
    paths = [folder / out["path"] for out in stage["outs"]]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if "partial" not in path.name}


def partial(folder: Path) -> list[Path]:
    """What is half written, but for the raw files of a set, with which a download goes on."""
    found = [path for name in ("data", "models", "metrics", "plots") for path in (folder / name).rglob("*.partial*")]
    return [path for path in found if path.parent != folder / "data/raw"]


@pytest.mark.parametrize(("name", "way"), list(zip(sorted(STAGES.values()), cycle(SIGNALS), strict=False)))
def test_a_stage_stopped_at_random_moments(name, way, stage_server, finished, work, fault):
    """In one way, or in every way if the stage goes on from where it was.

    Moments up to a limit, which doubles while the stage lasts longer, and is halved when it has ended before.

    What `kill -9` left half-written stays until the same file is written again, so maybe beyond the next interruption,
    which must add nothing to it.
    """
    folder, whole = finished
    stage = locked_stage(folder, name)
    expected = {path: content for path, content in whole.items() if path in outputs(work, stage)}
    rng, limit = random.Random(name), 0.5  # seconds
    for one in SIGNALS if name in GO_ON else [way]:
        number = SIGNALS[one]
        status, abandoned = 0, set(partial(work))
        while status == 0:
            remove_outputs(work, stage)
            status, output = stage_server.kill_after(work, stage["cmd"], rng.uniform(0, limit), number)
            limit = limit / 2 if status == 0 else limit * 2
            assert limit > 1e-6, f"{one} has no effect"
        with fault(f"interruption: {one} of a stage"):
            assert status in ((-number,) if number == signal.SIGKILL else (1, -number))
            assert "Traceback" not in output
            left = outputs(work, stage)
            assert left == {path: expected[path] for path in left}
            assert number == signal.SIGKILL or set(partial(work)) <= abandoned
    status, output = stage_server.run(work, stage["cmd"])
    assert status == 0, output
    assert outputs(work, stage) == expected
    assert not partial(work)
    assert not list((work / "data/raw").glob(".*.partial"))
    assert not list(work.glob(".checkpoints/*.safetensors"))


SWALLOWED = """
import os, signal, stages
def main():
    try:
        os.kill(os.getpid(), signal.{name})
    except KeyboardInterrupt as error:
        raise ValueError("of a library in C") from error
stages.run(main)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interruption_of_which_a_library_makes_another_error(name, fault):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with fault("interruption: in a library in C"):
        command = [sys.executable, "-c", SWALLOWED.format(name=name)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr.splitlines()) == (1, [INTERRUPTED])


INTERRUPTED = "Interrupted. The same command goes on, or starts the stage again."
PARENT = """
import subprocess, sys, time, stages
stages.WATCH_EVERY = 0.1
if len(sys.argv) > 1:
    stages.run(lambda: print("under way", flush=True) or time.sleep(60))
child = subprocess.Popen([sys.executable, __file__, "child"], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), child.pid, flush=True)
child.wait()
"""


def test_a_stage_ends_with_its_parent(tmp_path, fault):
    """DVC killed alone must not leave a stage behind that writes beside the next one."""
    path = tmp_path / "parent.py"
    path.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_ROOT": str(tmp_path)}  # as a stage under DVC has it
    with fault("interruption: kill -9 of dvc alone"):
        parent = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True, env=environment)
        line = parent.stdout.readline()
        assert line.startswith("under way ")
        child = psutil.Process(int(line.split()[-1]))
        parent.kill()
        parent.communicate()
        _, alive = psutil.wait_procs([child], timeout=20)
        assert not alive or child.status() == psutil.STATUS_ZOMBIE


class Ending:
    """A process that is there when one asks whether it is, and gone when one asks for more."""

    is_running = staticmethod(lambda: True)

    def status(self) -> str:
        raise psutil.NoSuchProcess(1)


def test_a_stage_ends_with_a_parent_that_ends_while_it_is_looked_at(monkeypatch, fault):
    monkeypatch.setattr(stages, "DVC", Ending())
    monkeypatch.setattr(os, "_exit", Mock(side_effect=SystemExit))
    with fault("interruption: kill -9 of dvc alone"), pytest.raises(SystemExit):
        stages._end_with_dvc()


TARGETS = ["figure3@digits"]  # and what it needs


def test_dvc_killed_in_every_way(finished, tmp_path, fault):
    folder, whole = finished
    project = tmp_path / "killed"
    call(tmp_path, "git", "clone", "-q", str(folder), str(project))
    rng = random.Random(0)
    for way, (whom, number) in kills.WAYS.items():
        with fault(f"interruption: {way}, under dvc repro"):
            process = kills.start(project, tmp_path / "log", *TARGETS)
            time.sleep(rng.uniform(1, 4))
            kills.strike(process, whom, number)
            process.wait(60)
            assert not kills.wait_for_end(project), "a process was left"
            left = {path: content for path, content in snapshot(project).items() if path.startswith(("data", "models"))}
            left = {path: content for path, content in left.items() if "partial" not in path}  # a kill's, until the end
            assert {path: whole[path] for path in left} == left
    assert kills.start(project, tmp_path / "log", *TARGETS).wait(300) == 0
    found = snapshot(project)
    assert found == {path: whole[path] for path in found}
    assert {"data/prepared/digits.npz", "data/pairs/digits.npz", "dvc.lock"} <= found.keys()
    assert not kills.damaged_objects(project)
