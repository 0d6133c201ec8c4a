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
    modules = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__", "inputs", "runs", "recover"}
    assert modules == {module(stage).removeprefix("stages.") for stage in STAGES.values()}


def test_metrics_and_plots_are_in_git():
    for stage in STAGES.values():
        for entry in stage.get("metrics", []) + stage.get("plots", []):
            assert next(iter(entry.values()))["cache"] is False


MMVAE = {"train_mmvae@loose", "train_mmvae@tight", "evaluate@mmvae_loose", "evaluate@mmvae_tight"}
MVAE = {"train_mvae@poe", "train_mvae@moe", "evaluate@mvae_poe", "evaluate@mvae_moe"}
VAE = {"train_vae@grey", "train_vae@colour", "evaluate@vae_grey", "evaluate@vae_colour"}
CURVES = {"figure_curves", "figure_learning"}
EVALUATIONS = {name for name in MMVAE | MVAE | VAE if name.startswith("evaluate")}
OF_MMVAE_AND_VAE = MMVAE | VAE | {"tables", "figure4", "figure4_samples", "figure5", "figure8"} | CURVES
OF_MVAE = MVAE | {"tables", "figure4", "figure4_samples", "figure9"} | CURVES
OF_TRAINING = OF_MMVAE_AND_VAE | OF_MVAE
OF_PAIRS = {"pair_digits", "figure3"} | OF_TRAINING
OF_IMAGES = {"prepare_digits", "train_classifiers"} | OF_PAIRS

# Exactly what each parameter of a digit set reruns, matrix items without data set and seed.
RERUN_DIGITS = {
    "data.pairings": OF_PAIRS,
    "data.images_per_digit": OF_PAIRS,
    "data.seed": OF_PAIRS,
    "data.validation_share": OF_IMAGES,
    "classifiers.updates": {"train_classifiers", "tables", "figure_learning"} | EVALUATIONS,
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
    "evaluate.joint_samples": {"tables", "figure_learning"} | EVALUATIONS,
    "evaluate.likelihood_samples": {"tables", "figure_learning"} | EVALUATIONS,
    "evaluate.likelihood_pairs": {"tables", "figure_learning"} | EVALUATIONS,
}


def on(image: str, *models: str) -> set[str]:
    """What depends on the weights of these models of captions and one kind of image."""
    stages = {"tables_captions", "figure_curves_captions"}
    for model in models:
        trained = f"train_vae_images@{image}" if model == "vae" else f"train_{model}_captions@{image}"
        stages |= {trained, f"evaluate_captions@{model}@{image}"}
        if model != "vae":
            stages |= {f"figures_captions@{image}", f"caption_examples@{model}@{image}"}
    return stages


ALONE = {"train_vae_captions", "evaluate_vae_captions", "tables_captions", "figure_curves_captions"}
BIRD_EVALUATIONS = {f"evaluate_captions@{m}@{i}" for m in ("mmvae", "mvae", "vae") for i in ("features", "pixels")}
BIRD_EVALUATIONS |= {"evaluate_vae_captions"}
PAGES = {"figures_captions@features", "figures_captions@pixels", "figure6"}
PAGES |= {f"caption_examples@{m}@{i}" for m in ("mmvae", "mvae") for i in ("features", "pixels")}
OF_CCA = {"fit_cca", "tables_captions"} | BIRD_EVALUATIONS
OF_WORDS = ALONE | on("features", "mmvae", "mvae") | on("pixels", "mmvae", "mvae")
ON_FEATURES, ON_PIXELS = on("features", "mmvae", "mvae", "vae"), on("pixels", "mmvae", "mvae", "vae")
BIRDS_TRAINED = ALONE | ON_FEATURES | ON_PIXELS
BIRDS_WITH_PARTICLES = ALONE | on("features", "mmvae", "vae") | on("pixels", "mmvae", "vae")
OF_FEATURES = {"extract_features"} | OF_CCA | ON_FEATURES | (PAGES - {"figure6"})
OF_CAPTIONS = {"prepare_captions", "train_fasttext"} | OF_CCA | OF_WORDS | PAGES
OF_PHOTOGRAPHS = {"prepare_images"} | OF_FEATURES | OF_CAPTIONS | ON_PIXELS

# Exactly what each parameter of a caption set reruns.
RERUN_CAPTIONS = {
    "data.validation_share": OF_PHOTOGRAPHS,
    "captions.min_count": OF_CAPTIONS,
    **{f"features.{k}": OF_FEATURES for k in ("weights", "layer", "preprocessing", "size", "standardise", "seed")},
    **{f"fasttext.{k}": {"train_fasttext"} | OF_CCA for k in ("dimensions", "window", "min_count", "epochs", "seeds")},
    "cca.components": OF_CCA,
    "networks.latents": BIRDS_TRAINED,
    **{f"networks.captions.{k}": OF_WORDS for k in ("channels", "embedding", "scaling", "scored")},
    **{f"networks.features.{k}": ON_FEATURES for k in ("hidden", "likelihood_scale", "scaling")},
    **{f"networks.pixels.{k}": ON_PIXELS for k in ("channels", "likelihood_scale", "scaling")},
    "train.epochs": BIRDS_TRAINED,
    "train.pairs_per_epoch": BIRDS_TRAINED,
    "train.batch_size": BIRDS_TRAINED,
    "train.learning_rate": BIRDS_TRAINED,
    "train.particles": BIRDS_WITH_PARTICLES,
    "mvae.annealing_share": on("features", "mvae") | on("pixels", "mvae"),
    "evaluate.joint_samples": {"tables_captions"} | BIRD_EVALUATIONS,
}
# And those that belong to no set.
RERUN = {
    "objective": OF_MMVAE_AND_VAE | BIRDS_WITH_PARTICLES,
    "optimiser.amsgrad": OF_TRAINING | BIRDS_TRAINED,
    "optimiser.restart_after": OF_TRAINING | BIRDS_TRAINED,
    "download.mirror": {"download", "download_captions"} | OF_IMAGES | OF_PHOTOGRAPHS,
    "seeds": {"tables", "tables_captions"},
    "caption_images": {"tables_captions", "figure_curves_captions"},
}
SHAPE_THE_MATRIX = {"digit_sets", "caption_sets"}  # as seeds and caption_images do, which tables read as well
SETS = {"digits": RERUN_DIGITS, "mnist_svhn": RERUN_DIGITS, "birds": RERUN_CAPTIONS, "cub": RERUN_CAPTIONS}
EMBEDDED = ("digits", "birds")


def leaves(content, at=()):
    if isinstance(content, dict):
        for key, value in content.items():
            yield from leaves(value, (*at, key))
    else:
        yield at


def set_of(path: tuple) -> str | None:
    return next((part for part in path if part in SETS), None)


def short(path: tuple) -> str:
    return ".".join(part for part in path if part not in SETS)


def expected(path: tuple) -> set[str]:
    return (SETS[set_of(path)] if set_of(path) else RERUN)[short(path)]


def test_every_leaf_parameter_is_accounted_for():
    for name, table in SETS.items():
        assert {short(path) for path in leaves(PARAMS) if set_of(path) == name} == set(table)
    assert {short(path) for path in leaves(PARAMS) if set_of(path) is None} == set(RERUN) | SHAPE_THE_MATRIX


@pytest.fixture(scope="module")
def graph():
    with Repo(str(ROOT)) as repo:
        yield repo.index.graph


def label(stage) -> str:
    """train_mmvae@loose of train_mmvae@digits-loose-0."""
    name, _, item = stage.addressing.split(":")[-1].partition("@")
    parts = [part for part in item.split("-") if part not in SETS and not part.isdigit()]
    return "@".join([name, *parts])


@pytest.mark.parametrize(
    "path", [p for p in leaves(PARAMS) if set_of(p) in (None, *EMBEDDED) and short(p) not in SHAPE_THE_MATRIX]
)
def test_what_a_parameter_reruns(graph, path):
    keys = {".".join(path[: i + 1]) for i in range(len(path))}
    changed = {stage for stage in graph if any(keys & set(dep.params) for dep in getattr(stage, "params", []))}
    waiting = list(changed)
    while waiting:
        followers = set(graph.predecessors(waiting.pop())) - changed
        changed |= followers
        waiting += followers
    assert {label(stage) for stage in changed} == expected(path)


def trained_by(*names: str) -> set[str]:
    """The runs whose weights these stages write."""
    runs = set()
    for stage in (STAGES[name] for name in names):
        run = Path(paths(stage["outs"])[0]).parent.name
        choices = [(k, v) for k, v in stage["matrix"].items() if k != "set" and "${item." + k + "}" in run]
        runs |= {run} if not choices else set()
        for key, values in choices:
            values = PARAMS["caption_images"] if values == "${caption_images}" else values
            runs |= {run.replace("${item." + key + "}", value) for value in values}
    return runs


def test_runs_of_the_same_name_everywhere():
    from mmvae import config

    assert tuple(STAGES["evaluate"]["matrix"]["run"]) == config.RUNS
    assert trained_by("train_mmvae", "train_mvae", "train_vae") == set(config.RUNS)
    captioned = trained_by("train_mmvae_captions", "train_mvae_captions", "train_vae_images", "train_vae_captions")
    assert captioned == set(config.caption_runs(tuple(PARAMS["caption_images"])))


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
            committed = content
            for part in key.split("."):
                committed = committed[part]
            assert value == committed, f"{name}: {key}"
