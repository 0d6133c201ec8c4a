"""Raw files, splits, pairs and the embedded digits."""

import gzip

import numpy as np
import pytest
from raw_files import write_mnist, write_svhn

from mmvae.data import digits, mnist_svhn, pairing
from mmvae.files import FileError


def test_mnist(tmp_path):
    images, labels = write_mnist(tmp_path)
    read_images, read_labels = mnist_svhn.read_mnist(tmp_path, "train")
    np.testing.assert_array_equal(read_images, images[:, None])
    np.testing.assert_array_equal(read_labels, labels)


def test_svhn_zero_is_ten(tmp_path):
    content = write_svhn(tmp_path)
    images, labels = mnist_svhn.read_svhn(tmp_path, "train")
    assert images.shape == (30, 3, 32, 32)
    np.testing.assert_array_equal(images[7, 2], content["X"][:, :, 2, 7])
    np.testing.assert_array_equal(labels, content["y"].ravel() % 10)
    assert set(labels) == set(range(10))


@pytest.mark.parametrize(
    ("changes", "file", "message"),
    [
        ({"squeeze": lambda data: gzip.compress(data)[:-20]}, "images", "cannot be unpacked"),
        ({"squeeze": lambda data: data}, "images", "cannot be unpacked"),
        ({"squeeze": lambda data: gzip.compress(data[:-5])}, "images", "the header says"),
        ({"squeeze": lambda data: gzip.compress(data[:3])}, "images", "too few"),
        ({"squeeze": lambda data: gzip.compress(b"\x00\x00\x08\x04" + data[4:])}, "images", "magic number is 2052"),
        ({"images": np.zeros((30, 27, 28), np.uint8)}, "images", "not 28 x 28"),
        ({"labels": np.zeros(29, np.uint8)}, "labels", "29 labels for the 30 images"),
        ({"labels": np.full(30, 10, np.uint8)}, "labels", "label 10 of image 0 is outside"),
        ({"images": np.zeros((0, 28, 28), np.uint8), "labels": np.zeros(0, np.uint8)}, "images", "no images"),
    ],
)
def test_malformed_mnist_is_named(tmp_path, changes, file, message):
    write_mnist(tmp_path, **changes)
    with pytest.raises(FileError, match=rf"train-{file}-idx.*{message}"):
        mnist_svhn.read_mnist(tmp_path, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": np.zeros((32, 32, 1, 30), np.uint8)}, r"X is uint8 \(32, 32, 1, 30\)"),
        ({"X": np.zeros((32, 32, 3, 30))}, "X is float64"),
        ({"X": None}, "'X' is missing"),
        ({"y": np.full((30, 1), 11, np.uint8)}, "outside 1 to 10"),
        ({"y": np.full((30, 1), np.nan)}, "outside 1 to 10"),
        ({"y": np.ones((29, 1), np.uint8)}, "29 labels for the 30 images"),
    ],
)
def test_malformed_svhn_is_named(tmp_path, changes, message):
    write_svhn(tmp_path, **changes)
    with pytest.raises(FileError, match=rf"train_32x32\.mat.*{message}"):
        mnist_svhn.read_svhn(tmp_path, "train")


def test_truncated_and_missing_svhn(tmp_path):
    write_svhn(tmp_path)
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:5000])
    for part in ("train", "test"):
        with pytest.raises(FileError, match=rf"{part}_32x32.mat cannot be read"):
            mnist_svhn.read_svhn(tmp_path, part)


def test_embedded_digits_are_deterministic_and_whole():
    for paint, shape in ((digits.handwritten, (1, 28, 28)), (digits.plates, (3, 32, 32))):
        first, second = paint(), paint()
        for part in ("train", "test"):
            images, labels = first[part]
            np.testing.assert_array_equal(images, second[part][0])
            np.testing.assert_array_equal(labels, second[part][1])
            assert images.shape[1:] == shape
            assert images.dtype == labels.dtype == np.uint8
            assert set(labels) == set(range(10))
    assert sum(len(labels) for _, labels in digits.handwritten().values()) == 1797


def test_splits_are_disjoint_contiguous_blocks():
    images = np.arange(200)[:, None, None, None]
    arrays = pairing.split({"train": (images, images.ravel()), "test": (images[:5], images[:5].ravel())}, 0.25)
    train, validation = arrays["train/images"].ravel(), arrays["validation/images"].ravel()
    np.testing.assert_array_equal(validation, np.arange(150, 200))
    np.testing.assert_array_equal(train, np.arange(150 - pairing.GAP))
    with pytest.raises(pairing.PairingError, match="cannot be split"):
        pairing.split({"train": (images[:12], images[:12].ravel()), "test": (images, images)}, 0.25)


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    return rng.integers(0, 10, 700), rng.integers(0, 10, 900)


def test_every_image_of_the_smaller_class_meets_its_partners(labels):
    first, second = labels
    a, b = pairing.pair(first, second, 20, 10_000, np.random.default_rng(0))
    np.testing.assert_array_equal(first[a], second[b])
    for digit in range(10):
        smaller, other, all_of_it = (
            (a, b, first) if (first == digit).sum() <= (second == digit).sum() else (b, a, second)
        )
        for image in np.flatnonzero(all_of_it == digit):
            partners = other[smaller == image]
            assert len(partners) == len(set(partners)) == 20


def test_one_pass_holds_each_used_image_once(labels):
    a, b = pairing.pair(*labels, 20, 30, np.random.default_rng(0))
    count = len(a) // 20
    assert count == 300
    for start in range(0, len(a), count):
        assert len(set(a[start : start + count])) == len(set(b[start : start + count])) == count


def test_pairing_is_seeded_and_refuses_too_few(labels):
    same = [pairing.pair(*labels, 5, 100, np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(same[0], same[1])
    assert (pairing.pair(*labels, 5, 100, np.random.default_rng(4))[0] != same[0][0]).any()
    with pytest.raises(pairing.PairingError, match="fewer than the 200 partners"):
        pairing.pair(*labels, 200, 10_000, np.random.default_rng(0))
