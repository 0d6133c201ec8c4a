"""How coherence and latent accuracy of all runs grew along training, in one picture."""

from mmvae import config, figures
from mmvae.files import read_csv
from stages import arguments, run


def main() -> None:
    given = arguments("set", "seed")
    curves = {name: read_csv(f"plots/{given.set}/learning/{name}_{given.seed}.csv") for name in config.RUNS}
    figures.save(f"plots/{given.set}/learning.png", figures.learning_curves(curves, f"{given.set}: learning"))


if __name__ == "__main__":
    run(main)
