"""Where the digit stages find each other's files, and how they load them."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch

from mmvae import config, models
from mmvae.device import find_device
from mmvae.files import read_arrays, write_csv
from mmvae.models import ModelConfig
from mmvae.training import Budget, Loss, Pairs, train


class DigitPairs:
    """The paired images of one data set, by split."""

    def __init__(self, data_set: str, device: torch.device):
        self.names = tuple(config.DIGIT_SETS[data_set])
        self.device = device
        self._prepared = read_arrays(f"data/prepared/{data_set}.npz")
        self._pairs = read_arrays(f"data/pairs/{data_set}.npz")

    def split(self, split: str, names: tuple[str, ...] = ()) -> Pairs:
        """All pairs of a split, of all or some modalities."""
        names = names or self.names
        images = {name: self._prepared[f"{name}/{split}/images"] for name in names}
        return Pairs(images, {name: self._pairs[f"{split}/{name}"] for name in names}, self.device)

    def first_pass(self, split: str) -> tuple[dict[str, torch.Tensor], np.ndarray]:
        """Pixels in [0, 1] and digits of the pairs in which every used image appears once."""
        count = int(self._pairs[f"{split}/first_pass"])
        name = self.names[0]
        digits = self._prepared[f"{name}/{split}/labels"][self._pairs[f"{split}/{name}"][:count]]
        return self.split(split).batch(slice(0, count)), digits


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
