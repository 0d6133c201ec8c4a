"""Linear classifiers that say what can be read from latents or from features."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def fit_probe(rows: np.ndarray, labels: np.ndarray) -> Pipeline:
    """A logistic regression of rows (n, D), each column standardised, on labels (n,)."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, labels)
