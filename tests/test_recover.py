"""A dvc.lock that a kill cut off comes back from git; nothing else is touched."""

import fcntl
import json
import random
import re
import subprocess
import threading

import pytest
from dvc.lock import make_lock

from stages import recover

HASHES = "      hash: md5\n      md5: {}\n      size: 9\n"
STAGE = """\
  {name}:
    cmd: python -m stages.{name}
    deps:
{deps}    params:
      params.yaml:
        a.b: 1
    outs:
{outs}"""


def written(*names: str) -> str:
    """A dvc.lock of stages that each read two files and write two."""

    def files(*paths: str) -> str:
        return "".join(f"    - path: {path}\n{HASHES.format('0' * 32)}" for path in paths)

    stages = [STAGE.format(name=n, deps=files(f"{n}.py", "b"), outs=files(f"{n}/1", f"{n}/2")) for n in names]
    return "schema: '2.0'\nstages:\n" + "".join(stages)


WHOLE = written("first", "second", "third")


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """A committed dvc.lock in a project where DVC has run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    path = tmp_path / "dvc.lock"
    path.write_text(WHOLE)
    for command in (["init", "-q"], ["add", "dvc.lock"]):
        subprocess.run(["git", *command], check=True)
    return path


def test_a_lock_that_is_cut_off_anywhere_in_a_stage(lock, capsys):
    cut_file = lock.parent / ".dvc/tmp/dvc.lock.cut"
    begin, end = WHOLE.index("  second:"), WHOLE.index("  third:")
    words = [word.end() for word in re.finditer(r"\n|\S+", WHOLE[begin:end])][:-1]
    for cut in [0, begin // 2, *(begin + word for word in random.Random(0).sample(words, 40))]:
        lock.write_text(WHOLE[:cut])
        recover.main()
        assert "dvc.lock was cut off by a kill: restored from git" in capsys.readouterr().out, WHOLE[:cut][-80:]
        assert lock.read_text() == WHOLE
        assert cut_file.read_text() == WHOLE[:cut]


def test_a_lock_that_is_not_in_git(lock, capsys):
    subprocess.run(["git", "rm", "-q", "--cached", "dvc.lock"], check=True)
    recover.main()
    assert lock.read_text() == WHOLE
    lock.write_text(WHOLE[:-1])
    recover.main()
    assert "removed" in capsys.readouterr().out
    assert not lock.exists()


def test_a_lock_that_only_the_last_commit_has(lock, capsys):
    for command in (
        ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "c"],
        ["rm", "-q", "--cached", "dvc.lock"],
    ):
        subprocess.run(["git", *command], check=True)
    lock.write_text(WHOLE[:-9])
    recover.main()
    assert "restored from git" in capsys.readouterr().out
    assert lock.read_text() == WHOLE


@pytest.mark.parametrize("way", ["no git", "git fails", "git's is cut too"])
def test_a_cut_lock_that_git_cannot_give_back_stays(way, lock, monkeypatch):
    lock.write_text(WHOLE[:-9])
    if way == "git's is cut too":
        subprocess.run(["git", "add", "dvc.lock"], check=True)
    else:
        monkeypatch.setenv(*{"no git": ("PATH", "/nowhere"), "git fails": ("GIT_DIR", "/nowhere")}[way])
    with pytest.raises(SystemExit, match=r"^dvc\.lock was cut off by a kill, and git('s is| cannot give)"):
        recover.main()
    assert lock.read_text() == WHOLE[:-9]


SLIPS = {  # of a hand: what it typed in place of what
    "a quote": ("md5: 0", "md5: '0"),
    "a lost colon": ("  second:", "  second"),
    "a tab": ("    deps:", "\tdeps:"),
    "indentation": ("    - path: second.py", "   - path: second.py"),
    "a bracket": ("cmd: python -m stages.second", "cmd: [python -m stages.second"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_of_the_hand_is_left_alone(slip, lock):
    begin = WHOLE.index("  second:")
    text = WHOLE[:begin] + WHOLE[begin:].replace(*SLIPS[slip], 1)
    lock.write_text(text)
    with pytest.raises(SystemExit, match=r"^line \d+ of dvc\.lock is no YAML.*git checkout dvc\.lock$"):
        recover.main()
    assert lock.read_text() == text


@pytest.mark.parametrize("text", [WHOLE, written("first"), written("first", "other"), written("third", "new")])
def test_a_whole_lock_is_left_alone(lock, text, capsys):
    lock.write_text(text)
    (lock.parent / ".dvc/tmp/rwlock").write_text("{}")
    recover.main()
    assert lock.read_text() == text
    assert capsys.readouterr().out == ""


def test_a_merge_conflict_is_left_alone(lock):
    text = f"<<<<<<< HEAD\n{WHOLE}=======\n{written('first')}>>>>>>> other\n"
    lock.write_text(text)
    with pytest.raises(SystemExit, match=r"dvc\.lock has merge conflicts\. Take one side"):
        recover.main()
    assert lock.read_text() == text


def test_a_list_of_locks_that_is_cut_off(lock, capsys):
    path = lock.parent / ".dvc/tmp/rwlock"
    path.write_text(json.dumps({"write": {"a": 1}})[:-1])
    recover.main()
    assert "rwlock was cut off by a kill: removed" in capsys.readouterr().out
    assert not path.exists()


def test_a_lock_that_is_being_written(lock, monkeypatch):
    """A DVC that runs beside holds its lock while it writes."""
    asked, flock = threading.Event(), fcntl.flock
    with make_lock(".dvc/tmp/lock", tmp_dir=".dvc/tmp"):
        lock.write_text(WHOLE[:99])
        monkeypatch.setattr(recover.fcntl, "flock", lambda *given: asked.set() or flock(*given))
        waiting = threading.Thread(target=recover.main)
        waiting.start()
        assert asked.wait(30)
        assert lock.read_text() == WHOLE[:99]
        lock.write_text(WHOLE)
    waiting.join(30)
    assert not waiting.is_alive()
    assert lock.read_text() == WHOLE
    assert not list((lock.parent / ".dvc/tmp").glob("*.cut"))
