"""What the benchmarks share: the paper's networks, pairs to train them on, and how numbers are printed."""

import json

import torch

from mmvae import registry
from mmvae.data import pairing
from mmvae.data.pairs import Arrays, Pairs
from mmvae.data.prepared import LabelledPairs
from mmvae.datasets import digits
from mmvae.losses import Setting
from mmvae.model import ModelConfig, MultimodalVAE, build
from mmvae.models import mmvae
from mmvae.models.mmvae import ImportanceWeighted
from mmvae.training.updates import adam, updater

LIKELIHOOD_SCALE = 0.75


def training_arrays(data_set: str) -> tuple[Arrays, Arrays]:
    """What `Pairs` of the training split are made of; the embedded set is painted here, another must be prepared."""
    names = tuple(kinds_of(data_set))
    if data_set != "digits":
        made = LabelledPairs(data_set, torch.device("cpu"))
        return {n: made.values("train", n) for n in names}, {n: made.array("pairs", f"train/{n}") for n in names}
    raw = {"handwritten": digits.handwritten(), "plates": digits.plates()}
    arrays = {f"{name}/{key}": array for name, part in raw.items() for key, array in pairing.split(part, 0.2).items()}
    index = pairing.pair_splits(arrays, names, 20, 10_000, 0)
    return {n: arrays[f"{n}/train/values"] for n in names}, {n: index[f"train/{n}"] for n in names}


def paper_model(kinds: dict[str, str], device: torch.device) -> MultimodalVAE:
    """MMVAE with the paper's networks and fresh weights, always the same."""
    torch.manual_seed(0)
    return build(ModelConfig("mmvae", kinds)).to(device)


def kinds_of(data_set: str) -> dict[str, str]:
    return registry.find("datasets", data_set).MODALITIES


def importance_weighted(objective: str, bound: str, particles: int, device: torch.device) -> ImportanceWeighted:
    """MMVAE's loss, with the screen that suits the hardware."""
    return mmvae.phases(mmvae.Options(bound=bound), Setting(objective, particles, device))[0].loss


class Trainer:
    """The product's path, one update at a call."""

    def __init__(self, model: MultimodalVAE, loss: ImportanceWeighted, pairs: Pairs, batch: int):
        self.model, self.loss, self.pairs, self.batch = model, loss, pairs, batch
        self.device = next(model.parameters()).device
        self.update = updater(model, loss, adam(model, 1e-3, amsgrad=True), pairs)
        self.generator = torch.Generator(self.device).manual_seed(0)
        self.order = torch.Generator().manual_seed(0)
        self.annealing = torch.ones((), device=self.device)

    def next_batch(self) -> torch.Tensor:
        return torch.randint(len(self.pairs), (self.batch,), generator=self.order).to(self.device)

    def step(self) -> dict[str, float]:
        """One update; what the training curve would say of it."""
        noise = self.loss.noise(self.model, self.batch, self.generator)
        bound, kept, dropped = (self.update(self.next_batch(), noise, self.annealing) / self.batch).tolist()
        return {"bound": bound, "kept": kept, "dropped_weight": dropped}


def show(result: dict, as_json: bool) -> None:
    """As JSON, or one number a line."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for key, value in result.items():
        text = f"{value:.4g}" if isinstance(value, float) else value
        print(f"{key:32} {text}")
