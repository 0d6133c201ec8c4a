"""What the metrics of digit sets are given besides the model: test data, judges and numbers of samples."""

from dataclasses import dataclass

import numpy as np

from mmvae.evaluation.classifiers import Judges
from mmvae.model import Inputs
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
