"""What was tried in tuning the systems of Figure 2: one table of all runs."""

import pandas as pd

from mmvae import params
from mmvae.figure2 import Figure2
from mmvae.files import read_table, write_csv
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    figure = params.section(Figure2, params.load(), "figure2")
    tried = pd.concat([read_table(f"data/tuning/{name}/{tuned}.csv") for tuned in figure.tried()])
    tried = tried.astype(object).where(tried.notna(), None)  # what a system is not judged by is an empty cell
    write_csv(f"metrics/{name}/tuning.csv", tried.to_dict("records"))


if __name__ == "__main__":
    run(main)
