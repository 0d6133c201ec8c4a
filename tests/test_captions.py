"""Models of captions and images: networks, the categorical likelihood, batch normalisation, training."""

import warnings

import numpy as np
import pytest
import torch
from mmvae.config import EMBEDDINGS, SCORED
from mmvae.nets import captions, features, pixels
from mmvae.nets.captions import WordEmbedding
from test_updates import idle, recorder
from torch.nn import functional

from mmvae import modality, models
from mmvae.data import text
from mmvae.data.pairs import Pairs
from mmvae.losses import ImportanceElbo, ImportanceWeighted, Phase, SubsampledElbo
from mmvae.modality import CategoricalLikelihood, LaplaceLikelihood
from mmvae.models import ModelConfig, build
from mmvae.objectives import Screen
from mmvae.training.checkpoints import Checkpoint
from mmvae.training.loop import Budget, train
from mmvae.training.updates import CHECKED, GraphedUpdate, Update, adam

VOCABULARY, LATENTS, PAD, EXC = 11, 4, 1, 0
OPTIONS = {
    "captions": {"vocabulary": VOCABULARY, "channels": 4, "embedding": 32, "scaling": 2.0, "scored": "words"},
    "features": {"length": 12, "hidden": 16, "likelihood_scale": 0.5, "scaling": 0.5},
    "pixels": {"channels": 2, "likelihood_scale": 0.5, "scaling": 0.1},
}


def model_of(image="features", kind="mmvae", **choices):
    torch.manual_seed(0)
    modalities = {"captions": "captions", image: image}
    return build(ModelConfig(kind, modalities, latents=LATENTS, options=OPTIONS, **choices))


def data(pairs=40, image="features"):
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, VOCABULARY, (pairs, 32), np.int32)
    tokens[:, 10:] = PAD
    tokens[:, 9] = 2
    images = {
        "features": rng.standard_normal((pairs // 10, 12)).astype(np.float32),
        "pixels": rng.integers(0, 256, (pairs // 10, 3, 64, 64), np.uint8),
    }[image]
    index = {"captions": np.arange(pairs), image: np.arange(pairs) // 10}
    return Pairs({"captions": tokens, image: images}, index, torch.device("cpu"))


@pytest.mark.parametrize("embedding", EMBEDDINGS)
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


def test_feature_and_pixel_networks():
    for nets, options, x in (
        (features, (12, 16), torch.randn(5, 12)),
        (pixels, (2,), torch.rand(5, 3, 64, 64)),
    ):
        loc, scale_logits = nets.Encoder(LATENTS, *options)(x)
        assert loc.shape == scale_logits.shape == (5, LATENTS)
        assert nets.Decoder(LATENTS, *options)(loc).shape == x.shape
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


@pytest.mark.parametrize("ignored", [PAD, EXC])
def test_categorical_likelihood_is_the_sum_over_scored_words(words, scored, ignored):
    h, x = scored
    log_probs = (h @ words.weight.T + words.bias).log_softmax(-1)
    expected = sum(torch.where(x[:, t] == ignored, 0.0, log_probs[:, torch.arange(5), t, x[:, t]]) for t in range(32))
    torch.testing.assert_close(CategoricalLikelihood(words, ignored).log_prob(h, x), expected)


def test_logits_are_never_held_together(words, scored, monkeypatch):
    """Part by part, values and gradients are the same, and no tensor is larger than a part's logits."""
    h, x = scored
    likelihood = CategoricalLikelihood(words, PAD)
    whole = likelihood.log_prob(h, x)
    (expected,) = torch.autograd.grad(whole.sum(), h, retain_graph=True)
    largest = []
    monkeypatch.setattr(modality, "LOGITS_AT_ONCE", {"cpu": 2 * 32 * VOCABULARY})
    plain = functional.cross_entropy
    monkeypatch.setattr(
        modality.functional,
        "cross_entropy",
        lambda logits, *a, **k: largest.append(len(logits)) or plain(logits, *a, **k),
    )
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.shape[-1]) or t, lambda t: t):
        parts = likelihood.log_prob(h, x)
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=0)
    assert max(largest) == 2 * 32
    assert VOCABULARY not in saved
    torch.testing.assert_close(torch.autograd.grad(parts.sum(), h)[0], expected, rtol=1e-10, atol=1e-12)


def test_laplace_likelihood_of_vectors_is_torch_s():
    mean, x = torch.randn(3, 5, 12), torch.randn(5, 12)
    expected = torch.distributions.Laplace(mean, 0.3).log_prob(x).sum(-1)
    torch.testing.assert_close(LaplaceLikelihood(0.3, dimensions=1).log_prob(mean, x), expected)


def test_the_embedding_is_shared_and_learned_by_both():
    model = model_of()
    assert sum("words" in name for name in model.state_dict()) == 2
    words = model.modalities["captions"].encoder.words
    assert model.modalities["captions"].likelihood.words is words
    x = data().batch(slice(0, 8))
    model.modalities["captions"].log_likelihood(torch.randn(8, LATENTS), x["captions"]).sum().backward()
    assert words.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("image", ["features", "pixels"])
@pytest.mark.parametrize(("kind", "posterior", "experts"), [("mmvae", "moe", 2), ("mvae", "poe", 1)])
def test_shapes_of_two_kinds(image, kind, posterior, experts):
    model, x = model_of(image, kind, posterior=posterior), data(image=image).batch(slice(0, 7))
    noise = model.noise(tuple(x), 3, 7, torch.Generator().manual_seed(0))
    posterior = model.posterior(x)
    assert posterior.place(noise).shape == (experts, 3, 7, LATENTS)
    assert model.log_weights(x, posterior.place(noise), posterior).shape == (experts, 3, 7)
    z = torch.randn(5, LATENTS)
    tokens, made = model.decode("captions", z), model.decode(image, z)
    assert tokens.shape == (5, 32)
    assert tokens.dtype == torch.int64
    assert made.shape[1:] == x[image].shape[1:]


def test_scores_do_not_depend_on_how_particles_are_divided():
    """Nor do they move batch normalisation's running statistics, though the model is in training."""
    model, x = model_of().train(), data().batch(slice(0, 6))
    z = torch.randn(9, 6, LATENTS)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    once, parts = (model.modalities["captions"].score(z, x["captions"], rows) for rows in (1000, 6))
    torch.testing.assert_close(once, parts)
    assert model.modalities["captions"].decoder.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_step_s_running_statistics_are_of_the_kept_particles_in_one_call():
    model, x = model_of().train(), data().batch(slice(0, 8))
    noise = model.noise(tuple(x), 4, 8, torch.Generator().manual_seed(0))
    calls = []
    decoder = model.modalities["captions"].decoder
    decoder.register_forward_hook(lambda module, _, out: calls.append((module.training, len(out))))
    loss = ImportanceWeighted("iwae", "loose", 4, Screen())
    estimate = loss(model, x, [(tuple(x), noise)], torch.ones(()))
    in_training = [rows for training, rows in calls if training]
    assert in_training == [round(float(estimate.kept.mean()) * noise[..., 0].numel())]


def test_mvae_decodes_all_subsets_in_one_call():
    model, x = model_of(kind="mvae", posterior="poe").train(), data().batch(slice(0, 8))
    calls = []
    model.modalities["captions"].decoder.register_forward_hook(lambda *args: calls.append(len(args[-1])))
    loss = SubsampledElbo(0.4)
    loss(model, x, loss.noise(model, 8, torch.Generator().manual_seed(0)), torch.ones(()))
    assert calls == [16]  # from both, and from captions alone


LOSSES = [
    ("mmvae", "moe", ImportanceWeighted("iwae", "loose", 3, Screen())),
    ("mmvae", "moe", ImportanceWeighted("dreg_mixture", "tight", 3, Screen())),
    ("mmvae", "moe", ImportanceElbo("importance_elbo", "loose", 2)),
    ("mvae", "poe", SubsampledElbo(0.4)),
    ("mvae", "moe", SubsampledElbo(0.4)),
]


@pytest.mark.parametrize("image", ["features", "pixels"])
@pytest.mark.parametrize(("kind", "posterior", "loss"), LOSSES)
def test_training_raises_the_bound_the_same_way_twice(image, kind, posterior, loss):
    curves, states = [], []
    for _ in range(2):
        model = model_of(image, kind, posterior=posterior)
        pairs = data(image=image)
        curves.append(train(model, [Phase(loss)], pairs, pairs, Budget(6, 160, 16, 5e-3), 0))
        states.append(model.state_dict())
        assert model.training
    assert curves[0] == curves[1]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    raised = "bound_train" if isinstance(loss, ImportanceElbo) else "bound_validation"  # which reports the ELBO
    assert curves[0][-1][raised] > curves[0][0][raised]


def test_weights_know_how_to_build_their_model(tmp_path):
    model = model_of()
    models.save(tmp_path / "model.safetensors", model)
    loaded, z = models.load(tmp_path / "model.safetensors"), torch.randn(3, LATENTS)
    torch.testing.assert_close(loaded.decode("features", z), model.eval().decode("features", z), rtol=0, atol=0)
    assert torch.equal(loaded.decode("captions", z), model.decode("captions", z))
    assert not loaded.training


class Stopped(ImportanceWeighted):
    """Interrupted at its seventh batch."""

    calls = 0

    def __call__(self, *arguments):
        Stopped.calls += 1
        if Stopped.calls == 7:
            raise KeyboardInterrupt
        return super().__call__(*arguments)


def test_an_interrupted_run_keeps_its_running_statistics(tmp_path):
    pairs, budget, phases = data(), Budget(2, 160, 16, 5e-3), [Phase(LOSSES[0][2])]
    whole, continued = model_of(), model_of()
    train(whole, phases, pairs, pairs, budget, 0)
    checkpoint = Checkpoint(tmp_path / "run.safetensors", seconds=0)
    with pytest.raises(KeyboardInterrupt):
        train(
            model_of(), [Phase(Stopped("iwae", "loose", 3, Screen()))], pairs, pairs, budget, 0, checkpoint=checkpoint
        )
    train(continued, phases, pairs, pairs, budget, 0, checkpoint=checkpoint)
    states = whole.state_dict(), continued.state_dict()
    assert sum("running_mean" in name for name in states[0]) == 5
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("record", [recorder([]), idle])
def test_capturing_and_checking_a_graph_leaves_no_trace(record):
    """Weights, running statistics, Adam's moments and random numbers are those of as many eager updates."""

    def state(wrap):
        model, loss, generator = model_of(), LOSSES[0][2], torch.Generator().manual_seed(0)
        update = Update(model, loss, adam(model, 1e-2, amsgrad=True), data())
        step = wrap(update)
        for first in range(CHECKED + 2):
            step(torch.arange(first, first + 8), loss.noise(model, 8, generator), torch.ones(()))
        return update.state() | {"global": torch.get_rng_state(), "own": generator.get_state()}

    expected = state(lambda update: update)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if record is idle else "error")
        found = state(lambda update: GraphedUpdate(update, record))
    assert any("running_var" in name for name in found) and any("exp_avg_sq" in name for name in found)
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_some_of_the_pairs():
    pairs = data()
    chosen = np.array([3, 17, 39])
    some, whole = pairs.of(chosen).batch(slice(None)), pairs.batch(torch.from_numpy(chosen))
    assert len(pairs.of(chosen)) == 3
    assert all(torch.equal(some[name], whole[name]) for name in whole)
    assert len(pairs) == 40


def test_the_words_that_are_not_scored_have_the_vocabulary_s_positions():
    assert {"words": text.PAD_INDEX, "released": text.EXC_INDEX} == SCORED
