"""BiVCCA's objective with MMVAE's Laplace experts and prior: what the family of the posterior does."""

from mmvae.models import bivcca, mmvae

MODEL, Options, phases = mmvae.MMVAE, bivcca.Options, bivcca.phases
