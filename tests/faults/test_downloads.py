"""Downloads from servers that misbehave: the right bytes, or one line that says what was wrong and where."""

import hashlib
import re
from functools import partial
from itertools import chain, repeat
from types import SimpleNamespace

import faulty_server as faulty
import pooch
import pytest
from faulty_server import CONTENT, FILES, NAME, SIZE, contents, earlier, gathered, got, refused, write_mirror

from mmvae.data import http, sources
from mmvae.datasets import mnist_svhn

CHUNK = http.CHUNK  # what came of the last one is lost when a transfer is cut off
ATTEMPTS = 1 + http.RETRIES


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with faulty.serving() as server:
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch, request):
    """How long pooch would have waited before each retry. The client is impatient where a server lets it wait."""
    waits = []
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=waits.append))
    seconds = 0.25 if re.search("stall", request.node.name) else 10
    monkeypatch.setattr(http, "TIMEOUT", (seconds, seconds))
    return waits


@pytest.fixture
def target(tmp_path):
    return earlier(tmp_path / "raw" / "mnist_svhn")


FLIPPED = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
CUT = partial(faulty.cut, 20_000)
PASSING = {  # what happens, one request after the other -> the first bytes that are asked for
    "truncated body": ([CUT], [0, CHUNK]),
    "body truncated again and again": ([partial(faulty.cut, 17_000)] * 4, [0, CHUNK, 2 * CHUNK, 3 * CHUNK, 4 * CHUNK]),
    "truncated body of unknown length": ([faulty.cut_unseen], [0, 0]),
    "truncated body in chunks": ([faulty.cut_chunked], [0, CHUNK]),
    "stalled body": ([partial(faulty.stall, 20_000)], [0, CHUNK]),
    "connection closed without an answer": ([faulty.hang_up], [0, 0]),
    "status 503 in mid-transfer": ([CUT, partial(faulty.status, 503)], [0, CHUNK, CHUNK]),
    "status 429": ([partial(faulty.status, 429)], [0, 0]),
    "wrong bytes": ([partial(faulty.other, FLIPPED)], [0, 0]),
    "wrong bytes after a cut": ([CUT, lambda request, _: faulty.right(request, FLIPPED[::-1])], [0, CHUNK, 0]),
    "empty body": ([partial(faulty.other, b"")], [0, 0]),
    "body of another length": ([partial(faulty.other, CONTENT + b"more")], [0, 0]),
    "range ignored": ([CUT, faulty.ignore_range], [0, CHUNK]),
    "range refused": ([CUT, partial(faulty.status, 416)], [0, CHUNK, 0]),
    "another range": ([CUT, partial(faulty.other_range, f"bytes 0-{SIZE - 1}/{SIZE}")], [0, CHUNK, 0]),
    "range that was not asked for": ([partial(faulty.other_range, f"bytes 5-{SIZE + 4}/{SIZE}")], [0, 0]),
}


@pytest.mark.parametrize("name", PASSING)
def test_faults_that_pass(name, server, target, waits, fault):
    faults, ranges = PASSING[name]
    with fault(f"downloads: {name}"):
        server.faults[NAME] = iter(faults)
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        assert server.ranges(NAME) == ranges
        assert waits == list(range(1, len(ranges)))


LASTING = {  # what happens always -> requests, what the message says
    "truncated body, always": (partial(faulty.cut, 100), ATTEMPTS, "IncompleteRead"),
    "stalled body, always": (partial(faulty.stall, 100), ATTEMPTS, "timed out"),
    "status 503, always": (partial(faulty.status, 503), ATTEMPTS, "503"),
    "wrong bytes, always": (partial(faulty.other, FLIPPED), ATTEMPTS, hashlib.sha256(FLIPPED).hexdigest()),
    "gzip that was not asked for": (faulty.gzipped, ATTEMPTS, hashlib.sha256(CONTENT).hexdigest()),
    "status 404": (partial(faulty.status, 404), 1, "404"),
}


@pytest.mark.parametrize("name", LASTING)
def test_faults_that_last(name, server, target, waits, fault):
    does, requests, says = LASTING[name]
    with fault(f"downloads: {name}"):
        server.faults[NAME] = repeat(does)
        assert says in refused(target, server.url)
        assert len(server.ranges(NAME)) == requests
        assert waits == list(range(1, requests))
        server.forget()
        sources.obtain("mnist_svhn", target, server.url)
        got(target)


def test_a_gz_file_that_is_called_gzipped(server, target, waits, fault):
    """It is kept as it lies on the server: its hash is of that."""
    with fault("downloads: gzip encoding told of a .gz file"):
        server.faults["mnist/train-images-idx3-ubyte.gz"] = repeat(faulty.called_gzipped)
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        assert waits == []


def test_the_next_run_goes_on(server, target, fault):
    with fault("downloads: truncated body, always"):
        server.faults[NAME] = chain([CUT], repeat(partial(faulty.cut, 0)))
        refused(target, server.url)
        before = list(FILES)[: list(FILES).index(NAME)]
        assert [len(server.ranges(path)) for path in before] == [1] * 4
        server.forget()
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        assert server.ranges(NAME) == [CHUNK]
        assert server.sent[NAME] == SIZE - CHUNK, "no byte was sent twice"
        assert not any(server.ranges(path) for path in before), "what was whole is not fetched again"


@pytest.mark.parametrize("faults", [[CUT, CUT], [faulty.cut_chunked], [faulty.gzipped]])
def test_without_a_hash(faults, server, target, monkeypatch, fault):
    """As of Reed et al.'s captions: every attempt starts afresh, and what an earlier run left counts for nothing."""
    monkeypatch.setattr(mnist_svhn, "SOURCES", {NAME: (f"{server.url}/{NAME}", None)})
    with fault("downloads: no hash known"):
        server.faults[NAME] = iter(faults)
        left = gathered(target) / NAME
        left.parent.mkdir(parents=True)
        left.write_bytes(b"of an earlier run, and who knows what")
        left.with_name(f".{left.name}.part").write_bytes(CONTENT[:9_000])
        sources.obtain("mnist_svhn", target, None)
        assert contents(target) == {NAME: CONTENT}
        assert set(server.ranges(NAME)) == {0}


@pytest.mark.parametrize("through_http", [True, False])
@pytest.mark.parametrize("content", [b"<html>\xff Log in to the network</html>\n", b"0" * 64 + b"  other\n", b""])
def test_sums_that_are_none(content, through_http, server, target, fault, tmp_path):
    with fault("downloads: sums that are none"):
        server.files[sources.SUMS] = content
        mirror = write_mirror(tmp_path / "mirror")
        (mirror / sources.SUMS).write_bytes(content)
        where = server.url if through_http else str(mirror)
        with pytest.raises(sources.DownloadError) as error:
            sources.obtain("mnist_svhn", target, where)
        assert str(error.value).startswith(f"{where}/SHA256SUMS does not list mnist/train-images-idx3-ubyte.gz, ")
        assert contents(target) == {"earlier": b"kept"}
