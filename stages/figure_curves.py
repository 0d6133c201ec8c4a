"""The training curves of all runs in one picture."""

from mmvae import params, runs
from mmvae.figures import curves, grids
from mmvae.files import read_csv
from stages import arguments, run


def main() -> None:
    given = arguments("set", "seed")
    names = runs.of_set(params.load(), given.set)
    read = {name: read_csv(f"plots/{given.set}/curves/{name}_{given.seed}.csv") for name in names}
    grids.save(f"plots/{given.set}/curves.png", curves.training_curves(read, f"{given.set}: training"))


if __name__ == "__main__":
    run(main)
