"""The prepared inputs of a data set, read from data/ as they are needed."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from mmvae import registry
from mmvae.data import text
from mmvae.data.checks import check_array
from mmvae.data.pairs import Pairs
from mmvae.files import AGAIN, Content, FileError, read_arrays

CAPTIONS, FEATURES, PIXELS = "captions", "features", "pixels"  # modalities of a caption set
CAPTIONS_EACH = 10
PHOTOGRAPHS = {FEATURES: "photographs", PIXELS: "pixels"}  # kind of image -> what its features are called
ROWS = (np.int32, (None,))


class Prepared:
    """The files of one data set, data/<name>/<data set>.npz, each read when something in it is needed."""

    def __init__(self, data_set: str, device: torch.device):
        self.data_set, self.device = data_set, device
        self.kinds: dict[str, str] = registry.find("datasets", data_set).MODALITIES
        self._read: dict[str, Content] = {}

    def path(self, name: str) -> Path:
        return Path(f"data/{name}/{self.data_set}.npz")

    def array(self, name: str, key: str, dtype: type, shape: tuple[int | None, ...]) -> np.ndarray:
        """One array of a file, of that type and shape; None is any length.

        Raises:
            FileError: the file is damaged, or the array is missing, or of another type or shape; names both.
        """
        if name not in self._read:
            self._read[name] = read_arrays(self.path(name))
        array = self._read[name][key]
        check_array(self.path(name), key, array, dtype, shape)
        return array

    def stored(self, name: str, key: str, modality: str) -> np.ndarray:
        """The values of a modality, of the type and shape of its kind."""
        dtype, shape = registry.find("kinds", self.kinds[modality]).STORED
        return self.array(name, key, dtype, (None, *shape))

    def check(self, arrays: dict[str, np.ndarray], index: dict[str, np.ndarray]) -> None:
        """Are all rows there that `index` says, and equally many of every array?

        Raises:
            FileError: they are not; names the files.
        """
        counts = {name: rows.size for name, rows in index.items()}
        there = all(rows.min(initial=0) >= 0 and rows.max(initial=0) < len(arrays[n]) for n, rows in index.items())
        if len(set(counts.values())) > 1 or not there:
            files = " and ".join(str(self.path(name)) for name in self._read)
            shapes = ", ".join(f"{counts[name]} rows of {name} {array.shape}" for name, array in arrays.items())
            raise FileError(f"what {files} hold does not belong together: {shapes}; {AGAIN}")

    def digest(self) -> str:
        """A hash of the files read so far."""
        digest = hashlib.sha256()
        for name in sorted(self._read):
            digest.update(self.path(name).read_bytes())
        return digest.hexdigest()

    def measured(self, modality: str) -> dict:
        """The options of a modality's networks that its data decides."""
        kind = registry.find("kinds", self.kinds[modality])
        if not hasattr(kind, "measured"):
            return {}
        vocabulary = self.vocabulary if self.kinds[modality] == CAPTIONS else []
        return kind.measured(self.values("train", modality), vocabulary)


class LabelledPairs(Prepared):
    """Modalities of one digit set, paired by their digits, by split."""

    @property
    def vocabulary(self) -> list[str]:
        return list(registry.find("datasets", self.data_set).VOCABULARY)

    def values(self, split: str, name: str) -> np.ndarray:
        """All values of a modality, paired or not: pixels (n, C, H, W), words (n, T) or features (n, F)."""
        return self.stored("prepared", f"{name}/{split}/values", name)

    def split(self, split: str, names: tuple[str, ...] = ()) -> Pairs:
        """All pairs of a split, of all or some modalities."""
        values = {name: self.values(split, name) for name in names or self.kinds}
        index = {name: self.array("pairs", f"{split}/{name}", *ROWS) for name in values}
        self.check(values, index)
        return Pairs(values, index, self.device)

    def first_pass(self, split: str, names: tuple[str, ...] = ()) -> tuple[dict[str, torch.Tensor], np.ndarray]:
        """Values and digits of the pairs in which every used image appears once."""
        count = self.array("pairs", f"{split}/first_pass", np.int64, ())
        name = next(iter(self.kinds))
        labels = self.array("prepared", f"{name}/{split}/labels", np.uint8, (None,))
        rows = self.array("pairs", f"{split}/{name}", *ROWS)
        self.check({"labels": labels}, {"labels": rows})
        self.check({"pairs": rows}, {"pairs": count - 1})
        return self.split(split, names).batch(slice(0, int(count))), labels[rows[:count]]


class CaptionedPairs(Prepared):
    """The captions of one caption set and their images, by split: caption i belongs to image i // 10."""

    @property
    def vocabulary(self) -> list[str]:
        return self.array(CAPTIONS, "vocabulary", np.str_, (None,)).tolist()

    def values(self, split: str, name: str) -> np.ndarray:
        """Words (captions, T), or features (images, F) or pixels (images, 3, 64, 64) of each image."""
        key = {CAPTIONS: "tokens", FEATURES: PHOTOGRAPHS[FEATURES], PIXELS: "pixels"}[name]
        values = self.stored(name, f"{split}/{key}", name)
        if name == CAPTIONS:
            self.check({"vocabulary": np.array(self.vocabulary)}, {"vocabulary": values})
        return values

    def features(self, split: str, image: str) -> np.ndarray:
        """Features of the photographs or, for `pixels`, of their 64x64 pixels: (images, F)."""
        features = self.array(FEATURES, f"{split}/{PHOTOGRAPHS[image]}", np.float32, (None, None))
        self.check_captioned(split, features)
        return features

    def attributes(self, split: str) -> np.ndarray:
        """Known attributes of every image: (images, A)."""
        return self.array(PIXELS, f"{split}/attributes", np.uint8, (None, None))

    def described(self, split: str) -> list[str]:
        """Every image's name and first caption."""
        names = self.array(PIXELS, f"{split}/names", np.str_, (None,))
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


def prepared(data_set: str, device: torch.device) -> LabelledPairs | CaptionedPairs:
    """The inputs of any data set."""
    captioned = registry.find("datasets", data_set).FAMILY == "captions"
    return (CaptionedPairs if captioned else LabelledPairs)(data_set, device)
