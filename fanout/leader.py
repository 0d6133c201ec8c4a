"""One parallel `dvc repro`. DVC checks, restores, saves and commits stages one at a time; only their commands overlap.

Each stage is DVC's own `Stage.reproduce` in a thread, which holds DVC's lock but while the stage's command runs. So
whatever DVC does for a stage in a serial run it does here, and what it writes is the same.
"""

import os
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import dvc.rwlock
import dvc.stage.run
from dvc.dvcfile import PROJECT_FILE, Lockfile
from dvc.exceptions import DvcException, ReproductionError
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import _reproduce_stage, collect_stages, get_active_graph, plan_repro
from dvc.stage import Stage
from dvc.stage.exceptions import StageCmdFailedError
from dvc.utils.collections import ensure_list
from scmrepo.noscm import NoSCM

from fanout import machine
from fanout.display import Lines, span
from fanout.inside import message, quiet, replaced, uninterrupted
from fanout.jobs import Executor, job_of
from fanout.listing import list_stages
from fanout.locks import LockFiles
from fanout.records import Kinds, Times
from fanout.schedule import Schedule, left

OpenExecutor = Callable[[], AbstractContextManager[Executor]]
rwlock = dvc.rwlock.rwlock


@dataclass
class Ended:
    """What a stage's thread says at its end."""

    name: str
    stage: Stage | None = None  # None: it was unchanged, or failed
    machine: str | None = None  # the kind of processor that made its outputs, if that is known
    error: Exception | None = None


class Leader:
    """Reproduces the stages of a repository, whose lock the caller holds. A context manager around all that it does.

    folder: where logs and the stages' times are.
    label: with which the names of logs begin.
    reproduce_stage: DVC's function for one stage.
    """

    def __init__(
        self, repo: Repo, display: Lines, folder: Path, label: str, reproduce_stage: Callable[..., Stage | None]
    ):
        self.repo, self.display, self.folder, self.label = repo, display, folder, label
        self.reproduce_stage = reproduce_stage
        self.times, self.kinds = Times(folder / "times.json"), Kinds(repo.cache.legacy.path)
        self.stages: dict[str, Stage] = {}
        self.needs: dict[str, set[str]] = {}
        self.open: set[str] = set()  # stages that are not done
        self.seconds: dict[str, float] = {}  # of the commands that ran
        self.machines: dict[str, str] = {}  # on which they ran
        self.reproduced: set[str] = set()
        self._mutex = threading.Lock()
        self._ended: SimpleQueue[Ended] = SimpleQueue()
        self._threads: dict[str, threading.Thread] = {}
        self.locks = LockFiles([], folder)

    def __enter__(self) -> "Leader":
        """DVC's lock is free from here on. Its functions are replaced where they would take or hold it too long."""
        self._replaced = ExitStack()
        for place, name, value in (
            (dvc.stage.run, "cmd_run", self.run_command),
            (dvc.stage.run, "unlocked_repo", lambda function: function),  # run_command lets the lock go itself
            (dvc.rwlock, "rwlock", _rwlock),
            (Lockfile, "dump_stages", lambda lockfile, stages, **_: self.locks.add(lockfile, stages)),
        ):
            self._replaced.enter_context(replaced(place, name, value))
        self.repo.lock._wait, self.repo.lock._friendly = True, False  # what has run must not fail for want of the lock
        self.repo.lock.unlock()
        return self

    def __exit__(self, *_: object) -> None:
        """DVC's lock is taken again when all threads have ended, and dvc.lock has what they did."""
        with uninterrupted():
            for thread in self._threads.values():
                thread.join()
            self.repo.lock.lock()
            self.locks.write(final=not self.open)
            self.times.save()
            self._replaced.close()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """DVC for this thread alone; its lock keeps other processes out."""
        with self._mutex, self.repo.lock:
            yield

    def plan(self, targets: Iterable[str], recursive: bool, glob: bool) -> None:
        """Read the pipeline: the stages that the targets need, in the order of a serial run."""
        with self.turn():
            found = collect_stages(self.repo, targets, recursive=recursive, glob=glob)
            self.graph = get_active_graph(self.repo.index.graph)
            self.stages = {stage.addressing: stage for stage in plan_repro(self.graph, found)}
            for name, stage in self.stages.items():
                upstream = {other.addressing for other in self.graph.successors(stage)}
                self.needs[name] = upstream & self.stages.keys()
            self.open = set(self.stages)
            self.locks = LockFiles(self.stages.values(), Path(self.repo.tmp_dir) / "fanout")

    def gpu(self, name: str) -> bool:
        """Is the stage marked with `meta: {gpu: true}`?"""
        return bool((self.stages[name].meta or {}).get("gpu"))

    def log(self, name: str) -> Path:
        """Where what the stage prints is."""
        return self.folder / f"{self.label}{_file_name(name)}.log"

    def run(self, executor: Executor) -> None:
        """Reproduce all stages but those that need one that fails."""
        self.executor = executor
        self.ignore_outputs()
        self.display.begin(len(self.stages), executor.slots, self.estimate)
        schedule = Schedule(self.needs, {name: self.times.expected(name, self.gpu(name)) for name in self.stages})
        while self.start_stages(schedule):
            ended = self._ended.get()
            self._threads.pop(ended.name).join()
            self.report(ended)
            if ended.error is None:
                self.open.remove(ended.name)
                schedule.done(ended.name)
        self.display.end([name for name in self.stages if name in self.open and name not in self.display.failures])

    def start_stages(self, schedule: Schedule) -> int:
        """Start what is ready while there are slots. How many stages are under way."""
        gpu_slots = getattr(self.executor, "gpu_slots", self.executor.slots)

        def fits(name: str) -> bool:
            return not self.gpu(name) or sum(map(self.gpu, self._threads)) < gpu_slots

        while len(self._threads) < self.executor.slots and (name := schedule.next(fits)):
            self._threads[name] = threading.Thread(target=self.reproduce, args=(name,), name=name, daemon=True)
            self._threads[name].start()
        return len(self._threads)

    def ignore_outputs(self) -> None:
        """Let git ignore all outputs now, so that .gitignore has them in the order of a serial run."""
        if isinstance(self.repo.scm, NoSCM):
            return
        with self.turn():
            for out in (out for stage in self.stages.values() for out in stage.outs if out.use_scm_ignore):
                if Path(out.fs_path).parent.exists():  # a stage's new folder has a .gitignore of its own
                    with suppress(DvcException):  # DVC says it again when this stage ends, and that stage alone fails
                        out.ignore()
            self.repo.scm._reset()  # it reads .gitignore once

    def reproduce(self, name: str) -> None:
        """A stage's thread."""
        stage, ended = self.stages[name], Ended(name)
        try:
            with self.turn():
                ended.stage = self.reproduce_stage(stage, upstream=list(self.graph.successors(stage)))
                if ended.stage and name in self.machines:
                    self.kinds.add(stage, self.machines[name])
                ended.machine = self.kinds.of(stage) if ended.stage else None
                self.repo.state.close()
        except Exception as error:
            ended.error = error
        self._ended.put(ended)

    def run_command(self, stage: Stage, dry: bool = False, run_env: dict | None = None) -> None:
        """In place of dvc.stage.run.cmd_run, in a stage's thread: DVC is free for others while the command runs.

        Raises:
            StageCmdFailedError: the command failed.
        """
        name, log = stage.addressing, self.log(stage.addressing)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        self.repo.lock.unlock()
        self._mutex.release()
        try:
            start = time.monotonic()
            self.display.started(name, log)
            for command in dvc.stage.run._enforce_cmd_list(stage.cmd):
                done = self.executor.submit(job_of(stage, _from(self.repo, stage, command)), log).result()
                if done.status:
                    raise StageCmdFailedError(command, done.status)
            self.seconds[name], self.machines[name] = time.monotonic() - start, done.machine
        finally:
            self._mutex.acquire()
            self.repo.lock.lock()

    def report(self, ended: Ended) -> None:
        """Tell the user, and remember how long it took."""
        name, seconds = ended.name, self.seconds.get(ended.name)
        if ended.error is not None:
            self.display.failed(name, message(ended.error), self.log(name))
            return
        how = "unchanged" if ended.stage is None else "restored" if seconds is None else "ran"
        if seconds is not None:
            self.times.add(name, seconds)
        if ended.stage:
            self.reproduced.add(name)
        self.display.ended(name, how, seconds, _other_kind(ended.machine, machine.kind(self.gpu(name))))

    def estimate(self) -> str:
        """How long all will take from now on, by the times of earlier runs: work over slots, or the longest chain."""
        known = {name: self.times.known(name) for name in list(self.open)}
        now, running = time.monotonic(), dict(self.display.running)
        since = {name: now - begin for name, (begin, _) in running.items()}
        seconds = {name: max((known[name] or 0.0) - since.get(name, 0.0), 0.0) for name in known}
        if not any(known.values()):
            return ""
        about = "at least" if None in known.values() else "about"
        return f"; {about} {span(left(self.needs, seconds, self.executor.slots))} left"


def reproducer(
    open_executor: OpenExecutor, display: Lines, folder: Path, label: str = ""
) -> Callable[..., list[Stage]]:
    """A function that can take the place of `Repo.reproduce`, and does the same in parallel."""

    def reproduce(
        repo: Repo,
        targets: Iterable[str] | str | None = None,
        recursive: bool = False,
        glob: bool = False,
        repro_fn: Callable[..., Stage | None] = _reproduce_stage,
        **options: Any,
    ) -> list[Stage]:
        """The stages that were reproduced.

        Raises:
            ReproductionError: stages failed; all that could be done is done.
        """
        if options.get("dry"):
            list_stages(repo, targets)
            return []
        os.environ.update(options.get("run_env") or {})
        leader = Leader(repo, display, folder, label, partial(repro_fn, **options))
        with lock_repo(repo), repo.scm_context, quiet(), leader, open_executor() as executor:
            leader.plan(ensure_list(targets or PROJECT_FILE), recursive, glob)  # while the executor gets ready
            with display:
                leader.run(executor)
        if repro_fn is not _reproduce_stage and leader.locks.paths:  # an experiment's: git tracks what has changed
            repo.scm_context.add(leader.locks.paths)
        if display.failures:
            raise ReproductionError(f"failed: {', '.join(display.failures)}")
        return [stage for name, stage in leader.stages.items() if name in leader.reproduced]

    return reproduce


def _rwlock(tmp_dir: str, fs: object, cmd: str, *rest: Any) -> AbstractContextManager[None]:
    """DVC's lock of paths. DVC takes one process for one stage; here each stage has its name."""
    return rwlock(tmp_dir, fs, f"{cmd} [{threading.current_thread().name}]", *rest)


def _from(repo: Repo, stage: Stage, command: str) -> str:
    """The command as it is from the repository's folder."""
    folder = os.path.relpath(stage.wdir, repo.root_dir)
    return command if folder == os.curdir else f"cd {shlex.quote(folder)} && {command}"


def _file_name(name: str) -> str:
    return name.replace(os.sep, "_")


def _other_kind(kind: str | None, own: str) -> str:
    """What there is to say of results that another kind of processor made."""
    return "" if kind in (None, own) else f", made by {kind}, not by this machine's {own}: the last digits may differ"
