"""What studies/estimators measures: its runs as data, and how numbers get from a folder into the study's files."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from mmvae import files, registry, runs, schema
from mmvae.closure import closure
from mmvae.evaluation.measured import Measured, table
from studies.estimators import collect, page
from studies.estimators.rows import SET

FOLDER = ROOT / "studies/estimators"
STUDY = yaml.safe_load((FOLDER / "params.yaml").read_text())
PARAMS = schema.load(FOLDER / "measure/params.yaml")
RUNS = runs.of_set(PARAMS, SET)
STAGES = yaml.safe_load((FOLDER / "measure/dvc.yaml").read_text())["stages"]
ORIGINS = json.loads((FOLDER / "origins.json").read_text())["runs"]


def test_every_run_is_trained_from_one_seed():
    assert list(STUDY["trained"]) == list(RUNS)
    assert {*STUDY["gradients"], *STUDY["tails"], *STUDY["moments"]} <= {
        name for name, seed in STUDY["trained"].items() if seed == 0
    }


@pytest.mark.parametrize("name", ORIGINS)
def test_a_run_is_what_its_origin_says(name):
    """What was measured before there were such parameters, with those that it had then."""
    run, about = RUNS[name], ORIGINS[name]
    budget = run.train(PARAMS)
    assert about["pairs"] == budget["epochs"] * budget["pairs_per_epoch"]
    assert about["particles"] == (run.particles(PARAMS) or 1)
    assert about["seed"] == STUDY["trained"][name]
    assert about.get("restarted_after_pairs", 0) == budget["restart_after"] * budget["pairs_per_epoch"]
    said = dict(setting.strip("'").split("=") for setting in about["settings"])
    assert said.get("optimiser.amsgrad", "True") == str(budget["amsgrad"])
    likelihoods = {(of["likelihood"], of["likelihood_scale"]) for of in run.networks(PARAMS).values()}
    scale = float(said.get("networks.mnist_svhn.likelihood_scale", 0.75))
    assert likelihoods == {(said.get("mvae.mnist_svhn.likelihood", "laplace"), scale)}
    model, way = re.fullmatch(r"evaluate@mnist_svhn-(\w+?)_(\w+)-\d", about["target"]).groups()
    assert (run.entry.model, run.entry.objective) == (model, None if model == "mvae" else said.get("objective", "iwae"))
    options = run.entry.kinds if model == "vae" else run.entry.options.values()
    assert way in options


def test_a_stage_depends_on_the_code_that_it_runs():
    """`code` names every module of the study that a stage runs; each stage depends on its hash."""
    assert STAGES["code"]["always_changed"]
    named = STAGES["code"]["cmd"].split()[3:]
    for name, stage in STAGES.items():
        stage = stage.get("do", stage)
        module = stage["cmd"].split()[2]
        if name != "code":
            own = module.startswith("studies.")
            assert not own or module in named
            assert f"code/{module if own else module.replace('stages.', 'mnist_svhn/')}.txt" in stage["deps"]
    assert FOLDER / "rows.py" in closure("studies.estimators.gradients").values()


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A folder in which two runs were evaluated, and what `collect` gathers there."""
    monkeypatch.chdir(tmp_path)
    prepared, pairs = {}, {}
    for split in ("train", "validation", "test"):
        pairs[f"{split}/first_pass"] = np.int64(20)
        for name, kind in registry.find("datasets", SET).MODALITIES.items():
            prepared[f"{name}/{split}/values"] = np.zeros((20, *registry.find("kinds", kind).SHAPE), np.uint8)
            prepared[f"{name}/{split}/labels"] = np.arange(20, dtype=np.uint8) % 10
            pairs[f"{split}/{name}"] = np.arange(40, dtype=np.int32) % 20
    files.write_arrays(f"data/prepared/{SET}.npz", prepared)
    files.write_arrays(f"data/pairs/{SET}.npz", pairs)
    files.write_table(f"data/evaluations/{SET}/classifiers_0.csv", table({"accuracy": {"strong": {"svhn": 0.5}}}))
    for name, seed in (("iwae", 0), ("dreg_iwae_seed_1", 1)):
        curve = [{"epoch": i, "pairs": 100 * i, "bound_train": -i} for i in (1, 2, 3)]
        files.write_csv(f"plots/{SET}/curves/{name}_{seed}.csv", curve)
        learned = {"joint": 0.25, "mnist_to_svhn": 0.5, "latent_accuracy_svhn": 0.75, "entropy_mnist": 2.0}
        learning = [{"epoch": i, "pairs": 100 * i} | learned for i in (1, 2, 3)]
        files.write_csv(f"plots/{SET}/learning/{name}_{seed}.csv", learning)
        ends = {"coherence": {"strong": {"joint": Measured(0.3, 0.01)}}}
        files.write_table(f"data/evaluations/{SET}/{name}_{seed}.csv", table(ends))
    files.write_table("data/measured/moments_iwae.csv", collect.rows({"moments": {"a": 1.5}}, "iwae", 0, 300))
    collect.gather(PARAMS, STUDY)
    return tmp_path


def test_rows_are_called_as_in_the_study(measured):
    found = page.Run("iwae", pd.read_csv("measured.csv").query("run == 'iwae'"))
    assert found.pairs == 300
    assert found.series("curve.bound_train") == [-1, -2, -3]
    joint = found.series("coherence.strong.joint")
    assert joint == [0.25, 0.25, 0.3]
    draws = PARAMS["evaluate"][SET]["joint_samples"] / 5
    assert [value.error for value in joint] == pytest.approx([(0.1875 / draws) ** 0.5] * 2 + [0.01], rel=1e-5)
    assert found("coherence.strong.cross.mnist_to_svhn", 100).error == pytest.approx((0.25 / 20) ** 0.5, rel=1e-5)
    assert found("latent_accuracy.single.svhn.samples", 200) == 0.75
    assert found("coherence.strong.entropy.mnist", 200).error is None
    assert found("moments.a") == 1.5
    of_real = set(pd.read_csv(FOLDER / "measured.csv").query("run == 'iwae'")["metric"])
    assert {metric for metric, *_ in found.values} - of_real == {"moments.a"}


def test_rows_take_the_place_of_their_runs_alone(measured):
    study = measured / "study"
    study.mkdir()
    for name in ("measured.csv", "first_updates.csv", "origins.json"):
        shutil.copy(FOLDER / name, study)
    gathered, real = (json.loads((folder / "origins.json").read_text()) for folder in (measured, study))
    with pytest.raises(files.FileError, match=r"does not belong to .*: data has \{'training_pairs': 40,"):
        collect.merge(measured, study)
    files.write_json("origins.json", gathered | {"data": real["data"]})
    collect.merge(measured, study)
    old, new = (pd.read_csv(folder / "measured.csv") for folder in (FOLDER, study))
    kept = old[~old["run"].isin(["iwae", "dreg_iwae_seed_1", "classifiers"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(new[: len(kept)], kept)
    gathered = pd.read_csv("measured.csv")
    pd.testing.assert_frame_equal(new[len(kept) :].reset_index(drop=True), gathered)
    assert (study / "first_updates.csv").read_bytes() == (FOLDER / "first_updates.csv").read_bytes()
    origins = json.loads((study / "origins.json").read_text())
    assert origins["runs"]["iwae"]["command"] == "cd studies/estimators/measure && dvc repro evaluate@iwae"
    assert origins["runs"]["iwae"]["settings"] == ["model=mmvae", "objective=iwae", "particles=10", "bound=loose"]
    assert origins["runs"]["iwae"]["pairs"] == 300
    assert origins["runs"]["elbo"] == real["runs"]["elbo"]
