"""Training on pairs that lack modalities: every loss on what there is.

A batch says under PRESENT which modalities each of its pairs has. Pairs that have the same ones are a batch of their
own for the loss, of a model that has no other modalities. So no loss can see, or has to know, what is missing.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mmvae.data.missing import Missing, present
from mmvae.data.pairs import PRESENT, Pairs
from mmvae.files import DataError
from mmvae.losses import Loss, Noise
from mmvae.model import Inputs, MultimodalModel, subsets
from mmvae.objectives import Estimate


def only(model: MultimodalModel, names: Sequence[str]) -> MultimodalModel:
    """The same model, with the same weights, of some modalities alone."""
    part = copy(model)
    part._modules = model._modules | {"modalities": nn.ModuleDict({name: model.modalities[name] for name in names})}
    return part


@dataclass(frozen=True)
class Incomplete:
    """A loss on batches that lack modalities. `names`: of those that PRESENT tells of."""

    loss: Loss
    names: tuple[str, ...]
    takes_incomplete = True

    def noise(self, model: MultimodalModel, batch: int, generator: torch.Generator) -> Noise:
        """For every subset as much as if all pairs had that."""
        every = {some: self.loss.noise(only(model, some), batch, generator) for some in subsets(self.names)}
        return [((some, given), standard) for some, noise in every.items() for given, standard in noise]

    def annealing(self, progress: float) -> float:
        return self.loss.annealing(progress)

    def __call__(self, model: MultimodalModel, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        """The bound, and what is kept, in another order of pairs than x has."""
        there, found = x[PRESENT].bool(), []
        for some in subsets(self.names):
            wanted = torch.tensor([name in some for name in self.names], device=there.device)
            rows = (there == wanted).all(1).nonzero()[:, 0]
            if len(rows):
                own = [(given, standard[:, :, rows]) for (of, given), standard in noise if of == some]
                values = {name: x[name][rows] for name in some}
                found.append(self.loss(only(model, some), values, own, annealing))
        parts = {key: torch.cat([getattr(one, key) for one in found]) for key in ("bound", "kept", "dropped")}
        return Estimate(surrogate=sum(one.surrogate for one in found), **parts)

    def held_out(
        self, model: MultimodalModel, x: Inputs, log_weights: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        return self.loss.held_out(model, x, log_weights, generator)


def lacking(training: Pairs, modalities: int, settings: Missing) -> Pairs:
    """The pairs that are left of complete ones of M modalities, by `data.<set>.missing` and `incomplete`.

    If a pair lacks a modality, PRESENT is among the arrays.

    Raises:
        DataError: none is left.
    """
    there = present(len(training), modalities, settings.missing)
    if settings.incomplete == "dropped":
        if not there.all(1).any():
            raise DataError(f"none of {len(training)} pairs has all modalities; lower data.<set>.missing")
        return training.of(np.flatnonzero(there.all(1)))
    return training if there.all() else training.beside(PRESENT, there)
