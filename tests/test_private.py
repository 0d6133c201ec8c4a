"""Latents of one modality's own."""

import pytest
import torch
from toys import KINDS, toy_model, toy_pairs

from mmvae.models import dmvae

BATCH = 6


@pytest.mark.parametrize("name", ["dmvae", "mmvae_plus"])
def test_a_decoder_does_not_see_the_private_latents_of_another(name):
    x = toy_pairs(BATCH).batch(slice(None))
    model = toy_model(name, latents=6, private=2).eval()
    z, moved = torch.randn(BATCH, 6), torch.zeros(BATCH, 6)
    moved[:, model.parts()["b"]] = 1
    assert torch.equal(model.decode("a", z), model.decode("a", z + moved))
    assert not torch.equal(model.decode("b", z), model.decode("b", z + moved))
    given = model.posterior({"a": x["a"]}).experts
    for part, prior in ((given.loc, model.prior().loc), (given.scale, model.prior().scale)):
        absent = model.parts()["b"]
        assert torch.equal(part[0][:, absent], prior[absent].expand(BATCH, -1))


def test_private_latents_must_leave_shared_ones():
    with pytest.raises(ValueError, match="leave no shared latents of 4"):
        toy_model("dmvae", KINDS, private=2)


def test_dmvae_counts_the_shared_kl_once_for_each_modality_if_told(generator):
    x = toy_pairs(BATCH).batch(slice(None))
    model, prior = toy_model("dmvae", private=1), torch.distributions.Normal(0.0, 1.0)
    noise = dmvae.SharedPrivateElbo().noise(model, BATCH, generator)
    once, each = (dmvae.SharedPrivateElbo(kl_each)(model, x, noise, torch.ones(())) for kl_each in (False, True))
    shared, _ = model.split(model.experts(x))
    sources = [torch.distributions.Normal(u.loc, u.scale) for u in (model.product(shared), *shared.values())]
    kl = sum(torch.distributions.kl_divergence(u, prior).sum() for u in sources)
    torch.testing.assert_close(once.surrogate - each.surrogate, kl, rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(once.bound, each.bound)
