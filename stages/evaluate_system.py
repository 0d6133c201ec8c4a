"""Measure one system of Figure 2 on test pairs, and count what a training step costs."""

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmvae import model, params, registry, runs
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import classifiers
from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitSettings, DigitTest
from mmvae.evaluation.measured import table
from mmvae.files import read_table, write_table
from mmvae.late_fusion import LateFusion
from mmvae.losses import Phase
from mmvae.model import Inputs, MultimodalVAE
from mmvae.params import ParamsError
from mmvae.systems import LATE_FUSION
from mmvae.training.device import find_device
from mmvae.training.run import phases_of
from stages import arguments, run

FOLDERS = ("metrics.digits", "metrics.systems")


def cost(trained: MultimodalVAE, phases: list[Phase], x: Inputs) -> dict:
    """parameters: of the model. gflop: 1e9 operations a pair, forwards and backwards, in an update of the batch x.

    A screen's share depends on the weights, which are those at the end of the training.
    """
    generator = torch.Generator(next(iter(x.values())).device).manual_seed(0)
    batch = len(next(iter(x.values())))
    trained.requires_grad_(True).train()
    operations = 0.0
    for phase in phases:
        noise = phase.loss.noise(trained, batch, generator)
        with FlopCounterMode(display=False) as counter:
            phase.loss(trained, x, noise, torch.ones((), device=generator.device)).surrogate.backward()
        operations += phase.share * counter.get_total_flops()
    trained.requires_grad_(False).eval().zero_grad()
    return {
        "parameters": sum(parameter.numel() for parameter in trained.parameters()),
        "gflop": operations / batch / 1e9,
    }


def late_fusion(content: dict, pairs: LabelledPairs, seed: int) -> tuple[LateFusion, dict]:
    """The single VAEs and a mixture of their latents; what they cost together.

    Raises:
        ParamsError: a modality has no run of its own, or has several.
    """
    every = runs.of_set(content, pairs.data_set).items()
    single = {name: next(iter(one.kinds)) for name, one in every if len(one.kinds) == 1}
    if sorted(single.values()) != sorted(pairs.kinds):
        raise ParamsError(f"late fusion needs one run of each of {', '.join(pairs.kinds)}, alone; there are {single}")
    folder = f"models/{pairs.data_set}"
    made = {at: model.load(f"{folder}/{name}/{seed}.safetensors", pairs.device) for name, at in single.items()}
    tables = [read_table(f"data/evaluations/{pairs.data_set}/{name}_{seed}.csv") for name in single]
    costs = pd.concat(tables).groupby("metric")["value"].sum()
    system = LateFusion({name: made[name] for name in pairs.kinds}, pairs.first_pass("train")[0], seed)
    return system, {key: costs[f"cost.{key}"] for key in ("parameters", "gflop")}


def main() -> None:
    given = arguments("set", "run", "seed")
    device, content = find_device(), params.load()
    pairs = LabelledPairs(given.set, device)
    if given.run == LATE_FUSION:
        system, costs = late_fusion(content, pairs, given.seed)
    else:
        system = model.load(f"models/{given.set}/{given.run}/{given.seed}.safetensors", device)
    names = tuple(system.modalities)
    judges = classifiers.load(f"models/{given.set}/classifiers.safetensors", pairs.kinds, device)
    test = DigitTest(
        *pairs.first_pass("train", names),
        *pairs.first_pass("test", names),
        {STRONG: judges[STRONG]},
        params.section(DigitSettings, content, f"evaluate.{given.set}"),
        given.seed,
    )
    measured = {}
    for folder in FOLDERS:
        measured |= {name: registry.find(folder, name).measure(system, test) for name in registry.names(folder)}
    if given.run != LATE_FUSION:
        one = runs.find(content, given.set, given.run)
        batch = {name: values[: one.train(content)["batch_size"]] for name, values in test.training.items()}
        costs = cost(system, phases_of(one, content, device), batch)
    write_table(f"data/evaluations/{given.set}/{given.run}_{given.seed}.csv", table(measured | {"cost": costs}))


if __name__ == "__main__":
    run(main)
