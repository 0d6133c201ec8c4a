"""A data set of four modalities, two of images and two of words, goes through every stage of the pipeline."""

import json
import sys
from itertools import combinations
from types import ModuleType

import numpy as np
import pytest
import yaml
from conftest import ROOT
from toys import SMALL, WORDS, toy_values

from mmvae import model, params, registry, report
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import classifiers
from mmvae.evaluation.labelled import digit_test
from mmvae.figures import curves
from mmvae.files import read_arrays, read_csv, read_table
from stages import (
    evaluate,
    evaluate_system,
    figure_curves,
    figure_generation,
    figure_learning,
    figure_pairs,
    figure_samples,
    figure_traversals,
    pair_digits,
    prepare_digits,
    tables,
    train,
    train_classifiers,
    tune,
)

MODALITIES = {"a": "grey", "b": "colour", "c": "captions", "d": "text"}
RUNS = ("mmvae", "mvae", "vae_a", "vae_c", "a_and_c")
IMAGES = ("a", "b")
JUDGED = ("a", "b", "d")
OTHERS = {"a": "b_c_d", "b": "a_c_d", "c": "a_b_d", "d": "a_b_c"}
SOME = {"_".join(some) for size in (2, 3) for some in combinations(MODALITIES, size)}


def read_raw(_):
    rng, parts = np.random.default_rng(0), {}
    for name, kind in MODALITIES.items():
        counts = {"train": 100, "test": 40}.items()
        parts[name] = {part: (toy_values(kind, n, rng), np.arange(n, dtype=np.uint8) % 10) for part, n in counts}
    return parts


def write_params(folder):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section in ("data", "classifiers", "networks", "train", "particles", "evaluate"):
        params[section]["toy"] = params[section].pop("digits")
    params["digit_sets"] = ["toy"]
    params["data"]["toy"] |= {"pairings": 2, "validation_share": 0.3}
    params["classifiers"]["toy"] = {"updates": 2, "channels": 4}
    params["networks"]["toy"] = {"latents": 4, "grey": {"hidden": 16}, "colour": {"channels": 4}}
    params["networks"]["toy"]["captions"] = {"channels": 4, "embedding": SMALL["embedding"], "scaling": 1.0}
    params["networks"]["toy"]["text"] = {"channels": 4, "scaling": 1.0}
    params["train"]["toy"] |= {"epochs": 2, "pairs_per_epoch": 32, "batch_size": 16}
    params["evaluate"]["toy"] = {"joint_samples": 20, "likelihood_samples": 6, "likelihood_pairs": 8}
    params["runs"]["own_objective"] = {"mvae": {"model": "mvae"}}
    params["runs"]["shared_objective"] = {"mmvae": {"model": "mmvae"}} | {
        name: {"model": "vae", "kinds": kinds}
        for name, kinds in {"vae_a": ["grey"], "vae_c": ["captions"], "a_and_c": ["grey", "captions"]}.items()
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder in which every stage has run."""
    with pytest.MonkeyPatch.context() as patch:
        toy = ModuleType("mmvae.datasets.toy")
        vars(toy).update(FAMILY="digits", MODALITIES=MODALITIES, VOCABULARY=WORDS, write_raw=None, read_raw=read_raw)
        names = registry.names
        patch.setitem(sys.modules, toy.__name__, toy)
        patch.setattr(registry, "names", lambda folder: names(folder) + ["toy"] * (folder == "datasets"))
        folder = tmp_path_factory.mktemp("four")
        patch.chdir(folder)
        patch.setattr(classifiers, "BATCH", 8)
        write_params(folder)

        def run(stage, **options):
            given = [f"--{name}={value}" for name, value in ({"set": "toy"} | options).items()]
            patch.setattr(sys, "argv", [stage.__name__, *given])
            stage.main()

        for stage in (prepare_digits, pair_digits, train_classifiers, figure_pairs):
            run(stage)
        for name in RUNS:
            run(train, run=name, seed=0)
            run(evaluate, run=name, seed=0)
        run(tables)
        run(figure_curves, seed=0)
        run(figure_learning, seed=0)
        for stage in (figure_generation, figure_samples):
            run(stage, figure="figure4", left="mmvae", right="mvae", seed=0)
        run(figure_traversals, run="mmvae", seed=0)
        yield folder


def measured(project, run):
    """Metric -> value."""
    every = read_table(project / "metrics/toy.csv").query("run == @run")
    return dict(zip(every["metric"], every["value"], strict=True))


def of(metrics, prefix):
    """The metrics below a prefix, without it."""
    return {key.removeprefix(prefix) for key in metrics if key.startswith(prefix)}


def test_all_are_paired_by_their_digits(project):
    prepared, pairs = read_arrays(project / "data/prepared/toy.npz"), read_arrays(project / "data/pairs/toy.npz")
    for split in ("train", "validation", "test"):
        digits = [prepared[f"{name}/{split}/labels"][pairs[f"{split}/{name}"]] for name in MODALITIES]
        for others in digits[1:]:
            np.testing.assert_array_equal(digits[0], others)
        assert set(digits[0]) == set(range(10))


@pytest.mark.parametrize("run", ["mmvae", "mvae"])
def test_every_metric_is_of_all(project, run):
    metrics = measured(project, run)
    for judge in ("strong", "lenet"):
        of_judge = of(metrics, f"coherence.{judge}.")
        crosses = {f"cross.{one}_to_{other}" for one in MODALITIES for other in JUDGED if one != other}
        single = {f"{kind}.{name}" for kind in ("reconstruction", "from_both", "from_others") for name in JUDGED}
        entropies = {f"entropy.{name}" for name in JUDGED}
        assert of_judge == {"joint", "joint_by_chance"} | crosses | single | entropies
    latents = {f"{m}.{kind}" for m in MODALITIES for kind in ("samples", "means")}
    for views in ("single", "both_to_single", "others"):
        assert of(metrics, f"latent_accuracy.{views}.") == latents
    likelihoods = {f"from_{one}.{other}" for one in MODALITIES for other in MODALITIES}
    likelihoods |= {f"{kind}.{m}" for kind in ("from_both", "from_both_equal_budget") for m in MODALITIES}
    likelihoods |= {f"conditional.{m}_given_{others}" for m, others in OTHERS.items()}
    likelihoods |= {f"subset.{some}" for some in SOME}
    assert of(metrics, "likelihood.") == {"joint", "joint_scaled", "synergy"} | likelihoods
    assert all(np.isfinite(value) for value in metrics.values())


def test_what_is_not_there_is_not_measured(project):
    words, both = measured(project, "vae_c"), measured(project, "a_and_c")
    assert not of(words, "coherence."), "no classifier reads captions"
    assert of(words, "likelihood.") == {"from_c.c"}
    judged = {"cross.c_to_a", "reconstruction.a", "from_both.a", "entropy.a"}
    assert of(both, "coherence.strong.") == judged, "one kind of image agrees with nothing"


def test_tuning_judges_a_run_by_what_it_sees(project):
    test = digit_test(LabelledPairs("toy", "cpu"), ["a", "c"], params.load(), 0, "validation", strong=True)
    judged = tune.across(model.load("models/toy/a_and_c/0.safetensors"), test)
    assert set(judged) == {"cross", "error"} and 0 <= judged["cross"] <= 1


def test_every_number_is_in_the_tables(project, capsys, monkeypatch):
    cells = json.loads((project / "metrics/toy.json").read_text())
    assert set(cells) == {"latent_accuracy", "coherence", "log_likelihood"}
    for run in ("mmvae", "mvae"):
        assert set(cells["latent_accuracy"][run]) == {*MODALITIES, "both"}
        assert set(cells["coherence"][run]) == {
            "joint",
            *(f"{one}_to_{other}" for one in MODALITIES for other in JUDGED if one != other),
            *(f"others_to_{name}" for name in JUDGED),
        }
        assert set(cells["log_likelihood"][run]) == {
            *("joint", "synergy"),
            *(f"{m}_from_both" for m in MODALITIES),
            *(f"{m}_given_{others}" for m, others in OTHERS.items()),
        }
    every = read_table(project / "metrics/toy.csv")
    assert set(every["run"]) == {*RUNS, "classifiers"}
    monkeypatch.setattr(sys, "argv", ["report", "toy"])
    report.main()
    printed = capsys.readouterr().out
    for run in RUNS:
        assert f"| {run} " in printed
    for column in (
        "c to a",
        "others to b",
        "c given a_b_d",
        "c from a",
        "both, tested on c",
        "strong, b",
        "joint, a_c",
        "all but d",
    ):
        assert f"| {column} " in printed
    assert "nan" not in printed


def test_curves_and_learning_have_all_runs_and_modalities(project):
    read = {run: read_csv(project / f"plots/toy/curves/{run}_0.csv") for run in RUNS}
    figure = curves.training_curves(read, "title")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(RUNS)
    assert {f"{kind}_{m}" for kind in ("kl", "entropy", "share") for m in MODALITIES} - set(read["mmvae"][0]) == set()
    grown = {run: read_csv(project / f"plots/toy/learning/{run}_0.csv") for run in RUNS}
    assert {"joint", "c_to_a", "c_to_b", "latent_accuracy_c", "entropy_b"} <= set(grown["mmvae"][0])
    assert "c_to_a" in grown["a_and_c"][0]
    assert [text.get_text() for text in curves.learning_curves(grown, "title").legends[0].get_texts()] == list(RUNS)


def test_every_figure_is_there(project):
    drawn = {str(path.relative_to(project / "plots/toy")) for path in (project / "plots/toy").rglob("*.png")}
    assert drawn == {
        *("curves.png", "learning.png", "figure3_pairs.png"),
        *(f"figure4_{what}.png" for what in ("prior_means", "prior_samples", "cross")),
        *(f"figure5/{what}.png" for what in ("divergences", *(f"traversal_{name}" for name in JUDGED))),
    }


@pytest.mark.parametrize("run", ["mmvae", "a_and_c"])
def test_figure_2_measures_modalities_of_any_kind(project, run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["evaluate_system", "--set=toy", f"--run={run}", "--seed=0"])
    evaluate_system.main()
    table = read_table(project / f"data/evaluations/toy/{run}_0.csv")
    metrics = dict(zip(table["metric"], table["value"], strict=True))
    names = [name for name in MODALITIES if run == "mmvae" or name in "ac"]
    images = [name for name in IMAGES if name in names]
    ways = {f"{one}_to_{other}" for one in names for other in names if one != other}
    assert of(metrics, "transfer.") == ways | set(names)
    assert of(metrics, "means.") == {way for way in ways if way[-1] in JUDGED}
    assert of(metrics, "cross_error.") == {f"{one}_to_{image}" for one in names for image in images}
    assert of(metrics, "synergy.") == {f"probe.{name}" for name in names} | {
        f"image.{name}" for name in JUDGED if name in names
    }
    assert of(metrics, "frechet.prior.") == of(metrics, "style.brightness.") == set(images)
    assert all(np.isfinite(value) for value in metrics.values())
