"""What surrounds the tests: the caller's variables change nothing, and the environment follows the requirements."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

EXPORTED = {
    "DVC_ROOT": "/nowhere",
    "GIT_DIR": "/nowhere",
    "GIT_INDEX_FILE": "/nowhere",
    "MPLBACKEND": "nonsense",
    "OMP_NUM_THREADS": "3",
    "PYTHONHASHSEED": "7",
    "PYTHONPATH": "/nowhere",
    "TQDM_DISABLE": "1",
}
SENSITIVE = (  # to progress bars, to git, to DVC and to matplotlib
    "faults/test_download_places.py::test_a_stage_stopped_in_mid_download",
    "faults/test_stopped.py::test_a_stage_ends_with_its_parent",
    "test_recover.py::test_a_lock_that_only_the_last_commit_has",
    "test_params.py::test_what_dvc_writes_is_what_is_read",
    "test_figures.py::test_a_rare_colour_survives_the_palette",
)


@pytest.mark.slow
def test_whatever_the_caller_exports():
    tests = [str(ROOT / "tests" / name) for name in SENSITIVE]
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | EXPORTED, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "passed" in done.stdout


@pytest.mark.parametrize("changed", ["requirements.txt", "requirements-dev.txt", "constraints.txt", "pyproject.toml"])
def test_the_environment_is_made_again_when_requirements_change(changed, tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for i, name in enumerate(("requirements.txt", "requirements-dev.txt", "constraints.txt", "pyproject.toml")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (i, i))
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in ("bin/python", "installed"):
        (tmp_path / ".venv" / name).touch()
    for target in ("repro", "test", "quick", "lint", "paper"):
        plan = ["make", "--dry-run", target]
        assert (
            "pip install" not in subprocess.run(plan, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        )
        plan += ["--what-if", changed]
        assert "pip install" in subprocess.run(plan, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
