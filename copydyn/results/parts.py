"""One part of a composite system: what its own labels do, whatever the others' are."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from copydyn.refusal import BadValue
from copydyn.results import result as results


def partial(result: xr.Dataset, part: str) -> xr.Dataset:
    """Sum over the labels of all other parts: n_a = sum_b n_(a,b), and p_a = sum_b p_(a,b).

    Parameters
    ----------
    result : Dataset
        Of an experiment whose system has parts.
    part : str
        Name of the one to keep.

    Returns
    -------
    Dataset
        With ``probability (time, beable)`` and, where the result has them, ``frequency`` and ``counts (replica, time,
        beable)``; ``beable`` are the part's own labels. It is a result again, which `copydyn.compare` takes. Phases
        and kets are left out: a part of an entangled whole has none.

    Raises
    ------
    BadType, BadValue
        If it is no result, or its system has no such part.
    """
    results.check(result)
    parts: dict[str, list[str]] = dict(json.loads(result.attrs.get("parts", "[]")))
    if part not in parts:
        if not parts:
            raise BadValue(
                f"part must be one of the system's, which has none, but is '{part}'; name them with "
                'System(H, parts=[("A", 2), ("B", 2)]).'
            )
        raise BadValue(f"part must be one of {', '.join(parts)}, but is '{part}'.")
    sizes = [len(labels) for labels in parts.values()]
    others = tuple(axis for axis, name in enumerate(parts, start=-len(parts)) if name != part)
    data = {}
    for name in ("counts", "frequency", "probability"):
        if name in result:
            values = result[name].values
            summed = values.reshape(*values.shape[:-1], *sizes).sum(axis=others)
            data[name] = (result[name].dims, summed, result[name].attrs)
    about = {"units": "1", "long_name": f"{result['beable'].attrs['long_name']} of {part}"}
    labels = np.array(parts[part], dtype=np.str_)
    kept = {name: value for name, value in result.attrs.items() if name != "parts"}
    return xr.Dataset(data, {"time": result["time"], "beable": ("beable", labels, about)}, {**kept, "part": part})


def partial_frequencies(result: xr.Dataset, part: str) -> xr.DataArray:
    """n_a / N with n_a = sum_b n_(a,b), float64 (replica, time, beable): see `partial`.

    Raises
    ------
    BadType, BadValue
        As `partial`, and where the result is of a theory without copies, for which ``partial(...)["probability"]`` is
        the partial |psi|^2.
    """
    reduced = partial(result, part)
    if "frequency" not in reduced:
        raise BadValue("partial frequencies are of copies, which this result has none of; take its probability.")
    return reduced["frequency"]
