"""Pair the values of all modalities that show the same digit, within each split."""

from mmvae import params, registry
from mmvae.data import pairing
from mmvae.files import read_arrays, write_arrays
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    data = params.section(pairing.PairingSettings, params.load(), f"data.{name}")
    prepared, names = read_arrays(f"data/prepared/{name}.npz"), tuple(registry.find("datasets", name).MODALITIES)
    pairs = pairing.pair_splits(prepared, names, data.pairings, data.images_per_digit, data.seed)
    write_arrays(f"data/pairs/{name}.npz", pairs)


if __name__ == "__main__":
    run(main)
