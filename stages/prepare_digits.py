"""Split each modality's images into disjoint training, validation and test parts."""

from pathlib import Path

from mmvae import config
from mmvae.data import digits, mnist_svhn, pairing
from mmvae.data.checks import naming
from mmvae.files import write_arrays
from stages import arguments, run

READERS = {"digits": digits.read_raw, "mnist_svhn": mnist_svhn.read_raw}


def main() -> None:
    name = arguments("set").set
    share = config.load().data[name].validation_share
    folder, arrays = Path("data/raw") / name, {}
    for modality, part in READERS[name](folder).items():
        with naming(folder / modality, pairing.PairingError):
            arrays |= {f"{modality}/{key}": array for key, array in pairing.split(part, share).items()}
    write_arrays(f"data/prepared/{name}.npz", arrays)


if __name__ == "__main__":
    run(main)
