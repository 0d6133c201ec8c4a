"""Downloads: mirrors in folders and over HTTP, wrong hashes, missing files, no network."""

import hashlib
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pooch
import pytest
from faulty_server import FILES, contents, earlier, write_mirror

from mmvae.data import sources


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Between pooch's attempts."""
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def mirror(tmp_path):
    return write_mirror(tmp_path / "mirror")


@pytest.fixture
def url(mirror):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=mirror))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path):
    return earlier(tmp_path / "raw" / "mnist_svhn")


def test_a_folder(mirror, target):
    sources.obtain("mnist_svhn", target, str(mirror))
    assert contents(target) == FILES
    assert [entry.name for entry in target.parent.iterdir()] == ["mnist_svhn"]


def test_a_base_url(url, target):
    sources.obtain("mnist_svhn", target, url)
    assert contents(target) == FILES


@pytest.mark.parametrize("through_http", [False, True])
def test_one_flipped_byte(mirror, target, request, through_http):
    path = mirror / "svhn/test_32x32.mat"
    good = path.read_bytes()
    path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    where = request.getfixturevalue("url") if through_http else str(mirror)
    with pytest.raises(sources.DownloadError) as error:
        sources.obtain("mnist_svhn", target, where)
    message = str(error.value)
    assert "test_32x32.mat" in message
    assert hashlib.sha256(good).hexdigest() in message
    assert hashlib.sha256(path.read_bytes()).hexdigest() in message
    assert "\n" not in message
    assert contents(target) == {"earlier": b"kept"}
    assert not (target.parent / ".mnist_svhn.partial" / "svhn/test_32x32.mat").exists()


def test_a_later_run_keeps_what_was_good(mirror, target):
    path = mirror / "svhn/test_32x32.mat"
    good = path.read_bytes()
    path.write_bytes(b"bad")
    with pytest.raises(sources.DownloadError):
        sources.obtain("mnist_svhn", target, str(mirror))
    path.write_bytes(good)
    (mirror / "svhn/train_32x32.mat").unlink()
    sources.obtain("mnist_svhn", target, str(mirror))
    assert contents(target) == FILES


def test_files_that_are_not_there(mirror, target, tmp_path):
    with pytest.raises(sources.DownloadError, match=r"SHA256SUMS could not be had from .*/nowhere"):
        sources.obtain("mnist_svhn", target, str(tmp_path / "nowhere"))
    (mirror / "mnist/t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(sources.DownloadError, match=r"t10k-labels-idx1-ubyte\.gz could not be had"):
        sources.obtain("mnist_svhn", target, str(mirror))
    (mirror / "SHA256SUMS").write_text("")
    with pytest.raises(sources.DownloadError, match="does not list mnist/train-images"):
        sources.obtain("mnist_svhn", target, str(mirror))
    assert contents(target) == {"earlier": b"kept"}


def test_no_network_and_no_mirror(target, monkeypatch):
    def refuse(*_, **__):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(sources.DownloadError) as error:
        sources.obtain("mnist_svhn", target, None)
    message = str(error.value)
    assert "train-images-idx3-ubyte.gz" in message
    assert "https://ossci-datasets.s3.amazonaws.com/mnist/" in message
    assert "download.mirror=" in message
    assert "\n" not in message
    assert contents(target) == {"earlier": b"kept"}


def test_the_embedded_set_needs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", None)
    left = tmp_path / ".digits.partial" / ".plates.npz.1.partial.npz"  # another process has that number now
    left.parent.mkdir()
    left.write_bytes(b"half of it, by a run that was killed")
    sources.obtain("digits", tmp_path / "digits", None)
    assert {path.name for path in (tmp_path / "digits").iterdir()} == {"handwritten.npz", "plates.npz"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["digits"]
