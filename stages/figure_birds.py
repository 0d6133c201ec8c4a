"""Figure 6: images and their captions."""

import numpy as np
import torch

from mmvae.data import text
from mmvae.data.prepared import CAPTIONS, PIXELS, CaptionedPairs, images_of
from mmvae.figures import grids
from mmvae.figures.captions import Caption, Cell, Picture, captioned
from stages import arguments, run

EXAMPLES, COLUMNS = 9, 3


def main() -> None:
    name = arguments("set").set
    pairs = CaptionedPairs(name, torch.device("cpu"))
    sentences = text.words(pairs.values("train", CAPTIONS), pairs.vocabulary)
    pixels = pairs.values("train", PIXELS)
    images = images_of(pixels)
    chosen = np.linspace(0, len(sentences) - 1, EXAMPLES).astype(int)
    cells = [
        Cell((Picture(pixels[images[i]] / 255, True),), (Caption(text.sentence(sentences[i]), True),)) for i in chosen
    ]
    title = f"{name}: training images and one of the ten captions of each (Figure 6)"
    grids.save(f"plots/{name}/figure6_pairs.png", captioned([("", cells)], title, COLUMNS))


if __name__ == "__main__":
    run(main)
