"""Measure one trained run of a digit set on test pairs, and how coherence and latent accuracy grew along training."""

from pathlib import Path

from mmvae import model, params, registry
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation.labelled import digit_test
from mmvae.evaluation.measured import table
from mmvae.files import read_csv, write_csv, write_table
from mmvae.metrics.learning import growth
from mmvae.training.device import find_device
from stages import arguments, run


def main() -> None:
    given = arguments("set", "run", "seed")
    device = find_device()
    weights = Path(f"models/{given.set}/{given.run}")
    trained = model.load(weights / f"{given.seed}.safetensors", device)
    pairs = LabelledPairs(given.set, device)
    test = digit_test(pairs, list(trained.modalities), params.load(), given.seed)
    folder = "metrics.digits"
    measured = {name: registry.find(folder, name).measure(trained, test) for name in registry.names(folder)}
    write_table(f"data/evaluations/{given.set}/{given.run}_{given.seed}.csv", table(measured))
    curve = read_csv(f"plots/{given.set}/curves/{given.run}_{given.seed}.csv")
    grown = growth(weights / f"{given.seed}_epochs", curve, test, measured)
    write_csv(f"plots/{given.set}/learning/{given.run}_{given.seed}.csv", grown)


if __name__ == "__main__":
    run(main)
