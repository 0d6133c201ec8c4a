"""Measure one system of Figure 2 on test pairs, and count what a training step costs."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from mmvae import model, params, registry, runs
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import classifiers
from mmvae.evaluation.labelled import DigitSettings, DigitTest
from mmvae.evaluation.measured import table
from mmvae.files import read_table, write_table
from mmvae.late_fusion import LateFusion
from mmvae.losses import Loss
from mmvae.model import Inputs, MultimodalVAE
from mmvae.systems import LATE_FUSION
from mmvae.training.device import find_device
from mmvae.training.run import phases_of
from stages import arguments, run

FOLDERS = ("metrics.digits", "metrics.systems")
FITTED_PAIRS = 10_000  # at most, of those that the mixture of late fusion is fitted to


def cost(trained: MultimodalVAE, loss: Loss, x: Inputs) -> dict:
    """parameters: of the model. gflop: 1e9 operations a pair, forwards and backwards, in an update of the batch x."""
    generator = torch.Generator(next(iter(x.values())).device).manual_seed(0)
    batch = len(next(iter(x.values())))
    trained.requires_grad_(True).train()
    noise = loss.noise(trained, batch, generator)
    with FlopCounterMode(display=False) as counter:
        loss(trained, x, noise, torch.ones((), device=generator.device)).surrogate.backward()
    trained.requires_grad_(False).eval()
    trained.zero_grad()
    return {
        "parameters": sum(parameter.numel() for parameter in trained.parameters()),
        "gflop": counter.get_total_flops() / batch / 1e9,
    }


def late_fusion(content: dict, pairs: LabelledPairs, seed: int) -> tuple[LateFusion, dict]:
    """The single VAEs and a mixture of their latents; what they cost together."""
    parts, costs = {}, []
    for name, one in runs.of_set(content, pairs.data_set).items():
        if len(one.kinds) == 1:
            of_run = f"{pairs.data_set}/{name}"
            parts[next(iter(one.kinds))] = model.load(f"models/{of_run}/{seed}.safetensors", pairs.device)
            costs.append(read_table(f"data/evaluations/{of_run}_{seed}.csv").set_index("metric")["value"])
    training = pairs.split("train").batch(slice(0, FITTED_PAIRS))
    return LateFusion(parts, training, seed), {
        key: sum(of[f"cost.{key}"] for of in costs) for key in ("parameters", "gflop")
    }


def main() -> None:
    given = arguments("set", "run", "seed")
    device, content = find_device(), params.load()
    pairs = LabelledPairs(given.set, device)
    if given.run == LATE_FUSION:
        system, costs = late_fusion(content, pairs, given.seed)
    else:
        system = model.load(f"models/{given.set}/{given.run}/{given.seed}.safetensors", device)
    names = tuple(system.modalities)
    test = DigitTest(
        *pairs.first_pass("train", names),
        *pairs.first_pass("test", names),
        classifiers.load(f"models/{given.set}/classifiers.safetensors", pairs.kinds, device),
        params.section(DigitSettings, content, f"evaluate.{given.set}"),
        given.seed,
    )
    measured = {}
    for folder in FOLDERS:
        measured |= {name: registry.find(folder, name).measure(system, test) for name in registry.names(folder)}
    if given.run != LATE_FUSION:
        one = runs.find(content, given.set, given.run)
        batch = {name: values[: one.train(content)["batch_size"]] for name, values in test.training.items()}
        costs = cost(system, phases_of(one, content, device)[0].loss, batch)
    write_table(f"data/evaluations/{given.set}/{given.run}_{given.seed}.csv", table(measured | {"cost": costs}))


if __name__ == "__main__":
    run(main)
