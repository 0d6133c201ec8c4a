"""What the gradient of each estimator is like: bias, noise and tails, for each encoder of a mixture of experts.

All estimators are given the same pairs and particles, without a screen. The gradient of log p(x, z) along z is
computed once for all of them; what distinguishes them is how it, and the densities of the experts, enter.

Shape letters: M experts, K particles, B batch, D latents, N = M * K * B particles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmvae.models import Inputs, MultimodalVAE
from mmvae.objectives import ESTIMATORS, Particles, effective_sample_size, normalised_weights

COMPARED = ("iwae", "stl_iwae", "dreg_iwae", "dreg_mixture")
REFERENCE = "iwae"  # unbiased: the others' bias is their difference to it
GROUPS = 10  # of batches, for standard errors by the jackknife
SIZES = (1.0, 1.001, 1.01, 1.1, 1.5)  # lower ends of classes of effective sample size
HEAVIEST = 0.01  # the share of pairs whose share of all squared gradients is given


@dataclass(frozen=True)
class Gradients:
    """Of one batch, for each estimator.

    encoders: estimator -> modality -> the mean pair's gradient of the bound, over all weights of the encoder, (P,).
    squares: estimator -> modality -> the squared norm of each pair's gradient along the posterior's parameters, (B,).
    sizes: modality -> effective sample size of each pair's particles, (B,).
    """

    encoders: dict[str, dict[str, Tensor]]
    squares: dict[str, dict[str, Tensor]]
    sizes: dict[str, Tensor]


def gradients(model: MultimodalVAE, x: Inputs, noise: Tensor, bound: str, names: Iterable[str] = COMPARED) -> Gradients:
    """The gradients of each estimator on `x`, from standard `noise` (M, K, B, D)."""
    experts, particles, batch, _ = noise.shape
    count = experts * particles
    encoders = {name: list(model.modalities[name].encoder.parameters()) for name in x}
    posterior = model.posterior(x)
    fixed = posterior.detach()
    drawn_by = torch.eye(experts, dtype=noise.dtype, device=noise.device).repeat_interleave(particles * batch, 1)
    z = fixed.place(noise).flatten(0, 2).requires_grad_()
    log_joint = model.log_joint({name: value.repeat(count, *[1] * (value.dim() - 1)) for name, value in x.items()}, z)
    (along_z,) = torch.autograd.grad(log_joint.sum(), z)
    log_joint = log_joint.detach()
    log_weights = log_joint.view(experts, particles, batch) - fixed.log_prob(z.detach().view_as(noise))
    weights = normalised_weights(log_weights, "iwae", bound).flatten()
    logarithms = experts if bound == "loose" else 1
    parameters = (posterior.experts.loc, posterior.experts.scale)
    of_encoders, squares = {}, {}
    for name in names:
        own = posterior.tiled(count)
        placed = own.place_own(noise.flatten(0, 2), drawn_by)
        at = placed.clone()
        linear = log_joint + ((at - at.detach()) * along_z).sum(-1)
        surrogate = ESTIMATORS[name](Particles(placed, at, linear, weights, drawn_by, own)).sum() / logarithms
        along = torch.autograd.grad(surrogate, parameters, retain_graph=True)
        squares[name] = dict(zip(x, sum(part.square().sum(-1) for part in along), strict=True))
        of_encoders[name] = {}
        for modality, weights_of in encoders.items():
            parts = torch.autograd.grad(parameters, weights_of, along, retain_graph=True)
            of_encoders[name][modality] = torch.cat([part.flatten() for part in parts]) / batch
    sizes = dict(zip(x, effective_sample_size(log_weights), strict=True))
    return Gradients(of_encoders, squares, sizes)


@dataclass
class Moments:
    """Sums over batches that are all that `summary` needs, so that no gradient has to be kept.

    Batches go to GROUPS groups in turn; `sums` (GROUPS, P), `products` and `counts` (GROUPS,) belong to them.
    """

    sums: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    products: dict[tuple[str, str, str], Tensor] = field(default_factory=dict)
    elements: dict[tuple[str, str], Tensor] = field(default_factory=dict)  # sums of squares, of each weight: (P,)
    differences: dict[tuple[str, str], Tensor] = field(default_factory=dict)  # of squared differences to REFERENCE
    counts: Tensor = field(default_factory=lambda: torch.zeros(GROUPS, dtype=torch.float64))
    squares: dict[tuple[str, str], list[Tensor]] = field(default_factory=dict)
    norms: dict[tuple[str, str], list[Tensor]] = field(default_factory=dict)  # squared, of each batch
    sizes: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, batch: Gradients) -> None:
        """One more batch."""
        group = int(self.counts.sum()) % GROUPS
        self.counts[group] += 1
        for name, of in batch.encoders.items():
            for modality, gradient in of.items():
                gradient, reference = (g.double().cpu() for g in (gradient, batch.encoders[REFERENCE][modality]))
                key = (name, modality)
                if key not in self.sums:
                    self.sums[key] = gradient.new_zeros(GROUPS, len(gradient))
                    self.elements[key] = gradient.new_zeros(len(gradient))
                    self.differences[key] = gradient.new_zeros(len(gradient))
                self.sums[key][group] += gradient
                self.elements[key] += gradient.square()
                self.differences[key] += (gradient - reference).square()
                for kind, product in (
                    ("own", gradient @ gradient),
                    ("reference", gradient @ reference),
                    ("difference", (gradient - reference).square().sum()),
                ):
                    self.products.setdefault((*key, kind), torch.zeros(GROUPS, dtype=torch.float64))[group] += product
                self.norms.setdefault(key, []).append(gradient @ gradient)
                self.squares.setdefault(key, []).append(batch.squares[name][modality].cpu())
        for modality, size in batch.sizes.items():
            self.sizes.setdefault(modality, []).append(size.cpu())

    def summary(self) -> dict:
        """For each modality's encoder the effective sample size and, for each estimator, what its gradient is like.

        signal: the squared norm of the mean gradient as a share of the mean squared norm, which is 1 without noise.
        adam: the same of each weight, averaged over the weights, each of which Adam divides by its own deviation;
        adam_squared_bias: the squared mean difference to REFERENCE in the same units, over REFERENCE's `adam`.
        rms: the root mean square of a weight's gradient, the median over the weights.
        squared_bias: the squared norm of the mean difference to REFERENCE over that of REFERENCE's mean; an unbiased
        estimate, so that it may be negative. cosine: of both means. Each with the standard error of a jackknife over
        groups of batches. heaviest: the share of all squared
        gradients, along the posterior's parameters, that the HEAVIEST of the pairs have; heaviest_batches: the same of
        batches and the encoder's weights. by_size: the share of them
        that pairs have whose effective sample size is at least so much, up to the next.
        """
        return {
            modality: {
                "effective_sample_size": float(torch.cat(sizes).mean()),
                "pairs_by_size": _shares(torch.cat(sizes), torch.ones(sum(map(len, sizes)))),
                "estimators": {n: self._summary(n, m) for n, m in self.sums if m == modality},
            }
            for modality, sizes in self.sizes.items()
        }

    def _summary(self, name: str, modality: str) -> dict:
        own, reference = self.sums[name, modality], self.sums[REFERENCE, modality]
        products = {kind: self.products[name, modality, kind] for kind in ("own", "reference", "difference")}
        theirs = self.products[REFERENCE, modality, "own"]

        def estimate(groups: Tensor) -> dict[str, float]:
            count = self.counts[groups].sum()

            def mean_product(first: Tensor, second: Tensor, same: Tensor) -> float:
                """The product of two means, from different batches alone, so that their noise does not enter."""
                return float(
                    (first[groups].sum(0) @ second[groups].sum(0) - same[groups].sum()) / (count * (count - 1))
                )

            signal = mean_product(own, own, products["own"])
            unbiased = mean_product(reference, reference, theirs)
            difference = mean_product(own - reference, own - reference, products["difference"])
            both = mean_product(own, reference, products["reference"])
            noise = float(products["own"][groups].sum() / count)
            return {
                "signal": signal / noise if noise else 0.0,
                "squared_bias": difference / unbiased if unbiased else 0.0,
                "cosine": both / math.sqrt(signal * unbiased) if signal > 0 and unbiased > 0 else 0.0,
            }

        everything = torch.arange(GROUPS)
        left_out = [estimate(everything[everything != group]) for group in range(GROUPS)]
        result = {
            key: {"mean": value, "standard_error": _jackknife([part[key] for part in left_out])}
            for key, value in estimate(everything).items()
        }
        elements, count = self.elements[name, modality], self.counts.sum()
        seen = elements > 0  # a weight behind a unit that is never active has no gradient

        def of_weights(sums: Tensor, squares: Tensor, scale: Tensor) -> float:
            """Squared means, from different batches alone, in units of mean squares; averaged over the weights."""
            return float(((sums.sum(0).square() - squares) / (count - 1) / scale)[seen].mean())

        result["adam"] = of_weights(own, elements, elements)
        result["adam_squared_bias"] = of_weights(
            own - reference, self.differences[name, modality], self.elements[REFERENCE, modality]
        ) / of_weights(reference, self.elements[REFERENCE, modality], self.elements[REFERENCE, modality])
        result["rms"] = float((elements[seen] / count).sqrt().median())
        squares = torch.cat(self.squares[name, modality])
        result["heaviest"] = _heaviest(squares)
        result["heaviest_batches"] = _heaviest(torch.stack(self.norms[name, modality]))
        result["by_size"] = _shares(torch.cat(self.sizes[modality]), squares)
        return result


def _shares(sizes: Tensor, of: Tensor) -> dict[str, float]:
    """Lower end of a class of effective sample sizes -> its share of `of`."""
    classes = torch.bucketize(sizes, torch.tensor(SIZES[1:]), right=True)
    return {str(low): float(of[classes == i].sum() / of.sum()) for i, low in enumerate(SIZES)}


def _heaviest(values: Tensor) -> float:
    """The share of the sum that the HEAVIEST of the values have, one at least."""
    return float(values.sort(descending=True).values[: max(1, round(HEAVIEST * len(values)))].sum() / values.sum())


def _jackknife(values: list[float]) -> float:
    """The standard error of an estimate, from its values with each group left out."""
    spread = torch.tensor(values, dtype=torch.float64)
    return float(((len(values) - 1) * (spread - spread.mean()).square().mean()).sqrt())
