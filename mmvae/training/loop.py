"""One training loop for every model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice

import torch
from tqdm import tqdm

from mmvae import objectives
from mmvae.data.pairs import Pairs
from mmvae.losses import Loss
from mmvae.models import MultimodalVAE
from mmvae.processes import ALONE, Processes, ProcessesError
from mmvae.training.batches import shuffled_batches
from mmvae.training.checkpoints import Checkpoint, Progress
from mmvae.training.updates import GraphedUpdate, Update, adam, restart

VALIDATION_PAIRS = 500
VALIDATION_PARTICLES = 10  # K of each expert, whatever K is trained with: so that curves can be compared
LOOK_EVERY = {"cpu": 1, "cuda": 100}  # updates between looks at the bound, for which a GPU has to be waited for


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped."""


@dataclass(frozen=True)
class Budget:
    """How long and how fast to train. `pairs_per_epoch` None: as many as there are. Rounded up to whole batches.

    amsgrad: divide by the largest second moment so far instead of the latest. restart_after: epochs after which Adam's
    moments begin anew; 0: never.
    """

    epochs: int
    pairs_per_epoch: int | None
    batch_size: int
    learning_rate: float
    amsgrad: bool = True
    restart_after: int = 0

    def steps_per_epoch(self, pairs: int) -> int:
        return math.ceil((self.pairs_per_epoch or pairs) / self.batch_size)


@torch.no_grad()
def validate(model: MultimodalVAE, data: Pairs, loss: Loss, generator: torch.Generator) -> dict:
    """What the training curve says of held-out pairs, each a mean over them, with VALIDATION_PARTICLES of each expert.

    The bound, nats; for each encoder its posterior's KL to the prior and entropy, nats; the effective sample size of an
    expert's particles; the share of the mixture's weight that each expert's particles carry. All but KL and entropy
    depend on how many particles there are.
    """
    model.eval()
    x = data.batch(slice(0, VALIDATION_PAIRS))
    sums: dict[str, float] = {}
    total = len(next(iter(x.values())))
    for start in range(0, total, 250):
        part = {name: value[start : start + 250] for name, value in x.items()}
        posterior = model.posterior(part)
        log_weights = model.log_weights(part, posterior.sample(VALIDATION_PARTICLES, generator), posterior)
        row = {"bound_validation": loss.held_out(model, part, log_weights, generator)}
        for name, value in part.items():
            single = model.posterior({name: value}).experts
            row[f"kl_{name}"] = single.kl(model.prior()).sum((0, -1))
            row[f"entropy_{name}"] = single.entropy().sum((0, -1))
        row["ess"] = objectives.effective_sample_size(log_weights).mean(0)
        for name, share in zip(posterior.names, objectives.expert_shares(log_weights), strict=True):
            row[f"share_{name}"] = share
        for key, value in row.items():
            sums[key] = sums.get(key, 0.0) + float(value.double().sum())
    model.train()
    return {key: value / total for key, value in sums.items()}


def train(
    model: MultimodalVAE,
    loss: Loss,
    training: Pairs,
    validation: Pairs,
    budget: Budget,
    seed: int,
    title: str = "",
    checkpoint: Checkpoint | None = None,
    processes: Processes = ALONE,
) -> list[dict]:
    """Raise the model's bound with Adam, in place; one row of the training curve for each epoch.

    The surrogate is summed over the batch, as in the released code. With a `checkpoint`, an interrupted run goes on
    where it was last written, to the same weights as one that was never interrupted.

    Raises:
        TrainingError: the bound is not finite, in training or on held-out pairs; says where, and what it was last.
        FileError: the checkpoint is damaged.
        ProcessesError: a batch has fewer pairs than there are processes.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    optimiser = adam(model, budget.learning_rate, budget.amsgrad)
    progress = _resume(checkpoint, model, optimiser, generator, processes)
    update = Update(model, loss, optimiser, training, processes)
    update = GraphedUpdate(update) if device.type == "cuda" else update
    part = processes.rows(budget.batch_size)
    per_epoch = budget.steps_per_epoch(len(training))
    steps = per_epoch * budget.epochs
    batches = shuffled_batches(len(training), budget.batch_size, steps, torch.Generator().manual_seed(seed))
    last = math.nan
    with _bar(title, steps, progress.step, budget.batch_size, processes.first) as bar:
        for step, batch in enumerate(islice(batches, progress.step, None), progress.step):
            if step and step == per_epoch * budget.restart_after:
                restart(optimiser)
            noise = loss.noise(model, budget.batch_size, generator)
            noise = [(names, standard[:, :, part]) for names, standard in noise]
            annealing = torch.tensor(loss.annealing(step / steps), device=device)
            progress.sums += update(batch[part].to(device), noise, annealing)
            progress.step = step + 1
            epoch, done = step // per_epoch + 1, step % per_epoch + 1
            bar.update(budget.batch_size)
            if done % LOOK_EVERY[device.type] and done != per_epoch:
                continue
            means = (progress.sums / (done * budget.batch_size)).tolist()
            if not math.isfinite(means[0]):
                raise TrainingError(
                    f"{title}: the bound is {means[0]} in epoch {epoch}, batch {done} of {per_epoch}; the last finite "
                    f"mean was {last:.4f} nats a pair. Lower the learning rate."
                )
            last = means[0]
            bar.set_postfix(bound=f"{last:.1f}", refresh=False)
            if done == per_epoch:
                row = {"epoch": epoch, "pairs": progress.step * budget.batch_size}
                row |= dict(zip(("bound_train", "kept", "dropped_weight"), means, strict=True))
                if processes.first:
                    held_out = torch.Generator(device).manual_seed(seed)
                    row |= validate(model, validation, loss, held_out)
                    _require_finite(row, title)
                progress.curve.append(row)
                progress.sums.zero_()
                if checkpoint and processes.first:
                    checkpoint.keep(model, epoch)
            if checkpoint and processes.first and checkpoint.due():
                checkpoint.write(model, optimiser, generator, progress)
    if checkpoint and processes.first:
        checkpoint.write(model, optimiser, generator, progress)
    return progress.curve


def _require_finite(row: dict, title: str) -> None:
    wrong = [key for key, value in row.items() if not math.isfinite(value)]
    if wrong:
        raise TrainingError(
            f"{title}: {wrong[0]} is {row[wrong[0]]} after epoch {row['epoch']}, though the training bound is finite. "
            "Lower the learning rate."
        )


def _resume(
    checkpoint: Checkpoint | None,
    model: MultimodalVAE,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    processes: Processes,
) -> Progress:
    """Where the run stands: at its start, or where its checkpoint was written."""
    start = Progress(0, [], torch.zeros(3, dtype=torch.float64, device=generator.device))
    progress = (checkpoint.read(model, optimiser, generator) if checkpoint else None) or start
    if progress.step != processes.from_first(progress.step):
        raise ProcessesError(
            f"process {processes.rank} does not find the checkpoint of the first one at {checkpoint.path}; put it on a "
            f"disk that all of them read, or remove it to start over"
        )
    return progress


def _bar(title: str, steps: int, done: int, batch_size: int, shown: bool) -> tqdm:
    return tqdm(
        total=steps * batch_size,
        initial=done * batch_size,
        desc=title,
        unit="pair",
        mininterval=1.0,
        dynamic_ncols=True,
        **({} if shown else {"disable": True}),
    )
