"""Archives: what is in them comes out in order, and a damaged one is named."""

import gzip

import pytest
from raw_birds import write_tar
from tampered import refusal

from mmvae.data import archives

FILES = [("a/first.txt", b"one"), ("./b/second.txt", b"two" * 5000), ("third.txt", b""), ("a/" + "n" * 200, b"long")]


@pytest.fixture
def path(tmp_path):
    return write_tar(tmp_path / "some.tar.gz", FILES)


def read(path):
    return list(archives.members(path, wanted=lambda _: True))


def test_files_come_in_order_and_folders_do_not(path):
    assert read(path) == [(name.removeprefix("./"), content) for name, content in FILES]


def test_what_is_not_wanted_is_named_and_not_read(path, monkeypatch):
    monkeypatch.setattr(archives, "LIMIT", 3)
    found = dict(archives.members(path, wanted=lambda name: name == "a/first.txt"))
    assert found == {"a/first.txt": b"one", "b/second.txt": None, "third.txt": None, "a/" + "n" * 200: None}
    assert "b/second.txt has 15000 bytes, more than 3" in refusal(lambda: read(path), path)


NO_ARCHIVE = gzip.compress(b"no archive at all" * 100, mtime=0)  # no time: pytest-xdist compares the names of tests


@pytest.mark.faults
@pytest.mark.parametrize("content", [None, b"", b"<html>not found</html>", NO_ARCHIVE])
def test_missing_empty_and_foreign(path, fault, content):
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with fault("archives: missing or no archive"):
        assert "cannot be read as an archive" in refusal(lambda: read(path), path)


@pytest.mark.faults
def test_truncated_anywhere(path, fault):
    """Not even a cut between two members passes for the end."""
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with fault("archives: truncated"):
            refusal(lambda: read(path), path)


@pytest.mark.faults
def test_a_wrong_checksum(path, fault):
    whole = bytearray(path.read_bytes())
    whole[-8] ^= 1
    path.write_bytes(whole)
    with fault("archives: wrong checksum"):
        assert "CRC check failed" in refusal(lambda: read(path), path)
