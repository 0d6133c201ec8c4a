"""Is it chance, or are digits swapped? Rates of right digits after the best one-to-one change of digits."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from mmvae.codes import Classifying
from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, latents
from mmvae.metrics.digits.coherence import see
from mmvae.model import MultimodalModel


def best_match(found: np.ndarray, digits: np.ndarray) -> float:
    """The share of right digits if each found digit stands for the one that suits best: (n,), (n,)."""
    confusion = np.zeros((10, 10))
    np.add.at(confusion, (found, digits), 1)
    return float(confusion[linear_sum_assignment(confusion, maximize=True)].sum() / len(digits))


@torch.no_grad()
def measure(model: MultimodalModel, test: DigitTest) -> dict:
    """<a>_to_<b>: of b's images made from a sample given a. classifier.<a>: of what the system itself says, given a.

    The best change is found on the same test pairs, so chance has more than a tenth.
    """
    given, result = latents(model, test.values, test.seed), {}
    for source, rows in given.items():
        z = test.on_device(rows)
        seen = see(model, z, [source], test.judges)[STRONG]
        result |= {f"{source}_to_{n}": best_match(found, test.digits) for n, found in seen.items() if n != source}
        if isinstance(model, Classifying) and model.classifier is not None:
            said = model.classify(z).cpu().numpy()
            result.setdefault("classifier", {})[source] = best_match(said, test.digits)
    return result
