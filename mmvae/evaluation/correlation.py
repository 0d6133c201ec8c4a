"""Table 4: do generated images and sentences belong together, by the correlation of eq. (4)?

A judge is one way to measure it: word vectors of one FastText seed, one kind of sentence vector, CCA of training pairs.
"""

from dataclasses import dataclass, fields
from itertools import product

import numpy as np

from mmvae.evaluation import cca
from mmvae.evaluation.cca import CcaSettings, Projections
from mmvae.evaluation.measured import Measured, mean
from mmvae.evaluation.sentences import SENTENCES, SentenceEncoder


@dataclass(frozen=True)
class Judge:
    """Sentence vectors and the projections that go with them."""

    sentences: SentenceEncoder
    projections: Projections

    def correlations(self, features: np.ndarray, tokens: np.ndarray) -> dict[str, np.ndarray]:
        """Scaling -> eq. (4) of each pair of image features (n, F) and words (n, T): (n,)."""
        vectors = self.sentences.encode(tokens)
        return {
            scaling: cca.correlation(cca.scaled(self.projections, scaling), features, vectors)
            for scaling in cca.SCALINGS
        }


RESAMPLES = 1000
Judges = dict[tuple[str, str], Judge]  # FastText seed, kind of sentence vector


def fit(features: np.ndarray, tokens: np.ndarray, vectors: dict[str, np.ndarray], settings: CcaSettings) -> Judges:
    """Judges from training pairs: image features (n, F), words (n, T), and the word vectors of each FastText seed."""
    judges = {}
    for seed, words in vectors.items():
        for kind in SENTENCES:
            encoder = SentenceEncoder.fit(kind, tokens, words)
            ridge = settings.ridge.image, settings.ridge.sentence
            projections = cca.fit(features, encoder.encode(tokens), settings.components, ridge)
            judges[seed, kind] = Judge(encoder, projections)
    return judges


def arrays(judges: Judges, image: str) -> dict[str, np.ndarray]:
    """The judges of one kind of image as arrays to be stored: '<image>/<seed>/<kind>/<field>'."""
    return {
        f"{image}/{seed}/{kind}/{name}": array
        for (seed, kind), judge in judges.items()
        for name, array in (vars(judge.sentences) | vars(judge.projections)).items()
        if array is not None
    }


def from_arrays(stored: dict[str, np.ndarray], image: str) -> Judges:
    """The judges of one kind of image, from what `arrays` gave."""
    seeds = dict.fromkeys(key.split("/")[1] for key in stored if key.startswith(f"{image}/"))
    judges = {}
    for seed, kind in product(seeds or ["0"], SENTENCES):  # of an image without any, one is asked for, and missed
        encoder = ("vectors", "weights", "component") if kind == "sif" else ("vectors", "weights")
        own, projections = (
            [stored[f"{image}/{seed}/{kind}/{name}"] for name in names]
            for names in (encoder, [field.name for field in fields(Projections)])
        )
        judges[seed, kind] = Judge(SentenceEncoder(*own), Projections(*projections))
    return judges


def strangers(n: int, rng: np.random.Generator) -> np.ndarray:
    """For each of n images another one, drawn at random, each once: (n,)."""
    order = rng.permutation(n)
    others = np.empty(n, int)
    others[order] = np.roll(order, 1)
    return others


def of_other_species(species: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each of n images one of another species, drawn at random: (n,) -> (n,)."""
    return np.array([rng.choice(np.flatnonzero(species != one)) for one in species])


def error_over(groups: np.ndarray, values: np.ndarray) -> float:
    """The standard error of the mean of values (n,) if whole groups (n,) are drawn again, with replacement."""
    _, members = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(members, values), np.bincount(members)
    drawn = np.random.default_rng(0).integers(len(sums), size=(RESAMPLES, len(sums)))
    return float((sums[drawn].sum(1) / counts[drawn].sum(1)).std(ddof=1))


def table(
    judges: Judges, pairs: dict[str, tuple[np.ndarray, np.ndarray, int]], species: np.ndarray | None = None
) -> dict:
    """Kind of sentence vector -> scaling -> name of a collection of pairs -> mean correlation over images.

    `pairs`: name -> image features (n, F), words (n, T), and how many successive pairs share one image. Under the first
    FastText seed; `fasttext_std.<the same keys>` is the deviation of the mean over all seeds. species: of the images;
    `species_error.<the same keys>` is then the standard error over species, of pairs that have real images.
    """
    values: dict[tuple[str, str, str], list[Measured]] = {}
    errors: dict = {}
    for (_, kind), judge in judges.items():
        for name, (features, tokens, each) in pairs.items():
            for scaling, correlations in judge.correlations(features, tokens).items():
                of_images = correlations.reshape(-1, each).mean(1)
                found = values.setdefault((kind, scaling, name), [])
                found.append(mean(of_images))
                if species is not None and each > 1 and len(found) == 1:
                    errors.setdefault(kind, {}).setdefault(scaling, {})[name] = error_over(species, of_images)
    result: dict = {"species_error": errors} if errors else {}
    for (kind, scaling, name), measured in values.items():
        result.setdefault(kind, {}).setdefault(scaling, {})[name] = measured[0]
        if len(measured) > 1:
            spread = float(np.std([seed.value for seed in measured], ddof=1))
            result.setdefault("fasttext_std", {}).setdefault(kind, {}).setdefault(scaling, {})[name] = spread
    return result
