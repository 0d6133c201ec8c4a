"""Figure 2's systems that are no VAEs: what their objectives are equal to, and what learns from what."""

import pytest
import torch
from toys import KINDS, toy_model, toy_pairs

from mmvae.adaptation import discrepancy, reversed_gradient, told_apart
from mmvae.codes import head, log_share, unlabelled, unpaired
from mmvae.losses import Setting, phases
from mmvae.models.bimodal_autoencoder import MaskedReconstruction, masked_codes
from mmvae.models.dann import AdversarialLoss
from mmvae.models.dmae import dependence, kernel
from mmvae.models.dsn import correlation
from mmvae.models.unit import adversaries
from mmvae.params import ParamsError
from mmvae.training.loop import Budget, train

ONE = torch.ones(())
BATCH = 6
LARGEST_T = 4.5
PAIRED = ("bimodal_autoencoder", "sba", "dmae", "mfm")
UNPAIRED = ("dann", "dan", "dsn", "unit")


def labelled(batch=BATCH):
    return toy_pairs(batch, labelled=True).batch(slice(None))


def loss_of(name, **options):
    (phase,) = phases(name, Setting(), options)
    return phase


def estimate(model, name, x, **options):
    phase = loss_of(name, **options)
    if not phase.labelled:
        x, _ = unlabelled(x)
    noise = phase.loss.noise(model, BATCH, torch.Generator().manual_seed(0))
    return phase.loss(model, x, noise, ONE)


def gradients(model, value):
    """Parameter -> its gradient, of those that have one."""
    model.zero_grad()
    value.backward()
    return {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None and p.grad.any()}


# ---------------------------------------------------------------------------------------------- which pairs, labels


@pytest.mark.parametrize("name", UNPAIRED)
def test_unpaired_systems_do_not_see_pairs(name):
    seen = []
    model, x = toy_model(name, latents=12), labelled()
    assert not model.paired
    model.code = lambda n, value, code=model.code: seen.append((n, value)) or code(n, value)
    estimate(model, name, x)
    rows = dict(seen[:2])
    assert torch.equal(rows["a"], x["a"])
    assert torch.equal(rows["b"], x["b"].roll(1, 0))  # the same set, and no row keeps its partner


@pytest.mark.parametrize("source", ["grey", "colour"])
@pytest.mark.parametrize("name", ["dann", "dsn"])
def test_a_classifier_learns_the_digits_of_the_source_alone(name, source):
    model, x = toy_model(name, latents=12, source=source), labelled()
    assert KINDS[model.source] == source
    of_loss = gradients(model, estimate(model, name, x, source=source).surrogate)
    code = model.code(model.source, x[model.source])[:, model.common]
    alone = gradients(model, log_share(model.classifier(code), x["digits"]).sum())
    classifier = [key for key in alone if key.startswith("classifier.")]
    assert len(classifier) == 4
    for key in classifier:
        torch.testing.assert_close(of_loss[key], alone[key])


def test_a_source_that_is_not_there_is_refused():
    with pytest.raises(ParamsError, match=r"source is 'pixels': it should be one of grey, colour"):
        toy_model("dann", source="pixels")


def test_unit_takes_no_words():
    with pytest.raises(ParamsError, match="unit takes no captions"):
        toy_model("unit", {"a": "grey", "b": "captions"})


# ------------------------------------------------------------------------------------------------------ adaptation


def test_a_reversed_gradient_is_the_gradient_times_minus_its_strength():
    z = torch.randn(4, 3, requires_grad=True)
    (turned,) = torch.autograd.grad(reversed_gradient(z, 0.3).pow(3).sum(), z)
    (plain,) = torch.autograd.grad(z.pow(3).sum(), z)
    torch.testing.assert_close(turned, -0.3 * plain)
    torch.testing.assert_close(reversed_gradient(z, 0.3), z)


def test_encoders_unlearn_what_the_classifier_of_modalities_learns():
    model, x = toy_model("dann"), labelled()
    modalities, digits = unlabelled(x)
    codes = {name: model.code(name, value) for name, value in unpaired(modalities, "a").items()}
    rows, labels = torch.cat(list(codes.values())), torch.arange(2).repeat_interleave(BATCH)
    told = gradients(model, log_share(model.domain(rows), labels).sum())
    codes = model.code("a", x["a"])
    said = gradients(model, log_share(model.classifier(codes), digits).sum())
    both = gradients(model, AdversarialLoss(0.3)(model, x, [], ONE).surrogate)
    for key, found in both.items():
        expected = said.get(key, 0) + (told[key] if key.startswith("domain.") else -0.3 * told.get(key, 0))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_told_apart_is_the_log_probability_of_each_rows_modality():
    codes, domain = [torch.randn(5, 3), torch.randn(5, 3)], head(3, 2)
    logs = [domain(code).log_softmax(-1)[:, i] for i, code in enumerate(codes)]
    torch.testing.assert_close(told_apart(domain, codes, 1.0), sum(logs))


def gaussian_kernel_mean(distance, variances, width, dimensions):
    """E exp(-|x - y|^2 / h) of Gaussians so far apart, with variances s^2 + t^2 in all: in closed form."""
    spread = width + 2 * variances
    return (width / spread) ** (dimensions / 2) * torch.exp(-distance / spread)


def test_the_discrepancy_of_gaussians_is_that_in_closed_form(generator):
    """The mean over batches; the kernels' widths are those of the distributions, up to sampling."""
    dimensions, shift, scale, size = 3, 0.7, 1.4, 64
    found = []
    for _ in range(400):
        a = torch.randn(size, dimensions, generator=generator).double()
        b = shift + scale * torch.randn(size, dimensions, generator=generator).double()
        found.append(discrepancy(a, b))
    within, across = (2 * dimensions, 2 * dimensions * scale**2), dimensions * (1 + scale**2 + shift**2)
    share = size * (size - 1) / (2 * size * (2 * size - 1))
    mean = share * sum(within) + (1 - 2 * share) * across
    expected = 0
    for i in range(-2, 3):
        width, far = torch.tensor(mean * 2.0**i), torch.tensor(dimensions * shift**2)
        nothing = torch.zeros(())
        expected += gaussian_kernel_mean(nothing, 2.0, width, dimensions)
        expected += gaussian_kernel_mean(nothing, 2 * scale**2, width, dimensions)
        expected -= 2 * gaussian_kernel_mean(far, 1 + scale**2, width, dimensions)
    found = torch.stack(found)
    assert abs(found.mean() - expected) < 0.02 * expected
    assert found.std() < expected  # which says that the line above can fail


def test_the_discrepancy_of_equal_distributions_has_mean_zero(generator):
    found = torch.stack([discrepancy(*torch.randn(2, 32, 4, generator=generator)) for _ in range(400)])
    assert abs(found.mean() / found.std() * len(found) ** 0.5) < LARGEST_T
    assert (found < 0).any()


def test_the_correlation_of_columns():
    a = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    b = torch.stack([a[:, 0], a[:, 0] * a[:, 1]], 1)
    torch.testing.assert_close(correlation(a, b), torch.tensor(0.25))  # one of four pairs of columns is the same
    torch.testing.assert_close(correlation(3 * a + 1, a), torch.tensor(0.5))
    torch.testing.assert_close(correlation(a, b[:, 1:]), torch.tensor(0.0))


def test_the_correlation_does_not_depend_on_the_size_of_a_batch():
    a, b = torch.randn(2, 500, 3)
    torch.testing.assert_close(correlation(a.repeat(4, 1), b.repeat(4, 1)), correlation(a, b), rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------------------------------------- autoencoders


def test_dependence_is_the_trace_of_centred_kernels():
    a, b = torch.randn(2, 7, 3, dtype=torch.float64)
    centring = torch.eye(7) - torch.full((7, 7), 1 / 7)
    expected = torch.trace(kernel(a) @ centring.double() @ kernel(b) @ centring.double()) / 36
    torch.testing.assert_close(dependence(a, b), expected)
    assert dependence(torch.zeros(7, 3), torch.zeros(7, 3)) == 0
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    torch.testing.assert_close(dependence(a, b @ rotation), dependence(a, b))


def test_masked_codes_are_those_of_one_modality_and_then_of_both():
    model = toy_model("bimodal_autoencoder").eval()
    x, _ = unlabelled(labelled())
    z = masked_codes(model, x, 2 / 3)
    assert len(z) == BATCH
    for names, rows in ((["a"], slice(0, 2)), (["b"], slice(2, 4)), (["a", "b"], slice(4, 6))):
        torch.testing.assert_close(z[rows], model.mean({n: x[n] for n in names})[rows], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(masked_codes(model, x, 0.0), model.mean(x))


def test_a_missing_modality_is_not_a_black_image():
    model = toy_model("bimodal_autoencoder").eval()
    x, _ = unlabelled(labelled())
    assert not torch.allclose(model.mean({"a": x["a"]}), model.mean({"a": x["a"], "b": torch.zeros_like(x["b"])}))


def test_sba_without_noise_and_labels_is_the_bimodal_autoencoder():
    model, x = toy_model("sba"), labelled()
    expected = MaskedReconstruction(0.5)(model, unlabelled(x)[0], [], ONE)
    found = estimate(model, "sba", x, masked=0.5, corrupted=0.0)
    torch.testing.assert_close(found.surrogate, expected.surrogate)


def test_sba_learns_labels_times_the_log_probability_of_digits():
    model, x = toy_model("sba", labels=5.0), labelled()
    plain = estimate(model, "sba", x, masked=0.0, corrupted=0.0).surrogate
    both = estimate(model, "sba", x, masked=0.0, corrupted=0.0, labels=5.0).surrogate
    said = log_share(model.classifier(model.mean(unlabelled(x)[0])), x["digits"])
    torch.testing.assert_close(both - plain, 5 * said.sum(), rtol=1e-3, atol=1e-2)


def test_mfm_is_what_its_terms_are():
    model, x = toy_model("mfm", latents=12), labelled()
    modalities, digits = unlabelled(x)
    z = model.mean(modalities)
    likelihood = model.log_likelihood(modalities, z).sum()
    said = log_share(model.classifier(z[:, model.common]), digits).sum()
    apart = 0
    for a, b in (("a", "b"), ("b", "a")):
        given = model.mean({a: x[a]})
        apart += (given[:, model.common] - z[:, model.common]).square().sum()
        apart += (given[:, model.parts()[b]] - z[:, model.parts()[b]]).square().sum()
        assert torch.equal(given[:, model.parts()[a]], z[:, model.parts()[a]])
    found = estimate(model, "mfm", x, matching=0.0, labels=3.0).surrogate
    torch.testing.assert_close(found, likelihood + 3 * said - apart, rtol=1e-5, atol=1e-2)


# ------------------------------------------------------------------------------------------------------------ UNIT


def test_one_backward_gives_discriminators_and_images_the_gradients_of_their_own_losses():
    model = toy_model("unit")
    x, _ = unlabelled(labelled())
    discriminator = model.discriminators["b"]

    def both():
        return adversaries(discriminator, x["b"], model.decode("b", model.code("a", x["a"])))

    together = gradients(model, sum(part.sum() for part in both()))
    made, told = (gradients(model, both()[i].sum()) for i in range(2))
    assert all(not key.startswith("discriminators.") for key in made)
    assert all(key.startswith("discriminators.b.") for key in told)
    assert together.keys() == made.keys() | told.keys()
    for key, found in together.items():
        torch.testing.assert_close(found, (made | told)[key])


def test_discriminators_tell_and_are_fooled():
    model, x = toy_model("unit"), labelled()
    odds = model.discriminators["a"](x["a"])
    made, told = adversaries(model.discriminators["a"], x["a"], x["a"])
    torch.testing.assert_close(made, odds.sigmoid().log())
    torch.testing.assert_close(told, odds.sigmoid().log() + (1 - odds.sigmoid()).log())


# -------------------------------------------------------------------------------------------------- whole trainings


@pytest.mark.parametrize("name", ["dsn", "mfm"])
def test_a_decoder_does_not_see_the_private_code_of_another(name):
    model, z = toy_model(name, latents=12).eval(), torch.randn(BATCH, 12)
    moved = torch.zeros(BATCH, 12)
    moved[:, model.parts()["b"]] = 1
    assert torch.equal(model.decode("a", z), model.decode("a", z + moved))
    assert not torch.equal(model.decode("b", z), model.decode("b", z + moved))


def test_the_second_phase_of_the_rbm_leaves_the_vaes_as_they_are():
    both = phases("rbm", Setting(), {})
    model, data = toy_model("rbm"), toy_pairs(64)
    budget = Budget(epochs=1, pairs_per_epoch=128, batch_size=8, learning_rate=1e-2)
    after, weights = {}, lambda: {key: value.clone() for key, value in model.named_parameters()}

    class Watched(type(both[1].loss)):
        def noise(self, *given):
            after.setdefault("first", weights())
            return super().noise(*given)

    before = weights()
    train(model, [both[0], type(both[1])(Watched(), both[1].share, both[1].trained)], data, data, budget, 0)
    for key, value in weights().items():
        assert torch.equal(after["first"][key], value) == key.startswith("modalities."), key
        assert torch.equal(after["first"][key], before[key]) == key.startswith("rbm."), key


@pytest.mark.parametrize("name", [*PAIRED, *UNPAIRED, "rbm"])
def test_codes_of_any_modalities_can_be_decoded(name):
    """As evaluation gives them; what is drawn, too."""
    model, generator = toy_model(name, latents=12).eval(), torch.Generator().manual_seed(0)
    x, _ = unlabelled(labelled())
    for names in (["a"], ["b"], ["a", "b"]):
        some = {n: x[n] for n in names}
        for z in (model.sample(some, generator), model.mean(some)):
            assert len(z) == BATCH
            for target in model.generates(names):
                assert model.decode(target, z).shape == x[target].shape
    if model.generates([]):
        assert {n: model.decode(n, model.draw(3, generator)).shape[0] for n in KINDS} == {"a": 3, "b": 3}
