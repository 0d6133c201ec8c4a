"""Downloads from servers that misbehave: the right bytes, or one line that says what was wrong and where."""

import hashlib
import re
import socket
import tempfile
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import faulty_server as faulty
import numpy as np
import pooch
import pytest
from faulty_server import CONTENT, FILES, NAME, SIZE, contents, earlier, gathered, got, refused, sums, write_mirror
from hypothesis import given
from hypothesis import strategies as st
from mutations import examples

from mmvae.data import http, sources

pytestmark = pytest.mark.faults

CHUNK = http.CHUNK  # what came of the last one is lost when a transfer is cut off
ATTEMPTS = 1 + http.RETRIES
BACK_OFF = list(range(1, ATTEMPTS))


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
    seconds = 0.25 if re.search("stall|no answer|slow", request.node.name) else 10
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
    "connection reset": ([partial(faulty.reset, 40_000)], None),
    "stalled body": ([partial(faulty.stall, 20_000)], [0, CHUNK]),
    "no answer": ([faulty.silent], [0, 0]),
    "connection closed without an answer": ([faulty.hang_up], [0, 0]),
    "answer that is no HTTP": ([faulty.garbage], [0, 0]),
    "status 503 with Retry-After": ([partial(faulty.status, 503, Retry_After=1)], [0, 0]),
    "status 429": ([partial(faulty.status, 429)], [0, 0]),
    "status 503 in mid-transfer": ([CUT, partial(faulty.status, 503)], [0, CHUNK, CHUNK]),
    "wrong bytes": ([partial(faulty.other, FLIPPED)], [0, 0]),
    "wrong bytes after a cut": ([CUT, lambda request, _: faulty.right(request, FLIPPED[::-1])], [0, CHUNK, 0]),
    "empty body": ([partial(faulty.other, b"")], [0, 0]),
    "body of another length": ([partial(faulty.other, CONTENT + b"more")], [0, 0]),
    "range ignored": ([CUT, faulty.ignore_range], [0, CHUNK]),
    "range refused": ([CUT, partial(faulty.status, 416)], [0, CHUNK, 0]),
    "another range": ([CUT, partial(faulty.other_range, f"bytes 0-{SIZE - 1}/{SIZE}")], [0, CHUNK, 0]),
    "range without its place": ([CUT, partial(faulty.other_range, None)], [0, CHUNK, 0]),
    "range that was not asked for": ([partial(faulty.other_range, f"bytes 5-{SIZE + 4}/{SIZE}")], [0, 0]),
}


@pytest.mark.parametrize("name", PASSING)
def test_faults_that_pass(name, server, target, waits, fault):
    faults, ranges = PASSING[name]
    with fault(f"downloads: {name}"):
        server.faults[NAME] = iter(faults)
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        found = server.ranges(NAME)
        assert waits == list(range(1, len(found)))
        if ranges is None:  # how much of the body came is up to the network
            assert found in ([0, 0], [0, CHUNK], [0, 2 * CHUNK])
        else:
            assert found == ranges


def test_a_cut_transfer_goes_on_where_it_was(server, target, fault):
    with fault("downloads: truncated body"):
        server.faults[NAME] = iter([partial(faulty.cut, 2 * CHUNK), partial(faulty.cut, CHUNK)])
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        assert server.ranges(NAME) == [0, 2 * CHUNK, 3 * CHUNK]
        assert server.sent[NAME] == SIZE, "no byte was sent twice"


LASTING = {  # what happens always -> requests, what the message says
    "truncated body, always": (partial(faulty.cut, 100), ATTEMPTS, "IncompleteRead"),
    "body truncated at its start, always": (partial(faulty.cut, 0), ATTEMPTS, "IncompleteRead"),
    "connection reset, always": (partial(faulty.reset, 100), ATTEMPTS, "reset"),
    "stalled body, always": (partial(faulty.stall, 100), ATTEMPTS, "timed out"),
    "no answer, always": (faulty.silent, ATTEMPTS, "timed out"),
    "answer that is no HTTP, always": (faulty.garbage, ATTEMPTS, "HTTP"),
    "status 503, always": (partial(faulty.status, 503), ATTEMPTS, "503"),
    "status 500, always": (partial(faulty.status, 500), ATTEMPTS, "500"),
    "wrong bytes, always": (partial(faulty.other, FLIPPED), ATTEMPTS, hashlib.sha256(FLIPPED).hexdigest()),
    "empty body, always": (partial(faulty.other, b""), ATTEMPTS, hashlib.sha256().hexdigest()),
    "gzip that was not asked for": (faulty.gzipped, ATTEMPTS, hashlib.sha256(CONTENT).hexdigest()),
    "status 404": (partial(faulty.status, 404), 1, "404"),
    "status 403": (partial(faulty.status, 403), 1, "403"),
    "redirect in circles": (partial(faulty.redirect, f"/{NAME}"), 31, "30 redirects"),
    "redirect to no address": (partial(faulty.redirect, "gopher://x"), 1, "gopher"),
    "redirect to a closed port": (partial(faulty.redirect, "http://127.0.0.1:1/x"), ATTEMPTS, "port=1"),
}


@pytest.mark.parametrize("name", LASTING)
def test_faults_that_last(name, server, target, waits, fault):
    does, requests, says = LASTING[name]
    with fault(f"downloads: {name}"):
        server.faults[NAME] = repeat(does)
        assert says in refused(target, server.url)
        assert len(server.ranges(NAME)) == requests
        assert waits == (BACK_OFF if requests == ATTEMPTS or "port" in name else [])
        server.forget()
        sources.obtain("mnist_svhn", target, server.url)
        got(target)


def test_a_closed_port(target, waits, fault):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with fault("downloads: closed port"):
            assert "refused" in refused(target, address, path=sources.SUMS)
            assert waits == BACK_OFF


ODD = {  # but right
    "redirect": (partial(faulty.redirect, "/elsewhere"), NAME),
    "slow server": (faulty.slow, NAME),  # slower than the client is patient, but never still for so long
    "gzip unless it is declined": (faulty.gzipped_if_allowed, NAME),
    "gzip encoding told of a .gz file": (faulty.called_gzipped, "mnist/train-images-idx3-ubyte.gz"),
    "redirect of the sums": (partial(faulty.redirect, "/sums"), sources.SUMS),
    "gzip of the sums that was not asked for": (faulty.gzipped, sources.SUMS),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_but_right(name, server, target, waits, fault):
    does, path = ODD[name]
    with fault(f"downloads: {name}"):
        server.files |= {"elsewhere": CONTENT, "sums": sums(FILES)}
        server.faults[path] = repeat(does)
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        assert waits == []


def test_a_redirected_transfer_goes_on(server, target, fault):
    with fault("downloads: redirect, then a truncated body"):
        server.files["elsewhere"] = CONTENT
        server.faults = {NAME: repeat(partial(faulty.redirect, "/elsewhere")), "elsewhere": iter([CUT])}
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        assert server.ranges("elsewhere") == [0, CHUNK]


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
        assert server.sent[NAME] == SIZE - CHUNK
        assert not any(server.ranges(path) for path in before), "what was whole is not fetched again"


@examples(25)
@given(st.lists(st.integers(0, SIZE // 2), max_size=15))
def test_any_cuts(server, waits, fault, cuts):
    """However often it is cut, and in how many runs: it goes on where it was."""
    server.forget()
    waits.clear()
    server.faults[NAME] = iter([partial(faulty.cut, count) for count in cuts])
    expected = [0]
    for count in cuts:
        if expected[-1] + count >= SIZE:
            break
        expected.append(expected[-1] + count // CHUNK * CHUNK)
    with fault("downloads: body truncated anywhere, again and again"), tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "mnist_svhn"
        for _ in range((len(expected) - 1) // ATTEMPTS):
            with pytest.raises(sources.DownloadError, match=r"train_32x32\.mat could not be had"):
                sources.obtain("mnist_svhn", target, server.url)
            assert not target.exists()
        sources.obtain("mnist_svhn", target, server.url)
        got(target)
        assert server.ranges(NAME) == expected
        assert server.sent[NAME] < SIZE + len(expected) * CHUNK
        assert len(waits) == len(expected) - 1 - (len(expected) - 1) // ATTEMPTS


@pytest.fixture
def unhashed(server, monkeypatch):
    """One file without a known hash, as the captions are."""
    monkeypatch.setitem(sources.OFFICIAL, "mnist_svhn", {NAME: (f"{server.url}/{NAME}", None)})


@pytest.mark.parametrize(
    ("name", "faults", "requests"),
    [
        ("truncated body", [CUT, CUT], 3),
        ("truncated body in chunks", [faulty.cut_chunked], 2),
        ("gzip that was not asked for", [faulty.gzipped], 1),
        ("range that was not asked for", [partial(faulty.other_range, f"bytes 0-99/{SIZE}")], 2),
        ("status 503", [partial(faulty.status, 503)], 2),
    ],
)
def test_without_a_hash(name, faults, requests, server, target, unhashed, fault):
    with fault(f"downloads: {name}, no hash known"):
        server.faults[NAME] = iter(faults)
        left = gathered(target) / NAME
        left.parent.mkdir(parents=True)
        left.write_bytes(b"of an earlier run, and who knows what")
        left.with_name(f".{left.name}.part").write_bytes(CONTENT[:9_000])
        sources.obtain("mnist_svhn", target, None)
        assert contents(target) == {NAME: CONTENT}
        assert server.ranges(NAME) == [0] * requests


def test_a_lasting_cut_without_a_hash(server, target, unhashed, fault):
    with fault("downloads: truncated body, no hash known"):
        server.faults[NAME] = repeat(CUT)
        with pytest.raises(sources.DownloadError, match=rf"train_32x32\.mat could not be had from {server.url}/"):
            sources.obtain("mnist_svhn", target, None)
        assert server.ranges(NAME) == [0] * ATTEMPTS
        assert contents(target) == {"earlier": b"kept"}
        assert contents(gathered(target)) == {}


@pytest.mark.parametrize("through_http", [True, False])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sums that are no text", np.random.default_rng(1).bytes(5_000)),
        ("sums that are a page", b"<html><body>Log in to the network</body></html>\n"),
        ("sums of other files", b"0" * 64 + b"  other\n"),
        ("empty sums", b""),
    ],
)
def test_sums_that_are_none(name, content, through_http, server, target, fault, tmp_path):
    with fault(f"downloads: {name}"):
        server.files[sources.SUMS] = content
        mirror = write_mirror(tmp_path / "mirror")
        (mirror / sources.SUMS).write_bytes(content)
        where = server.url if through_http else str(mirror)
        with pytest.raises(sources.DownloadError) as error:
            sources.obtain("mnist_svhn", target, where)
        assert str(error.value).startswith(f"{where}/SHA256SUMS does not list mnist/train-images-idx3-ubyte.gz, ")
        assert str(error.value).isprintable()
        assert contents(target) == {"earlier": b"kept"}
