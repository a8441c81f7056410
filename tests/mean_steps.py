"""What infinitely many copies do when they are carried in the steps of `copydyn.kernels.flow`, written plainly.

Angles and matrices over pairs of labels, hbar = 1; nothing here is shared with the kernels. With so many copies there
is no noise, so that what a step does to the mean is seen at once, and its order by two step lengths.
"""

from __future__ import annotations

import numpy as np

SUBSTEPS = 6
"""Of Runge and Kutta's within a step: they err by less than any step does."""


def derivatives(share, phase, h):
    """phi', phi'', phi''' of the mean flow, and the largest relative rate of change of an amplitude or a difference."""
    omega, off = np.diag(h).real, h - np.diag(np.diag(h))
    x = np.sqrt(share) * np.exp(-1j * phase)
    pulls = off * x[None, :] / x[:, None]
    pull = pulls.sum(axis=1)
    drift = -1j * (omega + pull)  # x' = drift x
    apart = drift[None, :] - drift[:, None]
    pull_1 = (pulls * apart).sum(axis=1)
    pull_2 = (pulls * (apart**2 - 1j * (pull_1[None, :] - pull_1[:, None]))).sum(axis=1)
    turning = omega + pull.real
    fastest = np.sqrt(np.abs(pull) ** 2 + (np.abs(pulls) ** 2).sum(axis=1)).max()
    differences = np.abs(turning[:, None] - turning[None, :])[off != 0]
    return turning, pull_1.real, pull_2.real, max(fastest, differences.max())


def flow_of(h):
    """d(n/N)/dt as a function of the shares and the phases, by Smolin's rule."""
    off = h - np.diag(np.diag(h))

    def flow(share, phase):
        x = np.sqrt(share) * np.exp(-1j * phase)
        return 2.0 * np.imag(x.conj() * (off @ x))

    return flow


def moved(share, angle, length, flow):
    """Shares after a step in which the phases go along ``angle(t)``."""
    part = length / SUBSTEPS
    for number in range(SUBSTEPS):
        time = number * part
        k1 = flow(share, angle(time))
        k2 = flow(share + part / 2 * k1, angle(time + part / 2))
        k3 = flow(share + part / 2 * k2, angle(time + part / 2))
        k4 = flow(share + part * k3, angle(time + part))
        share = share + part / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return share


def carried(h, ket, span, phase_step, *, curved=True):
    """Ket of infinitely many copies after ``span``; with ``curved=False`` by lines and the trapezium: second order."""
    h = np.asarray(h, complex)
    share, phase, now = np.abs(ket) ** 2, -np.angle(ket), 0.0
    while now < span - 1e-12:
        first, second, third, fastest = derivatives(share, phase, h)
        if not curved:
            second = third = 0.0 * second
        s = min(phase_step / fastest, span - now)
        lean = 0.5 * (second + s * third / 4)
        share = moved(share, lambda t, at=phase, v=first, bend=lean: at + t * (v + t * bend), s, flow_of(h))
        end, end_second, _, _ = derivatives(share, phase + s * (first + s * (second / 2 + s * third / 6)), h)
        corner = s**2 / 12 * (second - end_second) if curved else 0.0
        phase = phase + 0.5 * s * (first + end) + corner
        now += s
    return np.sqrt(share) * np.exp(-1j * phase)


def three_levels():
    """(H, ket, span): steps of 0.05 by straight phases and the trapezium are off by 2.6e-4 in n_1/N."""
    generator = np.random.default_rng(12)
    a = generator.normal(size=(3, 3)) + 1j * generator.normal(size=(3, 3))
    generator = np.random.default_rng(1)
    counts = np.round(200 * generator.dirichlet(3 * np.ones(3)))
    counts[0] += 200 - counts.sum()
    return (a + a.conj().T) / 2, np.sqrt(counts / 200) * np.exp(-1j * generator.uniform(0, 2 * np.pi, 3)), 2.5
