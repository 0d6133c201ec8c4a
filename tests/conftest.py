"""What several tests need."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from forked import Server

# What a caller may have exported and programs look at: the tests set what they need (test_environment.py).
for name in [
    name for name in os.environ if name.startswith(("DVC_", "GIT_", "MAKE", "MFLAGS", "MPL", "OMP_", "PYTHON", "TQDM_"))
]:
    del os.environ[name]
os.environ["OMP_NUM_THREADS"] = "1"  # processes share the cores: more threads would only wait
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MMVAE_SHARED", ROOT.parent / "shared"))
FIRST = "test_smoke.py"  # runs the whole pipeline, tiny, while others go on beside it
OF_ITS_PROJECT = ("test_stopped.py", "test_storage.py", "test_docs.py", "test_field_docs.py")
SMALL = "test_files.py"  # and what comes after it in the alphabet
BESIDE = {  # the product: dvc.yaml, benchmarks, studies and the parallel pipeline
    *("test_fanout.py", "test_fanout_arguments.py", "test_clusters.py", "test_workers.py"),
    *("test_pipeline.py", "test_benchmarks.py", "test_results.py", "test_measure.py", "test_three_modalities.py"),
    *("test_subset.py", "test_gradients.py", "test_moments.py", "test_first_updates.py", "test_figure2.py"),
}
WHOLE_STAGES = {"finished_project", "stage_server"}  # fixtures that take their time


def pytest_configure():
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as of a shell's background jobs, and of all they start
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The longest file first, then what needs its project when that is done, small ones last: all end together."""

    def place(name: str) -> int:
        return 0 if name == FIRST else 2 if name in OF_ITS_PROJECT else 1 if name < SMALL else 3

    items.sort(key=lambda item: place(item.path.name))
    for item in items:
        if item.path.parent.name == "faults":
            item.add_marker("faults")
        if item.path.name in BESIDE or WHOLE_STAGES & set(item.fixturenames):
            item.add_marker("slow")


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


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Path:
    """The folder of the results that README.md and docs/ quote: as committed, since those of another kind of processor
    may lie in the workspace; the workspace itself while one of the pages is edited.
    """
    pages = ["README.md", "docs"]
    if subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *pages], cwd=ROOT, stderr=subprocess.DEVNULL).returncode:
        return ROOT
    folder = tmp_path_factory.mktemp("recorded")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
    return folder


@pytest.fixture
def browser():
    """Chromium without a window, by playwright."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -r requirements-browser.txt"
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def stage_server() -> Iterator[Server]:
    """Runs stages without their imports' seconds."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def work(finished_project, tmp_path_factory) -> Path:
    """A finished project's files, without git and DVC: stages are run one by one there, and each leaves all whole."""
    folder = tmp_path_factory.mktemp("stages") / "work"
    return shutil.copytree(finished_project[0], folder, ignore=shutil.ignore_patterns(".dvc", ".git"))


@pytest.fixture
def generator():
    import torch  # here, after the environment is what it should be

    return torch.Generator().manual_seed(0)
