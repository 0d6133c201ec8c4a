"""Raw data that are not what they should be: one line that names the file, and a stage that makes nothing of them."""

import importlib
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from conftest import ROOT
from raw_birds import CAPTIONS, PHOTOS, members, names, write_cub
from raw_files import write_mirror, write_svhn
from small_files import BIRDS, DIGITS, bird_arrays, digit_arrays
from tampered import refusal
from tiny import ENVIRONMENT

from mmvae.datasets import birds, cub, digits
from mmvae.files import read_arrays, write_arrays

FIRST = names()["train"][0]
PHOTO, CAPTION = f"{PHOTOS}{FIRST}.jpg", f"{CAPTIONS}{FIRST}.txt"


def refused(read, path, message):
    assert re.search(message, refusal(read, path))


def write_changed(path, change):
    """The same arrays but for some; None leaves one out. Not by write_arrays, which refuses NaN."""
    np.savez(path, **{key: array for key, array in (read_arrays(path) | change).items() if array is not None})


@pytest.mark.parametrize(
    ("what", "change", "message"),
    [
        ("NaN pixels", {"test/images": np.full((DIGITS, 3, 32, 32), np.nan)}, "holds NaN or infinity"),
        ("wrong type", {"train/images": np.zeros((DIGITS, 3, 32, 32))}, r"images is float64 .*, not uint8 \(n, 3, 32"),
        ("wrong type", {"train/labels": np.zeros(DIGITS, np.int64)}, "labels is int64"),
        ("wrong shape", {"train/images": np.zeros((DIGITS, 32, 32, 3), np.uint8)}, r"images is uint8 \(30, 32, 32, 3"),
        ("wrong shape", {"test/labels": np.zeros((DIGITS, 1), np.uint8)}, r"labels is uint8 \(30, 1\)"),
        ("label out of range", {"test/labels": np.full(DIGITS, 10, np.uint8)}, "label 10 of image 0 is outside 0 to 9"),
        ("labels miscounted", {"test/labels": np.zeros(DIGITS - 1, np.uint8)}, "29 labels for the 30 images"),
        ("array missing", {"test/labels": None}, "has no 'test/labels'"),
        ("no images", {"test/images": np.zeros((0, 3, 32, 32), "u1"), "test/labels": np.zeros(0, "u1")}, "no images"),
        ("pickled array", {"test/labels": np.array([None] * DIGITS)}, "cannot be read as arrays"),
    ],
)
def test_embedded_digits(tmp_path, fault, what, change, message):
    for name, shape in digits.SHAPES.items():
        write_arrays(tmp_path / f"{name}.npz", digit_arrays(shape))
    digits.read_raw(tmp_path)
    path = tmp_path / "plates.npz"
    write_changed(path, change)
    with fault(f"data: {what}"):
        refused(lambda: digits.read_raw(tmp_path), path, message)


@pytest.mark.parametrize(
    ("what", "change", "message"),
    [
        ("NaN pixels", {"train/images": np.full((BIRDS, 3, 64, 64), np.nan)}, "holds NaN or infinity"),
        ("wrong type", {"train/images": np.zeros((BIRDS, 3, 64, 64), "f4")}, "images is float32"),
        ("wrong type", {"train/captions": np.zeros((BIRDS, 10), np.uint8)}, "captions is uint8"),
        ("wrong shape", {"test/images": np.zeros((BIRDS, 3, 32, 32), np.uint8)}, r"images is uint8 \(4, 3, 32, 32\)"),
        ("captions miscounted", {"test/captions": np.full((BIRDS, 9), "a")}, r"captions is <U1 \(4, 9\)"),
        ("captions miscounted", {"test/captions": np.full((BIRDS + 1, 10), "a")}, r"captions is <U1 \(5, 10\)"),
        ("caption without words", {"test/captions": np.full((BIRDS, 10), " -")}, "a caption of test has no words"),
        ("label out of range", {"train/attributes": np.full((BIRDS, 5), 2, "u1")}, "an attribute of train has no such"),
        ("array missing", {"train/attributes": None}, "has no 'train/attributes'"),
        (
            "no images",
            {
                "test/images": np.zeros((0, 3, 64, 64), "u1"),
                "test/captions": np.zeros((0, 10), "U1"),
                "test/attributes": np.zeros((0, 5), "u1"),
            },
            "test has no birds",
        ),
    ],
)
def test_embedded_birds(tmp_path, fault, what, change, message):
    path = tmp_path / birds.FILE
    write_arrays(path, bird_arrays())
    asked = birds.read_names(tmp_path)["train"]
    birds.read_captions(tmp_path, asked)
    write_changed(path, change)
    for read in (birds.read_names, lambda folder: birds.read_captions(folder, asked)):
        with fault(f"data: {what}"):
            refused(lambda read=read: read(tmp_path), path, message)


def test_birds_that_are_not_there(tmp_path, fault):
    write_arrays(tmp_path / birds.FILE, bird_arrays())
    asked = ["train/0000", "test/0004", "no bird"]
    with fault("data: photographs missing"):
        refused(lambda: birds.read_attributes(tmp_path, asked), tmp_path, "2 birds missing, the first is 'test/0004'")


MNIST_SVHN = "data/raw/mnist_svhn"
MAKES = {  # stage -> its output
    "prepare_digits --set digits": "data/prepared/digits.npz",
    "prepare_digits --set mnist_svhn": "data/prepared/mnist_svhn.npz",
    "pair_digits --set digits": "data/pairs/digits.npz",
    "prepare_images --set birds": "data/pixels/birds.npz",
    "prepare_images --set cub": "data/pixels/cub.npz",
    "prepare_captions --set birds": "data/captions/birds.npz",
    "prepare_captions --set cub": "data/captions/cub.npz",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Small raw data of every set; each stage that reads them has run once."""
    folder = tmp_path_factory.mktemp("project")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in ("digits", "mnist_svhn"):
        params["data"][name] |= {"pairings": 1, "validation_share": 0.3}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    write_mirror(folder / MNIST_SVHN, 200)
    write_cub(folder / "data/raw/cub")
    for name, shape in digits.SHAPES.items():
        write_arrays(folder / f"data/raw/digits/{name}.npz", digit_arrays(shape, 100))
    write_arrays(folder / "data/raw/birds/birds.npz", bird_arrays())
    for command in MAKES:
        call_stage(folder, command)
    return folder


def call_stage(folder, command):
    """What `python -m stages.<command>` does, in this process."""
    module, *arguments = command.split()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [module, *arguments])
        importlib.import_module(f"stages.{module}").main()


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def few_digits(path):
    write_changed(path, {"train/images": np.zeros((9, 1, 28, 28), "u1"), "train/labels": np.zeros(9, "u1")})


def one_digit(path):
    write_changed(path, {"plates/test/labels": np.ones(100, np.uint8)})


def digit_ten(path):
    write_changed(path, {"plates/test/labels": np.arange(100, dtype=np.uint8) % 11})


def numbers_as_names(path):
    write_changed(path, {"test/names": np.zeros(6, np.int64)})


def nan_pixels(path):
    write_svhn(path.parent, "test", X=np.full((32, 32, 3, 200), np.nan))


def half_photograph(path):
    write_cub(path.parents[1], images={PHOTO: members()[0][PHOTO][:-9]})


def nine_captions(path):
    write_cub(path.parents[1], captions={CAPTION: b"a\n" * 9})


def nine_bird_captions(path):
    write_changed(path, {"train/captions": np.full((BIRDS, 9), "a")})


@pytest.mark.parametrize(
    ("what", "command", "path", "spoil"),
    [
        ("truncated npz", "prepare_digits --set digits", "data/raw/digits/plates.npz", cut),
        ("too few images", "prepare_digits --set digits", "data/raw/digits/handwritten.npz", few_digits),
        ("truncated gzip", "prepare_digits --set mnist_svhn", f"{MNIST_SVHN}/mnist/t10k-labels-idx1-ubyte.gz", cut),
        ("truncated mat", "prepare_digits --set mnist_svhn", f"{MNIST_SVHN}/svhn/train_32x32.mat", cut),
        ("NaN pixels", "prepare_digits --set mnist_svhn", f"{MNIST_SVHN}/svhn/test_32x32.mat", nan_pixels),
        ("truncated npz", "pair_digits --set digits", "data/prepared/digits.npz", cut),
        ("too few images", "pair_digits --set digits", "data/prepared/digits.npz", one_digit),
        ("label out of range", "pair_digits --set digits", "data/prepared/digits.npz", digit_ten),
        ("truncated npz", "prepare_images --set birds", "data/raw/birds/birds.npz", cut),
        ("truncated gzip", "prepare_images --set cub", f"data/raw/cub/{cub.CAPTIONS}", cut),
        ("truncated JPEG", "prepare_images --set cub", f"data/raw/cub/{cub.IMAGES}", half_photograph),
        ("captions miscounted", "prepare_captions --set birds", "data/raw/birds/birds.npz", nine_bird_captions),
        ("captions miscounted", "prepare_captions --set cub", f"data/raw/cub/{cub.CAPTIONS}", nine_captions),
        ("wrong type", "prepare_captions --set cub", "data/pixels/cub.npz", numbers_as_names),
    ],
)
def test_stages_make_nothing_of_it(project, fault, what, command, path, spoil):
    output, content = project / MAKES[command], (project / path).read_bytes()
    whole = output.read_bytes()
    output.unlink()
    spoil(project / path)
    with fault(f"data: {what}"):
        refused(lambda: call_stage(project, command), path.removesuffix(".npz"), ".")
        assert [left.name for left in output.parent.iterdir() if output.stem in left.name] == []
        (project / path).write_bytes(content)
        call_stage(project, command)
        assert output.read_bytes() == whole


def test_a_stage_ends_with_one_line(project, fault):
    path = project / "data/prepared/digits.npz"
    content = path.read_bytes()
    cut(path)
    with fault("data: truncated npz"):
        command = [sys.executable, "-m", "stages.pair_digits", "--set", "digits"]
        environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("FileError: data/prepared/digits.npz cannot be read")
        assert done.stderr.count("\n") == 1
    path.write_bytes(content)
