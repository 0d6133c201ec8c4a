"""Pictures with captions: all that is given is in the figure, and what the model made is told apart."""

import numpy as np
import torch
from matplotlib.colors import to_rgb

from mmvae.data import text
from mmvae.evaluation.captioned import BOTH, JOINT
from mmvae.figures import gallery
from mmvae.figures.captions import COLUMN, Caption, Cell, Picture, captioned

LONG = " ".join(["supercilliary ,", *["brownish"] * 12, *["a"] * 8, "black-and-white", *["wings"] * 8, "."])
SHORT = "a small $ bird $ . <eos> <pad>"


def picture(seed=0, given=True, channels=3):
    return Picture(np.random.default_rng(seed).random((channels, 64, 64)), given)


def words(figure):
    return " ".join(text.get_text() for text in figure.axes[0].texts).split()


def test_every_picture_and_every_word_is_shown_once():
    data, made = Caption(LONG, True), Caption(LONG.replace("wings", "tails"), False)
    cells = [
        Cell((picture(0), picture(1, False))),
        Cell((), (data, made)),
        Cell((picture(2, channels=1),), (made,)),
        Cell((picture(3),), (made, Caption(SHORT, False), made)),
        Cell(tuple(picture(i, False) for i in range(4, 9)), (data,)),
        Cell((picture(9), picture(10, False)), (data, made)),
    ]
    figure = captioned([("every kind", cells), ("again", cells[:1])], "title", 2)
    pictures = [picture for cell in [*cells, cells[0]] for picture in cell.pictures]
    for image, given in zip(figure.axes[0].images, pictures, strict=True):
        np.testing.assert_array_equal(image.get_array(), np.broadcast_to(given.pixels, (3, 64, 64)).transpose(1, 2, 0))
    shown, captions = words(figure), [caption.words for cell in cells for caption in cell.captions]
    assert len(LONG.split()) == 32
    for word in ("supercilliary", "brownish", "black-and-white", "wings", "tails", "$"):
        assert shown.count(word) == sum(caption.split().count(word) for caption in captions)
    assert not {"<eos>", "<pad>"} & set(shown)
    assert {"title", "every", "again"} <= set(shown)


def test_no_line_is_wider_than_its_column():
    cells = [Cell((picture(),), (Caption(LONG, False),)), Cell((), (Caption(LONG, True),))]
    figure = captioned([("panel", cells * 2)], "title", 2)
    figure.canvas.draw()
    for line in figure.axes[0].texts:
        right = line.get_window_extent().x1 / figure.dpi
        assert right <= (1 + line.get_position()[0] // COLUMN) * COLUMN


def test_what_the_model_made_is_framed_and_coloured_and_the_legend_says_so():
    cell = Cell((picture(), picture(1, False)), (Caption("given", True), Caption("sampled", False)))
    figure = captioned([("panel", [cell])], "title", 1, made="made up")
    colours = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert colours["blue, framed: made up"] == colours["sampled"] == "tab:blue" and colours["given"] == "black"
    frames = figure.axes[0].patches
    assert [frame.get_facecolor()[:3] for frame in frames] == [to_rgb("tab:blue")]
    left, right, *_ = figure.axes[0].images[1].get_extent()
    assert frames[0].get_x() < left < right < frames[0].get_x() + frames[0].get_width()
    data = captioned([("panel", [Cell((picture(),), (Caption(SHORT, True),))])], "title", 1)
    assert not data.axes[0].patches and "framed:" not in words(data)


def test_an_empty_caption_is_said_to_be_empty():
    assert "(no words)" in " ".join(words(captioned([("", [Cell((picture(),), (Caption("<eos> a", False),))])], "", 1)))


def test_two_captions_alone_are_compared():
    figure = captioned([("", [Cell((), (Caption("a red bird", True), Caption("a small blue bird", False)))])], "", 1)
    marked = [text.get_text().split() for text in figure.axes[0].texts if text.get_color() == "tab:red"]
    assert marked == [["red"], ["small", "blue"]]


def test_pages_of_features_call_a_look_up_one():
    vocabulary = [*text.SPECIALS, "a", "bird"]
    rng = np.random.default_rng(0)
    tokens = text.encode([["a", "bird"]] * 8, vocabulary)
    photographs = rng.integers(0, 256, (5, 3, 64, 64), np.uint8)
    hall = gallery.Gallery("features", vocabulary, rng.standard_normal((5, 7)).astype(np.float32), photographs)
    values = {"features": torch.randn(8, 7), "captions": torch.from_numpy(tokens)}
    shown = hall.show(photographs[[0] * 8], tokens, dict.fromkeys(("features", "captions", BOTH, JOINT), values))
    both = {"MMVAE": shown, "MVAE": shown}
    pages = {
        gallery.overview(shown, "title"): 6 * (2 + 0 + 1 + 1 + 1),
        gallery.of_each(both, gallery.Shown.images, "title", 12): 2 * 8 * 2,
        gallery.of_each(both, gallery.Shown.sentences, "title", 12): 0,
        gallery.crossings(shown, 4, "title"): 2 + 2 * 4 + 6,
        gallery.of_each(both, gallery.Shown.both, "title"): 2 * 6 * 2,
    }
    for figure, count in pages.items():
        assert len(figure.axes[0].images) == count
        assert "looked" in words(figure)
