"""The statistics of gradients: the gradients are those of training, the estimates those of closed forms."""

import math

import numpy as np
import pytest
import torch
from toys import toy_model, toy_pairs

from mmvae import objectives
from studies.estimators import ESTIMATORS, GROUPS
from studies.estimators.gradients import Gradients, Moments, gradients

PARTICLES, BATCH = 5, 8


def noise_for(model, generator):
    return model.noise(list(model.modalities), PARTICLES, BATCH, generator)


@pytest.mark.parametrize("bound", ["loose", "tight"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_gradients_are_those_of_the_training_objective(name, bound, generator):
    model, x = toy_model(), toy_pairs().batch(slice(0, BATCH))
    noise = noise_for(model, generator)
    found = gradients(model, x, noise, bound)
    objectives.importance_weighted(model, x, noise, model.posterior(x), name, bound, None).surrogate.backward()
    for modality in x:
        expected = torch.cat([p.grad.flatten() for p in model.modalities[modality].encoder.parameters()]) / BATCH
        torch.testing.assert_close(found.encoders[name][modality], expected, rtol=1e-4, atol=1e-5)


def test_squares_are_of_single_pairs(generator):
    """Of each pair by itself, with the posterior's parameters as leaves."""
    model, x = toy_model(), toy_pairs().batch(slice(0, BATCH))
    noise = noise_for(model, generator)
    found = gradients(model, x, noise, "loose", ("iwae",)).squares["iwae"]
    for pair in range(2):
        posterior = model.posterior({name: value[pair : pair + 1] for name, value in x.items()}).detach()
        loc, scale = posterior.experts.loc.requires_grad_(), posterior.experts.scale.requires_grad_()
        z = posterior.place(noise[:, :, pair : pair + 1])
        rows = {name: value[pair].expand(2 * PARTICLES, *value.shape[1:]) for name, value in x.items()}
        log_weights = model.log_joint(rows, z.flatten(0, 2)).view(2, PARTICLES, 1) - posterior.log_prob(z)
        objectives.bound_value(log_weights, "iwae", "loose").sum().backward()
        squares = (loc.grad.square() + scale.grad.square()).sum(-1)[:, 0]
        for modality, expected in zip(x, squares, strict=True):
            assert float(found[modality][pair]) == pytest.approx(float(expected), rel=1e-3)


def summary_of(shift: float, noise: float, weights: int = 400, batches: int = 300) -> dict:
    """Of gradients that are one everywhere, with noise; `other` is shifted and has more noise of its own."""
    rng, moments = np.random.default_rng(0), Moments()
    for _ in range(batches):
        plain = 1 + rng.normal(0, noise, weights)
        other = plain + shift + rng.normal(0, noise, weights)
        squares = {name: {"a": torch.tensor([1.0, 3.0])} for name in ("iwae", "other")}
        encoders = {"iwae": {"a": torch.from_numpy(plain)}, "other": {"a": torch.from_numpy(other)}}
        moments.add(Gradients(encoders, squares, {"a": torch.tensor([1.0, 1.2])}))
    return moments.summary()["a"]


@pytest.mark.parametrize(("shift", "noise"), [(0.0, 2.0), (0.3, 1.0), (0.0, 10.0)])
def test_signal_and_bias_of_gradients_with_known_noise(shift, noise):
    found = summary_of(shift, noise)
    plain, other = found["iwae"], found["other"]
    assert plain["signal"].value == pytest.approx(1 / (1 + noise**2), rel=0.25)
    expected = (1 + shift) ** 2 / ((1 + shift) ** 2 + 2 * noise**2)
    assert other["signal"].value == pytest.approx(expected, rel=0.35)
    assert plain["adam"] == pytest.approx(1 / (1 + noise**2), rel=0.25)
    assert plain["rms"] == pytest.approx(math.sqrt(1 + noise**2), rel=0.1)
    bias = other["squared_bias"]
    assert abs(bias.value - shift**2) < 4 * bias.standard_error
    assert bias.standard_error > 0
    assert plain["squared_bias"] == (0, 0)
    assert other["adam_squared_bias"] == pytest.approx(shift**2, abs=max(0.05, noise**2 / 100))
    assert other["cosine"].value == pytest.approx(1, abs=max(0.1, 5 * other["cosine"].standard_error))


def test_the_standard_error_is_that_of_repetitions():
    """The jackknife's against the deviation of the estimate over independent repetitions."""
    rng = np.random.default_rng(1)
    estimates, errors = [], []
    for _ in range(60):
        moments = Moments()
        for _ in range(5 * GROUPS):
            gradient = torch.from_numpy(1 + rng.normal(0, 2, 30))
            moments.add(Gradients({"iwae": {"a": gradient}}, {"iwae": {"a": torch.ones(1)}}, {"a": torch.ones(1)}))
        signal = moments.summary()["a"]["iwae"]["signal"]
        estimates.append(signal.value)
        errors.append(signal.standard_error)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(estimates), rel=0.35)


def test_tails():
    found = summary_of(0, 1, batches=20)
    assert found["effective_sample_size"] == pytest.approx(1.1)
    assert found["iwae"]["heaviest"] == pytest.approx(3 / 80, rel=1e-6)
    assert not math.isnan(found["other"]["adam"])
