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
from small_files import DIGITS, SHAPES, bird_arrays, digit_arrays
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
        ("array missing", {"test/labels": None}, "has no 'test/labels'"),
        ("pickled array", {"test/labels": np.array([None] * DIGITS)}, "cannot be read as arrays"),
    ],
)
def test_embedded_digits(tmp_path, fault, what, change, message):
    for name, shape in SHAPES.items():
        write_arrays(tmp_path / f"{name}.npz", digit_arrays(shape))
    digits.read_raw(tmp_path)
    path = tmp_path / "plates.npz"
    write_changed(path, change)
    with fault(f"data: {what}"):
        refused(lambda: digits.read_raw(tmp_path), path, message)


def test_embedded_birds(tmp_path, fault):
    path = tmp_path / birds.FILE
    write_arrays(path, bird_arrays())
    with fault("data: photographs missing"):
        refused(lambda: birds.read_attributes(tmp_path, ["train/0000", "test/0004"]), path, "has no 'test/0004'")
    write_changed(path, {"train/captions": None})
    with fault("data: array missing"):
        refused(lambda: birds.read_captions(tmp_path, ["train/0000"]), path, "has no 'train/captions'")


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
    for name, shape in SHAPES.items():
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


def nan_pixels(path):
    write_svhn(path.parent, "test", X=np.full((32, 32, 3, 200), np.nan))


def half_photograph(path):
    write_cub(path.parents[1], images={PHOTO: members()[0][PHOTO][:-9]})


def nine_captions(path):
    write_cub(path.parents[1], captions={CAPTION: b"a\n" * 9})


@pytest.mark.parametrize(
    ("what", "command", "path", "spoil"),
    [
        ("truncated npz", "prepare_digits --set digits", "data/raw/digits/plates.npz", cut),
        ("truncated gzip", "prepare_digits --set mnist_svhn", f"{MNIST_SVHN}/mnist/t10k-labels-idx1-ubyte.gz", cut),
        ("truncated mat", "prepare_digits --set mnist_svhn", f"{MNIST_SVHN}/svhn/train_32x32.mat", cut),
        ("NaN pixels", "prepare_digits --set mnist_svhn", f"{MNIST_SVHN}/svhn/test_32x32.mat", nan_pixels),
        ("truncated npz", "pair_digits --set digits", "data/prepared/digits.npz", cut),
        ("truncated npz", "prepare_images --set birds", "data/raw/birds/birds.npz", cut),
        ("truncated gzip", "prepare_images --set cub", f"data/raw/cub/{cub.CAPTIONS}", cut),
        ("truncated JPEG", "prepare_images --set cub", f"data/raw/cub/{cub.IMAGES}", half_photograph),
        ("captions miscounted", "prepare_captions --set cub", f"data/raw/cub/{cub.CAPTIONS}", nine_captions),
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
