"""What the metrics of digit sets are given besides the model: test data, judges and numbers of samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmvae import params
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import classifiers
from mmvae.evaluation.classifiers import STRONG, Judges, predict
from mmvae.evaluation.generation import decoded
from mmvae.model import Inputs, MultimodalModel
from mmvae.params import Section, whole


class DigitSettings(Section):
    """joint_samples: prior draws. likelihood_samples: of each expert. likelihood_pairs: test pairs. inception: file of
    torchvision's weights of Inception v3, for Figure 2's distances; None: they are not measured.
    """

    joint_samples: whole(1, 100_000)
    likelihood_samples: whole(2, 10_000)
    likelihood_pairs: whole(2, 100_000)
    inception: str | None = None


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


def digit_test(
    pairs: LabelledPairs, names: Sequence[str], content: dict, seed: int, split: str = "test", *, strong: bool = False
) -> DigitTest:
    """The pairs of a split of some modalities, with the settings of params.yaml and the trained classifiers.

    strong: without the weak ones.

    Raises:
        FileError: an input, or the classifiers, are missing or damaged.
    """
    judges = classifiers.load(f"models/{pairs.data_set}/classifiers.safetensors", pairs.kinds, pairs.device)
    return DigitTest(
        *pairs.first_pass("train", tuple(names)),
        *pairs.first_pass(split, tuple(names)),
        {STRONG: judges[STRONG]} if strong else judges,
        params.section(DigitSettings, content, f"evaluate.{pairs.data_set}"),
        seed,
    )


Views = dict[str, list[str]]  # what latents are called -> the modalities that they are given


def seeded(x: Inputs, seed: int) -> torch.Generator:
    """Random numbers where the values are."""
    return torch.Generator(next(iter(x.values())).device).manual_seed(seed)


@torch.no_grad()
def latents(model: MultimodalModel, values: Inputs, seed: int, views: Views | None = None) -> dict[str, np.ndarray]:
    """One posterior sample (n, D) of each pair, given each modality alone or as `views` says."""
    views = views or {name: [name] for name in model.modalities}
    generator = seeded(values, seed)
    given = {view: {name: values[name] for name in names} for view, names in views.items()}
    return {view: model.sample(x, generator).cpu().numpy() for view, x in given.items()}


def shows_digit(model: MultimodalModel, name: str, z: Tensor, test: DigitTest) -> np.ndarray:
    """Does the image of a modality, made from the latents of each test pair (n, D), show its digit? (n,) bool.

    By the strong classifier, in the likelihood's mean.
    """
    return predict(test.judges[STRONG][name], decoded(model, name, z)).cpu().numpy() == test.digits
