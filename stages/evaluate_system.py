"""Measure one system of Figure 2 on test pairs, and count what a training step costs."""

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmvae import model, params, registry, runs
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation.labelled import digit_test, seeded
from mmvae.evaluation.measured import table
from mmvae.files import read_table, write_table
from mmvae.late_fusion import LateFusion
from mmvae.losses import Phase
from mmvae.model import Inputs, MultimodalModel
from mmvae.params import ParamsError
from mmvae.training.device import find_device
from mmvae.training.run import phases_of, splits
from mmvae.vae_cca import VaeCca
from stages import arguments, run

FOLDERS = ("metrics.digits", "metrics.systems")
COMPOSED = {"late_fusion": LateFusion, "vae_cca": VaeCca}  # runs.COMPOSED


def cost(trained: MultimodalModel, phases: list[Phase], x: Inputs) -> dict:
    """parameters: of the model. gflop: 1e9 operations a pair, forwards and backwards, in an update of the batch x.

    A screen's share depends on the weights, which are those at the end of the training. The model is left in training.
    """
    generator = seeded(x, 0)
    batch = len(next(iter(x.values())))
    trained.requires_grad_(True).train()
    operations = 0.0
    for phase in phases:
        noise = phase.loss.noise(trained, batch, generator)
        with FlopCounterMode(display=False) as counter:
            phase.loss(trained, x, noise, torch.ones((), device=generator.device)).surrogate.backward()
        operations += phase.share * counter.get_total_flops()
    return {
        "parameters": sum(parameter.numel() for parameter in trained.parameters()),
        "gflop": operations / batch / 1e9,
    }


def trained(content: dict, pairs: LabelledPairs, name: str, seed: int) -> tuple[MultimodalModel, dict]:
    """The model of a run, what it costs, and whether it looked at digits and at which images are a pair."""
    one = runs.find(content, pairs.data_set, name)
    path = f"models/{pairs.data_set}/{name}/{seed}.safetensors"
    made, other = model.load(path, pairs.device), model.load(path, pairs.device)  # a step changes running statistics
    phases = phases_of(one, content, pairs.device)
    training, _ = splits(pairs, one, phases)
    found = cost(other, phases, training.batch(slice(0, one.train(content)["batch_size"])))
    uses = {"labels": any(phase.labelled for phase in phases), "pairs": made.paired}
    return made, {"cost": found, "uses": {name: float(used) for name, used in uses.items()}}


def composed(content: dict, pairs: LabelledPairs, name: str, seed: int) -> tuple[MultimodalModel, dict]:
    """A system made of the single VAEs, and what they cost together.

    Raises:
        ParamsError: a modality has no run of its own, or has several.
    """
    every = runs.of_set(content, pairs.data_set).items()
    single = {run: next(iter(one.kinds)) for run, one in every if len(one.kinds) == 1}
    if sorted(single.values()) != sorted(pairs.kinds):
        raise ParamsError(f"{name} needs one run of each of {', '.join(pairs.kinds)}, alone; there are {single}")
    folder = f"models/{pairs.data_set}"
    made = {at: model.load(f"{folder}/{run}/{seed}.safetensors", pairs.device) for run, at in single.items()}
    tables = [read_table(f"data/evaluations/{pairs.data_set}/{run}_{seed}.csv") for run in single]
    costs = pd.concat(tables).groupby("metric")["value"].sum()
    system = COMPOSED[name]({at: made[at] for at in pairs.kinds}, pairs.first_pass("train")[0], seed)
    return system, {"cost": {key: costs[f"cost.{key}"] for key in ("parameters", "gflop")}}


def main() -> None:
    given = arguments("set", "run", "seed")
    content = params.load()
    pairs = LabelledPairs(given.set, find_device())
    if given.run in COMPOSED:
        system, about = composed(content, pairs, given.run, given.seed)
    else:
        system, about = trained(content, pairs, given.run, given.seed)
    test = digit_test(pairs, list(system.modalities), content, given.seed, strong=True)
    measured = {}
    for folder in FOLDERS:
        measured |= {name: registry.find(folder, name).measure(system, test) for name in registry.names(folder)}
    write_table(f"data/evaluations/{given.set}/{given.run}_{given.seed}.csv", table(measured | about))


if __name__ == "__main__":
    run(main)
