"""Everything that copydyn takes from Mesa, and the few places where its versions differ.

Mesa 3.3 is the last for Python 3.11; later ones deprecate ``Model(seed=...)`` for ``rng``, give the model a ``time`` of
its own, and number the agents while registering them. Only what all of them have is used.
"""

from __future__ import annotations

from typing import Any

from mesa import Agent, DataCollector, Model

__all__ = ["Agent", "DataCollector", "OptionalRegistry"]


class OptionalRegistry(Model):
    """A Mesa model whose agents need not be registered: a million registered agents take seconds and 450 MB."""

    def __init__(self, seed: int, register: bool) -> None:
        self.register = register
        super().__init__(rng=seed % 2**32)

    def register_agent(self, agent: Any) -> None:
        """Take ``agent`` into ``model.agents``, if this model keeps them."""
        if self.register:
            super().register_agent(agent)
