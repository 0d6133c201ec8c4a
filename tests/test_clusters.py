"""Jobs on other machines: Ray's own cluster for tests, submitit's local executor. Skipped without these packages.

Trainings write a checkpoint after every update and can be made to wait there (slow_training/), to be killed.
"""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from ray_nodes import Nodes
from tiny import ENVIRONMENT, call, snapshot, write_project

from fanout import clone, machine, worker
from fanout.jobs import ClusterError, Job

TARGET = "figure4_samples@digits"  # what needs two trainings, and little else
TRAINING = "train@digits-mmvae-0"
ORDER = {"PYTHONHASHSEED": "0"}  # DVC orders stages by sets of strings
CHECKPOINT = ".checkpoints/digits_mmvae_0_*.safetensors"
PATIENCE = 120.0  # seconds


def wait_for(condition: Callable[[], object], what: str) -> object:
    """The first true value of a condition."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} seconds"
        time.sleep(0.1)
    return value


class TestLease:
    def test_a_leader_that_is_there(self, tmp_path):
        with worker.Lease(tmp_path / "leader") as lease:
            leader = worker.Leader(str(lease.path), lease.token)
            assert not leader.gone()
        assert leader.gone()

    def test_another_leader(self, tmp_path):
        with worker.Lease(tmp_path / "leader") as lease, worker.Lease(tmp_path / "leader"):
            assert worker.Leader(str(lease.path), lease.token).gone()

    def test_a_leader_that_was_killed(self, tmp_path, monkeypatch):
        (tmp_path / "leader").write_text("token 3")
        leader = worker.Leader(str(tmp_path / "leader"), "token")
        assert not leader.gone()
        monkeypatch.setattr(worker, "PATIENCE", 0.0)
        assert leader.gone()

    def test_a_file_that_cannot_be_read_now(self, tmp_path, monkeypatch):
        leader = worker.Leader(str(tmp_path / "leader"), "token")
        assert not leader.gone()
        monkeypatch.setattr(worker, "PATIENCE", 0.0)
        assert leader.gone()


class TestCommand:
    def run(self, command: str, folder: Path, unwanted: Callable[[], bool] = lambda: False) -> tuple[int, str]:
        with (folder / "log").open("ab") as output:
            status = worker.run("a stage", command, output, unwanted)
        return status, (folder / "log").read_text()

    def test_its_status_and_output(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert self.run('echo "$DVC_STAGE" in "$DVC_ROOT"; exit 3', tmp_path) == (3, f"a stage in {tmp_path}\n")

    @pytest.mark.parametrize("command", ["exit 3", "cd / && exit 3", "python -c 'raise SystemExit(3)'"])
    def test_with_and_without_a_shell(self, command, tmp_path):
        assert self.run(command, tmp_path) == (3, "")

    def test_one_that_a_signal_ends(self, tmp_path):
        assert self.run("kill -9 $$", tmp_path)[0] == 128 + signal.SIGKILL

    def test_one_that_is_unwanted_ends_with_all_that_it_started(self, tmp_path):
        command = f"sleep 60 & echo $! > {tmp_path}/number; wait"
        status, _ = self.run(command, tmp_path, (tmp_path / "number").exists)
        assert status == worker.STOPPED
        number = int((tmp_path / "number").read_text())
        wait_for(lambda: not psutil.pid_exists(number) or psutil.Process(number).status() == "zombie", "its end")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A repository with a remote, and an input and a file of code that were not committed."""
    folder = tmp_path / "a project"
    (folder / "data").mkdir(parents=True)
    call(folder, "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    call(folder, "dvc", "remote", "add", "storage", str(tmp_path / "remote"))
    (folder / ".gitignore").write_text("/data\n")
    (folder / "program.py").write_text("open('data/out', 'w').write(open('data/in').read().upper())\nprint('done')\n")
    (folder / "data/in").write_text("words")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where workers have their cache
    return folder


def elsewhere(package: clone.Package, order: clone.Order, folder: Path) -> subprocess.CompletedProcess:
    """What a worker does in a folder of its own."""
    with tarfile.open(fileobj=io.BytesIO(package.content)) as archive:
        archive.extractall(folder, filter="data")
    words, text = [sys.executable, "-m", "fanout.clone"], json.dumps(asdict(order))
    return subprocess.run(words, cwd=folder, input=text, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
class TestClone:
    JOB = Job("upper", "python program.py", False, {"data/in": hashlib.md5(b"words").hexdigest()}, ("data/out",))

    def test_code_and_inputs_go_there_and_outputs_come_back(self, project, tmp_path):
        remote, package = clone.storage("storage"), clone.pack()
        done = elsewhere(package, clone.place(self.JOB, package, remote), tmp_path / "worker")
        assert (done.returncode, done.stderr) == (0, "done\n")
        result = clone.accept(done.stdout, remote)
        assert (result.status, result.machine) == (0, machine.kind())
        assert (project / "data/out").read_text() == "WORDS"

    def test_a_command_that_fails(self, project, tmp_path):
        remote, package = clone.storage("storage"), clone.pack()
        order = clone.place(replace(self.JOB, command="exit 3"), package, remote)
        done = elsewhere(package, order, tmp_path / "worker")
        assert clone.accept(done.stdout, remote) == clone.Result(3, machine.kind())
        assert not (project / "data/out").exists()

    def test_what_changed_since_it_was_packed_goes_there(self, project, tmp_path):
        (project / "words.txt").write_text("old")
        remote, package = clone.storage("storage"), clone.pack()
        (project / "words.txt").write_text("new")
        inputs = {"words.txt": hashlib.md5(b"new").hexdigest(), "program.py": package.hashes["program.py"]}
        order = clone.place(Job("copy", "cp words.txt data", False, inputs, ("data/words.txt",)), package, remote)
        assert set(order.inputs) == {"words.txt"}
        (tmp_path / "worker/data").mkdir(parents=True)
        clone.accept(elsewhere(package, order, tmp_path / "worker").stdout, remote)
        assert (project / "data/words.txt").read_text() == "new"

    def test_a_file_that_the_remote_has_damaged(self, project, tmp_path):
        package = clone.pack()
        order = clone.place(self.JOB, package, clone.storage("storage"))
        [stored] = (path for path in (tmp_path / "remote").rglob("*") if path.is_file())
        stored.chmod(0o644)
        stored.write_text("other")
        done = elsewhere(package, order, tmp_path / "worker")
        assert done.returncode == 1
        assert f"{stored} has another content" in done.stderr

    def test_a_file_that_the_remote_has_lost(self, project, tmp_path):
        package = clone.pack()
        order = clone.place(self.JOB, package, clone.storage("storage"))
        shutil.rmtree(tmp_path / "remote")
        assert "the remote does not have" in elsewhere(package, order, tmp_path / "worker").stderr

    def test_checkpoints_go_from_one_machine_to_the_next(self, project, tmp_path, monkeypatch):
        remote, last = clone.storage("storage"), Path(".checkpoints/a/last")
        for text in ("first", "second"):
            carrier = clone.Carrier(remote, "key")
            carrier.receive()
            last.parent.mkdir(parents=True, exist_ok=True)
            last.write_text(text)
            carrier.give()
        shutil.rmtree(".checkpoints")
        clone.Carrier(remote, "key").receive()
        assert last.read_text() == "second"
        clone.Carrier(remote, "key").forget()
        shutil.rmtree(".checkpoints")
        clone.Carrier(remote, "key").receive()
        assert not last.exists()

    def test_a_checkpoint_that_did_not_arrive_whole_is_not_used(self, project, tmp_path):
        remote, last = clone.storage("storage"), Path(".checkpoints/last")
        last.parent.mkdir()
        last.write_text("whole")
        clone.Carrier(remote, "key").give()
        cut = tmp_path / "remote/fanout/key" / f"00000002-{'0' * 32}.tar"
        cut.write_bytes(b"cut")
        last.unlink()
        clone.Carrier(remote, "key").receive()
        assert last.read_text() == "whole"


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
