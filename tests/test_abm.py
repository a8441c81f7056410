"""The Mesa face: agents that are views, whose steps are the readable twin of the kernels."""

import numpy as np
import pytest
from mesa import DataCollector

from copydyn.abm import Copy, CopyModel
from copydyn.experiment import Experiment
from copydyn.refusal import BadValue
from copydyn.theories import CopyDynamics

H = np.array([[0.3, 0.5 + 0.2j, 0.1], [0.5 - 0.2j, -0.3, 0.3j], [0.1, -0.3j, 0.2]])
PSI = np.array([0.8, 0.36j, 0.48])
TLIST = np.linspace(0, 3, 7)


@pytest.mark.parametrize("compiled", [True, False], ids=["kernels", "agents step"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"rule": "printed"},
        {"floor": 100},
        {"spectators": 20},
        {"phase_spread": 0.5},
        {"phase_spread": 2.0, "floor": 30},
    ],
    ids=str,
)
def test_model_gives_the_events_of_the_agents_engine(settings, compiled):
    engine = CopyDynamics(600, engine="agents", record_events=True, **settings)
    result = engine.evolve(Experiment.of(H, PSI, TLIST), seed=7, replicas=2)
    model = CopyModel(H, PSI, TLIST, copies=600, seed=7, replica=1, compiled=compiled, record_events=True, **settings)
    seen = [model.ensemble.counts.copy()]
    while model.running:
        model.step()
        seen.append(model.ensemble.counts.copy())
    assert np.array_equal(seen, result.counts.values[1])
    assert model.events == result.events.values[1, -1] > 50
    assert np.allclose(model.ensemble.phases, result.phase.values[1, -1], atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_agents_copy_whom_the_engine_logs(spread, monkeypatch):
    """Who copied whom, when, from where to where, and each copy's phase in the end: at hbar = 0.5, through pulses."""
    train, seen = [(0.8, H), (2.0, H.conj())], []
    settings = {"record_events": True, "phase_spread": spread}
    times = [0.0, 0.5, 1.5]
    experiment = Experiment.of(train, PSI, times, hbar=0.5)
    result = CopyDynamics(80, engine="agents", follow=range(80), **settings).evolve(experiment, seed=7)
    take_over = CopyModel._take_over

    def noted(model, copier, copied, at):
        seen.append((at, copier.row, copied.row, copier.beable, copied.beable))
        take_over(model, copier, copied, at)

    monkeypatch.setattr(CopyModel, "_take_over", noted)
    model = CopyModel(train, PSI, times, copies=80, seed=7, hbar=0.5, compiled=False, **settings)
    while model.running:
        model.step()
    columns = ("event_time", "event_copier", "event_copied", "event_from", "event_to")
    logged = list(zip(*(result[name].values.tolist() for name in columns), strict=True))
    assert [event[1:] for event in seen] == [event[1:] for event in logged]
    assert len(seen) > 40
    np.testing.assert_allclose([event[0] for event in seen], [event[0] for event in logged], rtol=0, atol=1e-9)
    copies = [model.copy(row) for row in range(80)]
    assert [copy.beable for copy in copies] == result.tagged_beable.values[0, -1].tolist()
    phases = np.array([copy.phase for copy in copies])
    np.testing.assert_allclose(np.exp(1j * phases), np.exp(1j * result.tagged_phase.values[0, -1]), atol=1e-8)


def test_agents_are_views_of_the_rows():
    model = CopyModel(H, PSI, TLIST, copies=200, seed=1)
    assert len(model.agents) == 200
    assert all(isinstance(agent, Copy) for agent in model.agents)
    before = [agent.beable for agent in model.agents]
    assert before == model.ensemble.roster.beable.tolist()
    model.step()
    after = [agent.beable for agent in model.agents]
    assert after == model.ensemble.roster.beable.tolist() != before
    first = model.copy(0)
    assert first.label == "012"[first.beable]
    assert first.phase == pytest.approx(model.ensemble.phases[first.beable])
    assert {agent.unique_id for agent in model.agents} == set(range(1, 201))


def test_a_mesa_user_is_at_home():
    model = CopyModel(H, PSI, TLIST, copies=100, seed=1)
    mine = DataCollector(model_reporters={"zeros": lambda m: m.counts_of(0)}, agent_reporters={"beable": "beable"})
    mine.collect(model)
    model.step()
    mine.collect(model)
    frame = mine.get_agent_vars_dataframe()
    assert len(frame) == 200
    assert (frame.xs(1, level="Step").beable == 0).sum() == model.counts_of(0)
    groups = model.agents.groupby("beable").count()
    assert sum(groups.values()) == 100
    assert len(model.agents.select(lambda copy: copy.beable == 0)) == groups[0]
    model.run_model()
    assert not model.running
    history = model.datacollector.get_model_vars_dataframe()
    assert history.clock.tolist() == TLIST.tolist()
    assert np.allclose(history[["frequency_0", "frequency_1", "frequency_2"]].sum(axis=1), 1)
    with pytest.raises(BadValue, match="last save time"):
        model.step()


def test_registering_can_be_skipped():
    model = CopyModel(H, PSI, TLIST, copies=100_000, seed=1, register=False)
    model.step()
    assert len(model.agents) == 0
    assert model.copy(99_999).beable == model.ensemble.roster.beable[-1]
    with pytest.raises(BadValue, match="row must be"):
        model.copy(100_000)


def test_a_copy_does_not_step_by_itself():
    model = CopyModel(H, PSI, TLIST, copies=10, seed=1)
    with pytest.raises(BadValue, match=r"model\.step\(\)"):
        model.copy(0).step()
