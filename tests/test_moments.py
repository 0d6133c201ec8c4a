"""What Adam remembers at the end of a training, against the gradients that it was given."""

import numpy as np
import pytest
import torch
from test_first_updates import BUDGET
from toys import toy_model, toy_pairs

from mmvae.files import FileError, read_weights
from mmvae.losses import Phase
from mmvae.models.mmvae import ImportanceWeighted
from mmvae.training.checkpoints import Checkpoint
from mmvae.training.loop import train
from studies.estimators import moments
from studies.estimators.first_updates import follow

FOLDER = "toy_mmvae_0_code"


@pytest.fixture
def end(tmp_path, monkeypatch):
    """The state that a training of six updates leaves behind."""
    monkeypatch.setattr(moments, "CHECKPOINTS", tmp_path)
    checkpoint = Checkpoint(tmp_path / f"{FOLDER}_1.safetensors", epochs=(1,), memory=tmp_path / FOLDER)
    loss = ImportanceWeighted("dreg_iwae", "loose", 3, None)
    train(toy_model(), [Phase(loss)], toy_pairs(), toy_pairs(40), BUDGET, seed=0, checkpoint=checkpoint)
    checkpoint.finish()
    return moments.end_of_training("toy", "mmvae", 0, epochs=1)


def test_they_are_those_of_the_gradients_of_the_training(end):
    loss = ImportanceWeighted("dreg_iwae", "loose", 3, None)
    rows = follow(toy_model(), loss, toy_pairs(), BUDGET, updates=6, seed=0)
    state, _ = read_weights(end)
    for modality in ("a", "b"):
        found = moments.moments(state, modality)
        for layer in ("loc", "scale_logits"):
            squares = [row[f"{layer}_{modality}"] ** 2 for row in rows]  # the mean over weights is linear in them
            running = sum(0.001 * 0.999 ** (5 - i) * square for i, square in enumerate(squares)) ** 0.5
            assert found[f"{layer}_running"] == pytest.approx(running, rel=1e-4)
            assert found[f"{layer}_largest"] == pytest.approx(rows[-1][f"{layer}_moment_{modality}"], rel=1e-6)


def test_steps_are_slowed_weight_by_weight_and_dead_units_do_not_count():
    running, ratios = torch.rand(9, 5, 1) + 0.5, torch.arange(1.0, 46).view(9, 5, 1)
    running[:, 3] *= 1e-9
    expected = np.percentile(ratios[:, [0, 1, 2, 4]].numpy(), moments.SHARES)
    found = moments.slowed(running, running * ratios**2)
    assert list(found.values()) == pytest.approx(expected.tolist(), rel=1e-5)


def test_without_amsgrad_there_is_no_largest(end):
    state, _ = read_weights(end)
    plain = {key: value for key, value in state.items() if "max_exp_avg_sq" not in key}
    assert set(moments.moments(plain, "a")) == {"loc_running", "scale_logits_running"}


def test_the_end_must_be_there_and_be_the_only_one(end):
    with pytest.raises(FileError, match=r"end_00002\.safetensors: 0 files instead of one"):
        moments.end_of_training("toy", "mmvae", 0, epochs=2)
    end.parent.rename(end.parent.with_name("toy_mmvae_0_a"))
    (end.parent.with_name("toy_mmvae_0_b")).mkdir()
    (end.parent.with_name("toy_mmvae_0_b") / end.name).touch()
    with pytest.raises(FileError, match="2 files instead of one"):
        moments.end_of_training("toy", "mmvae", 0, epochs=1)
