"""Leaps with clusters of few labels written plainly, to hold the kernels to them: exact exponentials, and no scratch.

The random numbers are those of the kernels, so that one ensemble goes the same way event by event; steps, bounds and
amplitudes are worked out anew. Left out are labels that bend within a leap (`plain_leaps` has them) and leaps that are
cut.
"""

from __future__ import annotations

import math

import numpy as np
from plain_leaps import Frame

from copydyn.kernels import keyed, variates
from copydyn.kernels.leap import OF_CLUSTERS, OF_NOISE
from copydyn.kernels.variates import fill_alias

A_CLUSTER = 16
FARTHEST = 100.0


def drawn_by(draw, words, *parameters):
    """A draw, and the words after it as what they are: compiled or not."""
    value, words = draw(words, *parameters)
    return value, tuple(np.uint64(word) for word in words)


def stream(*name):
    return tuple(np.uint64(word) for word in keyed.stream(*name))


def clusters_of(h, few):
    """Neighbours join until a cluster has 16 labels; the nearest to its first label come first."""
    left, out = sorted(few), []
    while left:
        cluster = [left.pop(0)]
        for a in cluster:
            for b in np.flatnonzero(h[a]).tolist():
                if b in left and len(cluster) < A_CLUSTER:
                    left.remove(b)
                    cluster.append(b)
        out.append(cluster)
    return out


def kicked(x, copies):
    return x * math.sqrt(max(1.0 + copies / abs(x) ** 2, 0.25)) if x != 0.0 else x


def current(x_a, h, x_b):
    """Copies that a gains from b in a unit of time."""
    return 2.0 * (x_a.conjugate() * h * x_b).imag


class Half:
    """Half a leap: the mean flow from ``x`` on, and what is known of each few label."""

    def __init__(self, frame, x, span, limit, phase_step):
        self.x, self.span, self.limit, self.phase_step = x, span, limit, phase_step
        alive = x != 0.0
        h = frame.h * np.outer(alive, alive)
        self.h, self.frame = h, Frame(h, *np.linalg.eigh(h), frame.centre, frame.radius)
        size = len(x)
        self.counted, self.over = np.zeros(size, bool), np.zeros(size, bool)
        self.copies, self.late = np.zeros(size), np.zeros(size)  # ``late`` of the copies come in the course of it
        self.gain, self.twist = np.zeros(size), np.zeros(size)
        self.actual, self.unit = x.astype(complex), np.ones(size, complex)
        self.deviation, self.push = np.zeros(size, complex), np.zeros(size, complex)
        self.now, self.events, self.other = np.zeros(size), 0.0, {}

    def mean(self, time):
        return np.where(self.x != 0.0, self.frame.after(self.x, time), 0.0)  # the dead stay so, without rounding

    def settle(self, a, x, words):
        """Count the label in whole copies, if it has few."""
        n = abs(x) ** 2
        self.actual[a], self.counted[a], self.late[a] = x, n <= self.limit, 0.0
        if not self.counted[a]:
            return words
        whole = math.floor(n + 0.5)
        if abs(n - whole) > 1e-6:
            share, words = drawn_by(variates.next_uniform, words)
            whole = math.floor(n + share)
        self.copies[a], self.unit[a] = whole, x / abs(x) if n > 0.0 else 1.0
        self.actual[a] = math.sqrt(whole) * self.unit[a]
        return words

    def number(self, a, time):
        """Copies of a label of the present cluster: what other clusters have given to it comes evenly."""
        return self.at_least_one(self.copies[a], self.copies[a] - self.late[a] * (1.0 - time / self.span))

    @staticmethod
    def at_least_one(copies, number):
        return max(number, 1.0) if copies > 0 else 0.0

    def stand(self, border, x, time):
        """Amplitudes of neighbours, and the numbers of those that are counted in clusters whose turn has not come."""
        for b in border:
            if self.over[b]:
                self.actual[b] = x[b] + time / self.span * self.deviation[b]
                continue
            self.actual[b] = there = x[b] + self.deviation[b]
            if self.counted[b]:
                self.other[b] = abs(there) ** 2 + self.gain[b]
                self.actual[b] = math.sqrt(self.at_least_one(self.copies[b], self.other[b])) * there / abs(there)

    def fields(self, cluster):
        """(H/hbar) x without the diagonal, and the root of the sum of squares that it would be without interference."""
        off = self.h - np.diag(np.diag(self.h))
        return off[cluster] @ self.actual, np.sqrt(np.abs(off[cluster]) ** 2 @ np.abs(self.actual) ** 2)

    def carry(self, cluster, edges, border, words):
        """All steps of a cluster; ``edges`` (a, b) with a < b are those on which it moves the copies."""
        h, span, step, time = self.h, self.span, self.phase_step, 0.0
        diagonal, inside = np.diag(h).real, set(cluster)
        x = self.mean(0.0)
        for a in cluster:
            if self.counted[a]:
                self.actual[a] = math.sqrt(self.number(a, 0.0)) * self.unit[a]
            else:
                self.actual[a] = kicked(x[a] + self.push[a], self.gain[a])
            self.deviation[a], self.gain[a] = self.actual[a] - x[a], 0.0
        while time < span:
            turning, growth = np.zeros(len(x)), np.zeros(len(x))
            self.stand(border, x, time)
            slope = -1j * h @ x
            for b in border:
                growth[b], turning[b] = (slope[b] / x[b]).real, -(slope[b] / x[b]).imag
            field, strength = self.fields(cluster)
            for i, a in enumerate(cluster):
                if self.actual[a] != 0.0:
                    ratio = -1j * (diagonal[a] + field[i] / self.actual[a])
                    growth[a], turning[a] = ratio.real, -ratio.imag

            # the length of the step: no amplitude, no phase, and no number changes by much
            rates = [0.0]
            for i, a in enumerate(cluster):
                if self.counted[a] and self.copies[a] > 0:
                    rates.append(math.hypot(abs(field[i]), strength[i]) / math.sqrt(self.number(a, time)) / step)
                elif self.counted[a]:
                    rates.append(abs(field[i]) / FARTHEST)
                else:
                    size = abs(self.actual[a])
                    rates += [abs(field[i]) / 0.15 / size, 4.0 * strength[i] / 0.05**2 / size**3]
            rates += [
                abs(turning[a] - turning[b]) / (4.0 * step)
                for a, b in edges
                if any(self.counted[c] and self.copies[c] > 0 for c in (a, b))
            ]
            wanted = min(1.0 / max(rates), span) if max(rates) > 0.0 else span

            # rates of its middle, and what bounds them
            begin, middle, at_first = dict(self.other), time + 0.5 * wanted, self.copies.copy()

            def number(c, copies, begin=begin, at_first=at_first, middle=middle, x=x, growth=growth, wanted=wanted):
                if c in inside:
                    return self.at_least_one(copies, copies - self.late[c] * (1.0 - middle / span))
                grown = abs(x[c]) ** 2 * ((1.0 + 0.5 * wanted * growth[c]) ** 2 - 1.0)
                return self.at_least_one(copies, copies + (begin[c] - at_first[c]) + grown)

            lever, traffic = {}, dict.fromkeys([*cluster, *border], 0.0)
            for c in traffic:
                lever[c] = self.actual[c]
                if self.counted[c]:
                    lever[c] = self.actual[c] / abs(self.actual[c]) if self.actual[c] != 0.0 else 0.0
                else:
                    lever[c] = lever[c] * (1.0 + 0.5 * wanted * growth[c])
            turns, bound = {}, np.zeros(len(edges))
            for i, (a, b) in enumerate(edges):
                numbers = [number(c, self.copies[c]) for c in (a, b) if self.counted[c]]
                if not numbers or 0.0 in numbers:
                    continue
                turns[i] = turn = 2.0 * lever[a].conjugate() * h[a, b] * lever[b]
                bound[i] = min(abs(turn.imag) + abs(turning[a] - turning[b]) * wanted * abs(turn), abs(turn))
                for c in (a, b):
                    traffic[c] += bound[i] * math.sqrt(math.prod(numbers)) * wanted
            room = {c: min(int(t + 4.0 * math.sqrt(t)), self.copies[c] // 4) for c, t in traffic.items()}
            for i, ends in enumerate(edges):
                highest = [number(c, self.copies[c] + room[c]) for c in ends if self.counted[c]]
                bound[i] *= math.sqrt(math.prod(highest)) if bound[i] > 0.0 else 0.0
            threshold, alias, stack = (np.zeros(len(edges), kind) for kind in (float, np.uint32, np.uint32))
            total = fill_alias(bound, len(edges), threshold, alias, stack)

            # events
            net, elapsed, last = np.zeros(len(edges)), 0.0, None
            while True:
                if total == 0.0:
                    elapsed = wanted
                    break
                wait, words = drawn_by(variates.next_exponential, words)
                elapsed += wait / total
                if elapsed >= min(wanted, span - time):
                    break
                i, words = drawn_by(variates.next_cell, words, len(edges), threshold, alias)
                a, b = edges[i]
                sine = (turns[i] * np.exp(1j * (turning[a] - turning[b]) * elapsed)).imag
                share, words = drawn_by(variates.next_uniform, words)
                numbers = [number(c, self.copies[c]) for c in (a, b) if self.counted[c]]
                if share * bound[i] >= math.sqrt(math.prod(numbers)) * abs(sine):
                    continue
                gains, loses = (a, b) if sine > 0.0 else (b, a)
                over = self.counted[gains] and self.copies[gains] >= at_first[gains] + room[gains]
                under = self.counted[loses] and self.copies[loses] <= at_first[loses] - room[loses]
                if over or under:
                    last = (gains, loses)
                    break
                self.events += 1.0
                net[i] += 1.0 if gains == a else -1.0
                self.copies[gains] += self.counted[gains]
                self.copies[loses] -= self.counted[loses]
            if last is None:
                elapsed = min(wanted, span - time)
            then = span if time + elapsed >= span * (1 - 1e-14) else time + elapsed

            # what labels gain beyond the mean flow
            half, later = self.mean(time + 0.5 * elapsed), self.mean(then)
            for i, (a, b) in enumerate(edges):
                mine = [c for c in (a, b) if self.counted[c] and c in inside]
                if len(mine) == 2:
                    continue
                if self.counted[a] or self.counted[b]:
                    flow = sum(w * current(y[a], h[a, b], y[b]) for w, y in ((1, x), (4, half), (1, later))) / 6.0
                    excess = net[i] - flow * elapsed
                else:
                    flow = elapsed * current(half[a] + self.deviation[a], h[a, b], half[b] + self.deviation[b])
                    drawn, words = drawn_by(variates.next_poisson, words, abs(flow))
                    self.events += drawn
                    excess = math.copysign(drawn, flow) - flow
                for c, sign in ((a, 1.0), (b, -1.0)):
                    if c not in mine:
                        self.gain[c] += sign * excess
                        self.late[c] += sign * net[i]

            # the end of the step: phases by the trapezium, deviations by Euler and kicked in the middle
            drift = -1j * (h[np.ix_(cluster, cluster)] @ self.deviation[cluster])
            for i, a in enumerate(cluster):
                if self.counted[a]:
                    self.unit[a] *= np.exp(-1j * turning[a] * elapsed)
                    self.actual[a] = math.sqrt(self.number(a, then)) * self.unit[a]
                else:
                    before = half[a] + self.deviation[a]
                    kick = kicked(before, self.gain[a]) - before
                    self.actual[a] = later[a] + self.deviation[a] + drift[i] * elapsed + kick
                    self.gain[a] = 0.0
            self.stand(border, later, then)
            field, _ = self.fields(cluster)
            for i, a in enumerate(cluster):
                if self.counted[a] and self.copies[a] > 0:
                    after = diagonal[a] + (self.unit[a].conjugate() * field[i]).real / math.sqrt(self.number(a, then))
                    self.unit[a] *= np.exp(-0.5j * (after - turning[a]) * elapsed)
                    self.actual[a] = math.sqrt(self.number(a, then)) * self.unit[a]
            for a, b in edges:
                for inner, outer in ((a, b), (b, a)):
                    if inner not in inside or outer in inside or self.counted[outer]:
                        continue
                    both = self.deviation[inner] + self.actual[inner] - later[inner]
                    push = -0.5j * elapsed * h[outer, inner] * both
                    if self.counted[inner]:
                        self.twist[outer] += (push / later[outer]).imag
                    else:
                        self.push[outer] += push
            if last is not None:
                self.events += 1.0
                for c, change in zip(last, (1, -1)):
                    self.copies[c] += change * self.counted[c]
                    if self.counted[c] and c in inside:
                        self.actual[c] = math.sqrt(self.number(c, then)) * self.unit[c]
                    else:
                        self.gain[c] += change
                        self.late[c] += change
            x, time = later, then
            seam = [(a, b) for a in cluster for b in border if self.over[b] and h[a, b] != 0.0]
            for a in cluster:
                owed = 0.0
                if not self.counted[a] and time < span and abs(self.actual[a]) ** 2 <= 2.0 * self.limit:
                    way = self.mean(0.5 * (time + span))
                    owed = (span - time) * sum(current(way[a], h[a, b], way[b]) for c, b in seam if c == a)
                if not self.counted[a]:
                    here = self.actual[a]
                    words = self.settle(a, kicked(here, owed) if owed else here, words)
                    if not self.counted[a]:
                        self.actual[a] = here
                    elif owed:
                        self.late[a] = owed / (1.0 - time / span)
                        self.actual[a] = math.sqrt(self.number(a, time)) * self.unit[a]
                elif not seam and self.copies[a] > 1.5 * self.limit:
                    self.counted[a] = False
                self.deviation[a] = self.actual[a] - x[a]
                assert abs(self.deviation[a]) < FARTHEST, "leaps that are cut are left out"
        self.over[cluster] = True


def leap(hamiltonian, x, copies, length, few, limit, phase_step, random_state, number):
    """Amplitudes after one leap in which the labels ``few`` are so, and the copy events."""
    frame, events = Frame.of(hamiltonian), 0.0
    many = [a for a in range(len(x)) if a not in few and x[a] != 0.0]
    clusters = clusters_of(frame.h * (np.outer(x, x) != 0.0), few)
    for half in (0, 1):
        there = Half(frame, x, 0.5 * length, limit, phase_step)
        name = 2 * half + OF_CLUSTERS
        words = stream(random_state, len(clusters) + 1, number, 0, name)
        for a in sorted(few):
            if x[a] != 0.0:
                words = there.settle(a, x[a], words)
                there.deviation[a] = there.actual[a] - x[a]
        for c in range(len(clusters))[:: 1 - 2 * half]:
            cluster, edges, border = [a for a in clusters[c] if x[a] != 0.0], [], []
            for a in cluster:
                for b in np.flatnonzero(there.h[a]).tolist():
                    if b == a:
                        continue
                    if b not in cluster and b not in border:
                        border.append(b)
                    if not there.over[b] and (b not in cluster or a < b):
                        edges.append((min(a, b), max(a, b)))
            if cluster:
                there.carry(cluster, edges, border, stream(random_state, c + 1, number, 0, name))
        events += there.events
        end = there.mean(0.5 * length)
        for a in many:
            end[a] = kicked(end[a] + there.push[a], there.gain[a]) * np.exp(1j * there.twist[a])
        x = np.array([there.actual[a] if a in few and x[a] != 0.0 else end[a] for a in range(len(x))])
        if half == 0:
            words, gained = stream(random_state, 0, number, 0, OF_NOISE), np.zeros(len(x))
            for a in many:
                for b in many:
                    if a < b and there.h[a, b] != 0.0:
                        flow = length * current(x[a], there.h[a, b], x[b])
                        drawn, words = drawn_by(variates.next_poisson, words, abs(flow))
                        events += drawn
                        gained[a] += math.copysign(drawn, flow) - flow
                        gained[b] -= math.copysign(drawn, flow) - flow
            for a in many:
                x[a] = kicked(x[a], gained[a])
    x = x * np.exp(-1j * frame.centre * length)
    if many:
        counted = sum(abs(x[a]) ** 2 for a in range(len(x)) if a not in many)
        x[many] *= math.sqrt((copies - counted) / np.sum(np.abs(x[many]) ** 2))
    return x, events
