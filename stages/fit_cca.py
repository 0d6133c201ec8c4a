"""Canonical correlations of training images and captions, for photographs' features and for pixels' features."""

import torch

from mmvae import config
from mmvae.config import CAPTIONS
from mmvae.evaluation import correlation
from mmvae.files import read_arrays, write_arrays
from stages import arguments, run
from stages.inputs import PHOTOGRAPHS, CaptionPairs, images_of


def main() -> None:
    name = arguments("set").set
    components = config.load().cca[name].components
    vectors = read_arrays(f"data/fasttext/{name}.npz")
    pairs = CaptionPairs(name, torch.device("cpu"))
    tokens = pairs.values("train", CAPTIONS)
    arrays = {}
    for kind in PHOTOGRAPHS:
        features = pairs.features("train", kind)
        arrays |= correlation.arrays(correlation.fit(features[images_of(features)], tokens, vectors, components), kind)
    write_arrays(f"data/cca/{name}.npz", arrays)


if __name__ == "__main__":
    run(main)
