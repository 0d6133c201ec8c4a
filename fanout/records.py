"""What runs leave for later runs: how long each stage took, and what kind of processor made a result."""

import json
import os
from collections import defaultdict
from pathlib import Path

from dvc.stage import Stage
from dvc.stage.cache import _can_hash, _get_stage_hash

GUESS = {True: 60.0, False: 5.0}  # seconds of a stage that never ran, whether it wants a GPU or not


def family(name: str) -> str:
    """Stages of one name in dvc.yaml, such as `train` of train@digits-mmvae-0."""
    return name.partition("@")[0]


class Times:
    """Seconds that each stage took when it ran last, in a JSON file."""

    def __init__(self, path: Path):
        self.path, self._seconds, self._families = path, {}, defaultdict(dict)
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # a guess is good enough
            known = {}
        for name, seconds in known.items():
            self.add(name, seconds)

    def add(self, name: str, seconds: float) -> None:
        """A stage has run."""
        self._seconds[name] = self._families[family(name)][name] = seconds

    def known(self, name: str) -> float | None:
        """What the stage took, or else the mean of its family; None if none of them ever ran."""
        kin = self._families.get(family(name))
        return self._seconds.get(name, sum(kin.values()) / len(kin) if kin else None)

    def expected(self, name: str, gpu: bool) -> float:
        """What it took, or a guess."""
        seconds = self.known(name)
        return GUESS[gpu] if seconds is None else seconds

    def save(self) -> None:
        """For the next run."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".partial")
        temporary.write_text(json.dumps(self._seconds), encoding="utf-8")
        temporary.replace(self.path)


class Kinds:
    """Which kind of processor made each entry of the run-cache: a small file each, beside the run-cache.

    The run-cache itself has no room for it, and dvc.lock must not have: it would differ from machine to machine.
    """

    def __init__(self, cache: str):
        self.folder = Path(cache) / "machines"

    def _path(self, stage: Stage) -> Path | None:
        return self.folder / _get_stage_hash(stage) if _can_hash(stage) else None

    def add(self, stage: Stage, kind: str) -> None:
        """A processor of this kind has run the stage."""
        if path := self._path(stage):
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
            temporary.write_text(kind + "\n", encoding="utf-8")
            temporary.replace(path)

    def of(self, stage: Stage) -> str | None:
        """The kind that made what the run-cache has for the stage; None if no run of this project says."""
        path = self._path(stage)
        return path.read_text(encoding="utf-8").strip() if path and path.exists() else None
