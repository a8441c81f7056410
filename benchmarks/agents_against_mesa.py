"""Does engine "agents" make at least 100 times the copy events a second of an idiomatic Mesa model of the same rule?

Run ``python benchmarks/agents_against_mesa.py``; it takes two minutes. N = 5000 copies of two and of three levels, with
aligned phases: one phase a label, kept by the model. The rivals:

- Mesa, stepped: in ``agents.shuffle_do("step")`` each copy looks at a random other, and copies it with probability
  N rate dt.
- Mesa, event by event: the total rate gives the time of the next copy event and its edge, then copier and copied are
  drawn from the lists of the labels; phases and rates are brought up to date at every event.
- numpy, all meet: the stepped model on arrays; in every step all copies look at a random other.
- numpy, copiers meet: from the chance to copy anyone, known per label, who copies; only these look at another.

Stepped rivals let the phases run half a step ahead and take the longest step that keeps their bias near a tenth of the
noise, 0.1/sqrt(N), where it cannot be mistaken for physics of finite N; their rates are proportional to that step. (The
bias was measured with 2e5 and 2e6 copies: up to 0.3 dt in Mesa, where copies act one after the other, and 0.14 dt in
numpy.) In every run of the script each rival must be right: averaged over its runs, the frequencies stay within
0.1/sqrt(N) and five standard errors of Schrödinger's at every save time.

What rivals take to build their agents is not timed, while `CopyDynamics.evolve` is timed with all that it does:
preparing, saving, making the dataset. That takes milliseconds however short the run, so that ours is timed in a long
run as well, the one that the goals are about.

At the end comes one run of 1e6 copies to t = 1/R, with its bytes a copy; with ``--large`` instead of all this one of
1e7, where the peak of memory shows as well.
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import mesa
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import race, table, timed

from copydyn import Experiment, Preparation, Schedule
from copydyn.abm import CopyModel
from copydyn.ensemble import share_out
from copydyn.experiment import System
from copydyn.systems import three_level, two_level
from copydyn.theories import CopyDynamics
from qm_reference import sesolve

COPIES = 5000
STEP_OF_MESA, STEP_OF_NUMPY = 0.005, 0.01
ROUNDS = 11
BIAS = 0.1 / math.sqrt(COPIES)
GOAL_MESA, GOAL_NUMPY = 100.0, 200.0
SAVED = np.linspace(0.0, 4.0, 21)
LONG = np.linspace(0.0, 400.0, 101)


class Case(NamedTuple):
    name: str
    system: System
    ket: np.ndarray

    def experiment(self, times: np.ndarray) -> Experiment:
        return Experiment(self.system, Preparation(self.ket), Schedule(times))


class Run(NamedTuple):
    """What a run leaves: how many copy events there were, and n_a/N at the save times (time, beable)."""

    events: int
    frequencies: np.ndarray


def cases() -> list[Case]:
    levels = np.sqrt([0.43, 0.18, 0.39]) * np.exp(1j * np.array([0.0, 4.1, 1.7]))
    return [
        Case("two levels", two_level(1.0, 0.5), np.array([0.8, 0.6 * np.exp(2j)])),
        Case("three levels", three_level(), levels),
    ]


# ---- the law, as a user would write it down for one phase a label ----


class Labels:
    """Counts and phases of the labels, and the two rules (32) and (33); nested lists are what Python is fastest at."""

    def __init__(self, case: Case) -> None:
        h = np.asarray(case.system.hamiltonian)
        self.omega = h.diagonal().real.tolist()
        self.strength, self.delta = np.abs(h).tolist(), np.angle(h).tolist()
        self.counts: list[int] = share_out(case.ket, COPIES).tolist()
        self.phases: list[float] = (-np.angle(case.ket)).tolist()
        self.labels = range(len(self.omega))

    def rate(self, b: int, a: int) -> float:
        """2 R_ab sin+(phi_a - phi_b + delta_ab) / sqrt(n_a n_b): one copy of b copies one of a (39)."""
        sine = math.sin(self.phases[a] - self.phases[b] + self.delta[a][b])
        return 2.0 * self.strength[a][b] * max(sine, 0.0) / math.sqrt(self.counts[a] * self.counts[b])

    def turn(self, span: float) -> None:
        """Let the phases run (33)."""
        roots = [math.sqrt(n) for n in self.counts]
        turning = list(self.omega)
        for a in self.labels:
            for b in self.labels:
                if a != b:
                    cosine = math.cos(self.phases[a] - self.phases[b] + self.delta[a][b])
                    turning[a] += self.strength[a][b] * cosine * roots[b] / roots[a]
        for a in self.labels:
            self.phases[a] += turning[a] * span


# ---- Mesa, stepped ----


class Walker(mesa.Agent):
    """A copy that looks around once a step."""

    def __init__(self, model: SteppedModel, beable: int) -> None:
        super().__init__(model)
        self.beable = beable

    def step(self) -> None:
        model = self.model
        other = self.random.choice(model.everyone)
        if other.beable == self.beable:
            return
        law = model.law
        if self.random.random() < COPIES * law.rate(self.beable, other.beable) * STEP_OF_MESA:
            law.counts[self.beable] -= 1
            self.beable = other.beable
            law.counts[self.beable] += 1
            model.events += 1


class SteppedModel(mesa.Model):
    """The rule with a small time step."""

    def __init__(self, case: Case, seed: int) -> None:
        super().__init__(rng=seed)
        self.law = Labels(case)
        self.events = 0
        for label, n in enumerate(self.law.counts):
            Walker.create_agents(self, n, label)
        self.everyone = list(self.agents)
        self.law.turn(0.5 * STEP_OF_MESA)

    def step(self) -> None:
        self.agents.shuffle_do("step")
        self.law.turn(STEP_OF_MESA)


def steps_between_saves(step: float) -> int:
    return round(float(SAVED[1]) / step)


def walk(model: SteppedModel) -> Run:
    """Run to the last save time."""
    seen = [list(model.law.counts)]
    for _ in SAVED[1:]:
        for _ in range(steps_between_saves(STEP_OF_MESA)):
            model.step()
        seen.append(list(model.law.counts))
    return Run(model.events, np.array(seen) / COPIES)


# ---- Mesa, event by event ----


class Member(mesa.Agent):
    """A copy that knows its place in the list of its label."""

    def __init__(self, model: EventModel, beable: int) -> None:
        super().__init__(model)
        self.beable = beable
        self.place = len(model.members[beable])
        model.members[beable].append(self)

    def take_over(self, other: Member) -> None:
        members = self.model.members
        last = members[self.beable].pop()
        if last is not self:
            members[self.beable][self.place] = last
            last.place = self.place
        self.beable = other.beable
        self.place = len(members[self.beable])
        members[self.beable].append(self)


class EventModel(mesa.Model):
    """The rule with a scheduler of copy events."""

    longest_wait = 0.01

    def __init__(self, case: Case, seed: int) -> None:
        super().__init__(rng=seed)
        self.law = Labels(case)
        self.events, self.clock = 0, 0.0
        self.members: list[list[Member]] = [[] for _ in self.law.labels]
        for label, n in enumerate(self.law.counts):
            Member.create_agents(self, n, label)
        self.pairs = [(b, a) for b in self.law.labels for a in self.law.labels if a != b]

    def step(self, until: float) -> None:
        """Go on to the next copy event, or to ``until``, or as far as the rates may be taken for constant."""
        law, random = self.law, self.random
        rates = [law.rate(b, a) * law.counts[a] * law.counts[b] for b, a in self.pairs]
        total = sum(rates)
        wait = random.expovariate(total) if total > 0.0 else math.inf
        horizon = min(self.longest_wait, until - self.clock)
        if wait > horizon:
            law.turn(horizon)
            self.clock = until if horizon < self.longest_wait else self.clock + horizon
            return
        law.turn(wait)
        self.clock += wait
        b, a = random.choices(self.pairs, rates)[0]
        random.choice(self.members[b]).take_over(random.choice(self.members[a]))
        law.counts[b] -= 1
        law.counts[a] += 1
        self.events += 1


def schedule(model: EventModel) -> Run:
    """Run to the last save time."""
    seen = [list(model.law.counts)]
    for time in SAVED[1:]:
        while model.clock < time:
            model.step(float(time))
        seen.append(list(model.law.counts))
    return Run(model.events, np.array(seen) / COPIES)


# ---- numpy, stepped ----


class Arrays:
    """All copies at once, one time step after the other."""

    def __init__(self, case: Case, seed: int) -> None:
        self.h = np.asarray(case.system.hamiltonian)
        self.omega = self.h.diagonal().real
        self.h = self.h - np.diag(self.h.diagonal())
        self.counts = share_out(case.ket, COPIES)
        self.unit = case.ket / np.abs(case.ket)
        self.beables = np.repeat(np.arange(self.counts.size), self.counts)
        self.random = np.random.default_rng(seed)
        self.events = 0
        self.turn(0.5 * STEP_OF_NUMPY)

    def turn(self, span: float) -> None:
        """Let the phases exp(-i phi) run (33)."""
        roots = np.sqrt(self.counts)
        turning = self.omega + (self.unit.conj() * (self.h @ (roots * self.unit))).real / roots
        self.unit = self.unit * np.exp(-1j * turning * span)

    def chances(self) -> np.ndarray:
        """Chance [b, a] that a copy of b copies someone of a within the step."""
        sine = 2.0 * (self.unit.conj()[:, None] * self.h * self.unit[None, :]).imag  # 2 R_ab sin theta_ab [a, b]
        return np.maximum(sine.T, 0.0) * np.sqrt(self.counts[None, :] / self.counts[:, None]) * STEP_OF_NUMPY

    def all_meet(self) -> None:
        other = self.beables[self.random.integers(COPIES, size=COPIES)]
        chance = self.chances() * (COPIES / self.counts[None, :])
        copies = self.random.random(COPIES) < chance[self.beables, other]
        self.beables[copies] = other[copies]
        self.events += int(np.count_nonzero(copies))

    def copiers_meet(self) -> None:
        chance = self.chances()
        copiers = np.flatnonzero(self.random.random(COPIES) < chance.sum(axis=1)[self.beables])
        bounds = np.cumsum(chance, axis=1)[self.beables[copiers]]
        draws = self.random.random(copiers.size) * bounds[:, -1]
        gains = (draws[:, None] >= bounds).sum(axis=1)
        by_label = np.argsort(self.beables, kind="stable")
        starts = np.cumsum(self.counts) - self.counts
        copied = by_label[starts[gains] + self.random.integers(self.counts[gains])]
        self.beables[copiers] = self.beables[copied]
        self.events += copiers.size

    def run(self, meet: Callable[[], None]) -> Run:
        seen = [self.counts]
        for _ in SAVED[1:]:
            for _ in range(steps_between_saves(STEP_OF_NUMPY)):
                meet()
                self.counts = np.bincount(self.beables, minlength=self.counts.size)
                self.turn(STEP_OF_NUMPY)
            seen.append(self.counts)
        return Run(self.events, np.array(seen) / COPIES)


# ---- ours ----


def evolve(case: Case, times: np.ndarray, seed: int) -> Run:
    result = CopyDynamics(COPIES, engine="agents").evolve(case.experiment(times), seed=seed)
    return Run(int(result.events[0, -1]), result.frequency.values[0])


def model_of(case: Case, times: np.ndarray, seed: int) -> CopyModel:
    return CopyModel(case.system.hamiltonian, case.ket, times, copies=COPIES, seed=seed)


def step_through(model: CopyModel) -> Run:
    seen = [model.frequencies]
    while model.running:
        model.step()
        seen.append(model.frequencies)
    return Run(model.events, np.array(seen))


# ---- what is reported ----


class Rival(NamedTuple):
    """``build(seed)`` is not timed; ``play`` of what it built is. A goal is a ratio that ours should reach."""

    name: str
    build: Callable[[int], Any]
    play: Callable[[Any], Run]
    goal: float | None = None

    def turns(self) -> Callable[[], tuple[float, Run]]:
        """Give a callable that runs the rival with seeds 0, 1, 2, ... and times it."""
        seeds = count()
        return lambda: timed(self.play, self.build(next(seeds)))


def rivals(case: Case) -> list[Rival]:
    """Ours first: the long run is what the others are compared with."""
    return [
        Rival("engine agents, t = 400", lambda seed: seed, lambda seed: evolve(case, LONG, seed)),
        Rival("engine agents, t = 4", lambda seed: seed, lambda seed: evolve(case, SAVED, seed)),
        Rival("CopyModel, registered, t = 400", lambda seed: model_of(case, LONG, seed), step_through),
        Rival("CopyModel, registered, t = 4", lambda seed: model_of(case, SAVED, seed), step_through),
        Rival("Mesa, stepped", lambda seed: SteppedModel(case, seed), walk, GOAL_MESA),
        Rival("Mesa, event by event", lambda seed: EventModel(case, seed), schedule),
        Rival("numpy, all meet", lambda seed: Arrays(case, seed), lambda run: run.run(run.all_meet), GOAL_NUMPY),
        Rival(
            "numpy, copiers meet", lambda seed: Arrays(case, seed), lambda run: run.run(run.copiers_meet), GOAL_NUMPY
        ),
    ]


def strays(case: Case, runs: list[Run]) -> tuple[float, float]:
    """Largest distance of the mean frequencies from |psi|^2, and the largest beyond five standard errors."""
    exact = np.abs(sesolve(case.system.hamiltonian, case.ket, SAVED)) ** 2
    frequencies = np.array([run.frequencies for run in runs])
    distance = np.abs(frequencies.mean(axis=0) - exact)
    error = frequencies.std(axis=0, ddof=1) / math.sqrt(len(runs))
    return float(distance.max()), float((distance - 5.0 * error).max())


def held_right(case: Case, rival: Rival, runs: list[Run]) -> str:
    """How far the rival strays, for the table; insists that it is within the tolerance."""
    if len(runs[0].frequencies) != SAVED.size:
        return ""
    distance, beyond = strays(case, runs)
    if beyond > BIAS:
        raise SystemExit(f"{case.name}: {rival.name} is wrong: its mean frequencies stray by {distance:.3f}.")
    return f"{distance:.3f}"


def compared(case: Case) -> list[list[str]]:
    """Rows of the table: the rates of the first two rivals, ours, over the rate of each."""
    contenders = rivals(case)
    laps = race([rival.turns() for rival in contenders], ROUNDS)
    events = [float(np.mean([run.events for run in lap.outcomes])) for lap in laps]
    rates = [happened / lap.seconds for happened, lap in zip(events, laps)]
    return [
        [
            f"{case.name}: {rival.name}",
            f"{happened:.0f}",
            held_right(case, rival, lap.outcomes),
            f"{rate:.3g}",
            f"{rates[0] / rate:.0f}",
            f"{rates[1] / rate:.0f}",
            "" if rival.goal is None else f"{rival.goal:.0f}",
        ]
        for rival, lap, happened, rate in zip(contenders, laps, events, rates)
    ]


def footprint(copies: int) -> str:
    """Seconds, rate and memory of one run; in a process of its own, because memory only ever peaks higher."""
    command = [sys.executable, __file__, "--one-run", str(copies)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def one_run(copies: int) -> None:
    """Evolve ``copies`` copies of two levels to t = 1/R, and say what that took."""
    case = cases()[0]
    experiment = case.experiment(np.array([0.0, 2.0]))
    CopyDynamics(100, engine="agents").evolve(experiment, seed=1)
    theory = CopyDynamics(copies, engine="agents")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, result = timed(lambda: theory.evolve(experiment, seed=1))
    growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    events = int(result.events[0, -1])
    roster = theory.prepare(experiment, seed=1).rows
    held = sum(column.nbytes for column in roster)
    print(f"{copies:.0e} copies of two levels to t = 1/R: {seconds:.2f} s, {events:.3g} copy events, ", end="")
    print(f"{events / seconds:.3g} a second; {held / copies:.1f} bytes a copy", end="")
    # the imports have a peak of their own, behind which a small run hides
    print(f", {growth / copies:.1f} more at the peak than before" if growth > held // 2 else "")


HEADINGS = ("N = 5000", "copy events", "strays", "events/s", "ours, t = 400, / it", "t = 4", "goal")


def main() -> None:
    if "--one-run" in sys.argv[1:]:
        one_run(int(sys.argv[-1]))
        return
    if "--large" not in sys.argv[1:]:
        print(f"Medians of {ROUNDS} runs in turns, one thread; dt = {STEP_OF_MESA} in Mesa, {STEP_OF_NUMPY} in numpy.")
        print(table(HEADINGS, [row for case in cases() for row in compared(case)]))
    print(footprint(10**7 if "--large" in sys.argv[1:] else 10**6), end="")


if __name__ == "__main__":
    main()
