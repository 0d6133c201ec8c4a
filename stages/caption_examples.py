"""Many examples of five tasks as text: what one model makes of captions and one kind of image."""

import numpy as np
import torch

from mmvae import model, params
from mmvae.data import text
from mmvae.data.prepared import CAPTIONS, PHOTOGRAPHS, CaptionedPairs
from mmvae.evaluation import extractor
from mmvae.evaluation.captioned import CaptionSettings, features_of, generate
from mmvae.figures import gallery
from mmvae.files import atomic
from stages import arguments, run

EXAMPLES = 200


def main() -> None:
    given = arguments("set", "run", "seed")
    device = torch.device("cpu")
    pairs = CaptionedPairs(given.set, device)
    trained = model.load(f"models/{given.set}/{given.run}/{given.seed}.safetensors")
    image = next(name for name in trained.modalities if name in PHOTOGRAPHS)
    network = extractor.load(f"models/{given.set}/extractor.safetensors", device)
    test = pairs.split("test", (CAPTIONS, image))
    chosen = np.linspace(0, len(test) - 1, EXAMPLES).astype(int)
    language = params.section(CaptionSettings, params.load(), f"evaluate.{given.set}").language(pairs)
    made = generate(trained, test.of(chosen), EXAMPLES, torch.Generator(device).manual_seed(given.seed), language)
    test_photographs, sentences = pairs.described("test"), text.words(pairs.values("test", CAPTIONS), pairs.vocabulary)
    page = gallery.examples(
        made,
        features_of(made, image, network),
        pairs.features("train", image),
        [(test_photographs[i // text.CAPTIONS_EACH], text.sentence(sentences[i])) for i in chosen],
        pairs.described("train"),
        image,
        pairs.vocabulary,
    )
    title = f"{given.set}: {EXAMPLES} examples of five tasks by {given.run}, seed {given.seed}\n\n"
    with atomic(f"data/examples/{given.set}/{given.run}.txt") as path:
        path.write_text(title + page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
