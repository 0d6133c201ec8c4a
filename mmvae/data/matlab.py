"""Reading arrays of bytes from Matlab files (level 5, little-endian), compressed or not.

Not by SciPy, which some damaged files crash, and which unpacks and allocates whatever a file claims.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmvae.files import AGAIN, FileError

LIMIT = 1 << 28  # bytes of one variable; the largest, SVHN's training images, has 225 million
HEADER, SIGNATURE = 128, b"\x00\x01IM"  # bytes; the last of them
INT8, UINT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 2, 5, 6, 14, 15  # types of elements
NUMBERS = range(6, 16)  # classes of variables: doubles may be stored as bytes too


def read_bytes(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The named variables, uint8 of any shape. Compressed variables have a checksum, others have none.

    Raises:
        FileError: the file is missing, damaged or of another format; a variable is missing, there twice, not stored
            as bytes or of more than LIMIT bytes.
    """
    found: dict[str, np.ndarray] = {}
    try:
        with path.open("rb") as file:
            for variable in _variables(file):
                name = bytes(next(islice(_elements(variable), 2, 3))[1]).decode("latin-1")
                if name in found:
                    raise ValueError(f"{name!r} is there twice")
                if name in names:
                    found[name] = _array(name, variable)
    except (OSError, ValueError, StopIteration, struct.error, zlib.error) as error:
        reason = str(error) or "a variable is truncated"
        raise FileError(f"{path} cannot be read as a Matlab file: {reason}; {AGAIN}") from error
    for name in names:
        if name not in found:
            raise FileError(f"{path}: the variable {name!r} is missing; {AGAIN}")
    return found


def _variables(file: BinaryIO) -> Iterator[memoryview]:
    if not file.read(HEADER).endswith(SIGNATURE):
        raise ValueError("it is not of level 5 and little-endian")
    while tag := file.read(8):
        kind, size = struct.unpack("<II", tag)
        content = memoryview(file.read(_limited(size)))
        if kind == COMPRESSED and len(content) == size:
            content = memoryview(_unpacked(content))
            (kind, size), content = struct.unpack_from("<II", content), content[8:]
        if kind != MATRIX or len(content) != size:
            raise ValueError("a variable is truncated or damaged")
        yield content


def _limited(size: int) -> int:
    if size > LIMIT:
        raise ValueError(f"a variable claims {size} bytes, more than {LIMIT}")
    return size


def _unpacked(content: memoryview) -> bytes:
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(content, LIMIT)
    if not unpacker.eof:
        raise ValueError(f"a compressed variable is truncated, or has more than {LIMIT} bytes")
    return unpacked


def _elements(variable: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and content of the parts of a variable; up to four bytes may lie in the tag itself."""
    start = 0
    while start < len(variable):
        kind, size = struct.unpack_from("<II", variable, start)
        in_tag = kind >> 16
        first, size = (start + 4, in_tag) if in_tag else (start + 8, size)
        content = variable[first : first + size]
        if len(content) != size or in_tag > 4:
            raise ValueError("an element is truncated or damaged")
        yield kind & 0xFFFF, content
        start = start + 8 if in_tag else first + size + -size % 8


def _array(name: str, variable: memoryview) -> np.ndarray:
    kinds, (flags, dimensions, *_, content) = zip(*_elements(variable), strict=True)
    if kinds != (UINT32, INT32, INT8, UINT8) or len(flags) != 8 or flags[0] not in NUMBERS:
        raise ValueError(f"{name!r} is no array stored as bytes")
    shape = struct.unpack(f"<{len(dimensions) // 4}i", dimensions)
    if min(shape) < 0 or math.prod(shape) != len(content):
        raise ValueError(f"{name!r} has {len(content)} bytes, but its header says {shape}")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F")
