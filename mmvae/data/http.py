"""Downloads over HTTP that go on where an earlier attempt, or an earlier run, was cut off."""

from pathlib import Path

import pooch
import requests
from tqdm import tqdm

RETRIES = 5  # pooch waits 1, 2, 3 ... seconds before them
TIMEOUT = (10, 60)  # seconds, for the connection and for the next bytes
PASSING = (408, 425, 429)  # refusals that are worth another attempt
CHUNK = 1 << 14  # bytes; less than that is lost when a transfer is cut off


class _LastingError(Exception):
    """Another attempt would end the same way."""


def download(path: Path, address: str, known_hash: str | None) -> None:
    """A file at `path`, in several attempts. `known_hash` is '<algorithm>:<hash>'.

    Raises:
        ValueError: it could not be had, or has another hash; says what was wrong last.
    """
    fetcher = pooch.create(
        path.parent,
        base_url="",
        registry={path.name: known_hash},
        urls={path.name: address},
        retry_if_failed=RETRIES,
    )
    try:
        fetcher.fetch(path.name, downloader=_Downloader(path, known_hash))
    except (_LastingError, requests.RequestException) as error:
        raise ValueError(error) from error


class _Downloader:
    """pooch's downloader that goes on where an earlier attempt, or an earlier run, was cut off.

    A file without hash always starts anew: nothing would tell that its beginning and end are of two versions.
    """

    def __init__(self, path: Path, known_hash: str | None):
        self.path = path
        self.part = path.with_name(f".{path.name}.part") if known_hash else None

    def __call__(self, url: str, output: str, _: object) -> None:
        """One attempt; pooch then checks the hash of `output`, and removes it if that is wrong."""
        file = self.part or Path(output)  # pooch has put an empty one there
        try:
            self._complete(file, url)
        except requests.RequestException as error:
            if _lasting(error):
                raise _LastingError(error) from error
            raise
        file.replace(output)

    def _complete(self, file: Path, url: str) -> None:
        """Ask for what `file` lacks, and add it."""
        size = file.stat().st_size if file.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if size else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if size and response.status_code == 416:
                return  # it lacks nothing, or is no good: its hash will tell
            response.raise_for_status()
            answer = response.headers.get("Content-Range", "")
            if response.status_code == 206 and not (size and answer.startswith(f"bytes {size}-")):
                file.unlink(missing_ok=True)
                raise ValueError(f"the server was asked for the bytes from {size} on and sent {answer!r}")
            self._save(response, file, size if response.status_code == 206 else 0)

    def _save(self, response: requests.Response, file: Path, start: int) -> None:
        """Write the body, which begins at byte `start` of the file."""
        if self.part:  # takes the bytes as they lie on the server: those are what hash and range are about
            response.raw.headers.pop("Content-Encoding", None)
        rest = response.raw.length_remaining
        total = None if rest is None else start + rest
        with (
            file.open("ab" if start else "wb") as opened,
            tqdm(desc=self.path.name, total=total, initial=start, unit="B", unit_scale=True) as progress,
        ):
            for chunk in response.iter_content(CHUNK):
                opened.write(chunk)
                progress.update(len(chunk))


def _lasting(error: requests.RequestException) -> bool:
    """Whether another attempt would end the same way: refused, redirected in circles, or no address at all."""
    if error.response is not None:
        return error.response.status_code < 500 and error.response.status_code not in PASSING
    return isinstance(error, ValueError)
