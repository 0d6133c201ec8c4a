"""Figure 2, measured: what each of its four criteria is here, and the lines that a system has to be above. No torch.

A criterion is a few numbers of the long table, each with the line that it is compared with. In the study's folder,
`python -m mmvae.systems digits` prints them as Markdown.
"""

import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmvae import params
from mmvae.figure2 import Figure2, Lines
from mmvae.files import FileError, read_table
from mmvae.params import ParamsError
from mmvae.tables import CLASSIFIERS

FACTORISATION, JOINT, CROSS, SYNERGY = "factorisation", "joint", "cross", "synergy"
NATS = "nats"  # the first word of the names of numbers of synergy that are log-likelihoods
INTERVAL = 1.96  # standard errors on each side: 95 %
RATES, FITTED = "coherence.strong.", "fitted."


@dataclass(frozen=True)
class Number:
    """One number of a cell: of each seed, half the width of a seed's 95 % interval, the mean line.

    share: of test pairs or draws; if not, R squared, entropy or nats. above: is the mean above the line by more than
    `half`, and every seed above its own?
    """

    name: str
    seeds: tuple[float, ...]
    half: float
    line: float
    above: bool
    share: bool = True

    @property
    def value(self) -> float:
        return sum(self.seeds) / len(self.seeds)

    @property
    def in_nats(self) -> bool:
        """Is it a log-likelihood of synergy?"""
        return self.name.split()[0] == NATS


Cells = dict[str, list[Number]]  # criterion -> its numbers; none where the system has no such map


class System:
    """The numbers of one run, of all its seeds."""

    def __init__(self, rows: pd.DataFrame):
        self._values = rows.pivot_table(index="metric", columns="seed", values="value", sort=False)
        self._errors = rows.groupby("metric")["standard_error"].mean()

    def names(self, start: str) -> list[str]:
        """What follows `start` in the names of metrics."""
        return [metric.removeprefix(start) for metric in self._values.index if metric.startswith(start)]

    def of(self, metric: str) -> pd.Series:
        """By seed."""
        return self._values.loc[metric]

    def number(self, metric: str, name: str, line: float | pd.Series, share: bool = True) -> Number:
        """A number and its line, which may differ from seed to seed."""
        values, error = self.of(metric), self._errors.get(metric)
        half = 0.0 if pd.isna(error) else INTERVAL * float(error)
        line = values * 0 + line
        above = bool((values - line).mean() > half and (values > line).all())
        return Number(name, tuple(map(float, values)), half, float(line.mean()), above, share)


def arrow(name: str) -> str:
    """'grey_to_colour' as a figure shows it."""
    return name.replace("_to_", " → ")


def cells(system: System, lines: Lines) -> Cells:
    """The numbers of every criterion. A system without draws of its own is judged by those of a fitted mixture."""
    found: Cells = {FACTORISATION: [], JOINT: [], CROSS: [], SYNERGY: []}
    commonest = system.of("latent_accuracy.majority")
    for name in (n for n in system.names("transfer.") if "_to_" in n):
        own = system.of(f"transfer.{name.partition('_to_')[2]}")
        line = commonest + lines.transfer * (own - commonest)
        found[FACTORISATION].append(system.number(f"transfer.{name}", f"transfer {arrow(name)}", line))
    if found[FACTORISATION]:
        for name in system.names("style.brightness."):
            number = system.number(f"style.brightness.{name}", f"style {name}", lines.style, share=False)
            found[FACTORISATION].append(number)
    for drawn, after in ((RATES, ""), (FITTED, ", fitted")):
        if system.names(f"{drawn}joint") and not found[JOINT]:
            chance = system.of(f"{drawn}joint_by_chance")
            found[JOINT].append(system.number(f"{drawn}joint", f"joint{after}", chance + lines.joint))
            for name in system.names(f"{drawn}entropy."):
                number = system.number(f"{drawn}entropy.{name}", f"entropy {name}{after}", lines.entropy, share=False)
                found[JOINT].append(number)
    for name in system.names(f"{RATES}cross."):
        found[CROSS].append(system.number(f"{RATES}cross.{name}", arrow(name), commonest + lines.cross))
    for kind in ("probe", "image"):
        for name in system.names(f"synergy.{kind}."):
            found[SYNERGY].append(system.number(f"synergy.{kind}.{name}", f"{kind}, than {name}", 0.0))
    if system.names("likelihood.synergy"):
        found[SYNERGY].append(system.number("likelihood.synergy", NATS, 0.0, share=False))
    for name in system.names("gain.nats."):
        found[SYNERGY].append(system.number(f"gain.nats.{name}", f"{NATS} {name}", 0.0, share=False))
    return found


def earned(numbers: list[Number]) -> list[Number]:
    """What a system satisfies a criterion by: all numbers or none; of synergy, those of digits or those in nats."""
    return [n for n in numbers if all(other.above for other in numbers if other.in_nats == n.in_nats)]


def tick(numbers: list[Number]) -> bool | None:
    """Does the system satisfy a criterion? None: it has no such map."""
    return bool(earned(numbers)) if numbers else None


def report(every: pd.DataFrame, lines: Lines) -> dict[str, Cells]:
    """Run -> its cells, from the long table of all runs and seeds. A run without any cell is left out."""
    found = {str(run): cells(System(rows), lines) for run, rows in every.groupby("run", sort=False)}
    return {run: of for run, of in found.items() if any(of.values())}


def marks(every: pd.DataFrame) -> dict[str, str]:
    """Run -> ' L', if it is trained on digits too, and ' U', if it does not look at which images are a pair."""
    means = every.groupby(["run", "metric"])["value"].mean()
    used = {(run, of): means.get((run, f"uses.{of}")) for run in every["run"].unique() for of in ("labels", "pairs")}
    return {
        run: (" L" if used[run, "labels"] == 1 else "") + (" U" if used[run, "pairs"] == 0 else "")
        for run in every["run"].unique()
    }


def gains(every: pd.DataFrame) -> pd.DataFrame:
    """What a run is ahead of the single VAEs, the runs of one modality, seed by seed: rows of the long table.

    Of several of one modality, the first. A modality that has none has no rows.

    gain.<a>, a share: of a probe of samples given a. gain.nats.<a>, of runs with `conditional`: how much more likely a
    is given the others than to its own VAE.
    """
    probes = _named(every, r"latent_accuracy\.single\.(\w+)\.samples")
    alone = probes.groupby("run")["at"].nunique() == 1
    single = alone.index[alone]
    probed = _ahead(probes, probes[probes["run"].isin(single)])
    densities = _named(every, r"likelihood\.from_(\w+)\.\1")
    nats = _ahead(_named(every, r"conditional\.(\w+)"), densities[densities["run"].isin(single)])
    found = [probed.assign(metric="gain." + probed["at"]), nats.assign(metric="gain.nats." + nats["at"])]
    found = [rows for rows in found if not rows.empty]
    return pd.concat(found).drop(columns="at") if found else every[:0]


def _named(every: pd.DataFrame, pattern: str) -> pd.DataFrame:
    """The rows of such metrics, with the modality that each names as `at`."""
    rows = every[every["metric"].str.fullmatch(pattern)]
    return rows.assign(at=rows["metric"].str.extract(pattern, expand=False))


def _ahead(rows: pd.DataFrame, single: pd.DataFrame) -> pd.DataFrame:
    """The rows less those of single VAEs of the same modality and seed, without the latter; errors as if unpaired."""
    others = rows[~rows["run"].isin(single["run"]) & rows["at"].isin(single["at"])]
    key = pd.MultiIndex.from_frame(others[["at", "seed"]])
    first = single.drop_duplicates(["at", "seed"]).set_index(["at", "seed"])
    reference = first[["value", "standard_error"]].reindex(key)
    return others.assign(
        value=others["value"] - reference["value"].to_numpy(),
        standard_error=np.hypot(others["standard_error"], reference["standard_error"].to_numpy()),
    )


def tracked(report: dict[str, Cells]) -> dict:
    """What DVC tracks: criterion -> run -> its numbers, and its tick."""
    found: dict = {}
    for run, of_run in report.items():
        for criterion, numbers in of_run.items():
            if numbers:
                values = {
                    n.name.replace(" → ", "_to_").replace(",", "").replace("than ", "").replace(" ", "_"): n.value
                    for n in numbers
                }
                found.setdefault(criterion, {})[run] = values | {"tick": bool(tick(numbers))}
    return found


TITLES = {
    FACTORISATION: "(a) Latent factorisation",
    JOINT: "(b) Joint generation",
    CROSS: "(c) Cross generation",
    SYNERGY: "(d) Synergy",
}


def markdown(report: dict[str, Cells], marked: dict[str, str]) -> str:
    """A table for each criterion: a row for each system, a column for each number; in bold what earned it a tick.

    Shares in percent, +- the standard deviation over seeds. marked: what stands after a system's name.
    """
    tables = []
    for criterion, title in TITLES.items():
        rows: dict[str, dict[str, str]] = {}
        for run, of_run in report.items():
            bold = earned(of_run[criterion])
            for n in of_run[criterion]:
                mark = "**" if n in bold else ""
                factor, digits = (100, 0) if n.share else (1, 1 if n.in_nats else 2)
                spread = pd.Series(n.seeds).std()
                after = "" if pd.isna(spread) else f" ± {factor * spread:.{digits}f}"
                row = rows.setdefault(run + marked[run], {})
                row[n.name] = f"{mark}{factor * n.value:.{digits}f}{mark}{after}"
        frame = pd.DataFrame.from_dict(rows, orient="index").fillna("")
        tables.append(f"{title}:\n\n{frame.to_markdown(disable_numparse=True)}")
    return "\n\n".join(tables)


def main() -> None:
    try:
        content = params.load()
        lines = params.section(Figure2, content, "figure2").lines
        for name in sys.argv[1:] or content["digit_sets"]:
            every = read_table(f"metrics/{name}/figure2.csv")
            of_runs = every[every["run"] != CLASSIFIERS]
            print(markdown(report(of_runs, lines), marks(of_runs)))
    except (FileError, ParamsError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
