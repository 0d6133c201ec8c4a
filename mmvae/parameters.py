"""A YAML file as dataclasses: every key is there, once, of its type and in its range, or one line says which is not.

DVC reads YAML 1.2, in which `yes` is text, `010` ten and `1e-05` a number; in YAML 1.1, which PyYAML reads, they are
true, eight and text. So that what DVC tracks is what runs, words are taken as in YAML 1.2, and refused where in doubt.
Anchors are refused too: what `dvc exp run -S` says about one place of an anchor, DVC takes back from another.
"""

from __future__ import annotations

import re
import typing
from contextlib import suppress
from dataclasses import field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from yaml import MappingNode, Node, SequenceNode

LONGEST_FILE = 50_000  # bytes: what lies beyond would only take time to refuse
LONGEST_TEXT, LONGEST_LIST = 1000, 100  # characters, values
LONGEST_SHOWN = 100  # characters of anything in a message
TAG = "tag:yaml.org,2002:"
TAGS = {  # of a node -> what is understood
    "mapping": (TAG + "map",),
    "sequence": (TAG + "seq",),
    "scalar": tuple(TAG + name for name in ("str", "int", "float", "bool", "null")),
}

WORDS = {  # without quotes: what they are -> which are it
    "bool": r"true|True|TRUE|false|False|FALSE",
    "null": r"~|null|Null|NULL|",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?([0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+|\.(inf|Inf|INF))|\.(nan|NaN|NAN)",
    "a word in doubt": (  # a number or a date to some: 010, 0x1F, 1_000, 1:30, 2020-01-01
        r"[-+]?([0-9][0-9_]*(:[0-9_]+)*(\.[0-9_]*)?|\.[0-9_]+)([eE][-+]?[0-9]+)?|[-+]?0[box][0-9a-fA-F_]*|[-+][0-9_]+"
        r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?|=|<<"
    ),
}
ALLOWED = "numbers, true, false, null, lists, sections and text, in quotes where it looks like a number"
OTHER_LINE_BREAKS = re.compile("[\x85\u2028\u2029]")  # of YAML 1.1, not of 1.2

Section = TypeVar("Section")


class ParamsError(ValueError):
    """params.yaml says something that is not allowed; the message is one line."""


def between(minimum: float, maximum: float) -> Any:
    """A field that is a number with both ends, or a list of such numbers."""
    return field(metadata={"minimum": minimum, "maximum": maximum})


def one_of(*choices: Any) -> Any:
    """A field that has one of these values, or is a list of some of them."""
    return field(metadata={"choices": choices})


def sections(kinds: dict[str, type]) -> Any:
    """A field that is a dictionary of sections, from their names to their dataclasses."""
    return field(metadata={"sections": kinds})


def load(path: str | Path, kind: type[Section]) -> Section:
    """Read and check the whole file. A field without a rule is what its type says: text, or true or false.

    Raises:
        ParamsError: the file cannot be read or is not YAML, a key is unknown, missing or repeated, a value has the
            wrong type, is out of range or no choice; one line that names the key, the value and what is allowed.
    """
    try:
        return _Document(_text(Path(path))).section(kind)
    except OSError as error:
        raise ParamsError(f"{path} cannot be read: {error.strerror}") from error
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from None


def refusal(at: str, value: Any, allowed: str) -> ParamsError:
    """The error that says what is at a key, and what is allowed there."""
    return ParamsError(f"{at or 'the file'} is {_shown(value)}; allowed: {allowed}")


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ParamsError("it is not a file")
    with path.open("rb") as file:
        content = file.read(LONGEST_FILE + 1)
    if len(content) > LONGEST_FILE:
        raise ParamsError(f"it is too long; allowed: {LONGEST_FILE} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParamsError(f"it is not UTF-8: {_reason(error)}") from error
    if broken := OTHER_LINE_BREAKS.search(text):
        line = text.count("\n", 0, broken.start()) + 1
        raise ParamsError(f"it has {_shown(broken[0])} in line {line}; allowed: line breaks that all YAML knows")
    return text


class _Loader(yaml.SafeLoader):
    """PyYAML's, with the WORDS above. Nodes know their anchors."""

    yaml_implicit_resolvers: typing.ClassVar = {}

    def compose_node(self, parent: Node | None, index: Any) -> Node:
        anchor = self.peek_event().anchor
        node = super().compose_node(parent, index)
        node.anchor = anchor
        return node


for _name, _pattern in WORDS.items():
    _Loader.add_implicit_resolver(TAG + _name, re.compile(rf"(?:{_pattern})\Z", re.DOTALL), None)


class _Document:
    """The nodes of a YAML file, and what they say. `at` is where a node is, as `dvc exp run -S` names it."""

    def __init__(self, text: str):
        try:
            loader = _Loader(text)
            self.root = loader.get_single_node()
        except RecursionError as error:
            raise ParamsError("it is nested too deeply") from error
        except Exception as error:  # the library raises many kinds
            raise ParamsError(f"it is not valid YAML: {_reason(error)}") from error
        if self.root is None:
            raise ParamsError("it is empty")
        if loader.yaml_version:
            raise ParamsError("it has a %YAML directive; allowed: none")
        self.construct = loader.construct_object

    def section(self, kind: type[Section]) -> Section:
        return self._section(self.root, kind, "")

    def _section(self, node: Node, kind: type[Section], at: str) -> Section:
        hints, rules = typing.get_type_hints(kind), {f.name: f.metadata for f in fields(kind)}
        entries = self._entries(node, list(rules), at)
        return kind(**{name: self._field(entries[name], hints[name], rules[name], _join(at, name)) for name in rules})

    def _entries(self, node: Node, names: list[str], at: str) -> dict[str, Node]:
        """The values of a section that must have exactly these keys."""
        section, allowed = self._plain(node, at), ", ".join(names)
        if not isinstance(section, MappingNode):
            raise refusal(at, section, f"a section with the keys {allowed}")
        entries: dict[str, Node] = {}
        for key, value in section.value:
            name = key.value if key.tag == TAG + "str" else None
            if name not in names:
                raise ParamsError(f"unknown key {_shown(_join(at, _written(key)))}; allowed: {allowed}")
            if name in entries:
                raise ParamsError(f"{_join(at, name)} is there again in line {key.start_mark.line + 1}; allowed: once")
            entries[name] = value
        for name in names:
            if name not in entries:
                raise ParamsError(f"missing key {_join(at, name)!r}; needed: {allowed}")
        return entries

    def _field(self, node: Node, hint: Any, rule: Any, at: str) -> Any:
        if "sections" in rule:
            kinds = rule["sections"]
            entries = self._entries(node, list(kinds), at)
            return {name: self._section(entries[name], kinds[name], _join(at, name)) for name in kinds}
        if is_dataclass(hint):
            return self._section(node, hint, at)
        if typing.get_origin(hint) is tuple:
            return self._list(node, typing.get_args(hint)[0], rule, at)
        return self._scalar(node, hint, rule, at)

    def _list(self, node: Node, hint: type, rule: Any, at: str) -> tuple:
        items = self._plain(node, at)
        if not isinstance(items, SequenceNode) or not 1 <= len(items.value) <= LONGEST_LIST:
            raise refusal(at, items, f"a list of 1 to {LONGEST_LIST} values")
        values = [self._scalar(item, hint, rule, f"{at}[{i}]") for i, item in enumerate(items.value)]
        if len(set(values)) < len(values):
            raise refusal(at, values, "each value once")
        return tuple(values)

    def _scalar(self, node: Node, hint: Any, rule: Any, at: str) -> Any:
        value = self._plain(node, at)
        kind, *null = typing.get_args(hint) or (hint,)
        if value is None and null:
            return None
        if not _fits(value, kind, rule):
            raise refusal(at, value, _allowed(kind, rule) + (" or null" if null else ""))
        return kind(value)

    def _plain(self, node: Node, at: str) -> Any:
        """The value of a scalar; a section or a list as it is."""
        if node.anchor is not None:
            raise refusal(at, f"&{node.anchor}", "no anchors and aliases")
        if node.tag in TAGS[node.id]:
            if node.id != "scalar":
                return node
            with suppress(ValueError, LookupError):  # `!!int` of a word, or thousands of digits
                return self.construct(node)
        kind = _shown(node.tag.removeprefix(TAG))
        raise ParamsError(f"{at or 'the file'} is {_shown(_written(node))}, read as {kind}; allowed: {ALLOWED}")


def _fits(value: Any, kind: type, rule: Any) -> bool:
    if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool) != (kind is bool):
        return False
    if "choices" in rule:
        return value in rule["choices"]
    if "minimum" in rule:
        return rule["minimum"] <= value <= rule["maximum"]
    return kind is bool or (0 < len(value) <= LONGEST_TEXT and value.isprintable())


def _allowed(kind: type, rule: Any) -> str:
    if "choices" in rule:
        return ", ".join(map(str, rule["choices"]))
    if "minimum" in rule:
        name = {int: "an integer", float: "a number"}[kind]
        return f"{name} from {rule['minimum']:.10g} to {rule['maximum']:.10g}"
    return {bool: "true or false", str: f"text of 1 to {LONGEST_TEXT} printable characters"}[kind]


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _written(node: Node) -> str:
    return node.value if node.id == "scalar" else _shown(node)


def _shown(value: Any) -> str:
    """Anything in one short line."""
    if isinstance(value, Node):
        return f"{'a list' if value.id == 'sequence' else 'a section'} of {len(value.value)}"
    try:
        text = repr(value)
    except ValueError:  # Python does not print integers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def _reason(error: Exception) -> str:
    """What is wrong, and in which line as far as the library says."""
    mark = getattr(error, "problem_mark", None)
    reason = _shown(" ".join(str(getattr(error, "problem", None) or error).split()))
    return f"{reason} in line {mark.line + 1}" if mark else reason
