"""`-S key=value`: what `dvc exp run -S` does, by DVC itself, but for the stages, which run in parallel.

Several values (`key=a,b`) are a grid of experiments, one after the other. Each has a copy of the workspace, as in
`dvc exp run --queue`, so that none sees another's outputs.
"""

import argparse
from pathlib import Path

from dvc.exceptions import DvcException, InvalidArgumentError, ReproductionError
from dvc.repo import Repo
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import get_hydra_sweeps
from hydra.errors import HydraException

from fanout.display import display
from fanout.inside import message, replaced
from fanout.leader import OpenExecutor, reproducer


def combinations(settings: list[str]) -> list[list[str]]:
    """The settings of each experiment: `a=1,2` and `b=3` are [a=1, b=3] and [a=2, b=3].

    Raises:
        DvcException: a setting is none.
    """
    try:
        sweeps = get_hydra_sweeps(to_path_overrides(settings))
    except HydraException:
        raise InvalidArgumentError(f"-S {' '.join(settings)}: this is no KEY=VALUE that hydra can read") from None
    if len(sweeps) == 1:
        return [settings]
    return [[f"{path}:{value}" for path, values in sweep.items() for value in values] for sweep in sweeps]


def run(options: argparse.Namespace, open_executor: OpenExecutor, folder: Path) -> int:
    """Run every experiment. Exit status: 0, or 1 if some failed."""
    grid = combinations(options.set_param)
    dry = {"dry": True} if options.dry else {}
    failed = 0
    for number, settings in enumerate(grid, 1):
        label = f"{number}_" if len(grid) > 1 else ""
        print(f"experiment {number} of {len(grid)}: {' '.join(settings)}")
        reproduce = reproducer(open_executor, display(), folder, label)
        with Repo() as repo, replaced(Repo, "reproduce", reproduce):
            try:
                repo.experiments.run(targets=options.targets, params=settings, tmp_dir=len(grid) > 1, **dry)
            except DvcException as error:
                if not isinstance(error, ReproductionError):  # of which all is said
                    print(f"ERROR: {message(error)}")
                failed += 1
    return int(bool(failed))
