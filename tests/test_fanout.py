"""The pipeline in parallel leaves what a serial `dvc repro` leaves, byte for byte."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from dvc.dvcfile import Lockfile
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from tiny import call, snapshot
from trivial import fanout, ran, state, write_trivial

from fanout import machine
from fanout.listing import PERHAPS, would_do
from fanout.locks import _in_run_cache

TWO_EXECUTORS = """
import argparse, json, os, sys
from pathlib import Path
from fanout.jobs import Job
from fanout.local import Executor
for threads in (1, 2):
    Path("params.yaml").write_text(f"threads: {threads}")
    with Executor(argparse.Namespace(jobs=2, gpus=None)) as executor:
        command = "echo $OMP_NUM_THREADS $DVC_STAGE $CUDA_VISIBLE_DEVICES; exit"
        jobs = [Job(f"job{i}", f"{command} {i}", gpu=True) for i in (0, 3)]
        ends = [executor.submit(job, Path.cwd() / f"{job.name}_{threads}") for job in jobs]
        print(*(end.result().status for end in ends))
"""


@pytest.mark.parametrize("gpus", ["", "7"])
def test_jobs_have_the_threads_of_their_executor_and_a_gpu_where_there_is_one(gpus, tmp_path):
    """Each executor has processes of its own, since libraries read the number of threads when they are loaded."""
    paths = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": gpus}
    assert call(tmp_path, "python", "-c", TWO_EXECUTORS, **paths) == "0 3\n0 3\n"
    for threads in (1, 2):
        for number in (0, 3):
            printed = (tmp_path / f"job{number}_{threads}").read_text().split()
            assert printed == [str(threads), f"job{number}", *gpus]


@pytest.fixture(scope="module")
def serial(tmp_path_factory) -> Path:
    """A trivial pipeline that DVC has run."""
    folder = write_trivial(tmp_path_factory.mktemp("serial") / "project", 3)
    call(folder, "dvc", "repro")
    return folder


@pytest.fixture
def project(tmp_path) -> Path:
    """The same, not run."""
    return write_trivial(tmp_path / "project", 3)


@pytest.fixture
def finished(serial, tmp_path) -> Path:
    """A copy that DVC has run, with its results committed."""
    folder = shutil.copytree(serial, tmp_path / "finished")
    call(folder, "git", "commit", "-qam", "results")
    ran(folder)
    return folder


def test_all_is_as_after_a_serial_run(project, serial):
    output = fanout(project, "--jobs", "3")
    assert state(project) == state(serial)
    assert call(project, "git", "status", "--short") == call(serial, "git", "status", "--short")
    assert "[8/8] last: ran, 0 s" in output
    assert len(ran(project)) == 8
    assert "8 unchanged" in fanout(project)
    assert call(project, "dvc", "status").strip() == "Data and pipelines are up to date."
    assert ran(project) == []


def test_what_was_run_before_is_restored(project):
    fanout(project)
    (project / "dvc.lock").unlink()
    for path in project.glob("*_*.txt"):
        path.unlink()
    ran(project)
    output = fanout(project)
    assert ran(project) == ["source"]  # which persists, so that DVC's run-cache does not know it
    assert "1 ran, 7 restored" in output


def test_results_of_another_kind_of_processor_are_not_taken_in_silence(project):
    fanout(project, "first@0")
    kinds = list((project / ".dvc/cache/machines").iterdir())
    assert [path.read_text().strip() for path in kinds] == [machine.kind()]
    kinds[0].write_text("Abacus 1\n")
    (project / "first_0.txt").unlink()
    (project / "dvc.lock").unlink()
    assert f"made by Abacus 1, not by this machine's {machine.kind()}" in fanout(project, "first@0")


def test_a_target_and_what_it_needs(project):
    fanout(project, "second@1")
    assert ran(project) == ["source", "first@1", "second@1"]


def test_a_change_reruns_what_depends_on_it(finished, tmp_path):
    expected = shutil.copytree(finished, tmp_path / "expected")
    for folder in (finished, expected):
        (folder / "params.yaml").write_text("value: 2\n")
    assert "8 ran" in fanout(finished)
    call(expected, "dvc", "repro")
    assert state(finished) == state(expected)


def test_the_place_of_an_entry_that_is_there_stays(project, tmp_path):
    """As DVC replaces it where it is."""
    call(project, "dvc", "repro", "second@2")
    expected = shutil.copytree(project, tmp_path / "expected")
    fanout(project)
    call(expected, "dvc", "repro")
    assert state(project) == state(expected)


def test_a_stage_that_fails(project, serial):
    (project / "failing").write_text("1\n")
    output = fanout(project, fails=True)
    assert sorted(ran(project)) == ["first@0", "first@1", "first@2", "second@0", "second@2", "source"]
    assert "first@1 failed: failed to run:" in output
    assert "exited with 1" in output
    assert "not run, since they need what failed: second@1, last" in output
    assert (project / ".dvc/tmp/fanout/first@1.log").exists()
    (project / "failing").unlink()
    fanout(project)
    assert ran(project) == ["first@1", "second@1", "last"]
    assert state(project) == state(serial)


def test_a_stage_that_fails_before_it_starts_has_printed_nothing(finished):
    log = finished / ".dvc/tmp/fanout/last.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("of an earlier run\n")
    text = (finished / "dvc.yaml").read_text()
    (finished / "dvc.yaml").write_text(text.replace("- second_2.txt\n    metrics", "- missing.txt\n    metrics"))
    output = fanout(finished, fails=True)
    assert "last failed: " in output
    assert "of an earlier run" not in output


def test_what_a_stage_that_fails_has_printed(project):
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("cat first_", "echo 'No luck.' && false && cat first_"))
    output = fanout(project, "second@0", fails=True)
    assert "    No luck.\n" in output
    assert "all that it printed: " in output


def listed(folder: Path) -> list[str]:
    """Each stage of which a run would do something, and what."""
    with Repo(folder) as repo:
        return [f"{stage.addressing}: {what}" for stage, what in would_do(repo, None).items()]


def test_dry_lists_what_would_run(project, finished, monkeypatch):
    lines = fanout(project, "--dry").splitlines()
    assert lines[:2] == ["source: run", "first@0: run"]
    assert lines[-1] == "8 of the stages"
    assert ran(project) == []
    monkeypatch.chdir(finished)
    assert listed(finished) == []
    (finished / "params.yaml").write_text("value: 2\n")
    assert listed(finished)[:2] == ["source: run", f"first@0: {PERHAPS}"]
    (finished / "params.yaml").write_text("value: 1\n")
    (finished / "second_1.txt").unlink()
    assert listed(finished) == ["second@1: restore", f"last: {PERHAPS}"]


def experiments(folder: Path) -> dict[int, dict[str, str]]:
    """Value -> the files of the experiment with it, of those that `dvc exp show` knows."""
    _, baseline = json.loads(call(folder, "dvc", "exp", "show", "--json"))
    found = {}
    for experiment in baseline["experiments"] or []:
        revision = experiment["revs"][0]
        assert revision["data"]["metrics"]["last.json"]["data"]["sum"] == 3
        files = ("dvc.lock", "params.yaml", "last.json", ".gitignore")
        content = {name: call(folder, "git", "show", f"{revision['rev']}:{name}") for name in files}
        found[revision["data"]["params"]["params.yaml"]["data"]["value"]] = content
    return found


@pytest.mark.slow
def test_an_experiment_and_a_grid_equal_what_dvc_makes_of_them(finished, tmp_path):
    expected = shutil.copytree(finished, tmp_path / "expected")
    call(expected, "dvc", "exp", "run", "-S", "value=2")
    for _ in range(2):  # the second time there is nothing to do
        fanout(finished, "-S", "value=2")
        assert state(finished) == state(expected)
    assert call(finished, "git", "branch", "--show-current") == "main\n"
    for folder in (finished, expected):
        call(folder, "git", "checkout", "-q", ".")
        call(folder, "dvc", "exp", "remove", "-A", "-q")
    for value in (3, 4):
        call(expected, "dvc", "exp", "run", "--temp", "-S", f"value={value}")
    fanout(finished, "-S", "value=3,4")
    assert state(finished)["params.yaml"] == b"value: 1\n", "a grid leaves the workspace alone"
    assert experiments(finished) == experiments(expected)
    assert set(experiments(finished)) == {3, 4}


@pytest.mark.slow
def test_experiments_have_a_dvc_lock_that_git_did_not_know(project):
    fanout(project, "-S", "value=2")
    call(project, "git", "checkout", "-q", ".")
    (project / "dvc.lock").unlink()
    fanout(project, "-S", "value=3,4")
    found = experiments(project)
    assert set(found) == {2, 3, 4}
    assert all(f"value: {value}\n" in files["dvc.lock"] for value, files in found.items())


def test_a_dependency_outside_of_the_project(project, tmp_path):
    (tmp_path / "outside.txt").write_text("1")
    text = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(text.replace("    - source.txt\n    outs", "    - ../outside.txt\n    outs"))
    (project / "source.txt").write_text("1\n")
    fanout(project, "first@0")
    assert ran(project) == ["first@0"]


def test_what_the_run_cache_does_not_keep(finished):
    text = (finished / "dvc.yaml").read_text()
    (finished / "dvc.yaml").write_text(
        text.replace("- second_${item.i}.txt\n  first", "- second_${item.i}.txt: {cache: false}\n  first")
    )
    with Repo(finished) as repo:
        assert {stage.name for stage in repo.index.stages if _in_run_cache(stage)} == {
            "first@0",
            "first@1",
            "first@2",
            "last",
        }


@pytest.mark.slow
def test_200_stages_on_8_workers(tmp_path, monkeypatch):
    """A serial run would take minutes, most of them for dvc.lock. DVC says itself what that would be at the end."""
    folder = write_trivial(tmp_path / "many", 99)
    output = fanout(folder, "--jobs", "8")
    assert "200 ran" in output
    assert len(output.splitlines()) == 202
    monkeypatch.chdir(folder)
    with Repo() as repo:
        stages = plan_repro(get_active_graph(repo.index.graph))
        expected = Lockfile(repo, str(tmp_path / "dvc.lock"))
        expected.dump_stages(stages)
        outs = [f"/{out.def_path}" for stage in stages for out in stage.outs if out.use_cache]
        with repo.lock:
            assert not any(stage.status() for stage in stages)
    assert Path("dvc.lock").read_bytes() == Path(expected.path).read_bytes()
    assert Path(".gitignore").read_text().split()[2:] == outs


@pytest.mark.slow
def test_the_tiny_pipeline(finished_project, tmp_path, monkeypatch):
    """Fanout has run all of it. DVC runs a part, from before there were results, and gives the order."""
    folder, output = finished_project
    assert " ran; " in output
    assert "Traceback" not in (folder / ".dvc/tmp/fanout/train@digits-mmvae-0.log").read_text()
    call(tmp_path, "git", "clone", "-q", str(folder), "project")
    project = tmp_path / "project"
    call(project, "git", "checkout", "-q", "HEAD~1")
    call(project, "dvc", "repro", "figure3@digits", "train@digits-mmvae-0")
    found, whole = snapshot(project), snapshot(folder)
    made, every = (yaml.safe_load(files.pop("dvc.lock"))["stages"] for files in (found, whole))
    assert {"plots/digits/figure3_pairs.png", "plots/digits/curves/mmvae_0.csv"} < set(found)
    assert found.items() < whole.items()
    assert made.items() < every.items()
    monkeypatch.chdir(folder)
    with Repo() as repo:
        assert list(every) == [stage.addressing for stage in plan_repro(get_active_graph(repo.index.graph))]
