"""Results move through remotes, faults of these are seen, and several work at once; in folders with other letters."""

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
import pytest
import ssh_server
import yaml
from conftest import ROOT
from raw_files import write_mirror
from tiny import ENVIRONMENT, call, snapshot, stages_run

pytestmark = pytest.mark.faults
NAME = "Vögel und Ziffern ü 鳥"
DAMAGE = {
    "missing": ("models/digits/classifiers.safetensors", None),
    "truncated": ("data/prepared/digits.npz", lambda content: content[: len(content) // 2]),
    "tampered with": ("models/digits/mmvae_loose/0.safetensors", lambda content: content[:-1] + b"?"),
}


def dvc(folder: Path, *arguments: str, fails: bool = False) -> str:
    return call(folder, "dvc", *arguments, fails=fails, LANG="C", LC_ALL="C")


def read_yaml(text: str) -> dict:
    return yaml.load(text, yaml.CSafeLoader)  # ten times as fast, where it is there


def add_remote(project: Path, url: str | Path) -> None:
    """Written by hand, as docs/sharing.md has it: DVC reads other letters in its settings, but cannot write them."""
    settings = project / ".dvc/config"
    text = settings.read_text().replace("[core]", "[core]\n    remote = storage")
    settings.write_text(f"{text}['remote \"storage\"']\n    url = {url}\n    verify = true\n")
    call(project, "git", "commit", "-qam", "A remote")


def set_here(project: Path, key: str, value: Path) -> None:
    """A setting of the remote in this copy alone."""
    (project / ".dvc/config.local").write_text(f"['remote \"storage\"']\n    {key} = {value}\n")


def clone(project: Path, folder: Path) -> Path:
    call(project, "git", "clone", "-q", str(project), str(folder))
    return folder


def kept_by_dvc(folder: Path, *beginnings: str) -> dict[str, bytes]:
    """Data and models, or those whose path begins so."""
    chosen = beginnings or ("data/", "models/")
    return {name: content for name, content in snapshot(folder).items() if name.startswith(chosen)}


def store(project: Path, folder: Path) -> dict[str, Path]:
    """Where a remote or a cache has the content of each output; of a folder, its list."""
    stages = read_yaml((project / "dvc.lock").read_text())["stages"].values()
    known = {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}
    return {path: folder / "files/md5" / name[:2] / name[2:] for path, name in known.items()}


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / NAME
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def shared(finished_project, tmp_path_factory) -> tuple[Path, Path]:
    """A finished project, and the folder to which it pushed every result it has, by the commands of docs/sharing.md."""
    base = tmp_path_factory.mktemp("sharing") / NAME
    project, remote = base / "project", base / "remote"
    shutil.copytree(finished_project[0], project, symlinks=True)
    add_remote(project, remote)
    dvc(project, "push")
    [command] = re.findall(r"python -c '([^']+)'", (ROOT / "docs/sharing.md").read_text(encoding="utf-8"))
    call(project, sys.executable, "-c", command, LANG="C", LC_ALL="C")
    return project, remote


@pytest.fixture(scope="module")
def digits(finished_project, tmp_path_factory) -> Path:
    """A finished project without the captions' stages, so that DVC has less to read."""
    project = tmp_path_factory.mktemp("digits") / "a project"
    shutil.copytree(finished_project[0], project, symlinks=True)
    stages = read_yaml((project / "dvc.yaml").read_text())["stages"]
    kept = {name: stage for name, stage in stages.items() if "caption_sets" not in str(stage.get("matrix"))}
    lock = read_yaml((project / "dvc.lock").read_text())
    lock["stages"] = {item: entry for item, entry in lock["stages"].items() if item.partition("@")[0] in kept}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": kept}, sort_keys=False))
    (project / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    for name in snapshot(project):
        if "birds" in name:
            (project / name).unlink()
    call(project, "git", "commit", "-qam", "Digits alone")
    return project


@pytest.fixture
def own(digits, base) -> Path:
    """A finished project of the test's own, of digits alone."""
    return shutil.copytree(digits, base / "own", symlinks=True)


def test_a_fresh_clone_through_a_folder(shared, base, fault):
    """Of damaged objects nothing is taken; with good ones in their place, it goes on."""
    project, remote = shared[0], shutil.copytree(shared[1], base / "remote")
    elsewhere, places = clone(project, base / "elsewhere"), store(project, remote)
    set_here(elsewhere, "url", remote)
    with ExitStack() as faults:
        originals = {}
        for name, (output, damage) in DAMAGE.items():
            faults.enter_context(fault(f"remote: an object is {name}"))
            path = places[output]
            originals[path] = path.read_bytes()
            path.unlink()
            if damage is not None:
                path.write_bytes(damage(originals[path]))
                path.chmod(0o444)  # as DVC leaves them; at others it looks more closely
        said = dvc(elsewhere, "pull", fails=True)
        assert all(output in said and not (elsewhere / output).exists() for output, _ in DAMAGE.values())
        for path, content in originals.items():
            path.unlink(missing_ok=True)
            path.write_bytes(content)
        dvc(elsewhere, "pull")
        assert kept_by_dvc(elsewhere) == kept_by_dvc(project)
    with fault("moving: a fresh clone, through a folder"):
        assert stages_run(dvc(elsewhere, "repro")) == set()
        assert snapshot(elsewhere) == snapshot(project)


def test_a_fresh_clone_through_ssh(own, base, fault):
    """The server dies while it is read from, and comes back."""
    served, keys, elsewhere = base / "served", base / "keys", base / "elsewhere"
    served.mkdir()
    with ssh_server.running(served, keys) as port:
        add_remote(own, f"ssh://someone@127.0.0.1:{port}/{NAME}")
        clone(own, elsewhere)
        for project in (own, elsewhere):
            set_here(project, "keyfile", keys / "client")
        dvc(own, "push", "--run-cache")
    with fault("remote: the SSH server dies in mid-transfer"):
        with ssh_server.running(served, keys, port, bytes_left=1_000_000):
            assert "Connection" in dvc(elsewhere, "pull", fails=True)
        assert kept_by_dvc(elsewhere).items() < kept_by_dvc(own).items()
        with ssh_server.running(served, keys, port):
            dvc(elsewhere, "pull")
        assert kept_by_dvc(elsewhere) == kept_by_dvc(own)
    with fault("moving: a fresh clone, through SSH"):
        assert stages_run(dvc(elsewhere, "repro")) == set()
        assert snapshot(elsewhere) == snapshot(own)


def test_the_inputs_of_one_table(shared, base, fault):
    with fault("moving: the inputs of one table alone"):
        elsewhere = clone(shared[0], base / "elsewhere")
        dvc(elsewhere, "pull", "check_params", "evaluate")
        assert kept_by_dvc(elsewhere) == kept_by_dvc(shared[0], "data/params_checked.txt", "data/evaluations/digits/")
        for path in elsewhere.glob("metrics/digits/table*.json"):
            path.unlink()
        assert stages_run(dvc(elsewhere, "repro", "-s", "-f", "tables@digits")) == {"tables@digits"}
        assert call(elsewhere, "git", "status", "--short") == ""


def test_what_another_machine_has_trained(shared, base, fault):
    """From before there were any results, only what cannot come from the run-cache runs."""
    with fault("run-cache: dvc.lock from before the training"):
        elsewhere = clone(shared[0], base / "elsewhere")
        call(elsewhere, "git", "rm", "-qr", "dvc.lock", "metrics", "plots")
        output = dvc(elsewhere, "repro", "--pull", "evaluate@digits-mmvae_loose-0")
        assert stages_run(output) == {"check_params", "download@digits"}
        made = snapshot(elsewhere)
        del made["dvc.lock"]
        assert {"models/digits/mmvae_loose/0.safetensors", "plots/digits/curves/mmvae_loose_0.csv"} < set(made)
        assert made.items() < snapshot(shared[0]).items()


def test_a_mirror_with_other_letters(own, base, fault):
    with fault("moving: a mirror with spaces and other letters"):
        write_mirror(base / "mirror", images=40)
        params = read_yaml((own / "params.yaml").read_text())
        params["digit_sets"], params["download"]["mirror"] = ["mnist_svhn"], str(base / "mirror")
        (own / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
        dvc(own, "repro", "-s", "check_params", "download@mnist_svhn")
        raw, mirrored = own / "data/raw/mnist_svhn", list(base.glob("mirror/*/*"))
        assert len(mirrored) == 6
        assert all((raw / path.relative_to(base / "mirror")).read_bytes() == path.read_bytes() for path in mirrored)


def test_a_tampered_list_of_a_folder(own, base, fault):
    """DVC does not verify it, but does not take what it pulls by it for the right folder either."""
    add_remote(own, base / "remote")
    dvc(own, "push")
    elsewhere, path = clone(own, base / "elsewhere"), store(own, base / "remote")["data/raw/digits"]
    path.chmod(0o644)
    with fault("remote: a folder's list is tampered with"):
        path.write_text(path.read_text().replace("plates.npz", "pirate.npz"))
        dvc(elsewhere, "pull")
        assert (elsewhere / "data/raw/digits/pirate.npz").exists()
        assert stages_run(dvc(elsewhere, "repro", "-s", "download@digits")) == {"download@digits"}
        assert kept_by_dvc(elsewhere) == kept_by_dvc(own)


def test_two_users_of_one_remote(own, base, fault):
    """At first a file is in its place, then it is not there, then both push to it and pull from it at the same time."""
    remote = base / "remote"
    add_remote(own, remote)
    users = [own, shutil.copytree(own, base / "other", symlinks=True)]
    clones = [clone(own, base / "elsewhere"), clone(own, base / "far away")]
    with fault("remote: a file has taken the folder's place"):
        remote.touch()
        assert "Not a directory" in dvc(own, "push", fails=True)
        remote.unlink()
    with fault("remote: the folder has vanished"):
        assert "models/digits/classifiers.safetensors" in dvc(clones[0], "pull", fails=True)
        assert kept_by_dvc(clones[0]) == {}
    with ThreadPoolExecutor(2) as pool:
        with fault("parallel: two users push the same"):
            list(pool.map(lambda user: dvc(user, "push", "--run-cache"), users))
            objects = {path.parent.name + path.name: path.read_bytes() for path in remote.glob("files/md5/*/*")}
            assert all(hashlib.md5(content).hexdigest() + name[32:] == name for name, content in objects.items())
            assert set(kept_by_dvc(own).values()) < set(objects.values())
        with fault("parallel: two users pull the same"):
            list(pool.map(lambda user: dvc(user, "pull"), clones))
            assert all(snapshot(user) == snapshot(own) for user in clones)


def test_two_stages_at_once(own, fault):
    """Neither entry of dvc.lock is lost. Who does not want to wait for the other is told so."""
    names, whole, repro = ["pair_digits@digits", "tables@digits"], snapshot(own), ("repro", "-f", "-s")
    lock = read_yaml(whole.pop("dvc.lock"))
    others = {item: entry for item, entry in lock["stages"].items() if item not in names}
    (own / "dvc.lock").write_text(yaml.safe_dump(lock | {"stages": others}))
    with (own / ".dvc/tmp/lock").open("a") as held, ThreadPoolExecutor(2) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        with fault("parallel: two stages at once"):
            runs = [pool.submit(dvc, own, "--wait-for-lock", *repro, name) for name in names]
            with fault("parallel: another DVC holds the lock"):
                assert "Unable to acquire lock" in dvc(own, *repro, "figure3@digits", fails=True)
            fcntl.flock(held, fcntl.LOCK_UN)
            assert [stages_run(run.result()) for run in runs] == [{name} for name in names]
            made = snapshot(own)
            assert read_yaml(made.pop("dvc.lock")) == lock
            assert made == whole


def wait_for_workers(project: Path, seconds: float) -> None:
    """Until the processes that run queued experiments have ended, which they do once there is nothing to run."""
    known = {json.loads(path.read_text())["pid"] for path in project.glob(".dvc/tmp/exps/celery/dvc-exp-worker-*.json")}
    patience = time.monotonic() + seconds
    while any(it.pid in known and it.info["status"] != "zombie" for it in psutil.process_iter(["status"])):
        assert time.monotonic() < patience
        time.sleep(0.5)


def pairs(project: Path) -> int:
    """How many training pairs dvc.lock speaks of, by DVC's cache."""
    content = store(project, project / ".dvc/cache")["data/pairs/digits.npz"].read_bytes()
    return len(np.load(BytesIO(content))["train/handwritten"])


def test_two_queued_experiments(digits, tmp_path, fault):
    """In a folder that has spaces, but no other letters: DVC cannot write them into a queued experiment's settings."""
    project = shutil.copytree(digits, tmp_path / "a project", symlinks=True)
    before, of_two = snapshot(project), pairs(project)
    queue = ("exp", "run", "--queue", "-S", "data.digits.pairings=3,4", "-s", "check_params", "pair_digits@digits")
    start = ["dvc", "queue", "start", "--jobs", "2"]
    with fault("parallel: two queued experiments"):
        dvc(project, *queue)
        try:  # the workers would hold a pipe open
            subprocess.run(start, cwd=project, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=True)
            wait_for_workers(project, 600)
        finally:
            dvc(project, "queue", "stop", "--kill")
            wait_for_workers(project, 60)
        assert dvc(project, "queue", "status").count("Success") == 2
        assert snapshot(project) == before
        made = []
        for commit in call(project, "git", "for-each-ref", "--format=%(objectname)", "refs/exps/*/*/*").split():
            call(project, "git", "checkout", "-q", commit, "dvc.lock")
            made.append(pairs(project))
        assert sorted(made) == [of_two * 3 // 2, of_two * 2]
