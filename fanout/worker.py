"""Run one command of the pipeline on any machine, as long as the leader that asked for it gives a sign of life.

`python -m fanout.worker NAME COMMAND LOG LEASE TOKEN [gpu]`, in the folder that has the inputs; prints the kind of
processor.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from fanout import machine
from fanout.forks import PLAIN, end_with_parent

LEASE = Path(".dvc/tmp/fanout/leader")
RENEW_EVERY, PATIENCE = 10.0, 120.0  # seconds
LOOK_EVERY = 1.0
PARENT = os.getppid()  # read before the long imports: it may be gone when they are done
STOPPED = 128 + signal.SIGTERM  # exit status of a command that was stopped


class Lease:
    """A leader's sign of life: a file that all workers see, renewed in a thread until the leader leaves the context.

    Workers stop when another leader has written the file, when the leader left, or when it was not renewed for
    `PATIENCE` seconds by their own clock. So no job of a killed leader writes beside the jobs of the next one.
    """

    def __init__(self, path: Path = LEASE) -> None:
        self.path, self.token = path.absolute(), uuid.uuid4().hex
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._write(f"{self.token} 0")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._write("over")

    def _renew(self) -> None:
        count = 0
        while not self._over.wait(RENEW_EVERY):
            count += 1
            with suppress(OSError):  # the file system has a pause
                self._write(f"{self.token} {count}")

    def _write(self, text: str) -> None:
        partial = self.path.with_name(f"{self.path.name}.{self.token}")
        partial.write_text(text)
        partial.replace(self.path)


class Leader:
    """What a worker sees of the leader that asked for its command: the lease's file."""

    def __init__(self, path: str, token: str) -> None:
        self.path, self.token = Path(path), token
        self._last, self._seen = "", time.monotonic()

    def gone(self) -> bool:
        """Must the command stop?"""
        try:
            text = self.path.read_text()
        except OSError:  # the file system has a pause
            text = self._last
        if text != self._last:
            self._last, self._seen = text, time.monotonic()
        return (bool(text) and text.split()[0] != self.token) or time.monotonic() - self._seen > PATIENCE


def orphaned() -> bool:
    """Has the process that started this one ended?"""
    return os.getppid() != PARENT


def run(name: str, command: str, output: IO, unwanted: Callable[[], bool]) -> int:
    """The exit status of a stage's command, which runs here, in this environment, and writes to the file `output`.

    Once it is `unwanted`, the command is stopped. Its status is then STOPPED.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    plain = PLAIN.fullmatch(command) and shutil.which(command.split()[0], path=path)
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command}" if plain else command],  # without a shell that could outlive it
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PATH": path, "DVC_ROOT": str(Path.cwd()), "DVC_STAGE": name},
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
    try:
        while not unwanted():
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(LOOK_EVERY)
                return status if status >= 0 else 128 - status
        return STOPPED
    finally:
        _stop(process)


def _stop(process: subprocess.Popen, grace: float = 10.0) -> None:
    """End a command and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)


def main() -> None:
    name, command, log, lease, token, *gpu = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    leader = Leader(lease, token)
    with Path(log).open("ab") as output:
        status = run(name, command, output, lambda: orphaned() or leader.gone())
    print(machine.kind(bool(gpu)))
    sys.exit(status)


if __name__ == "__main__":
    main()
