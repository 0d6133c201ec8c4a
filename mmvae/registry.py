"""What the project has many of: in these folders every file is one of them, and its name is the file's.

A new file is found by its name; nothing else needs to know it.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

FOLDERS = {
    "kinds": "kind of modality",
    "models": "model",
    "datasets": "data set",
    "metrics.digits": "metric of digit sets",
    "metrics.captions": "metric of caption sets",
}


class UnknownName(ValueError):
    """There is no file of that name; the message lists those that there are."""


def names(folder: str) -> list[str]:
    """The names of everything in one of FOLDERS."""
    return sorted(path.stem for path in Path(__file__).parent.joinpath(*folder.split(".")).glob("[!_]*.py"))


def check(folder: str, name: str) -> None:
    """Is there such a file? It is not imported.

    Raises:
        UnknownName: there is none.
    """
    known = names(folder)
    if name not in known:
        raise UnknownName(f"{name!r} is no {FOLDERS[folder]}; known: {', '.join(known)}")


def find(folder: str, name: str) -> ModuleType:
    """The module `mmvae.<folder>.<name>`. Raises as `check` does."""
    check(folder, name)
    return import_module(f"mmvae.{folder}.{name}")
