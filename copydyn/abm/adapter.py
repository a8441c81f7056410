"""Everything that copydyn takes from Mesa, and the places where its versions differ: 3.3 to the newest 3.x.

Mesa 3.3 is the last for Python 3.11. Up to 3.4.1 agents are numbered in a dictionary that holds every model for ever;
3.4.2 numbers them while registering them. Up to 3.4 ``step`` only counts and calls; from 3.5 on it plays a list of
events, and ``run_for`` plays many. Up to 3.4 ``batch_run`` shows one row of collected data for each step, which leaves
out the last of a model that collects at its start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from copydyn.abm.installed import FOUND, numbers_of, way_out
from copydyn.experiment.inputs import as_whole
from copydyn.refusal import BadValue
from copydyn.runs.streams import as_seed

try:
    import mesa.model
    from mesa import Agent, DataCollector, Model, batchrunner
    from mesa.agent import AgentSet
except ImportError as error:
    raise ImportError(way_out(FOUND, error.name or str(error))) from error

__all__ = ["RNG", "Agent", "DataCollector", "ModelOfResidents", "Resident", "as_seed_and_rng"]

RNG: TypeAlias = (
    "int | np.integer | Iterable[int] | np.random.SeedSequence | np.random.Generator | np.random.BitGenerator"
)
"""What Mesa takes as ``rng``."""

THEY_STAY = (
    "the copies of a model must stay in it, as their number never changes; look at some of them with "
    "model.agents.select(...), remove none but agents of your own, or make a model of fewer copies."
)


def as_seed_and_rng(seed: RNG | None, rng: RNG | None) -> tuple[int, Any]:
    """Read ``seed`` and ``rng``, two names of one thing, as an ensemble's seed and as what Mesa is to be given.

    A whole number is the seed of both; a SeedSequence or a sequence of whole numbers gives the ensemble the first 63
    bits of its state, and a generator the next 63 bits that it draws. None is a fresh seed.
    """
    if seed is not None and rng is not None:
        raise BadValue("seed and rng name the same, so that only one of them may be given; leave out the other.")
    given: Any = seed if rng is None else rng
    if isinstance(given, (np.random.Generator, np.random.BitGenerator)):
        generator = np.random.default_rng(given)
        return int(generator.integers(2**63)), generator
    if isinstance(given, (list, tuple, np.ndarray)):
        given = np.random.SeedSequence([as_whole(word, f"rng[{i}]") for i, word in enumerate(given)])
    if isinstance(given, np.random.SeedSequence):
        return int(given.generate_state(1, np.uint64)[0] >> np.uint64(1)), given
    whole = as_seed(given)
    return whole, whole


class Resident(Agent):
    """An agent that its model makes, and that stays as long as the model does."""

    settled = False  # until the model has taken it in


class Roll(getattr(mesa.model, "_HardKeyAgentSet", AgentSet)):  # type: ignore[misc]
    """The agents that a model lists: residents neither leave it nor enter it once they have settled."""

    model: Any = None  # up to Mesa 3.4 agents are held weakly: so who has nothing but the list keeps them all the same

    @classmethod
    def of(cls, model: ModelOfResidents) -> Roll:
        """Make the empty list of a model."""
        roll = cls([], random=model.random)
        roll.model = model
        return roll

    def add(self, agent: Any) -> None:
        """List ``agent``."""
        if _has_settled(agent) and agent not in self:
            raise BadValue(
                f"{agent!r} cannot be listed in model.agents: it is of another model, or of one that shows its copies "
                "one by one (register=False); put it into an AgentSet of your own."
            )
        super().add(agent)

    def discard(self, agent: Any) -> None:
        """Take ``agent`` off the list if it is there."""
        self._require_all_but(agent)
        super().discard(agent)

    def remove(self, agent: Any) -> None:
        """Take ``agent`` off the list."""
        self._require_all_but(agent)
        super().remove(agent)

    def clear(self) -> None:
        """Take everyone off the list."""
        self._update([])

    def _require_all_but(self, agent: Any) -> None:
        if _has_settled(agent) and agent in self:
            raise BadValue(THEY_STAY)

    def _update(self, agents: Iterable[Any]) -> Any:
        agents = dict.fromkeys(agents)
        if any(_has_settled(agent) and agent not in agents for agent in getattr(self, "_agents", ())):
            raise BadValue(THEY_STAY)
        return super()._update(agents)

    def __copy__(self) -> Any:
        return AgentSet(self, self.random)  # a copy is the user's, who may do with it as she pleases

    def __getstate__(self) -> dict[str, Any]:
        return {"agents": list(self), "random": self.random, "model": self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.random, self.model = state["random"], state["model"]
        super()._update(state["agents"])


class ModelOfResidents(Model):
    """A Mesa model with residents, that agents of the user may join.

    Parameters
    ----------
    rng
        As `as_seed_and_rng` gives it.
    register : bool
        List the residents in ``model.agents``: a million registered agents take seconds and 450 MB.
    """

    _seed: int | None
    _rng: dict[str, Any]

    def __init__(self, rng: Any, register: bool) -> None:
        super().__init__(rng=rng)
        if self._seed is None:  # up to Mesa 3.4 that of a whole number is not kept
            self._seed = rng
        self._register = register
        self.agent_id_counter = 1
        self._all_agents = Roll.of(self)

    @property
    def register(self) -> bool:
        """Whether the residents are listed in ``model.agents``."""
        return self._register

    def _settle(self, kind: type[Resident], unique_id: int) -> Any:
        """Make a resident, and take it in."""
        resident = kind.__new__(kind)
        Agent.__init__(resident, self)
        resident.unique_id = unique_id
        resident.settled = True
        return resident

    def require_steps(self, count: int) -> None:
        """Refuse ``count`` more steps if so many cannot be made."""

    def register_agent(self, agent: Any) -> None:
        """Take ``agent`` into ``model.agents``."""
        getattr(Agent, "_ids", {}).pop(self, None)  # of Mesa up to 3.4.1, where it would hold this model for ever
        if _has_settled(agent):
            raise BadValue(f"{agent!r} cannot be registered again, as it has its place in its model already.")
        if not isinstance(agent, Resident):
            number = self.agent_id_counter
            super().register_agent(agent)
            agent.unique_id, self.agent_id_counter = number, number + 1
        elif self.register:
            if type(agent) not in self._agents_by_type:
                self._agents_by_type[type(agent)] = Roll.of(self)
            super().register_agent(agent)

    def deregister_agent(self, agent: Any) -> None:
        """Take ``agent`` out of ``model.agents``."""
        if isinstance(agent, Resident):
            raise BadValue(THEY_STAY)
        super().deregister_agent(agent)

    def remove_all_agents(self) -> None:
        """Remove every agent, unless copies are among them."""
        if any(isinstance(agent, Resident) for agent in self.agents):
            raise BadValue(THEY_STAY)
        super().remove_all_agents()

    def reset_rng(self, rng: RNG | None = None) -> None:
        """Seed ``model.rng`` anew, with None as it was seeded last."""
        if rng is not None:
            super().reset_rng(rng)
            return
        bits = getattr(np.random, self._rng["bit_generator"])()
        bits.state = self._rng
        self.rng = np.random.Generator(bits)

    def _wrapped_step(self, *args: Any, **kwargs: Any) -> None:
        self.require_steps(1)  # before Mesa counts it
        super()._wrapped_step(*args, **kwargs)

    def _advance_time(self, until: float) -> None:  # what run_for and run_until of Mesa from 3.5 on call
        event = self._default_schedule._current_event
        self.require_steps(0 if event is None or event.time > until else 1 + int(until - event.time))
        super()._advance_time(until)

    def __copy__(self) -> Any:
        raise BadValue("copy.copy of a model would share its agents with it; take copy.deepcopy(model).")


def _has_settled(agent: Any) -> bool:
    return isinstance(agent, Resident) and agent.settled


class _SeenByBatch:
    """A model as ``batch_run`` up to Mesa 3.4 has to see it, which shows row s of the data for each s < steps."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def steps(self) -> int:
        """Rows of data, or steps up to the last of them: one more than steps where the start is collected as well."""
        collector = self._model.datacollector
        if collected := getattr(collector, "_collection_steps", ()):  # Mesa 3.4.1 and 3.4.2 look for the row of a step
            return int(collected[-1]) + 1
        rows = max(map(len, collector.model_vars.values()), default=len(collector._agent_records))
        return max(self._model.steps, rows)


def _made_for_batch(make: Callable[..., Model], **parameters: Any) -> Any:
    model = make(**parameters)
    return _SeenByBatch(model) if isinstance(model, ModelOfResidents) else model


def _run_in_batch(model_cls: Callable[..., Model], run: Any, **how: Any) -> Any:
    return _run_of_mesa(partial(_made_for_batch, model_cls), run, **how)


if numbers_of(FOUND) < (3, 5):
    _run_of_mesa = batchrunner._model_run_func
    batchrunner._model_run_func = _run_in_batch
