"""Put right what a killed DVC can leave behind. `make repro` runs it first; no stage of dvc.yaml.

DVC writes dvc.lock and its list of locks in place, so a kill in that moment cuts them off. The dvc.lock of git takes
the place of one that was cut off; what was finished since then comes back from DVC's run-cache.
"""

import fcntl
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

LOCK, TEMPORARY = Path("dvc.lock"), Path(".dvc/tmp")
CUT_OFF = (ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError)  # what reading half a file raises


def main() -> None:
    if not TEMPORARY.exists():  # DVC has not run here
        return
    with _held("lock"), _held("rwlock.lock"):
        for path, check in {LOCK: _check_lock, TEMPORARY / "rwlock": json.loads}.items():
            try:
                if path.exists():
                    check(path.read_text(encoding="utf-8"))
            except CUT_OFF:
                cut = path.replace(TEMPORARY / f"{path.name}.cut")
                subprocess.run(["git", "restore", str(path)], capture_output=True)
                what = "restored from git" if path.exists() else "removed"
                print(f"{path} was cut off by a kill: {what}; what was left of it is {cut}")


@contextmanager
def _held(name: str) -> Iterator[None]:
    """Hold one of DVC's locks, as DVC does while it writes."""
    with (TEMPORARY / name).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _check_lock(text: str) -> None:
    """One of CUT_OFF if dvc.lock ends within a line or a file, or its last stage lists only git's first files."""
    if re.search("^<{7} ", text, re.MULTILINE):
        raise SystemExit(f"{LOCK} has merge conflicts: keep one side (git checkout --ours {LOCK}) and run again")
    name = list(yaml.load(text, yaml.CSafeLoader)["stages"])[-1]
    files, tracked = _files(text, name), subprocess.run(["git", "show", f":./{LOCK}"], capture_output=True).stdout
    try:
        known = _files(tracked.decode(), name)
    except CUT_OFF:  # not in git, or damaged there too
        known = []
    if not text.endswith("\n") or (len(files) < len(known) and files == known[: len(files)]):
        raise ValueError("a part is missing")


def _files(text: str, stage: str) -> list[str]:
    """Paths of the dependencies and outputs of a stage, in the order of a dvc.lock."""
    entry = yaml.load(text, yaml.CSafeLoader)["stages"][stage]
    return [file["path"] for kind in ("deps", "outs") for file in entry.get(kind, []) if file["size"] is not None]


if __name__ == "__main__":
    main()
