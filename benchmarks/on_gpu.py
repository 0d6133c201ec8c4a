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
ORDER = (  # objective, run, seed: what a reader wants to know first
    ("dreg_iwae", "mmvae_loose", 0),
    ("stl_iwae", "mmvae_loose", 0),
    ("dreg_iwae", "mvae_poe", 0),
    ("iwae", "mmvae_loose", 0),
    ("dreg_iwae", "vae_grey", 0),
    ("dreg_iwae", "vae_colour", 0),
    ("dreg_iwae", "mmvae_tight", 0),
    ("dreg_iwae", "mvae_moe", 0),
    *((objective, "mmvae_loose", seed) for seed in (1, 2) for objective in ("dreg_iwae", "stl_iwae")),
    *(("dreg_iwae", "mvae_poe", seed) for seed in (1, 2)),
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
    """Everything to do, in order. Each objective has a folder of its own, with the data in common."""

    def stage(objective: str, module: str, *arguments: str, made: str) -> Task:
        folder = work / objective
        command = ("-m", f"stages.{module}", "--set", SET, *arguments)
        return Task(f"{objective}: {module} {' '.join(arguments)}".strip(), folder, command, folder / made)

    def benchmark(module: str, *arguments: str) -> Task:
        made = work / "results" / f"{module}.txt"
        return Task(module, work / "dreg_iwae", ("-m", f"benchmarks.{module}", *arguments), made, keep_output=True)

    few = ("--steps", "1", "--repeats", "1", "--warm-up", "1") if tiny else ("--steps", "20", "--repeats", "9")
    todo = [
        stage("dreg_iwae", "download", made=f"data/raw/{SET}/svhn/train_32x32.mat"),
        stage("dreg_iwae", "prepare_digits", made=f"data/prepared/{SET}.npz"),
        stage("dreg_iwae", "pair_digits", made=f"data/pairs/{SET}.npz"),
        benchmark("floor"),
        benchmark("training_step", "--json", "--set", SET, *few),
        stage("dreg_iwae", "train_classifiers", made=f"models/{SET}/classifiers.safetensors"),
    ]
    for number, (objective, run, seed) in enumerate(ORDER):
        module, *choice = RUNS[run]
        weights = f"models/{SET}/{run}/{seed}.safetensors"
        evaluation = f"data/evaluations/{SET}/{run}_{seed}.json"
        todo += [
            stage(objective, module, *choice, "--seed", str(seed), made=weights),
            stage(objective, "evaluate", "--run", run, "--seed", str(seed), made=evaluation),
        ]
        if number == 1:
            todo.append(benchmark("evaluation", "--json", *(("--samples", "5", "--pairs", "5") if tiny else ())))
    return [*todo, benchmark("scaling", *(("--updates", "1", "--repeats", "1") if tiny else ()))]


def prepare(work: Path, mirror: Path, tiny: bool) -> None:
    """A folder for each objective: its own params.yaml, the common data and classifiers."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["download"]["mirror"] = str(mirror.resolve())
    for key, value in (TINY if tiny else PAPER).items():
        section, leaf = key.split(".")
        params[section][SET][leaf] = value
    common = work / "common"
    for folder in (work / "results", *(common / name for name in DATA)):
        folder.mkdir(parents=True, exist_ok=True)
    for objective in dict.fromkeys(objective for objective, _, _ in ORDER):
        folder = work / objective
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "models" / SET).mkdir(parents=True, exist_ok=True)
        (folder / "params.yaml").write_text(yaml.safe_dump(params | {"objective": objective}), encoding="utf-8")
        for name in DATA:
            link(folder / "data" / name, common / name)
        if objective != "dreg_iwae":
            link(
                folder / "models" / SET / "classifiers.safetensors",
                work / f"dreg_iwae/models/{SET}/classifiers.safetensors",
            )


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
    """What the state consists of, most important first: results, the checkpoint under way, weights."""
    small = [path for suffix in ("json", "csv", "txt") for path in sorted(work.rglob(f"*.{suffix}"))]
    large = sorted(work.rglob(".checkpoints/*.safetensors")) + sorted(work.glob("*/models/**/*.safetensors"))
    found, total = [], 0
    for path in (*small, *large):
        if path.is_symlink() or path.stat().st_size + total > STATE_BYTES:
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
