"""A multimodal RBM over the codes of VAEs of single modalities (Srivastava and Salakhutdinov 2012).

Its authors train RBMs layer by layer, and a deep Boltzmann machine of all. Here the networks are those of the other
systems, trained as VAEs, and the RBM is of their standardised means side by side, trained by persistent contrastive
divergence, with Adam instead of a falling rate. What is not given is sampled. The code is the hidden layer, which has
more units than other systems have latents.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmvae.boltzmann import GaussianRBM
from mmvae.distributions import Normal
from mmvae.losses import Noise, Phase, PlainLoss, Setting
from mmvae.model import Inputs, ModelConfig, MultimodalModel, gaussian
from mmvae.objectives import Estimate
from mmvae.params import Section, check, real, whole

CHAINS, STEPS = 512, 5  # persistent chains, and the steps of each in an update
SETTLED = 100  # steps of Gibbs sampling, or of the mean field, after which a code is taken
DECAY = 1e-4  # of the weights


class Options(Section):
    """hidden: units. vaes: share of the training in which the VAEs learn; the RBM learns in the rest."""

    hidden: whole(1, 10_000) = 100
    vaes: real(0.01, 0.99) = 0.75


class RBM(MultimodalModel):
    """A code is what the hidden units are likely to be: (B, hidden)."""

    common: slice | None = slice(None)

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        visible = len(config.kinds) * config.latents
        self.rbm = GaussianRBM(visible, check(Options, config.options).hidden)
        self.standard = nn.BatchNorm1d(visible, affine=False)
        self.register_buffer("chains", torch.zeros(CHAINS, visible))

    def expert(self, name: str, x: Tensor) -> Normal:
        """q(z | x) of a modality's own VAE: (B, ...) -> (B, D)."""
        return gaussian(*self.modalities[name].encoder(x))

    def parts(self) -> dict[str, slice]:
        """Where a modality's units are."""
        latents = self.config.latents
        return {name: slice(i * latents, (i + 1) * latents) for i, name in enumerate(self.modalities)}

    def given(self, x: Inputs) -> tuple[Tensor, Tensor]:
        """Standardised means, zeros for what is missing: (B, V); and which are given: (V,)."""
        like = self.standard.running_mean
        v, fixed = like.expand(len(next(iter(x.values()))), -1).clone(), torch.zeros_like(like, dtype=torch.bool)
        for name, value in x.items():
            part = self.parts()[name]
            v[:, part], fixed[part] = self.expert(name, value).loc, True
        return self.standard(v), fixed

    def sample(self, x: Inputs, generator: torch.Generator) -> Tensor:
        v, fixed = self.given(x)
        return self.rbm.hidden(v if fixed.all() else self.rbm.gibbs(v, SETTLED, generator, fixed))

    def mean(self, x: Inputs) -> Tensor:
        v, fixed = self.given(x)
        for _ in range(0 if fixed.all() else SETTLED):
            v = torch.where(fixed, v, self.rbm.visible(self.rbm.hidden(v)))
        return self.rbm.hidden(v)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """From the persistent chains: (count, hidden)."""
        chosen = torch.randint(CHAINS, (count,), generator=generator, device=self.chains.device)
        return self.rbm.hidden(self.rbm.gibbs(self.chains[chosen], SETTLED, generator))

    def view(self, name: str, z: Tensor) -> Tensor:
        """The mean of a modality's latents given hidden units, as its VAE has them: (..., hidden) -> (..., D)."""
        deviation = (self.standard.running_var + self.standard.eps).sqrt()
        return (self.rbm.visible(z) * deviation + self.standard.running_mean)[..., self.parts()[name]]


MODEL = RBM


@dataclass(frozen=True)
class SingleElbos(PlainLoss):
    """The sum of the ELBOs of all modalities, each by itself."""

    def noise(self, model: RBM, batch: int, generator: torch.Generator) -> Noise:
        shape, like = (1, 1, batch, model.config.latents), next(model.parameters())
        return [((name,), Normal.noise(shape, like, generator)) for name in model.modalities]

    def __call__(self, model: RBM, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        bound = 0
        prior = Normal(torch.zeros_like(noise[0][1][0, 0]), torch.ones_like(noise[0][1][0, 0]))
        for (name,), standard in noise:
            expert, modality = model.expert(name, x[name]), model.modalities[name]
            likelihood = modality.scaling * modality.log_likelihood(expert.loc + expert.scale * standard[0, 0], x[name])
            bound = bound + likelihood - expert.kl(prior).sum(-1)
        return Estimate.of_all(bound, bound.sum())


@dataclass(frozen=True)
class PersistentDivergence(PlainLoss):
    """The free energy of the persistent chains, less that of the data, whose gradient is that of the log-likelihood as
    far as the chains are settled.
    """

    def noise(self, model: RBM, batch: int, generator: torch.Generator) -> Noise:
        """Uniform and standard, of every chain and step."""
        visible, hidden = model.rbm.weight.shape
        like, names = model.chains, tuple(model.modalities)
        uniform = torch.rand((STEPS, CHAINS, hidden), generator=generator, device=like.device)
        return [(names, uniform), (names, Normal.noise((STEPS, CHAINS, visible), like, generator))]

    def __call__(self, model: RBM, x: Inputs, noise: Noise, annealing: Tensor) -> Estimate:
        data, _ = model.given(x)
        chains = model.chains.clone()
        with torch.no_grad():
            for uniform, normal in zip(noise[0][1], noise[1][1], strict=True):
                chains = model.rbm.step(chains, uniform, normal)
            if model.training:
                model.chains.copy_(chains)
        gap = model.rbm.free_energy(chains).mean() - model.rbm.free_energy(data.detach())
        return Estimate.of_all(gap, (gap - DECAY / 2 * model.rbm.weight.square().sum()).sum())


def phases(options: Options, _: Setting) -> list[Phase]:
    """Two phases."""
    return [
        Phase(SingleElbos(), options.vaes, ("modalities.*",)),
        Phase(PersistentDivergence(), 1 - options.vaes, ("rbm.*",)),
    ]
