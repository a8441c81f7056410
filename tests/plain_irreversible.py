"""Theories of irreversibility in numpy, as they stand on paper, one trajectory at a time: twins of the kernels.

They take their variates from the kernels' own generator, in the kernels' order, so that both must give one trajectory.
"""

from __future__ import annotations

import numpy as np

from copydyn.kernels import variates


class Dice:
    """A generator, shared out by name."""

    def __init__(self, state: np.ndarray) -> None:
        self.state, self._one = state.copy(), np.zeros(1)

    def uniform(self) -> float:
        return variates.uniform(self.state)

    def exponential(self) -> float:
        return variates.exponential(self.state)

    def normal(self) -> float:
        variates.fill_normal(self.state, self._one)
        return float(self._one[0])


def sums(psi, sector):
    """N_s, and s_s/N_s (zero where N_s is)."""
    sectors = range(sector.max() + 1)
    norm = np.array([np.sum(np.abs(psi[sector == s]) ** 2) for s in sectors])
    square = np.array([np.sum(psi[sector == s] ** 2) for s in sectors])
    return norm, np.divide(square, norm, out=np.zeros_like(square), where=norm > 0)


def quadratures(square, real):
    """Widths and angle of the noise: E|Z|^2 = 1, E Z^2 = square."""
    modulus = min(1.0, abs(square)) if real else 0.0
    angle = 0.5 * np.angle(square) if modulus >= 1e-14 else 0.0
    return np.sqrt((1 + modulus) / 2), np.sqrt((1 - modulus) / 2), np.exp(1j * angle)


def channel_step(psi, keep, turn, chi, sector, real, dice):
    """A3: E psi psi^+ becomes c^2 psi psi^+ + g^2 chi, exactly."""
    norm, square = sums(psi, sector)
    replaced = 1 - keep**2
    if replaced > 0:
        window = np.flatnonzero(chi > 0)
        weights = chi[window] * norm[sector[window]]
        chosen, first = None, False
        if dice.uniform() < replaced:
            edges = np.cumsum(weights)
            share = dice.uniform() * edges[-1]
            chosen = window[np.flatnonzero(share >= edges - weights)[-1]]
            first = dice.uniform() < quadratures(square[sector[chosen]], real)[0] ** 2
        v = np.zeros_like(psi)
        pairs = {m: [dice.normal(), dice.normal()] for m in window}
        if chosen is not None:
            a, b = dice.normal(), dice.normal()
            which = 0 if first else 1
            x = pairs[chosen][which]
            pairs[chosen][which] = np.copysign(np.sqrt(x * x + a * a + b * b), x)
        for m, (x, y) in pairs.items():
            wide, narrow, direction = quadratures(square[sector[m]], real)
            v[m] = np.sqrt(chi[m] * norm[sector[m]]) * direction * (wide * x + 1j * narrow * y)
        e = keep**2 + replaced * np.sum(np.abs(v) ** 2)
        g = np.sqrt(replaced)
        if dice.uniform() < 0.5 - keep * g * np.vdot(psi, v).real / e:
            v = -v
        psi = keep * psi + g * v
    return turn * psi / np.linalg.norm(psi)


def local_channel_step(psi, keep, turn, chi, sector, real, dice):
    """The same of one part, psi (level, rest level): a mixture of Gaussian laws times squares of their components."""
    norm = np.array([np.sum(np.abs(psi[sector == s]) ** 2) for s in range(sector.max() + 1)])
    replaced = 1 - keep**2
    chosen = None
    window = np.flatnonzero(chi > 0)
    if dice.uniform() < replaced:
        edges = np.cumsum(chi[window] * norm[sector[window]])
        chosen = window[np.flatnonzero(dice.uniform() * edges[-1] < edges)[0]]
        own = psi[sector == sector[chosen]]
        shares = np.array([np.sum(own.real**2, axis=0), np.sum(own.imag**2, axis=0)])
        if not real:
            shares = np.tile(shares.mean(axis=0), (2, 1))
        edges = np.cumsum(shares.T.ravel())
        place, imaginary = divmod(np.flatnonzero(dice.uniform() * edges[-1] < edges)[0], 2)
    v = np.zeros_like(psi)
    for m in window:
        own = psi[sector == sector[m]]
        if real:
            g = np.array([dice.normal() for _ in own], complex)
        else:
            g = np.sqrt(0.5) * np.array([complex(dice.normal(), dice.normal()) for _ in own])
        if m == chosen:
            # Re or Im of sum_n g_n psi_n is the product of real vectors, ``along`` and (Re g, Im g)
            along = own[:, place].conj() if not imaginary else 1j * own[:, place].conj()
            along = along.real if real else along
            along = along / np.linalg.norm(along)
            x = np.sum(along.real * g.real + along.imag * g.imag)
            unit = 1 if real else np.sqrt(0.5)
            a, b = unit * dice.normal(), unit * dice.normal()
            g = g + (np.copysign(np.sqrt(x * x + a * a + b * b), x) - x) * along
        v[m] = np.sqrt(chi[m]) * (g @ own)
    e, c, root = keep**2 + replaced * np.sum(np.abs(v) ** 2), keep, np.sqrt(replaced)
    if dice.uniform() < 0.5 - c * root * np.vdot(psi, v).real / e:
        v = -v
    psi = c * psi + root * v
    return turn * psi / np.linalg.norm(psi)


def local_jump_step(psi, keep, turn, chi, sector, dice):
    """With probability g^2 the part jumps: |m> x psi_n, with probability chi_m |psi_n|^2, both of one sector."""
    if dice.uniform() < 1 - keep**2:
        squares = np.sum(np.abs(psi) ** 2, axis=1)
        norm = np.bincount(sector, weights=squares)
        edges = np.cumsum(chi * norm[sector])
        m = np.flatnonzero(dice.uniform() * edges[-1] < edges)[0]
        edges = np.cumsum(np.where(sector == sector[m], squares, 0))
        n = np.flatnonzero(dice.uniform() * edges[-1] < edges)[0]
        after = np.zeros_like(psi)
        after[m] = psi[n] / np.linalg.norm(psi[n])
        psi = after
    return turn * psi


def jump_step(psi, keep, turn, chi, sector, real, dice):
    """A4: with probability g^2 the state becomes a level of chi."""
    if dice.uniform() < 1 - keep**2:
        norm, _ = sums(psi, sector)
        edges = np.cumsum(chi * norm[sector])
        share = dice.uniform() * edges[-1]
        psi = np.eye(psi.size, dtype=complex)[np.flatnonzero(share < edges)[0]]
    return turn * psi


def reduced_noise(psi, chi, sector, real, dice):
    """Z_m = sum_n psi_n dW^mn / sqrt(dt) in law: rows of dW are independent."""
    norm, square = sums(psi, sector)
    z = np.zeros_like(psi)
    for m in np.flatnonzero(chi > 0):
        wide, narrow, direction = quadratures(square[sector[m]], real)
        z[m] = np.sqrt(norm[sector[m]]) * direction * (wide * dice.normal() + 1j * narrow * dice.normal())
    return z


def full_noise(psi, chi, sector, real, dice):
    """Z_m = sum_n psi_n dW^mn / sqrt(dt), one Wiener process for each pair of levels of a sector."""
    z = np.zeros_like(psi)
    for m in np.flatnonzero(chi > 0):
        for n in np.flatnonzero(sector == sector[m]):
            w = dice.normal() if real else np.sqrt(0.5) * (dice.normal() + 1j * dice.normal())
            z[m] += psi[n] * w
    return z


def euler_step(psi, span, turn, chi, sector, z):
    """A0 and A1: Euler and Maruyama's step of equation (5) in units of Gamma, then energies and norm."""
    norm, _ = sums(psi, sector)
    zeta = np.sqrt(span * chi) * z
    mean = np.sum(chi * norm[sector] * np.abs(psi) ** 2)
    drift = (chi * norm[sector] - 0.5 * (1 + mean)) * psi * span
    psi = psi + drift + zeta - np.vdot(psi, zeta) * psi
    return turn * psi / np.linalg.norm(psi)


def operators_step(psi, span, chi, dw):
    """Equation (5) written out with its operators, in units of Gamma, H = 0: one Euler step, not normalised.

    ``dw`` (level, level) holds dW^mn / sqrt(Gamma).
    """
    change = np.zeros_like(psi)
    size = psi.size
    for m in range(size):
        for n in range(size):
            jump = np.zeros((size, size), dtype=complex)
            jump[m, n] = 1.0
            mean = np.vdot(psi, jump @ psi)
            drift = np.conj(mean) * (jump @ psi) - 0.5 * (jump.conj().T @ jump @ psi) - 0.5 * abs(mean) ** 2 * psi
            change += np.sqrt(chi[m]) * (jump @ psi - mean * psi) * dw[m, n] + chi[m] * drift * span
    return psi + change


def reduction_step(psi, span, block, dice):
    """White collapse during gamma t = span, exactly in law."""
    if span <= 0:
        return psi
    weights = np.array([np.sum(np.abs(psi[block == k]) ** 2) for k in range(block.max() + 1)])
    edges = np.cumsum(weights)
    share = dice.uniform() * edges[-1]
    chosen = np.flatnonzero(share < edges)[0]
    y = np.sqrt(span) * np.array([dice.normal() for _ in weights])
    y[chosen] += 2 * span
    psi = psi * np.exp(y - y[weights > 0].max())[block]
    return psi / np.linalg.norm(psi)


def events(psi, span, thermal_rate, reducing_rate, frequencies, chi, u, block, dice):
    """Jumps at the times of Poisson processes: to a level of chi, or a measurement in the basis <m|c> = u."""
    while thermal_rate + reducing_rate > 0:
        wait = dice.exponential() / (thermal_rate + reducing_rate)
        if wait >= span:
            break
        span -= wait
        psi = np.exp(-1j * frequencies * wait) * psi
        if dice.uniform() * (thermal_rate + reducing_rate) < thermal_rate:
            edges = np.cumsum(chi)
            psi = np.eye(psi.size, dtype=complex)[np.flatnonzero(dice.uniform() * edges[-1] < edges)[0]]
            continue
        told = u.conj().T @ psi
        edges = np.cumsum([np.sum(np.abs(told[block == k]) ** 2) for k in range(block.max() + 1)])
        chosen = np.flatnonzero(dice.uniform() * edges[-1] < edges)[0]
        told = np.where(block == chosen, told, 0)
        psi = u @ told / np.linalg.norm(told)
    return np.exp(-1j * frequencies * span) * psi


def driven_step(y, xi, dt, drift, noise, decay, width, kind, weight, dice):
    """Coloured collapse with a noise for each state: exact noise, trapezium, drift at the middle."""

    def shares(y):
        p = weight * np.exp(2 * (y - y.max()))
        return p / p.sum()

    before = xi.copy()
    if kind == "ou":
        xi = decay * xi + width * np.sqrt(1 - decay**2) * np.array([dice.normal() for _ in xi])
    elif kind == "spherical":
        turns = np.array([np.cos(2 * np.pi * dice.uniform()) for _ in xi])
        xi = decay * xi + np.sqrt(1 - xi**2) * np.sqrt(1 - decay**2) * turns
    middle = y + 0.5 * dt * (drift * shares(y) + noise * before)
    y = y + dt * (drift * shares(middle) + 0.5 * noise * (before + xi))
    return y - y.max(), xi
