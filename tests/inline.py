"""A team that works in this very process: no start to wait for, and faults of a disk can be put in its way."""

from __future__ import annotations

import json
from pathlib import Path

from copydyn.scenario.source import Override
from copydyn.sweeps.asked import asked
from copydyn.sweeps.crew import Answer
from copydyn.sweeps.drive import drive
from copydyn.sweeps.store import Store
from copydyn.sweeps.work import work

SMALL = ("theory.copies=40,60", "system.detuning=0.5,1,1.5")
"""Axes of a sweep of six points, a few milliseconds each."""

FIXED = ("schedule.stop=2", "schedule.points=3")


class Inline:
    """Does what it is asked for, at once."""

    size = most = 1

    def __init__(self) -> None:
        self.answered: list[Answer] = []
        self.tasks = []

    def ask(self, task):
        self.tasks.append(task)
        try:
            self.answered.append(Answer(task, work(task)))
        except OSError as cause:
            self.answered.append(Answer(task, None, cause.strerror or str(cause)))

    def answers(self, seconds):
        answered, self.answered = self.answered, []
        return answered

    def close(self, *, patience=0.0):
        pass


def recipe_of(*axes, scenario="rabi", fixed=FIXED, seed=7, replicas=3, **options):
    """Read a small sweep."""
    overrides = [Override(f"--{name} {value}", f"sweep.{name}", value) for name, value in options.items()]
    overrides += [Override("--replicas", "sweep.replicas", replicas), Override("--seed", "run.seed", seed)]
    return asked(scenario, [*fixed, *(axes or SMALL)], options=overrides).recipe


def run(folder, *axes, team=None, how=None, **options):
    """Run a small sweep in this process, and give the team."""
    team = team or Inline()
    drive(recipe_of(*axes, **options), Store.create(Path(folder)), team, **(how or {}))
    return team


def files(folder, *suffixes):
    """Give the bytes of every file with runs in it by its name; of records, without what clocks have put there."""
    found = {}
    for path in sorted((Path(folder) / "runs").rglob("*")):
        if path.suffix == ".nc":
            found[path.name] = path.read_bytes()
        elif path.suffix == ".json":
            record = json.loads(path.read_bytes().splitlines()[0])
            del record["about"]["written"]
            for entry in record["entries"]:
                del entry["seconds"]
            found[path.name] = json.dumps(record).encode()
    return found
