"""MMVAE+: MMVAE with private latents and auxiliary priors (Palumbo, Daunhawer and Vogt 2023).

A modality that is made from another's latents takes its private ones from an auxiliary prior, so that what is common
to both has to be in the shared ones.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from mmvae import objectives
from mmvae.distributions import Family, Laplace, Mixture, laplace_from_logits
from mmvae.elbos import SampledElbo
from mmvae.losses import Noise, Phase, Setting
from mmvae.model import Inputs, ModelConfig, MultimodalVAE
from mmvae.models.mmvae import POSTERIOR_SCALE_MINIMUM, ROWS_PER_EXPERT
from mmvae.objectives import Estimate, Screen
from mmvae.params import ParamsError, Section, whole
from mmvae.private import PrivateVAE
from mmvae.training.device import fast_dtype


class Options(Section):
    """private: latents of each modality's own; None: half of all, together."""

    private: whole(0, 256) | None = None


class MMVAEPlus(PrivateVAE):
    """Laplace experts and the prior Laplace(0, 1). Experts differ in u alone: each has every w that is given."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        learned = list(config.kinds) if self.own > 1 and len(config.kinds) > 1 else []  # one scale is always 1
        self.auxiliary_logits = nn.ParameterDict({name: nn.Parameter(torch.zeros(self.own)) for name in learned})

    def prior(self) -> Family:
        like = next(self.parameters())
        return Laplace(like.new_zeros(self.config.latents), like.new_ones(self.config.latents))

    def auxiliary(self) -> Family:
        """What w of a modality comes from in training where another is encoded, at its place among D latents."""
        prior = self.prior()
        scales = [laplace_from_logits(logits, logits).scale for logits in self.auxiliary_logits.values()]
        return Laplace(prior.loc, torch.cat([prior.scale[: self.shared], *scales])) if scales else prior

    def expert(self, name: str, x: Tensor) -> Family:
        """q(u | x), and w of its own or of the prior."""
        shared, own = self.split(name, x)
        return self.joined(shared, {name: own}, self.prior())

    def split(self, name: str, x: Tensor) -> tuple[Laplace, Laplace]:
        """q(u | x_m) and q(w_m | x_m), whose scales sum to their numbers of latents."""
        loc, logits = self.modalities[name].encoder(x)
        parts = [slice(None, self.shared), slice(self.shared, None)]
        shared, own = (laplace_from_logits(loc[:, p], logits[:, p], POSTERIOR_SCALE_MINIMUM) for p in parts)
        return shared, own

    def posterior(self, x: Inputs) -> Mixture:
        given = {name: self.split(name, value) for name, value in x.items()}
        own = {name: w for name, (_, w) in given.items()}
        names = {name: name if len(x) == 1 else f"{name}_u" for name in x}  # with every w given: not the single ones
        return Mixture.of({names[name]: self.joined(u, own, self.prior()) for name, (u, _) in given.items()})


MODEL = MMVAEPlus


@dataclass(frozen=True)
class AuxiliaryBound(SampledElbo):
    """The IWAE bound of each expert's K = `particles`, averaged over the experts (eq. 3 with private latents).

    `screen` says which particles are scored with gradient, as in MMVAE's objectives; None: all.
    """

    particles: int
    screen: Screen | None = None

    def noise(self, model: MultimodalVAE, batch: int, generator: torch.Generator) -> Noise:
        names = tuple(model.modalities)
        return [(names, model.noise(names, self.particles, batch, generator))]

    def __call__(self, model: MultimodalVAE, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        given = {name: model.split(name, x[name]) for name in model.modalities}
        drawn_from = {m: model.joined(u, {m: w}, model.auxiliary()) for m, (u, w) in given.items()}
        z = Mixture.of(drawn_from).place(noise[0][1])
        every, rows = z.new_zeros(z.shape[:3]), torch.arange(z[..., 0].numel(), device=z.device)
        if self.screen is not None and self.particles > 1:
            with torch.no_grad(), torch.autocast(z.device.type, self.screen.dtype, enabled=bool(self.screen.dtype)):
                scores = model.scores(x, z.flatten(0, 1))
            with torch.no_grad():
                likelihood = sum(model.modalities[name].scaling * score for name, score in scores.items())
                every = (likelihood.flatten() + log_ratios(model, given, z, rows)).view_as(every)
            rows = self.screen.keep(every.softmax(1), (1,))
        pair = rows % z.shape[2]
        likelihood = model.log_likelihood({name: value[pair] for name, value in x.items()}, z.flatten(0, 2)[rows])
        scored = likelihood + log_ratios(model, given, z, rows)
        every = every.flatten().index_put((rows,), scored.detach()).view_as(every)
        kept = torch.zeros_like(every, dtype=torch.bool).flatten().index_fill(0, rows, True).view_as(every)
        weights = every.masked_fill(~kept, -math.inf).softmax(1)
        return Estimate(
            objectives.bound_value(every, "iwae", "loose"),
            (weights.flatten()[rows] * scored).sum() / len(z),
            kept.float().mean((0, 1)),
            every.softmax(1).masked_fill(kept, 0).sum(1).mean(0),
        )

    def held_out(self, model: MultimodalVAE, x: Inputs, log_weights: Tensor, generator: torch.Generator) -> Tensor:
        """With as many particles as there are log-weights."""
        loss = replace(self, particles=log_weights.shape[1])
        return loss(model, x, loss.noise(model, log_weights.shape[-1], generator), log_weights.new_ones(())).bound


def log_ratios(model: MMVAEPlus, given: dict[str, tuple[Laplace, Laplace]], z: Tensor, rows: Tensor) -> Tensor:
    """log p(u, w_m) - log q(u, w_m | x) of flat positions (N,) in z (M, K, B, D): (N,).

    w_m: of the modality m whose expert drew the row. What the others have comes from the auxiliary prior: no weight.
    """
    particles, batch = z.shape[1:3]
    expert, pair, at = rows // (particles * batch), rows % batch, z.flatten(0, 2)[rows]
    u, prior, parts = at[:, : model.shared], model.prior(), model.parts()
    log_q = Mixture.of({m: shared for m, (shared, _) in given.items()}).at(pair).log_prob(u)
    log_p = Laplace(prior.loc[: model.shared], prior.scale[: model.shared]).log_prob(u)
    own = torch.stack([at[:, part] for part in parts.values()])
    log_q_own = Mixture.of({m: w for m, (_, w) in given.items()}).at(pair).experts.log_prob(own)
    log_p_own = Laplace(torch.zeros_like(own), torch.ones_like(own)).log_prob(own)
    chosen = (expert == torch.arange(len(own), device=z.device)[:, None]).to(z.dtype)
    return log_p - log_q + (chosen * (log_p_own - log_q_own)).sum(0)


def phases(_: Options, setting: Setting) -> list[Phase]:
    """One phase, with the screen that suits the hardware.

    Raises:
        ParamsError: the run has no number of particles, or another objective than iwae.
    """
    if setting.particles is None or setting.objective not in (None, "iwae"):
        raise ParamsError(f"the run needs `particles`, and has no other objective than iwae: {setting.objective}")
    rows = ROWS_PER_EXPERT if setting.device.type == "cuda" else None
    return [Phase(AuxiliaryBound(setting.particles, Screen(rows_per_expert=rows, dtype=fast_dtype(setting.device))))]
