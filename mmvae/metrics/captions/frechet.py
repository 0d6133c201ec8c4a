"""Fréchet distance of the photographs that were made to real ones, in the features of the data set's extractor.

In another network than Inception: not to be compared with FIDs.
"""

from mmvae.evaluation.captioned import CaptionTest
from mmvae.evaluation.frechet import frechet
from mmvae.model import MultimodalVAE


def measure(_: MultimodalVAE, test: CaptionTest) -> dict:
    """By what was given; nothing for a model of captions alone.

    Of few images all are too large, and views of other numbers of images differ by that: compare runs, not views.
    """
    made = {view: of.features for view, of in test.made.items() if of.features is not None}
    return {view: frechet(features, test.real.features) for view, features in made.items()}
