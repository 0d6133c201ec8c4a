"""Figure 3: example pairs of the training data."""

import numpy as np

from mmvae import config
from mmvae.figures import grids
from mmvae.files import read_arrays
from stages import arguments, run

EXAMPLES = 4


def main() -> None:
    name = arguments("set").set
    prepared, pairs = read_arrays(f"data/prepared/{name}.npz"), read_arrays(f"data/pairs/{name}.npz")
    modalities = tuple(config.DIGIT_SETS[name])
    digits = prepared[f"{modalities[0]}/train/labels"][pairs[f"train/{modalities[0]}"]]
    chosen = np.stack([np.flatnonzero(digits == digit)[:EXAMPLES] for digit in range(10)], 1)
    panels = [
        (modality, prepared[f"{modality}/train/images"][pairs[f"train/{modality}"][chosen]] / 255)
        for modality in modalities
    ]
    grids.save(f"plots/{name}/figure3_pairs.png", grids.pairs(panels, f"Example pairs of {name} (Figure 3)"))


if __name__ == "__main__":
    run(main)
