"""How long do copies take to align by descent, and does the step of the second-order law keep its order and energy?

Run ``python benchmarks/alignment_by_drift.py``, with another seed than 1 for the first table behind it if you like; it
takes about a minute and a half. Three tables:

1. Alignment by drift: two levels, H = sigma_x (R = 1), psi = (1, 0.8+0.6i)/sqrt(2), whose |psi_a|^2 stay above 0.2, and
   phases that start 0.3 rad apart (standard deviation). Incoherence is 1 - |Z_a|/n_a, here over both labels of the
   ensembles in which both are still alive, saved once a unit of time. "mean below", "median below": the first time at
   which its mean, or its median, is below 0.005. The mean hangs on the few ensembles that are late; the error in
   brackets comes from the ensembles drawn anew, with replacement, 200 times. A first passage of a noisy mean scatters
   more than that from seed to seed: compare two.
2. The step of the second-order law without copy events: 16 copies in three labels, random phases and momenta, f = 0.7.
   Errors at t = 2 against Dormand and Prince's method of order 8, and the order from one line to the next, beside
   Heun's method with as many steps; and what a step costs, in time of this thread.
3. The energy of the same copies in a run of 8000 steps of 0.05, beside Heun's: the largest error at twenty times up to
   then, and the error there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import table, timed

from copydyn.comparison.compare import fit_exponent
from copydyn.experiment import Experiment
from copydyn.kernels import alignment as kernels
from copydyn.kernels.flow import workspace
from copydyn.kernels.per_copy import sum_phases
from copydyn.kernels.roster import event_log, roster_of
from copydyn.theories import CopyDynamics
from copydyn.theories.copies.alignment import Alignment
from copydyn.theories.copies.ensemble import couplings_of

# ---- alignment by drift

KET = np.array([1.0, 0.8 + 0.6j]) / np.sqrt(2)
ALIGNED, SPREAD, PHASE_STEP = 0.005, 0.3, 0.1
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
RUNS = ((50, 1000, 40), (100, 600, 50), (200, 400, 70), (400, 200, 110), (800, 100, 180), (12_800, 6, 60))
"""N, ensembles, end."""


def incoherences(copies: int, ensembles: int, end: int) -> np.ndarray:
    """1 - |Z_a|/n_a, float64 (ensemble, time, label); NaN from an ensemble's first extinction on."""
    experiment = Experiment.of([[0.0, 1.0], [1.0, 0.0]], KET, np.arange(end + 1.0))
    theory = CopyDynamics(copies, phase_spread=SPREAD, phase_step=PHASE_STEP)
    result = theory.evolve(experiment, seed=SEED, replicas=ensembles, jobs=1)
    alive = (result["counts"].values > 0).all(axis=2, keepdims=True)
    return np.where(alive, 1.0 - result["coherence"].values, np.nan)


def first_below(of: Callable[..., np.ndarray], samples: np.ndarray) -> float:
    """Infinite if it never is."""
    below = np.flatnonzero(of(samples, axis=(0, 2)) < ALIGNED)
    return float(below[0]) if below.size else np.inf


def with_error(samples: np.ndarray) -> tuple[float, float]:
    """When the mean falls below, and half the width of the middle two thirds of what resampled ensembles say."""
    rng = np.random.default_rng(1)
    again = [first_below(np.nanmean, samples[rng.integers(len(samples), size=len(samples))]) for _ in range(200)]
    low, high = np.sort(again)[[33, 166]]
    return first_below(np.nanmean, samples), (0.5 * (high - low) if np.isfinite(high) else np.nan)


def report_drift() -> None:
    rows, points = [], []
    for copies, ensembles, end in RUNS:
        samples = incoherences(copies, ensembles, end)
        mean, error = with_error(samples)
        median = first_below(np.nanmedian, samples)
        late = f"> {end}"
        times = (
            f"{mean:.0f}({error:.0f})" if np.isfinite(mean) else late,
            f"{median:.0f}" if np.isfinite(median) else late,
        )
        alive, last = np.isfinite(samples[:, -1, 0]).mean(), np.nanmean(samples[:, -1])
        rows.append((f"{copies}", f"{ensembles}", *times, f"{end}", f"{alive:.2f}", f"{last:.4f}"))
        points.append((copies, mean, error))
    columns = ("N", "ensembles", "mean below", "median below", "end", "alive then", "mean then")
    print(table(columns, rows))
    fit = fit_exponent(*zip(*(point for point in points if np.all(np.isfinite(point)))))
    print(f"time of the mean: N^{fit.exponent:.2f}({100 * fit.error:.0f})\n")


# ---- the step of the second-order law

STRENGTH = 0.7
H = np.array([[0.3, 0.5 + 0.2j, 0.1], [0.5 - 0.2j, -0.3, 0.3j], [0.1, -0.3j, 0.2]])
NO_EVENTS = 10**9
"""A floor that no label can leave."""


class Copies:
    """Copies with random phases and momenta, by default sixteen."""

    def __init__(self, counts: tuple[int, ...] = (5, 7, 4)) -> None:
        rng = np.random.default_rng(0)
        self.counts, self.couplings = np.array(counts, np.int64), couplings_of(H, 1.0)
        self.roster = roster_of(self.counts, with_phases=True)
        self.phases = self.roster.phase
        self.phases[:] = rng.uniform(0.0, 2.0 * np.pi, self.phases.size)
        self.momenta = rng.normal(size=self.phases.size)
        self.work, self.motion = workspace(3, self.couplings.a.size), kernels.motion_of(self.phases.size, 3)
        self.sums = np.zeros(3, complex)
        sum_phases(self.sums, self.roster)
        self.random_state = np.random.SeedSequence(0).generate_state(4, np.uint64)

    def state(self) -> np.ndarray:
        return np.concatenate([np.exp(1j * self.phases), self.momenta])

    def rates(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Velocity of the phases, force, and energy."""
        turning, force = np.zeros((2, self.phases.size))
        energy = kernels.rates(
            self.counts, self.sums, self.momenta, self.couplings, STRENGTH, self.work, self.motion, self.roster,
            turning, force,
        )  # fmt: skip
        return turning, force, energy

    def advance(self, span: float, phase_step: float) -> int:
        """Ours; gives the number of steps."""
        return kernels.advance_aligning(
            self.counts, self.sums, self.momenta, self.couplings, 0.0, span, phase_step, NO_EVENTS, 1.0,
            Alignment(STRENGTH).law, 2**60, self.random_state, self.work, self.motion, self.roster, event_log(0),
        )[4]  # fmt: skip

    def heun(self, span: float, steps: int) -> None:
        h = span / steps
        for _ in range(steps):
            phases, momenta = self.phases.copy(), self.momenta.copy()
            turning, force, _ = self.rates()
            self.phases[:], self.momenta[:] = phases + h * turning, momenta + h * force
            later = self.rates()
            self.phases[:] = phases + 0.5 * h * (turning + later[0])
            self.momenta[:] = momenta + 0.5 * h * (force + later[1])


def exact(span: float) -> np.ndarray:
    some = Copies()

    def flow(_: float, y: np.ndarray) -> np.ndarray:
        some.phases[:], some.momenta[:] = np.split(y, 2)
        return np.concatenate(some.rates()[:2])

    start = np.concatenate([some.phases, some.momenta])
    some.phases[:], some.momenta[:] = np.split(
        solve_ivp(flow, (0, span), start, "DOP853", rtol=1e-12, atol=1e-12).y[:, -1], 2
    )
    return some.state()


def report_order(span: float = 2.0) -> None:
    right, errors, numbers = exact(span), [], []
    for phase_step in 0.2 / 2.0 ** np.arange(5):
        ours, theirs = Copies(), Copies()
        numbers.append(ours.advance(span, phase_step))
        theirs.heun(span, numbers[-1])
        errors.append([np.abs(some.state() - right).max() for some in (ours, theirs)])
    orders = np.diff(np.log(errors), axis=0) / -np.diff(np.log(numbers))[:, None]
    rows = [
        (f"{number}", f"{error[0]:.2e}", order[0], f"{error[1]:.2e}", order[1])
        for number, error, order in zip(numbers, errors, [["", ""], *np.char.mod("%.4f", orders)])
    ]
    print(table(("steps", "error", "order", "Heun's error", "order"), rows))
    many = Copies((30_000, 40_000, 30_000))
    seconds, steps = timed(many.advance, 0.1, 0.05)
    print(f"a step of 1e5 copies: {1e4 * seconds / steps:.0f} ns a copy\n")


def report_energy(span: float = 20.0, blocks: int = 20) -> None:
    ours, theirs, rows, steps, largest = Copies(), Copies(), [], 0, 0.0
    start = ours.rates()[2]
    for block in range(1, blocks + 1):
        done = ours.advance(span, 0.2)
        theirs.heun(span, done)
        steps += done
        error, control = ours.rates()[2] - start, theirs.rates()[2] - start
        largest = max(largest, abs(error))
        if block in (1, 2, 5, 10, 20):
            rows.append((f"{steps}", f"{block * span:g}", f"{largest:.1e}", f"{error:+.1e}", f"{control:+.1e}"))
    print(f"energy at the start: {start:.3f}")
    print(table(("steps", "time", "largest error", "error", "Heun's error"), rows))


def main() -> None:
    report_drift()
    report_order()
    report_energy()


if __name__ == "__main__":
    main()
