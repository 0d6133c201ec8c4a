"""The names of the digits, written somewhere in eight characters: MNIST-SVHN-Text's third modality.

It is that of mmJSD and MoPoE (Sutter, Daunhawer and Vogt 2020, 2021). A text is (T,) int32 with T = 8: of each
character, the position in ALPHABET.
"""

import numpy as np

ALPHABET = " abcdefghijklmnopqrstuvwxyz"
LENGTH = 8
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def starts(digit: int) -> int:
    """In how many places the name of a digit can begin."""
    return LENGTH - len(NAMES[digit]) + 1


def written(digit: int, start: int) -> np.ndarray:
    """The name of a digit among spaces, from the place `start`: (T,)."""
    return np.array([ALPHABET.index(c) for c in (" " * start + NAMES[digit]).ljust(LENGTH)], np.int32)


def digit_names(counts: dict[str, int], seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """So many texts (n, T) of each part, all digits equally often, from random places, and their digits (n,) uint8.

    There are only 50 different texts. So those of two parts are not different ones, as images are.
    """
    rng, parts = np.random.default_rng(seed), {}
    for part, count in counts.items():
        digits = rng.permutation(np.arange(count) % 10)
        texts = np.stack([written(digit, rng.integers(starts(digit))) for digit in digits.tolist()])
        parts[part] = texts, digits.astype(np.uint8)
    return parts
