"""Objectives: what is reported (a bound, in nats) and what is differentiated (a surrogate), kept apart.

Every importance-weighted objective is a function of the same log-weights: `log w[m, k, b]` of particle k from expert m
for pair b. Nearly all of their weight lies on one or two particles. The screen scores all particles without gradient.
Those that carry weight are scored again, in full precision and with gradient, and an estimator turns them into a
surrogate. (In the screen, batch normalisation uses its running statistics; in the second pass, the particles' own.)
docs/reproduction.md derives each estimator.

Shape letters: M experts, K particles, B batch, D latents, N particles kept.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mmvae.distributions import Mixture
from mmvae.model import Inputs, MultimodalVAE


@dataclass(frozen=True)
class Estimate:
    """What one batch gave.

    bound: (B,), nats, detached. surrogate: a scalar whose gradient is the sum of the pairs' gradients. kept: (B,), the
    share of a pair's particles that took part in it. dropped: (B,), the share of a pair's weight on the others.
    """

    bound: Tensor
    surrogate: Tensor
    kept: Tensor
    dropped: Tensor

    @classmethod
    def of_all(cls, bound: Tensor, surrogate: Tensor) -> Self:
        """An estimate in which every particle took part."""
        return cls(bound.detach(), surrogate, torch.ones_like(bound), torch.zeros_like(bound))


@dataclass(frozen=True)
class Screen:
    """Which particles are worth a backward pass, judged by their log-weights without gradient.

    minimum_weight: of a particle, as a share of its logarithm. rows_per_expert: if given, keep
    the heaviest rows_per_expert * M * B particles of a whole batch instead, so that shapes are always the same. dtype:
    the decoders' arithmetic while screening; None is the model's own. The heaviest particle of every logarithm is
    always kept.
    """

    minimum_weight: float = 1e-4
    rows_per_expert: int | None = None
    dtype: torch.dtype | None = None

    def keep(self, weights: Tensor, inside: tuple[int, ...]) -> Tensor:
        """Flat positions (N,) of the particles to keep; weights (M, K, B) that sum to one over `inside`."""
        ranks = weights.masked_fill(weights == weights.amax(inside, keepdim=True), 1).flatten()
        if self.rows_per_expert is None:
            return (~(ranks <= self.minimum_weight)).nonzero()[:, 0]  # with any that is no number
        experts, particles, batch = weights.shape
        rows = min(self.rows_per_expert, particles) * experts * batch
        return ranks.topk(rows, sorted=False).indices


@dataclass(frozen=True)
class Particles:
    """The particles kept for the backward pass, one row each.

    z: (N, D), reparameterised through its own expert. at: the same values, where the densities were evaluated; an
    estimator may scale the gradient that leaves it. log_joint: (N,), log p(x, z) there. weight: (N,), constants that
    sum to one within a logarithm. drawn_by: (M, N), one where the expert drew the row. posterior: the mixture of each
    row.
    """

    z: Tensor
    at: Tensor
    log_joint: Tensor
    weight: Tensor
    drawn_by: Tensor
    posterior: Mixture


def scale_gradient(z: Tensor, factor: Tensor) -> None:
    """Multiply the gradient that leaves z (N, D) by the constant `factor` (N,)."""
    if z.requires_grad:
        z.register_hook(lambda gradient: gradient * factor.detach()[:, None])


def iwae(p: Particles) -> Tensor:
    """The plain gradient of the bound (eq. 6): unbiased."""
    return p.weight * (p.log_joint - p.posterior.log_prob(p.at))


def stl_iwae(p: Particles) -> Tensor:
    """Posterior parameters held fixed in the density, first-power weights: what the released code runs.

    Sticking the landing (Roeder et al. 2017), biased for K > 1.
    """
    return p.weight * (p.log_joint - p.posterior.detach().log_prob(p.at))


def dreg_iwae(p: Particles) -> Tensor:
    """Doubly reparameterised, encoder gradients weighted by w squared (eq. 8): unbiased for one expert only."""
    scale_gradient(p.at, p.weight)
    return p.weight * (p.log_joint - p.posterior.detach().log_prob(p.at))


def dreg_mixture(p: Particles) -> Tensor:
    """The doubly reparameterised gradient that is unbiased for a mixture (docs/reproduction.md).

    With r_j the responsibility of expert j and m the expert that drew z: along z the factor (1 - r_m) + r_m w and
    the term -w dr_m/dz; for every other expert the score -w r_j d log q_j(z).
    """
    fixed = p.posterior.detach()
    responsibilities = fixed.log_experts(p.z).softmax(0)
    own = (p.drawn_by * responsibilities).sum(0)
    scores = responsibilities.detach() * p.posterior.log_experts(p.z.detach())
    others = ((1 - p.drawn_by) * scores).sum(0)
    scale_gradient(p.at, 1 - own + own * p.weight)
    correction = own + others
    return p.weight * (p.log_joint - fixed.log_prob(p.at) - (correction - correction.detach()))


ESTIMATORS = {
    "elbo": iwae,
    "iwae": iwae,
    "stl_iwae": stl_iwae,
    "dreg_iwae": dreg_iwae,
    "dreg_mixture": dreg_mixture,
}
OBJECTIVES = (*ESTIMATORS, "importance_elbo")  # what the parameter `objective` may be


def bound_value(log_weights: Tensor, objective: str, bound: str) -> Tensor:
    """The bound that `objective` raises: (M, K, B) -> (B,), nats.

    `elbo` averages log-weights. The others take the logarithm of averaged weights: `loose` averages over experts
    outside the logarithm (eq. 3), `tight` inside it (eq. 5, with K particles from each expert).
    """
    experts, particles, _ = log_weights.shape
    if objective == "elbo":
        return log_weights.mean((0, 1))
    if bound == "loose":
        return (log_weights.logsumexp(1) - math.log(particles)).mean(0)
    return log_weights.logsumexp((0, 1)) - math.log(experts * particles)


def _logarithm(objective: str, bound: str) -> tuple[int, ...]:
    """The dimensions of (M, K, B) that are averaged inside one logarithm."""
    return (0, 1) if bound == "tight" and objective != "elbo" else (1,)


def normalised_weights(log_weights: Tensor, objective: str, bound: str) -> Tensor:
    """Each particle's share of its logarithm: (M, K, B) -> (M, K, B).

    Sums to one over K for each expert (`elbo`, where all are equal, and `loose`), or over M and K together (`tight`).
    """
    if objective == "elbo":
        return torch.full_like(log_weights, 1 / log_weights.shape[1])
    return (log_weights - log_weights.logsumexp(_logarithm(objective, bound), keepdim=True)).exp()


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """1 / sum of squared weights, within each expert's K particles: (M, K, B) -> (M, B), between 1 and K."""
    return 1 / log_weights.softmax(1).square().sum(1)


def expert_shares(log_weights: Tensor) -> Tensor:
    """Share of the mixture's whole weight that each expert's particles carry: (M, K, B) -> (M, B)."""
    return log_weights.flatten(0, 1).softmax(0).view_as(log_weights).sum(1)


def importance_weighted(
    model: MultimodalVAE,
    x: Inputs,
    noise: Tensor,
    posterior: Mixture,
    objective: str,
    bound: str,
    screen: Screen | None = None,
) -> Estimate:
    """The bound on `x` and the surrogate of `objective`, from standard `noise` (M, K, B, D).

    `screen` says which particles take part in the surrogate, their weights renormalised. With None, and where all
    weights are equal (`elbo`, or one particle to a logarithm), every particle is scored with gradient.
    """
    inside = _logarithm(objective, bound)
    experts, particles, batch, _ = noise.shape
    if screen is None or objective == "elbo" or math.prod(noise.shape[i] for i in inside) == 1:
        log_weights = noise.new_zeros(noise.shape[:3])
        kept = torch.arange(log_weights.numel(), device=noise.device)
        own = posterior.tiled(experts * particles)
    else:
        fixed = posterior.detach()
        log_weights = model.log_weights(x, fixed.place(noise), fixed, screen.dtype)
        kept = screen.keep(normalised_weights(log_weights, objective, bound), inside)
        own = posterior.at(kept % batch)
    expert, pair = kept // (particles * batch), kept % batch
    drawn_by = (expert == torch.arange(experts, device=noise.device)[:, None]).to(noise.dtype)
    z = own.place_own(noise.flatten(0, 2)[kept], drawn_by)
    at = z.clone()
    log_joint = model.log_joint({name: value[pair] for name, value in x.items()}, at)
    with torch.no_grad():
        log_weights = log_weights.flatten().index_put((kept,), log_joint - own.log_prob(z)).view_as(log_weights)
        included = torch.zeros_like(log_weights, dtype=torch.bool).flatten().index_fill(0, kept, True)
        included = included.view_as(log_weights)
        weights = normalised_weights(log_weights.masked_fill(~included, -math.inf), objective, bound)
        dropped = normalised_weights(log_weights, objective, bound).masked_fill(included, 0).sum(inside)
    surrogate = ESTIMATORS[objective](Particles(z, at, log_joint, weights.flatten()[kept], drawn_by, own)).sum()
    logarithms = experts * particles // math.prod(noise.shape[i] for i in inside)
    return Estimate(
        bound_value(log_weights, objective, bound),
        surrogate / logarithms,
        included.float().mean((0, 1)),
        dropped.view(logarithms, -1).mean(0),
    )


def repeated(x: Tensor, times: int) -> Tensor:
    """A batch `times` over: (B, ...) -> (times * B, ...)."""
    return x.repeat(times, *[1] * (x.dim() - 1))


def importance_elbo(model: MultimodalVAE, x: Inputs, noise: Tensor, posterior: Mixture) -> Estimate:
    """The multi-modal importance-sampled ELBO (appendix B): every decoder sees its own expert's particles only.

    What expert i would score under decoder j is estimated from expert j's particles, weighted by q_i / q_j with q_j
    fixed; the KL to the prior is in closed form, expert by expert. `noise` (M, K, B, D).

    As released, the gradient also passes through the particles in the other experts' terms, which appendix B's does
    not. The value is no bound: where q_i / q_j is near zero, the (negative) log-likelihood of expert i under decoder j
    vanishes from the sum, which drives experts apart.
    """
    z = posterior.place(noise)
    experts, particles, batch, _ = z.shape
    log_likelihoods = torch.stack(
        [
            model.modalities[name].scaling
            * model.modalities[name]
            .log_likelihood(z[m].flatten(0, 1), repeated(x[name], particles))
            .view(particles, batch)
            for m, name in enumerate(posterior.names)
        ]
    )
    log_experts = posterior.log_experts(z.detach())  # [i, j, k, b]: density under i of a particle of j
    fixed = log_experts.detach().diagonal(dim1=0, dim2=1).movedim(-1, 0)
    ratios = (log_experts - fixed).exp()
    own = torch.eye(experts, dtype=torch.bool, device=z.device)[:, :, None, None]
    ratios = torch.where(own, torch.ones_like(ratios), ratios)
    kl = posterior.experts.kl(model.prior()).sum(-1)
    values = (ratios * log_likelihoods).sum(1).mean((0, 1)) - kl.mean(0)
    return Estimate.of_all(values, values.sum())
