"""Split the photographs of a caption set and keep them at 64x64 pixels."""

from pathlib import Path

from tqdm import tqdm

from mmvae import params, registry
from mmvae.data import photographs
from mmvae.files import write_arrays
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    share = params.load()["data"][name]["validation_share"]
    reader, folder = registry.find("datasets", name), Path("data/raw") / name
    names = reader.read_names(folder)
    train, validation = photographs.hold_out(names["train"], share)
    splits = {"train": train, "validation": validation, "test": names["test"]}
    every = [name for split in splits.values() for name in split]
    found = tqdm(reader.read_images(folder, every), total=len(every), desc=f"{name} photographs", unit="photo")
    pixels = photographs.in_order(((name, photographs.small(image)) for name, image in found), every)
    arrays, start = {}, 0
    for split, members in splits.items():
        arrays[f"{split}/names"] = members
        arrays[f"{split}/pixels"] = pixels[start : start + len(members)]
        start += len(members)
        if reader.ATTRIBUTES:
            arrays[f"{split}/attributes"] = reader.read_attributes(folder, members)
    write_arrays(f"data/pixels/{name}.npz", arrays)


if __name__ == "__main__":
    run(main)
