"""One run from parameters to weights and training curve."""

import hashlib
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Self

import torch

from mmvae import model
from mmvae.closure import code_hash
from mmvae.data.pairs import PRESENT, Pairs
from mmvae.data.prepared import CaptionedPairs, LabelledPairs, prepared
from mmvae.files import atomic, write_csv
from mmvae.incomplete import Incomplete, lacking
from mmvae.losses import Phase, Setting, phases
from mmvae.model import ModelConfig
from mmvae.params import ParamsError, check
from mmvae.runs import Run
from mmvae.training.checkpoints import Checkpoint, doublings
from mmvae.training.device import find_device
from mmvae.training.loop import Budget, train
from mmvae.training.phases import extendable

CHECKPOINTS = Path(".checkpoints")


def model_config(run: Run, params: dict, pairs: LabelledPairs | CaptionedPairs) -> ModelConfig:
    """The run's model, with networks of sizes that suit the data."""
    networks = run.networks(params)
    for name, kind in run.kinds.items():
        networks[kind] |= pairs.measured(name)
    latents = params["networks"][run.data_set]["latents"]
    return ModelConfig(run.entry.model, run.kinds, latents, networks, run.entry.options)


def phases_of(run: Run, params: dict, device: torch.device) -> list[Phase]:
    """How the run's model is trained."""
    setting = Setting(run.objective(params), run.particles(params), device)
    return phases(run.entry.model, setting, run.entry.options)


def splits(pairs: LabelledPairs | CaptionedPairs, run: Run, phases: list[Phase]) -> tuple[Pairs, Pairs]:
    """The run's training and validation pairs, with labels if a phase looks at them; no modality is missing."""
    labelled = any(phase.labelled for phase in phases)
    training, validation = (pairs.split(s, tuple(run.kinds), labelled=labelled) for s in ("train", "validation"))
    return training, validation


def with_missing(run: Run, params: dict, training: Pairs, phases: list[Phase]) -> tuple[Pairs, list[Phase]]:
    """What a run is trained on, and how, where pairs lack modalities that it sees.

    Raises:
        ParamsError: a loss needs whole pairs.
        DataError: no pair is whole, and others are dropped.
    """
    check_missing(run, params, phases)
    left = lacking(training, len(run.kinds), run.missing(params))
    if PRESENT in left.arrays:
        phases = [replace(phase, loss=Incomplete(phase.loss, tuple(run.kinds))) for phase in phases]
    return left, phases


def check_missing(run: Run, params: dict, phases: list[Phase]) -> None:
    """May the run be trained so on pairs that lack modalities, if some do? Raises as `with_missing` does."""
    settings = run.missing(params)
    some = settings.missing and settings.incomplete == "kept" and len(run.kinds) > 1
    if some and not all(phase.loss.takes_incomplete for phase in phases):
        raise ParamsError(
            f"{run.entry.model} is trained on whole pairs only, and some would lack a modality: set `incomplete` to "
            "dropped, or `missing` to 0, under data of the run or of the data set"
        )


class Training(NamedTuple):
    """What a run trains, how, on what and how long."""

    config: ModelConfig
    phases: list[Phase]
    pairs: Pairs
    validation: Pairs
    budget: Budget

    @classmethod
    def of(cls, run: Run, params: dict, pairs: LabelledPairs | CaptionedPairs) -> Self:
        """As the parameters say. Raises as `with_missing` does."""
        stretches = phases_of(run, params, pairs.device)
        training, validation = splits(pairs, run, stretches)
        training, stretches = with_missing(run, params, training, stretches)
        budget = check(Budget, run.train(params), f"train.{run.data_set}")
        return cls(model_config(run, params, pairs), stretches, training, validation, budget)


def train_run(run: Run, params: dict, seed: int) -> None:
    """Train one run and write its weights and its training curve; go on with it if it was interrupted.

    Of digit sets, also the weights after epochs 1, 2, 4, ..., by which `evaluate` draws how the model learned; with
    more epochs than before, a run goes on from where it ended then.
    """
    device = find_device()
    pairs = prepared(run.data_set, device)
    config, stretches, training, validation, budget = Training.of(run, params, pairs)
    # Where no share of the whole training matters, a longer run begins as a shorter one.
    beginning = budget.model_copy(update={"epochs": 0}) if extendable(stretches) else budget
    machine = [device.type, torch.get_num_threads(), torch.__version__]
    key = _key(run, [config, stretches, run.missing(params), beginning, seed, *machine, pairs.digest()])
    memory = CHECKPOINTS / f"{run.data_set}_{run.name}_{seed}_{key}"
    checkpoint = Checkpoint(Path(f"{memory}_{budget.epochs}.safetensors"))
    if isinstance(pairs, LabelledPairs):
        checkpoint = replace(checkpoint, epochs=doublings(budget.epochs), memory=memory)
    torch.manual_seed(seed)
    trained = model.build(config).to(device)
    title = f"{run.data_set} {run.name} seed {seed}"
    watcher = import_module("mmvae.live").Live(Path(f"live/{run.data_set}/{run.name}_{seed}"), title)  # in no hash
    curve = train(trained, stretches, training, validation, budget, seed, title, checkpoint, watcher)
    weights = Path(f"models/{run.data_set}/{run.name}")
    model.save(weights / f"{seed}.safetensors", trained)
    for kept in map(checkpoint.weights, checkpoint.epochs):
        with atomic(weights / f"{seed}_epochs" / kept.name) as path:
            shutil.copyfile(kept, path)
    write_csv(f"plots/{run.data_set}/curves/{run.name}_{seed}.csv", curve)
    checkpoint.finish()


def _key(run: Run, settings: list) -> str:
    """A name for everything that a run depends on: its settings, its data, and what its code does."""
    code = code_hash("mmvae.training.run", *run.modules)
    return hashlib.sha256(f"{settings!r} {code}".encode()).hexdigest()[:16]
