"""Train MMVAE under one bound (eq. 3 is loose, eq. 5 tight), on digits or on captions with one kind of image."""

from mmvae import config
from mmvae.losses import importance_weighted
from mmvae.training.device import find_device
from stages import arguments, inputs, run, runs


def main() -> None:
    given = arguments("set", "seed", bound="loose", image=None)
    params = config.load()
    train, device = params.train[given.set], find_device()
    pairs = inputs.paired(given.set, device)
    modalities = runs.modalities(given.set, given.image)
    runs.train_and_write(
        given.set,
        f"mmvae_{given.image or given.bound}",
        given.seed,
        pairs,
        runs.model_config(pairs, modalities, params.networks[given.set], "mmvae"),
        importance_weighted(params.objective, given.bound, train.particles, device),
        runs.budget(train, params.optimiser),
    )


if __name__ == "__main__":
    run(main)
