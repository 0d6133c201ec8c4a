"""What is installed, pinned, imported and listed in docs/dependencies.md, and where these differ.

requirements.txt and requirements-dev.txt choose, constraints.txt pins what these bring along. No line is needed for
what an installed package itself requires with ==, as torch does its CUDA libraries.
"""

import ast
import re
import sys
from collections import defaultdict
from functools import cache
from importlib import metadata
from typing import NamedTuple

from conftest import ROOT
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PIPELINE, DEVELOPMENT, CONSTRAINTS = "requirements.txt", "requirements-dev.txt", "constraints.txt"
TABLE = "docs/dependencies.md"
INSTALLERS = {"pip", "wheel"}  # come with a virtual environment, or without
PIN = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,-]+\])?==[0-9][\w.!+]*(; .+)?")
ROW = re.compile(r"^\| ([\w.-]+) \| ([0-9][\w.!+]*) \| (.+) \| (.+) \|$", re.MULTILINE)
COPYLEFT = re.compile("GPL|MPL|EPL")
FAMILIES = {  # what a classifier without an SPDX identifier leaves open, the licence must contain
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF",
}
REMAKE = "remove .venv and run make again"


class Installed(NamedTuple):
    """What a distribution's metadata says. `licence` is an SPDX expression, if that is what is stated."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    licence: str | None = None
    families: tuple[str, ...] = ()


def installed() -> dict[str, Installed]:
    """Every distribution on the path of this interpreter, by canonical name; of two, the one that is imported."""
    found = {}
    for distribution in metadata.distributions():
        known = distribution.metadata
        found.setdefault(
            canonicalize_name(distribution.name),
            Installed(
                distribution.name,
                distribution.version,
                tuple(distribution.requires or ()),
                _spdx(known.get("License-Expression") or known.get("License") or ""),
                tuple(line.rpartition(" :: ")[2] for line in known.get_all("Classifier", []) if "License ::" in line),
            ),
        )
    return found


def _spdx(text: str) -> str | None:
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return None


def files() -> dict[str, list[str]]:
    return {name: lines((ROOT / name).read_text(encoding="utf-8")) for name in (PIPELINE, DEVELOPMENT, CONSTRAINTS)}


def lines(text: str) -> list[str]:
    """Requirements without comments; another file's, by -r, are passed over."""
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("-r ")]


def uses_of(pinned: dict[str, list[str]], here: dict[str, Installed]) -> dict[str, list[tuple[str, Requirement]]]:
    """Canonical name -> who requires it, and how: everything that the requirements need on this machine."""
    given = [(file, Requirement(line)) for file in (PIPELINE, DEVELOPMENT) for line in pinned[file]]
    waiting, seen, uses = [use for use in given if _holds(use[1])], set(), defaultdict(list)
    while waiting:
        by, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        uses[name].append((by, requirement))
        for extra in sorted({"", *requirement.extras}):
            if name in here and (name, extra) not in seen:
                seen.add((name, extra))
                needed = map(_parsed, here[name].requires)
                waiting += [(name, requirement) for requirement in needed if _holds(requirement, extra)]
    return uses


@cache
def _parsed(line: str) -> Requirement:
    return Requirement(line)


def _holds(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def problems(pinned: dict[str, list[str]], here: dict[str, Installed]) -> list[str]:
    """What is wrong with an environment or with its pins, a line each: what, where, what to do."""
    loose = [(file, line) for file, content in pinned.items() for line in content if not PIN.fullmatch(line)]
    if loose:
        return [f"{file}: {line!r} pins no version, write name==version" for file, line in loose]
    uses = uses_of(pinned, here)
    found = _constrain(uses, pinned[CONSTRAINTS])
    found += [problem for name in sorted(uses) for problem in _of_one(name, uses[name], here.get(name))]
    extra = sorted(here.keys() - uses.keys() - INSTALLERS)
    return found + [f"{here[name].name} {here[name].version}: nothing requires it, {REMAKE}" for name in extra]


def _constrain(uses: dict[str, list[tuple[str, Requirement]]], constraints: list[str]) -> list[str]:
    """Add the constraints to what they constrain. One of certain systems may be idle: torch also comes without CUDA."""
    idle = []
    for requirement in filter(_holds, map(Requirement, constraints)):
        name = canonicalize_name(requirement.name)
        if name in uses:
            uses[name].append((CONSTRAINTS, requirement))
        elif requirement.marker is None:
            idle.append(f"{CONSTRAINTS}: nothing requires {requirement}, remove the line")
    return idle


def _of_one(name: str, uses: list[tuple[str, Requirement]], found: Installed | None) -> list[str]:
    if found is None:
        return [f"{name} is not installed, {uses[0][0]} requires it, {REMAKE}"]
    have = f"{found.name} {found.version}"
    if not any(specifier.operator == "==" for _, requirement in uses for specifier in requirement.specifier):
        return [f"{have}: no file pins it, add {found.name}=={found.version} to {CONSTRAINTS}"]
    return [
        f"{have}: {by} wants {name}{requirement.specifier}, {REMAKE}"
        for by, requirement in dict.fromkeys(uses)
        if not requirement.specifier.contains(found.version, prereleases=True)
    ]


def imported(*folders: str) -> set[str]:
    """Top-level modules that the Python files of these folders import, those of the project aside."""
    names = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module)
    own = {path.stem for path in (ROOT / "tests").glob("*.py")} | {"mmvae", "stages", "studies", "benchmarks"}
    return {name.partition(".")[0] for name in names} - own - sys.stdlib_module_names


def needless(listed: list[str], modules: set[str], providers: dict[str, list[str]]) -> tuple[set[str], set[str]]:
    """Requirements that no module needs, and modules that no requirement is there for."""
    names = {canonicalize_name(Requirement(line).name) for line in listed}
    found = {module: {canonicalize_name(name) for name in providers.get(module, [])} for module in modules}
    return names - set().union(*found.values()), {module for module in modules if not found[module] & names}


def table_problems(text: str, pinned: dict[str, list[str]], here: dict[str, Installed]) -> list[str]:
    """Where the table of dependencies is not what is pinned and installed."""
    rows = {canonicalize_name(row[0]): row for row in ROW.findall(text)}
    pins = {canonicalize_name(pin.name): pin for content in pinned.values() for pin in map(Requirement, content)}
    direct = {canonicalize_name(Requirement(line).name) for file in (PIPELINE, DEVELOPMENT) for line in pinned[file]}
    needed = (pins.keys() | uses_of(pinned, here).keys()) - INSTALLERS
    found = [f"{name} has no row" for name in sorted(needed - rows.keys())]
    for name, (spelled, version, why, licence) in sorted(rows.items()):
        wrong = _wrong_version(version, pins.get(name), here.get(name)) + _wrong_licence(licence, here.get(name))
        if name not in direct:
            wrong += [f"{by} does not require it" for by in why.split(", ") if not _requires(by, name, rows, here)]
        if COPYLEFT.search(licence) and f"`{spelled}`" not in text:
            wrong.append(f"{licence} is copyleft, and the text does not name `{spelled}`")
        found += [f"{spelled}: {problem}" for problem in wrong]
    return [f"{TABLE}: {problem}" for problem in found]


def _wrong_version(version: str, pin: Requirement | None, known: Installed | None) -> list[str]:
    if pin is not None:
        return [] if pin.specifier.contains(version) else [f"the row says {version}, pinned is {pin.specifier}"]
    return [] if known is None or known.version == version else [f"the row says {version}, here is {known.version}"]


def _wrong_licence(licence: str, known: Installed | None) -> list[str]:
    """Equal to what metadata states in SPDX; where it states none, of the family of each classifier."""
    if known is None or licence == known.licence:
        return []
    families = [FAMILIES[family] for family in known.families if family in FAMILIES]
    wrong = [known.licence] if known.licence else [family for family in families if family not in licence]
    return [f"the row says {licence}, its metadata {other}" for other in wrong]


def _requires(by: str, name: str, rows: dict[str, tuple], here: dict[str, Installed]) -> bool:
    """Whether `by`, which has a row, requires `name` on any system, or cannot be asked here."""
    known = here.get(canonicalize_name(by))
    if known is None or "+" in known.version:  # torch+cpu requires less
        return canonicalize_name(by) in rows
    return name in {canonicalize_name(_parsed(line).name) for line in known.requires}
