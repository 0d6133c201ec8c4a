"""Conditional VAEs: what their objective is equal to, its optimum, and what a code may know."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_multivae import REFERENCE, linear
from torch.distributions import Normal as TorchNormal
from torch.distributions import kl_divergence
from toys import toy_model, toy_pairs

from mmvae.distributions import Normal
from mmvae.modality import LaplaceLikelihood
from mmvae.model import gaussian
from mmvae.models.cvae import CVAE, ConditionalElbos
from mmvae.params import ParamsError

ONE = torch.ones(())
BATCH = 6


@pytest.fixture
def x():
    return toy_pairs(BATCH).batch(slice(None))


def fake(recognition, condition, likelihood):
    """What the objective asks of a model, of functions of a modality's name."""
    named = {
        name: SimpleNamespace(
            scaling=1.0,
            log_likelihood=likelihood(name),
            score=lambda z, value, _, name=name: torch.stack([likelihood(name)(part, value) for part in z]),
        )
        for name in ("a", "b")
    }
    recognised = {name: (lambda _, name=name: recognition(name)) for name in named}
    return SimpleNamespace(modalities=named, recognition=recognised, condition=lambda name, _: condition(name))


def test_the_loss_and_its_gradient_are_those_of_multivae():
    """Of two CVAE models of multivae 1.0.3, recorded as test_multivae.py says, with beta 2.5 and without rescaling.

    encoded: of each direction the posterior's and the prior's location and log-variance, and the summary.
    """
    with np.load(REFERENCE) as file:
        recorded = {key: torch.from_numpy(file[key]) for key in file}
    encoded = dict(zip("ab", recorded["cvae/encoded"].requires_grad_(), strict=True))
    decoders = {name: linear(recorded[f"cvae/decoder_{name}"]) for name in "ab"}
    pixels = LaplaceLikelihood(0.75, dimensions=1)
    model = fake(
        lambda name: gaussian(*encoded[name][:2]),
        lambda name: (encoded[name][4], gaussian(*encoded[name][2:4])),
        lambda name: lambda z, value: pixels.log_prob(decoders[name](z), value),
    )
    values = {name: recorded[f"x/{name}"] for name in "ab"}
    estimate = ConditionalElbos(2.5)(model, values, [(("a", "b"), recorded["cvae/noise"])], ONE)
    loss = -estimate.surrogate / len(values["a"])
    torch.testing.assert_close(loss, recorded["cvae/loss"].reshape(()), rtol=1e-12, atol=0)
    (gradient,) = torch.autograd.grad(loss, recorded["cvae/encoded"])
    torch.testing.assert_close(gradient, recorded["cvae/gradient"], rtol=1e-9, atol=1e-12)


def test_where_the_others_say_nothing_it_is_a_vae_of_each_modality(x, generator):
    """The prior is N(0, I), and the summary zeros."""
    model, loss = toy_model("cvae"), ConditionalElbos(1.0)
    for parameter in model.conditions.parameters():
        torch.nn.init.zeros_(parameter)
    noise, expected = loss.noise(model, BATCH, generator), 0
    for (name, modality), standard in zip(model.modalities.items(), noise[0][1], strict=True):
        posterior = model.recognition[name](x)
        q, p = TorchNormal(posterior.loc, posterior.scale), TorchNormal(torch.zeros(4), torch.ones(4))
        z = torch.cat([q.loc + q.scale * standard[0], torch.zeros(BATCH, 4)], 1)
        predicted = modality.decoder(z)
        pixels = torch.distributions.Laplace(predicted, modality.likelihood.scale).log_prob(x[name])
        expected = expected + modality.scaling * pixels.sum((1, 2, 3)) - kl_divergence(q, p).sum(1)
    torch.testing.assert_close(loss(model, x, noise, ONE).bound, expected.detach(), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("variance", "exact"), [(1 / 3, True), (0.5, False)])
def test_its_optimum_is_the_conditional_log_likelihood(variance, exact, generator):
    """z ~ N(0, 1), x_a and x_b ~ N(z, 1): p(w | x_b) = N(x_b / 2, 1/2), q = N((x_a + x_b) / 3, 1/3)."""
    pairs = 40_000
    z = torch.randn(pairs, 1, generator=generator)
    x = {name: z + torch.randn(pairs, 1, generator=generator) for name in "ab"}
    other = {"a": x["b"], "b": x["a"]}

    def normal(loc, variance):
        return Normal(loc, torch.full_like(loc, variance**0.5))

    model = fake(
        lambda _: normal((x["a"] + x["b"]) / 3, variance),
        lambda name: (torch.zeros_like(z), normal(other[name] / 2, 0.5)),
        lambda _: lambda w, value: TorchNormal(w[:, :1], 1.0).log_prob(value)[:, 0],
    )
    noise = [(("a", "b"), torch.randn(2, 1, pairs, 1, generator=generator))]
    bound = ConditionalElbos(1.0)(model, x, noise, ONE).bound
    truth = sum(TorchNormal(other[n] / 2, 1.5**0.5).log_prob(x[n])[:, 0] for n in "ab")
    away = bound - truth
    t = float(away.mean() / away.std() * pairs**0.5)
    assert abs(t) < 4.5 if exact else t < -4.5
    sampled = sum(CVAE.log_conditional(model, name, x, 50, generator) for name in "ab")
    if exact:  # every sample has the weight p(x_m | the other)
        torch.testing.assert_close(sampled, truth, rtol=1e-4, atol=1e-4)
    assert float((sampled - truth).mean()) == pytest.approx(0, abs=0.05)


def test_a_code_does_not_know_what_is_to_be_generated(x, generator):
    model = toy_model("cvae")
    changed = x | {"b": x["b"].flip(0)}
    one, other = (model.sample(values, torch.Generator().manual_seed(0)) for values in (x, changed))
    assert torch.equal(model.view("b", one), model.view("b", other))
    assert not torch.equal(model.view("a", one), model.view("a", other))
    alone = model.mean({"a": x["a"]})
    assert torch.equal(model.view("b", alone), model.view("b", model.mean(x)))
    assert not model.view("a", alone).any()


def test_it_generates_what_is_not_given():
    model = toy_model("cvae")
    assert [model.generates(given) for given in ([], ["a"], ["a", "b"])] == [[], ["b"], []]
    with pytest.raises(ParamsError, match="cvae takes 2 or more modalities, not 1"):
        toy_model("cvae", {"a": "grey"})


def test_several_others_are_averaged(generator):
    kinds = {"a": "grey", "b": "colour", "c": "grey"}
    model, x = toy_model("cvae", kinds), toy_pairs(BATCH, kinds).batch(slice(None))
    assert model.generates(["a", "b"]) == ["c"]
    every = [model.condition("c", {name: x[name] for name in given}) for given in (("a",), ("b",), ("a", "b", "c"))]
    first, second, both = (summary for summary, _ in every)
    torch.testing.assert_close(both, (first + second) / 2)
    first, second, both = (prior.loc for _, prior in every)
    torch.testing.assert_close(both, (first + second) / 2)


def test_one_sample_of_the_conditional(x):
    """log p(x_m | w, the summary) + log p(w | the other) - log q(w | both), by torch's distributions."""
    model = toy_model("cvae").eval()
    found = model.log_conditional("a", x, 1, torch.Generator().manual_seed(0))
    posterior, (summary, prior) = model.recognition["a"](x), model.condition("a", x)
    q, p = (TorchNormal(of.loc, of.scale) for of in (posterior, prior))
    w = q.loc + q.scale * torch.randn(q.loc.shape, generator=torch.Generator().manual_seed(0))
    modality = model.modalities["a"]
    predicted = modality.decoder(torch.cat([w, summary], 1))
    pixels = torch.distributions.Laplace(predicted, modality.likelihood.scale).log_prob(x["a"]).sum((1, 2, 3))
    expected = pixels + p.log_prob(w).sum(1) - q.log_prob(w).sum(1)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-3)
