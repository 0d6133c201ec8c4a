"""Features of a caption set's photographs, and of their 64x64 pixels; and the extractor itself."""

from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from mmvae import params, registry
from mmvae.data import photographs
from mmvae.evaluation import extractor
from mmvae.files import read_arrays, write_arrays
from mmvae.training.device import find_device
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    content = params.load()
    settings, device = params.section(extractor.FeatureSettings, content, f"features.{name}"), find_device()
    images = read_arrays(f"data/pixels/{name}.npz")
    names = {split: images[f"{split}/names"].tolist() for split in photographs.SPLITS}
    read = partial(registry.find("datasets", name).read_images, Path("data/raw") / name)

    def photos(wanted: list[str], purpose: str) -> extractor.Photographs:
        return tqdm(read(wanted), total=len(wanted), desc=f"{name} {purpose}", unit="photo", mininterval=1.0)

    training, mirror = partial(photos, names["train"], "calibration"), content["download"]["mirror"]
    network = registry.find(extractor.FOLDER, settings.network).obtain(settings, training, mirror, device)
    every = [name for split in names.values() for name in split]
    found = extractor.of_photographs(network, photos(every, "features"))
    features = {f"{split}/photographs": torch.stack([found[one] for one in names[split]]) for split in names}
    features |= {f"{split}/pixels": extractor.of_pixels(network, images[f"{split}/pixels"]) for split in names}
    if settings.standardise:
        extractor.standardise(network, features["train/photographs"])
        features = {key: (value - network.mean.cpu()) / network.std.cpu() for key, value in features.items()}
    write_arrays(f"data/features/{name}.npz", {key: value.numpy() for key, value in features.items()})
    extractor.save(f"models/{name}/extractor.safetensors", network)


if __name__ == "__main__":
    run(main)
