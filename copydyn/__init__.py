"""copydyn simulates Smolin's copy dynamics and judges it by the Schrödinger equation.

In one line: `copysolve`, with the signature of QuTiP's sesolve. In full: an `Experiment` is a `System`, a `Preparation`
and a `Schedule`; ``copydyn.theories`` evolve it, `compare` measures how far two results are apart, `plot` draws them.

- ``copydyn.systems``, ``preparations``, ``drives``, ``bases``, ``rotation``: what experiments are made of
- ``copydyn.theories``: CopyDynamics and Schrodinger; with a `Rule` or an `Alignment`, and a `Checkpoint` for long runs
- ``copydyn.theories`` of irreversibility: OQT, SUV, SUI, ColouredSUV; what they share is in ``copydyn.irreversible``
- ``copydyn.laws``: what N copies must give; ``infidelity_law`` and ``linear_noise`` are two of them
- ``copydyn.parts``, ``histories``, ``observables``: what can be read off a result, an xarray.Dataset
- `sweep`, `open_sweep`: a scenario at many values of its keys, on all cores or a cluster; `plot_sweep` draws them
- ``copydyn.abm``: the same copies as agents of Mesa

The public names are imported on first use, so that ``import copydyn`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from copydyn.version import __version__

if TYPE_CHECKING:
    from copydyn import theories
    from copydyn.comparison.compare import compare, fit_exponent
    from copydyn.experiment import Experiment, Preparation, Schedule, System
    from copydyn.laws import infidelity_law, linear_noise
    from copydyn.report.plots import plot, plot_sweep
    from copydyn.runs.conduct import Checkpoint
    from copydyn.solve import copysolve
    from copydyn.sweeps.api import sweep
    from copydyn.sweeps.opening import open_sweep
    from copydyn.theories.copies.alignment import Alignment
    from copydyn.theories.copies.rules import Harmonic, Rule

_HOME = {
    "Alignment": "copydyn.theories.copies.alignment",
    "Checkpoint": "copydyn.runs.conduct",
    "Experiment": "copydyn.experiment",
    "Harmonic": "copydyn.theories.copies.rules",
    "Preparation": "copydyn.experiment",
    "Rule": "copydyn.theories.copies.rules",
    "Schedule": "copydyn.experiment",
    "System": "copydyn.experiment",
    "compare": "copydyn.comparison.compare",
    "copysolve": "copydyn.solve",
    "fit_exponent": "copydyn.comparison.compare",
    "infidelity_law": "copydyn.laws",
    "linear_noise": "copydyn.laws",
    "open_sweep": "copydyn.sweeps.opening",
    "plot": "copydyn.report.plots",
    "plot_sweep": "copydyn.report.plots",
    "sweep": "copydyn.sweeps.api",
}
_MODULES = {
    "abm": "copydyn.abm",
    "bases": "copydyn.experiment.bases",
    "drives": "copydyn.experiment.drives",
    "histories": "copydyn.results.histories",
    "irreversible": "copydyn.theories.irreversible",
    "laws": "copydyn.laws",
    "observables": "copydyn.results.observables",
    "parts": "copydyn.results.parts",
    "preparations": "copydyn.experiment.preparations",
    "result": "copydyn.results.result",
    "rotation": "copydyn.experiment.rotation",
    "systems": "copydyn.systems",
    "theories": "copydyn.theories",
}

__all__ = [
    "Alignment",
    "Checkpoint",
    "Experiment",
    "Harmonic",
    "Preparation",
    "Rule",
    "Schedule",
    "System",
    "__version__",
    "compare",
    "copysolve",
    "fit_exponent",
    "infidelity_law",
    "linear_noise",
    "open_sweep",
    "plot",
    "plot_sweep",
    "sweep",
    "theories",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'copydyn' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
