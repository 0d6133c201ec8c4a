"""A tiny project: the pipeline in a repository of its own, with parameters that run in seconds a stage."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import yaml
from conftest import ROOT

TINY = {
    "seeds": [0],
    "data.digits.images_per_digit": 12,
    "data.digits.pairings": 2,
    "classifiers.digits.updates": 4,
    "classifiers.digits.channels": 4,
    "networks.digits.grey.hidden": 16,
    "networks.digits.colour.channels": 4,
    "train.digits.epochs": 2,
    "train.digits.pairs_per_epoch": 64,
    "particles.digits": 2,
    "evaluate.digits.joint_samples": 50,
    "evaluate.digits.likelihood_samples": 4,
    "evaluate.digits.likelihood_pairs": 5,
    "caption_images": ["features"],
    "features.birds.size": 32,
    "fasttext.birds.epochs": 1,
    "fasttext.birds.seeds": [0, 1],
    "networks.birds.captions.channels": 4,
    "networks.birds.features.hidden": 16,
    "train.birds.epochs": 2,
    "train.birds.pairs_per_epoch": 64,
    "particles.birds": 2,
    "evaluate.birds.joint_samples": 20,
}
FILES = (
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvc/plots/page.html",
    ".dvcignore",
    ".gitattributes",
    ".gitignore",
    "live/.gitkeep",
    "dvc.yaml",
    "params.yaml",
)
CODE = ("mmvae", "stages", "fanout")
RECORDER = Path(__file__).parent / "recorder"  # on PYTHONPATH, sees what every Python loads
OUTPUTS = ("code", "data", "models", "metrics", "plots", "dvc.lock")
ENVIRONMENT = os.environ | {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
    "TQDM_DISABLE": "1",
}


def loaded(folder: Path) -> Path:
    """Where the stages of a project write down which modules they loaded."""
    return folder.with_name(f"{folder.name} loaded")


def call(folder: Path, *command: str, fails: bool = False, **environment: str) -> str:
    """What a command printed. It must succeed, or fail if it `fails`."""
    environment = ENVIRONMENT | environment
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, output[-4000:]
    return output


def stages_run(output: str) -> set[str]:
    """The stages that `dvc repro`, `dvc exp run` or fanout says it ran."""
    return set(map("".join, re.findall(r"Running stage '([^']+)'|^\[[ \d]+/\d+\] (\S+): ran", output, re.MULTILINE)))


def snapshot(folder: Path) -> dict[str, bytes]:
    """The content of every output, and of dvc.lock."""
    files = [path for name in OUTPUTS for path in [folder / name, *(folder / name).rglob("*")] if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write_project(folder: Path) -> Path:
    """What the pipeline is made of, without results, with TINY parameters, committed."""
    code = [path for name in CODE for path in (ROOT / name).rglob("*.*") if path.suffix != ".pyc"]
    for path in [*(ROOT / name for name in FILES), *code]:
        own = folder / path.relative_to(ROOT)
        own.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, own)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for key, value in TINY.items():
        *path, last = key.split(".")
        section = params
        for part in path:
            section = section[part]
        section[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    call(folder, "git", "init", "-q", "-b", "main")
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "start")
    return folder


def run_project(folder: Path) -> str:
    """Run the whole of it on all cores, commit the results, and return what was printed.

    What modules each stage loaded is beside the folder (sitecustomize.py).
    """
    output = call(folder, "python", "-m", "fanout", PYTHONPATH=str(RECORDER), LOADED=str(loaded(folder)))
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "results")
    return output


def locked_stage(folder: Path, name: str) -> dict:
    """The first matrix item of a stage in dvc.lock."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return next(stage for item, stage in lock.items() if item.partition("@")[0] == name)


def remove_outputs(folder: Path, stage: dict) -> None:
    """What DVC does before it runs a stage."""
    for out in stage["outs"]:
        path = folder / out["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
