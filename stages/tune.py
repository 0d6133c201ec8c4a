"""Train one system of Figure 2 with each value of its own parameter, and judge it on validation pairs."""

import numpy as np
import pandas as pd
import torch

from mmvae import model, params, runs
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import classifiers
from mmvae.evaluation.labelled import DigitTest, digit_test, seeded, shows_digit
from mmvae.figure2 import Figure2
from mmvae.files import write_table
from mmvae.metrics.systems import cross_error, transfer
from mmvae.runs import Run
from mmvae.training.device import find_device
from mmvae.training.loop import train
from mmvae.training.run import Training
from stages import arguments, run


def trained_run(one: Run, content: dict, pairs: LabelledPairs, seed: int) -> model.MultimodalModel:
    """The run's model, trained from this seed, in memory alone."""
    config, phases, training, validation, budget = Training.of(one, content, pairs)
    torch.manual_seed(seed)
    made = model.build(config).to(pairs.device)
    train(made, phases, training, validation, budget, seed, title=one.name)
    return made.eval().requires_grad_(False)


def across(made: model.MultimodalModel, test: DigitTest) -> dict[str, float]:
    """Cross coherence under the strong classifiers, and the mean absolute error, each a mean over directions.

    Of a system that decodes nothing, how well probes carry over from one modality to another.
    """
    if not any(made.generates([name]) for name in test.values):
        carried = [rate.value for name, rate in transfer.measure(made, test).items() if "_to_" in name]
        return {"transfer": float(np.mean(carried))}
    generator = seeded(test.values, test.seed)
    right, errors = [], cross_error.measure(made, test)
    for source, values in test.values.items():
        z = made.sample({source: values}, generator)
        judged = [
            name for name in made.generates([source]) if name != source and name in test.judges[classifiers.STRONG]
        ]
        right += [shows_digit(made, name, z, test).mean() for name in judged]
    between = [error.value for name, error in errors.items() if len(set(name.split("_to_"))) > 1]
    return {"cross": float(np.mean(right)), "error": float(np.mean(between))}


def main() -> None:
    given = arguments("set", "run")
    device, content = find_device(), params.load()
    pairs = LabelledPairs(given.set, device)
    figure = params.section(Figure2, content, "figure2")
    one, rows = runs.find(content, given.set, given.run), []
    test = digit_test(pairs, list(one.kinds), content, figure.tuning_seed, "validation", strong=True)
    option, values = figure.tried()[given.run]
    if len(one.kinds) < 2:
        raise params.ParamsError(
            f"figure2.tuned: {given.run} has one modality, and is judged by what it makes of others"
        )
    for value in values:
        made = trained_run(one.replaced(option, value), content, pairs, figure.tuning_seed)
        rows.append({"run": given.run, "option": option, "value": value} | across(made, test))
    write_table(f"data/tuning/{given.set}/{given.run}.csv", pd.DataFrame(rows))


if __name__ == "__main__":
    run(main)
