"""The benchmarks run, and the state of benchmarks/on_gpu survives being carried elsewhere."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT
from raw_files import write_mirror

from benchmarks import on_gpu


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
    work, out = tmp_path / "work", tmp_path / "out"
    files = {
        "iwae/data/evaluations/set/run_0.json": b"{}",
        "iwae/.checkpoints/run_4.safetensors": os.urandom(2000),
        "iwae/.checkpoints/run/epoch_00001.safetensors": os.urandom(1000),
        "iwae/.checkpoints/finished/epoch_00001.safetensors": os.urandom(10),
        "iwae/models/set/run/0.safetensors": os.urandom(4000),  # too large to travel besides the checkpoint
        "common/prepared/set.npz": b"made again",
    }
    for name, content in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(content)
    on_gpu.pack(work, out)
    assert len(list(out.glob("state.zip.*"))) > 1
    assert all(part.stat().st_size <= 1000 for part in out.iterdir())
    on_gpu.unpack(out, tmp_path / "elsewhere")
    carried = {str(p.relative_to(tmp_path / "elsewhere")) for p in (tmp_path / "elsewhere").rglob("*") if p.is_file()}
    needed = list(files)[:3]
    assert carried == set(needed)
    assert all((tmp_path / "elsewhere" / name).read_bytes() == files[name] for name in needed)


def test_a_state_that_leaves_its_folder_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "state.zip.0", "w") as file:
        file.writestr("../../escaped.txt", "x")
    with pytest.raises(SystemExit, match=r"escaped\.txt would be written outside"):
        on_gpu.unpack(tmp_path, tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_piece_stops_in_time_and_the_next_goes_on(tmp_path):
    write_mirror(tmp_path / "mirror")

    def piece(minutes):
        command = [sys.executable, "-m", "benchmarks.on_gpu", "--mirror", str(tmp_path / "mirror"), "--tiny"]
        command += ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--minutes", str(minutes)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200).stdout

    first = piece(0.15)
    assert "iwae: download ...\n    done" in first
    assert "tasks are left" in first
    second = piece(0.2)
    assert "download" not in second, "the raw files of the first piece are still there"
    assert json.loads((tmp_path / "out" / "results.json").read_text())["done"]
