"""Every leaf of params.yaml edited by hand at midnight: what DVC reads, of the documented type, or one line."""

import json
import math
import typing
from dataclasses import asdict, field, fields, make_dataclass
from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import load_yaml
from hypothesis import given
from hypothesis import strategies as st
from mutations import examples
from test_config import committed, leaves

from mmvae import config, parameters
from mmvae.parameters import ParamsError

pytestmark = pytest.mark.faults

LEAVES = list(leaves(config.Params))
NUMBERS = [leaf for leaf in LEAVES if "minimum" in leaf[2]]
COMMITTED = {path: json.dumps(value) for path, value in committed()}
LONGEST_MESSAGE = 400  # characters, without the file's path


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "params.yaml"


def only(kind: type, path: tuple[str, ...]) -> type:
    """The dataclass of a file that has nothing but this leaf, at its own place."""
    name, *rest = path
    rule = next(f.metadata for f in fields(kind) if f.name == name)
    hint = typing.get_type_hints(kind)[name]
    if "sections" in rule:
        inside, *rest = rest
        hint, rule = dict, {"sections": {inside: only(rule["sections"][inside], rest)}}
    elif rest:
        hint = only(hint, rest)
    return make_dataclass("Only", [(name, hint, field(metadata=rule))])


ONLY = {path: only(config.Params, path) for path, _, _ in LEAVES}


def write(file: Path, path: tuple[str, ...], text: str, of_list: bool = False) -> None:
    """A file with nothing but one leaf, or a list of one item, that is written as `text`."""
    sections = "".join(f"{'  ' * depth}{name}:\n" for depth, name in enumerate(path))
    content = f"{sections}{'  ' * len(path)}- {text}\n" if of_list else f"{sections[:-1]} {text}\n"
    file.write_bytes(content.encode("utf-8"))


def read(file: Path, kind: type = config.Params) -> dict | str:
    """What a file says, or the message that refuses it."""
    try:
        return asdict(parameters.load(file, kind))
    except ParamsError as error:
        message = str(error)
    assert message.isprintable(), "it has a control character or a second line"
    assert message.startswith(str(file))
    message = message.removeprefix(str(file)).removeprefix(": ")
    assert len(message) < LONGEST_MESSAGE
    return message


def of_dvc(file: Path) -> dict | None:
    """What DVC reads, if it can."""
    try:
        return load_yaml(str(file))
    except Exception:  # it lets all kinds through
        return None


def same(found: object, given: object) -> bool:
    """Equal, and of the same types; a number with a fraction may have been given without."""
    if isinstance(found, dict):
        return found.keys() == given.keys() and all(same(found[key], given[key]) for key in found)
    if isinstance(found, tuple):
        return len(found) == len(given) and all(map(same, found, given))
    return found == given and (type(found) is type(given) or (type(found), type(given)) == (float, int))


def check(file: Path, kind: type, *keys: str) -> dict | str:
    """What was given is there; or the message names one of the keys, or says why it is no YAML."""
    found, given = read(file, kind), of_dvc(file)
    if isinstance(found, dict):
        assert same(found, given), f"{found} is not {given}"
    else:
        assert any(key in found for key in (*keys, "it is not valid YAML: ", "line breaks that all YAML knows")), found
    return found


HUGE = ["9" * 401, "9" * 5000, "-" + "9" * 5000, "0x" + "f" * 20_000, "1" + "0" * 400, "9" * 400 + ".5", "1e9999"]
OTHER = ["true", "false", "null", "text", "''", "'1'", "0.5", "1", "-1", "[]", "[1]", "[[1]]", "[a, b]", "{}", "{a: 1}"]
YAML_1 = ["010", "0o10", "0x1F", "0b11", "1_000", "1__0", "1:30", "1:30.5", "1e5", "1e-05", "5.", ".5", "+5", "-0"]
YAML_1 += ["yes", "no", "on", "off", "y", "True", "FALSE", "~", "Null", "=", "<<", "2020-01-01", "2020-99-99", "12e03"]
TAGS = ["!!python/object:os.system {}", "!!python/object/apply:os.system [ls]", "!!binary MC41", "!!binary é", "!a 1"]
TAGS += ["!!int a", "!!int ''", "!!float a", "!!bool a", "!!null a", "!!str 3", "!!float 3", "!!timestamp a", "!<a> 1"]
TAGS += [
    "!!set {a}",
    "!!omap []",
    "!!seq a",
    "!!map [a]",
    "!!str [a]",
    "!!seq {}",
    f"!{'a' * 900} 1",
    "! 1",
    f"!!int 0x{'f' * 9000}",
]
ANCHORS = ["&a 1", "&a [1]", "&a text", "*a", f"&{'a' * 900} 1", "&a &b 1", "&a [*a]", "&a {a: *a}", "&a {<<: *a}"]
NOT_FINITE = [".nan", ".NaN", ".inf", "-.inf", "+.INF", "nan", "inf", "1e400", "-1e400"]


def several(texts: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(texts, min_size=12, max_size=12)


VALUES = {  # fault -> ways to write a value
    "another type": st.permutations(OTHER),
    "any integer": several(st.integers(-(2**70), 2**70).map(str)),
    "any number": several(st.floats().map(repr)),
    "NaN or infinity": st.permutations(NOT_FINITE),
    "extreme number": st.permutations([*HUGE, "1e308", "-1e308", "5e-324", "1e-400", str(2**64), str(-(2**63))]),
    "unicode and control characters": several(st.text(max_size=10).map(json.dumps)),
    "unicode without quotes": several(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=10)),
    "very long text": several(st.integers(500, 5000).map("x".__mul__)),
    "YAML 1.1 against 1.2": st.permutations(YAML_1),
    "tag": st.permutations(TAGS),
    "anchor or alias": st.permutations(ANCHORS),
    "any YAML": several(st.text("[]{}&*!|>'\"%@`#?-:,~.\t\x00\x85 abe01", max_size=12)),
}


@pytest.mark.parametrize("name", VALUES)
def test_every_leaf_with_a_wrong_value(name, file, fault):
    """Each leaf with some of the ways, each way in some leaves."""

    @examples(2)
    @given(VALUES[name])
    def run(texts):
        for i, (path, hint, _) in enumerate(LEAVES):
            with fault(f"parameters: {name}"):
                write(file, path, texts[i % len(texts)], typing.get_origin(hint) is tuple)
                check(file, ONLY[path], ".".join(path))

    run()


def test_a_word_that_could_be_something_else(file, fault):
    """Whatever is taken for text or for a number, DVC takes for the same."""

    @examples(200)
    @given(st.text("0123456789_.:-+eExXobTZ infNaAlsyu~=<", min_size=1, max_size=8))
    def run(text):
        for path in (("download", "mirror"), ("data", "digits", "seed"), ("train", "digits", "learning_rate")):
            with fault("parameters: word that could be something else"):
                write(file, path, text)
                check(file, ONLY[path], ".".join(path))

    run()


@pytest.mark.parametrize("text", ["..", "0a", "1e", "2019-data", "127.0.0.1:80", "1.2.3", "-x", "e5"])
def test_a_word_that_is_text_to_all(text, file):
    write(file, ("download", "mirror"), text)
    assert check(file, ONLY["download", "mirror"]) == {"download": {"mirror": text}}


SECTIONS = {  # fault -> what is in place of the section that holds one leaf, from its name and committed value
    "missing leaf": "{{}}",
    "extra key": "{{{name}: {value}, extra: 1}}",
    "key twice": "{{{name}: {value}, {name}: {value}}}",
    "key that is not text": "{{{name}: {value}, ? [{name}]: 1}}",
    "key with a tag": "{{!!binary {name}: {value}}}",
    "merge key": "{{<<: {{{name}: {value}}}}}",
    "section in place of a leaf": "{{{name}: {{{name}: {value}}}}}",
    "leaf in place of a section": "{value}",
    "list in place of a section": "[{{{name}: {value}}}]",
    "blank section": "",
}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_leaf_in_a_wrong_section(name, file, fault):
    for path in ONLY:
        with fault(f"parameters: {name}"):
            *above, last = path
            text = SECTIONS[name].format(name=last, value=COMMITTED[path])
            for section in reversed(above):
                text = f"{{{section}: {text}}}"
            file.write_text(text)
            section = ".".join(above)
            keys = ".".join(path), f"unknown key '{section}", f"{section or 'the file'} is ", "it is empty"
            assert isinstance(check(file, ONLY[path], *keys), str)


def test_every_number_inside_and_beyond_its_ends(file, fault):
    @examples(3)
    @given(st.floats(0, 1), st.sampled_from([1, 1000, 10**400]))
    def run(share, beyond):
        for path, hint, rule in NUMBERS:
            low, high, real = rule["minimum"], rule["maximum"], hint is float
            inside = min(high, low + share * (high - low)) if real else low + round(share * (high - low))
            write(file, path, repr(inside), typing.get_origin(hint) is tuple)
            assert read(file, ONLY[path]) == nested(path, (inside,) if typing.get_origin(hint) is tuple else inside)
            near = (math.nextafter(low, -math.inf), math.nextafter(high, math.inf))
            for outside in near if real and beyond == 1 else (math.floor(low) - beyond, math.ceil(high) + beyond):
                with fault("parameters: number beyond its ends"):
                    write(file, path, repr(outside), typing.get_origin(hint) is tuple)
                    message = read(file, ONLY[path])
                    assert f"{'.'.join(path)}" in message and f"from {low:.10g} to {high:.10g}" in message

    run()


def nested(path: tuple[str, ...], value: object) -> dict:
    return {path[0]: nested(path[1:], value) if path[1:] else value}


@st.composite
def contents(draw) -> dict:
    """Any file that is allowed: every leaf anywhere in its range."""
    content: dict = {}
    for path, hint, rule in LEAVES:
        kind, *others = typing.get_args(hint) or (hint,)
        value = draw(values(kind, rule))
        if typing.get_origin(hint) is tuple:
            value = [value]
        elif others and draw(st.booleans()):
            value = None
        section = content
        for name in path[:-1]:
            section = section.setdefault(name, {})
        section[path[-1]] = value
    for name in config.DIGIT_SETS:
        content["data"][name]["images_per_digit"] = 1000 + content["data"][name]["images_per_digit"] // 2
    for name in config.CAPTION_SETS:
        content["fasttext"][name]["dimensions"] = 257 + content["fasttext"][name]["dimensions"] // 2
        content["features"][name]["size"] = 33 + content["features"][name]["size"] // 2
    for section in content["train"].values():
        section["batch_size"] = 1 + section["batch_size"] // 101
    return content


def values(kind: type, rule) -> st.SearchStrategy:
    """Allowed values of a leaf."""
    if "choices" in rule:
        return st.sampled_from(rule["choices"])
    if kind is bool:
        return st.booleans()
    if kind is str:
        return st.text("abc /:é鳥~'\"#-0", min_size=1, max_size=20)
    return (st.integers if kind is int else st.floats)(rule["minimum"], rule["maximum"])


def test_any_allowed_file_is_read_as_it_was_written(file, fault):
    @examples(15)
    @given(contents())
    def run(content):
        with fault("parameters: every value another allowed one"):
            file.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
            assert same(check(file, config.Params), content)

    run()
