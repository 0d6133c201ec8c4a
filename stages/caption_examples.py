"""Many examples of five tasks as text: what one model makes of captions and one kind of image."""

import numpy as np
import torch

from mmvae import extractor, models
from mmvae.config import CAPTIONS
from mmvae.data import text
from mmvae.evaluation.captioned import features_of, generate
from mmvae.figures import gallery
from mmvae.files import atomic
from stages import arguments, inputs, run

EXAMPLES = 200


def main() -> None:
    given = arguments("set", "model", "image", "seed")
    device, image = torch.device("cpu"), given.image
    pairs = inputs.CaptionPairs(given.set, device)
    model = models.load(f"models/{given.set}/{given.model}_{image}/{given.seed}.safetensors")
    network = extractor.load(f"models/{given.set}/extractor.safetensors", device)
    test = pairs.split("test", (CAPTIONS, image))
    chosen = np.linspace(0, len(test) - 1, EXAMPLES).astype(int)
    made = generate(model, test.of(chosen), EXAMPLES, torch.Generator(device).manual_seed(given.seed))
    test_photographs, sentences = pairs.described("test"), text.words(pairs.values("test", CAPTIONS), pairs.vocabulary)
    page = gallery.examples(
        made,
        features_of(made, image, network),
        pairs.features("train", image),
        [(test_photographs[i // inputs.CAPTIONS_EACH], text.sentence(sentences[i])) for i in chosen],
        pairs.described("train"),
        image,
        pairs.vocabulary,
    )
    title = f"{given.set}: {EXAMPLES} examples of five tasks by {given.model} on {image}, seed {given.seed}\n\n"
    with atomic(f"plots/{given.set}/examples/{given.model}_{image}.txt") as path:
        path.write_text(title + page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
