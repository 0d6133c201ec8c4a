"""Tables are pivots of the long table: the numbers in them, and the few that DVC tracks."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from mmvae import files, report, tables
from mmvae.files import FileError

NAN = float("nan")
COLUMNS = ["set", "run", "seed", "metric", "value", "standard_error"]
LONG = pd.DataFrame(
    [
        ("digits", "mmvae", 0, "coherence.strong.joint", 0.40, 0.01),
        ("digits", "mmvae", 1, "coherence.strong.joint", 0.50, 0.03),
        ("digits", "mmvae", 0, "coherence.strong.cross.a_to_b", 0.6, 0.01),
        ("digits", "mmvae", 1, "coherence.strong.cross.a_to_b", 0.6, 0.01),
        ("digits", "mmvae", 0, "coherence.lenet.joint", 0.3, 0.01),
        ("digits", "mmvae", 0, "likelihood.joint", -100.0, 2.0),
        ("digits", "mmvae", 1, "likelihood.joint", -104.0, 4.0),
        ("digits", "mmvae", 0, "likelihood.from_a.b", -7.25, NAN),
        ("digits", "mmvae", 0, "likelihood.from_both.b", -5.25, 0.5),
        ("digits", "mmvae", 0, "latent_accuracy.single.a.samples", 0.9, 0.02),
        ("digits", "mmvae", 0, "latent_accuracy.single.a.means", 0.95, 0.02),
        ("digits", "vae_a", 0, "latent_accuracy.single.a.samples", 0.8, 0.02),
        ("digits", "classifiers", 0, "accuracy.strong.a", 0.99, NAN),
    ],
    columns=COLUMNS,
)


def rows(text: str) -> list[list[str]]:
    """Header and rows of the Markdown table under a title."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]


def of(key: str) -> tables.Table:
    return next(table for table in (*tables.DIGITS, *tables.BIRDS) if table.key == key)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("coherence", [["", "joint", "a to b"], ["mmvae", "45.0 ± 7.1", "60.0 ± 0.0"]]),
        ("coherence_lenet", [["", "joint"], ["mmvae", "30.0"]]),
        (
            "log_likelihood",
            [["", "joint", "b from both", "b from a"], ["mmvae", "-102.0 ± 2.8 (3.0)", "-5.2 (0.5)", "-7.2"]],
        ),
        ("latent_accuracy", [["", "a"], ["mmvae", "90.0"], ["vae_a", "80.0"]]),
        ("judges", [["", "strong, a"], ["classifiers", "99.0"]]),
    ],
)
def test_means_deviations_and_standard_errors(key, expected):
    assert np.std([0.4, 0.5], ddof=1) == pytest.approx(0.0707, abs=1e-4)
    assert rows(of(key).markdown(LONG)) == expected


def test_the_cells_that_dvc_tracks():
    cells = tables.cells(LONG, "digits")
    assert cells["coherence"] == {"mmvae": {"joint": pytest.approx(0.45), "a_to_b": pytest.approx(0.6)}}
    assert cells["log_likelihood"] == {"mmvae": {"joint": -102.0, "b_from_both": -5.25}}
    assert cells["latent_accuracy"] == {"mmvae": {"a": 0.9}, "vae_a": {"a": 0.8}}
    assert cells.keys() == {"coherence", "log_likelihood", "latent_accuracy"}, "nothing of it is empty"


PAIRS = "coherence.strong.joint coherence.strong.cross.a_to_b coherence.strong.from_others.a coherence.lenet.joint"
LIKELIHOODS = "likelihood.joint likelihood.from_both.a likelihood.from_a.b likelihood.conditional.a_given_b"
LATENTS = "latent_accuracy.single.a.samples latent_accuracy.both.samples latent_accuracy.both_to_single.a.samples"
CORRELATION = "correlation.average.unit_variance"
BIRDS = f"{CORRELATION}.joint {CORRELATION}.both {CORRELATION}.floor captions.features.bleu captions.captions.bleu"
ATTRIBUTES = "attributes.joint.accuracy attributes.image_to_sentence.accuracy attributes.image_to_sentence.chance"


@pytest.mark.parametrize(
    ("family", "metrics", "tracked"),
    [("digits", f"{PAIRS} {LIKELIHOODS} {LATENTS}", 8), ("captions", f"{BIRDS} {ATTRIBUTES}", 5)],
)
def test_no_number_is_tracked_twice(family, metrics, tracked):
    every = [("s", "run", 0, name, i + 0.5, NAN) for i, name in enumerate(metrics.split())]
    found = list(leaves(tables.cells(pd.DataFrame(every, columns=COLUMNS), family)))
    assert len(found) == len(set(found)) == tracked


def leaves(cells: dict) -> list:
    """All values of nested dictionaries."""
    return [leaf for value in cells.values() for leaf in (leaves(value) if isinstance(value, dict) else [value])]


def test_the_committed_cells_are_few_and_those_of_the_long_tables():
    metrics = {family: ROOT / f"metrics/{name}" for family, name in (("digits", "digits"), ("captions", "birds"))}
    if not all(path.with_suffix(".json").exists() for path in metrics.values()):
        pytest.skip("no metrics yet: run make repro first")
    cells = {family: json.loads(path.with_suffix(".json").read_text()) for family, path in metrics.items()}
    assert len(leaves(cells)) <= 120
    assert all(isinstance(leaf, float) for leaf in leaves(cells)), "a null, or no number"
    for family, path in metrics.items():
        again = leaves(tables.cells(files.read_table(path.with_suffix(".csv")), family))
        assert again == pytest.approx(leaves(cells[family]), rel=1e-5)


def test_the_long_table_is_gathered_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for (run, seed), part in LONG.groupby(["run", "seed"]):
        files.write_table(f"data/evaluations/digits/{run}_{seed}.csv", part[COLUMNS[3:]])
    with pytest.raises(FileError, match=r"vae_a_1\.csv cannot be read"):
        tables.gather("digits", ["mmvae", "vae_a"], [0, 1])
    files.write_table("data/evaluations/digits/vae_a_1.csv", LONG[-2:-1][COLUMNS[3:]])
    every = tables.gather("digits", ["mmvae", "vae_a"], [0, 1])
    assert len(every) == len(LONG) + 1
    assert list(every["run"].unique()) == ["mmvae", "vae_a", "classifiers"]
    files.write_table("metrics/digits.csv", every)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.setattr(sys, "argv", ["report", "digits"])
    report.main()
    printed = capsys.readouterr().out
    assert printed.startswith("Data set: digits\n\nTable 1. ")
    assert ["mmvae", "45.0 ± 7.1", "60.0 ± 0.0"] in rows(printed)
    for name, message in (("birds", "metrics/birds.csv cannot be read"), ("digitz", "'digitz' is no data set")):
        monkeypatch.setattr(sys, "argv", ["report", name])
        with pytest.raises(SystemExit, match=message):
            report.main()


def test_a_long_table_without_a_number_that_is_shown(tmp_path):
    path = tmp_path / "digits.csv"
    files.write_table(path, LONG[:1].assign(metric="surprise"))
    with pytest.raises(FileError, match=r"digits\.csv has no number that a table shows"):
        tables.markdown(path, "digits")


def test_tables_need_no_torch():
    code = "import sys, mmvae.report, stages.tables; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_readme_quotes_the_report(recorded):
    text = (recorded / "README.md").read_text()
    section = text[text.index("## Results on embedded data") : text.index("## Results on real data")]
    printed = "\n".join(
        tables.markdown(recorded / f"metrics/{name}.csv", family)
        for name, family in (("digits", "digits"), ("birds", "captions"))
    )
    quoted = [line for line in section.splitlines() if line.startswith("|")]
    assert len(quoted) > 10
    assert [line for line in quoted if line not in printed] == []
    first = [line.replace("|", " ").split() for line in text[: text.index("\n## ")].splitlines() if "| m" in line]
    rows = {line.split()[1]: line.split() for line in quoted if "coherence" not in line and line.startswith("| m")}
    assert [cell for name, *cells in first for cell in cells if cell not in rows[name]] == []
