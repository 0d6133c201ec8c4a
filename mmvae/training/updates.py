"""One update of a model's weights, and the same update captured as a CUDA graph."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from mmvae.data.pairs import PRESENT, Pairs
from mmvae.losses import Loss, Noise
from mmvae.model import MultimodalModel

WARM_UP = 3  # updates before a capture, so that every library has set itself up
CHECKED = 3  # replays of each graph that are compared with an eager update
# How far the weights that a replay gives may be from an eager update's, in lengths of that update. Over models, losses
# and 40 updates on a CPU, the same batch in another order, which is rounding, gave at most 1e-4; another batch, as a
# graph has that misses its arguments, gave at least 0.15.
TOLERANCE = 0.01

Replay = Callable[[], None]
Recorder = Callable[[Callable[[], Tensor]], tuple[Replay, Tensor]]
State = dict[str, Tensor]


def adam(model: MultimodalModel, learning_rate: float, amsgrad: bool) -> torch.optim.Adam:
    """Adam, as in the released code with AMSGrad; fused, and fit for a graph on a GPU.

    Its moments are there from the start, where a checkpoint is read into and a graph looks for them.
    """
    on_gpu = next(model.parameters()).is_cuda
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, amsgrad=amsgrad, fused=True, capturable=on_gpu)
    moments = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if amsgrad else ("exp_avg", "exp_avg_sq")
    for p in model.parameters():
        step = torch.zeros((), device=p.device)
        optimiser.state[p] = {"step": step} | {moment: torch.zeros_like(p) for moment in moments}
    return optimiser


@torch.no_grad()
def restart(optimiser: torch.optim.Adam) -> None:
    """Forget all moments and how many steps made them, in place: a captured graph reads them where they are."""
    for state in optimiser.state.values():
        for value in state.values():
            value.zero_()


def state_of(model: MultimodalModel, optimiser: torch.optim.Adam) -> State:
    """All that an update changes, by name, where it is in memory: weights, running statistics, Adam's moments."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        tensors |= {f"optimiser/{key}/{name}": value for key, value in optimiser.state[parameter].items()}
    return tensors


class Update:
    """One step of the optimiser on a batch."""

    def __init__(self, model: MultimodalModel, loss: Loss, optimiser: torch.optim.Adam, data: Pairs):
        self.model, self.loss, self.optimiser, self.data = model, loss, optimiser, data

    def __call__(self, pairs: Tensor, noise: Noise, annealing: Tensor) -> Tensor:
        """Sums over the batch of bound, share of particles kept and share of weight dropped: (3,)."""
        self.optimiser.zero_grad(set_to_none=True)
        estimate = self.loss(self.model, self.data.batch(pairs), noise, annealing)
        (-estimate.surrogate).backward()
        self.optimiser.step()
        return torch.stack([estimate.bound.sum(), estimate.kept.sum(), estimate.dropped.sum()])

    def state(self) -> State:
        """A copy of all that an update changes."""
        return {name: value.clone() for name, value in state_of(self.model, self.optimiser).items()}

    def put_back(self, state: State) -> None:
        """Make everything, in place, what it was in `state`."""
        for name, place in state_of(self.model, self.optimiser).items():
            place.copy_(state[name])


def record(work: Callable[[], Tensor]) -> tuple[Replay, Tensor]:
    """Capture `work` as a CUDA graph: what replays it, and the tensor it writes its result to."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()
    return graph.replay, result


@contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """On a GPU, work on a stream of its own, as what precedes a capture must."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream(device).wait_stream(stream)


@dataclass
class Graph:
    """A captured update: what replays it, where it reads its arguments and writes its sums, replays still to check."""

    replay: Replay
    pairs: Tensor
    noise: Noise
    annealing: Tensor
    sums: Tensor
    unchecked: int = CHECKED

    def __call__(self, pairs: Tensor, noise: Noise, annealing: Tensor) -> Tensor:
        self.pairs.copy_(pairs)
        self.annealing.copy_(annealing)
        for (_, fixed), (_, new) in zip(self.noise, noise, strict=True):
            fixed.copy_(new)
        self.replay()
        return self.sums


class GraphedUpdate:
    """An `Update` whose kernels are launched all at once.

    Arguments are copied to fixed places and the captured step is replayed, a graph for each choice of subsets. Where a
    step cannot be captured, or a replay does not do what an eager update does, it says so and goes on without.
    """

    def __init__(self, update: Update, recorder: Recorder = record):
        self.update, self.recorder = update, recorder
        self._graphs: dict[tuple, Graph | None] = {}

    def __call__(self, pairs: Tensor, noise: Noise, annealing: Tensor) -> Tensor:
        """As `Update`."""
        subsets = tuple(names for names, _ in noise)
        if subsets not in self._graphs:
            self._graphs[subsets] = self._capture(pairs, noise, annealing)
        graph = self._graphs[subsets]
        if graph is None:
            return self.update(pairs, noise, annealing)
        if not graph.unchecked:
            return graph(pairs, noise, annealing)
        graph.unchecked -= 1
        right, sums = self._check(graph, pairs, noise, annealing)
        if not right:
            self._graphs[subsets] = None
            warnings.warn("a CUDA graph does not do what its step does; training goes on without", stacklevel=2)
        return sums

    def _capture(self, pairs: Tensor, noise: Noise, annealing: Tensor) -> Graph | None:
        fixed = (pairs.clone(), [(names, standard.clone()) for names, standard in noise], annealing.clone())
        before = self.update.state()
        with beside(pairs.device):
            for _ in range(WARM_UP):
                self.update(*fixed)
        self.update.put_back(before)
        try:
            replay, sums = self.recorder(lambda: self.update(*fixed))
        except RuntimeError as error:
            warnings.warn(f"the step could not be captured as a CUDA graph and runs without: {error}", stacklevel=3)
            return None
        return Graph(replay, *fixed, sums)

    def _check(self, graph: Graph, *step: Tensor | Noise) -> tuple[bool, Tensor]:
        """Update both ways from the same state: is the replay right? It stands if it is, the eager update if not."""
        before = self.update.state()
        sums = self.update(*step)
        eager = self.update.state()
        self.update.put_back(before)
        replayed = graph(*step)
        names = [f"model/{name}" for name, _ in self.update.model.named_parameters()]
        now = state_of(self.update.model, self.update.optimiser)
        moved, apart = (_distance(eager, other, names) for other in (before, now))
        if apart <= TOLERANCE * moved and torch.allclose(sums, replayed, rtol=1e-4, atol=1e-2):
            return True, replayed
        self.update.put_back(eager)
        return False, sums


def updater(
    model: MultimodalModel, loss: Loss, optimiser: torch.optim.Adam, data: Pairs
) -> Callable[[Tensor, Noise, Tensor], Tensor]:
    """What updates a model under one loss, captured on a GPU. Each phase has its own, and with it its own graphs."""
    update = Update(model, loss, optimiser, data)
    one_shape = PRESENT not in data.arrays  # else every batch is divided in another way
    return GraphedUpdate(update) if next(model.parameters()).is_cuda and one_shape else update


def _distance(a: State, b: State, names: list[str]) -> float:
    return float(sum((a[name] - b[name]).double().square().sum() for name in names)) ** 0.5
