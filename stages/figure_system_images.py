"""What every trained system of Figure 2 generates: across images from the first test pairs, and from its prior."""

import numpy as np
import torch

from mmvae import model, params, runs
from mmvae.data.prepared import LabelledPairs
from mmvae.evaluation import classifiers, generation
from mmvae.figures.grids import grids, save
from stages import arguments, run

SHOWN = 8
COLOURS = 16


def main() -> None:
    given = arguments("set", "seed")
    device, content = torch.device("cpu"), params.load()
    pairs = LabelledPairs(given.set, device)
    images = list(classifiers.images(pairs.kinds))
    test, _ = pairs.first_pass("test")
    x = {name: values[:SHOWN] for name, values in test.items()}
    names = []
    crossed: dict = {(a, b): [] for a in images for b in images if a != b}
    drawn: dict = {name: [] for name in images}
    for name, one in runs.of_set(content, given.set).items():
        trained = model.load(f"models/{given.set}/{name}/{given.seed}.safetensors", device)
        if not set(images) <= set(one.kinds) or not trained.generates(images[:1]):
            continue
        names.append(name)
        generator = torch.Generator().manual_seed(given.seed)
        white = {image: np.ones_like(x[image]) for image in images}
        made = {a: generation.across(trained, x, a, generator) if trained.generates([a]) else white for a in images}
        for a, b in crossed:
            crossed[a, b].append(made[a][b])
        from_prior = {image: (white[image], None) for image in images}
        if trained.generates([]):
            from_prior = generation.from_prior(trained, SHOWN, 0, generator)
        for image in images:
            drawn[image].append(from_prior[image][0])
    panels = [(f"{a} to {b}", np.stack(made)) for (a, b), made in crossed.items()]
    panels += [(f"prior: {image}", np.stack(made)) for image, made in drawn.items()]
    title = f"{given.set}: the first {SHOWN} test pairs, and {SHOWN} draws, of every system, seed {given.seed}"
    inputs = [(f"given {image}", x[image].numpy()[None]) for image, _ in crossed]
    inputs += [(f"real {image}", x[image].numpy()[None]) for image in images]
    save(f"plots/{given.set}/figure2_images.png", grids([inputs, panels], title, scale=0.6, row_labels=names), COLOURS)


if __name__ == "__main__":
    run(main)
