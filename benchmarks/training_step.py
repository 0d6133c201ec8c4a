"""Pairs a second of a training step, as published and by the product's path, and the error of the latter's gradient.

The formulations run in processes of their own, in turn, on the same pairs. `dense` is the published formulation;
`dense_memory_kept` is the same, but its process keeps freed memory, as the product's does. `float32_screen` is the
product's path without reduced precision. `ratio` is of the product over the dense one. `gradient_error` is the
relative error of the whole gradient against the dense formulation in float64, on the weights that the updates gave.
"""

import argparse
import statistics
import time
from dataclasses import replace
from multiprocessing.connection import Connection

import torch
from torch import multiprocessing

from benchmarks import dense
from benchmarks.setup import (
    LIKELIHOOD_SCALE,
    Trainer,
    importance_weighted,
    kinds_of,
    paper_model,
    show,
    training_arrays,
)
from mmvae import objectives
from mmvae.data.pairs import Arrays, Pairs
from mmvae.models.mmvae import ImportanceWeighted
from mmvae.training.device import fast_dtype, find_device, keep_freed_memory

FORMULATIONS = ("dense", "dense_memory_kept", "float32_screen", "product")
PAIRS_IN_ERROR = 32


class Dense:
    """The published formulation with torch's plain Adam."""

    def __init__(self, given: argparse.Namespace, pairs: Pairs):
        self.given, self.pairs = given, pairs
        self.device = device = torch.device(given.device)
        self.model = paper_model(kinds_of(given.set), device)
        self.parameters = dense.parameters_of(self.model)
        self.optimiser = torch.optim.Adam(self.parameters.values(), lr=1e-3, amsgrad=True)
        self.generator = torch.Generator(device).manual_seed(0)

    def step(self) -> dict[str, float]:
        rows = torch.randint(len(self.pairs), (self.given.batch,), device=self.device, generator=self.generator)
        x = {name: image.contiguous() for name, image in self.pairs.batch(rows).items()}
        noise = self.model.noise(list(x), self.given.particles, self.given.batch, self.generator)
        value = dense.surrogate(self.parameters, x, noise, self.given.objective, self.given.bound, LIKELIHOOD_SCALE)
        self.optimiser.zero_grad()
        (-value).backward()
        self.optimiser.step()
        return {}


def product(given: argparse.Namespace, pairs: Pairs, reduced: bool = True) -> Trainer:
    device = torch.device(given.device)
    loss = importance_weighted(given.objective, given.bound, given.particles, device)
    loss = loss if reduced else replace(loss, screen=replace(loss.screen, dtype=None))
    return Trainer(paper_model(kinds_of(given.set), device), loss, pairs, given.batch)


def work(formulation: str, given: argparse.Namespace, arrays: tuple[Arrays, Arrays], pipe: Connection) -> None:
    """A process of one formulation: told a number of steps, it answers with seconds a step and the last one's words."""
    device = torch.device(given.device)
    if formulation == "dense_memory_kept":
        keep_freed_memory()
    if formulation.startswith("dense"):
        trainer = Dense(given, Pairs(*arrays, device))
    else:
        find_device()
        trainer = product(given, Pairs(*arrays, device), reduced=formulation == "product")
    while steps := pipe.recv():
        begin = time.perf_counter()
        for _ in range(steps):
            words = trainer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        pipe.send(((time.perf_counter() - begin) / steps, words))


def race(
    given: argparse.Namespace, arrays: tuple[Arrays, Arrays], formulations: tuple[str, ...]
) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds a step of each formulation, alternating; kept and dropped weight of the product's last step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.setup", "torch._dynamo"])  # once; the latter by the first optimiser
    pipes, seconds, words = {}, {name: [] for name in formulations}, {}
    for name in formulations:
        pipes[name], far = context.Pipe()
        context.Process(target=work, args=(name, given, arrays, far), daemon=True).start()
        far.close()  # so that the end of the process is seen here
        pipes[name].send(given.warm_up)
        pipes[name].recv()
    for _ in range(given.repeats):
        for name, pipe in pipes.items():
            pipe.send(given.steps)
            taken, said = pipe.recv()
            seconds[name].append(taken)
            words = said or words
    for pipe in pipes.values():
        pipe.send(0)
    return {name: statistics.median(values) for name, values in seconds.items()}, words


def gradient_error(trainer: Trainer, loss: ImportanceWeighted) -> float:
    """Relative error of the gradient of PAIRS_IN_ERROR pairs, with the trainer's weights, against dense float64."""
    model = trainer.model
    x = trainer.pairs.batch(trainer.next_batch()[:PAIRS_IN_ERROR])
    noise = model.noise(list(x), loss.particles, len(next(iter(x.values()))), trainer.generator)
    model.zero_grad()
    estimate = objectives.importance_weighted(
        model, x, noise, model.posterior(x), loss.objective, loss.bound, loss.screen
    )
    estimate.surrogate.backward()
    exact = dense.parameters_of(model, torch.float64)
    double = {name: image.double().contiguous() for name, image in x.items()}
    dense.surrogate(exact, double, noise.double(), loss.objective, loss.bound, LIKELIHOOD_SCALE).backward()
    difference = sum((p.grad - exact[name].grad).square().sum() for name, p in model.named_parameters())
    return float((difference / sum(p.grad.square().sum() for p in exact.values())).sqrt())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--particles", type=int, default=30, help="K of each expert")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--objective", choices=dense.OBJECTIVES, default="dreg_iwae")
    parser.add_argument("--bound", choices=("loose", "tight"), default="loose")
    parser.add_argument("--set", default="digits", help="digits, or a set that prepare_digits and pair_digits made")
    parser.add_argument("--device", default=None, help="cpu or cuda; by default a GPU if there is one")
    parser.add_argument("--warm-up", type=int, default=5, help="steps of each formulation before any is timed")
    parser.add_argument("--steps", type=int, default=1, help="steps of each turn")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each formulation")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    device = torch.device(given.device) if given.device else find_device()
    given.device = str(device)
    formulations = tuple(name for name in FORMULATIONS if device.type == "cpu" or name != "dense_memory_kept")
    arrays = training_arrays(given.set)
    seconds, words = race(given, arrays, formulations)
    trainer = product(given, Pairs(*arrays, device))
    for _ in range(given.warm_up):
        trainer.step()
    loss = trainer.loss
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    result = {
        "device": name,
        "particles": given.particles,
        "batch": given.batch,
        "pairs_per_second": given.batch / seconds["product"],
        **{f"pairs_per_second_{name}": given.batch / seconds[name] for name in formulations[:-1]},
        "ratio": seconds["dense"] / seconds["product"],
        **{f"ratio_to_{name}": seconds[name] / seconds["product"] for name in formulations[1:-1]},
        "screen": str(fast_dtype(device) or torch.float32).removeprefix("torch."),
        "gradient_error": gradient_error(trainer, loss),
        "gradient_error_float32_screen": gradient_error(
            trainer, replace(loss, screen=replace(loss.screen, dtype=None))
        ),
        **words,
    }
    show(result, given.json)


if __name__ == "__main__":
    main()
