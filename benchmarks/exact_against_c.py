"""Do the compiled kernels of engine "exact" make at least 0.95 times the copy events a second of the same process in C?

Run ``python benchmarks/exact_against_c.py``; it takes three minutes and needs a C compiler named ``cc``. The rival,
``copy_kernel.c``, is the same algorithm with the same generator, compiled with ``cc -O3 -march=native`` in four ways:
with or without a branch on the direction of a copy event, of which the first suits a single edge and the second many;
and with ``-ffp-contract=off``, so that it rounds as the kernels do, or with the compiler's own choice, which may fuse
products and sums and leave the path by a rounding. Where it rounds as they do, the script insists on the same counts
and the same numbers of events, proposals and steps. The goal is held, case by case, against the fastest of the four.

The rival may fuse and the kernels may not: a product that is fused with a sum rounds as the processor pleases, and the
kernels would no longer be their interpreted twins bit by bit.

The states stay away from nodes, where steps are long and the time goes into events; N = 1e6. The share of the random
generator is the time of a loop that draws as many exponentials and uniforms as the run did, and does nothing else.
The time to compile is measured in processes of their own: with an empty cache, and with the cache then filled.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numba import njit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import race, table, timed

from copydyn.experiment import System
from copydyn.kernels import per_label, variates
from copydyn.kernels.flow import Couplings, workspace
from copydyn.kernels.roster import event_log
from copydyn.systems import gue, ring, two_level
from copydyn.theories.copies.ensemble import couplings_of, share_out

COPIES = 10**6
PHASE_STEP = COPIES**-0.25
SEED = 2012
ROUNDS = 7
GOAL = 0.95
NO_BUDGET = 2**62
SOURCE = Path(__file__).with_name("copy_kernel.c")
FLAGS = ("-O3", "-march=native")
BUILDS = {
    "C": ("-ffp-contract=off",),
    "C, branch": ("-ffp-contract=off", "-DBRANCH"),
    "C, fused": (),
    "both": ("-DBRANCH",),
}
ROUNDING_ALIKE = ("C", "C, branch")


class Case(NamedTuple):
    """``starts`` times the run from ``ket`` up to the time ``span``: together about half a second."""

    name: str
    system: System
    ket: np.ndarray
    span: float
    starts: int

    @property
    def couplings(self) -> Couplings:
        return couplings_of(self.system.pulses[0].hamiltonian, self.system.hbar)


class Tally(NamedTuple):
    events: int
    proposals: int
    steps: int


class Outcome(NamedTuple):
    """What must agree: the counts at the end of every start, and how much happened altogether."""

    counts: list[list[int]]
    tally: Tally


def cases() -> list[Case]:
    sites = 2.0 * np.pi * np.arange(16) / 16
    waves = 1.0 + 0.3 * np.exp(1j * sites) + 0.2j * np.exp(-2j * sites)
    phases = np.exp(2j * np.pi * np.random.default_rng(64).random(64))
    return [
        Case("two levels, detuned", two_level(1.0, 0.5), np.array([0.8, 0.6 * np.exp(2j)]), 30.0, 6),
        Case("ring of 16 with flux", ring(16, flux=2.0), waves / np.linalg.norm(waves), 10.0, 10),
        Case("64 levels, dense", gue(64, seed=7), phases / 8.0, 0.6, 16),
    ]


def fresh(case: Case) -> tuple[np.ndarray, np.ndarray]:
    return share_out(case.ket, COPIES), case.ket / np.abs(case.ket)


def seeded() -> np.ndarray:
    return np.random.SeedSequence(SEED).generate_state(4, np.uint64)


def repeated(case: Case, advance: Callable[..., Tally]) -> tuple[float, Outcome]:
    """Time ``advance(counts, unit, random_state)`` over the starts, and only that."""
    random_state = seeded()
    spent, ends, tallies = 0.0, [], []
    for _ in range(case.starts):
        counts, unit = fresh(case)
        seconds, tally = timed(advance, counts, unit, random_state)
        spent += seconds
        ends.append(counts.tolist())
        tallies.append(tally)
    return spent, Outcome(ends, Tally(*np.sum(tallies, axis=0).tolist()))


# ---- the kernels ----


def kernels_run(case: Case) -> Callable[[], tuple[float, Outcome]]:
    couplings = case.couplings
    work, roster, log = workspace(case.system.size, couplings.a.size), None, event_log(0)

    def advance(counts: np.ndarray, unit: np.ndarray, random_state: np.ndarray) -> Tally:
        rest = (PHASE_STEP, 0, per_label.MODE_SMOLIN, NO_BUDGET, random_state, work, roster, log)
        return Tally(*per_label.advance(counts, unit, couplings, 0.0, case.span, *rest)[2:])

    return lambda: repeated(case, advance)


@njit
def only_draw(random_state: np.ndarray, proposals: int, uniforms: int) -> float:
    """Draw what so many proposals draw; the sum keeps the compiler from leaving it out."""
    total = 0.0
    words = variates.opened(random_state)
    for _ in range(proposals):
        wait, words = variates.next_exponential(words)
        total += wait
        for _ in range(uniforms):
            share, words = variates.next_uniform(words)
            total += share
    return total


def kernels_draw(proposals: int, uniforms: int) -> Callable[[], tuple[float, float]]:
    return lambda: timed(only_draw, seeded(), proposals, uniforms)


# ---- the same in C ----


class CCouplings(ctypes.Structure):
    _fields_ = (
        ("labels", ctypes.c_int64),
        ("edges", ctypes.c_int64),
        *tuple((name, ctypes.c_void_p) for name in ("omega", "a", "b", "h")),
    )


class CZiggurat(ctypes.Structure):
    _fields_ = (("edge", ctypes.c_double * 257), ("height", ctypes.c_double * 257))


class CTally(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_int64) for name in Tally._fields)


ZIGGURAT = CZiggurat(tuple(variates._EDGE), tuple(variates._HEIGHT))


def built(folder: Path, *flags: str) -> ctypes.CDLL:
    """Compile the C kernel and load it."""
    target = folder / f"kernel{''.join(flags)}.so"
    command = ["cc", *FLAGS, *flags, "-shared", "-fPIC", "-o", str(target), str(SOURCE), "-lm"]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(target))
    library.only_draw.restype = ctypes.c_double
    return library


def address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def c_run(case: Case, library: ctypes.CDLL) -> Callable[[], tuple[float, Outcome]]:
    couplings = case.couplings
    described = CCouplings(case.system.size, couplings.a.size, *(array.ctypes.data for array in couplings))

    def advance(counts: np.ndarray, unit: np.ndarray, random_state: np.ndarray) -> Tally:
        tally = CTally()
        stalled = library.advance(
            ctypes.byref(described),
            address(counts),
            address(unit),
            ctypes.c_double(0.0),
            ctypes.c_double(case.span),
            ctypes.c_double(PHASE_STEP),
            ctypes.c_int64(0),
            ctypes.c_double(per_label.MODE_SMOLIN),
            address(random_state),
            ctypes.byref(ZIGGURAT),
            ctypes.byref(tally),
        )
        assert stalled == 0
        assert couplings.a.flags.c_contiguous
        return Tally(tally.events, tally.proposals, tally.steps)

    return lambda: repeated(case, advance)


def c_draw(library: ctypes.CDLL, proposals: int, uniforms: int) -> Callable[[], tuple[float, float]]:
    def draw() -> tuple[float, float]:
        random_state = seeded()
        return timed(
            library.only_draw, address(random_state), ctypes.byref(ZIGGURAT), ctypes.c_int64(proposals), uniforms
        )

    return draw


# ---- what is reported ----


def compared(case: Case, libraries: dict[str, ctypes.CDLL]) -> tuple[float, list[str]]:
    """Ratio to the fastest C, and one row of the table; insists on the same events."""
    ours, *theirs = race([kernels_run(case), *(c_run(case, library) for library in libraries.values())], ROUNDS)
    outcome: Outcome = ours.outcomes[-1]
    for name, laps in zip(libraries, theirs):
        if name in ROUNDING_ALIKE and laps.outcomes[-1] != outcome:
            raise SystemExit(f"{case.name}: kernels and {name} differ: {outcome.tally}, {laps.outcomes[-1].tally}.")
    rate, *rates = (laps.outcomes[-1].tally.events / laps.seconds for laps in (ours, *theirs))
    events, proposals, _ = outcome.tally
    uniforms = 2 if case.couplings.a.size > 1 else 1
    drawing, c_drawing = race([kernels_draw(proposals, uniforms), c_draw(libraries["C"], proposals, uniforms)], ROUNDS)
    ratio = rate / max(rates)
    return ratio, [
        case.name,
        f"{events:.2e}",
        f"{events / proposals:.3f}",
        *(f"{1e-6 * rate:.1f}" for rate in (rate, *rates)),
        f"{ratio:.2f}",
        f"{100 * drawing.seconds / ours.seconds:.0f} %",
        f"{100 * c_drawing.seconds * max(rates) / events:.0f} %",
    ]


def first_call() -> None:
    """Compile or load the kernels and say how long that took; runs in a process of its own."""
    case = cases()[0]._replace(span=1e-3, starts=1)
    start = perf_counter()
    kernels_run(case)()
    print(perf_counter() - start)


def first_call_seconds() -> tuple[float, float]:
    """Seconds of the first call with an empty cache of compiled kernels, and with the cache filled by it."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, __file__, "--first-call"]
        once, again = (
            subprocess.run(
                command, env=os.environ | {"NUMBA_CACHE_DIR": cache}, check=True, capture_output=True, text=True
            )
            for _ in range(2)
        )
    return float(once.stdout), float(again.stdout)


HEADINGS = ("case, N = 1e6", "events", "accepted", "kernels", *BUILDS, "ratio", "drawing", "in C")


def main() -> None:
    if shutil.which("cc") is None:
        print("This comparison compiles its rival with cc, which is not on the PATH; install a C compiler.")
        raise SystemExit(2)
    if "--first-call" in sys.argv[1:]:
        first_call()
        return
    with tempfile.TemporaryDirectory() as folder:
        libraries = {name: built(Path(folder), *flags) for name, flags in BUILDS.items()}
        ratios, rows = zip(*(compared(case, libraries) for case in cases()))
    print(f"Accepted copy events, 1e6 a second; medians of {ROUNDS} runs in turns, one thread.")
    print(table(HEADINGS, rows))
    worst = min(ratios)
    print(f"kernels / fastest C: at least {worst:.2f}, goal {GOAL}: {'met' if worst >= GOAL else 'missed'}")
    print("first call: {:.1f} s to compile, {:.2f} s from the cache".format(*first_call_seconds()))


if __name__ == "__main__":
    main()
