"""Does the science hold? `python -m mmvae.claims` checks the paper's claims on the embedded data sets.

Each claim compares two numbers of the long tables and states by how much the first must be larger: margins that runs
on other machines and from other seeds keep (docs/performance.md), and that a broken model does not. With a folder of
another machine's long tables, `python -m mmvae.claims metrics /other/metrics`, likelihoods must be those of this one.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mmvae.files import FileError, read_table

NATS = 25.0  # between two machines: 12 were seen (docs/reliability.md)
STRONG = "coherence.strong"
CORRELATION = "correlation.average.unit_variance"


@dataclass(frozen=True)
class Claim:
    """`sentence` holds if `left` is at least `right` + `margin`."""

    sentence: str
    left: float
    right: float
    margin: float

    @property
    def holds(self) -> bool:
        return self.left >= self.right + self.margin

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "FAILS"
        return f"{verdict}: {self.sentence} ({self.left:.3f} against {self.right:.3f}, margin {self.margin:g})"


class Numbers:
    """A long table by run and metric, as means over seeds."""

    def __init__(self, table: pd.DataFrame):
        self.values = table.groupby(["run", "metric"])["value"].mean()

    def __call__(self, run: str, metric: str) -> float:
        if (run, metric) not in self.values.index:
            raise FileError(f"the long table has no {metric} of {run}; run `dvc repro`")
        return float(self.values[run, metric])

    def starting(self, run: str, prefix: str) -> list[str]:
        """The metrics of a run below `prefix`."""
        return [metric for metric in self.values[run].index if metric.startswith(f"{prefix}.")]


def digit_claims(n: Numbers) -> Iterator[Claim]:
    """Tables 1 to 3 and 5: coherence above MVAE's and above chance, latents that say the digit, learnt scales."""
    for cross in n.starting("mmvae", f"{STRONG}.cross"):
        mmvae, direction = n("mmvae", cross), cross.rpartition(".")[2].replace("_", " ")
        yield Claim(f"MMVAE is ahead of MVAE from {direction}", mmvae, n("mvae", cross), 0.05)
        chance = n("mmvae", "latent_accuracy.majority")
        yield Claim(f"MMVAE is above the commonest digit from {direction}", mmvae, chance, 0.6)
    joint = n("mmvae", f"{STRONG}.joint")
    yield Claim("MMVAE is ahead of MVAE jointly", joint, n("mvae", f"{STRONG}.joint"), 0.03)
    yield Claim("MMVAE is above chance jointly", joint, n("mmvae", f"{STRONG}.joint_by_chance"), 0.2)
    for run in ("mmvae", "mvae", "vae_grey", "vae_colour"):
        for entropy in n.starting(run, f"{STRONG}.entropy"):
            yield Claim(f"{run} draws most digits, {entropy.rpartition('.')[2]}", n(run, entropy), 1.7, 0)
        for accuracy in n.starting(run, "latent_accuracy.single"):
            yield Claim(f"{run}'s latents say the digit, {accuracy}", n(run, accuracy), 0.6, 0)
    yield Claim("MMVAE's prior is wider in some latents than in others", n("mmvae", "prior.scale_ratio"), 1.5, 0)
    bounds = (n(run, "likelihood.joint") for run in ("mmvae", "mvae"))
    yield Claim("MMVAE's joint bound is near MVAE's", *bounds, -40)


def bird_claims(n: Numbers) -> Iterator[Claim]:
    """Table 4: correlations above their floor, and MMVAE's cross generation above MVAE's."""
    for image in ("features", "pixels"):
        mmvae, floor = f"mmvae_{image}", n(f"mmvae_{image}", f"{CORRELATION}.floor")
        for pairs in ("joint", "image_to_sentence", "sentence_to_image"):
            value, name = n(mmvae, f"{CORRELATION}.{pairs}"), pairs.replace("_", " ")
            yield Claim(f"{mmvae} is above the floor, {name}", value, floor, 0.03)
            if pairs != "joint":
                yield Claim(
                    f"{mmvae} is ahead of MVAE, {name}", value, n(f"mvae_{image}", f"{CORRELATION}.{pairs}"), 0.03
                )


def likelihood_claims(n: Numbers, reference: Numbers) -> Iterator[Claim]:
    """Every log-likelihood is within NATS of another machine's."""
    for run, metric in reference.values.index:
        if metric.startswith("likelihood."):
            distance = abs(n(run, metric) - reference(run, metric))
            yield Claim(f"{metric} of {run} is that of the reference, nats", -distance, -NATS, 0)


def main() -> None:
    folders = [Path(folder) for folder in sys.argv[1:]] or [Path("metrics")]
    digits, birds = (Numbers(read_table(folders[-1] / f"{name}.csv")) for name in ("digits", "birds"))
    claims = [*digit_claims(digits), *bird_claims(birds)]
    if len(folders) > 1:
        claims += likelihood_claims(digits, Numbers(read_table(folders[0] / "digits.csv")))
    print("\n".join(map(str, claims)))
    failed = [claim for claim in claims if not claim.holds]
    if failed:
        sys.exit(f"{len(failed)} of {len(claims)} claims fail")


if __name__ == "__main__":
    try:
        main()
    except FileError as error:
        sys.exit(f"{error}")
