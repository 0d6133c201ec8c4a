"""Measure one run on captions: Table 4's correlations, the quality of its captions, and attributes where known."""

import numpy as np
import torch

from mmvae import model, params, registry
from mmvae.data.prepared import CAPTIONS, FEATURES, PHOTOGRAPHS, CaptionedPairs, images_of
from mmvae.data.text import CAPTIONS_EACH
from mmvae.evaluation import captioned, correlation, extractor
from mmvae.evaluation.measured import table
from mmvae.files import read_arrays, write_table
from mmvae.training.device import find_device
from stages import arguments, run


def main() -> None:
    given = arguments("set", "run", "seed")
    settings = params.section(captioned.CaptionSettings, params.load(), f"evaluate.{given.set}")
    device = find_device()
    trained = model.load(f"models/{given.set}/{given.run}/{given.seed}.safetensors", device)
    network = extractor.load(f"models/{given.set}/extractor.safetensors", device)
    pairs = CaptionedPairs(given.set, device)
    test = pairs.split("test", tuple(trained.modalities))
    image = next((name for name in trained.modalities if name in PHOTOGRAPHS), FEATURES)
    features = pairs.features("test", image)
    images = images_of(features)
    others = correlation.strangers(len(features), np.random.default_rng(0))
    within = np.arange(len(images)) % CAPTIONS_EACH
    generator, language = torch.Generator(device).manual_seed(given.seed), settings.language(pairs)
    made = captioned.generate(trained, test, settings.joint_samples, generator, language)
    known: dict = {}
    if registry.find("datasets", given.set).ATTRIBUTES:
        known = {
            "training_features": pairs.features("train", image),
            "training_attributes": pairs.attributes("train"),
            "attributes": pairs.attributes("test")[images],
        }
    if len(set(species := pairs.species("test"))) > 1:
        foreign = correlation.of_other_species(species, np.random.default_rng(0))
        known |= {"foreigners": foreign[images] * CAPTIONS_EACH + within, "species": species}
    given_test = captioned.CaptionTest(
        image,
        captioned.Collection.of(features[images], pairs.values("test", CAPTIONS), pairs.vocabulary),
        captioned.collections(made, captioned.features_of(made, image, network), pairs.vocabulary),
        CAPTIONS_EACH,
        others[images] * CAPTIONS_EACH + within,
        correlation.from_arrays(read_arrays(f"data/cca/{given.set}.npz"), image),
        **known,
    )
    folder = "metrics.captions"
    measured = {name: registry.find(folder, name).measure(trained, given_test) for name in registry.names(folder)}
    write_table(f"data/evaluations/{given.set}/{given.run}_{given.seed}.csv", table(measured))


if __name__ == "__main__":
    run(main)
