"""Reading the official files of MNIST (idx) and SVHN (cropped digits, Matlab).

Images are uint8 of shape (n, C, H, W); labels are uint8 of shape (n,), 0 to 9.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from mmvae.data import matlab
from mmvae.data.checks import check_array, check_labelled
from mmvae.files import AGAIN, FileError

FAMILY = "digits"
MODALITIES = {"mnist": "grey", "svhn": "colour"}
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_SVHN = "http://ufldl.stanford.edu/housenumbers/"
SOURCES = {  # path -> address, hash
    "mnist/train-images-idx3-ubyte.gz": (
        f"{_MNIST}train-images-idx3-ubyte.gz",
        "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "mnist/train-labels-idx1-ubyte.gz": (
        f"{_MNIST}train-labels-idx1-ubyte.gz",
        "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "mnist/t10k-images-idx3-ubyte.gz": (
        f"{_MNIST}t10k-images-idx3-ubyte.gz",
        "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "mnist/t10k-labels-idx1-ubyte.gz": (
        f"{_MNIST}t10k-labels-idx1-ubyte.gz",
        "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "svhn/train_32x32.mat": (f"{_SVHN}train_32x32.mat", "md5:e26dedcc434d2e4c54c9b2d4a06d8373"),
    "svhn/test_32x32.mat": (f"{_SVHN}test_32x32.mat", "md5:eb5a983be6a315427106f1b164d9cef3"),
}
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049
LIMIT = 1 << 28  # bytes of one file, unpacked; the largest, the training images, has 47 million


def read_mnist(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The part 'train' or 't10k': images (n, 1, 28, 28) and labels (n,)."""
    images_path = folder / f"{part}-images-idx3-ubyte.gz"
    labels_path = folder / f"{part}-labels-idx1-ubyte.gz"
    images = _read_idx(images_path, IMAGES_MAGIC, 3)[:, None]
    labels = _read_idx(labels_path, LABELS_MAGIC, 1)
    check_labelled(images_path, images, labels_path, labels, (1, 28, 28))
    return images, labels


def read_svhn(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The part 'train' or 'test': images (n, 3, 32, 32) and labels (n,); the file's label 10 is the digit 0."""
    path = folder / f"{part}_32x32.mat"
    content = matlab.read_bytes(path, "X", "y")
    images, labels = content["X"], content["y"]
    check_array(path, "X", images, np.uint8, (32, 32, 3, None))
    check_array(path, "y", labels, np.uint8, (None, 1))
    if ((labels < 1) | (labels > 10)).any():
        raise FileError(f"{path}: a label is outside 1 to 10; {AGAIN}")
    images, labels = np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels.ravel() % 10
    check_labelled(path, images, path, labels, (3, 32, 32))
    return images, labels


def read_raw(folder: Path) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """modality -> 'train' or 'test' -> images and labels, from the folders `mnist/` and `svhn/`."""
    return {
        "mnist": {"train": read_mnist(folder / "mnist", "train"), "test": read_mnist(folder / "mnist", "t10k")},
        "svhn": {"train": read_svhn(folder / "svhn", "train"), "test": read_svhn(folder / "svhn", "test")},
    }


def _read_idx(path: Path, magic: int, dimensions: int) -> np.ndarray:
    """The array of a gzipped idx file, of which no more is unpacked than its header states."""
    try:
        with gzip.open(path) as file:
            shape = _idx_shape(path, file.read(4 * (1 + dimensions)), magic, dimensions)
            size = math.prod(shape)
            content = file.read(size + 1)  # to the end of the file, where the checksum is
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} cannot be unpacked: {error}; {AGAIN}") from error
    if len(content) != size:
        found = "more" if len(content) > size else len(content)
        raise FileError(f"{path}: {found} bytes of data, but the header says {shape}; {AGAIN}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _idx_shape(path: Path, header: bytes, magic: int, dimensions: int) -> tuple[int, ...]:
    if len(header) < 4 * (1 + dimensions):
        raise FileError(f"{path}: {len(header)} bytes are too few for an idx header; {AGAIN}")
    found, *shape = struct.unpack(f">{1 + dimensions}I", header)
    if found != magic:
        raise FileError(f"{path}: the magic number is {found}, not {magic}; {AGAIN}")
    if math.prod(shape) > LIMIT:
        raise FileError(f"{path}: the header claims {math.prod(shape)} bytes, more than {LIMIT}; {AGAIN}")
    return tuple(shape)
