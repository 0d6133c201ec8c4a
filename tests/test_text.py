"""Words, vocabularies and indices, on sentences and on random characters."""

import sys
import unicodedata
from itertools import chain

import numpy as np
import pytest

from mmvae.data import text
from mmvae.files import DataError

WORDS = ["this", "bird", "has", "a", "black", "medium-sized", "bird's", "beak", ",", "."]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_sentences(rng, count):
    return [list(rng.choice(WORDS, rng.integers(1, 60))) for _ in range(count)]


def random_characters(rng, count):
    """Strings of characters of all planes, common marks and spaces far more often than their share."""
    common = " \t\n\u00a0\ufffd<>-'_.,;:!?()\"&/ab1\u2019\u2014\u00b4\u0130\u00bd\u2026"
    for _ in range(count):
        drawn = [chr(i) for i in rng.integers(0, sys.maxunicode + 1, 10)] + list(rng.choice(list(common), 30))
        yield "".join(rng.permutation(drawn))


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("This bird has a black beak.", "this bird has a black beak ."),
        ("A medium-sized bird's all-black head", "a medium-sized bird's all-black head"),
        ("the bird\u2019s grey\u2011brown wings", "the bird's grey-brown wings"),
        ("\u201cblack\u201d \u2014 and\u2014white", '" black " and white'),
        ("birds' wings -- 'long' - 2 1/2 inches", "birds wings long 2 1 / 2 inches"),
        ("black\u00a0&\u00a0white;red,blue(ish)!?:", "black & white ; red , blue ( ish ) ! ? :"),
        ("this\ufffd\ufffdbird\ufffd\ufffdhas", "this bird has"),
        ("medium\u00adsized \ufb01nch \u00bd caf\u00e9 cafe\u0301", "mediumsized finch 1 / 2 caf\u00e9 caf\u00e9"),
        ("<eos> the <PAD> _snake_case_ <exc>", "eos the pad snake case exc"),
        ("\uff1ceos\uff1e i=bird 100% #1", "eos i bird 100 1"),
        (" \t\r\n*** ~ -- ' ", ""),
        ("", ""),
    ],
)
def test_tokens(caption, words):
    assert text.tokenise(caption) == words.split()


def test_tokens_of_anything_are_plain(rng):
    for caption in random_characters(rng, 500):
        tokens = text.tokenise(caption)
        for token in tokens:
            assert token
            assert not any(c.isspace() or c in "<>_" for c in token)
            assert token not in text.SPECIALS
            assert unicodedata.is_normalized("NFKC", token)
        assert text.tokenise(" ".join(tokens)) == tokens
        assert text.tokenise(text.sentence(tokens)) == tokens


def test_every_character_has_settled_tokens():
    planes = (range(0, 0x40000, 256), range(0xE0000, 0xE1000, 256), range(0xF0000, sys.maxunicode + 1, 4096))
    for start in chain(*planes):  # there is nothing between the first two, and the last is for private use
        tokens = text.tokenise(" ".join(f"a{chr(code)}b" for code in range(start, start + 256)))
        assert text.tokenise(" ".join(tokens)) == tokens, hex(start)


def test_a_vocabulary_does_not_depend_on_order(rng):
    sentences = random_sentences(rng, 30)
    first = text.vocabulary(sentences, 3)
    shuffled = [list(rng.permutation(sentences[i])) for i in rng.permutation(len(sentences))]
    assert text.vocabulary(iter(shuffled), 3) == first
    assert first == ["<exc>", "<pad>", "<eos>", *sorted(WORDS)]
    assert [first[i] for i in (text.EXC_INDEX, text.PAD_INDEX, text.EOS_INDEX)] == ["<exc>", "<pad>", "<eos>"]


def test_a_vocabulary_has_what_is_seen_more_often():
    sentences = [["four"] * 4 + ["three"] * 3, ["<eos>"] * 9]
    assert text.vocabulary(sentences, 3) == [*text.SPECIALS, "four"]
    assert text.vocabulary(sentences, 2) == [*text.SPECIALS, "four", "three"]
    assert text.vocabulary([], 0) == list(text.SPECIALS)


def test_encoded_and_back(rng):
    vocabulary = text.vocabulary([WORDS], 0)
    sentences = random_sentences(rng, 200)
    tokens = text.encode(sentences, vocabulary)
    assert (tokens.shape, tokens.dtype) == ((200, text.LENGTH), np.int32)
    assert ((tokens == text.EOS_INDEX).sum(1) == 1).all()
    ends = (tokens == text.EOS_INDEX).argmax(1)
    np.testing.assert_array_equal(ends, [min(len(sentence), 31) for sentence in sentences])
    np.testing.assert_array_equal(tokens == text.PAD_INDEX, np.arange(text.LENGTH) > ends[:, None])
    assert text.words(tokens, vocabulary) == [sentence[:31] for sentence in sentences]
    np.testing.assert_array_equal(text.encode(text.words(tokens, vocabulary), vocabulary), tokens)


def test_unknown_and_special_words_are_exceptions():
    vocabulary = [*text.SPECIALS, "bird"]
    tokens = text.encode([["bird", "plane", "<eos>", "<pad>", "bird"]], vocabulary)
    np.testing.assert_array_equal(tokens[0, :7], [3, 0, 0, 0, 3, 2, 1])
    assert text.words(tokens, vocabulary) == [["bird", "<exc>", "<exc>", "<exc>", "bird"]]


def test_words_of_any_indices():
    vocabulary = [*text.SPECIALS, "bird"]
    drawn = np.array([[1, 3, 1, 3], [2, 3, 3, 3], [3, 2, 0, 2], [1, 1, 1, 1]])
    assert text.words(drawn, vocabulary) == [["bird", "bird"], [], ["bird"], []]
    assert text.words(drawn[:0], vocabulary) == []


def test_what_cannot_be_encoded():
    vocabulary = [*text.SPECIALS, "bird"]
    with pytest.raises(DataError, match="sentence 1 of 2 has no words"):
        text.encode([["bird"], []], vocabulary)
    assert text.encode([], vocabulary).shape == (0, text.LENGTH)


def test_every_image_has_ten_captions():
    captions = [["A bird."] * 9 + ["A beak!"], ["A bird."] * 10]
    found = text.sentences(["one", "two"], captions)
    assert len(found) == 20 and found[9] == ["a", "beak", "!"]
    with pytest.raises(DataError, match="two has 9 captions: every image needs 10"):
        text.sentences(["one", "two"], [captions[0], captions[1][1:]])


def test_sentences_for_display():
    shown = "a black (very long) beak, and wings: red / white."
    assert text.sentence(text.tokenise(shown)) == shown
    assert text.sentence([]) == ""
