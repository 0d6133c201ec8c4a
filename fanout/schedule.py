"""Which stage runs next: one whose needs are met, the one with the longest way to go first. It knows names alone."""

from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from heapq import heappop, heappush

Needs = Mapping[str, set[str]]


def ways(needs: Needs, seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds from the start of each stage to the end of the longest chain of stages that need it, one by one."""
    longest = dict.fromkeys(needs, 0.0)
    for name in reversed(list(TopologicalSorter(needs).static_order())):
        longest[name] += seconds[name]
        for need in needs[name]:
            longest[need] = max(longest[need], longest[name])
    return longest


class Schedule:
    """Hands out stages, each once. A stage that is never done holds back all that need it.

    needs: each stage, in the order of a serial run -> the stages that must be done before it.
    seconds: what each is expected to take.
    """

    def __init__(self, needs: Needs, seconds: Mapping[str, float]):
        self.ways = ways(needs, seconds)
        self._place = {name: place for place, name in enumerate(needs)}
        self._sorter = TopologicalSorter(needs)
        self._sorter.prepare()
        self._ready: list[tuple[float, int, str]] = []

    def next(self, fits: Callable[[str], bool] = lambda name: True) -> str | None:
        """A stage that is ready and fits; None if there is none now."""
        for name in self._sorter.get_ready():
            heappush(self._ready, (-self.ways[name], self._place[name], name))
        refused, found = [], None
        while self._ready and found is None:
            entry = heappop(self._ready)
            found = entry[-1] if fits(entry[-1]) else refused.append(entry)
        for entry in refused:
            heappush(self._ready, entry)
        return found

    def done(self, name: str) -> None:
        """What needs this stage, and nothing else, is ready now."""
        self._sorter.done(name)


def left(needs: Needs, seconds: Mapping[str, float], slots: int) -> float:
    """Seconds until all is done, at least: all work over the slots, or the longest chain of stages.

    seconds: the stages that are not done -> what each is expected to take from now on.
    """
    if not seconds:
        return 0.0
    still = {name: needs[name] & seconds.keys() for name in seconds}
    return max(sum(seconds.values()) / slots, max(ways(still, seconds).values()))
