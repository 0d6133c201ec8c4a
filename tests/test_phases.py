"""A training of several phases: what each trains, how it is annealed, captured, validated and interrupted."""

from dataclasses import dataclass, field, replace

import pytest
import torch
from test_training import fit
from test_updates import recorder
from toys import toy_model

from mmvae.losses import Phase
from mmvae.models.mmvae import ImportanceWeighted
from mmvae.models.mvae import SubsampledElbo
from mmvae.training import loop
from mmvae.training.checkpoints import Checkpoint
from mmvae.training.phases import PhaseError, extendable, schedule
from mmvae.training.updates import GraphedUpdate, Update

IWAE, ELBO = ImportanceWeighted("iwae", "loose", 3), ImportanceWeighted("elbo", "loose", 3)
ENCODERS, DECODERS = ("modalities.*.encoder.*", "prior_*"), ("modalities.*.decoder.*",)
TWO = [Phase(IWAE, 0.6, ENCODERS), Phase(ELBO, 0.4, DECODERS)]  # 7 and 5 of 12 updates, 6 an epoch


@dataclass(frozen=True)
class Watched(ImportanceWeighted):
    """Notes the weight of the KL at each evaluation, and is interrupted at its `last`."""

    last: int | None = None
    seen: list = field(default_factory=list)

    def __call__(self, model, x, noise, annealing):
        self.seen.append(float(annealing))
        if len(self.seen) == self.last:
            raise KeyboardInterrupt
        return super().__call__(model, x, noise, annealing)


class Annealed(Watched):
    """Its KL's weight is the progress."""

    def annealing(self, progress):
        return progress


def moved(before, after):
    """The parameters that differ."""
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    return {name for (name, a), b in pairs if not torch.equal(a, b)}


def after_first(phases, **choices):
    """The model at the end of the first of two phases."""
    model, second = toy_model(), Watched("elbo", "loose", 3, last=1)
    with pytest.raises(KeyboardInterrupt):
        fit(model, [phases[0], replace(phases[1], loss=second)], **choices)
    return model


def test_each_phase_moves_what_it_trains_and_nothing_else():
    start, both = toy_model(), toy_model()
    first = after_first(TWO)
    fit(both, TWO)
    every = dict(start.named_parameters())
    assert moved(start, first) == {name for name in every if "decoder" not in name}
    assert moved(first, both) == {name for name in every if "decoder" in name}
    assert all(p.requires_grad for model in (first, both) for p in model.parameters())


def test_what_adam_remembers_moves_nothing_that_is_not_trained():
    phases, both = [Phase(IWAE, 0.5), Phase(IWAE, 0.5, ENCODERS)], toy_model()
    first = after_first(phases)
    fit(both, phases)
    assert moved(toy_model(), first) == set(dict(both.named_parameters()))
    assert not any("decoder" in name for name in moved(first, both))
    assert moved(first, both)


def test_two_halves_of_the_same_are_a_whole():
    whole, halves = toy_model(), toy_model()
    assert fit(whole, IWAE) == fit(halves, [Phase(IWAE, 0.5), Phase(IWAE, 0.5, ("*",))])
    assert not moved(whole, halves)


@pytest.mark.parametrize(("stopped", "last"), [(0, 5), (1, 1), (1, 3)])
def test_a_run_interrupted_in_any_phase_goes_on_to_the_same_weights(stopped, last, tmp_path):
    whole, continued = toy_model(), toy_model()
    curve = fit(whole, TWO)
    checkpoint = Checkpoint(tmp_path / "run.safetensors", seconds=0)
    broken = list(TWO)
    broken[stopped] = replace(broken[stopped], loss=Watched(broken[stopped].loss.objective, "loose", 3, last=last))
    with pytest.raises(KeyboardInterrupt):
        fit(toy_model(), broken, checkpoint=checkpoint)
    assert fit(continued, TWO, checkpoint=checkpoint) == curve
    assert not moved(whole, continued)


def test_annealing_follows_the_progress_of_its_phase():
    first, second = Annealed("iwae", "loose", 3), Annealed("iwae", "loose", 3)
    fit(toy_model(), [Phase(first, 0.6), Phase(second, 0.4)])
    assert first.seen == pytest.approx([step / 7 for step in range(7)])
    assert second.seen == pytest.approx([step / 5 for step in range(5)])


def test_an_epoch_is_validated_by_the_loss_of_its_last_update(monkeypatch):
    used = []
    monkeypatch.setattr(loop, "validate", lambda model, data, loss, generator: used.append(loss) or {})
    fit(toy_model(), TWO)
    fit(toy_model(), [replace(TWO[0], share=0.5), replace(TWO[1], share=0.5)])
    assert used == [IWAE, ELBO] * 2


@pytest.mark.parametrize("second", [Phase(ELBO, 0.5), Phase(IWAE, 0.5, DECODERS)], ids=["loss", "what is trained"])
def test_a_phase_never_replays_the_graph_of_another(second, monkeypatch):
    """Both look at the same subsets, by which a phase tells its graphs apart."""
    phases = [Phase(IWAE, 0.5, ENCODERS), second]
    plain, replayed = toy_model(), toy_model()
    curve = fit(plain, phases)
    calls = []
    monkeypatch.setattr(loop, "updater", lambda *given: GraphedUpdate(Update(*given), recorder(calls)))
    assert fit(replayed, phases) == curve
    assert not moved(plain, replayed)
    assert len(calls) == 12
    assert len(set(calls)) == 2


def test_boundaries_are_rounded():
    shares = (0.1, 0.25, 0.65)
    stretches = schedule(toy_model(), [Phase(IWAE, share) for share in shares], 33)
    assert [stretch.updates for stretch in stretches] == [range(3), range(3, 12), range(12, 33)]
    tenths = schedule(toy_model(), [Phase(IWAE, 0.1)] * 10, 1000)
    assert tenths[-1].updates == range(900, 1000)


@pytest.mark.parametrize("shares", [(), (0.5,), (0.5, 0.6), (1.5, -0.5), (1.0, 0.0)])
def test_shares_that_are_no_division(shares):
    with pytest.raises(PhaseError, match=r"the shares of the phases are .*; make them positive, with a sum of 1"):
        fit(toy_model(), [Phase(IWAE, share) for share in shares])


@pytest.mark.parametrize("pattern", ["modalities.c.*", "encoder", ""])
def test_a_pattern_that_matches_nothing_is_refused_before_anything_is_trained(pattern):
    model, said = toy_model(), rf"trains '{pattern}', which is no parameter; some .* prior_scale_logits, mod"
    with pytest.raises(PhaseError, match=said):
        fit(model, [Phase(IWAE, 0.5), Phase(IWAE, 0.5, (*ENCODERS, pattern))])
    assert not moved(model, toy_model())


def test_what_a_longer_run_may_go_on_from():
    assert extendable([Phase(IWAE)])
    assert extendable([Phase(SubsampledElbo(0.0))])
    assert not extendable([Phase(SubsampledElbo(0.4))])
    assert not extendable(TWO)
