"""How much faster are copies as rows of arrays than as agents that step one by one?

The rivals play the same rule, aligned phases and N = 5000 copies of a detuned two-level system and a three-level one:

- stepped: the idiomatic Mesa model. In each time step every agent looks at one other copy drawn at random and copies it
  with the probability (rate of the pair) * (N - 1) * dt; phases per label take an Euler step.
- scheduled: Mesa agents moved by an exact-event clock: next event from the total rate, one agent changed per event.
- numpy: one vectorised step for all copies, leaping over dt.
- ours: `CopyDynamics(engine="agents")` with all its overhead, and `CopyModel` with registered agents.

All times include everything but the making of the agents. `--large` runs 1e7 copies once and prints bytes a copy.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time

import numpy as np
from mesa import Agent, Model

from copydyn.abm import CopyModel
from copydyn.ensemble import share_out
from copydyn.experiment import Experiment
from copydyn.kernels.roster import roster_of
from copydyn.systems import three_level, two_level
from copydyn.theories import CopyDynamics, Schrodinger

COPIES, STEP, SPAN, RUNS = 5000, 0.002, 1.0, 5


class Physics:
    """Constants of H, and what follows from counts and phases of the labels."""

    def __init__(self, h: np.ndarray) -> None:
        off = h - np.diag(np.diag(h))
        self.omega, self.r, self.delta = np.diag(h).real, np.abs(off), np.angle(off)

    def rates(self, n: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Rate of the jump b -> a of one of the n_b copies, [b, a] (32)."""
        sine = np.sin(phi[None, :] - phi[:, None] + self.delta.T)
        return 2.0 * self.r * np.sqrt(n[None, :] / np.maximum(n[:, None], 1)) * np.maximum(sine, 0.0)

    def turning(self, n: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Turning rates of the phases (33)."""
        cosine = np.cos(phi[:, None] - phi[None, :] + self.delta)
        return self.omega + (np.sqrt(n[None, :] / np.maximum(n[:, None], 1)) * self.r * cosine).sum(axis=1)


class SteppingCopy(Agent):
    """Looks at one other copy a step."""

    def __init__(self, model: Model, beable: int) -> None:
        super().__init__(model)
        self.beable = beable

    def step(self) -> None:
        other = self.model.copies[self.model.random.randrange(len(self.model.copies))]
        if other.beable != self.beable and self.model.random.random() < self.model.chance[self.beable][other.beable]:
            self.model.counts[self.beable] -= 1
            self.model.counts[other.beable] += 1
            self.beable = other.beable
            self.model.events += 1


class SteppedModel(Model):
    """Every agent steps once per time step, in random order."""

    def __init__(self, physics: Physics, psi: np.ndarray, seed: int) -> None:
        super().__init__(rng=seed)
        self.physics, self.events = physics, 0
        self.counts, self.phi = share_out(psi, COPIES), -np.angle(psi)
        self.copies = [SteppingCopy(self, label) for label, n in enumerate(self.counts) for _ in range(n)]

    def step(self) -> None:
        rates = self.physics.rates(self.counts, self.phi)
        # a partner with label a is met with the chance n_a / N
        self.chance = (rates * STEP * COPIES / np.maximum(self.counts[None, :], 1)).tolist()
        self.phi = self.phi + STEP * self.physics.turning(self.counts, self.phi)
        self.agents.shuffle_do("step")


class ScheduledModel(Model):
    """Draws the next event of the whole ensemble and lets one agent copy."""

    def __init__(self, physics: Physics, psi: np.ndarray, seed: int) -> None:
        super().__init__(rng=seed)
        self.physics, self.events, self.clock = physics, 0, 0.0
        self.counts, self.phi = share_out(psi, COPIES), -np.angle(psi)
        self.members: list[list[SteppingCopy]] = [[SteppingCopy(self, label) for _ in range(n)]
                                                  for label, n in enumerate(self.counts)]  # fmt: skip

    def step(self) -> None:
        end = self.clock + STEP
        while True:
            flow = self.physics.rates(self.counts, self.phi) * self.counts[:, None]
            total = float(flow.sum())
            wait = self.random.expovariate(total) if total > 0.0 else np.inf
            ahead = min(wait, end - self.clock)
            self.phi = self.phi + ahead * self.physics.turning(self.counts, self.phi)
            self.clock += ahead
            if wait > ahead:
                return
            pair = int(np.searchsorted(np.cumsum(flow), self.random.random() * total))
            loses, gains = divmod(pair, self.counts.size)
            here = self.members[loses]
            rank = self.random.randrange(len(here))
            here[rank], here[-1] = here[-1], here[rank]
            copier = here.pop()
            copier.beable = gains
            self.members[gains].append(copier)
            self.counts[loses] -= 1
            self.counts[gains] += 1
            self.events += 1


class NumpyCopies:
    """All copies leap together."""

    def __init__(self, physics: Physics, psi: np.ndarray, seed: int) -> None:
        self.physics, self.events, self.rng = physics, 0, np.random.default_rng(seed)
        self.counts, self.phi = share_out(psi, COPIES), -np.angle(psi)
        self.beable = np.repeat(np.arange(self.counts.size), self.counts)

    def step(self) -> None:
        rates = self.physics.rates(self.counts, self.phi)
        self.phi = self.phi + STEP * self.physics.turning(self.counts, self.phi)
        partner = self.beable[self.rng.integers(COPIES, size=COPIES)]
        chance = (rates * STEP * COPIES / np.maximum(self.counts[None, :], 1))[self.beable, partner]
        moves = self.rng.random(COPIES) < chance
        self.beable[moves] = partner[moves]
        self.counts = np.bincount(self.beable, minlength=self.counts.size)
        self.events += int(moves.sum())


def stepwise(kind: type, physics: Physics, psi: np.ndarray, seed: int) -> tuple[float, int, np.ndarray]:
    """Seconds, copy events and final frequencies of a rival."""
    rival = kind(physics, psi, seed)
    begin = time.perf_counter()
    for _ in range(round(SPAN / STEP)):
        rival.step()
    return time.perf_counter() - begin, rival.events, rival.counts / COPIES


def our_engine(what: Experiment, span: float, seed: int) -> tuple[float, int, np.ndarray]:
    """The same for ours, over a span that is long enough to be timed."""
    long = Experiment.of(what.system.hamiltonian, what.ket, np.linspace(0.0, span, 201))
    theory = CopyDynamics(COPIES, engine="agents")
    begin = time.perf_counter()
    result = theory.evolve(long, seed)
    seconds = time.perf_counter() - begin
    at_span = theory.evolve(what, seed).frequency.values[0, -1]
    return seconds, int(result.events[0, -1]), at_span


def our_model(what: Experiment, span: float, seed: int) -> tuple[float, int, np.ndarray]:
    """The same for the Mesa face, agents registered."""
    tlist = np.linspace(0.0, span, 201)
    model = CopyModel(what.system.hamiltonian, what.ket, tlist, copies=COPIES, seed=seed)
    begin = time.perf_counter()
    model.run_model()
    return time.perf_counter() - begin, model.events, np.array([np.nan])


def compare(name: str, what: Experiment) -> None:
    """Print one table."""
    physics = Physics(np.asarray(what.system.hamiltonian))
    expected = Schrodinger().evolve(what).probability.values[-1]
    rivals = {
        "Mesa, stepped": lambda seed: stepwise(SteppedModel, physics, what.ket, seed),
        "Mesa, scheduled events": lambda seed: stepwise(ScheduledModel, physics, what.ket, seed),
        "numpy, all at once": lambda seed: stepwise(NumpyCopies, physics, what.ket, seed),
        "copydyn, CopyModel": lambda seed: our_model(what, 400.0, seed),
        "copydyn, engine agents": lambda seed: our_engine(what, 400.0, seed),
    }
    for run in rivals.values():
        run(0)  # compile, and warm the caches
    speeds: dict[str, list[float]] = {rival: [] for rival in rivals}
    ends: dict[str, list[np.ndarray]] = {rival: [] for rival in rivals}
    for seed in range(1, RUNS + 1):  # in turns: the machine's speed drifts
        for rival, run in rivals.items():
            seconds, events, frequencies = run(seed)
            speeds[rival].append(events / seconds)
            ends[rival].append(frequencies)
    ours = statistics.median(speeds["copydyn, engine agents"])
    print(f"{name}, N = {COPIES}, medians of {RUNS} runs in turns")
    print(f"  {'':24s} {'events a second':>16s} {'ours / this':>12s} {'off |psi|^2':>12s}")
    for rival, values in speeds.items():
        speed = statistics.median(values)
        off = np.abs(np.mean(ends[rival], axis=0) - expected).max()
        print(f"  {rival:24s} {speed:16.3g} {ours / speed:12.3g} {off:12.2g}")
    print(f"  off |psi|^2: of the mean at t = {SPAN:g}; noise alone gives about {1 / np.sqrt(COPIES * RUNS):.2g}\n")


def large() -> None:
    """Print what 1e7 copies cost."""
    copies = 10**7
    what = Experiment.of(two_level(0.6, 0.5).hamiltonian, [0.8, 0.6j], [0.0, 2.0])
    CopyDynamics(1000, engine="agents").evolve(what, seed=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    result = CopyDynamics(copies, engine="agents").evolve(what, seed=1)
    seconds = time.perf_counter() - begin
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    for with_phases in (False, True):
        rows = roster_of(result.counts.values[0, 0].copy(), with_phases=with_phases)
        kept = sum(column.nbytes for column in rows)
        print(f"{kept / copies:.2f} bytes a copy, {'each with a phase' if with_phases else 'aligned'}")
    print(f"{peak / copies:.1f} bytes a copy of peak memory, making included")
    print(f"1e7 copies, t = 1/R: {seconds:.2f} s, {int(result.events[0, -1])} events")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="run 1e7 copies once instead")
    if parser.parse_args().large:
        large()
        return
    compare("two levels, detuned", Experiment.of(two_level(0.6, 0.5).hamiltonian, [0.8, 0.6j], [0.0, SPAN]))
    ket = np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])
    compare("three levels", Experiment.of(three_level().hamiltonian, ket, [0.0, SPAN]))


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
