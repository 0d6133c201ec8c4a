"""Situations in which other projects failed their users: shells, settings, merges, links, ends of jobs.

What is run is a finished tiny project's clone, as a user has it after `git clone` and `dvc pull`.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from tiny import call, locked_stage, remove_outputs, snapshot, stages_run

TRAINING = "train@digits-vae_grey-0"
WEIGHTS = "models/digits/vae_grey/0.safetensors"
TRAIN = ("-m", "stages.train", "--set", "digits", "--run", "vae_grey", "--seed", "0")


def clone(finished: Path, folder: Path, *git_options: str) -> Path:
    """A clone with the outputs of the finished project in its workspace and its cache."""
    call(finished, "git", *git_options, "clone", "-q", str(finished), str(folder))
    shutil.copytree(finished / ".dvc/cache", folder / ".dvc/cache", copy_function=os.link)
    call(folder, "dvc", "checkout", "-q", "--allow-missing")
    call(folder, "dvc", "repro", "-q", "code")
    return folder


@pytest.fixture(scope="module")
def finished(finished_project) -> Path:
    return finished_project[0]


@pytest.fixture(scope="module")
def untouched(finished, tmp_path_factory) -> Path:
    return clone(finished, tmp_path_factory.mktemp("untouched") / "project")


@pytest.fixture
def project(untouched, tmp_path) -> Path:
    return shutil.copytree(untouched, tmp_path / "project", symlinks=True)


@pytest.fixture(scope="module")
def shared(untouched, tmp_path_factory) -> Path:
    """A clone for tests that leave it as it was, or change what no other test looks at."""
    return shutil.copytree(untouched, tmp_path_factory.mktemp("shared") / "project", symlinks=True)


def set_parameters(folder: Path, **values: object) -> None:
    """Change top-level parameters."""
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | values, sort_keys=False))


def recover(folder: Path, fails: bool = False) -> str:
    return call(folder, sys.executable, "-m", "stages.recover", fails=fails)


# ----------------------------------------------------------------------------------------------- 1: a path with a space
STUB = '#!/bin/sh\nprintf \'[%s]\' "$0" "$@" >> calls; echo >> calls\n'


@pytest.fixture
def spaced(tmp_path) -> Path:
    """The Makefile and what it looks at, in a folder whose name a shell would take apart."""
    folder = tmp_path / "a b's $HOME & (c) #1 [d];e 100%"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    stub = folder / ".venv/bin/python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    return folder


@pytest.mark.parametrize("target", ["repro", "test", "quick", "lint", "paper"])
def test_row_01_any_folder(target, spaced, fault):
    with fault("field: a path with a space"):
        call(spaced, "make", target)
        calls = (spaced / "calls").read_text().splitlines()
        assert (spaced / ".venv/installed").exists()
        assert all(line.startswith(("[.venv/bin/python][-m]", "[.venv/bin/python][-c]")) for line in calls)
        assert "[-r][requirements-dev.txt]" in calls[0]
        assert len(calls) > 2


def test_row_01_a_colon_is_refused(spaced, fault):
    folder = spaced.rename(spaced.with_name("a:b"))
    with fault("field: a path with a colon"):
        lines = call(folder, "make", "repro", fails=True).splitlines()
        assert len(lines) == 1
        assert "a:b" in lines[0]
        assert "colon" in lines[0]


def test_row_01_another_python(spaced, fault):
    """The link of the virtual environment leads nowhere after an upgrade of the system."""
    (spaced / ".venv/bin/python").unlink()
    (spaced / ".venv/bin/python").symlink_to("/nowhere/python")
    (spaced / ".venv/installed").touch()
    with fault("field: the environment's Python is gone"):
        plan = call(spaced, "make", "--dry-run", "repro", "PYTHON=python3.99")
        assert "python3.99 -m venv --clear .venv" in plan


# --------------------------------------------------------------------------------------- 2: shells that are not like sh
SHELLS = {"fish": "elbo", "tcsh": "stl_iwae", "zsh": "dreg_iwae", "dash": "dreg_mixture"}


@pytest.mark.parametrize("shell", SHELLS)
def test_row_02_any_shell(shell, shared, fault):
    executable = shutil.which(shell)
    if executable is None:
        pytest.skip(f"{shell} is not installed")
    set_parameters(shared, objective=SHELLS[shell])
    with fault(f"field: {shell} as the login shell"):
        output = call(shared, "dvc", "repro", "-s", "check_params", SHELL=executable)
        assert stages_run(output) == {"check_params"}
        assert (shared / "data/params_checked.txt").exists()  # DVC has removed it before


def test_row_02_commands_need_no_shell():
    """No variable, quote, pattern or operator that some shell reads in its own way."""
    for folder in (ROOT, ROOT / "studies/estimators", ROOT / "studies/estimators/measure"):
        for name, stage in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].items():
            command = re.sub(r"\$\{[\w.\[\]]+\}", "x", stage.get("do", stage)["cmd"])
            assert re.fullmatch(r"python -m [\w./ -]+", command.strip()), name


# ------------------------------------------------------------------------------------------------ 3: a merge, and slips
def test_row_03_a_merge(project, fault):
    for branch, objective in (("other", "elbo"), ("main", "stl_iwae")):
        call(project, "git", "checkout", "-q", "-B", branch, "origin/main")
        for name in ("params.yaml", "dvc.lock"):
            text = (project / name).read_text()
            assert "objective: iwae" in text
            (project / name).write_text(text.replace("objective: iwae", f"objective: {objective}"))
        call(project, "git", "commit", "-qam", objective)
    with fault("field: a merge"):
        call(project, "git", "merge", "other", fails=True)
        conflict = (project / "dvc.lock").read_text()
        assert "<<<<<<<" in conflict
        assert re.search("^dvc.lock has merge conflicts.*git checkout --ours", recover(project, fails=True), re.M)
        assert (project / "dvc.lock").read_text() == conflict
        call(project, "git", "checkout", "--ours", "dvc.lock", "params.yaml")
        assert recover(project) == ""


# ----------------------------------------------------------------------------------------------- 4: a stage without DVC
def test_row_04_a_stage_outlives_the_script_that_started_it(shared, fault):
    (shared / WEIGHTS).unlink()
    script = f"nohup python {' '.join(TRAIN)} > log 2>&1 &"
    with fault("field: the script that started a stage has ended"):
        call(shared, "sh", "-c", script)
        deadline = time.monotonic() + 60
        while not (shared / WEIGHTS).exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert (shared / WEIGHTS).exists(), (shared / "log").read_text()


@pytest.mark.parametrize("shell", ["fish", "tcsh", "sh"])
def test_row_04_dvc_killed_under_any_shell(shell, shared, fault):
    """Some shells stay between DVC and the stage."""
    executable = shutil.which(shell)
    if executable is None:
        pytest.skip(f"{shell} is not installed")
    child = (
        "import stages, time; stages.WATCH_EVERY = .1; stages.run(lambda: print('up', flush=True) or time.sleep(60))"
    )
    parent = f"import subprocess; subprocess.run([{executable!r}, '-c', '''python -c \"{child}\"'''])"
    command = [sys.executable, "-c", parent]
    environment = os.environ | {"DVC_ROOT": str(shared), "PYTHONPATH": str(ROOT)}
    with fault("field: dvc killed, a shell between it and the stage"):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=shared, env=environment, **pipes) as process:
            assert process.stdout.readline() == "up\n"
            process.kill()
            assert "DVC is gone; the stage ends with it." in process.stderr.read()  # until the stage has ended


# -------------------------------------------------------------------------- 5 and 11: a user's environment and settings
HOSTILE = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": "matplotlibrc",
    "PYTHONSAFEPATH": "1",
    "PYTHONHASHSEED": "7",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "default",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "LC_ALL": "C",
    "TZ": "Asia/Kathmandu",
    "COLUMNS": "20",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
}
TRIED = ("download", "train", "figure5", "train_fasttext")


def test_rows_05_and_11_the_same_bytes_whatever_is_exported(finished, shared, fault):
    whole = snapshot(finished)
    (shared / "matplotlibrc").write_text("font.size: 17\nfont.family: serif\naxes.facecolor: red\nsavefig.dpi: 30\n")
    call(shared, "git", "checkout", "-q", ".")
    call(shared, "dvc", "checkout", "-q", "-f")
    for name in TRIED:
        stage = locked_stage(shared, name)
        remove_outputs(shared, stage)
        with fault("field: a notebook's and a user's environment"):
            call(shared, *stage["cmd"].split(), **HOSTILE)
            found = snapshot(shared)
            of_stage = [path for path in whole if path.startswith(tuple(out["path"] for out in stage["outs"]))]
            assert of_stage
            assert {path: found.get(path) for path in of_stage} == {path: whole[path] for path in of_stage}


def test_row_11_a_copy_runs_its_own_code(shared, fault):
    """Under PYTHONSAFEPATH the installed project comes first."""
    with fault("field: PYTHONSAFEPATH in a copy"):
        show = "import stages.check_params, sys; print(stages.__file__)"
        assert call(shared, sys.executable, "-c", show, PYTHONSAFEPATH="1").strip() == str(
            shared / "stages/__init__.py"
        )


def test_row_11_an_editor_runs_a_file(shared, fault):
    with fault("field: a file of stages started by its path"):
        for path in sorted((ROOT / "stages").glob("[!_]*.py")):
            assert path.stem not in sys.stdlib_module_names  # that folder is then where Python looks first
        call(shared, sys.executable, "stages/check_params.py", PYTHONPATH=str(shared))


# ------------------------------------------------------------------------------------------------------------- 6: links
@pytest.mark.parametrize("name", ["data", "models", "plots"])
def test_row_06_a_folder_moved_and_linked(name, project, tmp_path, fault):
    shutil.move(project / name, tmp_path / name)
    (project / name).symlink_to(tmp_path / name)
    with fault("field: a folder of outputs moved and linked"):
        line = recover(project, fails=True)
        assert len(line.splitlines()) == 1
        assert "dvc config --local cache.dir" in line
        assert name == "plots" or call(project, "git", "status", "--porcelain") == ""


# -------------------------------------------------------------------------------------------------- 7: a terminated job
def test_row_07_a_terminated_experiment(project, fault):
    command = ["dvc", "exp", "run", "-S", "train.digits.epochs=2000", "-S", "objective=elbo", TRAINING]
    with fault("field: SIGTERM of an experiment"), (project.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=project, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 120
        while not list(project.glob(".checkpoints/*/*")) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        line = recover(project)
        assert len(line.splitlines()) == 1
        assert "HEAD is detached" in line
        back = line.split("To go back: ")[1].split()
        assert back == ["git", "checkout", "main"]
        call(project, *back)
        assert recover(project) == ""


# ----------------------------------------------------------------------------------------------- 8: git's ends of lines
def test_row_08_a_clone_with_other_ends_of_lines(finished, tmp_path, fault):
    with fault("field: core.autocrlf"):
        folder = clone(finished, tmp_path / "crlf", "-c", "core.autocrlf=true", "-c", "core.eol=crlf")
        assert stages_run(call(folder, "dvc", "repro", "--dry")) == set()
        found, whole = snapshot(folder), snapshot(finished)
        assert found == whole
