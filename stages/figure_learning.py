"""How coherence and latent accuracy of all runs grew along training, in one picture."""

from mmvae import config
from mmvae.figures import curves, grids
from mmvae.files import read_csv
from stages import arguments, run


def main() -> None:
    given = arguments("set", "seed")
    tables = {name: read_csv(f"plots/{given.set}/learning/{name}_{given.seed}.csv") for name in config.RUNS}
    grids.save(f"plots/{given.set}/learning.png", curves.learning_curves(tables, f"{given.set}: learning"))


if __name__ == "__main__":
    run(main)
