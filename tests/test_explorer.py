"""The explorer's page computes what torch computes, by itself."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from toys import toy_model, toy_pairs, untrained_classifiers, write_digit_noise

from mmvae import explore
from mmvae.evaluation import classifiers
from mmvae.explorer import graph
from mmvae.files import FileError
from mmvae.model import save

FORWARD = ROOT / "mmvae/explorer/forward.js"
CARRY_OUT = """
const { networks, constants } = JSON.parse(require("fs").readFileSync(0)), unpacked = unpack(constants);
const made = networks.map(([network, input]) => forward(network, unpacked, input).map((values) => Array.from(values)));
console.log(JSON.stringify(made));
"""
PIXEL = 1 / 255  # a step of a pixel; weights of the page are float16
DIGITS = {"handwritten": "grey", "plates": "colour"}
MODELS = ("mmvae", "dmvae")  # Laplace experts, and Gaussian ones with private latents


def carried_out(networks: list, constants: graph.Constants) -> list[list[np.ndarray]]:
    """What node makes of inputs by forward.js."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node, which runs the page's JavaScript outside a browser, is not installed")
    given = json.dumps({"networks": networks, "constants": constants.as_dict()})
    command = [node, "-e", FORWARD.read_text(encoding="utf-8") + CARRY_OUT]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [[np.array(values) for values in outputs] for outputs in json.loads(done.stdout)]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_page_makes_of_codes_and_images_what_torch_makes(name):
    model, x = toy_model(name).eval().requires_grad_(False), toy_pairs(1).batch(slice(0, 1))
    constants, networks, expected = graph.Constants(), [], []
    z = model.draw(1, torch.Generator().manual_seed(0))
    made = explore.networks(model, {at: tuple(values.shape[1:]) for at, values in x.items()}, constants)
    for at, values in x.items():
        networks += [(made["encode"][at], values.flatten().tolist()), (made["decode"][at], z.flatten().tolist())]
        experts = model.posterior({at: values}).experts
        expected += [(experts.loc[0], experts.scale[0]), (model.decode(at, z),)]
    for found, right in zip(carried_out(networks, constants), expected, strict=True):
        for values, own in zip(found, right, strict=True):
            np.testing.assert_allclose(values, own.numpy().ravel(), atol=PIXEL, rtol=PIXEL)


def test_batch_normalisation_and_pooling():
    model = classifiers.build("strong", (3, 32, 32), 8).requires_grad_(False)
    model(torch.rand(64, 3, 32, 32))  # in training: moves the statistics
    x, constants = torch.rand(1, 3, 32, 32), graph.Constants()
    network = graph.steps(explore.Map(model.eval(), lambda x: (model(x).softmax(-1),)), (3, 32, 32), constants)
    [[found]] = carried_out([(network, x.flatten().tolist())], constants)
    np.testing.assert_allclose(found, model(x).softmax(-1).numpy()[0], atol=PIXEL)


def test_what_the_page_cannot_carry_out_is_named():
    with pytest.raises(graph.UnknownOperation, match=r"^sin is not among what"):
        graph.steps(explore.Map(torch.nn.Identity(), lambda x: (x.sin(),)), (3,), graph.Constants())
    grouped = torch.nn.Conv2d(2, 2, 3, groups=2)
    with pytest.raises(graph.UnknownOperation, match=r"^convolution with groups 2 is not"):
        graph.steps(explore.Map(grouped, lambda x: (grouped(x),)), (2, 5, 5), graph.Constants())


def test_every_operation_is_in_both_files():
    named = FORWARD.read_text(encoding="utf-8").partition("const OPERATIONS = {")[2].partition("\n};")[0]
    assert set(re.findall(r"^  (\w+)[:,]", named, re.MULTILINE)) == {"same", *graph.OPERATIONS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Noise, untrained models and classifiers."""
    made = write_digit_noise(tmp_path_factory.mktemp("explorer"))
    classifiers.save(made / "models/digits/classifiers.safetensors", untrained_classifiers("digits"), 8)
    for run in ("mmvae", "mvae"):
        save(made / f"models/digits/{run}/0.safetensors", toy_model(run, DIGITS))
    save(made / "models/digits/vae_plates/0.safetensors", toy_model("vae", {"plates": "colour"}, latents=1))
    save(made / "models/digits/autoencoder/0.safetensors", toy_model("bimodal_autoencoder", DIGITS))
    return made


def test_a_run_that_has_no_posterior_or_is_not_there(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(FileError, match=r"^autoencoder has no prior and posteriors"):
        explore.load("digits", "autoencoder", 0)
    with pytest.raises(FileError, match="models/digits/nothing/0"):
        explore.load("digits", "nothing", 0)


@pytest.mark.parametrize(
    ("given", "says"),
    [("birds mmvae_pixels", "has captions"), ("digits mmvae --to models", "models cannot be written")],
)
def test_what_cannot_be_shown_or_written_is_one_line(given, says, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(explore, "page", lambda *_: "")
    monkeypatch.setattr(sys, "argv", ["explore", *given.split(), "--no-browser"])
    with pytest.raises(SystemExit, match=says):
        explore.main()


@pytest.mark.slow
def test_the_page_in_a_browser(browser, folder, monkeypatch):
    """The picture of the first image's mean code is torch's; nothing is fetched; a pen and a slider move all runs."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["explore", "digits", "mmvae", "mvae", "vae_plates", "--no-browser"])
    explore.main()
    path, requests, errors = folder / "explorer.html", [], []
    picture = (
        "i => Array.from(document.querySelectorAll('figure canvas')[i].getContext('2d').getImageData(0,0,32,32).data)"
    )
    tab = browser.new_page(viewport={"width": 375, "height": 800})
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text))
    tab.goto(path.as_uri())
    for i, run in enumerate(("mmvae", "mvae")):
        model = explore.load("digits", run, 0)
        first = json.loads(tab.locator("#data").text_content())["shown"][0]
        pairs = explore.LabelledPairs("digits", torch.device("cpu"))
        values = pairs.first_pass("test")[0]["handwritten"][first : first + 1]
        expected = model.decode("plates", model.mean({"handwritten": values})).numpy()[0]
        found = np.array(tab.evaluate(picture, 2 * i + 1)).reshape(32, 32, 4)[..., :3].transpose(2, 0, 1) / 255
        assert np.abs(found - expected).max() < 2 * PIXEL  # the weights' rounding, and the pixel's
    codes = [tab.locator("section").nth(i).locator("output") for i in range(2)]
    before = [one.all_text_contents() for one in codes]
    tab.locator(".pen").click(position={"x": 80, "y": 60})
    tab.wait_for_timeout(200)
    drawn = [one.all_text_contents() for one in codes]
    tab.locator(".sliders input").first.focus()
    for _ in range(9):
        tab.keyboard.press("ArrowRight")
    after = [one.all_text_contents() for one in codes]
    assert tab.locator("section").nth(2).locator(".note").text_content().startswith("takes no handwritten")
    for one in range(2):
        assert before[one] != drawn[one]
        assert float(after[one][0]) == pytest.approx(float(after[0][0]), abs=0.01)
        assert after[one][1:] == drawn[one][1:]
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    assert requests == [path.as_uri()]
    assert errors == []
