"""Canonical correlations of training images and captions, for photographs' features and for pixels' features."""

import torch

from mmvae import params
from mmvae.data.prepared import CAPTIONS, PHOTOGRAPHS, CaptionedPairs, images_of
from mmvae.evaluation import correlation
from mmvae.evaluation.cca import CcaSettings
from mmvae.files import read_arrays, write_arrays
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    settings = params.section(CcaSettings, params.load(), f"cca.{name}")
    vectors = read_arrays(f"data/fasttext/{name}.npz")
    pairs = CaptionedPairs(name, torch.device("cpu"))
    tokens = pairs.values("train", CAPTIONS)
    arrays = {}
    for kind in PHOTOGRAPHS:
        features = pairs.features("train", kind)
        arrays |= correlation.arrays(correlation.fit(features[images_of(features)], tokens, vectors, settings), kind)
    write_arrays(f"data/cca/{name}.npz", arrays)


if __name__ == "__main__":
    run(main)
