"""A scenario: an experiment, one theory or several, how often to run them, and what it claims; read from a TOML file.

title = "Detuned Rabi flopping"
[system]       kind and parameters of `copydyn.systems.SYSTEMS`
[preparation]  kind ("ket" by default) and parameters of `copydyn.preparations.PREPARATIONS`
[basis]        kind ("position" by default) and parameters of `copydyn.bases.BASES`: which beables are copied
[schedule]     times, or start (0), stop and points
[theory]       kind ("CopyDynamics" by default) and parameters of `copydyn.theories.THEORIES`
[run]          replicas, seed
[claim]        kind and parameters of `copydyn.claims.CLAIMS`
[sweep]        what `python -m copydyn sweep` varies: see `copydyn.sweeps.asked`

Several theories are written as [[theory]], with a `name` each; several claims, which must all hold, as [[claim]].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from copydyn.comparison.claims import ALL, CLAIMS, Claim
from copydyn.experiment import Experiment, Schedule
from copydyn.experiment.bases import BASES, in_basis
from copydyn.experiment.inputs import as_real, as_times, as_whole, shown
from copydyn.experiment.preparations import PREPARATIONS
from copydyn.refusal import BadValue
from copydyn.runs.folders import slug
from copydyn.runs.streams import as_seed
from copydyn.scenario.parsing import Reader, Table
from copydyn.scenario.source import Override, Source, read
from copydyn.scenario.toml_text import emitted
from copydyn.systems import SYSTEMS
from copydyn.theories import THEORIES
from copydyn.theories.theory import Theory

TABLES = ("system", "preparation", "basis", "schedule", "theory", "run", "claim", "sweep")
WORDS = ("title", "description")

LONGEST_NAME = 40
"""Characters of a theory's name: it heads a column, and is part of a file's name."""

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
    theories : dict of str to Theory
        By name; at least one.
    run : Run
    claims : tuple of Claim
        What decides the exit code: all must hold.
    tables : dict
        The file's tables, overrides applied.
    """

    name: str
    title: str
    description: str
    experiment: Experiment
    theories: dict[str, Theory]
    run: Run
    claims: tuple[Claim, ...]
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
        "table.key=value"; the value is TOML or a bare string, parsed and never evaluated. Of several theories
        "theory.key" changes all, "theory.NAME.key" the one of that name, "theory.0.key" the first.

    Raises
    ------
    BadScenario
        With one sentence a fault, each with its line.
    BadValue
        If there is no such file, or no TOML in it.
    """
    return made(read(name_or_path, overrides))


def read_experiment(source: Source) -> Experiment:
    """Make the experiment alone, of a scenario that is sound otherwise.

    Raises
    ------
    BadScenario
    """
    reader = Reader(source)
    experiment: Experiment = _experiment(reader)
    reader.finish()
    return experiment


def read_theory(source: Source, number: int) -> Theory:
    """Make one of the theories alone, of a scenario that is sound otherwise.

    Raises
    ------
    BadScenario
    """
    reader = Reader(source)
    place = reader.each("theory")[number]
    theory: Theory = reader.make(place, reader.choose(place, THEORIES, "CopyDynamics"), besides=["name"])
    reader.finish()
    return theory


def made(source: Source) -> Scenario:
    """Make all that the tables of ``source`` describe.

    Raises
    ------
    BadScenario
        With one sentence a fault, each with its line.
    """
    reader = Reader(source)
    reader.know(TABLES, WORDS)
    experiment = _experiment(reader)
    theories = _theories(reader)
    run = reader.make("run", Run)
    claims = _claims(reader)
    if experiment is not None:
        for place, (_, theory) in theories.items():
            if theory is not None:
                reader.attempt(place, theory.require, experiment)
    names = [name for name, _ in theories.values()]
    for place, claim in claims.items():
        if None not in names:
            reader.attempt(place, claim.among, names)
        if experiment is not None:
            reader.attempt(place, claim.fit, experiment)
    reader.finish()
    title, description = (source.tables.get(word, "").strip() for word in WORDS)
    return Scenario(
        source.name,
        title or source.name,
        description,
        experiment,
        dict(theories.values()),
        run,
        tuple(claims.values()),
        source.tables,
    )


def _experiment(reader: Reader) -> Any:
    """Make the experiment; None with the faults noted."""
    system = reader.make("system", reader.choose("system", SYSTEMS))
    preparation = reader.make("preparation", reader.choose("preparation", PREPARATIONS, "ket"), system)
    times = reader.make("schedule", schedule)
    experiment = reader.attempt("preparation", Experiment, system, preparation, times)
    basis = reader.make("basis", reader.choose("basis", BASES, "position"), system)
    return reader.attempt("basis", in_basis, experiment, basis)


def _theories(reader: Reader) -> dict[Table, tuple[str, Theory]]:
    """Make the theories: each with its name, by its place. A fault leaves None, and no scenario comes of it."""
    places = reader.each("theory")
    made = {}
    for place in places:
        maker = reader.choose(place, THEORIES, "CopyDynamics")
        made[place] = reader.make(place, maker, besides=["name"])
    unnamed = [reader.kind_of(place) for place in places if reader.said(place, "name") is None]
    numbers = dict.fromkeys(unnamed, 0)
    names: list[Any] = []
    for place in places:
        name = reader.said(place, "name")
        if name is None and (kind := reader.kind_of(place)):
            numbers[kind] += 1
            name = f"{kind} {numbers[kind]}" if unnamed.count(kind) > 1 else kind
        names.append(reader.attempt(place, _as_name, name, list(filter(None, names))))
    return {place: (name, made[place]) for place, name in zip(places, names)}


def _as_name(name: Any, others: Sequence[str]) -> str:
    """Refuse what cannot head a column, be part of a file's name, and be told from the ``others``."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) == len(name) <= LONGEST_NAME:
        raise BadValue(
            f"name must be a string of 1 to {LONGEST_NAME} printable characters, but is {shown(name)}; "
            "take a word or two."
        )
    if name == ALL or name.isdecimal() or not name[0].isalnum():
        raise BadValue(
            f"name must begin with a letter or digit and be neither a number nor '{ALL}', but is '{name}'; "
            "take a word or two."
        )
    if slug(name) in map(slug, others):
        raise BadValue(
            f"name must tell a theory from the others by letters or digits, but '{name}' is taken; choose another."
        )
    return name


def _claims(reader: Reader) -> dict[Table, Claim]:
    """Make the claims, by their places, without those that have faults."""
    claims: dict[Table, Claim] = {}
    if "claim" in reader.source.tables:
        for place in reader.each("claim"):
            claim = reader.make(place, reader.choose(place, CLAIMS))
            if claim is not None:
                claims[place] = claim
    return claims


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
