"""dvc.lock as a serial `dvc repro` leaves it: entries that it has keep their places, new ones follow in that order."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from dvc.dvcfile import Lockfile
from dvc.stage import PipelineStage, Stage
from dvc.stage.cache import _can_hash
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import modify_yaml


class LockFiles:
    """Collects the entries of stages, and writes them together: DVC takes longer for each the more there are.

    stages: in the order of a serial run.
    folder: where a run that fails or is stopped leaves word of the entries that it has added, for the next run to put
        each in its place.
    """

    def __init__(self, stages: Iterable[Stage], folder: Path):
        found = (stage for stage in stages if isinstance(stage, PipelineStage))
        self._place = {(stage.path, stage.name): place for place, stage in enumerate(found)}
        self._folder = folder
        self._done: dict[Lockfile, list[PipelineStage]] = {}
        self._known: dict[Lockfile, set[str]] = {}  # entries that have their place

    def add(self, lockfile: Lockfile, stages: list[PipelineStage]) -> None:
        """In place of Lockfile.dump_stages. What DVC's run-cache could not bring back is written at once."""
        self._done.setdefault(lockfile, []).extend(stages)
        if not all(map(_in_run_cache, stages)):
            self.write()

    @property
    def paths(self) -> list[str]:
        """Of all files that got entries."""
        return [lockfile.relpath for lockfile in self._done]

    def write(self, final: bool = False) -> None:
        """Write all entries, DVC's lock held. `final`: at the end of a run that lacks none."""
        for lockfile, stages in self._done.items():
            project, memory = Path(lockfile.path).with_suffix(".yaml"), self._memory(lockfile)
            with modify_yaml(lockfile.path, fs=lockfile.repo.fs) as content:
                content.setdefault("schema", "2.0")
                entries = content.setdefault("stages", {})
                known = self._known.setdefault(lockfile, set(entries) - _recall(memory, lockfile))
                for stage in stages:
                    entries.update(to_lockfile(stage))
                added = [name for name in entries if name not in known]
                added.sort(key=lambda name: self._place.get((str(project), name), -1))
                for name in added:
                    entries[name] = entries.pop(name)
            memory.parent.mkdir(parents=True, exist_ok=True)
            memory.write_text(json.dumps([_digest(lockfile), [] if final else added]), encoding="utf-8")
            lockfile.repo.scm_context.track_file(lockfile.relpath)

    def _memory(self, lockfile: Lockfile) -> Path:
        return self._folder / f"{lockfile.relpath.replace('/', '_')}.json"


def _in_run_cache(stage: Stage) -> bool:
    """Does DVC's run-cache keep what the stage has made?"""
    cached = all(out.use_cache or out.is_metric or out.is_plot for out in stage.outs)
    return cached and _can_hash(stage)


def _recall(memory: Path, lockfile: Lockfile) -> set[str]:
    """The entries whose places are not final, if nobody has changed the file since."""
    try:
        digest, added = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return set(added) if digest == _digest(lockfile) else set()


def _digest(lockfile: Lockfile) -> str:
    path = Path(lockfile.path)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
