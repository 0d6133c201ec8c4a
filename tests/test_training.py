"""The training loop: it learns, repeats itself exactly, anneals, and stops at the first non-finite bound."""

import math

import numpy as np
import pytest
import torch

from mmvae import objectives, training
from mmvae.batches import shuffled_batches
from mmvae.data.pairs import Pairs
from mmvae.models import ModelConfig, build, load, save

KINDS = {"a": "grey", "b": "colour"}
BUDGET = training.Budget(epochs=2, pairs_per_epoch=96, batch_size=16, learning_rate=1e-3)


def data(pairs: int = 64) -> Pairs:
    rng = np.random.default_rng(0)
    images = {
        "a": rng.integers(0, 256, (8, 1, 28, 28), np.uint8),
        "b": rng.integers(0, 256, (8, 3, 32, 32), np.uint8),
    }
    index = {name: rng.integers(0, 8, pairs, np.int32) for name in images}
    return Pairs(images, index, torch.device("cpu"))


def model(kind: str = "mmvae", **choices) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(ModelConfig(kind, KINDS, latents=4, hidden=16, channels=4, **choices))


def fit(trained, loss, budget=BUDGET):
    return training.train(trained, loss, data(), data(40), budget, seed=0, particles=3, title="a run")


LOSSES = [
    ("mmvae", training.importance_weighted_loss("dreg_mixture", "tight", 3)),
    ("mmvae", training.importance_weighted_loss("importance_elbo", "loose", 1)),
    ("mvae", training.subsampled_elbo_loss(0.4)),
]


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
def test_same_seed_same_weights_and_a_rising_bound(kind, loss):
    first, second = model(kind), model(kind)
    curve = fit(first, loss)
    assert curve == fit(second, loss)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [row["pairs"] for row in curve] == [96, 192]
    assert curve[1]["bound_train"] > curve[0]["bound_train"]


def test_the_curve_says_what_it_measured():
    row = fit(model(), LOSSES[0][1])[-1]
    assert set(row) == {
        *("epoch", "pairs", "bound_train", "bound_validation", "ess"),
        *("kl_a", "kl_b", "share_a", "share_b"),
    }
    assert row["share_a"] + row["share_b"] == pytest.approx(1, abs=1e-5)
    assert 1 <= row["ess"] <= 3
    assert row["kl_a"] > 0


def test_a_non_finite_bound_stops_training_and_says_where():
    calls = []

    def loss(trained, x, generator, progress):
        estimate = LOSSES[0][1](trained, x, generator, progress)
        calls.append(progress)
        bound = estimate.bound if len(calls) < 4 else estimate.bound * math.nan
        return objectives.Estimate(bound, estimate.surrogate)

    with pytest.raises(
        training.TrainingError, match=r"a run: the bound is nan in epoch 1, batch 4 of 6.*-\d+\.\d+ nats"
    ):
        fit(model(), loss)


def test_annealing_follows_progress(monkeypatch):
    seen = []
    monkeypatch.setattr(objectives, "subsampled_elbo", lambda *_: seen.append(_[-1]))
    loss = training.subsampled_elbo_loss(0.4)
    for progress in (0.0, 0.1, 0.4, 0.9):
        loss(None, {}, None, progress)
    training.subsampled_elbo_loss(0.0)(None, {}, None, 0.0)
    assert seen == pytest.approx([0, 0.25, 1, 1, 1])


def test_batches_pass_over_everything_before_repeating():
    batches = torch.stack(list(shuffled_batches(10, 4, 5, torch.Generator().manual_seed(0))))
    assert sorted(batches.flatten()[:10].tolist()) == sorted(batches.flatten()[10:].tolist()) == list(range(10))


def test_pairs_are_images_over_255():
    pairs = data()
    batch = pairs.batch(torch.tensor([3, 5]))
    expected = pairs.images["b"][pairs.index["b"][5]].float() / 255
    torch.testing.assert_close(batch["b"][1], expected)
    assert batch["a"].shape == (2, 1, 28, 28)


@pytest.mark.parametrize("kind", ["mmvae", "mvae"])
def test_a_saved_model_is_the_same_model(kind, tmp_path):
    trained = model(kind, likelihood_scale=0.5)
    path = tmp_path / "0.safetensors"
    save(path, trained)
    loaded = load(path)
    assert loaded.config == trained.config
    z = torch.randn(3, 4)
    torch.testing.assert_close(loaded.mean("b", z), trained.mean("b", z), rtol=0, atol=0)
