"""Training on pairs that lack modalities."""

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT
from toys import toy_model, toy_pairs

from mmvae import registry, runs, schema
from mmvae.data.missing import Missing, present
from mmvae.data.pairs import PRESENT
from mmvae.distributions import Mixture
from mmvae.files import DataError
from mmvae.incomplete import Incomplete, lacking, only
from mmvae.losses import Phase, Setting
from mmvae.model import subsets
from mmvae.models.mmvae import ImportanceWeighted
from mmvae.params import ParamsError, check
from mmvae.training.loop import Budget, train
from mmvae.training.updates import adam, updater

KINDS = {"a": "grey", "b": "colour", "c": "text"}
PAIRS = 12
ONE = torch.ones(())
MODELS = ("mmvae", "mmvae_gaussian", "mvae", "bivcca", "mopoe", "mmjsd")


@pytest.fixture
def params():
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def loss_of(name, **options):
    found = registry.find("models", name)
    (phase,) = found.phases(found.Options(**options), Setting("iwae", 3, torch.device("cpu")))
    return phase.loss


def batch(there):
    """Pairs of all modalities, and which of them count."""
    return toy_pairs(PAIRS, KINDS).beside(PRESENT, there).batch(slice(None))


def spoiled(x):
    """The same pairs, with what no tensor of their kind holds in place of what is missing."""
    there, x = x[PRESENT].bool(), {name: value.clone() for name, value in x.items()}
    for column, name in enumerate(KINDS):
        x[name][~there[:, column]] = torch.nan if x[name].is_floating_point() else -1
    return x


@pytest.mark.parametrize("name", MODELS)
def test_nothing_of_a_missing_modality_reaches_a_loss(name, generator):
    model, loss = toy_model(name, KINDS), Incomplete(loss_of(name), tuple(KINDS))
    x = batch(present(PAIRS, len(KINDS), 0.5))
    assert not x[PRESENT].all() and len(x[PRESENT].unique(dim=0)) > 3
    noise = loss.noise(model, PAIRS, generator)
    found = []
    for values in (x, spoiled(x)):
        model.zero_grad()
        estimate = loss(model, values, noise, ONE)
        (-estimate.surrogate).backward()
        found.append([estimate.bound, *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    for one, other in zip(*found, strict=True):
        assert one.isfinite().all()
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_is_the_sum_of_what_its_pairs_have(name, generator):
    """Each pair by itself, under a model that has no other modalities."""
    model, inner = toy_model(name, KINDS).double(), loss_of(name)
    loss = Incomplete(inner, tuple(KINDS))
    x = batch(present(PAIRS, len(KINDS), 0.5))
    x = {key: value.double() if value.is_floating_point() else value for key, value in x.items()}
    noise = [(key, standard.double()) for key, standard in loss.noise(model, PAIRS, generator)]
    total = 0.0
    for row, there in enumerate(x[PRESENT].bool().tolist()):
        some = tuple(name for name, one in zip(KINDS, there, strict=True) if one)
        own = [(given, standard[:, :, [row]]) for (of, given), standard in noise if of == some]
        total += inner(only(model, some), {name: x[name][[row]] for name in some}, own, ONE).surrogate
    torch.testing.assert_close(loss(model, x, noise, ONE).surrogate, total, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_without_anything_missing_the_loss_is_the_same(name, generator):
    model, inner = toy_model(name, KINDS), loss_of(name)
    loss, x = Incomplete(inner, tuple(KINDS)), batch(np.ones((PAIRS, len(KINDS)), bool))
    noise = loss.noise(model, PAIRS, generator)
    own = [(given, standard) for (of, given), standard in noise if of == tuple(KINDS)]
    whole = inner(model, {name: x[name] for name in KINDS}, own, ONE)
    estimate = loss(model, x, noise, ONE)
    assert torch.equal(estimate.surrogate, whole.surrogate) and torch.equal(estimate.bound, whole.bound)


def test_a_posterior_is_that_of_the_whole_model():
    """MoPoE's product of all modalities has the prior, and that of those which are there has not, as in use."""
    for name in MODELS:
        model, x = toy_model(name, KINDS), toy_pairs(PAIRS, KINDS).batch(slice(None))
        for some in subsets(tuple(KINDS)):
            given = {one: x[one] for one in some}
            here, there = model.posterior(given), only(model, some).posterior(given)
            assert isinstance(here, Mixture) and here.names == there.names
            assert torch.equal(here.experts.loc, there.experts.loc)
            assert torch.equal(here.experts.scale, there.experts.scale)


def test_modalities_are_missing_as_often_as_asked():
    there = present(100_000, 3, 0.4)
    assert there.any(1).all()
    none = 0.4**3
    assert (~there).mean() == pytest.approx(0.4 - none / 3, abs=0.005), "a pair that would have none has one"
    expected = {3: 0.6**3, 2: 3 * 0.6**2 * 0.4, 1: 3 * 0.6 * 0.4**2 + none}
    for number, share in expected.items():
        assert (there.sum(1) == number).mean() == pytest.approx(share, abs=0.005)
    assert (present(100_000, 3, 0.2) >= there).all(), "what is missing stays so"
    assert present(1000, 3, 0.0).all()


def test_incomplete_pairs_are_kept_or_dropped():
    pairs, half = toy_pairs(1000, KINDS), Missing(missing=0.5, incomplete="kept")
    there = present(1000, 3, 0.5)
    kept = lacking(pairs, 3, half)
    assert len(kept) == 1000
    np.testing.assert_array_equal(kept.batch(slice(None))[PRESENT].bool().numpy(), there)
    dropped = lacking(pairs, 3, Missing(missing=0.5, incomplete="dropped"))
    assert len(dropped) == there.all(1).sum() and PRESENT not in dropped.arrays
    with pytest.raises(DataError, match="none of 1000 pairs"):
        lacking(pairs, 3, Missing(missing=0.99, incomplete="dropped"))
    for whole in (lacking(pairs, 3, Missing(missing=0.0, incomplete="kept")), lacking(pairs, 1, half)):
        assert len(whole) == 1000 and PRESENT not in whole.arrays


def test_half_of_the_modalities_train_as_well(tmp_path):
    """Every phase of the loop, with validation on whole pairs; and a step is no graph on a GPU."""
    model, there = toy_model("mmvae", KINDS), present(64, 3, 0.5)
    training = toy_pairs(64, KINDS).beside(PRESENT, there)
    loss = Incomplete(ImportanceWeighted("iwae", "loose", 3), tuple(KINDS))
    budget = Budget(epochs=3, pairs_per_epoch=64, batch_size=16, learning_rate=1e-3)
    curve = train(model, [Phase(loss)], training, toy_pairs(20, KINDS), budget, 0)
    assert curve[-1]["bound_validation"] > curve[0]["bound_validation"]
    assert type(updater(model, loss, adam(model, 1e-3, True), training)).__name__ == "Update"


@pytest.mark.parametrize("model", ["jmvae", "mmvae_plus", "cvae", "rbm"])
def test_other_models_refuse_incomplete_pairs(model, params):
    entry = {"model": model, "data": {"missing": 0.5}} | ({"particles": 2} if model == "mmvae_plus" else {})
    params["runs"]["own_objective"]["other"] = entry
    with pytest.raises(ParamsError, match="trained on whole pairs only"):
        schema.check(params)
    entry["data"]["incomplete"] = "dropped"
    schema.check(params)
    entry["data"]["pairings"] = 3
    with pytest.raises(ParamsError, match="pairings"):
        schema.check(params)


def test_a_run_replaces_what_is_missing(params):
    params["data"]["digits"]["missing"] = 0.2
    run = runs.find(params, "digits", "mmvae")
    assert run.missing(params) == Missing(missing=0.2, incomplete="kept")
    assert run.replaced("data.missing", 0.5).missing(params) == Missing(missing=0.5, incomplete="kept")
    with pytest.raises(ParamsError):
        check(Missing, {"missing": 1.5, "incomplete": "kept"})
