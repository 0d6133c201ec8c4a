"""What the three training stages share: one run from parameters to weights and training curve."""

from __future__ import annotations

from dataclasses import asdict

import torch

from mmvae import config, models
from mmvae.device import find_device
from mmvae.files import write_csv
from mmvae.models import ModelConfig
from mmvae.training import Budget, Loss, train
from stages.inputs import DigitPairs


def budget(train: config.Train) -> Budget:
    return Budget(train.epochs, train.pairs_per_epoch, train.batch_size, train.learning_rate)


def model_config(data_set: str, networks: config.Networks, model: str, **choices: str) -> ModelConfig:
    """A model of both modalities of the data set, with the networks of params.yaml."""
    return ModelConfig(model, **({"modalities": config.DIGIT_SETS[data_set]} | asdict(networks) | choices))


def train_and_write(
    data_set: str, name: str, seed: int, model_config: ModelConfig, loss: Loss, budget: Budget, particles: int
) -> None:
    """Train one run and write its weights and its training curve."""
    device = find_device()
    pairs = DigitPairs(data_set, device)
    modalities = tuple(model_config.modalities)
    torch.manual_seed(seed)
    model = models.build(model_config).to(device)
    curve = train(
        model,
        loss,
        pairs.split("train", modalities),
        pairs.split("validation", modalities),
        budget,
        seed,
        particles,
        title=f"{data_set} {name} seed {seed}",
    )
    models.save(f"models/{data_set}/{name}/{seed}.safetensors", model)
    write_csv(f"plots/{data_set}/curves/{name}_{seed}.csv", curve)
