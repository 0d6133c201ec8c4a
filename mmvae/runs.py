"""Runs: an entry under `runs:` or `caption_runs:` of params.yaml, and what it means on a data set.

A run of a digit set is named after its entry. A run of a caption set is named after its entry and the kind of image
that it sees: `mmvae_features`.
"""

import re
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from pydantic import ConfigDict, Field

from mmvae import registry
from mmvae.data.missing import Missing
from mmvae.params import ParamsError, Section, check, naming, whole

CAPTIONS = "captions"
SECTIONS = {"digits": "runs", "captions": "caption_runs"}  # of the runs of each family of data sets
COMPOSED = ("late_fusion", "vae_cca")  # systems of Figure 2 that are made of the runs of single modalities
RESERVED = ("classifiers", *COMPOSED)  # whose numbers are written beside the runs'
Particles = whole(1, 1000)


class Replaced(Section):
    """What a run may replace of its data."""

    missing: Any = None
    incomplete: Any = None


class Entry(Section):
    """What a run is: its model, and what differs from the parameters of its data set. Other keys are the model's own.

    kinds: of the modalities that it sees; all by default. objective, particles (K): instead of the shared ones. data,
    train, networks: replace single parameters; of `data`, what is missing.
    """

    model_config = ConfigDict(extra="allow")
    model: str
    kinds: list[str] | None = None
    objective: str | None = None
    particles: Particles | None = None
    data: Replaced = Field(default_factory=Replaced)
    train: dict[str, Any] = Field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @property
    def options(self) -> dict:
        """The model's own."""
        return self.model_extra or {}


@dataclass(frozen=True)
class Run:
    """One entry, which stands `at` a place of params.yaml, on one data set.

    kinds: modality -> kind, of the modalities that it sees. shared: their objective.
    """

    data_set: str
    name: str
    entry: Entry
    kinds: dict[str, str]
    shared: bool
    at: str

    @property
    def modules(self) -> list[str]:
        """The modules of its model and kinds."""
        return [f"mmvae.models.{self.entry.model}", *(f"mmvae.kinds.{kind}" for kind in self.kinds.values())]

    def objective(self, params: dict) -> str | None:
        """The run's own or, if it shares one, the shared objective."""
        return self.entry.objective or (params["objective"] if self.shared else None)

    def particles(self, params: dict) -> int | None:
        """K of each expert: the run's own or, with the shared objective, the data set's."""
        return self.entry.particles or (params["particles"][self.data_set] if self.shared else None)

    def missing(self, params: dict) -> Missing:
        """Which modalities its training pairs lack: as in the data set, and what the run replaces."""
        of_set = params["data"][self.data_set] | self.entry.data.model_dump(exclude_none=True)
        return check(Missing, {key: value for key, value in of_set.items() if key in Missing.model_fields}, "data")

    def train(self, params: dict) -> dict:
        """How long and how fast: the data set's budget, the optimiser's parameters, and what the run replaces."""
        return params["train"][self.data_set] | params["optimiser"] | self.entry.train

    def networks(self, params: dict) -> dict[str, dict]:
        """Kind -> options, with what the run replaces."""
        of_set = params["networks"][self.data_set]
        return {kind: of_set[kind] | self.entry.networks.get(kind, {}) for kind in self.kinds.values()}

    def replaced(self, option: str, value: Any) -> "Run":
        """The run with another value of an option; 'networks.grey.scaling' is one within its networks."""
        entry = self.entry.model_dump(exclude_none=True)
        *path, last = option.split(".")
        at = entry
        for key in path:
            at = at.setdefault(key, {})
        at[last] = value
        return replace(self, entry=Entry(**entry))


def of_set(params: dict, data_set: str) -> dict[str, Run]:
    """All runs of a data set by name, in the order of params.yaml.

    Raises:
        ParamsError: an entry is not allowed, or two runs have one name.
        UnknownName: there is no such model, kind or data set.
    """
    data = registry.find("datasets", data_set)
    at = SECTIONS[data.FAMILY]
    found: dict[str, Run] = {}
    for group, entries in params[at].items():
        for name, content in entries.items():
            place = f"{at}.{group}.{name}"
            with naming(place):
                entry = _checked(name, content)
                if data.FAMILY == "captions":
                    seen = _on_images(name, entry, group == "alone", params["caption_images"])
                else:
                    seen = {name: _seen(entry, data)}
                for run, kinds in seen.items():
                    if run in found:
                        raise ParamsError(f"there is another run {run!r}")
                    found[run] = Run(data_set, run, entry, kinds, group != "own_objective", place)
    return found


def find(params: dict, data_set: str, name: str) -> Run:
    """The run of that name.

    Raises:
        ParamsError: there is none; lists those that there are.
    """
    runs = of_set(params, data_set)
    if name not in runs:
        raise ParamsError(f"{name!r} is no run of {data_set}; known: {', '.join(runs)}")
    return runs[name]


def _checked(name: str, content: Any) -> Entry:
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or name in RESERVED:
        raise ParamsError(f"a run's name is of small letters, digits and _, and not {' or '.join(map(repr, RESERVED))}")
    entry = check(Entry, content)
    with naming("model"):
        registry.check("models", entry.model)
    return entry


def _seen(entry: Entry, data: ModuleType) -> dict[str, str]:
    known = list(data.MODALITIES.values())
    if entry.kinds is not None and not (entry.kinds and set(entry.kinds) <= set(known)):
        at = f"the kinds of {registry.file_of(data)}"
        raise ParamsError(f"kinds is {entry.kinds}: it should be one or more of {', '.join(known)}, {at}")
    return {name: kind for name, kind in data.MODALITIES.items() if entry.kinds is None or kind in entry.kinds}


def _on_images(name: str, entry: Entry, alone: bool, images: list[str]) -> dict[str, dict[str, str]]:
    """Run -> kinds: every kind of image, with captions; or, `alone`, every kind of image, and captions."""
    if entry.kinds is not None:
        raise ParamsError(f"kinds is {entry.kinds}: leave it out, since `caption_images` says what a caption run sees")
    if alone:
        return {f"{name}_{kind}": {kind: kind} for kind in (*images, CAPTIONS)}
    return {f"{name}_{image}": {CAPTIONS: CAPTIONS, image: image} for image in images}
