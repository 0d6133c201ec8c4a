"""One training loop for every model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mmvae import objectives
from mmvae.data.pairs import Pairs
from mmvae.distributions import Mixture
from mmvae.losses import Loss, Phase
from mmvae.model import Inputs, MultimodalModel, MultimodalVAE
from mmvae.params import Section, real, whole
from mmvae.training.batches import shuffled_batches
from mmvae.training.checkpoints import Checkpoint, Progress
from mmvae.training.phases import Stretch, frozen, schedule
from mmvae.training.updates import adam, restart, state_of, updater

VALIDATION_PAIRS = 500
WATCHED_PAIRS = 50  # of the validation pairs, for what is seen while a training runs
VALIDATION_PARTICLES = 10  # K of each expert, whatever K is trained with: so that curves can be compared
LOOK_EVERY = {"cpu": 1, "cuda": 100}  # updates between looks at the bound, for which a GPU has to be waited for


class Watcher(Protocol):
    """Is told of a training while it runs, and changes nothing in it: `mmvae/live.py`."""

    def begin(self, pairs: int, total: int) -> None: ...
    def due(self) -> bool: ...
    def tell(self, row: dict) -> None: ...
    def picture(self, model: MultimodalModel, validation: Pairs, epoch: int) -> None: ...


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped."""


class Length(Section):
    """How long and how fast to train. `pairs_per_epoch` is rounded up to whole batches; None: all pairs."""

    epochs: whole(1, 10_000)
    pairs_per_epoch: whole(1, 10_000_000) | None
    batch_size: whole(1, 10_000)
    learning_rate: real(1e-8, 1.0)


class Optimiser(Section):
    """amsgrad: divide by the largest second moment so far instead of the latest. restart_after: epochs after which
    Adam's moments begin anew; 0: never.
    """

    amsgrad: bool = True
    restart_after: whole(0, 10_000) = 0


class Budget(Length, Optimiser):
    """All that a training depends on besides its model, its phases and its data."""

    def steps_per_epoch(self, pairs: int) -> int:
        return math.ceil((self.pairs_per_epoch or pairs) / self.batch_size)


@torch.no_grad()
def validate(model: MultimodalModel, data: Pairs, loss: Loss, generator: torch.Generator) -> dict:
    """What the training curve says of held-out pairs, each a mean over them, with VALIDATION_PARTICLES of each expert.

    The pairs are VALIDATION_PAIRS at even distances, or all. The bound, nats; if the model has densities, for each
    encoder its posterior's KL to the prior and entropy, nats; the effective sample size of an expert's particles; the
    share of the mixture's weight that each expert's particles carry. All but KL and entropy depend on how many
    particles there are.
    """
    model.eval()
    sums: dict[str, float] = {}
    total = min(len(data), VALIDATION_PAIRS)
    chosen = torch.linspace(0, len(data) - 1, total, dtype=torch.float64).round().long()
    for pairs in chosen.to(generator.device).split(250):
        part = data.batch(pairs)
        if model.has_density:
            posterior = model.posterior(part)
            log_weights = model.log_weights(part, posterior.sample(VALIDATION_PARTICLES, generator), posterior)
            row = {"bound_validation": loss.held_out(model, part, log_weights, generator)}
            row |= _of_posteriors(model, part, posterior, log_weights)
        else:
            row = {"bound_validation": loss.held_out(model, part, None, generator)}
        for key, value in row.items():
            sums[key] = sums.get(key, 0.0) + float(value.double().sum())
    model.train()
    return {key: value / total for key, value in sums.items()}


def _of_posteriors(model: MultimodalVAE, x: Inputs, posterior: Mixture, log_weights: Tensor) -> dict[str, Tensor]:
    """What `validate` says of each pair besides the bound: (B,) each."""
    row = {}
    for name, value in x.items():
        single = model.posterior({name: value}).experts
        row[f"kl_{name}"] = single.kl(model.prior()).sum((0, -1))
        row[f"entropy_{name}"] = single.entropy().sum((0, -1))
    row["ess"] = objectives.effective_sample_size(log_weights).mean(0)
    for name, share in zip(posterior.names, objectives.expert_shares(log_weights), strict=True):
        row[f"share_{name}"] = share
    return row


def train(
    model: MultimodalModel,
    phases: Sequence[Phase],
    training: Pairs,
    validation: Pairs,
    budget: Budget,
    seed: int,
    title: str = "",
    checkpoint: Checkpoint | None = None,
    watcher: Watcher | None = None,
) -> list[dict]:
    """Raise the bounds of the phases, one after another, with Adam, in place; one row of the curve for each epoch.

    The surrogate is summed over the batch, as in the released code. An epoch is validated by the loss that its last
    update was for. With a `checkpoint`, an interrupted run goes on where it was last written, to the same weights as
    one that was never interrupted. A `watcher` is told how it goes.

    Raises:
        TrainingError: the bound is not finite, in training or on held-out pairs; says where, and what it was last.
        PhaseError: the phases' shares do not sum to 1, or the model has no parameter that a phase trains.
        FileError: the checkpoint is damaged.
    """
    run = _Run(model, training, validation, budget, seed, title, checkpoint, watcher)
    with run.bar:
        for stretch in schedule(model, phases, run.steps):
            with frozen(stretch.fixed):
                run.through(stretch)
    run.write()
    return run.progress.curve


@dataclass
class _Run:
    """A training under way."""

    model: MultimodalModel
    training: Pairs
    validation: Pairs
    budget: Budget
    seed: int
    title: str
    checkpoint: Checkpoint | None
    watcher: Watcher | None

    def __post_init__(self):
        model, budget, checkpoint = self.model, self.budget, self.checkpoint
        self.device = next(model.parameters()).device
        self.generator = torch.Generator(self.device).manual_seed(self.seed)
        self.optimiser = adam(model, budget.learning_rate, budget.amsgrad)
        self.progress = Progress(torch.zeros(3, dtype=torch.float64, device=self.device))
        self.state = state_of(model, self.optimiser)
        if checkpoint:
            checkpoint.read(self.state, self.generator, self.progress)
        self.per_epoch = budget.steps_per_epoch(len(self.training))
        self.steps = self.per_epoch * budget.epochs
        order = torch.Generator().manual_seed(self.seed)
        batches = shuffled_batches(len(self.training), budget.batch_size, self.steps, order)
        self.batches = islice(batches, self.progress.step, None)
        done, total = (steps * budget.batch_size for steps in (self.progress.step, self.steps))
        self.bar = tqdm(
            total=total,
            initial=done,
            desc=self.title,
            unit="pair",
            mininterval=1.0,
            dynamic_ncols=True,
        )
        self.last = math.nan
        if self.watcher:
            self.watcher.begin(done, total)
            self.watched = self.validation.of(np.linspace(0, len(self.validation) - 1, WATCHED_PAIRS).astype(int))

    def through(self, stretch: Stretch) -> None:
        """Do what is left of a phase."""
        loss = stretch.phase.loss
        update = updater(self.model, loss, self.optimiser, self.training)
        for step in range(max(stretch.updates.start, self.progress.step), stretch.updates.stop):
            if step and step == self.per_epoch * self.budget.restart_after:
                restart(self.optimiser)
            noise = loss.noise(self.model, self.budget.batch_size, self.generator)
            annealing = torch.tensor(loss.annealing(stretch.progress(step)), device=self.device)
            self.progress.sums += update(next(self.batches).to(self.device), noise, annealing)
            self.progress.step = step + 1
            self.bar.update(self.budget.batch_size)
            epoch, done = divmod(step, self.per_epoch)
            self.look(loss, epoch + 1, done + 1)

    def look(self, loss: Loss, epoch: int, done: int) -> None:
        """After `done` updates of an epoch: is the bound finite? Is the epoch at its end, a checkpoint due?"""
        if done % LOOK_EVERY[self.device.type] and done != self.per_epoch:
            return
        means = (self.progress.sums / (done * self.budget.batch_size)).tolist()
        if not math.isfinite(means[0]):
            raise TrainingError(
                f"{self.title}: the bound is {means[0]} in epoch {epoch}, batch {done} of {self.per_epoch}; the last "
                f"finite mean was {self.last:.4f} nats a pair. Lower the learning rate."
            )
        self.last = means[0]
        self.bar.set_postfix(bound=f"{self.last:.1f}", refresh=False)
        if done == self.per_epoch:
            self.end_epoch(loss, epoch, means)
        if self.checkpoint and self.checkpoint.due():
            self.write()
        if self.watcher and (self.watcher.due() or self.progress.step == self.steps):
            self.watcher.tell(self.seen(loss))

    def seen(self, loss: Loss) -> dict[str, float]:
        """What a watcher is told: of the epoch so far, of the last gradient, and of WATCHED_PAIRS.

        On a GPU, the gradient is that of the graph that was captured last.
        """
        gradients = [p.grad.norm() for p in self.model.parameters() if p.grad is not None]
        row = {"pairs": self.progress.step * self.budget.batch_size, "bound_train": self.last}
        row["gradient_norm"] = float(torch.stack(gradients).norm())
        return row | validate(self.model, self.watched, loss, torch.Generator(self.device).manual_seed(self.seed))

    def end_epoch(self, loss: Loss, epoch: int, means: list[float]) -> None:
        """Add the epoch's row to the curve; keep the weights, if the checkpoint does after this epoch."""
        row = {"epoch": epoch, "pairs": self.progress.step * self.budget.batch_size}
        row |= dict(zip(("bound_train", "kept", "dropped_weight"), means, strict=True))
        row |= validate(self.model, self.validation, loss, torch.Generator(self.device).manual_seed(self.seed))
        wrong = [key for key, value in row.items() if not math.isfinite(value)]
        if wrong:
            raise TrainingError(
                f"{self.title}: {wrong[0]} is {row[wrong[0]]} after epoch {epoch}, though the training bound is "
                "finite. Lower the learning rate."
            )
        self.progress.curve.append(row)
        self.progress.sums.zero_()
        if self.checkpoint:
            self.checkpoint.keep(self.model, epoch)
        if self.watcher and epoch & (epoch - 1) == 0:
            self.watcher.picture(self.model, self.validation, epoch)

    def write(self) -> None:
        if self.checkpoint:
            self.checkpoint.write(self.state, self.generator, self.progress)
