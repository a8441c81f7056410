"""How far from quantum mechanics is each neighbour of Smolin's rule, and what else does it break?

Run ``python benchmarks/neighbours_of_smolins_rule.py``; it takes five seconds. Infinitely many copies: the mean field
of every rule, to its tolerance of 1e-12, for three levels in a triangle whose flux no choice of phases removes,

    H = [[0, 0.5+0.2i, 0.4-0.3i], [0.5-0.2i, 0.4, 0.3+0.4i], [0.4+0.3i, 0.3-0.4i, -0.3]]
    psi = (0.6, 0.6 exp(3.9i), sqrt(0.28) exp(1.2i))

whose |psi_a|^2 stay above 0.16. At 121 times up to t = 6 the table gives

- the distance: the largest |rho_a - |psi_a|^2|;
- the spread of h, largest less smallest on the way, for the energy that has d phi/dt = dh/drho where r = -1/2,
  h = sum omega_a rho_a + sum_(a<b) 2 sqrt(rho_a rho_b) R_ab sum_m turning_m cos(m theta + turn_offset_m);
- the echo's defect: after phi -> -phi, delta -> -delta and the offsets likewise at t = 2, the largest difference of
  rho at t = 4 from the start.

"node" stands where the path runs into one, "-" where r is not -1/2, and "< 1e-12" for what is rounding.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import table

from copydyn.experiment import Experiment
from copydyn.refusal import BadValue
from copydyn.theories.copies.meanfield import MeanField, mean_field
from copydyn.theories.copies.rules import Harmonic, Rule
from qm_reference import sesolve

H = np.array([[0.0, 0.5 + 0.2j, 0.4 - 0.3j], [0.5 - 0.2j, 0.4, 0.3 + 0.4j], [0.4 + 0.3j, 0.3 - 0.4j, -0.3]])
PSI = np.array([0.6, 0.6 * np.exp(3.9j), np.sqrt(0.28) * np.exp(1.2j)])
TIMES = np.linspace(0.0, 6.0, 121)
TURN = 2.0
ROUNDING = 1e-12

RULES = {
    "Smolin's": Rule(),
    **{f"q = {q:g}": Rule(q=q) for q in (0.0, 0.4, 0.49, 0.51, 0.6, 0.7, 1.0)},
    **{f"r = {r:g}": Rule(r=r) for r in (-1.0, -0.6, -0.4, 0.0, 0.5)},
    **{f"R'/R = {ratio:g}": Rule(ratio=ratio) for ratio in (1.0, 1.9, 2.1, 4.0)},
    **{
        f"second harmonic: copying {copying:g}, turning {turning:g}": Rule(
            harmonics=(Harmonic(), Harmonic(2, copying, turning))
        )
        for copying, turning in ((0.1, 0.0), (0.0, 0.1), (0.2, 0.1))
    },
    **{
        f"copy_offset {copy:g}, turn_offset {turn:g}": Rule(harmonics=(Harmonic(copy_offset=copy, turn_offset=turn),))
        for copy, turn in ((0.1, 0.0), (0.0, 0.1), (0.1, 0.1))
    },
}


def follow(h: np.ndarray, ket: np.ndarray, times: np.ndarray, rule: Rule) -> MeanField:
    return mean_field(Experiment.of(h, ket, times), np.abs(ket) ** 2, -np.angle(ket), rule)


def distance(rule: Rule) -> float:
    exact = np.abs(sesolve(H, PSI, TIMES)) ** 2
    return float(np.abs(follow(H, PSI, TIMES, rule).frequency - exact).max())


def spread_of_h(rule: Rule) -> float:
    """NaN where r differs from -1/2: the phases are then not driven by the gradient of an h of this form."""
    if rule.r != -0.5:
        return np.nan
    rho, phi = follow(H, PSI, TIMES, rule)
    h = rho @ H.diagonal().real
    for a, b in zip(*np.triu_indices(3, 1)):
        theta = phi[:, a] - phi[:, b] + np.angle(H[a, b])
        series = sum(m.turning * np.cos(m.order * theta + m.turn_offset) for m in rule.harmonics)
        h += 2.0 * np.sqrt(rho[:, a] * rho[:, b]) * np.abs(H[a, b]) * series
    return float(np.ptp(h))


def echo_defect(rule: Rule) -> float:
    harmonics = [replace(m, copy_offset=-m.copy_offset, turn_offset=-m.turn_offset) for m in rule.harmonics]
    there = follow(H, PSI, np.array([0.0, TURN]), rule)
    turned = np.sqrt(there.frequency[-1]) * np.exp(1j * there.phase[-1])
    back = follow(H.conj(), turned, np.array([0.0, TURN]), replace(rule, harmonics=harmonics))
    return float(np.abs(back.frequency[-1] - np.abs(PSI) ** 2).max())


def cell(measure: Callable[[Rule], float], rule: Rule) -> str:
    try:
        value = measure(rule)
    except BadValue as refused:
        if "node" not in str(refused):
            raise
        return "node"
    if np.isnan(value):
        return "-"
    return f"{value:#.2g}" if value >= ROUNDING else f"< {ROUNDING:g}"


def main() -> None:
    measures = (distance, spread_of_h, echo_defect)
    rows = [(name, *(cell(measure, rule) for measure in measures)) for name, rule in RULES.items()]
    print(table(("rule", "distance", "spread of h", "echo"), rows))


if __name__ == "__main__":
    main()
