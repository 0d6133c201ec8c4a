"""Figure 6: images and their captions."""

import numpy as np
import torch

from mmvae.config import CAPTIONS, PIXELS
from mmvae.data import text
from mmvae.figures import grids
from mmvae.figures.captions import Caption, Cell, Picture, captioned
from stages import arguments, inputs, run

EXAMPLES, COLUMNS = 9, 3


def main() -> None:
    name = arguments("set").set
    pairs = inputs.CaptionPairs(name, torch.device("cpu"))
    sentences = text.words(pairs.values("train", CAPTIONS), pairs.vocabulary)
    pixels = pairs.values("train", PIXELS)
    images = inputs.images_of(pixels)
    chosen = np.linspace(0, len(sentences) - 1, EXAMPLES).astype(int)
    cells = [
        Cell(
            (Picture(pixels[images[i]] / 255, True),),
            (Caption(text.sentence(sentences[i]), True),),
        )
        for i in chosen
    ]
    title = f"{name}: training images and one of the ten captions of each (Figure 6)"
    grids.save(f"plots/{name}/figure6_pairs.png", captioned([("", cells)], title, COLUMNS))


if __name__ == "__main__":
    run(main)
