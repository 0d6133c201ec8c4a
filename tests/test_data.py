"""Raw files, splits, pairs and the embedded digits."""

import gzip

import numpy as np
import pytest
from raw_files import write_mnist, write_svhn

from mmvae.data import pairing
from mmvae.datasets import digits, mnist_svhn
from mmvae.files import DataError, FileError


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


def test_svhn_labels_stored_as_doubles(tmp_path):
    content = write_svhn(tmp_path, y=np.arange(1.0, 31)[:, None] % 10 + 1)
    _, labels = mnist_svhn.read_svhn(tmp_path, "train")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, content["y"].ravel() % 10)


@pytest.mark.parametrize(
    ("what", "changes", "file", "message"),
    [
        (
            "truncated gzip",
            {"squeeze": lambda data: gzip.compress(data)[:-20]},
            "images",
            "cannot be read as an idx file",
        ),
        (
            "truncated gzip",
            {"squeeze": lambda data: gzip.compress(data)[:-1]},
            "images",
            "cannot be read as an idx file",
        ),
        ("no gzip", {"squeeze": lambda _: b"<html>Log in</html>"}, "images", "cannot be read as an idx file"),
        ("truncated idx", {"squeeze": lambda data: data[:-5]}, "images", "cannot be read as an idx file"),
        (
            "truncated idx",
            {"squeeze": lambda data: gzip.compress(data[:-5])},
            "images",
            "cannot be read as an idx file",
        ),
        ("truncated idx", {"squeeze": lambda data: gzip.compress(data[:3])}, "images", "cannot be read as an idx file"),
        ("wrong type", {"squeeze": lambda data: gzip.compress(b"\0\0\x08\x04" + data[4:])}, "images", "number is 2052"),
        ("wrong shape", {"images": np.zeros((30, 27, 28), np.uint8)}, "images", r"27, 28\), not uint8 \(n, 1, 28, 28"),
        ("labels miscounted", {"labels": np.zeros(29, np.uint8)}, "labels", "29 labels for the 30 images"),
        ("label out of range", {"labels": np.full(30, 10, np.uint8)}, "labels", "label 10 of image 0 is outside"),
    ],
)
@pytest.mark.faults
def test_malformed_mnist_is_named(tmp_path, fault, what, changes, file, message):
    write_mnist(tmp_path, **changes)
    with fault(f"data: {what}"), pytest.raises(FileError, match=rf"train-{file}-idx.*{message}"):
        mnist_svhn.read_mnist(tmp_path, "train")


@pytest.mark.parametrize(
    ("what", "changes", "message"),
    [
        ("wrong shape", {"X": np.zeros((32, 32, 1, 30), np.uint8)}, r"X is uint8 \(32, 32, 1, 30\)"),
        ("wrong type", {"X": np.zeros((32, 32, 3, 30))}, "X is float64"),
        ("NaN labels", {"y": np.full((30, 1), np.nan)}, "a label is outside 1 to 10"),
        ("array missing", {"X": None}, "'X' is missing"),
        ("label out of range", {"y": np.full((30, 1), 11, np.uint8)}, "a label is outside 1 to 10"),
        ("labels miscounted", {"y": np.ones((29, 1), np.uint8)}, "29 labels for the 30 images"),
    ],
)
@pytest.mark.faults
def test_malformed_svhn_is_named(tmp_path, fault, what, changes, message):
    write_svhn(tmp_path, **changes)
    with fault(f"data: {what}"), pytest.raises(FileError, match=rf"train_32x32\.mat.*{message}"):
        mnist_svhn.read_svhn(tmp_path, "train")


@pytest.mark.faults
@pytest.mark.parametrize("length", [0, 100, 130, 5000, -9])
def test_truncated_svhn(tmp_path, fault, length):
    write_svhn(tmp_path)
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(path.read_bytes()[:length])
    with fault("data: truncated mat"), pytest.raises(FileError, match=r"train_32x32.mat cannot be read"):
        mnist_svhn.read_svhn(tmp_path, "train")


@pytest.mark.faults
def test_missing_svhn(tmp_path, fault):
    with fault("data: file missing"), pytest.raises(FileError, match=r"test_32x32.mat cannot be read"):
        mnist_svhn.read_svhn(tmp_path, "test")


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
    train, validation = arrays["train/values"].ravel(), arrays["validation/values"].ravel()
    np.testing.assert_array_equal(validation, np.arange(150, 200))
    np.testing.assert_array_equal(train, np.arange(150 - pairing.GAP))
    with pytest.raises(DataError, match="cannot be split"):
        pairing.split({"train": (images[:12], images[:12].ravel()), "test": (images, images)}, 0.25)


@pytest.fixture(params=[2, 3], ids=["M=2", "M=3"])
def labels(request):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 10, count) for count in (700, 900, 800)[: request.param]]


def test_every_image_of_the_smallest_class_meets_its_partners(labels):
    sides = pairing.pair(labels, 20, 10_000, np.random.default_rng(0))
    digits = [of[side] for of, side in zip(labels, sides, strict=True)]
    for digit in range(10):
        smallest = min(labels, key=lambda of: (of == digit).sum())
        used = [set(side[of == digit]) for side, of in zip(sides, digits, strict=True)]
        assert {len(some) for some in used} == {(smallest == digit).sum()}
    for first, other in [(0, m) for m in range(1, len(sides))] + [(m, 0) for m in range(1, len(sides))]:
        np.testing.assert_array_equal(digits[first], digits[other])
        for image in set(sides[first]):
            partners = sides[other][sides[first] == image]
            assert len(partners) == len(set(partners)) == 20


def test_one_pass_holds_each_used_image_once(labels):
    sides = pairing.pair(labels, 20, 30, np.random.default_rng(0))
    count = len(sides[0]) // 20
    assert count == 300
    for start in range(0, 20 * count, count):
        assert {len(set(side[start : start + count])) for side in sides} == {count}


def test_pairing_is_seeded_and_refuses_too_few(labels):
    same = [pairing.pair(labels, 5, 100, np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(same[0], same[1])
    assert (pairing.pair(labels, 5, 100, np.random.default_rng(4))[0] != same[0][0]).any()
    with pytest.raises(DataError, match="fewer than the 200 partners"):
        pairing.pair(labels, 200, 10_000, np.random.default_rng(0))
