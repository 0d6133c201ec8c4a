"""Latent accuracy, coherence and likelihoods on models whose answers are known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from mmvae import classifiers
from mmvae.distributions import Laplace, Mixture, Normal
from mmvae.evaluation import coherence, generation, latent_accuracy, likelihood
from mmvae.models import ModelConfig, build


class Digits(nn.Module):
    """Latents and images are a digit: z = digit, an image is constant digit / 10; `plates` add one to it."""

    def __init__(self, width: float = 1e-3):
        super().__init__()
        self.modalities = nn.ModuleDict({"mnist": nn.Identity(), "plates": nn.Identity()})
        self.width = width

    def prior(self):
        return Normal(torch.full((1,), 4.0), torch.full((1,), 1e-3))

    def posterior(self, x):
        return Mixture.of(
            {name: Normal(10 * image[:, 0, 0], torch.full((len(image), 1), self.width)) for name, image in x.items()}
        )

    def decode(self, name, z):
        digit = (z.round() + (name == "plates")) % 10
        return (digit / 10)[:, None, None].expand(-1, 1, 4, 4)


class Reader(nn.Module):
    def forward(self, image):
        return nn.functional.one_hot((10 * image[:, 0, 0, 0]).round().long(), 10).float()


def images(digits: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(digits / 10).float()[:, None, None, None].expand(-1, 1, 4, 1)


def test_coherence_of_a_model_that_adds_one():
    labels = np.arange(200) % 10
    test = {"mnist": images(labels), "plates": images(labels)}
    judges = {"strong": {"mnist": Reader(), "plates": Reader()}}
    rates = coherence.coherence(Digits(), test, labels, judges, 100, seed=0)["strong"]
    assert rates["reconstruction"] == {"mnist": 1.0, "plates": 0.0}
    assert rates["cross"] == {"mnist_to_plates": 0.0, "plates_to_mnist": 1.0}
    assert rates["joint"] == rates["joint_by_chance"] == 0.0
    assert rates["entropy"] == {"mnist": 0.0, "plates": 0.0}
    assert rates["from_both"] == {"mnist": 1.0, "plates": 0.0}


def test_entropy():
    assert coherence.entropy(np.arange(10)) == pytest.approx(math.log(10))
    assert coherence.entropy(np.array([3, 3, 3])) == 0
    assert coherence.entropy(np.array([0, 0, 1, 1])) == pytest.approx(math.log(2))


def test_agreement_by_chance_is_that_of_shuffled_collections():
    rng = np.random.default_rng(0)
    first, second = (rng.choice(10, 1_000_000, p=rng.dirichlet(np.ones(10))) for _ in range(2))
    expected = np.mean(first == rng.permutation(second))
    assert coherence.chance_agreement([first, second]) == pytest.approx(expected, abs=0.002)
    assert coherence.chance_agreement([np.array([3]), np.array([3])]) == 1


def test_latent_accuracy_of_separable_latents():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400) * 5

    def x(digits):
        return {"mnist": images(digits), "plates": images(np.zeros_like(digits))}

    result = latent_accuracy.latent_accuracy(Digits(), x(labels), labels, x(labels[:100]), labels[:100], seed=0)
    majority = max(np.mean(labels[:100] == 0), np.mean(labels[:100] == 5))
    assert result["single"]["mnist"] == {"samples": 1.0, "means": 1.0}
    assert result["single"]["plates"]["samples"] <= majority
    assert result["both"]["means"] == 1.0
    assert result["majority"] == np.mean(labels[:100] == np.bincount(labels).argmax())


def test_majority_share_is_of_the_training_majority():
    assert latent_accuracy.majority_share(np.array([1, 1, 2]), np.array([1, 2, 2, 2])) == 0.25


class Gaussian(nn.Module):
    """Two observations of one latent with Gaussian noise: every likelihood is known in closed form."""

    def __init__(self):
        super().__init__()
        self.modalities = nn.ModuleDict({"a": nn.Identity(), "b": nn.Identity()})
        for modality in self.modalities.values():
            modality.scaling = 2.0

    def prior(self):
        return Normal(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))

    def posterior(self, x):
        return Mixture.of({name: Normal(0.5 * value, torch.full_like(value, 0.9)) for name, value in x.items()})

    def scores(self, x, z):
        return {name: Normal(z, torch.ones_like(z)).log_prob(value.expand_as(z)) for name, value in x.items()}


def closed_forms(model):
    """What 20,000 samples a pair give, and the truth, log p(a), log p(b) and log p(a, b) of each pair.

    p(a) = N(0, 2); p(a, b) has variances 2 and covariance 1.
    """
    generator = torch.Generator().manual_seed(1)
    x = {name: torch.randn(30, 1, generator=generator, dtype=torch.float64) for name in "ab"}
    alone = torch.distributions.Normal(0.0, math.sqrt(2))
    joint = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.tensor([[2.0, 1], [1, 2]]).double())
    marginals = {name: alone.log_prob(x[name]) for name in "ab"}
    return likelihood.likelihoods(model, x, 20_000, seed=0), marginals, joint.log_prob(torch.cat([x["a"], x["b"]], 1))


def test_likelihoods_equal_the_closed_forms():
    result, marginals, joint = closed_forms(Gaussian())
    expected = {name: values.mean().item() for name, values in marginals.items()}
    expected_joint = joint.mean().item()
    assert result["joint"]["mean"] == pytest.approx(expected_joint, abs=5e-3)
    for given in "ab":
        for name in "ab":
            assert result[f"from_{given}"][name]["mean"] == pytest.approx(expected[name], abs=2e-2)
    for name in "ab":
        assert result["from_both"][name]["mean"] == pytest.approx(expected[name], abs=5e-3)
        assert result["from_both_equal_budget"][name]["mean"] == pytest.approx(expected[name], abs=1e-2)
    synergy = expected_joint - sum(expected.values())
    assert result["synergy"]["mean"] == pytest.approx(synergy, abs=1e-2)
    assert result["conditional"]["a_given_b"]["mean"] == pytest.approx(expected_joint - expected["b"], abs=1e-2)
    errors = joint.std().item() / math.sqrt(30)
    assert result["joint"]["standard_error"] == pytest.approx(errors, rel=0.02)
    assert result["joint_scaled"]["mean"] < result["joint"]["mean"]


class Product(Gaussian):
    """Its posteriors given one observation are exact; the product of two, far too narrow to say anything of one."""

    def posterior(self, x):
        scale = math.sqrt(0.5) if len(x) == 1 else 0.05
        loc = sum(x.values()) / (len(x) + 1)
        return Mixture.of({"product": Normal(loc, torch.full_like(loc, scale))})


def test_synergy_of_a_product_is_not_that_of_its_proposal():
    result, marginals, joint = closed_forms(Product())
    expected = (joint[:, None] - marginals["a"] - marginals["b"]).mean().item()
    assert result["synergy"]["mean"] == pytest.approx(expected, abs=1e-2)
    for name, values in marginals.items():
        assert result[f"from_{name}"][name]["mean"] == pytest.approx(values.mean().item(), abs=1e-6)
        assert result["from_both"][name]["mean"] < values.mean().item() - 0.05
    of_one_proposal = result["joint"]["mean"] - sum(result["from_both"][name]["mean"] for name in "ab")
    assert of_one_proposal > expected + 0.1


def test_one_modality_has_one_likelihood():
    model = Gaussian()
    del model.modalities["b"]
    x = {"a": torch.zeros(4, 1, dtype=torch.float64)}
    assert set(likelihood.likelihoods(model, x, 10, seed=0)) == {"from_a"}


def small(model="mmvae", modalities=None, **choices):
    torch.manual_seed(0)
    kinds = modalities or {"a": "grey", "b": "colour"}
    return build(ModelConfig(model, kinds, latents=4, hidden=16, channels=4, **choices)).eval()


@pytest.mark.parametrize("model", [small(), small("mvae", posterior="poe"), small("mvae", posterior="moe")])
def test_any_subset_of_the_modalities_can_be_given(model, generator):
    x = {"a": torch.rand(3, 1, 28, 28), "b": torch.rand(3, 3, 32, 32)}
    for given in (["a"], ["b"], ["a", "b"]):
        z = model.posterior({name: x[name] for name in given}).sample_one(generator)
        assert z.shape == (3, 4)
        assert model.decode("b", z).shape == (3, 3, 32, 32)


def test_scores_do_not_depend_on_how_they_are_cut():
    model = small()
    z, x = torch.randn(7, 5, 4), torch.rand(5, 3, 32, 32)
    modality = model.modalities["b"]
    whole = modality.log_likelihood(z.flatten(0, 1), x.repeat(7, 1, 1, 1)).view(7, 5)
    for rows in (1, 11, 1000):
        torch.testing.assert_close(modality.score(z, x, rows), whole, rtol=1e-5, atol=1e-3)


def test_traversal_moves_one_latent_by_prior_deviations():
    model = small()
    x = {"a": torch.rand(1, 1, 28, 28), "b": torch.rand(1, 3, 32, 32)}
    moved = generation.traverse(model, x, "a", 11)
    assert moved["b"].shape == (4, 11, 3, 32, 32)
    centre = model.posterior({"a": x["a"]}).experts.loc[0]
    shifted = centre.clone()
    shifted[0, 2] += 5 * model.prior().std[2]
    expected = model.decode("b", shifted).detach().numpy()[0]
    np.testing.assert_allclose(moved["b"][2, -1], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(moved["b"][0, 5], moved["b"][3, 5], rtol=1e-4, atol=1e-6)


def test_divergences_are_those_of_the_posteriors():
    model = small()
    x = {"a": torch.rand(6, 1, 28, 28), "b": torch.rand(6, 3, 32, 32)}
    to_prior, between = generation.divergences(model, x)
    a, b = (model.expert(name, x[name]) for name in "ab")
    known = [torch.distributions.Laplace(expert.loc, expert.scale) for expert in (a, b)]
    prior = torch.distributions.Laplace(model.prior().loc, model.prior().scale)
    expected = torch.distributions.kl_divergence(known[0], prior).mean(0).detach().numpy()
    np.testing.assert_allclose(to_prior["a"], expected, rtol=1e-4, atol=1e-6)
    both = [torch.distributions.kl_divergence(known[i], known[1 - i]).mean(0) for i in range(2)]
    np.testing.assert_allclose(between["a", "b"], (sum(both) / 2).detach().numpy(), rtol=1e-4, atol=1e-6)
    assert isinstance(a, Laplace)


def test_prior_draws_and_cross_generation(generator):
    model = small("mvae", posterior="poe", likelihood="bernoulli")
    drawn = generation.from_prior(model, 5, 9, generator)
    mean, samples = drawn["b"]
    assert mean.shape == (5, 3, 32, 32)
    assert samples.shape == (5, 9, 3, 32, 32)
    assert set(np.unique(samples)) <= {0.0, 1.0}
    x = {"a": torch.rand(2, 1, 28, 28), "b": torch.rand(2, 3, 32, 32)}
    assert {name: array.shape for name, array in generation.across(model, x, "a", generator).items()} == {
        "a": (2, 1, 28, 28),
        "b": (2, 3, 32, 32),
    }


def test_classifiers_learn_and_come_back_the_same(tmp_path):
    """Ten constant grey levels: every classifier tells most of them apart."""
    labels = np.arange(400, dtype=np.uint8) % 10
    grey = np.broadcast_to((labels * 25)[:, None, None, None], (400, 1, 28, 28)).astype(np.uint8)
    device = torch.device("cpu")
    judges = {kind: {"a": classifiers.train(kind, grey, labels, 60, 0, device)} for kind in classifiers.KINDS}
    assert classifiers.accuracy(judges["strong"]["a"], grey, labels, device) > 0.5
    path = tmp_path / "classifiers.safetensors"
    classifiers.save(path, judges)
    loaded = classifiers.load(path, {"a": "grey"}, device)
    x = torch.rand(20, 1, 28, 28)
    for kind in judges:
        with torch.no_grad():
            torch.testing.assert_close(loaded[kind]["a"](x), judges[kind]["a"](x), rtol=0, atol=0)
