"""Seconds of each stage of a clean `dvc repro`, in a clone of a revision with nothing in its cache."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGE = re.compile(r"Running stage '(.+)'")


def seconds_per_stage(repository: Path, revision: str) -> dict[str, float]:
    """Wall-clock seconds from each stage's start to the next one's, DVC's own work on it included."""
    with tempfile.TemporaryDirectory() as folder:
        for command in (["clone", "-q", str(repository), folder], ["-C", folder, "checkout", "-q", revision]):
            subprocess.run(["git", *command], check=True)
        (Path(folder) / "dvc.lock").unlink(missing_ok=True)  # nothing is known to have run
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro"], cwd=folder, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        starts, last = {}, time.perf_counter()
        stage = "(start)"
        for line in process.stdout:
            if found := STAGE.search(line):
                now = time.perf_counter()
                starts[stage] = now - last
                stage, last = found[1], now
                print(f"{stage} ...", file=sys.stderr, flush=True)
        starts[stage] = time.perf_counter() - last
        if process.wait():
            sys.exit(f"dvc repro failed at {stage}")
    return starts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revision", default="HEAD")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    seconds = seconds_per_stage(Path(__file__).parents[1], given.revision)
    if given.json:
        print(json.dumps({"seconds": seconds, "total": sum(seconds.values())}, indent=2))
        return
    for stage, value in seconds.items():
        print(f"{value:8.1f}  {stage}")
    print(f"{sum(seconds.values()):8.1f}  total")


if __name__ == "__main__":
    main()
