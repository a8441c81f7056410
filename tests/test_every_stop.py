"""Stopped wherever its kernels pause, written down, and gone on with by new objects, a run has the bytes of one go."""

from dataclasses import replace

import numpy as np
import pytest

from copydyn.experiment import Experiment
from copydyn.runs import checkpoint
from copydyn.theories import OQT, SUI, SUV, ColouredSUV, CopyDynamics
from copydyn.theories.copies import copying, engines
from copydyn.theories.copies.alignment import Alignment
from copydyn.theories.copies.courses import plan_of
from copydyn.theories.copies.rules import Rule
from copydyn.theories.irreversible import trajectories

H = np.array([[0.3, 0.5 + 0.2j, 0.1], [0.5 - 0.2j, -0.3, 0.3j], [0.1, -0.3j, 0.2]])
TIMES = np.array([1.0, 1.7, 3.0])  # not from 0 on, not even, and with an edge of pulses between them
EXPERIMENT = Experiment.of([(2.2, H), (1.3, H.conj())], [0.8, 0.36j, 0.48], TIMES)
ALONE = Experiment.of(H, [0.8, 0.36j, 0.48], TIMES)
DIAGONAL = Experiment.of(np.diag([0.3, -0.3, 0.2]), [0.8, 0.36j, 0.48], TIMES)

THEORIES = {
    "exact": CopyDynamics(80),
    "drawn": CopyDynamics(80, preparation="multinomial", spectators=3),
    "another rule": CopyDynamics(80, rule=Rule(q=0.7)),
    "leap": CopyDynamics(10**9, "leap", leap_step=0.03),
    "leap with a few": CopyDynamics(300, "leap", leap_step=0.03, few=32),
    "agents": CopyDynamics(80, "agents", record_events=True, follow=(0, 7)),
    "unaligned": CopyDynamics(60, phase_spread=0.4, record_events=True),
    "aligning": CopyDynamics(40, alignment=Alignment(0.2, friction=0.5, temperature=0.01, spread=0.1)),
    "OQT": OQT(0.5, noise="complex"),
    "SUV": SUV(0.5),
    "SUV by jumps": SUV(0.5, scheme="jumps"),
    "SUI": SUI(0.5, 0.4, noise="complex"),
    "ColouredSUV": ColouredSUV(0.5),
}


class Stopped(Exception):
    """The kernels have paused, and what there is has been written down."""


def stops_of(theory, experiment, path, monkeypatch, **how):
    """Evolve until it is over, stopping at every pause; give the result, and how often it was stopped."""

    def conduct(parts, run, span, **_):
        for part, state in zip(parts, checkpoint.read(path, run, len(parts)) or ()):
            part.restore(state)
        playing = next((part for part in parts if not part.finished), None)
        if playing is None:
            assert sum(part.covered for part in parts) == pytest.approx(span)
            return
        before = sum(part.covered for part in parts), sum(part.events for part in parts)
        playing.go_on()
        after = sum(part.covered for part in parts), sum(part.events for part in parts)
        assert np.all(np.subtract(after, before) >= 0)
        assert 0.0 <= before[0] <= after[0] <= span * (1.0 + 1e-12)
        checkpoint.write(path, run, [part.state() for part in parts], force=False)
        raise Stopped

    for module in (copying, trajectories):
        monkeypatch.setattr(module, "conduct", conduct)
    stops = 0
    while True:
        try:
            return theory.evolve(experiment, seed=3, **how), stops
        except Stopped:
            stops += 1


@pytest.mark.parametrize("name", THEORIES)
def test_stopped_at_every_pause_it_has_the_bytes_of_one_go(name, tmp_path, monkeypatch):
    theory = THEORIES[name]
    experiment = {CopyDynamics: EXPERIMENT, ColouredSUV: DIAGONAL}.get(type(theory), ALONE)
    how = {"replicas": 2, "first": 1}
    monkeypatch.setattr(trajectories, "WORK", 60)  # where trajectories are cut decides which numbers they draw
    whole = theory.evolve(experiment, seed=3, **how)
    monkeypatch.setattr(engines, "WORK_A_CALL", 60)
    monkeypatch.setattr(engines, "LOG_A_CALL", 150)  # a log that is full is emptied
    found, stops = stops_of(theory, experiment, tmp_path / "state", monkeypatch, **how)
    assert stops >= 4
    assert found.identical(whole)


@pytest.mark.parametrize("copies", [300, 10**9])
def test_a_hundred_leaps_are_stopped_a_hundred_times(copies, tmp_path, monkeypatch):
    experiment = replace(EXPERIMENT, schedule=type(EXPERIMENT.schedule)([1.0, 3.0]))
    theory = CopyDynamics(copies, "leap", leap_step=0.0209)
    leaps = int(theory.resolved(experiment)._leaping(experiment).plan.number)
    assert 95 <= leaps <= 105
    assert plan_of(experiment).end.size == 2, "of which some are under each pulse"
    whole = theory.evolve(experiment, seed=3)
    monkeypatch.setattr(engines, "WORK_A_CALL", 1)
    found, stops = stops_of(theory, experiment, tmp_path / "state", monkeypatch)
    assert leaps <= stops <= leaps + 2
    assert found.identical(whole)
