"""params.yaml as checked sections: the reader, and the types of numbers that sections are made of.

Each section's class stands beside the code that uses it; `mmvae.schema` puts them together and checks the whole file.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError

from mmvae.registry import UnknownName, file_of


class ParamsError(ValueError):
    """params.yaml says something that is not allowed; the message is one line."""


@contextmanager
def naming(at: str) -> Iterator[None]:
    """Errors about what stands at a place of params.yaml, with the place."""
    try:
        yield
    except (ParamsError, UnknownName) as error:
        raise ParamsError(f"{at}: {error}") from None


class Section(BaseModel):
    """A section of params.yaml: every key is there, of its type, and no other."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


def whole(minimum: int, maximum: int) -> Any:
    """The type of a whole number between both ends."""
    return Annotated[StrictInt, Field(ge=minimum, le=maximum)]


def real(minimum: float, maximum: float) -> Any:
    """The type of a number between both ends."""
    return Annotated[float, Field(ge=minimum, le=maximum)]


def _different(values: list) -> list:
    if not values or len(set(values)) < len(values):
        raise ValueError("a list of one or more different values")
    return values


def several(kind: Any) -> Any:
    """The type of a list of one or more different values."""
    return Annotated[list[kind], AfterValidator(_different)]


Seed = whole(0, 2**32 - 1)  # NumPy's and gensim's generators take no more than 32 bits


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which reads words as YAML 1.2 does, as DVC does.

    It refuses a key that is given twice, and anchors, since `dvc exp run -S` loses its change beside an alias.
    """

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        if self.peek_event().anchor:
            raise _refusal(self.peek_event(), "an anchor or an alias; write the value itself")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        for i, (key, _) in enumerate(node.value):
            if key.value in keys[:i]:
                raise _refusal(key, f"the key {key.value!r}, which is there already")
        return super().construct_mapping(node, deep)

    def text(self, node: yaml.ScalarNode) -> str:
        """Readers of YAML differ about 1_000, 0b11 or 1:30."""
        if node.style is None and re.match(r"[-+]?\.?[0-9_]|(=|<<)$", node.value):
            raise _refusal(node, f"{node.value}, which begins like a number and is none; change it, or add quotes")
        return node.value


def _refusal(at: yaml.Node | yaml.Event, what: str) -> ParamsError:
    return ParamsError(f"line {at.start_mark.line + 1} has {what}")


WORDS = {  # the first that fits
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|\.[0-9]+|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
}
for _kind, _word in WORDS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"({_word})$"), None)
_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.text)


def load(path: str | Path = "params.yaml") -> dict:
    """The content of the file, unchecked but for its syntax.

    Raises:
        ParamsError: the file is missing, is no YAML, has a key twice, or has a word that DVC reads differently.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a safe loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
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
        key = ".".join(str(part) for part in (*filter(None, [at]), *first["loc"])) or "params.yaml"
        if first["type"] == "missing":
            raise ParamsError(f"{key}: the key is missing") from None
        raise ParamsError(f"{key} is {first['input']!r:.100}: {_allowed(kind, first)}") from None


def _allowed(kind: type[Section], error: dict) -> str:
    if error["type"] == "extra_forbidden":
        for part in error["loc"][:-1]:
            kind = kind.model_fields[part].annotation
        known = ", ".join(kind.model_fields) or "none"
        return f"there is no such key; known: {known}; a new one is declared in {file_of(kind)}, {kind.__name__}"
    told = re.sub("^(Input|String) should", "it should", error["msg"].removeprefix("Value error, "))
    return re.sub(r"valid dictionary( or instance of \w+)?", "section", told)


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
