"""The chance that a label dies out where Schrödinger's path comes close to its node."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import xlog1py

from copydyn.experiment.inputs import as_reals, as_whole
from copydyn.refusal import BadValue


class Turning(NamedTuple):
    """``extinction``, the chance that no copy is left at the turning point, and the ``mean`` number of those left."""

    extinction: np.ndarray
    mean: np.ndarray


def binomial_turning(n: Any, chi: Any) -> Turning:
    """P(n, chi) = |cos chi|^(2n): the copies left at the turning point are Binomial(n, sin^2 chi).

    Near its node a label with n copies sees its neighbours unchanged. With chi the angle between psi_a and its drift,
    and time counted such that sqrt(n) grows along the drift at rate one, (32) and (33) of Smolin 2012 become
    d chi/d tau = -sin chi / sqrt(n) and jumps of n by +-1 at the rate 2 sqrt(n) |cos chi|, down while cos chi < 0. With
    chi as the clock the copies leave independently of each other. Derivation in docs/theory.md.

    Parameters
    ----------
    n : float or float64 (...)
        Copies on the way towards the node, >= 0.
    chi : float or float64 (...), rad
        Angle to the drift. It holds for neighbours that all pull in one direction.

    Returns
    -------
    Turning
        ``extinction`` and ``mean`` = n sin^2 chi, float64 (...); for large n the number left is Poisson.

    Raises
    ------
    BadValue
        If n is negative or an argument is not finite.
    """
    copies, remain = as_reals(n, "n"), np.sin(as_reals(chi, "chi")) ** 2
    if np.any(copies < 0.0):
        raise BadValue(f"n must be >= 0, but is {copies.min():g}.")
    # 1 - sin^2 by its logarithm: the cosine of a small chi has lost the digits that the power n brings back
    exponent = xlog1py(copies, -remain)
    return Turning(np.exp(exponent), copies * remain)


def extinction_probability(m: Any, s2: Any = 0.0, crossing: int = 1, churn: Any = 1.0) -> np.ndarray:
    """(1 + 2 s^2/K)^(-1/2) exp[-m / (K + 2 s^2)], and exp(-m/r) by the r-th crossing on resonance.

    A path that passes its node at the distance y = sqrt(m) loses the label with the chance exp(-y^2/K); noise made on
    the way there spreads y by s^2. The churn K = sum_b |v_b| (cos beta_b + beta_b sin beta_b) / |sum_b v_b| is one
    where all neighbours pull in one direction, and more where they pull against or across each other and so exchange
    copies with the label that bring it nowhere: v_b is the pull of neighbour b and beta_b its angle to their sum,
    modulo pi, in [-pi/2, pi/2]. Derivation in docs/theory.md.

    Parameters
    ----------
    m : float or float64 (...)
        N rho_min, the copies that the label would have at its minimum.
    s2 : float or float64 (...)
        N Var of the part of psi_a perpendicular to its drift, without the node's own share: see `node_crossings`.
    crossing : int
        r: the chance to be extinct by the r-th crossing, for two levels on resonance, where all crossings have the
        same m and the noise does not reach y.
    churn : float or float64 (...)
        K, >= 1.

    Returns
    -------
    float64 (...)

    Raises
    ------
    BadType, BadValue
        If m or s2 is negative, churn below one, crossing no whole number >= 1, or a later crossing is asked for with
        s2 or churn, for which there is no law.
    """
    left, noise, spread = as_reals(m, "m"), as_reals(s2, "s2"), as_reals(churn, "churn")
    for name, values, least in (("m", left, 0.0), ("s2", noise, 0.0), ("churn", spread, 1.0)):
        if np.any(values < least):
            raise BadValue(f"{name} must be >= {least:g}, but is {values.min():g}.")
    times = as_whole(crossing, "crossing", least=1)
    if times > 1 and (np.any(noise != 0.0) or np.any(spread != 1.0)):
        raise BadValue(f"crossing {times} has a law only on resonance, with s2 = 0 and churn = 1; ask for the first.")
    width = spread + 2.0 * noise
    return np.asarray(np.sqrt(spread / width) * np.exp(-left / (times * width)))


def extinction_by_counts(mean: Any, variance: Any) -> np.ndarray:
    """exp[-2 M / (1 + V/M)]: the chance of n = 0 in a process of births and deaths whose count has mean M, variance V.

    Copies of a label die and breed independently of each other in surroundings that do not depend on them. Those that
    have descendants are Poisson distributed, and the number of descendants of each is geometric: of mean g it gives
    V/M = 2 g - 1, and n = 0 where there are none, exp(-M/g). Between the node, where its exponent is that of
    `extinction_probability` without churn, and the bulk it is an estimate, good to a factor of a few.

    Parameters
    ----------
    mean, variance : float or float64 (...)
        Of n_a at one time.

    Returns
    -------
    float64 (...)
    """
    middle, spread = as_reals(mean, "mean"), as_reals(variance, "variance")
    for name, values in (("mean", middle), ("variance", spread)):
        if np.any(values < 0.0):
            raise BadValue(f"{name} must be >= 0, but is {values.min():g}.")
    return np.asarray(np.exp(-2.0 * middle**2 / np.where(middle > 0.0, middle + spread, 1.0)))
