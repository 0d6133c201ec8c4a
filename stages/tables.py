"""Gather the numbers of all runs and seeds of one data set in one table, and the cells that people compare."""

from mmvae import params, registry, runs, tables
from mmvae.files import write_json, write_table
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    content = params.load()
    every = tables.gather(name, list(runs.of_set(content, name)), content["seeds"])
    write_table(f"metrics/{name}.csv", every)
    write_json(f"metrics/{name}.json", tables.cells(every, registry.find("datasets", name).FAMILY))


if __name__ == "__main__":
    run(main)
