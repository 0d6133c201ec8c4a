"""Which digits the systems without pairs take for which, and how they learned."""

import numpy as np
import torch

from mmvae import model, params, runs
from mmvae.adaptation import Adapted
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation.classifiers import STRONG
from mmvae.evaluation.labelled import DigitTest, digit_test, latents
from mmvae.figures.confusion import confusions
from mmvae.figures.grids import save
from mmvae.files import read_table
from mmvae.metrics.digits.coherence import see
from mmvae.metrics.systems.relabelled import counts
from mmvae.model import MultimodalModel
from stages import arguments, run


@torch.no_grad()
def asked(trained: MultimodalModel, test: DigitTest) -> dict[str, np.ndarray]:
    """Counts (10 found, 10 true): of what the system says given each modality, or shows in the others."""
    result = {}
    for source, rows in latents(trained, test.values, test.seed).items():
        z = test.on_device(rows)
        if isinstance(trained, Adapted):
            role = "source" if source == trained.source else "target"
            result[f"says, given {source} ({role})"] = counts(trained.classify(z).cpu().numpy(), test.digits)
        else:
            seen = see(trained, z, [source], test.judges)[STRONG]
            result |= {f"{source} to {n}": counts(found, test.digits) for n, found in seen.items() if n != source}
    return result


def main() -> None:
    given = arguments("set", "seed")
    content = params.load()
    pairs = LabelledPairs(given.set, torch.device("cpu"))
    found, curves = {}, {}
    for name, one in runs.of_set(content, given.set).items():
        trained = model.load(f"models/{given.set}/{name}/{given.seed}.safetensors", pairs.device)
        if trained.paired:
            continue
        found[name] = asked(trained, digit_test(pairs, list(one.kinds), content, given.seed, strong=True))
        curves[name] = read_table(f"plots/{given.set}/curves/{name}_{given.seed}.csv")
    title = f"{given.set}: systems that do not look at pairs, test images, seed {given.seed}"
    save(f"plots/{given.set}/confusion.png", confusions(found, curves, title), 64)


if __name__ == "__main__":
    run(main)
