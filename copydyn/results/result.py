"""The result: a plain xarray Dataset that keeps to one schema, in memory and in netCDF.

Dimensions are `replica`, `time`, `beable`; every variable has `units` and `long_name`; `attrs` say which theory with
which parameters, seed and versions made it, and what the spread over replicas means.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from copydyn.experiment import Experiment
from copydyn.refusal import BadType, BadValue
from copydyn.runs.durable import place
from copydyn.version import __version__

FINITE_N = "finite N: each replica is one whole ensemble"
MONTE_CARLO = "Monte Carlo: each replica is one trajectory"
NONE = "none: the theory is deterministic"

TRAJECTORIES = "trajectories"
"""Whose mean the probability is, as ``probability_of`` says; elsewhere trajectories leave it alone."""

SUM_TOLERANCE = 1e-8

_SWEPT = "attributes"
"""Coordinate of an opened sweep: what holds of each point by itself."""

_ABOUT: dict[str, tuple[tuple[str, ...], str, str]] = {
    "probability": (("time", "beable"), "1", "probability of the beable"),
    "frequency": (("replica", "time", "beable"), "1", "relative frequency of the beable"),
    "counts": (("replica", "time", "beable"), "copies", "number of copies with this beable"),
    "phase": (("replica", "time", "beable"), "rad", "phase phi of the label, psi = sqrt(n/N) exp(-i phi)"),
    "coherence": (("replica", "time", "beable"), "1", "|sum of exp(i phi)| over the copies of a label, a copy"),
    "state": (("replica", "time", "beable"), "1", "amplitude"),
    "density_matrix": (("time", "beable", "beable_"), "1", "density matrix of the ensemble"),
    "energy": (("replica", "time"), "energy", "mean energy"),
    "mean_energy": (("time",), "energy", "mean energy of the ensemble"),
    "energy_variance": (("time",), "energy^2", "variance of the energy in the ensemble"),
    "entropy": (("time",), "1", "von Neumann entropy of the ensemble"),
    "entropy_rate": (("time",), "1/time", "rate at which the entropy grows"),
    "relative_entropy": (("time",), "1", "entropy relative to the equilibrium"),
    "trace_distance": (("time",), "1", "trace distance from the equilibrium"),
    "squared_distance": (("time",), "1", "squared Hilbert-Schmidt distance from the equilibrium"),
    "outcome": (("replica", "time"), "projector number", "projector with most weight"),
    "expect": (("replica", "time", "e_op"), "as given", "expectation value"),
    "events": (("replica", "time"), "events", "copy events since the start"),
    "tagged_beable": (("replica", "time", "tag"), "label number", "beable of a tagged copy"),
    "tagged_phase": (("replica", "time", "tag"), "rad", "phase of a tagged copy"),
    "event_replica": (("event",), "1", "replica in which the event happened"),
    "event_time": (("event",), "time", "time of the copy event"),
    "event_copier": (("event",), "copy", "copy that took over the other's state"),
    "event_copied": (("event",), "copy", "copy whose state was taken over"),
    "event_from": (("event",), "label number", "label that lost the copier"),
    "event_to": (("event",), "label number", "label that gained the copier"),
    "infidelity_law": (("time",), "1", "N times the mean infidelity that finite N must give"),
    "infidelity_spread": (("time",), "1", "N times the standard deviation of one ensemble's infidelity"),
    "frequency_noise": (("time", "beable"), "1", "N times the variance of the frequencies that finite N must give"),
    "status": (("replica",), "1", "ok, or what went wrong"),
}

NAMES = frozenset(_ABOUT)
"""Of all variables that a result may have."""

WORDS = ("status",)
"""Those that are text, and coordinates: a result as a whole can be averaged, subtracted and scaled."""


def new(experiment: Experiment, variables: Mapping[str, Any], attrs: Mapping[str, Any]) -> xr.Dataset:
    """Assemble a result: the schema knows dimensions, units and names of the ``variables``."""
    system = experiment.system
    data = {}
    for name, values in variables.items():
        dimensions, units, long_name = _ABOUT[name]
        units = {"time": system.time_unit, "1/time": f"1/({system.time_unit})"}.get(units, units)
        data[name] = (dimensions, values, {"units": units, "long_name": long_name})
    words = {name: data.pop(name) for name in WORDS if name in data}
    provenance = {
        "system": system.name,
        "hbar": system.hbar,
        "copydyn": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    if system.parts:
        provenance["parts"] = json.dumps(system.parts)  # what `copydyn.parts` sums over
    coordinates = _coordinates_of(experiment, observed="expect" in variables)
    result = xr.Dataset(data, coordinates, attrs={**attrs, **provenance}).assign_coords(words)
    check(result)
    return result


@lru_cache(maxsize=4)  # half of what it takes to make a Dataset; each gets a copy of its own
def _coordinates_of(experiment: Experiment, *, observed: bool) -> xr.Coordinates:
    system = experiment.system
    coordinates: dict[str, Any] = {
        "time": ("time", experiment.tlist, {"units": system.time_unit, "long_name": "time"}),
        "beable": ("beable", np.array(system.labels, dtype=np.str_), {"units": "1", "long_name": system.meaning}),
    }
    if observed:
        coordinates["e_op"] = ("e_op", np.array(list(experiment.e_ops), dtype=np.str_))
    return xr.Dataset(coords=coordinates).coords


def check(result: xr.Dataset) -> None:
    """Refuse a Dataset that is not a result, saying which rule it breaks; a point of a sweep is one (`settled`).

    Raises
    ------
    BadType
        If it is not a Dataset.
    BadValue
        If the probabilities are missing, negative, NaN or do not sum to one within `SUM_TOLERANCE`, if a variable
        lacks units, or if the counts of an ensemble change their sum.
    """
    if not isinstance(result, xr.Dataset):
        raise BadType(f"a result must be an xarray.Dataset, but is {type(result).__name__}.")
    result = settled(result)
    for axis in ("time", "beable"):
        if axis not in result.coords:
            names = ", ".join(sorted(map(str, result.coords))) or "none"
            raise BadValue(f"a result must have the coordinate '{axis}', but the Dataset has {names}.")
    if "probability" not in result or result["probability"].dims != ("time", "beable"):
        hint = "; choose one point of the sweep with .sel or .isel" if _SWEPT in result.coords else ""
        raise BadValue(f"a result must have 'probability' with dimensions (time, beable){hint}.")
    for name, variable in result.variables.items():
        if name in result.coords:
            continue
        if "units" not in variable.attrs or "long_name" not in variable.attrs:
            raise BadValue(f"every variable of a result must have 'units' and 'long_name', but '{name}' has not.")
    probability = result.variables["probability"].values
    if not np.all(probability >= -SUM_TOLERANCE):  # NaN fails this as well
        raise BadValue("the probabilities of a result must be numbers >= 0.")
    worst = float(np.max(np.abs(probability.sum(axis=1) - 1.0), initial=0.0))
    if worst > SUM_TOLERANCE:
        raise BadValue(f"the probabilities of a result must sum to one, but miss it by {worst:.3g}.")
    if "counts" in result:
        totals = result.variables["counts"].sum("beable").values
        if np.any(totals != totals[:, :1]):
            raise BadValue("the counts of an ensemble must keep their sum, but it changes.")


def with_replicas(result: xr.Dataset) -> xr.Dataset:
    """Give a result with the dimension `replica`, units and names where choosing or averaging has taken them away.

    Raises
    ------
    BadType
        If it is not a Dataset.
    """
    if not isinstance(result, xr.Dataset):
        raise BadType(f"a result must be an xarray.Dataset, but is {type(result).__name__}.")
    variables = {}
    for name, variable in result.data_vars.items():
        dimensions, units, long_name = _ABOUT.get(str(name), ((), "1", str(name)))
        if dimensions[:1] == ("replica",) and "replica" not in variable.dims:
            variable = variable.expand_dims("replica", axis=0)
        variables[name] = variable.assign_attrs({"units": units, "long_name": long_name} | variable.attrs)
    return result.drop_vars(["replica"], errors="ignore").assign(variables)


def settled(result: xr.Dataset) -> xr.Dataset:
    """Give a point of a sweep, chosen from what `copydyn.open_sweep` gives, as the result that it is.

    With attributes of its own, and without the times, labels, replicas and variables that other points have. Whatever
    else is given comes back as it is.

    Raises
    ------
    BadValue
        If the point is not there, or has failed.
    """
    if _SWEPT not in result.coords or result.coords[_SWEPT].ndim > 0:
        return result
    replicas, status = int(result["replicas"]), str(result["status"].values)
    if replicas == 0:
        raise BadValue(f"a point of a sweep must be there to be a result, but: {status or 'it is not made yet.'}")
    point = result.drop_vars([name for name in (_SWEPT, "replicas", "target_error") if name in result]).load()
    there = point["probability"].notnull()
    point = point.isel(time=there.any("beable").values, beable=there.any("time").values)
    sizes = {"replica": replicas, "beable_": point.sizes["beable"]}
    point = point.isel({name: slice(size) for name, size in sizes.items() if name in point.dims})
    point = point.drop_vars([name for name, one in point.data_vars.items() if bool(one.isnull().all())])
    if "replica" in point.dims:
        point = point.assign_coords(status=("replica", np.full(point.sizes["replica"], "ok"), point["status"].attrs))
    attrs = {name: value for name, value in result.attrs.items() if name != "store"}
    point.attrs = {**attrs, **json.loads(str(result[_SWEPT].values)), "replicas": replicas}
    return point


def arrays(result: xr.Dataset) -> dict[str, np.ndarray]:
    """Give the values of its variables by name, times and labels left out: a Dataset takes long to look them up."""
    variables = result.variables
    variables = getattr(variables, "mapping", variables)  # the dict in xarray's frozen one, which is slow to walk
    return {str(name): one.values for name, one in variables.items() if not isinstance(one, xr.IndexVariable)}


def write(result: xr.Dataset, path: Path | BytesIO) -> None:
    """Write ``result`` as netCDF; complex variables get a last dimension `part` (real, imaginary)."""
    check(result)
    result = settled(result)
    plain = result.copy()
    for name, variable in result.data_vars.items():
        if np.iscomplexobj(variable.values):
            parts = np.stack([variable.values.real, variable.values.imag], axis=-1)
            plain[name] = ((*variable.dims, "part"), parts, variable.attrs)
    packed = {str(name): {"zlib": True} for name, variable in plain.data_vars.items() if variable.dtype.kind in "if"}
    plain.to_netcdf(path if isinstance(path, BytesIO) else place(path), engine="h5netcdf", encoding=packed)


def read(path: Path) -> xr.Dataset:
    """Read what `write` has written.

    Raises
    ------
    BadValue
        If there is no such file, or it cannot be read, or holds no result.
    """
    path = place(path)
    if not path.is_file():
        raise BadValue(f"{path}: there is no such file.")
    try:
        _require_sound(path)
        # a system whose unit of time is the second must not come back as dates
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as stored:
            plain = stored.load()
    except Exception as cause:  # a damaged file can make the libraries below raise anything
        why = str(cause).split("\n")[0]
        raise BadValue(f"{path}: is not a netCDF file that can be read ({why}); run the scenario again.") from None
    for name in [name for name, variable in plain.data_vars.items() if "part" in variable.dims]:
        variable = plain[name]
        whole = variable.isel(part=0).values + 1j * variable.isel(part=1).values
        plain[name] = (variable.dims[:-1], whole, variable.attrs)
    plain = plain.set_coords([name for name in WORDS if name in plain])  # variables in files of before
    check(plain)
    return plain


def _require_sound(path: Path) -> None:
    """Raise what h5py raises where a file is damaged: the layers above it would leave a traceback on stderr as well."""

    def touch(_: str, item: h5py.Group | h5py.Dataset) -> None:
        list(item.attrs.items())
        if isinstance(item, h5py.Dataset):
            [len(scales) for scales in item.dims]

    with h5py.File(path, "r") as stored:
        touch("/", stored)
        stored.visititems(touch)
