"""No room, no permission, no cache: one line that says so, nothing corrupt, and success once there is room."""

import random
import shutil

import pytest
from tiny import call, locked_stage, remove_outputs, snapshot, stages_run

LARGE = {  # one stage for each kind of output, and the least that its largest file takes
    "download": 100_000,
    "pair_digits": 2000,
    "train_own": 100_000,
    "evaluate": 500,
    "tables": 500,
    "figure3": 2000,
    "caption_examples": 2000,
}


@pytest.fixture(scope="module")
def whole(finished_project) -> dict[str, bytes]:
    return snapshot(finished_project[0])


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
            assert not list(work.rglob("*.partial*"))
    status, output = stage_server.run(work, stage["cmd"])
    assert (status, snapshot(work)) == (0, whole), output


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
        (project / "data/params_checked.txt").unlink()
        assert "check_params" in stages_run(call(project, "dvc", "repro", "check_params"))
        assert snapshot(project) == whole
