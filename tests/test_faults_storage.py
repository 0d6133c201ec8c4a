"""No room, no permission, no cache: one line that says so, nothing corrupt, and success once there is room."""

import random
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from small_disk import disk, needs_mounts, needs_protection, protected, remount
from tiny import call, locked_stage, remove_outputs, snapshot, stages_run

pytestmark = pytest.mark.faults

LARGE = {  # one stage for each kind of output, and the least that its largest file takes
    "download": 100_000,
    "pair_digits": 2000,
    "train_classifiers": 100_000,
    "train_mvae": 100_000,
    "evaluate": 500,
    "tables": 500,
    "figure3": 2000,
    "fit_cca": 2000,
    "caption_examples": 2000,
    "figure_curves": 2000,
}


@pytest.fixture(scope="module")
def whole(finished_project) -> dict[str, bytes]:
    return snapshot(finished_project[0])


@pytest.fixture
def clone(finished_project, tmp_path) -> Path:
    """A bare clone of the finished project."""
    call(tmp_path, "git", "clone", "-q", str(finished_project[0]), "clone")
    return tmp_path / "clone"


def one_line(output: str) -> bool:
    """The last thing said is one line of the project's own errors, and nothing else went wrong."""
    return "Traceback" not in output and "cannot be written" in output.strip().splitlines()[-1]


@pytest.mark.parametrize("name", LARGE)
def test_a_file_larger_than_there_is_room_for(name, stage_server, finished_project, whole, work, fault):
    stage = locked_stage(finished_project[0], name)
    for limit in (0, random.Random(name).randrange(1, LARGE[name])):
        with fault("storage: no room for an output"):
            remove_outputs(work, stage)
            status, output = stage_server.run(work, stage["cmd"], size_limit=limit)
            assert (status, one_line(output)) == (1, True), output
            found = snapshot(work)
            assert found == {path: whole[path] for path in found}
            assert not list(work.rglob("*.partial.*"))
    status, output = stage_server.run(work, stage["cmd"])
    assert (status, snapshot(work)) == (0, whole), output


@needs_protection
def test_a_read_only_folder(stage_server, finished_project, whole, work, fault):
    stage = locked_stage(finished_project[0], "train_mvae")
    remove_outputs(work, stage)
    with fault("storage: a read-only folder"):
        with protected((work / stage["outs"][0]["path"]).parent) as reason:
            status, output = stage_server.run(work, stage["cmd"])
        assert (status, one_line(output)) == (1, True), output
        assert reason in output
        status, output = stage_server.run(work, stage["cmd"])
        assert (status, snapshot(work)) == (0, whole), output


@needs_mounts
def test_a_full_disk_under_dvc(clone, whole, tmp_path, fault):
    """At first there is no room for the outputs, then none for DVC's copies of them."""
    with disk(tmp_path / "disk", 500 * 1024) as mounted:
        project = mounted / "project"
        shutil.copytree(clone, project)
        used = int(subprocess.run(["du", "-sk", project], capture_output=True, text=True).stdout.split()[0])
        with ExitStack() as faults:
            for megabytes in (2, 12):
                faults.enter_context(fault("storage: a full disk under dvc repro"))
                remount(mounted, f"size={used + megabytes * 1024}k")
                output = call(project, "dvc", "repro", "pair_digits@digits", fails=True)
                assert "No space left on device" in output or "cannot be written" in output
                call(project, sys.executable, "-m", "stages.recover")
            remount(mounted, "size=500m")
            call(project, "dvc", "repro", "pair_digits@digits")
            found = snapshot(project)
            assert found == {path: whole[path] for path in found}
            assert "data/pairs/digits.npz" in found


def test_a_cache_that_vanished(finished_project, whole, tmp_path, fault):
    project = tmp_path / "project"
    shutil.copytree(finished_project[0], project, symlinks=True)
    with fault("storage: the cache vanished"):
        shutil.rmtree(project / ".dvc/cache")
        call(project, "dvc", "commit", "-f")
        assert stages_run(call(project, "dvc", "repro")) == set()
        assert snapshot(project) == whole
    with fault("storage: the cache and an output vanished"):
        shutil.rmtree(project / ".dvc/cache")
        (project / "data/pairs/digits.npz").unlink()
        assert "pair_digits@digits" in stages_run(call(project, "dvc", "repro", "pair_digits@digits"))
        assert snapshot(project) == whole
