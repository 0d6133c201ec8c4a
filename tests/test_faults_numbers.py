"""NaN and infinity reach no metrics file and no curve, and what is read from one is finite numbers."""

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mutations import examples
from tampered import refusal
from test_tables import evaluation

from mmvae import files, tables
from mmvae.files import FileError

pytestmark = pytest.mark.faults

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)
NUMBERS = st.one_of(
    FINITE,
    SINGLE.map(np.float32),
    FINITE.map(np.float64),
    st.integers(),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
)
LEAVES = st.one_of(
    NUMBERS,
    st.integers(-(10**400), 10**400),
    st.sampled_from([0.0, -0.0, np.float64(-0.0), np.float16(65504), sys.float_info.max, sys.float_info.min, 5e-324]),
    st.booleans() | st.booleans().map(np.bool_) | st.none() | st.text(),
    NUMBERS.map(np.array),
    st.lists(FINITE, max_size=3).map(np.array),
    st.lists(SINGLE, max_size=3).map(lambda values: torch.tensor(values, requires_grad=True)),
    SINGLE.map(torch.tensor),
    st.integers(-9, 9).map(torch.tensor),
)
TREES = st.dictionaries(
    st.text(),
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)),
    max_size=4,
)


def plain(value):
    """What a reader must find, worked out apart from the writer: six significant digits."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.5e}") if abs(value) >= 1e-12 else 0.0
    return value


@given(content=TREES)
@examples(150)
def test_what_is_written_is_read_again_to_six_digits(content, tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, content)
    assert repr(files.read_json(path)) == repr(plain(content))  # tells -0.0 from 0.0, True from 1 and 1 from 1.0


INFINITE = st.sampled_from([math.nan, math.inf, -math.inf])
WRONG = st.one_of(
    INFINITE,
    INFINITE.map(np.float32),
    INFINITE.map(np.float64),
    INFINITE.map(np.float16),
    INFINITE.map(np.longdouble),
    INFINITE.map(np.array),
    INFINITE.map(lambda value: np.array([[1.0, value]])),
    INFINITE.map(lambda value: torch.tensor([0.0, value])),
    st.just(np.longdouble("1e4000")),  # finite, but not as what is written
    st.sampled_from([1j, np.complex64(1), {1, 2}, b"bytes", object(), np.datetime64("2020", "D")]),
)


@given(content=TREES, wrong=WRONG, path_to=st.lists(st.text(min_size=1, max_size=3) | st.integers(0, 2), max_size=4))
@examples(150)
def test_nothing_that_is_not_finite_is_written_to_json(content, wrong, path_to, tmp_path, fault):
    path, before = tmp_path / "a.json", {"kept": 1}
    files.write_json(path, before)
    for step in path_to:
        wrong = {step: wrong} if isinstance(step, str) else [*range(step), wrong]
    with fault("metrics: NaN, infinity or no number"):
        refusal(lambda: files.write_json(path, content | {"wrong": wrong}), path)
        assert files.read_json(path) == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


COLUMNS = st.lists(st.text("abcdefg_", min_size=1), min_size=1, max_size=4, unique=True)


@given(data=st.data())
@examples(80)
def test_curves_are_read_again_to_six_digits(data, tmp_path, fault):
    path = tmp_path / "a.csv"
    number = FINITE | SINGLE.map(np.float32) | st.integers(-(2**53), 2**53)
    rows = data.draw(COLUMNS.flatmap(lambda c: st.lists(st.fixed_dictionaries(dict.fromkeys(c, number)), min_size=1)))
    files.write_csv(path, rows)
    expected = [{key: float(plain(row[key])) for key in rows[0]} for row in rows]
    assert files.read_csv(path) == expected
    row, key = data.draw(st.sampled_from(rows)), data.draw(st.sampled_from(list(rows[0])))
    row[key] = data.draw(INFINITE | INFINITE.map(np.float32) | st.none())
    with fault("curves: NaN, infinity or no number"):
        refusal(lambda: files.write_csv(path, rows), path)
        assert files.read_csv(path) == expected


@pytest.mark.parametrize("rows", [[], [{"a": 1}, {"b": 1}], [{"a": 1}, {"a": 1, "b": 2}]])
def test_rows_that_make_no_table(rows, tmp_path, fault):
    with fault("curves: rows that make no table"):
        refusal(lambda: files.write_csv(tmp_path / "a.csv", rows), tmp_path / "a.csv")
        assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "epoch\n", "epoch,ess\n1\n", "epoch\nnan\n", "epoch\ninf\n", "epoch\n\xff\n"])
def test_damaged_curves(content, tmp_path, fault):
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode("latin-1"))
    with fault("curves: damaged"):
        assert "remove it and run `dvc repro`" in refusal(lambda: files.read_csv(path), path)


JSON = ['{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": ', '{"a" 1}', "{1: 2}", "\xff"]


@pytest.mark.parametrize("content", JSON)
def test_damaged_metrics(content, tmp_path, fault):
    path = tmp_path / "a.json"
    path.write_bytes(content.encode("latin-1"))
    with fault("metrics: damaged"):
        assert "remove it and run `dvc repro`" in refusal(lambda: files.read_json(path), path)


def leaves(content: dict, at: tuple = ()):
    """The path to every dictionary's every key."""
    for key, value in content.items():
        yield (*at, key)
        if isinstance(value, dict):
            yield from leaves(value, (*at, key))


def without(content: dict, path: tuple) -> dict:
    """The same, one key left out."""
    first, *rest = path
    if not rest:
        return {key: value for key, value in content.items() if key != first}
    return content | {first: without(content[first], tuple(rest))}


def test_metrics_with_a_key_missing(tmp_path, fault):
    """The tables need every key of an evaluation, or do without it: never a table of something else."""
    runs = {run: evaluation(0.5) for run in ("mmvae_loose", "mmvae_tight", "mvae_poe", "mvae_moe")}
    runs |= {f"vae_{kind}": evaluation(0.5, (name,)) for kind, name in (("grey", "mnist"), ("colour", "svhn"))}
    needed, path = 0, tmp_path / "0.json"
    for lost in leaves(evaluation(0.5)):
        files.write_json(path, without(evaluation(0.5), lost))
        every = {run: {0: evaluation, 1: evaluation} for run, evaluation in runs.items()}
        every["mmvae_loose"] = {0: evaluation(0.5), 1: files.read_json(path)}
        with fault("metrics: a key missing"):
            try:
                tables.table1(every)
                tables.table2(every, CLASSIFIERS)
                tables.table3(every)
            except FileError as error:
                assert str(error) == f"{path} has no {lost[-1]!r}; {files.AGAIN}"
                needed += 1
    assert needed > 20


CLASSIFIERS = {kind: {"mnist": 0.99, "svhn": 0.9} for kind in ("strong", "lenet")}
