"""The ruler: how far a result is from a reference, with its error, and whether finite N explains it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from copydyn.blas import one_thread
from copydyn.experiment.inputs import as_reals
from copydyn.laws.finite_copies import NOTHING
from copydyn.refusal import BadValue
from copydyn.results import result as results

MOST_SCORE = 4.0
"""Standard errors beyond which a deviation is called one; a result that obeys the law fails once in 16 000."""

_ABOUT = {
    "max_deviation": ("1", "max over labels of |n/N - |psi|^2|"),
    "total_variation": ("1", "half the sum over labels of |n/N - |psi|^2|"),
    "infidelity": ("1", "1 - |<psi_ensemble|psi>|^2"),
    "energy_drift": ("energy", "mean energy less its first value"),
    "expected_energy_drift": ("energy", "mean energy of the reference less its first value"),
    "extinct": ("labels", "number of labels without a copy"),
}

_DEVIATION = {"units": "1", "long_name": "mean frequency less |psi|^2"}

DISTANCES = {
    name: (("replica", "time"), {"units": units, "long_name": said})
    for name, (units, said) in _ABOUT.items()
    if "energy" not in name
} | {"frequency_deviation": (("time", "beable"), _DEVIATION)}
"""Dimensions and attributes of what `distances` gives; what is about the mean has no replicas."""

OF_THE_MEAN = ("max_deviation", "total_variation")
"""Distances that are about the mean of all replicas, and that no replica has by itself, where none has frequencies."""


@one_thread()
def compare(result: xr.Dataset, reference: xr.Dataset, law: xr.Dataset | None = None) -> xr.Dataset:
    """Measure how far ``result`` is from ``reference``.

    Parameters
    ----------
    result, reference : Dataset
        Of two theories for the same experiment: same save times, same labels. Points of an opened sweep are results.
    law : Dataset, optional
        What N copies must give, from `copydyn.laws.finite_copies`: tells "this is what finite N must give" from "this
        is more than finite N explains".

    Returns
    -------
    Dataset with, over time, ``max_deviation``, ``total_variation`` and, where both have a ket, ``infidelity``; for
    ensembles ``energy_drift`` (beside ``expected_energy_drift``, the reference's, which is not zero where pulses do
    work) and ``extinct``; each a mean over replicas, with ``..._error``, its standard error (NaN
    for one replica). ``frequency_deviation (time, beable)`` is the mean of n/N - |psi|^2. The scalars
    ``worst_deviation`` and ``worst_total_variation`` are means over replicas of the largest value on the way.
    With a law: ``predicted_infidelity (time)``, ``predicted_deviation (time, beable)`` (standard deviation of one
    ensemble's frequency) and ``score``, by how many standard errors the infidelity, averaged over the save times,
    lies above the law. Both predictions are NaN where the law is beyond its reach, and the score is of the other save
    times, beyond what rests on what the law does not know. Attributes ``verdict`` ("agrees", "deviates",
    "unjudged") and ``sentence``; with a law ``beyond_reach``, why it is left out where it is, or nothing.

    Raises
    ------
    BadType, BadValue
        If one of them is no result, or they belong to different experiments.
    """
    for dataset in (result, reference):
        results.check(dataset)
    result, reference = results.settled(result), results.settled(reference)
    _same_axis(result, reference, "time")
    _same_axis(result, reference, "beable")
    series = _distances(results.arrays(result), results.arrays(reference))
    data: dict[str, Any] = {}
    for name, values in series.items():
        units, long_name = _ABOUT[name]
        data[name] = ("time", values.mean(axis=0), {"units": units, "long_name": long_name})
        data[f"{name}_error"] = ("time", _error(values), {"units": units, "long_name": f"standard error of {name}"})
    if "energy_drift" in series and "energy" in reference:
        units, long_name = _ABOUT["expected_energy_drift"]
        work = reference["energy"].values.mean(axis=0)
        data["expected_energy_drift"] = ("time", work - work[0], {"units": units, "long_name": long_name})
    for name, of in (("worst_deviation", "max_deviation"), ("worst_total_variation", "total_variation")):
        worst = series[of].max(axis=1)
        about = {"units": "1", "long_name": f"mean over replicas of the largest {of} on the way"}
        data[name] = ((), float(worst.mean()), about)
        data[f"{name}_error"] = ((), float(_error(worst)), {**about, "long_name": f"standard error of {name}"})
    bias = result["probability"].values - reference["probability"].values
    data["frequency_deviation"] = (("time", "beable"), bias, _DEVIATION)
    verdict = Verdict("unjudged", f"there is no law to judge by: {_why_no_law(result)}", np.nan)
    if law is not None:
        if "copies" not in result.attrs:
            raise BadValue("a law of finite N judges an ensemble, but the result has no copies; compare without law.")
        _same_axis(result, law, "time", what="result and law")
        data |= _predictions(law, int(result.attrs["copies"]))
        verdict = _judge(series.get("infidelity"), law, int(result.attrs["copies"]))
        about = {"units": "standard errors", "long_name": "time-averaged infidelity above the law"}
        data["score"] = ((), verdict.score, about)
    attrs = {
        "result": result.attrs.get("theory", ""),
        "reference": reference.attrs.get("theory", ""),
        "replicas": int(result.attrs.get("replicas", 1)),
        "verdict": verdict.word,
        "sentence": verdict.sentence,
    }
    if law is not None:
        attrs["beyond_reach"] = str(law.attrs.get("beyond_reach", ""))
    return xr.Dataset(data, {"time": result["time"], "beable": result["beable"]}, attrs)


def _why_no_law(result: xr.Dataset) -> str:
    if "copies" not in result.attrs:
        return "the theory has no copies"
    if "coherence" in result:
        return "phases are not aligned"
    if result.attrs.get("theory_engine") == "meanfield":
        return "the copies are infinitely many"
    if str(result.attrs.get("theory_rule", "")).startswith("Rule("):
        return "the rule is not Smolin's"
    return "none was given (copydyn.laws.finite_copies makes one)"


def distances(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Measure every replica by itself: max_deviation, total_variation, infidelity, extinct.

    What `compare` averages: each float64 (replica, time), where the theories give it. Where no replica has frequencies
    there is one ensemble, the mean of them all: what is `OF_THE_MEAN` is float64 (time,) then, beside
    frequency_deviation (time, beable), which the means of several runs are put together from (`of_deviation`).

    Parameters
    ----------
    ours, theirs : mapping of str to array
        Variables of a result and of a reference (`copydyn.result.arrays`), read once where a reference serves many.
    """
    found = _distances(ours, theirs)
    found.pop("energy_drift", None)
    if "frequency" not in ours:
        deviation = ours["probability"] - theirs["probability"]
        found |= {"frequency_deviation": deviation, **of_deviation(deviation)}
    return found


def of_deviation(deviation: np.ndarray) -> dict[str, np.ndarray]:
    """Give max_deviation and total_variation (...) of frequencies that are off by ``deviation`` (..., beable)."""
    away = np.abs(deviation)
    return {"max_deviation": np.maximum.reduce(away, axis=-1), "total_variation": 0.5 * np.add.reduce(away, axis=-1)}


class Verdict(NamedTuple):
    """Whether finite N explains what was seen."""

    word: str
    sentence: str
    score: float


class PowerLaw(NamedTuple):
    """value = prefactor * copies^exponent, with the standard error of the exponent."""

    exponent: float
    error: float
    prefactor: float


def fit_exponent(copies: Any, values: Any, errors: Any) -> PowerLaw:
    """Fit a power of N by weighted least squares in the logarithms.

    Parameters
    ----------
    copies, values, errors : (point,)
        N, a positive quantity, and its standard error.

    Raises
    ------
    BadType, BadValue
        With fewer than two points, where one is not positive, or if all have the same number of copies.
    """
    n, y, dy = as_reals(copies, "copies"), as_reals(values, "values"), as_reals(errors, "errors")
    if n.size < 2 or not n.size == y.size == dy.size:
        raise BadValue(
            f"a fit needs at least two points of copies, values and errors, but has {n.size}, {y.size}, {dy.size}."
        )
    if not (np.all(n > 0) and np.all(y > 0) and np.all(dy > 0)):
        raise BadValue("copies, values and errors of a fit must be numbers > 0.")
    if np.all(n == n[0]):
        raise BadValue(f"a fit needs different numbers of copies, but all are {n[0]:g}.")
    weight = (y / dy) ** 2
    x, z = np.log(n), np.log(y)
    centre = np.average(x, weights=weight)
    lever = np.sum(weight * (x - centre) ** 2)
    exponent = float(np.sum(weight * (x - centre) * z) / lever)
    prefactor = float(np.exp(np.average(z, weights=weight) - exponent * centre))
    return PowerLaw(exponent, float(lever**-0.5), prefactor)


def kets_of(dataset: xr.Dataset) -> np.ndarray | None:
    """Give the kets of a result, complex128 (replica, time, beable), or None where it encodes none.

    An ensemble encodes psi_a = sqrt(n_a/N) exp(-i phi_a) only while its phases are aligned.
    """
    return _kets(results.arrays(dataset))


def _kets(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    if "state" in arrays:
        return arrays["state"]
    if "phase" not in arrays or "coherence" in arrays:
        return None
    factor = np.exp(-1j * np.nan_to_num(arrays["phase"]))
    return np.asarray(np.sqrt(arrays["frequency"]) * factor)


def _distances(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each distance, float64 (replica, time)."""
    found = ours["frequency"] if "frequency" in ours else ours["probability"][None]
    series = of_deviation(found - theirs["probability"])
    ket, expected_ket = _kets(ours), _kets(theirs)
    if ket is not None and expected_ket is not None and expected_ket.shape[0] == 1:
        series["infidelity"] = _infidelity(ket, expected_ket)
    if "energy" in ours:
        energy = ours["energy"]
        series["energy_drift"] = energy - energy[:, :1]
    if "counts" in ours:
        series["extinct"] = (ours["counts"] == 0).sum(axis=-1).astype(float)
    return series


def _infidelity(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """1 - |<a|b>|^2 as the squared part of a perpendicular to b, which keeps its digits when it is tiny."""
    overlap = np.einsum("rta,rta->rt", theirs.conj(), ours)
    rest = ours - overlap[..., None] * theirs
    return np.asarray(np.sum(np.abs(rest) ** 2, axis=-1))


def _error(values: np.ndarray) -> np.ndarray:
    """Give the standard error of the mean over replicas; NaN for one."""
    if values.shape[0] < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(values.shape[0]))


def _predictions(law: xr.Dataset, copies: int) -> dict[str, Any]:
    """What the law says where it holds; from the first node on, where it diverges, the infidelity is inf."""
    infidelity = _lawful(law) / copies + float(law.attrs.get("offset", 0.0))
    held = _in_reach(law)
    about = {"units": "1", "long_name": f"mean infidelity that {copies} copies must give"}
    infidelity = np.where(held | np.isinf(infidelity), infidelity, np.nan)
    data: dict[str, Any] = {"predicted_infidelity": ("time", infidelity, about)}
    if "frequency_noise" in law:
        about = {"units": "1", "long_name": f"standard deviation of n/N that {copies} copies must give"}
        deviation = np.where(held[:, None], np.sqrt(law["frequency_noise"].values / copies), np.nan)
        data["predicted_deviation"] = (("time", "beable"), deviation, about)
    return data


def _lawful(law: xr.Dataset) -> np.ndarray:
    """N times the mean infidelity, less the offset's own: inf from the first node on."""
    shift = law["offset_shift"].values if "offset_shift" in law else 0.0
    return np.asarray(law["infidelity_law"].values + np.nan_to_num(shift))


def _in_reach(law: xr.Dataset) -> np.ndarray:
    """Where the law holds, bool (time,): all that is finite, if it does not say."""
    finite = np.isfinite(law["infidelity_law"].values)
    return finite & law["in_reach"].values if "in_reach" in law else finite


def _judge(infidelity: np.ndarray | None, law: xr.Dataset, copies: int) -> Verdict:
    """Compare the infidelity, averaged over the save times at which the law holds, with the law."""
    if infidelity is None:
        return Verdict("unjudged", "no ket, no infidelity: the phases are not aligned", np.nan)
    predicted = law["infidelity_law"].values
    if not np.all(np.isfinite(predicted)):
        return Verdict("unjudged", "the path meets a node, where the law of finite N diverges", np.nan)
    if "infidelity_spread" not in law:
        return Verdict("unjudged", "the law does not know its spread for so many labels", np.nan)
    held = _in_reach(law)
    if predicted.max() < NOTHING:
        return Verdict("unjudged", "the law foresees no copy event: nothing to judge", np.nan)
    if not np.any(predicted[held] > NOTHING):
        why = law.attrs.get("beyond_reach", "")
        return Verdict(
            "unjudged", f"the law of finite N does not reach any save time that could be judged, {why}", np.nan
        )
    expected = float(_lawful(law)[held].mean() / copies + law.attrs.get("offset", 0.0))
    found = infidelity[:, held].mean(axis=1)
    # the law knows its own spread; taken as if the save times rose and fell together, it is never too small
    spread = law["infidelity_spread"].values / copies
    if "offset_spread" in law:
        spread = np.hypot(spread, law["offset_spread"].values / np.sqrt(copies))
    error = float(spread[held].mean()) / np.sqrt(found.size)
    if error == 0.0:
        return Verdict("unjudged", "the law foresees no copy event: nothing to judge", np.nan)
    doubt = float(law["infidelity_doubt"].values[held].mean()) / copies if "infidelity_doubt" in law else 0.0
    above = float(found.mean()) - expected
    score = math.copysign(max(0.0, abs(above) - doubt), above) / error
    ratio = f"{found.mean() / expected:.3f} ± {error / expected:.3f}"
    where = "" if held.all() else ", as far as the law reaches,"
    if abs(score) <= MOST_SCORE:
        return Verdict("agrees", f"the infidelity{where} is {ratio} times what finite N must give", score)
    side = "more" if score > 0 else "less"
    return Verdict(
        "deviates", f"the infidelity{where} is {ratio} times what finite N must give: {side} than it explains", score
    )


def _same_axis(result: xr.Dataset, reference: xr.Dataset, name: str, what: str = "result and reference") -> None:
    ours, theirs = result[name].values, reference[name].values
    if ours.shape != theirs.shape or np.any(ours != theirs):
        raise BadValue(
            f"{what} must have the same '{name}', but have {ours.size} and {theirs.size} values "
            "or other ones; evolve the same experiment."
        )
