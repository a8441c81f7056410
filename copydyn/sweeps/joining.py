"""What several runs say of one point: they share its replicas out, and weigh as much as they have of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from copydyn.comparison.compare import OF_THE_MEAN, of_deviation
from copydyn.sweeps.atlas import Atlas
from copydyn.sweeps.moments import Moments

Read = Callable[[str, int, int], np.ndarray]
"""Name of a variable, record and row to the value in that run."""


def joined(atlas: Atlas, name: str, theory: int, point: int, read: Read | None = None) -> np.ndarray | None:
    """Give a variable at a point as one run with all its replicas would.

    What each replica has stands side by side; of the rest, the mean over all replicas is taken. A distance of the mean
    is that of the mean over all.

    Parameters
    ----------
    read : callable, optional
        By default from the file.

    Returns
    -------
    array or None
        With the dimensions, times and labels of the point's own runs; None where they have no such variable.
    """
    read = read or (lambda name, record, row: atlas.shelf(record).values(name, row))
    runs = [run for run in atlas.runs(theory, point) if name in atlas.form(run[0]).variables]
    if not runs:
        return None
    form = atlas.form(runs[0][0])
    dims = form.variables[name].dims
    if len(runs) > 1 and name in OF_THE_MEAN and "replica" not in dims:
        deviation = joined(atlas, "frequency_deviation", theory, point, read)
        assert deviation is not None
        return of_deviation(deviation)[name]
    values = [read(name, record, row) for record, row in runs]
    if name in form.complexes:
        values = [np.ascontiguousarray(value).view(complex)[..., 0] for value in values]
    if "replica" in dims:
        return np.concatenate(values, axis=dims.index("replica"))
    if len(runs) == 1:
        return values[0]
    moments = Moments((1, *values[0].shape), values[0].dtype)
    for (record, _), value in zip(runs, values):
        moments.add_means([0], value[None], atlas.form(record).replicas)
    return np.asarray(moments.mean[0])
