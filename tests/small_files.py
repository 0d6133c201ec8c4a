"""Whole small files of every raw format in one folder, and readers that give all that is in them as one dictionary."""

import numpy as np
from raw_birds import write_cub
from raw_files import write_mnist, write_svhn

from mmvae.data import birds, cub, digits, mnist_svhn
from mmvae.files import write_arrays

MNIST_IMAGES, MNIST_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
SVHN = "train_32x32.mat"
DIGITS, BIRDS = 30, 4  # of each part


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


def write_all(folder):
    """All of them, in `folder`."""
    write_mnist(folder)
    write_svhn(folder)
    write_cub(folder)
    for name, shape in digits.SHAPES.items():
        write_arrays(folder / f"{name}.npz", digit_arrays(shape))
    write_arrays(folder / birds.FILE, bird_arrays())


def read_mnist(folder):
    return dict(zip(("images", "labels"), mnist_svhn.read_mnist(folder, "train"), strict=True))


def read_svhn(folder):
    return dict(zip(("images", "labels"), mnist_svhn.read_svhn(folder, "train"), strict=True))


def read_digits(folder):
    found = {}
    for name, parts in digits.read_raw(folder).items():
        for part, (images, labels) in parts.items():
            found |= {f"{name}/{part}/images": images, f"{name}/{part}/labels": labels}
    return found


def read_birds(folder):
    names = [name for part in birds.read_names(folder).values() for name in part]
    found = {name: np.asarray(picture) for name, picture in birds.read_images(folder, names)}
    found |= {"names": np.array(names), "captions": np.array(birds.read_captions(folder, names))}
    return found | {"attributes": birds.read_attributes(folder, names)}


def read_cub(folder):
    names = [name for part in cub.read_names(folder).values() for name in part]
    found = {name: np.asarray(photograph) for name, photograph in cub.read_images(folder, names)}
    return found | {"names": np.array(names), "captions": np.array(cub.read_captions(folder, names))}
