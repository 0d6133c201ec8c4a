"""The one loader of params.yaml: every key typed, ranged and checked, in one place.

`load` returns frozen dataclasses, or raises `ParamsError` with one line that names the key, its value and what is
allowed. Nothing here imports torch, so that a wrong value is refused at once.
"""

from __future__ import annotations

import math
import types
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

OBJECTIVES = ("elbo", "importance_elbo", "iwae", "stl_iwae", "dreg_iwae", "dreg_mixture")
BOUNDS = ("loose", "tight")
POSTERIORS = ("poe", "moe")
LIKELIHOODS = ("laplace", "bernoulli")
GREY, COLOUR = "grey", "colour"
IMAGE_SHAPES = {GREY: (1, 28, 28), COLOUR: (3, 32, 32)}  # channels, height, width
DIGIT_SETS = {  # data set -> modality -> kind of image
    "digits": {"handwritten": GREY, "plates": COLOUR},
    "mnist_svhn": {"mnist": GREY, "svhn": COLOUR},
}
RUNS = ("mmvae_loose", "mmvae_tight", "mvae_poe", "mvae_moe", "vae_grey", "vae_colour")  # of every digit set


class ParamsError(ValueError):
    """params.yaml says something that is not allowed; the message is one line."""


def _leaf(minimum: float | None = None, maximum: float | None = None, choices: tuple | None = None) -> Any:
    return field(metadata={"minimum": minimum, "maximum": maximum, "choices": choices})


@dataclass(frozen=True)
class Download:
    mirror: str | None = _leaf()


@dataclass(frozen=True)
class Data:
    images_per_digit: int = _leaf(minimum=1)
    pairings: int = _leaf(minimum=1)
    validation_share: float = _leaf(minimum=0.01, maximum=0.5)
    seed: int = _leaf(minimum=0)


@dataclass(frozen=True)
class Classifiers:
    updates: int = _leaf(minimum=1)


@dataclass(frozen=True)
class Networks:
    latents: int = _leaf(minimum=1)
    hidden: int = _leaf(minimum=1)
    channels: int = _leaf(minimum=1)
    likelihood_scale: float = _leaf(minimum=1e-3)


@dataclass(frozen=True)
class Train:
    epochs: int = _leaf(minimum=1)
    pairs_per_epoch: int | None = _leaf(minimum=1)
    batch_size: int = _leaf(minimum=1)
    learning_rate: float = _leaf(minimum=1e-8, maximum=1.0)
    particles: int = _leaf(minimum=1)


@dataclass(frozen=True)
class Mvae:
    likelihood: str = _leaf(choices=LIKELIHOODS)
    annealing_share: float = _leaf(minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class Evaluate:
    joint_samples: int = _leaf(minimum=1)
    likelihood_samples: int = _leaf(minimum=2)
    likelihood_pairs: int = _leaf(minimum=2)


def _per_set(section: type) -> Any:
    return field(metadata={"section": section, "keys": tuple(DIGIT_SETS)})


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml; sections that depend on the data set are dictionaries keyed by its name."""

    digit_sets: tuple[str, ...] = _leaf(choices=tuple(DIGIT_SETS))
    caption_sets: tuple[str, ...] = _leaf(choices=())
    seeds: tuple[int, ...] = _leaf(minimum=0)
    objective: str = _leaf(choices=OBJECTIVES)
    download: Download = field()
    data: dict[str, Data] = _per_set(Data)
    classifiers: dict[str, Classifiers] = _per_set(Classifiers)
    networks: dict[str, Networks] = _per_set(Networks)
    train: dict[str, Train] = _per_set(Train)
    mvae: dict[str, Mvae] = _per_set(Mvae)
    evaluate: dict[str, Evaluate] = _per_set(Evaluate)


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check the whole file.

    Raises:
        ParamsError: unreadable YAML, an unknown or missing key, a wrong type, a value out of range or an unknown
            choice; one line that names the key, the value and what is allowed.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return _section(Params, content, "")
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from None


def _section(cls: type, content: Any, at: str) -> Any:
    _check_keys(content, [f.name for f in fields(cls)], at)
    hints = typing.get_type_hints(cls)
    return cls(**{f.name: _value(content[f.name], hints[f.name], f.metadata, _join(at, f.name)) for f in fields(cls)})


def _check_keys(content: Any, allowed: list[str], at: str) -> None:
    if not isinstance(content, dict):
        raise ParamsError(f"{at or 'the file'} is {content!r}; allowed: a section with the keys {', '.join(allowed)}")
    for key in content:
        if key not in allowed:
            raise ParamsError(f"unknown key {_join(at, str(key))!r}; allowed: {', '.join(allowed)}")
    for key in allowed:
        if key not in content:
            raise ParamsError(f"missing key {_join(at, key)!r}")


def _value(value: Any, hint: Any, rule: Any, at: str) -> Any:
    if "section" in rule:
        _check_keys(value, list(rule["keys"]), at)
        return {key: _section(rule["section"], value[key], _join(at, key)) for key in rule["keys"]}
    if is_dataclass(hint):
        return _section(hint, value, at)
    if typing.get_origin(hint) is tuple:
        return _list(value, typing.get_args(hint)[0], rule, at)
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    return _scalar(value, hint, rule, at)


def _list(value: Any, hint: type, rule: Any, at: str) -> tuple:
    if not isinstance(value, list):
        raise ParamsError(f"{at} is {value!r}; allowed: a list")
    items = tuple(_scalar(item, hint, rule, f"{at}[{i}]") for i, item in enumerate(value))
    if len(set(items)) < len(items):
        raise ParamsError(f"{at} is {value!r}; allowed: each value once")
    if not items and rule["choices"] != ():
        raise ParamsError(f"{at} is empty; allowed: at least one value")
    return items


def _scalar(value: Any, hint: type, rule: Any, at: str) -> Any:
    if rule["choices"] is not None:
        if value not in rule["choices"]:
            raise ParamsError(f"{at} is {value!r}; allowed: {', '.join(rule['choices']) or 'nothing yet'}")
        return value
    number = _number(value, hint)
    if number is None:
        raise ParamsError(f"{at} is {value!r}; allowed: {_allowed(hint, rule)}")
    low, high = rule["minimum"], rule["maximum"]
    if (low is not None and number < low) or (high is not None and number > high):
        raise ParamsError(f"{at} is {value!r}; allowed: {_allowed(hint, rule)}")
    return number


def _number(value: Any, hint: type) -> Any:
    """The value as `hint`, or None. DVC writes 0.00001 as 1e-05, which YAML reads as text."""
    if hint is str:
        return value if isinstance(value, str) and value else None
    if isinstance(value, bool):
        return None
    if hint is int:
        return value if isinstance(value, int) else None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _allowed(hint: type, rule: Any) -> str:
    name = {int: "an integer", float: "a number", str: "text"}[hint]
    low, high = rule["minimum"], rule["maximum"]
    if low is None:
        return name
    return f"{name} of at least {low:g}" if high is None else f"{name} from {low:g} to {high:g}"


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key
