"""The embedded captioned birds: painted over blurred photograph crops, with known attributes and ten captions each.

64x64 pixels. A bird has a crown, wings and a belly, each of one of COLOURS, a beak that is short or long, and is small
or large. Captions come from a grammar, so that the attributes can be read back from them. Nothing is downloaded.
Training and test birds share no combination of colours and take their backgrounds from different parts of the
photographs.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from mmvae.data.text import CAPTIONS_EACH
from mmvae.files import Content, read_arrays, write_arrays

FAMILY = "captions"
MODALITIES = {"captions": "captions", "features": "features", "pixels": "pixels"}
SEED = 0
FILE = "birds.npz"
BIRDS = {"train": 1200, "test": 200}
SIZE, CANVAS = 64, 4  # pixels; birds are painted CANVAS times as large
COLOURS = {
    "red": (205, 45, 40),
    "blue": (45, 95, 215),
    "yellow": (235, 205, 50),
    "black": (25, 25, 28),
    "white": (240, 240, 238),
    "green": (60, 150, 65),
}
ATTRIBUTES = {  # name -> values
    "crown": tuple(COLOURS),
    "wings": tuple(COLOURS),
    "belly": tuple(COLOURS),
    "beak": ("short", "long"),
    "size": ("small", "large"),
}
BEAK_COLOUR, LEG_COLOUR = (235, 140, 30), (90, 75, 60)
BLUR, CONTRAST, GREY = 7, 0.35, 135  # of the backgrounds: pixels, share, what they are drawn towards
TRAIN_WIDTH = 0.75  # training backgrounds come from the left of a photograph, test backgrounds from the rest
TEST_COMBINATIONS = 0.2  # share of the combinations of three colours that only test birds have
SPELLING_FAULTS = 0.015  # share of captions
PATTERNS = (
    "this {size} bird has a {crown} crown , {wings} wings and a {belly} belly .",
    "a {size} bird with a {belly} belly , {wings} wings and a {beak} beak .",
    "this bird has {wings} wings , a {crown} crown and a {beak} beak .",
    "the bird has a {beak} beak , a {crown} crown and a {belly} belly .",
)
MENTIONS = {  # attribute -> how a caption says it
    "crown": re.compile(r"\b(\w+) crown\b"),
    "wings": re.compile(r"\b(\w+) wings\b"),
    "belly": re.compile(r"\b(\w+) belly\b"),
    "beak": re.compile(r"\b(\w+) beak\b"),
    "size": re.compile(r"\b(\w+) bird\b"),
}


def mentioned(caption: str) -> dict[str, str]:
    """The attributes that a caption states, with a value that exists."""
    found = {name: pattern.search(caption) for name, pattern in MENTIONS.items()}
    return {name: match[1] for name, match in found.items() if match and match[1] in ATTRIBUTES[name]}


def paint(attributes: dict[str, str], background: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """One bird of those attributes, somewhat moved, over a 64x64 background: (64, 64, 3) uint8."""
    picture = background.resize((SIZE * CANVAS, SIZE * CANVAS), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    unit = CANVAS * (1.0 if attributes["size"] == "large" else 0.72)
    centre = SIZE * CANVAS / 2 + CANVAS * rng.integers(-2, 3, 2)
    crown, wings, belly = (_shade(COLOURS[attributes[part]], rng) for part in ("crown", "wings", "belly"))

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(centre[0] + unit * x, centre[1] + unit * y) for x, y in points]

    beak = 5 if attributes["beak"] == "short" else 15
    draw.polygon(at((11, -15), (11, -8), (11 + beak, -11)), BEAK_COLOUR)
    draw.polygon(at((-26, -2), (-12, -3), (-14, 8), (-25, 5)), wings)
    draw.ellipse(at((-18, -8), (14, 18)), belly)
    draw.ellipse(at((-1, -22), (15, -3)), belly)
    draw.pieslice(at((-3, -25), (16, -4)), 170, 365, fill=crown)
    draw.ellipse(at((-18, -7), (7, 8)), wings)
    draw.ellipse(at((9, -13.5), (11.5, -11)), (10, 10, 10))
    for x in (-4, 3):
        draw.line(at((x, 17), (x, 25)), LEG_COLOUR, width=int(1.4 * unit))
    return np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def _shade(colour: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(c) for c in np.clip(np.array(colour) + rng.integers(-12, 13), 0, 255))


def captions(attributes: dict[str, str], rng: np.random.Generator) -> list[str]:
    """Ten sentences, each pattern as often as the others as far as ten allows; a few have a spelling fault."""
    patterns = rng.permutation(np.resize(rng.permutation(len(PATTERNS)), CAPTIONS_EACH))
    sentences = [PATTERNS[p].format(**attributes) for p in patterns]
    return [_misspelt(s, rng) if rng.random() < SPELLING_FAULTS else s for s in sentences]


def _misspelt(sentence: str, rng: np.random.Generator) -> str:
    """Two neighbouring letters of one longer word exchanged: a rare word, as real captions have many."""
    words = sentence.split()
    which = rng.choice([i for i, word in enumerate(words) if len(word) > 4])
    at = int(rng.integers(1, len(words[which]) - 1))
    word = words[which]
    words[which] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def make() -> dict[str, np.ndarray]:
    """'<part>/images' (n, 3, 64, 64) uint8, '<part>/captions' (n, 10) and '<part>/attributes' (n, 5) of both parts.

    Attributes are positions in ATTRIBUTES[name].
    """
    from sklearn.datasets import load_sample_images  # takes seconds, which only this needs

    photographs = [Image.fromarray(photo) for photo in load_sample_images().images]
    photographs = [photo.filter(ImageFilter.GaussianBlur(BLUR)) for photo in photographs]
    rng = np.random.default_rng(SEED)
    combinations = rng.permutation(len(COLOURS) ** 3)
    held = round(len(combinations) * TEST_COMBINATIONS)
    arrays = {}
    for part, among in (("train", combinations[held:]), ("test", combinations[:held])):
        values = [_draw(among, rng) for _ in range(BIRDS[part])]
        named = [
            {name: options[v] for (name, options), v in zip(ATTRIBUTES.items(), bird, strict=True)} for bird in values
        ]
        images = np.stack([paint(bird, _background(part, photographs, rng), rng) for bird in named])
        arrays[f"{part}/images"] = images.transpose(0, 3, 1, 2).copy()
        arrays[f"{part}/captions"] = np.array([captions(bird, rng) for bird in named])
        arrays[f"{part}/attributes"] = np.array(values, np.uint8)
    return arrays


def _draw(combinations: np.ndarray, rng: np.random.Generator) -> tuple[int, ...]:
    """One bird: a combination of three colours, a beak and a size."""
    colours = np.unravel_index(rng.choice(combinations), (len(COLOURS),) * 3)
    return (*(int(c) for c in colours), int(rng.integers(2)), int(rng.integers(2)))


def _background(part: str, photographs: list[Image.Image], rng: np.random.Generator) -> Image.Image:
    photo = photographs[rng.integers(len(photographs))]
    border = int(photo.width * TRAIN_WIDTH)
    left, right = (0, border - SIZE) if part == "train" else (border, photo.width - SIZE)
    x, y = int(rng.integers(left, right)), int(rng.integers(0, photo.height - SIZE))
    return photo.crop((x, y, x + SIZE, y + SIZE)).point(lambda value: int(GREY + CONTRAST * (value - GREY)))


def write_raw(folder: Path) -> None:
    """All of it as one npz file under `folder`."""
    write_arrays(folder / FILE, make())


def read_names(folder: Path) -> dict[str, list[str]]:
    """'train' and 'test' -> names of the birds. Raises as `read_images` does."""
    names = _by_name(folder, "images")
    return {part: [name for name in names if name.startswith(part)] for part in BIRDS}


def read_images(folder: Path, names: list[str]) -> Iterator[tuple[str, Image.Image]]:
    """Pictures of the named birds.

    Raises:
        FileError: the file is missing or damaged, or holds no bird of that name.
    """
    pixels = _by_name(folder, "images")
    for name in names:
        yield name, Image.fromarray(pixels[name].transpose(1, 2, 0))


def read_captions(folder: Path, names: list[str]) -> list[list[str]]:
    """Ten captions of each named bird. Raises as `read_images` does."""
    ten = _by_name(folder, "captions")
    return [ten[name].tolist() for name in names]


def read_attributes(folder: Path, names: list[str]) -> np.ndarray:
    """Attributes of the named birds, positions in ATTRIBUTES[name]: (n, 5) uint8. Raises as `read_images` does."""
    attributes = _by_name(folder, "attributes")
    return np.stack([attributes[name] for name in names])


def _by_name(folder: Path, key: str) -> Content:
    """Bird -> its images, captions or attributes."""
    path = folder / FILE
    arrays = read_arrays(path)
    return Content(path, ((f"{part}/{i:04d}", v) for part in BIRDS for i, v in enumerate(arrays[f"{part}/{key}"])))
