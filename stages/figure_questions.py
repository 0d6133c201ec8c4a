"""What the runs of a study say to its questions, in one picture."""

from mmvae import params, questions
from mmvae.figures.grids import save
from mmvae.figures.questions import answers
from mmvae.files import read_table
from stages import arguments, run


def main() -> None:
    name = arguments("set").set
    content = params.load()
    seeds = len(content["seeds"])
    title = f"{name}: a dot for each of {seeds} seeds" if seeds > 1 else f"{name}: one seed"
    figure = answers(questions.load(content), read_table(f"metrics/{name}.csv"), title)
    save(f"plots/{name}/questions.png", figure)


if __name__ == "__main__":
    run(main)
