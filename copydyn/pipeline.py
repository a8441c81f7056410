"""From a scenario to its verdict."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from copydyn import laws
from copydyn.comparison.claims import Finding, all_hold
from copydyn.comparison.compare import compare
from copydyn.experiment import Experiment
from copydyn.refusal import Refusal
from copydyn.report import table as report
from copydyn.report.layout import WIDEST, columns
from copydyn.results import result
from copydyn.runs import checkpoint, durable
from copydyn.runs import folders as store
from copydyn.runs.conduct import Checkpoint, Interrupted
from copydyn.runs.streams import as_seed
from copydyn.scenario.scenario import Scenario
from copydyn.theories import CopyDynamics, Schrodinger
from copydyn.theories.copies.rules import Rule
from copydyn.theories.theory import Theory
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
    def holds(self) -> bool | None:
        """Whether every claim holds; None where none is known not to, but one cannot be judged."""
        return all_hold(finding.holds for finding in self.findings)


def run(
    scenario: Scenario,
    out: Path,
    *,
    progress: bool = False,
    jobs: int = 1,
    every: float = 60.0,
    picture: bool = True,
    say: Callable[[str], object] = print,
    remark: Callable[[str], object] | None = None,
) -> Outcome:
    """Evolve the experiment by the scenario's theories and by Schrödinger's, compare, judge the claims, report, keep.

    All theories are asked before any of them runs. What has been computed is kept whatever comes after it: a theory
    that fails, a claim about what no theory gives, a figure that cannot be drawn.

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
        Draw figure.png; a remark says so where that fails.
    say : callable
        Takes the report; called before anything is written, so that a full disk cannot lose what was computed.
    remark : callable, optional
        Takes what has gone wrong beside the run; a RuntimeWarning by default.

    Raises
    ------
    BadType, BadValue
        If a theory refuses the experiment, or ``out`` cannot be written; both are tried before the run. If a claim is
        about what a theory does not give.
    Interrupted
        On Ctrl-C; it says what is kept and how to go on.
    """
    out = durable.place(out)
    store.require_writable(out)
    for name, theory in scenario.theories.items():
        _require(name, theory, scenario)
    seed = as_seed(scenario.run.seed)
    if scenario.run.seed is None:
        say(report.drawn(seed, columns()))
    reference = Schrodinger().evolve(scenario.experiment)  # before the run, which a refusal of it would lose
    kept = _checkpoints(scenario, seed, out)
    found = _Found(scenario, seed, reference, {}, {}, [], "")
    told = set()
    fault: Exception | None = None
    try:
        for name, theory in scenario.theories.items():
            if announced := getattr(theory, "announce", lambda _: "")(scenario.experiment):
                say(report.foreseen(name if len(scenario.theories) > 1 else "", announced, columns()))
                told.add(name)
            if kept[name].exists():
                say(f"  going on from {kept[name]}")
            keep = Checkpoint(kept[name], every)
            result_of = _evolved(scenario, theory, seed, keep, progress=progress, jobs=jobs)
            found.results[name] = result_of
            found.comparisons[name] = compare(result_of, reference, law_of(scenario.experiment, theory))
        fault = found.judge()
        found.write_table()
        say(found.said(columns(), told))
    except BaseException as stop:
        _rescue(found, out, stop, say, remark or _warn)
        raise
    folder = store.keep(out, scenario.name, found.files())
    for path in kept.values():
        checkpoint.remove(path)
    said = f"  kept in       {folder}"
    try:
        trouble = found.draw(folder) if picture else ""
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted while drawing; everything but the figure is kept in {folder}.") from None
    say(said)
    if trouble:
        (remark or _warn)(f"figure.png could not be drawn, all else is kept: {trouble}.")
    if fault is not None:
        raise fault
    return Outcome(found.results, reference, found.comparisons, found.findings, folder)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=3)


def _require(name: str, theory: Theory, scenario: Scenario) -> None:
    """Ask a theory, and let its refusal say which of several it is."""
    try:
        theory.require(scenario.experiment, scenario.run.replicas)
    except Refusal as refusal:
        if len(scenario.theories) == 1:
            raise
        whose = f"theory '{name}': "
        raise type(refusal)(f"{whose}{refusal}", in_scenario=f"{whose}{refusal.in_scenario}") from None


def _evolved(
    scenario: Scenario, theory: Theory, seed: int, keep: Checkpoint, *, progress: bool, jobs: int
) -> xr.Dataset:
    """Evolve by one theory; where that is interrupted, say how to go on."""
    try:
        return theory.evolve(scenario.experiment, seed, scenario.run.replicas, progress=progress, jobs=jobs, keep=keep)
    except Interrupted as stop:
        again = f" The same command with --seed {seed} goes on from there." if Path(keep.path).exists() else ""
        raise Interrupted(f"{stop}{again}") from None


@dataclass
class _Found:
    """What has been computed so far."""

    scenario: Scenario
    seed: int
    reference: xr.Dataset
    results: dict[str, xr.Dataset]
    comparisons: dict[str, xr.Dataset]
    findings: list[Finding]
    table: str

    def judge(self) -> Exception | None:
        """Judge every claim that can be; give what the first of the others says."""
        fault = None
        for claim in self.scenario.claims:
            try:
                self.findings.append(claim.settle(self.results, self.comparisons))
            except Exception as cause:
                fault = fault or cause
        return fault

    def write_table(self) -> None:
        """Write the report as it is kept."""
        self.table = self.said(WIDEST)

    def said(self, width: int, told: Collection[str] = ()) -> str:
        """Write the report for the screen: see `report.table`."""
        what = self.results, self.comparisons, self.findings
        return report.table(self.scenario.title, *what, self.scenario.description, width=width, told=told)

    def files(self) -> dict[str, bytes]:
        """Give names and contents of all files but the figure."""
        parts = _parts(self.scenario.theories)
        table = {"table.txt": f"{self.table}\n".encode()} if self.table else {}
        return {
            "scenario.toml": self.scenario.as_run(self.seed).encode(),
            **{f"result{part}.nc": _netcdf(self.results[name]) for name, part in parts if name in self.results},
            "reference.nc": _netcdf(self.reference),
            **{
                f"comparison{part}.nc": _netcdf(self.comparisons[name])
                for name, part in parts
                if name in self.comparisons
            },
            **table,
            "versions.json": _versions().encode(),
        }

    def draw(self, folder: Path) -> str:
        """Add figure.png to what is kept; where that fails, for whatever reason, say why."""
        try:
            store.add(
                folder, "figure.png", _picture(self.results, self.reference, self.comparisons, self.scenario.title)
            )
        except Exception as cause:  # LaTeX, fonts, backends: what may go wrong is not ours, and the run is
            return (str(cause).strip().split("\n")[0] or type(cause).__name__).rstrip(".")
        return ""


def _rescue(
    found: _Found,
    out: Path,
    stop: BaseException,
    say: Callable[[str], object],
    remark: Callable[[str], object],
) -> None:
    """Keep what was computed before something went wrong, and say so.

    Raises
    ------
    Interrupted
        In the place of another Ctrl-C, if anything is kept.
    """
    if not found.results:
        return
    try:
        folder = store.keep(out, found.scenario.name, found.files())
    except Refusal as refusal:
        remark(str(refusal))
        return
    names = ", ".join(f"'{name}'" for name in found.results)
    if isinstance(stop, KeyboardInterrupt):
        sentence = str(stop) or "interrupted."
        raise Interrupted(f"{sentence} The result of {names} is kept in {folder}.") from None
    with suppress(Exception):  # what has gone wrong may be the saying
        say(f"  kept in       {folder}, the result of {names} alone")


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
    return laws.finite_copies(
        experiment,
        theory.encoded(experiment),
        multinomial=theory.drawn(experiment),
        copies=theory.copies + experiment.system.size * max(theory.spectators, theory.floor),
        floor=theory.floor,
    )


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
    from copydyn.report.plots import plot, plot_theories  # slow to import, and not always wanted

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
