"""The first updates of a training: they are the training's own, and small scales make path derivatives large."""

import pytest
import torch
from toys import toy_model, toy_pairs

from mmvae.losses import Phase
from mmvae.models.mmvae import POSTERIOR_SCALE_MINIMUM, ImportanceWeighted
from mmvae.objectives import Screen
from mmvae.training.loop import Budget, train
from studies.estimators.first_updates import follow, summary

BUDGET = Budget(epochs=1, pairs_per_epoch=96, batch_size=16, learning_rate=5e-3)


@pytest.mark.parametrize("name", ["iwae", "dreg_iwae"])
def test_the_updates_followed_are_those_of_a_training(name):
    loss, pairs = ImportanceWeighted(name, "loose", 3, Screen()), toy_pairs()
    trained, followed = toy_model(), toy_model()
    curve = train(trained, [Phase(loss)], pairs, toy_pairs(40), BUDGET, seed=0)
    rows = follow(followed, loss, pairs, BUDGET, updates=6, seed=0)
    assert [row["update"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert sum(row["bound"] for row in rows) / 6 == pytest.approx(curve[0]["bound_train"], rel=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), followed.parameters(), strict=True))


def test_what_a_row_says():
    """Against the objective's gradient without an optimiser; Adam's second moment begins at 0.001 of its square."""
    loss, pairs = ImportanceWeighted("iwae", "loose", 3, None), toy_pairs()
    row = follow(toy_model(), loss, pairs, BUDGET, updates=1, seed=3)[0]
    model, generator = toy_model(), torch.Generator().manual_seed(3)
    batch = next(iter(torch.randperm(64, generator=torch.Generator().manual_seed(3)).split(16)))
    x, noise = pairs.batch(batch), loss.noise(model, 16, generator)
    (-loss(model, x, noise, torch.ones(())).surrogate).backward()
    for modality in x:
        gradient = float(model.modalities[modality].encoder.loc.weight.grad.square().mean().sqrt())
        assert row[f"loc_{modality}"] == pytest.approx(gradient, rel=1e-5)
        assert row[f"loc_moment_{modality}"] == pytest.approx(gradient * 0.001**0.5, rel=1e-4)
        smallest = float(model.expert(modality, x[modality]).scale.detach().min())
        assert row[f"smallest_scale_{modality}"] == pytest.approx(smallest)


def test_a_collapsed_scale_makes_the_path_derivative_large_and_leaves_the_plain_gradient_alone():
    """The density's derivative along a particle is 1 / scale; the plain gradient has none along the location."""
    largest = {}
    for name in ("iwae", "stl_iwae", "dreg_iwae", "dreg_mixture"):
        model = toy_model()
        with torch.no_grad():
            model.modalities["b"].encoder.scale_logits.bias[0] = -40
        rows = follow(model, ImportanceWeighted(name, "loose", 3, None), toy_pairs(), BUDGET, updates=1, seed=0)
        assert rows[0]["smallest_scale_b"] == pytest.approx(POSTERIOR_SCALE_MINIMUM, rel=1e-3)
        largest[name] = summary(rows, "b")["loc_largest"]
    for name in ("stl_iwae", "dreg_iwae", "dreg_mixture"):
        assert largest[name] > 1000 * largest["iwae"]


def test_the_summary_is_of_extremes_and_of_the_later_half():
    rows = [
        {"smallest_scale_a": s, "loc_a": g, "scale_logits_a": 1.0, "loc_moment_a": m, "scale_logits_moment_a": m}
        for s, g, m in ((0.5, 1.0, 0.1), (0.1, 90.0, 3.0), (0.2, 4.0, 3.0), (0.3, 2.0, 3.0), (0.4, 3.0, 3.0))
    ]
    found = summary(rows, "a")
    assert (found["smallest_scale"], found["loc_largest"], found["loc_usual"], found["loc_moment"]) == (0.1, 90, 3, 3)
