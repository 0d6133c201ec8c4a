"""MNIST and SVHN with the digit's name as a third modality (MNIST-SVHN-Text: Sutter, Daunhawer and Vogt 2020, 2021)."""

from pathlib import Path

import numpy as np

from mmvae.data.names import digit_names
from mmvae.datasets import mnist_svhn

FAMILY = "digits"
MODALITIES = mnist_svhn.MODALITIES | {"names": "text"}
SOURCES = mnist_svhn.SOURCES
NAMES = {"train": 150_000, "test": 20_000}  # more than MNIST has of any digit
SEED = 0


def read_raw(folder: Path) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """modality -> 'train' or 'test' -> values and labels."""
    return mnist_svhn.read_raw(folder) | {"names": digit_names(NAMES, SEED)}
