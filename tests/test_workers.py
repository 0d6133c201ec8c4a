"""What a job on another machine consists of: its leader's sign of life, its command, and files that travel."""

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from tiny import call
from trivial import CONFIG, wait_for

from fanout import clone, machine, worker
from fanout.jobs import Job


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
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text(f"{CONFIG}['remote \"storage\"']\n    url = {tmp_path / 'remote'}\n")
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
