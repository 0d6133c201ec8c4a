"""Captions as vectors (section 4.3): FastText word vectors, and their averages over a caption.

Shape letters: n captions, T words, V vocabulary, D dimensions of a word vector.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import linalg, sparse

from mmvae.data.text import EOS_INDEX, EXC_INDEX, PAD_INDEX
from mmvae.params import Section, Seed, several, whole

SPECIAL_INDICES = (EXC_INDEX, PAD_INDEX, EOS_INDEX)
SENTENCES = ("average", "sif")

SIF_WEIGHT = 1e-3  # the a of a / (a + p), Arora et al. 2017
# gensim's default is 2,000,000, and a vector for each: 2.4 GB at 300 dimensions. CUB's words have about ten different
# n-grams each, below 20,000 in all: four in five or more have one of 100,000 buckets for themselves.
NGRAM_BUCKETS = 100_000


class FastTextSettings(Section):
    """min_count: at least; a rarer word has the vector of its n-grams. seeds: the first is Table 4's."""

    dimensions: whole(2, 1000)
    window: whole(1, 31)
    min_count: whole(1, 1000)
    epochs: whole(1, 1000)
    seeds: several(Seed)


class SentenceError(ValueError):
    """Word vectors cannot be made from these captions."""


def train_fasttext(
    sentences: list[list[str]], vocabulary: list[str], settings: FastTextSettings, seed: int
) -> np.ndarray:
    """Vectors of all words of the vocabulary, FastText (Bojanowski et al. 2017) trained on `sentences`: (V, D) float32.

    gensim's defaults otherwise, as in the released code: CBOW, n-grams of 3 to 6 letters. A word that is not in the
    sentences `min_count` times has the mean vector of its n-grams; the specials have zeros. The same arguments give
    the same bytes in every process, with one worker.

    Raises:
        SentenceError: no word is in the sentences `min_count` times.
    """
    from gensim.models import FastText

    words = {"window": settings.window, "min_count": settings.min_count, "bucket": NGRAM_BUCKETS}
    model = FastText(vector_size=settings.dimensions, seed=seed, workers=1, **words)
    model.build_vocab(corpus_iterable=sentences)
    if not len(model.wv):
        raise SentenceError(f"no word occurs {settings.min_count} times in the {len(sentences)} sentences")
    model.train(corpus_iterable=sentences, total_examples=len(sentences), epochs=settings.epochs)
    vectors = np.zeros((len(vocabulary), settings.dimensions), np.float32)
    for index, word in enumerate(vocabulary):
        if index not in SPECIAL_INDICES:
            vectors[index] = model.wv[word]
    return vectors


@dataclass(frozen=True)
class SentenceEncoder:
    """Captions to vectors.

    vectors (V, D): of words. weights (V,): of words in the mean. component (D,): a unit vector; sentence vectors
    lose their part along it. None: they keep it.
    """

    vectors: np.ndarray
    weights: np.ndarray
    component: np.ndarray | None = None

    @classmethod
    def fit(cls, kind: str, tokens: np.ndarray, vectors: np.ndarray) -> Self:
        """An encoder from training captions (n, T) of word indices and word vectors (V, D).

        - average: the paper's plain mean of word vectors.
        - sif: the released code's smooth inverse frequency (Arora et al. 2017). Weights are a / (a + p), p the
          word's share of all words of the training captions, those outside the vocabulary included. The first
          principal component of the training sentence vectors is removed; as in the released code it is that of
          the centred vectors, where Arora et al. do not centre.
        """
        if kind == "average":
            return cls(vectors, np.ones(len(vectors)))
        weighted = cls(vectors, _sif_weights(tokens, len(vectors)))
        return cls(vectors, weighted.weights, _first_component(weighted.encode(tokens)))

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        """Sentence vectors of captions (n, T) of word indices: (n, D) float64.

        The weighted sum of the vectors of the words before the first <eos>, without specials, over their number.
        A caption without words is the zero vector. The released code also counted <eos> as a word, and gave words
        outside the vocabulary a vector of minus ones.
        """
        words = before_eos(tokens) & ~np.isin(tokens, SPECIAL_INDICES)
        rows, _ = np.nonzero(words)
        found = tokens[words]
        bags = sparse.csr_array((self.weights[found], (rows, found)), shape=(len(tokens), len(self.vectors)))
        means = (bags @ self.vectors.astype(np.float64)) / np.maximum(words.sum(1), 1)[:, None]
        return means if self.component is None else means - np.outer(means @ self.component, self.component)


def before_eos(tokens: np.ndarray) -> np.ndarray:
    """Which tokens (n, T) come before their caption's first <eos>: the rest is padding. (n, T) bool."""
    return ~np.logical_or.accumulate(tokens == EOS_INDEX, axis=1)


def _sif_weights(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """a / (a + p) for every word: (V,) float64. A word that no training caption has weighs 1."""
    words = tokens[before_eos(tokens) & (tokens != PAD_INDEX)]
    shares = np.bincount(words, minlength=vocabulary) / max(len(words), 1)
    return SIF_WEIGHT / (SIF_WEIGHT + shares)


def _first_component(rows: np.ndarray) -> np.ndarray:
    """The direction (D,) in which rows (n, D) vary most, of unit length."""
    centred = rows - rows.mean(0)
    last = rows.shape[1] - 1
    _, directions = linalg.eigh(centred.T @ centred, subset_by_index=[last, last])
    return directions[:, 0]
