"""A training that diverges says so, and nothing is written."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tampered import refusal, write_unchecked
from toys import toy_model, untrained_classifiers, write_digit_noise

from mmvae import files, registry
from mmvae.data.prepared import CAPTIONS, FEATURES
from mmvae.evaluation import classifiers
from mmvae.training.loop import TrainingError
from stages import evaluate, train


def write_birds(folder: Path, size: float) -> Path:
    """Captions, and features of that size."""
    rng = np.random.default_rng(0)
    words, features = {"vocabulary": np.array(list("abcdefghi"))}, {}
    for split in ("train", "validation"):
        words[f"{split}/tokens"] = rng.integers(0, 9, (200, 32), np.int32)
        features[f"{split}/photographs"] = (size * rng.standard_normal((20, 6))).astype(np.float32)
    files.write_arrays(folder / f"data/{CAPTIONS}/birds.npz", words)
    files.write_arrays(folder / f"data/{FEATURES}/birds.npz", features)
    return folder


def outputs(folder: Path) -> list[str]:
    return [str(path) for name in ("models", "plots", "metrics") for path in (folder / name).rglob("*")]


@pytest.mark.parametrize("run", ["mvae_features", "mmvae_features", "vae_features"])
def test_a_training_that_diverges_says_so(run, tmp_path, monkeypatch, fault):
    """On features that squares of make infinite."""
    monkeypatch.chdir(write_birds(write_digit_noise(tmp_path), size=1e38))
    monkeypatch.setattr(sys, "argv", ["train", "--set", "birds", "--run", run, "--seed", "0"])
    with fault(f"training: {run} diverges"):
        with pytest.raises(TrainingError) as error:
            train.main()
        line = str(error.value)
        assert "\n" not in line
        assert " in epoch 1, batch " in line
        assert "Lower the learning rate." in line
        assert not outputs(tmp_path)


def test_mvae_bears_a_learning_rate_of_one(tmp_path, monkeypatch):
    """Which drives log variances beyond what float32 holds the exponential of; without bounds it ended in nan."""
    monkeypatch.chdir(write_digit_noise(tmp_path, learning_rate=1.0))
    monkeypatch.setattr(sys, "argv", ["train", "--set", "digits", "--run", "mvae", "--seed", "0"])
    train.main()
    assert [path.name for path in (tmp_path / "models").rglob("0.safetensors")] == ["0.safetensors"]


@pytest.mark.parametrize("damage", ["NaN in its weights", "a prior without width"])
def test_evaluating_a_model_that_gives_no_numbers(damage, tmp_path, monkeypatch, fault):
    monkeypatch.chdir(write_digit_noise(tmp_path))
    monkeypatch.setattr(sys, "argv", ["evaluate", "--set", "digits", "--run", "run", "--seed", "0"])
    model = toy_model("mmvae", registry.find("datasets", "digits").MODALITIES, 20)
    weights = model.state_dict() | {"prior_scale_logits": torch.tensor([0.0] + [-1e4] * 19)}
    path, bias = Path("models/digits/run/0.safetensors"), "modalities.plates.decoder.upconv4.bias"
    told, file = ").value is nan; only finite numbers are written", Path("data/evaluations/digits/run_0.csv")
    if damage == "NaN in its weights":
        weights[bias] = torch.tensor([0.0, math.nan, 0.0])
        told, file = bias, path
    path.parent.mkdir(parents=True)
    write_unchecked(path, weights, model.config.as_dict())
    classifiers.save("models/digits/classifiers.safetensors", untrained_classifiers("digits"), 8)
    files.write_csv("plots/digits/curves/run_0.csv", [{"epoch": 1, "pairs": 64}])
    with fault(f"evaluation: {damage}"):
        assert told in refusal(evaluate.main, file)
        assert not list(Path("data").rglob("run_0.csv"))
