"""Bounds against closed-form evidence, estimators against each other in expectation, and the shapes at the edges."""

import math

import pytest
import torch
from toys import KINDS, toy_model, toy_pairs

from mmvae import objectives
from mmvae.distributions import Mixture, Normal
from mmvae.models import mvae
from mmvae.objectives import Screen

BIASED, UNBIASED = 6.0, 4.5  # |t|: of a bias that is there, and of none among 8 parameters


class LinearGaussian:
    """p(z) = N(0, I), one observation x | z ~ N(z, noise^2 I): the evidence is N(x; 0, (1 + noise^2) I)."""

    def __init__(self, x: torch.Tensor, noise: float = 0.5):
        self.x, self.noise = x, noise

    def log_joint(self, x, z):
        prior = Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z)
        return prior + Normal(z, torch.full_like(z, self.noise)).log_prob(x["x"].expand_as(z))

    def log_weights(self, x, z, posterior, dtype=None):
        with torch.no_grad():
            return self.log_joint(x, z) - posterior.log_prob(z)

    def evidence(self):
        scale = torch.full_like(self.x, math.sqrt(1 + self.noise**2))
        return Normal(torch.zeros_like(self.x), scale).log_prob(self.x)


def toy(repeats: int, experts: int = 2, width: float = 1.0):
    """A model, its input and a posterior with a copy of its parameters for each repeat, (M, repeats, 2)."""
    x = torch.tensor([[0.9, -0.6]], dtype=torch.float64).expand(repeats, 2)
    loc = torch.tensor([[0.5, -0.5], [1.2, -0.2]], dtype=torch.float64)[:experts, None].repeat(1, repeats, 1)
    scale = width * torch.tensor([[0.5, 0.7], [0.9, 0.6]], dtype=torch.float64)[:experts, None].repeat(1, repeats, 1)
    loc.requires_grad_(), scale.requires_grad_()
    return LinearGaussian(x), {"x": x}, Mixture(tuple("ab"[:experts]), Normal(loc, scale))


def gradients(objective: str, bound: str, seed: int, repeats: int = 150_000, experts: int = 2, particles: int = 5):
    """Independent draws of the gradient of the posterior's parameters: (repeats, 4 * experts)."""
    model, x, posterior = toy(repeats, experts)
    noise = posterior.noise(particles, torch.Generator().manual_seed(seed))
    estimate = objectives.importance_weighted(model, x, noise, posterior, objective, bound)
    estimate.surrogate.backward()
    both = torch.cat([posterior.experts.loc.grad, posterior.experts.scale.grad], -1)
    return both.movedim(1, 0).flatten(1)


def largest_t(a: torch.Tensor, b: torch.Tensor) -> float:
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    return ((a.mean(0) - b.mean(0)) / error).abs().max().item()


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["loose", "tight"])
def test_which_estimators_are_unbiased_for_a_mixture(bound):
    plain = gradients("iwae", bound, seed=0)
    assert largest_t(gradients("dreg_mixture", bound, seed=1), plain) < UNBIASED
    assert largest_t(gradients("dreg_iwae", bound, seed=2), plain) > BIASED
    assert largest_t(gradients("stl_iwae", bound, seed=3), plain) > BIASED


def test_which_estimators_are_unbiased_for_one_expert():
    plain = gradients("iwae", "loose", seed=0, experts=1)
    assert largest_t(gradients("dreg_iwae", "loose", seed=1, experts=1), plain) < UNBIASED
    assert largest_t(gradients("dreg_mixture", "loose", seed=2, experts=1), plain) < UNBIASED
    assert largest_t(gradients("stl_iwae", "loose", seed=3, experts=1), plain) > BIASED


def test_double_reparameterisation_lowers_the_variance():
    spread = {name: gradients(name, "loose", seed=0, repeats=20_000).std(0).mean() for name in objectives.ESTIMATORS}
    assert spread["dreg_iwae"] < spread["dreg_mixture"] < spread["iwae"]


def test_iwae_gradient_is_the_slope_of_the_bound():
    """With the noise held, plain IWAE differentiates the reported bound: a finite difference agrees."""
    model, x, posterior = toy(3)
    noise = posterior.noise(4, torch.Generator().manual_seed(0))
    objectives.importance_weighted(model, x, noise, posterior, "iwae", "loose").surrogate.backward()
    step = torch.zeros_like(posterior.experts.loc)
    step[1, 2, 0] = 1e-6

    def total(shift):
        moved = Mixture(
            posterior.names, Normal(posterior.experts.loc.detach() + shift, posterior.experts.scale.detach())
        )
        return objectives.importance_weighted(model, x, noise, moved, "iwae", "loose").bound.sum()

    slope = (total(step) - total(-step)) / 2e-6
    assert posterior.experts.loc.grad[1, 2, 0].item() == pytest.approx(slope.item(), rel=1e-6)


def bounds(bound: str, experts: int) -> tuple[list[float], LinearGaussian, Mixture]:
    """Means of the bound over 200 repeats, for K = 1, 4, 16 and 10,000."""
    model, x, posterior = toy(200, experts, width=2)  # wider than the true posterior: weights of finite variance
    generator, means = torch.Generator().manual_seed(0), []
    for particles in (1, 4, 16, 10_000):
        log_weights = model.log_weights(x, posterior.sample(particles, generator).detach(), posterior)
        means.append(objectives.bound_value(log_weights, "iwae", bound).mean().item())
    assert means == sorted(means)
    return means, model, posterior


@pytest.mark.parametrize(("bound", "experts"), [("tight", 1), ("tight", 2), ("loose", 1)])
def test_bound_rises_to_the_evidence(bound, experts):
    means, model, _ = bounds(bound, experts)
    evidence = model.evidence()[0].item()
    assert means[-1] == pytest.approx(evidence, abs=0.004)
    assert means[0] < evidence - 0.05


def test_loose_bound_of_a_mixture_rises_to_a_limit_below_the_evidence():
    """An expert's average weight is the integral of q_m p(x, z) / q, not p(x): eq. (3) keeps a gap as K grows."""
    means, model, posterior = bounds("loose", 2)
    grid = torch.linspace(-9, 9, 721, dtype=torch.float64)
    z = torch.cartesian_prod(grid, grid)[:, None]
    one = posterior.detach().at(torch.tensor([0]))
    log_weight = model.log_joint({"x": model.x[:1]}, z[:, 0])[:, None] - one.log_prob(z)
    cell = (grid[1] - grid[0]) ** 2
    limits = ((one.log_experts(z) + log_weight).exp().sum((1, 2)) * cell).log()
    assert means[-1] == pytest.approx(limits.mean().item(), abs=0.004)
    assert limits.mean() < model.evidence()[0] - 0.01


def test_tight_bound_is_never_below_the_loose_one(generator):
    log_weights = 5 * torch.randn(3, 7, 100, generator=generator)
    loose, tight = (objectives.bound_value(log_weights, "iwae", bound) for bound in ("loose", "tight"))
    assert (tight >= loose).all()
    assert (loose >= objectives.bound_value(log_weights, "elbo", "loose")).all()


def test_one_particle_makes_the_loose_bound_the_elbo(generator):
    log_weights = torch.randn(2, 1, 50, generator=generator)
    torch.testing.assert_close(
        objectives.bound_value(log_weights, "iwae", "loose"), objectives.bound_value(log_weights, "elbo", "loose")
    )
    torch.testing.assert_close(objectives.effective_sample_size(log_weights), torch.ones(2, 50))


def test_shares_and_effective_sample_size_of_known_weights():
    log_weights = torch.tensor([[0.5, 0.25], [0.125, 0.125]]).log()[..., None]
    torch.testing.assert_close(objectives.expert_shares(log_weights)[:, 0], torch.tensor([0.75, 0.25]))
    torch.testing.assert_close(objectives.effective_sample_size(log_weights)[:, 0], torch.tensor([1.8, 2.0]))


def images(batch: int, kinds: dict[str, str] = KINDS) -> dict[str, torch.Tensor]:
    """In float64, each pixel drawn by itself."""
    generator = torch.Generator().manual_seed(0)
    shapes = {name: values.shape for name, values in toy_pairs(batch, kinds).batch(slice(None)).items()}
    return {name: torch.rand(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


THREE = KINDS | {"c": "grey"}


@pytest.mark.parametrize("kinds", [{"a": "grey"}, KINDS, THREE], ids=["M=1", "M=2", "M=3"])
@pytest.mark.parametrize("particles", [1, 3])
@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
def test_every_objective_reaches_every_parameter(objective, particles, kinds):
    model, x = toy_model("mmvae", kinds).double(), images(2, kinds)
    posterior = model.posterior(x)
    given = model, x, posterior.noise(particles, torch.Generator().manual_seed(1)), posterior
    if objective == "importance_elbo":
        result = objectives.importance_elbo(*given)
    else:
        result = objectives.importance_weighted(*given, objective, "loose", Screen())
    result.surrogate.backward()
    assert result.bound.shape == (2,)
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("bound", ["loose", "tight"])
@pytest.mark.parametrize("objective", objectives.ESTIMATORS)
def test_a_batch_is_the_sum_of_its_pairs(objective, bound):
    model, x = toy_model().double(), images(3)
    posterior = model.posterior(x)
    noise = posterior.noise(4, torch.Generator().manual_seed(2))

    def gradient(rows):
        model.zero_grad()
        part = {name: image[rows] for name, image in x.items()}
        result = objectives.importance_weighted(model, part, noise[:, :, rows], model.posterior(part), objective, bound)
        result.surrogate.backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    alone = sum(gradient([row]) for row in range(3))
    torch.testing.assert_close(gradient([0, 1, 2]), alone)


def test_mvae_sums_the_terms_of_its_subsets(generator):
    def terms(names, **chosen):
        return mvae.SubsampledElbo(0.4, **chosen).terms(names, generator)

    assert terms("ab") == [("a", "b"), ("a",), ("b",)]
    assert terms("a") == [("a",)]
    assert terms("abc", random=2)[:4] == [("a", "b", "c"), ("a",), ("b",), ("c",)]
    assert [len(term) for term in terms("abc", random=2)[4:]] == [2, 2]
    assert terms("ab", single=False, random=0) == [("a", "b")]
    assert terms("ab", joint=False, random=0) == [("a",), ("b",)]
    drawn = [term for _ in range(300) for term in terms("ab", joint=False, single=False)]
    assert len(drawn) == 300
    for subset in (("a",), ("b",), ("a", "b")):
        assert drawn.count(subset) == pytest.approx(100, abs=30)


def test_annealing_scales_the_kl_only():
    """The surrogate is linear in the annealing weight, and its slope is minus the KL of all terms."""
    model, x = toy_model("mvae").double(), images(2)
    noise = mvae.SubsampledElbo(0.4).noise(model, 2, torch.Generator().manual_seed(0))

    def surrogate(annealing):
        return mvae.subsampled_elbo(model, x, noise, torch.tensor(annealing)).surrogate.item()

    given = [x, {"a": x["a"]}, {"b": x["b"]}]
    kl = sum(model.posterior(part).experts.kl(model.prior()).sum().item() for part in given)
    assert surrogate(0.0) - surrogate(1.0) == pytest.approx(kl, rel=1e-9)
    assert surrogate(0.5) == pytest.approx((surrogate(0.0) + surrogate(1.0)) / 2, rel=1e-9)
