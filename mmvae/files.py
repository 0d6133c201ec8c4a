"""Everything that is written or read: JSON, CSV, arrays and weights.

Each file is written beside its place and moved there whole, so that a killed stage leaves no half-written output.
Numbers must be finite. Nothing is pickled.
"""

from __future__ import annotations

import csv
import json
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SIGNIFICANT_DIGITS = 6


class FileError(ValueError):
    """A file is missing, damaged or not what it should be; the message names it."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and removed otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: dict) -> None:
    """Nested dictionaries of finite numbers, six significant digits each.

    Raises:
        FileError: a number is not finite; names the key.
    """
    text = json.dumps(_finite(content, path, ""), indent=2, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {error}") from error


def write_csv(path: str | Path, rows: list[dict]) -> None:
    """Rows with the same keys, finite numbers only."""
    rows = [_finite(row, path, f"row {i}") for i, row in enumerate(rows, 1)]
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: str | Path) -> list[dict[str, float]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def write_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """An uncompressed npz: the same arrays always give the same bytes."""
    with atomic(path) as temporary:
        np.savez(temporary, **arrays)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an npz, never unpickling.

    Raises:
        FileError: the file is missing or damaged.
    """
    try:
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {key: file[key] for key in file}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FileError(f"{path} cannot be read as arrays: {error}") from error


def write_weights(path: str | Path, weights: dict, config: dict) -> None:
    """Tensors as safetensors, with the configuration that they belong to in the header."""
    from safetensors.torch import save_file

    metadata = {"config": json.dumps(config)}
    with atomic(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, temporary, metadata)


def read_weights(path: str | Path) -> tuple[dict, dict]:
    """Tensors and the configuration written beside them.

    Raises:
        FileError: the file is missing, damaged or holds no configuration.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            config = json.loads((file.metadata() or {})["config"])
            return {name: file.get_tensor(name) for name in file.keys()}, config  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise FileError(f"{path} cannot be read as weights: {error}") from error


def _finite(value: Any, path: str | Path, at: str) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item, path, f"{at}.{key}" if at else str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item, path, f"{at}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise FileError(f"{path}: {at} is {float(value)}; only finite numbers are written")
        return float(f"{float(value):.{SIGNIFICANT_DIGITS}g}")
    return int(value) if isinstance(value, np.integer) else value
