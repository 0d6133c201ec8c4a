"""Features of a caption set's photographs, and of their 64x64 pixels, by ResNet-101; and the extractor itself."""

from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from mmvae import config, extractor
from mmvae.data import photographs
from mmvae.files import read_arrays, write_arrays
from mmvae.training.device import find_device
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    params = config.load()
    settings, device = params.features[name], find_device()
    images = read_arrays(f"data/pixels/{name}.npz")
    names = {split: images[f"{split}/names"].tolist() for split in photographs.SPLITS}
    read = partial(photographs.READERS[name].read_images, Path("data/raw") / name)
    bar = partial(tqdm, unit="photo", mininterval=1.0)
    chosen = extractor.ExtractorConfig(settings.layer, settings.preprocessing, settings.size)
    if settings.weights == "none":
        network = extractor.untrained(chosen, settings.seed).to(device)
        training = names["train"]
        extractor.calibrate(network, bar(read(training), total=len(training), desc=f"{name} calibration"))
    else:
        network = extractor.trained(chosen, settings.weights, params.download.mirror).to(device)
    every = [name for split in names.values() for name in split]
    found = extractor.of_photographs(network, bar(read(every), total=len(every), desc=f"{name} features"))
    features = {f"{split}/photographs": torch.stack([found[one] for one in names[split]]) for split in names}
    features |= {f"{split}/pixels": extractor.of_pixels(network, images[f"{split}/pixels"]) for split in names}
    if settings.standardise:
        extractor.standardise(network, features["train/photographs"])
        features = {key: (value - network.mean.cpu()) / network.std.cpu() for key, value in features.items()}
    write_arrays(f"data/features/{name}.npz", {key: value.numpy() for key, value in features.items()})
    extractor.save(f"models/{name}/extractor.safetensors", network)


if __name__ == "__main__":
    run(main)
