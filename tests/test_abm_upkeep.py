"""A model of copies is kept, copied, seeded and left alone as one of Mesa's: nothing parts it from its own counts."""

import copy
import gc
import pickle
import subprocess
import sys
import weakref
from functools import partial

import mesa
import numpy as np
import pytest
from mesa import Agent, DataCollector
from mesa.agent import AgentSet

from copydyn.abm import Copy, CopyModel, adapter
from copydyn.abm.installed import FOUND, numbers_of, way_out
from copydyn.experiment import Experiment
from copydyn.refusal import BadType, BadValue
from copydyn.theories import CopyDynamics

H = np.array([[0.3, 0.5 + 0.2j, 0.1], [0.5 - 0.2j, -0.3, 0.3j], [0.1, -0.3j, 0.2]])
PSI = np.array([0.8, 0.36j, 0.48])
TLIST = np.linspace(0, 2, 11)
COPIES = 60

WAYS = {"pickle": lambda thing: pickle.loads(pickle.dumps(thing)), "deepcopy": copy.deepcopy}
both_ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
either_register = pytest.mark.parametrize("register", [True, False], ids=["registered", "shown one by one"])


class Bystander(Agent):
    """An agent of the user's own."""


class Watched(CopyModel):
    """A user's model, which does more in a step."""

    def __init__(self, **settings):
        super().__init__(H, PSI, TLIST, copies=COPIES, **settings)
        self.entered = 0
        self.bystander = Bystander(self)

    def step(self):
        self.entered += 1
        super().step()


def model_of(copies=COPIES, **settings):
    return CopyModel(H, PSI, TLIST, copies=copies, **settings)


def time_of(model):
    return getattr(model, "time", None)  # Mesa 3.3 knows none


def state_of(model):
    """Everything that somebody might have changed by accident."""
    numbers = [agent.unique_id for agent in model.agents]
    by_type = {kind: sorted(agents.get("unique_id")) for kind, agents in model.agents_by_type.items()}
    ensemble = [array.tobytes() for array in model.ensemble.arrays().values()]
    return numbers, by_type, ensemble, model.steps, time_of(model), model.events, model.clock, model.running


def rest_of(model):
    """Run to the end, and tell what happened on the way."""
    seen = []
    while model.running:
        model.step()
        ensemble = [array.tobytes() for array in model.ensemble.arrays().values()]
        seen.append((model.steps, time_of(model), model.events, ensemble, model.random.random(), model.rng.random()))
    return seen


@both_ways
@either_register
@pytest.mark.parametrize(
    "settings",
    [{}, {"compiled": False}, {"phase_spread": 0.5}, {"phase_spread": 0.5, "compiled": False}, {"record_events": True}],
    ids=str,
)
def test_what_is_kept_goes_on_as_the_original_would(way, register, settings):
    model = model_of(seed=3, register=register, **settings)
    model.step()
    model.step()
    model.copy(5).mood = "merry"
    before = state_of(model)
    others = [way(model), way(model.copy(5)).model, way(model.agents).model]
    for other in others:
        assert state_of(other) == before
        assert other.copy(5) is not model.copy(5)
        assert other.copy(5).model is other
        assert other.copy(5).mood == "merry"
        assert not register or list(other.agents) == [other.copy(row) for row in range(COPIES)]
    rests = [rest_of(other) for other in others]
    assert state_of(model) == before  # they are others
    assert rests == 3 * [rest_of(model)]
    assert model.events > 5
    for other in others:
        history = other.datacollector.get_model_vars_dataframe()
        assert history.equals(model.datacollector.get_model_vars_dataframe())
        with pytest.raises(BadValue, match="last save time"):
            other.step()
        with pytest.raises(BadValue, match="must stay"):
            other.copy(0).remove()
        assert Bystander(other).unique_id == COPIES + 1


@both_ways
def test_a_list_of_agents_that_is_kept_alone_loses_none(way):
    agents = way(model_of(seed=3).agents)
    gc.collect()
    assert len(agents) == COPIES
    assert agents.model.agents is agents
    selection, chosen = way([[*agents][:20], agents.select(at_most=20)])  # Mesa's own hold agents weakly
    assert list(chosen) == selection
    assert {agent.model for agent in chosen} == {selection[0].model} != {agents.model}


@both_ways
def test_a_model_of_the_users_is_kept_whole(way):
    model = Watched(seed=2)
    model.step()
    model.bystander.age = 7
    model.favourite = model.copy(3)
    other = way(model)
    other.step()
    assert (model.entered, other.entered) == (1, 2)
    assert other.bystander.age == 7
    assert other.bystander in other.agents
    assert other.favourite is other.copy(3)
    model.step()
    assert state_of(model) == state_of(other)


def test_a_shallow_copy_is_refused():
    with pytest.raises(BadValue, match="deepcopy"):
        copy.copy(model_of(seed=1))


def a_copy_of_another_model():
    return model_of(seed=9).copy(0)


DOORS = {
    "an agent removes itself": lambda m: m.copy(7).remove(),
    "every agent does": lambda m: m.agents.do("remove"),
    "the model removes all": lambda m: m.remove_all_agents(),
    "the model deregisters one": lambda m: m.deregister_agent(m.copy(0)),
    "one is made by hand": lambda m: Copy(m, 0),
    "one too many is made": lambda m: Copy(m, COPIES),
    "many are made": lambda m: Copy.create_agents(m, 2, row=[0, 1]),
    "one is registered again": lambda m: m.register_agent(m.copy(0)),
    "one of another model is registered": lambda m: m.register_agent(a_copy_of_another_model()),
    "one of another model is listed": lambda m: m.agents.add(a_copy_of_another_model()),
    "one is taken off the list": lambda m: m.agents.remove(m.copy(0)),
    "one is discarded": lambda m: m.agents.discard(m.copy(0)),
    "one is popped": lambda m: m.agents.pop(),
    "the list is cleared": lambda m: m.agents.clear(),
    "the list is shuffled and cleared": lambda m: m.agents.sort("unique_id", inplace=True).clear(),  # own come first
    "the list selects in place": lambda m: m.agents.select(lambda agent: agent.unique_id > 50, inplace=True),
    "the list of the type loses one": lambda m: m.agents_by_type[Copy].discard(m.copy(0)),
    "the list of the type selects in place": lambda m: m.agents_by_type[Copy].select(at_most=3, inplace=True),
}
FREE_IF_UNLISTED = {"every agent does", "the model removes all", "one is popped", "the list is cleared"}
FREE_IF_UNLISTED |= {"the list is shuffled and cleared", "the list selects in place", "one is discarded"}


@pytest.mark.parametrize("door", DOORS)
def test_no_door_parts_a_model_from_its_counts(door):
    model, twin = model_of(seed=4), model_of(seed=4)
    for one in (model, twin):
        Bystander(one)
        one.step()
    before = state_of(model)
    with pytest.raises(BadValue, match=r"stay in it|copy\(row\)|registered again|cannot be listed"):
        DOORS[door](model)
    after = state_of(model)
    assert sorted(after[0]) == sorted(before[0])  # the user may put them into any order
    assert after[1:] == before[1:]
    assert rest_of(model) == rest_of(twin)


@pytest.mark.parametrize("door", [name for name in DOORS if "type" not in name and "off" not in name])
def test_nor_of_one_that_shows_its_copies_one_by_one(door):
    model = model_of(seed=4, register=False)
    Bystander(model)
    before = [array.tobytes() for array in model.ensemble.arrays().values()]
    if door in FREE_IF_UNLISTED:  # there are none but the user's, which she may remove
        DOORS[door](model)
    else:
        with pytest.raises(BadValue):
            DOORS[door](model)
    assert not any(isinstance(agent, Copy) for agent in model.agents)
    with pytest.raises(BadValue, match="cannot be listed"):
        model.agents.add(model.copy(0))
    assert [array.tobytes() for array in model.ensemble.arrays().values()] == before
    assert model.copy(0).unique_id == 1


def test_a_set_of_the_users_own_is_hers():
    model = model_of(seed=4)
    mine = copy.copy(model.agents)
    for agents in (mine, model.agents.select(), AgentSet(model.agents, random=model.random)):
        agents.remove(model.copy(0))
        agents.discard(model.copy(1))
        assert len(agents) == COPIES - 2
    assert len(mine.select(at_most=3, inplace=True)) == 3
    assert len(model.agents) == COPIES


@either_register
def test_a_row_has_one_agent(register):
    model = model_of(seed=5, register=register)
    model.copy(3).mood = "merry"
    gc.collect()
    assert model.copy(3) is model.copy(np.int64(3)) is model.copy(3.0)
    assert model.copy(3).mood == "merry"
    assert [model.copy(row).row for row in range(COPIES)] == list(range(COPIES))
    assert not register or all(model.copy(agent.row) is agent for agent in model.agents)
    assert model.draw_member(1) in {model.copy(row) for row in range(COPIES)}
    with pytest.raises(AttributeError):
        model.copy(3).row = 4
    for row, kind in ((-1, BadValue), (COPIES, BadValue), (0.5, BadValue), ("0", BadType)):
        with pytest.raises(kind, match="row must be"):
            model.copy(row)


@either_register
def test_agents_of_the_users_are_seen_and_have_numbers_of_their_own(register):
    model = model_of(seed=6, register=register)
    shown = model.copy(0)
    mine = [Bystander(model) for _ in range(3)]
    shown = {shown.unique_id, *(model.copy(row).unique_id for row in range(COPIES))}
    assert shown == set(range(1, COPIES + 1))
    assert [agent.unique_id for agent in mine] == [COPIES + 1, COPIES + 2, COPIES + 3]
    assert set(mine) == set(model.agents_by_type[Bystander]) == set(model.agents.select(agent_type=Bystander))
    assert len(model.agents) == 3 + register * COPIES
    assert set(model.agent_types) == ({Copy, Bystander} if register else {Bystander})
    mine.pop().remove()
    assert Bystander(model).unique_id == COPIES + 4  # no number is given twice
    model.run_model()
    assert model.agents_by_type[Bystander].get("unique_id") == [COPIES + 1, COPIES + 2, COPIES + 4]


def test_a_model_that_nobody_holds_is_freed():
    model = model_of(seed=7)
    Bystander(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("make", [model_of, Watched], ids=["CopyModel", "subclass"])
def test_a_refused_step_does_not_count(make):
    model = make(seed=1)
    model.run_model()
    before = state_of(model), getattr(model, "entered", 0)
    for running in (False, True):  # a flag of Mesa's, not ours
        model.running = running
        with pytest.raises(BadValue, match="last save time, 2"):
            model.step()
        model.running = False
        assert (state_of(model), getattr(model, "entered", 0)) == before
    assert model.steps == 10


def test_a_model_that_was_stopped_may_go_on():
    model = model_of(seed=1)
    model.step()
    model.running = False
    model.step()
    assert (model.steps, model.clock) == (2, TLIST[2])
    assert model.running


@pytest.mark.skipif(not hasattr(mesa.Model, "run_for"), reason="run_for came with Mesa 3.5")
def test_more_time_than_there_is_is_refused_at_once():
    model = model_of(seed=1)
    model.run_for(4.5)
    assert (model.steps, model.time, model.clock) == (4, 4.5, TLIST[4])
    before = state_of(model)
    for run in (lambda: model.run_for(7), lambda: model.run_until(11)):
        with pytest.raises(BadValue, match="6 save times left, but 7 steps"):
            run()
        assert state_of(model) == before
    model.run_until(10.9)
    assert (model.steps, model.running) == (10, False)


SEEDS = {
    "int": lambda: 5,
    "numpy int": lambda: np.int64(5),
    "large int": lambda: 5 + 2**40,
    "SeedSequence": lambda: np.random.SeedSequence(5),
    "sequence": lambda: [1, 2],
    "Generator": lambda: np.random.default_rng(5),
    "BitGenerator": lambda: np.random.PCG64(5),
}


@pytest.mark.parametrize("name", ["seed", "rng"])
@pytest.mark.parametrize("kind", SEEDS)
def test_whatever_mesa_is_seeded_with_seeds_a_model(name, kind):
    one, two = (model_of(**{name: SEEDS[kind]()}) for _ in range(2))
    assert rest_of(one) == rest_of(two)
    assert one.ensemble_seed == two.ensemble_seed
    seen = CopyDynamics(COPIES, "agents").evolve(Experiment.of(H, PSI, TLIST), seed=one.ensemble_seed)
    assert np.array_equal(seen.counts.values[0, -1], one.ensemble.counts)


def test_seeds_differ():
    models = [model_of(rng=make()) for name, make in SEEDS.items() if name not in ("numpy int", "BitGenerator")]
    assert len({model.ensemble_seed for model in models}) == len(models)
    assert len({model.random.random() for model in models}) == len(models)
    assert len({model_of().ensemble_seed for _ in range(3)}) == 3
    generator = np.random.default_rng(5)
    assert model_of(rng=generator).ensemble_seed != model_of(rng=generator).ensemble_seed  # it goes on


def test_seeds_that_are_none():
    with pytest.raises(BadValue, match="seed and rng"):
        model_of(seed=1, rng=1)
    for seed in (-1, 0.5, 2**63, [0.5], [-1]):
        with pytest.raises(BadValue, match="must be"):
            model_of(rng=seed)
    for seed in ("one", True, object()):
        with pytest.raises(BadType, match="whole number"):
            model_of(rng=seed)


@pytest.mark.filterwarnings("ignore:The use of the `seed` keyword:FutureWarning")  # of Mesa 3.5, for reset_randomizer
@pytest.mark.parametrize("kind", SEEDS)
def test_resetting_repeats(kind):
    model = model_of(rng=SEEDS[kind]())
    assert isinstance(model._seed, int)
    assert "int" not in kind or model._seed == int(SEEDS[kind]())
    first = [model.random.random() for _ in range(3)]
    model.reset_randomizer()
    assert [model.random.random() for _ in range(3)] == first
    model.reset_randomizer(12)
    other = [model.random.random() for _ in range(3)]
    model.reset_randomizer()
    assert [model.random.random() for _ in range(3)] == other != first
    model.reset_rng()
    drawn = model.rng.random(3)
    model.reset_rng()
    assert np.array_equal(model.rng.random(3), drawn)
    model.reset_rng(12)
    assert np.array_equal(model.rng.random(3), np.random.default_rng(12).random(3))
    model.reset_rng()
    assert np.array_equal(model.rng.random(3), np.random.default_rng(12).random(3))
    assert model.ensemble_seed == model_of(rng=SEEDS[kind]()).ensemble_seed  # whose own generator is left alone


class Late(CopyModel):
    """A user's model that collects what it likes, after its steps only."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.datacollector = DataCollector(model_reporters={"clock": "clock"}, agent_reporters={"label": "label"})


SETTINGS = {"H": [H], "psi0": [PSI], "tlist": [TLIST], "copies": [COPIES]}


def batch(model_cls, **how):
    return mesa.batch_run(model_cls, SETTINGS, display_progress=False, **how)


def clocks(rows):
    return [row["clock"] for row in rows]


def test_a_batch_shows_every_save_time():
    (row,) = batch(CopyModel)
    assert row["clock"] == 2
    rows = batch(CopyModel, data_collection_period=1)
    assert clocks(rows) == TLIST.tolist()
    assert [row["Step"] for row in rows] == list(range(11))
    assert clocks(batch(CopyModel, data_collection_period=5)) == [0, 1, 2]
    assert clocks(batch(partial(CopyModel), data_collection_period=5)) == [0, 1, 2]
    assert clocks(batch(CopyModel, max_steps=4, data_collection_period=1)) == TLIST[:5].tolist()
    (row,) = batch(CopyModel, max_steps=4)
    assert row["clock"] == TLIST[4]


def test_a_batch_shows_what_the_user_collects():
    rows = batch(Late)
    assert {row["clock"] for row in rows} == {2.0}
    assert sorted(set(clocks(batch(Late, data_collection_period=1)))) == TLIST[1:].tolist()


def test_a_batch_of_other_models_is_left_to_mesa(monkeypatch):
    class Plain(mesa.Model):
        def __init__(self, rng=None, **settings):
            super().__init__(rng=rng)
            self.datacollector = DataCollector(model_reporters={"steps": "steps"})

        def step(self):
            self.datacollector.collect(self)
            self.running = self.steps < 4

    rows = batch(Plain, data_collection_period=1)
    assert len(rows) >= 4
    of_mesa = getattr(adapter, "_run_of_mesa", mesa.batchrunner._model_run_func)
    monkeypatch.setattr(mesa.batchrunner, "_model_run_func", of_mesa)
    assert [row["steps"] for row in batch(Plain, data_collection_period=1)] == [row["steps"] for row in rows]


def test_what_helps_where_mesa_does_not_fit():
    assert way_out(FOUND) == ""
    assert all(way_out(version) == "" for version in ("3.3.0", "3.3.1", "3.4.2", "3.5.1", "3.6.0b1", "3.10"))
    for version in ("2.4.0", "3.2.0", "4.0.0a0", "4.0", "10.1"):
        assert f"Mesa {version} is installed; pip install 'mesa>=3.3,<4'" in way_out(version)
    assert "not installed; pip install 'mesa>=3.3,<4'" in way_out("")
    assert way_out("3.5.1", "networkx") == ("Mesa 3.5.1 needs networkx, which is not installed; pip install networkx.")
    assert numbers_of("3.10.2") == (3, 10)


@pytest.mark.parametrize(
    ("version", "body", "sentence"),
    [
        ("4.0.0", "raise AssertionError", "works with mesa>=3.3,<4, but Mesa 4.0.0 is installed"),
        ("3.5.1", "import networkx_that_is_not_there", "Mesa 3.5.1 needs networkx_that_is_not_there"),
    ],
)
def test_an_unfit_mesa_is_named_where_the_agents_are_imported(tmp_path, version, body, sentence):
    described = tmp_path / f"mesa-{version}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mesa\nVersion: {version}\n")
    (tmp_path / "mesa.py").write_text(body)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import copydyn.abm"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1].startswith("ImportError: ")
    assert sentence in done.stderr
