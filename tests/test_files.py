"""Files are written whole, the same each time, and only with finite numbers."""

import hashlib
import json
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
import torch

from mmvae import files


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "table.json"
    files.write_json(path, {"a": 1.0})
    with pytest.raises(files.FileError, match=r"b.c\[1\] is nan"):
        files.write_json(path, {"a": 2.0, "b": {"c": [1.0, float("nan")]}})
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert files.read_json(path) == {"a": 1.0}
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.json"]


def test_copies_of_files_are_all_there_or_as_before(tmp_path):
    sources = [tmp_path / name for name in ("a", "b", "c")]
    for path in sources:
        path.write_text(path.name)
    folder = tmp_path / "models" / "copies"
    files.copy_files(folder, sources[:2])
    files.copy_files(folder, sources[1:])
    assert sorted(path.name for path in folder.iterdir()) == ["b", "c"]
    with pytest.raises(files.FileError, match="nothing cannot be written"):
        files.copy_files(folder, [sources[0], tmp_path / "nothing"])
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"b": "b", "c": "c"}
    assert [entry.name for entry in folder.parent.iterdir()] == ["copies"]


def test_json_numbers(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(
        path,
        {"x": np.float32(1 / 3), "n": np.int64(3), "none": None, "flag": True, "big": -6261.4012, "tiny": -6.8e-17},
    )
    assert json.loads(path.read_text()) == {
        "x": 0.333333,
        "n": 3,
        "none": None,
        "flag": True,
        "big": -6261.4,
        "tiny": 0.0,
    }


def test_csv_round_trip_and_refusal(tmp_path):
    path = tmp_path / "a.csv"
    files.write_csv(path, [{"epoch": 1, "bound": -2.5}, {"epoch": 2, "bound": -1.0}])
    assert path.read_text() == "epoch,bound\n1,-2.5\n2,-1.0\n"
    assert files.read_csv(path) == [{"epoch": 1.0, "bound": -2.5}, {"epoch": 2.0, "bound": -1.0}]
    with pytest.raises(files.FileError, match=r"row 1 \(inf\)\.bound is inf"):
        files.write_csv(path, [{"bound": float("inf")}])


def test_table_round_trip_and_refusal(tmp_path):
    path = tmp_path / "a.csv"
    frame = pd.DataFrame(
        {"run": ["mmvae", "a, b"], "seed": [0, 1], "value": [1 / 3, -1.0], "standard_error": [nan, 1e-5]}
    )
    files.write_table(path, frame)
    assert path.read_text() == 'run,seed,value,standard_error\nmmvae,0,0.333333,\n"a, b",1,-1.0,1e-05\n'
    pd.testing.assert_frame_equal(files.read_table(path), frame.assign(value=[0.333333, -1.0]))
    for wrong in (nan, inf):
        with pytest.raises(files.FileError, match=rf"row 2 \(a, b\)\.value is {wrong}"):
            files.write_table(path, frame.assign(value=[1, wrong]))


def test_arrays_are_byte_stable_and_never_unpickled(tmp_path):
    """Under every Python from 3.11 to 3.13, though their zip files differ where a member's size is not known before."""
    arrays = {"a/b": np.arange(6, dtype=np.uint8).reshape(2, 3), "words": np.array(["wren", "ü"]), "n": np.int64(3)}
    first, second = tmp_path / "1.npz", tmp_path / "2.npz"
    files.write_arrays(first, arrays)
    assert hashlib.md5(first.read_bytes()).hexdigest() == "c2913e31ce19734a1d20364fc4ace619"
    found = files.read_arrays(first)
    with np.load(first) as loaded:
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[key], array)
            np.testing.assert_array_equal(loaded[key], array)
    np.savez(second, evil=np.array([{}], dtype=object))
    with pytest.raises(files.FileError, match=r"2.npz cannot be read"):
        files.read_arrays(second)


def test_weights_carry_their_configuration(tmp_path):
    path = tmp_path / "w.safetensors"
    weights = {"layer.weight": torch.randn(3, 2), "layer.bias": torch.randn(3)}
    files.write_weights(path, weights, {"model": "mmvae", "latents": 20})
    first = path.read_bytes()
    loaded, config = files.read_weights(path)
    assert list(config.items()) == [("model", "mmvae"), ("latents", 20)], "the order of modalities has a meaning"
    torch.testing.assert_close(loaded, weights, rtol=0, atol=0)
    files.write_weights(path, weights, {"model": "mmvae", "latents": 20})
    assert path.read_bytes() == first
