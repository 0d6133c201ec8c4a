"""Conditional VAEs in every direction: each modality given the others, with which it shares nothing (Sohn et al. 2015).

Of two modalities these are two VAEs side by side. Each has a recognition network of both images, a prior of its latents
w that depends on the other image, and a decoder of w and of a summary of that image. The other image is never decoded.

Shape letters: M modalities, B batch, D latents of each. A code is w and the summary for every modality: (B, 2 M D).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmvae.distributions import Normal
from mmvae.elbos import SampledElbo
from mmvae.joint import JointEncoder
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import CACHED_ROWS, Inputs, ModelConfig, MultimodalModel, gaussian
from mmvae.objectives import Estimate
from mmvae.params import Section, real


class Options(Section):
    """beta: of the KL."""

    beta: real(0, 1000) = 1.0


class CVAE(MultimodalModel):
    """Given several others, what they say is averaged; given none, summary and prior are zeros and N(0, I)."""

    sees_all, fewest_modalities, refused = False, 2, ("captions",)  # of which it has no reconstruction to judge

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        latents, names = config.latents, list(config.kinds)
        sizes = {name: modality.encoder.behead() for name, modality in self.modalities.items()}
        self.conditions = nn.ModuleDict(
            {n: nn.ModuleDict({m: nn.Linear(sizes[m], 3 * latents) for m in names if m != n}) for n in names}
        )
        self.recognition = nn.ModuleDict({name: JointEncoder(config) for name in names})
        self.to(memory_format=torch.channels_last)

    def width(self) -> int:
        return 2 * self.config.latents

    def view(self, name: str, z: Tensor) -> Tensor:
        start = list(self.modalities).index(name) * self.width()
        return z[..., start : start + self.width()]

    def generates(self, given: Sequence[str]) -> list[str]:
        return [name for name in self.modalities if name not in given] if given else []

    def noise(self, names: Sequence[str], particles: int, batch: int, generator: torch.Generator) -> Tensor:
        """Standard noise for the latents of every modality: (M, K, B, D)."""
        like = next(self.parameters())
        return Normal.noise((len(self.modalities), particles, batch, self.config.latents), like, generator)

    def condition(self, name: str, others: Inputs) -> tuple[Tensor, Normal]:
        """The summary of the others and p(w | the others), (B, D) each; of none, zeros and N(0, I)."""
        said = [
            self.conditions[name][other](self.modalities[other].encoder.features(x).flatten(1))
            for other, x in others.items()
            if other != name
        ]
        if not said:
            batch = len(next(iter(others.values())))
            said = [next(self.parameters()).new_zeros(batch, 3 * self.config.latents)]
        summary, loc, log_variance = (sum(said) / len(said)).chunk(3, -1)
        return summary, gaussian(loc, log_variance)

    def sample(self, x: Inputs, generator: torch.Generator) -> Tensor:
        """From each prior, since recognition sees what is to be generated."""
        return self._code(x, lambda prior: prior.loc + prior.scale * prior.noise(prior.loc.shape, prior.loc, generator))

    def mean(self, x: Inputs) -> Tensor:
        return self._code(x, lambda prior: prior.loc)

    def _code(self, x: Inputs, place: Callable[[Normal], Tensor]) -> Tensor:
        parts = []
        for name in self.modalities:
            summary, prior = self.condition(name, x)
            parts += [place(prior), summary]
        return torch.cat(parts, -1)

    @torch.no_grad()
    def log_conditional(self, name: str, x: Inputs, samples: int, generator: torch.Generator) -> Tensor:
        """log p(x_m | the others), nats, unscaled, importance-sampled from q(w | x): (B,). A bound in expectation."""
        posterior, (summary, prior) = self.recognition[name](x), self.condition(name, x)
        noise = posterior.noise((samples, *posterior.loc.shape), posterior.loc, generator)
        w = posterior.loc + posterior.scale * noise
        z = torch.cat([w, summary.expand_as(w)], -1)
        score = self.modalities[name].score(z, x[name], CACHED_ROWS[w.device.type])
        return (score + prior.log_prob(w) - posterior.log_prob(w)).logsumexp(0) - math.log(samples)


MODEL = CVAE


@dataclass(frozen=True)
class ConditionalElbos(SampledElbo):
    """The sum over modalities of E_q[log p(x_m | w, the others)] - beta KL(q(w | x) || p(w | the others))."""

    beta: float

    def __call__(self, model: CVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        bound = surrogate = 0
        for (name, value), standard in zip(x.items(), noise[0][1], strict=True):
            posterior, (summary, prior) = model.recognition[name](x), model.condition(name, x)
            z = torch.cat([posterior.loc + posterior.scale * standard[0], summary], -1)
            modality = model.modalities[name]
            likelihood, kl = modality.scaling * modality.log_likelihood(z, value), posterior.kl(prior).sum(-1)
            bound, surrogate = bound + likelihood - kl, surrogate + likelihood - self.beta * kl
        return Estimate.of_all(bound, surrogate.sum())


def phases(options: Options, _: Setting) -> list[Phase]:
    """One phase."""
    return [Phase(ConditionalElbos(options.beta))]
