"""Arrays that are whole, but not what a stage needs."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from tampered import refusal
from toys import write_digit_noise

from mmvae import files
from mmvae.data.prepared import CAPTIONS, FEATURES, PIXELS, CaptionedPairs, LabelledPairs
from mmvae.evaluation import correlation
from stages import fit_cca

CPU = torch.device("cpu")


def write_birds(folder: Path) -> None:
    rng = np.random.default_rng(0)
    words = {"train/tokens": rng.integers(0, 9, (40, 32), np.int32), "vocabulary": np.array(list("abcdefghi"))}
    words["train/tokens"][0, 0] = 8
    files.write_arrays(folder / f"data/{CAPTIONS}/birds.npz", words)
    photographs = {f"train/{kind}": rng.random((4, 6), np.float32) for kind in ("photographs", "pixels")}
    files.write_arrays(folder / f"data/{FEATURES}/birds.npz", photographs)
    pictures = {"train/pixels": rng.integers(0, 256, (4, 3, 64, 64), np.uint8), "train/names": np.array(list("wxyz"))}
    files.write_arrays(folder / f"data/{PIXELS}/birds.npz", pictures)


def read_digits():
    pairs = LabelledPairs("digits", CPU)
    values, digits = pairs.first_pass("train")
    return [*values.values(), *pairs.split("train", ("handwritten",)).index.values(), digits]


def read_birds():
    pairs = CaptionedPairs("birds", CPU)
    for image in (FEATURES, PIXELS):
        pairs.split("train", (CAPTIONS, image))
        pairs.features("train", image)
    return pairs.described("train")


DAMAGES = {
    "missing": lambda array: None,
    "of another type": lambda array: array.astype(np.float64) if array.dtype.kind in "ui" else array.astype("S9"),
    "of another shape": lambda array: array[None],
    "half as long": lambda array: array[: len(array) // 2],
    "out of range": lambda array: array + 1000,
}
NEEDED = {
    (write_digit_noise, read_digits): {
        "data/prepared/digits.npz": ["handwritten/train/values", "handwritten/train/labels", "plates/train/values"],
        "data/pairs/digits.npz": ["train/handwritten", "train/plates", "train/first_pass"],
    },
    (write_birds, read_birds): {
        f"data/{CAPTIONS}/birds.npz": ["train/tokens", "vocabulary"],
        f"data/{FEATURES}/birds.npz": ["train/photographs", "train/pixels"],
        f"data/{PIXELS}/birds.npz": ["train/pixels", "train/names"],
    },
}
CASES = [
    (write, read, path, key, damage)
    for (write, read), keys in NEEDED.items()
    for path, needed in keys.items()
    for key in needed
    for damage in DAMAGES
    if damage != "half as long" or (key not in ("train/first_pass", "train/pixels") or PIXELS in path)
    if damage != "out of range" or key in ("train/handwritten", "train/plates", "train/first_pass", "train/tokens")
]


@pytest.mark.parametrize(("write", "read", "path", "key", "damage"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_arrays_that_are_not_what_a_stage_needs(write, read, path, key, damage, tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    read()
    arrays = dict(files.read_arrays(path))
    arrays[key] = DAMAGES[damage](arrays[key])
    files.write_arrays(path, {name: array for name, array in arrays.items() if array is not None})
    with fault(f"arrays: one {damage}"):
        message = refusal(read, path)
        assert message.endswith("remove it and run `dvc repro`")
        assert damage in ("half as long", "out of range") or key in message


@pytest.mark.parametrize("key", ["train/photographs", "train/pixels", "train/tokens"])
def test_canonical_correlations_of_images_and_captions_that_do_not_belong_together(key, tmp_path, monkeypatch, fault):
    """Half of the captions for the same images would pass for five captions each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["fit_cca", "--set", "birds"])
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_birds(tmp_path)
    files.write_arrays("data/fasttext/birds.npz", {"0": np.random.default_rng(1).random((9, 5), np.float32)})
    fit_cca.main()
    Path("data/cca/birds.npz").unlink()
    path = f"data/{CAPTIONS if key == 'train/tokens' else FEATURES}/birds.npz"
    arrays = dict(files.read_arrays(path))
    files.write_arrays(path, arrays | {key: arrays[key][: len(arrays[key]) // 2]})
    with fault("arrays: one half as long"):
        refusal(fit_cca.main, path)
        assert not Path("data/cca/birds.npz").exists()


def test_canonical_correlations_that_are_missing(tmp_path, fault):
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, 9, (60, 32), np.int32)
    judges = correlation.fit(rng.random((60, 4)), tokens, {"0": rng.random((9, 5), np.float32)}, 2)
    stored, path = correlation.arrays(judges, FEATURES), tmp_path / "cca.npz"
    for lost in (*stored, None):
        files.write_arrays(path, {key: array for key, array in stored.items() if key != lost})
        image = FEATURES if lost else PIXELS
        with fault("arrays: one missing"):
            message = refusal(lambda image=image: correlation.from_arrays(files.read_arrays(path), image), path)
            assert (lost or "pixels/") in message
