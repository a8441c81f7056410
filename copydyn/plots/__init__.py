"""Pictures of a result, drawn with matplotlib's objects: pyplot is slow to import and keeps global state."""

from copydyn.plots.one import plot
from copydyn.plots.several import plot_theories

__all__ = ["plot", "plot_theories"]
