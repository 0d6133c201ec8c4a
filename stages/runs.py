"""What the three training stages share: one run from parameters to weights and training curve."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from mmvae import config, models
from mmvae.config import CAPTIONS, FEATURES
from mmvae.files import copy_files, write_csv
from mmvae.losses import Loss, Phase
from mmvae.models import ModelConfig
from mmvae.training.checkpoints import Checkpoint, doublings
from mmvae.training.loop import Budget, train
from mmvae.training.phases import extendable
from stages import inputs

CHECKPOINTS = Path(".checkpoints")


def budget(train: config.Train, optimiser: config.Optimiser) -> Budget:
    return Budget(
        train.epochs,
        train.pairs_per_epoch,
        train.batch_size,
        train.learning_rate,
        optimiser.amsgrad,
        optimiser.restart_after,
    )


def modalities(data_set: str, image: str | None) -> dict[str, str]:
    """Modality -> kind: both of a digit set; captions and one kind of `image` of a caption set."""
    if data_set in config.DIGIT_SETS:
        return config.DIGIT_SETS[data_set]
    return {CAPTIONS: CAPTIONS, image: image}


def model_config(
    pairs: inputs.DigitPairs | inputs.CaptionPairs,
    modalities: dict[str, str],
    networks: config.Networks | config.CaptionNetworks,
    model: str,
    **choices: str,
) -> ModelConfig:
    """A model of these modalities, with the networks of params.yaml and sizes that suit the data."""
    if isinstance(networks, config.Networks):
        return ModelConfig(model, modalities, **(asdict(networks) | choices))
    options = {kind: asdict(getattr(networks, kind)) for kind in modalities.values()}
    if CAPTIONS in options:
        options[CAPTIONS]["vocabulary"] = len(pairs.vocabulary)
    if FEATURES in options:
        options[FEATURES]["length"] = pairs.values("train", FEATURES).shape[1]
    return ModelConfig(model, modalities, latents=networks.latents, options=options, **choices)


def train_and_write(
    data_set: str,
    name: str,
    seed: int,
    pairs: inputs.DigitPairs | inputs.CaptionPairs,
    model_config: ModelConfig,
    loss: Loss,
    budget: Budget,
) -> None:
    """Train one run and write its weights and its training curve; go on with it if it was interrupted.

    Of digits, also the weights after epochs 1, 2, 4, ..., by which `evaluate` draws how the model learned; with more
    epochs than before, a run goes on from where it ended then.
    """
    device = pairs.device
    modalities = tuple(model_config.modalities)
    training, validation = (pairs.split(split, modalities) for split in ("train", "validation"))
    phases = [Phase(loss)]
    beginning = replace(budget, epochs=0) if extendable(phases) else budget
    settings = [model_config, phases, beginning, seed, device.type, torch.__version__, pairs.digest()]
    memory = CHECKPOINTS / f"{data_set}_{name}_{seed}_{_key(settings)}"
    checkpoint = Checkpoint(Path(f"{memory}_{budget.epochs}.safetensors"))
    if data_set in config.DIGIT_SETS:
        checkpoint = replace(checkpoint, epochs=doublings(budget.epochs), memory=memory)
    torch.manual_seed(seed)
    model = models.build(model_config).to(device)
    curve = train(
        model,
        phases,
        training,
        validation,
        budget,
        seed,
        title=f"{data_set} {name} seed {seed}",
        checkpoint=checkpoint,
    )
    models.save(f"models/{data_set}/{name}/{seed}.safetensors", model)
    if checkpoint.memory:
        copy_files(f"models/{data_set}/{name}/{seed}_epochs", [checkpoint.weights(e) for e in checkpoint.epochs])
    write_csv(f"plots/{data_set}/curves/{name}_{seed}.csv", curve)
    checkpoint.finish()


def _key(settings: list) -> str:
    """A name for everything that a run depends on: its settings, its data and the code that is loaded."""
    digest = hashlib.sha256(repr(settings).encode())
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in ("mmvae", "stages") and module.__file__:
            digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()[:16]
