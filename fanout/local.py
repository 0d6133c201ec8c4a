"""Run jobs on this machine: as many at once as there are cores for, trainings spread over its GPUs."""

import argparse
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fanout import forks, machine
from fanout.jobs import Done, Job

WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}  # threads that wait leave their core to others
BARS = {"TQDM_MININTERVAL": "1"}  # seconds: progress goes to a file


@dataclass(eq=False)
class Entry:
    """A job that waits or runs, and the GPU that it was given."""

    job: Job
    log: Path
    gpu: str | None = None
    future: Future[Done] = field(default_factory=Future)


class Executor:
    """Runs jobs in forks of one process (forks.py)."""

    def __init__(self, options: argparse.Namespace):
        self.threads = machine.threads()
        self.slots = min(max(1, machine.cores() // self.threads), options.jobs or sys.maxsize)
        found = machine.gpus()
        self._has_gpus = bool(found)
        self._gpus = [found[i % len(found)] for i in range(options.gpus or len(found))] if found else []
        self.gpu_slots = min(self.slots, len(self._gpus)) if found else self.slots
        self._waiting: list[Entry] = []
        self._running: dict[int, Entry] = {}
        self._count = 0
        self._over = False
        self._guard = threading.Lock()

    def __enter__(self) -> "Executor":
        self._server = subprocess.Popen(
            [
                sys.executable,
                "-P",
                forks.__file__,
            ],  # -P: modules of fanout are not to be found as if they were packages
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=WAITING | BARS | os.environ | {"OMP_NUM_THREADS": str(self.threads)},
            start_new_session=True,  # Ctrl-C is for the leader, who then ends what runs
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._over = True
            self._fail(self._waiting)
        with suppress(BrokenPipeError):  # the server has ended
            self._server.stdin.close()
        self._reader.join()
        self._server.wait()
        self._server.stdout.close()

    def submit(self, job: Job, log: Path) -> Future[Done]:
        """Start a job as soon as there is room for it. What it prints goes to `log`."""
        entry = Entry(job, log)
        with self._guard:
            self._waiting.append(entry)
            self._start()
        return entry.future

    def _start(self) -> None:
        """Start what waits, in its order, as far as there are slots and GPUs."""
        if self._over:
            self._fail(self._waiting)
        for entry in list(self._waiting):
            wants_gpu = entry.job.gpu and self._has_gpus
            if len(self._running) >= self.slots or (wants_gpu and not self._gpus):
                continue
            self._waiting.remove(entry)
            entry.gpu = self._gpus.pop(0) if wants_gpu else None
            self._count += 1
            self._running[self._count] = entry
            self._send(self._count, entry)

    def _send(self, number: int, entry: Entry) -> None:
        environment = {"DVC_ROOT": os.environ.get("DVC_ROOT", str(Path.cwd())), "DVC_STAGE": entry.job.name}
        if entry.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = entry.gpu
        request = {"number": number, "command": entry.job.command, "log": str(entry.log), "environment": environment}
        with suppress(OSError):  # the server has ended, as `_read` is about to see
            self._server.stdin.write(json.dumps(request).encode() + b"\n")
            self._server.stdin.flush()

    def _read(self) -> None:
        """Take the server's answers, until it ends."""
        with suppress(OSError, ValueError):  # it ends, or this executor closes
            for line in self._server.stdout:
                answer = json.loads(line)
                with self._guard:
                    entry = self._running.pop(answer["number"])
                    if entry.gpu is not None:
                        self._gpus.append(entry.gpu)
                entry.future.set_result(Done(answer["status"], machine.kind(entry.job.gpu)))
                with self._guard:
                    self._start()
        with self._guard:
            self._over = True
            self._fail([*self._running.values(), *self._waiting])

    def _fail(self, entries: list[Entry]) -> None:
        for entry in entries:
            entry.future.set_exception(RuntimeError("the process that runs stages has ended"))
        self._waiting = []
