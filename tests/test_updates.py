"""An update replayed from fixed places is the same update, and one that is not is found."""

import copy

import pytest
import torch
from toys import toy_model, toy_pairs

from mmvae.models.mmvae import ImportanceElbo, ImportanceWeighted
from mmvae.models.mvae import SubsampledElbo
from mmvae.objectives import Screen
from mmvae.training.updates import CHECKED, GraphedUpdate, Update, adam, restart

BATCH = 16
LOSSES = [
    ("mmvae", ImportanceWeighted("dreg_iwae", "loose", 5, Screen(rows_per_expert=2))),
    ("mmvae", ImportanceWeighted("elbo", "loose", 2)),
    ("mmvae", ImportanceElbo("importance_elbo", "loose", 2)),
    ("mvae", SubsampledElbo(0.4)),
]


def recorder(calls, wrong_at=None, instead=lambda work: None):
    """What a CUDA graph does, without one: keep the work, do nothing now, write to the same place at each replay.

    At replay `wrong_at`, counted from 1, it does something else `instead`.
    """

    def record(work):
        result = torch.full((3,), torch.nan)

        def replay():
            calls.append(work)
            found = instead(work) if len(calls) == wrong_at else work()
            if found is not None:
                result.copy_(found)

        return replay, result

    return record


def idle(work):
    """Replays that do nothing at all."""
    return (lambda: None), torch.zeros(3)


def steps(model, loss, wrap, device="cpu", count=5):
    """The weights after some updates, with a restart before the last two, and what each update reported."""
    model = copy.deepcopy(model).to(device)
    data = toy_pairs()
    data.arrays = {name: value.to(device) for name, value in data.arrays.items()}
    data.index = {name: value.to(device) for name, value in data.index.items()}
    optimiser = adam(model, 1e-3, amsgrad=True)
    update = wrap(Update(model, loss, optimiser, data))
    generator, sums = torch.Generator(device).manual_seed(0), []
    for step in range(count):
        if step == count - 2:
            restart(optimiser)
        noise = loss.noise(model, BATCH, generator)
        pairs = torch.arange(step, step + BATCH, device=device)
        sums.append(update(pairs, noise, torch.tensor(step / count, device=device)).clone())
    return [p.detach().cpu() for p in model.parameters()], torch.stack(sums).cpu()


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
def test_replays_give_what_updates_give(kind, loss):
    calls = []
    plain, sums = steps(toy_model(kind), loss, lambda update: update)
    replayed, replayed_sums = steps(toy_model(kind), loss, lambda update: GraphedUpdate(update, recorder(calls)))
    assert len(calls) == 5
    assert torch.equal(sums, replayed_sums)
    assert all(torch.equal(a, b) for a, b in zip(plain, replayed, strict=True))


WRONG = {
    "does nothing": lambda work: None,
    "steps twice": lambda work: (work(), work())[0],
    "says something else": lambda work: work() * 1.01,
}


@pytest.mark.parametrize("wrong_at", [1, CHECKED])
@pytest.mark.parametrize("what", WRONG)
def test_a_graph_whose_replay_is_wrong_is_given_up(what, wrong_at):
    calls = []
    plain, sums = steps(toy_model(), LOSSES[0][1], lambda update: update)
    with pytest.warns(UserWarning, match="a CUDA graph does not do what its step does; training goes on without"):
        eager, eager_sums = steps(
            toy_model(), LOSSES[0][1], lambda update: GraphedUpdate(update, recorder(calls, wrong_at, WRONG[what]))
        )
    assert len(calls) == wrong_at
    assert torch.equal(sums, eager_sums)
    assert all(torch.equal(a, b) for a, b in zip(plain, eager, strict=True))


def test_training_goes_on_where_nothing_can_be_captured():
    def refuse(work):
        raise RuntimeError("operation not permitted when stream is capturing")

    plain, _ = steps(toy_model(), LOSSES[0][1], lambda update: update)
    with pytest.warns(UserWarning, match="could not be captured as a CUDA graph and runs without: operation not"):
        eager, _ = steps(toy_model(), LOSSES[0][1], lambda update: GraphedUpdate(update, refuse))
    assert all(torch.equal(a, b) for a, b in zip(plain, eager, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU, and torch finds none here")
@pytest.mark.parametrize(("kind", "loss"), LOSSES)
def test_a_cuda_graph_gives_what_the_cpu_gives(kind, loss):
    plain, sums = steps(toy_model(kind), loss, lambda update: update)
    graphed, graphed_sums = steps(toy_model(kind), loss, GraphedUpdate, "cuda")
    torch.testing.assert_close(sums, graphed_sums, rtol=1e-3, atol=1e-3)
    for a, b in zip(plain, graphed, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-3)
