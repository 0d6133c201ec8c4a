"""The photographs of CUB-200-2011 and Reed et al.'s (2016) ten captions for each, read from their two archives.

A photograph's name is '<class>/<photo>', without suffix, the same in both archives. Names and not positions say what
belongs together, and a name that only one archive has is an error. The other members of the archives (attributes,
parts, features, '._' files of a Macintosh) are passed over.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from mmvae.data.archives import members
from mmvae.data.text import CAPTIONS_EACH, tokenise
from mmvae.files import AGAIN, Content, FileError

FAMILY = "captions"
MODALITIES = {"captions": "captions", "features": "features", "pixels": "pixels"}
ATTRIBUTES: dict[str, tuple[str, ...]] = {}  # none that captions and images could be compared by
IMAGES, CAPTIONS = "cub/CUB_200_2011.tgz", "cub/cvpr2016_cub.tar.gz"
SOURCES = {  # path -> address, hash
    IMAGES: (
        "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
        "md5:97eceeb196236b17998738112f37df78",
    ),
    # Reed et al. publish no hash; reading the archive checks that every photograph has its ten captions.
    CAPTIONS: ("https://drive.usercontent.google.com/download?id=0B0ywwgffWnLLZW9uVHNjb2JmNlE&confirm=t", None),
}
LIST = "CUB_200_2011/images.txt"
CLASS_LISTS = {"train": "cvpr2016_cub/trainvalclasses.txt", "test": "cvpr2016_cub/testclasses.txt"}
PHOTO = re.compile(r"CUB_200_2011/images/([^/]+/(?!\._)[^/]+)\.jpg")
CAPTION = re.compile(r"cvpr2016_cub/text_c10/([^/]+/(?!\._)[^/]+)\.txt")
ENTRY = re.compile(r"(\d+) ([^/\s]+/[^/\s]+)\.jpg")


def read_names(folder: Path) -> dict[str, list[str]]:
    """'train' and 'test' -> names in the order of their numbers in images.txt, by the classes of the two lists.

    Raises:
        FileError: a list is missing or malformed; a class is in both lists; a listed photograph or its captions are
            missing, captions belong to no listed photograph, or a photograph is of a class in neither list. Says how
            many, and names the first.
    """
    images, captions = folder / IMAGES, folder / CAPTIONS
    listed = _listed(images)
    classes, captioned = _classes_and_captioned(captions)
    known, everywhere = set(listed), classes["train"] | classes["test"]
    _refuse(captions, [name for name in listed if name not in captioned], f"photographs of {images} without captions")
    _refuse(captions, sorted(captioned - known), f"captions without a photograph in {LIST} of {images}")
    unlisted = [name for name in listed if _class(name) not in everywhere]
    _refuse(captions, unlisted, f"photographs of {images} of unlisted classes")
    names = {part: [name for name in listed if _class(name) in classes[part]] for part in CLASS_LISTS}
    for part in CLASS_LISTS:
        if not names[part]:
            raise FileError(f"{captions}: no photograph of {images} is of a class of {CLASS_LISTS[part]}; {AGAIN}")
    return names


def read_images(folder: Path, names: list[str]) -> Iterator[tuple[str, Image.Image]]:
    """Name and RGB photograph, in the archive's order, which is not that of `names`.

    Grey levels become three equal channels, palettes their colours, CMYK goes by Pillow's plain formula, without
    colour profile. Transparency and EXIF's orientation are ignored.

    Raises:
        FileError: a photograph is missing, truncated or no image.
    """
    path = folder / IMAGES
    missing = set(names)
    for member, content in members(path, wanted=lambda member: _name(PHOTO, member) in missing):
        if content is not None:
            name = _name(PHOTO, member)
            missing.remove(name)
            yield name, _rgb(path, member, content)
    _refuse(path, [name for name in names if name in missing], "photographs missing")


def read_captions(folder: Path, names: list[str]) -> list[list[str]]:
    """Ten captions for each name, in the order of `names`, as written.

    A caption is what lies between two newlines and nothing else: any cleverer cut could shift all later pairs.

    Raises:
        FileError: the captions of a name are missing, are not ten, or one of them has no words.
    """
    path = folder / CAPTIONS
    asked, captions = set(names), {}
    for member, content in members(path, wanted=lambda member: _name(CAPTION, member) in asked):
        if content is not None:
            captions[_name(CAPTION, member)] = _ten_lines(path, member, content)
    _refuse(path, [name for name in names if name not in captions], "photographs without captions")
    return [captions[name] for name in names]


def _listed(path: Path) -> list[str]:
    """The names of images.txt, by number; all are there as photographs."""
    contents = Content(path, members(path, wanted=lambda member: member == LIST))
    entries = []
    for line in _lines(contents[LIST]):
        entry = ENTRY.fullmatch(line)
        if entry is None:
            raise FileError(f"{path}: {LIST} has the line {line[:80]!r}, not '<number> <class>/<photo>.jpg'; {AGAIN}")
        entries.append((int(entry[1]), entry[2]))
    names = [name for _, name in sorted(entries)]
    photos = {_name(PHOTO, member) for member in contents}
    _refuse(path, [name for name in names if name not in photos], f"photographs of {LIST} missing")
    return names


def _classes_and_captioned(path: Path) -> tuple[dict[str, set[str]], set[str]]:
    """The classes of 'train' and 'test', disjoint, and the names that have captions."""
    contents = Content(path, members(path, wanted=lambda member: member in CLASS_LISTS.values()))
    classes = {part: set(_lines(contents[member])) for part, member in CLASS_LISTS.items()}
    _refuse(path, sorted(classes["train"] & classes["test"]), "classes in both training and test list")
    return classes, {name for member in contents if (name := _name(CAPTION, member)) is not None}


def _rgb(path: Path, member: str, content: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.convert("RGB")
    except Exception as error:  # Pillow raises many kinds for damaged files
        problem = "it is no JPEG" if isinstance(error, Image.UnidentifiedImageError) else " ".join(str(error).split())
        raise FileError(f"{path}: {member} cannot be read as a photograph: {problem}; {AGAIN}") from error


def _ten_lines(path: Path, member: str, content: bytes) -> list[str]:
    lines = _lines(content)
    if len(lines) != CAPTIONS_EACH:
        raise FileError(f"{path}: {member} has {len(lines)} captions, not {CAPTIONS_EACH}; {AGAIN}")
    for number, line in enumerate(lines, 1):
        if not tokenise(line):
            raise FileError(f"{path}: caption {number} of {member} has no words; {AGAIN}")
    return lines


def _lines(content: bytes) -> list[str]:
    """Lines, without blank ones at the end. UTF-8, or Latin-1 (which any bytes are) where that fails."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    text = text.rstrip()
    # Not splitlines, which also cuts at form feeds and Unicode's separators.
    return [line.strip("\r") for line in text.split("\n")] if text else []


def _name(pattern: re.Pattern, member: str) -> str | None:
    found = pattern.fullmatch(member)
    return found[1] if found else None


def _class(name: str) -> str:
    return name.partition("/")[0]


def _refuse(path: Path, items: list, what: str) -> None:
    if items:
        raise FileError(f"{path}: {len(items)} {what}, the first is {items[0]!r}; {AGAIN}")
