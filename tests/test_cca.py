"""Canonical correlations against the reference numbers, scikit-learn and invariances, in float64."""

from pathlib import Path

import numpy as np
import pytest
from scipy import linalg
from sklearn.cross_decomposition import CCA

from mmvae.evaluation import cca
from mmvae.files import DataError

REFERENCE = Path(__file__).parent / "cca_reference.npz"  # the published estimator on made-up numbers
TIGHT = 1e-10


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def views(rng, n, p=8, q=6, shared=3, noise=0.7):
    """Two views of the same `shared` latents, of which the loadings do not depend on n."""
    loadings = np.random.default_rng(5)
    latents = rng.standard_normal((n, shared))
    x = latents @ loadings.standard_normal((shared, p)) + noise * rng.standard_normal((n, p))
    y = latents @ loadings.standard_normal((shared, q)) + noise * rng.standard_normal((n, q))
    return x + 3, y - 1


@pytest.mark.parametrize("scaling", cca.SCALINGS)
def test_the_reference_numbers(scaling):
    with np.load(REFERENCE) as file:
        oracle = {key: file[key] for key in file}
    fitted = cca.scaled(cca.fit(oracle["train_x"], oracle["train_y"], int(oracle["k"])), scaling)
    np.testing.assert_allclose(fitted.correlations, oracle["canonical_correlations"], rtol=0, atol=TIGHT)
    actual = cca.correlation(fitted, oracle["test_x"], oracle["test_y"])
    np.testing.assert_allclose(actual, oracle[f"{scaling}_correlation"], rtol=0, atol=TIGHT)


def test_scikit_learn_finds_the_same_correlations(rng):
    x, y = views(rng, 300)
    a, b = CCA(3, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(cca.fit(x, y, 3).correlations, expected, atol=1e-6)


def test_projected_training_views_have_unit_variance_and_the_canonical_correlations(rng):
    x, y = views(rng, 300)
    fitted = cca.fit(x, y, 4)
    a, b = (x - fitted.mean_x) @ fitted.x, (y - fitted.mean_y) @ fitted.y
    for first, second, expected in ((a, a, np.eye(4)), (b, b, np.eye(4)), (a, b, np.diag(fitted.correlations))):
        np.testing.assert_allclose(first.T @ second / 299, expected, atol=TIGHT)
    assert (np.diff(fitted.correlations) <= 0).all()


def test_released_directions_have_a_joint_norm_of_one(rng):
    x, y = views(rng, 300)
    fitted, unit = cca.scaled(cca.fit(x, y, 4), "released"), cca.fit(x, y, 4)
    np.testing.assert_allclose((fitted.x**2).sum(0) + (fitted.y**2).sum(0), 1, atol=TIGHT)
    np.testing.assert_allclose(fitted.x / unit.x, np.broadcast_to((fitted.y / unit.y)[0], (8, 4)), rtol=1e-8)
    np.testing.assert_array_equal(fitted.correlations, unit.correlations)


def test_invertible_linear_maps_change_nothing(rng):
    (x, y), (test_x, test_y) = views(rng, 300), views(rng, 20)
    map_x, map_y = rng.standard_normal((8, 8)) + 3 * np.eye(8), rng.standard_normal((6, 6)) - 3 * np.eye(6)
    plain = cca.correlation(cca.fit(x, y, 3), test_x, test_y)
    mapped = cca.fit(x @ map_x + 7, y @ map_y - 2, 3)
    np.testing.assert_allclose(cca.correlation(mapped, test_x @ map_x + 7, test_y @ map_y - 2), plain, atol=1e-9)


@pytest.mark.parametrize("scaling", cca.SCALINGS)
def test_signs_and_order_do_not_matter(rng, scaling):
    x, y = views(rng, 300)
    fitted = cca.scaled(cca.fit(x, y, 4), scaling)
    turned = [directions[:, ::-1] * [1, -1, -1, 1] for directions in (fitted.x, fitted.y)]
    other = cca.Projections(fitted.mean_x, fitted.mean_y, *turned, fitted.correlations[::-1])
    np.testing.assert_allclose(cca.correlation(other, x, y), cca.correlation(fitted, x, y), atol=TIGHT)


@pytest.mark.parametrize("scaling", cca.SCALINGS)
def test_pairs_correlate_and_strangers_do_not(rng, scaling):
    fitted = cca.scaled(cca.fit(*views(rng, 2000), 3), scaling)
    test_x, test_y = views(rng, 500)
    assert cca.correlation(fitted, test_x, test_y).mean() > 0.8
    assert abs(cca.correlation(fitted, test_x, np.roll(test_y, 1, axis=0)).mean()) < 0.1


def test_independent_views_do_not_correlate(rng):
    fitted = cca.fit(rng.standard_normal((2000, 8)), rng.standard_normal((2000, 6)), 3)
    test = cca.correlation(fitted, rng.standard_normal((500, 8)), rng.standard_normal((500, 6)))
    assert abs(test.mean()) < 4 * test.std() / np.sqrt(500)
    assert fitted.correlations[0] < 0.2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_directions_without_variance_are_dropped(rng, dtype):
    """Rank 3 in 40 dimensions plus constant columns correlates as the 3 dimensions behind it do."""
    x, y = views(rng, 300, p=3)
    lift = np.concatenate([rng.standard_normal((3, 40)), np.zeros((3, 2))], axis=1)
    lifted = (x @ lift + np.r_[np.zeros(40), 0.1, 1e3]).astype(dtype)
    plain = cca.fit(x, y, 5)
    fitted = cca.fit(lifted, y, 5)
    assert fitted.x.shape == (42, 3) and fitted.y.shape == (6, 3) and fitted.correlations.shape == (3,)
    tolerance = 1e-8 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(fitted.correlations, plain.correlations, atol=tolerance)
    np.testing.assert_allclose(cca.correlation(fitted, lifted, y), cca.correlation(plain, x, y), atol=tolerance)
    assert np.isfinite(cca.correlation(cca.scaled(cca.fit(lifted, y, 5), "released"), lifted, y)).all()


def test_fewer_rows_than_dimensions(rng):
    fitted = cca.fit(rng.standard_normal((5, 40)), rng.standard_normal((5, 30)), 10)
    assert fitted.x.shape == (40, 4)
    np.testing.assert_allclose(fitted.correlations, 1)  # anything correlates with anything


def test_a_row_without_a_direction_has_correlation_zero(rng):
    x, y = views(rng, 50)
    fitted = cca.fit(x, y, 2)
    values = cca.correlation(fitted, np.stack([fitted.mean_x, x[1]]), y[:2])
    assert values[0] == 0 and values[1] != 0


def test_blocks_of_rows_do_not_matter(rng, monkeypatch):
    x, y = views(rng, 100)
    whole = cca.fit(x, y, 3)
    monkeypatch.setattr(cca, "ROWS_AT_ONCE", 33)
    np.testing.assert_allclose(cca.fit(x, y, 3).x, whole.x, rtol=1e-8)


def test_again_is_the_same(rng):
    x, y = views(rng, 100)
    first, second = (cca.scaled(cca.fit(x.copy(), y.copy(), 3), "released") for _ in range(2))
    for name in ("mean_x", "mean_y", "x", "y", "correlations"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (first.x[np.abs(first.x).argmax(0), range(3)] > 0).all()


@pytest.mark.parametrize(
    ("x", "y", "view"), [(np.full((9, 3), 0.1), np.eye(9), "first"), (np.eye(9), np.zeros((9, 3)), "second")]
)
def test_what_cannot_be_correlated(x, y, view):
    with pytest.raises(DataError, match=f"the {view} view does not vary"):
        cca.fit(x, y, 2)


def test_a_ridge_is_that_of_the_regularised_eigenproblem(rng):
    """Vinod (1976), solved at once by scipy; of each view its own."""
    x, y = views(rng, 60)
    a, b = x - x.mean(0), y - y.mean(0)
    covariances = [rows.T @ rows / 59 for rows in (a, b)]
    ridges = (0.5, 2.0)
    first, second = (c + r * np.trace(c) / len(c) * np.eye(len(c)) for c, r in zip(covariances, ridges, strict=True))
    across = a.T @ b / 59
    squares = linalg.eigh(across @ np.linalg.solve(second, across.T), first, eigvals_only=True)
    fitted = cca.fit(x, y, 3, ridges)
    np.testing.assert_allclose(fitted.correlations, np.sqrt(squares[::-1][:3]), atol=1e-9)
    np.testing.assert_allclose(fitted.x.T @ first @ fitted.x, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(fitted.y.T @ second @ fitted.y, np.eye(3), atol=1e-9)
