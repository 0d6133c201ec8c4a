"""The tables as Markdown, from their JSON: `python -m mmvae.report`, or of other sets, `... metrics/digits`.

Shares are printed as percentages, log-likelihoods in nats, correlations as they are; +- is the standard deviation over
seeds.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from mmvae import config
from mmvae.files import read_json


def percent(leaf: dict | float) -> str:
    return _with_spread(leaf, 100, 1)


def nats(leaf: dict | float, digits: int = 1) -> str:
    return _with_spread(leaf, 1, digits)


def _with_spread(leaf: dict | float, factor: float, digits: int) -> str:
    if not isinstance(leaf, dict):
        return f"{factor * leaf:.{digits}f}"
    spread = "" if leaf["std"] is None else f" +- {factor * leaf['std']:.{digits}f}"
    return f"{factor * leaf['mean']:.{digits}f}{spread}"


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def table1(t: dict) -> str:
    """Latent accuracy on posterior samples."""
    rows = [
        [
            name,
            percent(t["mmvae"][name]["samples"]),
            percent(t["mvae"]["single"][name]["samples"]),
            percent(t["mvae"]["both"]["samples"]),
            percent(t["mvae"]["both_to_single"][name]["samples"]),
            percent(t["vae"][name]["samples"]),
            percent(t["majority"]),
        ]
        for name in t["mmvae"]
    ]
    return markdown(["", "MMVAE", "MVAE single", "MVAE both", "MVAE both, tested on single", "VAE", "majority"], rows)


def table2(t: dict, runs: tuple[str, ...] = ("mmvae", "mvae", "mvae_moe")) -> str:
    """Joint (and by chance) and cross coherence under the strong classifiers, LeNets in brackets; entropy of draws."""
    directions = list(t["mmvae"]["cross"])
    names = list(t["mmvae"]["entropy"])
    rows = []
    for run in runs:
        row = t[run]
        cells = [f"{percent(row['joint'])} ({percent(row['lenet']['joint'])})", percent(row["joint_by_chance"])]
        cells += [f"{percent(row['cross'][d])} ({percent(row['lenet']['cross'][d])})" for d in directions]
        cells += [nats(row["entropy"][name], 2) for name in names]
        rows.append([run, *cells])
    rows.append(["always the commonest digit", "", "", *[percent(t["majority"])] * len(directions), *[""] * len(names)])
    caps = ["classifiers' accuracy", "", ""]
    caps += [f"{percent(t['classifiers']['strong'][n])} ({percent(t['classifiers']['lenet'][n])})" for n in names[::-1]]
    rows.append([*caps, *[""] * len(names)])
    header = ["", "joint", "by chance", *(d.replace("_to_", " to ") for d in directions)]
    header += [f"entropy, {n}" for n in names]
    return markdown(header, rows)


def table3(t: dict) -> str:
    """Log-likelihoods; the columns are estimators."""
    names = [key.removeprefix("from_") for key in t["vae"]]
    rows = []
    for run in ("mmvae", "mvae"):
        for m, n in (names, names[::-1]):
            row = t[run]
            rows.append(
                [
                    f"{run}, m = {m}",
                    nats(row["joint"]),
                    nats(row["joint_scaled"]),
                    nats(row["from_both"][m]),
                    nats(row[f"from_{m}"][m]),
                    nats(row[f"from_{n}"][m]),
                    nats(row["conditional"][f"{m}_given_{n}"]),
                    f"{nats(row['synergy'], 2)} (se {row['synergy']['standard_error']:.2f})",
                ]
            )
    rows += [[f"vae, m = {m}", "", "", "", nats(t["vae"][f"from_{m}"][m]), "", "", ""] for m in names]
    header = ["", "joint", "joint, scaled", "m from both", "m from m", "m from n", "m given n", "synergy"]
    return markdown(header, rows)


def table5(t: dict) -> str:
    """Loose against tight bound, strong classifiers."""
    directions = list(t["loose"]["cross"])
    rows = [[b, percent(t[b]["joint"]), *(percent(t[b]["cross"][d]) for d in directions)] for b in ("loose", "tight")]
    return markdown(["bound", "joint", *(d.replace("_to_", " to ") for d in directions)], rows)


CORRELATED = ("joint", "image_to_sentence", "sentence_to_image", "both")


def table4(t: dict) -> str:
    """Correlation of images and sentences (standard error over images in brackets), for each kind of image.

    Plain average of word vectors, CCA of unit variance. The floor pairs captions with other images.
    """
    sections = {"": t} | {key: t[key] for key in ("features", "pixels") if key in t}
    rows = []
    for image, section in sections.items():
        for model in ("mmvae", "mvae"):
            row = section[model]
            leaves = {"joint": row["joint"], "both": row["both"]} | row["cross"]
            rows.append([f"{model} {image}".strip(), *(correlation(leaves[key]) for key in CORRELATED)])
        ends = [f"ground truth {correlation(section['ground_truth'])}, floor {correlation(section['floor'])}"]
        rows.append([f"data {image}".strip(), *ends, "", "", ""])
    return markdown(["", "joint", "image to sentence", "sentence to image", "from both"], rows)


def correlation(leaf: dict) -> str:
    return f"{_with_spread(leaf, 1, 3)} ({leaf['standard_error']:.3f})"


def variants(t: dict) -> str:
    """Table 4 under every kind of sentence vector and scaling of CCA, on the first kind of image."""
    rows = []
    for name, section in ({"average_unit_variance": t} | t["variants"]).items():
        for model in ("mmvae", "mvae"):
            row = section[model]
            leaves = {"joint": row["joint"], "both": row["both"]} | row["cross"]
            rows.append([f"{model}, {name}", *(_with_spread(leaves[key], 1, 3) for key in CORRELATED)])
        ends = (_with_spread(section[key], 1, 3) for key in ("ground_truth", "floor"))
        rows.append(
            [
                f"data, {name}",
                *(f"{name} {value}" for name, value in zip(("truth", "floor"), ends, strict=True)),
                "",
                "",
            ]
        )
    return markdown(["", "joint", "image to sentence", "sentence to image", "from both"], rows)


QUALITY = {"bleu": 2, "distinct_2": 3, "distinct_captions": 2, "length": 1, "repeats": 2}


def captions(t: dict) -> str:
    """Captions made: BLEU-4, distinct pairs of words, distinct captions, words, share that repeats a word at once."""
    rows = []
    for run, parts in t.items():
        for view, quality in parts.get("captions", {}).items():
            if view != "data" or run == next(iter(t)):
                cells = [
                    _with_spread(quality[key], 1, digits) if key in quality else "" for key, digits in QUALITY.items()
                ]
                rows.append(["data" if view == "data" else f"{run}, given {GIVEN.get(view, view)}", *cells])
    return markdown(["", "BLEU", "distinct pairs", "distinct captions", "words", "repeats"], rows)


GIVEN = {"joint": "nothing", "features": "image", "pixels": "image", "captions": "caption"}


def attributes(t: dict) -> str:
    """Attributes that agree, percent, by chance in brackets. `probes`: how well images' attributes can be read."""
    parts = {run: parts["attributes"] for run, parts in t.items() if "attributes" in parts}
    columns = list(dict.fromkeys(key for values in parts.values() for key in values))
    rows = [
        [run, *(f"{percent(v[key]['accuracy'])} ({percent(v[key]['chance'])})" if key in v else "" for key in columns)]
        for run, v in parts.items()
    ]
    return markdown(["", *(name.replace("_", " ") for name in columns)], rows)


RENDERERS = {
    "table1": ("Table 1", table1),
    "table2": ("Table 2", table2),
    "table3": ("Table 3", table3),
    "table4": ("Table 4", table4),
    "table5": ("Table 5", table5),
}


def report(folder: Path) -> str:
    """All tables of one data set."""
    parts = [f"Data set: {folder.name}"]
    for name, (title, render) in RENDERERS.items():
        if (folder / f"{name}.json").exists():
            parts.append(_section(title, render, read_json(folder / f"{name}.json")))
    if (folder / "captions.json").exists():
        table = read_json(folder / "captions.json")
        parts.append(_section("Variants", variants, read_json(folder / "table4.json")))
        parts.append(_section("Captions", captions, table))
        if any("attributes" in row for row in table.values()):
            parts.append(_section("Attributes", attributes, table))
    return "\n\n".join(parts)


def _section(title: str, render: Callable[[dict], str], table: dict) -> str:
    return f"{title}. {inspect.cleandoc(render.__doc__)}\n\n{render(table)}"


def main() -> None:
    folders = [Path(folder) for folder in sys.argv[1:]]
    if not folders:
        params = config.load()
        folders = [Path("metrics") / name for name in (*params.digit_sets, *params.caption_sets)]
    for folder in folders:
        if not any((folder / f"{name}.json").exists() for name in RENDERERS):
            sys.exit(f"{folder} has no tables; run dvc repro, or name the folder of a data set")
    print("\n\n".join(map(report, folders)))


if __name__ == "__main__":
    main()
