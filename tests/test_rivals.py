"""The objectives of Figure 2's systems: what they are equal to, and where their optima are."""

from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import nn
from toys import toy_model, toy_pairs

from mmvae import objectives
from mmvae.distributions import Mixture, Normal
from mmvae.elbos import MixtureElbo
from mmvae.joint import JointElbo
from mmvae.models import dmvae, mmjsd, mmvae_plus, mopoe, mvae, mvtcae, telbo
from mmvae.objectives import Screen

ONE = torch.ones(())
BATCH = 6
UNBIASED, BIASED = 4.5, 6.0  # |t|


@pytest.fixture
def x():
    return toy_pairs(BATCH).batch(slice(None))


def gradients(model, surrogate):
    """Parameter -> its gradient, of those that have one."""
    model.zero_grad()
    surrogate.backward()
    return {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None and p.grad.any()}


def same(a, b):
    """The same bounds, the same surrogate."""
    torch.testing.assert_close(a.bound, b.bound, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(a.surrogate, b.surrogate, rtol=1e-5, atol=1e-3)


# ------------------------------------------------------------------------------------- BiVCCA, MoPoE, mmJSD


def test_bivcca_is_mvaes_mixture_given_all_modalities_alone(x, generator):
    loss, model = MixtureElbo(beta=1.0), toy_model("bivcca")
    noise = loss.noise(model, BATCH, generator)
    same(loss(model, x, noise, ONE), mvae.subsampled_elbo(toy_model("mvae", posterior="moe"), x, noise, ONE))


def test_bivcca_is_the_mean_over_experts_of_scaled_likelihood_minus_kl(x, generator):
    loss, model = MixtureElbo(beta=1.0), toy_model("bivcca")
    noise, expected = loss.noise(model, BATCH, generator), 0
    for expert, standard in zip(map(model.expert, x, x.values()), noise[0][1], strict=True):
        z = (expert.loc + expert.scale * standard)[0]
        likelihood = sum(m.scaling * m.log_likelihood(z, x[name]) for name, m in model.modalities.items())
        expected = expected + (likelihood - expert.kl(model.prior()).sum(-1)) / len(x)
    torch.testing.assert_close(loss(model, x, noise, ONE).bound, expected)


def test_beta_weighs_the_divergence_in_the_surrogate_alone(x, generator):
    model = toy_model("bivcca")
    noise = MixtureElbo(1.0).noise(model, BATCH, generator)
    one, three = (MixtureElbo(beta)(model, x, noise, ONE) for beta in (1.0, 3.0))
    kl = model.posterior(x).experts.kl(model.prior()).sum(-1).mean(0)
    torch.testing.assert_close(one.surrogate - three.surrogate, 2 * kl.sum(), rtol=1e-3, atol=1e-3)
    assert torch.equal(one.bound, three.bound)


@pytest.mark.parametrize("kept", ["singles", "all"])
def test_mopoe_of_some_subsets(kept, x, generator, monkeypatch):
    """Of single modalities it is BiVCCA; of all modalities alone, the first term of MVAE's objective."""
    every = mopoe.subsets
    monkeypatch.setattr(
        mopoe, "subsets", lambda names: [s for s in every(names) if len(s) == (1 if kept == "singles" else len(names))]
    )
    loss, model = MixtureElbo(1.0), toy_model("mopoe")
    noise = loss.noise(model, BATCH, generator)
    other = "moe" if kept == "singles" else "poe"
    same(loss(model, x, noise, ONE), mvae.subsampled_elbo(toy_model("mvae", posterior=other), x, noise, ONE))


def test_mopoes_product_is_mvaes_posterior(x):
    product, whole = toy_model("mopoe").product_posterior(x), toy_model("mopoe").posterior(x)
    expected = toy_model("mvae").posterior(x)
    torch.testing.assert_close(product.experts.loc, expected.experts.loc)
    torch.testing.assert_close(product.experts.scale, expected.experts.scale)
    assert (len(product), len(whole)) == (1, 3)


def test_mopoe_of_one_modality_has_the_prior_as_an_expert(generator):
    x = toy_pairs(BATCH, {"a": "grey"}).batch(slice(None))
    model = toy_model("mopoe", {"a": "grey"})
    alone, expert = model.posterior(x).experts, model.expert("a", x["a"])
    torch.testing.assert_close(alone.scale[0] ** -2, expert.scale**-2 + 1)
    together = toy_model("mopoe").posterior({"a": x["a"]}).experts
    torch.testing.assert_close(together.scale[0], toy_model("mopoe").expert("a", x["a"]).scale)


def normals(count, generator):
    loc, scale = torch.randn(count, 3, 2, generator=generator), torch.rand(count, 3, 2, generator=generator) + 0.3
    return Normal(loc.double(), scale.double())


def test_jensen_shannon_in_closed_form(generator):
    """1/2 sum_d { P (mean of (mu - mu_f)^2 and s^2) - 1 - mean ln s^2 - ln P }, P the mean precision."""
    experts, prior = normals(2, generator), Normal(torch.zeros(2).double(), torch.ones(2).double())
    loc = torch.cat([experts.loc, torch.zeros(1, 3, 2).double()])
    variance = torch.cat([experts.scale**2, torch.ones(1, 3, 2).double()])
    p = (1 / variance).mean(0)
    centre = (loc / variance).mean(0) / p
    spread = ((loc - centre) ** 2).mean(0) + variance.mean(0)
    expected = 0.5 * (p * spread - 1 - variance.log().mean(0) - p.log()).sum(-1)
    torch.testing.assert_close(mmjsd.jensen_shannon(experts, prior), expected, rtol=1e-12, atol=1e-12)
    swapped = Normal(experts.loc.flip(0), experts.scale.flip(0))
    torch.testing.assert_close(mmjsd.jensen_shannon(swapped, prior), expected, rtol=1e-12, atol=1e-12)
    equal = Normal(torch.zeros(2, 3, 2).double(), torch.ones(2, 3, 2).double())
    assert mmjsd.jensen_shannon(equal, prior).abs().max() < 1e-12


# --------------------------------------------------------------------------- JMVAE, MVTCAE, the joint VAE, TELBO


def test_jmvae_without_alpha_is_a_joint_vae(x, generator):
    model = toy_model("jmvae")
    loss = JointElbo(1.0, 1.0, 0.0)
    noise = loss.noise(model, BATCH, generator)
    estimate = loss(model, x, noise, ONE)
    assert not [key for key in gradients(model, estimate.surrogate) if "modalities" in key and "encoder" in key]
    torch.testing.assert_close(estimate.surrogate, estimate.bound.sum())


def test_mvtcae_of_one_modality_is_a_beta_vae(generator):
    """(1 - alpha) (log p(x | z) - beta KL), for every alpha."""
    x = toy_pairs(BATCH, {"a": "grey"}).batch(slice(None))
    model, plain = toy_model("mvtcae", {"a": "grey"}), MixtureElbo(2.0)
    noise = plain.noise(model, BATCH, generator)
    for alpha in (0.0, 0.3, 0.9):
        surrogate = mvtcae.TotalCorrelation(alpha, 2.0)(model, x, noise, ONE).surrogate
        torch.testing.assert_close(surrogate, (1 - alpha) * plain(model, x, noise, ONE).surrogate, rtol=1e-4, atol=1e-3)


def test_mvtcae_has_no_prior_expert(x):
    model = toy_model("mvtcae")
    experts = [expert.scale**-2 for expert in model.experts(x).values()]
    torch.testing.assert_close(model.posterior(x).experts.scale[0] ** -2, sum(experts))


def test_telbo_teaches_decoders_and_the_joint_encoder_as_the_joint_vae_does(x, generator):
    model, loss = toy_model("telbo"), telbo.TripleElbo(1.0)
    noise = loss.noise(model, BATCH, generator)
    triple = gradients(model, loss(model, x, noise, ONE).surrogate)
    joint = gradients(model, JointElbo(1.0, 1.0, 0.0)(model, x, noise[:1], ONE).surrogate)
    assert all(torch.equal(triple[key], value) for key, value in joint.items())
    assert {key for key in triple if key not in joint} == {
        key for key in triple if "modalities" in key and "encoder" in key
    }


def test_telbo_teaches_a_single_encoder_as_a_vae_of_its_modality(x, generator):
    model, loss = toy_model("telbo"), telbo.TripleElbo(1.0)
    noise = loss.noise(model, BATCH, generator)
    triple = gradients(model, loss(model, x, noise, ONE).surrogate)
    expert = model.expert("a", x["a"])
    z = expert.loc + expert.scale * noise[1][1][0, 0]
    elbo = model.modalities["a"].scaling * model.modalities["a"].log_likelihood(z, x["a"])
    single = gradients(model, (elbo - expert.kl(model.prior()).sum(-1)).sum())
    encoder = [key for key in single if key.startswith("modalities.a.encoder")]
    assert encoder
    for key in encoder:
        torch.testing.assert_close(triple[key], single[key], rtol=1e-4, atol=1e-4)


class Observed(nn.Module):
    """x ~ N(a linear function of z, 1)."""

    def __init__(self, row):
        super().__init__()
        self.decoder, self.scaling = nn.Linear(2, 1, bias=False, dtype=torch.float64), 1.0
        self.decoder.weight = nn.Parameter(row)

    def forward(self, z, x):
        predicted = self.decoder(z)
        return Normal(predicted, torch.ones_like(predicted)).log_prob(x)


class LinearGaussian:
    """z ~ N(0, I), x_1 ~ N(z_1 + z_2, 1), x_2 ~ N(z_1 - z_2, 1).

    Given both, z is N(., I / 3). Given x_1 its precision is [[2, 1], [1, 2]], of which the inverse has 2/3 and the
    inverse diagonal 1/2. Each pair has parameters of its own, so that gradients are independent draws.
    """

    ROWS: ClassVar = {"a": torch.tensor([[1.0, 1.0]]).double(), "b": torch.tensor([[1.0, -1.0]]).double()}

    def __init__(self, pairs, variance, generator):
        z = torch.randn(pairs, 2, generator=generator, dtype=torch.float64)
        self.x = {n: z @ r.T + torch.randn(pairs, 1, generator=generator).double() for n, r in self.ROWS.items()}
        joint = sum(self.x[n] * r for n, r in self.ROWS.items()) / 3
        self.joint = Normal(joint, torch.full_like(joint, 3**-0.5))
        self.modalities, self.own = {}, {}
        for name, row in self.ROWS.items():
            self.modalities[name] = Observed(row)
            loc = self.x[name] * row / 3  # E[z | x]
            self.own[name] = Normal(loc.requires_grad_(), torch.full_like(loc, variance**0.5).requires_grad_())
        self.config = SimpleNamespace(latents=2)

    def prior(self):
        return Normal(torch.zeros(2).double(), torch.ones(2).double())

    def posterior(self, x):
        return Mixture.of({"joint": self.joint})

    def expert(self, name, x):
        return self.own[name]

    def experts(self, x):
        return self.own

    def log_likelihood(self, x, z):
        return sum(self.modalities[name](z, x[name]) for name in x)

    def largest_t(self, surrogate):
        surrogate.backward()
        every = torch.cat([part.grad for q in self.own.values() for part in (q.loc, q.scale)], 1)
        return float((every.mean(0) / every.std(0) * len(every) ** 0.5).abs().max())


@pytest.mark.parametrize(("variance", "jmvae", "triple"), [(2 / 3, True, False), (1 / 2, False, True)])
def test_jmvae_covers_the_mass_and_telbo_seeks_the_mode(variance, jmvae, triple, generator):
    """Where the gradients of the encoders of single modalities vanish, by closed form."""
    for loss, optimal in ((JointElbo(1.0, 1.0, 1.0), jmvae), (telbo.TripleElbo(1.0), triple)):
        toy = LinearGaussian(100_000, variance, generator)
        if isinstance(loss, JointElbo):
            noise = [(("a", "b"), torch.randn(1, 1, 100_000, 2, generator=generator).double())]
        else:
            like = SimpleNamespace(modalities=toy.modalities, prior=toy.prior, config=toy.config)
            noise = loss.noise(like, 100_000, generator)
        t = toy.largest_t(loss(toy, toy.x, noise, ONE.double()).surrogate)
        assert t < UNBIASED if optimal else t > BIASED


# ------------------------------------------------------------------------------------------- DMVAE, MMVAE+


def test_dmvae_without_private_latents_sums_the_elbos_of_all_sources(x, generator):
    model, loss = toy_model("dmvae", private=0), dmvae.SharedPrivateElbo()
    noise = loss.noise(model, BATCH, generator)
    shared, _ = model.split(model.experts(x))
    product = mvae.subsampled_elbo(toy_model("mvae", posterior="poe"), x, [(("a", "b"), noise[0][1][:1])], ONE)
    singles = MixtureElbo(1.0)(toy_model("bivcca"), x, [(("a", "b"), noise[0][1][1:])], ONE)
    both = loss(model, x, noise, ONE)
    torch.testing.assert_close(both.bound, product.bound, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(both.surrogate, product.surrogate + 2 * singles.surrogate, rtol=1e-5, atol=1e-3)
    assert list(shared) == ["a", "b"]


def test_mmvae_plus_without_private_latents_is_mmvae(x, generator):
    loss = mmvae_plus.AuxiliaryBound(particles=4)
    model, plain = toy_model("mmvae_plus", private=0).double(), toy_model("mmvae").double()
    x = {name: value.double() for name, value in x.items()}
    noise = loss.noise(model, BATCH, generator)
    expected = objectives.importance_weighted(plain, x, noise[0][1], plain.posterior(x), "iwae", "loose")
    estimate = loss(model, x, noise, ONE)
    torch.testing.assert_close(estimate.bound, expected.bound, rtol=1e-5, atol=1e-3)
    ours, theirs = gradients(model, estimate.surrogate), gradients(plain, expected.surrogate)
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-8, atol=1e-8)


def test_mmvae_plus_screened_has_the_gradients_of_all_particles(x, generator):
    """But for the weight that is dropped, below 1e-4 of a logarithm's."""
    every, screened = mmvae_plus.AuxiliaryBound(8), mmvae_plus.AuxiliaryBound(8, Screen())
    model = toy_model("mmvae_plus", latents=8, private=2)
    noise = every.noise(model, BATCH, generator)
    one, other = every(model, x, noise, ONE), screened(model, x, noise, ONE)
    torch.testing.assert_close(one.bound, other.bound)
    assert other.kept.mean() < 0.9 and other.dropped.max() < 1e-3
    exact, cheap = gradients(model, one.surrogate), gradients(model, other.surrogate)
    for key, value in exact.items():
        torch.testing.assert_close(cheap[key], value, rtol=0, atol=float(value.abs().max()) * 5e-3)


def test_mmvae_plus_of_one_modality_is_an_iwae(generator):
    """Whatever the auxiliary prior, which is never used: log p(x, z) - log q(z | x), z shared and private."""
    kinds = {"a": "grey"}
    x, loss = toy_pairs(BATCH, kinds).batch(slice(None)), mmvae_plus.AuxiliaryBound(particles=4)
    model = toy_model("mmvae_plus", kinds, private=2)
    noise = loss.noise(model, BATCH, generator)
    posterior = model.posterior(x)
    log_weights = model.log_weights(x, posterior.place(noise[0][1]), posterior)
    expected = objectives.bound_value(log_weights, "iwae", "loose")
    torch.testing.assert_close(loss(model, x, noise, ONE).bound, expected, rtol=1e-5, atol=1e-3)
