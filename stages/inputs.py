"""The prepared inputs of a data set, read from data/ as they are needed. Not a stage."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from mmvae import config
from mmvae.config import CAPTIONS, FEATURES, PIXELS
from mmvae.data import text
from mmvae.data.checks import check_array
from mmvae.data.pairs import Pairs
from mmvae.files import AGAIN, Content, FileError, read_arrays

CAPTIONS_EACH = 10
PHOTOGRAPHS = {FEATURES: "photographs", PIXELS: "pixels"}  # kind of image -> what its features are called
LAYOUT = {  # file -> last part of a key -> type and shape; None is any length
    "prepared": {"images": (np.uint8, (None, None, None, None)), "labels": (np.uint8, (None,))},
    "pairs": {"first_pass": (np.int64, ())},
    CAPTIONS: {"tokens": (np.int32, (None, text.LENGTH)), "vocabulary": (np.str_, (None,))},
    FEATURES: dict.fromkeys(PHOTOGRAPHS.values(), (np.float32, (None, None))),
    PIXELS: {
        "pixels": (np.uint8, (None, 3, 64, 64)),
        "names": (np.str_, (None,)),
        "attributes": (np.uint8, (None, None)),
    },
}
ROWS = (np.int32, (None,))  # of "pairs", whose keys end in the modality


class Prepared:
    """The files of one data set, data/<kind>/<data set>.npz, each read when something in it is needed."""

    def __init__(self, data_set: str, device: torch.device):
        self.data_set, self.device = data_set, device
        self._read: dict[str, Content] = {}

    def path(self, kind: str) -> Path:
        return Path(f"data/{kind}/{self.data_set}.npz")

    def array(self, kind: str, key: str, shape: tuple[int | None, ...] | None = None) -> np.ndarray:
        """One array of a file, of a `shape` or, by default, LAYOUT's.

        Raises:
            FileError: the file is damaged, or the array is missing, or of another type or shape; names both.
        """
        if kind not in self._read:
            self._read[kind] = read_arrays(self.path(kind))
        array = self._read[kind][key]
        dtype, usual = LAYOUT[kind].get(key.rpartition("/")[2], ROWS)
        check_array(self.path(kind), key, array, dtype, usual if shape is None else shape)
        return array

    def check(self, arrays: dict[str, np.ndarray], index: dict[str, np.ndarray]) -> None:
        """Are all rows there that `index` says, and equally many of every array?

        Raises:
            FileError: they are not; names the files.
        """
        counts = {name: rows.size for name, rows in index.items()}
        there = all(rows.min(initial=0) >= 0 and rows.max(initial=0) < len(arrays[n]) for n, rows in index.items())
        if len(set(counts.values())) > 1 or not there:
            files = " and ".join(str(self.path(kind)) for kind in self._read)
            shapes = ", ".join(f"{counts[name]} rows of {name} {array.shape}" for name, array in arrays.items())
            raise FileError(f"what {files} hold does not belong together: {shapes}; {AGAIN}")

    def digest(self) -> str:
        """A hash of the files read so far."""
        digest = hashlib.sha256()
        for kind in sorted(self._read):
            digest.update(self.path(kind).read_bytes())
        return digest.hexdigest()


class DigitPairs(Prepared):
    """The paired images of one digit set, by split."""

    def split(self, split: str, names: tuple[str, ...] = ()) -> Pairs:
        """All pairs of a split, of all or some modalities."""
        kinds = config.DIGIT_SETS[self.data_set]
        images = {
            name: self.array("prepared", f"{name}/{split}/images", (None, *config.IMAGE_SHAPES[kinds[name]]))
            for name in names or kinds
        }
        index = {name: self.array("pairs", f"{split}/{name}") for name in images}
        self.check(images, index)
        return Pairs(images, index, self.device)

    def first_pass(self, split: str) -> tuple[dict[str, torch.Tensor], np.ndarray]:
        """Pixels in [0, 1] and digits of the pairs in which every used image appears once."""
        count = self.array("pairs", f"{split}/first_pass")
        name = next(iter(config.DIGIT_SETS[self.data_set]))
        labels, rows = self.array("prepared", f"{name}/{split}/labels"), self.array("pairs", f"{split}/{name}")
        self.check({"labels": labels}, {"labels": rows})
        self.check({"pairs": rows}, {"pairs": count - 1})
        return self.split(split).batch(slice(0, int(count))), labels[rows[:count]]


class CaptionPairs(Prepared):
    """The captions of one caption set and their images, by split: caption i belongs to image i // 10."""

    @property
    def vocabulary(self) -> list[str]:
        return self.array(CAPTIONS, "vocabulary").tolist()

    def values(self, split: str, name: str) -> np.ndarray:
        """Words (captions, T), or features (images, F) or pixels (images, 3, 64, 64) of each image."""
        key = {CAPTIONS: "tokens", FEATURES: PHOTOGRAPHS[FEATURES], PIXELS: "pixels"}[name]
        values = self.array(name, f"{split}/{key}")
        if name == CAPTIONS:
            self.check({"vocabulary": self.array(CAPTIONS, "vocabulary")}, {"vocabulary": values})
        return values

    def features(self, split: str, image: str) -> np.ndarray:
        """Features of the photographs or, for `pixels`, of their 64x64 pixels: (images, F)."""
        features = self.array(FEATURES, f"{split}/{PHOTOGRAPHS[image]}")
        self.check_captioned(split, features)
        return features

    def described(self, split: str) -> list[str]:
        """Every image's name and first caption."""
        names = self.array(PIXELS, f"{split}/names")
        self.check_captioned(split, names)
        sentences = text.words(self.values(split, CAPTIONS)[::CAPTIONS_EACH], self.vocabulary)
        return [f'{name} "{text.sentence(words)}"' for name, words in zip(names, sentences, strict=True)]

    def check_captioned(self, split: str, images: np.ndarray) -> None:
        """Are there ten captions for each of these images?

        Raises:
            FileError: there are not; names the files.
        """
        tokens = self.values(split, CAPTIONS)
        self.check({CAPTIONS: tokens, "images": images}, {CAPTIONS: _captions(tokens), "images": images_of(images)})

    def split(self, split: str, names: tuple[str, ...]) -> Pairs:
        """All pairs of a split: every caption with its image."""
        arrays = {name: self.values(split, name) for name in names}
        index = {name: _captions(array) if name == CAPTIONS else images_of(array) for name, array in arrays.items()}
        self.check(arrays, index)
        return Pairs(arrays, index, self.device)


def _captions(tokens: np.ndarray) -> np.ndarray:
    return np.arange(len(tokens))


def images_of(images: np.ndarray) -> np.ndarray:
    """The position of every caption's image: (captions,)."""
    return np.arange(len(images)).repeat(CAPTIONS_EACH)


def paired(data_set: str, device: torch.device) -> DigitPairs | CaptionPairs:
    """The pairs of any data set."""
    kind = DigitPairs if data_set in config.DIGIT_SETS else CaptionPairs
    return kind(data_set, device)
