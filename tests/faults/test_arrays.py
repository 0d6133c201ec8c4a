"""Arrays that are whole, but not what a stage needs."""

import numpy as np
import pytest
import torch
from tampered import refusal
from toys import write_digit_noise

from mmvae import files
from mmvae.data.prepared import FEATURES, PIXELS, LabelledPairs
from mmvae.evaluation import correlation
from mmvae.evaluation.cca import CcaSettings, Ridge

PLAIN = CcaSettings(components=2, ridge=Ridge(image=0.0, sentence=0.0))
PREPARED = "data/prepared/digits.npz"
VALUES = "handwritten/train/values"


@pytest.mark.parametrize(
    ("path", "key", "damage", "what"),
    [
        (PREPARED, VALUES, None, "missing"),
        (PREPARED, "handwritten/train/labels", None, "missing"),
        ("data/pairs/digits.npz", "train/plates", None, "missing"),
        ("data/pairs/digits.npz", "train/first_pass", None, "missing"),
        (PREPARED, VALUES, lambda array: array.astype(np.float64), "of another type"),
        (PREPARED, VALUES, lambda array: array[None], "of another shape"),
    ],
)
def test_arrays_that_are_not_what_a_stage_needs(path, key, damage, what, tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    write_digit_noise(tmp_path)
    LabelledPairs("digits", torch.device("cpu")).first_pass("train")
    arrays = dict(files.read_arrays(path))
    lost = arrays.pop(key)
    files.write_arrays(path, arrays | ({key: damage(lost)} if damage else {}))
    with fault(f"arrays: one {what}"):
        message = refusal(lambda: LabelledPairs("digits", torch.device("cpu")).first_pass("train"), path)
        assert message.endswith("remove it and run `dvc repro`") and key in message


def test_canonical_correlations_that_are_missing(tmp_path, fault):
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, 9, (60, 32), np.int32)
    judges = correlation.fit(rng.random((60, 4)), tokens, {"0": rng.random((9, 5), np.float32)}, PLAIN)
    stored, path = correlation.arrays(judges, FEATURES), tmp_path / "cca.npz"
    for lost in (*stored, None):
        files.write_arrays(path, {key: array for key, array in stored.items() if key != lost})
        image = FEATURES if lost else PIXELS
        with fault("arrays: one missing"):
            message = refusal(lambda image=image: correlation.from_arrays(files.read_arrays(path), image), path)
            assert (lost or "pixels/") in message
