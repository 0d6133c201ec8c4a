"""Assemble Tables 1, 2, 3 and 5 of one data set over its runs and seeds."""

from mmvae import config, tables
from mmvae.files import read_json, write_json
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    seeds = config.load().seeds
    evaluations = {
        run: {seed: read_json(f"data/evaluations/{name}/{run}_{seed}.json") for seed in seeds} for run in config.RUNS
    }
    classifiers = read_json(f"metrics/{name}/classifiers.json")
    write_json(f"metrics/{name}/table1.json", tables.table1(evaluations))
    write_json(f"metrics/{name}/table2.json", tables.table2(evaluations, classifiers))
    write_json(f"metrics/{name}/table3.json", tables.table3(evaluations))
    write_json(f"metrics/{name}/table5.json", tables.table5(evaluations))


if __name__ == "__main__":
    run(main)
