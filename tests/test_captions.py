"""Models of captions and images: networks, the categorical likelihood, batch normalisation, training."""

import warnings

import numpy as np
import pytest
import torch
from test_updates import idle, recorder
from torch.nn import functional
from toys import WORDS, toy_model, toy_pairs

from mmvae.data.text import EXC_INDEX, PAD_INDEX
from mmvae.kinds import captions, features
from mmvae.kinds.captions import CategoricalLikelihood, WordEmbedding
from mmvae.losses import Phase
from mmvae.modality import LaplaceLikelihood
from mmvae.models import telbo
from mmvae.models.mmvae import ImportanceElbo, ImportanceWeighted
from mmvae.models.mvae import SubsampledElbo
from mmvae.objectives import Screen
from mmvae.training.loop import Budget, train
from mmvae.training.updates import CHECKED, GraphedUpdate, Update, adam

VOCABULARY, LATENTS = len(WORDS), 4
FEATURES, PIXELS = ({"captions": "captions", image: image} for image in ("features", "pixels"))
OPTIONS = {
    "captions": {"scaling": 2.0},
    "features": {"likelihood_scale": 0.5, "scaling": 0.5},
    "pixels": {"channels": 2, "likelihood_scale": 0.5, "scaling": 0.1},
}


def model_of(model="mmvae", kinds=FEATURES, **choices):
    return toy_model(model, kinds, **OPTIONS, **choices)


def batch(count):
    return toy_pairs(40, FEATURES).batch(slice(0, count))


@pytest.mark.parametrize("embedding", captions.EMBEDDINGS)
@pytest.mark.parametrize("channels", [3, 8])
def test_caption_networks_fit_every_embedding(embedding, channels):
    encoder, decoder = (
        net.eval()
        for net in (
            captions.Encoder(LATENTS, VOCABULARY, channels, embedding),
            captions.Decoder(LATENTS, channels, embedding),
        )
    )
    loc, scale_logits = encoder(torch.randint(VOCABULARY, (5, 32)))
    assert loc.shape == scale_logits.shape == (5, LATENTS)
    assert decoder(torch.randn(7, LATENTS)).shape == (7, 32, embedding)


def test_table_6d():
    """Its printed layers are those of an embedding of 128."""
    encoder, decoder = captions.Encoder(128, 1590, 32, 128), captions.Decoder(128, 32, 128)
    convolutions = [m for m in encoder.hidden if isinstance(m, torch.nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [32, 64, 128, 256, 512]
    assert [m.kernel_size for m in convolutions] == [(4, 4)] * 3 + [(1, 4)] * 2
    assert [m.stride for m in convolutions] == [(2, 2)] * 3 + [(1, 2)] * 2
    up = [m for m in decoder.hidden if isinstance(m, torch.nn.ConvTranspose2d)]
    assert [m.out_channels for m in up] == [512, 256, 128, 64, 32]
    assert encoder.words.weight.shape == (1590, 128)


def test_table_6c():
    widths = [m.out_features for m in features.Encoder(128).hidden if isinstance(m, torch.nn.Linear)]
    assert widths == [1024, 512, 256]


@pytest.fixture
def words():
    torch.manual_seed(1)
    return WordEmbedding(VOCABULARY, 6).double()


@pytest.fixture
def scored(words):
    """Predictions of 3 particles for 5 captions, and the captions."""
    h = torch.randn(3, 5, 32, 6, dtype=torch.float64, requires_grad=True)
    return h, torch.randint(VOCABULARY, (5, 32))


@pytest.mark.parametrize("ignored", [PAD_INDEX, EXC_INDEX])
def test_categorical_likelihood_is_the_sum_over_scored_words(words, scored, ignored):
    h, x = scored
    log_probs = (h @ words.weight.T + words.bias).log_softmax(-1)
    expected = sum(torch.where(x[:, t] == ignored, 0.0, log_probs[:, torch.arange(5), t, x[:, t]]) for t in range(32))
    torch.testing.assert_close(CategoricalLikelihood(words, ignored).log_prob(h, x), expected)


def test_logits_are_never_held_together(words, scored, monkeypatch):
    """Part by part, values and gradients are the same, and no tensor is larger than a part's logits."""
    h, x = scored
    likelihood = CategoricalLikelihood(words, PAD_INDEX)
    whole = likelihood.log_prob(h, x)
    (expected,) = torch.autograd.grad(whole.sum(), h, retain_graph=True)
    largest = []
    monkeypatch.setattr(captions, "LOGITS_AT_ONCE", {"cpu": 2 * 32 * VOCABULARY})
    plain = functional.cross_entropy
    monkeypatch.setattr(
        captions.functional,
        "cross_entropy",
        lambda logits, *a, **k: largest.append(len(logits)) or plain(logits, *a, **k),
    )
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.shape) or t, lambda t: t):
        parts = likelihood.log_prob(h, x)
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=0)
    assert max(largest) == 2 * 32
    assert not [shape for shape in saved if len(shape) > 1 and shape[-1] == VOCABULARY], "logits, of any rows"
    torch.testing.assert_close(torch.autograd.grad(parts.sum(), h)[0], expected, rtol=1e-10, atol=1e-12)


def test_logits_are_computed_again_with_the_table_that_there_was(monkeypatch):
    """TELBO's decoders are held fixed while they score, and no longer when a gradient needs the logits again."""
    kinds = {"a": "grey", "b": "captions"}
    x, loss = toy_pairs(6, kinds).batch(slice(None)), telbo.TripleElbo(1.0)
    noise = loss.noise(toy_model("telbo", kinds), 6, torch.Generator().manual_seed(0))

    def gradient():
        model = toy_model("telbo", kinds)
        loss(model, x, noise, torch.ones(())).surrogate.backward()
        return {key: parameter.grad for key, parameter in model.named_parameters()}

    whole = gradient()
    monkeypatch.setattr(captions, "LOGITS_AT_ONCE", {"cpu": 1})
    for key, value in gradient().items():
        torch.testing.assert_close(value, whole[key], rtol=1e-4, atol=1e-4 * float(whole[key].abs().max()))


def test_laplace_likelihood_of_vectors_is_torch_s():
    mean, x = torch.randn(3, 5, 12), torch.randn(5, 12)
    expected = torch.distributions.Laplace(mean, 0.3).log_prob(x).sum(-1)
    torch.testing.assert_close(LaplaceLikelihood(0.3, dimensions=1).log_prob(mean, x), expected)


def test_the_embedding_is_shared_and_learned_by_both():
    model = model_of()
    assert sum("words" in name for name in model.state_dict()) == 2
    words = model.modalities["captions"].encoder.words
    assert model.modalities["captions"].likelihood.words is words
    x = batch(8)
    model.modalities["captions"].log_likelihood(torch.randn(8, LATENTS), x["captions"]).sum().backward()
    assert words.weight.grad.abs().sum() > 0


def test_scores_do_not_depend_on_how_particles_are_divided():
    """Nor do they move batch normalisation's running statistics, though the model is in training."""
    model, x = model_of().train(), batch(6)
    z = torch.randn(9, 6, LATENTS)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    once, parts = (model.modalities["captions"].score(z, x["captions"], rows) for rows in (1000, 6))
    torch.testing.assert_close(once, parts)
    assert model.modalities["captions"].decoder.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_step_s_running_statistics_are_of_the_kept_particles_in_one_call():
    model, x = model_of().train(), batch(8)
    noise = model.noise(tuple(x), 4, 8, torch.Generator().manual_seed(0))
    calls = []
    decoder = model.modalities["captions"].decoder
    decoder.register_forward_hook(lambda module, _, out: calls.append((module.training, len(out))))
    loss = ImportanceWeighted("iwae", "loose", 4, Screen())
    estimate = loss(model, x, [(tuple(x), noise)], torch.ones(()))
    in_training = [rows for training, rows in calls if training]
    assert in_training == [round(float(estimate.kept.mean()) * noise[..., 0].numel())]


def test_mvae_decodes_all_subsets_in_one_call():
    model, x = model_of("mvae").train(), batch(8)
    calls = []
    model.modalities["captions"].decoder.register_forward_hook(lambda *args: calls.append(len(args[-1])))
    loss = SubsampledElbo(0.4)
    loss(model, x, loss.noise(model, 8, torch.Generator().manual_seed(0)), torch.ones(()))
    assert calls == [16]  # from both, and from captions alone


IWAE = ImportanceWeighted("iwae", "loose", 3, Screen())
TRAININGS = [
    ("mmvae", FEATURES, {}, IWAE),
    ("mmvae", PIXELS, {}, IWAE),
    ("mmvae", FEATURES, {}, ImportanceWeighted("dreg_mixture", "tight", 3, Screen())),
    ("mmvae", FEATURES, {}, ImportanceElbo("importance_elbo", "loose", 2)),
    ("mvae", FEATURES, {"posterior": "poe"}, SubsampledElbo(0.4)),
    ("mvae", PIXELS, {"posterior": "poe"}, SubsampledElbo(0.4)),
    ("mvae", FEATURES, {"posterior": "moe"}, SubsampledElbo(0.4)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "kinds", "options", "loss"), TRAININGS)
def test_training_raises_the_bound(model, kinds, options, loss):
    pairs, budget = toy_pairs(40, kinds), Budget(epochs=6, pairs_per_epoch=160, batch_size=16, learning_rate=5e-3)
    curve = train(model_of(model, kinds, **options), [Phase(loss)], pairs, pairs, budget, 0)
    raised = "bound_train" if isinstance(loss, ImportanceElbo) else "bound_validation"  # which reports the ELBO
    assert curve[-1][raised] > curve[0][raised]


@pytest.mark.parametrize("record", [recorder([]), idle])
def test_capturing_and_checking_a_graph_leaves_no_trace(record):
    """Weights, running statistics, Adam's moments and random numbers are those of as many eager updates."""

    def state(wrap):
        model, generator = model_of(), torch.Generator().manual_seed(0)
        update = Update(model, IWAE, adam(model, 1e-2, amsgrad=True), toy_pairs(40, FEATURES))
        step = wrap(update)
        for first in range(CHECKED + 2):
            step(torch.arange(first, first + 8), IWAE.noise(model, 8, generator), torch.ones(()))
        return update.state() | {"global": torch.get_rng_state(), "own": generator.get_state()}

    expected = state(lambda update: update)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if record is idle else "error")
        found = state(lambda update: GraphedUpdate(update, record))
    assert any("running_var" in name for name in found) and any("exp_avg_sq" in name for name in found)
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_some_of_the_pairs():
    pairs = toy_pairs(40, FEATURES)
    chosen = np.array([3, 17, 39])
    some, whole = pairs.of(chosen).batch(slice(None)), pairs.batch(torch.from_numpy(chosen))
    assert len(pairs.of(chosen)) == 3
    assert all(torch.equal(some[name], whole[name]) for name in whole)
    assert len(pairs) == 40
