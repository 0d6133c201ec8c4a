"""The stages of studies/figure2, on noise, and its pipeline."""

import json
import shutil
import sys

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from toys import untrained_classifiers, write_digit_noise

from mmvae import params, runs, systems
from mmvae.evaluation import classifiers
from mmvae.figures.confusion import confusions
from mmvae.files import read_table
from mmvae.training.run import train_run
from stages import evaluate_system, figure_confusion, figure_system_images, figure_systems, gather_tuning, tune

STUDY = ROOT / "studies" / "figure2"
KEPT = {
    "shared_objective": ("mmvae", "vae_grey", "vae_colour"),
    "own_objective": ("mmvae_plus", "jmvae", "mopoe", "dmvae", "cvae", "sba_labels", "dann_grey", "unit", "rbm"),
}
EVERY = [*(run for group in KEPT.values() for run in group if not run.startswith("vae")), *runs.COMPOSED]
LACKING = {  # a criterion -> the systems that have no such map
    "factorisation": ("cvae", "late_fusion"),
    "joint": ("cvae", "dann_grey"),
    "cross": ("dann_grey",),
    "synergy": ("dann_grey",),
}


def call(monkeypatch, stage, **options):
    given = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    monkeypatch.setattr(sys, "argv", [stage.__name__, *given])
    stage.main()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The study's parameters with few runs, on noise, trained for moments."""
    made = write_digit_noise(tmp_path_factory.mktemp("figure2") / "noise")
    content, noise = (yaml.safe_load((at / "params.yaml").read_text()) for at in (STUDY, made))
    for section in ("train", "particles", "networks", "evaluate"):
        content[section] = noise[section] | {"mnist_svhn": content[section]["mnist_svhn"]}
    content |= {"seeds": [0], "runs": {g: {n: content["runs"][g][n] for n in names} for g, names in KEPT.items()}}
    for run in (run for of in content["runs"].values() for run in of.values() if "train" in run):
        run["train"]["pairs_per_epoch"] = 64
    content["networks"]["digits"]["grey"]["hidden"] = 64  # with fewer, a hidden layer does not vary
    content["figure2"]["tuned"] = {"own_objective": {"jmvae": {"alpha": [0.3, 3.0]}}}
    (made / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    shutil.rmtree(made / "metrics", ignore_errors=True)
    return made


def test_from_weights_to_the_figure(folder, monkeypatch):
    monkeypatch.chdir(folder)
    content = params.load()
    classifiers.save("models/digits/classifiers.safetensors", untrained_classifiers("digits"), 8)
    for name, run in runs.of_set(content, "digits").items():
        train_run(run, content, 0)
        call(monkeypatch, evaluate_system, set="digits", run=name, seed=0)
    for name in runs.COMPOSED:
        call(monkeypatch, evaluate_system, set="digits", run=name, seed=0)
    call(monkeypatch, tune, set="digits", run="jmvae")
    for stage in (gather_tuning, figure_systems):
        call(monkeypatch, stage, set="digits")
    for stage in (figure_system_images, figure_confusion):
        call(monkeypatch, stage, set="digits", seed=0)
    cells = json.loads((folder / "metrics/digits/figure2.json").read_text())
    assert {c: list(of) for c, of in cells.items()} == {c: [r for r in EVERY if r not in LACKING[c]] for c in LACKING}
    assert "joint_fitted" in cells["joint"]["sba_labels"]
    assert all(isinstance(cell["tick"], bool) for of in cells.values() for cell in of.values())
    every = read_table(folder / "metrics/digits/figure2.csv")
    numbers = every.pivot_table(index="metric", columns="run", values="value")
    assert numbers.loc["cost.parameters", "jmvae"] > numbers.loc["cost.parameters", "mmvae"]
    assert 0 <= numbers.loc["product.probe", "mopoe"] <= 1
    lacks = "joint|entropy|reconstruction|both|synergy|fitted|transfer|origin|prior"
    assert not numbers["cvae"].dropna().index.str.contains(lacks).any()
    of_runs = every[every["run"] != "classifiers"]
    marked = systems.marks(of_runs)
    assert {run for run, mark in marked.items() if "L" in mark} == {"sba_labels", "dann_grey"}
    assert {run for run, mark in marked.items() if "U" in mark} == {"dann_grey", "unit"}
    private = content["runs"]["own_objective"]["dmvae"]["private"]
    assert numbers.loc["private.latents.shared", "dmvae"] == 20 - 2 * private
    assert list(read_table(folder / "metrics/digits/tuning.csv")["value"]) == [0.3, 3.0]
    for name in ("figure2", "figure2_images", "confusion"):
        assert (folder / f"plots/digits/{name}.png").stat().st_size > 10_000


def test_the_figure_of_systems_without_pairs_may_have_none():
    assert not confusions({}, {}, "none").axes


def test_tuning_sees_no_test_image(folder, monkeypatch):
    monkeypatch.chdir(folder)
    classifiers.save("models/digits/classifiers.safetensors", untrained_classifiers("digits"), 8)
    array, asked = tune.LabelledPairs.array, []

    def guarded(self, name, key):
        asked.append(key)
        return array(self, name, key)

    monkeypatch.setattr(tune.LabelledPairs, "array", guarded)
    call(monkeypatch, tune, set="digits", run="jmvae")
    assert {part for key in asked for part in key.split("/")} & {"train", "validation", "test"} == {
        "train",
        "validation",
    }


def test_the_results_are_of_the_parameters():
    """Every run and seed is in the tables that are in git."""
    content = params.load(STUDY / "params.yaml")
    every = pd.read_csv(STUDY / "metrics" / "digits" / "figure2.csv")
    named = [*(name for group in content["runs"].values() for name in group), *content["figure2"]["composed"]]
    found = every[every["run"] != "classifiers"].groupby("run")["seed"].unique()
    assert {run: sorted(seeds) for run, seeds in found.items()} == dict.fromkeys(named, content["seeds"])


@pytest.mark.parametrize(("at", "name"), [("studies/figure2", "digits"), ("docs/results/figure2", "mnist_svhn")])
def test_the_page_shows_the_table(at, name, recorded, monkeypatch, capsys):
    monkeypatch.chdir(recorded / at)
    monkeypatch.setattr(sys, "argv", ["systems", name])
    systems.main()
    assert f"\n\n{capsys.readouterr().out}\n" in (ROOT / "docs/figure2.md").read_text()
