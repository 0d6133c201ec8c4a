"""Gather what was measured in a folder, and take it over into the study's numbers.

    python -m studies.estimators.collect --gather

is the last stage of measure/dvc.yaml. It writes measured.csv, first_updates.csv and origins.json of the runs that were
evaluated there. Without --gather, these three replace what the study's own files say of the same runs.
"""

import argparse
import json
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
import yaml

from mmvae import params, runs
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation.measured import Measured
from mmvae.files import FileError, read_csv, read_table, write_json, write_table
from mmvae.runs import Run
from stages import run
from studies.estimators.rows import COLUMNS, MEASURED, SET, rows

STUDY = Path(__file__).parent
TABLES = {"measured.csv": "run", "first_updates.csv": "particles"}  # file -> what its rows belong to
ORIGINS = "origins.json"
COMMAND = "cd studies/estimators/measure && dvc repro"


def along(name: str, seed: int, test_pairs: int, joint_samples: int) -> Iterator[pd.DataFrame]:
    """The rows of a run: its training curve, what grew along the training, and what was measured at its end."""
    curve, grown = (read_csv(f"plots/{SET}/{kind}/{name}_{seed}.csv") for kind in ("curves", "learning"))
    for row in curve:
        yield rows({"curve": _but_place(row)}, name, seed, row["pairs"])
    for row in grown[:-1]:  # the last is at the end, with all draws
        found = {}
        for column, value in _but_place(row).items():
            count = math.ceil(joint_samples / 5) if column == "joint" else test_pairs
            error = None if column.startswith("entropy") else math.sqrt(value * (1 - value) / count)
            found[metric_of(column)] = Measured(value, error)
        yield rows(found, name, seed, row["pairs"])
    end = read_table(f"data/evaluations/{SET}/{name}_{seed}.csv")
    yield end.assign(run=name, seed=seed, pairs=int(curve[-1]["pairs"]))[COLUMNS]
    for kind in ("moments", "gradients", "tails"):
        if (path := Path(f"{MEASURED}/{kind}_{name}.csv")).exists():
            yield read_table(path)


def _but_place(row: dict) -> dict:
    return {key: value for key, value in row.items() if key not in ("epoch", "pairs")}


def metric_of(column: str) -> str:
    """What a column of a learning curve is called at the run's end."""
    kind, _, modality = column.rpartition("_")
    if kind == "latent_accuracy":
        return f"latent_accuracy.single.{modality}.samples"
    if kind in ("reconstruction", "entropy"):
        return f"coherence.strong.{kind}.{modality}"
    return "coherence.strong.joint" if column == "joint" else f"coherence.strong.cross.{column}"


def origin(one: Run, seed: int, content: dict, pairs: int) -> dict:
    """How a run came about."""
    about = {"seed": seed, "pairs": pairs, "particles": one.particles(content) or 1}
    budget = one.train(content)
    if budget["restart_after"]:
        about["restarted_after_pairs"] = pairs // budget["epochs"] * budget["restart_after"]
    settings = pd.json_normalize(one.entry.model_dump(exclude_defaults=True)).iloc[0]
    about["settings"] = [f"{key}={value}" for key, value in settings.items()]
    return about | where(f"evaluate@{one.name}")


def where(target: str) -> dict[str, str]:
    """Command, commit and machine of what was measured here."""
    command = ["git", "-C", str(STUDY), "rev-parse", "--short=7", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    about = {"commit": commit or "unknown", "machine": f"{device}, torch {torch.__version__}"}
    return about | {"command": f"{COMMAND} {target}"}


def gather(content: dict, study: dict) -> None:
    """Write the three files of this folder."""
    pairs, evaluate = LabelledPairs(SET, torch.device("cpu")), content["evaluate"][SET]
    used = {split: len(pairs.first_pass(split)[1]) for split in ("train", "test")}
    judges = read_table(f"data/evaluations/{SET}/classifiers_0.csv").assign(run="classifiers", seed=0, pairs=0)
    parts, origins = [judges.assign(metric=judges["metric"].str.removeprefix("accuracy."))[COLUMNS]], {}
    for name, seed in study["trained"].items():
        if Path(f"data/evaluations/{SET}/{name}_{seed}.csv").exists():
            found = pd.concat(along(name, seed, used["test"], evaluate["joint_samples"]))
            origins[name] = origin(runs.find(content, SET, name), seed, content, int(found["pairs"].max()))
            parts.append(found)
    followed = [path.stem for path in sorted(Path("data/first_updates").glob("*.csv"))]
    parts += [read_table(f"{MEASURED}/first_updates_{key}.csv") for key in followed]
    several = {(kind, name): about for kind in ("gradients", "tails") for name, about in study[kind].items()}
    several |= {("moments", name): {} for name in study["moments"]}
    about = {
        "data": {
            "training_pairs": len(pairs.split("train")),
            "training_images_of_each": used["train"],
            "test_pairs": used["test"],
        },
        "budget": {"batch_size": content["train"][SET]["batch_size"]} | evaluate,
        "classifiers": content["classifiers"][SET] | where("classifiers"),
        "measurements": {
            f"{kind}.{name}": about | where(f"{kind}@{name}")
            for (kind, name), about in several.items()
            if Path(f"{MEASURED}/{kind}_{name}.csv").exists()
        }
        | {f"first_updates_{key}": study["first_updates"][key] | where(f"first_updates@{key}") for key in followed},
        "runs": origins,
    }
    updates = [read_table(f"data/first_updates/{key}.csv") for key in followed]
    for path, tables in zip(TABLES, (parts, updates), strict=True):
        if tables:
            write_table(path, pd.concat(tables))
    write_json(ORIGINS, about)


def merge(folder: Path, study: Path) -> None:
    """Replace what `study` says of the runs that were gathered in `folder`.

    Raises:
        FileError: they had other data or another budget of evaluation than the study's other runs.
    """
    new, origins = (json.loads(path.read_text()) for path in (folder / ORIGINS, study / ORIGINS))
    for section in ("data", "budget"):
        if other := {key: value for key, value in new[section].items() if origins[section][key] != value}:
            raise FileError(f"{folder / ORIGINS} does not belong to {study / ORIGINS}: {section} has {other}")
    for section in ("classifiers", "measurements", "runs"):
        origins[section].update(new[section])
    for name, key in TABLES.items():
        if (folder / name).exists():
            old, found = read_table(study / name), read_table(folder / name)
            write_table(study / name, pd.concat([old[~old[key].isin(found[key])], found]))
    write_json(study / ORIGINS, origins)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gather", action="store_true")
    if parser.parse_args().gather:
        gather(params.load(), yaml.safe_load((STUDY / "params.yaml").read_text(encoding="utf-8")))
    else:
        merge(Path(), STUDY)


if __name__ == "__main__":
    run(main)
