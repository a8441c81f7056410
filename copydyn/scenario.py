"""A scenario: an experiment, a theory, how often to run it, and what it claims; read from a TOML file.

title = "Detuned Rabi flopping"
[system]       kind and parameters of `copydyn.systems.SYSTEMS`
[preparation]  kind ("ket" by default) and parameters of `copydyn.preparations.PREPARATIONS`
[basis]        kind ("position" by default) and parameters of `copydyn.bases.BASES`: which beables are copied
[schedule]     times, or start (0), stop and points
[theory]       kind ("CopyDynamics" by default) and parameters of `copydyn.theories.THEORIES`
[run]          replicas, seed
[claim]        kind and parameters of `copydyn.claims.CLAIMS`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from copydyn.bases import BASES, in_basis
from copydyn.claims import CLAIMS, Claim
from copydyn.experiment import Experiment, Schedule
from copydyn.inputs import as_real, as_times, as_whole
from copydyn.parsing import Reader
from copydyn.preparations import PREPARATIONS
from copydyn.refusal import BadValue
from copydyn.source import Override, Source, read
from copydyn.streams import as_seed
from copydyn.systems import SYSTEMS
from copydyn.theories import THEORIES, CopyDynamics
from copydyn.theory import Theory
from copydyn.toml_text import emitted

TABLES = ("system", "preparation", "basis", "schedule", "theory", "run", "claim")
WORDS = ("title", "description")

MOST_POINTS = 1_000_000
"""Save times beyond which a typing error is likelier than a wish."""


@dataclass(frozen=True)
class Run:
    """How often, and from which seed; without one a fresh seed is drawn and written down."""

    replicas: int = 20
    seed: int | None = None

    def __post_init__(self) -> None:
        as_whole(self.replicas, "replicas", least=1)
        if self.seed is not None:
            as_seed(self.seed)


@dataclass(frozen=True, eq=False)
class Scenario:
    """Everything that a run needs.

    Parameters
    ----------
    name : str
        For the result's folder.
    title, description : str
    experiment : Experiment
    theory : Theory
    run : Run
    claim : Claim or None
        What decides the exit code.
    tables : dict
        The file's tables, overrides applied.
    """

    name: str
    title: str
    description: str
    experiment: Experiment
    theory: Theory
    run: Run
    claim: Claim | None
    tables: dict[str, Any]

    def as_run(self, seed: int) -> str:
        """Write the scenario as TOML that gives the same run again, ``seed`` included."""
        run = {"replicas": self.run.replicas, "seed": seed}
        return emitted({**self.tables, "run": run})


def load(name_or_path: str, overrides: Sequence[str | Override] = ()) -> Scenario:
    """Read a scenario; every fault of it is reported at once.

    Parameters
    ----------
    name_or_path : str
        A shipped scenario's name, or the path of a TOML file.
    overrides : sequence of str
        "table.key=value"; the value is TOML or a bare string, parsed and never evaluated.

    Raises
    ------
    BadScenario
        With one sentence a fault, each with its line.
    BadValue
        If there is no such file, or no TOML in it.
    """
    return _scenario(read(name_or_path, overrides))


def _scenario(source: Source) -> Scenario:
    reader = Reader(source)
    reader.know(TABLES, WORDS)
    system = reader.make("system", reader.choose("system", SYSTEMS))
    preparation = reader.make("preparation", reader.choose("preparation", PREPARATIONS, "ket"), system)
    times = reader.make("schedule", schedule)
    theory = reader.make("theory", reader.choose("theory", THEORIES, "CopyDynamics"))
    run = reader.make("run", Run)
    claim = reader.make("claim", reader.choose("claim", CLAIMS)) if "claim" in source.tables else None
    experiment = reader.attempt("preparation", Experiment, system, preparation, times)
    basis = reader.make("basis", reader.choose("basis", BASES, "position"), system)
    experiment = reader.attempt("basis", in_basis, experiment, basis)
    if experiment is not None and isinstance(theory, CopyDynamics):
        reader.attempt("theory", theory.resolved, system.size)
    if experiment is not None and claim is not None:
        reader.attempt("claim", claim.fit, experiment)
    reader.finish()
    title, description = (source.tables.get(word, "").strip() for word in WORDS)
    return Scenario(source.name, title or source.name, description, experiment, theory, run, claim, source.tables)


def schedule(
    times: Sequence[float] | None = None, start: float = 0.0, stop: float | None = None, points: int | None = None
) -> Schedule:
    """Save at ``times``, or at ``points`` equal steps from ``start`` to ``stop``, both included."""
    if times is not None:
        if stop is not None or points is not None:
            raise BadValue("times must stand alone, but stop or points is given as well; drop one of the two.")
        return Schedule(as_times(times, "times"))
    if stop is None or points is None:
        raise BadValue("stop and points must be given, or else times; add for instance stop = 10 and points = 101.")
    first, last = as_real(start, "start"), as_real(stop, "stop")
    count = as_whole(points, "points", least=2)
    if count > MOST_POINTS:
        raise BadValue(f"points must be at most {MOST_POINTS}, but is {count}; every one of them is kept.")
    if not 0.0 <= first < last:
        raise BadValue(f"stop must lie behind start, which must not be negative, but they are {last:g} and {first:g}.")
    return Schedule(np.linspace(first, last, count))
