"""What pyproject.toml and constraints.txt promise to who installs: nothing is missing, and pins keep to the bounds."""

import ast
import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDED = [Requirement(line) for line in PROJECT["dependencies"]]
ALL = [*NEEDED, *(Requirement(line) for lines in EXTRAS.values() for line in lines)]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PINS = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", CONSTRAINTS, re.M)}
OURS = {"copydyn", "qm_reference"}


@pytest.mark.parametrize("needed", [one for one in ALL if one.name != "copydyn"], ids=str)
def test_pins_keep_to_the_bounds(needed):
    assert needed.specifier.contains(PINS[canonicalize_name(needed.name)])
    assert [bound.operator for bound in needed.specifier if bound.operator == ">="], "the oldest version that was tried"


def test_every_line_of_the_constraints_is_a_pin():
    assert len(PINS) == sum(not line.startswith("#") for line in CONSTRAINTS.splitlines())


def imported(path):
    """Give the packages that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def test_what_is_imported_is_required():
    """Also what another package brings along today; llvmlite alone is a part of numba, which chooses its version."""
    required = {canonicalize_name(one.name) for one in NEEDED}
    optional = {canonicalize_name(Requirement(line).name) for extra in ("dask", "parquet") for line in EXTRAS[extra]}
    found = {name for package in OURS for path in (ROOT / package).rglob("*.py") for name in imported(path)}
    found -= {*sys.stdlib_module_names, *OURS}
    assert {"numpy", "mesa"} < found
    assert found - {"llvmlite"} <= required | optional


def test_the_first_python_is_the_oldest_that_is_named():
    minors = [int(minor) for minor in re.findall(r"Python :: 3\.(\d+)", "\n".join(PROJECT["classifiers"]))]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"


def test_the_trial_of_versions_leaves_out_files_that_there_are():
    trial = runpy.run_path(str(ROOT / ".ci" / "versions"))
    assert Path(__file__).name in {Path(path).name for path in trial["fast_files"]()}
    assert set(trial["EXTRAS"]) == EXTRAS.keys() - {"dev"}
    files = {path.name for path in (ROOT / "tests").glob("test_*.py")}
    assert trial["SLOW"].keys() < files
