"""dvc.lock as a serial `dvc repro` leaves it: entries that it has keep their places, new ones follow in that order."""

from collections.abc import Iterable

from dvc.dvcfile import Lockfile
from dvc.stage import Stage
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import modify_yaml


class LockFiles:
    """Collects the entries of stages, and writes them together: DVC takes longer for each the more there are.

    stages: in the order of a serial run.
    """

    def __init__(self, stages: Iterable[Stage]):
        self._place = {stage.addressing: place for place, stage in enumerate(stages)}
        self._done: dict[Lockfile, list[Stage]] = {}
        self._known: dict[Lockfile, set[str]] = {}  # entries that were there before

    def add(self, lockfile: Lockfile, stages: list[Stage]) -> None:
        """In place of Lockfile.dump_stages. What DVC's run-cache could not bring back is written at once."""
        self._done.setdefault(lockfile, []).extend(stages)
        if any(out.persist for stage in stages for out in stage.outs):
            self.write()

    def write(self) -> None:
        """Write all entries, DVC's lock held."""
        for lockfile, stages in self._done.items():
            with modify_yaml(lockfile.path, fs=lockfile.repo.fs) as content:
                content.setdefault("schema", "2.0")
                entries = content.setdefault("stages", {})
                known = self._known.setdefault(lockfile, set(entries))
                for stage in sorted(stages, key=lambda stage: self._place[stage.addressing]):
                    if stage.name not in known:
                        entries.pop(stage.name, None)  # of an earlier writing, between others
                    entries.update(to_lockfile(stage))
            lockfile.repo.scm_context.track_file(lockfile.relpath)
