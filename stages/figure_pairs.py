"""Figure 3: example pairs of the training data."""

import numpy as np

from mmvae import registry
from mmvae.evaluation.classifiers import judged
from mmvae.figures import grids
from mmvae.files import read_arrays
from stages import arguments, run

EXAMPLES = 4


def main() -> None:
    name = arguments("set").set
    prepared, pairs = read_arrays(f"data/prepared/{name}.npz"), read_arrays(f"data/pairs/{name}.npz")
    images = tuple(judged(registry.find("datasets", name).MODALITIES))
    digits = prepared[f"{images[0]}/train/labels"][pairs[f"train/{images[0]}"]]
    chosen = np.stack([np.flatnonzero(digits == digit)[:EXAMPLES] for digit in range(10)], 1)
    panels = [(m, prepared[f"{m}/train/values"][pairs[f"train/{m}"][chosen]] / 255) for m in images]
    title = f"Example pairs of {name} (Figure 3)"
    figure = grids.grids([panels], title, column_labels=[str(digit) for digit in range(10)])
    grids.save(f"plots/{name}/figure3_pairs.png", figure)


if __name__ == "__main__":
    run(main)
