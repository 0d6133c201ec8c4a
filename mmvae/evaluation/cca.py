"""Do an image and a sentence belong together (Table 4)? Canonical correlation analysis of their vectors.

Shape letters: n pairs, p and q dimensions of the two views, k canonical directions.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from mmvae.files import DataError
from mmvae.params import Section, real, whole

SCALINGS = ("unit_variance", "released")

# Of the largest standard deviation: float32's rounding. Means of FastText vectors of CUB's captions reach down to 2e-6.
SMALLEST_DEVIATION = 1e-7
ROWS_AT_ONCE = 8192


class Ridge(Section):
    """What is added to the variances of features and of sentence vectors, in mean variances of their dimensions."""

    image: real(0, 1e6)
    sentence: real(0, 1e6)


class CcaSettings(Section):
    """components: k."""

    components: whole(1, 256)
    ridge: Ridge


@dataclass(frozen=True)
class Projections:
    """Canonical directions of two views, the most correlated first.

    mean_x (p,), mean_y (q,): of the training pairs. x (p, k), y (q, k): the directions, as columns.
    correlations (k,): canonical correlations of the training pairs, in [0, 1].
    """

    mean_x: np.ndarray
    mean_y: np.ndarray
    x: np.ndarray
    y: np.ndarray
    correlations: np.ndarray


def fit(x: np.ndarray, y: np.ndarray, components: int, ridge: tuple[float, float] = (0, 0)) -> Projections:
    """The `components` most correlated directions of paired rows x (n, p) and y (n, q), in closed form in float64.

    Each view is whitened and the singular vectors of the whitened cross-covariance are taken. Principal directions
    with less than SMALLEST_DEVIATION of their view's largest deviation are dropped before, because whitening would
    blow their rounding noise up to unit variance: sentence vectors have no more directions than words, image
    features may have constant columns. If fewer than `components` directions remain in a view, all of them are used.
    Every projected training view has variance 1. With a ridge of a view (Vinod 1976), that variance includes the ridge:
    directions that vary little over few rows count less.

    Raises:
        DataError: a view does not vary.
    """
    mean_x, mean_y = x.mean(0, dtype=np.float64), y.mean(0, dtype=np.float64)
    root_x, root_y, across = _moments(x, y, mean_x, mean_y)
    whitening_x, whitening_y = (
        _whitening(view, rows, root, added)
        for view, rows, root, added in zip(("first", "second"), (x, y), (root_x, root_y), ridge, strict=True)
    )
    left, correlations, right = linalg.svd(whitening_x.T @ across @ whitening_y, full_matrices=False)
    k = min(components, len(correlations))
    directions_x, directions_y = whitening_x @ left[:, :k], whitening_y @ right[:k].T
    signs = _signs(directions_x)
    return Projections(mean_x, mean_y, directions_x * signs, directions_y * signs, correlations[:k].clip(0, 1))


def scaled(projections: Projections, scaling: str) -> Projections:
    """The same directions, scaled against each other, on which eq. (4) depends; the paper leaves it open.

    - unit_variance: every projected training view has variance 1, as CCA is defined; what `fit` returns.
    - released: direction i of both views together, the vector (x[:, i], y[:, i]) of length p + q, has Euclidean
      norm 1. That is how scipy's `eig` returns the joint generalised eigenvectors of (cross-covariances, within-view
      covariances), which the released code (after Massiceti et al. 2018) uses as they are. Within a direction both
      views are divided by the same number, so directions of small-variance inputs count less.
    """
    if scaling == "unit_variance":
        return projections
    norms = np.sqrt((projections.x**2).sum(0) + (projections.y**2).sum(0))
    return replace(projections, x=projections.x / norms, y=projections.y / norms)


def correlation(projections: Projections, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Eq. (4): the cosine, in [-1, 1], of the centred projections of each pair of rows x (n, p) and y (n, q): (n,).

    A row that is projected onto zero has no direction; its correlation is 0.
    """
    a, b = (x - projections.mean_x) @ projections.x, (y - projections.mean_y) @ projections.y
    return (_unit(a) * _unit(b)).sum(1).clip(-1, 1)


def _moments(
    x: np.ndarray, y: np.ndarray, mean_x: np.ndarray, mean_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangular roots of the covariances within x (p, p) and y (q, q), and the covariance across (p, q).

    By blocks, since a float64 copy of all rows can be gigabytes. Roots come from QR, not from products of the rows,
    because squaring loses half of the digits that small directions have.
    """
    root_x, root_y = np.zeros((0, x.shape[1])), np.zeros((0, y.shape[1]))
    across = np.zeros((x.shape[1], y.shape[1]))
    for start in range(0, len(x), ROWS_AT_ONCE):
        a, b = x[start : start + ROWS_AT_ONCE] - mean_x, y[start : start + ROWS_AT_ONCE] - mean_y
        root_x = np.linalg.qr(np.concatenate([root_x, a]), mode="r")
        root_y = np.linalg.qr(np.concatenate([root_y, b]), mode="r")
        across += a.T @ b
    degrees = len(x) - 1
    return root_x / np.sqrt(degrees), root_y / np.sqrt(degrees), across / degrees


def _whitening(view: str, rows: np.ndarray, root: np.ndarray, ridge: float) -> np.ndarray:
    """Columns that give `rows` unit variance, one for each principal direction that varies: (dimensions, rank)."""
    _, deviations, directions = linalg.svd(root, full_matrices=False)
    # The mean of equal numbers differs from them by rounding: constant rows must not pass for varying ones.
    rounding = len(rows) * np.finfo(np.float64).eps * max(rows.max(), -rows.min())
    kept = deviations > max(SMALLEST_DEVIATION * deviations[0], rounding)
    if not kept.any():
        raise DataError(f"the {view} view does not vary over its {len(rows)} training rows")
    added = np.sqrt(ridge * (deviations**2).sum() / rows.shape[1])
    return directions[kept].T / np.hypot(deviations[kept], added)


def _signs(directions: np.ndarray) -> np.ndarray:
    """1 or -1 for each column, such that its largest entry becomes positive: the sign of an SVD is arbitrary."""
    largest = np.abs(directions).argmax(0)
    return np.where(directions[largest, np.arange(directions.shape[1])] < 0, -1.0, 1.0)


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)
