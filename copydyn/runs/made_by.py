"""What decides the bytes of a run besides what is asked for: the code that computes, and the libraries below it.

Sweeps name their runs after it, and checkpoints are of no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("copydyn", "qm_reference")

LIBRARIES = ("numpy", "scipy", "numba", "llvmlite")

BYSTANDERS = (
    # what asks, and what is done with results
    "copydyn.__init__",
    "copydyn.__main__",
    "copydyn.abm",
    "copydyn.comparison.claims",
    "copydyn.pipeline",
    "copydyn.report",
    "copydyn.results.parts",
    "copydyn.solve",
    "copydyn.sweeps",
    # words, files, and what is said in vain
    "copydyn.refusal",
    "copydyn.runs.durable",
    "copydyn.runs.folders",
    "copydyn.runs.made_by",
    "copydyn.scenario.source",
    "copydyn.scenario.toml_text",
    "copydyn.version",
    "copydyn.wording",
)
"""Modules, and packages with all that is in them, that cannot change a number of a run; every other one counts."""

OF_SWEEPS = ("copydyn.sweeps.builder", "copydyn.sweeps.packing", "copydyn.sweeps.rows", "copydyn.sweeps.shelf")
"""Those that make the runs of a sweep, and what is kept of them, count all the same."""


@cache
def made_by() -> dict[str, str]:
    """Give the SHA-256 of the code that computes, and the version of each library, by ``code`` and their names."""
    return {"code": code_stamp(folders()), **{name: _version(name) for name in LIBRARIES}}


def folders() -> dict[str, Path]:
    """Say where the packages are, without importing any."""
    found = {}
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None
        found[name] = Path((spec.submodule_search_locations or [""])[0])
    return found


def code_stamp(packages: dict[str, Path]) -> str:
    """SHA-256 over the names and sources of all modules that count, of packages in these folders."""
    digest = hashlib.sha256()
    for name, path in sorted(modules(packages)):
        if counts(name):
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def modules(packages: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """Give every module with its file; a package itself is its ``__init__``."""
    for package, folder in packages.items():
        for path in folder.rglob("*.py"):
            yield ".".join([package, *path.relative_to(folder).with_suffix("").parts]), path


def counts(module: str) -> bool:
    """Tell whether a module may change a number of a run."""
    return module in OF_SWEEPS or not any(f"{module}.".startswith(f"{one}.") for one in BYSTANDERS)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # a package can be imported without having been installed
        return str(import_module(library).__version__)
