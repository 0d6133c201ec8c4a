"""Run commands in forks of one process that has imported what stages import: a stage starts in hundredths of a second.

The leader runs this file as a script. Each line of its input is a command to start, each line of its output says how
one ended. When the input ends, because the leader is done or gone, everything that was started here is ended.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import gc
import importlib
import json
import os
import re
import runpy
import selectors
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

GRACE = 5.0  # seconds between SIGTERM and SIGKILL
PLAIN = re.compile(r"[\w\s./@:,=+-]+")  # a command that needs no shell
PR_SET_PDEATHSIG = 1  # prctl.h


def imports(folders: list[Path]) -> set[tuple[str, str]]:
    """(module, name in it or "") of all that Python files import, but for modules of the folder that they are in."""
    found = set()
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {(alias.name, "") for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {(node.module, alias.name) for alias in node.names}
    return {(module, name) for module, name in found if not Path(module.partition(".")[0]).exists()}


def preload() -> None:
    """Import what mmvae and stages import of other packages, never themselves: a fork reads them as they are then."""
    for module, name in sorted(imports([Path("mmvae"), Path("stages")])):
        with contextlib.suppress(ImportError):
            getattr(importlib.import_module(module), name, None)
    gc.collect()
    gc.freeze()  # or the first collection in a fork would touch, and thereby copy, all that they share


class Server:
    """Starts commands and says how they ended, over two file descriptors."""

    def __init__(self, requests: int, answers: int):
        self.requests, self.answers = requests, answers
        self.running: dict[int, int] = {}  # process -> the request's number
        self.ended, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until the input ends."""
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.requests, selectors.EVENT_READ)
            selector.register(self.ended, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    content = os.read(key.fd, 65536)
                    if key.fd == self.requests:
                        if not content:
                            return
                        *lines, buffer = (buffer + content).split(b"\n")
                        for line in lines:
                            self.start(**json.loads(line))
                self.reap()

    def start(self, number: int, command: str, log: str, environment: dict[str, str]) -> None:
        """Run a command in a fork and a process group of its own."""
        server, pid = os.getpid(), os.fork()
        if pid:
            self.running[pid] = number
            with contextlib.suppress(OSError):  # the child has done it
                os.setpgid(pid, pid)
            return
        status = 1
        try:
            self.become_child(server, log)
            os.environ.update(environment)
            status = run(command)
        except BaseException:  # whatever it is, this process must end here
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)  # Python's own end takes half a second with so many modules

    def become_child(self, server: int, log: str) -> None:
        """Nothing of the server but what it has imported: its descriptors, signals and group are not the child's."""
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _end_with(server)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        for descriptor in (file, self.requests, self.answers):
            os.close(descriptor)
        sys.stdout.reconfigure(line_buffering=True)

    def reap(self) -> None:
        """Answer for all that have ended; what they left in their groups ends too."""
        while self.running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _signal(pid, signal.SIGKILL)
            answer = {"number": self.running.pop(pid), "status": os.waitstatus_to_exitcode(status)}
            with contextlib.suppress(BrokenPipeError):  # the leader is gone; the input ends next
                os.write(self.answers, json.dumps(answer).encode() + b"\n")

    def stop(self) -> None:
        """End all that runs, first gently."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.running:
                _signal(pid, number)
            deadline = time.monotonic() + GRACE
            while self.running and time.monotonic() < deadline:
                self.reap()
                time.sleep(0.02)


def run(command: str) -> int:
    """In the fork: `python -m module ...` here and now, anything else by the shell. The exit status."""
    words = command.split()
    if PLAIN.fullmatch(command) and words[1:2] == ["-m"] and len(words) > 2 and _is_this_python(words[0]):
        return run_module(words[2], words[3:])
    shell = os.environ.get("SHELL") or "/bin/sh"
    plain = {"bash": ["--noprofile", "--norc"], "zsh": ["--no-rcs"]}  # as DVC starts them
    os.execvp(shell, [shell, *plain.get(Path(shell).name, []), "-c", command])


def run_module(module: str, arguments: list[str]) -> int:
    """What `python -m module` does. The exit status."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _is_this_python(word: str) -> bool:
    """Python of the same environment: the links in it may all lead to one file."""
    found = shutil.which(word)
    return found is not None and Path(found).parent == Path(sys.executable).parent


def _end_with(server: int) -> None:
    """Have the system kill this process when the server ends, where the system can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server:
            os._exit(1)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def main() -> None:
    requests, answers, nothing = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.path.insert(0, str(Path.cwd()))  # as with `python -m`
    if sys.platform == "linux":  # elsewhere, what the packages start does not outlive a fork
        preload()
    server = Server(requests, answers)
    try:
        server.serve()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
