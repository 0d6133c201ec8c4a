"""How well a Boltzmann machine knows the codes that it is of."""

import torch

from mmvae.evaluation.labelled import DigitTest, seeded
from mmvae.evaluation.measured import mean
from mmvae.model import MultimodalModel

CHAINS, TEMPERATURES = 512, 1000  # of annealed importance sampling


@torch.no_grad()
def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """log_likelihood: of standardised test codes, nats; normal: the same under N(0, I). The first may be too large,
    since log Z is estimated by annealed importance sampling, which bounds it from below in expectation.
    """
    if not hasattr(model, "rbm"):
        return {}
    codes, _ = model.given(test.values)
    log_partition = model.rbm.log_partition(CHAINS, TEMPERATURES, seeded(test.values, test.seed))
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(codes).sum(-1)
    found = {"log_likelihood": -model.rbm.free_energy(codes) - log_partition, "normal": normal}
    return {name: mean(values.cpu().numpy()) for name, values in found.items()}
