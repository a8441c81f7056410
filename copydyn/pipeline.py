"""From a scenario to its verdict."""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from copydyn import laws, report, result, store
from copydyn.claims import Finding
from copydyn.comparison import compare
from copydyn.experiment import Experiment
from copydyn.layout import columns
from copydyn.refusal import Refusal
from copydyn.rules import Rule
from copydyn.runs import checkpoint
from copydyn.runs.conduct import Checkpoint, Interrupted
from copydyn.scenario import Scenario
from copydyn.streams import as_seed
from copydyn.theories import CopyDynamics, Schrodinger
from copydyn.theory import Theory
from copydyn.version import __version__

MOST_LABELS = 512
"""Labels beyond which the law of finite N, whose covariance is dense, costs more than it tells."""


MOST_BEATS = 1e5
"""Radians of the fastest beat beyond which the law takes minutes."""


class Outcome(NamedTuple):
    """What a run leaves behind; results and comparisons by the theory's name."""

    results: dict[str, xr.Dataset]
    reference: xr.Dataset
    comparisons: dict[str, xr.Dataset]
    findings: list[Finding]
    folder: Path

    @property
    def holds(self) -> bool:
        """Whether every claim holds."""
        return all(finding.holds for finding in self.findings)


def run(
    scenario: Scenario,
    out: Path,
    *,
    progress: bool = False,
    jobs: int = 1,
    every: float = 60.0,
    picture: bool = True,
    say: Callable[[str], object] = print,
) -> Outcome:
    """Evolve the experiment by the scenario's theories and by Schrödinger's, compare, judge the claims, report, keep.

    Parameters
    ----------
    out : Path
        Where the result's folder goes.
    progress : bool
        Show a bar.
    jobs : int
        Threads; the result does not depend on it.
    every : float, seconds
        How often a long run is kept in a checkpoint in ``out``; the same scenario with the same seed goes on from it.
    picture : bool
        Draw figure.png.
    say : callable
        Takes the report; called before anything is written, so that a full disk cannot lose what was computed.

    Raises
    ------
    BadType, BadValue
        If a theory refuses the experiment, or ``out`` cannot be written; the latter is tried before the run. If a claim
        is about what a theory does not give; the results are kept all the same.
    Interrupted
        On Ctrl-C; it says what is kept and how to go on.
    """
    store.require_writable(out)
    seed = as_seed(scenario.run.seed)
    experiment, replicas = scenario.experiment, scenario.run.replicas
    reference = Schrodinger().evolve(experiment)  # before the run, which a refusal of it would lose
    kept = _checkpoints(scenario, seed, out)
    results, told = {}, set()
    for name, theory in scenario.theories.items():
        if announced := getattr(theory, "announce", lambda _: "")(experiment):
            say(report.foreseen(name if len(scenario.theories) > 1 else "", announced, columns()))
            told.add(name)
        if kept[name].exists():
            say(f"  going on from {kept[name]}")
        keep = Checkpoint(kept[name], every)
        try:
            results[name] = theory.evolve(experiment, seed, replicas, progress=progress, jobs=jobs, keep=keep)
        except Interrupted as stop:
            again = f" The same command with --seed {seed} goes on from there." if kept[name].exists() else ""
            raise Interrupted(f"{stop}{again}") from None
    comparisons = {
        name: compare(results[name], reference, law_of(experiment, theory))
        for name, theory in scenario.theories.items()
    }
    fault, findings = None, []
    try:
        findings = [claim.settle(results, comparisons) for claim in scenario.claims]
    except Refusal as refusal:  # what was computed is kept all the same
        fault = refusal
    what = scenario.title, results, comparisons, findings, scenario.description
    say(report.table(*what, width=columns(), told=told))
    files = {
        "scenario.toml": scenario.as_run(seed).encode(),
        **{f"result{part}.nc": _netcdf(results[name]) for name, part in _parts(results)},
        "reference.nc": _netcdf(reference),
        **{f"comparison{part}.nc": _netcdf(comparisons[name]) for name, part in _parts(results)},
        "table.txt": f"{report.table(*what)}\n".encode(),
        "versions.json": _versions().encode(),
    }
    if picture:
        files["figure.png"] = _picture(results, reference, comparisons, scenario.title)
    folder = store.keep(out, scenario.name, files)
    for path in kept.values():
        checkpoint.remove(path)
    say(f"  kept in       {folder}")
    if fault is not None:
        raise fault
    return Outcome(results, reference, comparisons, findings, folder)


def _checkpoints(scenario: Scenario, seed: int, out: Path) -> dict[str, Path]:
    """Name a file a theory after everything that the scenario says, so that runs which differ do not meet."""
    said, stem = scenario.as_run(seed), _shortened(scenario.name, 120)
    files = {}
    for name, part in _parts(scenario.theories):
        digest = hashlib.sha256(f"{said}{part}".encode()).hexdigest()
        files[name] = out / f"{stem}-{digest[:12]}{_shortened(part, 60)}.checkpoint"
    return files


def _shortened(text: str, most: int) -> str:
    """Cut ``text`` to ``most`` bytes: the name of a file has 255 at most."""
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def law_of(experiment: Experiment, theory: Theory) -> xr.Dataset | None:
    """Say what N copies must give, or None where no law is known: unaligned phases, no N, another rule, many labels."""
    if not isinstance(theory, CopyDynamics) or experiment.system.size > MOST_LABELS:
        return None
    if laws.beats(experiment) > MOST_BEATS:
        return None
    if not theory.aligned or theory.engine == "meanfield" or isinstance(theory.rule, Rule):
        return None
    return laws.finite_copies(experiment, theory.encoded(experiment), multinomial=theory.drawn(experiment))


def _parts(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give each theory's name and what tells its files from the others', which is nothing where it is alone."""
    return [(name, f"-{store.slug(name)}" if len(results) > 1 else "") for name in results]


def _netcdf(dataset: xr.Dataset) -> bytes:
    """Write a result, or a comparison, into memory: see `store.keep`."""
    buffer: Any = io.BytesIO()
    if "probability" in dataset:
        result.write(dataset, buffer)
    else:
        dataset.to_netcdf(buffer, engine="h5netcdf")
    return bytes(buffer.getvalue())


def _picture(
    results: Mapping[str, xr.Dataset], reference: xr.Dataset, comparisons: Mapping[str, xr.Dataset], title: str
) -> bytes:
    from copydyn.plots import plot, plot_theories  # slow to import, and not always wanted

    buffer = io.BytesIO()
    if len(results) > 1:
        figure = plot_theories(results, reference, comparisons, title=title)
    else:
        (name,) = results
        figure = plot(results[name], reference, comparisons[name], title=title)
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _versions() -> str:
    """Name everything that the numbers depend on."""
    packages = {}
    for name in ("numpy", "scipy", "numba", "xarray", "h5netcdf"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:  # a package can be imported without having been installed
            packages[name] = "unknown"
    machine = {"python": platform.python_version(), "platform": platform.platform(), "machine": platform.machine()}
    return json.dumps({"copydyn": __version__, **packages, **machine}, indent=2) + "\n"
