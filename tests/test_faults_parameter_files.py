"""A whole params.yaml that is damaged, no YAML or out of reach: what DVC reads, or one line; and no stage starts."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml
from hypothesis import given
from hypothesis import strategies as st
from mutations import examples
from test_faults_parameters import check, read

from mmvae.config import Params
from mmvae.parameters import ParamsError

pytestmark = pytest.mark.faults

TEXT = (ROOT / "params.yaml").read_text()
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "params.yaml"


@pytest.fixture(autouse=True)
def no_hang():
    def stop(*_):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


LINES = TEXT.splitlines(keepends=True)
at_any = st.integers(0, len(TEXT) - 1)
at_line = st.integers(0, len(LINES) - 1)
DAMAGE = {  # fault -> the committed file, damaged
    "file cut short": at_any.map(lambda at: TEXT[:at].encode()),
    "byte changed": st.builds(
        lambda at, byte: TEXT.encode()[:at] + bytes([byte]) + TEXT.encode()[at + 1 :], at_any, st.integers(0, 255)
    ),
    "line lost": at_line.map(lambda at: "".join(LINES[:at] + LINES[at + 1 :]).encode()),
    "line repeated": at_line.map(lambda at: "".join(LINES[:at] + LINES[at : at + 1] + LINES[at:]).encode()),
    "line moved to the right": st.builds(
        lambda at, by: "".join([*LINES[:at], by + LINES[at], *LINES[at + 1 :]]).encode(),
        at_line,
        st.sampled_from([" ", "  ", "\t", "- "]),
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_the_whole_file_damaged(name, file, fault):
    @examples(10)
    @given(DAMAGE[name])
    def run(content):
        with fault(f"parameters: {name}"):
            file.write_bytes(content)
            check(file, Params, "")

    run()


def bomb(item: str) -> str:
    """Section after section, each with nine aliases of the one before: in all nine to the power of their number."""
    names = reversed([f.name for f in fields(Params)])
    return "".join(f"{name}: &a{i} {item.replace('*', f'*a{i - 1}') if i else '[0]'}\n" for i, name in enumerate(names))


LAST = len(fields(Params)) - 1
LISTS, MERGES = bomb("[*, *, *, *, *, *, *, *, *]"), bomb("{<<: [*, *, *, *, *, *, *, *, *]}")
FILES = {  # fault -> content, what the message says
    "empty file": [(b"", "it is empty"), (b"\n# nothing\n", "it is empty"), (b"---\n...\n", "the file is None")],
    "not a section": [
        (b"1", "the file is 1"),
        (b"- 1", "the file is a list of 1"),
        (b"params", "the file is 'params'"),
    ],
    "not UTF-8": [
        (TEXT.encode("utf-16"), "it is not UTF-8: \"'utf-8' codec can't decode byte 0xff"),
        (TEXT.encode() + b"\xe9", "can't decode byte 0xe9"),
        (b"\xed\xa0\x80", "can't decode byte 0xed"),
    ],
    "control characters in the file": [(b"\x00", "not valid YAML"), (TEXT.encode() + b"\x1b[2J", "not valid YAML")],
    "escape of no character": [
        (b'objective: "\\UFFFFFFFF"', "not valid YAML"),
        (b'"\\ud800": 1', "unknown key '\\ud800'"),
    ],
    "tabs": [(TEXT.replace("  ", "\t").encode(), "'\\\\t' that cannot start any token")],
    "several documents": [(f"{TEXT}---\n{TEXT}".encode(), "another document")],
    "key twice in the file": [
        (TEXT.encode() + b"objective: elbo\n", f"objective is there again in line {len(LINES) + 1}; allowed: once"),
        (
            TEXT.replace("    epochs: 8\n", "    epochs: 8\n    epochs: 9\n").encode(),
            "train.digits.epochs is there again",
        ),
    ],
    "another YAML": [
        (b"%YAML 1.1\n---\n" + TEXT.replace("true", "yes").encode(), "it has a %YAML directive; allowed: none"),
        (b"%YAML 1.2\n---\n" + TEXT.encode(), "it has a %YAML directive; allowed: none"),
        *((f"{TEXT}# {mark}".encode(), f"it has {mark!r} in line {len(LINES) + 1}; ") for mark in "\x85\u2028\u2029"),
    ],
    "alias bomb": [
        (LISTS.encode(), f"digit_sets is '&a{LAST}'; allowed: no anchors and aliases"),
        (LISTS.replace(f"&a{LAST}", "").encode(), f"digit_sets[0] is '&a{LAST - 1}'; allowed: no anchors and aliases"),
        (LISTS.replace(f"&a{LAST}", "!x").encode(), "digit_sets is 'a list of 9', read as '!x'; allowed: "),
        (LISTS.encode() + f"? [*a{LAST}]\n: 1".encode(), "unknown key 'a list of 1'"),
        (MERGES.encode(), f"digit_sets is '&a{LAST}'; allowed: no anchors and aliases"),
        (LISTS.replace(f"&a{LAST}", "").replace(f"&a{LAST - 1}", "&a &a").encode(), "it is not valid YAML"),
    ],
    "nested without end": [
        (content.encode(), "nested too deeply")
        for content in ("[" * 9000, "[" * 9000 + "]" * 9000, "{a: " * 9000, "- " * 9000, "? " * 9000)
    ]
    + [("".join(f"{' ' * i}a:\n" for i in range(300)).encode(), "")],
    "very long file": [
        (b"#" * 10**7, "it is too long; allowed: 50000 bytes"),
        (b"seeds: [" + b"1," * 9000 + b"]", "missing key 'digit_sets'"),
        (b"a: 1\n" * 3000, "unknown key 'a'"),
        (b'? "' + b"a" * 40_000 + b'"\n: 1', "unknown key 'aaaa"),
        (b"1:" * 20_000, "not valid YAML"),
        (b"\n" * 40_000, "it is empty"),
    ],
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_parameters(name, file, fault):
    for content, expected in FILES[name]:
        with fault(f"parameters: {name}"):
            file.write_bytes(content)
            assert expected in read(file)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        b"%TAG ! tag:yaml.org,2002:\n---\n" + TEXT.replace("epochs: 8", "epochs: !int 8").encode(),
        b"---\n" + TEXT.encode() + b"...\n",
    ],
    ids=["byte order mark", "Windows", "old Macintosh", "tag directive", "markers"],
)
def test_another_editor(content, file, fault):
    with fault("parameters: file written by another editor"):
        file.write_bytes(content)
        assert isinstance(check(file, Params, ""), dict)


def unreadable(file: Path) -> None:
    file.write_text(TEXT)
    file.chmod(0)


PLACES = {  # fault -> what makes it, what the message says
    "no file": (lambda file: None, "cannot be read: No such file or directory"),
    "dangling link": (lambda file: file.symlink_to("nowhere"), "cannot be read: No such file or directory"),
    "link to itself": (lambda file: file.symlink_to(file), "cannot be read: Too many levels of symbolic links"),
    "folder in place of the file": (Path.mkdir, "it is not a file"),
    "pipe in place of the file": (os.mkfifo, "it is not a file"),
    "device in place of the file": (lambda file: file.symlink_to("/dev/zero"), "it is not a file"),
    "unreadable file": (unreadable, "cannot be read: Permission denied"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_file_that_cannot_be_read(name, file, fault):
    make, expected = PLACES[name]
    with fault(f"parameters: {name}"):
        make(file)
        user = os.geteuid()
        try:
            if name == "unreadable file" and user == 0:
                os.seteuid(65534)  # to the superuser, every file is readable
            assert expected in read(file)
        finally:
            os.seteuid(user)


def test_why_anchors_are_refused(file, fault):
    """DVC takes a change back, in silence, where the section has an alias."""
    shared = re.sub(
        r"(train:\n  digits:)(.*?)  mnist_svhn:.*?\n\n", r"\1 &a\2  mnist_svhn: *a\n\n", TEXT, flags=re.DOTALL
    )
    with fault("parameters: anchor and -S"):
        file.write_text(shared)
        before = load_yaml(str(file))
        assert before["train"]["digits"] == before["train"]["mnist_svhn"]
        apply_overrides(str(file), ["train.digits.epochs=3"])
        assert load_yaml(str(file)) == before
        assert read(file) == "train.digits is '&a'; allowed: no anchors and aliases"


WRONG = [  # content, what the message says
    (TEXT.replace("objective: iwae", "objective: drge"), "objective is 'drge'; allowed: elbo, importance_elbo, iwae"),
    (TEXT.replace("epochs: 8", "epochs: -1"), "train.digits.epochs is -1; allowed: an integer from 1 to 10000"),
    (TEXT.replace("standardise: true", "standardise: yes"), "features.birds.standardise is 'yes'; allowed: true or fa"),
    (TEXT.replace("components: 10", "components: 32"), "cca.birds.components is 32; allowed: at most 31, because"),
    (TEXT.replace("objective: iwae", "objective: [iwae"), "it is not valid YAML"),
    ("", "it is empty"),
]


@pytest.mark.parametrize(("content", "expected"), WRONG, ids=range(len(WRONG)))
def test_the_check_ends_in_one_line_and_makes_nothing(content, expected, file, fault):
    with fault("parameters: wrong file, the check itself"):
        file.write_text(content)
        done = subprocess.run(
            [sys.executable, "-m", "stages.check_params"],
            cwd=file.parent,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"ParamsError: params.yaml: {expected}")
        assert done.stderr.index("\n") == len(done.stderr) - 1
        assert list(file.parent.iterdir()) == [file]


READING = [name for name, stage in STAGES.items() if "params" in stage]  # read parameters themselves


def module_of(name: str) -> str:
    return re.search(r"-m (stages\.\w+)", STAGES[name]["cmd"])[1]


def test_the_other_stages_wait_for_the_check():
    """They load no parameters; test_pipeline.py shows that each waits for what only the check writes."""
    loading = {f"stages.{path.stem}" for path in (ROOT / "stages").glob("*.py") if "config.load(" in path.read_text()}
    assert {module_of(name) for name in READING} == loading - {"stages.check_params"}


@pytest.mark.parametrize("name", READING)
def test_no_stage_starts(name, file, fault, monkeypatch):
    """In a folder without anything else, a stage that read or wrote before it checked would say so."""
    kind = "digits" if "digit_sets" in str(STAGES[name]["matrix"]) else "birds"
    values = {"set": kind, "bound": "tight", "posterior": "moe", "image": "grey" if kind == "digits" else "pixels"}
    command = re.sub(r"\$\{(?:item\.)?([^}]+)\}", lambda at: values.get(at[1], "0"), STAGES[name]["cmd"])
    options = command.partition(module_of(name))[2].split()
    main = import_module(module_of(name)).main
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr(sys, "argv", [name, *options])
    for content, expected in ((TEXT.replace("seeds:", "seed:"), "unknown key 'seed'"), ("", "it is empty")):
        with fault("parameters: wrong file, every stage"):
            file.write_text(content)
            with pytest.raises(ParamsError, match=expected):
                main()
            assert list(file.parent.iterdir()) == [file]
