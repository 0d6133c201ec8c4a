"""The embedded digit pairs: real handwritten digits, and number plates painted over photographs.

`handwritten`: scikit-learn's 1,797 digits of 8x8 pixels, enlarged to 28x28. `plates`: light digits in matplotlib's
bundled fonts over darkened, blurred crops of scikit-learn's two sample photographs, 3x32x32. Nothing is downloaded.
Training and test plates take their backgrounds from different parts of the photographs.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from mmvae.files import read_arrays, write_arrays

SEED = 0
TRAIN_DIGITS = 1497  # of 1,797, in random order; the other 300 are the test part
PLATES = {"train": 2000, "test": 600}
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono-Bold.ttf")
FONT_SIZE = 27
BLUR, BRIGHTNESS = 6, 0.5  # of the backgrounds: pixels, share
FAMILY = "digits"
MODALITIES = {"handwritten": "grey", "plates": "colour"}
TRAIN_WIDTH = 0.75  # training backgrounds come from the left of a photograph, test backgrounds from the rest

Part = dict[str, tuple[np.ndarray, np.ndarray]]


def handwritten() -> Part:
    """Images (n, 1, 28, 28) uint8 and labels (n,) uint8, for 'train' and 'test'."""
    from sklearn.datasets import load_digits  # takes seconds, which only this needs

    images, labels = load_digits(return_X_y=True)
    small = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = np.stack([np.asarray(Image.fromarray(image).resize((28, 28), Image.Resampling.BICUBIC)) for image in small])
    order = np.random.default_rng(SEED).permutation(len(labels))
    large, labels = large[order, None], labels[order].astype(np.uint8)
    return {
        "train": (large[:TRAIN_DIGITS], labels[:TRAIN_DIGITS]),
        "test": (large[TRAIN_DIGITS:], labels[TRAIN_DIGITS:]),
    }


def plates() -> Part:
    """Images (n, 3, 32, 32) uint8 and labels (n,) uint8, for 'train' and 'test'."""
    import matplotlib
    from sklearn.datasets import load_sample_images  # as above

    photographs = [Image.fromarray(photo) for photo in load_sample_images().images]
    photographs = [photo.filter(ImageFilter.GaussianBlur(BLUR)) for photo in photographs]
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [ImageFont.truetype(str(folder / name), FONT_SIZE) for name in FONTS]
    rng = np.random.default_rng(SEED)
    parts = {}
    for part, count in PLATES.items():
        labels = rng.permutation(np.arange(count, dtype=np.uint8) % 10)
        images = np.stack([_plate(int(label), part, photographs, fonts, rng) for label in labels])
        parts[part] = (images.transpose(0, 3, 1, 2).copy(), labels)
    return parts


def _plate(label: int, part: str, photographs: list, fonts: list, rng: np.random.Generator) -> np.ndarray:
    """One plate, (32, 32, 3) uint8."""
    photo = photographs[rng.integers(len(photographs))]
    border = int(photo.width * TRAIN_WIDTH)
    left, right = (0, border - 32) if part == "train" else (border, photo.width - 32)
    x, y = int(rng.integers(left, right)), int(rng.integers(0, photo.height - 32))
    plate = photo.crop((x, y, x + 32, y + 32)).point(lambda value: int(value * BRIGHTNESS))
    colour = tuple(int(c) for c in rng.integers(200, 256, 3))
    centre = tuple(16 + int(jitter) for jitter in rng.integers(-1, 2, 2))
    font = fonts[rng.integers(len(fonts))]
    ImageDraw.Draw(plate).text(centre, str(label), fill=colour, font=font, anchor="mm")
    return np.asarray(plate)


def write_raw(folder: Path) -> None:
    """Both modalities as npz files under `folder`."""
    for name, parts in {"handwritten": handwritten(), "plates": plates()}.items():
        arrays = {}
        for part, (images, labels) in parts.items():
            arrays |= {f"{part}/images": images, f"{part}/labels": labels}
        write_arrays(folder / f"{name}.npz", arrays)


def read_raw(folder: Path) -> dict[str, Part]:
    """modality -> 'train' or 'test' -> images and labels.

    Raises:
        FileError: a file is missing or damaged.
    """
    stored = {name: read_arrays(folder / f"{name}.npz") for name in MODALITIES}
    return {
        name: {part: (arrays[f"{part}/images"], arrays[f"{part}/labels"]) for part in PLATES}
        for name, arrays in stored.items()
    }
