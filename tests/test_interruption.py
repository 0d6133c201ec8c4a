"""`kill -9` in the middle of a training stage, then the same command again: the same bytes as without."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT

from mmvae.files import write_arrays

STAGE = """
from mmvae.checkpoints import Checkpoint
Checkpoint.__init__.__defaults__ = (0.0,)  # after every update instead of every half a minute
from stages import run, train_mmvae
run(train_mmvae.main)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """Data of noise and parameters for a training of a few seconds."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["train"]["digits"] |= {"epochs": 4, "pairs_per_epoch": 1600, "batch_size": 16, "particles": 2}
    params["networks"]["digits"] |= {"hidden": 16, "channels": 4}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    rng = np.random.default_rng(0)
    prepared, pairs = {}, {}
    for name, shape in {"handwritten": (1, 28, 28), "plates": (3, 32, 32)}.items():
        for split in ("train", "validation"):
            prepared[f"{name}/{split}/images"] = rng.integers(0, 256, (20, *shape), np.uint8)
            pairs[f"{split}/{name}"] = rng.integers(0, 20, 100, np.int32)
    write_arrays(tmp_path / "data/prepared/digits.npz", prepared)
    write_arrays(tmp_path / "data/pairs/digits.npz", pairs)
    return tmp_path


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", STAGE, "--set", "digits", "--bound", "loose", "--seed", "0"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
    )


def outputs(folder: Path) -> list[bytes]:
    return [
        (folder / "models/digits/mmvae_loose/0.safetensors").read_bytes(),
        (folder / "plots/digits/curves/mmvae_loose_0.csv").read_bytes(),
    ]


def checkpoints(folder: Path) -> list[Path]:
    return list((folder / ".checkpoints").glob("digits_mmvae_loose_0_*.safetensors"))


def test_a_killed_stage_goes_on_to_the_same_bytes(folder):
    assert start(folder).wait(300) == 0
    whole = outputs(folder)
    assert not checkpoints(folder), "a finished run leaves no checkpoint"
    for path in (folder / "models", folder / "plots"):
        path.rename(path.with_suffix(".whole"))

    process = start(folder)
    deadline = time.monotonic() + 120
    while not checkpoints(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL, "it had finished before it could be killed"
    assert checkpoints(folder)
    assert not (folder / "models").exists(), "a killed stage leaves no output"

    assert start(folder).wait(300) == 0
    assert outputs(folder) == whole
    assert not checkpoints(folder)
