"""Jobs as tasks of a Ray cluster: of one that is started on this machine (`--on ray`), or of one that is joined.

`--on ray:auto` joins the cluster that this machine belongs to, `--on ray:HOST:PORT` the one with this head, `--on
ray://HOST:PORT` one from outside, through its client server. The nodes see the workspace under the same path; with
`--remote NAME` they need not.
"""

import argparse
import io
import json
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Self

import ray
from ray.exceptions import RayError

from fanout import clone, machine, worker
from fanout.jobs import ClusterError, Done, Job

OWN = "fanout_job_"  # a folder of a task's own begins so; then the process
RETRIES = 20  # of a job whose node died; a command that fails is not repeated
LOOK_EVERY = 5.0  # seconds
PATIENCE = 600.0  # seconds without any node that could run a job
GRACE = 15.0  # seconds for commands to stop
WAITING = 1000  # jobs at most that Ray has at once


def call(words: list[str], text: str, folder: str, code: bytes | None) -> tuple[int, str, str]:
    """Run a Python module on a node: exit status, output, errors. A task; Ray sends its source.

    In `folder`, or with `code` (a tar file) in a folder of the node's own.
    """
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{OWN}{os.getpid()}_") as own:
        if code:
            with tarfile.open(fileobj=io.BytesIO(code)) as archive:
                archive.extractall(own, filter="data")
            folder = own
        elif not Path(folder).is_dir():
            raise FileNotFoundError(f"{platform.node()} does not see {folder}: share it, or use --remote NAME")
        words = [sys.executable, "-m", *words]
        done = subprocess.run(words, cwd=folder, input=text, capture_output=True, text=True, errors="replace")
        return done.returncode, done.stdout, done.stderr


def _sweep() -> None:
    """Delete the folders of tasks that were killed on this node."""
    for folder in Path(tempfile.gettempdir()).glob(f"{OWN}*"):
        try:
            os.kill(int(folder.name.split("_")[2]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:  # another user's
            continue


class Executor:
    """Each job is one task: `threads` CPUs, and a GPU if it wants one and the cluster has any."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self._remote = clone.storage(options.remote) if options.remote else None
        self._lease = worker.Lease()
        self._tasks: set[ray.ObjectRef] = set()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        _connect(self.options.on, self.options.jobs)
        self._call = ray.remote(max_retries=RETRIES)(call)
        self._pool = ThreadPoolExecutor(WAITING)
        if self._remote:
            self._package = clone.pack()
            self._code = ray.put(self._package.content)
        self._lease.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._lease.__exit__()  # commands stop
        tasks = list(self._tasks)
        for force in (False, True):
            for task in tasks:
                ray.cancel(task, force=force)
            if tasks:
                _, tasks = ray.wait(tasks, num_returns=len(tasks), timeout=0 if self._remote else GRACE)
        self._pool.shutdown(cancel_futures=True)  # before Ray's end: a call to Ray would start it again
        ray.shutdown()

    @property
    def slots(self) -> int:
        """Jobs that run at once on the nodes that there are now."""
        return self.options.jobs or max(1, int(_resource("CPU")) // machine.threads())

    @property
    def gpu_slots(self) -> int:
        """Jobs of them that want a GPU."""
        each = self._gpus()
        return max(1, int(_resource("GPU")) // each) if each else self.slots

    def submit(self, job: Job, log: Path) -> Future[Done]:
        return self._pool.submit(self._elsewhere if self._remote else self._run, job, log)

    def _run(self, job: Job, log: Path) -> Done:
        words = ["fanout.worker", job.name, job.command, str(log.absolute()), str(self._lease.path), self._lease.token]
        words += ["gpu"] if job.gpu else []
        status, output, errors = self._result(job, words, "", None)
        _append(log, errors)
        return Done(status, output.strip())

    def _elsewhere(self, job: Job, log: Path) -> Done:
        """Without a shared folder."""
        if job.here:
            with log.open("ab") as file:
                return Done(worker.run(job.name, job.command, file, self._over.is_set), machine.kind(job.gpu))
        order = clone.place(job, self._package, self._remote)
        status, output, errors = self._result(job, ["fanout.clone"], json.dumps(asdict(order)), self._code)
        _append(log, errors)
        if status:
            return Done(status, "")
        result = clone.accept(output, self._remote)
        return Done(result.status, result.machine)

    def _result(self, job: Job, words: list[str], text: str, code: ray.ObjectRef | None) -> tuple[int, str, str]:
        """What a task returns. It runs again where its node dies.

        Raises:
            ClusterError: no node can run it, its nodes died too often, or the cluster is gone.
        """
        needs = self._needs(job)
        task = self._call.options(name=job.name, **needs).remote(words, text, str(Path.cwd()), code)
        self._tasks.add(task)
        seen = time.monotonic()
        try:
            while not ray.wait([task], timeout=LOOK_EVERY)[0]:
                if self._over.is_set():  # it was submitted while the others were cancelled
                    ray.cancel(task, force=True)
                if any(node["Alive"] and _enough(node["Resources"], needs) for node in ray.nodes()):
                    seen = time.monotonic()
                elif time.monotonic() - seen > PATIENCE:
                    ray.cancel(task)
                    raise ClusterError(f"for {PATIENCE:.0f} seconds no node of the cluster had {needs}")
            return ray.get(task)
        except RayError as error:
            raise ClusterError(f"{job.name} was lost: {getattr(error, 'cause', error)}") from error
        finally:
            self._tasks.discard(task)

    def _needs(self, job: Job) -> dict[str, int]:
        return {"num_cpus": machine.threads(), "num_gpus": self._gpus() if job.gpu else 0}

    def _gpus(self) -> int:
        """For each job that wants any."""
        return int(_resource("GPU") > 0) if self.options.gpus is None else self.options.gpus


def _resource(name: str) -> float:
    """How much of it the living nodes have together."""
    return ray.cluster_resources().get(name, 0)


def _enough(resources: dict[str, float], needs: dict[str, int]) -> bool:
    """Is there room for a job on a node that has these resources and nothing to do?"""
    return resources.get("CPU", 0) >= needs["num_cpus"] and resources.get("GPU", 0) >= needs["num_gpus"]


def _connect(on: str, jobs: int | None) -> None:
    """Start a Ray cluster on this machine, or join one. The leader's own handling of signals stays."""
    handler, address = signal.getsignal(signal.SIGTERM), on.removeprefix("ray").removeprefix(":")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the nodes need not have this module
    settings = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        if address:
            ray.init(on if on.startswith("ray://") else address, **settings)
        else:
            ray.init(num_cpus=jobs and jobs * machine.threads(), include_dashboard=False, **settings)
    except (ConnectionError, RayError, RuntimeError, ValueError) as error:
        raise ClusterError(f"no Ray cluster for --on {on}: {error}") from error
    finally:
        signal.signal(signal.SIGTERM, handler)


def _append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)
