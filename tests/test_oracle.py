"""Objectives, gradients, estimators, posteriors and decoders against the reference numbers, in float64."""

import numpy as np
import pytest
import torch
from conftest import SHARED

from mmvae import objectives
from mmvae.distributions import Mixture
from mmvae.metrics.digits.likelihood import Samples
from mmvae.model import ModelConfig, build
from mmvae.models.mvae import subsampled_elbo
from mmvae.objectives import Screen

ORACLE = SHARED / "oracle"
RELATIVE = 1e-9
NAMES = ("mnist", "svhn")

pytestmark = pytest.mark.skipif(
    not (ORACLE / "mnist_svhn_objectives.npz").exists(),
    reason=f"the reference numbers are not at {ORACLE} (MMVAE_SHARED names the folder that holds oracle/): they are of "
    "real images, which may not be committed; test_objectives.py and test_screening.py need none",
)


@pytest.fixture(scope="module")
def oracle():
    with np.load(ORACLE / "mnist_svhn_objectives.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key], dtype=np.float64)) for key in file}


@pytest.fixture
def model(oracle):
    model = build(ModelConfig("mmvae", {"mnist": "grey", "svhn": "colour"})).double()
    state = {"prior_scale_logits": oracle["weight/prior/scale_logits"][0]}
    for key, value in oracle.items():
        if key.startswith("weight/m") or key.startswith("weight/s"):
            state["modalities." + key.removeprefix("weight/").replace("/", ".")] = value
    model.load_state_dict(state)
    return model


@pytest.fixture
def pair(oracle):
    return {name: oracle[f"input/{name}"] for name in NAMES}


@pytest.fixture
def noise(oracle):
    return torch.stack([oracle[f"noise/{name}"] for name in NAMES])


def oracle_name(parameter: str) -> str:
    return parameter.removeprefix("modalities.").replace(".", "/").replace("prior_scale_logits", "prior/scale_logits")


def assert_gradients(model, oracle, objective):
    """Norm and two projections of every parameter's gradient."""
    checked = 0
    for parameter, value in model.named_parameters():
        expected = oracle[f"grad/{objective}/{oracle_name(parameter)}"]
        gradient = torch.zeros_like(value) if value.grad is None else value.grad
        flat = gradient.reshape(-1)
        i = torch.arange(len(flat), dtype=torch.float64)
        actual = torch.stack([flat.norm(), flat @ i.cos(), flat @ (1 + i / 7).sin()])
        torch.testing.assert_close(actual, expected, rtol=RELATIVE, atol=RELATIVE * float(expected[0]), msg=parameter)
        checked += 1
    assert checked == 29


def test_posteriors_prior_and_decoders(model, oracle, pair):
    for name in NAMES:
        expert = model.expert(name, pair[name])
        torch.testing.assert_close(expert.loc, oracle[f"posterior/{name}/loc"], rtol=RELATIVE, atol=0)
        torch.testing.assert_close(expert.scale, oracle[f"posterior/{name}/scale"], rtol=RELATIVE, atol=0)
        mean = model.decode(name, oracle[f"decode/{name}/z"])
        torch.testing.assert_close(mean, oracle[f"decode/{name}/mean"], rtol=RELATIVE, atol=0)
    torch.testing.assert_close(model.prior().scale, oracle["prior/scale"][0], rtol=RELATIVE, atol=0)


def test_log_weights(model, oracle, pair, noise):
    posterior = model.posterior(pair)
    log_weights = model.log_weights(pair, posterior.place(noise), posterior)
    torch.testing.assert_close(log_weights, oracle["value/log_weights"], rtol=RELATIVE, atol=0)


@pytest.mark.parametrize("screen", [None, Screen(minimum_weight=0)], ids=["dense", "screened"])
@pytest.mark.parametrize("bound", ["loose", "tight"])
@pytest.mark.parametrize(("objective", "key"), [("iwae", "iwae"), ("stl_iwae", "stl"), ("dreg_iwae", "dreg")])
def test_importance_weighted(model, oracle, pair, noise, objective, key, bound, screen):
    posterior = model.posterior(pair)
    estimate = objectives.importance_weighted(model, pair, noise, posterior, objective, bound, screen)
    reported = estimate.bound.sum() if objective == "iwae" else estimate.surrogate.detach()
    torch.testing.assert_close(reported, oracle[f"value/{key}_{bound}"], rtol=RELATIVE, atol=0)
    torch.testing.assert_close(estimate.bound.sum(), oracle[f"value/iwae_{bound}"], rtol=RELATIVE, atol=0)
    estimate.surrogate.backward()
    assert_gradients(model, oracle, f"{key}_{bound}")


def test_elbo(model, oracle, pair, noise):
    posterior = model.posterior(pair)
    estimate = objectives.importance_weighted(model, pair, noise[:, :1], posterior, "elbo", "loose")
    torch.testing.assert_close(estimate.bound.sum(), oracle["value/elbo_moe"], rtol=RELATIVE, atol=0)
    estimate.surrogate.backward()
    assert_gradients(model, oracle, "elbo_moe")


def test_importance_elbo(model, oracle, pair, noise):
    estimate = objectives.importance_elbo(model, pair, noise[:, :1], model.posterior(pair))
    torch.testing.assert_close(estimate.bound.sum(), oracle["value/elbo_importance"], rtol=RELATIVE, atol=0)
    estimate.surrogate.backward()
    assert_gradients(model, oracle, "elbo_importance")


def test_elbo_of_experts(model, oracle, pair, noise):
    estimate = subsampled_elbo(model, pair, [(list(NAMES), noise[:, :1])], torch.ones(()))
    torch.testing.assert_close(estimate.surrogate.detach(), oracle["value/elbo_naive"], rtol=RELATIVE, atol=0)
    estimate.surrogate.backward()
    assert_gradients(model, oracle, "elbo_naive")


def with_noise(model, monkeypatch, noise):
    """Posterior samples come from the reference noise, by modality, instead of a generator."""
    monkeypatch.setattr(
        Mixture, "noise", lambda self, *_: torch.stack([noise[NAMES.index(name)] for name in self.names])
    )


def test_likelihood_estimators(model, oracle, pair, noise, monkeypatch):
    with_noise(model, monkeypatch, noise)
    both = Samples.draw(model, pair, 5, torch.Generator())
    scaled = both.joint({name: model.modalities[name].scaling for name in NAMES})
    torch.testing.assert_close(scaled.sum(), oracle["likelihood/joint_scaled"], rtol=RELATIVE, atol=0)
    for name in NAMES:
        expected = oracle[f"likelihood/{name}_from_both"]
        torch.testing.assert_close(both.from_mixture(name).sum(), expected, rtol=RELATIVE, atol=0)
        for expert in NAMES:
            expected = oracle[f"likelihood/{name}_from_{expert}"]
            torch.testing.assert_close(both.of(expert).from_mixture(name).sum(), expected, rtol=RELATIVE, atol=0)
