"""A small mirror of MNIST-SVHN, and an HTTP server that knows ranges, counts, and misbehaves as it is told.

What it can do to a request is a function of the request and of the content of the file that was asked for.
"""

import gzip
import hashlib
import re
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mmvae.data import sources
from mmvae.datasets import mnist_svhn

NAME = "svhn/train_32x32.mat"  # the file whose transfer goes wrong
SIZE = 70_000
CONTENT = np.random.default_rng(0).bytes(SIZE)
FILES = {path: f"the bytes of {path}".encode() for path in mnist_svhn.SOURCES} | {NAME: CONTENT}


def sums(files):
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in files.items()).encode()


MIRROR = FILES | {sources.SUMS: sums(FILES)}


def write_mirror(folder):
    for path, content in MIRROR.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def earlier(folder):
    """The output, as an earlier run left it."""
    folder.mkdir(parents=True)
    (folder / "earlier").write_text("kept")
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def gathered(target):
    """Where the files are before all are there."""
    return target.with_name(f".{target.name}.partial")


def got(target):
    """Everything is in its place, and nothing else is left."""
    assert contents(target) == FILES
    assert [entry.name for entry in target.parent.iterdir()] == [target.name]


def refused(target, address, kind=sources.DownloadError, path=NAME):
    """One line that names file and address; the earlier files are kept, and nothing takes the file's name."""
    with pytest.raises(kind) as error:
        sources.obtain(target.name, target, address)
    message = str(error.value)
    assert "\n" not in message
    if kind is sources.DownloadError:
        assert message.startswith(f"{Path(path).name} could not be had from {address}/{path}: ")
        assert "dvc exp run -S download.mirror=" in message
    assert contents(target) == {"earlier": b"kept"}
    assert not (gathered(target) / path).exists()
    return message


class Server(ThreadingHTTPServer):
    """A mirror that counts what it is asked for and what it sends, and does to each request as `faults` say."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(MIRROR)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.released = threading.Event()  # those that hang may end
        self.forget()

    def forget(self):
        self.faults = {}  # path -> what happens to one request after the other, and nothing to those that follow
        self.requests = []
        self.sent = Counter()  # bytes of each file

    def ranges(self, path):
        """The first byte that was asked for in each request of a file."""
        return [start for asked, start in self.requests if asked == path]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.name = self.path.lstrip("/")
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))
        self.first = int(found[1])
        self.server.requests.append((self.name, self.first))
        fault = next(self.server.faults.get(self.name, iter(())), right)
        with suppress(BrokenPipeError, ConnectionResetError):  # the client was killed, or has heard enough
            fault(self, self.server.files.get(self.name))

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def start(self, content):
        """The headers of a right answer, and the body that belongs to them."""
        body = content[self.first :]
        headers = {"Content_Length": len(body)}
        if self.first:
            headers["Content_Range"] = f"bytes {self.first}-{len(content) - 1}/{len(content)}"
        self.head(206 if self.first else 200, **headers)
        return body

    def send(self, body):
        self.wfile.write(body)
        self.server.sent[self.name] += len(body)


def right(request, content):
    if content is None:
        request.send_error(404)
    elif request.first >= len(content) > 0:
        request.head(416, Content_Range=f"bytes */{len(content)}")
    else:
        request.send(request.start(content))


def cut(count, request, content):
    """The connection ends after some bytes of the body."""
    request.send(request.start(content)[:count])


def cut_unseen(request, content):
    """Without a length, so that nothing but the hash tells."""
    request.head(200)
    request.send(content[:20_000])


def cut_chunked(request, content):
    request.protocol_version = "HTTP/1.1"
    request.head(200, Transfer_Encoding="chunked")
    request.wfile.write(b"9c40\r\n")
    request.send(content[:20_000])
    request.close_connection = True


def stall(count, request, content):
    request.send(request.start(content)[:count])
    request.server.released.wait(20)


def hang_up(*_):
    pass


def status(code, request, _, **headers):
    request.head(code, Content_Length=0, **headers)


def other(content, request, _):
    """Another file's bytes, as if they were those."""
    request.first = 0
    request.send(request.start(content))


def ignore_range(request, content):
    request.first = 0
    right(request, content)


def other_range(answer, request, content):
    """The range is one that was not asked for."""
    request.head(206, Content_Length=len(content), **({"Content_Range": answer} if answer else {}))
    request.send(content)


def gzipped(request, content):
    body = gzip.compress(content)
    request.head(200, Content_Length=len(body), Content_Encoding="gzip")
    request.send(body)


def called_gzipped(request, content):
    """What servers say of a .gz file that lies there as it is."""
    request.head(200, Content_Length=len(content), Content_Encoding="x-gzip")
    request.send(content)


@contextmanager
def serving():
    """The mirror's server, that is stopped at the end."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()
