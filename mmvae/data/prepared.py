"""The prepared inputs of a data set, read from data/ as they are needed."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from mmvae import registry
from mmvae.data import text
from mmvae.data.pairs import DIGITS, Pairs
from mmvae.data.text import CAPTIONS_EACH
from mmvae.files import Content, check_array, read_arrays
from mmvae.params import ParamsError

CAPTIONS, FEATURES, PIXELS = "captions", "features", "pixels"  # modalities of a caption set
PHOTOGRAPHS = {FEATURES: "photographs", PIXELS: "pixels"}  # kind of image -> what its features are called


class Prepared:
    """The files of one data set, data/<name>/<data set>.npz, each read when something in it is needed."""

    def __init__(self, data_set: str, device: torch.device):
        self.data_set, self.device = data_set, device
        self.kinds: dict[str, str] = registry.find("datasets", data_set).MODALITIES
        self._read: dict[str, Content] = {}

    def path(self, name: str) -> Path:
        return Path(f"data/{name}/{self.data_set}.npz")

    def array(self, name: str, key: str) -> np.ndarray:
        """One array of a file.

        Raises:
            FileError: the file is missing or damaged, or lacks the array; names both.
        """
        if name not in self._read:
            self._read[name] = read_arrays(self.path(name))
        return self._read[name][key]

    def stored(self, name: str, key: str, modality: str) -> np.ndarray:
        """The values of a modality.

        Raises:
            FileError: as `array` does; the values are not of the type and shape of the modality's kind, too.
        """
        dtype, shape = registry.find("kinds", self.kinds[modality]).STORED
        values = self.array(name, key)
        check_array(self.path(name), key, values, dtype, (None, *shape))
        return values

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

    def split(self, split: str, names: tuple[str, ...] = (), *, labelled: bool = False) -> Pairs:
        """All pairs of a split, of all or some modalities; with their digits as DIGITS, if `labelled`."""
        values = {name: self.values(split, name) for name in names or self.kinds}
        index = {name: self.array("pairs", f"{split}/{name}") for name in values}
        if labelled:
            first = next(iter(values))
            values[DIGITS], index[DIGITS] = self.array("prepared", f"{first}/{split}/labels"), index[first]
        return Pairs(values, index, self.device)

    def first_pass(self, split: str, names: tuple[str, ...] = ()) -> tuple[dict[str, torch.Tensor], np.ndarray]:
        """Values and digits of the pairs in which every used image appears once."""
        count, name = int(self.array("pairs", f"{split}/first_pass")), next(iter(self.kinds))
        digits = self.array("prepared", f"{name}/{split}/labels")[self.array("pairs", f"{split}/{name}")[:count]]
        return self.split(split, names).batch(slice(0, count)), digits


class CaptionedPairs(Prepared):
    """The captions of one caption set and their images, by split: caption i belongs to image i // 10."""

    @property
    def vocabulary(self) -> list[str]:
        return self.array(CAPTIONS, "vocabulary").tolist()

    def values(self, split: str, name: str) -> np.ndarray:
        """Words (captions, T), or features (images, F) or pixels (images, 3, 64, 64) of each image."""
        key = {CAPTIONS: "tokens", FEATURES: PHOTOGRAPHS[FEATURES], PIXELS: "pixels"}[name]
        return self.stored(name, f"{split}/{key}", name)

    def features(self, split: str, image: str) -> np.ndarray:
        """Features of the photographs or, for `pixels`, of their 64x64 pixels: (images, F)."""
        return self.array(FEATURES, f"{split}/{PHOTOGRAPHS[image]}")

    def attributes(self, split: str) -> np.ndarray:
        """Known attributes of every image: (images, A)."""
        return self.array(PIXELS, f"{split}/attributes")

    def species(self, split: str) -> np.ndarray:
        """Of every image, the part of its name before a slash: (images,)."""
        return np.array([name.partition("/")[0] for name in self.array(PIXELS, f"{split}/names")])

    def described(self, split: str) -> list[str]:
        """Every image's name and first caption."""
        names = self.array(PIXELS, f"{split}/names")
        sentences = text.words(self.values(split, CAPTIONS)[::CAPTIONS_EACH], self.vocabulary)
        return [f'{name} "{text.sentence(words)}"' for name, words in zip(names, sentences, strict=True)]

    def split(self, split: str, names: tuple[str, ...], *, labelled: bool = False) -> Pairs:
        """All pairs of a split: every caption with its image.

        Raises:
            ParamsError: `labelled` ones are wanted.
        """
        if labelled:
            raise ParamsError(f"{self.data_set} has no digits, which a model of the run is trained to say")
        arrays = {name: self.values(split, name) for name in names}
        rows = {name: np.arange(len(array)) if name == CAPTIONS else images_of(array) for name, array in arrays.items()}
        return Pairs(arrays, rows, self.device)


def images_of(images: np.ndarray) -> np.ndarray:
    """The position of every caption's image: (captions,)."""
    return np.arange(len(images)).repeat(CAPTIONS_EACH)


def prepared(data_set: str, device: torch.device) -> LabelledPairs | CaptionedPairs:
    """The inputs of any data set."""
    captioned = registry.find("datasets", data_set).FAMILY == "captions"
    return (CaptionedPairs if captioned else LabelledPairs)(data_set, device)
