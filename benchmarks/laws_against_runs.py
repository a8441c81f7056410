"""Do the laws of finite N hold wherever they say so, in every shipped scenario that has one?

For each scenario, with at least `REPLICAS` replicas: up to when the law is in reach, and by how
many errors, beyond what the law itself doubts, the mean infidelity is off at the worst save time in reach. The error is
the larger of the law's own and that of the mean. A row is marked beyond `MOST` errors. Those that take minutes are left
out unless they are named.

    python benchmarks/laws_against_runs.py [scenario ...]
"""

from __future__ import annotations

import sys
import time

import numpy as np

from copydyn import compare
from copydyn.pipeline import law_of
from copydyn.scenario.scenario import load
from copydyn.theories import CopyDynamics, Schrodinger

REPLICAS, MOST = 20, 5.0

QUICK = {
    "rabi": [], "rabi-node": [], "rabi-node-spectators": [], "floor-against-admixture": [], "three-level": [],
    "ring-flux": [], "gue": [], "ramsey": [], "spin-echo": [], "landau-zener": [], "momentum-basis": [],
    "huge-ensemble": [], "ghz-circuit": [], "bell-pair": [], "node-at-any-size": [],
    "packet": ["schedule.points=17"],
}  # fmt: skip


def main(names: list[str]) -> int:
    wrong = 0
    print(f"{'scenario':26}{'theory':14}{'in reach':>12}{'worst':>8}   beyond it")
    for name in names or QUICK:
        scenario, start = load(name, QUICK.get(name, [])), time.perf_counter()
        experiment, replicas = scenario.experiment, max(REPLICAS, scenario.run.replicas)
        reference = Schrodinger().evolve(experiment)
        for title, theory in scenario.theories.items():
            law = law_of(experiment, theory)
            if law is None or not isinstance(theory, CopyDynamics):
                continue
            result = theory.evolve(experiment, 5, replicas)
            found, copies = compare(result, reference, law), int(result.attrs["copies"])
            held = law["in_reach"].values
            score = 0.0
            if "infidelity_spread" in law and held.any():
                own = np.hypot(law["infidelity_spread"], np.sqrt(copies) * law["offset_spread"]).values
                error = np.maximum(own / np.sqrt(replicas), copies * found["infidelity_error"].values)
                off = copies * np.abs(found["infidelity"].values - found["predicted_infidelity"].values)
                beyond = np.maximum(0.0, off[held] - law["infidelity_doubt"].values[held])
                score = float(np.max(beyond / np.where(error > 1e-9, error, np.inf)[held]))
            wrong += score > MOST
            mark = "  <-- WRONG" if score > MOST else ""
            reach = f"{held.sum()} of {held.size}"
            spent = f"{time.perf_counter() - start:.0f} s"
            print(
                f"{name:26}{title:14}{reach:>12}{score:8.1f}   {law.attrs['beyond_reach']} ({spent}){mark}", flush=True
            )
    print(f"{wrong} laws are wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
