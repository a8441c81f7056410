"""Small sweeps, made in this very process: there are no workers to wait for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from inline import Inline

from copydyn.scenario.source import Override
from copydyn.sweeps.asked import asked
from copydyn.sweeps.drive import drive
from copydyn.sweeps.store import Store
from copydyn.sweeps.summary import summary

SHORT = ("schedule.stop=2", "schedule.points=5")

RIVALS = """
title = "Two & <three> theories"
description = "One of them in $ and >."
[system]
kind = "two-level"
detuning = 0.6
coupling = 0.5
[preparation]
amplitudes = [0.8, "0.6j"]
[[theory]]
name = "a/b"
copies = 50
[[theory]]
name = "limit"
engine = "meanfield"
copies = 50
[[theory]]
kind = "Schrodinger"
[schedule]
stop = 2
points = 5
"""


def sweep(folder, axes, scenario="rabi", short=SHORT, replicas=4, seed=5, shard=(1, 1), **options):
    """Make a sweep in ``folder``, and give it."""
    more = [Override("", f"sweep.{name}", value) for name, value in options.items()]
    wanted = asked(
        scenario,
        [*short, *axes],
        options=[*more, Override("", "sweep.replicas", replicas), Override("", "run.seed", seed)],
    )
    drive(wanted.recipe, Store.create(Path(folder)), Inline(), shard=shard)
    return Path(folder)


@cache
def shelf():
    """Give the folder of the sweeps of this session."""
    return Path(mkdtemp(prefix="copydyn-sweeps-"))


@cache
def of(kind):
    """Make one of the sweeps that several tests look at; nobody may write into it."""
    folder = shelf() / kind
    if kind == "grid":
        return sweep(folder, ["theory.copies=40,60,600", "system.detuning=0.5,1"], batch=2)
    if kind == "unordered":
        return sweep(folder, ["theory.copies=30,10,20"])
    if kind == "failing":  # the mean field has no floor; each value by itself is sound
        return sweep(folder, ['theory.engine="exact","meanfield"', "theory.floor=0,2", "theory.copies=60"])
    if kind == "rivals":
        path = shelf() / "rivals.toml"
        path.write_text(RIVALS, encoding="utf-8")
        return sweep(folder, ["theory.a/b.copies=30,300", "system.coupling=0.5,1"], scenario=str(path), short=())
    if kind == "zipped":
        return sweep(folder, ["theory.copies=40,60; theory.floor=1,3"])
    if kind == "sizes":
        return sweep(folder, ["system.sites=4,6", "theory.copies=100"], scenario="ring-flux")
    if kind == "alone":
        return sweep(folder, [], replicas=1)
    if kind == "parts":
        return sweep(folder, ["theory.copies=10,12"], replicas=1030)
    if kind == "unfinished":
        return sweep(folder, ["theory.copies=40,60,80,100"], shard=(1, 2), batch=1)
    assert kind == "target"
    return sweep(folder, ["theory.copies=50,500"], replicas=20, target_error=0.02, max_replicas=200)


KINDS = ("grid", "failing", "rivals", "zipped", "sizes", "alone", "parts", "unfinished", "target")


@cache
def summary_of(kind):
    """Give the summary of one of the sweeps; nobody may write into it."""
    return summary(of(kind))
