"""Files of users and other programs, as their usual writers write them (row 10)."""

import gzip
import hashlib
import random
import shutil
import subprocess

import pytest
from faulty_server import FILES, earlier, got, serving, write_mirror
from raw_birds import write_cub
from raw_files import write_mnist

from mmvae.data import sources
from mmvae.datasets import cub, mnist_svhn
from mmvae.evaluation import extractor
from mmvae.extractors import resnet101

SHA256SUM = shutil.which("sha256sum")


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
    config = resnet101.Config("layer1", "imagenet", 32)
    for place in places(mirror):
        with fault("formats: a folder written in another way"), pytest.raises(extractor.WeightsError) as error:
            resnet101.trained(config, "IMAGENET1K_V1", place)
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
