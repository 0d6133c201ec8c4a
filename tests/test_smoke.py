"""The whole pipeline, tiny, in a repository of its own: it runs, rests, reruns what it should, and refuses mistakes."""

import shutil

import pytest
import yaml
from tiny import call, loaded, snapshot, stages_run

from mmvae import params, registry
from mmvae.closure import closure
from stages import code_hashes


@pytest.fixture(scope="module")
def project(finished_project, tmp_path_factory):
    """A finished tiny project of these tests' own, and what its first run printed."""
    folder, output = finished_project
    own = tmp_path_factory.mktemp("smoke") / "a project"
    shutil.copytree(folder, own, symlinks=True)
    return own, output


def locked(folder) -> dict:
    """All stages of dvc.lock."""
    return yaml.load((folder / "dvc.lock").read_text(), yaml.CSafeLoader)["stages"]


def outside(folder, command: str, names: list[str], stages: dict) -> set[str]:
    """The modules that a stage loaded and that are in no file of code/ on which it depends.

    But for train, a stage may look up the shape of any kind of its data set: data of another shape are refused. Only
    train loads what watches it, which changes no output.
    """
    covers = code_hashes.modules(params.load(folder / "params.yaml"))
    (stage,) = [stage for stage in stages.values() if stage["cmd"].removeprefix("python ") == command]
    files = [dep["path"].removeprefix("code/") for dep in stage["deps"] if dep["path"].startswith("code/")]
    known = [name for file in files for name in covers[file]]
    if "stages.train " in command:
        known += ["mmvae.live"]
    else:
        kinds = registry.find("datasets", command.split()[3]).MODALITIES.values()
        known += [f"mmvae.kinds.{kind}" for kind in kinds]
    return set(names) - set(closure(*known)) - {"mmvae"}


UNCHANGED = (
    "-m stages.code_hashes",
    "-m stages.check_params",
)  # read every file, and write the same whatever they import


class TestProject:
    def test_everything_is_made(self, project):
        folder, output = project
        stages = locked(folder)
        assert stages_run(output) == set(stages)
        assert all((folder / out["path"]).exists() for stage in stages.values() for out in stage["outs"])
        assert not list(folder.rglob("*.partial*"))

    def test_a_stage_loads_only_code_that_it_depends_on(self, finished_project):
        folder, _ = finished_project
        stages = locked(folder)
        records = [path.read_text().splitlines() for path in loaded(folder).iterdir()]
        assert {f"python {command}" for command, *_ in records} == {stage["cmd"] for stage in stages.values()}
        found = {c: outside(folder, c, names, stages) for c, *names in records if c not in UNCHANGED}
        assert {command: names for command, names in found.items() if names} == {}

    def test_a_bare_clone_is_up_to_date_and_shows_results(self, project, tmp_path):
        folder, _ = project
        call(tmp_path, "git", "clone", "-q", str(folder), "clone")
        clone = tmp_path / "clone"
        assert stages_run(call(clone, "dvc", "repro", "--dry", "--allow-missing")) == set()
        assert "coherence.mmvae.handwritten_to_plates" in call(clone, "dvc", "metrics", "show")
        assert "index.html" in call(clone, "dvc", "plots", "show")

    def test_a_wrong_parameter_touches_nothing(self, project):
        folder, _ = project
        before = snapshot(folder)
        output = call(folder, "dvc", "exp", "run", "-S", "objective=drge", fails=True)
        call(folder, "git", "checkout", "-q", "params.yaml")
        assert "ParamsError: objective is 'drge': it should be 'elbo', 'iwae'" in output
        assert stages_run(output) == {"check_params"}
        assert snapshot(folder) == before

    def test_a_mirror_that_is_not_there_touches_nothing(self, project):
        """`dvc exp run` itself moves the outputs of a set that is no longer listed to the cache: `dvc checkout`."""
        folder, _ = project
        before = snapshot(folder)
        sets = ("-S", "digit_sets=[mnist_svhn]", "-S", "download.mirror=nowhere")
        output = call(folder, "dvc", "exp", "run", *sets, fails=True)
        assert "DownloadError: SHA256SUMS could not be had from nowhere/SHA256SUMS" in output
        assert stages_run(output) == {"code", "check_params", "download@mnist_svhn"}
        call(folder, "git", "checkout", "-q", "HEAD", ".")
        call(folder, "dvc", "checkout")
        call(folder, "dvc", "repro", "-s", "code")
        assert snapshot(folder) == before

    def test_another_objective_reruns_what_depends_on_it(self, project):
        """Last: it changes the project. Of two runs; test_pipeline.py has all stages."""
        folder, _ = project
        targets = ("evaluate@digits-mmvae-0", "evaluate_own@digits-mvae-0")
        output = call(folder, "python", "-m", "fanout", "-S", "objective=dreg_iwae", *targets)
        assert stages_run(output) == {"check_params", "train@digits-mmvae-0", "evaluate@digits-mmvae-0"}
