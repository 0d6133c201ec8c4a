"""Figure 2, measured: what each of its four criteria is here, and the lines that a system has to be above. No torch.

A criterion is a few numbers of the long table, each with the line that it is compared with. In the study's folder,
`python -m mmvae.systems digits` prints them as Markdown.
"""

import sys
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from mmvae import params
from mmvae.files import FileError, read_table
from mmvae.params import ParamsError, Section, Seed, real
from mmvae.runs import Run
from mmvae.tables import CLASSIFIERS

FACTORISATION, JOINT, CROSS, SYNERGY = "factorisation", "joint", "cross", "synergy"
LATE_FUSION = "late_fusion"  # the row of the single VAEs together, which is no run
NATS = "nats"  # the name of the number of synergy that is a log-likelihood
INTERVAL = 1.96  # standard errors on each side: 95 %
RATES = "coherence.strong."


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
    """lines: of the ticks. tuned: group of runs -> run -> its option -> the values tried, with `tuning_seed`."""

    lines: Lines
    tuning_seed: Seed
    tuned: dict[str, dict[str, dict[str, list[Any]]]]

    def tried(self) -> dict[str, tuple[str, list[Any]]]:
        """Run -> its option and the values."""
        return {run: next(iter(of.items())) for runs in self.tuned.values() for run, of in runs.items()}


def replaced(run: Run, option: str, value: Any) -> Run:
    """The run with another value of an option; 'networks.grey.scaling' is one within its networks."""
    entry = run.entry.model_dump(exclude_none=True)
    *path, last = option.split(".")
    at = entry
    for key in path:
        at = at.setdefault(key, {})
    at[last] = value
    return replace(run, entry=type(run.entry)(**entry))


@dataclass(frozen=True)
class Number:
    """One number of a cell: the mean over seeds, half the width of the 95 % interval over test pairs, and the line.

    above: is the lower end of the interval above the line, and every seed?
    """

    name: str
    value: float
    half: float
    line: float
    above: bool


Cells = dict[str, list[Number]]  # criterion -> its numbers; none where the system has no such map


class System:
    """The numbers of one run, of all its seeds."""

    def __init__(self, rows: pd.DataFrame):
        self._values = rows.pivot_table(index="metric", columns="seed", values="value", sort=False)
        self._errors = rows.groupby("metric")["standard_error"].mean()

    def names(self, start: str) -> list[str]:
        """What follows `start` in the names of metrics."""
        return [metric.removeprefix(start) for metric in self._values.index if metric.startswith(start)]

    def mean(self, metric: str) -> float:
        """Over the seeds."""
        return float(self._values.loc[metric].mean())

    def number(self, metric: str, name: str, line: float | pd.Series) -> Number:
        """A number and its line, which may differ from seed to seed."""
        values, error = self._values.loc[metric], self._errors.get(metric)
        half = 0.0 if pd.isna(error) else INTERVAL * float(error)
        line = values * 0 + line
        lowest = float((values - line).mean()) - half
        return Number(name, float(values.mean()), half, float(line.mean()), bool(lowest > 0 and (values > line).all()))

    def of(self, metric: str) -> pd.Series:
        """By seed."""
        return self._values.loc[metric]


def arrow(name: str) -> str:
    """'grey_to_colour' as a figure shows it."""
    return name.replace("_to_", " → ")


def cells(system: System, lines: Lines) -> Cells:
    """The numbers of every criterion."""
    found: Cells = {FACTORISATION: [], JOINT: [], CROSS: [], SYNERGY: []}
    commonest = system.of("latent_accuracy.majority")
    for name in (n for n in system.names("transfer.") if "_to_" in n):
        own = system.of(f"transfer.{name.partition('_to_')[2]}")
        line = commonest + lines.transfer * (own - commonest)
        found[FACTORISATION].append(system.number(f"transfer.{name}", f"transfer {arrow(name)}", line))
    if found[FACTORISATION]:
        for name in system.names("style.brightness."):
            found[FACTORISATION].append(system.number(f"style.brightness.{name}", f"style {name}", lines.style))
    if system.names(f"{RATES}joint"):
        chance = system.of(f"{RATES}joint_by_chance")
        found[JOINT].append(system.number(f"{RATES}joint", "joint", chance + lines.joint))
        for name in system.names(f"{RATES}entropy."):
            found[JOINT].append(system.number(f"{RATES}entropy.{name}", f"entropy {name}", lines.entropy))
    for name in system.names(f"{RATES}cross."):
        found[CROSS].append(system.number(f"{RATES}cross.{name}", arrow(name), commonest + lines.cross))
    if system.names("synergy."):
        found[SYNERGY].append(system.number("synergy.probe", "probe", 0.0))
        for name in system.names("synergy.image."):
            found[SYNERGY].append(system.number(f"synergy.image.{name}", f"image {name}", 0.0))
        if system.names("likelihood.synergy"):
            found[SYNERGY].append(system.number("likelihood.synergy", NATS, 0.0))
    return found


def tick(criterion: str, numbers: list[Number]) -> bool | None:
    """Does the system satisfy the criterion? None: it has no such map. Synergy: in digits, or in nats."""
    if not numbers:
        return None
    if criterion == SYNERGY:
        digits = [number.above for number in numbers if number.name != NATS]
        return all(digits) or any(number.above for number in numbers if number.name == NATS)
    return all(number.above for number in numbers)


def report(every: pd.DataFrame, lines: Lines) -> dict[str, Cells]:
    """Run -> its cells, from the long table of all runs and seeds."""
    return {str(run): cells(System(rows), lines) for run, rows in every.groupby("run", sort=False)}


def tracked(report: dict[str, Cells]) -> dict:
    """What DVC tracks: criterion -> run -> its numbers, and its tick."""
    found: dict = {}
    for run, of_run in report.items():
        for criterion, numbers in of_run.items():
            if numbers:
                values = {n.name.replace(" → ", "_to_").replace(" ", "_"): n.value for n in numbers}
                found.setdefault(criterion, {})[run] = values | {"tick": bool(tick(criterion, numbers))}
    return found


def markdown(report: dict[str, Cells]) -> str:
    """A row for each system and a column for each number, in percent but for R squared and nats; ticks in bold."""
    rows = {}
    for run, of_run in report.items():
        rows[run] = {}
        for criterion, numbers in of_run.items():
            mark = "**" if tick(criterion, numbers) else ""
            for n in numbers:
                plain = n.name.startswith(("style", "entropy")) or n.name == NATS
                rows[run][n.name] = f"{mark}{n.value:.2f}{mark}" if plain else f"{mark}{100 * n.value:.1f}{mark}"
    return pd.DataFrame.from_dict(rows, orient="index").fillna("").to_markdown(disable_numparse=True)


def main() -> None:
    try:
        lines = params.section(Figure2, params.load(), "figure2").lines
        for name in sys.argv[1:]:
            every = read_table(f"metrics/{name}/figure2.csv")
            print(markdown(report(every[every["run"] != CLASSIFIERS], lines)))
    except (FileError, ParamsError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
