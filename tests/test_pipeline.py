"""dvc.yaml itself: which stages there are, and what each parameter reruns."""

import copy
import re
import subprocess
import zlib

import pytest
import yaml
from conftest import ROOT
from dvc.repo import Repo

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def module(stage: dict) -> str:
    return re.search(r"-m (stages\.\w+)", stage["cmd"]).group(1)


def test_dvc_yaml_can_be_read_in_one_sitting():
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 480


def test_every_stage_module_is_used():
    modules = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__", "recover"}
    studies = [yaml.safe_load((ROOT / f"studies/{name}/dvc.yaml").read_text()) for name in ("figure2", "ablations")]
    every = [*STAGES.values(), *(stage for study in studies for stage in study["stages"].values())]
    used = {module(stage).removeprefix("stages.") for stage in every}
    assert modules - used == set(), "add a stage to a dvc.yaml for these files of stages/, or remove them"
    assert used - modules == set(), "write these files of stages/, which dvc.yaml runs"


@pytest.mark.parametrize("name", [name for name in STAGES if name != "code"])
def test_every_stage_depends_on_its_own_code(name):
    own = module(STAGES[name]).removeprefix("stages.")
    assert {f"code/{own}.txt", f"code/${{item.set}}/{own}.txt"} & set(STAGES[name]["deps"])


@pytest.mark.parametrize("name", STAGES)
def test_who_loads_weights_depends_on_the_code_of_their_run(name):
    deps = STAGES[name]["deps"]
    loaded = {path.split("/")[-2] for path in deps if path.startswith("models/") and not path.endswith("_epochs")}
    loaded = {run for run in loaded if run != "${item.set}"}  # classifiers and extractor
    assert all(f"code/${{item.set}}/runs/{run}.txt" in deps for run in loaded)


def test_metrics_and_curves_are_in_git():
    for stage in STAGES.values():
        for entry in stage.get("metrics", []) + stage.get("plots", []):
            path, how = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
            assert not path.endswith((".json", ".csv")) or how["cache"] is False


MMVAE = {"train@mmvae", "train@mmvae_tight", "evaluate@mmvae", "evaluate@mmvae_tight"}
MVAE = {"train_own@mvae", "train_own@mvae_moe", "evaluate_own@mvae", "evaluate_own@mvae_moe"}
VAE = {"train@vae_grey", "train@vae_colour", "evaluate@vae_grey", "evaluate@vae_colour"}
CURVES = {"figure_curves", "figure_learning"}
EVALUATIONS = {name for name in MMVAE | MVAE | VAE if name.startswith("evaluate")}
OF_MMVAE_AND_VAE = MMVAE | VAE | {"tables", "figure4@figure0", "figure4_samples", "figure5", "compare@figure0"}
OF_MMVAE_AND_VAE |= CURVES | {"explorer"}
OF_MVAE = MVAE | {"tables", "figure4@figure0", "figure4_samples", "explorer", "compare@figure1"} | CURVES
OF_TRAINING = OF_MMVAE_AND_VAE | OF_MVAE
OF_PAIRS = {"pair_digits", "figure3"} | OF_TRAINING
OF_IMAGES = {"prepare_digits", "train_classifiers"} | OF_PAIRS
OF_CLASSIFIERS = {"train_classifiers", "tables", "figure_learning", "explorer"} | EVALUATIONS

# Exactly what each parameter of a digit set reruns, matrix items without data set and seed.
RERUN_DIGITS = {
    "data.pairings": OF_PAIRS,
    "data.images_per_digit": OF_PAIRS,
    "data.seed": OF_PAIRS,
    "data.validation_share": OF_IMAGES,
    "data.missing": OF_TRAINING,
    "data.incomplete": OF_TRAINING,
    "classifiers.updates": OF_CLASSIFIERS,
    "classifiers.channels": OF_CLASSIFIERS,
    "networks.latents": OF_TRAINING,
    "networks.grey.hidden": OF_TRAINING,
    "networks.colour.channels": OF_TRAINING,
    **{f"networks.{kind}.{k}": OF_TRAINING for kind in ("grey", "colour") for k in ("likelihood", "likelihood_scale")},
    "train.epochs": OF_TRAINING,
    "train.pairs_per_epoch": OF_TRAINING,
    "train.batch_size": OF_TRAINING,
    "train.learning_rate": OF_TRAINING,
    "particles": OF_MMVAE_AND_VAE,
    "evaluate.joint_samples": {"tables", "figure_learning"} | EVALUATIONS,
    "evaluate.likelihood_samples": {"tables", "figure_learning"} | EVALUATIONS,
    "evaluate.likelihood_pairs": {"tables", "figure_learning"} | EVALUATIONS,
}


def on(image: str, *models: str) -> set[str]:
    """What depends on the weights of these models of captions and one kind of image."""
    stages = {"tables_captions", "figure_curves_captions"}
    for model in models:
        group = {"mmvae": "captions", "mvae": "captions_own", "vae": "alone"}[model]
        stages |= {f"train_{group}@{model}@{image}", f"evaluate_{group}@{model}@{image}"}
        if model != "vae":
            stages |= {f"figures_captions@{image}", f"caption_examples@{model}@{image}"}
    return stages


ALONE = {
    "train_captions_alone@vae@captions",
    "evaluate_captions_alone@vae@captions",
    "tables_captions",
    "figure_curves_captions",
}
GROUPS = {"mmvae": "captions", "mvae": "captions_own", "vae": "alone"}
BIRD_EVALUATIONS = {f"evaluate_{GROUPS[m]}@{m}@{i}" for m in GROUPS for i in ("features", "pixels")}
BIRD_EVALUATIONS |= {"evaluate_captions_alone@vae@captions"}
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
    "data.missing": BIRDS_TRAINED,
    "data.incomplete": BIRDS_TRAINED,
    "captions.min_count": OF_CAPTIONS,
    **{f"features.{k}": OF_FEATURES for k in ("network", "weights", "layer", "preprocessing", "size")},
    **{f"features.{k}": OF_FEATURES for k in ("standardise", "seed")},
    **{f"fasttext.{k}": {"train_fasttext"} | OF_CCA for k in ("dimensions", "window", "min_count", "epochs", "seeds")},
    **{f"cca.{k}": OF_CCA for k in ("components", "ridge.image", "ridge.sentence")},
    "networks.latents": BIRDS_TRAINED,
    **{f"networks.captions.{k}": OF_WORDS for k in ("channels", "embedding", "scaling", "scored")},
    **{f"networks.features.{k}": ON_FEATURES for k in ("hidden", "likelihood_scale", "scaling")},
    **{f"networks.pixels.{k}": ON_PIXELS for k in ("channels", "likelihood_scale", "scaling")},
    "train.epochs": BIRDS_TRAINED,
    "train.pairs_per_epoch": BIRDS_TRAINED,
    "train.batch_size": BIRDS_TRAINED,
    "train.learning_rate": BIRDS_TRAINED,
    "particles": BIRDS_WITH_PARTICLES,
    "evaluate.joint_samples": {"tables_captions"} | BIRD_EVALUATIONS,
    "evaluate.bigrams": {"tables_captions"} | BIRD_EVALUATIONS | (PAGES - {"figure6"}),
}
# And those that belong to no set.
RERUN = {
    "objective": OF_MMVAE_AND_VAE | BIRDS_WITH_PARTICLES,
    "optimiser.amsgrad": OF_TRAINING | BIRDS_TRAINED,
    "optimiser.restart_after": OF_TRAINING | BIRDS_TRAINED,
    "threads": {"train_classifiers", "train_fasttext"} | OF_TRAINING | OF_FEATURES | OF_CCA | BIRDS_TRAINED,
    "download.mirror": {"download", "download_captions"} | OF_IMAGES | OF_PHOTOGRAPHS,
}
SHAPE_THE_MATRIX = {"digit_sets", "caption_sets", "seeds", "caption_images"}
RERUN_NAMED = RERUN_DIGITS | {f"networks.text.{k}": OF_TRAINING for k in ("channels", "scaling")}
SETS = dict.fromkeys(("digits", "mnist_svhn"), RERUN_DIGITS)
SETS |= dict.fromkeys(("digits_text", "mnist_svhn_text"), RERUN_NAMED)
SETS |= dict.fromkeys(("birds", "cub"), RERUN_CAPTIONS)
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


OF_RUNS = ("runs", "caption_runs")


def test_every_leaf_parameter_is_accounted_for():
    for name, table in SETS.items():
        assert {short(path) for path in leaves(PARAMS) if set_of(path) == name} == set(table)
    others = {short(path) for path in leaves(PARAMS) if set_of(path) is None and path[0] not in OF_RUNS}
    assert others == set(RERUN) | SHAPE_THE_MATRIX


@pytest.fixture(scope="module")
def graph():
    with Repo(str(ROOT)) as repo:
        yield repo.index.graph


def label(stage) -> str:
    """train@mmvae of train@digits-mmvae-0."""
    name, _, item = stage.addressing.split(":")[-1].partition("@")
    parts = [part for part in item.split("-") if part not in SETS and not part.isdigit()]
    return "@".join([name, *filter(None, parts)])


def reruns(graph, path: tuple) -> set[str]:
    """What follows a change of a parameter. What follows `code` does not count: its files change with code alone."""
    keys = {".".join(path[: i + 1]) for i in range(len(path))}
    changed = {stage for stage in graph if any(keys & set(dep.params) for dep in getattr(stage, "params", []))}
    changed = waiting = [stage for stage in changed if label(stage) != "code"]
    found = set(changed)
    while waiting:
        followers = set(graph.predecessors(waiting.pop())) - found
        found |= followers
        waiting += followers
    return {label(stage) for stage in found}


OF_NO_RUN = [p for p in leaves(PARAMS) if p[0] not in OF_RUNS and set_of(p) in (None, *EMBEDDED)]


@pytest.mark.parametrize("path", [p for p in OF_NO_RUN if short(p) not in SHAPE_THE_MATRIX])
def test_what_a_parameter_reruns(graph, path):
    assert reruns(graph, path) == expected(path)


@pytest.mark.parametrize(
    ("run", "follows"),
    [
        ("runs.shared_objective.mmvae", {"train@mmvae", "evaluate@mmvae", "figure4@figure0", "compare@figure0"}),
        ("runs.shared_objective.vae_grey", {"train@vae_grey", "evaluate@vae_grey"}),
        ("runs.own_objective.mvae_moe", {"train_own@mvae_moe", "evaluate_own@mvae_moe", "compare@figure1"}),
    ],
)
def test_an_option_of_a_run_trains_that_run_alone(graph, run, follows):
    of_mmvae = {"figure4_samples", "figure5", "explorer"} if run.endswith(".mmvae") else set()
    assert reruns(graph, (*run.split("."), "model")) == follows | of_mmvae | CURVES | {"tables"}


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


def test_new_results_add_less_than_a_megabyte_to_git():
    """All that the pipelines write into git, as git compresses it, if every byte of it is another."""
    lists = ["dvc.lock", "metrics", "plots"]
    where = [f"{folder}{name}" for folder in ("", "studies/figure2/", "studies/ablations/") for name in lists]
    names = subprocess.run(["git", "ls-files", *where], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(names.split()) > 20
    assert sum(len(zlib.compress((ROOT / name).read_bytes())) for name in names.split()) < 1_000_000
