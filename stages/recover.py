"""Put right what a killed DVC can leave behind. `make repro` runs it first; no stage of dvc.yaml.

DVC writes dvc.lock and its list of locks in place, so a kill in that moment cuts them off. The dvc.lock of git takes
the place of one that was cut off; what was finished since then comes back from DVC's run-cache. Whatever else is wrong
is the user's, and left as it is; one line says what to do.
"""

import fcntl
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

LOCK, TEMPORARY = Path("dvc.lock"), Path(".dvc/tmp")
OUTPUTS = ("code", "data", "models", "metrics", "plots")
CONFLICT = re.compile(r"^(<{7}|\|{7}|>{7})( |$)|^={7}$", re.MULTILINE)
CUT_OFF = (ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError)  # what reading half a file raises


def main() -> None:
    """Raises SystemExit, with one line, for what only the user can put right."""
    for name in OUTPUTS:
        if Path(name).is_symlink():
            raise SystemExit(
                f"{name} is a link, and DVC takes no outputs outside of the project. Move it back, and put DVC's cache "
                "on the other disk: dvc config --local cache.dir /other/disk; dvc config --local cache.type symlink"
            )
    _tell_of_detached_head()
    if not TEMPORARY.exists():  # DVC has not run here
        return
    with _held("lock"), _held("rwlock.lock"):
        if LOCK.exists():
            _mend_lock(LOCK.read_text(encoding="utf-8", errors="replace"))
        try:
            json.loads((TEMPORARY / "rwlock").read_text(encoding="utf-8"))
        except FileNotFoundError:
            pass
        except CUT_OFF:
            _set_aside(TEMPORARY / "rwlock", "removed")


def _tell_of_detached_head() -> None:
    with suppress(RuntimeError):
        if _git("rev-parse", "--abbrev-ref", "HEAD").strip() == "HEAD":
            branches = _git("for-each-ref", "--points-at=HEAD", "--format=%(refname:short)", "refs/heads").split()
            print(
                "HEAD is detached, as a killed `dvc exp run` leaves it: what you commit would be on no branch. "
                f"To go back: git checkout {' (or '.join(branches) + ')' * (len(branches) - 1) or '<your branch>'}"
            )


@contextmanager
def _held(name: str) -> Iterator[None]:
    """Hold one of DVC's locks, as DVC does while it writes."""
    with (TEMPORARY / name).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another dvc, which works in this project", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _git(*command: str) -> str:
    """What git says. Raises RuntimeError, with git's own words, if it fails or is not there."""
    try:
        done = subprocess.run(["git", *command], capture_output=True, text=True, encoding="utf-8", errors="replace")
    except OSError as error:
        raise RuntimeError(error) from error
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split()))
    return done.stdout


def _mend_lock(text: str) -> None:
    if CONFLICT.search(text):
        raise SystemExit(
            f"{LOCK} has merge conflicts. Take one side whole, and run again: git checkout --ours {LOCK} (or --theirs)"
        )
    try:
        yaml.load(text[: text.rfind("\n") + 1], yaml.CSafeLoader)  # the lines before a cut are well-formed
    except yaml.YAMLError as error:
        line = f"line {error.problem_mark.line + 1} of " if getattr(error, "problem_mark", None) else ""
        raise SystemExit(f"{line}{LOCK} is no YAML, and not for a kill. Mend it, or: git checkout {LOCK}") from None
    if not _is_whole(text, _of_git()):
        _restore_lock()


def _restore_lock() -> None:
    try:
        tracked, known = _git("ls-files", str(LOCK)), _of_git()
    except RuntimeError as error:
        raise SystemExit(f"{LOCK} was cut off by a kill, and git cannot give it back: {error}") from None
    whole = next((text for text in known if _is_whole(text, known)), None)
    if whole is None and (tracked or known):
        raise SystemExit(f"{LOCK} was cut off by a kill, and git's is no better. Look for another: git log {LOCK}")
    _set_aside(LOCK, "removed" if whole is None else "restored from git")
    if whole is not None:
        LOCK.write_text(whole, encoding="utf-8")


def _of_git() -> list[str]:
    """The dvc.lock of git's index and of HEAD, where there is one."""
    found = []
    for at in ("", "HEAD"):
        with suppress(RuntimeError):
            found.append(_git("show", f"{at}:./{LOCK}"))
    return found


def _set_aside(path: Path, what: str) -> None:
    cut = path.replace(TEMPORARY / f"{path.name}.cut")
    print(f"{path} was cut off by a kill: {what}; what was left of it is {cut}")


def _is_whole(text: str, known: list[str]) -> bool:
    """Does dvc.lock end with a line, a file, and a stage that has not only the first files of git's?"""
    try:
        name = list(yaml.load(text, yaml.CSafeLoader)["stages"])[-1]
        files = _files(text, name)
    except CUT_OFF:
        return False
    for other in () if text in known else known:
        with suppress(*CUT_OFF):  # not in this one, or damaged there too
            of_other = _files(other, name)
            if len(files) < len(of_other) and files == of_other[: len(files)]:
                return False
    return text.endswith("\n")


def _files(text: str, stage: str) -> list[str]:
    """Paths of the dependencies and outputs of a stage, in the order of a dvc.lock."""
    entry = yaml.load(text, yaml.CSafeLoader)["stages"][stage]
    return [file["path"] for kind in ("deps", "outs") for file in entry.get(kind, []) if file["size"] is not None]


if __name__ == "__main__":
    main()
