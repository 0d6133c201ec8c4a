"""CCA of what single VAEs see: on hidden layers whose joint distribution is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmvae.params import ParamsError
from mmvae.vae_cca import Analysis, VaeCca

CORRELATIONS = np.array([0.9, 0.6])
PAIRS = 20_000


class Same(nn.Module):
    """A hidden layer that is the input, and a head that is the hidden layer."""

    def __init__(self, size):
        super().__init__()
        self.loc = nn.Linear(size, size, bias=False)
        self.loc.weight.data = torch.eye(size)

    def features(self, x):
        return x


def part(name, size):
    modality = nn.Module()
    modality.encoder, modality.decoder = Same(size), nn.Identity()
    return SimpleNamespace(modalities={name: modality}, config=SimpleNamespace(latents=2))


def made(monkeypatch):
    """Hidden layers of 4 and 5 units that share two Gaussians, with known correlations."""
    monkeypatch.setattr("mmvae.vae_cca.KEPT", (3,))
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((PAIRS, 2))
    rows = {}
    for name, size in (("a", 4), ("b", 5)):
        own = np.sqrt(CORRELATIONS) * shared + np.sqrt(1 - CORRELATIONS) * rng.standard_normal((PAIRS, 2))
        every = np.concatenate([3 * own, 2 * rng.standard_normal((PAIRS, 1))], 1)  # three directions that vary
        turn = np.linalg.qr(rng.standard_normal((size, size)))[0][:, :3]
        rows[name] = torch.from_numpy(1 + every @ turn.T).float()
    return VaeCca({"a": part("a", 4), "b": part("b", 5)}, rows, seed=0), rows


def test_what_is_expected_of_one_modality_given_the_other_is_the_linear_regression(monkeypatch):
    system, rows = made(monkeypatch)
    np.testing.assert_allclose(system.analysis.correlations, CORRELATIONS, atol=0.02)
    centred = rows["a"] - rows["a"].mean(0)
    slope = np.linalg.lstsq(centred.double().numpy(), rows["b"].double().numpy() - 1, rcond=None)[0]
    expected = 1 + centred.double().numpy() @ slope
    found = system.view("b", system.mean({"a": rows["a"]}))
    assert np.sqrt(np.square(found.numpy() - expected).mean()) < 0.03
    assert np.sqrt(np.square(expected - 1).mean()) > 1
    both = system.view("b", system.mean(rows))  # which sees b itself, and is nearer to it
    away = [np.square(made - rows["b"].numpy()).mean() for made in (both.numpy(), found.numpy())]
    assert away[0] < 0.9 * away[1]


def test_of_full_rank_it_is_the_linear_regression_to_rounding():
    """And Sigma_21 A = Sigma_22 B diag(rho)."""
    rng = np.random.default_rng(1)
    a = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 3)) + 2
    b = a @ rng.standard_normal((3, 3)) + rng.standard_normal((500, 3))
    found = Analysis([a, b], kept=3, components=3, seed=0)
    variates, rho = found.variates(0, a), found.correlations
    across = (b - b.mean(0)).T @ variates / (len(a) - 1)
    np.testing.assert_allclose(
        across, np.cov(b.T) @ found.principal[1].components_.T @ found.directions[1] * rho, atol=1e-10
    )
    slope = np.linalg.lstsq(a - a.mean(0), b - b.mean(0), rcond=None)[0]
    expected = b.mean(0) + (a - a.mean(0)) @ slope
    np.testing.assert_allclose(found.expected(1, variates * np.sqrt(rho)), expected, atol=1e-10)


def test_few_components_are_kept_where_more_would_be_noise(monkeypatch):
    """Of 60 units of noise beside what is shared, from 100 pairs."""
    monkeypatch.setattr("mmvae.vae_cca.KEPT", (2, 60))
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((100, 2))
    rows = {}
    for name in "ab":
        noise = 0.2 * rng.standard_normal((100, 60))
        rows[name] = torch.from_numpy(np.concatenate([3 * shared, noise], 1)).float()
    system = VaeCca({name: part(name, 62) for name in "ab"}, rows, seed=0)
    assert system.analysis.principal[0].n_components_ == 2


def test_three_modalities_are_refused():
    with pytest.raises(ParamsError, match=r"two modalities, not of 3; leave it out of figure2\.composed"):
        VaeCca({name: part(name, 4) for name in "abc"}, {}, seed=0)


def test_samples_and_draws_are_those_of_probabilistic_cca(monkeypatch, generator):
    """E[z | x] + noise is N(0, I) over all pairs, given one modality or both; so are draws."""
    system, rows = made(monkeypatch)
    for z in (*(system.sample({n: rows[n] for n in names}, generator) for names in ("a", "b", "ab")),):
        assert (torch.cov(z.T) - torch.eye(2)).abs().max() < 0.05
    assert (torch.cov(system.draw(PAIRS, generator).T) - torch.eye(2)).abs().max() < 0.05
    widths = {names: system.posterior({n: rows[n] for n in names}).scale[0] ** 2 for names in ("a", "ab")}
    torch.testing.assert_close(widths["a"].numpy(), 1 - CORRELATIONS.astype(np.float32), atol=0.02, rtol=0)
    both = (1 - CORRELATIONS) / (1 + CORRELATIONS)
    np.testing.assert_allclose(widths["ab"].numpy(), both, atol=0.02)
