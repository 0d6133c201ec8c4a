"""What the metrics of digit sets are given besides the model: test data, judges and numbers of samples."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmvae.evaluation.classifiers import STRONG, Judges, predict
from mmvae.evaluation.generation import decoded
from mmvae.model import Inputs, MultimodalVAE
from mmvae.params import Section, whole


class DigitSettings(Section):
    """joint_samples: prior draws. likelihood_samples: of each expert. likelihood_pairs: test pairs."""

    joint_samples: whole(1, 100_000)
    likelihood_samples: whole(2, 10_000)
    likelihood_pairs: whole(2, 100_000)


@dataclass(frozen=True)
class DigitTest:
    """Training and test values with their digits, and classifiers of digits."""

    training: Inputs
    training_digits: np.ndarray
    values: Inputs
    digits: np.ndarray
    judges: Judges
    settings: DigitSettings
    seed: int

    def on_device(self, z: np.ndarray) -> Tensor:
        """Latents (n, D) where the values are."""
        return torch.from_numpy(z).to(next(iter(self.values.values())).device)


Views = dict[str, list[str]]  # what latents are called -> the modalities that they are given


@torch.no_grad()
def latents(model: MultimodalVAE, values: Inputs, seed: int, views: Views | None = None) -> dict[str, np.ndarray]:
    """One posterior sample (n, D) of each pair, given each modality alone or as `views` says."""
    generator = torch.Generator(next(iter(values.values())).device).manual_seed(seed)
    views = views or {name: [name] for name in model.modalities}
    given = {view: {name: values[name] for name in names} for view, names in views.items()}
    return {view: model.sample(x, generator).cpu().numpy() for view, x in given.items()}


def shows_digit(model: MultimodalVAE, name: str, z: Tensor, test: DigitTest) -> np.ndarray:
    """Does the image of a modality, made from the latents of each test pair (n, D), show its digit? (n,) bool.

    By the strong classifier, in the likelihood's mean.
    """
    return predict(test.judges[STRONG][name], decoded(model, name, z)).cpu().numpy() == test.digits
