"""Places without room, and places that cannot be written."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT_USER = os.geteuid() == 0
MOUNTS = bool(ROOT_USER and shutil.which("unshare")) and subprocess.run(["unshare", "-m", "true"]).returncode == 0
needs_mounts = pytest.mark.skipif(
    not MOUNTS, reason="only who may mount a disk can fill one up; a limit on the size of files stands for it elsewhere"
)
needs_protection = pytest.mark.skipif(
    ROOT_USER and not MOUNTS, reason="this root may write everywhere and mount nothing; any other user runs this test"
)


@contextmanager
def disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A disk of that size at `folder`, which is made."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def remount(folder: Path, options: str) -> None:
    """The same disk with other options: `ro`, `rw` or another `size=`."""
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


@contextmanager
def protected(folder: Path) -> Iterator[str]:
    """Nothing can be written in `folder` in the block, which is told how the system says so."""
    if not MOUNTS:
        folder.chmod(0o555)
        try:
            yield "Permission denied"
        finally:
            folder.chmod(0o755)
        return
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        remount(folder, "bind,ro")
        yield "Read-only file system"
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def size_limit(largest: int) -> Iterator[str]:
    """No file can have more bytes in the block, which is told how the system says so."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
