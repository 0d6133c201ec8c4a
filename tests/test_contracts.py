"""What every model and every kind keeps. Whatever is in the registries is tested: a new file, by existing."""

from dataclasses import replace
from itertools import combinations, product
from typing import Literal, get_args, get_origin

import pytest
import torch
from toys import KINDS as PAIR
from toys import toy_config, toy_model, toy_pairs

from mmvae import registry, runs
from mmvae.data.prepared import prepared
from mmvae.distributions import draws
from mmvae.losses import Setting
from mmvae.modality import BernoulliLikelihood, LaplaceLikelihood
from mmvae.model import load, save
from mmvae.params import ParamsError
from mmvae.training.checkpoints import Checkpoint
from mmvae.training.loop import Budget, train
from mmvae.training.phases import schedule

LARGEST_T = 4.5  # of anything that is right
DRAWS = 20_000
BATCH, PARTICLES, LATENTS = 4, 3, 15
KINDS, MODELS = registry.names("kinds"), registry.names("models")
SETS = [
    {"grey": "grey"},
    {"captions": "captions"},
    PAIR,
    {kind: kind for kind in KINDS if kind not in ("captions", *PAIR.values())},
    {kind: kind for kind in KINDS},
]
FEW = SETS[:4]  # every kind once
BUDGET = Budget(epochs=2, pairs_per_epoch=2 * BATCH, batch_size=BATCH, learning_rate=1e-3)


def variants(folder):
    """Name and options of each file, with every combination of its named choices."""
    found = []
    for name in registry.names(folder):
        fields = registry.find(folder, name).Options.model_fields.items()
        words = {key: get_args(field.annotation) for key, field in fields if get_origin(field.annotation) is Literal}
        words = {key: values for key, values in words.items() if isinstance(values[0], str)}
        for values in product(*words.values()):
            found.append(pytest.param(name, dict(zip(words, values, strict=True)), id="-".join([name, *values])))
    return found


def each_model(has_density=False, sets=SETS, but=()):
    """Every model on every set that it takes; or those that have densities; but not those named."""
    return pytest.mark.parametrize(
        ("name", "options", "kinds"),
        [
            pytest.param(*case.values, kinds, id=f"{case.id}-{'+'.join(kinds)}")
            for case, kinds in product(variants("models"), sets)
            for model in [registry.find("models", case.values[0]).MODEL]
            if len(kinds) >= model.fewest_modalities and not set(kinds.values()) & set(model.refused)
            if model.has_density or not has_density
            if case.values[0] not in but
        ],
    )


def phases_of(name, options):
    found = registry.find("models", name)
    return found.phases(found.Options(**options), Setting("iwae", PARTICLES, torch.device("cpu")))


def largest_t(values):
    """Of the hypothesis that the mean of draws (N, ...) is 0."""
    values = values.detach().double().reshape(len(values), -1)
    spread = values.std(0)
    assert (values.mean(0)[spread == 0] == 0).all()
    return float((values.mean(0) / spread * len(values) ** 0.5)[spread > 0].abs().max())


@each_model(has_density=True)
def test_log_weights_are_finite_given_any_modalities(name, options, kinds, generator):
    model, x = toy_model(name, kinds, **options), toy_pairs(BATCH, kinds).batch(slice(None))
    for names in [*((one,) for one in kinds), *combinations(kinds, 2), tuple(kinds)]:
        posterior = model.posterior({one: x[one] for one in names})
        noise = model.noise(names, PARTICLES, BATCH, generator)
        assert noise.shape == (model.experts_given(names), PARTICLES, BATCH, model.config.latents)
        log_weights = model.log_weights(x, posterior.place(noise), posterior)
        assert log_weights.shape == noise.shape[:3]
        assert log_weights.isfinite().all()


def posterior_disagreement(model, x, generator):
    """The largest t of the score of all that a posterior of one input has, and of E_p[q(z | x) / p(z)] - 1."""
    with torch.no_grad():
        posterior, prior = model.posterior(x).at(torch.zeros(DRAWS, dtype=torch.long)), model.prior()
    parts = [part.requires_grad_() for part in vars(posterior.experts).values()]
    z = posterior.sample_one(generator).detach()
    posterior.log_prob(z).sum().backward()
    z = draws(prior, DRAWS, generator)
    ratio = (posterior.log_prob(z) - prior.log_prob(z)).exp()
    return max(largest_t(ratio - 1), *(largest_t(part.grad.movedim(1, 0)) for part in parts))


@each_model(has_density=True)
def test_samples_of_posterior_and_prior_have_their_densities(name, options, kinds, generator):
    model = toy_model(name, kinds, latents=2, **options)
    assert posterior_disagreement(model, toy_pairs(1, kinds).batch(slice(None)), generator) < LARGEST_T


@each_model(has_density=True, sets=[PAIR])
def test_a_posterior_whose_samples_have_another_density_is_found(name, options, kinds, generator, monkeypatch):
    model = toy_model(name, kinds, latents=2, **options)
    family = type(model.prior())
    noise = family.noise
    monkeypatch.setattr(family, "noise", staticmethod(lambda *given: 1.1 * noise(*given)))
    assert posterior_disagreement(model, toy_pairs(1, kinds).batch(slice(None)), generator) > LARGEST_T


def disagreement(likelihood, predicted, generator):
    """The largest t of the score, and of E[p(x | moved) / p(x | predicted)] - 1; predicted (1, ...)."""
    own = predicted.detach().expand(DRAWS, *predicted.shape[1:]).clone().requires_grad_()
    x = likelihood.sample(own.detach(), generator)
    log_prob = likelihood.log_prob(own, x)
    log_prob.sum().backward()
    move, ratios = torch.randn(predicted.shape, generator=generator), []
    for sign in (1, -1):
        step = sign * move / (own.grad.detach() * move).flatten(1).sum(1).std()  # by which log p(x) changes by about 1
        ratios.append((likelihood.log_prob(own.detach() + 0.7 * step, x) - log_prob.detach()).exp() - 1)
    return max(largest_t(own.grad), largest_t(torch.stack(ratios, 1)))


@pytest.mark.parametrize(("kind", "options"), variants("kinds"))
def test_samples_of_a_likelihood_have_its_density(kind, options, generator):
    """Of the first few values, by which the decoder's prediction begins."""
    modality = toy_model("vae", {kind: kind}, **options).eval().modalities[kind]
    with torch.no_grad():
        predicted = modality.decoder(torch.randn(1, 4, generator=generator))
        if hasattr(modality.likelihood, "ignored"):  # a word that is not scored has no density: it never occurs
            modality.likelihood.words.bias[modality.likelihood.ignored] = -1e4
    few = predicted[(slice(None), *(slice(min(size, 3)) for size in modality.shape))]
    assert disagreement(modality.likelihood, few, generator) < LARGEST_T


class WrongScale(LaplaceLikelihood):
    def sample(self, predicted, generator):
        return LaplaceLikelihood(1.2 * self.scale).sample(predicted, generator)


class WrongFamily(LaplaceLikelihood):
    def sample(self, predicted, generator):
        return predicted + 2**0.5 * self.scale * torch.randn(predicted.shape, generator=generator)


class WrongPlace(LaplaceLikelihood):
    def sample(self, predicted, generator):
        return super().sample(predicted + 0.1 * self.scale, generator)


class WrongSum(LaplaceLikelihood):
    def log_prob(self, predicted, x):
        return 1.2 * super().log_prob(predicted, x)


class WrongShare(BernoulliLikelihood):
    def sample(self, predicted, generator):
        return torch.bernoulli(predicted**1.1, generator=generator)


@pytest.mark.parametrize(
    "wrong", [WrongScale(0.75), WrongFamily(0.75), WrongPlace(0.75), WrongSum(0.75), WrongShare()], ids=repr
)
def test_a_likelihood_whose_samples_have_another_density_is_found(wrong, generator):
    assert disagreement(wrong, 0.2 + 0.6 * torch.rand(1, 3, 3, 3), generator) > LARGEST_T


def pairs_for(phases, pairs, kinds):
    """With labels, if the phases look at them."""
    return toy_pairs(pairs, kinds, labelled=any(phase.labelled for phase in phases))


@each_model()
def test_gradients_reach_all_that_a_phase_trains(name, options, kinds, generator):
    model, phases = toy_model(name, kinds, latents=LATENTS, **options), phases_of(name, options)
    x = pairs_for(phases, BATCH, kinds).batch(slice(None))
    for stretch in schedule(model, phases, 100):
        model.zero_grad()
        loss = stretch.phase.loss
        loss(model, x, loss.noise(model, BATCH, generator), torch.tensor(0.5)).surrogate.backward()
        for key, parameter in model.named_parameters():
            if not any(parameter is one for one in stretch.fixed):
                assert parameter.grad.isfinite().all() and parameter.grad.any(), key


# By their order, one modality is shifted against the others (the first four), or they are masked.
@each_model(sets=[PAIR], but=("dan", "dann", "dsn", "unit", "bimodal_autoencoder", "sba"))
def test_a_batch_may_name_modalities_in_any_order(name, options, kinds, generator):
    model, phases = toy_model(name, kinds, latents=LATENTS, **options), phases_of(name, options)
    x = pairs_for(phases, BATCH, kinds).batch(slice(None))
    for loss in (phase.loss for phase in phases):
        noise = [(names, torch.zeros_like(drawn)) for names, drawn in loss.noise(model, BATCH, generator)]
        one, other = (loss(model, of, noise, torch.tensor(1.0)) for of in (x, dict(reversed(x.items()))))
        torch.testing.assert_close(one.bound, other.bound)
        torch.testing.assert_close(one.surrogate, other.surrogate)


@each_model()
def test_a_saved_model_is_the_same_model(name, options, kinds, tmp_path):
    model, x = toy_model(name, kinds, latents=LATENTS, **options).eval(), toy_pairs(BATCH, kinds).batch(slice(None))
    save(tmp_path / "model.safetensors", model)
    loaded, z = load(tmp_path / "model.safetensors"), model.mean(x)
    assert loaded.config == model.config == toy_config(name, kinds, LATENTS, **options)
    assert not loaded.training
    same = [(loaded.state_dict()[key], value) for key, value in model.state_dict().items()]
    same += [(loaded.decode(one, z), model.decode(one, z)) for one in model.generates(list(kinds))]
    same += [(loaded.mean(x), z)]
    assert all(torch.equal(a, b) for a, b in same)


class Stopping:
    """A loss, interrupted at its third batch."""

    def __init__(self, loss, calls):
        self.loss, self.calls = loss, calls

    def __getattr__(self, name):
        return getattr(self.loss, name)

    def __call__(self, *given):
        self.calls.append(given)
        if len(self.calls) == 3:
            raise KeyboardInterrupt
        return self.loss(*given)


@pytest.mark.slow
@each_model(sets=[PAIR])
def test_an_interrupted_training_goes_on_to_the_same_bytes(name, options, kinds, tmp_path):
    goes_on(name, options, kinds, tmp_path)


@pytest.mark.slow
@each_model(sets=FEW, but=set(MODELS) - {"mmvae", "mvae"})
def test_an_interrupted_training_goes_on_with_every_kind(name, options, kinds, tmp_path):
    goes_on(name, options, kinds, tmp_path)


def goes_on(name, options, kinds, tmp_path):
    phases, calls = phases_of(name, options), []
    data = pairs_for(phases, 8, kinds)

    def trained(phases, checkpoint):
        model = toy_model(name, kinds, latents=LATENTS, **options)
        curve = train(model, phases, data, data, BUDGET, 0, checkpoint=checkpoint)
        save(tmp_path / "model.safetensors", model)
        return curve, (tmp_path / "model.safetensors").read_bytes()

    whole = trained(phases, None)
    checkpoint = Checkpoint(tmp_path / "run.safetensors", seconds=0)
    with pytest.raises(KeyboardInterrupt):
        trained([replace(phase, loss=Stopping(phase.loss, calls)) for phase in phases], checkpoint)
    assert trained(phases, checkpoint) == whole


ASKED = {
    "kinds": lambda: toy_model("mmvae", {"a": "nothing"}),
    "models": lambda: toy_model("nothing"),
    "datasets": lambda: prepared("nothing", torch.device("cpu")),
    "metrics.digits": lambda: registry.find("metrics.digits", "nothing"),
    "metrics.captions": lambda: registry.find("metrics.captions", "nothing"),
    "metrics.systems": lambda: registry.find("metrics.systems", "nothing"),
    "extractors": lambda: registry.find("extractors", "nothing"),
}


@pytest.mark.parametrize("folder", registry.FOLDERS)
def test_an_unknown_name_is_one_error_that_lists_the_known_ones(folder):
    with pytest.raises(registry.UnknownName) as error:
        ASKED[folder]()
    known = ", ".join(registry.names(folder))
    place = f"a new one is a file in mmvae/{folder.replace('.', '/')}/"
    assert str(error.value) == f"'nothing' is no {registry.FOLDERS[folder]}; known: {known}; {place}"


def test_a_run_of_an_unknown_model_is_the_same_error():
    params = {"runs": {"own_objective": {"mine": {"model": "nothing"}}}}
    with pytest.raises(
        ParamsError, match=f"mine: model: 'nothing' is no model; known: {', '.join(MODELS)}; a new one is a"
    ):
        runs.of_set(params, "digits")


@pytest.mark.parametrize("folder", registry.FOLDERS)
def test_every_file_has_what_the_others_look_for(folder):
    """`find` refuses a file that lacks a part (faults/test_field_docs.py)."""
    assert [registry.find(folder, name) for name in registry.names(folder)]
