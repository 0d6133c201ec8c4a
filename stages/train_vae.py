"""Train a VAE of one modality: of one kind of image, or of captions."""

from mmvae import config
from mmvae.losses import importance_weighted
from mmvae.training.device import find_device
from stages import arguments, inputs, run, runs


def main() -> None:
    given = arguments("set", "image", "seed")
    params = config.load()
    train, device = params.train[given.set], find_device()
    pairs = inputs.paired(given.set, device)
    modalities = {n: kind for n, kind in runs.modalities(given.set, given.image).items() if kind == given.image}
    runs.train_and_write(
        given.set,
        f"vae_{given.image}",
        given.seed,
        pairs,
        runs.model_config(pairs, modalities, params.networks[given.set], "vae"),
        importance_weighted(params.objective, "loose", train.particles, device),
        runs.budget(train, params.optimiser),
    )


if __name__ == "__main__":
    run(main)
