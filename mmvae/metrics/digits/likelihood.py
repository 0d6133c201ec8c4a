"""Importance-sampled log-likelihoods of test pairs (Table 3), and a test of synergy at equal budgets.

Estimates of log-likelihoods are lower bounds in expectation, with gaps of their own; their differences (`conditional`,
`synergy`) are not bounds. All come from one array: S samples of every proposal, scored under every decoder, the prior
and every proposal, of which each estimator takes those it is named for.

Shape letters: M proposals, S samples of each, B pairs.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mmvae.distributions import Family, Mixture
from mmvae.evaluation.labelled import DigitTest, seeded
from mmvae.evaluation.measured import mean
from mmvae.model import Inputs, MultimodalVAE, subsets

PAIRS_AT_ONCE = {"cpu": 25, "cuda": 250}  # with some thousand samples of each


def proposals(model: MultimodalVAE, x: Inputs) -> Mixture:
    """The experts of the posterior given all modalities, and the posteriors given each alone that are not among them.

    An expert that is the posterior given one modality has that modality's name, as in a mixture.
    """
    found = _experts(model.posterior(x))
    for name in x:
        if name not in found:
            (found[name],) = _experts(model.posterior({name: x[name]})).values()
    return Mixture.of(found)


def _experts(posterior: Mixture) -> dict[str, Family]:
    """By their names, (B, D) each."""
    locs, scales = posterior.experts.loc, posterior.experts.scale
    return {name: type(posterior.experts)(locs[i], scales[i]) for i, name in enumerate(posterior.names)}


@dataclass(frozen=True)
class Samples:
    """Scores of posterior samples z[m, s, b]: nats.

    likelihoods: modality -> (M, S, B), unscaled. log_prior: (M, S, B). log_proposals: (M, M, S, B), density under the
    first proposal of a sample of the second. names: of the proposals.
    """

    names: tuple[str, ...]
    likelihoods: dict[str, Tensor]
    log_prior: Tensor
    log_proposals: Tensor

    @classmethod
    @torch.no_grad()
    def draw(cls, model: MultimodalVAE, x: Inputs, samples: int, generator: torch.Generator) -> Self:
        """S samples from each of the `proposals`."""
        proposed = proposals(model, x)
        z = proposed.sample(samples, generator)
        scores = model.scores(x, z.flatten(0, 1))
        return cls(
            proposed.names,
            {name: score.unflatten(0, z.shape[:2]).double() for name, score in scores.items()},
            model.prior().log_prob(z).double(),
            proposed.log_experts(z).double(),
        )

    def of(self, *names: str) -> Self:
        """The samples of some proposals alone."""
        kept = [self.names.index(name) for name in names]
        likelihoods = {modality: values[kept] for modality, values in self.likelihoods.items()}
        return Samples(names, likelihoods, self.log_prior[kept], self.log_proposals[kept][:, kept])

    def joint(self, scaling: dict[str, float] | None = None) -> Tensor:
        """log p(x_1, ..., x_M) from all samples and their mixture's density: (B,). `scaling` multiplies likelihoods."""
        return self.from_mixture(*self.likelihoods, scaling=scaling)

    def from_mixture(
        self, *modalities: str, samples: int | None = None, scaling: dict[str, float] | None = None
    ) -> Tensor:
        """log p(x_m) of these modalities from `samples` of each proposal (all by default) and their mixture: (B,)."""
        mixture = self.log_proposals.logsumexp(0) - math.log(len(self.names))
        weighted = sum((scaling or {}).get(name, 1.0) * self.likelihoods[name] for name in modalities)
        log_weights = (weighted + self.log_prior - mixture)[:, :samples].flatten(0, 1)
        return log_weights.logsumexp(0) - math.log(len(log_weights))


def likelihoods(model: MultimodalVAE, x: Inputs, samples: int, seed: int) -> dict:
    """The estimators of Table 3 over the pairs `x`, each with mean and standard error, in nats.

    joint, joint_scaled: log p(x_m, x_n), unscaled and with the training scaling, as in the paper's first column.
    from_both.<m>: log p(x_m), proposals from the joint posterior (second column); `equal_budget` as many samples in
    all as from_<n> has. from_<n>.<m>: log p(x_m), proposals given modality n alone (third and fourth columns).
    subset.<m>_<n>: log p(x_m, x_n) of some of three or more modalities, from_both.
    conditional.<m>_given_<n>: log p(x_m | x_n) = log p(x_m, x_n) - log p(x_n), the latter from_both; of more than two
    modalities, given all others.
    synergy: log p(x_1, ..., x_M) against the sum of every log p(x_m), all from the samples of every proposal: the same
    budget, and samples made for each of them. In the data, two images that share only a digit share at most
    ln 10 = 2.30 nats.
    """
    generator = seeded(x, seed)
    names = list(model.modalities)
    chunks: dict[str, list[Tensor]] = {}
    total = len(x[names[0]])
    at_once = PAIRS_AT_ONCE[generator.device.type]
    for start in range(0, total, at_once):
        part = {name: x[name][start : start + at_once] for name in names}
        for key, value in _estimates(model, part, names, samples, generator).items():
            chunks.setdefault(key, []).append(value)
    values = {key: torch.cat(parts).cpu().numpy() for key, parts in chunks.items()}
    result: dict = {}
    for key, value in values.items():
        group, _, name = key.partition("/")
        if name:
            result.setdefault(group, {})[name] = mean(value)
        else:
            result[group] = mean(value)
    return result


def _estimates(
    model: MultimodalVAE, x: Inputs, names: list[str], samples: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Every estimator for each pair, (B,), keyed '<estimator>/<modality>' or '<estimator>'."""
    every = Samples.draw(model, x, samples, generator)
    values = {f"from_{n}/{m}": every.of(n).from_mixture(m) for n in names for m in names}
    if len(names) == 1:
        return values
    both = every.of(*model.posterior(x).names)
    budget = max(1, samples // len(both.names))
    values["joint"] = both.joint()
    values["joint_scaled"] = both.joint({name: model.modalities[name].scaling for name in names})
    for m in names:
        values[f"from_both/{m}"] = both.from_mixture(m)
        values[f"from_both_equal_budget/{m}"] = both.from_mixture(m, samples=budget)
        others = [name for name in names if name != m]
        given = values["joint"] - both.from_mixture(*others)
        values[f"conditional/{m}_given_{'_'.join(others)}"] = given
    for some in subsets(names)[len(names) : -1]:
        values[f"subset/{'_'.join(some)}"] = both.from_mixture(*some)
    values["synergy"] = every.joint() - sum(every.from_mixture(name) for name in names)
    return values


def measure(model: MultimodalVAE, test: DigitTest) -> dict:
    """Table 3's numbers, of the first pairs."""
    if not model.has_density:
        return {}
    few = {name: values[: test.settings.likelihood_pairs] for name, values in test.values.items()}
    return likelihoods(model, few, test.settings.likelihood_samples, test.seed)
