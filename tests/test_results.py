"""The page of studies/estimators: it says what the numbers beside it say, and fails when a claim stops being true."""

import hashlib
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from mmvae import tables
from studies.estimators.page import FOLDER, PageError, Value, apart, interval, level, read_numbers, render

TEMPLATE = (FOLDER / "page.md").read_text(encoding="utf-8")
PAGE = (FOLDER / "results.md").read_text(encoding="utf-8")
MEASURED = pd.read_csv(FOLDER / "measured.csv")
RUNS, ORIGINS, PAPER = read_numbers()
STAGES = yaml.safe_load((FOLDER / "dvc.yaml").read_text())["stages"]
LOCK = yaml.safe_load((FOLDER / "dvc.lock").read_text())["stages"]
NAMED = (  # what a digit may stand for besides a result
    r"(Tables?|Figures?|Section|Appendix|eq\.) ?\(?\d+(, [\d]+)*( and \d+)?\)?|ln 10|95 % interval|scale 0\.1"
)


def prose(text: str) -> str:
    """Without expressions, code, addresses and what has a number for a name."""
    for pattern in (r"\{%.*?%\}", r"\{\{.*?\}\}", r"```.*?```", r"`[^`]*`", r"\]\([^)]*\)", NAMED):
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    return text


def test_the_page_is_what_its_template_and_numbers_say():
    assert render(TEMPLATE) == PAGE, "run dvc repro studies/estimators/dvc.yaml"


def test_no_number_of_the_page_is_typed():
    assert re.findall(r".{0,30}\d.{0,20}", prose(TEMPLATE)) == []
    assert prose("had 12.3 %, K = 30, and `{{ run(sm) | share }}`, Table 2") == "had 12.3 %, K = 30, and , "


def test_no_length_of_a_run_is_typed():
    """A longer run must not leave the numbers of a shorter one under its name."""
    assert re.findall(r"\d{4,}", "".join(re.findall(r"\{[{%].*?[}%]\}", TEMPLATE, re.DOTALL))) == []


def test_links_and_pictures_are_there():
    addresses = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
    assert [address for address in addresses if not (FOLDER / address).exists()] == []
    titles = [re.sub(r"[^\w -]", "", line.strip("# ").lower()).replace(" ", "-") for line in PAGE.splitlines()]
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= set(titles)
    assert {f"pictures/{path.name}" for path in (FOLDER / "pictures").iterdir()} <= set(addresses)


def test_tables_are_whole():
    tables = [block.splitlines() for block in PAGE.split("\n\n") if block.startswith("|")]
    assert len(tables) == PAGE.count("\n| ---")
    for header, rule, *rows in tables:
        assert set(rule) == set("| -")
        assert {row.count(" |") for row in (header, *rows)} == {rule.count(" |")}


def test_a_false_claim_fails_with_its_sentence():
    text = (
        "{%% call claim(2 > 1, runs.iwae(joint) %s runs.mvae_poe(joint)) %%}\nIt is {{ 'ahead' }}.\n{%% endcall %%}\n"
    )
    head = '{% set joint = "coherence.strong.joint" %}\n'
    assert render(head + text % ">") == "It is ahead.\n"
    with pytest.raises(PageError, match=r"not true any more \(condition 2\): It is ahead\."):
        render(head + text % "<")


@pytest.mark.parametrize(
    ("run", "metric", "value", "sentence"),
    [
        ("iwae_tight", "coherence.strong.cross.svhn_to_mnist", 0.61, "We find the same from SVHN to MNIST"),
        ("stl_iwae", "curve.bound_validation", -3000, "makes the same choice"),
        ("vae_svhn", "latent_accuracy.single.svhn.samples", 0.4, "SVHN is above the commonest digit at no point"),
    ],
)
def test_other_numbers_make_the_page_fail(tmp_path, run, metric, value, sentence):
    for name in ("origins.json", "paper.json"):
        shutil.copy(FOLDER / name, tmp_path)
    changed = MEASURED.copy()
    changed.loc[(changed["run"] == run) & (changed["metric"] == metric), "value"] = value
    changed.to_csv(tmp_path / "measured.csv", index=False)
    with pytest.raises(PageError, match=sentence):
        render(TEMPLATE, tmp_path)


def test_a_number_that_was_not_measured_is_an_error():
    with pytest.raises(PageError, match="no 'ess' of run 'iwae', seed 0, after 5 pairs"):
        render('{{ runs.iwae("ess", 5) }}')


def test_an_interval_is_that_of_a_share():
    rng, count = np.random.default_rng(0), 400
    first, second = (rng.binomial(count, rate, 20000) / count for rate in (0.3, 0.35))
    errors = [math.sqrt(rate * (1 - rate) / count) for rate in (0.3, 0.35)]
    inside = [level(Value(a - b, errors[0]), Value(-0.05, errors[1])) for a, b in zip(first, second, strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)
    assert interval(Value(0.3, errors[0])) == "30.0 ± 4.5"
    assert apart(Value(0.4, 0.01), 0.3)
    assert not apart(Value(0.32, 0.011), 0.3)
    assert not apart(0.2, Value(0.3, 0.01))


def test_standard_errors_of_shares():
    """Over test pairs; jointly over draws, of which points before the last have a fifth."""
    shares = MEASURED[
        MEASURED["metric"].str.match(r"(coherence|latent_accuracy)\.") & MEASURED["standard_error"].notna()
    ]
    ends = shares["run"].map({name: about["pairs"] for name, about in ORIGINS["runs"].items()})
    draws = np.where(shares["pairs"] == ends, 1, 0.2) * ORIGINS["budget"]["joint_samples"]
    count = np.where(shares["metric"].str.endswith(".joint"), draws, ORIGINS["data"]["test_pairs"])
    expected = np.sqrt(shares["value"] * (1 - shares["value"]) / count)
    np.testing.assert_allclose(shares["standard_error"], expected, rtol=1e-5)


def test_one_row_for_each_number():
    assert not MEASURED.duplicated(["run", "seed", "pairs", "metric"]).any()
    assert np.isfinite(MEASURED["value"]).all()


@pytest.mark.parametrize("name", ORIGINS["runs"])
def test_an_origin_is_that_of_its_run(name):
    """The settings that it names give the budget that it states and that the numbers have."""
    about = ORIGINS["runs"][name]
    settings = dict(setting.strip("'").split("=") for setting in ORIGINS["settings"] + about["settings"])
    epochs, each = (int(settings[f"train.mnist_svhn.{key}"]) for key in ("epochs", "pairs_per_epoch"))
    assert epochs * each == about["pairs"] == RUNS[name].pairs
    assert RUNS[name].points("curve.bound_validation") == list(range(each, about["pairs"] + 1, each))
    assert [about["seed"]] == RUNS[name].seeds == yaml.safe_load(settings.get("seeds", "[0]"))
    recipe = re.fullmatch(r"evaluate@mnist_svhn-(\w+)-\d", about["target"]).group(1)
    assert about["particles"] == (
        1 if recipe.startswith("mvae") else int(settings.get("train.mnist_svhn.particles", 30))
    )
    assert re.match("[0-9a-f]{7}", about["commit"])
    assert about["machine"]


def test_every_number_has_an_origin():
    assert set(RUNS) == {*ORIGINS["runs"], "classifiers", "first_updates_k_10", "first_updates_k_30"}
    for kind in ("gradients", "tails", "moments"):
        measured = {f"{kind}.{name}" for name, run in RUNS.items() if run.match(f"{kind}.*")}
        assert measured == {key for key in ORIGINS["measurements"] if key.startswith(f"{kind}.")}


def md5(path: str) -> str:
    return hashlib.md5((ROOT / path).read_bytes()).hexdigest()


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_stage_lists_what_it_imports(stage):
    module = stage["cmd"].split()[2]
    files = "(getattr(m, '__file__', None) or '' for m in list(sys.modules.values()))"
    code = f"import {module}, sys; print(*{files}, sep='\\n')"
    files = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    own = [Path(file).relative_to(ROOT) for file in files.splitlines() if file.startswith(f"{ROOT}/")]
    listed = {path for path in stage["deps"] if path.endswith(".py")}
    assert listed == {str(path) for path in own if path.parts[0] in ("mmvae", "stages", "studies")}


@pytest.mark.parametrize("name", STAGES)
def test_the_lock_is_of_the_committed_files(name):
    stage, locked = STAGES[name], LOCK[name]
    assert locked["cmd"] == stage["cmd"]
    assert {entry["path"] for entry in locked["deps"]} == set(stage["deps"])
    for entry in locked["deps"] + locked["outs"]:
        assert entry["md5"] == md5(entry["path"]), f"{entry['path']}: run dvc repro studies/estimators/dvc.yaml"


def test_the_readme_quotes_the_page():
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Results on real data") : text.index("## The real data, a GPU")]
    table = PAGE[PAGE.index("|  | pairs") :].partition("\n\n")[0]
    assert table in section
    longest = max(about["pairs"] for about in ORIGINS["runs"].values())
    quoted = f"at most {longest:,} training pairs (**{100 * longest / PAPER['pairs']:.1f} % of the paper's**)"
    assert quoted in " ".join(section.split())
    shown = PAGE + (ROOT / "docs/results_birds.md").read_text()
    assert [
        number for number in re.findall(r"\d[\d,.]*\d|\d", prose(section.replace(table, ""))) if number not in shown
    ] == []


def test_the_tables_of_real_birds_are_those_of_their_files():
    page = (ROOT / "docs/results_birds.md").read_text()
    for table in tables.markdown(ROOT / "docs/results/cub/metrics/cub.csv", "captions").split("\n\n"):
        assert table in page
