"""What the project has many of: in these folders every file is one of them, and its name is the file's.

A new file is found by its name; nothing else needs to know it.
"""

import inspect
import os
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "kinds": "kind of modality",
    "models": "model",
    "datasets": "data set",
    "metrics.digits": "metric of digit sets",
    "metrics.captions": "metric of caption sets",
    "metrics.systems": "metric of Figure 2",
    "extractors": "network of image features",
}
PARTS = {  # what a file holds; docs/architecture.md says what each part is
    "kinds": ("STORED", "Options", "modality"),
    "models": ("MODEL", "Options", "phases"),
    "datasets": ("FAMILY", "MODALITIES"),
    "metrics.digits": ("measure",),
    "metrics.captions": ("measure",),
    "metrics.systems": ("measure",),
    "extractors": ("Config", "Network", "obtain"),
}
OF_FAMILY = {  # and a data set, by its FAMILY
    "digits": ("read_raw",),
    "captions": ("ATTRIBUTES", "read_names", "read_images", "read_captions"),
}


class UnknownName(ValueError):
    """There is no file of that name; the message lists those that there are."""


class UnusableFile(ValueError):
    """A file cannot be imported, or lacks a part; the message names both."""


def names(folder: str) -> list[str]:
    """The names of everything in one of FOLDERS."""
    return sorted(path.stem for path in Path(__file__).parent.joinpath(*folder.split(".")).glob("[!_]*.py"))


def file_of(defined: type | ModuleType) -> str:
    """The file of a class or module, as a path in the project."""
    return os.path.relpath(inspect.getfile(defined), ROOT)


def check(folder: str, name: str) -> None:
    """Is there such a file? It is not imported.

    Raises:
        UnknownName: there is none.
    """
    known = names(folder)
    if name not in known:
        raise UnknownName(
            f"{name!r} is no {FOLDERS[folder]}; known: {', '.join(known)}; a new one is a file in {_path(folder)}/"
        )


def find(folder: str, name: str) -> ModuleType:
    """The module `mmvae.<folder>.<name>`.

    Raises:
        UnknownName: there is none.
        UnusableFile: it cannot be imported, lacks a part, or has one that cannot be.
    """
    check(folder, name)
    path = f"{_path(folder)}/{name}.py"
    try:
        found = import_module(f"mmvae.{folder}.{name}")
    except (SyntaxError, ImportError) as error:
        raise UnusableFile(f"{path} cannot be imported: {error}; mend it") from error
    problem = _problem(folder, found)
    if problem:
        raise UnusableFile(f"{path} {problem}; docs/architecture.md says what such a file holds")
    return found


def _problem(folder: str, found: ModuleType) -> str | None:
    """What a file lacks, or what of it cannot be."""
    parts = [*PARTS[folder], *OF_FAMILY.get(getattr(found, "FAMILY", None), ())]
    missing = [part for part in parts if not hasattr(found, part)]
    if folder == "datasets" and not (hasattr(found, "SOURCES") or hasattr(found, "write_raw")):
        missing.append("SOURCES or write_raw")
    if missing:
        return f"lacks {', '.join(missing)}"
    if folder == "datasets" and found.FAMILY not in OF_FAMILY:
        return f"has the FAMILY {found.FAMILY!r}, not one of {', '.join(OF_FAMILY)}"
    if folder == "datasets" and not set(found.MODALITIES.values()) <= set(names("kinds")):
        return f"has MODALITIES of the kinds {', '.join(found.MODALITIES.values())}; known: {', '.join(names('kinds'))}"
    return None


def _path(folder: str) -> str:
    return f"mmvae/{folder.replace('.', '/')}"
