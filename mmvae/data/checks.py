"""What arrays that were read must be, and errors that name the file they are from."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from mmvae.files import AGAIN, FileError


@contextmanager
def naming(path: str | Path, kind: type[ValueError]) -> Iterator[None]:
    """Errors of one kind that are raised in the block, as FileErrors that name `path`."""
    try:
        yield
    except kind as error:
        raise FileError(f"{path}: {error}") from error


def check_array(
    path: str | Path, name: str, array: np.ndarray, dtype: DTypeLike, shape: tuple[int | None, ...]
) -> None:
    """Refuse an array that is not of this type and shape, in which None stands for any length.

    Raises:
        FileError: it is not; names the file and the array.
    """
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not (fits and np.issubdtype(array.dtype, dtype)):
        wanted = f"{np.dtype(dtype).name} {shape}".replace("None", "n")
        raise FileError(f"{path}: {name} is {array.dtype} {array.shape}, not {wanted}; {AGAIN}")


def check_labels(path: str | Path, name: str, labels: np.ndarray) -> None:
    """Refuse what are not digits, uint8 (n,).

    Raises:
        FileError: they are not; names the file and the first that is outside 0 to 9.
    """
    check_array(path, name, labels, np.uint8, (None,))
    wrong = np.flatnonzero(labels > 9)
    if len(wrong):
        raise FileError(f"{path}: label {labels[wrong[0]]} of image {wrong[0]} is outside 0 to 9; {AGAIN}")


def check_labelled(
    images_path: Path, images: np.ndarray, labels_path: Path, labels: np.ndarray, shape: tuple[int, int, int]
) -> None:
    """Refuse what are not images, uint8 (n, *shape), with as many digits.

    Raises:
        FileError: they are not, or there are none; names the file.
    """
    check_array(images_path, "images", images, np.uint8, (None, *shape))
    check_labels(labels_path, "labels", labels)
    if len(images) != len(labels):
        raise FileError(f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path}; {AGAIN}")
    if len(images) == 0:
        raise FileError(f"{images_path}: no images; {AGAIN}")
