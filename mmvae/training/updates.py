"""One update of a model's weights, and the same update captured as a CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mmvae.data.pairs import Pairs
from mmvae.losses import Loss, Noise
from mmvae.models import MultimodalVAE
from mmvae.processes import Processes

WARM_UP = 3  # updates before a capture, so that every library has set itself up

Replay = Callable[[], None]
Recorder = Callable[[Callable[[], Tensor | None]], tuple[Replay, Tensor | None]]


def adam(model: MultimodalVAE, learning_rate: float, amsgrad: bool) -> torch.optim.Adam:
    """Adam, as in the released code with AMSGrad; fused, and fit for a graph on a GPU."""
    on_gpu = next(model.parameters()).is_cuda
    return torch.optim.Adam(model.parameters(), lr=learning_rate, amsgrad=amsgrad, fused=True, capturable=on_gpu)


@torch.no_grad()
def restart(optimiser: torch.optim.Optimizer) -> None:
    """Forget all moments and how many steps made them, in place: a captured graph reads them where they are."""
    for state in optimiser.state.values():
        for value in state.values():
            value.zero_()


class Update:
    """One step of the optimiser on a batch, of which each process has a part."""

    def __init__(
        self, model: MultimodalVAE, loss: Loss, optimiser: torch.optim.Optimizer, data: Pairs, processes: Processes
    ):
        self.model, self.loss, self.optimiser = model, loss, optimiser
        self.data, self.processes = data, processes

    def __call__(self, pairs: Tensor, noise: Noise, annealing: Tensor) -> Tensor:
        """Sums over the whole batch of bound, share of particles kept and share of weight dropped: (3,)."""
        sums = self.gradients(pairs, noise, annealing)
        self.exchange(sums)
        self.optimiser.step()
        return sums

    def gradients(self, pairs: Tensor, noise: Noise, annealing: Tensor) -> Tensor:
        """The surrogate's gradient, summed over this process's part of the batch."""
        self.optimiser.zero_grad(set_to_none=True)
        estimate = self.loss(self.model, self.data.batch(pairs), noise, annealing)
        (-estimate.surrogate).backward()
        return torch.stack([estimate.bound.sum(), estimate.kept.sum(), estimate.dropped.sum()])

    def exchange(self, sums: Tensor) -> None:
        """Add up gradients and sums over all processes."""
        gradients = (p.grad for p in self.model.parameters() if p.grad is not None)
        self.processes.sum([*gradients, sums])


def record(work: Callable[[], Tensor | None]) -> tuple[Replay, Tensor | None]:
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


class GraphedUpdate:
    """An `Update` whose kernels are launched all at once.

    Tensors are copied to fixed places and the captured work is replayed: the whole step is one graph, or two with the
    processes' exchange between them. Where capture is not possible, it says so and goes on without.
    """

    def __init__(self, update: Update, recorder: Recorder = record):
        self.update, self.recorder = update, recorder
        self._captured: dict[tuple, tuple[list[Replay], tuple, Tensor] | None] = {}

    def __call__(self, pairs: Tensor, noise: Noise, annealing: Tensor) -> Tensor:
        subsets = tuple(names for names, _ in noise)
        if subsets not in self._captured:
            self._captured[subsets] = self._capture(pairs, noise, annealing)
        captured = self._captured[subsets]
        if captured is None:
            return self.update(pairs, noise, annealing)
        replays, (fixed_pairs, fixed_noise, fixed_annealing), sums = captured
        fixed_pairs.copy_(pairs)
        fixed_annealing.copy_(annealing)
        for (_, fixed), (_, new) in zip(fixed_noise, noise, strict=True):
            fixed.copy_(new)
        for replay in replays:
            replay()
        return sums

    def _capture(self, pairs: Tensor, noise: Noise, annealing: Tensor) -> tuple[list[Replay], tuple, Tensor] | None:
        fixed = (pairs.clone(), [(names, standard.clone()) for names, standard in noise], annealing.clone())
        put_back = self._snapshot()
        with beside(pairs.device):
            for _ in range(WARM_UP):
                self.update(*fixed)
        put_back()
        try:
            if self.update.processes.count == 1:
                step, sums = self.recorder(lambda: self.update(*fixed))
                replays = [step]
            else:
                gradients, sums = self.recorder(lambda: self.update.gradients(*fixed))
                step, _ = self.recorder(self.update.optimiser.step)
                replays = [gradients, lambda: self.update.exchange(sums), step]
        except RuntimeError as error:
            warnings.warn(f"the step could not be captured as a CUDA graph and runs without: {error}", stacklevel=2)
            return None
        return replays, fixed, sums

    def _snapshot(self) -> Callable[[], None]:
        """Remember weights, running statistics and optimiser, and return what puts them back in place."""
        optimiser = self.update.optimiser
        weights = {value: value.detach().clone() for value in self.update.model.state_dict(keep_vars=True).values()}
        states = {p: {key: value.clone() for key, value in optimiser.state[p].items()} for p in optimiser.state}

        @torch.no_grad()
        def put_back() -> None:
            for parameter, value in weights.items():
                parameter.copy_(value)
            for parameter, state in optimiser.state.items():
                for key, value in state.items():
                    value.copy_(states[parameter][key]) if parameter in states else value.zero_()

        return put_back
