"""Cut the study's part of SVHN: `python -m studies.estimators.subset RAW data/raw/mnist_svhn`.

The part is the first images of SVHN's official test file, divided at a photograph's end into images for training and
for testing; params.yaml says how many, and the hash of their arrays. The first folder holds the raw files of
`mnist_svhn`, as downloaded from their official addresses, or from a mirror that holds this part alone. Both give the
same arrays. The second folder gets the same layout, MNIST's files included.
"""

import argparse
import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import scipy.io
import yaml

from mmvae.datasets.mnist_svhn import read_svhn
from mmvae.files import FileError, atomic
from stages import run

PARAMS = Path(__file__).with_name("params.yaml")
HEADER = b"MATLAB 5.0 MAT-file, the first images of SVHN's test_32x32.mat".ljust(116)  # instead of one with the time

Labelled = tuple[np.ndarray, np.ndarray]


def cut(folder: Path, images: int, training_images: int, sha256: str) -> dict[str, Labelled]:
    """'train' and 'test' -> images (n, 3, 32, 32) and labels (n,), uint8, of the files in the folder `svhn`.

    sha256: of the arrays of all images and labels, one after the other.

    Raises:
        FileError: they hold other images.
    """
    pixels, labels = read_svhn(folder, "test")
    if len(labels) == images - training_images:  # a mirror of the part, which is divided already
        pixels, labels = map(np.concatenate, zip(read_svhn(folder, "train"), (pixels, labels), strict=True))
    pixels, labels = pixels[:images], labels[:images]
    if (found := hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest()) != sha256:
        raise FileError(
            f"{folder}: the first {len(labels)} images have the sha256 {found}, not {sha256}; download the official "
            "test_32x32.mat again"
        )
    return {
        "train": (pixels[:training_images], labels[:training_images]),
        "test": (pixels[training_images:], labels[training_images:]),
    }


def write_svhn(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """A file as SVHN's: `X` (32, 32, 3, n), `y` (n, 1), 10 for the digit zero. The same arrays give the same bytes."""
    content = io.BytesIO()
    scipy.io.savemat(content, {"X": images.transpose(2, 3, 1, 0), "y": np.where(labels, labels, 10)[:, None]})
    with atomic(path) as temporary:
        temporary.write_bytes(HEADER + content.getvalue()[len(HEADER) :])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["subset"]
    for part, (images, labels) in cut(given.raw / "svhn", **params).items():
        write_svhn(given.out / f"svhn/{part}_32x32.mat", images, labels)
    shutil.copytree(given.raw / "mnist", given.out / "mnist", dirs_exist_ok=True)


if __name__ == "__main__":
    run(main)
