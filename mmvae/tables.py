"""The tables: pivots of one long table of every number. `python -m mmvae.report` prints them as Markdown.

The long table of a data set, metrics/<set>.csv, has a row for each `run`, `seed` and `metric` with its `value` and the
`standard_error` over test items. Shares lie between 0 and 1, likelihoods are in nats. No torch.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mmvae.files import FileError, read_table

CLASSIFIERS = "classifiers"  # rows of the judges' own accuracy


@dataclass(frozen=True)
class Table:
    """A table of runs and metrics.

    columns: header -> pattern of metrics, matched as a whole; the header may refer to the pattern's groups. Metrics
    that the pattern's groups tell apart are columns of their own. tracked: the headers whose cells DVC tracks.
    factor, digits: how a value is printed.
    """

    key: str
    title: str
    columns: dict[str, str]
    tracked: tuple[str, ...] = ()
    factor: float = 1
    digits: int = 1
    errors: bool = False

    def frame(self, every: pd.DataFrame, value: str = "value") -> pd.DataFrame:
        """Run x column: the mean over seeds of `value`; the runs and columns that have one, in the order of `every`."""
        parts = []
        for header, pattern in self.columns.items():
            found = every[every["metric"].str.fullmatch(pattern)]
            if len(found):
                names = [re.fullmatch(pattern, metric).expand(header) for metric in found["metric"]]
                parts.append(found.assign(column=names))
        if not parts:
            return pd.DataFrame()
        joined = pd.concat(parts)
        groups = joined.groupby(["run", "column"])
        cells = groups["value"].std() if value == "std" else groups[value].mean()
        return cells.unstack().reindex(index=joined["run"].unique(), columns=joined["column"].unique())

    def text(self, every: pd.DataFrame) -> pd.DataFrame:
        """Means over seeds, with +- their standard deviation where there are several, and standard errors if asked."""
        means, deviations, errors = (self.frame(every, value) for value in ("value", "std", "standard_error"))
        text = means.map(lambda value: "" if pd.isna(value) else f"{value * self.factor:.{self.digits}f}")
        for row, column in ((row, column) for row in means.index for column in means.columns):
            if pd.notna(spread := deviations.loc[row, column]):
                text.loc[row, column] += f" ± {spread * self.factor:.{self.digits}f}"
            if self.errors and pd.notna(error := errors.loc[row, column]):
                text.loc[row, column] += f" ({error * self.factor:.{self.digits}f})"
        return text.rename_axis(index=None, columns=None)

    def markdown(self, every: pd.DataFrame) -> str:
        """The same below the title."""
        return f"{self.title}\n\n{self.text(every).to_markdown(disable_numparse=True)}"


RATES = r"coherence\.strong\."
DIGITS = (
    Table(
        "latent_accuracy",
        "Table 1. Latent accuracy of posterior samples, %. A linear classifier is trained and tested on the posterior "
        "given one modality, on that given both, or trained on both and tested on one. Commonest: always answering the "
        "digit that is commonest in training.",
        {
            r"\1": r"latent_accuracy\.single\.(\w+)\.samples",
            "both": r"latent_accuracy\.both\.samples",
            r"all but \1": r"latent_accuracy\.others\.(\w+)\.samples",
            r"both, tested on \1": r"latent_accuracy\.both_to_single\.(\w+)\.samples",
            "commonest": r"latent_accuracy\.majority",
        },
        (r"\1", "both"),
        factor=100,
    ),
    Table(
        "coherence",
        "Tables 2 and 5. Coherence, %, judged by the strong classifiers. By chance: how often the images of one draw "
        "would agree if each modality drew its digits by itself.",
        {
            "joint": RATES + "joint",
            "by chance": RATES + "joint_by_chance",
            r"\1 to \2": RATES + r"cross\.(\w+)_to_(\w+)",
            r"others to \1": RATES + r"from_others\.(\w+)",
            r"both to \1": RATES + r"from_both\.(\w+)",
        },
        ("joint", r"\1 to \2", r"others to \1"),
        factor=100,
    ),
    Table(
        "coherence_lenet",
        "Tables 2 and 5, judged by the paper's LeNets, %.",
        {"joint": r"coherence\.lenet\.joint", r"\1 to \2": r"coherence\.lenet\.cross\.(\w+)_to_(\w+)"},
        factor=100,
    ),
    Table(
        "draws",
        "Digits drawn from the prior, as the strong classifiers see them: their entropy, nats; all digits equally "
        "often would give ln 10 = 2.30.",
        {r"\1": RATES + r"entropy\.(\w+)"},
        digits=2,
    ),
    Table(
        "log_likelihood",
        "Table 3. Log-likelihoods, nats a pair. Columns are estimators: of both modalities; of one from the posterior "
        "given both, given itself, or given the other; of one given the other. Synergy: joint minus the sum of both.",
        {
            "joint": r"likelihood\.joint",
            r"joint, \1": r"likelihood\.subset\.(\w+)",
            r"\1 from both": r"likelihood\.from_both\.(\w+)",
            r"\2 from \1": r"likelihood\.from_(?!both)(\w+)\.(\w+)",
            r"\1 given \2": r"likelihood\.conditional\.(\w+)_given_(\w+)",
            "synergy": r"likelihood\.synergy",
        },
        ("joint", r"\1 from both", r"\1 given \2", "synergy"),
        errors=True,
    ),
    Table(
        "judges",
        "The classifiers' own accuracy on test images, %.",
        {r"\1, \2": r"accuracy\.(\w+)\.(\w+)"},
        factor=100,
    ),
)
PAIRS = r"correlation\.average\.unit_variance\."
MADE, ENDS = ("joint", "image_to_sentence", "sentence_to_image", "both"), ("ground_truth", "floor", "floor_species")
REBUILT = ("image_reconstruction", "caption_reconstruction")
BIRDS = (
    Table(
        "correlation",
        "Table 4. Correlation of images and sentences (standard error over images). Plain average of word vectors, CCA "
        "of unit variance. The floor pairs captions with other images, that of species with images of other species.",
        {name.replace("_", " "): PAIRS + name for name in (*MADE, *REBUILT, *ENDS)},
        ("joint", "image to sentence", "sentence to image", "both"),
        digits=3,
        errors=True,
    ),
    Table(
        "species",
        "Standard errors of Table 4 over species instead of images, by a bootstrap.",
        {name.replace("_", " "): PAIRS.replace("average", r"species_error\.average") + name for name in (*MADE, *ENDS)},
        digits=3,
    ),
    Table(
        "variants",
        "Table 4 under the other sentence vectors and scalings of CCA.",
        {rf"\1, {name}": rf"correlation\.(?!average\.unit)(\w+\.\w+)\.{name}" for name in ("joint", "floor")},
        digits=3,
    ),
    Table(
        "fasttext",
        "Spread of Table 4 over the seeds of FastText: standard deviation.",
        {name.replace("_", " "): PAIRS.replace("average", r"fasttext_std\.average") + name for name in (*MADE, *ENDS)},
        digits=4,
    ),
    Table(
        "captions",
        "Captions made. BLEU-4 given an image, a caption or both; different pairs of words over all pairs, different "
        "captions over all captions, and words a caption, of those made given an image.",
        {
            "BLEU, image": r"captions\.(?:features|pixels)\.bleu",
            "BLEU, caption": r"captions\.captions\.bleu",
            "BLEU, both": r"captions\.both\.bleu",
            "different pairs": r"captions\.(?:features|pixels)\.distinct_2",
            "different captions": r"captions\.(?:features|pixels)\.distinct_captions",
            "words": r"captions\.(?:features|pixels)\.length",
        },
        ("BLEU, image",),
        digits=2,
    ),
    Table(
        "attributes",
        "Attributes that agree, % of those that a caption states. Probes: how well they can be read from real images.",
        {
            "image to sentence": r"attributes\.image_to_sentence\.accuracy",
            "by chance": r"attributes\.image_to_sentence\.chance",
            "sentence to image": r"attributes\.sentence_to_image\.accuracy",
            "joint": r"attributes\.joint\.accuracy",
            "image reconstruction": r"attributes\.image_reconstruction\.accuracy",
            "caption reconstruction": r"attributes\.caption_reconstruction\.accuracy",
            "probes": r"attributes\.probes\.accuracy",
        },
        ("image to sentence", "sentence to image", "joint"),
        factor=100,
    ),
    Table(
        "frechet",
        "Fréchet distance of the images that were made to real ones, in the features of the data set's extractor. "
        "Of few images it is too large, and columns are of other numbers of images: compare within a column.",
        {
            "joint": r"frechet\.joint",
            "sentence to image": r"frechet\.captions",
            "both": r"frechet\.both",
            "image reconstruction": r"frechet\.(?:features|pixels)",
        },
        digits=1,
    ),
)
TABLES = {"digits": DIGITS, "captions": BIRDS}


def gather(data_set: str, runs: list[str], seeds: list[int]) -> pd.DataFrame:
    """The long table: what `evaluate` measured of every run and seed, and the judges' accuracy where there are any."""
    folder = Path(f"data/evaluations/{data_set}")
    parts = [(run, seed, folder / f"{run}_{seed}.csv") for run in runs for seed in seeds]
    judges = folder / f"{CLASSIFIERS}_0.csv"
    parts += [(CLASSIFIERS, 0, judges)] if judges.exists() else []
    columns = ["set", "run", "seed", "metric", "value", "standard_error"]
    frames = [read_table(path).assign(set=data_set, run=run, seed=seed) for run, seed, path in parts]
    return pd.concat(frames)[columns].reset_index(drop=True)


def cells(every: pd.DataFrame, family: str) -> dict:
    """The cells that DVC tracks: table -> run -> column -> mean over seeds."""
    found: dict = {}
    for table in TABLES[family]:
        tracked = Table(table.key, "", {header: table.columns[header] for header in table.tracked})
        for run, row in tracked.frame(every).iterrows():
            values = {str(column).replace(" ", "_").replace(",", ""): v for column, v in row.items() if pd.notna(v)}
            found.setdefault(table.key, {})[run] = values
    return found


def markdown(path: Path, family: str) -> str:
    """All tables of a data set, from its long table.

    Raises:
        FileError: the file is missing, damaged or empty.
    """
    every = read_table(path)
    parts = [table.markdown(every) for table in TABLES[family] if not table.frame(every).empty]
    if not parts:
        raise FileError(f"{path} has no number that a table shows")
    return "\n\n".join(parts)
