"""Jobs as Slurm jobs, by submitit. The nodes see the workspace under the same path, as on nearly every such cluster.

What is ready at once becomes one array for each kind of job. A job that Slurm preempts, that reaches its time limit,
or whose node dies is queued again, and a training goes on from its checkpoint. `--on slurm:local` does the same with
processes of this machine, without Slurm.
"""

import argparse
import getpass
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import submitit
from submitit.helpers import Checkpointable

from fanout import machine, worker
from fanout.jobs import ClusterError, Done, Job

FOLDER = Path(".dvc/tmp/fanout/slurm")  # submitit's files
RETRIES = 20  # of a job that was preempted, whose time was up, or whose node died; a command that fails is not repeated
SLOTS = 256
ASK_EVERY = 10.0  # seconds between questions to Slurm
GRACE = 60.0  # seconds until a result must be visible here, or a cancelled job be gone
DEFAULT_TIME = "4:00:00"
LOST = {"NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "INTERRUPTED"}
ENDED = {"CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT", "GONE", "FINISHED"}


class Stage(Checkpointable):
    """What a Slurm job runs. submitit queues it again (`checkpoint`) before it is preempted or its time is up."""

    def __call__(self, name: str, command: str, gpu: bool, log: str, lease: str, token: str) -> tuple[int, str]:
        """Exit status of the command, and the kind of processor."""
        ending, leader = threading.Event(), worker.Leader(lease, token)
        signal.signal(signal.SIGTERM, lambda *_: ending.set())
        with Path(log).open("ab") as output:
            status = worker.run(name, command, output, lambda: worker.orphaned() or leader.gone())
        while status and ending.is_set() and not leader.gone():
            time.sleep(worker.LOOK_EVERY)  # Slurm stopped the command. It ends this job, too, and may start it again
        return status, machine.kind(gpu)


@dataclass
class Entry:
    """A job on its way through Slurm."""

    job: Job
    log: Path
    future: Future[Done] = field(default_factory=Future)
    retries: int = 0
    handle: submitit.Job | None = None
    ended: float | None = None  # when Slurm was first seen to have ended it


class Executor:
    """Each job is a Slurm job with `threads` CPUs; one that wants a GPU has `--gpus`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.slots = options.jobs or SLOTS
        self._options, self._cluster = options, options.on.partition(":")[2] or "slurm"
        self._lease = worker.Lease()
        self._waiting: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        self._submitted: list[Entry] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._clear()
        try:
            self._executors = {gpu: self._executor(gpu) for gpu in (False, True)}
        except (RuntimeError, ValueError) as error:  # it is not there, or there is none of that name
            raise ClusterError(f"--on {self._options.on}: {error}") from error
        self._lease.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._lease.__exit__()  # commands stop
        for entry in self._submitted:
            entry.handle.cancel(check=False)
        end = time.monotonic() + GRACE
        with suppress(KeyboardInterrupt):  # a second Ctrl-C: no more patience
            while time.monotonic() < end and set(self._states(self._submitted).values()) - LOST - ENDED:
                time.sleep(0.5)
        self._drop("cancelled")

    def submit(self, job: Job, log: Path) -> Future[Done]:
        if self._over.is_set():  # nothing would serve it
            raise ClusterError(f"{job.name}: cancelled")
        entry = Entry(job, log)
        self._waiting.put(entry)
        return entry.future

    def _clear(self) -> None:
        """Cancel what a killed leader left in the queue."""
        left = {path.name.partition("_")[0] for path in FOLDER.glob("*_submitted.pkl")}
        if left and self._cluster == "slurm":
            subprocess.run(["scancel", *left], capture_output=True)
        shutil.rmtree(FOLDER, ignore_errors=True)

    def _executor(self, gpu: bool) -> submitit.AutoExecutor:
        """For one kind of job."""
        executor = submitit.AutoExecutor(FOLDER, cluster=self._cluster, slurm_max_num_timeout=RETRIES)
        threads = machine.threads()
        executor.update_parameters(
            name="fanout",
            timeout_min=minutes(self._options.time or DEFAULT_TIME),
            cpus_per_task=threads,
            slurm_partition=self._options.partition,
            slurm_array_parallelism=self.slots,
            slurm_srun_args=[f"--cpus-per-task={threads}"],  # since Slurm 22.05, srun does not inherit it
            slurm_additional_parameters={"requeue": True},
        )
        if gpu and self._options.gpus:
            executor.update_parameters(gpus_per_node=self._options.gpus)
        return executor

    def _serve(self) -> None:
        """Submit what waits, and see what has ended, until the executor is left."""
        asked = 0.0
        while not self._over.wait(worker.LOOK_EVERY):
            try:
                self._start()
                self._finish()
                if time.monotonic() - asked >= ASK_EVERY:
                    self._ask()
                    asked = time.monotonic()
            except Exception as error:  # or the leader would wait for ever
                self._drop(f"{type(error).__name__}: {error}")

    def _drop(self, reason: str) -> None:
        """No job will have a result."""
        for entry in self._submitted + self._take():
            entry.future.set_exception(ClusterError(f"{entry.job.name}: {reason}"))
        self._submitted.clear()

    def _take(self) -> list[Entry]:
        """All that waits."""
        return [self._waiting.get() for _ in range(self._waiting.qsize())]

    def _start(self) -> None:
        """Submit all that waits."""
        waiting = self._take()
        for gpu, executor in self._executors.items():
            entries = [entry for entry in waiting if entry.job.gpu == gpu]
            if entries:
                self._submit(executor, entries)

    def _submit(self, executor: submitit.AutoExecutor, entries: list[Entry]) -> None:
        """As an array, if there are several."""
        try:
            with executor.batch():
                for entry in entries:
                    job = entry.job
                    words = job.name, job.command, job.gpu, str(entry.log.absolute())
                    entry.handle = executor.submit(Stage(), *words, str(self._lease.path), self._lease.token)
                    entry.ended = None
            self._submitted += entries
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            for entry in entries:
                entry.future.set_exception(ClusterError(f"{entry.job.name} was not submitted: {error}"))

    def _finish(self) -> None:
        """Give on every result that is there."""
        for entry in list(self._submitted):
            if os.path.exists(entry.handle.paths.result_pickle):  # noqa: PTH110 (no error if a shared folder has a pause)
                self._submitted.remove(entry)
                try:
                    entry.future.set_result(Done(*entry.handle.result()))
                except Exception as error:  # whatever the job raised
                    entry.future.set_exception(error)

    def _ask(self) -> None:
        """Ask Slurm for the jobs without a result."""
        states = self._states(self._submitted)
        for entry in list(self._submitted) if states else ():
            state = states[entry.handle.job_id]
            if state not in LOST | ENDED:
                entry.ended = None
            elif entry.ended is None:
                entry.ended = time.monotonic()
            elif time.monotonic() - entry.ended > (0 if state in LOST else GRACE):
                self._lose(entry, state)
                self._submitted.remove(entry)

    def _lose(self, entry: Entry, state: str) -> None:
        """A job ended without a result: submit it again, or say so."""
        entry.handle.cancel(check=False)
        if state in LOST and entry.retries < RETRIES:
            entry.retries += 1
            self._waiting.put(entry)
            return
        output = (entry.handle.stderr() or entry.handle.stdout() or "").strip()[-2000:]
        text = f"{entry.job.name}: job {entry.handle.job_id} ended without a result, Slurm says {state}"
        entry.future.set_exception(ClusterError(f"{text}\n{output}".strip()))

    def _states(self, entries: list[Entry]) -> dict[str, str]:
        """Slurm's word for each job; GONE if it has none. Nothing if Slurm does not answer."""
        if self._cluster == "local":
            return {entry.handle.job_id: entry.handle.state for entry in entries}
        command = ["squeue", "--noheader", "--array", "--states=all", f"--user={getpass.getuser()}", "--format=%i %T"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        except (OSError, subprocess.SubprocessError):
            return {}
        known = dict(line.split(maxsplit=1) for line in answer.splitlines())
        return {entry.handle.job_id: known.get(entry.handle.job_id, "GONE") for entry in entries}


def minutes(text: str) -> int:
    """Slurm's notation of a time (M, M:S, H:M:S, D-H, D-H:M, D-H:M:S) in whole minutes, at least one."""
    days, dash, rest = text.rpartition("-")
    try:
        parts = [int(part) for part in rest.split(":")]
        before = 0 if dash or len(parts) == 3 else 1  # without days, the first is hours only if there are three
        hours, minute, second = [0] * before + parts + [0] * (3 - before - len(parts))
        seconds = ((int(days or 0) * 24 + hours) * 60 + minute) * 60 + second
    except ValueError:
        raise ClusterError(f"--time {text}: give minutes, H:M:S or D-H:M:S") from None
    return max(1, -(-seconds // 60))
