"""MMVAE's objective with Gaussian experts and the prior N(0, I): what the family of the posterior does."""

from mmvae.model import GaussianVAE
from mmvae.models import mmvae

MODEL, Options, phases = GaussianVAE, mmvae.Bound, mmvae.phases
