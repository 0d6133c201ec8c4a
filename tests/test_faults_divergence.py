"""A training that diverges says so, nothing else is written, and the number of threads changes next to nothing."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from tampered import refusal, write_unchecked
from toys import untrained_classifiers, write_digit_noise

from mmvae import classifiers, files, models
from mmvae.config import CAPTIONS, DIGIT_SETS, FEATURES
from mmvae.models import ModelConfig
from stages import evaluate

pytestmark = pytest.mark.faults


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


DIVERGING = {
    "MVAE": "stages.train_mvae --set birds --image features",
    "MMVAE": "stages.train_mmvae --set birds --image features",
    "VAE": "stages.train_vae --set birds --image features",
}


@pytest.mark.parametrize("model", DIVERGING)
def test_a_training_that_diverges_says_so(model, stage_server, tmp_path, fault):
    """On features that squares of make infinite."""
    write_birds(write_digit_noise(tmp_path), size=1e38)
    with fault(f"training: {model} diverges"):
        status, output = stage_server.run(tmp_path, f"python -m {DIVERGING[model]} --seed 0")
        (line,) = output.splitlines()
        assert status == 1
        assert line.startswith("TrainingError: ")
        assert " in epoch 1, batch " in line
        assert "Lower the learning rate." in line
        assert not outputs(tmp_path)


def test_mvae_bears_a_learning_rate_of_one(stage_server, tmp_path):
    """Which drives log variances beyond what float32 holds the exponential of; without bounds it ended in nan."""
    write_digit_noise(tmp_path, learning_rate=1.0)
    assert stage_server.run(tmp_path, "python -m stages.train_mvae --set digits --posterior poe --seed 0") == (0, "")
    assert [path.name for path in (tmp_path / "models").rglob("0.safetensors")] == ["0.safetensors"]


@pytest.mark.parametrize("damage", ["NaN in its weights", "no finite likelihood"])
def test_evaluating_a_model_that_gives_no_numbers(damage, tmp_path, monkeypatch, fault):
    monkeypatch.chdir(write_digit_noise(tmp_path))
    monkeypatch.setattr(sys, "argv", ["evaluate", "--set", "digits", "--run", "run", "--seed", "0"])
    model = models.build(ModelConfig("mmvae", DIGIT_SETS["digits"], hidden=16, channels=4))
    weights = model.state_dict() | {"prior_scale_logits": torch.tensor([0.0] + [-1e4] * 19)}  # a prior without width
    path, bias = Path("models/digits/run/0.safetensors"), "modalities.plates.decoder.upconv4.bias"
    told, file = "likelihood.", Path("data/evaluations/digits/run_0.json")
    if damage == "NaN in its weights":
        weights[bias] = torch.tensor([0.0, math.nan, 0.0])
        told, file = bias, path
    path.parent.mkdir(parents=True)
    write_unchecked(path, weights, model.config.as_dict())
    classifiers.save("models/digits/classifiers.safetensors", untrained_classifiers("digits"))
    files.write_csv("plots/digits/curves/run_0.csv", [{"epoch": 1, "pairs": 64}])
    with fault(f"evaluation: {damage}"):
        assert told in refusal(evaluate.main, file)
        assert not list(Path("data").rglob("*.json"))


# Threads divide sums differently, so that the last bits differ, and Adam makes much of gradients that are nothing but
# rounding: weights came out up to 2e-6 apart after 8 updates and 3e-3 after 32, where bounds still agreed to six
# digits and the KL to 4e-4 nats. The same number of threads gives the same bytes.
RELATIVE, ABSOLUTE = 1e-5, 1e-3


def test_another_number_of_threads_gives_the_same_curve_within_a_tolerance(stage_server, tmp_path, fault):
    one, two = (write_digit_noise(tmp_path / threads) for threads in ("one", "two"))
    command = "-m stages.train_mmvae --set digits --bound tight --seed 0"
    assert stage_server.run(one, f"python {command}") == (0, "")
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive", "TQDM_DISABLE": "1"}
    subprocess.run([sys.executable, *command.split()], cwd=two, env=os.environ | own, check=True)
    with fault("training: another number of threads"):
        curves = [files.read_csv(folder / "plots/digits/curves/mmvae_tight_0.csv") for folder in (one, two)]
        for row, other in zip(*curves, strict=True):
            assert other == pytest.approx(row, rel=RELATIVE, abs=ABSOLUTE)
