"""What code a module consists of: its own files among all that it imports, and one hash of what they do.

Comments, docstrings and layout do not count: the hash is of the syntax trees.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

from mmvae.registry import ROOT, UnusableFile

PACKAGES = ("mmvae", "stages", "studies")


def closure(*modules: str) -> dict[str, Path]:
    """Name -> file of everything of the project that importing `modules` imports, directly or not.

    All but mmvae/__init__.py, which only names what other modules hold.

    Raises:
        UnusableFile: one of `modules` is not there, or a file is no Python.
    """
    waiting, found = list(modules), {}
    for name in modules:
        if _file(name) is None:
            raise UnusableFile(f"there is no module {name}")
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or name in found or name == "mmvae":
            continue
        found[name] = path
        parts = name.split(".")
        waiting += [".".join(parts[:i]) for i in range(1, len(parts))]
        waiting += _imported(path)
    return found


def code_hash(*modules: str) -> str:
    """One hash of what the closure of `modules` does."""
    digest = hashlib.sha256()
    for name, path in sorted(closure(*modules).items()):
        digest.update(f"{name} {_meaning(path)}".encode())
    return digest.hexdigest()


@cache
def _file(module: str) -> Path | None:
    base = ROOT / module.replace(".", "/")
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.exists()), None)


@cache
def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())  # which knows a BOM, and comments that name an encoding
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UnusableFile(f"{path.relative_to(ROOT)}, line {line}: {getattr(error, 'msg', error)}; mend it") from error


@cache
def _imported(path: Path) -> tuple[str, ...]:
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return tuple(sorted(name for name in names if name.partition(".")[0] in PACKAGES))


@cache
def _meaning(path: Path) -> str:
    """The source without comments, docstrings and layout."""
    tree = _tree(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
