"""What was measured as rows of measured.csv: one number each."""

import pandas as pd

from mmvae.evaluation.measured import table

SET = "mnist_svhn"
COLUMNS = ["run", "seed", "pairs", "metric", "value", "standard_error"]
MEASURED = "data/measured"  # where the study's own stages put such rows, in the folder that they run in


def rows(nested: dict, run: str, seed: int, pairs: int) -> pd.DataFrame:
    """Every number in nested dictionaries, after so many training pairs of a run."""
    return table(nested).assign(run=run, seed=seed, pairs=int(pairs))[COLUMNS]
