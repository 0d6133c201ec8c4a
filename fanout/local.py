"""Run jobs on this machine: as many at once as there are cores for, trainings spread over its GPUs.

Every job is a fork of multiprocessing's fork server, which has imported the packages that mmvae and stages import. It
imports mmvae and stages themselves, as they are at that moment. When the leader is gone, the server and all forks end.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

import dvc.stage.run

import stages
from fanout import forks, machine
from fanout.jobs import Done, Job

GRACE = 5.0  # seconds between SIGTERM and SIGKILL


class Executor:
    """Runs jobs in forks, with `threads` threads each."""

    def __init__(self, options: argparse.Namespace):
        threads = machine.threads()
        self.slots = options.jobs or max(1, machine.cores() // threads)
        found = machine.gpus()
        places = [found[i % len(found)] for i in range(options.gpus or len(found))] if found else []
        self.gpu_slots = min(self.slots, len(places)) if found else self.slots
        self._gpus: SimpleQueue[str] = SimpleQueue()
        for place in places:
            self._gpus.put(place)
        self._has_gpus, self._over = bool(found), False
        self._running: set[BaseProcess] = set()
        self._guard = Lock()
        stages.use_threads(threads)  # in the environment of the fork server, which stages.__init__ has made a stage's
        os.environ["TQDM_MININTERVAL"] = "1"  # seconds: progress goes to a file

    def __enter__(self) -> "Executor":
        self._context = multiprocessing.get_context("forkserver")
        if sys.platform == "linux" and forks.of_this_project():
            # on other systems, what the packages start does not outlive a fork
            self._context.set_forkserver_preload(["fanout.preload"])
        forkserver.ensure_running()
        self._pool = ThreadPoolExecutor(self.slots)
        return self

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._over = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in list(self._running):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)
            deadline = time.monotonic() + GRACE
            with suppress(KeyboardInterrupt):  # a second Ctrl-C: no more patience
                while self._running and time.monotonic() < deadline:
                    time.sleep(0.02)
        self._pool.shutdown(cancel_futures=True)
        server = forkserver._forkserver  # the next executor's may need another environment
        os.kill(server._forkserver_pid, signal.SIGKILL)  # where nothing had to run, it is still at its imports
        server._stop()

    def submit(self, job: Job, log: Path) -> Future[Done]:
        """Start a job as soon as there is room for it. What it prints goes to `log`."""
        return self._pool.submit(self._run, job, log)

    def _run(self, job: Job, log: Path) -> Done:
        environment = {"DVC_ROOT": os.environ.get("DVC_ROOT", str(Path.cwd())), "DVC_STAGE": job.name}
        gpu = self._gpus.get() if job.gpu and self._has_gpus else None
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        try:
            shell = dvc.stage.run._make_cmd(dvc.stage.run.get_executable(), job.command)
            process = self._start(job.command, shell, str(Path.cwd()), str(log), environment)
            wait([process.sentinel])
            with self._guard:  # starting another one looks at all that have ended, too
                process.join()
            self._running.discard(process)
        finally:
            if gpu is not None:
                self._gpus.put(gpu)
        return Done(process.exitcode, machine.kind(job.gpu))

    def _start(self, *arguments: object) -> BaseProcess:
        with self._guard:
            if self._over:
                raise RuntimeError("the run is over")
            process = self._context.Process(target=forks.run, args=arguments)
            process.start()
            self._running.add(process)
            return process
