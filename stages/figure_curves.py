"""The training curves of all runs in one picture."""

from mmvae import config
from mmvae.figures import curves, grids
from mmvae.files import read_csv
from stages import arguments, run


def main() -> None:
    given = arguments("set", "seed")
    runs = config.RUNS if given.set in config.DIGIT_SETS else config.caption_runs(config.load().caption_images)
    tables = {name: read_csv(f"plots/{given.set}/curves/{name}_{given.seed}.csv") for name in runs}
    grids.save(f"plots/{given.set}/curves.png", curves.training_curves(tables, f"{given.set}: training"))


if __name__ == "__main__":
    run(main)
