"""One training loop for every model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tqdm import tqdm

from mmvae import objectives
from mmvae.batches import shuffled_batches
from mmvae.data.pairs import Pairs
from mmvae.models import Inputs, MultimodalVAE

VALIDATION_PAIRS = 500
VALIDATION_PARTICLES = 10

Loss = Callable[[MultimodalVAE, Inputs, torch.Generator, float], objectives.Estimate]


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped."""


@dataclass(frozen=True)
class Budget:
    """How long and how fast to train. `pairs_per_epoch` None: every pair once."""

    epochs: int
    pairs_per_epoch: int | None
    batch_size: int
    learning_rate: float


def importance_weighted_loss(objective: str, bound: str, particles: int) -> Loss:
    """The loss of MMVAE and the single VAEs, with K = `particles` from each expert."""

    def loss(model: MultimodalVAE, x: Inputs, generator: torch.Generator, _: float) -> objectives.Estimate:
        posterior = model.posterior(x)
        noise = posterior.noise(particles, generator)
        if objective == "importance_elbo":
            return objectives.importance_elbo(model, x, noise, posterior)
        return objectives.importance_weighted(model, x, noise, posterior, objective, bound)

    return loss


def subsampled_elbo_loss(annealing_share: float) -> Loss:
    """MVAE's loss: its KL is annealed from 0 to 1 over the first `annealing_share` of training."""

    def loss(model: MultimodalVAE, x: Inputs, generator: torch.Generator, progress: float) -> objectives.Estimate:
        annealing = min(1.0, progress / annealing_share) if annealing_share > 0 else 1.0
        return objectives.subsampled_elbo(model, x, generator, annealing)

    return loss


@torch.no_grad()
def validate(model: MultimodalVAE, data: Pairs, loss: Loss, particles: int, generator: torch.Generator) -> dict:
    """Bound, KL of each encoder's posterior, effective sample size and share of weight per expert on held-out pairs."""
    x = data.batch(slice(0, VALIDATION_PAIRS))
    sums: dict[str, float] = {}
    total = len(next(iter(x.values())))
    for start in range(0, total, 250):
        part = {name: image[start : start + 250] for name, image in x.items()}
        posterior = model.posterior(part)
        log_weights = model.log_weights(part, posterior.sample(particles, generator), posterior)
        row = {"bound_validation": loss(model, part, generator, 1.0).bound}
        for name, image in part.items():
            row[f"kl_{name}"] = model.posterior({name: image}).experts.kl(model.prior()).sum((0, -1))
        row["ess"] = objectives.effective_sample_size(log_weights).mean(0)
        for name, share in zip(posterior.names, objectives.expert_shares(log_weights), strict=True):
            row[f"share_{name}"] = share
        for key, value in row.items():
            sums[key] = sums.get(key, 0.0) + float(value.double().sum())
    return {key: value / total for key, value in sums.items()}


def train(
    model: MultimodalVAE,
    loss: Loss,
    training: Pairs,
    validation: Pairs,
    budget: Budget,
    seed: int,
    particles: int = VALIDATION_PARTICLES,
    title: str = "",
) -> list[dict]:
    """Raise the model's bound with Adam (AMSGrad), in place; one row of the training curve for each epoch.

    The surrogate is summed over the batch, as in the released code. `particles` is the K of the curve's effective
    sample size and shares.

    Raises:
        TrainingError: the bound is not finite; names epoch, batch and the last finite bound.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=budget.learning_rate, amsgrad=True, fused=True)
    per_epoch = math.ceil((budget.pairs_per_epoch or len(training)) / budget.batch_size)
    steps = per_epoch * budget.epochs
    batches = shuffled_batches(len(training), budget.batch_size, steps, order)
    curve, last = [], math.nan
    with tqdm(total=steps * budget.batch_size, desc=title, unit="pair", mininterval=1.0, dynamic_ncols=True) as bar:
        for epoch in range(1, budget.epochs + 1):
            bounds = []
            for batch in range(per_epoch):
                progress = ((epoch - 1) * per_epoch + batch) / steps
                estimate = loss(model, training.batch(next(batches).to(device)), generator, progress)
                bound = float(estimate.bound.mean())
                if not math.isfinite(bound):
                    raise TrainingError(
                        f"{title}: the bound is {bound} in epoch {epoch}, batch {batch + 1} of {per_epoch}; the last "
                        f"finite value was {last:.4f} nats a pair. Lower the learning rate."
                    )
                optimiser.zero_grad(set_to_none=True)
                (-estimate.surrogate).backward()
                optimiser.step()
                bounds.append(bound)
                last = bound
                bar.update(budget.batch_size)
                bar.set_postfix(bound=f"{bound:.1f}", refresh=False)
            held_out = torch.Generator(device).manual_seed(seed)
            curve.append(
                {
                    "epoch": epoch,
                    "pairs": epoch * per_epoch * budget.batch_size,
                    "bound_train": sum(bounds) / len(bounds),
                    **validate(model, validation, loss, particles, held_out),
                }
            )
    return curve
