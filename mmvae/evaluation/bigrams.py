"""Sentences of words that follow one another in training captions.

The likelihood of captions takes words as independent given a latent, so the most probable word of each position can
make "a crown crown". Here a sentence is chosen as a whole: among all that end where the most probable words do, it has
the largest sum of the words' log-likelihoods and of weighted log-shares of its bigrams (Viterbi 1967).

Shape letters: n captions, T words, V vocabulary.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from mmvae.data.text import EOS_INDEX, PAD_INDEX

CANDIDATES = 20  # most probable words of a position, of which one is chosen
SMOOTHING = 0.5  # times a bigram, spread over all words as they occur


@dataclass(frozen=True)
class Bigrams:
    """scores: weighted log-share of each word (V) after each word and, in the last row, at the beginning, (V + 1, V).

    After <eos> comes <pad> alone, for nothing.
    """

    scores: Tensor

    @classmethod
    def fit(cls, tokens: np.ndarray, vocabulary: int, weight: float) -> Self:
        """From training captions (n, T)."""
        counts = np.zeros((vocabulary + 1, vocabulary))
        before = np.concatenate([np.full((len(tokens), 1), vocabulary), tokens[:, :-1]], 1)
        np.add.at(counts, (before, tokens), 1)
        words = counts.sum(0) + SMOOTHING
        shares = (counts + SMOOTHING * words / words.sum()) / (counts.sum(1, keepdims=True) + SMOOTHING)
        scores = weight * torch.from_numpy(np.log(shares)).float()
        scores[:, PAD_INDEX] = -torch.inf
        scores[[EOS_INDEX, PAD_INDEX]] = -torch.inf
        scores[[EOS_INDEX, PAD_INDEX], PAD_INDEX] = 0.0
        return cls(scores)

    def best(self, log_probs: Tensor) -> Tensor:
        """The best sentence given the words' log-probabilities at each position: (n, T, V) -> (n, T)."""
        ends = (log_probs.argmax(-1) == EOS_INDEX).float()
        last = torch.where(ends.any(-1), ends.argmax(-1), log_probs.shape[1])  # where <eos> is, if there is one
        place = torch.arange(log_probs.shape[1], device=log_probs.device)
        is_end = (place == last[:, None])[..., None]
        is_eos = torch.arange(log_probs.shape[-1], device=log_probs.device) == EOS_INDEX
        log_probs = log_probs.masked_fill(is_end != is_eos, -torch.inf)
        log_probs[..., PAD_INDEX] = -torch.inf
        likelihoods, words = log_probs.topk(min(CANDIDATES, log_probs.shape[-1]), -1)
        ended = torch.zeros_like(likelihoods[..., :1])
        likelihoods, words = torch.cat([likelihoods, ended], -1), torch.cat([words, ended.long() + PAD_INDEX], -1)
        scores = self.scores.to(log_probs.device)
        total, chosen = likelihoods[:, 0] + scores[-1, words[:, 0]], []
        for t in range(1, words.shape[1]):
            after = total[:, :, None] + scores[words[:, t - 1, :, None], words[:, t, None, :]]
            total, before = after.max(1)
            total = total + likelihoods[:, t]
            chosen.append(before)
        place = total.argmax(-1, keepdim=True)
        places = [place]
        for before in reversed(chosen):
            place = before.gather(1, place)
            places.append(place)
        return words.gather(2, torch.stack(places[::-1], 1)).squeeze(-1)
