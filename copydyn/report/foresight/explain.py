"""What a scenario will do, foreseen before it runs: precision, nodes, events, time and memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from copydyn import laws
from copydyn.experiment import Experiment
from copydyn.experiment.inputs import as_real
from copydyn.laws import NodeCrossing
from copydyn.laws.crossings import MATTERS
from copydyn.laws.path import Path
from copydyn.laws.reach import most_variance
from copydyn.refusal import BadValue
from copydyn.report.foresight.extinction import LARGE, Prospect, prospect
from copydyn.report.foresight.probe import Cost, copies_in_all, probe
from copydyn.report.foresight.stages import MOST_BEATS, MOST_LABELS, Stage, covariance_seconds, stages_of
from copydyn.report.layout import columns, entry, grid, paragraphs
from copydyn.scenario.scenario import Scenario
from copydyn.theories import CopyDynamics
from copydyn.theories.theory import Theory
from copydyn.wording import alignment, duration, plural, plus_minus, size

MOST_LINES = 6
"""Labels or crossings that get a line of their own."""

PATIENCE = 20.0
"""Seconds that the law of the covariance may take."""

FINEST = 1e-12
"""Precision beyond what any number of copies that can be counted would give."""

ANY = "any"


class Row(NamedTuple):
    """A quantity and two values of it."""

    name: str
    first: str
    second: str = ""


class Item(NamedTuple):
    """A word and what is to be said about it."""

    name: str
    text: str


def explain(scenario: Scenario, precision: Any = 0.01) -> str:
    """Foresee a run, as plain text that is no wider than the screen.

    Parameters
    ----------
    scenario : Scenario
    precision : float
        Standard deviation that is wanted of every frequency n_a/N at every save time, `FINEST` <= precision < 1.

    Raises
    ------
    BadType, BadValue
        If precision is no such number, or the theory refuses the experiment.
    """
    wanted = as_real(precision, "precision", positive=True)
    if not FINEST <= wanted < 1.0:
        raise BadValue(
            f"precision must be below 1 and at least {FINEST:g}, as a deviation of a frequency, but is {wanted:g}; "
            "try 0.01."
        )
    run = scenario.run
    lines = [*paragraphs(scenario.title, columns(), ""), ""]
    for name, theory in scenario.theories.items():
        lines += [f"{name}:", ""] if len(scenario.theories) > 1 else []
        lines += [*foresee(scenario.experiment, theory, run.replicas, run.seed or 0, wanted), ""]
    return "\n".join(line.rstrip() for line in lines).rstrip()


def foresee(experiment: Experiment, theory: Theory, replicas: int, seed: int, precision: float) -> list[str]:
    """Foresee ``replicas`` runs of one theory, in lines of text."""
    lines = _items(_what_runs(experiment, theory, replicas))
    obstacle = no_law(experiment, theory)
    if obstacle or not isinstance(theory, CopyDynamics):
        cost = probe(experiment, theory, replicas, seed)
        seen = [Item("events", f"{_events(cost.events)}, as far as tried")] if cost.events else []
        turns = _turns(experiment, theory)
        return [*lines, "", *_items([Item("laws", obstacle), *seen, *turns, *_costs(cost, replicas)])]
    ket = theory.encoded(experiment)
    law, left_out = _law(experiment, theory, ket)
    stages = stages_of(experiment, theory, ket)
    events = sum(stage.events for stage in stages)
    work = theory.count(experiment)
    by_time = theory.resolved(experiment).engine == "leap" or work.steps * work.step > work.events
    cost = probe(experiment, theory, replicas, seed, events=None if by_time else events)
    if _last_finite(law) > 0 or experiment.tlist.size == 1:
        lines += ["", *_grid(_needed(experiment, theory, law, precision))]
        lines += ["", *_grid(_band(experiment, theory, law))]
    lines += ["", *_items([*left_out, *_limits(experiment, theory, law, ket)])]
    odds = _prospect(experiment, theory, ket, law, stages, seed)
    lines += _items(_nodes(experiment, theory, ket, stages, odds))
    lines += _items([_moves(experiment, stages), *_turns(experiment, theory), *_costs(cost, replicas)])
    return lines


def no_law(experiment: Experiment, theory: Theory) -> str:
    """Say why the laws of finite N cannot foresee a run; an empty string where they can."""
    if not isinstance(theory, CopyDynamics):
        return f"{theory.name} has no copies: no finite N, and nothing to foresee but time and memory"
    if not theory.aligned:
        return "none is known for phases that are not aligned: neither precision nor nodes can be foreseen"
    if theory.rule != "smolin":
        return f"none is known for rule {theory.rule}, whose mean is not the Schrödinger equation"
    if theory.engine == "meanfield":
        return "engine 'meanfield' is the limit of infinitely many copies: no noise and no events"
    if experiment.system.size > MOST_LABELS:
        return (
            f"they cost too much for {experiment.system.size} labels, more than {MOST_LABELS}: "
            "neither precision nor nodes are foreseen"
        )
    turned = laws.beats(experiment)
    if turned > MOST_BEATS:
        return f"they cost too much for beats of up to {turned:.2g} rad, more than {MOST_BEATS:g}: shorten the schedule"
    return ""


def _what_runs(experiment: Experiment, theory: Theory, replicas: int) -> Iterator[Item]:
    system, times = experiment.system, experiment.tlist
    yield Item("system", f"{system.name}, {system.size} {plural(system.meaning)}")
    yield Item("theory", f"{theory.name}{''.join(_settings(experiment, theory))}")
    span = f"time {times[0]:g} to {times[-1]:g} in {system.time_unit}"
    yield Item("run", f"{_many(replicas, 'replica')}, {_many(times.size, 'save time')}, {span}")


def _settings(experiment: Experiment, theory: Theory) -> Iterator[str]:
    """Name the number of copies and every setting that is not at rest."""
    if not isinstance(theory, CopyDynamics):
        return
    settled = theory.resolved(experiment)
    yield f", {_whole(copies_in_all(experiment, theory))} copies, engine {settled.engine}, rule {settled.rule}"
    if theory.engine == "auto" and settled.engine == "leap":
        yield f" ({theory.choice(experiment)[1]})"
    for name in ("spectators", "floor", "phase_spread"):
        if getattr(theory, name):
            yield f", {name.replace('_', ' ')} {getattr(theory, name):g}"
    if theory.alignment is not None:
        yield f", {alignment(repr(theory.alignment))}"
    if theory.admixture:
        yield f", admixture {theory.admixture[0]:g}"
    if theory.preparation == "multinomial":
        yield ", counts drawn"


# ---- precision


def _law(experiment: Experiment, theory: CopyDynamics, ket: np.ndarray) -> tuple[xr.Dataset, list[Item]]:
    """Give what N copies must give, and say so where the covariance is left out because it takes too long."""
    drawn, system = theory.drawn(experiment), experiment.system
    takes = covariance_seconds(experiment, ket)
    if takes <= PATIENCE:
        return laws.finite_copies(experiment, ket, multinomial=drawn), []
    law = laws.infidelity_law(system.hamiltonian, ket, experiment.tlist, hbar=system.hbar, multinomial=drawn)
    offset = 1.0 - abs(np.vdot(experiment.ket, ket)) ** 2
    why = f"the standard deviations are left out: their law would take about {duration(takes)}"
    return xr.Dataset({"infidelity_law": ("time", law)}, attrs={"offset": offset}), [Item("laws", why)]


def _needed(experiment: Experiment, theory: CopyDynamics, law: xr.Dataset, precision: float) -> list[Row]:
    """How many copies, spectators included, make the noise as small as is wanted, as far as the laws go.

    What spectators do to the start is taken to fall as 1/N, as it does for a given number of them in empty labels.
    """
    times, last = experiment.tlist, _last_finite(law)
    loss, offset = float(law["infidelity_law"].values[last]), float(law.attrs["offset"])
    if theory.admixture is None:
        loss, offset = loss + copies_in_all(experiment, theory) * offset, 0.0
    rows = [Row(f"for a precision of {precision:g}", "copies needed", "decided by")]
    if "frequency_noise" in law:
        noise = np.nan_to_num(law["frequency_noise"].values)
        at, label = divmod(int(np.argmax(noise)), noise.shape[1])
        needed = _copies(float(noise[at, label]), precision**2)
        where = f"label '{experiment.system.labels[label]}' at time {times[at]:.4g}" if needed != ANY else ""
        rows.append(Row(f"standard deviation of every n/N below {precision:g}", needed, where))
    name = f"mean infidelity below its square, {precision**2:.3g}"
    if offset >= precision**2:
        return [*rows, Row(name, "no number will do", f"the start is off by {offset:.2g}")]
    needed = _copies(loss, precision**2 - offset)
    return [*rows, Row(name, needed, f"time {times[last]:.4g}" if needed != ANY else "")]


def _band(experiment: Experiment, theory: CopyDynamics, law: xr.Dataset) -> list[Row]:
    """The error of the scenario's own N, the noisiest label first."""
    total, times, last = copies_in_all(experiment, theory), experiment.tlist, _last_finite(law)
    when = "at the end" if last == times.size - 1 else f"at time {times[last]:.4g}"
    rows = [Row(f"what {_whole(total)} copies give", when, "largest on the way" if "frequency_noise" in law else "")]
    if "frequency_noise" in law:
        rows += _spreads(experiment, np.sqrt(np.nan_to_num(law["frequency_noise"].values) / total), last)
    start = float(law.attrs["offset"])
    remedies = bool(theory.spectators or theory.floor or theory.admixture)  # without, it is what rounding left
    rows.append(Row("mean infidelity", f"{float(law['infidelity_law'].values[last]) / total + start:.3g}"))
    if remedies:
        rows.append(Row("  of it the start itself", f"{start:.3g}"))
    return rows


def _spreads(experiment: Experiment, spread: np.ndarray, last: int) -> list[Row]:
    """The standard deviations (time, beable) at ``times[last]`` and at their largest, the noisiest label first."""
    rows, times = [], experiment.tlist
    order = np.argsort(-spread.max(axis=0), kind="stable")
    for label in order[:MOST_LINES]:
        name = f"standard deviation of n/N, label '{experiment.system.labels[label]}'"
        at = int(np.argmax(spread[:, label]))
        rows.append(Row(name, f"{spread[last, label]:.3g}", f"{spread[at, label]:.3g} at time {times[at]:.4g}"))
    if order.size > MOST_LINES:
        rows.append(Row(f"and {order.size - MOST_LINES} more, with less", ""))
    return rows


def _last_finite(law: xr.Dataset) -> int:
    """Give the last save time before the laws diverge."""
    return int(np.sum(np.isfinite(law["infidelity_law"].values))) - 1


def _limits(experiment: Experiment, theory: CopyDynamics, law: xr.Dataset, ket: np.ndarray) -> Iterator[Item]:
    """Say from when on the laws say nothing, and what they do not know."""
    system = experiment.system
    if not np.all(np.isfinite(law["infidelity_law"].values)):
        node = laws.first_node(system.hamiltonian, ket, experiment.tlist, hbar=system.hbar)
        if node is not None:
            name = system.labels[node.label]
            ends = "what is said above ends before" if _last_finite(law) > 0 else "before anything is saved"
            met, empty = f"the path meets the node of label '{name}'", f"label '{name}' has no copies"
            where = f"{met}: {ends}" if node.arrives else f"{empty}: it needs spectators"
            yield Item("laws", f"they diverge at time {node.time:.4g}, where {where}")
    total, last = copies_in_all(experiment, theory), _last_finite(law)
    if float(law["infidelity_law"].values[last]) > LARGE * total:
        yield Item(
            "laws", "they take the noise for small, which it is not with so few copies: what they say is a guess"
        )
    if theory.floor:
        yield Item("floor", "the laws count its copies, but do not know that no label may fall below it")


# ---- nodes and events


def _prospect(
    experiment: Experiment, theory: CopyDynamics, ket: np.ndarray, law: xr.Dataset, stages: list[Stage], seed: int
) -> Prospect:
    """Give the odds of the whole run; where the covariance was left out, by the most that it could be."""
    if theory.floor:
        return Prospect(0.0, [], [])
    system, total = experiment.system, copies_in_all(experiment, theory)
    losses = law["infidelity_law"].values
    shares = np.abs(Path.of(system.hamiltonian, ket, experiment.tlist, hbar=system.hbar).saved) ** 2
    noise = law["frequency_noise"].values if "frequency_noise" in law else most_variance(shares, losses)
    counts = total * np.where(np.isfinite(losses)[:, None], [shares, noise], np.nan)
    known = "frequency_noise" in law
    return prospect(experiment, theory, stages, total, losses, counts, seed, spread_known=known)


def _nodes(
    experiment: Experiment, theory: CopyDynamics, ket: np.ndarray, stages: list[Stage], odds: Prospect
) -> Iterator[Item]:
    names, filled = experiment.system.labels, np.flatnonzero(ket)
    if filled.size == 1:
        yield Item(
            "nodes", f"all copies start with label '{names[int(filled[0])]}', with none to copy: nothing ever moves"
        )
        return
    if filled.size < ket.size:
        empty = _listed([name for name, amplitude in zip(names, ket) if amplitude == 0.0])
        yield Item("empty", f"{empty} without a copy at the start and for ever; the others go on as if H had no more")
    if theory.floor:
        yield Item("nodes", "no label can die out: the floor keeps copies in each")
        return
    found = [row for stage in stages for row in stage.crossings]
    matter = sorted((row for row in found if _chance(row) >= MATTERS), key=lambda row: (-_chance(row), row.time))
    matter += sorted((row for row in found if math.isnan(_chance(row))), key=lambda row: row.time)
    lines = [_crossing(row, names) for row in matter]
    lines += [
        f"label '{names[label]}' at time {time:.4g}: chance about {chance:.1g}, no node, but {copies:.2g} copies left"
        for label, time, copies, chance in odds.shortages
        if chance >= MATTERS
    ]
    if not lines:
        yield Item("nodes", f"none that matters: no label has a chance above {MATTERS:g} to die out at one")
    for number, line in enumerate(lines[:MOST_LINES]):
        yield Item("" if number else "nodes", line)
    if len(lines) > MOST_LINES:
        yield Item("", f"and {len(lines) - MOST_LINES} more")
    if stages and stages[-1].searched < stages[-1].end:
        yield Item("", f"those behind time {stages[-1].searched:.4g} were not looked at: there are too many")
    if len(matter) > 1:
        yield Item("", "the chances take it that the labels before each survived, or were lost as said under events")
    if odds.most >= MATTERS or (odds.trial is not None and odds.trial.lost):
        yield Item("whole run", _whole_run(odds, names))


def _whole_run(odds: Prospect, names: Sequence[str]) -> str:
    """The chance to lose a label by the end: as the law has it, or as ensembles that were tried have it."""
    lawful = f"{odds.law:.2g}" if odds.law >= MATTERS else f"less than {MATTERS:g}"
    if not odds.doubts:
        return f"chance {lawful} that a label dies out, by the law of single crossings"
    doubts = "; ".join(odds.doubts)
    if odds.trial is None:
        return f"the law of single crossings gives {lawful} that a label dies out, which is not reliable: {doubts}"
    tried, lost = odds.trial.ensembles, odds.trial.lost
    if lost:
        said = f"chance {plus_minus(odds.trial.odds, odds.trial.error)} that a label dies out: {lost} of {tried}"
    else:
        said = f"chance below {3.0 / tried:.1g} that a label dies out: none of {tried}"
    said += " ensembles tried"
    order = [int(label) for label in np.argsort(-odds.trial.labels, kind="stable") if odds.trial.labels[label]]
    shares = ", ".join(f"'{names[label]}' in {odds.trial.labels[label]}" for label in order[:MOST_LINES])
    more = f", and {len(order) - MOST_LINES} more labels" if len(order) > MOST_LINES else ""
    which = f", label {shares}{more}" if lost else ""
    return f"{said}{which}. The law of single crossings, {lawful}, is not reliable: {doubts}"


def _crossing(row: NodeCrossing, names: Sequence[str]) -> str:
    left = f"{row.m:.2g} copies left at the mean" if row.m and row.m > 1e-6 else "straight through zero"
    unknown = math.isnan(_chance(row))
    chance = "chance unknown behind an earlier node" if unknown else f"chance {_chance(row):.2g} to die out"
    return f"label '{names[row.label]}' at time {row.time:.4g}: {chance}, {left}"


def _chance(row: NodeCrossing) -> float:
    return math.nan if row.extinction is None else row.extinction


def _moves(experiment: Experiment, stages: list[Stage]) -> Item:
    """The copy events of one replica, and which labels were taken to be lost in counting them."""
    events = sum(stage.events for stage in stages)
    if not events:
        return Item("events", "none: where nothing flows, nothing is copied")
    names = experiment.system.labels
    lost = [f"'{names[stage.lost]}' at time {stage.end:.4g}" for stage in stages if stage.lost is not None]
    if not lost:
        return Item("events", _events(events))
    still = "; then nothing moves any more" if stages[-1].lost is not None and stages[-1].labels.size == 2 else ""
    return Item("events", f"{_events(events)}, label {_listed(lost, 'and')} being lost{still}")


def _turns(experiment: Experiment, theory: Theory) -> Iterator[Item]:
    """Count the leaps, or the steps of the phases where they take longer than the events: beats are to be followed."""
    if not isinstance(theory, CopyDynamics) or theory.engine == "meanfield":
        return
    settled = theory.resolved(experiment)
    work = settled.count(experiment)
    if settled.engine == "leap":
        yield Item("leaps", f"about {work.leaps:.2g} a replica")
    elif work.steps * work.step > work.events:
        yield Item("steps", f"about {work.steps:.2g} of the phases a replica, which take longer than the events")


def _events(events: float) -> str:
    return f"about {events:.3g} copy events a replica"


# ---- cost


def _costs(cost: Cost, replicas: int) -> Iterator[Item]:
    speed = f", {cost.speed:.2g} events/s" if cost.speed else ""
    tried = f" (tried with {_whole(cost.rows)} copies)" if cost.rows else ""
    each = "" if replicas == 1 else f" for {replicas} replicas one after the other"
    yield Item("time", f"about {duration(cost.seconds)} of computing{each}{speed}{tried}")
    yield Item(
        "memory", f"about {size(cost.memory)}, of which the result takes {size(cost.kept)}, besides the program itself"
    )


# ---- layout


def _items(items: Iterator[Item] | list[Item]) -> list[str]:
    return [line for name, text in items for line in entry(name, text, columns())]


def _grid(rows: list[Row]) -> list[str]:
    return grid(rows, columns())


def _copies(law: float, bound: float) -> str:
    """Write the least N at which law / N is below ``bound``, rounded up to three digits."""
    if law <= 0.0:
        return ANY
    needed = max(1, math.ceil(law / bound))
    unit = 10 ** max(0, len(str(needed)) - 3)
    return _whole(-(-needed // unit) * unit)


def _whole(number: int) -> str:
    return str(number) if number < 10**7 or float(number) != number else f"{number:.15g}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _listed(names: Sequence[str], last: str = "") -> str:
    """List names for a sentence, the first few of many."""
    if last:
        return f" {last} ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    if len(names) == 1:
        return f"label '{names[0]}' is"
    shown = ", ".join(f"'{name}'" for name in names[:MOST_LINES])
    rest = f" and {len(names) - MOST_LINES} more" if len(names) > MOST_LINES else ""
    return f"labels {shown}{rest} are"
