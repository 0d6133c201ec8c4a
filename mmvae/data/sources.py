"""Where the raw files come from: their official addresses, or a mirror with the same layout.

A mirror is a folder or a base URL that holds `SHA256SUMS` and the files under the paths used here, such as
`mnist/train-images-idx3-ubyte.gz`. A folder may be written as `~/folder` or `file:///folder`. `SHA256SUMS` is what
`sha256sum -c` reads. Every file is checked against its hash before it counts as there.

Files are gathered in `.<set>.partial`, which takes the place of the set's folder when it is complete. There a download
of known hash grows as `.<name>.part`, from which the next attempt or the next run goes on.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mmvae import registry
from mmvae.files import FileError, atomic

SUMS = "SHA256SUMS"
WEB = re.compile("https?://", re.IGNORECASE)
SUM = re.compile(  # a line of `sha256sum` or, after the bar, of `sha256sum --tag` and of openssl
    r"^[ \t]*(\\?)(?:([0-9a-f]{64})[ \t][ *]?([^\n\0]+)"
    r"|SHA(?:2-)?256 ?\(([^\n\0]+)\)[ \t]*=[ \t]*([0-9a-f]{64}))$",
    re.MULTILINE | re.IGNORECASE | re.ASCII,
)
ESCAPED = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}  # in names of lines that begin with a backslash


class DownloadError(RuntimeError):
    """A raw file could not be had; the message says which, from where, and what to do."""


def obtain(data_set: str, folder: Path, mirror: str | None) -> None:
    """Fill `folder` with the raw files of `data_set`, whole and checked, or leave it as it was.

    A data set has SOURCES (path -> address and '<algorithm>:<hash>'), or paints itself with `write_raw`.

    Raises:
        DownloadError: a file is missing, unreachable or has the wrong hash.
        FileError: the files cannot be written, for want of room or of permission.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        data = registry.find("datasets", data_set)
        if hasattr(data, "SOURCES"):
            partial.mkdir(parents=True, exist_ok=True)
            _gather(data.SOURCES, mirror, partial)
        else:
            _paint(data, partial)
        _put_in_place(partial, folder)
    except OSError as error:  # of writing: those of the source have become a DownloadError
        raise FileError(
            f"{error.filename or folder} cannot be written: {_short(error.strerror or error)}. Make room or make it "
            "writable, and run the same command again: it goes on from what there is"
        ) from error


def _paint(data: ModuleType, partial: Path) -> None:
    """An embedded set, whole or not at all: nothing of it is worth going on from."""
    _remove(partial)
    try:
        data.write_raw(partial)
    except BaseException:
        _remove(partial)
        raise


def _gather(wanted: dict[str, tuple[str, str | None]], mirror: str | None, partial: Path) -> None:
    """All files of a set, and nothing else, in `partial`."""
    sources = _mirrored(wanted, mirror, partial) if mirror else wanted
    for path, (address, known_hash) in sources.items():
        _fetch(partial / path, address, known_hash)
    for path in partial.rglob("*"):
        if path.is_file() and path.relative_to(partial).as_posix() not in wanted:
            path.unlink()  # left by a process that was killed


def _put_in_place(partial: Path, folder: Path) -> None:
    """`partial` takes the name of `folder`. Killed in between, it is complete, and found by the next run."""
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        _remove(old)
        folder.rename(old)
    partial.rename(folder)
    _remove(old)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def place(mirror: str) -> str:
    """The folder or base URL that a mirror is, without a slash at its end."""
    if mirror.lower().startswith("file:"):
        mirror = url2pathname(urlsplit(mirror).path)
    if mirror.startswith("~/"):
        mirror = str(Path(mirror).expanduser())
    return mirror.rstrip("/")


def _mirrored(wanted: Iterable[str], mirror: str, partial: Path) -> dict[str, tuple[str, str | None]]:
    """The same files at the mirror's addresses, with the hashes of its SHA256SUMS."""
    base = place(mirror)
    sums = partial / SUMS
    _fetch(sums, f"{base}/{SUMS}", None)
    text = sums.read_text(encoding="utf-8-sig", errors="replace")
    sums.unlink()
    listed = _listed(text, base)
    hashes = {path: listed.get(Path(base, path).resolve()) for path in wanted}
    missing = [path for path, value in hashes.items() if value is None]
    if missing:
        raise DownloadError(f"{base}/{SUMS} does not list {', '.join(missing)}; each needs a line '<sha256>  <path>'")
    return {path: (f"{base}/{path}", f"sha256:{value}") for path, value in hashes.items()}


def _listed(sums: str, base: str) -> dict[Path, str]:
    """Path -> hash, of every line of a SHA256SUMS in `base` that `sha256sum -c` would check."""
    found = {}
    for escaped, value, name, tagged, tagged_value in SUM.findall(sums):
        path = name or tagged
        if escaped:
            path = re.sub(r"\\[\\nr]", lambda pair: ESCAPED[pair[0]], path)
        found[Path(base, path).resolve()] = (value or tagged_value).lower()
    return found


def _fetch(path: Path, address: str, known_hash: str | None) -> None:
    """One file, checked, at `path`; a file that is already there is kept if its hash is known and right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.exists() and _check(path, known_hash):
            return
    except ValueError:
        pass
    path.unlink(missing_ok=True)
    try:
        if WEB.match(address):
            from mmvae.data import http  # here, so that a mirror in a folder needs neither it nor what it imports

            http.download(path, address, known_hash)
        else:
            _copy(path, address, known_hash)
    except FileError:
        raise
    except ValueError as error:
        raise DownloadError(
            f"{path.name} could not be had from {address}: {_short(error)}. The same command goes on from what "
            f"came. Without a network, use a mirror (a folder or base URL with the same files and a {SUMS}): "
            "dvc exp run -S download.mirror=/path/to/mirror"
        ) from error


def _copy(path: Path, source: str, known_hash: str | None) -> None:
    """A file from a mirror in a folder."""
    try:
        original = Path(source).open("rb")  # noqa: SIM115
    except OSError as error:
        raise ValueError(error) from error
    with original, atomic(path) as temporary:
        with temporary.open("wb") as file:
            shutil.copyfileobj(original, file)
        _check(temporary, known_hash)


def _check(path: Path, known_hash: str | None) -> bool:
    """Whether the hash is known, and right; a wrong one is a ValueError."""
    if known_hash is None:
        return False
    algorithm, _, expected = known_hash.partition(":")
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, algorithm).hexdigest()
    if actual != expected:
        raise ValueError(f"wrong {algorithm}, expected {expected}, got {actual}")
    return True


def _short(error: object) -> str:
    return " ".join(str(error).split())[:400] or type(error).__name__
