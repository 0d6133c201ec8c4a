"""A parallel run stopped in every way: no process is left, no finished stage runs again, the bytes are the same."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import kills
import psutil
import pytest
import yaml
from conftest import ROOT
from tiny import ENVIRONMENT, call
from trivial import FANOUT, fanout, ran, state, write_trivial

MANY = 4  # of each kind of stage, so ten in all


@pytest.fixture(scope="module")
def serial(tmp_path_factory) -> dict[str, bytes]:
    """What a serial run leaves."""
    folder = write_trivial(tmp_path_factory.mktemp("serial") / "project", MANY, seconds=0.5)
    call(folder, "dvc", "repro")
    return state(folder)


@pytest.fixture
def project(tmp_path) -> Path:
    """The same, not run."""
    return write_trivial(tmp_path / "project", MANY, seconds=0.5)


def start(folder: Path) -> subprocess.Popen:
    """A parallel run in a process group of its own."""
    with (folder.parent / "log").open("ab") as file:
        return subprocess.Popen(
            [*FANOUT, "--jobs", "3"],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
        )


def strike(process: subprocess.Popen, whom: str, number: signal.Signals) -> None:
    """Send the signal to the leader alone, to its group as a terminal does, or to the server of forks."""
    if whom == "group":
        os.killpg(process.pid, number)
    else:
        children = psutil.Process(process.pid).children() if whom == "server" else []
        servers = [child.pid for child in children if "forkserver" in " ".join(child.cmdline())]
        os.kill(servers[0] if servers else process.pid, number)


WAYS = {  # who gets which signal, and when: after so many stages have begun
    "kill -9, the leader": ("leader", signal.SIGKILL, (2, 5)),
    "kill -9, the server of forks": ("server", signal.SIGKILL, (3,)),
    "SIGTERM, the leader": ("leader", signal.SIGTERM, (6,)),
    "Ctrl-C": ("group", signal.SIGINT, (5,)),
}


def wait_for(folder: Path, stages: int) -> None:
    """Until so many stages have begun."""
    deadline = time.monotonic() + 60
    while not (folder / "ran").exists() or len((folder / "ran").read_text().split()) < stages:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("way", WAYS)
def test_stopped_in_every_way(way, project, serial, fault):
    whom, number, moments = WAYS[way]
    rng, began = random.Random(way), []
    for stages in moments:
        process = start(project)
        wait_for(project, stages)
        time.sleep(rng.uniform(0, 0.6))
        with fault(f"interruption: {way}, under fanout"):
            strike(process, whom, number)
            assert process.wait(30) != 0 or "server" in way  # between two commands, a new server takes its place
            assert not kills.wait_for_end(project), "a process was left"
            assert not kills.damaged_objects(project)
        began += ran(project)
    output = fanout(project)
    began += ran(project)
    assert "10 stages: " in output
    assert state(project) == serial
    # Of the stages that began, each interruption cut off three at most; only these ran again.
    assert len(began) <= 10 + 3 * len(moments)
    assert began.count("source") == 1
    if way == "Ctrl-C":
        assert "10 unchanged" in fanout(project)


def test_no_stage_outlives_a_killed_leader(project):
    """Also one that takes longer than kills.GRACE, and that Python runs in the fork itself."""
    (project / "slow.py").write_text("import time\nopen('ran', 'a').write('slow')\ntime.sleep(60)\n")
    (project / "dvc.yaml").write_text("stages: {slow: {cmd: python -m slow}}\n")
    process = start(project)
    wait_for(project, 1)
    strike(process, "leader", signal.SIGKILL)
    process.wait(30)
    assert not kills.wait_for_end(project), "a process was left"


def test_a_second_interrupt_ends_what_does_not_listen_at_once(project):
    command = "trap '' TERM; echo slow > ran; for i in $(seq 600); do sleep 0.1; done"
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"slow": {"cmd": command}}}))
    process = start(project)
    wait_for(project, 1)
    strike(process, "leader", signal.SIGINT)
    time.sleep(0.5)
    asked = time.monotonic()
    strike(process, "leader", signal.SIGINT)
    assert process.wait(30) == 130
    assert time.monotonic() - asked < 4  # of the five seconds of patience
    assert not kills.wait_for_end(project), "a process was left"


def test_another_dvc_reads_the_project_meanwhile(project, serial):
    process = start(project)
    wait_for(project, 2)
    for command in (("metrics", "show"), ("params", "diff"), ("exp", "show")):
        call(project, "dvc", *command)
    assert process.wait(60) == 0
    assert state(project) == serial


def test_another_dvc_that_holds_the_lock_only_delays(project, serial):
    """Longer than the three seconds after which DVC gives up."""
    code = "import sys, time, dvc.lock; dvc.lock.make_lock('.dvc/tmp/lock').lock(); print(flush=True); time.sleep(5)"
    process = start(project)
    wait_for(project, 3)
    held = None
    while held is None:  # it may be the leader's now
        other = subprocess.Popen(["python", "-c", code], cwd=project, stdout=subprocess.PIPE, env=ENVIRONMENT)
        held = other.stdout.readline() or None
    other.communicate()
    assert process.wait(60) == 0
    assert state(project) == serial
