"""The embedded digit pairs with the digit's name as a third modality."""

from pathlib import Path

from mmvae.data.names import digit_names
from mmvae.datasets import digits

FAMILY = "digits"
MODALITIES = digits.MODALITIES | {"names": "text"}
write_raw = digits.write_raw


def read_raw(folder: Path) -> dict[str, digits.Part]:
    """modality -> 'train' or 'test' -> values and labels; as many names as plates.

    Raises:
        FileError: a file is missing or damaged.
    """
    return digits.read_raw(folder) | {"names": digit_names(digits.PLATES, digits.SEED)}
