"""Figure 2, measured: the table of all systems and seeds, its cells, and the figure."""

import pandas as pd

from mmvae import params, runs, systems, tables
from mmvae.figure2 import Figure2
from mmvae.figures.grids import save
from mmvae.figures.systems import figure2
from mmvae.files import write_json, write_table
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    content = params.load()
    figure = params.section(Figure2, content, "figure2")
    every = tables.gather(name, [*runs.of_set(content, name), *figure.composed], content["seeds"])
    every = pd.concat([every, systems.gains(every)]).reset_index(drop=True)
    write_table(f"metrics/{name}/figure2.csv", every)
    of_runs = every[every["run"] != tables.CLASSIFIERS]
    report = systems.report(of_runs, figure.lines)
    write_json(f"metrics/{name}/figure2.json", systems.tracked(report))
    gflop = of_runs[of_runs["metric"] == "cost.gflop"].groupby("run")["value"].mean()
    seeds = len(content["seeds"])
    number = f"{seeds} seeds" if seeds > 1 else "one seed"
    title = f"{name}: every system, {number}, 95 % intervals over test pairs or draws"
    save(f"plots/{name}/figure2.png", figure2(report, gflop.to_dict(), systems.marks(of_runs), title))


if __name__ == "__main__":
    run(main)
