"""Collapse by noise with a memory: when do its outcomes follow Born's rule?

d psi_k/dt = (a_k - sum_j p_j a_j) psi_k, a_k = J p_k + D xi_k(t), p_k = |psi_k|^2, with xi_k independent, stationary,
of autocovariance C(t). In the limit of short memory p_k is a martingale, and outcomes follow Born's rule, if and only
if

    J = 4 D^2 int_0^inf C dt,

and this is then white collapse of the rate J/2. Two states with one noise, for z = cos theta = p_0 - p_1
d theta/dt = -2 (J cos theta + D xi) sin theta, (a_0 = 2 J p_0 + D xi, a_1 = 2 J p_1 - D xi) obey the same
condition, with the rate J. A frozen uniform noise decides
by z_0 + (D/J) xi: Born's rule holds if and only if J = D. No one relation gives Born's rule at every memory.

These equations are derived here, in a normalisation of their own; the papers on coloured SUV are not quoted.
"""

from __future__ import annotations

import math

from copydyn.kernels.driven import FROZEN, NORMAL, SPHERICAL
from copydyn.refusal import BadValue

KINDS = {"ou": NORMAL, "spherical": SPHERICAL, "frozen": FROZEN}


def covariance_time(noise: str, memory: float) -> float:
    """int_0^inf C dt: 1/2 for d xi = -xi dt/tau + dB/tau, tau/3 for spherical Brownian motion, infinite if frozen."""
    if noise not in KINDS:
        raise BadValue(f"noise must be one of {', '.join(KINDS)}, but is {noise!r}.")
    if noise == "ou":
        return 0.5
    return memory / 3.0 if noise == "spherical" else math.inf


def born_drift(noise: str, strength: float, memory: float) -> float:
    """J for which Born's rule holds in the limit of short memory, or, of frozen noise, exactly; 1/time.

    Parameters
    ----------
    noise : {"ou", "spherical", "frozen"}
    strength : float
        D: sqrt(1/time) for "ou", whose xi is white in the limit; 1/time for the others.
    memory : float
        tau.
    """
    if noise == "frozen":
        return strength
    return 4.0 * strength**2 * covariance_time(noise, memory)


def white_rate(drift: float, *, one_noise: bool) -> float:
    """Rate of the white collapse that short memory with Born's J comes to: J/2, and J for two states with one noise."""
    return drift if one_noise else 0.5 * drift
