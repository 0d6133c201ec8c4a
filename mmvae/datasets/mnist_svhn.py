"""Reading the official files of MNIST (idx) and SVHN (cropped digits, Matlab).

Images are uint8 of shape (n, C, H, W); labels are uint8 of shape (n,), 0 to 9.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import scipy.io

from mmvae.files import AGAIN, GZIPPED, FileError, check_array, unreadable

FAMILY = "digits"
MODALITIES = {"mnist": "grey", "svhn": "colour"}
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_SVHN = "http://ufldl.stanford.edu/housenumbers"
_HASHES = {  # sha256, of MNIST
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
SOURCES = {f"mnist/{name}": (f"{_MNIST}/{name}", f"sha256:{digest}") for name, digest in _HASHES.items()} | {
    "svhn/train_32x32.mat": (f"{_SVHN}/train_32x32.mat", "md5:e26dedcc434d2e4c54c9b2d4a06d8373"),
    "svhn/test_32x32.mat": (f"{_SVHN}/test_32x32.mat", "md5:eb5a983be6a315427106f1b164d9cef3"),
}  # path -> address, hash
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


def read_mnist(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The part 'train' or 't10k': images (n, 1, 28, 28) and labels (n,)."""
    images_path = folder / f"{part}-images-idx3-ubyte.gz"
    labels_path = folder / f"{part}-labels-idx1-ubyte.gz"
    images = _read_idx(images_path, IMAGES_MAGIC, 3)[:, None]
    labels = _read_idx(labels_path, LABELS_MAGIC, 1)
    check_array(images_path, "images", images, np.uint8, (None, 1, 28, 28))
    if len(images) != len(labels):
        raise FileError(f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path}; {AGAIN}")
    wrong = np.flatnonzero(labels > 9)
    if len(wrong):
        raise FileError(f"{labels_path}: label {labels[wrong[0]]} of image {wrong[0]} is outside 0 to 9; {AGAIN}")
    return images, labels


def read_svhn(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The part 'train' or 'test': images (n, 3, 32, 32) and labels (n,); the file's label 10 is the digit 0."""
    path = folder / f"{part}_32x32.mat"
    try:
        content = scipy.io.loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], np.ravel(content["y"])
    except Exception as error:  # SciPy raises many kinds for damaged files
        raise unreadable(path, "a Matlab file", error) from error
    check_array(path, "X", images, np.uint8, (32, 32, 3, None))
    if not np.isin(labels, range(1, 11)).all():  # of bytes or of doubles
        raise FileError(f"{path}: a label is outside 1 to 10; {AGAIN}")
    if len(labels) != images.shape[3]:
        raise FileError(f"{path}: {len(labels)} labels for the {images.shape[3]} images; {AGAIN}")
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), (labels % 10).astype(np.uint8)


def read_raw(folder: Path) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """modality -> 'train' or 'test' -> images and labels, from the folders `mnist/` and `svhn/`."""
    return {
        "mnist": {"train": read_mnist(folder / "mnist", "train"), "test": read_mnist(folder / "mnist", "t10k")},
        "svhn": {"train": read_svhn(folder / "svhn", "train"), "test": read_svhn(folder / "svhn", "test")},
    }


def _read_idx(path: Path, magic: int, dimensions: int) -> np.ndarray:
    """The array of an idx file, gzipped or not: a browser may unpack it without a word, and keep its name."""
    try:
        content = path.read_bytes()
        if content.startswith(GZIPPED):
            content = gzip.decompress(content)
        found, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
        if found != magic:
            raise ValueError(f"the magic number is {found}, not {magic}")
        return np.frombuffer(content[4 * (1 + dimensions) :], np.uint8).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise unreadable(path, "an idx file", error) from error
