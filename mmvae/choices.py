"""Which ridge of CCA separates captions of held-out photographs from other captions: `python -m mmvae.ridges cub`.

CCA is fitted to training pairs and judged on validation photographs, whose species it has seen. No test photograph is
looked at. The best row's values are for `cca.<set>.ridge` of params.yaml.
"""

import sys
from itertools import product

import numpy as np
import pandas as pd
import torch

from mmvae import params
from mmvae.data.prepared import CAPTIONS, CAPTIONS_EACH, FEATURES, CaptionedPairs, images_of
from mmvae.evaluation import correlation
from mmvae.evaluation.cca import CcaSettings, Ridge
from mmvae.evaluation.measured import mean
from mmvae.files import read_arrays

SPLITS = ("train", "validation")
IMAGE, SENTENCE = (0.0, 0.1, 1.0, 10.0, 100.0), (0.0, 1e-6, 1e-5, 1e-4, 1e-3)


def tried(data_set: str, components: int) -> pd.DataFrame:
    """A row for each image and sentence ridge: mean correlations, and their difference in standard errors."""
    pairs, rng = CaptionedPairs(data_set, torch.device("cpu")), np.random.default_rng(0)
    every = read_arrays(f"data/fasttext/{data_set}.npz")
    first = next(iter(every))
    vectors = {first: every[first]}
    features = {split: pairs.features(split, FEATURES) for split in SPLITS}
    tokens = {split: pairs.values(split, CAPTIONS) for split in SPLITS}
    training, held = (features[split][images_of(features[split])] for split in SPLITS)
    strangers = correlation.strangers(len(features["validation"]), rng)
    others = features["validation"][strangers.repeat(CAPTIONS_EACH)]
    found = []
    for image, sentence in product(IMAGE, SENTENCE):
        settings = CcaSettings(components=components, ridge=Ridge(image=image, sentence=sentence))
        judge = next(iter(correlation.fit(training, tokens["train"], vectors, settings).values()))
        shown = tokens["validation"]
        truth, floor = (judge.correlations(images, shown)["unit_variance"] for images in (held, others))
        error = mean((truth - floor).reshape(-1, CAPTIONS_EACH).mean(1))
        found.append((image, sentence, truth.mean(), floor.mean(), error.value / error.standard_error))
    columns = ["image", "sentence", "ground truth", "floor", "difference / standard error"]
    return pd.DataFrame(found, columns=columns)


def main() -> None:
    name = sys.argv[1]
    settings = params.section(CcaSettings, params.load(), f"cca.{name}")
    print(tried(name, settings.components).round(6).to_markdown(index=False, floatfmt=".3g"))


if __name__ == "__main__":
    main()
