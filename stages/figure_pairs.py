"""Figure 3: example pairs of the training data."""

import numpy as np

from mmvae import registry
from mmvae.figures import grids
from mmvae.figures.pictures import shown
from mmvae.files import read_arrays
from stages import arguments, run

EXAMPLES = 4


def main() -> None:
    name = arguments("set").set
    prepared, pairs = read_arrays(f"data/prepared/{name}.npz"), read_arrays(f"data/pairs/{name}.npz")
    kinds = registry.find("datasets", name).MODALITIES
    first = next(iter(kinds))
    digits = prepared[f"{first}/train/labels"][pairs[f"train/{first}"]]
    chosen = np.stack([np.flatnonzero(digits == digit)[:EXAMPLES] for digit in range(10)], 1)
    values = {m: prepared[f"{m}/train/values"][pairs[f"train/{m}"][chosen]] for m in kinds}
    panels = [(m, images / 255 if images.dtype == np.uint8 else images) for m, images in shown(kinds, values).items()]
    title = f"Example pairs of {name} (Figure 3)"
    figure = grids.grids([panels], title, column_labels=[str(digit) for digit in range(10)])
    grids.save(f"plots/{name}/figure3_pairs.png", figure)


if __name__ == "__main__":
    run(main)
