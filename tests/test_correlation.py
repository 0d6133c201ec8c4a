"""Table 4's measurements, from pairs that are right, wrong or made."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmvae.data import text
from mmvae.datasets import birds
from mmvae.evaluation import captioned, cca, correlation
from mmvae.evaluation.captioned import BOTH, JOINT, CaptionTest, Collection
from mmvae.evaluation.cca import CcaSettings, Ridge
from mmvae.figures import gallery
from mmvae.metrics.captions import attributes, captions
from mmvae.metrics.captions import correlation as correlations

PLAIN = CcaSettings(components=4, ridge=Ridge(image=0.0, sentence=0.0))
IMAGES, EACH = 60, 10
VOCABULARY = [*text.SPECIALS, *sorted({w for p in birds.PATTERNS for w in p.split() if "{" not in w}), *"abcdef"]


@pytest.fixture(scope="module")
def pairs():
    """Captions of four colour words that depend on the image's features, which have noise; (images * 10) pairs."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 6, (IMAGES, 3))
    features = np.eye(6)[kinds].sum(1) + 0.1 * rng.standard_normal((IMAGES, 6))
    sentences = [[VOCABULARY[-6 + kind] for kind in row] for row in kinds for _ in range(EACH)]
    return np.repeat(features, EACH, 0), text.encode(sentences, VOCABULARY), sentences


@pytest.fixture(scope="module")
def judges(pairs):
    features, tokens, _ = pairs
    rng = np.random.default_rng(1)
    vectors = {seed: rng.standard_normal((len(VOCABULARY), 8)).astype(np.float32) for seed in ("0", "7")}
    return correlation.fit(features, tokens, vectors, PLAIN)


def test_foreigners_are_of_other_species():
    species = np.repeat(["a", "b", "c"], [5, 3, 1])
    others = correlation.of_other_species(species, np.random.default_rng(0))
    assert (species[others] != species).all()


def test_an_error_over_groups_is_that_of_their_means():
    """Groups of one are a plain bootstrap; groups of equal values count as one value each."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(50)
    plain = correlation.error_over(np.arange(50), values)
    assert plain == pytest.approx(values.std() / 50**0.5, rel=0.1)
    assert correlation.error_over(np.arange(50).repeat(4), values.repeat(4)) == pytest.approx(plain)


def test_of_several_species_there_is_another_floor_and_another_error(judges, pairs):
    features, tokens, _ = pairs
    species = np.arange(len(features) // EACH) % 5
    given = {"ground_truth": (features, tokens, EACH), "joint": (features, tokens, 1)}
    found = correlation.table(judges, given, species)
    per_image = judges["0", "average"].correlations(features, tokens)["unit_variance"].reshape(-1, EACH).mean(1)
    errors = found["species_error"]["average"]["unit_variance"]
    assert errors == {"ground_truth": correlation.error_over(species, per_image)}
    assert "species_error" not in correlation.table(judges, given)


def test_strangers_are_a_permutation_without_fixed_points():
    for n in (2, 3, 50):
        others = correlation.strangers(n, np.random.default_rng(n))
        assert sorted(others) == list(range(n))
        assert (others != np.arange(n)).all()


def test_right_pairs_correlate_and_strangers_do_not(judges, pairs):
    features, tokens, _ = pairs
    others = correlation.strangers(IMAGES, np.random.default_rng(0))
    wrong = features.reshape(IMAGES, EACH, -1)[others].reshape(IMAGES * EACH, -1)
    table = correlation.table(judges, {"right": (features, tokens, EACH), "wrong": (wrong, tokens, EACH)})
    assert set(table) == {"average", "sif", "fasttext_std"}
    for sentences in ("average", "sif"):
        assert set(table[sentences]) == set(cca.SCALINGS)
        for scaling, rows in table[sentences].items():
            assert rows["right"].value > 0.9
            assert abs(rows["wrong"].value) < 0.3
            means = [judges[seed, sentences].correlations(features, tokens)[scaling].mean() for seed in ("0", "7")]
            assert rows["right"].value == pytest.approx(means[0]), "Table 4's is the first seed's"
            spread = table["fasttext_std"][sentences][scaling]["right"]
            assert spread == pytest.approx(np.std(means, ddof=1), abs=1e-12)
    assert table["fasttext_std"]["average"]["released"]["right"] > 1e-6


def test_the_standard_error_is_over_images(judges, pairs):
    """Ten times the same pair say nothing new."""
    features, tokens, _ = pairs
    once = correlation.table(judges, {"x": (features[::EACH], tokens[::EACH], 1)})["sif"]["released"]["x"]
    ten = correlation.table(judges, {"x": (features, tokens, EACH)})["sif"]["released"]["x"]
    assert ten.standard_error == pytest.approx(once.standard_error)


def test_judges_are_stored_whole(judges, pairs):
    features, tokens, _ = pairs
    stored = correlation.arrays(judges, "features") | correlation.arrays(judges, "pixels")
    again = correlation.from_arrays(stored, "pixels")
    assert list(again) == list(judges)
    for key, judge in judges.items():
        for scaling, values in judge.correlations(features, tokens).items():
            np.testing.assert_array_equal(again[key].correlations(features, tokens)[scaling], values)


def collection(features, sentences):
    return Collection.of(features, text.encode(sentences, VOCABULARY), VOCABULARY)


STRANGERS = np.roll(np.arange(IMAGES * EACH), EACH)
MODEL = SimpleNamespace(modalities=("features", "captions"))


def test_correlations_pair_what_belongs_together(judges, pairs):
    """A model whose images are perfect and whose captions are of strangers."""
    features, _, sentences = pairs
    real, wrong = collection(features, sentences), collection(features, [sentences[i] for i in STRANGERS])
    made = {"features": wrong, "captions": real, BOTH: wrong, JOINT: real}
    test = CaptionTest("features", real, made, EACH, STRANGERS, judges)
    rows = correlations.measure(MODEL, test)["average"]["unit_variance"]
    for name in ("ground_truth", "sentence_to_image", "image_reconstruction", "caption_reconstruction", "joint"):
        assert rows[name].value == pytest.approx(rows["ground_truth"].value)
    for name in ("floor", "image_to_sentence", "both"):
        assert rows[name].value < 0.5
    alone = correlations.measure(MODEL, replace(test, made={"captions": real}))
    assert set(alone["sif"]["released"]) == {"ground_truth", "floor", "caption_reconstruction"}


def test_caption_quality_of_a_perfect_and_of_a_wrong_model(pairs):
    features, _, sentences = pairs
    sentences = [[*words, "bird"] for words in sentences]
    real = collection(features, sentences)
    wrong = collection(features, [["a", "a", "a", "a"]] * len(sentences))
    made = {"captions": real, "features": real, BOTH: wrong, JOINT: wrong}
    quality = captions.measure(MODEL, CaptionTest("features", real, made, EACH, STRANGERS, {}))
    assert quality["captions"]["bleu"] == quality["features"]["bleu"] == pytest.approx(1)
    assert quality[BOTH]["bleu"] < 0.5
    assert quality[BOTH]["repeats"] == 1
    assert "bleu" not in quality[JOINT]
    assert quality["data"]["length"] == 4


def birds_and_captions(n, rng):
    truth = np.stack([rng.integers(0, len(values), n) for values in birds.ATTRIBUTES.values()], 1)
    named = [
        {name: values[v] for (name, values), v in zip(birds.ATTRIBUTES.items(), row, strict=True)} for row in truth
    ]
    return truth, [birds.PATTERNS[i % len(birds.PATTERNS)].format(**bird) for i, bird in enumerate(named)]


def test_attributes_of_right_and_of_strangers_captions():
    rng = np.random.default_rng(0)
    truth, sentences = birds_and_captions(3000, rng)
    strangers = correlation.strangers(3000, rng)
    right = attributes.agreement(attributes.stated(sentences), truth, strangers)
    assert right["accuracy"].value == 1
    assert right["stated"].value == pytest.approx(14 / 20)  # the patterns state 4, 4, 3 and 3 of five
    expected = {"crown": 1 / 6, "wings": 1 / 6, "belly": 1 / 6, "beak": 1 / 2, "size": 1 / 2}
    for name, chance in expected.items():
        assert right["each"][name]["chance"].value == pytest.approx(chance, abs=0.04)
    wrong = attributes.agreement(attributes.stated(sentences), truth[strangers], strangers)
    assert wrong["accuracy"].value == pytest.approx(right["chance"].value)


def test_standard_errors_of_attributes_are_over_images():
    """Captions that agree say nothing new; the error is that of images drawn again and again."""
    rng = np.random.default_rng(0)
    truth, sentences = birds_and_captions(200, rng)
    stated, strangers = attributes.stated(sentences), correlation.strangers(200, rng)
    guessed = np.where(rng.random((200, 1)) < 0.5, truth, truth[strangers])  # an image is right, or all wrong
    once = attributes.agreement(stated, guessed, strangers)
    repeated = [np.repeat(rows, EACH, 0) for rows in (stated, guessed)]
    ten = attributes.agreement(*repeated, np.repeat(strangers * EACH, EACH), EACH)
    assert all(ten[name] == pytest.approx(once[name]) for name in ("accuracy", "chance", "stated"))
    again = rng.integers(0, 200, (2000, 200))
    right, compared = ((stated == guessed) & (stated >= 0)).sum(1), (stated >= 0).sum(1)
    drawn = right[again].sum(1) / compared[again].sum(1)
    assert once["accuracy"].standard_error == pytest.approx(drawn.std(), rel=0.06)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("this small bird has a red crown , blue wings and a white belly .", {"crown", "wings", "belly", "size"}),
        ("the bird has a a beak , a crown crown and a belly .", set()),
        ("this bird has green wings , a small crown and a red beak .", {"wings"}),
        ("", set()),
    ],
)
def test_only_attributes_with_a_value_that_exists_count(caption, expected):
    assert set(birds.mentioned(caption)) == expected


def test_probes_read_attributes_from_features():
    rng = np.random.default_rng(0)
    truth, _ = birds_and_captions(600, rng)
    features = np.concatenate([np.eye(6)[column] for column in truth.T], 1) + 0.05 * rng.standard_normal((600, 30))
    probes = attributes.Probes(features[:400], truth[:400])
    assert (probes.seen(features[400:]) == truth[400:]).mean() > 0.99


def test_nearest_training_images():
    training = np.random.default_rng(0).standard_normal((700, 5)).astype(np.float32)
    order = np.random.default_rng(1).permutation(700)
    np.testing.assert_array_equal(captioned.nearest(training[order] + 1e-3, training), order)


def test_examples_say_every_task_and_call_a_look_up_one():
    made = {
        view: {"captions": torch.from_numpy(text.encode([["a", "bird"], ["b"]], VOCABULARY))}
        for view in ("features", "captions", BOTH, JOINT)
    }
    features = {view: np.eye(2, dtype=np.float32)[::-1].copy() for view in made}
    page = gallery.examples(
        made, features, np.eye(2, dtype=np.float32), [("t0", "c"), ("t1", "d")], ["p0", "p1"], "features", VOCABULARY
    )
    assert page.count("nearest training photograph") == 3
    assert "   1  t0\n      -> p1" in page
    assert '   2  "d"\n      -> p0' in page
    assert '   1  p1\n      + "a bird"' in page
    assert len([line for line in page.splitlines() if line.startswith("   1  ")]) == 5
