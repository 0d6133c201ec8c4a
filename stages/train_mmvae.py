"""Train MMVAE with the loose (eq. 3) or the tight (eq. 5) bound."""

from mmvae import config
from mmvae.device import find_device
from mmvae.losses import importance_weighted
from stages import arguments, run, runs


def main() -> None:
    given = arguments("set", "bound", "seed")
    params = config.load()
    train = params.train[given.set]
    runs.train_and_write(
        given.set,
        f"mmvae_{given.bound}",
        given.seed,
        runs.model_config(given.set, params.networks[given.set], "mmvae"),
        importance_weighted(params.objective, given.bound, train.particles, find_device()),
        runs.budget(train),
        train.particles,
    )


if __name__ == "__main__":
    run(main)
