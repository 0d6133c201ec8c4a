"""Train MVAE with its product of experts, or with a mixture in its recipe (appendix E)."""

from mmvae import config
from mmvae.losses import SubsampledElbo
from mmvae.training import VALIDATION_PARTICLES
from stages import arguments, run, runs


def main() -> None:
    given = arguments("set", "posterior", "seed")
    params = config.load()
    mvae = params.mvae[given.set]
    networks = params.networks[given.set]
    runs.train_and_write(
        given.set,
        f"mvae_{given.posterior}",
        given.seed,
        runs.model_config(given.set, networks, "mvae", posterior=given.posterior, likelihood=mvae.likelihood),
        SubsampledElbo(mvae.annealing_share),
        runs.budget(params.train[given.set]),
        VALIDATION_PARTICLES,
    )


if __name__ == "__main__":
    run(main)
