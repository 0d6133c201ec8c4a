"""Files in the formats of MNIST and SVHN, and a mirror of them."""

import gzip
import hashlib
import struct

import numpy as np
import scipy.io


def idx(magic: int, array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def write_mnist(folder, part="train", images=None, labels=None, squeeze=gzip.compress):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 28, 28), np.uint8) if images is None else images
    labels = np.arange(30, dtype=np.uint8) % 10 if labels is None else labels
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(squeeze(idx(2051, images)))
    (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(squeeze(idx(2049, labels)))
    return images, labels


def write_svhn(folder, part="train", **changes):
    rng = np.random.default_rng(0)
    content = {
        "X": rng.integers(0, 256, (32, 32, 3, 30), np.uint8),
        "y": (np.arange(30, dtype=np.uint8)[:, None] % 10) + 1,
    } | changes
    folder.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(folder / f"{part}_32x32.mat", {key: value for key, value in content.items() if value is not None})
    return content


def write_mirror(folder, images=400):
    """A mirror of random images of all digits, whole, with its hashes."""
    rng, labels = np.random.default_rng(0), np.arange(images, dtype=np.uint8) % 10
    for part in ("train", "t10k"):
        write_mnist(folder / "mnist", part, rng.integers(0, 256, (images, 28, 28), np.uint8), labels)
    for part in ("train", "test"):
        colour = rng.integers(0, 256, (32, 32, 3, images), np.uint8)
        write_svhn(folder / "svhn", part, X=colour, y=labels[:, None] + 1)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}" for path in files]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")
