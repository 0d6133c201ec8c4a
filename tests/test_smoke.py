"""The whole pipeline, tiny, in a repository of its own: it runs, rests, reruns what it should, and refuses mistakes."""

import re
import shutil

import pytest
from tiny import call, snapshot, stages_run


@pytest.fixture(scope="module")
def project(finished_project, tmp_path_factory):
    """A finished tiny project of these tests' own, and what its first run printed."""
    folder, output = finished_project
    own = tmp_path_factory.mktemp("smoke") / "a project"
    shutil.copytree(folder, own, symlinks=True)
    return own, output


class TestProject:
    def test_everything_is_made(self, project):
        folder, output = project
        assert len(stages_run(output)) == 46
        for table in (1, 2, 3, 5):
            assert (folder / f"metrics/digits/table{table}.json").exists()
        assert len(list((folder / "plots/digits").glob("*.png"))) == 13
        for name in ("table4", "captions"):
            assert (folder / f"metrics/birds/{name}.json").exists()
        assert len(list((folder / "plots/birds").glob("*.png"))) == 9
        for model in ("mmvae", "mvae"):
            lines = (folder / f"plots/birds/examples/{model}_features.txt").read_text().splitlines()
            assert len([line for line in lines if line[:4].strip().isdigit()]) == 5 * 200
        assert not list(folder.rglob("*.partial*"))

    def test_then_nothing_runs(self, project):
        folder, _ = project
        assert stages_run(call(folder, "dvc", "repro")) == set()

    def test_a_bare_clone_is_up_to_date_and_shows_results(self, project, tmp_path):
        folder, _ = project
        call(tmp_path, "git", "clone", "-q", str(folder), "clone")
        clone = tmp_path / "clone"
        assert stages_run(call(clone, "dvc", "repro", "--dry", "--allow-missing")) == set()
        assert "mmvae.cross.handwritten_to_plates.mean" in call(clone, "dvc", "metrics", "show")
        assert "index.html" in call(clone, "dvc", "plots", "show")

    def test_a_wrong_parameter_touches_nothing(self, project):
        folder, _ = project
        before = snapshot(folder)
        output = call(folder, "dvc", "exp", "run", "-S", "objective=drge", fails=True)
        call(folder, "git", "checkout", "-q", "params.yaml")
        assert "ParamsError: params.yaml: objective is 'drge'; allowed: elbo, importance_elbo, iwae" in output
        assert stages_run(output) == {"check_params"}
        assert snapshot(folder) == before

    def test_a_mirror_that_is_not_there_touches_nothing(self, project):
        """`dvc exp run` itself moves the outputs of a set that is no longer listed to the cache: `dvc checkout`."""
        folder, _ = project
        before = snapshot(folder)
        sets = ("-S", "digit_sets=[mnist_svhn]", "-S", "download.mirror=nowhere")
        output = call(folder, "dvc", "exp", "run", *sets, fails=True)
        assert "DownloadError: SHA256SUMS could not be had from nowhere/SHA256SUMS" in output
        assert stages_run(output) == {"check_params", "download@mnist_svhn"}
        call(folder, "git", "checkout", "-q", "HEAD", ".")
        call(folder, "dvc", "checkout")
        assert snapshot(folder) == before
        assert stages_run(call(folder, "dvc", "repro")) == set()

    def test_another_objective_reruns_what_depends_on_it(self, project):
        """Last: it changes the project. Of digits alone; test_pipeline.py has all stages."""
        folder, _ = project
        output = call(folder, "dvc", "exp", "run", "-S", "objective=dreg_iwae", "tables@digits")
        trained = {"train_mmvae@digits-loose-0", "train_mmvae@digits-tight-0"}
        trained |= {"train_vae@digits-grey-0", "train_vae@digits-colour-0"}
        runs = {name for name in stages_run(output) if name.startswith(("train", "download", "p"))}
        assert runs == trained
        assert {name for name in stages_run(output) if re.search(r"(?<!m)mvae[_-]", name)} == set()
        assert "table3.json" in call(folder, "dvc", "metrics", "diff")
