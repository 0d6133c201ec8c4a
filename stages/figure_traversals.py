"""Figure 5: every latent of MMVAE traversed for a pair of test images, and what each latent encodes."""

import torch

from mmvae import config, models
from mmvae.evaluation import generation
from mmvae.figures import curves, grids
from stages import arguments, inputs, run

STEPS = 11
REACH = 5.0


def main() -> None:
    given = arguments("set", "seed")
    device = torch.device("cpu")
    model = models.load(f"models/{given.set}/mmvae_loose/{given.seed}.safetensors", device)
    test, digits = inputs.DigitPairs(given.set, device).first_pass("test")
    prior_std = model.prior().std.numpy()
    steps = [f"{offset:+.0f}" if offset else "0" for offset in torch.linspace(-REACH, REACH, STEPS).tolist()]
    labels = [f"z{d}  (std {std:.2f})" for d, std in enumerate(prior_std)]
    one = {name: images[:1] for name, images in test.items()}
    for source in config.DIGIT_SETS[given.set]:
        moved = generation.traverse(model, one, source, STEPS, REACH)
        title = f"{given.set}: latents of a test '{digits[0]}' of {source}, moved by -5..+5 prior standard deviations"
        figure = grids.grids(
            [[(f"into {name}", values) for name, values in moved.items() if values.ndim == 5]],
            title,
            labels,
            steps,
            scale=1.35,
        )
        grids.save(
            f"plots/{given.set}/figure5_traversal_{config.DIGIT_SETS[given.set][source]}.png", figure, colours=256
        )
    to_prior, between = generation.divergences(model, test)
    title = f"{given.set}, mmvae_loose: what each latent encodes of each modality (Figure 5)"
    grids.save(
        f"plots/{given.set}/figure5_divergences.png", curves.latent_divergences(to_prior, between, prior_std, title)
    )


if __name__ == "__main__":
    run(main)
