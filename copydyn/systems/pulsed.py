"""Two levels under pulses: Ramsey's two, the echo's three, and Landau and Zener's sweep."""

from __future__ import annotations

import math

import numpy as np

from copydyn.experiment import System
from copydyn.experiment.drives import sampled
from copydyn.experiment.inputs import as_real
from copydyn.refusal import BadValue

_X = np.array([[0.0, 1.0], [1.0, 0.0]])
_Y = np.array([[0.0, -1.0j], [1.0j, 0.0]])
_Z = np.array([[1.0, 0.0], [0.0, -1.0]])


def ramsey(
    pulse: float = 1.0, wait: float = 6.0, detuning: float = 0.6, phase: float = 0.0, hbar: float = 1.0
) -> System:
    """H = (D/2) sigma_z throughout, and in two pulses + (pi hbar/4 pulse) (cos(f) sigma_x + sin(f) sigma_y).

    On resonance each pulse turns by pi/2. It lasts 2 pulse + wait in all. Between the pulses nothing couples the
    labels: no copy moves, only phases turn.

    Parameters
    ----------
    pulse : float, time
        How long a pi/2 pulse lasts.
    wait : float, time
        From the end of the first pulse to the beginning of the second.
    detuning : float, energy
        D, kept during the pulses.
    phase : float, rad
        f of the second pulse; of the first it is zero.
    """
    d, width = as_real(detuning, "detuning"), as_real(pulse, "pulse", positive=True)
    strength = _strength(width, hbar)
    train = [
        (width, 0.5 * d * _Z + strength * _X),
        (as_real(wait, "wait", positive=True), 0.5 * d * _Z),
        (width, 0.5 * d * _Z + strength * _about(as_real(phase, "phase"))),
    ]
    return System(train, labels=("0", "1"), meaning="level", hbar=hbar, name="ramsey")


def spin_echo(
    pulse: float = 0.2, wait: float = 4.0, detuning: float = 0.6, phase: float = 0.0, hbar: float = 1.0
) -> System:
    """Turn by pi/2, wait, turn by pi, wait, turn by pi/2: H = (D/2) sigma_z + (pi hbar/4 pulse) sigma while it turns.

    The turn by pi exchanges the levels, and what the detuning did to the phase in the first wait it undoes in the
    second. It lasts 4 pulse + 2 wait in all.

    Parameters
    ----------
    pulse : float, time
        How long a turn by pi/2 lasts; that by pi takes twice as long.
    wait : float, time
    detuning : float, energy
        D, static: kept during the pulses, where D pulse / hbar << 1 does little.
    phase : float, rad
        The turn by pi is about cos(phase) sigma_x + sin(phase) sigma_y, the others are about sigma_x.
    """
    d, width = as_real(detuning, "detuning"), as_real(pulse, "pulse", positive=True)
    strength, rest = _strength(width, hbar), (as_real(wait, "wait", positive=True), 0.5 * d * _Z)
    quarter = (width, 0.5 * d * _Z + strength * _X)
    half = (2.0 * width, 0.5 * d * _Z + strength * _about(as_real(phase, "phase")))
    train = [quarter, rest, half, rest, quarter]
    return System(train, labels=("0", "1"), meaning="level", hbar=hbar, name="spin-echo")


def landau_zener(
    coupling: float = 0.5, rate: float = 1.0, duration: float = 10.0, tolerance: float = 1e-3, hbar: float = 1.0
) -> System:
    """H(t) = (r/2) (t - T/2) sigma_z + g sigma_x for 0 <= t <= T, in pulses with H at their midpoints.

    As T -> infinity what starts in one of the labels stays there with the probability exp(-2 pi g^2 / (hbar |r|)).

    Parameters
    ----------
    coupling : float, energy
        g.
    rate : float, energy / time
        r, how fast the levels pass each other; not zero.
    duration : float, time
        T.
    tolerance : float
        Of the pulses, whose error in the operator norm is estimated from above: see `copydyn.drives.sampled`.
    """
    g, r = as_real(coupling, "coupling"), as_real(rate, "rate")
    if r == 0.0:
        raise BadValue("rate must not be zero, which sweeps nothing; take kind 'two-level'.")
    span = as_real(duration, "duration", positive=True)
    # A straight line has no shorter time scale.
    drive = sampled(
        lambda t: 0.5 * r * (t - 0.5 * span) * _Z + g * _X, span, tolerance=tolerance, hbar=hbar, shortest=span
    )
    return System(drive.pulses, labels=("0", "1"), meaning="level", hbar=hbar, name="landau-zener")


def _strength(width: float, hbar: float) -> float:
    """Energy g with exp(-i g sigma width / hbar) a turn by pi/2."""
    strength = 0.25 * math.pi * as_real(hbar, "hbar", positive=True) / width
    if not math.isfinite(strength):
        raise BadValue(f"pulse must be long enough for a finite H, but is {width:g}; make it longer.")
    return strength


def _about(phase: float) -> np.ndarray:
    """Spin along an axis of the equator."""
    return np.asarray(math.cos(phase) * _X + math.sin(phase) * _Y)
