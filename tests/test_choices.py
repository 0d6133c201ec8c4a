"""What is chosen on validation photographs."""

import torch

from mmvae import choices
from mmvae.data.prepared import CaptionedPairs


def test_choices_are_made_without_a_test_photograph(finished_project, monkeypatch):
    monkeypatch.chdir(finished_project[0])
    pairs, stored = CaptionedPairs("birds", torch.device("cpu")), CaptionedPairs.array

    def guarded(self, name, key):
        assert not key.startswith("test/")
        return stored(self, name, key)

    monkeypatch.setattr(CaptionedPairs, "array", guarded)
    monkeypatch.setattr(choices, "IMAGE", (0.0, 10.0))
    monkeypatch.setattr(choices, "SENTENCE", (0.0, 1e-3))
    ridges = choices.ridge(pairs)
    assert len(ridges) == 4
    assert (ridges["ground truth"].abs() <= 1).all()
    assert ridges["ground truth"].nunique() > 1
    monkeypatch.setattr(choices, "WEIGHTS", (0.0, 1.0))
    monkeypatch.setattr(choices, "DRAWS", 20)
    repeats = choices.bigrams(pairs, "mmvae_features").set_index("weight")["repeat a word"]
    assert repeats[1.0] < repeats[0.0]
