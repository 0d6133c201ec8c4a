"""Measure one run on captions: Table 4's correlations, the quality of its captions, and attributes where known."""

import numpy as np
import torch

from mmvae import config, extractor, models
from mmvae.config import CAPTIONS, FEATURES, IMAGE_KINDS, PIXELS
from mmvae.evaluation import attributes, captioned, correlation
from mmvae.files import read_arrays, write_json
from mmvae.training.device import find_device
from stages import arguments, inputs, run


def main() -> None:
    given = arguments("set", "run", "seed")
    draws, device = config.load().evaluate[given.set].joint_samples, find_device()
    model = models.load(f"models/{given.set}/{given.run}/{given.seed}.safetensors", device)
    network = extractor.load(f"models/{given.set}/extractor.safetensors", device)
    pairs = inputs.CaptionPairs(given.set, device)
    test = pairs.split("test", tuple(model.modalities))
    image = next((name for name in model.modalities if name in IMAGE_KINDS), FEATURES)
    each, images = inputs.CAPTIONS_EACH, inputs.images_of(pairs.features("test", image))
    vocabulary = pairs.vocabulary
    real = captioned.Collection.of(pairs.features("test", image)[images], pairs.values("test", CAPTIONS), vocabulary)
    generated = captioned.generate(model, test, draws, torch.Generator(device).manual_seed(given.seed))
    features = captioned.features_of(generated, image, network)
    made = captioned.collections(generated, features, vocabulary)
    others = correlation.strangers(len(images) // each, np.random.default_rng(0))
    strangers = others[images] * each + np.arange(len(images)) % each
    judges = correlation.from_arrays(read_arrays(f"data/cca/{given.set}.npz"), image)
    result = {"correlation": captioned.correlations(real, made, image, strangers, each, judges)}
    if CAPTIONS in model.modalities:
        result["captions"] = captioned.caption_quality(real, made, each)
    if given.set == "birds":
        probes = attributes.Probes(pairs.features("train", image), pairs.array(PIXELS, "train/attributes"))
        truth = pairs.array(PIXELS, "test/attributes")[images]
        result["attributes"] = captioned.attribute_agreement(real, made, image, truth, strangers, probes)
    result["test"] = {"pairs": len(images), "images": len(images) // each, "joint_samples": draws}
    write_json(f"data/evaluations/{given.set}/{given.run}_{given.seed}.json", result)


if __name__ == "__main__":
    run(main)
