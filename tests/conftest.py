"""What several tests need."""

import fcntl
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MMVAE_SHARED", ROOT.parent / "shared"))
FIRST = "test_smoke.py"  # runs the whole pipeline, tiny, while others go on beside it
OF_ITS_PROJECT = ("test_faults_interruption.py", "test_faults_sharing.py", "test_faults_storage.py")

needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the list of the project's files comes from git")


def pytest_configure():
    if "PYTEST_XDIST_WORKER" in os.environ:  # processes that share the cores: more threads would only wait
        torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """The longest file first, and what needs its project when that is done."""
    items.sort(key=lambda item: (item.path.name in OF_ITS_PROJECT) - (item.path.name == FIRST))


def pytest_terminal_summary(terminalreporter):
    """Every fault by name: how often it was injected, and how often what came of it was right."""
    injected, survived = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for key, value in getattr(report, "user_properties", ()):
                if key == "faults" and report.when == "teardown":
                    injected.update(value["injected"])
                    survived.update(value["survived"])
    if injected:
        width = max(map(len, injected))
        terminalreporter.section("faults")
        terminalreporter.write_line(f"{'':{width}}  injected  survived")
        for name in sorted(injected):
            terminalreporter.write_line(f"{name:{width}}  {injected[name]:8}  {survived[name]:8}")
        terminalreporter.write_line(f"{'all':{width}}  {injected.total():8}  {survived.total():8}")


@pytest.fixture
def fault(request):
    """`with fault("name"):` around one injected fault and the checks of what comes of it; counted in the summary."""
    injected, survived = Counter(), Counter()

    @contextmanager
    def inject(name: str) -> Iterator[None]:
        injected[name] += 1
        yield
        survived[name] += 1

    yield inject
    request.node.user_properties.append(("faults", {"injected": dict(injected), "survived": dict(survived)}))


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory) -> tuple[Path, str]:
    """A tiny project that was run once, for all test processes, and what it printed. To be copied, never changed."""
    from tiny import run_project, write_project

    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, output = base / "finished project", base / "finished.txt"
    with (base / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not output.exists():
            write_project(folder)
            output.write_text(run_project(folder))
    return folder, output.read_text()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
