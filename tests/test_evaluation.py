"""Latent accuracy, coherence and likelihoods on models whose answers are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toys import toy_model

from mmvae.distributions import Mixture, Normal
from mmvae.evaluation import classifiers, generation
from mmvae.evaluation.labelled import DigitSettings, DigitTest
from mmvae.metrics.digits import coherence, latent_accuracy, likelihood
from mmvae.model import MultimodalVAE


class Digits(MultimodalVAE):
    """Latents and images are a digit: z = digit, an image is constant digit / 10; `plates` add one to it."""

    def __init__(self, *names: str):
        nn.Module.__init__(self)
        self.modalities = nn.ModuleDict({name: nn.Identity() for name in names})

    def prior(self):
        return Normal(torch.full((1,), 4.0), torch.full((1,), 1e-3))

    def expert(self, name, x):
        return Normal(10 * x[:, 0, 0], torch.full((len(x), 1), 1e-3))

    def decode(self, name, z):
        digit = (z.round() + (name == "plates")) % 10
        return (digit / 10)[:, None, None].expand(-1, 1, 4, 4)


class Reader(nn.Module):
    def forward(self, image):
        return nn.functional.one_hot((10 * image[:, 0, 0, 0]).round().long(), 10).float()


def images(digits: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(digits / 10).float()[:, None, None, None].expand(-1, 1, 4, 1)


def given(values, digits, judges):
    """Training and test data that are the same."""
    settings = DigitSettings(joint_samples=100, likelihood_samples=2, likelihood_pairs=2)
    return DigitTest(values, digits, values, digits, judges, settings, seed=0)


def values(measured):
    return {name: one.value for name, one in measured.items()}


def test_coherence_of_a_model_that_adds_one():
    labels = np.arange(200) % 10
    test = {"mnist": images(labels), "plates": images(labels)}
    judges = {"strong": {"mnist": Reader(), "plates": Reader()}}
    rates = coherence.measure(Digits(*test), given(test, labels, judges))["strong"]
    assert values(rates["reconstruction"]) == {"mnist": 1.0, "plates": 0.0}
    assert values(rates["cross"]) == {"mnist_to_plates": 0.0, "plates_to_mnist": 1.0}
    assert rates["joint"].value == rates["joint_by_chance"] == 0.0
    assert rates["entropy"] == {"mnist": 0.0, "plates": 0.0}
    assert values(rates["from_both"]) == {"mnist": 1.0, "plates": 0.0}
    assert "from_others" not in rates, "that is the cross generation of two"


def test_a_model_that_never_sees_both_is_not_given_both():
    labels = np.arange(20) % 10
    test = {name: images(labels) for name in ("mnist", "plates", "words")}
    model = Digits(*test)
    model.sees_all = False
    rates = coherence.measure(model, given(test, labels, {"strong": {name: Reader() for name in test}}))["strong"]
    assert set(rates) == {"entropy", "reconstruction", "joint_by_chance", "joint", "cross"}


def test_coherence_of_three_modalities_of_which_two_are_judged():
    """The third says another digit."""
    labels = np.arange(200) % 10
    test = {"mnist": images(labels), "plates": images(labels), "words": images((labels + 5) % 10)}

    def rates(*judged):
        judges = {"strong": {name: Reader() for name in judged}}
        return coherence.measure(Digits(*test), given(test, labels, judges))["strong"]

    seen = rates("mnist", "plates")
    crosses = {"mnist_to_plates": 0.0, "plates_to_mnist": 1.0, "words_to_mnist": 0.0, "words_to_plates": 0.0}
    assert values(seen["cross"]) == crosses
    one_in_two, two_in_three = (pytest.approx(share, abs=0.12) for share in (1 / 2, 2 / 3))
    assert values(seen["from_others"]) == {"mnist": one_in_two, "plates": 0.0}
    assert values(seen["from_both"]) == {"mnist": two_in_three, "plates": 0.0}
    assert seen["joint"].value == 0.0
    assert rates("mnist", "words")["joint"].value == rates("mnist", "words")["joint_by_chance"] == 1.0
    alone = rates("words")
    assert "joint" not in alone and "joint_by_chance" not in alone, "one modality agrees with itself"
    assert set(alone["cross"]) == {"mnist_to_words", "plates_to_words"}


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

    few = replace(given(x(labels), labels, {}), values=x(labels[:100]), digits=labels[:100])
    result = latent_accuracy.measure(Digits("mnist", "plates"), few)
    majority = max(np.mean(labels[:100] == 0), np.mean(labels[:100] == 5))
    assert values(result["single"]["mnist"]) == {"samples": 1.0, "means": 1.0}
    assert result["single"]["plates"]["samples"].value <= majority
    assert result["both"]["means"].value == 1.0
    assert result["majority"].value == np.mean(labels[:100] == np.bincount(labels).argmax())


def test_majority_share_is_of_the_training_majority():
    assert latent_accuracy.majority_share(np.array([1, 1, 2]), np.array([1, 2, 2, 2])).value == 0.25


class Gaussian(nn.Module):
    """Observations of one latent with Gaussian noise: every likelihood is known in closed form."""

    def __init__(self, names: str = "ab"):
        super().__init__()
        self.modalities = nn.ModuleDict({name: nn.Identity() for name in names})
        for modality in self.modalities.values():
            modality.scaling = 2.0

    def prior(self):
        return Normal(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))

    def posterior(self, x):
        return Mixture.of({name: Normal(0.5 * value, torch.full_like(value, 0.9)) for name, value in x.items()})

    def scores(self, x, z):
        return {name: Normal(z, torch.ones_like(z)).log_prob(value.expand_as(z)) for name, value in x.items()}


def closed_forms(model):
    """What 20,000 samples a pair give, and the truth: log p of any of the modalities (their names joined), (30,).

    p(a) = N(0, 2); together they have variances 2 and covariances 1.
    """
    generator, names = torch.Generator().manual_seed(1), "".join(model.modalities)
    x = {name: torch.randn(30, 1, generator=generator, dtype=torch.float64) for name in names}

    def log_p(some: str):
        zeros = torch.zeros(len(some), dtype=torch.float64)
        known = torch.distributions.MultivariateNormal(zeros, torch.eye(len(some)).double() + 1)
        return known.log_prob(torch.cat([x[name] for name in some], 1))

    return likelihood.likelihoods(model, x, 20_000, seed=0), log_p


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_likelihoods_equal_the_closed_forms(names):
    result, log_p = closed_forms(Gaussian(names))
    expected = {name: log_p(name).mean().item() for name in names}
    joint = log_p(names)
    assert result["joint"].value == pytest.approx(joint.mean().item(), abs=5e-3)
    for name in names:
        for given in names:
            assert result[f"from_{given}"][name].value == pytest.approx(expected[name], abs=2e-2)
        assert result["from_both"][name].value == pytest.approx(expected[name], abs=5e-3)
        assert result["from_both_equal_budget"][name].value == pytest.approx(expected[name], abs=1e-2)
        others = [other for other in names if other != name]
        given_others = (joint - log_p("".join(others))).mean().item()
        assert result["conditional"][f"{name}_given_{'_'.join(others)}"].value == pytest.approx(given_others, abs=1e-2)
    assert len(result["conditional"]) == len(names)
    assert result["synergy"].value == pytest.approx(joint.mean().item() - sum(expected.values()), abs=1e-2)
    assert result["joint"].standard_error == pytest.approx(joint.std().item() / math.sqrt(30), rel=0.02)
    assert result["joint_scaled"].value < result["joint"].value


def test_synergy_of_pairs_of_the_model_is_their_mutual_information():
    """By exact posteriors, over 2,000 pairs that the model itself draws: both have variance 2 and covariance 1."""

    class Exact(Gaussian):
        def posterior(self, x):
            scale = torch.full_like(next(iter(x.values())), (1 + len(x)) ** -0.5)
            return Mixture.of({"exact": Normal(sum(x.values()) * scale**2, scale)})

    generator = torch.Generator().manual_seed(2)
    z, *noise = torch.randn(3, 2_000, 1, generator=generator, dtype=torch.float64)
    found = likelihood.likelihoods(Exact(), {"a": z + noise[0], "b": z + noise[1]}, 200, seed=0)["synergy"]
    assert found.value == pytest.approx(-0.5 * math.log(1 - 0.5**2), abs=4 * found.standard_error)
    assert found.standard_error < 0.02


class Product(Gaussian):
    """Its posteriors given one observation are exact; the product of all, far too narrow to say anything of one."""

    def posterior(self, x):
        scale = math.sqrt(0.5) if len(x) == 1 else 0.05
        loc = sum(x.values()) / (len(x) + 1)
        return Mixture.of({"product": Normal(loc, torch.full_like(loc, scale))})


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_synergy_of_a_product_is_not_that_of_its_proposal(names):
    result, log_p = closed_forms(Product(names))
    alone = {name: log_p(name).mean().item() for name in names}
    expected = log_p(names).mean().item() - sum(alone.values())
    assert result["synergy"].value == pytest.approx(expected, abs=1e-2)
    for name, value in alone.items():
        assert result[f"from_{name}"][name].value == pytest.approx(value, abs=1e-6)
        assert result["from_both"][name].value < value - 0.05
    of_one_proposal = result["joint"].value - sum(result["from_both"][name].value for name in names)
    assert of_one_proposal > expected + 0.1


def test_one_modality_has_one_likelihood():
    model, x = Gaussian("a"), {"a": torch.zeros(4, 1, dtype=torch.float64)}
    assert set(likelihood.likelihoods(model, x, 10, seed=0)) == {"from_a"}


X = {"a": torch.rand(6, 1, 28, 28), "b": torch.rand(6, 3, 32, 32)}


def test_scores_do_not_depend_on_how_they_are_cut():
    z, x = torch.randn(7, 6, 4), X["b"]
    modality = toy_model().modalities["b"]
    whole = modality.log_likelihood(z.flatten(0, 1), x.repeat(7, 1, 1, 1)).view(7, 6)
    for rows in (1, 11, 1000):
        torch.testing.assert_close(modality.score(z, x, rows), whole, rtol=1e-5, atol=1e-3)


def test_traversal_moves_one_latent_by_prior_deviations():
    model, x = toy_model(), {"a": X["a"][:1]}
    moved = generation.traverse(model, x, "a", 11)
    assert moved["b"].shape == (4, 11, 3, 32, 32)
    centre = model.posterior({"a": x["a"]}).experts.loc[0]
    shifted = centre.clone()
    shifted[0, 2] += 5 * model.prior().std[2]
    expected = model.decode("b", shifted).detach().numpy()[0]
    np.testing.assert_allclose(moved["b"][2, -1], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(moved["b"][0, 5], moved["b"][3, 5], rtol=1e-4, atol=1e-6)


def test_prior_draws_and_cross_generation(generator):
    model = toy_model("mvae", likelihood="bernoulli")
    drawn = generation.from_prior(model, 5, 9, generator)
    mean, samples = drawn["b"]
    assert mean.shape == (5, 3, 32, 32)
    assert samples.shape == (5, 9, 3, 32, 32)
    assert set(np.unique(samples)) <= {0.0, 1.0}
    assert {name: array.shape for name, array in generation.across(model, X, "a", generator).items()} == {
        "a": (6, 1, 28, 28),
        "b": (6, 3, 32, 32),
    }


@pytest.mark.slow
def test_classifiers_learn_and_come_back_the_same(tmp_path, monkeypatch):
    """Ten constant grey levels: every classifier tells most of them apart."""
    monkeypatch.setattr(classifiers, "BATCH", 32)
    labels = np.arange(400, dtype=np.uint8) % 10
    grey = np.broadcast_to((labels * 25)[:, None, None, None], (400, 1, 28, 28)).astype(np.uint8)
    device = torch.device("cpu")
    settings = classifiers.ClassifierSettings(updates=60, channels=8)
    judges = {kind: {"a": classifiers.train(kind, grey, labels, settings, 0, device)} for kind in classifiers.KINDS}
    assert classifiers.accuracy(judges["strong"]["a"], grey, labels, device).value > 0.5
    path = tmp_path / "classifiers.safetensors"
    classifiers.save(path, judges, 8)
    loaded = classifiers.load(path, {"a": "grey"}, device)
    x = torch.rand(20, 1, 28, 28)
    for kind in judges:
        with torch.no_grad():
            torch.testing.assert_close(loaded[kind]["a"](x), judges[kind]["a"](x), rtol=0, atol=0)
