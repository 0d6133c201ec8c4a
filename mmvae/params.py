"""params.yaml as checked sections: the reader, and the types of numbers that sections are made of.

Each section's class stands beside the code that uses it; `mmvae.schema` puts them together and checks the whole file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, ValidationError

SHOWN = 100  # characters of a value in a message


class ParamsError(ValueError):
    """params.yaml says something that is not allowed; the message is one line."""


class Section(BaseModel):
    """A section of params.yaml: every key is there, of its type, and no other."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


def _number(value: Any) -> Any:
    """`dvc exp run -S` writes 1e-05, which PyYAML reads as text."""
    try:
        return float(value) if isinstance(value, str) and "e" in value.lower() else value
    except ValueError:
        return value


def whole(minimum: int, maximum: int) -> Any:
    """The type of a whole number between both ends."""
    return Annotated[StrictInt, Field(ge=minimum, le=maximum)]


def real(minimum: float, maximum: float) -> Any:
    """The type of a number between both ends."""
    return Annotated[float, BeforeValidator(_number), Field(ge=minimum, le=maximum)]


def _different(values: tuple) -> tuple:
    if not values or len(set(values)) < len(values):
        raise ValueError("a list of one or more different values")
    return values


def several(kind: Any) -> Any:
    """The type of a list of one or more different values."""
    return Annotated[tuple[kind, ...], BeforeValidator(_as_tuple), AfterValidator(_different)]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Seed = whole(0, 2**32 - 1)  # NumPy's and gensim's generators take no more than 32 bits


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for i, key in enumerate(keys) if key in keys[:i]), None)
        if twice is not None:
            raise ParamsError(f"line {node.start_mark.line + 1}: the key {twice!r} is given twice")
        return super().construct_mapping(node, deep)


def _plain(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    """A number that YAML 1.1, which PyYAML reads, and 1.2, which DVC reads, agree on."""
    if not re.fullmatch(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)", node.value):
        raise ParamsError(
            f"line {node.start_mark.line + 1}: {node.value} is not the same number to every reader of YAML"
        )
    kind = "int" if node.tag.endswith("int") else "float"
    return getattr(yaml.SafeLoader, f"construct_yaml_{kind}")(loader, node)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _plain)


def load(path: str | Path = "params.yaml") -> dict:
    """The content of the file, unchecked but for its syntax.

    Raises:
        ParamsError: the file is missing, is no YAML, or has a key twice.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a safe loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ParamsError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: it holds no sections")
    return content


S = TypeVar("S", bound=Section)


def check(kind: type[S], content: Any, at: str = "") -> S:
    """A section's content as its class; `at` is its place in params.yaml.

    Raises:
        ParamsError: one line that names the key, its value and what is allowed.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in (*filter(None, [at]), *first["loc"]))
        value = repr(first["input"])
        shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}..."
        raise ParamsError(f"{key or 'params.yaml'} is {shown}: {_allowed(first)}") from None


def _allowed(error: dict) -> str:
    if error["type"] == "missing":
        return f"the key {error['loc'][-1]!r} is missing"
    if error["type"] == "extra_forbidden":
        return "there is no such key"
    return error["msg"].removeprefix("Value error, ").replace("Input should", "it should")


def section(kind: type[S], content: dict, at: str) -> S:
    """The section `at` (keys joined by dots) of the whole content, as its class.

    Raises:
        ParamsError: it is missing or not allowed.
    """
    part: Any = content
    for key in at.split("."):
        if not isinstance(part, dict) or key not in part:
            raise ParamsError(f"{at}: the key {key!r} is missing")
        part = part[key]
    return check(kind, part, at)
