"""Take results of real digits from where they were computed into docs/results/, with what they were computed from.

    python -m benchmarks.results FOLDER... --out docs/results/mnist_svhn --machine "..." [--prefix OMP_NUM_THREADS=1]

Each FOLDER is a workspace of the pipeline, whose name is that of its row. Its params.yaml, data/evaluations and plots
are read, and what was measured there: benchmarks.gradients wrote gradients_<run>.json, and tails_<run>.json with
--last, benchmarks.moments moments_<run>.json, benchmarks.first_updates the folder first_updates. Every JSON file
written names the command that computes it anew, the commit, the data, the budget, the seeds and the machine; the curves
lie beside it as CSV.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mmvae.config import RUNS
from mmvae.files import Content, read_arrays, read_csv, read_json, write_json
from mmvae.tables import over_seeds

ROOT = Path(__file__).parents[1]
SET = "mnist_svhn"
MVAE = ("mvae_poe", "mvae_moe")  # trained with one particle
MIRROR = "../shared/mirror"
PAPER_PAIRS = 30 * 1_121_360  # 30 passes over 20 pairings of 56,068 images
SOURCE = (
    "the mirror's: MNIST, and SVHN's first 16,419 images of the official test split, the last 3,417 of them for "
    "testing; pairing takes as many images of MNIST"
)
MEASURED = {  # what may lie beside a run -> how it was measured
    "gradients": "gradients --batches {batches}",
    "tails": "gradients --batches {batches} --last",
    "moments": "moments",
}
OTHER_SETS = ("digits", "birds", "cub", "caption_sets", "caption_images")  # parameters that no run of digits reads


def leaves(tree: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key -> value."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{at}.{key}" if at else key)
    else:
        yield at, tree


def changes(params: dict, epochs: int, seeds: list[int]) -> list[str]:
    """What `dvc exp run -S` needs to turn the committed params.yaml into these, with so many epochs and these seeds."""
    committed = dict(leaves(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))))
    own = {"download.mirror": MIRROR, f"train.{SET}.epochs": epochs, "seeds": seeds}
    changed = {key: value for key, value in (dict(leaves(params)) | own).items() if value != committed[key]}
    relevant = {key: value for key, value in changed.items() if not set(key.split(".")) & set(OTHER_SETS)}
    return [f"{key}={_text(value)}" for key, value in relevant.items()]


def _text(value: Any) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


def command(params: dict, epochs: int, seeds: list[int], target: str, prefix: str) -> str:
    """The shell command that computes something anew: a `target` of the pipeline, or one for each seed (`{}`)."""
    settings = " ".join(f"-S {shlex.quote(change)}" for change in changes(params, epochs, seeds))
    targets = " ".join(dict.fromkeys(target.format(seed) for seed in seeds))
    return f"{prefix} dvc exp run {settings} {targets}".strip()


def origin(folder: Path, seeds: list[int], how: str, given: argparse.Namespace) -> dict:
    """What a file says of where it comes from: the command `how` computes it anew."""
    pairs = read_arrays(folder / f"data/pairs/{SET}.npz")
    return {
        "command": how,
        "seeds": seeds,
        "commit": given.commit,
        "machine": given.machine,
        "data": {
            "source": SOURCE,
            "training_pairs": len(pairs["train/mnist"]),
            "training_images_of_each": int(pairs["train/first_pass"]),
            "test_pairs": int(pairs["test/first_pass"]),
        },
    }


def budget(params: dict, about: dict, seen: int, particles: int) -> dict:
    """What was spent: `seen` pairs were trained on, with so many particles of each expert."""
    train, evaluate, data = params["train"][SET], params["evaluate"][SET], about["data"]
    restart_after = params.get("optimiser", {}).get("restart_after", 0)
    return {
        "pairs": seen,
        "updates": seen // train["batch_size"],
        "batch_size": train["batch_size"],
        "particles": particles,
        "restarted_after_pairs": restart_after * (train["pairs_per_epoch"] or data["training_pairs"]),
        "share_of_the_papers_pairs": seen / PAPER_PAIRS,
        "views_of_an_image": seen / data["training_images_of_each"],
        **{key: evaluate[key] for key in ("joint_samples", "likelihood_samples", "likelihood_pairs")},
    }


def collect(folder: Path, given: argparse.Namespace) -> None:
    """Everything that one workspace has: its runs, gradients, first updates, classifiers and figures."""
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for run in RUNS:
        collect_run(folder, params, run, given)
    if (folder / "first_updates/summary.json").exists():
        collect_first_updates(folder, params, given)
    if (judges := folder / f"metrics/{SET}/classifiers.json").exists():
        how = command(params, params["train"][SET]["epochs"], [0], f"train_classifiers@{SET}", given.prefix)
        say = origin(folder, [0], how, given) | {"budget": params["classifiers"][SET]}
        write_json(given.out / "classifiers.json", say | read_json(judges))
    for picture in (folder / f"plots/{SET}").glob("*.png"):
        copy(picture, given.out / "plots" / picture.name)


def collect_run(folder: Path, params: dict, run: str, given: argparse.Namespace) -> None:
    """One run over its seeds, and the gradients measured along it; nothing if it has not been evaluated."""
    paths = sorted((folder / f"data/evaluations/{SET}").glob(f"{run}_*.json"))
    evaluations = {int(path.stem.rpartition("_")[2]): read_json(path) for path in paths}
    if not evaluations:
        return
    row, seeds = f"{folder.name}-{run}", sorted(evaluations)
    curves = {seed: read_csv(folder / f"plots/{SET}/curves/{run}_{seed}.csv") for seed in seeds}
    epochs, seen = len(curves[seeds[0]]), int(curves[seeds[0]][-1]["pairs"])
    how = command(params, epochs, seeds, f"evaluate@{SET}-{run}-{{}}", given.prefix)
    particles = 1 if run in MVAE else params["train"][SET]["particles"]
    about = origin(folder, seeds, how, given)
    about["budget"] = budget(params, about, seen, particles)
    write_json(given.out / f"runs/{row}.json", about | measured(curves, evaluations))
    for kind in ("curves", "learning"):
        for seed in seeds:
            copy(folder / f"plots/{SET}/{kind}/{run}_{seed}.csv", given.out / f"{kind}/{row}-{seed}.csv")
    for kind, benchmark in MEASURED.items():
        if (path := folder / f"{kind}_{run}.json").exists():
            found = read_json(path)
            again = f"python -m benchmarks.{benchmark.format(**found)} --set {SET} --run {run} --out FILE"
            say = {"command": f"{how} && {again}", "seeds": seeds[:1]}
            write_json(given.out / f"{kind}/{row}.json", about | say | found)


def collect_first_updates(folder: Path, params: dict, given: argparse.Namespace) -> None:
    """What benchmarks.first_updates wrote."""
    found = read_json(folder / "first_updates/summary.json")
    seeds = [int(seed) for seed in next(iter(found["estimators"].values()))]
    how = command(params, params["train"][SET]["epochs"], seeds, f"pair_digits@{SET}", given.prefix)
    options = f"--updates {found['updates']} --seeds {' '.join(map(str, seeds))} --out FOLDER"
    how += f" && python -m benchmarks.first_updates --set {SET} {options}"
    seen = found["updates"] * found["batch_size"]
    about = origin(folder, seeds, how, given)
    about["budget"] = budget(params, about, seen, found["particles"])
    write_json(given.out / f"first_updates/{folder.name}.json", about | found)
    for path in sorted((folder / "first_updates").glob("*.csv")):
        copy(path, given.out / f"first_updates/{folder.name}/{path.name}")


def measured(curves: dict[int, list[Content]], evaluations: dict[int, Content]) -> dict:
    """The last row of the training curve and the evaluation, over seeds."""
    without = {"epoch", "pairs", "test_pairs"}  # said by `origin`
    ends = {seed: {k: v for k, v in curve[-1].items() if k not in without} for seed, curve in curves.items()}
    tested = {seed: {k: v for k, v in of.items() if k not in without} for seed, of in evaluations.items()}
    return {"curve_end": over_seeds(ends)} | over_seeds(tested)


def copy(path: Path, to: Path) -> None:
    """A file, into a folder that need not be there."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results" / SET)
    parser.add_argument("--machine", required=True)
    parser.add_argument("--prefix", default="", help="of the commands: environment variables")
    parser.add_argument("--commit", default=None, help="of the code; by default this checkout's")
    given = parser.parse_args()
    if given.commit is None:
        revision = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
        given.commit = subprocess.run(revision, check=True, capture_output=True, text=True).stdout.strip()
    for folder in given.folders:
        collect(folder, given)


if __name__ == "__main__":
    main()
