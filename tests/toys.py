"""Small models and data for tests: of any kind, of any number of modalities."""

from pathlib import Path

import numpy as np
import torch
import yaml
from conftest import ROOT

from mmvae import files, registry
from mmvae.data.names import written
from mmvae.data.pairs import DIGITS, Pairs
from mmvae.data.text import EOS_INDEX, PAD_INDEX, SPECIALS
from mmvae.evaluation import classifiers
from mmvae.model import ModelConfig, MultimodalVAE, build

KINDS = {"a": "grey", "b": "colour"}
WORDS = [*SPECIALS, *"abcdefghijklmnopq"]
SMALL = {"hidden": 16, "channels": 4, "embedding": 32, "length": 7, "vocabulary": len(WORDS)}
WIDER = {"text": {"channels": 16}}  # of four channels, all units of a layer may be dead


def toy_values(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """As a kind's files hold them: smooth images, numbers of deviation 1, or sentences of nine words."""
    dtype, shape = registry.find("kinds", kind).STORED
    shape = (count, *(size or SMALL["length"] for size in shape))
    if dtype == np.uint8:
        coarse = rng.integers(0, 256, (*shape[:2], 4, 4), np.uint8)
        return coarse.repeat(shape[2] // 4, 2).repeat(shape[3] // 4, 3)
    if dtype == np.float32:
        return rng.standard_normal(shape).astype(dtype)
    if kind == "text":
        return np.stack([written(i % 10, 0) for i in range(count)])
    words = rng.integers(len(SPECIALS), len(WORDS), shape, dtype)
    words[:, 9], words[:, 10:] = EOS_INDEX, PAD_INDEX
    return words


def toy_pairs(pairs: int = 64, kinds: dict[str, str] = KINDS, *, labelled: bool = False) -> Pairs:
    """Pairs of eight values of each modality, so that there is something to learn; digits number those of the first."""
    rng = np.random.default_rng(0)
    values = {name: toy_values(kind, 8, rng) for name, kind in kinds.items()}
    index = {name: rng.integers(0, 8, pairs, np.int32) for name in values}
    if labelled:
        values[DIGITS], index[DIGITS] = np.arange(8, dtype=np.uint8), next(iter(index.values()))
    return Pairs(values, index, torch.device("cpu"))


def toy_config(model: str = "mmvae", kinds: dict[str, str] = KINDS, latents: int = 4, **choices) -> ModelConfig:
    """Every choice is an option of the model, or of each kind that has one of that name; or of the kind it names."""

    def chosen(folder: str, name: str, among: dict) -> dict:
        known = registry.find(folder, name).Options.model_fields
        return {option: value for option, value in among.items() if option in known}

    networks = {
        kind: chosen("kinds", kind, SMALL | WIDER.get(kind, {}) | choices | choices.get(kind, {}))
        for kind in kinds.values()
    }
    return ModelConfig(model, kinds, latents, networks, chosen("models", model, choices))


def toy_model(*given, **choices) -> MultimodalVAE:
    """The model of `toy_config`, the same every time."""
    torch.manual_seed(0)
    return build(toy_config(*given, **choices))


def untrained_classifiers(digit_set: str) -> classifiers.Judges:
    """Of each kind of classifier, one for each modality of images, 8 channels wide."""
    shapes = classifiers.images(registry.find("datasets", digit_set).MODALITIES).items()
    return {kind: {name: classifiers.build(kind, shape, 8) for name, shape in shapes} for kind in classifiers.KINDS}


def write_digit_noise(folder: Path, **training) -> Path:
    """Images of noise, their pairs, and parameters for a training of moments."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in ("digits", "birds"):
        params["train"][name] |= {"epochs": 2, "pairs_per_epoch": 64, "batch_size": 16} | training
        params["particles"][name] = 2
        for options in params["networks"][name].values():
            if isinstance(options, dict):
                options |= {size: SMALL[size] for size in ("hidden", "channels") if size in options}
    params["evaluate"]["digits"] = {"joint_samples": 50, "likelihood_samples": 4, "likelihood_pairs": 5}
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    rng = np.random.default_rng(0)
    prepared, pairs = {}, {}
    for split in ("train", "validation", "test"):
        pairs[f"{split}/first_pass"] = np.int64(20)
        for name, kind in registry.find("datasets", "digits").MODALITIES.items():
            shape = registry.find("kinds", kind).SHAPE
            prepared[f"{name}/{split}/values"] = rng.integers(0, 256, (20, *shape), np.uint8)
            prepared[f"{name}/{split}/labels"] = np.arange(20, dtype=np.uint8) % 10
            pairs[f"{split}/{name}"] = (np.arange(100, dtype=np.int32) * 3) % 20
    files.write_arrays(folder / "data/prepared/digits.npz", prepared)
    files.write_arrays(folder / "data/pairs/digits.npz", pairs)
    return folder
