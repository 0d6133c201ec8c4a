"""The measurements of Figure 2, on models whose answers are known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from scipy.linalg import sqrtm
from torch import nn
from torch.nn import functional as F

from mmvae.evaluation import classifiers, mixtures
from mmvae.evaluation.labelled import DigitSettings, DigitTest, shows_digit
from mmvae.files import FileError
from mmvae.metrics.systems import (
    aligned,
    cross_error,
    fitted,
    frechet,
    inception,
    means,
    origin,
    private,
    relabelled,
    style,
    synergy,
    transfer,
)
from mmvae.metrics.systems.inception import Inception
from mmvae.model import MultimodalModel

N = 400


class Codes(MultimodalModel):
    """Inputs (n, 6) are latents; modality b's turned by a matrix; images are latents as pixels."""

    common, has_density = slice(None), True

    def __init__(self, turned=None):
        nn.Module.__init__(self)
        self.modalities = nn.ModuleDict({"a": nn.Identity(), "b": nn.Identity()})
        self.turned = torch.eye(6) if turned is None else turned

    def sample(self, x, generator):
        parts = [values.flatten(1) @ self.turned if name == "b" else values.flatten(1) for name, values in x.items()]
        return sum(parts) / len(parts)

    def mean(self, x):
        return self.sample(x, None)

    def draw(self, count, generator):
        return torch.randn(count, 6, generator=generator)

    def decode(self, name, z):
        return z.view(-1, 1, 2, 3)


class Reader(nn.Module):
    """Logits of ten digits, by the first latents, which tell them apart in LABELLED."""

    def penultimate(self, images):
        return images.flatten(1)

    def forward(self, images):
        return -((images.flatten(1)[:, None] - CENTRES) ** 2).sum(-1)


CENTRES = 4 * torch.randn(10, 6, generator=torch.Generator().manual_seed(1))


def labelled(shift: float = 0.0) -> DigitTest:
    """Latents near the centre of their digit, the same for both modalities; of b moved by `shift`."""
    generator = torch.Generator().manual_seed(0)
    digits = np.arange(N) % 10
    made = []
    for _ in range(2):
        z = CENTRES[digits] + 0.3 * torch.randn(N, 6, generator=generator)
        made.append({"a": z.view(N, 1, 2, 3), "b": (z + shift).view(N, 1, 2, 3)})
    judges = {kind: {"a": Reader(), "b": Reader()} for kind in classifiers.KINDS}
    settings = DigitSettings(joint_samples=200, likelihood_samples=2, likelihood_pairs=2)
    return DigitTest(made[0], digits, made[1], digits, judges, settings, seed=0)


def test_a_probe_carries_over_between_equal_codes_and_not_between_turned_ones():
    one = transfer.measure(Codes(), labelled())
    assert one["a_to_b"] == one["a"] == one["b"] and one["a"].value > 0.98
    turned = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(2)))[0]
    two = transfer.measure(Codes(turned), labelled())
    assert two["b"].value > 0.98 and two["a_to_b"].value < 0.5


def test_only_latents_that_all_share_are_probed():
    """Of one that is shared, digits are read worse than of all six; of none, nothing is measured."""
    few, none = Codes(), Codes()
    few.common, none.common = slice(1), None
    assert transfer.measure(few, labelled())["a"].value < 0.98
    assert transfer.measure(none, labelled()) == origin.measure(none, labelled()) == {}


def test_cross_generation_from_means():
    assert means.measure(Codes(), labelled())["a_to_b"].value > 0.99


def test_the_origin_of_a_code_is_told_only_where_modalities_differ():
    assert origin.measure(Codes(), labelled())["accuracy"].value == 0.5
    assert origin.measure(Codes(), labelled(shift=30.0))["accuracy"].value == 1


def test_style_is_read_from_codes_that_keep_it():
    measured = style.measure(Codes(), labelled())["brightness"]
    assert measured["a"] > 0.999  # the mean of the pixels is linear in the latents
    small = Codes()
    small.sample = lambda x, generator: 1e-3 * next(iter(x.values())).flatten(1)  # a code may have any scale
    assert style.measure(small, labelled())["brightness"]["a"] == pytest.approx(measured["a"])
    blind = Codes()
    blind.sample = lambda x, generator: torch.randn(N, 6, generator=generator)
    assert style.measure(blind, labelled())["brightness"]["a"] < 0.1


def test_colour_is_what_brightness_is_not():
    images = torch.zeros(2, 3, 4, 4)
    images[:, 0] = 0.6
    np.testing.assert_allclose(style.colour(images), [[0.4, -0.2, -0.2]] * 2, atol=1e-6)
    np.testing.assert_allclose(style.brightness(images), [[0.2]] * 2, atol=1e-6)


def test_synergy_is_paired_and_nothing_where_both_say_the_same():
    measured = synergy.measure(Codes(), labelled())
    assert measured["probe"]["a"] == (0, 0)
    half = Codes()  # which from one modality knows half of the digits
    half.sample = lambda x, generator: (
        next(iter(x.values())).flatten(1) * (1 if len(x) == 2 else (torch.arange(N) % 2)[:, None])
    )
    assert synergy.measure(half, labelled())["image"]["a"].value == pytest.approx(0.45, abs=0.06)


def test_the_error_across_modalities_is_the_mean_absolute_difference():
    measured = cross_error.measure(Codes(), labelled(shift=0.5))
    assert measured["a_to_b"].value == pytest.approx(0.5, abs=1e-5)
    assert measured["a_to_a"].value == 0


def test_a_fitted_mixture_draws_what_the_codes_are_like_and_sees_no_test_code():
    test = labelled()
    measured = fitted.measure(Codes(), test)
    assert measured["joint"].value == 1 and measured["entropy"]["a"] > 2.2
    poisoned = replace(test, values={name: torch.full_like(v, torch.nan) for name, v in test.values.items()})
    assert fitted.measure(Codes(), poisoned) == measured


def test_a_fitted_mixture_has_the_mean_and_covariance_of_gaussian_codes():
    rows = np.random.default_rng(0).multivariate_normal([1, -2], [[2, 0.6], [0.6, 0.5]], 4000)
    drawn = mixtures.fit(rows, seed=0).sample(20_000)[0]
    np.testing.assert_allclose(drawn.mean(0), rows.mean(0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(rows.T), atol=0.08)


def test_frechet_distance_against_the_square_root_of_a_matrix():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((200, 5)), rng.standard_normal((300, 5)) @ rng.standard_normal((5, 5)) + 1
    first, second = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet.frechet(a, b) == pytest.approx(expected, rel=1e-8)
    assert frechet.frechet(a, a) == pytest.approx(0, abs=1e-8)
    measured = frechet.measure(Codes(), labelled())
    assert measured["a_to_b"] == pytest.approx(0, abs=1e-5) and measured["prior"]["a"] > 1


def test_private_latents_by_rule(monkeypatch):
    to_prior = {"a": np.array([5.0, 5.0, 0.1]), "b": np.array([5.0, 0.1, 4.0])}
    between = {("a", "b"): np.array([1.0, 3.0, 3.0])}
    monkeypatch.setattr(private, "divergences", lambda model, x: (to_prior, between))
    model = SimpleNamespace(modalities={"a": None, "b": None}, has_density=True)
    assert private.measure(model, labelled()) == {"latents": {"shared": 1, "a": 1, "b": 1}}


def test_swapped_digits_are_told_from_chance():
    digits = np.arange(200) % 10

    def best_match(found):
        return relabelled.best_match(relabelled.counts(found, digits))

    swapped, rate = best_match((digits + 3) % 10)
    assert rate == 1
    assert list(swapped) == [(found - 3) % 10 for found in range(10)]
    assert best_match(np.zeros(200, int))[1] == 0.1
    assert best_match(np.where(digits < 5, digits, (digits + 1) % 10))[1] > 0.5


def test_codes_that_are_turned_are_aligned_by_a_rotation():
    turned = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(2)))[0]

    test, model = labelled(), Codes(turned)
    assert aligned.measure(model, test) == {}
    model.rotated = True
    assert shows_digit(model, "a", model.mean({"b": test.values["b"]}), test).mean() < 0.5
    assert aligned.measure(model, test)["b_to_a"].value > 0.98


@pytest.mark.slow
def test_frechet_distances_in_inception(tmp_path, monkeypatch):
    """With random weights: those of a network that torchvision makes, which sees pixels in [-1, 1]."""
    monkeypatch.setattr(inception, "AT_ONCE", 2)
    torch.manual_seed(0)
    made = torchvision.models.inception_v3(weights=None, init_weights=False)
    for weight in (w for w in made.parameters() if w.dim() == 4):  # by default, 1e-7 is left of an image at the end
        nn.init.kaiming_normal_(weight)
    path = tmp_path / "inception.pth"
    torch.save(made.state_dict(), path)
    images = torch.rand(3, 1, 8, 8)
    features = Inception(str(path)).penultimate(images)
    assert features.shape == (3, 2048)
    larger = F.interpolate(images.expand(-1, 3, -1, -1), (299, 299), mode="bilinear", antialias=True)
    made.fc = nn.Identity()
    torch.testing.assert_close(features, made.eval()(2 * larger - 1), rtol=1e-4, atol=1e-5)


def test_inceptions_weights_are_those_of_the_user(tmp_path):
    test = labelled()
    assert inception.measure(Codes(), test) == {}
    path = tmp_path / "inception.pth"
    for content, problem in ((None, "No such file"), ({"fc.bias": torch.zeros(3)}, "Missing key")):
        if content is not None:
            torch.save(content, path)
        settings = test.settings.model_copy(update={"inception": str(path)})
        with pytest.raises(FileError, match=problem):
            inception.measure(Codes(), replace(test, settings=settings))
