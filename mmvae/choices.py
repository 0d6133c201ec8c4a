"""What params.yaml says of a caption set because validation photographs say so; no test photograph is looked at.

    python -m mmvae.choices ridge cub                     which ridge of CCA tells captions from those of strangers
    python -m mmvae.choices bigrams cub mmvae_features    which weight of bigrams makes captions that suit their images

Both run after the stages whose files they read. Models and CCA are of training pairs, of the same species.
"""

import argparse
import sys
from itertools import product

import numpy as np
import pandas as pd
import torch

from mmvae import model, params, registry
from mmvae.data import text
from mmvae.data.prepared import CAPTIONS, FEATURES, PHOTOGRAPHS, CaptionedPairs, images_of
from mmvae.data.text import CAPTIONS_EACH
from mmvae.evaluation import cca, correlation, extractor
from mmvae.evaluation.captioned import JOINT, CaptionSettings, collections, features_of, generate
from mmvae.evaluation.cca import CcaSettings
from mmvae.evaluation.measured import mean
from mmvae.evaluation.sentences import SENTENCES, SentenceEncoder
from mmvae.files import FileError, read_arrays
from mmvae.metrics.captions.captions import bleu, describe

IMAGE, SENTENCE = (0.0, 0.1, 1.0, 10.0, 100.0), (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
WEIGHTS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
DRAWS = 1000  # from the prior


def ridge(pairs: CaptionedPairs) -> pd.DataFrame:
    """A row for each ridge of images and sentences: mean correlations, and their difference in standard errors."""
    name, rng = pairs.data_set, np.random.default_rng(0)
    every = read_arrays(f"data/fasttext/{name}.npz")
    first = next(iter(every))
    components = params.section(CcaSettings, params.load(), f"cca.{name}").components
    tokens = {split: pairs.values(split, CAPTIONS) for split in ("train", "validation")}
    features = {split: pairs.features(split, FEATURES) for split in tokens}
    training, held = (features[split][images_of(features[split])] for split in tokens)
    strangers = correlation.strangers(len(features["validation"]), rng)
    others = features["validation"][strangers.repeat(CAPTIONS_EACH)]
    encoder = SentenceEncoder.fit(SENTENCES[0], tokens["train"], every[first])
    sentences, told = (encoder.encode(words) for words in tokens.values())
    found = []
    for added in product(IMAGE, SENTENCE):
        projections = cca.fit(training, sentences, components, added)
        truth, floor = (cca.correlation(projections, images, told) for images in (held, others))
        error = mean((truth - floor).reshape(-1, CAPTIONS_EACH).mean(1))
        found.append((*added, truth.mean(), floor.mean(), error.value / error.standard_error))
    columns = ["image", "sentence", "ground truth", "floor", "difference / standard error"]
    return pd.DataFrame(found, columns=columns)


def bigrams(pairs: CaptionedPairs, run: str, seed: int = 0) -> pd.DataFrame:
    """A row for each weight: Table 4's correlations, and the captions made of images: BLEU, and how many repeat."""
    name, device = pairs.data_set, torch.device("cpu")
    trained = model.load(f"models/{name}/{run}/{seed}.safetensors", device)
    network = extractor.load(f"models/{name}/extractor.safetensors", device)
    image = next(modality for modality in trained.modalities if modality in PHOTOGRAPHS)
    held, features = pairs.split("validation", tuple(trained.modalities)), pairs.features("validation", image)
    real, words = features[images_of(features)], text.words(pairs.values("validation", CAPTIONS), pairs.vocabulary)
    references = [words[i : i + CAPTIONS_EACH] for i in range(0, len(words), CAPTIONS_EACH)]
    judge = next(iter(correlation.from_arrays(read_arrays(f"data/cca/{name}.npz"), image).values()))
    found = []
    for weight in WEIGHTS:
        language = CaptionSettings(joint_samples=DRAWS, bigrams=weight).language(pairs)
        made = generate(trained, held, DRAWS, torch.Generator().manual_seed(seed), language)
        of = collections(made, features_of(made, image, network), pairs.vocabulary)
        scores = [judge.correlations(real, of[image].tokens), judge.correlations(of[JOINT].features, of[JOINT].tokens)]
        captions = of[image].words
        quality = bleu(captions[::CAPTIONS_EACH], references), describe(captions)["repeats"]
        found.append((weight, *(score["unit_variance"].mean() for score in scores), *quality))
    return pd.DataFrame(found, columns=["weight", "image to sentence", "joint", "BLEU, image", "repeat a word"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("ridge", "bigrams"))
    parser.add_argument("set")
    parser.add_argument("run", nargs="?", default="mmvae_features")
    given = parser.parse_args()
    try:
        pairs = CaptionedPairs(given.set, torch.device("cpu"))
        found = ridge(pairs) if given.what == "ridge" else bigrams(pairs, given.run)
    except (FileError, registry.UnknownName) as error:
        sys.exit(str(error))
    print(found.to_markdown(index=False, floatfmt=".3g"))


if __name__ == "__main__":
    main()
