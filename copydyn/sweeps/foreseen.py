"""What finite N must give at the points of a sweep: one law for all numbers of copies of one experiment."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from copydyn.experiment import Experiment
from copydyn.laws.finite_copies import with_reach
from copydyn.pipeline import law_of
from copydyn.refusal import Refusal
from copydyn.sweeps.builder import Builder
from copydyn.sweeps.recipe import Recipe
from copydyn.theories import CopyDynamics

MOST_LAWS = 48
"""Laws of a sweep, each of which takes from a tenth of a second to some twenty."""

MOST_LABELS = 384
"""Labels of all laws together: with 48 labels, a law may take as long as the runs that it is about."""

MANY = 2**50
"""Copies whose rounding is none."""


class Foreseen:
    """Mean infidelities that finite N must give, where they are known and cheap.

    Parameters
    ----------
    recipe : Recipe

    Attributes
    ----------
    said : str
        What is known, or why nothing is.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._builder = Builder(recipe)
        self._groups = [self._grouped(theory) for theory in range(len(recipe.theories))]
        self._laws: dict[tuple[int, int], Any] = {}
        self._starts: dict[tuple[int, ...], tuple[float, float, np.ndarray] | None] = {}
        self.said = self._limits()
        self.known = not self.said
        if self.known:
            self.said = "copydyn.laws.finite_copies, the same for all numbers of copies that leave no label empty"

    def infidelity(self, theory: int, point: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Predict the mean infidelity at a point.

        Returns
        -------
        times, infidelity : float64 (time,)
            Or None where no law is known.
        """
        if not self.known:
            return None
        places = np.unravel_index(point, self.recipe.shape) if self.recipe.axes else ()
        groups, _, shape = self._groups[theory]
        group = 0
        for number, place, size in zip(groups, places, shape):
            group = group * size + int(number[place])
        if (theory, group) not in self._laws:
            self._laws[theory, group] = self._law(theory, point)
        law = self._laws[theory, group]
        start = self._start(theory, point, places, group, law) if law is not None else None
        if start is None:
            return None
        copies, offset, held = start
        shift = np.nan_to_num(law["offset_shift"].values) if "offset_shift" in law else 0.0
        predicted = (law["infidelity_law"].values + shift) / copies + offset
        return law["time"].values, np.where(held | np.isinf(predicted), predicted, np.nan)

    def _grouped(self, theory: int) -> tuple[list[np.ndarray], list[bool], list[int]]:
        """Number, along each axis, the values that the law can tell apart; and say where copies are swept."""
        recipe = self.recipe
        table = recipe.theory_tables[theory]
        words = {key.rsplit(".", 1)[-1] for axis in recipe.axes for key in axis.keys}
        beside = {"floor", "spectators"}  # of a given number, they weigh more among fewer copies
        matter = bool(words & beside) or any(table.get(word) for word in beside)
        groups, swept, shape = [], [], []
        for axis, own in zip(recipe.axes, recipe.shape_of(theory)):
            kept = [place for place, key in enumerate(axis.keys) if matter or not _of_copies(key)]
            seen: dict[str, int] = {}
            numbers = [
                seen.setdefault(repr([row[place] for place in kept]), len(seen)) if own > 1 else 0
                for row in axis.values
            ]
            groups.append(np.array(numbers))
            swept.append(any(map(_of_copies, axis.keys)))
            shape.append(max(numbers) + 1)
        return groups, swept, shape

    def _limits(self) -> str:
        """Say why there is no law, if it would take too long."""
        counts = [prod(shape) for _, _, shape in self._groups]
        many = sum(count for count, theory in zip(counts, self.recipe.theory_tables) if _is_copying(theory))
        if many > MOST_LAWS:
            return f"none: {many} different experiments are more than the {MOST_LAWS} whose law is computed"
        try:
            size = self._builder.experiment(self.recipe.values(self.recipe.points - 1)).system.size
        except Refusal:
            return ""
        if many * size > MOST_LABELS and many > 1:
            return f"none: {many} different experiments with up to {size} labels would take too long"
        return ""

    def _law(self, theory: int, point: int) -> Any:
        values = self.recipe.values(point)
        try:
            experiment, made = self._builder.experiment(values), self._builder.theory(theory, values)
            if not isinstance(made, CopyDynamics):
                return None
            if not (made.floor or made.spectators):
                made = replace(made, copies=MANY)  # which all others share
            return law_of(experiment, made)
        except Refusal:
            return None

    def _start(
        self, theory: int, point: int, places: Any, group: int, law: Any
    ) -> tuple[float, float, np.ndarray] | None:
        """Give the number of copies at a point, the infidelity of what their counts encode, and where the law reaches.

        None where rounding leaves a label without a copy, which the shared law knows nothing of.
        """
        _, swept, _ = self._groups[theory]
        key = (theory, group, *(int(place) for place, copies in zip(places, swept) if copies))
        if key not in self._starts:
            values = self.recipe.values(point)
            try:
                experiment, made = self._builder.experiment(values), self._builder.theory(theory, values)
                assert isinstance(made, CopyDynamics)
                self._starts[key] = _started(experiment, made, law)
            except Refusal:
                self._starts[key] = None
        return self._starts[key]


def _started(experiment: Experiment, theory: CopyDynamics, law: Any) -> tuple[float, float, np.ndarray] | None:
    drawn, whole = theory.encoded(experiment), replace(theory, copies=MANY).encoded(experiment)
    if np.any((drawn == 0.0) & (whole != 0.0)):
        return None
    rest = drawn - np.vdot(experiment.ket, drawn) * experiment.ket
    total = theory.copies + experiment.system.size * max(theory.spectators, theory.floor)
    reach = with_reach(experiment, drawn, law, total, floor=theory.floor, multinomial=theory.drawn(experiment))
    return float(total), float(np.vdot(rest, rest).real), reach["in_reach"].values


def _of_copies(key: str) -> bool:
    return key.startswith("theory.") and key.endswith(".copies")


def _is_copying(table: dict[str, Any]) -> bool:
    return str(table.get("kind", "CopyDynamics")) == "CopyDynamics"
