"""Train one run of one data set, from one seed."""

from mmvae import params, runs
from mmvae.training.run import train_run
from stages import arguments, run


def main() -> None:
    given = arguments("set", "run", "seed")
    content = params.load()
    train_run(runs.find(content, given.set, given.run), content, given.seed)


if __name__ == "__main__":
    run(main)
