"""Reading tar archives, gzipped or not, as streams: nothing is unpacked to disk.

A browser may unpack a `.tar.gz` without a word, and keep its name.
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mmvae.files import GZIPPED, unreadable

LIMIT = 64 << 20  # bytes of one member: it lies in memory whole
END = 1024  # bytes, all 0, at the end of a tar


def members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
    """Name and content of each regular file, in the archive's order; the content is None where it is not `wanted`.

    A gzipped archive is known to be whole only at the end of the iteration, where gzip's checksum lies.

    Raises:
        FileError: the archive is missing, truncated or damaged, or a wanted member has more than LIMIT bytes.
    """
    try:
        # gzip and not tarfile's own "r|gz", which checks no sum and takes a truncated stream for the end
        with _opened(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for info in filter(tarfile.TarInfo.isfile, archive):
                name = info.name.removeprefix("./")
                if wanted(name) and info.size > LIMIT:
                    raise tarfile.ReadError(f"{name} has {info.size} bytes, more than {LIMIT}")
                yield name, archive.extractfile(info).read() if wanted(name) else None
            while stream.read(LIMIT):
                pass
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise unreadable(path, "an archive", error) from error


def _opened(path: Path) -> BinaryIO:
    """The tar itself; one that is not gzipped has no checksum, but an end."""
    with path.open("rb") as file:
        if file.read(2) == GZIPPED:
            return gzip.open(path)
        file.seek(max(0, path.stat().st_size - END))
        if file.read() != bytes(END):
            raise tarfile.ReadError("it is no tar, or its end is missing")
    return path.open("rb")
