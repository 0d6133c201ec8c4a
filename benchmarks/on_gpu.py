"""The study of the estimators where there is no DVC, in pieces that go on where the last one stopped.

    python -m benchmarks.on_gpu --mirror FOLDER --out FOLDER [--minutes 9]

Run it again with the same --out until it says that nothing is left. It needs python 3.11 or newer with torch,
torchvision, numpy, scipy, pandas, scikit-learn, matplotlib, pyyaml, pydantic, tqdm and safetensors; neither DVC nor a
network. The mirror holds MNIST and SVHN as the README describes it. Stages are those of studies/estimators/measure, run
by run; budgets are those of its params.yaml, or of a copy with others (--params). After each piece --out has what the
last stage collects, and the state, checkpoints included, as files of at most 15 MB, 60 MB in all, so that it can be
carried to another machine.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
MEASURE = ROOT / "studies/estimators/measure"
PART_BYTES, STATE_BYTES = 15_000_000, 58_000_000
RAW = "../../../data/raw/mnist_svhn"  # where a DVC user has what the mirror holds
COLLECT = "collect"


class Task(NamedTuple):
    """A stage, or one item of it: the arguments of Python, and the files that it makes."""

    stage: str
    item: str
    command: list[str]
    outs: list[str]


def tasks(runs: dict, mirror: Path) -> list[Task]:
    """Everything in order: the data, then all of one of the `runs` after the other, then the rest."""
    stages = yaml.safe_load((MEASURE / "dvc.yaml").read_text())["stages"]
    study = yaml.safe_load((MEASURE.parent / "params.yaml").read_text())
    found = []
    for name in stages.keys() - {"code", COLLECT}:
        several = study[stages[name]["foreach"][2:-1]] if "foreach" in stages[name] else {"": ""}
        several = several if isinstance(several, dict) else {item: item for item in several}
        for key in several.keys() - (study["trained"].keys() - runs.keys()):
            item = several[key]
            if isinstance(item, dict):  # as DVC writes it in a command
                item = re.sub(r"[],[]", "", " ".join(f"--{option} {value}" for option, value in item.items()))
            text = yaml.safe_dump(stages[name].get("do", stages[name]))
            one = yaml.safe_load(text.replace("${key}", key).replace("${item}", str(item)))
            command = [word.replace(RAW, str(mirror.resolve())) for word in one["cmd"].split()[1:]]
            found.append(Task(name, key, command, one["outs"]))
    # What needs the weights comes before `evaluate`: a run that was evaluated is at its end, and its weights may go.
    places = {"": -1} | {run: i for i, run in enumerate(study["trained"])}
    order = [name for name in stages if name != "evaluate"] + ["evaluate"]
    return sorted(found, key=lambda task: (places.get(task.item, len(places)), order.index(task.stage), task.item))


def left(every: list[Task], folder: Path) -> list[Task]:
    """Those that have not been done."""
    done = {task[:2] for task in every if all((folder / out).exists() for out in task.outs)}
    done |= {("train", run) for stage, run in done if stage == "evaluate"}
    return [task for task in every if task[:2] not in done]


def run(task: Task, folder: Path, seconds: float) -> str:
    """'done', 'failed' or 'out of time'; of what was not done, nothing is left."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "TQDM_MININTERVAL": "10"}
    options = {"cwd": folder, "env": environment, "timeout": seconds, "stderr": subprocess.STDOUT}
    with (folder / "log.txt").open("ab") as log:
        try:
            failed = subprocess.run([sys.executable, *task.command], stdout=log, **options).returncode
        except subprocess.TimeoutExpired:
            failed = -1
    for out in task.outs if failed else ():
        shutil.rmtree(folder / out) if (folder / out).is_dir() else (folder / out).unlink(missing_ok=True)
    said = f"failed: {(folder / 'log.txt').read_bytes()[-2000:].decode(errors='replace')}"
    return {0: "done", -1: "out of time"}.get(failed, said)


def kept(folder: Path) -> list[Path]:
    """What the state consists of, most important first: results, the run under way, weights from the newest on."""
    small = [path for suffix in ("csv", "json") for path in sorted(folder.rglob(f"*.{suffix}"))]
    under_way = sorted(folder.glob(".checkpoints/*.safetensors"))
    memories = [path.with_name(path.stem.rpartition("_")[0]) for path in under_way]
    large = under_way + [path for memory in memories for path in sorted(memory.glob("*.safetensors"))]
    weights = [*folder.glob("models/**/*.safetensors"), *folder.glob(".checkpoints/*/end_*.safetensors")]
    weights.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    found, total = [], 0
    for path in dict.fromkeys((*small, *large, *weights)):
        if path.stat().st_size + total <= STATE_BYTES:
            found.append(path)
            total += path.stat().st_size
    return found


def pack(folder: Path, out: Path) -> None:
    """Write the state to `out`, in parts."""
    out.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for path in kept(folder):
            file.write(path, path.relative_to(folder))
    for old in out.glob("state.zip.*"):
        old.unlink()
    for number, start in enumerate(range(0, packed.tell(), PART_BYTES)):
        (out / f"state.zip.{number:02d}").write_bytes(packed.getvalue()[start : start + PART_BYTES])


def unpack(out: Path, folder: Path) -> None:
    """Take the state from `out`, unless `folder` has its own."""
    parts = sorted(out.glob("state.zip.*"))
    if not parts or folder.exists():
        return
    with zipfile.ZipFile(io.BytesIO(b"".join(part.read_bytes() for part in parts))) as file:
        for name in file.namelist():
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                sys.exit(f"{parts[0]}: {name} would be written outside {folder}")
        file.extractall(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="results and state")
    parser.add_argument("--params", type=Path, default=MEASURE / "params.yaml")
    parser.add_argument("--folder", type=Path, default=ROOT / ".on_gpu", help="where it runs")
    parser.add_argument("--minutes", type=float, default=9)
    given = parser.parse_args()
    deadline, folder = time.monotonic() + 60 * given.minutes, given.folder
    unpack(given.out, folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(given.params, folder / "params.yaml")
    every = tasks(yaml.safe_load(given.params.read_text())["runs"]["own_objective"], given.mirror)
    waiting = left(every, folder)
    while waiting and (seconds := deadline - time.monotonic()) > 5:
        print(f"{waiting[0].stage} {waiting[0].item} ...", flush=True)
        said = run(waiting[0], folder, seconds)
        print(f"    {said}", flush=True)
        if said == "out of time":
            break
        del waiting[0]
    if list(folder.glob("plots/*/learning/*.csv")):
        command = ["-m", "studies.estimators.collect", "--gather"]
        print(f"{COLLECT}\n    {run(Task(COLLECT, '', command, []), folder, 600)}")
    pack(folder, given.out)
    for path in (*folder.glob("*.csv"), *folder.glob("*.json")):
        shutil.copy(path, given.out)
    print(f"{len(waiting)} tasks are left" if waiting else "nothing is left")


if __name__ == "__main__":
    main()
