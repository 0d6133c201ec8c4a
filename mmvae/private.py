"""Latents of which some are shared and some belong to one modality: z = [u, w_1, ..., w_M].

A posterior given some modalities has the prior in the private latents of the others, and is an ordinary mixture over
all D latents. A decoder sees u and its own modality's w.
"""

import torch
from torch import Tensor

from mmvae.distributions import Family
from mmvae.model import ModelConfig, MultimodalModel, MultimodalVAE
from mmvae.params import ParamsError


class PrivateLatents(MultimodalModel):
    """What models with private latents have in common; `shared` is the number of the others."""

    fewest_private = 0

    def __init__(self, config: ModelConfig):
        self.own, self.shared = self.sizes(config)
        super().__init__(config)

    @staticmethod
    def sizes(config: ModelConfig) -> tuple[int, int]:
        """How many latents are one modality's own, and how many are shared."""
        number, own = len(config.kinds), config.options.get("private")
        own = config.latents // (2 * number) if own is None else own
        return own, config.latents - number * own

    @classmethod
    def check(cls, config: ModelConfig) -> None:
        super().check(config)
        own, shared = cls.sizes(config)
        if own < cls.fewest_private:
            raise ParamsError(f"private is {own}, of {config.latents} latents: {config.model} needs 1 or more")
        if shared < 1:
            number = len(config.kinds)
            raise ParamsError(f"private is {own}: {number} modalities leave no shared latents of {config.latents}")

    @property
    def common(self) -> slice:
        return slice(self.shared)

    def width(self) -> int:
        return self.shared + self.own

    def parts(self) -> dict[str, slice]:
        """Where the latents of each modality's own are."""
        starts = {name: self.shared + i * self.own for i, name in enumerate(self.config.kinds)}
        return {name: slice(start, start + self.own) for name, start in starts.items()}

    def view(self, name: str, z: Tensor) -> Tensor:
        return torch.cat([z[..., : self.shared], z[..., self.parts()[name]]], -1)


class PrivateVAE(PrivateLatents, MultimodalVAE):
    """With a prior and a posterior of all latents."""

    def joined(self, shared: Family, own: dict[str, Family], absent: Family) -> Family:
        """One distribution (B, D) of u (B, shared) and the w of every modality, from `absent` (D,) where not given."""
        batch, parts = len(shared.loc), self.parts()

        def side_by_side(field: str) -> Tensor:
            values = [getattr(shared, field)]
            for name, part in parts.items():
                given = getattr(own[name], field) if name in own else getattr(absent, field)[part].expand(batch, -1)
                values.append(given)
            return torch.cat(values, -1)

        return type(shared)(side_by_side("loc"), side_by_side("scale"))
