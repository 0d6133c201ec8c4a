"""Pages of captions and images that a model made: Figures 7 and 10 to 14, and a text with many examples.

Pixels are shown as they are. Features cannot be: each is shown as the training image with the nearest ones, and the
legend of every page says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from mmvae.data import text
from mmvae.data.prepared import CAPTIONS, FEATURES, PIXELS
from mmvae.evaluation.captioned import BOTH, JOINT, Made, nearest
from mmvae.figures.captions import Caption, Cell, Picture, captioned

LEGEND = {
    FEATURES: "words generated; images looked up: the training image with the nearest features stands for them",
    PIXELS: "generated",
}
COLUMNS, CELLS = 3, 6
CAPTIONS_BESIDE = 3  # that one picture has room for

Panel = tuple[str, list[Cell]]


@dataclass(frozen=True)
class Gallery:
    """How values are shown: `features` and `pixels` of the training photographs (m, F) and uint8 (m, 3, 64, 64)."""

    image: str
    vocabulary: list[str]
    features: np.ndarray
    pixels: np.ndarray

    def pictures(self, values: np.ndarray, given: bool) -> list[Picture]:
        """Of pixels uint8 (n, 3, 64, 64), or of features (n, F) by looking them up."""
        pixels = values if values.ndim == 4 else self.pixels[nearest(values, self.features)]
        return [Picture(image / 255, given) for image in pixels]

    def captions(self, tokens: np.ndarray, given: bool) -> list[Caption]:
        return [Caption(text.sentence(words), given) for words in text.words(tokens, self.vocabulary)]

    def show(self, pixels: np.ndarray, tokens: np.ndarray, made: Made) -> "Shown":
        """`pixels` and `tokens` of real pairs, and what a model made from each view of them."""
        return Shown(
            self.pictures(pixels, True),
            self.captions(tokens, True),
            {view: self.pictures(values[self.image].numpy(), False) for view, values in made.items()},
            {view: self.captions(values[CAPTIONS].numpy(), False) for view, values in made.items()},
            self.image,
        )


@dataclass(frozen=True)
class Shown:
    """Real pairs and what a model made of them, as panels. `samples` successive pairs may be of one input."""

    pictures: list[Picture]
    captions: list[Caption]
    made_pictures: dict[str, list[Picture]]  # by what was given
    made_captions: dict[str, list[Caption]]
    image: str

    def images(self) -> Panel:
        cells = [Cell(pair) for pair in zip(self.pictures, self.made_pictures[self.image], strict=True)]
        return "image reconstruction: data left, reconstruction right", cells

    def sentences(self) -> Panel:
        cells = [Cell((), pair) for pair in zip(self.captions, self.made_captions[CAPTIONS], strict=True)]
        return "caption reconstruction: data above, reconstruction below, bold red where they differ", cells

    def image_to_caption(self, samples: int = 1) -> Panel:
        made, several = self.made_captions[self.image], min(samples, CAPTIONS_BESIDE)
        cells = [Cell((self.pictures[i],), tuple(made[i : i + several])) for i in range(0, len(made), samples)]
        return "image to caption, from posterior samples given the image", cells

    def caption_to_image(self, samples: int = 1) -> Panel:
        made = self.made_pictures[CAPTIONS]
        cells = [Cell(tuple(made[i : i + samples]), (self.captions[i],)) for i in range(0, len(made), samples)]
        return "caption to image, from posterior samples given the caption", cells

    def joint(self) -> Panel:
        made = zip(self.made_pictures[JOINT], self.made_captions[JOINT], strict=True)
        return "joint generation: draws from the prior", [Cell((a,), (b,)) for a, b in made]

    def both(self) -> Panel:
        pictures = zip(self.pictures, self.made_pictures[BOTH], strict=True)
        captions = zip(self.captions, self.made_captions[BOTH], strict=True)
        cells = [Cell(*pairs) for pairs in zip(pictures, captions, strict=True)]
        return "both given: data and reconstruction", cells


def _page(panels: list[Panel], image: str, title: str, count: int = CELLS) -> Figure:
    """At most `count` cells of each panel."""
    return captioned([(name, cells[:count]) for name, cells in panels], title, COLUMNS, LEGEND[image])


def of_each(shown: dict[str, Shown], panel: Callable[[Shown], Panel], title: str, count: int = CELLS) -> Figure:
    """The same panel of several models (Figures 10, 11 and 14)."""
    image = next(iter(shown.values())).image
    panels = [(f"{name}, {heading}", cells) for name, some in shown.items() for heading, cells in [panel(some)]]
    return _page(panels, image, title, count)


def overview(shown: Shown, title: str) -> Figure:
    """Figures 7 and 13: reconstruction, cross generation and joint generation."""
    crossed = [shown.image_to_caption(), shown.caption_to_image(), shown.joint()]
    return _page([shown.images(), shown.sentences(), *crossed], shown.image, title)


def crossings(shown: Shown, samples: int, title: str) -> Figure:
    """Figure 12: several samples of each cross generation, and joint generation."""
    panels = [shown.image_to_caption(samples), shown.caption_to_image(samples), shown.joint()]
    return _page(panels, shown.image, title)


def examples(
    made: Made,
    features: dict[str, np.ndarray],
    training: np.ndarray,
    real: list[tuple[str, str]],
    photographs: list[str],
    image: str,
    vocabulary: list[str],
) -> str:
    """Every pair made, as text, for five tasks.

    `real`: photograph and caption of each test pair. `photographs` describes the training photographs, whose
    `training` features (m, F) stand for them: a generated image is told by the one with the nearest features, in
    quotation marks its first caption.
    """
    pictures = {view: [photographs[i] for i in nearest(values, training)] for view, values in features.items()}
    sentences = {
        view: [f'"{text.sentence(words)}"' for words in text.words(values[CAPTIONS].numpy(), vocabulary)]
        for view, values in made.items()
    }
    shown, captions = [photo for photo, _ in real], [f'"{caption}"' for _, caption in real]
    tasks = [
        ("image reconstruction: test photograph -> nearest training photograph", shown, "->", pictures[image]),
        ("caption reconstruction", captions, "->", sentences[CAPTIONS]),
        ("image to caption: test photograph -> caption", shown, "->", sentences[image]),
        ("caption to image: caption -> nearest training photograph", captions, "->", pictures[CAPTIONS]),
        ("joint generation: nearest training photograph + caption", pictures[JOINT], "+", sentences[JOINT]),
    ]
    lines = []
    for task, left, sign, right in tasks:
        pairs = enumerate(zip(left, right, strict=True), 1)
        lines += [task, "", *(f"{i:4d}  {a}\n      {sign} {b}" for i, (a, b) in pairs), ""]
    return "\n".join(lines)
