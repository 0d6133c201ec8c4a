"""Tables 1, 2, 3 and 5 as Markdown, from their JSON: `python -m mmvae.report metrics/digits`.

Shares are printed as percentages, log-likelihoods in nats; +- is the standard deviation over seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

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
            percent(share),
        ]
        for name, share in t["majority"].items()
    ]
    return markdown(["", "MMVAE", "MVAE single", "MVAE both", "MVAE both, tested on single", "VAE", "majority"], rows)


def table2(t: dict, runs: tuple[str, ...] = ("mmvae", "mvae", "mvae_moe")) -> str:
    """Joint and cross coherence under the strong classifiers, LeNets in brackets, entropy of prior draws."""
    directions = list(t["mmvae"]["cross"])
    names = list(t["majority"])
    rows = []
    for run in runs:
        row = t[run]
        cells = [f"{percent(row['joint'])} ({percent(row['lenet']['joint'])})"]
        cells += [f"{percent(row['cross'][d])} ({percent(row['lenet']['cross'][d])})" for d in directions]
        cells += [nats(row["entropy"][name], 2) for name in names]
        rows.append([run, *cells])
    caps = ["classifiers' accuracy", ""]
    caps += [f"{percent(t['classifiers']['strong'][n])} ({percent(t['classifiers']['lenet'][n])})" for n in names[::-1]]
    rows.append([*caps, *[""] * len(names)])
    header = ["", "joint", *(d.replace("_to_", " to ") for d in directions), *(f"entropy, {n}" for n in names)]
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


def report(folder: Path) -> str:
    """All tables of one data set."""
    parts = [f"Data set: {folder.name}"]
    for number, render in ((1, table1), (2, table2), (3, table3), (5, table5)):
        parts.append(f"Table {number}. {render.__doc__}\n\n{render(read_json(folder / f'table{number}.json'))}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    print("\n\n".join(report(Path(folder)) for folder in sys.argv[1:] or ["metrics/digits"]))
