"""Jobs on other machines: Ray's own cluster for tests, submitit's local executor. Skipped without these packages.

Trainings write a checkpoint after every update and can be made to wait there (slow_training/), to be killed.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from ray_nodes import Nodes
from tiny import ENVIRONMENT, call, snapshot, write_project
from trivial import PATIENCE, wait_for

from fanout import worker
from fanout.jobs import ClusterError

TARGET = "figure4_samples@digits"  # what needs two trainings, and little else
TRAINING = "train@digits-mmvae-0"
ORDER = {"PYTHONHASHSEED": "0"}  # DVC orders stages by sets of strings
CHECKPOINT = ".checkpoints/digits_mmvae_0_*.safetensors"

PIPELINE = """\
stages:
  fails:
    cmd: "echo x >> count; exit 3"
    outs: [never]
  needs_it:
    cmd: cp never after
    deps: [never]
    outs: [after]
  letters:
    matrix:
      letter: [a, b, c, d]
    cmd: "echo ${item.letter} > ${item.letter}"
    outs: ["${item.letter}"]
"""


def write_trivial(folder: Path, pipeline: str) -> Path:
    """A repository with a pipeline of shell commands."""
    folder.mkdir(parents=True)
    call(folder, "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    (folder / "dvc.yaml").write_text(pipeline)
    return folder


class Leader:
    """`python -m fanout` in a project, and what it prints."""

    def __init__(self, folder: Path, *arguments: str, **environment: str):
        self.folder, self.log = folder, folder.with_name(f"{folder.name} log.txt")
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fanout", *arguments],
                cwd=folder,
                env=ENVIRONMENT | ORDER | {"PYTHONPATH": str(ROOT)} | environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def printed(self) -> str:
        return self.log.read_text()

    def wait(self, status: int = 0) -> str:
        """Its end: what it printed."""
        assert self.process.wait(PATIENCE) == status, self.printed()
        return self.printed()


def workers(folder: Path) -> list[psutil.Process]:
    """What runs in a folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder:
                found.append(process)
    return found


class Trainings:
    """What trainings say of their starts, and whether they wait after each checkpoint."""

    def __init__(self, folder: Path):
        self.steps, self.pause = folder / "steps.txt", folder / "pause"
        path = f"{ROOT / 'tests/slow_training'}{os.pathsep}{ROOT}"
        self.environment = {"PYTHONPATH": path, "STEPS": str(self.steps), "PAUSE": str(self.pause)}

    def begin(self) -> None:
        """Of a test: trainings wait."""
        self.steps.write_text("")
        self.pause.touch()

    def go_on(self) -> None:
        self.pause.unlink()

    def starts(self) -> list[int]:
        """From which update each start of TRAINING went on."""
        lines = (line.split() for line in self.steps.read_text().splitlines())
        return [int(step) for name, step in lines if name == "digits_mmvae"]

    def process(self) -> psutil.Process:
        """That of TRAINING, once it waits after a checkpoint."""

        def found() -> psutil.Process | None:
            return next(filter(self.is_waiting, psutil.process_iter()), None)

        return wait_for(found, "the training")

    def is_waiting(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            ours = process.environ().get("STEPS") == str(self.steps)
            return ours and "mmvae" in process.cmdline() and any(Path(process.cwd()).glob(CHECKPOINT))
        return False


@pytest.fixture(scope="module")
def trainings(tmp_path_factory) -> Trainings:
    return Trainings(tmp_path_factory.mktemp("trainings"))


@pytest.fixture(scope="module")
def nodes(trainings) -> Iterator[Nodes]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-ray.txt -c constraints.txt")
    nodes = Nodes(**trainings.environment)
    yield nodes
    nodes.stop()


@pytest.fixture(scope="module")
def slurm() -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install -r requirements-slurm.txt")


@pytest.fixture(scope="module")
def serial(tmp_path_factory) -> dict[str, bytes]:
    """The bytes that a serial `dvc repro TARGET` leaves."""
    folder = write_project(tmp_path_factory.mktemp("serial") / "project")
    call(folder, "dvc", "repro", TARGET, **ORDER)
    return snapshot(folder)


@pytest.mark.slow
class TestRay:
    def test_a_stage_that_fails_is_not_repeated_and_others_finish(self, nodes, tmp_path):
        folder = write_trivial(tmp_path / "trivial", PIPELINE)
        printed = Leader(folder, "--on", f"ray:{nodes.address}").wait(1)
        assert (folder / "count").read_text() == "x\n"
        assert [(folder / name).read_text() for name in "abcd"] == ["a\n", "b\n", "c\n", "d\n"]
        assert "needs_it" in printed

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
    def test_nothing_outlives_the_leader(self, nodes, tmp_path, number):
        folder = write_trivial(tmp_path / "trivial", "stages: {wait: {cmd: exec sleep 300, outs: [never]}}")
        leader = Leader(folder, "--on", f"ray:{nodes.address}")
        wait_for(lambda: any(process.name() == "sleep" for process in workers(folder)), "the stage")
        leader.process.send_signal(number)
        leader.process.wait(PATIENCE)
        wait_for(lambda: not workers(folder), "the end of all")

    def test_a_node_that_dies_and_a_leader_that_is_killed(self, nodes, trainings, serial, tmp_path):
        folder = write_project(tmp_path / "project")
        trainings.begin()
        leader = Leader(folder, TARGET, "--on", f"ray:{nodes.address}")
        training = trainings.process()
        nodes.remove(training)
        wait_for(lambda: not training.is_running(), "the end of the training with its node")
        trainings.go_on()
        wait_for(lambda: f" {TRAINING}: ran" in leader.printed(), "the training")
        leader.process.kill()
        leader.process.wait()
        assert trainings.starts() == [0, 1]
        printed = Leader(folder, TARGET, "--on", f"ray:{nodes.address}").wait()
        assert f"{TRAINING}: ran" not in printed
        assert trainings.starts() == [0, 1]
        assert snapshot(folder) == serial

    def test_a_node_that_dies_without_a_shared_folder(self, nodes, trainings, serial, tmp_path):
        folder, remote = write_project(tmp_path / "project"), tmp_path / "remote"
        call(folder, "dvc", "remote", "add", "storage", str(remote))
        trainings.begin()
        leader = Leader(folder, TARGET, "--on", f"ray:{nodes.address}", "--remote", "storage")
        wait_for(lambda: len(list(remote.glob("fanout/*/*.tar"))) == 2, "the checkpoints of both trainings")
        training = trainings.process()
        nodes.remove(training)
        wait_for(lambda: not training.is_running(), "the end of the training with its node")
        trainings.go_on()
        leader.wait()
        assert trainings.starts() == [0, 1]
        assert snapshot(folder) == serial
        assert not list(remote.glob("fanout/*/*")), "a finished training leaves no checkpoint"

    def test_folders_of_killed_jobs_are_deleted(self, nodes, tmp_path):
        ended = subprocess.Popen(["true"])
        ended.wait()
        alive, dead = (tmp_path / f"fanout_job_{number}_x" for number in (os.getpid(), ended.pid))
        for folder in (alive, dead, tmp_path / "another"):
            folder.mkdir()
        code = "from fanout import ray; ray._sweep()"
        call(ROOT, sys.executable, "-c", code, TMPDIR=str(tmp_path))
        assert set(tmp_path.iterdir()) == {alive, tmp_path / "another"}


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
class TestSlurm:
    def test_a_stage_that_fails_is_not_repeated_and_others_finish(self, tmp_path):
        folder = write_trivial(tmp_path / "trivial", PIPELINE)
        printed = Leader(folder, "--on", "slurm:local").wait(1)
        assert (folder / "count").read_text() == "x\n"
        assert [(folder / name).read_text() for name in "abcd"] == ["a\n", "b\n", "c\n", "d\n"]
        assert "needs_it" in printed

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
    def test_nothing_outlives_the_leader(self, tmp_path, number):
        """After `kill -9` jobs end when the next leader starts, or after two minutes."""
        folder = write_trivial(tmp_path / "trivial", "stages: {wait: {cmd: exec sleep 300, outs: [never]}}")
        leader = Leader(folder, "--on", "slurm:local")
        wait_for(lambda: any(process.name() == "sleep" for process in workers(folder)), "the stage")
        leader.process.send_signal(number)
        leader.process.wait(PATIENCE)
        with worker.Lease(folder / worker.LEASE):
            wait_for(lambda: not workers(folder), "the end of all")

    def test_a_job_that_is_preempted_and_one_that_dies(self, trainings, serial, tmp_path):
        """Preempted as by Slurm's signal; killed as by the death of its node."""
        folder = write_project(tmp_path / "project")
        trainings.begin()
        leader = Leader(folder, TARGET, "--on", "slurm:local", **trainings.environment)
        jobs(trainings.process())[0].send_signal(signal.SIGUSR2)
        wait_for(lambda: trainings.starts() == [0, 1], "the training's second start")
        training = trainings.process()
        for process in jobs(training):
            process.kill()
        wait_for(lambda: not training.is_running(), "the end of the training with its job")
        trainings.go_on()
        wait_for(lambda: f" {TRAINING}: ran" in leader.printed(), "the training")
        assert trainings.starts() in ([0, 1, 1], [0, 1, 2])
        leader.process.kill()
        leader.process.wait()
        printed = Leader(folder, TARGET, "--on", "slurm:local", **trainings.environment).wait()
        assert f"{TRAINING}: ran" not in printed
        assert snapshot(folder) == serial

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("90", 90), ("1:30", 2), ("4:00:00", 240), ("1-12", 2160), ("1-0:30", 1470), ("1-0:0:1", 1441), ("0", 1)],
    )
    def test_minutes(self, text, expected):
        from fanout.slurm import minutes

        assert minutes(text) == expected

    @pytest.mark.parametrize("text", ["", "an hour", "1:2:3:4", "1-", "1-2:3:4:5"])
    def test_no_time(self, text):
        from fanout.slurm import minutes

        with pytest.raises(ClusterError, match="--time"):
            minutes(text)


def jobs(training: psutil.Process) -> list[psutil.Process]:
    """The job's processes in which a training runs, the innermost first."""
    return [process for process in training.parents() if any("submitit" in word for word in process.cmdline())]
