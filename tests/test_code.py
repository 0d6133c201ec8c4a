"""What a line of code reruns, and what a new run, kind or metric adds."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from dvc.repo import Repo

from mmvae import closure, params, runs

MINE = '''
"""As BiVCCA."""

from mmvae.models import bivcca

MODEL, Options, phases = bivcca.MODEL, bivcca.Options, bivcca.phases
'''


@pytest.fixture
def clone(tmp_path):
    """The project's code and parameters in a repository of their own."""
    for name in ("mmvae", "stages", "dvc.yaml", "params.yaml", ".dvcignore", ".dvc/config"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, target, ignore=ignored) if (ROOT / name).is_dir() else shutil.copy(
            ROOT / name, target
        )
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def definitions(folder: Path) -> dict[str, str]:
    """What every stage of the graph runs, reads, writes and depends on, by name."""
    with Repo(str(folder)) as repo:
        return {stage.addressing.split(":")[-1]: repr(stage.dumpd()) for stage in repo.index.stages}


def code(folder: Path) -> dict[str, str]:
    """What `stages.code_hashes` writes."""
    subprocess.run([sys.executable, "-m", "stages.code_hashes"], cwd=folder, check=True)
    return {str(path.relative_to(folder)): path.read_text() for path in sorted((folder / "code").rglob("*.txt"))}


@pytest.mark.slow
def test_a_new_run_is_one_file_and_one_entry_and_adds_its_own_stages_only(clone):
    stages, hashes = definitions(clone), code(clone)
    (clone / "mmvae/models/mine.py").write_text(MINE)
    text = (clone / "params.yaml").read_text()
    entry = "  own_objective:\n    mine:\n      model: mine\n"
    (clone / "params.yaml").write_text(text.replace("  own_objective:\n", entry, 1))
    added = definitions(clone)
    assert added.keys() - stages.keys() == {"train_own@digits-mine-0", "evaluate_own@digits-mine-0"}
    assert all(added[name] == stage for name, stage in stages.items())
    assert code(clone).items() - hashes.items() == {
        ("code/digits/runs/mine.txt", (clone / "code/digits/runs/mine.txt").read_text())
    }


def changed_code(clone: Path, file: str, change: tuple[str, str]) -> set[str]:
    before, path = code(clone), clone / file
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    return {name for name, value in code(clone).items() if before.get(name) != value}


@pytest.mark.slow
def test_a_comment_or_a_docstring_changes_no_code(clone):
    path = "mmvae/training/loop.py"
    assert not changed_code(clone, path, ("import math\n", "import math  # for isfinite\n"))
    assert not changed_code(clone, path, ('"""One training loop', '"""The training loop'))


@pytest.mark.slow
def test_a_new_metric_evaluates_and_trains_nothing(clone):
    (clone / "mmvae/metrics/digits/nothing.py").write_text("def measure(model, test):\n    return {}\n")
    with_it = code(clone)
    (clone / "mmvae/metrics/digits/nothing.py").unlink()
    without = code(clone)
    changed = {name for name in with_it if with_it[name] != without.get(name)}
    assert "code/digits/evaluate.txt" in changed
    assert all("evaluate" in name for name in changed)


@pytest.mark.slow
def test_a_kind_changes_the_code_of_the_runs_that_use_it(clone):
    changed = changed_code(clone, "mmvae/kinds/pixels.py", ("= 64\n", "= 32\n"))
    assert changed == {f"code/birds/runs/{run}_pixels.txt" for run in ("mmvae", "mvae", "vae")}


def test_the_closure_of_a_run_is_what_it_loads():
    """Names that are put together while a program runs are those of kinds, models and datasets alone.

    And those of mmvae.live, which watches and changes nothing (test_live.py), and of its trackers.
    """
    for run in runs.of_set(params.load(ROOT / "params.yaml"), "digits").values():
        known = closure.closure("mmvae.training.run", "mmvae.datasets.digits", *run.modules)
        assert {"mmvae.training.loop", f"mmvae.models.{run.entry.model}"} <= set(known)
    sources = {path.name for path in (ROOT / "mmvae").rglob("*.py") if "import_module(" in path.read_text()}
    others = {"live.py", "efficientnet_lite0.py"}  # which load optional packages
    assert sources == {"registry.py", "__init__.py", "run.py"} | others  # __init__ names what others hold, for users
