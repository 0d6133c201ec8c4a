"""Screen and refine against the dense formulation in float64, which shares no code with it."""

import copy

import pytest
import torch
from toys import toy_model, toy_pairs

from benchmarks import dense
from mmvae import objectives
from mmvae.losses import Phase
from mmvae.model import MultimodalVAE
from mmvae.models.mmvae import ImportanceWeighted
from mmvae.objectives import Screen
from mmvae.training import loop

PARTICLES, BATCH = 20, 16
FULL, REDUCED = 1e-3, 1e-2  # relative error of the gradient, by the screen's precision


NOISE = toy_model(latents=8).noise(("a", "b"), PARTICLES, BATCH, torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def moments() -> dict[str, MultimodalVAE]:
    """A model before a training run and after it."""
    model = toy_model(latents=8, hidden=32, channels=8)
    start = copy.deepcopy(model)
    budget = loop.Budget(epochs=1, pairs_per_epoch=200 * BATCH, batch_size=BATCH, learning_rate=2e-3)
    loss = ImportanceWeighted("dreg_mixture", "loose", 5, Screen())
    loop.train(model, [Phase(loss)], toy_pairs(512), toy_pairs(20), budget, seed=0)
    return {"start": start, "end": model}


def gradient(model, objective, bound, screen):
    """Of one batch, flat, and the estimate; in the model's own precision."""
    model.zero_grad()
    like = next(model.parameters())
    x = {name: image.to(like.dtype) for name, image in toy_pairs().batch(slice(0, BATCH)).items()}
    noise = NOISE.to(like)
    estimate = objectives.importance_weighted(model, x, noise, model.posterior(x), objective, bound, screen)
    estimate.surrogate.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()]).double(), estimate, x, noise


def error(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("moment", ["start", "end"])
@pytest.mark.parametrize("bound", ["loose", "tight"])
@pytest.mark.parametrize("objective", objectives.ESTIMATORS)
def test_gradients_equal_the_dense_ones(moments, moment, bound, objective):
    model = moments[moment]
    exact, reference, x, noise = gradient(copy.deepcopy(model).double(), objective, bound, None)
    if objective in dense.OBJECTIVES:
        parameters = dense.parameters_of(model, torch.float64)
        dense.surrogate(parameters, x, noise, objective, bound, model.modalities["a"].likelihood.scale).backward()
        independent = torch.cat([parameters[name].grad.flatten() for name, _ in model.named_parameters()])
        assert error(exact, independent) < 1e-9
    screened, estimate, _, _ = gradient(model, objective, bound, Screen())
    assert error(screened, exact) < FULL
    assert error(gradient(model, objective, bound, Screen(dtype=torch.bfloat16))[0], exact) < REDUCED
    assert error(gradient(model, objective, bound, Screen(rows_per_expert=8))[0], exact) < REDUCED
    torch.testing.assert_close(estimate.bound.double(), reference.bound, rtol=1e-5, atol=0)
    if objective == "elbo":
        assert (estimate.kept == 1).all()
        assert (estimate.dropped == 0).all()
    else:
        assert estimate.kept.mean() < 0.5
        assert (estimate.dropped < PARTICLES * 1e-4).all()


class Known:
    """A model whose log-weights are given: whatever particle is looked at, it has its own."""

    def __init__(self, log_weights, z, posterior):
        self.given, self.z, self.posterior = log_weights, z, posterior

    def log_weights(self, x, z, posterior, dtype=None):
        return self.given

    def log_joint(self, x, z):
        rows = [((self.z - row).abs().sum(-1) == 0).nonzero()[0] for row in z.detach()]
        return torch.stack([self.given[tuple(row)] for row in rows]) + self.posterior.log_prob(z[:, None])[:, 0]


def test_kept_and_dropped_are_what_they_say():
    """Weights 0.9, 0.09, 0.009 and 0.001 of each expert: a minimum of 0.05 keeps two and drops a hundredth."""
    log_weights = torch.tensor([0.9, 0.09, 0.009, 0.001]).log().expand(2, 4)[..., None]
    posterior = toy_model().posterior(toy_pairs().batch(slice(0, 1)))
    noise = posterior.noise(4, torch.Generator().manual_seed(0))
    model = Known(log_weights, posterior.place(noise), posterior)
    estimate = objectives.importance_weighted(model, {}, noise, posterior, "iwae", "loose", Screen(minimum_weight=0.05))
    assert estimate.kept.item() == pytest.approx(0.5)
    assert estimate.dropped.item() == pytest.approx(0.01, abs=1e-5)


def test_weights_that_are_no_numbers_are_kept():
    """So that a training that diverges says so, and no decoder is given nothing."""
    weights = torch.tensor([[[0.9, torch.nan], [0.1, torch.nan]]])  # (M, K, B)
    assert Screen(minimum_weight=0.5).keep(weights, (1,)).tolist() == [0, 1, 3]


@pytest.mark.parametrize("inside", [(1,), (0, 1)])
def test_the_heaviest_of_every_logarithm_is_kept(inside):
    weights = torch.rand(3, 50, 6, generator=torch.Generator().manual_seed(0)) + 1
    weights = weights / weights.sum(inside, keepdim=True)
    heaviest = (weights == weights.amax(inside, keepdim=True)).flatten().nonzero()[:, 0]
    assert sorted(Screen(minimum_weight=0.5).keep(weights, inside).tolist()) == heaviest.tolist()
    fixed = Screen(rows_per_expert=1).keep(weights, inside)
    assert len(fixed) == 3 * 6
    assert set(heaviest.tolist()) <= set(fixed.tolist())
