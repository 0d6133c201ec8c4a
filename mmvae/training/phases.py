"""When each phase of a training runs, and what it leaves as it is."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import filter as matching
from itertools import accumulate

from torch import nn

from mmvae.losses import Phase


class PhaseError(ValueError):
    """The phases do not fit the training or the model; the message says which, and what to do."""


@dataclass(frozen=True)
class Stretch:
    """The updates of one phase, numbered from 0 over the whole training, and the parameters that it leaves alone."""

    phase: Phase
    updates: range
    fixed: list[nn.Parameter]

    def progress(self, update: int) -> float:
        """The share of the phase that lies before an update."""
        return (update - self.updates.start) / len(self.updates)


def schedule(model: nn.Module, phases: Sequence[Phase], updates: int) -> list[Stretch]:
    """Divide so many updates among phases; boundaries are rounded.

    Raises:
        PhaseError: the shares are not positive with a sum of 1, or a pattern matches no parameter.
    """
    shares = [phase.share for phase in phases]
    if min(shares, default=0) <= 0 or not math.isclose(sum(shares), 1, abs_tol=1e-9):
        raise PhaseError(f"the shares of the phases are {shares}; make them positive, with a sum of 1")
    ends = [round(updates * share) for share in accumulate(shares)]
    return [
        Stretch(phase, range(first, last), _fixed(model, phase))
        for phase, first, last in zip(phases, [0, *ends], ends, strict=False)
    ]


def _fixed(model: nn.Module, phase: Phase) -> list[nn.Parameter]:
    if phase.trained is None:
        return []
    parameters, trained = dict(model.named_parameters()), set()
    for pattern in phase.trained:
        found = matching(parameters, pattern)
        if not found:
            some = ", ".join(list(parameters)[:: max(1, len(parameters) // 4)])
            raise PhaseError(f"the phase trains {pattern!r}, which is no parameter; some parameters are {some}")
        trained.update(found)
    return [p for name, p in parameters.items() if name not in trained and p.requires_grad]


@contextmanager
def frozen(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Meanwhile these parameters have no gradient, and what has none the optimiser leaves alone, moments and all."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def extendable(phases: Sequence[Phase]) -> bool:
    """Does a longer training begin as a shorter one? It does where nothing depends on a share of the whole."""
    return len(phases) == 1 and phases[0].loss.annealing(0) == 1
