"""Everything that is written or read: JSON, CSV, arrays and weights.

Each file is written beside its place and moved there whole, so that a killed stage leaves no half-written output.
Numbers must be finite. Nothing is pickled.
"""

import csv
import io
import json
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike
from safetensors import SafetensorError

if TYPE_CHECKING:
    import pandas as pd

SIGNIFICANT_DIGITS = 6
ZERO = 1e-12  # what is smaller is a rounding error
AGAIN = "remove it and run `dvc repro`"
GZIPPED = b"\x1f\x8b"  # the first bytes of a gzip file


class FileError(ValueError):
    """A file is missing, damaged or not what it should be; the message names it."""


class DataError(ValueError):
    """The data do not allow what was asked of them; the message says why."""


class Content(dict):
    """What a file holds, by key; a key that it lacks is a FileError that names both."""

    def __init__(self, path: str | Path, entries: Iterable):
        super().__init__(entries)
        self.path = path

    def __missing__(self, key: str) -> NoReturn:
        raise FileError(f"{self.path} has no {key!r}; {AGAIN}")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and removed otherwise.

    Raises:
        FileError: the file cannot be written, for want of room or of permission; what was there before is kept.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())  # so that not even a power cut leaves an empty file of the right name
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise FileError(
            f"{path} cannot be written: {_reason(error)}. Nothing of it was kept. Make room or make it writable, and "
            "run the same command again"
        ) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())


def write_json(path: str | Path, content: dict) -> None:
    """Nested dictionaries of finite numbers, six significant digits each, 0 below 1e-12.

    Raises:
        FileError: a number is not finite, or a value is of no type that JSON has; says where.
    """
    with atomic(path) as temporary, _refused(path):
        text = json.dumps(_plain(content, ""), indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def write_csv(path: str | Path, rows: list[dict]) -> None:
    """One or more rows with the same keys, of text and finite numbers, rounded as in JSON; None is an empty cell.

    Raises:
        FileError: a number is not finite, or a row has a key that the first lacks; says where.
    """
    with atomic(path) as temporary, _refused(path), temporary.open("w", newline="", encoding="utf-8") as file:
        plain = [_plain(row, f"row {i} ({next(iter(row.values()))})") for i, row in enumerate(rows, 1)]
        writer = csv.DictWriter(file, fieldnames=list(plain[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)


def read_csv(path: str | Path) -> list[dict]:
    """The rows of a table. Raises as `read_table` does."""
    return read_table(path).to_dict("records")


def write_table(path: str | Path, frame: "pd.DataFrame") -> None:
    """A data frame as CSV, without its index; a standard error that is NaN is an empty cell. Raises as `write_csv`."""
    shown = frame.notna() | (frame.columns != "standard_error")
    write_csv(path, frame.astype(object).where(shown, None).to_dict("records"))


def read_table(path: str | Path) -> "pd.DataFrame":
    """One or more rows of text and numbers. An empty cell is NaN.

    Raises:
        FileError: the file is missing, damaged or empty.
    """
    import pandas as pd  # here, since it takes half a second that most stages do without

    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
        if frame.empty:
            raise ValueError("it has no rows")
    except (OSError, ValueError) as error:
        raise unreadable(path, "a table", error) from error
    return frame


def write_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """An uncompressed npz: the same arrays always give the same bytes, which NumPy's do not under every Python.

    Raises:
        FileError: a number is not finite, or an array is of Python objects, which would be pickled.
    """
    with atomic(path) as temporary, _refused(path):
        arrays = {key: np.asanyarray(array) for key, array in arrays.items()}
        _require_finite(arrays)
        with zipfile.ZipFile(temporary, "w") as file:
            for key, array in arrays.items():
                content = io.BytesIO()
                np.lib.format.write_array(content, array, allow_pickle=False)
                file.writestr(zipfile.ZipInfo(f"{key}.npy"), content.getbuffer())


def read_arrays(path: str | Path) -> Content:
    """All arrays of an npz, never unpickling.

    Raises:
        FileError: the file is missing or damaged, or has a number that is not finite.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            arrays = dict(loaded)
        _require_finite(arrays)
    except Exception as error:  # zipfile and NumPy raise many kinds for damaged files
        raise unreadable(path, "arrays", error) from error
    return Content(path, arrays)


def write_weights(path: str | Path, weights: dict, config: dict) -> None:
    """Tensors as safetensors, with the configuration that they belong to in the header.

    Raises:
        FileError: a number is not finite; names the tensor.
    """
    from safetensors.torch import save_file

    with atomic(path) as temporary, _refused(path, ". Training has diverged: lower its learning rate"):
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        _require_finite(weights)
        save_file(weights, temporary, {"config": json.dumps(config)})


def read_weights(path: str | Path) -> tuple[dict, dict]:
    """Tensors and the configuration written beside them.

    Raises:
        FileError: the file is missing or damaged, holds no configuration, or has a number that is not finite.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            config = json.loads((file.metadata() or {})["config"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _require_finite(weights)
    except Exception as error:  # a damaged header fails in many ways
        raise unreadable(path, "weights", error) from error
    return weights, config


def check_fit(path: str | Path, weights: dict, expected: dict) -> None:
    """Are these the tensors, of the shapes and types, that a model expects?

    Raises:
        FileError: they are not; names the first tensor that differs, and both shapes.
    """
    found, wanted = ({name: _described(tensor) for name, tensor in of.items()} for of in (weights, expected))
    wrong = [name for name in wanted | found if found.get(name) != wanted.get(name)]
    if wrong:
        first, second = (tensors.get(wrong[0], "missing") for tensors in (found, wanted))
        raise FileError(
            f"{path} does not hold the weights that it should: {wrong[0]} is {first} in the file and {second} in the "
            f"model, and {len(wrong) - 1} others differ; {AGAIN}"
        )


def check_array(path: str | Path, name: str, array: np.ndarray, dtype: DTypeLike, shape: Sequence[int | None]) -> None:
    """Is the array of a file of this type and shape, in which None stands for any length?

    Raises:
        FileError: it is not; names the file and the array.
    """
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not (fits and np.issubdtype(array.dtype, dtype)):
        wanted = f"{np.dtype(dtype).name} {shape}".replace("None", "n")
        raise FileError(f"{path}: {name} is {array.dtype} {array.shape}, not {wanted}; {AGAIN}")


def _described(tensor: Any) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


@contextmanager
def _refused(path: str | Path, hint: str = "") -> Iterator[None]:
    """What cannot be written is a FileError."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise FileError(f"{path} is not written: {_reason(error)}{hint}") from error


def unreadable(path: str | Path, what: str, error: Exception) -> FileError:
    """The error of a file that cannot be read as `what`, and what to do."""
    reason = f"{error} is missing" if isinstance(error, KeyError) else _reason(error) or type(error).__name__
    remedy = "run `dvc repro`" if isinstance(error, FileNotFoundError) else AGAIN
    return FileError(f"{path} cannot be read as {what}: {reason}; {remedy}")


def _require_finite(arrays: dict) -> None:
    """NaN or infinity in an array, or a tensor, is a ValueError that names it."""
    for name, array in arrays.items():
        values = np.asarray(array)
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            raise ValueError(f"{name!r} holds NaN or infinity")


def _plain(value: Any, at: str) -> Any:
    """The same in types that JSON has, numbers rounded. What is not finite is a ValueError that says where."""
    if isinstance(value, dict):
        return {key: _plain(item, f"{at}.{key}" if at else key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{at}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float | np.floating):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"{at} is {number}; only finite numbers are written")
        return float(f"{number:.{SIGNIFICANT_DIGITS}g}") if abs(number) >= ZERO else 0.0
    return _plain(value.tolist(), at) if hasattr(value, "tolist") else value  # of NumPy and torch
