"""What a sweep computes: a scenario, its axes, one seed; which points that makes, and what each run is called."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, isfinite, isnan, prod
from typing import Any, NamedTuple

from copydyn.experiment.inputs import as_real, as_whole
from copydyn.refusal import BadValue
from copydyn.runs.made_by import made_by
from copydyn.scenario.source import BadScenario, Override, Source
from copydyn.scenario.toml_text import emitted, shown
from copydyn.sweeps.axes import Axis, canonical

MOST_POINTS = 100_000_000
"""Points beyond which a typing error is likelier than a wish."""

REPLICAS_A_RUN = 1024
"""More replicas of a point are shared out among several runs."""

MOST_BLOCKS = 64
"""Blocks into which a sweep is cut while they stay below `LARGEST_BLOCK`: few files, and work for many cores."""

LARGEST_BLOCK = 1024
"""Strands of a block."""

SHARES = 4
"""Tasks for everybody who works on a sweep, as long as there are strands: nobody is idle, nor long the last one."""

FEWEST = 30
"""Replicas before which a point is not taken to have reached its target: an error must be known to be believed."""

TARGETS = ("probability", "max_deviation", "total_variation", "infidelity")

DECIDE = ("system", "preparation", "basis", "schedule")
"""Tables that, besides the theory's, decide what is computed."""


@dataclass(frozen=True)
class Target:
    """When a point has enough replicas: as soon as the largest standard error of ``of`` is below ``error``.

    Parameters
    ----------
    error : float
    most : int
        Replicas at which it is given up.
    of : {"probability", "max_deviation", "total_variation", "infidelity"}
        A mean over replicas; the largest error over save times, and labels, counts.
    """

    error: float
    most: int
    of: str = "probability"

    def __post_init__(self) -> None:
        as_real(self.error, "target_error", positive=True)
        as_whole(self.most, "max_replicas", least=1)
        if self.of not in TARGETS:
            raise BadValue(f"target must be one of {', '.join(TARGETS)}, but is {shown(self.of)}.")

    def met(self, error: float | None, replicas: int) -> bool:
        """Tell whether a point has reached it."""
        return replicas >= FEWEST and error is not None and error <= self.error

    def over(self, error: float | None, replicas: int) -> bool:
        """Tell whether a point has enough replicas, or as many as it may have."""
        return replicas >= self.most or self.met(error, replicas)


def targetless(of: str, theory: str) -> str:
    """Say that a theory has no such target."""
    instead = "probability" if of == "infidelity" else "probability or infidelity"
    return (
        f"target must be something that each replica has a value of, so that its mean has an error, but {of} of "
        f"{theory} is that of the mean over all replicas, or there is none; take {instead}."
    )


class Strand(NamedTuple):
    """Runs that are made one after the other: those of one theory at one point, or some of their replicas.

    Parameters
    ----------
    theory : int
    point : int
        In the order of the axes, the last one fastest.
    first, replicas : int
        Of the first run; with a target, runs of as many replicas follow.
    """

    theory: int
    point: int
    first: int
    replicas: int


class Block(NamedTuple):
    """Strands that make one file, if their runs have one shape.

    Parameters
    ----------
    number : int
        Among the blocks of the sweep.
    theory : int
    start, stop : int
        Strands of the theory.
    """

    number: int
    theory: int
    start: int
    stop: int


class Unit(NamedTuple):
    """A piece of a block, which is worked on at a time.

    Parameters
    ----------
    block : Block
    span : (int, int)
        Its strands, counted from the first one of the block.
    """

    block: Block
    span: tuple[int, int]

    @property
    def size(self) -> int:
        """How many strands it has."""
        return self.span[1] - self.span[0]

    @property
    def whole(self) -> bool:
        """Whether it is all of its block."""
        return self.size == self.block.stop - self.block.start


def share(strands: int, workers: int, most: int) -> int:
    """Say how many strands to give at a time to so many workers: all that make a file, if there are enough of those."""
    return most if workers < 2 else max(1, min(most, strands // (SHARES * workers)))


def pieces(span: tuple[int, int], length: int) -> list[tuple[int, int]]:
    """Cut a span into even pieces of at most ``length``."""
    start, size = span[0], span[1] - span[0]
    number = ceil(size / length)
    return [(start + size * place // number, start + size * (place + 1) // number) for place in range(number)]


@dataclass(frozen=True, eq=False)
class Recipe:
    """Everything that decides the results of a sweep.

    Parameters
    ----------
    name : str
        Of the scenario.
    tables : dict
        The scenario's, without [sweep], with the overrides applied.
    axes : tuple of Axis
    seed : int
    replicas : int
        Of each point; with a target, of each of its runs.
    target : Target, optional
    batch : int, optional
        Strands of a block.
    made_by : dict
        Code and versions that the runs are of (`copydyn.made_by`); this program's by default. A store of older ones can
        be read, not gone on with.
    files : dict
        SHA-256 of every file that a ``path`` names; as they are now by default.
    """

    name: str
    tables: dict[str, Any]
    axes: tuple[Axis, ...]
    seed: int
    replicas: int
    target: Target | None = None
    batch: int | None = None
    made_by: dict[str, str] = field(default_factory=lambda: made_by())
    files: dict[str, str] | None = None
    _templates: dict[int, _Template] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        as_whole(self.replicas, "replicas", least=1)
        if self.batch is not None:
            as_whole(self.batch, "batch", least=1, most=LARGEST_BLOCK)
        if self.target is not None and self.target.most < self.replicas:
            raise BadValue(
                f"max_replicas must be at least the {self.replicas} replicas of a run, but is {self.target.most}."
            )
        if self.files is None:
            object.__setattr__(self, "files", digests(self.paths))
        keys = [(key, axis.origin) for axis in self.axes for key in axis.keys]
        for number, (key, origin) in enumerate(keys):
            for other, _ in keys[:number]:
                if key == other or key.startswith(f"{other}.") or other.startswith(f"{key}."):
                    raise BadValue(
                        f"{origin}: '{key}' must be swept by one axis, but '{other}' is another's; drop one of them."
                    )
        if self.points > MOST_POINTS:
            raise BadValue(
                f"{self.axes[-1].origin}: a sweep must have at most {MOST_POINTS} points, but its axes have "
                f"{' x '.join(f'{len(axis)} {axis.keys[0]}' for axis in self.axes)}; take fewer values."
            )

    @property
    def paths(self) -> list[str]:
        """Name the files that any point reads."""
        swept = [
            path
            for axis in self.axes
            for place, key in enumerate(axis.keys)
            if key.split(".")[-1] == "path" or key in DECIDE
            for row in axis.values
            for path in _paths_in({"path": row[place]})
        ]
        return sorted({*_paths_in(self.tables), *swept})

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(map(len, self.axes))

    @cached_property
    def points(self) -> int:
        """How many points there are."""
        return prod(self.shape)

    @cached_property
    def theories(self) -> list[str]:
        """Names of the theories, as `copydyn.scenario` gives them."""
        tables = self.theory_tables
        kinds = [str(table.get("kind", "CopyDynamics")) for table in tables]
        unnamed = [kind for kind, table in zip(kinds, tables) if "name" not in table]
        names, numbers = [], dict.fromkeys(unnamed, 0)
        for kind, table in zip(kinds, tables):
            if "name" in table:
                names.append(str(table["name"]))
                continue
            numbers[kind] += 1
            names.append(f"{kind} {numbers[kind]}" if unnamed.count(kind) > 1 else kind)
        return names

    @property
    def theory_tables(self) -> list[dict[str, Any]]:
        """The table of every theory."""
        theory = self.tables.get("theory", {})
        return theory if isinstance(theory, list) else [theory]

    @cached_property
    def runs_a_point(self) -> int:
        """How many strands share out the replicas of a point."""
        return 1 if self.target else ceil(self.replicas / self.replicas_a_run)

    @cached_property
    def replicas_a_run(self) -> int:
        """Replicas of a run that is not the last one of its point."""
        return self.replicas if self.target else min(self.replicas, REPLICAS_A_RUN)

    def shape_of(self, theory: int) -> tuple[int, ...]:
        """How many values each axis has for a theory: one where the axis is about another theory alone."""
        return self._template(theory).shape

    def decides(self, key: str) -> bool:
        """Tell whether the value of a swept key changes what is computed of any theory."""
        return any(key in self._template(theory).order for theory in range(len(self.theory_tables)))

    def strands_of_theory(self, theory: int) -> int:
        """How many strands a theory has: points that are the same for it are computed once."""
        return prod(self.shape_of(theory)) * self.runs_a_point

    @cached_property
    def strands(self) -> int:
        """How many strands there are, all theories together."""
        return sum(map(self.strands_of_theory, range(len(self.theory_tables))))

    @property
    def block_size(self) -> int:
        """Strands of a block: a function of the sweep alone, so that its files do not depend on who makes them."""
        return self.batch or max(1, min(LARGEST_BLOCK, ceil(self.strands / MOST_BLOCKS)))

    def blocks(self) -> Iterator[Block]:
        """Cut the sweep into blocks."""
        size, number = self.block_size, 0
        for theory in range(len(self.theory_tables)):
            each = self.strands_of_theory(theory)
            for start in range(0, each, size):
                yield Block(number, theory, start, min(start + size, each))
                number += 1

    def units(self, shard: tuple[int, int] = (1, 1)) -> Iterator[Unit]:
        """Cut the blocks as finely as many shards (i, n) need it, and give every n-th piece."""
        part, parts = shard
        length, number = share(self.strands, parts, self.block_size), 0
        for block in self.blocks():
            for span in pieces((0, block.stop - block.start), length):
                if number % parts == part - 1:
                    yield Unit(block, span)
                number += 1

    def strands_of(self, block: Block) -> list[Strand]:
        """Give the strands of a block."""
        return [self.strand(block.theory, number) for number in range(block.start, block.stop)]

    def strand(self, theory: int, number: int) -> Strand:
        """Give one strand of a theory."""
        own, part = divmod(number, self.runs_a_point)
        shape = self._template(theory).shape
        point = own if shape == self.shape else _raveled(unravelled(own, shape), self.shape)
        first = part * self.replicas_a_run
        return Strand(theory, point, first, min(self.replicas_a_run, self.replicas - first))

    def values(self, point: int) -> dict[str, Any]:
        """Give the value of every swept key at a point."""
        places = unravelled(point, self.shape)
        return dict(zip(self._swept, [value for axis, place in zip(self.axes, places) for value in axis.values[place]]))

    @cached_property
    def _swept(self) -> list[str]:
        """The keys that are swept."""
        return [key for axis in self.axes for key in axis.keys]

    def key(self, strand: Strand, first: int, replicas: int, values: Mapping[str, Any] | None = None) -> str:
        """Name a run after everything that decides its bytes: tables, theory, seed, replicas, files, code, libraries.

        Parameters
        ----------
        values : mapping, optional
            `values` of the strand's point, where they are at hand.

        Returns
        -------
        str
            128 bits of SHA-256, in hexadecimal digits.
        """
        template = self._template(strand.theory)
        values = self.values(strand.point) if values is None else values
        said = [template.pieces[0]]
        for key, piece in zip(template.order, template.pieces[1:]):
            said.append(_json(values[key]))
            said.append(piece)
        if template.paths or template.files:
            named = {path for key in template.paths for path in _paths_in({"path": values[key]})}
            if files := sorted(named.union(template.files)):
                said.append(_json([(self.files or {}).get(path, "") for path in files]))
        said.append(f" {first} {replicas}")
        return hashlib.sha256("".join(said).encode()).hexdigest()[:32]

    def names(self) -> Iterator[str]:
        """Name every run that the sweep may ask for."""
        for theory in range(len(self.theory_tables)):
            for number in range(self.strands_of_theory(theory)):
                strand = self.strand(theory, number)
                most = strand.first + strand.replicas if self.target is None else self.target.most
                for first in range(strand.first, most, self.replicas_a_run):
                    yield self.key(strand, first, min(self.replicas_a_run, most - first))

    def told(self, theory: int, point: int) -> str:
        """Say which point that is, and whose."""
        where = ", ".join(f"{key}={shown(value)}" for key, value in self.values(point).items()) or "the only point"
        return f"{self.theories[theory]}: {where}" if len(self.theories) > 1 else where

    def told_missed(self, theory: int, point: int, error: float | None, replicas: int) -> str:
        """Say of a point how it has missed the target."""
        said = "has no error" if error is None or isnan(error) else f"has an error of {error:.3g}"
        return f"{self.told(theory, point)} {said} with {replicas} replica{'s' if replicas != 1 else ''}"

    def tables_at(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Give the scenario's tables with ``values`` in their places."""
        source = Source(self.name, self.name, json_copy(self.tables), {})
        for key, value in values.items():
            source.override(Override(f"{key}={shown(value)}", key, value))
        if source.faults:
            raise BadScenario(source.faults)
        return source.tables

    def written(self) -> str:
        """Write the sweep as a scenario file that gives the same sweep again."""
        sweep: dict[str, Any] = {"scenario": self.name, "replicas": self.replicas}
        if self.target:
            sweep |= {"target_error": self.target.error, "target": self.target.of, "max_replicas": self.target.most}
        if self.batch:
            sweep["batch"] = self.batch
        zips = []
        grid: dict[str, Any] = {}
        for axis in self.axes:
            columns = {key: [row[place] for row in axis.values] for place, key in enumerate(axis.keys)}
            if len(columns) == 1:
                grid |= columns
            else:
                zips.append(columns)
        sweep["order"] = [axis.keys[0] for axis in self.axes]
        sweep |= self.made_by
        if self.files:
            sweep["files"] = [f"{digest} {path}" for path, digest in self.files.items()]
        if grid:
            sweep["grid"] = grid
        if zips:
            sweep["zip"] = zips
        return emitted({**self._seeded(), "sweep": sweep})

    def scenario(self) -> str:
        """Write the scenario without what is swept."""
        return emitted(self._seeded())

    def _seeded(self) -> dict[str, Any]:
        return {**self.tables, "run": {**self.tables.get("run", {}), "replicas": self.replicas, "seed": self.seed}}

    def _template(self, theory: int) -> _Template:
        if theory not in self._templates:
            self._templates[theory] = self._new_template(theory)
        return self._templates[theory]

    def plain_table(self, theory: int) -> PlainTable | None:
        """Give the table of a theory if sweeping changes nothing but words and numbers in it; None otherwise."""
        marks = self._marks()
        own = self._own_table(theory, self.tables_at(marks))
        swept = {name: key for key, mark in marks.items() for name, value in own.items() if value == mark}
        fixed = {name: value for name, value in own.items() if name not in swept}
        kind = fixed.pop("kind", None)
        nested = any(isinstance(value, (dict, list)) for value in fixed.values())
        return PlainTable(kind, fixed, swept) if isinstance(kind, str) and not nested else None

    def _marks(self) -> dict[str, str]:
        """Give each swept key a value by which its place is found."""
        return {key: f"\0{number}" for number, key in enumerate(self._swept)}

    def _own_table(self, theory: int, tables: Mapping[str, Any]) -> dict[str, Any]:
        """Give the table of a theory, its name left out."""
        own = tables.get("theory", {})
        own = dict(own[theory] if isinstance(own, list) else own)
        own.pop("name", None)
        own.setdefault("kind", "CopyDynamics")
        return own

    def _new_template(self, theory: int) -> _Template:
        marks = self._marks()
        marked = self.tables_at(marks)
        own = self._own_table(theory, marked)
        tables = canonical({name: marked.get(name, {}) for name in DECIDE} | {"theory": own})
        tables |= {"seed": self.seed, **self.made_by}
        files = [path for path in _paths_in(tables) if path[0] != "\0"]
        said = re.split(r'"\\u0000(\d+)"', _json(tables))
        order = [self._swept[int(number)] for number in said[1::2]]
        shape = tuple(len(axis) if any(key in order for key in axis.keys) else 1 for axis in self.axes)
        # a whole table that is swept, such as [system], may name files as well
        paths = [key for key in order if key.split(".")[-1] in ("path", *DECIDE)]
        return _Template(said[::2], order, shape, paths, files)


class PlainTable(NamedTuple):
    """The table of a theory in which sweeping changes nothing but words and numbers.

    Parameters
    ----------
    kind : str
    fixed : dict
        What does not change.
    swept : dict
        Name of a parameter to the key that changes it.
    """

    kind: str
    fixed: dict[str, Any]
    swept: dict[str, str]

    def filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Give what changes, at a point."""
        return {name: values[key] for name, key in self.swept.items()}


class _Template(NamedTuple):
    """What decides the runs of a theory, in JSON with a gap for each swept value.

    Parameters
    ----------
    pieces : list of str
    order : list of str
        Which swept key fills each gap.
    shape : tuple of int
        How many values each axis has for the theory.
    paths : list of str
        Swept keys that may name files, whose content decides as well.
    files : list of str
        The files that all points name.
    """

    pieces: list[str]
    order: list[str]
    shape: tuple[int, ...]
    paths: list[str]
    files: list[str]


def _json(value: Any) -> str:
    """Write a canonical value the same way each time."""
    if type(value) is int or (type(value) is float and isfinite(value)):
        return repr(value)  # as the encoder does, which is made anew for each value
    return _ENCODER.encode(value)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str)


def unravelled(number: int, shape: Sequence[int]) -> list[int]:
    """Give the place along each axis of an element, the last axis fastest; of a few numbers, faster than numpy's."""
    places = []
    for length in reversed(shape):
        number, place = divmod(number, length)
        places.append(place)
    return places[::-1]


def _raveled(places: Sequence[int], shape: Sequence[int]) -> int:
    """Give the number of the element at ``places``; along an axis that another shape lacks, the place is 0."""
    number = 0
    for place, length in zip(places, shape):
        number = number * length + place
    return number


def json_copy(tables: Any) -> Any:
    """Copy tables and lists, and share the values."""
    if isinstance(tables, dict):
        return {key: json_copy(value) for key, value in tables.items()}
    return [json_copy(entry) for entry in tables] if isinstance(tables, list) else tables


def digests(paths: Iterable[str]) -> dict[str, str]:
    """Give the SHA-256 of files; of those that cannot be read, whoever wants to read them speaks better."""
    found = {}
    for path in paths:
        with suppress(OSError, ValueError):
            if os.path.isfile(path):  # a pipe would be waited for, and a device has no end
                with open(path, "rb") as file:
                    found[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _paths_in(tables: Any) -> list[str]:
    """Find every ``path`` in tables."""
    entries: Iterable[tuple[Any, Any]] = ()
    if isinstance(tables, dict):
        entries = tables.items()
    elif isinstance(tables, list):
        entries = enumerate(tables)
    found: list[str] = []
    for name, value in entries:
        if name == "path" and isinstance(value, str) and value:
            found.append(value)
        else:
            found += _paths_in(value)
    return found
