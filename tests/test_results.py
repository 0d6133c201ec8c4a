"""docs/results.md: every number comes from a file beside it, and every file says what it was computed with."""

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from benchmarks.results import SET, leaves
from conftest import ROOT
from scipy import stats

from benchmarks import page
from mmvae import config
from mmvae.files import FileError, read_csv
from mmvae.report import report

TEMPLATE = page.TEMPLATE.read_text(encoding="utf-8")
FILES = sorted(page.FOLDER.rglob("*.json"))
RUNS = [path for path in FILES if path.parent.name == "runs"]
NAMED = re.compile(  # what a digit may stand for besides a result
    r"(Tables?|Figures?|Section|Appendix|finding|eq\.|NeurIPS) ?\(?[\dA-E]+(, [\d]+)*( and \d+)?\)?"
    r"|ln 10|95 % interval"
)


def prose(template: str) -> str:
    """The template without fields, code, addresses and what has a number for a name."""
    for pattern in (page.FIELD, re.compile(r"```.*?```", re.DOTALL), r"`[^`]*`", r"\]\([^)]*\)", NAMED):
        template = re.sub(pattern, "", template)
    return template


def test_the_page_is_what_its_template_and_files_say():
    assert page.render(TEMPLATE) == page.PAGE.read_text(encoding="utf-8"), "run python -m benchmarks.page"


def test_no_number_of_the_page_is_typed():
    assert re.findall(r".{0,30}\d.{0,20}", prose(TEMPLATE)) == []
    assert prose("had 12.3 %, K = 30, and `{{ runs/a b share }}`, Table 2") == "had 12.3 %, K = 30, and , "


def test_no_length_of_a_run_is_typed():
    """A longer run must not leave the numbers of a shorter one under its name."""
    places = [field.group(2) for field in page.FIELD.finditer(TEMPLATE)]
    assert [place for place in places if re.search(r"\d{4,}", place)] == []


def test_the_readme_quotes_the_page():
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Results on real data") : text.index("## The real data, a GPU")]
    assert page.table_summary() in section
    length = "{{ lengths longest int }}"
    share = "{{ runs/iwae_seeds-mmvae_loose budget.share_of_the_papers_pairs share }}"
    assert page.render(f"at most {length} training pairs (**{share} % of the paper's**)") in " ".join(section.split())
    rest = prose(section.replace(page.table_summary(), ""))
    shown = page.render(TEMPLATE) + (ROOT / "docs/results_birds.md").read_text()
    assert [number for number in re.findall(r"\d[\d,.]*\d|\d", rest) if number not in shown] == []


def test_a_field_is_filled_from_its_place():
    content = json.loads((page.FOLDER / "paper.json").read_text())
    expected = f"{100 * content['table2']['mmvae']['joint']:.1f} and {content['pairs']:,}"
    assert page.render("{{ paper table2.mmvae.joint share }} and {{ paper pairs int }}") == expected
    with pytest.raises(FileError, match="has no 'nothing'"):
        page.render("{{ paper table2.mmvae.nothing share }}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_file_says_what_it_was_computed_with(path):
    content = json.loads(path.read_text())
    if path.stem == "paper":
        assert content["source"].startswith("Shi")
        return
    assert content["command"]
    assert content["commit"]
    assert content["machine"]
    assert content["seeds"]
    assert content["data"]["training_pairs"] > 100_000
    assert content["data"]["test_pairs"] == 3417
    assert "mirror" in content["data"]["source"]
    assert content["budget"]["updates"] > 0


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_the_command_of_a_row_is_one_that_runs(path, tmp_path):
    """Its settings make a valid params.yaml, and its target is an item of a stage."""
    content = json.loads(path.read_text())
    words = shlex.split(content["command"])
    settings = dict(word.split("=", 1) for flag, word in pairwise(words) if flag == "-S")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(settings) <= set(dict(leaves(params)))
    for key, value in settings.items():
        *sections, last = key.split(".")
        place = params
        for section in sections:
            place = place[section]
        place[last] = yaml.safe_load(value)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    checked = config.load(tmp_path / "params.yaml")
    train, budget = checked.train[SET], content["budget"]
    assert checked.digit_sets == (SET,)
    assert budget["pairs"] == train.epochs * train.pairs_per_epoch
    particles = 1 if path.stem.partition("-")[2].startswith("mvae_") else train.particles
    assert (budget["batch_size"], budget["particles"]) == (train.batch_size, particles)
    stage, item = words[-1].split("@")
    data_set, run, seed = item.split("-")
    assert stage == "evaluate"
    assert (data_set, int(seed)) == (SET, content["seeds"][0])
    assert run in config.RUNS
    assert path.stem.endswith(f"-{run}")


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_the_curves_beside_a_row_end_at_its_numbers(path):
    content = json.loads(path.read_text())
    for seed in content["seeds"]:
        curve, learned = (read_csv(page.FOLDER / f"{kind}/{path.stem}-{seed}.csv") for kind in ("curves", "learning"))
        assert curve[-1]["pairs"] == learned[-1]["pairs"] == content["budget"]["pairs"]
        ends = {key: leaf["seeds"][str(seed)] for key, leaf in content["curve_end"].items()}
        assert ends == pytest.approx({key: curve[-1][key] for key in ends}, rel=1e-5)
        seen = content["coherence"]["strong"]
        for key in seen.get("cross", {}):
            assert learned[-1][key] == pytest.approx(seen["cross"][key]["seeds"][str(seed)], abs=1e-6)
        for name, kinds in content["latent_accuracy"]["single"].items():
            found = learned[-1][f"latent_accuracy_{name}"]
            assert found == pytest.approx(kinds["samples"]["seeds"][str(seed)], abs=1e-6)


def test_an_interval_is_that_of_a_share_of_test_pairs():
    rate, count = 0.3, 3417
    half = stats.norm.ppf(0.975) * stats.binom.std(count, rate) / count
    about = json.loads(RUNS[0].read_text()) | {"rate": {"mean": rate, "std": None}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "document", lambda _: about)
        assert page.interval("any", "rate") == f"30.0 ± {100 * half:.1f}"


def test_the_tables_of_real_birds_are_those_of_their_files():
    text = (ROOT / "docs/results_birds.md").read_text()
    rendered = report(Path(ROOT / "docs/results/cub/metrics"))
    tables = [part for part in rendered.split("\n\n") if part.startswith("|")]
    shown = [table for table in tables if table in text]
    assert len(shown) >= 2
    rows = {line for table in tables for line in table.splitlines()}
    assert all(line in rows for line in text.splitlines() if line.startswith("|"))
