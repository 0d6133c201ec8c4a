"""The training loop: it learns, repeats itself exactly, anneals, stops at the first NaN, and survives interruption."""

import math
from dataclasses import dataclass, field, replace

import pytest
import torch
from toys import toy_model, toy_pairs

from mmvae.files import FileError, read_weights
from mmvae.losses import Phase
from mmvae.model import load
from mmvae.models.mmvae import ImportanceElbo, ImportanceWeighted
from mmvae.models.mvae import SubsampledElbo
from mmvae.objectives import Screen
from mmvae.training import loop
from mmvae.training.batches import shuffled_batches
from mmvae.training.checkpoints import Checkpoint, doublings

BUDGET = loop.Budget(epochs=2, pairs_per_epoch=96, batch_size=16, learning_rate=5e-3)


def fit(trained, loss, checkpoint=None, **changes):
    """With one loss, or with a list of phases; `changes` of the budget."""
    phases, budget = loss if isinstance(loss, list) else [Phase(loss)], BUDGET.model_copy(update=changes)
    return loop.train(trained, phases, toy_pairs(), toy_pairs(40), budget, 0, "a run", checkpoint)


LOSSES = [
    ("mmvae", ImportanceWeighted("dreg_mixture", "tight", 3, Screen(dtype=torch.bfloat16))),
    ("mmvae", ImportanceElbo("importance_elbo", "loose", 1)),
    ("mvae", SubsampledElbo(0.4)),
]


def test_the_bound_reported_of_an_objective_that_is_no_bound_is_one():
    """No log-likelihood under a Laplace of scale 0.75 is larger; MNIST's kind counts 3072 / 784 times."""
    curve = fit(toy_model(), LOSSES[1][1], epochs=4, pairs_per_epoch=320)
    largest = -2 * 3072 * math.log(1.5)
    assert curve[-1]["bound_train"] > largest
    assert curve[-1]["bound_validation"] < largest


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
def test_same_seed_same_weights_and_a_rising_bound(kind, loss):
    first, second = toy_model(kind), toy_model(kind)
    curve = fit(first, loss)
    assert curve == fit(second, loss)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [row["pairs"] for row in curve] == [96, 192]
    assert curve[1]["bound_train"] > curve[0]["bound_train"]


def test_the_curve_says_what_it_measured():
    row = fit(toy_model(), LOSSES[0][1])[-1]
    assert set(row) == {
        *("epoch", "pairs", "bound_train", "bound_validation", "ess", "kept", "dropped_weight"),
        *("kl_a", "kl_b", "entropy_a", "entropy_b", "share_a", "share_b"),
    }
    assert row["share_a"] + row["share_b"] == pytest.approx(1, abs=1e-5)
    assert 1 <= row["ess"] <= loop.VALIDATION_PARTICLES
    assert row["kl_a"] > 0
    assert 0 < row["entropy_a"] <= 4 * (1 + math.log(2)), "scales of 1, which sum to D, have the largest entropy"
    assert 1 / 6 <= row["kept"] <= 1
    assert 0 <= row["dropped_weight"] < 1e-3


@dataclass(frozen=True)
class Interrupted(ImportanceWeighted):
    """Breaks at its `last` evaluation: with a NaN, or by a signal."""

    last: int = 4
    by: type[BaseException] | None = None
    calls: list = field(default_factory=list)

    def __call__(self, trained, x, noise, annealing):
        self.calls.append(annealing)
        estimate = super().__call__(trained, x, noise, annealing)
        if len(self.calls) < self.last:
            return estimate
        if self.by:
            raise self.by
        return replace(estimate, bound=estimate.bound * math.nan)


def test_a_non_finite_bound_stops_training_and_says_where():
    with pytest.raises(loop.TrainingError, match=r"a run: the bound is nan in epoch 1, batch 4 of 6.*-\d+\.\d+ nats"):
        fit(toy_model(), Interrupted("iwae", "loose", 3))


def test_a_non_finite_number_on_held_out_pairs_stops_training_too(monkeypatch):
    monkeypatch.setattr(loop, "validate", lambda *_: {"bound_validation": 1.0, "kl_left": float("inf")})
    with pytest.raises(
        loop.TrainingError, match=r"a run: kl_left is inf after epoch 1, though the training bound is finite"
    ):
        fit(toy_model(), ImportanceWeighted("iwae", "loose", 3))


def test_the_curve_is_of_an_even_sample_of_the_held_out_pairs():
    """Ordered ones: the first 500 of these 2,000 are of the two images with the smallest KL, all are of eight."""
    model, ordered = toy_model(), toy_pairs()
    ordered.index = {name: torch.arange(8) for name in ordered.index}
    with torch.no_grad():
        kl, order = model.expert("a", ordered.batch(slice(None))["a"]).kl(model.prior()).sum(-1).sort()
    ordered.index = {name: order.repeat_interleave(250) for name in ordered.index}
    row = loop.validate(model, ordered, LOSSES[0][1], torch.Generator().manual_seed(0))
    assert row["kl_a"] == pytest.approx(float(kl.mean()), rel=1e-2)
    assert kl[:2].mean() < 0.9 * kl.mean()


def test_annealing_follows_progress():
    loss = SubsampledElbo(0.4)
    assert [loss.annealing(progress) for progress in (0.0, 0.1, 0.4, 0.9)] == pytest.approx([0, 0.25, 1, 1])
    assert SubsampledElbo(0.0).annealing(0.0) == 1


@pytest.mark.parametrize("last", [3, 9])
def test_an_interrupted_run_goes_on_where_it_was(tmp_path, last):
    """To the same weights: tests/test_contracts.py."""
    loss = Interrupted("dreg_iwae", "loose", 3, Screen(), last, KeyboardInterrupt)
    checkpoint = Checkpoint(tmp_path / "run.safetensors", seconds=0)
    with pytest.raises(KeyboardInterrupt):
        fit(toy_model(), loss, checkpoint)
    counting = replace(loss, last=1000, calls=[])
    curve = fit(toy_model(), counting, checkpoint)
    assert len(counting.calls) == 12 - (last - 1)
    assert fit(toy_model(), loss, checkpoint) == curve, "nothing is left to do"


def checkpoint_of(folder, epochs):
    """As the training stages have it: one memory for runs of every length."""
    return Checkpoint(folder / f"run_{epochs}.safetensors", 0, doublings(epochs), folder / "run")


def fit_and_finish(folder, epochs):
    """Train for so many epochs: weights, curve, what was kept after which epochs, and how many updates it took."""
    trained, counting = toy_model(), Interrupted("iwae", "loose", 3, last=1000)
    checkpoint = checkpoint_of(folder, epochs)
    curve = fit(trained, counting, checkpoint, epochs=epochs)
    kept = {epoch: checkpoint.weights(epoch).read_bytes() for epoch in checkpoint.epochs}
    checkpoint.finish()
    return trained.state_dict(), curve, kept, len(counting.calls)


def test_the_epochs_whose_weights_are_kept():
    assert [doublings(epochs) for epochs in (1, 2, 3, 8)] == [(1,), (1, 2), (1, 2, 3), (1, 2, 4, 8)]
    assert doublings(30) == (1, 2, 4, 8, 16, 30)


def test_a_longer_run_goes_on_where_a_shorter_one_ended(tmp_path):
    weights, curve, kept, updates = fit_and_finish(tmp_path / "at once", 5)
    assert updates == 30
    assert list(kept) == [1, 2, 4, 5]
    assert fit_and_finish(tmp_path, 1)[3] == 6
    assert fit_and_finish(tmp_path, 3)[3] == 12
    continued = fit_and_finish(tmp_path, 5)
    assert continued[1:] == (curve, kept, 12)
    assert all(torch.equal(weights[name], value) for name, value in continued[0].items())


@pytest.mark.parametrize("again", [2, 1])
def test_a_run_that_is_no_longer_starts_anew(tmp_path, again):
    first = fit_and_finish(tmp_path, 2)
    assert fit_and_finish(tmp_path, again)[3] == 6 * again
    assert fit_and_finish(tmp_path, 3)[1][:2] == first[1]


def test_without_the_weights_it_should_have_kept_a_run_starts_anew(tmp_path):
    fit_and_finish(tmp_path, 2)
    checkpoint_of(tmp_path, 3).weights(1).unlink()
    _, _, kept, updates = fit_and_finish(tmp_path, 3)
    assert updates == 18
    assert list(kept) == [1, 2, 3]


def test_kept_weights_are_those_of_their_epoch(tmp_path):
    fit_and_finish(tmp_path, 4)
    shorter = toy_model()
    fit(shorter, ImportanceWeighted("iwae", "loose", 3), epochs=2)
    kept = load(checkpoint_of(tmp_path, 4).weights(2))
    for a, b in zip(shorter.parameters(), kept.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_damaged_checkpoint_says_what_to_do(tmp_path):
    (tmp_path / "run.safetensors").write_bytes(b"not weights")
    with pytest.raises(FileError, match=r"run\.safetensors cannot be used; remove it to start over"):
        fit(toy_model(), LOSSES[0][1], Checkpoint(tmp_path / "run.safetensors"))


@pytest.mark.parametrize("last", [6, 7, 8])
def test_after_a_restart_adam_knows_nothing_of_before(tmp_path, last):
    """An epoch has 6 updates. Adam's first step from nothing is of the size of the learning rate, in every weight."""
    loss = ImportanceWeighted("iwae", "loose", 3)
    start, without, whole = toy_model(), toy_model(), toy_model()
    fit(start, loss, epochs=1)
    fit(without, loss)
    curve = fit(whole, loss, restart_after=1)
    assert any(not torch.equal(a, b) for a, b in zip(whole.parameters(), without.parameters(), strict=True))
    checkpoint = Checkpoint(tmp_path / "run.safetensors", seconds=0)
    continued = toy_model()
    with pytest.raises(KeyboardInterrupt):
        fit(continued, Interrupted("iwae", "loose", 3, None, last, KeyboardInterrupt), checkpoint, restart_after=1)
    if last == 8:
        steps = [b - a for a, b in zip(start.parameters(), continued.parameters(), strict=True)]
        moved = torch.cat([step[step != 0].abs() for step in steps]) / BUDGET.learning_rate
        assert len(moved) > 1000
        assert (moved - 1).abs().quantile(0.99) < 0.01, "all but the weights whose gradient is next to nothing"
    resumed = toy_model()
    assert fit(resumed, loss, checkpoint, restart_after=1) == curve
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_without_amsgrad_no_largest_moment_is_kept(tmp_path):
    kept = {}
    for amsgrad in (True, False):
        path = tmp_path / f"{amsgrad}.safetensors"
        fit(toy_model(), LOSSES[0][1], Checkpoint(path), amsgrad=amsgrad)
        kept[amsgrad] = {key.split("/")[1] for key in read_weights(path)[0] if key.startswith("optimiser/")}
    assert kept[True] - kept[False] == {"max_exp_avg_sq"}
    assert kept[False] == {"step", "exp_avg", "exp_avg_sq"}


def test_batches_pass_over_everything_before_repeating():
    batches = torch.stack(list(shuffled_batches(10, 4, 5, torch.Generator().manual_seed(0))))
    assert sorted(batches.flatten()[:10].tolist()) == sorted(batches.flatten()[10:].tolist()) == list(range(10))


def test_pairs_are_images_over_255():
    pairs = toy_pairs()
    batch = pairs.batch(torch.tensor([3, 5]))
    expected = pairs.arrays["b"][pairs.index["b"][5]].permute(2, 0, 1).float() / 255
    torch.testing.assert_close(batch["b"][1], expected)
    assert batch["a"].shape == (2, 1, 28, 28)
