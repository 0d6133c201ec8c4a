"""What the gradient of each estimator is like along a training: bias, noise and tails, for each encoder.

    python -m studies.estimators.gradients --run iwae --batches 40

Run it where the run was trained: it reads params.yaml, the pairs, and the weights that were kept after epochs 1, 2, 4,
... All estimators are given the same pairs and particles, without a screen. The gradient of log p(x, z) along z is
computed once for all of them; what distinguishes them is how it, and the densities of the experts, enter. The numbers
go to data/measured/gradients_<run>.csv.

Shape letters: M experts, K particles, B batch, D latents, N = M * K * B particles.
"""

import argparse
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from mmvae import model as models
from mmvae import objectives, params, runs
from mmvae.data.pairs import Pairs
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation.measured import Measured
from mmvae.files import read_csv, write_table
from mmvae.losses import Loss
from mmvae.model import Inputs, MultimodalVAE
from mmvae.objectives import Particles, effective_sample_size, normalised_weights, repeated
from mmvae.training.batches import shuffled_batches
from mmvae.training.checkpoints import doublings
from mmvae.training.device import find_device
from mmvae.training.run import phases_of
from stages import run
from studies.estimators import ESTIMATORS, GROUPS
from studies.estimators.rows import MEASURED, SET, rows

REFERENCE = "iwae"  # unbiased: the others' bias is their difference to it
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


def gradients(
    model: MultimodalVAE, x: Inputs, noise: Tensor, bound: str, names: Iterable[str] = ESTIMATORS
) -> Gradients:
    """The gradients of each estimator on `x`, from standard `noise` (M, K, B, D)."""
    experts, particles, batch, _ = noise.shape
    count = experts * particles
    encoders = {name: list(model.modalities[name].encoder.parameters()) for name in x}
    posterior = model.posterior(x)
    fixed = posterior.detach()
    drawn_by = torch.eye(experts, dtype=noise.dtype, device=noise.device).repeat_interleave(particles * batch, 1)
    z = fixed.place(noise).flatten(0, 2).requires_grad_()
    log_joint = model.log_joint({name: repeated(value, count) for name, value in x.items()}, z)
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
        surrogate = (
            objectives.ESTIMATORS[name](Particles(placed, at, linear, weights, drawn_by, own)).sum() / logarithms
        )
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

    Batches go to GROUPS groups in turn. Keys are estimator and modality.
    sums: of the gradients of each group, (GROUPS, P). elements: of the squares of each weight's gradient, (P,).
    differences: of the squares of its difference to REFERENCE, (P,). products: of each batch, the squared norm of its
    gradient, its product with REFERENCE's and the squared norm of their difference. squares and sizes: of each pair.
    """

    sums: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    elements: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    differences: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    products: dict[tuple[str, str], list[Tensor]] = field(default_factory=dict)
    squares: dict[tuple[str, str], list[Tensor]] = field(default_factory=dict)
    sizes: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, batch: Gradients) -> None:
        """One more batch."""
        for name, of in batch.encoders.items():
            for modality, gradient in of.items():
                gradient, reference = (g.double().cpu() for g in (gradient, batch.encoders[REFERENCE][modality]))
                key, difference = (name, modality), gradient - reference
                if key not in self.sums:
                    self.sums[key] = gradient.new_zeros(GROUPS, len(gradient))
                    self.elements[key] = gradient.new_zeros(len(gradient))
                    self.differences[key] = gradient.new_zeros(len(gradient))
                products = self.products.setdefault(key, [])
                self.sums[key][len(products) % GROUPS] += gradient
                self.elements[key] += gradient.square()
                self.differences[key] += difference.square()
                products.append(torch.stack([gradient @ gradient, gradient @ reference, difference @ difference]))
                self.squares.setdefault(key, []).append(batch.squares[name][modality].cpu())
        for modality, size in batch.sizes.items():
            self.sizes.setdefault(modality, []).append(size.cpu())

    def summary(self) -> dict:
        """For each modality's encoder the effective sample size and, for each estimator, what its gradient is like.

        signal: the squared norm of the mean gradient as a share of the mean squared norm, which is 1 without noise.
        squared_bias: the squared norm of the mean difference to REFERENCE over that of REFERENCE's mean; an unbiased
        estimate, so that it may be negative. cosine: of both means. Each of these with the standard error of a
        jackknife over groups of batches.
        adam: the signal of each weight by itself, averaged over the weights, each of which Adam divides by its own
        deviation. adam_squared_bias: the squared mean difference to REFERENCE in the same units, over REFERENCE's
        `adam`. rms: the root mean square of a weight's gradient, the median over the weights.
        heaviest: the share of all squared gradients, along the posterior's parameters, that the HEAVIEST of the pairs
        have. heaviest_batches: the same of batches and the encoder's weights.
        """
        return {
            modality: {
                "effective_sample_size": float(torch.cat(sizes).mean()),
                **{n: self._summary(n, m) for n, m in self.sums if m == modality},
            }
            for modality, sizes in self.sizes.items()
        }

    def _summary(self, name: str, modality: str) -> dict:
        key = (name, modality)
        squares = torch.cat(self.squares[key])
        return {
            **self._of_means(name, modality),
            **self._of_weights(name, modality),
            "heaviest": _heaviest(squares),
            "heaviest_batches": _heaviest(torch.stack(self.products[key])[:, 0]),
        }

    def _of_means(self, name: str, modality: str) -> dict:
        """signal, squared_bias and cosine: of whole gradients."""
        own, reference = self.sums[name, modality], self.sums[REFERENCE, modality]
        products, theirs = (torch.stack(self.products[n, modality]) for n in (name, REFERENCE))
        group_of = torch.arange(len(products)) % GROUPS
        counts = group_of.bincount(minlength=GROUPS)
        norms, crossed, differences = products.new_zeros(GROUPS, 3).index_add(0, group_of, products).T
        reference_norms = theirs.new_zeros(GROUPS, 3).index_add(0, group_of, theirs)[:, 0]

        def estimate(groups: Tensor) -> dict[str, float]:
            count = counts[groups].sum()

            def mean_product(first: Tensor, second: Tensor, same: Tensor) -> float:
                """The product of two means, from different batches alone, so that their noise does not enter."""
                return float(
                    (first[groups].sum(0) @ second[groups].sum(0) - same[groups].sum()) / (count * (count - 1))
                )

            signal = mean_product(own, own, norms)
            unbiased = mean_product(reference, reference, reference_norms)
            difference = mean_product(own - reference, own - reference, differences)
            both = mean_product(own, reference, crossed)
            noise = float(norms[groups].sum() / count)
            return {
                "signal": signal / noise if noise else 0.0,
                "squared_bias": difference / unbiased if unbiased else 0.0,
                "cosine": both / math.sqrt(signal * unbiased) if signal > 0 and unbiased > 0 else 0.0,
            }

        everything = torch.arange(GROUPS)
        left_out = [estimate(everything[everything != group]) for group in range(GROUPS)]
        return {
            key: Measured(value, _jackknife([part[key] for part in left_out]))
            for key, value in estimate(everything).items()
        }

    def _of_weights(self, name: str, modality: str) -> dict:
        """adam, adam_squared_bias and rms: of each weight by itself."""
        own, reference = self.sums[name, modality], self.sums[REFERENCE, modality]
        elements, theirs = self.elements[name, modality], self.elements[REFERENCE, modality]
        count = len(self.products[name, modality])
        seen = elements > 0  # a weight behind a unit that is never active has no gradient

        def squared_means(sums: Tensor, squares: Tensor, scale: Tensor) -> float:
            """From different batches alone, in units of mean squares; averaged over the weights."""
            return float(((sums.sum(0).square() - squares) / (count - 1) / scale)[seen].mean())

        bias = squared_means(own - reference, self.differences[name, modality], theirs)
        return {
            "adam": squared_means(own, elements, elements),
            "adam_squared_bias": bias / squared_means(reference, theirs, theirs),
            "rms": float((elements[seen] / count).sqrt().median()),
        }


def _heaviest(values: Tensor) -> float:
    """The share of the sum that the HEAVIEST of the values have, one at least."""
    return float(values.sort(descending=True).values[: max(1, round(HEAVIEST * len(values)))].sum() / values.sum())


def _jackknife(values: list[float]) -> float:
    """The standard error of an estimate, from its values with each group left out."""
    spread = torch.tensor(values, dtype=torch.float64)
    return float(((len(values) - 1) * (spread - spread.mean()).square().mean()).sqrt())


def measure(path: Path, data: Pairs, loss: Loss, batch_size: int, batches: int, device: torch.device) -> dict:
    """The summary of `batches` batches of training pairs, at the weights of a file."""
    model = models.load(path, device)
    for modality in model.modalities.values():
        modality.encoder.requires_grad_()
    generator = torch.Generator(device).manual_seed(0)
    moments = Moments()
    for pairs in shuffled_batches(len(data), batch_size, batches, torch.Generator().manual_seed(0)):
        ((_, noise),) = loss.noise(model, batch_size, generator)
        moments.add(gradients(model, data.batch(pairs.to(device)), noise, loss.bound))
    return moments.summary()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="of an MMVAE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--last", action="store_true", help="at the end of the training only, as `tails`")
    given = parser.parse_args()
    content, device = params.load(), find_device()
    trained = runs.find(content, SET, given.run)
    loss, batch_size = phases_of(trained, content, device)[0].loss, trained.train(content)["batch_size"]
    data = LabelledPairs(SET, device).split("train")
    folder = Path(f"models/{SET}/{given.run}/{given.seed}_epochs")
    curve = read_csv(f"plots/{SET}/curves/{given.run}_{given.seed}.csv")
    kind, parts = "tails" if given.last else "gradients", []
    for epoch in tqdm(doublings(len(curve))[-1 if given.last else 0 :], unit="epoch"):
        path = folder / f"epoch_{epoch:05}.safetensors"
        found = {kind: measure(path, data, loss, batch_size, given.batches, device)}
        parts.append(rows(found, given.run, given.seed, curve[epoch - 1]["pairs"]))
    write_table(f"{MEASURED}/{kind}_{given.run}.csv", pd.concat(parts))


if __name__ == "__main__":
    run(main)
