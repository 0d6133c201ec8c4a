"""What people met in their first week with other projects: pages, formats and errors (issue 21, rows 9, 10, 12, 13)."""

import gzip
import hashlib
import random
import re
import shutil
import subprocess
import sys

import pages
import pytest
from conftest import ROOT
from faulty_server import FILES, earlier, got, serving, write_mirror
from raw_birds import write_cub
from raw_files import write_mnist
from tiny import call, snapshot

from mmvae.data import sources
from mmvae.datasets import cub, mnist_svhn
from mmvae.evaluation import extractor

SHA256SUM = shutil.which("sha256sum")


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


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


FORMS = {  # how the writers of SHA256SUMS list a file
    "sha256sum": "{value}  {path}",
    "sha256sum --binary": "{value} *{path}",
    "find . -exec sha256sum": "{value}  ./{path}",
    "sha256sum */*": "{value}  .//{path}",
    "sha256sum $PWD/*/*": "{value}  {mirror}/{path}",
    "sha256sum in a folder below": "{value}  svhn/../{path}",
    "sha256sum --tag": "SHA256 ({path}) = {value}",
    "sha256 -r": "{value} {path}",
    "openssl dgst -sha256": "SHA256({path})= {value}",
    "upper case": "{VALUE}  {path}",
    "a name with a backslash": "\\{value}  a\\\\b/../{path}",
    "a tagged name with a backslash": "\\SHA256 (a\\\\b/../{path}) = {value}",
    "blanks before": " \t{value}  {path}",
}


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("form", FORMS)
def test_row_10_whatever_sha256sum_accepts(form, end, tmp_path, fault):
    mirror, target = write_mirror(tmp_path / "a mirror"), earlier(tmp_path / "raw/mnist_svhn")
    (mirror / "a\\b").mkdir()
    (mirror / "of two words.txt").write_text("other")
    lines = ["# hashes of the mirror", "", f"{digest(b'other')}  of two words.txt", "no hash at all"]
    for path, content in FILES.items():
        value = digest(content)
        lines.append(FORMS[form].format(value=value, VALUE=value.upper(), path=path, mirror=mirror))
    if form == "sha256 -r":  # of which coreutils accepts nothing else beside
        del lines[2]
    (mirror / sources.SUMS).write_bytes(end.join([*lines, ""]).encode())
    if SHA256SUM and end == "\n":
        subprocess.run([SHA256SUM, "--check", "--quiet", sources.SUMS], cwd=mirror, check=True, capture_output=True)
    with fault("formats: SHA256SUMS of another writer"):
        sources.obtain("mnist_svhn", target, str(mirror))
        got(target)


@pytest.mark.skipif(SHA256SUM is None, reason="sha256sum is not installed")
def test_row_10_lines_at_random(tmp_path, fault):
    """Whatever line `sha256sum -c` accepts for a file is accepted."""
    rng, accepted = random.Random(0), 0
    (tmp_path / "a/b c").mkdir(parents=True)
    (tmp_path / "a/b c/file").write_bytes(b"content")
    value = digest(b"content")
    for _ in range(400):
        name = rng.choice(["a/b c/file", "./a//b c/file", "a/b c/../b c/./file", f"{tmp_path}/a/b c/file", "a/b c"])
        own = rng.choice([value, value.upper(), value[:-1], value[::-1]])
        gap = "".join(rng.choices([" ", "\t", "*", ""], k=3))
        line = rng.choice([f"{own}{gap}{name}", f"SHA256{gap}({name}){gap}={gap}{own}", f"SHA256 ({name}) = {own}"])
        line = rng.choice(["", "", " ", "\t"]) + rng.choice(["", "", "\\"]) + line + rng.choice(["", "", " ", "\r"])
        (tmp_path / sources.SUMS).write_bytes(f"{line}\n".encode())
        done = subprocess.run([SHA256SUM, "--check", sources.SUMS], cwd=tmp_path, capture_output=True)
        if done.returncode == 0:
            accepted += 1
            with fault("formats: SHA256SUMS of another writer"):
                text = (tmp_path / sources.SUMS).read_text()
                assert sources._listed(text, str(tmp_path)) == {tmp_path / "a/b c/file": value}, repr(line)
    assert accepted > 30


def test_row_10_what_no_line_lists(tmp_path, fault):
    """A hash of another length, no hash, a comment, and the hash of another file's name."""
    value = digest(b"content")
    for line in (f"{value}0  file", f"{value[:-1]}  file", f"# {value}  file", f"{value}file", f"MD5 (file) = {value}"):
        with fault("formats: lines that list nothing"):
            assert tmp_path / "file" not in sources._listed(f"{line}\n", str(tmp_path))


def places(mirror):
    """How a user may write a mirror."""
    home = mirror.parent
    return [f"{mirror}/", f"~/{mirror.relative_to(home)}", mirror.as_uri(), f"{mirror.as_uri()}/", f"FILE://{mirror}"]


@pytest.mark.parametrize("place", range(5))
def test_row_10_a_mirror_in_any_writing(place, tmp_path, monkeypatch, fault):
    mirror, target = write_mirror(tmp_path / "a mirror"), earlier(tmp_path / "raw/mnist_svhn")
    monkeypatch.setenv("HOME", str(tmp_path))
    with fault("formats: a folder written in another way"):
        sources.obtain("mnist_svhn", target, places(mirror)[place])
        got(target)


@pytest.mark.parametrize("folder", ["/a%20mirror", "/a mirror/", "/"])
def test_row_10_an_address_with_blanks(folder, tmp_path, monkeypatch, fault):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    target = earlier(tmp_path / "raw/mnist_svhn")
    with serving() as server, fault("formats: an address written in another way"):
        quoted = folder.strip("/").replace(" ", "%20")
        server.files = {f"{quoted}/{path}".lstrip("/"): content for path, content in server.files.items()}
        sources.obtain("mnist_svhn", target, server.url.replace("http", "HTTP") + folder)
        got(target)


def test_row_10_weights_in_a_folder_in_any_writing(tmp_path, monkeypatch, fault):
    """The folder is found: what is said is of the file in it."""
    mirror = tmp_path / "a mirror"
    mirror.mkdir()
    (mirror / "resnet101-63fe2227.pth").write_bytes(b"no weights")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    config = extractor.ExtractorConfig("layer1", "imagenet", 32)
    for place in places(mirror):
        with fault("formats: a folder written in another way"), pytest.raises(extractor.WeightsError) as error:
            extractor.trained(config, "IMAGENET1K_V1", place)
        assert f"could not be had from {mirror.as_uri()}/resnet101" in str(error.value)


def test_row_10_idx_files_that_a_browser_unpacked(tmp_path, fault):
    images, labels = write_mnist(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(gzip.decompress(path.read_bytes()))
    with fault("formats: idx not gzipped"):
        found = mnist_svhn.read_mnist(tmp_path, "train")
        assert [array.tobytes() for array in found] == [images.tobytes(), labels.tobytes()]


def test_row_10_archives_that_a_browser_unpacked(tmp_path, fault):
    expected = write_cub(tmp_path)
    captions = cub.read_captions(tmp_path, expected["test"])
    for path in (tmp_path / "cub").iterdir():
        path.write_bytes(gzip.decompress(path.read_bytes()))
    with fault("formats: tar not gzipped"):
        assert cub.read_names(tmp_path) == expected
        assert cub.read_captions(tmp_path, expected["test"]) == captions
        assert len(list(cub.read_images(tmp_path, expected["test"]))) == len(expected["test"])


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The project's code and parameters."""
    folder = tmp_path_factory.mktemp("extended") / "project"
    for name in ("mmvae", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
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
        "data.digits.partners is 3: .*known: images_per_digit, .*declared in mmvae/data/pairing.py, PairingSettings",
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


@pytest.mark.parametrize("what", EXTENSIONS)
def test_row_12_who_extends_the_project_is_told_where(what, original, tmp_path, fault):
    changes, message = EXTENSIONS[what]
    folder = shutil.copytree(original, tmp_path / "project")
    for name, *change in changes:
        text = (folder / name).read_text().replace(*change, 1) if change[1:] else change[0]
        (folder / name).write_text(text)
    with fault("extensions: " + what):
        for stage in ("code_hashes", "check_params"):
            done = subprocess.run([sys.executable, "-m", f"stages.{stage}"], cwd=folder, capture_output=True, text=True)
            if done.returncode:
                break
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1, done.stderr
        assert re.search(f"^(ParamsError|UnknownName|UnusableFile): .*{message}", done.stderr)


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
