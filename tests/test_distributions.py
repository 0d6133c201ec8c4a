"""Densities, divergences, mixtures and products against torch.distributions, integrals and formulas."""

import math

import pytest
import torch
from torch import distributions as reference

from mmvae.distributions import (
    Laplace,
    Mixture,
    Normal,
    laplace_from_logits,
    normal_from_log_variance,
    product_of_experts,
)

FAMILIES = [(Laplace, reference.Laplace), (Normal, reference.Normal)]


def random(family, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    loc = torch.randn(shape, generator=generator, dtype=torch.float64)
    scale = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.2
    return family(loc, scale)


@pytest.mark.parametrize(("family", "known"), FAMILIES)
def test_density_divergence_and_deviation(family, known):
    p, q = random(family, 4, 3, seed=1), random(family, 4, 3, seed=2)
    z = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(p.log_prob(z), known(p.loc, p.scale).log_prob(z).sum(-1))
    expected = reference.kl_divergence(known(p.loc, p.scale), known(q.loc, q.scale))
    torch.testing.assert_close(p.kl(q), expected)
    torch.testing.assert_close(p.std, known(p.loc, p.scale).stddev)
    torch.testing.assert_close(p.entropy(), known(p.loc, p.scale).entropy())


@pytest.mark.parametrize(("family", "known"), FAMILIES)
def test_noise_has_the_density_it_is_scored_with(family, known, generator):
    """The share of draws below each decile of the known distribution is that decile (200,000 draws: se 0.001)."""
    noise = family.noise((200_000,), torch.zeros((), dtype=torch.float64), generator)
    deciles = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    below = (noise[:, None] < known(0.0, 1.0).icdf(deciles)).double().mean(0)
    torch.testing.assert_close(below, deciles, rtol=0, atol=0.005)


@pytest.mark.parametrize("family", [Laplace, Normal])
def test_mixture_density_integrates_to_one(family):
    mixture = Mixture.of({name: random(family, 1, 1, seed=seed) for seed, name in enumerate("abc")})
    z = torch.linspace(-60, 60, 400_001, dtype=torch.float64)
    density = mixture.log_prob(z.view(-1, 1, 1)).exp()[:, 0]
    assert torch.trapezoid(density, z).item() == pytest.approx(1, abs=1e-5)


def test_mixture_is_the_average_of_its_experts(generator):
    experts = {name: random(Laplace, 4, 3, seed=seed) for seed, name in enumerate("ab")}
    mixture = Mixture.of(experts)
    z = mixture.sample(5, generator)
    assert z.shape == (2, 5, 4, 3)
    expected = sum(expert.log_prob(z).exp() for expert in experts.values()) / 2
    torch.testing.assert_close(mixture.log_prob(z).exp(), expected)
    rows = torch.tensor([2, 0])
    torch.testing.assert_close(mixture.at(rows).log_prob(z[0, 0, rows]), mixture.log_prob(z)[0, 0, rows])


def test_sample_one_draws_every_expert_equally(generator):
    """Two experts far apart: half of 4,000 draws from each (se 0.008)."""
    far = {name: Normal(torch.full((4000, 1), loc), torch.ones(4000, 1)) for name, loc in (("a", -50.0), ("b", 50.0))}
    share = (Mixture.of(far).sample_one(generator) > 0).double().mean().item()
    assert share == pytest.approx(0.5, abs=0.04)


def test_product_of_experts_is_the_normalised_product_of_densities():
    experts = [random(Normal, 1, 1, seed=seed) for seed in (3, 4)]
    prior = Normal(torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64))
    z = torch.linspace(-20, 20, 200_001, dtype=torch.float64)
    log_product = sum(expert.log_prob(z.view(-1, 1, 1)) for expert in [prior, *experts])[:, 0]
    normalised = log_product.exp() / torch.trapezoid(log_product.exp(), z)
    product = product_of_experts([prior, *experts])
    torch.testing.assert_close(product.log_prob(z.view(-1, 1, 1))[:, 0].exp(), normalised)


def test_the_product_of_exact_posteriors_over_the_prior_is_the_joint_posterior():
    """z ~ N(0, 1) and two noisy linear views of it: precisions given each, less the prior's, are that given both."""
    slopes, variances = torch.tensor([0.7, -2.0]).double(), torch.tensor([0.3, 1.5]).double()
    x = torch.tensor([0.4, 1.1]).double()
    covariance = torch.outer(slopes, slopes) + variances.diag()

    def posterior(some: list[int]) -> Normal:
        """By conditioning the joint Gaussian."""
        gain = slopes[some] @ torch.linalg.inv(covariance[some][:, some])
        return Normal((gain @ x[some]).view(1, 1), (1 - gain @ slopes[some]).sqrt().view(1, 1))

    zero = torch.zeros(1, 1).double()
    prior, both, alone = Normal(zero, zero + 1), posterior([0, 1]), [posterior([0]), posterior([1])]
    seen = []  # what an expert beside the prior has to be: the posterior without the prior
    for q in alone:
        precision = q.scale**-2 - prior.scale**-2
        seen.append(Normal(q.loc * q.scale**-2 / precision, precision**-0.5))
    product = product_of_experts([prior, *seen])
    torch.testing.assert_close(sum(q.scale**-2 for q in alone) - prior.scale**-2, both.scale**-2, rtol=1e-12, atol=0)
    torch.testing.assert_close(product.scale, both.scale, rtol=1e-12, atol=0)
    torch.testing.assert_close(product.loc, both.loc, rtol=1e-12, atol=0)


@pytest.mark.parametrize("log_variance", [-1e4, -90.0, -60.0, 0.0, 60.0, 90.0, 1e4])
def test_no_log_variance_breaks_a_product_or_its_gradient(log_variance):
    """While MVAE's KL has next to no weight they were seen from -58 to 141; exp ends at 88 in float32."""
    given, loc = torch.tensor([log_variance], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    expert, prior = normal_from_log_variance(loc, given, minimum=1e-8), Normal(torch.zeros(1), torch.ones(1))
    product = product_of_experts([prior, expert])
    (product.loc + product.scale + product.kl(prior) + expert.kl(prior)).sum().backward()
    assert given.grad.isfinite() and loc.grad.isfinite()
    weight = 1 / (1 + math.exp(min(log_variance, 80)) + 1e-8)
    assert product.loc.item() == pytest.approx(3 * weight, rel=1e-5, abs=1e-30)
    assert product.scale.item() ** 2 == pytest.approx(1 - weight, rel=1e-5, abs=1.1e-8)


def test_laplace_scales_sum_to_the_number_of_latents():
    logits = torch.randn(5, 20, dtype=torch.float64)
    scales = laplace_from_logits(torch.zeros_like(logits), logits, 1e-6).scale
    torch.testing.assert_close(scales.sum(-1), torch.full((5,), 20 + 20e-6, dtype=torch.float64))
