"""What generated captions look like as text: BLEU against references, diversity, length, repetition.

A caption is a list of words; punctuation marks are words, and so is `<exc>`, which stands for every rare one. The paper
reports none of this; a correlation (Table 4) cannot tell a fluent caption from a repeated word.
"""

from collections.abc import Iterable
from itertools import pairwise

from mmvae.data.prepared import CAPTIONS
from mmvae.evaluation.captioned import JOINT, CaptionTest
from mmvae.model import MultimodalVAE

Caption = list[str]


def describe(generated: list[Caption]) -> dict[str, float]:
    """Finite numbers about the captions; shares of nothing are 0.

    distinct_1, distinct_2: different words (pairs of successive words) over all of them, Li et al. 2016.
    distinct_captions: different captions over all captions. length: mean words. repeats: share of captions in which
    a word follows itself.
    """
    return {
        "distinct_1": _distinct(word for caption in generated for word in caption),
        "distinct_2": _distinct(pair for caption in generated for pair in pairwise(caption)),
        "distinct_captions": _distinct(tuple(caption) for caption in generated),
        "length": _mean([len(caption) for caption in generated]),
        "repeats": _mean([any(a == b for a, b in pairwise(caption)) for caption in generated]),
    }


def bleu(generated: list[Caption], references: list[list[Caption]]) -> float:
    """Corpus BLEU-4 (Papineni et al. 2002) as sacrebleu computes it, in [0, 1]; without any match of a word, 0.

    `references`: one or more for each caption.
    """
    from sacrebleu import corpus_bleu

    if not generated:
        return 0.0
    most = max(len(some) for some in references)
    streams = [[" ".join(some[i]) if i < len(some) else None for some in references] for i in range(most)]
    captions = [" ".join(caption) for caption in generated]
    # The words are there already: no tokenizer, and no warning that the text looks tokenised.
    return float(corpus_bleu(captions, streams, tokenize="none", force=True).score) / 100


def _distinct(items: Iterable) -> float:
    items = list(items)
    return len(set(items)) / len(items) if items else 0.0


def _mean(values: list) -> float:
    return float(sum(values)) / len(values) if values else 0.0


def measure(model: MultimodalVAE, test: CaptionTest) -> dict:
    """Of the captions made from each view, and of the real ones; nothing for a model without captions.

    BLEU is of one caption for each image: of a reconstruction against the caption itself, of others against all
    captions of the image.
    """
    if CAPTIONS not in model.modalities:
        return {}
    words, each = test.real.words, test.each
    of_image = [words[i : i + each] for i in range(0, len(words), each)]
    itself = [captions[:1] for captions in of_image]
    quality = {"data": describe(words)}
    for view, collection in test.made.items():
        quality[view] = describe(collection.words)
        if view != JOINT:
            quality[view]["bleu"] = bleu(collection.words[::each], itself if view == CAPTIONS else of_image)
    return quality
