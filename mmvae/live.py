"""What can be seen of a training while it runs, in live/<set>/<run>_<seed>/.

    curve.tsv           a row after 4 seconds, then after 8 more, 16 more, ..., one a minute; a line of the log for each
    cross_00004.png     after epochs 1, 2, 4, ...: images of validation pairs, and what they become across modalities;
                        from the time of the first row

No stage has this folder as its output: DVC removes outputs before a stage runs, and a training that goes on after an
interruption goes on with its curve. `MMVAE_TRACK=tensorboard` or `mlflow` sends the rows there too.

Nothing here changes a weight. So training loads this module by name, where no hash of its code looks for it, and a
change of it trains nothing again.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module  # of trackers, which fanout must not look for
from pathlib import Path

import torch
from tqdm import tqdm

from mmvae.data.pairs import Pairs
from mmvae.files import atomic
from mmvae.model import MultimodalModel
from mmvae.params import ParamsError

FIRST, EVERY = 4.0, 60.0  # seconds to the first row, and at most between rows
COLUMNS = 10  # pairs of a picture
TRACK = "MMVAE_TRACK"

Row = dict[str, float]
Tell = Callable[[Row], None]


def tensorboard(folder: Path, title: str, pairs: int) -> Tell:
    """Rows after the given number of pairs go to TensorBoard: `tensorboard --logdir live`."""
    writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder), purge_step=pairs)

    def tell(row: Row) -> None:
        for name, value in row.items():
            writer.add_scalar(name, value, int(row["pairs"]))
        writer.flush()

    return tell


def mlflow(folder: Path, title: str, pairs: int) -> Tell:
    """Rows go to MLflow, to the run that the same training had before it was interrupted."""
    client, known = import_module("mlflow"), folder / "mlflow_run.txt"
    before = known.read_text() if pairs and known.exists() else None
    run = client.start_run(run_id=before, run_name=None if before else title)
    with atomic(known) as path:
        path.write_text(run.info.run_id)
    return lambda row: client.log_metrics(row, step=int(row["pairs"]))


TRACKERS = {"tensorboard": tensorboard, "mlflow": mlflow}


def tracker(folder: Path, title: str, pairs: int) -> Tell:
    """What MMVAE_TRACK names; without it, nothing.

    Raises:
        ParamsError: it names no tracker, or one whose package is not installed.
    """
    name = os.environ.get(TRACK)
    if not name:
        return lambda row: None
    if name not in TRACKERS:
        raise ParamsError(f"{TRACK} is {name}; it may be {' or '.join(TRACKERS)}")
    try:
        return TRACKERS[name](folder, title, pairs)
    except ModuleNotFoundError as error:
        raise ParamsError(f"{TRACK}={name} needs a package: pip install {name}") from error


@dataclass
class Live:
    """Watches the training of one run."""

    folder: Path
    title: str
    _wait: float = field(default=FIRST, init=False)

    def begin(self, pairs: int, total: int) -> None:
        """The training goes on after `pairs` of `total`: what was seen later, before it was interrupted, goes."""
        self.total, self.first, self.since = total, pairs, time.monotonic()
        self.last, self.path = self.since, self.folder / "curve.tsv"
        lines = self.path.read_text().splitlines() if pairs and self.path.exists() else []
        self.header, *rows = lines or [""]  # none: stopped before the first row
        whole = [row.split("\t") for row in rows if row.count("\t") == self.header.count("\t")]
        self._rewrite(self.header, ["\t".join(row) for row in whole if int(row[0]) <= pairs])
        if not pairs:
            for old in self.folder.glob("cross_*.png"):
                old.unlink()
        self.track = tracker(self.folder, self.title, pairs)

    def _rewrite(self, header: str, rows: list[str]) -> None:
        self.header = header
        with atomic(self.path) as path:
            path.write_text("".join(f"{line}\n" for line in (header, *rows) if line))

    def due(self) -> bool:
        """Is it time for a row?"""
        return time.monotonic() - self.last >= self._wait

    def tell(self, row: Row) -> None:
        """A row, which begins with the number of pairs."""
        self.last = time.monotonic()
        self._wait = min(2 * self._wait, EVERY)
        speed = (row["pairs"] - self.first) / (self.last - self.since)
        row = {"pairs": row["pairs"], "pairs_per_second": speed} | row
        if self.header != (header := "\t".join(row)):
            self._rewrite(header, [])
        with self.path.open("a") as file:  # so that `tail -f` sees it
            file.write("\t".join(f"{value:.9g}" for value in row.values()) + "\n")
        self.track(row)
        if not os.environ.get("TQDM_DISABLE"):
            tqdm.write(self._line(row), file=sys.stderr)

    def _line(self, row: Row) -> str:
        left = (self.total - row["pairs"]) / row["pairs_per_second"] / 60
        shown = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if not name.startswith("pairs"))
        return f"{row['pairs']:,.0f} pairs, {row['pairs_per_second']:.0f} pairs/s, {left:.0f} min left: {shown}"

    @torch.no_grad()
    def picture(self, model: MultimodalModel, validation: Pairs, epoch: int) -> None:
        """Images of validation pairs, each above what it becomes in the other modalities."""
        if time.monotonic() - self.since < FIRST:
            return
        from mmvae.figures import grids

        chosen = torch.linspace(0, len(validation) - 1, COLUMNS).round().long()
        device = next(model.parameters()).device
        x = {name: value for name, value in validation.batch(chosen.to(device)).items() if name in model.modalities}
        panels = []
        for source, value in x.items():
            others = [name for name in model.generates([source]) if name != source and x[name].dim() == 4]
            if value.dim() < 4 or not others:
                continue
            z = model.sample({source: value}, torch.Generator(device).manual_seed(0))
            shown = {source: value} | {f"{source} to {name}": model.decode(name, z) for name in others}
            panels += [(title, images[None].cpu().numpy()) for title, images in shown.items()]
        if panels:
            title = f"{self.title} after epoch {epoch}"
            grids.save(self.folder / f"cross_{epoch:05}.png", grids.grids([[panel] for panel in panels], title))
