"""dvc.yaml itself: what each stage lists is exactly what it imports, reads and uses."""

import copy
import csv
import re
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from dvc.repo import Repo
from imports import closure

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
CONSTANT = "data/params_checked.txt"


def module(stage: dict) -> str:
    return re.search(r"-m (stages\.\w+)", stage["cmd"]).group(1)


def paths(entries: list) -> list[str]:
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_exactly_the_modules_imported(name):
    stage = STAGES[name]
    listed = {path for path in stage["deps"] if path.endswith(".py")}
    assert listed == closure(module(stage))


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check_params"])
def test_every_stage_waits_for_the_check(name):
    assert CONSTANT in STAGES[name]["deps"]


def test_every_stage_module_is_used():
    modules = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__", "inputs", "runs"}
    assert modules == {module(stage).removeprefix("stages.") for stage in STAGES.values()}


def test_metrics_and_plots_are_in_git():
    for stage in STAGES.values():
        for entry in stage.get("metrics", []) + stage.get("plots", []):
            assert next(iter(entry.values()))["cache"] is False


MMVAE = {"train_mmvae@loose", "train_mmvae@tight", "evaluate@mmvae_loose", "evaluate@mmvae_tight"}
MVAE = {"train_mvae@poe", "train_mvae@moe", "evaluate@mvae_poe", "evaluate@mvae_moe"}
VAE = {"train_vae@grey", "train_vae@colour", "evaluate@vae_grey", "evaluate@vae_colour"}
EVALUATIONS = {name for name in MMVAE | MVAE | VAE if name.startswith("evaluate")}
OF_MMVAE_AND_VAE = MMVAE | VAE | {"tables", "figure4", "figure4_samples", "figure5", "figure8", "figure_curves"}
OF_MVAE = MVAE | {"tables", "figure4", "figure4_samples", "figure9", "figure_curves"}
OF_TRAINING = OF_MMVAE_AND_VAE | OF_MVAE
OF_PAIRS = {"pair_digits", "figure3"} | OF_TRAINING
OF_IMAGES = {"prepare_digits", "train_classifiers"} | OF_PAIRS

# Exactly what each parameter reruns, matrix items without data set and seed.
RERUN = {
    "objective": OF_MMVAE_AND_VAE,
    "download.mirror": {"download"} | OF_IMAGES,
    "data.pairings": OF_PAIRS,
    "data.images_per_digit": OF_PAIRS,
    "data.seed": OF_PAIRS,
    "data.validation_share": OF_IMAGES,
    "classifiers.updates": {"train_classifiers", "tables"} | EVALUATIONS,
    "networks.latents": OF_TRAINING,
    "networks.hidden": OF_TRAINING,
    "networks.channels": OF_TRAINING,
    "networks.likelihood_scale": OF_TRAINING,
    "train.epochs": OF_TRAINING,
    "train.pairs_per_epoch": OF_TRAINING,
    "train.batch_size": OF_TRAINING,
    "train.learning_rate": OF_TRAINING,
    "train.particles": OF_MMVAE_AND_VAE,
    "mvae.likelihood": OF_MVAE,
    "mvae.annealing_share": OF_MVAE,
    "evaluate.joint_samples": {"tables"} | EVALUATIONS,
    "evaluate.likelihood_samples": {"tables"} | EVALUATIONS,
    "evaluate.likelihood_pairs": {"tables"} | EVALUATIONS,
    "seeds": {"tables"},
}
SHAPE_THE_MATRIX = {"digit_sets", "caption_sets"}  # and seeds, which tables reads as well


def leaves(content, at=()):
    if isinstance(content, dict):
        for key, value in content.items():
            yield from leaves(value, (*at, key))
    else:
        yield at


def short(path: tuple) -> str:
    return ".".join(part for part in path if part not in ("digits", "mnist_svhn"))


def test_every_leaf_parameter_is_accounted_for():
    assert {short(path) for path in leaves(PARAMS)} == set(RERUN) | SHAPE_THE_MATRIX


@pytest.fixture(scope="module")
def graph():
    with Repo(str(ROOT)) as repo:
        yield repo.index.graph


def label(stage) -> str:
    """train_mmvae@loose of train_mmvae@digits-loose-0."""
    name, _, item = stage.addressing.split(":")[-1].partition("@")
    parts = [part for part in item.split("-") if part not in PARAMS["digit_sets"] and not part.isdigit()]
    return "@".join([name, *parts])


@pytest.mark.parametrize(
    "path", [p for p in leaves(PARAMS) if "mnist_svhn" not in p and short(p) not in SHAPE_THE_MATRIX]
)
def test_what_a_parameter_reruns(graph, path):
    key = ".".join(path)
    changed = {stage for stage in graph if any(key in dep.params for dep in getattr(stage, "params", []))}
    waiting = list(changed)
    while waiting:
        followers = set(graph.predecessors(waiting.pop())) - changed
        changed |= followers
        waiting += followers
    assert {label(stage) for stage in changed} == RERUN[short(path)]


def test_runs_of_the_same_name_everywhere():
    from mmvae import config

    assert tuple(STAGES["evaluate"]["matrix"]["run"]) == config.RUNS
    trained = {
        re.sub(r"\$\{item\.\w+\}", value, Path(paths(stage["outs"])[0]).parent.name)
        for stage in (STAGES[name] for name in ("train_mmvae", "train_mvae", "train_vae"))
        for key, values in stage["matrix"].items()
        if isinstance(values, list)
        for value in values
    }
    assert trained == set(config.RUNS)


def test_plot_columns_exist():
    for stage in STAGES.values():
        for entry in stage.get("plots", []):
            path, options = next(iter(entry.items()))
            if "y" not in options:
                continue
            files = sorted(ROOT.glob(re.sub(r"\$\{[^}]+\}", "*", path)))
            if not files:
                pytest.skip("no training curve has been committed yet")
            for file in files:
                with file.open() as opened:
                    assert {options["x"], options["y"]} <= set(next(csv.reader(opened)))


def test_the_committed_results_are_of_the_committed_parameters():
    """Parameters in dvc.lock equal params.yaml; the CI's dry run checks the rest."""
    lock = ROOT / "dvc.lock"
    if not lock.exists():
        pytest.skip("nothing has been run yet")
    content = copy.deepcopy(PARAMS)
    for name, stage in yaml.safe_load(lock.read_text())["stages"].items():
        for key, value in stage.get("params", {}).get("params.yaml", {}).items():
            expected = content
            for part in key.split("."):
                expected = expected[part]
            assert value == expected, f"{name}: {key}"
