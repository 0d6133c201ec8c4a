"""The paper's tables of one digit data set, assembled from the evaluations of its runs. No torch.

Every leaf is a summary over seeds: `mean`, `std` (null for one seed) and the value of each seed. Percentages are
shares between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mmvae.config import FEATURES

Evaluations = dict[str, dict[int, dict]]  # run -> seed -> evaluation


def summarise(by_seed: dict[int, float]) -> dict:
    """Mean and sample standard deviation over seeds, and each seed's value."""
    values = pd.Series(by_seed, dtype=float)
    std = None if len(values) < 2 else float(values.std())
    return {"mean": float(values.mean()), "std": std, "seeds": {str(seed): float(v) for seed, v in values.items()}}


def over_seeds(by_seed: dict[int, dict]) -> dict:
    """The same nested dictionary for every seed, its numbers replaced by summaries.

    A measurement with its own `standard_error` over test pairs keeps it, averaged over seeds.
    """
    first = next(iter(by_seed.values()))
    if isinstance(first, int | float):
        return summarise(by_seed)
    if set(first) == {"mean", "standard_error"}:
        errors = [value["standard_error"] for value in by_seed.values()]
        return summarise({s: v["mean"] for s, v in by_seed.items()}) | {"standard_error": sum(errors) / len(errors)}
    return {key: over_seeds({seed: value[key] for seed, value in by_seed.items()}) for key in first}


def _pick(evaluations: Evaluations, run: str, *path: str) -> dict:
    """One part of a run's evaluations, summarised over seeds."""
    parts = {}
    for seed, part in evaluations[run].items():
        for key in path:
            part = part[key]
        parts[seed] = part
    return over_seeds(parts)


def _vaes(evaluations: Evaluations) -> list[str]:
    return [run for run in evaluations if run.startswith("vae_")]


def _merge(parts: Iterable[dict]) -> dict:
    """Nested dictionaries joined key by key."""
    result: dict = {}
    for part in parts:
        for key, value in part.items():
            nested = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = _merge([result[key], value]) if nested else value
    return result


def _majority(evaluations: Evaluations) -> float:
    """What always answering the commonest digit gives; the same for every run and seed, since all share the pairs."""
    return _first(evaluations["mmvae_loose"])["latent_accuracy"]["majority"]


def table1(evaluations: Evaluations) -> dict:
    """Digit accuracy of a linear classifier on latents, on posterior samples (as the paper) and on means."""
    mmvae = _pick(evaluations, "mmvae_loose", "latent_accuracy")
    mvae = _pick(evaluations, "mvae_poe", "latent_accuracy")
    return {
        "mmvae": mmvae["single"],
        "mvae": {key: mvae[key] for key in ("single", "both", "both_to_single")},
        "vae": _merge(_pick(evaluations, run, "latent_accuracy", "single") for run in _vaes(evaluations)),
        "majority": _majority(evaluations),
    }


def _coherence(evaluations: Evaluations, run: str) -> dict:
    """Under the strong classifiers at the top, under the paper's LeNets below `lenet`."""
    return _pick(evaluations, run, "coherence", "strong") | {"lenet": _pick(evaluations, run, "coherence", "lenet")}


def table2(evaluations: Evaluations, classifiers: dict) -> dict:
    """Share of matching digits in joint and cross generation, with what caps it and what chance gives."""
    return {
        "mmvae": _coherence(evaluations, "mmvae_loose"),
        "mvae": _coherence(evaluations, "mvae_poe"),
        "mvae_moe": _coherence(evaluations, "mvae_moe"),
        "vae": _merge(_coherence(evaluations, run) for run in _vaes(evaluations)),
        "classifiers": {kind: classifiers[kind] for kind in ("strong", "lenet")},
        "majority": _majority(evaluations),
    }


def table3(evaluations: Evaluations) -> dict:
    """Log-likelihoods in nats a pair, each estimator by name, and the test of synergy."""
    rows = {"mmvae": "mmvae_loose", "mvae": "mvae_poe"}
    table = {name: _pick(evaluations, run, "likelihood") for name, run in rows.items()}
    table["vae"] = _merge(_pick(evaluations, run, "likelihood") for run in _vaes(evaluations))
    for name, run in rows.items():
        accuracy = _pick(evaluations, run, "latent_accuracy")
        coherence = _pick(evaluations, run, "coherence", "strong")
        table[name]["both_against_one"] = {
            "latent_accuracy": {"both": accuracy["both"]["samples"]}
            | {modality: kinds["samples"] for modality, kinds in accuracy["single"].items()},
            "reconstruction_from_both": coherence["from_both"],
            "reconstruction_from_one": coherence["reconstruction"],
        }
    return table | {"test_pairs": _first(evaluations["mmvae_loose"])["test_pairs"]["likelihood"]}


def table5(evaluations: Evaluations) -> dict:
    """Joint and cross generation of MMVAE under the loose and the tight bound."""
    runs = {"loose": "mmvae_loose", "tight": "mmvae_tight"}
    table = {name: _coherence(evaluations, run) for name, run in runs.items()}
    return {name: {key: row[key] for key in ("joint", "cross", "entropy", "lenet")} for name, row in table.items()}


SENTENCES, SCALING = "average", "unit_variance"  # Table 4's: the paper's sentence vectors, CCA as it is defined
PARTS = {  # of a model's row -> as evaluations call them
    "joint": ("joint",),
    "cross": ("image_to_sentence", "sentence_to_image"),
    "reconstruction": ("image_reconstruction", "caption_reconstruction"),
    "both": ("both",),
}


def table4(evaluations: Evaluations, images: tuple[str, ...]) -> dict:
    """Correlations of images and captions (eq. 4); runs are named '<model>_<image>', and 'vae_captions'.

    `images`: the kinds of image, of which the first is at the top; another has a section of its own, laid out alike,
    and so have, below `variants`, the other sentence vectors and scalings of CCA.
    """
    first, *others = images
    measured = _first(evaluations[f"mmvae_{first}"])

    def section(sentences: str, scaling: str) -> dict:
        rows = {image: _correlations(evaluations, image, sentences, scaling) for image in images}
        return rows[first] | {image: rows[image] for image in others}

    return section(SENTENCES, SCALING) | {
        "variants": {
            f"{sentences}_{scaling}": section(sentences, scaling)
            for sentences, scalings in measured["correlation"].items()
            for scaling in scalings
            if (sentences, scaling) != (SENTENCES, SCALING)
        },
        "test": measured["test"],
    }


def _first(by_seed: dict[int, dict]) -> dict:
    return next(iter(by_seed.values()))


def _correlations(evaluations: Evaluations, image: str, sentences: str, scaling: str) -> dict:
    """The rows of one kind of image."""
    runs = {model: f"{model}_{image}" for model in ("mmvae", "mvae", "vae")}
    if image == FEATURES:  # which is what a model of captions alone is judged by
        runs |= {"vae_captions": "vae_captions"}
    found = {
        name: over_fasttext({s: e["correlation"][sentences][scaling] for s, e in evaluations[run].items()})
        for name, run in runs.items()
    }
    table = {key: found["mmvae"][key] for key in ("ground_truth", "floor")}
    for name, values in found.items():
        row = {part: {key: values[key] for key in keys if key in values} for part, keys in PARTS.items()}
        table[name] = {part: row[part].get(part, row[part]) for part in row if row[part]}
    return table


def over_fasttext(by_seed: dict[int, dict]) -> dict:
    """Correlations summarised over seeds; `fasttext_std` is their spread over the seeds of the word vectors."""
    table = {}
    for key in _first(by_seed):
        leaves = {seed: values[key] for seed, values in by_seed.items()}
        words = pd.DataFrame({seed: leaf["fasttext"] for seed, leaf in leaves.items()}).mean(axis=1)
        errors = [leaf["standard_error"] for leaf in leaves.values()]
        table[key] = summarise({seed: leaf["mean"] for seed, leaf in leaves.items()}) | {
            "standard_error": sum(errors) / len(errors),
            "fasttext_std": None if len(words) < 2 else float(words.std()),
        }
    return table


def captions(evaluations: Evaluations) -> dict:
    """Quality of the captions of every run that makes some, and the attributes that are right, where known."""
    return {
        run: {part: _pick(evaluations, run, part) for part in ("captions", "attributes") if part in _first(by_seed)}
        for run, by_seed in evaluations.items()
    }
