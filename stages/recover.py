"""Put right what a killed DVC can leave behind. `make repro` runs it first; no stage of dvc.yaml.

DVC writes dvc.lock and its list of locks in place, so a kill in that moment leaves them cut off. What is left of
dvc.lock is often YAML that DVC takes for whole: it is cut off as well if its last line is not ended, or its last stage
lists only the first of the files that it has in git. It comes back from git; stages that were finished since then come
back from DVC's run-cache and do not run again.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.lock import make_lock
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils import strictyaml
from dvc.utils.serialize import parse_yaml

LOCK, TEMPORARY = Path("dvc.lock"), Path(".dvc/tmp")
RWLOCK = TEMPORARY / "rwlock"


def main() -> None:
    if not TEMPORARY.exists():  # DVC has not run here
        return
    with _held("lock"), _held("rwlock.lock"):  # by which a DVC that runs beside tells that it is writing
        _recover()


def _held(name: str) -> AbstractContextManager:
    return make_lock(str(TEMPORARY / name), tmp_dir=str(TEMPORARY), wait=True)


def _recover() -> None:
    if LOCK.exists() and not _whole_lock():
        LOCK.unlink()
        tracked = subprocess.run(["git", "restore", str(LOCK)], capture_output=True).returncode == 0
        print(f"{LOCK} was cut off by a kill: {'restored from git' if tracked else 'removed'}")
    if RWLOCK.exists() and not _whole_json():
        RWLOCK.unlink()
        print(f"{RWLOCK} was cut off by a kill: removed")


def _whole_lock() -> bool:
    try:
        lock, text = strictyaml.load(str(LOCK), COMPILED_LOCKFILE_SCHEMA)
    except DvcException:
        return False
    if not (text.endswith("\n") and lock.get("stages")):
        return False
    name, entry = list(lock["stages"].items())[-1]
    tracked = subprocess.run(["git", "show", f":./{LOCK}"], capture_output=True, encoding="utf-8").stdout
    files, known = _files(entry), _files(parse_yaml(tracked, LOCK).get("stages", {}).get(name, {}))
    return len(files) >= len(known) or files != known[: len(files)]


def _files(entry: dict) -> list[str]:
    """Paths of the dependencies and outputs of a stage, in the order in which dvc.lock lists them."""
    return [file["path"] for kind in ("deps", "outs") for file in entry.get(kind, [])]


def _whole_json() -> bool:
    try:
        json.loads(RWLOCK.read_bytes())
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main()
