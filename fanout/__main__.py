"""`python -m fanout`: what `dvc repro` does, on all cores or on a cluster; with -S what `dvc exp run -S` does."""

import argparse
import fcntl
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.dvcfile import PROJECT_FILE
from dvc.exceptions import DvcException, ReproductionError
from dvc.repo import Repo
from scmrepo.exceptions import SCMError

from fanout import experiments
from fanout.display import display
from fanout.inside import message
from fanout.leader import reproducer
from fanout.listing import list_stages
from stages import recover

FOLDER = Path(".dvc/tmp/fanout")
INTERRUPTED = 130  # the exit status that shells know
PLACES = ("local", "ray", "slurm")  # a module of fanout each
ELSEWHERE = {"partition": "slurm", "time": "slurm", "remote": "ray"}  # options of one place


def positive(text: str) -> int:
    """A number of jobs."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m fanout", description=__doc__)
    add = parser.add_argument
    add("targets", nargs="*", help="stages, as for dvc repro; by default all of dvc.yaml")
    add(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="run as an experiment; KEY=A,B: two"
    )
    add("-j", "--jobs", type=positive, help="stages at once; by default as many as there are cores for")
    add("--on", default="local", metavar="local|ray|ray:ADDRESS|ray://ADDRESS|slurm", help="where stages run")
    add("--dry", action="store_true", help="list what would run, and run nothing")
    add("--gpus", type=positive, help="trainings at once on GPUs, by default one on each; on a cluster, GPUs of each")
    add("--remote", help="the DVC remote through which files travel, if a Ray cluster has no shared folder")
    add("--partition", help="of Slurm")
    add("--time", help="limit of one job under Slurm, such as 4:00:00")
    return parser.parse_args()


def executor_class(options: argparse.Namespace) -> type:
    """The class `Executor` of the module of fanout that is called as the place is.

    Raises:
        SystemExit: there is no such place, its package is not installed, or an option is of another place.
    """
    name = options.on.partition(":")[0]
    if name not in PLACES:
        sys.exit(f"--on {options.on}: there is no such place; there are local, ray and slurm")
    for option, place in ELSEWHERE.items():
        if getattr(options, option) and name != place:
            sys.exit(f"--{option} is for --on {place}, not for --on {options.on}")
    try:
        return importlib.import_module(f"fanout.{name}").Executor
    except ModuleNotFoundError as error:
        sys.exit(f"--on {options.on} needs a package: pip install -r requirements-{name}.txt ({error})")


@contextmanager
def alone(place: str) -> Iterator[None]:
    """Be the only leader with a cluster in this folder, for each has the same lease and ends jobs of earlier leaders.

    Raises:
        SystemExit: there is another one.
    """
    if place == "local":
        yield
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "cluster.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("Another `python -m fanout --on ...` works in this folder. Wait for its end, or clone the project")
        yield


def main() -> int:
    """Exit status: 0, or 1 if stages failed."""
    options = arguments()
    root, here = Repo.find_root(), Path.cwd()
    if not here.samefile(root):
        stages = os.path.relpath(here / PROJECT_FILE, root)
        sys.exit(f"Run it in {root}, the project's folder; {stages} as a target means the stages of this one")
    recover.main()
    executor, folder = executor_class(options), FOLDER.absolute()
    with alone(options.on):
        if options.set_param:
            return experiments.run(options, lambda: executor(options), folder)
        with Repo() as repo:
            if options.dry:
                list_stages(repo, options.targets)
            else:
                reproducer(lambda: executor(options), display(), folder)(repo, options.targets)
    return 0


def _end(number: int, _: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # and not nohup's
            signal.signal(number, _end)
    try:
        sys.exit(main())
    except ReproductionError:  # of which all is said
        sys.exit(1)
    except (DvcException, SCMError) as error:
        sys.exit(f"ERROR: {message(error)}")
    except KeyboardInterrupt:
        print("Interrupted; nothing runs on. The same command goes on with what is left.", file=sys.stderr)
        sys.exit(INTERRUPTED)
