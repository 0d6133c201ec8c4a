"""Single VAEs and a mixture of their latents."""

from types import SimpleNamespace

import numpy as np
import torch
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch import nn

from mmvae.late_fusion import GaussianMixture, LateFusion, drawn


def test_a_gaussian_mixtures_conditional_is_that_of_its_joint_density(generator):
    """log p(z_2 | z_1) = log p(z_1, z_2) - log p(z_1), by scikit-learn's densities."""
    rng = np.random.default_rng(0)
    of = SklearnMixture(3, random_state=0).fit(rng.standard_normal((500, 4)) @ rng.standard_normal((4, 4)))
    mixture = GaussianMixture(of.weights_, of.means_, of.covariances_, "cpu")
    rows = rng.standard_normal((20, 4))
    marginal = SklearnMixture(3).fit(rows[:, [0, 2]])
    marginal.weights_, marginal.means_ = of.weights_, of.means_[:, [0, 2]]
    marginal.covariances_ = of.covariances_[:, [0, 2]][:, :, [0, 2]]
    marginal.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(marginal.covariances_))
    log_weights, means, covariances = mixture.given(torch.from_numpy(rows[:, [0, 2]]), [0, 2])
    normals = torch.distributions.MultivariateNormal(means, covariances)
    rest = torch.from_numpy(rows[:, [1, 3]])
    found = (log_weights + normals.log_prob(rest[:, None])).logsumexp(1)
    expected = of.score_samples(rows) - marginal.score_samples(rows[:, [0, 2]])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    many = 50_000
    z = drawn(log_weights[:1].expand(many, -1), means[:1].expand(many, -1, -1), covariances, generator)
    average = torch.einsum("c,cr->r", log_weights[0].exp(), means[0])
    assert ((z.mean(0) - average) / z.std(0) * many**0.5).abs().max() < 4.5


def test_late_fusion_learns_which_latents_go_together(generator):
    """Two models whose only latent is their input: what is missing follows what is given."""
    part = lambda name: SimpleNamespace(  # noqa: E731
        modalities={name: nn.Identity()},
        config=SimpleNamespace(latents=1),
        sample=lambda x, generator: x[name],
        mean=lambda x: x[name],
    )
    a = torch.randn(2000, 1, generator=generator)
    fused = LateFusion({"a": part("a"), "b": part("b")}, {"a": a, "b": 2 * a + 0.01}, seed=0)
    assert (fused.mean({"a": a})[:, 1:] - 2 * a).abs().max() < 0.3
    assert (fused.sample({"b": 2 * a}, generator)[:, :1] - a).abs().mean() < 0.1
    both = fused.draw(500, generator)
    assert torch.corrcoef(both.T)[0, 1] > 0.99
    assert torch.equal(fused.sample({"a": a, "b": a}, generator), torch.cat([a, a], 1))
    assert torch.equal(fused.view("b", both), both[:, 1:])
