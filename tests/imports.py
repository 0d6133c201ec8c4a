"""Which of the project's own files a module imports, directly or not, read from the source."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("mmvae", "stages")


def _file(module: str) -> Path | None:
    base = ROOT / module.replace(".", "/")
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.exists()), None)


def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in PACKAGES}


def closure(module: str) -> set[str]:
    """Paths, relative to the root, of everything that running `python -m module` imports of the project."""
    waiting, found = [module], set()
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or path in found:
            continue
        found.add(path)
        parts = name.split(".")
        waiting += [".".join(parts[:i]) for i in range(1, len(parts))]
        waiting += sorted(_imported(path))
    return {str(path.relative_to(ROOT)) for path in found if path.read_text(encoding="utf-8").strip()}
