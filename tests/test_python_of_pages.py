"""The Python that pages show runs as it stands."""

import re
import sys
from copy import deepcopy
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import torch
import yaml
from conftest import ROOT
from pages import blocks

from mmvae import registry, runs, schema
from mmvae.data.prepared import LabelledPairs
from mmvae.files import write_arrays
from stages import pair_digits, prepare_digits


def test_the_library_page_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs/library.md"
    [(_, code)] = blocks(page.read_text(encoding="utf-8"), "python")
    found: dict = {}
    exec(compile(code, page, "exec"), found)  # noqa: S102
    shape, low, high = re.search(r"right = .*# \((.*)\), pixels in \[(\d), (\d)\]", code).groups()
    assert str(tuple(found["right"].shape)) == f"({shape})"
    assert int(low) <= found["right"].min() <= found["right"].max() <= int(high)
    assert found["curve"]
    again = found["mmvae"].load("mine.safetensors")
    assert again.config == found["model"].config


def test_the_data_set_of_the_page_is_paired_for_every_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [(_, code), _] = blocks((ROOT / "docs/architecture.md").read_text(encoding="utf-8"), "python")
    mine, names = ModuleType("mmvae.datasets.mine"), registry.names
    exec(code, vars(mine))  # noqa: S102
    monkeypatch.setitem(sys.modules, mine.__name__, mine)
    monkeypatch.setattr(registry, "names", lambda folder: names(folder) + ["mine"] * (folder == "datasets"))
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section in ("data", "classifiers", "networks", "train", "particles", "evaluate"):
        content[section]["mine"] = deepcopy(content[section]["digits"])  # an alias is refused
    Path("params.yaml").write_text(
        yaml.safe_dump(content | {"digit_sets": ["mine"]}, sort_keys=False), encoding="utf-8"
    )
    assert list(runs.of_set(schema.load(), "mine")) == list(runs.of_set(content, "digits"))
    rng, arrays = np.random.default_rng(0), {}
    for name, shape in {"drawn": (1, 28, 28), "photographed": (3, 32, 32)}.items():
        for part in ("train", "test"):
            arrays[f"{name}/{part}/images"] = rng.integers(0, 256, (1200, *shape), np.uint8)
            arrays[f"{name}/{part}/labels"] = np.arange(1200, dtype=np.uint8) % 10
    write_arrays("data/raw/mine/mine.npz", arrays)
    for stage in (prepare_digits, pair_digits):
        monkeypatch.setattr(sys, "argv", ["stage", "--set=mine"])
        stage.main()
    images, digits = LabelledPairs("mine", torch.device("cpu")).first_pass("test")
    assert {name: image.shape[1:] for name, image in images.items()} == {
        "drawn": (1, 28, 28),
        "photographed": (3, 32, 32),
    }
    assert len(digits) == 1200


def test_the_line_of_pandas_reads_every_number(monkeypatch):
    monkeypatch.chdir(ROOT)
    [_, (_, line)] = blocks((ROOT / "docs/architecture.md").read_text(encoding="utf-8"), "python")
    table = eval(line, {"pandas": pd})  # noqa: S307
    every = pd.read_csv("metrics/digits.csv")
    assert table.notna().sum().sum() == len(every.drop_duplicates(["run", "metric"]))
    assert set(table.index) == set(every["run"])
