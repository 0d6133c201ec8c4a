"""What a leader asks of an executor. An executor runs commands; only the leader runs DVC."""

import os
import posixpath
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.stage import Stage
from dvc_data.hashfile.tree import Tree


class ClusterError(DvcException):
    """A cluster is not there, cannot run a job, or lost it."""


@dataclass(frozen=True)
class Job:
    """One stage's command."""

    name: str  # the stage's address in DVC, such as train@digits-mmvae-0
    command: str  # its command in dvc.yaml, from the repository's folder
    gpu: bool  # dvc.yaml marks it with meta: {gpu: true}; wants a GPU where there is one
    inputs: Mapping[str, str] = field(default_factory=dict, compare=False)  # path: md5, of every file it depends on
    outputs: tuple[str, ...] = ()  # paths of its outputs
    here: bool = False  # its outputs persist: it goes on from what the leader's workspace has


def job_of(stage: Stage, command: str) -> Job:
    """A command of a stage whose dependencies DVC has saved."""
    gpu = bool((stage.meta or {}).get("gpu"))
    outputs, here = tuple(map(_path, stage.outs)), any(out.persist for out in stage.outs)
    return Job(stage.addressing, command, gpu, dict(_inputs(stage)), outputs, here)


def _inputs(stage: Stage) -> Iterator[tuple[str, str]]:
    """Path and md5 of every file that a stage depends on."""
    for dep in stage.deps:
        if isinstance(dep.obj, Tree):
            yield from ((posixpath.join(_path(dep), *key), found.value) for key, _, found in dep.obj)
        elif dep.obj:  # parameters have none
            yield _path(dep), dep.hash_info.value


def _path(output: Output) -> str:
    """From the repository's folder; ../ if it is outside."""
    return Path(os.path.relpath(output.fs_path, output.repo.root_dir)).as_posix()


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int  # exit status; 0: the outputs are in the leader's workspace, or its run-cache can restore them
    machine: str  # the kind of processor it ran on (fanout.machine.kind())


class Executor(Protocol):
    """Runs commands, as a context manager: on leaving it, nothing that it started runs on."""

    slots: int  # jobs that it runs at once

    def submit(self, job: Job, log: Path) -> Future[Done]:
        """Start a job, or queue it. What it prints goes to `log`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
