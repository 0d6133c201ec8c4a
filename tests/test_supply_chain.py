"""What is installed is what is pinned, all of it is needed, and docs/dependencies.md says what it is."""

import random
import sys
from importlib import metadata

import pytest
from conftest import ROOT
from dependencies import (
    CONSTRAINTS,
    DEVELOPMENT,
    INSTALLERS,
    PIPELINE,
    REMAKE,
    TABLE,
    Installed,
    files,
    imported,
    installed,
    needless,
    problems,
    table_problems,
)

NOT_IMPORTED = {
    "dvc": "runs the stages",
    "dvc-ssh": "DVC looks for it where a remote is on SSH",
    "pytest-xdist": "an extension of pytest",
    "ruamel-yaml-clib": "the YAML reader of DVC looks for it",
    "ruff": "a command",
}
needs_environment = pytest.mark.skipif(
    sys.prefix == sys.base_prefix, reason=f"{sys.prefix} is no virtual environment: what it holds is not the project's"
)

PINNED = {
    PIPELINE: ["alpha==1.0"],
    DEVELOPMENT: ["tester[fast]==3.1"],
    CONSTRAINTS: ["Beta_Lib==2.0", "speed==4.2", "idle==1; os_name == 'none'", "on-any==1.0; os_name != 'none'"],
}
ALPHA = ("beta.lib>=1", "driver==5.*", "on-any", "never; python_version < '3'", "unasked; extra == 'docs'")
TESTER = ("speed; extra == 'fast'", "slow; extra == 'slow'", "idle; os_name == 'none'")
HERE = {
    "alpha": Installed("alpha", "1.0", ALPHA, "MIT", ()),
    "beta-lib": Installed("Beta_Lib", "2.0", ("alpha",), None, ("BSD License",)),
    "driver": Installed("driver", "5.1"),
    "on-any": Installed("on-any", "1.0"),
    "pip": Installed("pip", "23.2"),
    "speed": Installed("speed", "4.2", (), "MPL-2.0"),
    "tester": Installed("tester", "3.1", TESTER, "Apache-2.0 OR MIT"),
}
TEXT = """
| alpha | 1.0 | Reads alphabets | MIT |
| Beta_Lib | 2.0 | alpha | BSD-3-Clause |
| driver | 5.1 | alpha | LicenseRef-Driver |
| idle | 1 | tester | MIT |
| on-any | 1.0 | alpha | MIT |
| speed | 4.2 | tester | MPL-2.0 |
| tester | 3.1 | Tests | Apache-2.0 OR MIT |
Copyleft: `speed`.
"""


@needs_environment
def test_the_environment_is_what_is_pinned():
    found = problems(files(), installed())
    assert not found, "\n".join([f"{sys.prefix} is not what is pinned:", *found])


def test_the_environment_is_made_with_the_pins():
    assert "-r requirements-dev.txt -c constraints.txt\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "folders"), [(PIPELINE, ("mmvae", "stages", "studies")), (DEVELOPMENT, ("tests", "benchmarks"))]
)
def test_what_is_required_is_imported(file, folders):
    """And what the pipeline imports is required, rather than brought along."""
    pinned = files()[file]
    idle, unlisted = needless(pinned, imported(*folders), metadata.packages_distributions())
    idle -= NOT_IMPORTED.keys()
    assert not idle, f"{file} lists what is not imported: {sorted(idle)}"
    assert file == DEVELOPMENT or not unlisted, f"{file} does not list what is imported: {sorted(unlisted)}"


@needs_environment
def test_the_table_of_dependencies():
    found = table_problems((ROOT / TABLE).read_text(encoding="utf-8"), files(), installed())
    assert not found, "\n".join(found)


def test_nothing_is_wrong_with_what_is_right():
    assert problems(PINNED, HERE) == table_problems(TEXT, PINNED, HERE) == []


def test_another_build_may_require_less():
    cpu = {name: known for name, known in HERE.items() if name not in ("driver", "on-any")}
    cpu["alpha"] = HERE["alpha"]._replace(version="1.0+cpu", requires=("beta.lib>=1",))
    assert problems(PINNED, cpu) == table_problems(TEXT, PINNED, cpu) == []


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"alpha": ("2.0", ALPHA)}, f"alpha 2.0: requirements.txt wants alpha==1.0, {REMAKE}"),
        ({"beta-lib": ("2.0.1", ())}, f"Beta_Lib 2.0.1: constraints.txt wants beta-lib==2.0, {REMAKE}"),
        ({"driver": ("6.0", ())}, f"driver 6.0: alpha wants driver==5.*, {REMAKE}"),
        ({"speed": ("4.2rc1", ())}, f"speed 4.2rc1: constraints.txt wants speed==4.2, {REMAKE}"),
    ],
)
def test_wrong_versions(fault, change, expected):
    with fault("supply chain: wrong version"):
        changed = {name: HERE[name]._replace(version=new, requires=needs) for name, (new, needs) in change.items()}
        assert problems(PINNED, HERE | changed) == [expected]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "by"), [("tester", DEVELOPMENT), ("beta-lib", "alpha"), ("driver", "alpha"), ("speed", "tester")]
)
def test_missing_packages(fault, name, by):
    with fault("supply chain: missing package"):
        found = problems(PINNED, {other: known for other, known in HERE.items() if other != name})
        assert f"{name} is not installed, {by} requires it, {REMAKE}" in found


@pytest.mark.faults
def test_extra_packages(fault):
    for name in ("unasked", "never", "slow", "idle"):  # none is required here
        with fault("supply chain: extra package"):
            found = problems(PINNED, HERE | {name: Installed(name, "1.0")})
            assert found == [f"{name} 1.0: nothing requires it, {REMAKE}"]


@pytest.mark.faults
@pytest.mark.parametrize("file", [PIPELINE, DEVELOPMENT, CONSTRAINTS])
def test_lines_that_pin_nothing(fault, file):
    for line in ("alpha", "alpha>=1.0", "alpha==1.*", "alpha~=1.0", "alpha==1.0,<2", "alpha @ http://a/b.whl", "-e ."):
        with fault("supply chain: unpinned requirement"):
            found = problems(PINNED | {file: [*PINNED[file], line]}, HERE)
            assert found == [f"{file}: {line!r} pins no version, write name==version"]


@pytest.mark.faults
def test_constraints_too_few_and_too_many(fault):
    with fault("supply chain: unpinned dependency"):
        few = [line for line in PINNED[CONSTRAINTS] if "Beta" not in line]
        found = problems(PINNED | {CONSTRAINTS: few}, HERE)
        assert found == ["Beta_Lib 2.0: no file pins it, add Beta_Lib==2.0 to constraints.txt"]
    with fault("supply chain: stale pin"):
        found = problems(PINNED | {CONSTRAINTS: [*PINNED[CONSTRAINTS], "gone==1.0"]}, HERE)
        assert found == ["constraints.txt: nothing requires gone==1.0, remove the line"]


@pytest.mark.faults
def test_imports_and_requirements_that_do_not_meet(fault):
    providers = {"yaml": ["PyYAML"], "PIL": ["pillow"], "numpy": ["numpy"]}
    assert needless(["PyYAML==6.0", "numpy==2.0"], {"yaml", "numpy"}, providers) == (set(), set())
    with fault("supply chain: needless requirement"):
        assert needless(["PyYAML==6.0", "Pillow==9.0"], {"yaml"}, providers) == ({"pillow"}, set())
    for module in ("PIL", "unknown"):
        with fault("supply chain: import without a requirement"):
            assert needless(["PyYAML==6.0"], {"yaml", module}, providers) == (set(), {module})


@pytest.mark.faults
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("| alpha | 1.0 |", "| alpha | 1.1 |", "alpha: the row says 1.1, pinned is ==1.0"),
        ("| driver | 5.1 |", "| driver | 5.2 |", "driver: the row says 5.2, here is 5.1"),
        ("alphabets | MIT", "alphabets | ISC", "alpha: the row says ISC, its metadata MIT"),
        ("BSD-3-Clause", "MIT", "Beta_Lib: the row says MIT, its metadata BSD-"),
        ("| speed | 4.2 | tester | MPL-2.0 |\n", "", "speed has no row"),
        ("| 4.2 | tester |", "| 4.2 | alpha |", "speed: alpha does not require it"),
        ("\nCopyleft", "\n| gone | 1.0 | Was of use | MIT |\nCopyleft", "gone: Was of use does not require it"),
        ("`speed`", "none", "speed: MPL-2.0 is copyleft, and the text does not name `speed`"),
    ],
)
def test_a_wrong_table(fault, old, new, expected):
    with fault("supply chain: wrong table of dependencies"):
        assert TEXT.count(old) == 1
        assert table_problems(TEXT.replace(old, new), PINNED, HERE) == [f"docs/dependencies.md: {expected}"]


@pytest.mark.faults
@needs_environment
def test_the_real_environment_changed(fault):
    pinned, here = files(), installed()
    for name in random.Random(0).sample(sorted(here.keys() - INSTALLERS), 8):
        with fault("supply chain: wrong version"):
            found = problems(pinned, here | {name: here[name]._replace(version="0.0.1")})
            assert any(line.startswith(f"{here[name].name} 0.0.1: ") for line in found)
        with fault("supply chain: missing package"):
            found = problems(pinned, {other: known for other, known in here.items() if other != name})
            assert any(line.startswith(f"{name} is not installed, ") for line in found)


@pytest.mark.faults
@needs_environment
@pytest.mark.parametrize(
    ("name", "message"), [("intruder", "nothing requires it"), ("NumPy", "requirements.txt wants numpy==")]
)
def test_a_package_put_before_the_others(fault, tmp_path, monkeypatch, name, message):
    with fault("supply chain: package from elsewhere"):
        folder = tmp_path / f"{name}-0.1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        monkeypatch.syspath_prepend(tmp_path)
        assert any(line.startswith(f"{name} 0.1: {message}") for line in problems(files(), installed()))
