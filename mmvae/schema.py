"""The whole of params.yaml: what may be where, and what may go together. Every section's class is its user's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator

from mmvae import params, registry, runs
from mmvae.data.pairing import PairingSettings
from mmvae.data.photographs import PhotographSettings
from mmvae.data.text import CaptionWords
from mmvae.evaluation.captioned import CaptionSettings
from mmvae.evaluation.cca import CcaSettings
from mmvae.evaluation.classifiers import ClassifierSettings
from mmvae.evaluation.digit_test import DigitSettings
from mmvae.evaluation.extractor import FeatureSettings
from mmvae.evaluation.sentences import FastTextSettings
from mmvae.model import Latents
from mmvae.objectives import OBJECTIVES
from mmvae.params import ParamsError, Section, Seed, several
from mmvae.training.loop import Budget
from mmvae.training.run import phases_of

PARTICLES_AT_ONCE = 1_000_000  # of a batch, from each expert: more fit into no memory of today
OF_SETS: dict[str, dict[str, type[Section] | None]] = {  # family of data sets -> section -> its class
    "digits": {
        "data": PairingSettings,
        "classifiers": ClassifierSettings,
        "evaluate": DigitSettings,
        "networks": None,
        "train": None,
        "particles": None,
    },
    "captions": {
        "data": PhotographSettings,
        "captions": CaptionWords,
        "features": FeatureSettings,
        "fasttext": FastTextSettings,
        "cca": CcaSettings,
        "evaluate": CaptionSettings,
        "networks": None,
        "train": None,
        "particles": None,
    },
}


class Download(Section):
    """mirror: a folder or base URL with the official files and SHA256SUMS."""

    mirror: str | None


def _once(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("a list of different values, or []")
    return values


class Params(Section):
    """The top of the file. Sections of data sets are checked one by one, by `OF_SETS`."""

    digit_sets: several(str)
    caption_sets: Annotated[list[str], AfterValidator(_once)]
    caption_images: several(Literal["features", "pixels"])
    seeds: several(Seed)
    objective: Literal[OBJECTIVES]
    download: Download
    optimiser: dict[str, Any]
    runs: dict[Literal["shared_objective", "own_objective"], dict[str, Any]]
    caption_runs: dict[Literal["shared_objective", "own_objective", "alone"], dict[str, Any]]
    data: dict[str, Any]
    captions: dict[str, Any]
    features: dict[str, Any]
    fasttext: dict[str, Any]
    cca: dict[str, Any]
    classifiers: dict[str, Any]
    networks: dict[str, Any]
    train: dict[str, Any]
    particles: dict[str, runs.Particles]
    evaluate: dict[str, Any]


def load(path: str | Path = "params.yaml") -> dict:
    """Read and check the whole file.

    Raises:
        ParamsError: one line that names the key, its value and what is allowed.
        UnknownName: there is no such model, kind or data set.
    """
    content = params.load(path)
    params.check(Params, content)
    for family in OF_SETS:
        for name in content[_listed(family)]:
            if family != registry.find("datasets", name).FAMILY:
                raise ParamsError(f"{_listed(family)}: {name!r} is of another family of data sets")
    for data_set in content["data"]:
        _check_set(content, data_set)
    return content


def _listed(family: str) -> str:
    return {"digits": "digit_sets", "captions": "caption_sets"}[family]


def _check_set(content: dict, data_set: str) -> None:
    """All that params.yaml says of one data set."""
    data = registry.find("datasets", data_set)
    for section, kind in OF_SETS[data.FAMILY].items():
        if data_set not in content[section]:
            raise ParamsError(f"{section}: the key {data_set!r} is missing")
        if kind is not None:
            params.check(kind, content[section][data_set], f"{section}.{data_set}")
    _check_networks(content["networks"][data_set], data, f"networks.{data_set}")
    for run in runs.of_set(content, data_set).values():
        budget = params.check(Budget, run.train(content), f"train.{data_set}")
        _check_networks({"latents": 1} | run.networks(content), data, f"networks.{data_set}")
        particles, most = run.particles(content) or 1, PARTICLES_AT_ONCE // budget.batch_size
        if particles > most:
            because = f"train.{data_set}.batch_size is {budget.batch_size}"
            raise ParamsError(f"particles.{data_set} is {particles}: at most {most}, because {because}")
        with _naming(f"run {run.name} of {data_set}"):
            phases_of(run, content, torch.device("cpu"))
    if data.FAMILY == "captions":
        # The vectors of sentences have one direction less than those of words: smooth inverse frequency removes it.
        dimensions = content["fasttext"][data_set]["dimensions"]
        components = content["cca"][data_set]["components"]
        if components >= dimensions:
            raise ParamsError(
                f"cca.{data_set}.components is {components}: at most {dimensions - 1}, because "
                f"fasttext.{data_set}.dimensions is {dimensions}"
            )


@contextmanager
def _naming(run: str) -> Iterator[None]:
    """Say which run an error is about."""
    try:
        yield
    except ParamsError as error:
        raise ParamsError(f"{run}: {error}") from None


def _check_networks(content: dict, data: Any, at: str) -> None:
    params.check(Latents, {"latents": content.get("latents")}, at)
    for kind, options in content.items():
        if kind == "latents":
            continue
        if kind not in data.MODALITIES.values():
            raise ParamsError(f"{at}.{kind}: there is no such key; kinds here: {', '.join(data.MODALITIES.values())}")
        params.check(registry.find("kinds", kind).Options, options, f"{at}.{kind}")
