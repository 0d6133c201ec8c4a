"""The best sentence by likelihood and bigrams, against all sentences."""

from itertools import product

import numpy as np
import pytest
import torch

from mmvae.data.text import EOS_INDEX, PAD_INDEX
from mmvae.evaluation.bigrams import SMOOTHING, Bigrams

VOCABULARY, LENGTH = 6, 4
TRAINING = np.array([[3, 4, EOS_INDEX, PAD_INDEX], [3, 5, 4, EOS_INDEX], [5, 5, EOS_INDEX, PAD_INDEX]], np.int32)


def score(sentence, log_probs, weight):
    """As the docstring of the module says, word by word."""
    counts = np.bincount(TRAINING.ravel(), minlength=VOCABULARY) + SMOOTHING
    total, before = 0.0, None
    for t, word in enumerate(sentence):
        followers = TRAINING[:, 0] if before is None else TRAINING[:, 1:][TRAINING[:, :-1] == before]
        share = (np.sum(followers == word) + SMOOTHING * counts[word] / counts.sum()) / (len(followers) + SMOOTHING)
        total += float(log_probs[t, word]) + weight * np.log(share)
        if word == EOS_INDEX:
            break
        before = word
    return total


def sentences(probable):
    """All that end where the most probable words do."""
    end = probable.index(EOS_INDEX) if EOS_INDEX in probable else LENGTH
    rest = [EOS_INDEX, *[PAD_INDEX] * LENGTH][: LENGTH - end]
    for words in product([w for w in range(VOCABULARY) if w not in (PAD_INDEX, EOS_INDEX)], repeat=end):
        yield (*words, *rest)


@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_the_best_sentence_is_that_among_all(weight):
    log_probs = torch.randn(20, LENGTH, VOCABULARY, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    found = Bigrams.fit(TRAINING, VOCABULARY, weight).best(log_probs)
    for row, of in zip(found.tolist(), log_probs, strict=True):
        every = sentences(of.argmax(-1).tolist())
        assert tuple(row) == max(every, key=lambda sentence, of=of: score(sentence, of, weight))


def test_a_word_that_follows_itself_nowhere_does_not_here():
    log_probs = torch.full((1, LENGTH, VOCABULARY), 0.01)
    log_probs[0, [0, 1, 2, 3], [3, 3, 4, EOS_INDEX]] = 1.0
    log_probs[0, 1, 5] = 0.9
    log_probs = log_probs.log()
    assert log_probs.argmax(-1).tolist() == [[3, 3, 4, EOS_INDEX]]
    assert Bigrams.fit(TRAINING, VOCABULARY, 0.3).best(log_probs).tolist() == [[3, 5, 4, EOS_INDEX]]
