"""The training curves of all runs in one picture, and their bounds in one table for `dvc plots`."""

from mmvae import config, figures
from mmvae.files import read_csv, write_csv
from stages import arguments, run


def main() -> None:
    given = arguments("set", "seed")
    curves = {name: read_csv(f"plots/{given.set}/curves/{name}_{given.seed}.csv") for name in config.RUNS}
    figures.save(f"plots/{given.set}/curves.png", figures.training_curves(curves, f"{given.set}: training"))
    rows = [
        {"pairs": epoch[0]["pairs"]} | {name: row["bound_validation"] for name, row in zip(curves, epoch, strict=True)}
        for epoch in zip(*curves.values(), strict=True)
    ]
    write_csv(f"plots/{given.set}/bound_validation.csv", rows)


if __name__ == "__main__":
    run(main)
