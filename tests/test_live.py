"""What is seen of a training while it runs: one curve, whatever interrupts it; and it changes nothing."""

import csv
import sys
from types import SimpleNamespace

import pytest
import torch
from toys import toy_model, toy_pairs

from mmvae import live
from mmvae.files import read_weights
from mmvae.losses import Phase
from mmvae.models.mmvae import ImportanceWeighted
from mmvae.params import ParamsError
from mmvae.training import loop
from mmvae.training.checkpoints import Checkpoint

BUDGET = loop.Budget(epochs=3, pairs_per_epoch=96, batch_size=16, learning_rate=5e-3)
MIXED = {"a": "grey", "b": "colour", "c": "features"}


@pytest.fixture(autouse=True)
def a_row_an_update(monkeypatch):
    monkeypatch.setattr(live.Live, "due", lambda self: True)
    monkeypatch.setattr(live, "FIRST", 0.0)
    monkeypatch.delenv(live.TRACK, raising=False)


def fit(folder, watcher=live.Live, checkpoint=None, kinds=None, **changes):
    kinds = kinds or {"a": "grey", "b": "colour"}
    trained, pairs = toy_model("mmvae", kinds), toy_pairs(kinds=kinds)
    phases, budget = [Phase(ImportanceWeighted("iwae", "loose", 2))], BUDGET.model_copy(update=changes)
    watching = watcher(folder, "a run") if watcher else None
    loop.train(trained, phases, pairs, toy_pairs(40, kinds), budget, 0, "a run", checkpoint, watching)
    return trained


def rows(folder):
    with (folder / "curve.tsv").open() as file:
        return [
            {name: value for name, value in row.items() if name != "pairs_per_second"}
            for row in csv.DictReader(file, delimiter="\t")
        ]


def test_watching_changes_no_weight(tmp_path):
    watched, alone = fit(tmp_path), fit(tmp_path / "none", watcher=None)
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))
    assert [int(row["pairs"]) for row in rows(tmp_path)] == list(range(16, 16 * 18 + 1, 16))
    assert not (tmp_path / "none").exists()


class Killed(live.Live):
    """Is stopped by its twelfth row, after it was written; the checkpoint is of the eighth."""

    def tell(self, row):
        super().tell(row)
        if row["pairs"] == 16 * 12:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_with_one_curve(tmp_path, monkeypatch):
    monkeypatch.setattr(live.Live, "picture", lambda *_: None)
    fit(tmp_path / "whole")
    monkeypatch.setattr(Checkpoint, "due", lambda self: not read_back(self) or read_back(self) < 8)
    for end in ("", "2000\t1.0", "garbled"):
        folder = tmp_path / f"cut {end}"
        checkpoint = Checkpoint(folder / "checkpoint.safetensors", seconds=0)
        with pytest.raises(KeyboardInterrupt):
            fit(folder, Killed, checkpoint)
        assert len(rows(folder)) == 12
        with (folder / "curve.tsv").open("a") as file:
            file.write(end)
        fit(folder, checkpoint=checkpoint)
        assert rows(folder) == rows(tmp_path / "whole")


def test_a_training_stopped_before_its_first_row_goes_on(tmp_path):
    (tmp_path / "curve.tsv").touch()
    watching = live.Live(tmp_path, "a run")
    watching.begin(32, 64)
    watching.tell({"pairs": 48, "bound_train": -1.0})
    assert rows(tmp_path) == [{"pairs": "48", "bound_train": "-1"}]


def read_back(checkpoint):
    """The updates in a checkpoint, if there is one."""
    return read_weights(checkpoint.path)[1]["step"] if checkpoint.path.exists() else 0


def test_a_training_from_the_beginning_has_its_own_curve_and_pictures(tmp_path):
    fit(tmp_path, epochs=4)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"cross_0000{n}.png" for n in (1, 2, 4)]
    fit(tmp_path, epochs=1)
    assert len(rows(tmp_path)) == 6
    assert [path.name for path in tmp_path.glob("*.png")] == ["cross_00001.png"]


def test_only_images_are_drawn(tmp_path):
    fit(tmp_path, kinds={"a": "features", "b": "captions"})
    assert list(tmp_path.glob("*.png")) == []
    fit(tmp_path / "mixed", kinds=MIXED)
    assert len(list((tmp_path / "mixed").glob("*.png"))) == 2


def test_every_row_goes_to_mlflow_and_an_interrupted_run_goes_on_there(tmp_path, monkeypatch):
    told, begun = [], []

    def start_run(run_id, run_name):
        begun.append((run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id="id"))

    log = SimpleNamespace(start_run=start_run, log_metrics=lambda row, step: told.append((step, row)))
    monkeypatch.setitem(sys.modules, "mlflow", log)
    monkeypatch.setenv(live.TRACK, "mlflow")
    fit(tmp_path)
    assert [step for step, _ in told] == [int(row["pairs"]) for row in rows(tmp_path)]
    assert told[-1][1]["bound_validation"] == pytest.approx(float(rows(tmp_path)[-1]["bound_validation"]), rel=1e-6)
    live.tracker(tmp_path, "a run", 32)
    assert begun == [(None, "a run"), ("id", None)]


def test_every_row_goes_to_tensorboard(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv(live.TRACK, "tensorboard")
    fit(tmp_path)
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("bound_validation")
    assert [event.step for event in events] == [int(row["pairs"]) for row in rows(tmp_path)]


@pytest.mark.parametrize(
    ("name", "says"), [("wandb", "may be tensorboard or mlflow"), ("mlflow", "needs a package: pip install mlflow")]
)
def test_a_tracker_that_is_not_there_is_named(tmp_path, monkeypatch, name, says):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setenv(live.TRACK, name)
    with pytest.raises(ParamsError, match=says):
        fit(tmp_path)
