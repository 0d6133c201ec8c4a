"""Pair the images of the two modalities that show the same digit, within each split."""

from mmvae import config
from mmvae.data import pairing
from mmvae.files import read_arrays, write_arrays
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    data = config.load().data[name]
    prepared = read_arrays(f"data/prepared/{name}.npz")
    pairs = pairing.pair_splits(
        prepared, tuple(config.DIGIT_SETS[name]), data.pairings, data.images_per_digit, data.seed
    )
    write_arrays(f"data/pairs/{name}.npz", pairs)


if __name__ == "__main__":
    run(main)
