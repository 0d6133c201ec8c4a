"""CUB's photographs and captions: pairs by name, and no fault goes by in silence."""

import io

import numpy as np
import pytest
from conftest import SHARED
from PIL import Image
from raw_birds import CAPTIONS, CLASSES, LIST, PHOTOS, members, names, picture, write_cub, write_sums

from mmvae.data import sources
from mmvae.datasets import cub
from mmvae.files import FileError

MIRROR = SHARED / "mirror"
FIRST = names()["train"][0]  # 002.Laysan_Wren/Laysan_Wren_0003_21
PHOTO, TEXT = f"{PHOTOS}{FIRST}.jpg", f"{CAPTIONS}{FIRST}.txt"
WHOLE_IMAGES, WHOLE_CAPTIONS = members()
TRAIN_LIST, TEST_LIST = "cvpr2016_cub/trainvalclasses.txt", "cvpr2016_cub/testclasses.txt"


def refused(read, match):
    with pytest.raises(FileError, match=match) as error:
        read()
    assert "\n" not in str(error.value)
    assert "remove it and run `dvc repro`" in str(error.value)


def test_names_by_number_and_class(tmp_path):
    expected = write_cub(tmp_path)
    assert cub.read_names(tmp_path) == expected == names()
    assert [len(part) for part in expected.values()] == [9, 6]
    assert expected["train"] != sorted(expected["train"])


def test_images_by_name(tmp_path):
    parts = write_cub(tmp_path)
    found = list(cub.read_images(tmp_path, parts["test"]))
    assert [name for name, _ in found] == sorted(parts["test"])  # the archive's order
    for name, image in found:
        assert (image.mode, image.size) == ("RGB", (20, 24))
        with Image.open(io.BytesIO(WHOLE_IMAGES[f"{PHOTOS}{name}.jpg"])) as original:
            np.testing.assert_array_equal(image, original)


def test_captions_in_the_order_of_names(tmp_path):
    asked = list(np.random.default_rng(0).permutation(write_cub(tmp_path)["train"])[:7])
    for name, captions in zip(asked, cub.read_captions(tmp_path, asked), strict=True):
        assert "".join(f"{caption}\n" for caption in captions).encode() == WHOLE_CAPTIONS[f"{CAPTIONS}{name}.txt"]


@pytest.mark.parametrize(
    ("changes", "file", "message"),
    [
        ({"images": {LIST: None}}, "CUB_200_2011.tgz", f"has no '{LIST}'"),
        ({"images": {LIST: b""}}, "cvpr2016_cub.tar.gz", "15 captions without a photograph in .*, the first is '001"),
        ({"images": {LIST: b"1 a/b.jpg\n2 c\n"}}, "CUB_200_2011.tgz", "has the line '2 c', not"),
        ({"images": {PHOTO: None}}, "CUB_200_2011.tgz", f"1 photographs of {LIST} missing, the first is '{FIRST}'"),
        (
            {"captions": {TEXT: None}},
            "cvpr2016_cub.tar.gz",
            f"1 photographs of .* without captions, the first is '{FIRST}'",
        ),
        (
            {"captions": {f"{CAPTIONS}a/b.txt": b""}},
            "cvpr2016_cub.tar.gz",
            f"1 captions without a photograph in {LIST} of .*, the first is 'a/b'",
        ),
        ({"captions": {TRAIN_LIST: None}}, "cvpr2016_cub.tar.gz", f"has no '{TRAIN_LIST}'"),
        ({"captions": {TEST_LIST: None}}, "cvpr2016_cub.tar.gz", f"has no '{TEST_LIST}'"),
        (
            {"captions": {TEST_LIST: b""}},
            "cvpr2016_cub.tar.gz",
            "6 photographs of .* of unlisted classes, .* '001",
        ),
        (
            {"captions": {TEST_LIST: "\n".join(CLASSES["test"] + CLASSES["trainval"][1:]).encode()}},
            "cvpr2016_cub.tar.gz",
            "2 classes in both training and test list, the first is '003.Sooty_Wren'",
        ),
        (
            {"captions": {TRAIN_LIST: "\n".join(CLASSES["test"] + CLASSES["trainval"]).encode(), TEST_LIST: b"9.None"}},
            "cvpr2016_cub.tar.gz",
            f"no photograph of .* is of a class of {TEST_LIST}",
        ),
    ],
)
@pytest.mark.faults
def test_what_does_not_belong_together(tmp_path, fault, changes, file, message):
    write_cub(tmp_path, **changes)
    with fault("data: photographs, captions and lists that do not match"):
        refused(lambda: cub.read_names(tmp_path), rf"cub/{file}.*{message}")


def test_lists_with_carriage_returns_and_no_last_newline(tmp_path):
    lists = {name: WHOLE_CAPTIONS[name].replace(b"\n", b"\r\n") for name in (TRAIN_LIST, TEST_LIST)}
    write_cub(tmp_path, images={LIST: WHOLE_IMAGES[LIST].replace(b"\n", b"\r\n").rstrip()}, captions=lists)
    assert cub.read_names(tmp_path) == names()


@pytest.mark.parametrize(("mode", "kind"), [("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG")])
def test_other_colours_become_rgb(tmp_path, mode, kind):
    content = picture(np.random.default_rng(1), mode, kind=kind)
    write_cub(tmp_path, images={PHOTO: content})
    [(_, image)] = cub.read_images(tmp_path, [FIRST])
    with Image.open(io.BytesIO(content)) as original:
        assert original.mode == mode
        np.testing.assert_array_equal(image, original.convert("RGB"))
    assert (np.ptp(np.asarray(image), axis=2) == 0).all() == (mode == "L")


@pytest.mark.faults
@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("truncated JPEG", WHOLE_IMAGES[PHOTO][:-1]),
        ("truncated JPEG", WHOLE_IMAGES[PHOTO][:300]),
        ("no photograph", b""),
        ("no photograph", b"GIF89a no image"),
    ],
)
def test_damaged_photographs(tmp_path, fault, what, content):
    write_cub(tmp_path, images={PHOTO: content})
    with fault(f"data: {what}"):
        refused(
            lambda: list(cub.read_images(tmp_path, [FIRST])),
            rf"CUB_200_2011\.tgz: {PHOTO} cannot be read as a photograph: \w",
        )


@pytest.mark.faults
def test_missing_photographs_and_captions(tmp_path, fault):
    write_cub(tmp_path)
    asked = [FIRST, "a/b", "c/d"]
    with fault("data: photographs missing"):
        refused(lambda: list(cub.read_images(tmp_path, asked)), "2 photographs missing, the first is 'a/b'")
    with fault("data: captions missing"):
        refused(lambda: cub.read_captions(tmp_path, asked), "2 photographs without captions, the first is 'a/b'")


def text(lines):
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.mark.parametrize(
    ("what", "content", "message"),
    [
        ("captions miscounted", text("abcdefghi"), "has 9 captions, not 10"),
        ("captions miscounted", text("abcdefghijk"), "has 11 captions, not 10"),
        ("captions miscounted", text("abcdefghi") + b" \n", "has 9 captions, not 10"),
        ("captions miscounted", b"", "has 0 captions, not 10"),
        ("caption without words", text(["a", "b", " \t", *"defghij"]), "caption 3 of .* has no words"),
        ("caption without words", text(["a", "b", "\ufffd -", *"defghij"]), "caption 3 of .* has no words"),
    ],
)
@pytest.mark.faults
def test_not_ten_captions(tmp_path, fault, what, content, message):
    write_cub(tmp_path, captions={TEXT: content})
    with fault(f"data: {what}"):
        refused(lambda: cub.read_captions(tmp_path, [FIRST]), rf"cvpr2016_cub\.tar\.gz: .*{message}")


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n"])
def test_only_newlines_part_captions(tmp_path, end):
    lines = ["one. two", "form\x0cfeed", "next\x85line", "line\u2028separator", "caf\xe9", *"fghi", "file\x1cseparator"]
    write_cub(tmp_path, captions={TEXT: "\r\n".join(lines).encode() + end})
    assert cub.read_captions(tmp_path, [FIRST]) == [lines]


def test_what_is_no_utf8_is_latin_1(tmp_path):
    write_cub(tmp_path, captions={TEXT: text(["caf\xe9", *"bcdefghij"]).decode().encode("latin-1")})
    assert cub.read_captions(tmp_path, [FIRST])[0][0] == "caf\xe9"


def test_a_mirror(tmp_path):
    """What write_sums makes is one: its hashes are those of the files."""
    write_cub(tmp_path)
    write_sums(tmp_path)
    for line in (tmp_path / sources.SUMS).read_text().splitlines():
        known, path = line.split("  ")
        assert sources._check(tmp_path / path, f"sha256:{known}")
    assert len((tmp_path / sources.SUMS).read_text().splitlines()) == 2


@pytest.mark.skipif(
    not (MIRROR / cub.IMAGES).exists(),
    reason=f"no part of CUB is at {MIRROR} (MMVAE_SHARED names the folder above); it may not be committed, and made "
    "archives stand for it",
)
def test_the_real_part():
    parts = cub.read_names(MIRROR)
    assert {part: len(found) for part, found in parts.items()} == {"train": 281, "test": 301}
    every = parts["train"] + parts["test"]
    captions = cub.read_captions(MIRROR, every)
    assert sum(map(len, captions)) == 5820
    black_footed = every.index("001.Black_footed_Albatross/Black_Footed_Albatross_0001_796111")
    assert captions[black_footed][9] == "a large gray bird with a long wingspan and a long black beak."
    images = dict(cub.read_images(MIRROR, every))
    assert set(images) == set(every)
    assert {image.mode for image in images.values()} == {"RGB"}
