"""The whole of params.yaml: what may be where, and what may go together. Every section's class is its user's."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field, create_model

from mmvae import params, registry, runs
from mmvae.data.pairing import PairingSettings
from mmvae.data.photographs import PhotographSettings
from mmvae.data.text import CaptionWords
from mmvae.evaluation.captioned import CaptionSettings
from mmvae.evaluation.cca import CcaSettings
from mmvae.evaluation.classifiers import ClassifierSettings
from mmvae.evaluation.extractor import FeatureSettings
from mmvae.evaluation.labelled import DigitSettings
from mmvae.evaluation.sentences import FastTextSettings
from mmvae.model import Latents, ModelConfig
from mmvae.objectives import OBJECTIVES
from mmvae.params import ParamsError, Section, Seed, naming, several, whole
from mmvae.training.loop import Budget, Length, Optimiser
from mmvae.training.run import check_missing, phases_of

PARTICLES_AT_ONCE = 1_000_000  # of a batch, from each expert: more fit into no memory of today
OF_SETS: dict[str, dict[str, type[Section] | None]] = {  # family of data sets -> section -> its class
    "digits": {
        "data": PairingSettings,
        "classifiers": ClassifierSettings,
        "evaluate": DigitSettings,
        "networks": None,
        "train": Length,
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
        "train": Length,
        "particles": None,
    },
}
LISTED = {"digits": "digit_sets", "captions": "caption_sets"}


class Download(Section):
    """mirror: a folder or base URL with the official files and SHA256SUMS."""

    mirror: Annotated[str, Field(min_length=1)] | None


class Runs(Section):
    """Runs by name, of digit sets."""

    shared_objective: dict[str, Any]
    own_objective: dict[str, Any]


class CaptionRuns(Runs):
    """Runs by name, of caption sets."""

    alone: dict[str, Any]


def _once(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("a list of different values, or []")
    return values


class Params(Section):
    """The top of the file. Sections of data sets are checked one by one, by `OF_SETS`."""

    digit_sets: several(str)
    caption_sets: Annotated[list[str], AfterValidator(_once)]  # none in a study of digits
    caption_images: several(Literal["features", "pixels"])
    seeds: several(Seed)
    objective: Literal[OBJECTIVES]
    threads: whole(1, 1024)
    download: Download
    optimiser: Optimiser
    runs: Runs
    caption_runs: CaptionRuns
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
    """
    return check(params.load(path))


def check(content: dict) -> dict:
    """The content of the file, if all of it is allowed. Raises as `load` does."""
    params.check(Params, content)
    for data_set, family in _families(content).items():
        for section, kind in OF_SETS[family].items():
            if data_set not in content[section]:
                raise ParamsError(f"{section}.{data_set}: the key is missing")
            if kind is not None:
                params.check(kind, content[section][data_set], f"{section}.{data_set}")
        params.check(_networks(data_set), content["networks"][data_set], f"networks.{data_set}")
        for run in runs.of_set(content, data_set).values():
            with naming(f"{run.at} on {data_set}"):
                _check_run(run, content)
        if family == "captions":
            _check_judges(content, data_set)
    return content


def _families(content: dict) -> dict[str, str]:
    """Data set -> family, of all that are listed or have a section."""
    found = {}
    for section in dict.fromkeys([*LISTED.values(), *(name for names in OF_SETS.values() for name in names)]):
        for data_set in content[section]:
            with naming(f"{section}.{data_set}"):
                family = registry.find("datasets", data_set).FAMILY
            if section not in (LISTED[family], *OF_SETS[family]):
                raise ParamsError(f"{section}.{data_set}: a set of {family} is in {LISTED[family]}, not here")
            found[data_set] = family
    return found


@cache
def _networks(data_set: str) -> type[Section]:
    """The options of all kinds of a data set, and the latents. The data set's MODALITIES declare its keys."""
    found = registry.find("datasets", data_set)
    kinds = {kind: (registry.find("kinds", kind).Options, ...) for kind in found.MODALITIES.values()}
    return create_model("MODALITIES", __base__=Latents, __module__=found.__name__, **kinds)


def _check_run(run: runs.Run, content: dict) -> None:
    """What a run chooses and replaces, and whether its model can be trained so."""
    params.check(registry.find("models", run.entry.model).Options, run.entry.options)
    if run.entry.objective not in (None, *OBJECTIVES):
        raise ParamsError(f"objective is {run.entry.objective!r}: it should be one of {', '.join(OBJECTIVES)}")
    budget = params.check(Budget, run.train(content), "train")
    shared = content["networks"][run.data_set]
    replaced = {kind: shared.get(kind, {}) | options for kind, options in run.entry.networks.items()}
    params.check(_networks(run.data_set), shared | replaced, "networks")
    particles, most = run.particles(content) or 1, PARTICLES_AT_ONCE // budget.batch_size
    if particles > most:
        at = "particles" if run.entry.particles else f"particles.{run.data_set}"
        raise ParamsError(f"{at} is {particles}: at most {most}, because train's batch_size is {budget.batch_size}")
    config = ModelConfig(run.entry.model, run.kinds, shared["latents"], options=run.entry.options)
    registry.find("models", run.entry.model).MODEL.check(config)
    phases = phases_of(run, content, torch.device("cpu"))
    check_missing(run, content, phases)
    if any(phase.labelled for phase in phases) and registry.find("datasets", run.data_set).FAMILY != "digits":
        raise ParamsError(f"{run.entry.model} learns digits, which {run.data_set} has none of")


def _check_judges(content: dict, data_set: str) -> None:
    """The vectors of sentences have one direction less than those of words: smooth inverse frequency removes it."""
    dimensions = content["fasttext"][data_set]["dimensions"]
    components = content["cca"][data_set]["components"]
    if components >= dimensions:
        raise ParamsError(
            f"cca.{data_set}.components is {components}: at most {dimensions - 1}, because "
            f"fasttext.{data_set}.dimensions is {dimensions}"
        )
