"""A restricted Boltzmann machine of Gaussian visible and binary hidden units, and what is known of it.

E(v, h) = |v - a|^2 / 2 - c h - v W h. Shape letters: N rows, V visible units, H hidden units.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus


class GaussianRBM(nn.Module):
    """Visible units have variance 1."""

    def __init__(self, visible: int, hidden: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(visible, hidden).normal_(0, 0.01))
        self.visible_bias, self.hidden_bias = nn.Parameter(torch.zeros(visible)), nn.Parameter(torch.zeros(hidden))

    def free_energy(self, v: Tensor) -> Tensor:
        """-log of the sum over h of exp(-E(v, h)): (N, V) -> (N,)."""
        away = (v - self.visible_bias).square().sum(-1) / 2
        return away - softplus(self.hidden_bias + v @ self.weight).sum(-1)

    def hidden(self, v: Tensor) -> Tensor:
        """The probability of each hidden unit: (N, V) -> (N, H)."""
        return (self.hidden_bias + v @ self.weight).sigmoid()

    def visible(self, h: Tensor) -> Tensor:
        """The mean of v given h: (N, H) -> (N, V)."""
        return self.visible_bias + h @ self.weight.T

    def step(self, v: Tensor, uniform: Tensor, normal: Tensor) -> Tensor:
        """One step of Gibbs sampling with this noise: v (N, V), uniform (N, H), normal (N, V) -> (N, V)."""
        return self.visible((uniform < self.hidden(v)).to(v.dtype)) + normal

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int, generator: torch.Generator, fixed: Tensor | None = None) -> Tensor:
        """v after so many steps, in which `fixed` units (V,) keep their values."""
        for _ in range(steps):
            uniform = torch.rand((len(v), len(self.hidden_bias)), generator=generator, device=v.device)
            moved = self.step(v, uniform, torch.empty_like(v).normal_(generator=generator))
            v = moved if fixed is None else torch.where(fixed, v, moved)
        return v

    @torch.no_grad()
    def log_partition(self, chains: int, steps: int, generator: torch.Generator) -> Tensor:
        """log Z by annealed importance sampling from N(a, I) (Salakhutdinov and Murray 2008): log of an unbiased Z."""
        like = self.visible_bias
        v = like + torch.empty((chains, len(like)), dtype=like.dtype, device=like.device).normal_(generator=generator)
        weights = torch.zeros_like(v[:, 0])
        along = copy.deepcopy(self)
        before = 0.0
        for share in torch.linspace(0, 1, steps + 1).tolist()[1:]:
            inside = self.hidden_bias + v @ self.weight
            weights += (softplus(share * inside) - softplus(before * inside)).sum(-1)
            along.weight.copy_(share * self.weight)
            along.hidden_bias.copy_(share * self.hidden_bias)
            v, before = along.gibbs(v, 1, generator), share
        hidden, visible = len(self.hidden_bias), len(like)
        start = hidden * math.log(2) + visible / 2 * math.log(2 * math.pi)
        return start + weights.logsumexp(0) - math.log(chains)
