"""Stages in processes forked from one that has imported everything: a fault then costs no second of imports.

`Server` starts this file as a script; it runs one stage at a time in a fork of its own.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Server:
    """Starts stages, one at a time, and tells how they ended."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"},
        )
        assert self.process.stdout.readline() == "ready\n"

    def start(self, folder: Path, command: str, size_limit: int | None = None) -> int:
        """Start `python -m stages.x --a b` in `folder`; the process id. `size_limit` is of any file, in bytes."""
        _, _, module, *arguments = command.split()
        request = {"folder": str(folder), "module": module, "arguments": arguments, "size_limit": size_limit}
        return int(self._ask(json.dumps(request)))

    def wait(self) -> tuple[int, str]:
        """Of the stage under way: its exit status, or minus the number of the signal that ended it; what it printed."""
        return tuple(json.loads(self._ask("wait")))

    def _ask(self, line: str) -> str:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def run(self, folder: Path, command: str, size_limit: int | None = None) -> tuple[int, str]:
        """Exit status of a stage, and what it printed."""
        self.start(folder, command, size_limit)
        return self.wait()

    def kill_after(self, folder: Path, command: str, seconds: float, number: int) -> tuple[int, str]:
        """Start a stage, send it a signal after some seconds, and wait for its end."""
        pid = self.start(folder, command)
        time.sleep(seconds)
        os.kill(pid, number)  # not waited for yet, so there is at least a zombie of that number
        return self.wait()

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def serve() -> None:
    from fanout import forks

    found = [f"stages.{path.stem}" for path in sorted((ROOT / "stages").glob("[!_]*.py")) if path.stem != "recover"]
    forks.load()  # also what a stage imports when it needs it
    for module in found:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # or the first collection in a fork would touch, and thereby copy, all that they share
    print("ready", flush=True)
    while line := sys.stdin.readline():
        printed, output = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            with suppress(KeyboardInterrupt):  # before the stage is there to take it
                status = run_stage(output, **json.loads(line))
            os._exit(status)  # Python's own end takes half a second with so many modules
        os.close(output)
        print(pid, flush=True)
        sys.stdin.readline()  # "wait"
        with open(printed, errors="replace") as file:  # noqa: PTH123 (a descriptor)
            text = file.read()
        _, status = os.waitpid(pid, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), text]), flush=True)


def run_stage(output: int, folder: str, module: str, arguments: list[str], size_limit: int | None) -> int:
    """In the fork: be the stage. Its exit status."""
    import stages
    from mmvae.training.checkpoints import Checkpoint

    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    os.chdir(folder)
    if size_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_limit, size_limit))
    _, *others = Checkpoint.__init__.__defaults__
    Checkpoint.__init__.__defaults__ = (0.0, *others)  # written after every update
    sys.argv = [module, *arguments]
    try:
        stages.run(sys.modules[module].main)
    except SystemExit as end:  # with what the stage has to say
        print(end, file=sys.stderr)
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve()
