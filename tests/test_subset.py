"""The study's part of SVHN: the same arrays from the official file and from a mirror of the part."""

import hashlib

import numpy as np
import pytest
import yaml
from conftest import SHARED
from raw_files import write_mnist, write_svhn

from mmvae.datasets.mnist_svhn import read_raw, read_svhn
from mmvae.files import FileError
from studies.estimators import subset

REAL = SHARED / "mirror"
PARAMS = yaml.safe_load(subset.PARAMS.read_text())["subset"]


@pytest.fixture
def official(tmp_path):
    """A folder of raw files, of which the part has 20 images, 12 of them for training; and its parameters."""
    for part in ("train", "t10k"):
        write_mnist(tmp_path / "mnist", part)
    write_svhn(tmp_path / "svhn", "train")
    content = write_svhn(
        tmp_path / "svhn", "test", X=np.random.default_rng(1).integers(0, 256, (32, 32, 3, 30), np.uint8)
    )
    images, labels = content["X"].transpose(3, 2, 0, 1)[:20], content["y"].ravel()[:20] % 10
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return tmp_path, images, labels, {"images": 20, "training_images": 12, "sha256": digest}


def write(folder, params, out):
    for part, arrays in subset.cut(folder / "svhn", **params).items():
        subset.write_svhn(out / f"svhn/{part}_32x32.mat", *arrays)


def test_the_part_is_the_first_images_of_the_official_test_file(official):
    folder, images, labels, params = official
    parts = subset.cut(folder / "svhn", **params)
    for part, rows in (("train", slice(0, 12)), ("test", slice(12, 20))):
        np.testing.assert_array_equal(parts[part][0], images[rows])
        np.testing.assert_array_equal(parts[part][1], labels[rows])


def test_what_is_written_is_read_back_and_a_mirror_of_it_gives_the_same_bytes(official, tmp_path):
    folder, _, labels, params = official
    mirror, again = tmp_path / "mirror", tmp_path / "again"
    write(folder, params, mirror)
    assert 0 in labels, "the digit that is 10 in the file"
    np.testing.assert_array_equal(read_svhn(mirror / "svhn", "test")[1], labels[12:])
    write(mirror, params, again)
    for part in ("train", "test"):
        file = f"svhn/{part}_32x32.mat"
        assert (mirror / file).read_bytes() == (again / file).read_bytes()


def test_other_images_are_refused(official):
    folder, _, _, params = official
    with pytest.raises(FileError, match=r"the first 20 images have the sha256 [0-9a-f]{64}, not 0; download"):
        subset.cut(folder / "svhn", **params | {"sha256": "0"})


@pytest.mark.skipif(not REAL.exists(), reason=f"the mirror of the part is not at {REAL}; MMVAE_SHARED names its parent")
def test_the_mirror_gives_its_own_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["subset", str(REAL), str(tmp_path / "part")])
    subset.main()
    expected, found = read_raw(REAL), read_raw(tmp_path / "part")
    for modality, parts in expected.items():
        for part, arrays in parts.items():
            assert all(map(np.array_equal, arrays, found[modality][part]))
    assert len(found["svhn"]["train"][1]) == PARAMS["training_images"]
    assert len(found["svhn"]["test"][1]) == PARAMS["images"] - PARAMS["training_images"] == 3417
