"""Train MVAE (Wu and Goodman 2018) with its product of experts, or its recipe with a mixture (appendix E)."""

from mmvae import config
from mmvae.losses import SubsampledElbo
from mmvae.training.device import find_device
from stages import arguments, inputs, run, runs


def main() -> None:
    given = arguments("set", "seed", posterior="poe", image=None)
    params = config.load()
    mvae = params.mvae[given.set]
    pairs = inputs.paired(given.set, find_device())
    modalities = runs.modalities(given.set, given.image)
    choices = {"posterior": given.posterior}
    if given.set in config.DIGIT_SETS:
        choices["likelihood"] = mvae.likelihood
    runs.train_and_write(
        given.set,
        f"mvae_{given.image or given.posterior}",
        given.seed,
        pairs,
        runs.model_config(pairs, modalities, params.networks[given.set], "mvae", **choices),
        SubsampledElbo(mvae.annealing_share),
        runs.budget(params.train[given.set], params.optimiser),
    )


if __name__ == "__main__":
    run(main)
