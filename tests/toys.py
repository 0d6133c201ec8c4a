"""Small models and data for tests of training."""

from pathlib import Path

import numpy as np
import torch
import yaml
from conftest import ROOT
from mmvae.config import DIGIT_SETS, IMAGE_SHAPES

from mmvae import classifiers, files
from mmvae.data.pairs import Pairs
from mmvae.models import ModelConfig, MultimodalVAE, build

KINDS = {"a": "grey", "b": "colour"}


def toy_pairs(pairs: int = 64) -> Pairs:
    """Pairs of eight images of each kind, smooth ones, so that there is something to learn."""
    rng = np.random.default_rng(0)
    coarse = {"a": rng.integers(0, 256, (8, 1, 4, 4), np.uint8), "b": rng.integers(0, 256, (8, 3, 4, 4), np.uint8)}
    images = {"a": coarse["a"].repeat(7, 2).repeat(7, 3), "b": coarse["b"].repeat(8, 2).repeat(8, 3)}
    index = {name: rng.integers(0, 8, pairs, np.int32) for name in images}
    return Pairs(images, index, torch.device("cpu"))


def toy_model(kind: str = "mmvae", **choices) -> MultimodalVAE:
    torch.manual_seed(0)
    return build(ModelConfig(kind, KINDS, **({"latents": 4, "hidden": 16, "channels": 4} | choices)))


def untrained_classifiers(digit_set: str) -> dict:
    """Of each kind, one for each modality, as classifiers.save takes them."""
    modalities = DIGIT_SETS[digit_set].items()
    return {
        kind: {name: classifiers.build(kind, IMAGE_SHAPES[image]) for name, image in modalities}
        for kind in classifiers.KINDS
    }


def write_digit_noise(folder: Path, **training) -> Path:
    """Images of noise, their pairs, and parameters for a training of moments."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["train"]["digits"] |= {"epochs": 2, "pairs_per_epoch": 64, "batch_size": 16, "particles": 2} | training
    params["networks"]["digits"] |= {"hidden": 16, "channels": 4}
    params["evaluate"]["digits"] = {"joint_samples": 50, "likelihood_samples": 4, "likelihood_pairs": 5}
    params["networks"]["birds"]["features"]["hidden"] = 16
    params["networks"]["birds"]["captions"]["channels"] = 4
    params["train"]["birds"] |= {"epochs": 1, "pairs_per_epoch": 64, "batch_size": 16, "particles": 2}
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    rng = np.random.default_rng(0)
    prepared, pairs = {}, {}
    for split in ("train", "validation", "test"):
        pairs[f"{split}/first_pass"] = np.int64(20)
        for name, kind in DIGIT_SETS["digits"].items():
            prepared[f"{name}/{split}/images"] = rng.integers(0, 256, (20, *IMAGE_SHAPES[kind]), np.uint8)
            prepared[f"{name}/{split}/labels"] = np.arange(20, dtype=np.uint8) % 10
            pairs[f"{split}/{name}"] = (np.arange(100, dtype=np.int32) * 3) % 20
    files.write_arrays(folder / "data/prepared/digits.npz", prepared)
    files.write_arrays(folder / "data/pairs/digits.npz", pairs)
    return folder
