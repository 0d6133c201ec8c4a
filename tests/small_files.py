"""What the files of the embedded sets hold, small."""

import numpy as np

from mmvae.datasets import birds, digits

DIGITS, BIRDS = 30, 4  # of each part
SHAPES = {"handwritten": (1, 28, 28), "plates": (3, 32, 32)}


def digit_arrays(shape, count=DIGITS):
    """What one of the embedded digit files holds."""
    rng, arrays = np.random.default_rng(0), {}
    for part in digits.PLATES:
        arrays[f"{part}/images"] = rng.integers(0, 256, (count, *shape), np.uint8)
        arrays[f"{part}/labels"] = np.arange(count, dtype=np.uint8) % 10
    return arrays


def bird_arrays():
    """What the file of the embedded birds holds."""
    rng, arrays = np.random.default_rng(0), {}
    attributes = {name: values[0] for name, values in birds.ATTRIBUTES.items()}
    for part in birds.BIRDS:
        arrays[f"{part}/images"] = rng.integers(0, 256, (BIRDS, 3, 64, 64), np.uint8)
        arrays[f"{part}/captions"] = np.array([birds.captions(attributes, rng) for _ in range(BIRDS)])
        arrays[f"{part}/attributes"] = np.zeros((BIRDS, len(attributes)), np.uint8)
    return arrays
