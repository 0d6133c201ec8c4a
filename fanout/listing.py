"""What a run would do, without doing it."""

from collections.abc import Iterable
from contextlib import suppress

from dvc.dependency.base import DependencyDoesNotExistError
from dvc.dvcfile import PROJECT_FILE
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
from dvc.stage import Stage
from dvc.stage.cache import RunCacheNotFoundError
from dvc.utils.collections import ensure_list

from fanout.inside import quiet

RUN, RESTORE, PERHAPS = "run", "restore", "run or rest, as what it needs turns out"


def would_do(repo: Repo, targets: Iterable[str] | str | None) -> dict[Stage, str]:
    """What a run would do for each stage, but for those that are up to date, in the order of a serial run."""
    found: dict[Stage, str] = {}
    with lock_repo(repo), quiet():
        graph = get_active_graph(repo.index.graph)
        for stage in plan_repro(graph, collect_stages(repo, ensure_list(targets or PROJECT_FILE))):
            upstream = list(graph.successors(stage))
            waits = found.keys() & set(upstream)
            if waits and _finished(stage) and not stage.changed(allow_missing=True, upstream=upstream):
                found[stage] = PERHAPS
            elif waits or stage.changed():
                found[stage] = RUN if waits or not _restorable(stage) else RESTORE
    return found


def _finished(stage: Stage) -> bool:
    """Has dvc.lock all that the stage reads and makes?"""
    return all(item.hash_info for item in (*stage.deps, *stage.outs))


def _restorable(stage: Stage) -> bool:
    """Does the run-cache have what the stage would make? The stage's dependencies are there."""
    with suppress(RunCacheNotFoundError, DependencyDoesNotExistError):
        stage.save_deps()
        stage.repo.stage_cache.restore(stage, dry=True)
        return True
    return False


def list_stages(repo: Repo, targets: Iterable[str] | str | None) -> None:
    """Print it."""
    found = would_do(repo, targets)
    for stage, what in found.items():
        gpu = ", on a GPU if there is one" if (stage.meta or {}).get("gpu") else ""
        print(f"{stage.addressing}: {what}{gpu if what == RUN else ''}")
    print(f"{len(found)} of the stages" if found else "nothing to do")
