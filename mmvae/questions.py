"""Questions that runs of one study answer: `python -m mmvae.questions` prints their tables as Markdown."""

import sys
from pathlib import Path

import pandas as pd

from mmvae import params
from mmvae.files import FileError, read_table
from mmvae.params import ParamsError, Section
from mmvae.tables import RATES, Table

SHARES = Table(
    "shares",
    "",
    {
        r"\1 to \2": RATES + r"cross\.(\w+)_to_(\w+)",
        r"others to \1": RATES + r"from_others\.(\w+)",
        "joint": RATES + "joint",
        "by chance": RATES + "joint_by_chance",
        r"latents \1": r"latent_accuracy\.single\.(\w+)\.samples",
    },
    factor=100,
    digits=0,
)
NATS = Table("nats", "", {r"entropy \1": RATES + r"entropy\.(\w+)"}, digits=2)
LIKELIHOOD = Table("likelihood", "", {"log p, nats": r"likelihood\.joint"}, digits=1)


class Question(Section):
    """title, and what the runs of a line differ in (axis). lines: line -> value on the axis -> run."""

    title: str
    axis: str
    lines: dict[str, dict[str, str]]


def load(content: dict) -> list[Question]:
    """The section `questions` of params.yaml.

    Raises:
        ParamsError: a question is not allowed.
    """
    return [params.section(Question, content, f"questions.{name}") for name in content.get("questions", {})]


def rows(question: Question, every: pd.DataFrame) -> pd.DataFrame:
    """The numbers of the long table that are of a question's runs, named `run` by line and value."""
    found = []
    for line, runs in question.lines.items():
        for value, run in runs.items():
            of_run = every[every["run"] == run]
            if of_run.empty:
                raise FileError(f"{question.title}: the long table has no run {run!r}; run the study again")
            found.append(of_run.assign(run=f"{line}: {value}" if len(question.lines) > 1 else value))
    return pd.concat(found)


def markdown(question: Question, every: pd.DataFrame) -> str:
    """A question's table: means over seeds, with +- their standard deviation."""
    own = rows(question, every)
    text = pd.concat([table.text(own) for table in (SHARES, NATS, LIKELIHOOD)], axis=1).fillna("")
    return f"{question.title} ({question.axis}):\n\n{text.to_markdown(disable_numparse=True)}"


def main() -> None:
    try:
        content = params.load()
        for name in sys.argv[1:] or content["digit_sets"]:
            every = read_table(Path(f"metrics/{name}.csv"))
            print("\n\n".join(markdown(question, every) for question in load(content)))
    except (FileError, ParamsError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
