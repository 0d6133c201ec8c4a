"""Log-likelihoods of one modality given the others, of systems without a density of all."""

from mmvae.evaluation.labelled import DigitTest, seeded
from mmvae.evaluation.measured import mean
from mmvae.model import MultimodalModel


def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """<a>: log p(x_a | the others) of the first test pairs, nats, from as many samples as of a VAE."""
    if not hasattr(model, "log_conditional"):
        return {}
    few = {name: values[: test.settings.likelihood_pairs] for name, values in test.values.items()}
    generator = seeded(few, test.seed)
    samples = test.settings.likelihood_samples
    return {name: mean(model.log_conditional(name, few, samples, generator).cpu().numpy()) for name in few}
