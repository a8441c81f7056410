"""Pictures of a result, drawn with matplotlib's objects: pyplot is slow to import and keeps global state."""

from copydyn.report.plots.one import plot
from copydyn.report.plots.several import plot_theories
from copydyn.report.plots.sweeps import as_svg, plot_sweep

__all__ = ["as_svg", "plot", "plot_sweep", "plot_theories"]
