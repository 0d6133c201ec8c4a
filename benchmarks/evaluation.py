"""Speed of the two slow parts of evaluation: importance-sampled likelihoods, and judged draws from the prior.

`ratio` compares the likelihoods with the plain way: every sample of every pair decoded at once, densities from
torch.distributions, the three posteriors sampled anew. `difference` is the largest one between the two ways' means of
log p(x_m) over five pairs, in nats: sampling noise.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch.distributions import Laplace

from benchmarks import dense
from benchmarks.setup import LIKELIHOOD_SCALE, kinds_of, paper_model, show, training_pairs
from mmvae.evaluation import classifiers
from mmvae.metrics.digits import coherence, likelihood
from mmvae.model import Inputs, MultimodalVAE
from mmvae.training.device import find_device


@torch.no_grad()
def plain_likelihoods(
    model: MultimodalVAE, x: Inputs, samples: int, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """log p(x_m, x_n) and, from each posterior, log p(x_m), pair by pair: nats."""
    parameters, latents = dense.parameters_of(model), model.config.latents
    scale = torch.softmax(parameters["prior_scale_logits"], -1) * latents
    prior = Laplace(torch.zeros_like(scale), scale)
    posteriors = {name: dense.posterior(parameters, name, image, latents) for name, image in x.items()}
    found = {}
    for given in (*([name] for name in x), list(x)):
        experts = [posteriors[name] for name in given]
        z = torch.cat([q.loc + q.scale * _noise(q.loc, samples, generator) for q in experts])
        mixture = torch.stack([q.log_prob(z).sum(-1) for q in experts]).logsumexp(0) - math.log(len(experts))
        density = prior.log_prob(z).sum(-1) - mixture
        scores = {}
        for name, image in x.items():
            mean = dense.decode(parameters, name, z.flatten(0, 1)).view(*z.shape[:2], *image.shape[1:])
            scores[name] = Laplace(mean, LIKELIHOOD_SCALE).log_prob(image).flatten(2).sum(-1)
            found[f"from_{'_and_'.join(given)}/{name}"] = _log_mean(scores[name] + density)
        if len(given) > 1:
            found["joint"] = _log_mean(sum(scores.values()) + density)
    return found


def _noise(like: torch.Tensor, samples: int, generator: torch.Generator) -> torch.Tensor:
    uniform = torch.rand((samples, *like.shape), generator=generator, device=like.device) - 0.5
    return -uniform.sign() * torch.log1p(-2 * uniform.abs())


def _log_mean(log_weights: torch.Tensor) -> torch.Tensor:
    return log_weights.double().logsumexp(0) - math.log(len(log_weights))


def seconds(work: Callable[[], object], device: torch.device) -> float:
    begin = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000, help="of each expert")
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--draws", type=int, default=2000, help="from the prior, judged by both kinds of classifier")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--set", default="digits")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    device = find_device()
    model = paper_model(kinds_of(given.set), device).eval().requires_grad_(False)
    x = training_pairs(given.set, device).batch(slice(0, given.pairs))
    shapes = classifiers.judged(kinds_of(given.set))
    judges = {
        kind: {name: classifiers.build(kind, shape).to(device).eval() for name, shape in shapes.items()}
        for kind in classifiers.KINDS
    }
    generator = torch.Generator(device).manual_seed(0)
    z = torch.randn((given.draws, model.config.latents), generator=generator, device=device)
    works = {
        "product": lambda: likelihood.likelihoods(model, x, given.samples, 0),
        "plain": lambda: [
            plain_likelihoods(model, {name: image[i : i + 5] for name, image in x.items()}, given.samples, generator)
            for i in range(0, given.pairs, 5)
        ],
        "coherence": lambda: coherence.see(model, z, judges),
    }
    taken = {
        name: statistics.median(seconds(work, device) for _ in range(given.repeats)) for name, work in works.items()
    }
    show(
        {
            "likelihood_pairs_per_second": given.pairs / taken["product"],
            "likelihood_pairs_per_second_plain": given.pairs / taken["plain"],
            "ratio": taken["plain"] / taken["product"],
            "difference": difference(model, x, given.samples, generator),
            "judged_draws_per_second": given.draws / taken["coherence"],
        },
        given.json,
    )


def difference(model: MultimodalVAE, x: Inputs, samples: int, generator: torch.Generator) -> float:
    """Largest difference between the two ways' means of log p(x_m) from the posterior given m, nats."""
    few = {name: image[:5] for name, image in x.items()}
    product = likelihood.likelihoods(model, few, samples, 0)
    plain = plain_likelihoods(model, few, samples, generator)
    return max(abs(product[f"from_{name}"][name].value - float(plain[f"from_{name}/{name}"].mean())) for name in x)


if __name__ == "__main__":
    main()
