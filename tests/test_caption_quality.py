"""Numbers about captions, counted by hand."""

import math
from unittest.mock import Mock

import numpy as np
import pytest

from mmvae.evaluation.captioned import Collection
from mmvae.metrics.captions import frechet
from mmvae.metrics.captions.captions import bleu, describe


def words(text):
    return text.split()


BIRD = words("this bird has a white breast .")
OTHER = words("small black wings and long beak !")
SHARES = ("distinct_1", "distinct_2", "distinct_captions", "repeats")


def test_bleu_of_the_same_and_of_nothing_in_common():
    assert bleu([BIRD, OTHER], [[BIRD], [OTHER]]) == pytest.approx(1)
    assert bleu([BIRD, OTHER], [[OTHER], [BIRD]]) == 0


def test_bleu_by_hand():
    """Precisions 4/5, 3/4, 2/3, 1/2, of 5 words where the reference has 6: brevity penalty exp(1 - 6/5)."""
    generated, reference = words("a b c d x"), words("a b c d e f")
    expected = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4) * math.exp(-1 / 5)
    assert bleu([generated], [[reference]]) == pytest.approx(expected)


def test_bleu_takes_the_best_of_several_references_of_any_number():
    assert bleu([BIRD, OTHER], [[OTHER, BIRD], [OTHER]]) == pytest.approx(1)


def test_bleu_leaves_words_as_they_are():
    odd = words("this bird 's wing-tips , &amp; \" beak \" ( it 's 1,000.5 ) .")
    assert bleu([odd], [[odd]]) == pytest.approx(1)
    assert bleu([["A", "B", "C", "D"]], [[["a", "b", "c", "d"]]]) == 0


def test_counts_by_hand():
    captions = [words("a bird a bird"), words("a bird"), words("a bird"), words("red red wing")]
    assert describe(captions) == {
        "distinct_1": pytest.approx(4 / 11),  # a, bird, red, wing
        "distinct_2": pytest.approx(4 / 7),  # a bird, bird a, red red, red wing
        "distinct_captions": pytest.approx(3 / 4),
        "length": pytest.approx(11 / 4),
        "repeats": pytest.approx(1 / 4),
    }


def test_repeated_punctuation_is_a_repetition():
    assert describe([["bird", ".", "."], ["bird", ".", "bird"]])["repeats"] == 0.5


@pytest.mark.parametrize("captions", [[], [[]], [[], ["bird"]], [[], []]])
def test_empty_captions(captions):
    quality = describe(captions) | {"bleu": bleu(captions, [[BIRD]] * len(captions))}
    assert all(math.isfinite(value) for value in quality.values())
    assert all(0 <= quality[name] <= 1 for name in (*SHARES, "bleu"))


def test_an_empty_reference():
    assert bleu([BIRD], [[[]]]) == 0
    assert bleu([BIRD, BIRD], [[[], BIRD], [BIRD]]) == pytest.approx(1)


def test_images_moved_by_one_in_each_feature_are_as_far_as_there_are_features():
    real = np.random.default_rng(0).standard_normal((50, 4))
    made = {"joint": real + 1, "captions": real, "nothing": None}
    collections = {view: Collection(features, None, None) for view, features in made.items()}
    measured = frechet.measure(None, Mock(real=Collection(real, None, None), made=collections))
    assert measured == {"joint": pytest.approx(4), "captions": pytest.approx(0, abs=1e-8)}
