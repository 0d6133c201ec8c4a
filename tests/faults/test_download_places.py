"""Downloads and the folder they go to: killed at any moment, without room, and what is left by it."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace

import pooch
import pytest
import yaml
from conftest import ROOT
from faulty_server import (
    CONTENT,
    FILES,
    NAME,
    SIZE,
    contents,
    earlier,
    gathered,
    got,
    refused,
    serving,
    stall,
    sums,
    write_mirror,
)

from mmvae.data import http, sources
from mmvae.files import FileError

CHUNK = http.CHUNK


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda _: None))
    with serving() as server:
        yield server


@pytest.fixture
def target(tmp_path):
    return earlier(tmp_path / "raw" / "mnist_svhn")


@pytest.mark.parametrize("through_http", [True, False])
@pytest.mark.parametrize("half", [CONTENT[:20_000], CONTENT[::-1], b""])
def test_half_a_file_under_its_name(half, through_http, server, target, fault, tmp_path):
    mirror = write_mirror(tmp_path / "mirror")
    with fault("downloads: half a file under its name"):
        path = gathered(target) / NAME
        path.parent.mkdir(parents=True)
        path.write_bytes(half)
        for stray in ("tmpx1y2z3", f".{path.name}.partial.mat", "other.part"):
            path.with_name(stray).write_bytes(half)
        sources.obtain("mnist_svhn", target, server.url if through_http else str(mirror))
        got(target)


@pytest.mark.parametrize(
    ("name", "part", "ranges"),
    [
        ("part that is whole", CONTENT, [len(CONTENT)]),
        ("part that is longer", CONTENT + b"more", [len(CONTENT) + 4, 0]),
        ("part that is whole and wrong", CONTENT[::-1], [len(CONTENT), 0]),
        ("part of another version", CONTENT[9_000:18_000], [9_000, 0]),
        ("part without a byte", b"", [0]),
    ],
)
def test_parts_that_were_left(name, part, ranges, server, target, fault):
    with fault(f"downloads: {name}"):
        left = gathered(target) / NAME
        left.parent.mkdir(parents=True)
        left.with_name(f".{left.name}.part").write_bytes(part)
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        assert server.ranges(NAME) == ranges


def test_sums_of_another_mirror(server, target, fault):
    with fault("downloads: sums of another mirror, left by a killed run"):
        gathered(target).mkdir()
        (gathered(target) / sources.SUMS).write_bytes(sums(dict.fromkeys(FILES, b"other")))
        sources.obtain("mnist_svhn", target, server.url)
        got(target)


@contextmanager
def size_limit(largest: int) -> Iterator[str]:
    """No file can have more bytes in the block, which is told how the system says so."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("through_http", [True, False])
def test_no_room_for_a_file(through_http, server, target, tmp_path, fault):
    where = server.url if through_http else str(write_mirror(tmp_path / "mirror"))
    with fault("downloads: no room for a file"):
        with size_limit(SIZE // 2) as reason:
            message = refused(target, where, FileError)
        assert f"cannot be written: {reason}" in message
        assert where not in message
        sources.obtain("mnist_svhn", target, where)
        got(target)


def test_a_place_that_cannot_be_written(server, target, fault):
    with fault("downloads: file in the way"):
        gathered(target).write_text("in the way")
        assert f"{gathered(target)} cannot be written: File exists" in refused(target, server.url, FileError)
        assert server.requests == []


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(4))
def test_killed_while_the_new_takes_the_place_of_the_old(step, server, target, monkeypatch, fault):
    rename, rmtree = Path.rename, sources.shutil.rmtree
    steps = iter(range(4))

    def killed(call, damage):
        """Die before the call, in the midst of it (which only removing has), or go on."""

        def instead(path, *arguments):
            if next(steps) == step:
                raise Killed
            if damage and next(steps) == step:
                (path / "earlier").unlink()
                raise Killed
            return call(path, *arguments)

        return instead

    with fault("downloads: killed while the new takes the place of the old"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", killed(rename, False))
            patched.setattr(sources.shutil, "rmtree", killed(rmtree, True))
            with pytest.raises(Killed):
                sources.obtain("mnist_svhn", target, server.url)
        if target.exists():
            assert contents(target) in ({"earlier": b"kept"}, FILES)
        else:
            assert contents(gathered(target)) == FILES
        placed = target.exists() and contents(target) == FILES
        server.forget()
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        if not placed:
            assert server.requests == [(sources.SUMS, 0)], "what was complete is not fetched again"


@pytest.fixture
def project(tmp_path, server):
    """A folder with parameters that name the server as mirror."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["download"]["mirror"] = server.url
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def start(project):
    return subprocess.Popen(
        [sys.executable, "-m", "stages.download", "--set", "mnist_svhn"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition):
    """What it returned when that was true."""
    deadline = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def has(path, size):
    return path.exists() and path.stat().st_size >= size


SIGNALS = {"kill -9": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}


def test_a_stage_stopped_in_mid_download(server, project, fault):
    """Stopped three times, it goes on three times."""
    raw = project / "data/raw"
    part = raw / ".mnist_svhn.partial/svhn/.train_32x32.mat.part"
    server.faults[NAME] = repeat(partial(stall, 20_000), len(SIGNALS))  # of which one chunk is written
    for i, (name, number) in enumerate(SIGNALS.items(), 1):
        with fault(f"downloads: {name} in mid-download"):
            process = start(project)
            wait_for(partial(has, part, i * CHUNK))
            process.send_signal(number)
            output, _ = process.communicate(timeout=30)
            assert process.returncode == (-number if number == signal.SIGKILL else 1)
            assert "Traceback" not in output
            assert ("Interrupted." in output) == (number != signal.SIGKILL)
            assert not (raw / "mnist_svhn").exists()
            assert part.stat().st_size == i * CHUNK
    process = start(project)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert "train_32x32.mat: 100%" in output, "the progress bar names the file"
    got(raw / "mnist_svhn")
    assert server.ranges(NAME) == [i * CHUNK for i in range(4)]
    assert all(len(server.ranges(path)) == 1 for path in FILES if path != NAME)


def opened(pipe):
    """The writing end of a named pipe, or None as long as nothing reads from it."""
    with suppress(OSError):
        return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0)


def test_a_stage_killed_while_it_copies(project, fault):
    mirror = write_mirror(project / "mirror")
    (mirror / NAME).unlink()
    os.mkfifo(mirror / NAME)
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["download"]["mirror"] = str(mirror)
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    with fault("downloads: kill -9 while copying from a folder"):
        process = start(project)
        half = project / "data/raw/.mnist_svhn.partial/svhn/.train_32x32.mat.partial.mat"
        with wait_for(partial(opened, mirror / NAME)) as pipe:
            pipe.write(CONTENT[: 1 << 16])
            wait_for(partial(has, half, 1 << 16))
            process.kill()
            process.communicate(timeout=30)
        assert half.read_bytes() == CONTENT[: 1 << 16]
        assert not list((project / "data/raw").glob("*/svhn/train*"))
        (mirror / NAME).unlink()
        (mirror / NAME).write_bytes(CONTENT)
        process = start(project)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0, output
        got(project / "data/raw/mnist_svhn")
