"""What the command line of `python -m fanout` takes, and what it says of a mistake."""

import re
from pathlib import Path

import pytest
from tiny import call
from trivial import fanout, ran, write_trivial

from fanout.__main__ import alone
from fanout.experiments import combinations


@pytest.fixture
def project(tmp_path) -> Path:
    """A trivial pipeline, not run."""
    return write_trivial(tmp_path / "project", 3)


def test_settings_and_their_combinations():
    assert combinations(["a=1", "b=[1,2]"]) == [["a=1", "b=[1,2]"]]
    assert combinations(["a=1,2", "b=[1,2],[3]", "other.yaml:c=4"]) == [
        [f"params.yaml:a={a}", f"params.yaml:b={b}", "other.yaml:c=4"] for a in (1, 2) for b in ("[1,2]", "[3]")
    ]


def test_a_wrong_setting_is_one_line(project):
    assert "ERROR: Invalid `--set-param` value: Could not override 'valu'" in fanout(
        project, "-S", "valu=3", fails=True
    )
    assert ran(project) == []


MISTAKES = {
    "--on moon": "--on moon: there is no such place; there are local, ray and slurm",
    "--on leader": "--on leader: there is no such place; there are local, ray and slurm",
    "--partition gpu": "--partition is for --on slurm, not for --on local",
    "--on slurm --remote lab": "--remote is for --on ray, not for --on slurm",
    "-S value": "ERROR: -S value: this is no KEY=VALUE that hydra can read",
}


def test_a_subfolder_is_not_the_project(project):
    (project / "sub").mkdir()
    said = fanout(project / "sub", fails=True)
    assert said == f"Run it in {project}, the project's folder; sub/dvc.yaml as a target means the stages of this one\n"


@pytest.mark.parametrize("given", MISTAKES)
def test_a_mistake_on_the_command_line_is_one_line(given, project):
    assert fanout(project, *given.split(), fails=True) == f"{MISTAKES[given]}\n"


def test_a_second_leader_with_a_cluster_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with alone("slurm"), alone("local"), pytest.raises(SystemExit, match="Wait for its end"), alone("ray:auto"):
            pass


def test_an_experiment_without_a_commit_is_one_line(tmp_path):
    folder = write_trivial(tmp_path / "project", 3)
    call(folder, "git", "update-ref", "-d", "HEAD")
    assert re.search(r"^ERROR: .*\n\Z", fanout(folder, "-S", "value=2", fails=True), re.MULTILINE)
