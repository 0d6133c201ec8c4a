"""What the losses of systems without posterior add up to: written out by hand, with all weights."""

import pytest
import torch
from test_points import BATCH, ONE, estimate, gradients, labelled, loss_of
from toys import KINDS, toy_model, toy_pairs

from mmvae.adaptation import discrepancy, told_apart
from mmvae.codes import log_share, unlabelled, unpaired
from mmvae.evaluation.captioned import generate
from mmvae.files import DataError
from mmvae.models.dmae import dependence
from mmvae.models.dsn import correlation
from mmvae.params import ParamsError


def rows(value, count):
    """The batch without its pairs, as the loss moves it."""
    return value.roll(count, 0)


def test_the_sum_of_dmae():
    model, x = toy_model("dmae"), labelled()
    codes = {name: model.code(name, x[name]) for name in KINDS}
    expected = sum(model.log_likelihood({n: x[n]}, codes[n]) for n in KINDS).sum()
    expected = expected + BATCH * 7000.0 * dependence(codes["a"], codes["b"])
    torch.testing.assert_close(estimate(model, "dmae", x, matching=7000.0).surrogate, expected)


def test_the_sum_of_sba_reconstructs_what_was_not_corrupted():
    model, x = toy_model("sba", labels=5.0), labelled()
    loss = loss_of("sba", masked=0.0, corrupted=0.6, labels=5.0).loss
    noise = loss.noise(model, BATCH, torch.Generator().manual_seed(0))
    given = {name: torch.where(uniform < 0.6, 0.0, x[name]) for (name,), uniform in noise}
    z = model.mean(given)
    expected = model.log_likelihood(unlabelled(x)[0], z) + 5 * log_share(model.classifier(z), x["digits"])
    torch.testing.assert_close(loss(model, x, noise, ONE).surrogate, expected.sum())


def test_the_sum_of_mfm():
    model, x = toy_model("mfm", latents=12), labelled()
    loss = loss_of("mfm", matching=400.0, labels=3.0).loss
    noise = loss.noise(model, BATCH, torch.Generator().manual_seed(0))
    z, prior = model.mean(unlabelled(x)[0]), noise[0][1][0, 0]
    parts = [model.common, *model.parts().values()]
    apart = sum(discrepancy(z[:, part], prior[:, part]) for part in parts)
    without = estimate(model, "mfm", x, matching=0.0, labels=3.0).surrogate
    torch.testing.assert_close(
        loss(model, x, noise, ONE).surrogate, without - BATCH * 400 * apart, rtol=1e-5, atol=1e-2
    )


def test_the_sum_of_dan():
    model, x = toy_model("dan"), labelled()
    source, target = model.code("a", x["a"]), model.code("b", rows(x["b"], 1))
    apart = discrepancy(source, target) + discrepancy(model.classifier(source), model.classifier(target))
    expected = log_share(model.classifier(source), x["digits"]).sum() - BATCH * 20 * apart
    torch.testing.assert_close(estimate(model, "dan", x, matching=20.0).surrogate, expected)


@pytest.mark.parametrize("switch", [0.0, 1.0])
def test_the_sum_of_dsn(switch):
    model, x = toy_model("dsn", latents=12), labelled()
    given = {"a": x["a"], "b": rows(x["b"], 1)}
    codes = {name: model.code(name, value) for name, value in given.items()}
    shared = {name: code[:, model.common] for name, code in codes.items()}
    likelihood = sum(
        model.modalities[n].scaling * model.modalities[n].log_likelihood(code, given[n]) for n, code in codes.items()
    )
    mixed = sum(correlation(shared[n], codes[n][:, model.shared :]) for n in codes)
    domains = [model.domain(shared[n]).log_softmax(-1)[:, i] for i, n in enumerate(codes)]
    rest = 0.01 * likelihood - 0.075 * mixed + 0.5 * sum(domains)
    expected = (log_share(model.classifier(shared["a"]), x["digits"]) + switch * rest).sum()
    loss = loss_of("dsn", similarity=0.5).loss
    torch.testing.assert_close(loss(model, x, [], torch.tensor(switch)).surrogate, expected)


def test_dsn_learns_not_to_tell_modalities_apart():
    """u's encoders get minus the gradient that the classifier of modalities would have them learn."""
    model, x = toy_model("dsn", latents=12), labelled()
    given = unpaired(unlabelled(x)[0], "a")
    shared = [model.code(name, value)[:, model.common] for name, value in given.items()]
    plain = told_apart(model.domain, shared, -1.0).sum()  # not reversed
    told = gradients(model, plain)
    found = [gradients(model, estimate(model, "dsn", x, similarity=weight).surrogate) for weight in (10.0, 20.0)]
    for key, value in told.items():
        sign = 1 if key.startswith("domain.") else -1
        torch.testing.assert_close(found[1][key] - found[0][key], 10 * sign * value, rtol=1e-2, atol=1e-2)


def test_when_adaptation_begins():
    dann, dsn = loss_of("dann").loss, loss_of("dsn").loss
    assert [dsn.annealing(progress) for progress in (0, 0.04, 0.06, 1)] == [0, 0, 1, 1]
    assert dann.annealing(0) == 0
    assert dann.annealing(0.5) == pytest.approx(0.98661, abs=1e-5)
    assert dann.annealing(0.1) < dann.annealing(0.2)


def test_the_sum_of_unit(generator):
    """What images and codes learn from, and what discriminators do, each as its own sum."""
    model, (x, _) = toy_model("unit"), unlabelled(labelled())
    loss = loss_of("unit", kl=0.3, adversarial=7.0).loss
    noise = loss.noise(model, BATCH, generator)
    standard = {step: part[0, 0] for step, part in noise}
    given = {"a": x["a"], "b": rows(x["b"], 1)}
    codes = {n: model.code(n, value) for n, value in given.items()}
    images = told = 0
    for one, other in (("a", "b"), ("b", "a")):
        z = codes[one] + standard[one,]
        images = images + model.log_likelihood({one: given[one]}, z) - 0.3 * codes[one].square().sum(-1) / 2
        made = model.decode(other, z)
        code = model.code(other, made)
        back = model.log_likelihood({one: given[one]}, code + standard[one, other])
        odds = model.discriminators[other](made)
        images = images + back - 0.3 * code.square().sum(-1) / 2 + 7 * odds.sigmoid().log()
        fake = model.discriminators[other](made.detach())
        told = told + model.discriminators[other](given[other]).sigmoid().log() + (1 - fake.sigmoid()).log()
    found = loss(model, x, noise, ONE)
    torch.testing.assert_close(found.surrogate, (images + told).sum(), rtol=1e-5, atol=1e-2)
    learned, of_images, of_discriminators = (
        gradients(model, value) for value in (loss(model, x, noise, ONE).surrogate, images.sum(), told.sum())
    )
    for key, value in learned.items():
        expected = of_discriminators if key.startswith("discriminators.") else of_images
        torch.testing.assert_close(value, expected[key], rtol=1e-3, atol=1e-2)


def test_three_modalities_are_all_moved_apart():
    x = {name: torch.arange(5) for name in "abc"}
    moved = unpaired(x, "b")
    assert torch.equal(moved["b"], x["b"])
    for one, other in ("ab", "bc", "ac"):
        assert not (moved[one] == moved[other]).any()


def test_a_batch_without_digits_says_so():
    with pytest.raises(DataError, match="the pairs have none: give their array as 'digits'"):
        loss_of("dann").loss(toy_model("dann"), toy_pairs(BATCH).batch(slice(None)), [], ONE)


@pytest.mark.parametrize("name", ["dsn", "mfm"])
def test_private_codes_are_needed(name):
    with pytest.raises(ParamsError, match=f"private is 0, of 3 latents: {name} needs 1 or more"):
        toy_model(name, latents=3)


@pytest.mark.parametrize(("name", "made"), [("dmae", "a b both"), ("rbm", "a b both joint")])
def test_what_is_made_of_captions(name, made, generator):
    """From the prior, only by models that have one."""
    kinds = {"a": "captions", "b": "features"}
    found = generate(toy_model(name, kinds).eval(), toy_pairs(6, kinds), 5, generator)
    assert list(found) == made.split()
    assert all(of.keys() == kinds.keys() for of in found.values())


def test_a_tied_encoder_sees_all_images_in_its_own_frame():
    model, x = toy_model("dann", tied="colour"), labelled()
    assert model.modalities["a"].encoder is None
    framed = torch.zeros(BATCH, 3, 32, 32)
    framed[:, :, 2:30, 2:30] = x["a"]
    torch.testing.assert_close(model.code("a", x["a"]), model.code("b", framed))


@pytest.mark.parametrize(
    ("kinds", "tied", "unfit"),
    [({"a": "grey", "b": "colour"}, "grey", "colour"), ({"a": "pixels", "b": "captions"}, "pixels", "captions")],
)
def test_what_has_no_place_in_a_tied_encoders_images_is_refused(kinds, tied, unfit):
    with pytest.raises(ParamsError, match=f"tied is '{tied}': no {unfit} has a place in its images"):
        toy_model("dann", kinds, tied=tied)
