"""A model of copies behaves as any model of Mesa's, and its agents, sets of them and collected data as any others."""

import copy
import operator

import mesa
import numpy as np
import pytest
from mesa import Agent, DataCollector
from mesa.agent import AgentSet

from copydyn.abm import Copy, CopyModel

H = np.array([[0.3, 0.5 + 0.2j, 0.1], [0.5 - 0.2j, -0.3, 0.3j], [0.1, -0.3j, 0.2]])
PSI = np.array([0.8, 0.36j, 0.48])
TLIST = np.linspace(0, 2, 11)
COPIES = 40


class Walker(Agent):
    """An agent of the user's own."""

    def __init__(self, model, age=0, name="nobody"):
        super().__init__(model)
        self.age, self.name = age, name

    def step(self):
        self.age += 1


class Runner(Walker):
    """Of a class below."""


@pytest.fixture(params=[True, False], ids=["registered", "shown one by one"])
def model(request):
    return CopyModel(H, PSI, TLIST, copies=COPIES, seed=8, register=request.param)


@pytest.fixture(params=["copies", "agents of the user's"])
def ten(request, model):
    """Ten agents, held; each has a size of its own."""
    agents = [model.copy(row) for row in range(10)] if request.param == "copies" else [Walker(model) for _ in range(10)]
    for size, agent in enumerate(agents):
        agent.size = size
    return agents


@pytest.fixture
def agents(ten, model):
    return AgentSet(ten, random=model.random)


def test_a_new_model_runs_and_counts(model):
    assert model.running is True
    assert model.steps == 0
    model.step()
    assert model.steps == 1
    assert getattr(model, "time", 1.0) == 1.0
    model.run_model()
    assert (model.steps, model.running, model.clock) == (10, False, 2.0)


def test_a_users_step_is_counted_and_may_stop_the_run():
    class Mine(CopyModel):
        def step(self):
            super().step()
            self.agents.shuffle_do("step")
            self.running = self.running and self.steps < 4

    model = Mine(H, PSI, TLIST, copies=COPIES, seed=8, register=False)
    walkers = Walker.create_agents(model, 3)
    model.run_model()
    assert (model.steps, model.clock) == (4, TLIST[4])
    assert walkers.get("age") == [4, 4, 4]


def test_equal_seeds_are_equal_and_others_are_not():
    one, two, other = (CopyModel(H, PSI, TLIST, copies=COPIES, seed=seed) for seed in (8, 8, 9))
    assert (one._seed, two._seed, other._seed) == (8, 8, 9)
    drawn = [model.random.random() for model in (one, two, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    drawn = [model.rng.random(4).tolist() for model in (one, two, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    orders = [model.agents.shuffle().get("unique_id") for model in (one, two, other)]
    assert orders[0] == orders[1] != orders[2]


def test_agents_are_known_by_type(model):
    walker, runner = Walker(model), Runner(model)
    assert {type(agent) for agent in model.agents} == set(model.agent_types) == set(model.agents_by_type)
    assert model.agents_by_type[Walker] == AgentSet([walker], random=model.random)
    assert model.agents_by_type[Runner] == AgentSet([runner], random=model.random)
    assert set(model.agents.select(agent_type=Walker)) == {walker, runner}
    with pytest.raises(AttributeError, match="agents"):
        model.agents = []


def test_agents_of_the_users_come_and_go(model):
    listed = len(model.agents)
    walkers = [Walker(model, age=age) for age in range(3)]
    assert [agent in model.agents for agent in walkers] == [True, True, True]
    assert len({agent.unique_id for agent in (*walkers, *model.agents)}) == len(model.agents) == listed + 3
    walkers[0].remove()
    walkers[0].remove()  # once is enough
    assert walkers[0] not in model.agents
    assert walkers[0] not in model.agents_by_type[Walker]
    model.agents_by_type[Walker].do("remove")
    assert len(model.agents) == listed


def test_all_agents_of_the_users_are_removed_together():
    model = CopyModel(H, PSI, TLIST, copies=COPIES, seed=8, register=False)
    Walker.create_agents(model, 5)
    model.remove_all_agents()
    assert len(model.agents) == 0
    model.step()


def test_many_agents_are_created_at_once(model):
    made = Walker.create_agents(model, 3, [1, 2, 3], name="Lee")
    assert [(agent.age, agent.name) for agent in made] == [(1, "Lee"), (2, "Lee"), (3, "Lee")]
    assert [agent.unique_id for agent in made] == [COPIES + 1, COPIES + 2, COPIES + 3]
    assert {agent.model for agent in made} == {model}


def test_an_agent_shares_the_generators_of_its_model(ten, model):
    for agent in ten:
        assert agent.model is model
        assert agent.random is model.random
        assert agent.rng is model.rng
        assert agent.pos is None
        assert agent.advance() is None


def test_a_set_is_a_set_in_order(agents, ten, model):
    assert len(agents) == 10
    assert list(agents) == ten
    assert ten[3] in agents
    assert Walker(model) not in agents
    assert list(agents)[-1] is ten[-1]
    assert agents == AgentSet(ten[::-1], random=model.random)
    assert AgentSet(ten[:2], random=model.random) < agents


def test_members_come_and_go(agents, ten):
    agents.discard(ten[0])
    agents.discard(ten[0])
    assert ten[0] not in agents
    with pytest.raises(KeyError):
        agents.remove(ten[0])
    agents.add(ten[0])
    assert list(agents) == [*ten[1:], ten[0]]
    agents.remove(ten[0])
    assert len(agents) == 9


def test_agents_are_selected(agents, ten):
    def large(agent):
        return agent.size >= 4

    assert list(agents.select(large)) == ten[4:]
    assert list(agents.select(large, at_most=2)) == ten[4:6]
    assert [len(agents.select(at_most=part)) for part in (1, 4, 1.0, 0.59, 0.09)] == [1, 4, 10, 5, 0]
    assert list(agents.select(agent_type=type(ten[0]))) == ten
    assert len(agents.select(agent_type=Runner)) == 0
    assert agents.select() == agents
    assert agents.select() is not agents
    assert agents.select(inplace=True) is agents
    assert list(agents.select(large, inplace=True)) == list(agents) == ten[4:]


def test_agents_are_sorted(agents, ten):
    assert list(agents.sort("size", ascending=False)) == ten[::-1]
    assert list(agents.sort(operator.attrgetter("size"), ascending=True)) == ten
    assert agents.sort(lambda agent: -agent.size, ascending=True, inplace=True) is agents
    assert list(agents) == ten[::-1]


def test_agents_are_shuffled(agents, ten):
    shuffled = agents.shuffle()
    assert set(shuffled) == set(ten)
    assert list(shuffled) != ten == list(agents)  # the seed is fixed
    assert agents.shuffle(inplace=True) is agents
    assert set(agents) == set(ten)
    assert list(agents) != ten


def test_agents_do_what_they_are_told(agents, ten):
    seen = []
    assert agents.do(seen.append) is agents
    assert seen == ten
    agents.do(lambda agent, by: setattr(agent, "size", agent.size + by), by=100)
    assert agents.get("size") == list(range(100, 110))
    agents.do("__setattr__", "size", 3)
    assert agents.get("size") == 10 * [3]
    for method in ("no_such_method", lambda agent: agent.no_such_method()):
        with pytest.raises(AttributeError, match="no_such_method"):
            agents.do(method)
    seen.clear()
    assert agents.shuffle_do(seen.append) is agents
    assert set(seen) == set(ten)
    assert seen != ten


def test_agents_may_come_and_go_meanwhile(agents, ten, model):
    held = []

    def bring_another(agent):
        held.append(Walker(model))
        agents.add(held[-1])

    agents.do(bring_another)
    assert len(agents) == 20
    agents.do(agents.remove)
    assert len(agents) == 0


def test_results_are_gathered(agents, ten):
    assert agents.map(lambda agent, factor: factor * agent.size, factor=2) == list(range(0, 20, 2))
    assert agents.map("__getattribute__", "size") == list(range(10))
    assert agents.get("unique_id") == [agent.unique_id for agent in ten]
    assert agents.get(["size", "unique_id"]) == [[agent.size, agent.unique_id] for agent in ten]
    with pytest.raises(AttributeError):
        agents.get("mood")
    assert agents.get("mood", handle_missing="default", default_value="merry") == 10 * ["merry"]
    assert agents.get(["size", "mood"], handle_missing="default") == [[size, None] for size in range(10)]
    with pytest.raises(ValueError, match="handle_missing"):
        agents.get("size", handle_missing="ignore")
    assert agents.set("mood", "merry").get("mood") == 10 * ["merry"]
    assert agents.agg("size", sum) == 45
    assert agents.agg("size", np.mean) == 4.5
    assert agents.agg("size", [min, max]) == [0, 9]


def test_agents_are_grouped(agents, ten):
    for by in ("third", lambda agent: agent.size % 3):
        for agent in ten:
            agent.third = agent.size % 3
        groups = agents.groupby(by)
        assert len(groups) == 3
        assert {name: list(group) for name, group in groups} == {third: ten[third::3] for third in range(3)}
        assert groups.count() == {0: 4, 1: 3, 2: 3}
        assert groups.agg("size", sum) == {0: 18, 1: 12, 2: 15}
        assert groups.map("agg", "size", max) == {0: 9, 1: 7, 2: 8}
        assert groups.map(len) == groups.count()
        assert groups.do(lambda group: group.set("mood", len(group))) is groups
        assert groups.do("set", "size", 0) is groups
        assert [agent.mood for agent in ten] == [4, 3, 3, 4, 3, 3, 4, 3, 3, 4]
        agents.do(lambda agent: setattr(agent, "size", ten.index(agent)))
    assert agents.groupby("third", result_type="list").groups == {third: ten[third::3] for third in range(3)}


def test_copies_are_asked_what_they_carry(model):
    copies = [model.copy(row) for row in range(COPIES)]
    agents = AgentSet(copies, random=model.random)
    model.step()
    groups = agents.groupby("beable").count()
    assert [groups.get(label, 0) for label in range(3)] == model.ensemble.counts.tolist()
    assert agents.get("label") == ["012"[one.beable] for one in copies]
    for name in ("beable", "label", "phase", "row"):
        with pytest.raises(AttributeError):
            agents.set(name, 0)


def test_sets_and_agents_are_kept_together(agents, ten):
    others, again = copy.deepcopy([ten, agents])
    assert list(again) == others
    assert [other.unique_id for other in others] == [agent.unique_id for agent in ten]
    assert again.get("size") == list(range(10))
    assert others[0].model is not ten[0].model
    assert again.random is others[0].model.random


def test_an_empty_set_without_a_generator_warns(model):
    with pytest.warns(UserWarning, match="random"):
        AgentSet([])
    assert len(AgentSet([], random=model.random)) == 0


def double(model, by):
    return by * model.events


def stepped(collector, model, steps=3):
    model.datacollector = collector
    collector.collect(model)
    for _ in range(steps):
        model.step()  # which collects
    return collector


def test_reporters_of_the_model(model):
    collector = DataCollector(
        {
            "name of an attribute": "events",
            "function": lambda model: model.events,
            "method": model.ensemble.counts.sum,
            "function with parameters": [double, [model, 2]],
            "array": lambda model: model.ensemble.counts,
        }
    )
    frame = stepped(collector, model).get_model_vars_dataframe()
    assert len(frame) == 4
    assert frame["name of an attribute"].tolist() == frame["function"].tolist()
    assert frame["function"].iloc[-1] == model.events > 0
    assert frame["method"].tolist() == 4 * [COPIES]
    assert frame["function with parameters"].tolist() == (2 * frame["function"]).tolist()
    assert frame["array"].iloc[-1].tolist() == model.ensemble.counts.tolist() != frame["array"].iloc[0].tolist()


def test_reporters_of_agents(model):
    Walker.create_agents(model, 2, name="Lee")
    collector = DataCollector(
        agent_reporters={"number": "unique_id", "kind": lambda agent: type(agent).__name__, "sum": [number_plus, [5]]}
    )
    frame = stepped(collector, model).get_agent_vars_dataframe()
    listed = model.agents.get("unique_id")
    assert frame.index.names == ["Step", "AgentID"]
    assert frame.index.tolist() == [(step, number) for step in range(4) for number in listed]
    assert frame["number"].tolist() == 4 * listed
    assert (frame["sum"] == frame["number"] + 5).all()
    assert frame["kind"].value_counts().get("Walker") == 8
    with pytest.raises(UserWarning, match="No model reporters"):
        collector.get_model_vars_dataframe()


def number_plus(agent, more):
    return agent.unique_id + more


def test_reporters_of_types(model):
    Walker.create_agents(model, 2, age=3)
    Runner.create_agents(model, 1, age=4)
    collector = DataCollector(
        agenttype_reporters={
            Copy: {"beable": "beable"},
            Walker: {"age": lambda agent: agent.age},
            Runner: {"more": [number_plus, [1]]},
            Agent: {"number": "unique_id"},
        }
    )
    stepped(collector, model)
    if model.register:  # Mesa makes a frame of nonsense of no agents at all
        copies = collector.get_agenttype_vars_dataframe(Copy)
        assert len(copies) == 4 * COPIES
        now = copies.xs(3, level="Step").beable
        assert [(now == label).sum() for label in range(3)] == model.ensemble.counts.tolist()
    assert collector.get_agenttype_vars_dataframe(Walker)["age"].tolist() == 8 * [3]
    assert collector.get_agenttype_vars_dataframe(Runner)["more"].tolist() == 4 * [COPIES + 4]
    assert len(collector.get_agenttype_vars_dataframe(Agent)) == 4 * len(model.agents)
    with pytest.warns(UserWarning, match="No agent-type reporters"):
        assert collector.get_agenttype_vars_dataframe(mesa.Model).empty
    with pytest.raises(UserWarning, match="No agent reporters"):
        collector.get_agent_vars_dataframe()
    with pytest.raises(ValueError, match="not recognized"):
        DataCollector(agenttype_reporters={mesa.Model: {"steps": "steps"}}).collect(model)


def test_tables_are_written_by_whoever_likes(model):
    collector = stepped(DataCollector({"clock": "clock"}, tables={"log": ["clock", "row"]}), model)
    collector.add_table_row("log", {"clock": model.clock, "row": model.copy(3).row, "more": "is left out"})
    collector.add_table_row("log", {"clock": 9}, ignore_missing=True)
    frame = collector.get_table_dataframe("log")
    assert frame["clock"].tolist() == [TLIST[3], 9]
    assert frame["row"].tolist()[0] == 3
    assert frame["row"].isna().tolist() == [False, True]
    with pytest.raises(Exception, match="missing column"):
        collector.add_table_row("log", {"row": 1})
    with pytest.raises(Exception, match="does not exist"):
        collector.add_table_row("diary", {"row": 1})
    with pytest.raises(Exception, match="No such table"):
        collector.get_table_dataframe("diary")


@pytest.mark.parametrize(
    ("reporter", "kind"),
    [("no_such", AttributeError), (lambda model: model.no_such, RuntimeError), (["no function", []], ValueError)],
)
def test_reporters_that_fail_are_named(model, reporter, kind):
    with pytest.raises(kind, match="mine"):
        DataCollector({"mine": reporter}).collect(model)


def test_what_the_model_collects_by_itself(model):
    model.run_model()
    frame = model.datacollector.get_model_vars_dataframe()
    assert frame.columns.tolist() == ["clock", "events", "frequency_0", "frequency_1", "frequency_2"]
    assert frame["clock"].tolist() == TLIST.tolist()
    assert frame["events"].iloc[-1] == model.events
    assert frame.iloc[-1, 2:].tolist() == model.frequencies.tolist()
