"""What Adam remembers at the end of a training: its running second moments beside AMSGrad's largest.

    python -m studies.estimators.moments --run iwae

Run it where the run was trained: it reads the state that a finished training of digits leaves in .checkpoints/. The
numbers go to data/measured/moments_<run>.csv.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from mmvae import params, runs
from mmvae.files import FileError, read_csv, read_weights, write_table
from mmvae.training.run import CHECKPOINTS
from stages import run
from studies.estimators.first_updates import LAYERS
from studies.estimators.rows import MEASURED, SET, rows

KINDS = {"running": "exp_avg_sq", "largest": "max_exp_avg_sq"}  # as torch.optim.Adam calls them
LIVE = 1e-6  # of the mean running moment of the unit that has the largest
SHARES = (10, 50, 90)  # percent of weights


def end_of_training(data_set: str, name: str, seed: int, epochs: int) -> Path:
    """The state at the end of the only training of this length that there is.

    Raises:
        FileError: there is none, or there are several, of other parameters or code.
    """
    pattern = f"{data_set}_{name}_{seed}_*/end_{epochs:05}.safetensors"
    found = sorted(CHECKPOINTS.glob(pattern))
    if len(found) != 1:
        raise FileError(f"{CHECKPOINTS}/{pattern}: {len(found)} files instead of one; train this run alone here")
    return found[0]


def moments(state: dict[str, Tensor], modality: str) -> dict:
    """Of each last layer of an encoder: the root of its weights' mean second moment, running and largest so far.

    <layer>_slowed: how many times smaller AMSGrad makes the steps of its weights (`slowed`). It and the largest are
    left out where the training did without AMSGrad.
    """
    found: dict = {}
    for layer in LAYERS:
        at = f"modalities.{modality}.encoder.{layer}.weight"
        squares = {kind: state.get(f"optimiser/{key}/{at}") for kind, key in KINDS.items()}
        squares = {kind: square.double() for kind, square in squares.items() if square is not None}
        found |= {f"{layer}_{kind}": float(square.mean().sqrt()) for kind, square in squares.items()}
        if len(squares) == len(KINDS):
            found[f"{layer}_slowed"] = slowed(**squares)
    return found


def slowed(running: Tensor, largest: Tensor) -> dict[str, float]:
    """Percentiles over weights of sqrt(largest / running) (outputs, inputs...), by which AMSGrad divides Adam's steps.

    Only of the inputs (hidden units, channels and places) that still have gradients: the running moments of others have
    faded, however long ago they had any.
    """
    running, largest = running.flatten(1), largest.flatten(1)
    units = running.mean(0)
    live = units > LIVE * units.max()
    ratios = (largest / running)[:, live].sqrt().flatten()
    values = torch.quantile(ratios, torch.tensor(SHARES, dtype=ratios.dtype) / 100)
    return {str(share): float(value) for share, value in zip(SHARES, values, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="of an MMVAE")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    trained = runs.find(params.load(), SET, given.run)
    end = read_csv(f"plots/{SET}/curves/{given.run}_{given.seed}.csv")[-1]
    state, _ = read_weights(end_of_training(SET, given.run, given.seed, end["epoch"]))
    found = {"moments": {modality: moments(state, modality) for modality in trained.kinds}}
    write_table(f"{MEASURED}/moments_{given.run}.csv", rows(found, given.run, given.seed, end["pairs"]))


if __name__ == "__main__":
    run(main)
