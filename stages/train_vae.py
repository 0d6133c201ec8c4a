"""Train a VAE of one modality: the grey or the colour images of the same pairs."""

from mmvae import config
from mmvae.device import find_device
from mmvae.losses import importance_weighted
from stages import arguments, run, runs


def main() -> None:
    given = arguments("set", "image", "seed")
    params = config.load()
    train = params.train[given.set]
    modalities = {name: image for name, image in config.DIGIT_SETS[given.set].items() if image == given.image}
    runs.train_and_write(
        given.set,
        f"vae_{given.image}",
        given.seed,
        runs.model_config(given.set, params.networks[given.set], "vae", modalities=modalities),
        importance_weighted(params.objective, "loose", train.particles, find_device()),
        runs.budget(train),
        train.particles,
    )


if __name__ == "__main__":
    run(main)
