"""Is it chance, or are digits swapped? Rates of right digits after the best one-to-one change of digits."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from mmvae.codes import Classifying
from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.metrics.digits.coherence import see
from mmvae.model import MultimodalModel


def counts(found: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """How often each digit was found where each is true: (n,), (n,) -> (10 found, 10 true)."""
    result = np.zeros((10, 10))
    np.add.at(result, (found, digits), 1)
    return result


def best_match(of: np.ndarray) -> tuple[np.ndarray, float]:
    """The digit that each found one stands for at best, one to one, and the share that is right then.

    of: `counts`. Returns (10,) and a share.
    """
    found, digits = linear_sum_assignment(of, maximize=True)
    return digits, float(of[found, digits].sum() / of.sum())


@torch.no_grad()
def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """<a>_to_<b>: of b's images made from a sample given a. classifier.<a>: of what the system itself says, given a.

    The best change is found on the same test pairs, so chance has more than a tenth.
    """

    def rate(found: np.ndarray) -> float:
        return best_match(counts(found, test.digits))[1]

    given, result = latents(model, test.values, test.seed), {}
    for source, rows in given.items():
        z = test.on_device(rows)
        seen = see(model, z, [source], test.judges)[STRONG]
        result |= {f"{source}_to_{n}": rate(found) for n, found in seen.items() if n != source}
        if isinstance(model, Classifying) and model.classifier is not None:
            said = model.classify(z).cpu().numpy()
            result.setdefault("classifier", {})[source] = rate(said)
    return result
