"""Do the odds of extinction that `explain` states for a whole run hold, for every system and every N?

Each row is a scenario and a number of copies: the law of single crossings, compounded; what `explain` says, by the law
where it has no doubts and by its own trial where it has; and what other ensembles, of another seed, do. A row is marked
where the statement is wrong: by more than 4 errors for a trial, and for the law by more than 4 errors and `FACTOR`.

    python benchmarks/odds_of_extinction.py [scenario ...]
"""

from __future__ import annotations

import math
import sys

import numpy as np

from copydyn.experiment import Experiment, Schedule
from copydyn.laws.crossings import MATTERS
from copydyn.report.foresight import explain
from copydyn.report.foresight.extinction import Prospect
from copydyn.report.foresight.stages import stages_of
from copydyn.scenario.scenario import load
from copydyn.theories import CopyDynamics

FACTOR = 1.5
"""What the law of single crossings is good to where there is no doubt of it."""

COPIES = (30, 100, 300, 1000, 3000, 10_000)
ENSEMBLES, EVENTS = 4000, 1e8

SYSTEMS: dict[str, list[str]] = {
    "rabi": [],
    "rabi, five times as long": ["schedule={stop=100,points=101}"],
    "rabi, close to a node": ["preparation.amplitudes=[0.8,'-0.6j']"],
    "rabi-node, three copies beside it": ["preparation.amplitudes=[0.9995,'0.0316j']", "preparation.normalise=true"],
    "three-level": [],
    "ring-flux": [],
    "gue": [],
    "landau-zener": [],
    "momentum-basis": [],
    "spin-chain": [],
    "ramsey": ["system.detuning=0.3"],
    "spin-echo": [],
    "rabi, counts drawn": ["theory.preparation=multinomial"],
}


def foreseen(experiment: Experiment, theory: CopyDynamics) -> Prospect:
    ket = theory.encoded(experiment)
    law, _ = explain._law(experiment, theory, ket)
    return explain._prospect(experiment, theory, ket, law, stages_of(experiment, theory, ket), 1)


def simulated(experiment: Experiment, theory: CopyDynamics, events: float) -> tuple[float, float]:
    """Give the share of ensembles that lose a label, and its error."""
    number = int(np.clip(EVENTS / max(events, 1.0), 200, ENSEMBLES))
    ends = Experiment(experiment.system, experiment.preparation, Schedule(experiment.tlist[[0, -1]]))
    counts = theory.evolve(ends, 987_654, number)["counts"].values
    lost = int(((counts[:, -1] == 0) & (counts[:, 0] > 0)).any(axis=1).sum())
    share = (lost + 1) / (number + 2)
    return lost / number, math.sqrt(share * (1.0 - share) / number)


def main(names: list[str]) -> int:
    wrong = 0
    print(f"{'system':36}{'copies':>8}{'law':>10}{'explain says':>22}{'simulated':>20}  doubts")
    for title, changes in SYSTEMS.items():
        name = title.split(",")[0]
        for copies in COPIES if not names or name in names else ():
            scenario = load(name, [*changes, f"theory.copies={copies}"])
            (theory,), experiment = scenario.theories.values(), scenario.experiment
            odds = foreseen(experiment, theory)
            stages = stages_of(experiment, theory, theory.encoded(experiment))
            found, error = simulated(experiment, theory, sum(stage.events for stage in stages))
            if odds.trial is not None:
                said = f"{odds.trial.odds:.4f} +- {odds.trial.error:.4f}"
                holds = abs(found - odds.trial.odds) <= 4.0 * math.hypot(error, odds.trial.error)
            elif odds.doubts and odds.most >= MATTERS:
                said, holds = "not reliable", True
            else:
                said = f"{odds.law:.4f} by the law"
                holds = odds.law / FACTOR - 4 * error <= found <= odds.law * FACTOR + 4 * error + MATTERS
            wrong += not holds
            mark = "" if holds else "  <-- WRONG"
            row = f"{title:36}{copies:8d}{odds.law:10.4f}{said:>22}{found:11.4f} +- {error:.4f}"
            print(f"{row}  {len(odds.doubts)}{mark}", flush=True)
    print(f"{wrong} statements are wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
