"""Results move through remotes in folders and over SSH, faults of these are seen, and several work at once.

All of it in folders with spaces and letters of other alphabets, and with the locale C.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import ssh_server
import yaml
from conftest import ROOT, needs_git
from raw_files import write_mirror
from tiny import call, snapshot, stages_run

pytestmark = [pytest.mark.faults, needs_git]
NAME = "Vögel und Ziffern ü 鳥"
needs_mounts = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0,
    reason="only root may mount a read-only disk",
)


def dvc(folder: Path, *arguments: str, fails: bool = False) -> str:
    return call(folder, "dvc", *arguments, fails=fails, LANG="C", LC_ALL="C")


def at_once(*runs) -> list[str]:
    with ThreadPoolExecutor(len(runs)) as pool:
        return [started.result() for started in [pool.submit(run) for run in runs]]


def add_remote(project: Path, url: str | Path) -> None:
    """Written by hand, as docs/sharing.md has it: DVC reads other letters in its settings, but cannot write them."""
    settings = project / ".dvc/config"
    text = settings.read_text().replace("[core]", "[core]\n    remote = storage")
    settings.write_text(f"{text}['remote \"storage\"']\n    url = {url}\n    verify = true\n")
    call(project, "git", "commit", "-qam", "A remote")


def clone(project: Path, folder: Path) -> Path:
    call(project, "git", "clone", "-q", str(project), str(folder))
    return folder


def clone_with(remote: Path, project: Path, folder: Path) -> Path:
    clone(project, folder)
    (folder / ".dvc/config.local").write_text(f"['remote \"storage\"']\n    url = {remote}\n")
    return folder


def kept_by_dvc(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in snapshot(folder).items() if name.startswith(("data/", "models/"))}


def stored(project: Path, remote: Path, path: str) -> Path:
    """Where the remote has the content of an output; of a folder, its list."""
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    [known] = {out["md5"] for stage in lock["stages"].values() for out in stage["outs"] if out["path"] == path}
    return remote / "files/md5" / known[:2] / known[2:]


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
    [command] = re.findall(r"python -c '([^']+)'", (ROOT / "docs/sharing.md").read_text())
    call(project, sys.executable, "-c", command, LANG="C", LC_ALL="C")
    return project, remote


def keep_digits(project: Path) -> None:
    """Take the captions' stages out of dvc.yaml and dvc.lock, so that DVC has less to read."""
    stages = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    kept = {name: stage for name, stage in stages.items() if "caption_sets" not in str(stage.get("matrix"))}
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"] = {item: entry for item, entry in lock["stages"].items() if item.partition("@")[0] in kept}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": kept}, sort_keys=False))
    (project / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    for name in snapshot(project):
        if "birds" in name:
            (project / name).unlink()
    call(project, "git", "commit", "-qam", "Digits alone")


@pytest.fixture
def own(finished_project, base) -> Path:
    """A finished project of the test's own, of digits alone."""
    own = shutil.copytree(finished_project[0], base / "own", symlinks=True)
    keep_digits(own)
    return own


def test_a_fresh_clone_through_ssh(own, base, fault):
    """The server dies while it is read from, and comes back."""
    served, keys = base / "served", base / "keys"
    served.mkdir()
    elsewhere = base / "elsewhere"
    with ssh_server.running(served, keys) as port:
        add_remote(own, f"ssh://someone@127.0.0.1:{port}/{NAME}")
        (own / ".dvc/config.local").write_text(f"['remote \"storage\"']\n    keyfile = {keys / 'client'}\n")
        dvc(own, "push", "--run-cache")
        clone(own, elsewhere)
        shutil.copy(own / ".dvc/config.local", elsewhere / ".dvc")
    with fault("remote: the SSH server dies in mid-transfer"):
        with ssh_server.running(served, keys, port, bytes_left=1_000_000):
            assert "Connection" in dvc(elsewhere, "pull", fails=True)
        whole = kept_by_dvc(own)
        assert all(whole[name] == content for name, content in kept_by_dvc(elsewhere).items())
        with ssh_server.running(served, keys, port):
            dvc(elsewhere, "pull")
        assert kept_by_dvc(elsewhere) == whole
    with fault("moving: a fresh clone, through SSH"):
        assert stages_run(dvc(elsewhere, "repro")) == set()
        assert snapshot(elsewhere) == snapshot(own)


def test_the_inputs_of_one_table(shared, base, fault):
    with fault("moving: the inputs of one table alone"):
        elsewhere = clone(shared[0], base / "elsewhere")
        dvc(elsewhere, "pull", "check_params", "evaluate")
        pulled = set(kept_by_dvc(elsewhere))
        assert len(pulled) == 7
        assert all(name.startswith(("data/params_checked", "data/evaluations/digits/")) for name in pulled)
        shutil.rmtree(elsewhere / "metrics/digits", ignore_errors=False)
        call(elsewhere, "git", "checkout", "-q", "metrics/digits/classifiers.json")
        assert stages_run(dvc(elsewhere, "repro", "-s", "-f", "tables@digits")) == {"tables@digits"}
        assert call(elsewhere, "git", "status", "--short") == ""


def test_what_another_machine_has_trained(shared, base, fault):
    """From before there were any results, only what cannot come from the run-cache runs."""
    with fault("run-cache: dvc.lock from before the training"):
        elsewhere = clone(shared[0], base / "elsewhere")
        call(elsewhere, "git", "rm", "-qr", "dvc.lock", "metrics", "plots")
        output = dvc(elsewhere, "repro", "--pull", "evaluate@digits-mmvae_loose-0")
        assert stages_run(output) == {"check_params", "download@digits"}
        made, whole = snapshot(elsewhere), snapshot(shared[0])
        del made["dvc.lock"]
        assert {"models/digits/mmvae_loose/0.safetensors", "plots/digits/curves/mmvae_loose_0.csv"} < set(made)
        assert all(whole[name] == content for name, content in made.items())


def test_a_mirror_with_other_letters(own, base, fault):
    with fault("moving: a mirror with spaces and other letters"):
        write_mirror(base / "mirror", images=40)
        params = yaml.safe_load((own / "params.yaml").read_text())
        params["digit_sets"], params["download"]["mirror"] = ["mnist_svhn"], str(base / "mirror")
        (own / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
        dvc(own, "repro", "-s", "check_params", "download@mnist_svhn")
        for path in (base / "mirror").glob("*/*"):
            assert (own / "data/raw/mnist_svhn" / path.relative_to(base / "mirror")).read_bytes() == path.read_bytes()


def one_bit_changed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE = {
    "missing": ("models/digits/classifiers.safetensors", None),
    "truncated": ("data/prepared/digits.npz", lambda content: content[: len(content) // 2]),
    "tampered with": ("models/digits/mmvae_loose/0.safetensors", one_bit_changed),
}


def test_a_fresh_clone_through_a_folder(shared, base, fault):
    """Of damaged objects nothing is taken; with good ones in their place, it goes on."""
    project, remote = shared[0], shutil.copytree(shared[1], base / "remote")
    elsewhere = clone_with(remote, project, base / "elsewhere")
    with ExitStack() as faults:
        originals = {}
        for name, (output, damage) in DAMAGE.items():
            faults.enter_context(fault(f"remote: an object is {name}"))
            path = stored(project, remote, output)
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


def test_a_tampered_list_of_a_folder(shared, base, fault):
    """DVC does not verify it, but does not take what it pulls by it for the right folder either."""
    project, remote = shared[0], shutil.copytree(shared[1], base / "remote")
    elsewhere = clone_with(remote, project, base / "elsewhere")
    path = stored(project, remote, "data/raw/digits")
    path.chmod(0o644)
    with fault("remote: a folder's list is tampered with"):
        path.write_text(path.read_text().replace("plates.npz", "pirate.npz"))
        dvc(elsewhere, "pull", "check_params", "download@digits")
        assert (elsewhere / "data/raw/digits/pirate.npz").exists()
        assert stages_run(dvc(elsewhere, "repro", "-s", "download@digits")) == {"download@digits"}
        made, whole = kept_by_dvc(elsewhere), kept_by_dvc(project)
        assert made == {name: whole[name] for name in whole if name.startswith(("data/params", "data/raw/digits/"))}


@contextmanager
def read_only(folder: Path):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@needs_mounts
def test_two_users_of_one_remote(own, base, fault):
    """At first it cannot be written, then it is not there, then both push to it and pull from it at the same time."""
    remote, other = base / "remote", base / "other"
    add_remote(own, remote)
    shutil.copytree(own, other, symlinks=True)
    clones = [clone(user, base / f"{user.name} elsewhere") for user in (own, other)]
    with fault("remote: the folder is read-only"), read_only(remote):
        assert "Read-only file system" in dvc(own, "push", fails=True)
    remote.rmdir()
    with fault("remote: the folder has vanished"):
        assert "data/evaluations/digits" in dvc(clones[0], "pull", "evaluate", fails=True)
        assert kept_by_dvc(clones[0]) == {}
    with fault("parallel: two users push the same"):
        at_once(*[partial(dvc, user, "push", "--run-cache") for user in (own, other)])
        objects = [path for path in (remote / "files/md5").rglob("*") if path.is_file()]
        assert len(objects) >= 18
        for path in objects:
            known = path.parent.name + path.name.removesuffix(".dir")
            assert hashlib.md5(path.read_bytes()).hexdigest() == known
    with fault("parallel: two users pull the same"):
        at_once(*[partial(dvc, folder, "pull", "evaluate") for folder in clones])
        whole = {name: content for name, content in snapshot(own).items() if name.startswith("data/evaluations/digits")}
        assert [kept_by_dvc(folder) for folder in clones] == [whole, whole]


def test_two_stages_at_once(own, fault):
    """Neither entry of dvc.lock is lost. Who does not want to wait for the other is told so."""
    names, whole = ["pair_digits@digits", "tables@digits"], snapshot(own)
    entries = yaml.safe_load(whole.pop("dvc.lock"))
    (own / "dvc.lock").write_text(
        yaml.safe_dump(entries | {"stages": {k: v for k, v in entries["stages"].items() if k not in names}})
    )
    repro = ("repro", "-f", "-s")
    with (own / ".dvc/tmp/lock").open("a") as lock, ThreadPoolExecutor(2) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with fault("parallel: two stages at once"):
            runs = [pool.submit(dvc, own, "--wait-for-lock", *repro, name) for name in names]
            with fault("parallel: another DVC holds the lock"):
                assert "Unable to acquire lock" in dvc(own, *repro, "figure3@digits", fails=True)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert [stages_run(run.result()) for run in runs] == [{names[0]}, {names[1]}]
            made = snapshot(own)
            assert yaml.safe_load(made.pop("dvc.lock")) == entries
            assert made == whole


def workers(project: Path) -> list[psutil.Process]:
    """The processes that run queued experiments."""
    known = {json.loads(path.read_text())["pid"] for path in project.glob(".dvc/tmp/exps/celery/dvc-exp-worker-*.json")}
    return [process for process in psutil.process_iter() if process.pid in known]


@contextmanager
def started_queue(project: Path):
    dvc(project, "queue", "start", "--jobs", "2")
    try:
        yield
    finally:
        left = workers(project)
        dvc(project, "queue", "stop", "--kill")
        psutil.wait_procs(left, timeout=60)
        assert workers(project) == []


def experiments(project: Path) -> list[str]:
    """The commits of those that have ended well and are tidied up."""
    if any(project.glob(".dvc/tmp/exps/tmp*")):
        return []
    return call(project, "git", "for-each-ref", "--format=%(objectname)", "refs/exps/*/*/*").split()


def pairs(project: Path, commit: str) -> int:
    """How many pairs each training image is in, by what an experiment left in DVC's cache."""
    [out] = yaml.safe_load(call(project, "git", "show", f"{commit}:dvc.lock"))["stages"]["pair_digits@digits"]["outs"]
    with np.load(project / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:]) as arrays:
        return len(arrays["train/handwritten"])


def test_two_queued_experiments(finished_project, tmp_path, fault):
    """In a folder that has spaces, but no other letters: DVC cannot write them into a queued experiment's settings."""
    project = tmp_path / "a project"
    shutil.copytree(finished_project[0], project, symlinks=True)
    keep_digits(project)
    before = snapshot(project)
    with fault("parallel: two queued experiments"):
        change = "data.digits.pairings=3,4"
        dvc(project, "exp", "run", "--queue", "-S", change, "-s", "check_params", "pair_digits@digits")
        with started_queue(project):
            patience = time.monotonic() + 600
            while len(found := experiments(project)) < 2 and workers(project) and time.monotonic() < patience:
                time.sleep(0.5)
            assert dvc(project, "queue", "status").count("Success") == 2
        assert snapshot(project) == before
        of_two = pairs(project, "HEAD")
        assert sorted(pairs(project, commit) for commit in found) == [of_two * 3 // 2, of_two * 2]


if "SHARING_FINISHED" in os.environ:  # TEMPORARY

    @pytest.fixture(scope="session")
    def finished_project():
        return Path(os.environ["SHARING_FINISHED"]), ""
