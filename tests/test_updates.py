"""An update replayed from fixed places is the same update."""

import copy

import pytest
import torch
from toys import toy_model, toy_pairs

from mmvae import losses
from mmvae.objectives import Screen
from mmvae.processes import ALONE, Processes
from mmvae.training.updates import GraphedUpdate, Update, adam, restart

BATCH = 16
LOSSES = [
    ("mmvae", losses.ImportanceWeighted("dreg_iwae", "loose", 5, Screen(rows_per_expert=2))),
    ("mmvae", losses.ImportanceWeighted("elbo", "loose", 2)),
    ("mmvae", losses.ImportanceElbo("importance_elbo", "loose", 2)),
    ("mvae", losses.SubsampledElbo(0.4)),
]


def recorder(calls):
    """What a CUDA graph does, without one: keep the work, do nothing now, write to the same place at each replay."""

    def record(work):
        result = torch.full((3,), torch.nan)

        def replay():
            calls.append(work)
            found = work()
            if found is not None:
                result.copy_(found)

        return replay, result

    return record


class Apart(Processes):
    """One of two processes, the other of which has nothing to add."""

    def sum(self, tensors):
        assert len(list(tensors)) > 1


def steps(model, loss, wrap, device="cpu", count=5, processes=ALONE):
    """The weights after some updates, with a restart before the last two, and what each update reported."""
    model = copy.deepcopy(model).to(device)
    data = toy_pairs()
    data.arrays = {name: value.to(device) for name, value in data.arrays.items()}
    data.index = {name: value.to(device) for name, value in data.index.items()}
    optimiser = adam(model, 1e-3, amsgrad=True)
    update = wrap(Update(model, loss, optimiser, data, processes))
    generator, sums = torch.Generator(device).manual_seed(0), []
    for step in range(count):
        if step == count - 2:
            restart(optimiser)
        noise = loss.noise(model, BATCH, generator)
        pairs = torch.arange(step, step + BATCH, device=device)
        sums.append(update(pairs, noise, torch.tensor(step / count, device=device)).clone())
    return [p.detach().cpu() for p in model.parameters()], torch.stack(sums).cpu()


@pytest.mark.parametrize(("processes", "graphs"), [(ALONE, 1), (Apart(0, 2), 2)], ids=["alone", "one of two"])
@pytest.mark.parametrize(("kind", "loss"), LOSSES)
def test_replays_give_what_updates_give(kind, loss, processes, graphs):
    calls = []
    plain, sums = steps(toy_model(kind), loss, lambda update: update)
    replayed, replayed_sums = steps(
        toy_model(kind), loss, lambda update: GraphedUpdate(update, recorder(calls)), processes=processes
    )
    assert len(calls) == 5 * graphs
    assert torch.equal(sums, replayed_sums)
    assert all(torch.equal(a, b) for a, b in zip(plain, replayed, strict=True))


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
