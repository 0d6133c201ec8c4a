"""Compare two runs' metrics: `python -m benchmarks.compare metrics /elsewhere/metrics`.

On one machine the same parameters give the same bytes. Another processor or number of threads rounds sums in another
order; training makes another run of that, as another seed would be, so metrics agree only within the tolerances below
(docs/reliability.md says what they were measured on). Exit status 1 if a number is outside, or only one run has it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from mmvae.files import read_json

TOLERANCES = {  # file -> absolute, and as a share of the value
    "classifiers": (0.05, 0.0),  # shares
    "table1": (0.3, 0.0),  # shares
    "table2": (0.2, 0.2),  # shares, and entropies in nats
    "table3": (20.0, 0.01),  # nats
    "table4": (0.15, 0.0),  # correlations
    "table5": (0.2, 0.2),
    "captions": (0.2, 0.3),  # shares, BLEU, words
}
SPREAD = ("std", "seeds", "standard_error", "fasttext_std")  # not compared: the values themselves are


def values(content: object, at: str = "") -> Iterator[tuple[str, float]]:
    """Every number of nested dictionaries, under the path of its keys."""
    if isinstance(content, dict):
        for key, item in content.items():
            if key not in SPREAD:
                yield from values(item, f"{at}.{key}" if at else key)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield at, float(content)


def read(folder: Path) -> dict[str, dict[str, float]]:
    """File, relative to `folder` -> path of keys -> number."""
    return {str(path.relative_to(folder)): dict(values(read_json(path))) for path in sorted(folder.glob("*/*.json"))}


def compare(old: dict[str, float], new: dict[str, float], absolute: float, relative: float) -> list[tuple]:
    """(share of the tolerance that is used, path, old, new) of each number, the largest first."""
    missing = old.keys() ^ new.keys()
    rows = [(float("inf"), key, old.get(key), new.get(key)) for key in missing]
    rows += [
        (abs(old[key] - new[key]) / (absolute + relative * abs(old[key])), key, old[key], new[key])
        for key in old.keys() & new.keys()
    ]
    return sorted(rows, key=lambda row: (-row[0], row[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    given = parser.parse_args()
    old, new = read(given.old), read(given.new)
    if not old or old.keys() != new.keys():
        sys.exit(f"{given.old} and {given.new} do not hold the same metrics: {sorted(old.keys() ^ new.keys())}")
    outside = 0
    for name in old:
        rows = compare(old[name], new[name], *TOLERANCES[Path(name).stem])
        same = sum(share == 0 for share, *_ in rows)
        print(f"{name}: {same} of {len(rows)} numbers are the same")
        for share, key, before, after in [row for row in rows if row[0] > 0][:3]:
            print(f"  {key}: {before} -> {after}, {share:.2f} of the tolerance")
        outside += sum(share > 1 for share, *_ in rows)
    sys.exit(f"{outside} numbers differ by more than their tolerance" if outside else 0)


if __name__ == "__main__":
    main()
