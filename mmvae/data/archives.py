"""Reading gzipped tar archives as streams: nothing is ever unpacked to disk, and no member is trusted."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from mmvae.files import FileError

MEMBER_LIMIT = 64 << 20  # bytes of one member that is read: it lies in memory whole
TOTAL_LIMIT = 32 << 30  # bytes of all that is unpacked, members that are read or not and their headers
HEADERS_LIMIT = 64 << 20  # bytes of all headers: they lie in memory whole
HEADER_LIMIT = 4 << 10  # bytes of one extension: before Python 3.11.10, tarfile takes an hour for one of a megabyte
END_LIMIT = 1 << 20  # bytes of padding behind the end marker
CHUNK = 1 << 20  # bytes
EXTENSIONS = {  # headers that tarfile reads whole, such as long names
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
AGAIN = "remove the file and download it again"
UNTRUSTED = f"do not trust the file, {AGAIN}"


class _Member(tarfile.TarInfo):
    """A header of sane size, of which only the end marker ends an archive.

    tarfile itself takes a damaged or missing header for the end, and reads headers, and maps of sparse files, of any
    size.
    """

    @classmethod
    def frombuf(cls, buffer: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        info = super().frombuf(buffer, encoding, errors)
        if not 0 <= info.size <= (HEADER_LIMIT if info.type in EXTENSIONS else TOTAL_LIMIT):
            raise tarfile.ReadError(f"a header claims {info.size} bytes")
        if info.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("a header of a sparse file")
        return info

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error

    def _proc_gnusparse_10(self, *_: object) -> None:
        raise tarfile.ReadError("a header of a sparse file")


def members(
    path: Path, limit: int = MEMBER_LIMIT, wanted: Callable[[str], bool] | None = None
) -> Iterator[tuple[str, bytes | None]]:
    """Name and content of each regular file, in the archive's order; the content is None where it is not `wanted`.

    Directories are skipped, a leading './' is taken off a name. An archive counts as whole only once the iteration
    has come to its end: the checksum is the last thing in it.

    Raises:
        FileError: the archive is missing, truncated or damaged; a member has an absolute name, one with '..' or that
            of another, or is neither file nor directory; a wanted member has more than `limit` bytes, or all that is
            unpacked, the headers, or the padding at the end more than their limits. Names the archive and the member.
    """
    last = "at its beginning"
    try:
        # gzip and not tarfile's own "r|gz", which checks no sum and takes a truncated stream for the end.
        with (
            gzip.open(path) as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK, tarinfo=_Member, encoding="utf-8") as archive,
        ):
            for name, info in _files(path, archive):
                last = f"at member {name!r}"
                yield name, _content(path, archive, info, limit) if wanted is None or wanted(name) else None
            last = "behind its last member"
            _check_end(archive)
    except FileError:
        raise
    except (OSError, EOFError, ValueError, RecursionError, zlib.error, tarfile.TarError) as error:
        raise FileError(f"{path} cannot be unpacked, {last}: {' '.join(str(error).split())}; {AGAIN}") from error


def _files(path: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """The regular files under their plain names, once all that can be wrong with a header is checked."""
    names: set[str] = set()
    contents = 0
    for info in archive:
        name = _safe_name(path, info)
        if info.offset_data + info.size > TOTAL_LIMIT:
            raise FileError(f"{path}: up to member {name!r} it unpacks to more than {TOTAL_LIMIT} bytes; {UNTRUSTED}")
        if info.offset_data - contents > HEADERS_LIMIT:
            raise FileError(f"{path}: up to member {name!r} its headers have over {HEADERS_LIMIT} bytes; {UNTRUSTED}")
        contents += info.size
        if info.isdir():
            continue
        if name in names:
            raise FileError(f"{path}: member {name!r} is there twice; {UNTRUSTED}")
        names.add(name)
        yield name, info


def _safe_name(path: Path, info: tarfile.TarInfo) -> str:
    name = PurePosixPath(info.name)
    if name.is_absolute() or ".." in name.parts:
        raise FileError(f"{path}: member {info.name!r} leads out of the archive; {UNTRUSTED}")
    if not (info.isreg() or info.isdir()):
        raise FileError(f"{path}: member {info.name!r} is a link, a device or a pipe; {UNTRUSTED}")
    if info.size < 0 or info.issparse():  # an extension can change both after the header itself was checked
        raise FileError(f"{path}: member {info.name!r} is sparse, or of {info.size} bytes; {UNTRUSTED}")
    return str(name)


def _content(path: Path, archive: tarfile.TarFile, info: tarfile.TarInfo, limit: int) -> bytes:
    if info.size > limit:
        raise FileError(f"{path}: member {info.name!r} has {info.size} bytes, more than {limit}; {UNTRUSTED}")
    with archive.extractfile(info) as file:
        return file.read()


def _check_end(archive: tarfile.TarFile) -> None:
    """Read what is behind the end marker, so that gzip's checksum is looked at; it must be a little padding."""
    rest = archive.fileobj.read(END_LIMIT + 1)
    if len(rest) > END_LIMIT or rest.strip(b"\0"):
        raise tarfile.ReadError("more than padding follows the end marker")
