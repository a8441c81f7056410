"""Pictures of a result, drawn with matplotlib's objects: pyplot is slow to import and keeps global state."""

from copydyn.plots.one import plot
from copydyn.plots.several import plot_theories
from copydyn.plots.sweeps import as_svg, plot_sweep

__all__ = ["as_svg", "plot", "plot_sweep", "plot_theories"]
