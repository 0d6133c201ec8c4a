"""Figure 5: every latent of a run traversed for a pair of test images, and what each latent encodes."""

import torch

from mmvae import model
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import generation
from mmvae.figures import curves, grids
from mmvae.figures.pictures import shown
from stages import arguments, run

STEPS = 11
REACH = 5.0


def main() -> None:
    given = arguments("set", "run", "seed")
    device = torch.device("cpu")
    trained = model.load(f"models/{given.set}/{given.run}/{given.seed}.safetensors", device)
    pairs = LabelledPairs(given.set, device)
    test, digits = pairs.first_pass("test")
    prior_std = trained.prior().std.numpy()
    steps = [f"{offset:+.0f}" if offset else "0" for offset in torch.linspace(-REACH, REACH, STEPS).tolist()]
    labels = [f"z{d}  (std {std:.2f})" for d, std in enumerate(prior_std)]
    one = {name: values[:1] for name, values in test.items()}
    folder = f"plots/{given.set}/figure5"
    for source in shown(pairs.kinds, {name: values.numpy() for name, values in one.items()}):
        moved = shown(pairs.kinds, generation.traverse(trained, one, source, STEPS, REACH))
        title = f"{given.set}: latents of a test '{digits[0]}' of {source}, moved by -5..+5 prior standard deviations"
        panels = [[(f"into {name}", images) for name, images in moved.items()]]
        figure = grids.grids(panels, title, labels, steps, scale=1.35)
        grids.save(f"{folder}/traversal_{source}.png", figure)
    to_prior, between = generation.divergences(trained, test)
    title = f"{given.set}, {given.run}: what each latent encodes, and for whom"
    grids.save(f"{folder}/divergences.png", curves.latent_divergences(to_prior, between, prior_std, title))


if __name__ == "__main__":
    run(main)
