"""What people met in their first week with other projects: pages and errors (rows 9, 12 and 13)."""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pages
import pytest
from conftest import ROOT
from tiny import call, snapshot

from fanout.jobs import Job
from fanout.local import Executor


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("a\n...\nc\n", "a\nb\nb\nc", True),
        ("a\n...\nc\n", "a\nb\nd", False),
        ("a  b", "a  b   \n", True),
        ("a  b", "a b", False),
        ("a", "a\nb", False),
    ],
)
def test_row_09_another_output_is_noticed(shown, output, same, fault):
    with fault("docs: output that a page does not show"):
        assert pages.shows(shown, output) == same


def test_row_09_a_new_command_is_run(fault):
    page = (
        "```bash\ncd a\nb --c \\\n  -d # e\n```\n```text\n$ f\ng\n$ h\n```\n`i` ```j```\n```bash\nmake repro # k\n```"
    )
    with fault("docs: a new command"):
        found = pages.commands(page)
        assert [(one.text, one.shown) for one in found] == [
            ("cd a && b --c \\\n  -d", None),
            ("f", "g\n"),
            ("h", ""),
            ("make repro", None),
        ]
        assert [one.left_out for one in found] == [False, False, False, True]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The project's code and parameters."""
    folder = tmp_path_factory.mktemp("extended") / "project"
    for name in ("mmvae", "stages"):
        shutil.copytree(ROOT / name, folder / name)  # with what is compiled, or every fork would compile it
    shutil.copy(ROOT / "params.yaml", folder)
    return folder


MODEL = "from mmvae.models.vae import MODEL, Options, phases\n"
DATA = "FAMILY, MODALITIES, SOURCES, read_raw = 'digits', {'a': 'grey'}, {}, None\n"
RUN = ("params.yaml", "  own_objective:\n", "  own_objective:\n    mine:\n      model: mine\n")
SET = ("params.yaml", "- digits\n", "- mine\n")
EXTENSIONS = {  # what was written -> files and changes of files, and the line that the first stages end with
    "a model with a slip": (
        [("mmvae/models/mine.py", "def phases(:\n"), RUN],
        "mmvae/models/mine.py, line 1: .*; mend it",
    ),
    "a model without its parts": (
        [("mmvae/models/mine.py", "class Options: ...\n"), RUN],
        "mmvae/models/mine.py lacks MODEL, phases; docs/architecture.md says",
    ),
    "a model that imports what is not there": (
        [("mmvae/models/mine.py", f"{MODEL}from mmvae.losses import Phases\n"), RUN],
        "mmvae/models/mine.py cannot be imported: cannot import name 'Phases' .*; mend it",
    ),
    "a model that is not there": ([RUN], "'mine' is no model; known: .*; a new one is a file in mmvae/models/"),
    "an option that the model does not have": (
        [("mmvae/models/mine.py", MODEL), (*RUN[:2], f"{RUN[2]}      depth: 3\n")],
        "on digits: depth is 3: there is no such key; known: none; a new one is declared in mmvae/models/vae.py, Opt",
    ),
    "a kind without its parts": (
        [("mmvae/kinds/grey.py", "STORED = ", "SAVED = ")],
        "mmvae/kinds/grey.py lacks STORED; docs/architecture.md",
    ),
    "a data set that is not there": ([SET], "'mine' is no data set; .*; a new one is a file in mmvae/datasets/"),
    "a data set without its parts": (
        [("mmvae/datasets/mine.py", "MODALITIES = {}\n"), SET],
        "mmvae/datasets/mine.py lacks FAMILY, SOURCES or write_raw; docs",
    ),
    "a data set without a reader": (
        [("mmvae/datasets/mine.py", "FAMILY, MODALITIES, SOURCES = 'digits', {}, {}\n"), SET],
        "mmvae/datasets/mine.py lacks read_raw; docs",
    ),
    "a data set of no family": (
        [("mmvae/datasets/mine.py", DATA.replace("digits", "digit")), SET],
        "mmvae/datasets/mine.py has the FAMILY 'digit', not one of digits, captions; docs",
    ),
    "a data set of an unknown kind": (
        [("mmvae/datasets/mine.py", DATA.replace("grey", "gray")), SET],
        "mmvae/datasets/mine.py has MODALITIES of the kinds gray; known: captions, colour, ",
    ),
    "a run of a kind that a data set lacks": (
        [("mmvae/datasets/mine.py", DATA), SET],
        "vae_colour: kinds is .*: it should be one or more of grey, the kinds of mmvae/datasets/mine.py",
    ),
    "a parameter": (
        [("params.yaml", "    pairings: 20", "    partners: 3\n    pairings: 20")],
        "data.digits.partners is 3: .*known: .*images_per_digit, .*declared in mmvae/data/pairing.py, PairingSettings",
    ),
    "a section": (
        [("params.yaml", "optimiser:\n", "surprise: 3\noptimiser:\n")],
        "surprise is 3: .*a new one is declared in mmvae/schema.py, Params",
    ),
    "options of a kind": (
        [("params.yaml", "    grey:\n", "    gray: {}\n    grey:\n")],
        "networks.digits.gray is {}: .*a new one is declared in mmvae/datasets/digits.py, MODALITIES",
    ),
    "an option of a kind": (
        [("params.yaml", "      hidden: 400 # units", "      layers: 2\n      hidden: 400")],
        "networks.digits.grey.layers is 2: .*a new one is declared in mmvae/kinds/grey.py, Options",
    ),
}


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    """Starts stages of any copy of the project without their imports' seconds."""
    with Executor(argparse.Namespace(jobs=1, gpus=None)) as one:
        yield one


@pytest.mark.parametrize("what", EXTENSIONS)
def test_row_12_who_extends_the_project_is_told_where(what, original, executor, tmp_path, monkeypatch, fault):
    changes, message = EXTENSIONS[what]
    folder = shutil.copytree(original, tmp_path / "project")
    for name, *change in changes:
        text = (folder / name).read_text().replace(*change, 1) if change[1:] else change[0]
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    with fault("extensions: " + what):
        for stage in ("code_hashes", "check_params"):
            log = tmp_path / stage
            status = executor.submit(Job(stage, f"python -m stages.{stage}", False), log).result().status
            if status:
                break
        printed = log.read_text()
        assert status == 1
        assert printed.count("\n") == 1, printed
        assert re.search(f"^(ParamsError|UnknownName|UnusableFile): .*{message}", printed)


def test_row_12_a_file_that_python_reads_is_read(original, tmp_path, fault):
    """With a byte order mark, as editors of Windows write it, and in an encoding that it names."""
    folder = shutil.copytree(original, tmp_path / "project")
    with fault("extensions: another encoding"):
        (folder / "mmvae/metrics/digits/mine.py").write_bytes(b"\xef\xbb\xbfdef measure(*_):\n    return {}\n")
        (folder / "mmvae/metrics/digits/own.py").write_bytes(b"# coding: latin-1\nmeasure = lambda *_: {'\xe9': 1}\n")
        subprocess.run([sys.executable, "-m", "stages.code_hashes"], cwd=folder, check=True)


def test_row_13_warnings_of_outputs_that_are_not_there_are_harmless(finished_project, tmp_path, fault):
    """As docs/sharing.md says: they name outputs of the new seed alone, and what there is of it is applied."""
    folder = shutil.copytree(finished_project[0], tmp_path / "project", symlinks=True)
    params, before = folder / "params.yaml", snapshot(folder)
    committed = params.read_text()
    params.write_text(committed.replace("seeds:\n- 0\n", "seeds:\n- 0\n- 1\n", 1))
    changed = params.read_text()
    assert changed != committed
    with fault("docs: an experiment of some stages"):
        call(folder, "dvc", "exp", "save", "--name", "partial", "check_params")
        call(folder, "git", "checkout", "-q", "HEAD", ".")
        output = call(folder, "dvc", "exp", "apply", "partial", fails=True)
        assert params.read_text() == changed
        named = re.findall("WARNING: No file hash info found for '(.*)'. It won't be created", output)
        assert named
        assert all(re.search(r"/1(_epochs|\.safetensors)$|_1\.csv$", path) for path in named)
        assert "ERROR: Checkout failed for following targets" in output
        del before["dvc.lock"]
        assert before.items() <= snapshot(folder).items()
