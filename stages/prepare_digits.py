"""Split each modality's values into disjoint training, validation and test parts."""

from pathlib import Path

from mmvae import params, registry
from mmvae.data import pairing
from mmvae.files import write_arrays
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    share = params.load()["data"][name]["validation_share"]
    arrays = {}
    for modality, part in registry.find("datasets", name).read_raw(Path("data/raw") / name).items():
        arrays |= {f"{modality}/{key}": array for key, array in pairing.split(part, share).items()}
    write_arrays(f"data/prepared/{name}.npz", arrays)


if __name__ == "__main__":
    run(main)
