"""MoPoE: a mixture of the products of experts of all subsets of modalities (Sutter, Daunhawer and Vogt 2021).

Its authors decode each example from one subset; here every subset's particle is decoded, which has the same mean.
"""

from collections.abc import Sequence

from mmvae.distributions import Family, Mixture, product_of_experts
from mmvae.model import GaussianVAE, Inputs, subsets
from mmvae.models import bivcca

Options, phases = bivcca.Options, bivcca.phases


class MoPoE(GaussianVAE):
    """The prior is an expert in the product of all modalities only, as in its authors' code."""

    def experts_given(self, names: Sequence[str]) -> int:
        return len(subsets(names))

    def combine(self, experts: dict[str, Family]) -> Mixture:
        products = {}
        for names in subsets(list(experts)):
            prior = [self.prior()] if len(names) == len(self.config.kinds) else []
            products["_".join(names)] = product_of_experts([experts[name] for name in names] + prior)
        return Mixture.of(products)

    def product_posterior(self, x: Inputs) -> Mixture:
        """The expert of all given modalities together, without those of their subsets: (1, B, D)."""
        posterior = self.posterior(x)
        experts = posterior.experts
        return Mixture(posterior.names[-1:], type(experts)(experts.loc[-1:], experts.scale[-1:]))


MODEL = MoPoE
