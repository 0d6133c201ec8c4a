"""Figures: grids of images, curves of any number of runs, divergences of any number of modalities."""

import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from matplotlib.figure import Figure
from PIL import Image
from toys import toy_model, toy_pairs

from mmvae.evaluation import generation
from mmvae.figures import curves, grids


def test_mosaic_places_images_in_reading_order():
    images = np.zeros((1, 2, 1, 2, 2))
    images[0, 1] = 0.5
    picture = grids.mosaic(images)
    assert picture.shape == (2, 4 + grids.GAP, 3)
    assert (picture[:, :2] == 0).all()
    assert (picture[:, 2 : 2 + grids.GAP] == 1).all()
    assert (picture[:, 2 + grids.GAP :] == 0.5).all()


def test_blocks_join_in_reading_order():
    images = np.arange(4).reshape(1, 4, 1, 1, 1) * np.ones((1, 4, 1, 2, 2))
    joined = grids.blocks(images, 2)[0, 0]
    np.testing.assert_array_equal(joined[::2, ::2], [[0, 1], [2, 3]])


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_pairs_have_a_panel_for_each_modality(modalities):
    figure = grids.grids([[(f"m{i}", np.zeros((2, 10, 1, 4, 4))) for i in range(modalities)]], "title")
    assert [panel.get_title() for panel in figure.axes] == [f"m{i}" for i in range(modalities)]


DRAW = """
import sys
import numpy as np
from mmvae.figures import captions, curves, grids
images = np.random.default_rng(0).random((2, 3, 3, 4, 4))
grids.save("grid.png", grids.grids([[("noise", images)]], "title", ["a", "b"], ["1", "2", "3"]), colours=16)
rows = [{"pairs": n, "joint": 0.1, "entropy_a": 1.0} for n in (1, 2)]
grids.save("learning.png", curves.learning_curves({"run": rows}, "title"))
cell = captions.Cell((captions.Picture(images[0, 0], True),), (captions.Caption("a bird .", False),))
grids.save("captions.png", captions.captioned([("panel", [cell])], "title", 2))
assert "matplotlib.pyplot" not in sys.modules
"""


def test_a_users_settings_change_no_byte(tmp_path):
    settings = tmp_path / "matplotlibrc"
    settings.write_text("font.size: 17\nfont.family: serif\naxes.facecolor: red\nsavefig.dpi: 30\nlines.linewidth: 9\n")
    written = []
    for name, own in (("usual", {}), ("other", {"MATPLOTLIBRC": str(settings), "MPLBACKEND": "tkagg"})):
        folder = tmp_path / name
        folder.mkdir()
        plain = {key: value for key, value in os.environ.items() if key not in ("MATPLOTLIBRC", "MPLBACKEND")}
        environment = plain | {"PYTHONPATH": str(ROOT)} | own
        subprocess.run([sys.executable, "-c", DRAW], cwd=folder, env=environment, check=True, timeout=120)
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert sorted(written[0]) == ["captions.png", "grid.png", "learning.png"]
    assert written[0] == written[1]


def training_rows(*names):
    of_names = {f"{kind}_{name}": 1.0 for name in names for kind in ("kl", "share")}
    return [{"pairs": n, "bound_train": -n, "bound_validation": -n, "ess": 1.0} | of_names for n in (1, 2)]


def looks(lines):
    """Colour, marker and dashes; get_linestyle calls all dashes "--"."""
    return {(line.get_color(), str(line.get_marker()), str(line._unscaled_dash_pattern)) for line in lines}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


RUNS = [f"run_{i}" for i in range(12)]
NAMES = tuple("abcdef")


def test_curves_of_runs_with_other_modalities():
    runs = {"mmvae": training_rows("a", "b"), "vae_a": training_rows("a"), "vae_b": training_rows("b")}
    figure = curves.training_curves(runs, "title")
    assert sum(panel.get_visible() for panel in figure.axes) == 6
    kls = figure.axes[4].lines
    assert [line.get_linestyle() for line in kls] == ["-", "--", "-", "--"]  # a, b, a, b: one style for a modality


@pytest.mark.parametrize("table", [list, pd.DataFrame])
def test_training_curves_of_twelve_runs_and_six_modalities(table):
    runs = {run: table(training_rows(*NAMES)) for run in RUNS} | {name: table(training_rows(name)) for name in NAMES}
    figure = curves.training_curves(runs, "title")
    assert legend(figure) == list(runs)
    bounds, (sizes, kls, shares, *_) = np.reshape(figure.axes, (2, 7))
    assert len(looks(sizes.lines)) == len(looks(figure.legends[0].legend_handles)) == len(RUNS) + len(NAMES)
    assert len(looks(kls.lines)) == len(RUNS) * len(NAMES) + len(NAMES)
    assert len(looks(shares.lines)) == len(RUNS) * len(NAMES)
    assert [len(panel.lines) for panel in bounds] == [2 * len(RUNS)] + [2] * len(NAMES)
    assert [text.get_text() for text in kls.get_legend().get_texts()] == list(NAMES)


def test_learning_curves_of_twelve_runs():
    rows = [{"epoch": n, "pairs": n, "joint": 0.5, "a_to_b": 0.2, "entropy_a": 1.0} for n in (1, 2)]
    figure = curves.learning_curves(dict.fromkeys(RUNS, rows), "title")
    assert legend(figure) == list(RUNS)
    joint = figure.axes[0]
    assert len(joint.lines) == len(looks(joint.lines)) == len(RUNS)
    assert [panel.get_title() for panel in figure.axes[:2]] == ["joint coherence, %", "coherence, a to b, %"]


def model_of(*kinds):
    """Each modality is called as its kind."""
    kinds = {kind: kind for kind in kinds}
    return toy_model("mmvae", kinds).eval(), toy_pairs(6, kinds).batch(slice(None))


def test_generation_with_images_features_and_words(generator):
    model, x = model_of("pixels", "features", "captions")
    drawn = generation.from_prior(model, 5, 9, generator)
    assert {name: mean.shape for name, (mean, _) in drawn.items()} == {
        name: (5, *values.shape[1:]) for name, values in x.items()
    }
    assert drawn["pixels"][1].shape == (5, 9, 3, 64, 64) and drawn["features"][1].shape == (5, 9, 7)
    assert drawn["captions"][1].shape == (5, 9, 32)
    for source in x:
        one = {source: x[source][:1]}
        assert generation.across(model, one, source, generator)["captions"].shape == (1, 32)
        moved = generation.traverse(model, one, source, 3)
        assert moved["pixels"].shape == (4, 3, 3, 64, 64) and moved["features"].shape == (4, 3, 7)


@pytest.mark.parametrize("names", [("pixels",), ("pixels", "features"), ("pixels", "features", "captions")])
def test_divergences_of_every_pair_of_modalities(names):
    model, x = model_of(*names)
    to_prior, between = generation.divergences(model, x)
    assert list(to_prior) == list(names) and list(between) == list(combinations(names, 2))
    for pair, values in between.items():
        known = [torch.distributions.Laplace(e.loc, e.scale) for e in (model.expert(name, x[name]) for name in pair)]
        both = sum(torch.distributions.kl_divergence(p, q).mean(0) for p, q in (known, known[::-1])) / 2
        np.testing.assert_allclose(values, both.detach().numpy(), rtol=1e-4, atol=1e-6)
    figure = curves.latent_divergences(to_prior, between, model.prior().std.detach().numpy(), "title")
    assert len(legend(figure)) == len(to_prior) + len(between)
    assert all(any(a in text and b in text for text in legend(figure)) for a, b in between)


def test_divergences_of_five_modalities_look_different():
    values = np.ones(3)
    between = dict.fromkeys(combinations("abcde", 2), values)
    figure = curves.latent_divergences(dict.fromkeys("abcde", values), between, values, "title")
    bars = [container.patches[0] for container in figure.axes[0].containers]
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in bars}) == len(bars) == 15


def test_a_rare_colour_survives_the_palette(tmp_path):
    """As of the few red words of Figure 11."""
    figure = Figure(figsize=(10, 8))
    for row in range(20):
        figure.text(0.02, row / 20, "this bird has a long beak and a crown", color="tab:blue" if row % 2 else "black")
    figure.text(0.6, 0.5, "green", color="firebrick", weight="bold")
    grids.save(tmp_path / "words.png", figure)
    with Image.open(tmp_path / "words.png") as picture:
        colours = [colour for _, colour in picture.convert("RGB").getcolors(100_000)]
    assert any(red > 150 and green < 90 and blue < 90 for red, green, blue in colours)
