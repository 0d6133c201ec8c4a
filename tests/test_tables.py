"""Tables over seeds."""

import numpy as np
import pytest

from mmvae import report, tables


def test_summaries_over_seeds():
    summary = tables.over_seeds({0: {"joint": 0.2, "n": {"a": 1}}, 3: {"joint": 0.4, "n": {"a": 3}}})
    assert summary["joint"] == {
        "mean": pytest.approx(0.3),
        "std": pytest.approx(np.std([0.2, 0.4], ddof=1)),
        "seeds": {"0": 0.2, "3": 0.4},
    }
    assert summary["n"]["a"]["mean"] == 2


def test_one_seed_has_no_deviation_and_errors_are_kept():
    summary = tables.over_seeds({0: {"joint": {"mean": -3.0, "standard_error": 0.5}}})["joint"]
    assert summary == {"mean": -3.0, "std": None, "seeds": {"0": -3.0}, "standard_error": 0.5}


def rates(value, names=("mnist", "svhn")):
    part = {"reconstruction": dict.fromkeys(names, value), "entropy": dict.fromkeys(names, 2.0)}
    if len(names) > 1:
        cross = {"mnist_to_svhn": value, "svhn_to_mnist": value}
        part |= {"joint": value, "joint_by_chance": 0.1, "cross": cross, "from_both": dict.fromkeys(names, value)}
    return part


def evaluation(value, names=("mnist", "svhn")):
    accuracy = {"majority": 0.2, "single": {name: {"samples": value, "means": value} for name in names}}
    if len(names) > 1:
        accuracy |= {"both": {"samples": value, "means": value}, "both_to_single": accuracy["single"]}
    return {
        "latent_accuracy": accuracy,
        "coherence": {kind: rates(value, names) for kind in ("strong", "lenet")},
        "likelihood": {f"from_{name}": {name: {"mean": -value, "standard_error": 0.1}} for name in names},
        "test_pairs": {"all": 10, "likelihood": 5},
    }


@pytest.fixture
def evaluations():
    runs = {"mmvae_loose": 0.8, "mmvae_tight": 0.6, "mvae_poe": 0.3, "mvae_moe": 0.4}
    result = {run: {seed: evaluation(value + seed / 100) for seed in (0, 1)} for run, value in runs.items()}
    result |= {
        f"vae_{k}": {s: evaluation(0.5, (m,)) for s in (0, 1)} for k, m in (("grey", "mnist"), ("colour", "svhn"))
    }
    return result


CLASSIFIERS = {kind: {"mnist": 0.99, "svhn": 0.9} for kind in ("strong", "lenet")}


def test_the_keys_that_users_read(evaluations):
    table1 = tables.table1(evaluations)
    assert table1["majority"] == 0.2
    assert table1["mmvae"]["svhn"]["samples"]["mean"] == pytest.approx(0.805)
    assert table1["mvae"]["both_to_single"]["mnist"]["means"]["mean"] == pytest.approx(0.305)
    assert set(table1["vae"]) == {"mnist", "svhn"}
    table2 = tables.table2(evaluations, CLASSIFIERS)
    assert table2["mmvae"]["joint"]["mean"] == pytest.approx(0.805)
    assert table2["mvae"]["cross"]["mnist_to_svhn"]["seeds"] == {"0": 0.3, "1": 0.31}
    assert table2["mmvae"]["lenet"]["cross"]["svhn_to_mnist"]["std"] > 0
    assert table2["mmvae"]["joint_by_chance"]["mean"] == pytest.approx(0.1)
    assert table2["classifiers"]["strong"]["svhn"] == 0.9
    table3 = tables.table3(evaluations)
    assert table3["vae"]["from_svhn"]["svhn"]["standard_error"] == pytest.approx(0.1)
    assert table3["test_pairs"] == 5
    table5 = tables.table5(evaluations)
    assert table5["tight"]["joint"]["mean"] == pytest.approx(0.605)


def test_the_report_prints_what_the_tables_hold():
    summary = {"mean": 0.4556, "std": 0.0123}
    assert report.percent(summary) == "45.6 +- 1.2"
    assert report.percent({"mean": 0.5, "std": None}) == "50.0"
    assert report.nats({"mean": -1.234, "std": None}, 2) == "-1.23"
    loose = {"joint": summary, "cross": {"mnist_to_svhn": {"mean": 0.7, "std": None}}}
    assert report.table5({"loose": loose, "tight": loose}).splitlines()[2] == "| loose | 45.6 +- 1.2 | 70.0 |"


def captioned(value, keys, seeds=(0, 1)):
    """Evaluations of a run, by seed, whose measurements are near `value`, the pairs' floor 0.1 and ceiling 0.9."""

    def leaf(number, seed):
        return {"mean": number, "standard_error": 0.01, "fasttext": {"0": number, "5": number + 0.02 + seed / 100}}

    return {
        seed: {
            "correlation": {
                sentences: {
                    scaling: {key: leaf(value + seed / 10, seed) for key in keys}
                    | {"ground_truth": leaf(0.9, seed), "floor": leaf(0.1, seed)}
                    for scaling in ("unit_variance", "released")
                }
                for sentences in ("average", "sif")
            },
            "captions": {"data": {"length": 7.0}},
            "test": {"pairs": 30, "images": 3, "joint_samples": 5},
        }
        for seed in seeds
    }


CROSS = ("joint", "image_to_sentence", "sentence_to_image", "both", "image_reconstruction", "caption_reconstruction")


@pytest.fixture
def captioned_evaluations():
    runs = {f"mmvae_{image}": captioned(v, CROSS) for image, v in (("features", 0.5), ("pixels", 0.3))}
    runs |= {f"mvae_{image}": captioned(0.2, CROSS) for image in ("features", "pixels")}
    runs |= {f"vae_{image}": captioned(0.7, CROSS[4:5]) for image in ("features", "pixels")}
    return runs | {"vae_captions": captioned(0.8, CROSS[5:])}


def test_table4(captioned_evaluations):
    table = tables.table4(captioned_evaluations, ("features", "pixels"))
    assert table["ground_truth"]["mean"] == 0.9
    assert table["floor"]["mean"] == 0.1
    assert table["mmvae"]["joint"]["mean"] == pytest.approx(0.55)
    assert table["mmvae"]["joint"]["std"] == pytest.approx(np.std([0.5, 0.6], ddof=1))
    assert table["mmvae"]["joint"]["standard_error"] == pytest.approx(0.01)
    # Under the second FastText seed 0.02 and 0.03 higher: on average 0.025.
    assert table["mmvae"]["joint"]["fasttext_std"] == pytest.approx(np.std([0, 0.025], ddof=1))
    assert set(table["mvae"]["cross"]) == {"image_to_sentence", "sentence_to_image"}
    assert table["pixels"]["mmvae"]["cross"]["image_to_sentence"]["seeds"] == {"0": 0.3, "1": pytest.approx(0.4)}
    assert set(table["vae"]) == set(table["vae_captions"]) == {"reconstruction"}
    assert "vae_captions" not in table["pixels"]  # it was judged by the features of photographs
    assert set(table["variants"]) == {"average_released", "sif_unit_variance", "sif_released"}
    assert table["variants"]["sif_released"]["pixels"]["mvae"]["both"]["mean"] == pytest.approx(0.25)
    assert table["test"]["images"] == 3


def test_table4_of_pixels_alone(captioned_evaluations):
    table = tables.table4(captioned_evaluations, ("pixels",))
    assert table["mmvae"]["joint"]["mean"] == pytest.approx(0.35)
    assert "pixels" not in table
    assert "features" not in table


def test_captions_of_every_run(captioned_evaluations):
    del captioned_evaluations["vae_pixels"][0]["captions"], captioned_evaluations["vae_pixels"][1]["captions"]
    table = tables.captions(captioned_evaluations)
    assert table["mmvae_features"]["captions"]["data"]["length"]["mean"] == 7
    assert table["vae_pixels"] == {}
