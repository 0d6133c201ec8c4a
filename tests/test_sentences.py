"""Sentence vectors by hand, and FastText that does not depend on the process."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from mmvae.data.text import EOS_INDEX, EXC_INDEX, PAD_INDEX
from mmvae.evaluation import sentences
from mmvae.evaluation.sentences import FastTextSettings, SentenceEncoder
from mmvae.files import DataError

A, B, C = 3, 4, 5
VECTORS = np.array([[9, 9], [9, 9], [9, 9], [1, 0], [0, 2], [4, 4]], np.float32)  # specials must not be seen
VOCABULARY = ["<exc>", "<pad>", "<eos>", "bird", "wing", "white"]
SETTINGS = FastTextSettings(dimensions=8, window=3, min_count=3, epochs=2, seeds=[0])

TRAIN = """
import sys
import zlib
from mmvae.evaluation.sentences import FastTextSettings, train_fasttext
words = ["bird", "wing", "white", "black", "beak", "small", "a", "this", "."]
captions = [[words[(i * j + j) % 9] for j in range(1, 8)] for i in range(60)]
settings = FastTextSettings(dimensions=12, window=3, min_count=2, epochs=3, seeds=[0])
vectors = train_fasttext(captions, ["<exc>", "<pad>", "<eos>", *words, "blackbird"], settings, int(sys.argv[1]))
print(vectors.shape, vectors.dtype, zlib.crc32(vectors.tobytes()))
"""


def rows(*captions):
    """Captions padded to the same length."""
    longest = max(len(caption) for caption in captions)
    return np.array([[*caption, *[PAD_INDEX] * (longest - len(caption))] for caption in captions])


@pytest.fixture
def average():
    return SentenceEncoder.fit("average", rows([A]), VECTORS)


def test_the_mean_of_the_words(average):
    tokens = rows([A, B, EOS_INDEX], [A, A, B], [C])
    np.testing.assert_allclose(average.encode(tokens), [[0.5, 1], [2 / 3, 2 / 3], [4, 4]])


def test_what_follows_the_first_eos_is_cut(average):
    tokens = np.array([[A, EOS_INDEX, C, C], [A, EOS_INDEX, EOS_INDEX, C], [A, EOS_INDEX, PAD_INDEX, EXC_INDEX]])
    np.testing.assert_allclose(average.encode(tokens), [[1, 0]] * 3)


def test_specials_are_no_words(average):
    np.testing.assert_allclose(average.encode(rows([EXC_INDEX, A, PAD_INDEX, B])), [[0.5, 1]])


@pytest.mark.parametrize("kind", sentences.SENTENCES)
def test_a_caption_without_words_is_zero(kind):
    encoder = SentenceEncoder.fit(kind, rows([A, B], [B, C]), VECTORS)
    encoded = encoder.encode(rows([EOS_INDEX, A], [EXC_INDEX, EXC_INDEX], [PAD_INDEX, EOS_INDEX]))
    np.testing.assert_array_equal(encoded, np.zeros((3, 2)))


def test_sif_by_hand():
    training = rows([A, B, EOS_INDEX, C], [A, A, EXC_INDEX, EOS_INDEX])  # five words: three A, one B, one unknown
    encoder = SentenceEncoder.fit("sif", training, VECTORS)
    a, b = 1e-3 / (1e-3 + 3 / 5), 1e-3 / (1e-3 + 1 / 5)
    np.testing.assert_allclose(encoder.weights[[A, B, C]], [a, b, 1])
    first, second = np.array([a / 2, b]), np.array([a, 0])
    np.testing.assert_allclose(SentenceEncoder(VECTORS, encoder.weights).encode(training), [first, second])
    component = (first - second) / np.linalg.norm(first - second)  # all that varies between two sentences
    np.testing.assert_allclose(np.abs(encoder.component), np.abs(component))
    np.testing.assert_allclose(encoder.encode(training), [first - component * (component @ first)] * 2)


def test_sif_removes_the_principal_component():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((40, 6)).astype(np.float32)
    training = rng.integers(3, 40, (200, 7))
    encoder = SentenceEncoder.fit("sif", training, vectors)
    plain = SentenceEncoder(vectors, encoder.weights).encode(training)
    principal = np.linalg.svd(plain - plain.mean(0))[2][0]
    np.testing.assert_allclose(np.abs(encoder.component), np.abs(principal), atol=1e-8)
    np.testing.assert_allclose(encoder.encode(training) @ principal, 0, atol=1e-9)


def test_every_word_has_a_vector_and_specials_have_zeros():
    captions = [["bird", "wing", "<eos>"], ["wing", "bird", "<exc>"]] * 5
    vectors = sentences.train_fasttext(captions, VOCABULARY, SETTINGS, 0)
    assert vectors.shape == (6, 8) and vectors.dtype == np.float32
    assert not vectors[:3].any()
    assert vectors[3:].any(axis=1).all()  # "white" is in no caption: its n-grams are


def test_too_few_words():
    with pytest.raises(DataError, match="no word occurs 3 times in the 1 sentences"):
        sentences.train_fasttext([["bird", "wing"]], VOCABULARY, SETTINGS, 0)


def trained(hash_seed: str, seed: str) -> str:
    """What a fresh process prints, which must not be a warning."""
    command = [sys.executable, "-W", "error", "-c", TRAIN, seed]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout


@pytest.mark.slow
def test_fresh_processes_train_the_same_bytes():
    first = trained("0", seed="4")
    assert first.startswith("(13, 12) float32")
    assert trained("123", seed="4") == first
    assert trained("random", seed="5") != first
