"""Run a job on a machine that does not see the leader's workspace: files travel through a DVC remote, by content.

The leader puts a job's inputs into the remote. The worker has the project's files (`pack`) in a folder of its own. It
fetches the inputs, runs the command, and puts the outputs and, every half minute, the checkpoint of a training into
the remote. The leader fetches the outputs. DVC runs on the leader alone.

`python -m fanout.clone`, in the worker's folder, reads an `Order` from stdin and prints a `Result`, both as JSON; what
the command prints goes to stderr.
"""

import getpass
import hashlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dvc.config import Config
from dvc.data_cloud import Remote
from dvc.fs import get_cloud_fs, localfs
from dvc_data.hashfile.db import HashFileDB

from fanout import machine, worker
from fanout.jobs import ClusterError, Job

CACHE = Path(tempfile.gettempdir()) / f"fanout_cache_{getpass.getuser()}"  # what jobs of one machine fetched
CHECKPOINTS = Path(".checkpoints")
CARRY_EVERY = 30.0  # seconds
CARRIED = re.compile(r"(\d{8})-([0-9a-f]{32})\.tar")  # number, md5


class TransferError(RuntimeError):
    """A file did not arrive."""


@dataclass(frozen=True)
class Order:
    """What a worker is asked to do."""

    name: str  # of the stage
    command: str
    inputs: dict[str, str]  # path: md5
    outputs: tuple[str, ...]  # paths
    remote: str
    gpu: bool

    @property
    def key(self) -> str:
        """A name for this stage with these inputs."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Result:
    """What became of an order."""

    status: int
    machine: str
    outputs: dict[str, str] = field(default_factory=dict)  # path: md5


@dataclass(frozen=True)
class Package:
    """The project's files, all that git tracks or would track, as they are now."""

    content: bytes  # a tar file
    hashes: dict[str, str]  # path: md5


def pack() -> Package:
    """Taken when no stage runs; what stages write later goes through the remote."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    paths = [path for path in map(Path, sorted(set(listed) - {""})) if path.is_file()]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in paths:
            archive.add(path)
    return Package(buffer.getvalue(), {path.as_posix(): md5(path) for path in paths})


def storage(remote: str) -> Remote:
    """A remote of the project's DVC settings."""
    kind, settings, path = get_cloud_fs(Config(".dvc"), name=remote)
    return Remote(remote, path, kind(**settings), **settings)


def place(job: Job, package: Package, remote: Remote) -> Order:
    """Put a job's inputs into the remote, but for those that the package has.

    Raises:
        ClusterError: an input is outside of the project.
    """
    if outside := [path for path in job.inputs if path.startswith("../")]:
        raise ClusterError(f"{job.name} needs {outside[0]}, outside of the project: a remote cannot carry it")
    inputs = {path: digest for path, digest in job.inputs.items() if package.hashes.get(path) != digest}
    _add(remote.odb, inputs)
    return Order(job.name, job.command, inputs, job.outputs, remote.name, job.gpu)


def accept(answer: str, remote: Remote) -> Result:
    """Bring an order's outputs here."""
    result = Result(**json.loads(answer))
    for name, digest in result.outputs.items():
        download(remote.odb, digest, Path(name))
    return result


def md5(path: Path) -> str:
    """As DVC names a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def send(database: HashFileDB, paths: Iterable[str]) -> dict[str, str]:
    """Put files, and all files of folders, into the remote. Returns the hash of each."""
    found = [path for name in map(Path, paths) for path in [name, *name.rglob("*")] if path.is_file()]
    hashes = {path.as_posix(): md5(path) for path in found}
    _add(database, hashes)
    return hashes


def _add(database: HashFileDB, hashes: dict[str, str]) -> None:
    if hashes:
        database.add([str(Path(path).absolute()) for path in hashes], localfs, list(hashes.values()))


def fetch(database: HashFileDB, hashes: dict[str, str]) -> None:
    """Get files from the remote, or from what other jobs of this machine fetched."""
    for name, digest in hashes.items():
        kept, path = CACHE / digest[:2] / digest, Path(name)
        if not (kept.exists() and md5(kept) == digest):
            download(database, digest, kept)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, path)


def download(database: HashFileDB, digest: str, path: Path) -> None:
    """Get one file from the remote, whole or not at all.

    Raises:
        TransferError: the remote does not have it, or has another content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        partial = Path(folder) / digest
        try:
            database.fs.get_file(database.oid_to_path(digest), str(partial))
        except FileNotFoundError as error:
            raise TransferError(f"the remote does not have {database.oid_to_path(digest)}") from error
        if md5(partial) != digest:
            raise TransferError(f"{database.oid_to_path(digest)} has another content: delete it, and run again")
        partial.replace(path)


@dataclass
class Carrier:
    """Carries `.checkpoints/` through a folder of the remote, as tar files whose names are a number and an md5."""

    remote: Remote
    key: str
    _sent: str = ""
    _number: int = 0

    @property
    def folder(self) -> str:
        return self.remote.fs.join(self.remote.path, "fanout", self.key)

    def names(self) -> list[str]:
        """Newest first."""
        if not self.remote.fs.exists(self.folder):
            return []
        names = map(self.remote.fs.name, self.remote.fs.find(self.folder))
        return sorted(filter(CARRIED.fullmatch, names), reverse=True)

    def receive(self) -> None:
        """Unpack the newest that is whole."""
        for name in self.names():
            number, digest = CARRIED.fullmatch(name).groups()
            self._number = max(self._number, int(number))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name
                self.remote.fs.get_file(self.remote.fs.join(self.folder, name), str(path))
                if md5(path) == digest:
                    with tarfile.open(path) as archive:
                        archive.extractall(".", filter="data")
                    return

    def give(self) -> None:
        """Put the checkpoints into the remote, if they are new. Then delete what was there before."""
        before = self.names()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoints.tar"
            with tarfile.open(path, "w") as archive:
                archive.add(CHECKPOINTS, filter=_whole)
            if (digest := md5(path)) == self._sent:
                return
            self._number += 1
            name = f"{self._number:08}-{digest}.tar"
            self.remote.fs.makedirs(self.folder, exist_ok=True)
            self.remote.fs.put_file(str(path), self.remote.fs.join(self.folder, name))
        self._sent = digest
        self._delete(before)

    def forget(self) -> None:
        """The job is done."""
        self._delete(self.names())

    def _delete(self, names: list[str]) -> None:
        for name in names:
            self.remote.fs.remove(self.remote.fs.join(self.folder, name))

    @contextmanager
    def carried(self) -> Iterator[None]:
        """Begin with the remote's checkpoints, and send this machine's every half minute."""
        over = threading.Event()
        thread = threading.Thread(target=self._give_often, args=(over,), daemon=True)
        self.receive()
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _give_often(self, over: threading.Event) -> None:
        while not over.wait(CARRY_EVERY):
            try:
                if CHECKPOINTS.exists():
                    self.give()
            except Exception as error:  # a checkpoint was replaced just now, or the remote has a pause: the next time
                print(f"the checkpoint was not sent: {error}", file=sys.stderr)


def _whole(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """A file that is being written is left out."""
    return None if ".partial" in member.name else member


def carry_out(order: Order) -> Result:
    """Run a job in this folder. Its output goes to stderr."""
    remote = storage(order.remote)
    fetch(remote.odb, order.inputs)
    carrier = Carrier(remote, order.key)
    with carrier.carried():
        status = worker.run(order.name, order.command, sys.stderr, worker.orphaned)
    if status:
        return Result(status, machine.kind(order.gpu))
    outputs = send(remote.odb, order.outputs)
    carrier.forget()
    return Result(status, machine.kind(order.gpu), outputs)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(worker.STOPPED))
    result = carry_out(Order(**json.load(sys.stdin)))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
