"""Are trajectories of OQT 700 (D = 16) and 1500 times (D = 32) as fast as QuTiP's ssesolve with the same D^2 operators?

Run ``python benchmarks/irreversibility.py``; it takes half a minute. Three questions, each with its rival in the same
run, on one core:

- A step of a trajectory, all D levels in the window, by the exact channel, against a step of QuTiP's ssesolve (Euler)
  with sc_ops sqrt(A_m) L_mn, and against our own kernel with the same D^2 normals. QuTiP's step is marginal: the
  difference of a long and a short run, so that what it sets up does not count against it. Goals: 700 and 1500 times;
  5, 10 and 20 times the full noise at D = 16, 32, 64.
- The ensemble at eight times, D = 32, against mesolve. Goal: 10^4. QuTiP takes minutes to sum up 1024 dense operators;
  the generator is therefore made for it, and only the integration is timed.
- A million trajectories of three levels, 20 steps, one save, with all that `OQT.evolve` does. Goal: 10 s on two cores.

The first and the last goal are met: 2200 to 3000 and 11 000 times ssesolve, 6, 13 and 26 times the full noise, 4.5 to
8 s. That of the ensemble is missed, with 4800 to 8300 times, 0.10 to 0.14 ms against 0.65 to 0.95 s: numpy takes that
long for the few arrays that there are.

Times are processor time, the least of three, ours and the rivals' alike, but for mesolve and the million, which are run
once. Trajectories are told in the basis of energies, in which QuTiP's operators are as sparse as they can be.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable

import numpy as np
import qutip
from timing import timed

from copydyn import Experiment
from copydyn.kernels import thermalising as kernels
from copydyn.theories import OQT
from copydyn.theories.irreversible.channel import Ensemble
from copydyn.theories.irreversible.equilibrium import Window, equilibrium_of

RATE = 0.5
GOALS = {16: 700.0, 32: 1500.0}
AGAINST_FULL_NOISE = {16: 5.0, 32: 10.0, 64: 20.0}


def least(action: Callable[[], object], times: int = 3) -> float:
    return min(timed(action)[0] for _ in range(times))


def step_of(kernel: Callable[..., None], size: int, amount: float, steps: int, rows: int) -> float:
    """Seconds a step of one trajectory."""
    psi = np.tile(np.ones(size, complex) / np.sqrt(size), (rows, 1))
    random_state = np.random.SeedSequence(1).generate_state(4 * rows, np.uint64).reshape(rows, 4)
    turn = np.exp(-1j * np.linspace(0, 0.01, size))
    rest = (turn, np.arange(size), np.full(size, 1 / size), np.full(size, size**-0.5), np.zeros(size, np.int64), True)
    scratch = np.zeros(size, complex), np.zeros((1, kernels.ROOM))
    kernel(psi, random_state, 1, amount, *rest, *scratch)
    return least(lambda: kernel(psi, random_state, steps, amount, *rest, *scratch)) / steps / rows


def jump_operators(size: int) -> list[qutip.Qobj]:
    scale = np.sqrt(RATE / size)
    return [scale * qutip.basis(size, m) * qutip.basis(size, n).dag() for m in range(size) for n in range(size)]


def step_of_ssesolve(size: int) -> float:
    h, psi = qutip.Qobj(np.diag(np.linspace(0, 1, size))), qutip.Qobj(np.ones(size) / np.sqrt(size))
    jumps = jump_operators(size)
    options = {"dt": 0.01, "method": "euler", "progress_bar": "", "store_final_state": True}

    def run(steps: int) -> None:
        qutip.ssesolve(h, psi, [0.0, 0.01 * steps], jumps, ntraj=1, seeds=1, options=options)

    few, many = 20, max(60, 6000 // size)
    return (least(lambda: run(many)) - least(lambda: run(few))) / (many - few)


def trajectories() -> None:
    print("a step of one trajectory, us")
    print(
        f"{'D':>4} {'channel':>9} {'full noise':>11} {'ratio':>7} {'goal':>5} {'ssesolve':>10} {'ratio':>7} {'goal':>5}"
    )
    for size in (8, 16, 32, 64):
        rows = 4 * 1024 // size
        ours = step_of(kernels.advance_by_channel, size, np.exp(-0.005 * RATE), 100, rows)
        full = step_of(kernels.advance_by_full_noise, size, 0.01 * RATE, 20, rows)
        goal = AGAINST_FULL_NOISE.get(size)
        line = f"{size:>4} {1e6 * ours:9.3f} {1e6 * full:11.3f} {full / ours:7.1f} {goal or '':>5}"
        if size < 64:  # of 4096 operators QuTiP's set-up takes minutes
            theirs = step_of_ssesolve(size)
            line += f" {1e6 * theirs:10.0f} {theirs / ours:7.0f} {GOALS.get(size, ''):>5}"
        print(line, flush=True)


def ensemble() -> None:
    """All between beables that are not levels, H complex, as an experiment comes."""
    size, times = 32, np.linspace(0, 4, 8)
    rng = np.random.default_rng(0)
    h = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    h, psi = h + h.conj().T, np.ones(size) / np.sqrt(size)
    chi = equilibrium_of(Experiment.of(h, psi, times), Window("given", weights=(1 / size,) * size))
    ours, vectors = Ensemble(chi, RATE, times), chi.levels.vectors
    span = least(lambda: [ours.density_of_beables() for _ in range(200)]) / 200
    one, goal = np.eye(size), (vectors * chi.average) @ vectors.conj().T
    turning = np.kron(one, h) - np.kron(h.T, one)  # of columns, one after the other, as QuTiP has them
    flow = -1j * turning + RATE * (np.outer(goal.ravel("F"), one.ravel()) - np.eye(size**2))
    generator = qutip.Qobj(flow, dims=[[[size], [size]], [[size], [size]]])
    solver = qutip.MESolver(generator, options={"progress_bar": ""})
    theirs, done = timed(solver.run, qutip.ket2dm(qutip.Qobj(psi)), times)
    off = max(np.abs(a - b.full()).max() for a, b in zip(ours.density_of_beables(), done.states))
    print(f"\nthe ensemble of {size} levels at {times.size} times")
    print(f"  ours {1e6 * span:.0f} us, mesolve {theirs:.2f} s: {theirs / span:.3g} times as long (goal 1e4)")
    print(f"  they differ by {off:.1e}, the tolerance of mesolve")


def million() -> None:
    experiment = Experiment.of(np.diag([0.0, 0.4, 1.0]), np.sqrt([0.5, 0.3, 0.2]), [0.0, 2.0])
    theory = OQT(RATE, Window("given", weights=(0.5, 0.2, 0.3)), noise="complex", step=0.05)
    theory.evolve(experiment, seed=1, replicas=10)
    begun = time.perf_counter()
    busy, _ = timed(theory.evolve, experiment, seed=1, replicas=1_000_000, jobs=2)
    span = time.perf_counter() - begun
    print("\na million trajectories of three levels, 20 steps, one save")
    print(f"  {span:.1f} s on two cores, {busy:.1f} s of processor time (goal 10 s on two cores)")


if __name__ == "__main__":
    trajectories()
    million()
    ensemble()
