"""Reading the official files of MNIST (idx) and SVHN (cropped digits, Matlab).

Images are uint8 of shape (n, C, H, W); labels are uint8 of shape (n,), 0 to 9.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import scipy.io

from mmvae.files import FileError

IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


def read_mnist(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The part 'train' or 't10k': images (n, 1, 28, 28) and labels (n,)."""
    images_path = folder / f"{part}-images-idx3-ubyte.gz"
    labels_path = folder / f"{part}-labels-idx1-ubyte.gz"
    images = _read_idx(images_path, IMAGES_MAGIC, 3)
    if images.shape[1:] != (28, 28):
        raise FileError(f"{images_path}: images are {images.shape[1:]}, not 28 x 28")
    labels = _read_idx(labels_path, LABELS_MAGIC, 1)
    return _checked(images_path, images[:, None], labels_path, labels)


def read_svhn(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The part 'train' or 'test': images (n, 3, 32, 32) and labels (n,); the file's label 10 is the digit 0."""
    path = folder / f"{part}_32x32.mat"
    try:
        content = scipy.io.loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"].ravel()
    except KeyError as error:
        raise FileError(f"{path}: the variable {error} is missing") from error
    except Exception as error:  # scipy raises many kinds for damaged files
        raise FileError(f"{path} cannot be read as a Matlab file: {error}") from error
    if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or images.dtype != np.uint8:
        raise FileError(f"{path}: X is {images.dtype} {images.shape}, not uint8 (32, 32, 3, n)")
    if len(labels) and not (np.issubdtype(labels.dtype, np.number) and labels.min() >= 1 and labels.max() <= 10):
        raise FileError(f"{path}: a label is outside 1 to 10")
    images = np.ascontiguousarray(images.transpose(3, 2, 0, 1))
    return _checked(path, images, path, (labels % 10).astype(np.uint8))


def read_raw(folder: Path) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """modality -> 'train' or 'test' -> images and labels, from the folders `mnist/` and `svhn/`."""
    return {
        "mnist": {"train": read_mnist(folder / "mnist", "train"), "test": read_mnist(folder / "mnist", "t10k")},
        "svhn": {"train": read_svhn(folder / "svhn", "train"), "test": read_svhn(folder / "svhn", "test")},
    }


def _read_idx(path: Path, magic: int, dimensions: int) -> np.ndarray:
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} cannot be unpacked: {error}") from error
    header = 4 * (1 + dimensions)
    if len(content) < header:
        raise FileError(f"{path}: {len(content)} bytes are too few for an idx header")
    found, *shape = struct.unpack(f">{1 + dimensions}I", content[:header])
    if found != magic:
        raise FileError(f"{path}: the magic number is {found}, not {magic}")
    if len(content) - header != np.prod(shape, dtype=np.int64):
        raise FileError(f"{path}: {len(content) - header} bytes of data, but the header says {shape}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _checked(
    images_path: Path, images: np.ndarray, labels_path: Path, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if len(images) != len(labels):
        raise FileError(f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path}")
    if len(labels) == 0:
        raise FileError(f"{images_path}: no images")
    if labels.max() > 9:
        raise FileError(f"{labels_path}: label {labels.max()} of image {int(labels.argmax())} is outside 0 to 9")
    return images, labels
