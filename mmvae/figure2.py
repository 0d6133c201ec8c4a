"""The section `figure2` of a study's params.yaml: the lines of the ticks, and what was tuned."""

from typing import Any, Literal

from mmvae.params import ParamsError, Section, Seed, real
from mmvae.runs import COMPOSED


class Lines(Section):
    """What a tick needs. Shares are between 0 and 1.

    transfer: of what a probe of a modality's own latents has above the commonest digit, the part that is left when it
    was trained on the other's. style: R squared of brightness. joint: above agreement by chance. entropy: of the digits
    drawn, nats. cross: above the commonest digit.
    """

    transfer: real(0, 1)
    style: real(0, 1)
    joint: real(0, 1)
    entropy: real(0, 2.31)
    cross: real(0, 1)


class Figure2(Section):
    """lines: of the ticks. composed: systems made of the runs of single modalities. tuned: group of runs -> run -> its
    option -> the values tried, with `tuning_seed`.
    """

    lines: Lines
    composed: list[Literal[COMPOSED]]
    tuning_seed: Seed
    tuned: dict[str, dict[str, dict[str, list[Any]]]]

    def tried(self) -> dict[str, tuple[str, list[Any]]]:
        """Run -> its one option and the values."""
        found = {run: list(of.items()) for runs in self.tuned.values() for run, of in runs.items()}
        if several := [run for run, options in found.items() if len(options) != 1]:
            raise ParamsError(f"figure2.tuned: {several[0]} has {len(found[several[0]])} options; name one")
        return {run: option for run, (option,) in found.items()}
