"""dvc.lock as a serial `dvc repro` leaves it, but written whole or not at all, and without parsing it again."""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from dvc.dvcfile import Lockfile, ProjectFile
from dvc.stage import PipelineStage, Stage
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dumps_yaml

HEAD = "schema: '2.0'\nstages:\n"
ENTRY = re.compile(r"^  ([^\s?:#][^\n]*):\n((?:    [^\n]*\n)+)", re.MULTILINE)  # a stage's name, and its lines
SHARE = 0.05  # of the time, at most, goes to writing
dump_as_dvc = Lockfile.dump_stages


class LockFile:
    """One dvc.lock. Entries that it has keep their places. New ones follow in the order of a serial run.

    order: names of the stages of its dvc.yaml, as a serial run would come to them.
    memory: a file that says which entries an unfinished run has added, since their places are not final.
    """

    def __init__(self, lockfile: Lockfile, order: Iterable[str], memory: Path):
        self.lockfile, self.path, self.memory = lockfile, Path(lockfile.path), memory
        self._rank = {name: rank for rank, name in enumerate(order)}
        self._waiting: list[PipelineStage] = []
        self._next_write = 0.0
        self._read()
        self._added: set[str] = set()
        if memory.exists():
            added, *texts = json.loads(memory.read_text(encoding="utf-8"))
            self._added = set(added) if _digest(self._text()) in texts else set()

    def add(self, stage: PipelineStage) -> None:
        """A stage's new entry. It is in the file soon; at once if the run-cache could not bring the stage back."""
        self._waiting.append(stage)
        now = time.monotonic()
        if now >= self._next_write or any(out.persist for out in stage.outs):
            self.write()
            self._next_write = time.monotonic() + (time.monotonic() - now) / SHARE

    def write(self) -> None:
        """Write all that was added."""
        if not self._waiting:
            return
        if self._state() != self._known:  # another DVC has written it
            self._read()
        if self._odd:
            dump_as_dvc(self.lockfile, sorted(self._waiting, key=lambda stage: self._place(stage.name)))
        else:
            before = self._text()
            entries = dict(_entry(stage) for stage in self._waiting)
            self._added |= entries.keys() - self._entries.keys()
            self._entries |= entries
            self._replace(before, self._text())
        self._waiting.clear()
        self.lockfile.repo.scm_context.track_file(self.lockfile.relpath)

    def finish(self) -> None:
        """A run is at its end, and lacks no stage: every entry has its final place."""
        self.memory.unlink(missing_ok=True)

    def _read(self) -> None:
        """The entries of the file; `_odd` if it holds anything else, or is not as DVC lays it out."""
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        self._entries = dict(ENTRY.findall(text))
        self._odd = bool(text) and _whole(self._entries) != text
        self._known = self._state()

    def _replace(self, before: str, after: str) -> None:
        if after == before:
            return
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        beside = self.memory.with_suffix(".partial")
        content = json.dumps([sorted(self._added), _digest(before), _digest(after)])
        for path, text in ((self.memory, content), (self.path, after)):
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        self._known = self._state()

    def _state(self) -> tuple[int, ...] | None:
        if not self.path.exists():
            return None
        now = self.path.stat()
        return now.st_mtime_ns, now.st_size, now.st_ino

    def _place(self, name: str) -> int:
        return self._rank.get(name, len(self._rank))

    def _text(self) -> str:
        names = [name for name in self._entries if name not in self._added]
        names += sorted(self._added & self._entries.keys(), key=self._place)
        return _whole({name: self._entries[name] for name in names})


class LockFiles:
    """The dvc.lock of each dvc.yaml that the stages, which are in the order of a serial run, come from.

    folder: where it is remembered what an unfinished run has added.
    """

    def __init__(self, stages: Iterable[Stage], folder: Path):
        names: dict[str, list[str]] = {}
        projects: dict[str, ProjectFile] = {}
        for stage in stages:
            if isinstance(stage, PipelineStage):
                names.setdefault(stage.path, []).append(stage.name)
                projects[stage.path] = stage.dvcfile
        self._files = {}
        for path, project in projects.items():
            lockfile = project._lockfile
            memory = folder / f"{lockfile.relpath.replace(os.sep, '_')}.added"
            self._files[lockfile.path] = LockFile(lockfile, names[path], memory)

    def add(self, lockfile: Lockfile, stages: list[PipelineStage]) -> None:
        """In place of Lockfile.dump_stages."""
        for stage in stages:
            self._files[lockfile.path].add(stage)

    def write(self, final: bool) -> None:
        """Write all that was added; `final` at the end of a run that lacks no stage."""
        for file in self._files.values():
            file.write()
            if final:
                file.finish()


def _entry(stage: PipelineStage) -> tuple[str, str]:
    """A stage's name and its lines, as DVC writes them."""
    text = dumps_yaml({"schema": "2.0", "stages": to_lockfile(stage)}).removeprefix(HEAD)
    name, _, lines = text.partition("\n")
    return name.strip().removesuffix(":"), lines


def _whole(entries: dict[str, str]) -> str:
    return HEAD + "".join(f"  {name}:\n{lines}" for name, lines in entries.items())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
