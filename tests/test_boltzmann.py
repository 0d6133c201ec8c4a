"""The Boltzmann machine against all states of its hidden units: with few of them, everything is known exactly."""

import math
from itertools import product

import pytest
import torch
from sklearn.neural_network import BernoulliRBM
from toys import toy_model, toy_pairs

from mmvae.boltzmann import GaussianRBM
from mmvae.models.rbm import CHAINS, PersistentDivergence, SingleElbos

VISIBLE, HIDDEN = 3, 5
LARGEST_T = 4.5


@pytest.fixture
def rbm():
    torch.manual_seed(0)
    made = GaussianRBM(VISIBLE, HIDDEN).double()
    for parameter in made.parameters():
        parameter.data.normal_(0, 0.7)
    return made


def states():
    return torch.tensor(list(product([0.0, 1.0], repeat=HIDDEN)), dtype=torch.float64)


def mixture(rbm):
    """p(v) is a mixture of one Gaussian of variance 1 for each state: log-weights that sum to log Z, and means."""
    h = states()
    means = rbm.visible(h)
    squares = means.square().sum(-1) - rbm.visible_bias.square().sum()
    return h @ rbm.hidden_bias + squares / 2 + VISIBLE / 2 * math.log(2 * math.pi), means


def log_partition(rbm):
    return mixture(rbm)[0].logsumexp(0)


def test_the_free_energy_is_the_sum_over_all_states(rbm):
    v = torch.randn(7, VISIBLE, dtype=torch.float64)
    h = states()
    energy = (v - rbm.visible_bias).square().sum(-1)[:, None] / 2 - h @ rbm.hidden_bias - v @ rbm.weight @ h.T
    torch.testing.assert_close(rbm.free_energy(v), -(-energy).logsumexp(-1))
    weights = (-energy).softmax(-1)
    torch.testing.assert_close(rbm.hidden(v), weights @ h)


def test_the_density_is_that_of_the_mixture_of_gaussians(rbm):
    v = torch.randn(7, VISIBLE, dtype=torch.float64)
    log_weights, means = mixture(rbm)
    normal = torch.distributions.Normal(means, 1.0).log_prob(v[:, None]).sum(-1)
    expected = (log_weights.log_softmax(0) + normal).logsumexp(-1)
    torch.testing.assert_close(-rbm.free_energy(v) - log_partition(rbm), expected)


def test_annealed_importance_sampling_finds_log_z(rbm, generator):
    """Z itself is unbiased: a mean of many."""
    exact = float(log_partition(rbm).detach())
    found = torch.stack([rbm.log_partition(50, 100, generator) for _ in range(60)])
    ratio = (found - exact).exp()
    assert abs((ratio.mean() - 1) / ratio.std() * len(ratio) ** 0.5) < LARGEST_T
    assert abs(found.mean() - exact) < 0.05
    one_step = torch.stack([rbm.log_partition(50, 1, generator) for _ in range(60)])
    assert one_step.std() > 2 * found.std()  # annealing is what makes it precise


def test_gibbs_sampling_has_the_exact_mean_of_what_is_not_given(rbm, generator):
    fixed, given = torch.tensor([True, False, False]), 0.8
    v = torch.zeros(20_000, VISIBLE, dtype=torch.float64)
    v[:, 0] = given
    v = rbm.gibbs(v, 60, generator, fixed)
    assert (v[:, 0] == given).all()
    log_weights, means = mixture(rbm)
    weights = (log_weights - (given - means[:, 0]).square() / 2).softmax(0)
    expected = weights @ means[:, 1:]
    t = (v[:, 1:].mean(0) - expected) / v[:, 1:].std(0) * len(v) ** 0.5
    assert t.abs().max() < LARGEST_T


def test_the_gradient_of_the_free_energies_is_that_of_the_log_likelihood(rbm, generator):
    """With many settled chains; from chains that start at the data and take one step it is not."""
    data = torch.randn(2_000, VISIBLE, generator=generator, dtype=torch.float64) + 1

    def gradient(value):
        return torch.cat([part.flatten() for part in torch.autograd.grad(value, list(rbm.parameters()))])

    exact = gradient((-rbm.free_energy(data) - log_partition(rbm)).mean())
    away = {}
    for steps in (1, 5, 60):
        chains = rbm.gibbs(data.repeat(20, 1), steps, generator)
        found = gradient(rbm.free_energy(chains).mean() - rbm.free_energy(data).mean())
        away[steps] = float((found - exact).norm() / exact.norm())
    assert away[1] > away[5] > away[60]
    assert away[60] < 0.03
    assert away[1] > 0.1


def test_hidden_units_are_those_of_scikit_learn(rbm):
    """Whose visible units are binary, which p(h | v) does not depend on."""
    other = BernoulliRBM(HIDDEN)
    other.components_ = rbm.weight.detach().numpy().T
    other.intercept_hidden_ = rbm.hidden_bias.detach().numpy()
    v = torch.randint(0, 2, (6, VISIBLE)).double()
    torch.testing.assert_close(rbm.hidden(v).detach(), torch.from_numpy(other.transform(v.numpy())))


def test_chains_go_on_in_training_alone():
    loss, x = PersistentDivergence(), toy_pairs(6).batch(slice(None))
    model = toy_model("rbm")
    noise = loss.noise(model, 6, torch.Generator().manual_seed(0))
    assert noise[0][1].shape[1] == CHAINS
    before = model.chains.clone()
    model.eval()
    held_out = loss(model, x, noise, torch.ones(()))
    assert torch.equal(model.chains, before)
    model.train()
    loss(model, x, noise, torch.ones(()))
    assert not torch.equal(model.chains, before)
    assert held_out.bound.shape == (6,)


def small(generator, hidden=HIDDEN):
    """A model of two modalities with two latents each, whose RBM has large weights."""
    model = toy_model("rbm", latents=2, hidden=hidden).double()
    model.standard.running_mean.normal_()
    model.standard.running_var.uniform_(0.5, 2)
    for parameter in model.rbm.parameters():
        parameter.data.normal_(0, 0.7)
    return model


def as_double(x):
    return {name: value.double() for name, value in x.items()}


def test_the_loss_has_the_gradient_of_the_log_likelihood_and_of_decay(generator):
    """With chains that were settled before, of which there are few."""
    model, x = small(generator), as_double(toy_pairs(6).batch(slice(None)))
    data, loss = model.given(x)[0].detach(), PersistentDivergence()
    found = torch.zeros(4 * HIDDEN + 4 + HIDDEN, dtype=torch.float64)
    model.chains.copy_(model.rbm.gibbs(model.chains, 100, generator))
    repeats = 100
    for _ in range(repeats):
        noise = [(names, value.double()) for names, value in loss.noise(model, 6, generator)]
        surrogate = loss(model, x, noise, torch.ones(())).surrogate
        parts = torch.autograd.grad(surrogate, list(model.rbm.parameters()))
        found += torch.cat([part.flatten() for part in parts]) / repeats
    rbm = model.rbm
    exact = (-rbm.free_energy(data) - log_partition(rbm) - 0.5e-4 * rbm.weight.square().sum()).sum()
    expected = torch.cat([part.flatten() for part in torch.autograd.grad(exact, list(rbm.parameters()))])
    assert (found - expected).norm() < 0.1 * expected.norm()


def test_codes_given_one_modality_are_those_of_what_is_likely_of_the_other(generator):
    """E[h | v_b] by all states; by samples, and by the mean field, which is near it."""
    model = small(generator).eval()
    x = {"b": toy_pairs(1).batch(slice(None))["b"].double()}
    v, fixed = model.given(x)
    log_weights, means = mixture(model.rbm)
    log_weights = log_weights - (v[:, fixed] - means[:, fixed]).square().sum(-1) / 2
    expected = log_weights.softmax(0) @ states()
    many = {"b": x["b"].expand(4000, *x["b"].shape[1:])}
    found = model.sample(many, generator)
    t = (found.mean(0) - expected) / found.std(0) * len(found) ** 0.5
    assert t.abs().max() < LARGEST_T
    assert (model.mean(x)[0] - expected).abs().max() < 0.3
    model.rbm.weight.data.zero_()
    torch.testing.assert_close(model.mean(x)[0], model.rbm.hidden_bias.sigmoid())


def test_with_all_given_nothing_is_sampled(generator):
    model, x = small(generator).eval(), as_double(toy_pairs(6).batch(slice(None)))
    v, fixed = model.given(x)
    assert fixed.all()
    assert torch.equal(model.sample(x, generator), model.rbm.hidden(v))
    assert torch.equal(model.mean(x), model.rbm.hidden(v))


def test_latents_come_back_as_the_vaes_have_them(generator):
    """Standardised by the running moments, and back: through an RBM that repeats what it sees."""
    model, x = small(generator, hidden=4).eval(), as_double(toy_pairs(6).batch(slice(None)))
    v, _ = model.given(x)
    model.rbm.weight.data = torch.eye(4, dtype=torch.float64)
    model.rbm.visible_bias.data.zero_()  # the mean of v is h
    for name, part in model.parts().items():
        torch.testing.assert_close(model.view(name, v), model.expert(name, x[name]).loc, rtol=1e-6, atol=1e-6)
        assert part.stop - part.start == 2


def test_the_vaes_learn_the_sum_of_their_elbos(generator):
    model, x = small(generator), as_double(toy_pairs(6).batch(slice(None)))
    loss = SingleElbos()
    noise = [(names, value.double()) for names, value in loss.noise(model, 6, generator)]
    expected = 0
    for (name,), standard in noise:
        q, modality = model.expert(name, x[name]), model.modalities[name]
        normal = torch.distributions.Normal(q.loc, q.scale)
        kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(-1)
        z = q.loc + q.scale * standard[0, 0]
        expected = expected + modality.scaling * modality.log_likelihood(z, x[name]) - kl
    torch.testing.assert_close(loss(model, x, noise, torch.ones(())).surrogate, expected.sum())
