"""A disk of a few kilobytes, to fill up or to make read-only."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"]).returncode != 0,
    reason="only root may mount a disk; files larger than allowed stand for a full one in other tests",
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
