"""Everything worth running on a GPU, most valuable first, in pieces that go on where the last one stopped.

    python -m benchmarks.on_gpu --mirror FOLDER --out FOLDER [--minutes 9]

Run it again with the same --out until it says that nothing is left. It needs python 3.11 or newer with torch,
torchvision, numpy, scipy, pandas, scikit-learn, matplotlib, pyyaml, tqdm and safetensors; neither DVC nor a network.
FOLDER is a mirror of MNIST and SVHN as the README describes it. The state between pieces, checkpoints included, lies in
--out as files of at most 15 MB, 60 MB in all, so that it can be carried to another machine.

The paper's protocol: 30 epochs of 1.12 million pairs, K = 30, batches of 128, likelihood scale 0.75.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SET = "mnist_svhn"
DATA = ("raw", "prepared", "pairs")  # the same for every objective
PART_BYTES, STATE_BYTES = 15_000_000, 58_000_000
PAPER = {"train.pairs_per_epoch": 1_120_000}
TINY = {
    "classifiers.updates": 3,
    "train.epochs": 2,
    "train.pairs_per_epoch": 256,
    "train.particles": 3,
    "data.images_per_digit": 20,
    "data.pairings": 2,
    "evaluate.joint_samples": 50,
    "evaluate.likelihood_samples": 4,
    "evaluate.likelihood_pairs": 4,
}
RUNS = {  # run -> the stage and the arguments that train it
    "mmvae_loose": ("train_mmvae", "--bound", "loose"),
    "mmvae_tight": ("train_mmvae", "--bound", "tight"),
    "mvae_poe": ("train_mvae", "--posterior", "poe"),
    "mvae_moe": ("train_mvae", "--posterior", "moe"),
    "vae_grey": ("train_vae", "--image", "grey"),
    "vae_colour": ("train_vae", "--image", "colour"),
}
ESTIMATORS = ("dreg_iwae", "stl_iwae", "iwae", "dreg_mixture")
MAIN = "iwae"  # whose folder also has the models whose objective is not in question
VARIANTS = {  # a folder -> what its params.yaml has of its own
    "iwae": {"objective": "iwae"},
    "stl_iwae": {"objective": "stl_iwae"},
    "dreg_iwae": {"objective": "dreg_iwae"},
    "dreg_mixture": {"objective": "dreg_mixture"},
    "elbo": {"objective": "elbo", "train.particles": 1},
    "bernoulli": {"mvae.likelihood": "bernoulli"},
    "scale_0.1": {"networks.likelihood_scale": 0.1},
    "k_1": {"train.particles": 1},
    "k_5": {"train.particles": 5},
    "k_10": {"train.particles": 10},
    **{f"{objective}_adam": {"objective": objective, "optimiser.amsgrad": False} for objective in ESTIMATORS},
    **{f"{objective}_restart": {"objective": objective, "optimiser.restart_after": 1} for objective in ESTIMATORS},
}
ORDER = (  # variant, run, seed: what a reader wants to know first, then more seeds, then other parameters
    *((objective, "mmvae_loose", 0) for objective in ESTIMATORS),
    *((MAIN, run, 0) for run in ("mvae_poe", "mmvae_tight", "vae_grey", "vae_colour", "mvae_moe")),
    *((f"{objective}_restart", "mmvae_loose", 0) for objective in ESTIMATORS),
    ("elbo", "mmvae_loose", 0),
    ("bernoulli", "mvae_poe", 0),
    *((objective, "mmvae_loose", seed) for seed in (1, 2) for objective in ESTIMATORS),
    *((MAIN, run, seed) for seed in (1, 2) for run in ("mvae_poe", "mmvae_tight", "vae_grey", "vae_colour")),
    ("scale_0.1", "mmvae_loose", 0),
    *((variant, "mmvae_loose", 0) for variant in ("k_1", "k_5", "k_10")),
    *((f"{objective}_adam", "mmvae_loose", 0) for objective in ESTIMATORS),
)


@dataclass(frozen=True)
class Task:
    """A command, where it runs, and the file whose presence says that it has been done."""

    name: str
    folder: Path
    command: tuple[str, ...]
    made: Path
    keep_output: bool = False


def tasks(work: Path, tiny: bool) -> list[Task]:
    """Everything to do, in order. Each variant has a folder of its own, with the data in common."""

    def stage(variant: str, module: str, *arguments: str, made: str) -> Task:
        folder = work / variant
        command = ("-m", f"stages.{module}", "--set", SET, *arguments)
        return Task(f"{variant}: {module} {' '.join(arguments)}".strip(), folder, command, folder / made)

    def benchmark(module: str, *arguments: str) -> Task:
        made = work / "results" / f"{module}.txt"
        return Task(module, work / MAIN, ("-m", f"benchmarks.{module}", *arguments), made, keep_output=True)

    def gradients(variant: str, run: str) -> Task:
        folder, made = work / variant, f"gradients_{run}.json"
        batches = "10" if tiny else "200"
        many = ("--batches", batches, "--out", made)
        command = ("-m", "studies.estimators.gradients", "--set", SET, "--run", run, *many)
        return Task(f"{variant}: gradients {run}", folder, command, folder / made)

    def moments(variant: str, run: str) -> Task:
        folder, made = work / variant, f"moments_{run}.json"
        command = ("-m", "studies.estimators.moments", "--set", SET, "--run", run, "--out", made)
        return Task(f"{variant}: moments {run}", folder, command, folder / made)

    def first_updates() -> Task:
        folder, made = work / MAIN, "first_updates/summary.json"
        many = ("--updates", "3") if tiny else ("--updates", "100", "--seeds", "0", "1", "2")
        command = ("-m", "studies.estimators.first_updates", "--set", SET, *many, "--out", "first_updates")
        return Task(f"{MAIN}: first updates", folder, command, folder / made)

    few = ("--steps", "1", "--repeats", "1", "--warm-up", "1") if tiny else ("--steps", "20", "--repeats", "9")
    todo = [
        stage(MAIN, "download", made=f"data/raw/{SET}/svhn/train_32x32.mat"),
        stage(MAIN, "prepare_digits", made=f"data/prepared/{SET}.npz"),
        stage(MAIN, "pair_digits", made=f"data/pairs/{SET}.npz"),
        benchmark("floor"),
        benchmark("training_step", "--json", "--set", SET, *few),
        stage(MAIN, "train_classifiers", made=f"models/{SET}/classifiers.safetensors"),
    ]
    for number, (variant, run, seed) in enumerate(ORDER):
        module, *choice = RUNS[run]
        weights = f"models/{SET}/{run}/{seed}.safetensors"
        evaluation = f"data/evaluations/{SET}/{run}_{seed}.json"
        todo += [
            stage(variant, module, *choice, "--seed", str(seed), made=weights),
            stage(variant, "evaluate", "--run", run, "--seed", str(seed), made=evaluation),
        ]
        if number < len(ESTIMATORS):
            todo += [gradients(variant, run), moments(variant, run)]
        if number == len(ESTIMATORS) - 1:
            todo.append(first_updates())
        if number == 1:
            todo.append(benchmark("evaluation", "--json", *(("--samples", "5", "--pairs", "5") if tiny else ())))
    return [*todo, benchmark("scaling", *(("--updates", "1", "--repeats", "1") if tiny else ()))]


def prepare(work: Path, mirror: Path, tiny: bool) -> None:
    """A folder for each variant: its own params.yaml, the common data and classifiers."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["digit_sets"] = [SET]
    params["download"]["mirror"] = str(mirror.resolve())
    change(params, TINY if tiny else PAPER)
    common = work / "common"
    for folder in (work / "results", *(common / name for name in DATA)):
        folder.mkdir(parents=True, exist_ok=True)
    for variant in dict.fromkeys(variant for variant, _, _ in ORDER):
        folder = work / variant
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "models" / SET).mkdir(parents=True, exist_ok=True)
        own = copy.deepcopy(params)
        change(own, VARIANTS[variant])
        (folder / "params.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
        for name in DATA:
            link(folder / "data" / name, common / name)
        if variant != MAIN:
            classifiers = f"models/{SET}/classifiers.safetensors"
            link(folder / classifiers, work / MAIN / classifiers)


def change(params: dict, changes: dict) -> None:
    """Set keys of SET's sections, of the optimiser, or of the top level, in place."""
    for key, value in changes.items():
        section, _, leaf = key.partition(".")
        if leaf:
            params[section].get(SET, params[section])[leaf] = value
        else:
            params[section] = value


def link(place: Path, target: Path) -> None:
    if not place.is_symlink():
        place.symlink_to(target.resolve())


def run(task: Task, seconds: float) -> str:
    """'done', 'failed' or 'out of time', with the time that it took."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "TQDM_MININTERVAL": "10"}
    begin = time.perf_counter()
    with (task.folder / "log.txt").open("ab") as log:
        try:
            output = subprocess.PIPE if task.keep_output else log
            done = subprocess.run(
                [sys.executable, *task.command],
                cwd=task.folder,
                env=environment,
                stdout=output,
                stderr=log,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return f"out of time after {time.perf_counter() - begin:.0f} s"
    if done.returncode:
        tail = (task.folder / "log.txt").read_bytes()[-2000:].decode(errors="replace")
        return f"failed: {tail}"
    if task.keep_output:
        task.made.write_bytes(done.stdout)
    return f"done in {time.perf_counter() - begin:.0f} s"


def kept(work: Path) -> list[Path]:
    """What the state consists of, most important first: results, the run under way, weights from the newest on."""
    small = [path for suffix in ("json", "csv", "txt") for path in sorted(work.rglob(f"*.{suffix}"))]
    under_way = sorted(work.glob("*/.checkpoints/*.safetensors"))
    memories = [path.with_name(path.stem.rpartition("_")[0]) for path in under_way]
    large = under_way + [path for memory in memories for path in sorted(memory.glob("*.safetensors"))]
    weights = [path for path in work.glob("*/models/**/*.safetensors") if not path.is_symlink()]
    weights.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    found, total = [], 0
    for path in (*small, *large, *weights):
        if path.stat().st_size + total > STATE_BYTES:
            continue
        found.append(path)
        total += path.stat().st_size
    return found


def pack(work: Path, out: Path) -> None:
    """Write the state to `out`, in parts."""
    out.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for path in kept(work):
            file.write(path, path.relative_to(work))
    content = packed.getvalue()
    for old in out.glob("state.zip.*"):
        old.unlink()
    for number, start in enumerate(range(0, len(content), PART_BYTES)):
        (out / f"state.zip.{number:02d}").write_bytes(content[start : start + PART_BYTES])


def unpack(out: Path, work: Path) -> None:
    """Take the state from `out`, unless `work` has its own."""
    parts = sorted(out.glob("state.zip.*"))
    if not parts or work.exists():
        return
    with zipfile.ZipFile(io.BytesIO(b"".join(part.read_bytes() for part in parts))) as file:
        for name in file.namelist():
            if not (work / name).resolve().is_relative_to(work.resolve()):
                sys.exit(f"{parts[0]}: {name} would be written outside {work}")
        file.extractall(work)


def summary(work: Path, log: list[dict]) -> dict:
    """All evaluations and training curves, and what this piece did."""
    evaluations = {
        f"{path.parents[3].name}/{path.stem}": json.loads(path.read_text())
        for path in sorted(work.glob("*/data/evaluations/*/*.json"))
    }
    curves = {
        f"{path.parents[3].name}/{path.stem}": path.read_text().splitlines()
        for path in sorted(work.glob("*/plots/*/curves/*.csv"))
    }
    benchmarks = {path.stem: path.read_text() for path in sorted((work / "results").glob("*.txt"))}
    return {"done": log, "benchmarks": benchmarks, "evaluations": evaluations, "curves": curves}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="results and state")
    parser.add_argument("--work", type=Path, default=ROOT / ".on_gpu", help="a scratch folder")
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--tiny", action="store_true", help="a budget that shows on a CPU that everything runs")
    given = parser.parse_args()
    deadline = time.monotonic() + 60 * given.minutes
    unpack(given.out, given.work)
    prepare(given.work, given.mirror, given.tiny)
    log, left = [], [task for task in tasks(given.work, given.tiny) if not task.made.exists()]
    while left and (seconds := deadline - time.monotonic()) > 5:
        task = left.pop(0)
        print(f"{task.name} ...", flush=True)
        said = run(task, seconds)
        print(f"    {said}", flush=True)
        log.append({"task": task.name, "said": said})
        if said.startswith("out of time"):
            left.insert(0, task)
            break
    pack(given.work, given.out)
    (given.out / "results.json").write_text(json.dumps(summary(given.work, log), indent=1))
    print(f"{len(left)} tasks are left" if left else "nothing is left")


if __name__ == "__main__":
    main()
