"""The benchmarks run; benchmarks/on_gpu runs what DVC would, and its state survives being carried elsewhere."""

import json
import os
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from dvc.repo import Repo
from raw_files import write_mirror

from benchmarks import on_gpu

PARAMS = yaml.safe_load((on_gpu.MEASURE / "params.yaml").read_text())
RUNS = PARAMS["runs"]["own_objective"]
BEFORE_RUNS = ["subset", "prepare", "pair", "classifiers"]


def test_training_step_reports_speed_and_error_together():
    small = ["--particles", "3", "--batch", "8", "--warm-up", "1", "--repeats", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training_step", *small],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ratio"] == pytest.approx(result["pairs_per_second"] / result["pairs_per_second_dense"])
    assert result["gradient_error"] < 1e-2
    assert result["gradient_error_float32_screen"] < 1e-3
    assert 1 / 3 <= result["kept"] <= 1
    assert 0 <= result["dropped_weight"] < 1e-3


def test_state_is_packed_in_parts_and_unpacked_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(on_gpu, "PART_BYTES", 1000)
    monkeypatch.setattr(on_gpu, "STATE_BYTES", 5000)
    folder, out, elsewhere = tmp_path / "folder", tmp_path / "out", tmp_path / "elsewhere"
    files = {
        "data/evaluations/set/run_0.csv": b"{}",
        ".checkpoints/run_4.safetensors": os.urandom(2000),
        ".checkpoints/run/epoch_00001.safetensors": os.urandom(1000),
        ".checkpoints/finished/epoch_00001.safetensors": os.urandom(10),
        "models/set/run/0.safetensors": os.urandom(4000),  # too large to travel besides the checkpoint
        "data/prepared/set.npz": b"made again",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    on_gpu.pack(folder, out)
    assert len(list(out.glob("state.zip.*"))) > 1
    assert all(part.stat().st_size <= 1000 for part in out.iterdir())
    on_gpu.unpack(out, elsewhere)
    carried = {str(path.relative_to(elsewhere)) for path in elsewhere.rglob("*") if path.is_file()}
    needed = list(files)[:3]
    assert carried == set(needed)
    assert all((elsewhere / name).read_bytes() == files[name] for name in needed)


def test_a_state_that_leaves_its_folder_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "state.zip.0", "w") as file:
        file.writestr("../../escaped.txt", "x")
    with pytest.raises(SystemExit, match=r"escaped\.txt would be written outside"):
        on_gpu.unpack(tmp_path, tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_run_that_was_evaluated_is_not_trained_again_for_its_weights(tmp_path):
    every = on_gpu.tasks(RUNS, tmp_path)
    for task in every:
        if task.item == "iwae":
            for out in task.outs:
                (tmp_path / out).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / out).touch()
    (tmp_path / "models/mnist_svhn/iwae/0.safetensors").unlink()
    assert [task.stage for task in on_gpu.left(every, tmp_path)[:5]] == [*BEFORE_RUNS, "train"]
    assert "iwae" not in {task.item for task in on_gpu.left(every, tmp_path)}


def test_its_commands_are_those_of_dvc():
    """All stages but the code's hashes and the last; runs in the study's order, `evaluate` last of a run's."""
    with Repo(str(on_gpu.MEASURE)) as repo:
        stages = {stage.name: stage for stage in repo.index.stages}
    left_out = [stages.pop("code"), stages.pop("collect")]
    assert {stage.cmd.split()[2] for stage in left_out} == {"stages.code_hashes", "studies.estimators.collect"}
    every = on_gpu.tasks(RUNS, Path("/mirror"))
    found = {f"{stage}@{item}" if item else stage: (command, outs) for stage, item, command, outs in every}
    assert found.keys() == stages.keys()
    for name, (command, outs) in found.items():
        expected = stages[name].cmd.replace("../../../data/raw/mnist_svhn", "/mirror").split()
        assert ["python", *command] == expected
        assert outs == [out.def_path for out in stages[name].outs]
    assert [task.stage for task in every[:4]] == BEFORE_RUNS
    assert [task.item for task in every if task.stage == "train"] == list(RUNS)
    assert [task.stage for task in every if task.item == "iwae"] == ["train", "gradients", "moments", "evaluate"]


def test_a_piece_stops_in_time_and_the_next_goes_on(tmp_path):
    write_mirror(tmp_path / "the folder/data/raw/mnist_svhn")
    params = PARAMS | {"data": {"mnist_svhn": PARAMS["data"]["mnist_svhn"] | {"images_per_digit": 20, "pairings": 2}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    places = {"mirror": "mirror", "out": "out", "folder": "the folder", "params": "params.yaml"}
    command = [sys.executable, "-m", "benchmarks.on_gpu"]
    command += [word for name, place in places.items() for word in (f"--{name}", str(tmp_path / place))]

    def piece(seconds: float) -> dict[str, str]:
        """Task -> how it ended."""
        options = {"cwd": ROOT, "env": os.environ | {"OMP_NUM_THREADS": "1"}, "timeout": 200, "check": True}
        minutes = ["--minutes", str(seconds / 60)]
        said = subprocess.run([*command, *minutes], capture_output=True, text=True, **options).stdout.splitlines()
        assert said[-1].endswith("tasks are left")
        return {task.removesuffix(" ...").strip(): end.strip() for task, end in pairwise(said) if task.endswith("...")}

    (tmp_path / "half").touch()
    slow = on_gpu.Task("slow", "", ["-c", "import time; time.sleep(60)"], ["half"])
    assert on_gpu.run(slow, tmp_path, 1) == "out of time"
    assert not (tmp_path / "half").exists()
    pieces = [piece(8)]
    while pieces[-1].get("prepare") != "done":
        assert len(pieces) < 8, "the raw files are there"
        pieces.append(piece(8))
    pieces.append(piece(8))
    assert {end for ends in pieces for end in ends.values()} <= {"done", "out of time"}
    assert pieces[-1]
    done = [task for ends in pieces for task, end in ends.items() if end == "done"]
    assert len(done) == len(set(done)), "what was done was done again"
