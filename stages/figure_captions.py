"""Figures 7 and 10 to 14: what MMVAE and MVAE make of test pairs, on one kind of image."""

import numpy as np
import torch

from mmvae import model, params
from mmvae.data.prepared import CAPTIONS, PIXELS, CaptionedPairs, images_of
from mmvae.evaluation.captioned import CaptionSettings, generate
from mmvae.figures import gallery, grids
from mmvae.figures.gallery import Shown, of_each
from stages import arguments, run

EXAMPLES, SAMPLES, DRAWS = 12, 4, 6
MODELS = {"MMVAE": "mmvae", "MVAE": "mvae"}


def main() -> None:
    given = arguments("set", "image", "seed")
    device, image = torch.device("cpu"), given.image
    pairs = CaptionedPairs(given.set, device)
    hall = gallery.Gallery(image, pairs.vocabulary, pairs.features("train", image), pairs.values("train", PIXELS))
    language = params.section(CaptionSettings, params.load(), f"evaluate.{given.set}").language(pairs)
    test = pairs.split("test", (CAPTIONS, image))
    chosen = np.linspace(0, len(test) - 1, EXAMPLES).astype(int)
    pixels = pairs.values("test", PIXELS)
    pixels, tokens = pixels[images_of(pixels)], pairs.values("test", CAPTIONS)

    def show(trained: model.MultimodalVAE, positions: np.ndarray) -> Shown:
        generator = torch.Generator(device).manual_seed(given.seed)
        made = generate(trained, test.of(positions), DRAWS, generator, language)
        return hall.show(pixels[positions], tokens[positions], made)

    loaded = {
        name: model.load(f"models/{given.set}/{key}_{image}/{given.seed}.safetensors") for name, key in MODELS.items()
    }
    shown = {name: show(one, chosen) for name, one in loaded.items()}
    several = {name: show(one, np.repeat(chosen, SAMPLES)) for name, one in loaded.items()}
    title = f"{given.set}, {image}"
    pictures = {
        f"figure7_{image}": gallery.overview(shown["MMVAE"], f"{title}: MMVAE (Figure 7)"),
        f"{image}/figure10_images": of_each(shown, Shown.images, f"{title}: reconstructed images (Figure 10)", 12),
        f"{image}/figure11_captions": of_each(
            shown, Shown.sentences, f"{title}: reconstructed captions (Figure 11)", 12
        ),
        f"{image}/figure12_cross": gallery.crossings(several["MMVAE"], SAMPLES, f"{title}: MMVAE (Figure 12)"),
        f"{image}/figure12_cross_mvae": gallery.crossings(several["MVAE"], SAMPLES, f"{title}: MVAE, as Figure 12"),
        f"{image}/figure13_overview": gallery.overview(shown["MVAE"], f"{title}: MVAE (Figure 13)"),
        f"{image}/figure14_both": of_each(shown, Shown.both, f"{title}: both modalities given (Figure 14)"),
    }
    for name, figure in pictures.items():
        grids.save(f"plots/{given.set}/{name}.png", figure)


if __name__ == "__main__":
    run(main)
