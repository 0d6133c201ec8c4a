"""Where source code could unpickle something, or run text as code; and where the project may."""

import ast
from collections.abc import Iterator
from pathlib import Path

MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "runpy"}
HARMLESS = {"json", "mmvae", "stages", "studies"}  # their functions of these names make no objects, or are searched
NAMES = {"eval", "exec", "compile", "__import__"}  # as they stand; model.eval() is something else
LAST = {  # of a dotted name
    *("load", "loads", "full_load", "unsafe_load", "load_all", "unsafe_load_all", "full_load_all"),
    *("read_pickle", "read_array", "loadmat", "memmap", "fromfile", "load_facebook_model", "load_state_dict_from_url"),
    *("broadcast_object_list", "all_gather_object", "gather_object", "scatter_object_list", "recv_object_list"),
    *("system", "popen", "getoutput", "getstatusoutput", "import_module"),
}
DECIDE = ("allow_pickle", "weights_only", "shell", "Loader")  # arguments

ALLOWED = {  # file, what is called, and the arguments that decide -> why
    ("stages/recover.py", "dvc.utils.strictyaml.load"): "safe, and of dvc.lock",
    ("mmvae/extractor.py", "torch.hub.load_state_dict_from_url weights_only=True"): "tensors only",
    ("mmvae/files.py", "numpy.lib.format.read_array allow_pickle=False"): "numbers and text only",
    ("mmvae/processes.py", "torch.distributed.broadcast_object_list"): "between the processes of one run",
}


def uses(root: Path, *folders: str) -> Iterator[tuple[str, str]]:
    """File and call of everything that could."""
    for path in sorted(path for folder in folders or [""] for path in (root / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = dict(_imported(tree))
        for found in sorted({*_modules(names), *_calls(tree, names)}):
            yield path.relative_to(root).as_posix(), found


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What a module calls something -> its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                own = alias.asname or (alias.name if module else alias.name.partition(".")[0])
                yield own, f"{module}{alias.name}" if module or alias.asname else own


def _modules(names: dict[str, str]) -> Iterator[str]:
    yield from (name for name in names.values() if name.partition(".")[0] in MODULES)


def _calls(tree: ast.Module, names: dict[str, str]) -> Iterator[str]:
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = _full_name(node.func, names)
        if name.partition(".")[0] in HARMLESS:
            continue
        given = {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg in DECIDE}
        if name == "yaml.load" and len(node.args) > 1:
            given["Loader"] = ast.unparse(node.args[1])
        if name.rpartition(".")[2] in LAST or name in NAMES or "shell" in given:
            yield " ".join([name, *(f"{key}={value}" for key, value in given.items())])


def _full_name(node: ast.expr, names: dict[str, str]) -> str:
    """The dotted name of what is called; '?' stands for what is no name."""
    if isinstance(node, ast.Attribute):
        return f"{_full_name(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else "?"
