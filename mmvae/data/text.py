"""Captions as words, words as positions in a vocabulary, and back.

A sentence is a list of words. V is the length of the vocabulary, T = 32 the length of an encoded caption: at most 31
words, `<eos>`, then `<pad>`, as in the paper's released code.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import numpy as np

from mmvae.files import DataError
from mmvae.params import Section, whole

EXC, PAD, EOS = SPECIALS = ("<exc>", "<pad>", "<eos>")  # a word outside the vocabulary, filling, the end
EXC_INDEX, PAD_INDEX, EOS_INDEX = range(len(SPECIALS))
LENGTH = 32
CAPTIONS_EACH = 10  # of one image
PUNCTUATION = '.,;:!?()"&/'  # tokens of their own

# An em dash parts words and becomes two hyphens, which are no part of a word; characters that are only hints for
# typesetting, such as the soft hyphen, vanish without parting anything.
ASCII = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4`", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
    | dict.fromkeys("\u2014\u2015", "--")
    | {"\u2044": "/"}
    | dict.fromkeys("\u00ad\u200c\u200d\u2060\ufeff", "")
)
TOKEN = re.compile(rf"[^\W_]+(?:['-][^\W_]+)*|[{re.escape(PUNCTUATION)}]")
BEFORE, AFTER = re.compile(r" (?=[.,;:!?)])"), re.compile(r"(?<=\() ")


class CaptionWords(Section):
    """min_count: words seen more often than that in training captions make the vocabulary."""

    min_count: whole(0, 1000)


def tokenise(caption: str) -> list[str]:
    """Lower-case words and punctuation marks.

    Letters and digits of any script make words, with single hyphens and apostrophes inside them ("medium-sized",
    "bird's"). Everything else parts words and is dropped: a caption of CUB has replacement characters for spaces.
    A token never holds white space, '<' or '>', so that none is a special one.
    """
    # Twice, because lower case can undo the normal form, and because forms of quotes and dashes have forms themselves.
    text = unicodedata.normalize("NFKC", caption.translate(ASCII)).lower()
    return TOKEN.findall(unicodedata.normalize("NFKC", text).translate(ASCII))


def sentences(names: list[str], captions: Iterable[list[str]]) -> list[list[str]]:
    """The captions of images, as words, image by image.

    Raises:
        DataError: an image does not have ten.
    """
    found = []
    for name, every in zip(names, captions, strict=True):
        if len(every) != CAPTIONS_EACH:
            raise DataError(f"{name} has {len(every)} captions: every image needs {CAPTIONS_EACH}")
        found += map(tokenise, every)
    return found


def vocabulary(sentences: Iterable[list[str]], min_count: int) -> list[str]:
    """The special tokens, then, in alphabetical order, the words seen more than `min_count` times."""
    counts = Counter(word for sentence in sentences for word in sentence)
    return [*SPECIALS, *sorted(word for word in counts if counts[word] > min_count and word not in SPECIALS)]


def encode(sentences: list[list[str]], vocabulary: list[str]) -> np.ndarray:
    """Indices, int32 (n, T): the first 31 words, `<eos>`, `<pad>`; `<exc>` for a word not in the vocabulary.

    Raises:
        DataError: a sentence has no words.
    """
    index = {word: i for i, word in enumerate(vocabulary) if i >= len(SPECIALS)}
    tokens = np.full((len(sentences), LENGTH), PAD_INDEX, np.int32)
    for i, sentence in enumerate(sentences):
        if not sentence:
            raise DataError(f"sentence {i} of {len(sentences)} has no words")
        row = [index.get(word, EXC_INDEX) for word in sentence[: LENGTH - 1]] + [EOS_INDEX]
        tokens[i, : len(row)] = row
    return tokens


def words(tokens: np.ndarray, vocabulary: list[str]) -> list[list[str]]:
    """The sentences of indices (n, T), up to the first `<eos>`, without `<pad>`; `<exc>` stays."""
    sentences = []
    for row in tokens.tolist():
        end = row.index(EOS_INDEX) if EOS_INDEX in row else len(row)
        sentences.append([vocabulary[i] for i in row[:end] if i != PAD_INDEX])
    return sentences


def sentence(words: list[str]) -> str:
    """Words in one line, for display: no space before a full stop, comma and the like, or inside brackets."""
    return AFTER.sub("", BEFORE.sub("", " ".join(words)))
