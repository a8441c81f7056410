"""The Mesa face of copy dynamics: the copies as agents, for people who think in agents.

The agents are views of the rows that the kernels work on. `CopyModel` is for looking on and for teaching; long and many
runs go through `copydyn.theories.CopyDynamics`, which gives the same events for the same seed.
"""

from copydyn.abm.copy import Copy
from copydyn.abm.copy_model import CopyModel

__all__ = ["Copy", "CopyModel"]
