"""What a leader asks of an executor. An executor runs commands; only the leader runs DVC."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from dvc.exceptions import DvcException


class ClusterError(DvcException):
    """A cluster is not there, cannot run a job, or lost it."""


@dataclass(frozen=True)
class Job:
    """One stage's command."""

    name: str  # the stage's address in DVC, such as train@digits-mmvae-0
    command: str  # its command in dvc.yaml, for any POSIX-free split by shlex
    gpu: bool  # dvc.yaml marks it with meta: {gpu: true}; wants a GPU where there is one
    inputs: Mapping[str, str] = field(default_factory=dict, compare=False)  # path: md5, of every file it depends on
    outputs: tuple[str, ...] = ()  # paths of its outputs
    here: bool = False  # its outputs persist: it goes on from what the leader's workspace has


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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
