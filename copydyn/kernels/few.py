"""Labels with few copies within a leap: copy by copy where they are few, in short steps where they come and go.

A leap lets the amplitudes x_a = sqrt(n_a) exp(-i phi_a) flow as if there were infinitely many copies, and adds the
noise of the copy events. That is no way to treat a label whose copies can be counted on the fingers, or that passes so
close to its node that its amplitude changes by much of itself. Such labels, in clusters where they are neighbours, are
taken out of the leap and carried through it in steps of their own, amid neighbours that do what the leap says:

- *counted*: a label with few copies is the process per label itself: events one by one, phases of second order.
- *flowing*: with more copies it keeps to the mean flow, plus a deviation that the events of short steps add up.

What a cluster gives and takes beyond the mean, and how its deviation acts on its neighbours to first order, is handed
over at the end. A cluster that has left the mean flow too far, as an extinct label does, asks for the leap to be cut.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from copydyn.kernels.compiled import kernel
from copydyn.kernels.flow import sine_after, slack, turned
from copydyn.kernels.mean_flow import slope_at, value_at
from copydyn.kernels.memory import zeros
from copydyn.kernels.variates import fill_alias, next_cell, next_exponential, next_poisson, next_uniform

DEAD, MANY, FEW, SWIFT = range(4)
"""Kinds of labels: without copies; carried by the leap; carried here; carried by the leap, with noise as in `swift`."""

FLOWING = -1
"""In the place of a number of copies: the label keeps to the mean flow."""

HYSTERESIS = 1.5
"""A counted label flows again when it has so many times more copies than those from which on it is counted."""

FARTHEST = 100.0
"""Deviation from the mean flow, in roots of copies, at which a leap is cut. Its neighbours have then felt it to first
order; what is left out is by the square of the angle of the leap smaller."""

MOST = 16
"""Labels that a cluster takes: each step looks at all of them."""

FLOWING_STEP = 0.15
"""Largest relative change of a flowing amplitude in a step."""

FLOWING_NOISE = 0.05
"""Largest relative spread of a flowing label's number of copies by the events of a step."""

DONE, CUT, STUCK = range(3)


_LABEL = np.dtype(
    [(name, np.complex128) for name in ("outcome", "actual", "push", "unit", "deviation", "drift", "field")]
    + [(name, np.float64) for name in ("gain", "twist", "growth", "strength", "turning", "traffic", "late", "shift")]
    + [(name, np.int64) for name in ("copies", "done", "mark", "seen", "lowest", "highest")]
)

_EDGE = np.dtype([(name, np.float64) for name in ("sine", "cosine", "detuning", "net")])


class Few(NamedTuple):
    """Scratch of clusters.

    Records of ``label``: ``outcome`` is the amplitude of a few label when its steps are done, ``actual`` that at
    present, of neighbours as well; ``copies`` what is counted, or `FLOWING`. For the neighbours, added up over all
    clusters: ``gain``, copies beyond the mean; ``push`` of their amplitudes; ``twist``, radians of their phases.

    Clusters that touch are carried one after the other, so that ``copies`` holds at once what a cluster that was
    carried before has given in the whole stretch, ``late`` of them, and of a cluster whose turn has not come it lacks
    what happens within that. With ``shift`` it is the number at the present moment; ``done`` says whose turn is over.

    ``roll`` and ``first`` list all clusters; ``order``, ``border``, ``edges`` and ``fields`` the labels, neighbours and
    edges of one, which records of ``edge`` follow, as ``bound`` and the alias table do. ``mean``, ``middle`` and
    ``later`` are the mean flow at the beginning, in the middle and at the end of a step.

    Records, since each array that a kernel is given takes its time to be compiled.
    """

    label: np.ndarray
    edge: np.ndarray
    mean: np.ndarray
    middle: np.ndarray
    later: np.ndarray
    roll: np.ndarray
    first: np.ndarray
    order: np.ndarray
    border: np.ndarray
    edges: np.ndarray
    fields: np.ndarray
    bound: np.ndarray
    threshold: np.ndarray
    alias: np.ndarray
    stack: np.ndarray


def few_scratch(labels: int, edges: int) -> Few:
    """Allocate it."""
    return Few(
        np.zeros(labels, _LABEL).view(np.recarray),
        np.zeros(edges, _EDGE).view(np.recarray),
        *(zeros(labels, np.complex128) for _ in range(3)),
        *(zeros(size, np.int64) for size in (labels, labels + 1, labels, labels, edges, edges)),
        *(zeros(edges) for _ in range(2)),
        *(zeros(edges, np.uint32) for _ in range(2)),
    )


@kernel
def form_clusters(kind, pulse, stars, few):
    """Join few labels that are neighbours to clusters of at most `MOST`; return how many there are.

    Cluster c > 0 has the labels ``few.roll[few.first[c - 1]:few.first[c]]``, whose ``few.mark`` is c.
    """
    begin, other = stars.first[pulse], stars.other
    for a in range(kind.size):
        few.label[a].mark = 0
    clusters, listed = 0, 0
    few.first[0] = 0
    for seed in range(kind.size):
        if kind[seed] != FEW or few.label[seed].mark > 0:
            continue
        clusters += 1
        start, done = listed, listed
        few.roll[listed], few.label[seed].mark = seed, clusters
        listed += 1
        while done < listed:
            a = few.roll[done]
            done += 1
            for place in range(begin[a], begin[a + 1]):
                b = other[place]
                if kind[b] == FEW and few.label[b].mark == 0 and listed < start + MOST:
                    few.label[b].mark = clusters
                    few.roll[listed] = b
                    listed += 1
        few.first[clusters] = listed
    return clusters


@kernel
def gather(cluster, turn, kind, pulse, stars, few):
    """Write a cluster into ``few``: its labels, its neighbours, and their edges.

    On an edge between two clusters the one that is carried first moves the copies; the other one only feels the field.

    Parameters
    ----------
    turn : int
        1 if clusters are carried by rising numbers, -1 if by falling ones.

    Returns
    -------
    (labels, neighbours, edges, fields)
        How many of each there are; ``fields`` are edges on which the copies have been moved already.
    """
    begin, other = stars.first[pulse], stars.other
    labels, border, edges, fields = 0, 0, 0, 0
    for listed in range(few.first[cluster - 1], few.first[cluster]):
        a = few.roll[listed]
        if kind[a] == DEAD:  # since the first half of the leap
            continue
        few.order[labels] = a
        labels += 1
        for place in range(begin[a], begin[a + 1]):
            b = other[place]
            if kind[b] == DEAD:
                continue
            mark = few.label[b].mark if kind[b] == FEW else 0
            if mark == cluster:
                if a < b:
                    few.edges[edges] = stars.edge[place]
                    edges += 1
                continue
            if few.label[b].seen != cluster:
                few.label[b].seen = cluster
                few.border[border] = b
                border += 1
            if mark > 0 and (cluster - mark) * turn > 0:
                few.fields[fields] = stars.edge[place]
                fields += 1
            else:
                few.edges[edges] = stars.edge[place]
                edges += 1
    return labels, border, edges, fields


@kernel
def settle(label, amplitude, limit, words, few):
    """Let a label begin here: counted, in whole copies, if it has at most ``limit`` of them, and flowing otherwise."""
    copies = amplitude.real * amplitude.real + amplitude.imag * amplitude.imag
    few.label[label].actual, few.label[label].copies, few.label[label].deviation = amplitude, FLOWING, 0.0
    few.label[label].late, few.label[label].shift = 0.0, 0.0
    if copies > limit:
        return words
    whole = math.floor(copies + 0.5)
    if abs(copies - whole) > 1e-6:  # so far it was carried in parts of copies
        share, words = next_uniform(words)
        whole = math.floor(copies + share)
    few.label[label].copies = int(whole)
    few.label[label].unit = amplitude / math.sqrt(copies) if copies > 0.0 else 1.0
    few.label[label].actual = math.sqrt(whole) * few.label[label].unit
    few.label[label].deviation = few.label[label].actual - amplitude
    return words


@kernel
def carry(cluster, size, edges_of, length, until, orders, terms, diagonal, limit, step, words, few):
    """Carry the cluster in ``few`` from the beginning of a stretch of the mean flow to the time ``until``.

    Parameters
    ----------
    cluster, size : int, (int, int, int, int)
        As for and from `gather`.
    edges_of : (a, b, h)
        All edges of the pulse.
    length : float
        Of the stretch over which ``terms`` are expanded to ``orders``. Steps are chosen without looking at ``until``: a
        cluster that is carried once more, to an earlier time and with the same ``words``, goes the same way.
    diagonal : float64 (beable,)
        omega_a in the frame of the terms.
    limit : int
        Copies up to which a label is counted.
    step : float
        Largest relative change of a counted label's amplitude within a step of its phases.

    Returns
    -------
    (status, time, events, words)
        `DONE` at ``until``; `CUT` where the cluster asks for the leap to end; `STUCK`: the clock cannot tell a step.
    """
    labels, border, edges, fields = size
    now, events = 0.0, 0.0
    _look(size, 0.0, orders, terms, few.mean, few)
    for i in range(labels):
        _take_up(few.order[i], few)
    while now < until:
        for i in range(border):
            b = few.border[i]
            _stand(b, few.mean, now / until, few)
            _motion(b, few.mean[b], slope_at(terms, orders, b, now / length) / length, few)
        _fields(size, edges_of, few)
        for i in range(labels):
            a = few.order[i]
            _motion(a, few.label[a].actual, -1j * (diagonal[a] * few.label[a].actual + few.label[a].field), few)
        wanted = min(_longest(size, edges_of, step, few), length)
        rest = until - now
        if wanted < rest and until + wanted == until:
            return STUCK, now, events, words
        _shift_to_middle(size, wanted, (now + 0.5 * wanted) / until, few)
        total = _begin_step(size, edges_of, wanted, few)
        happened, elapsed, edge, words = _let_happen(edges, edges_of, min(wanted, rest), total, words, few)
        then = until if elapsed >= rest else now + elapsed
        _look(size, (now + 0.5 * elapsed) / length, orders, terms, few.middle, few)
        _look(size, then / length, orders, terms, few.later, few)
        flowed, words = _exchange(edges, edges_of, cluster, elapsed, words, few)
        _finish_step(size, edges_of, cluster, elapsed, then / until, diagonal, few)
        if edge >= 0:  # it happens at the very end of the step, which has known the old counts
            _move(edge, edges_of, cluster, few)
            happened += 1.0
        now = then
        events += happened + flowed
        far = False
        for i in range(border):
            few.mean[few.border[i]] = few.later[few.border[i]]
        for i in range(labels):
            a = few.order[i]
            few.mean[a] = few.later[a]
            owed = 0.0
            if fields > 0 and now < until and _may_become_few(a, limit, few):
                owed = _to_come(a, size, edges_of, 0.5 * (now + until) / length, until - now, orders, terms, few)
            words = _resettle(a, limit, fields, owed, now / until, words, few)
            few.label[a].deviation = few.label[a].actual - few.mean[a]
            far |= abs(few.label[a].deviation) > FARTHEST
        if far and now < until:
            return CUT, now, events, words
    for i in range(labels):
        few.label[few.order[i]].outcome = few.label[few.order[i]].actual
        few.label[few.order[i]].done = 1
    return DONE, now, events, words


@kernel
def _take_up(label, few):
    """Begin with what clusters that were carried before have left of a label."""
    if few.label[label].copies >= 0:
        few.label[label].shift = -few.label[label].late
        few.label[label].actual = math.sqrt(_number(label, few)) * few.label[label].unit
    else:
        few.label[label].actual = kicked(few.mean[label] + few.label[label].push, few.label[label].gain)
    few.label[label].gain, few.label[label].push = 0.0, 0.0
    few.label[label].deviation = few.label[label].actual - few.mean[label]


@kernel
def _look(size, share, orders, terms, out, few):
    """Write the mean flow of the cluster's labels and neighbours at the ``share`` of the stretch into ``out``."""
    for i in range(size[0]):
        out[few.order[i]] = value_at(terms, orders, few.order[i], share)
    for i in range(size[1]):
        out[few.border[i]] = value_at(terms, orders, few.border[i], share)


@kernel
def _motion(label, amplitude, velocity, few):
    """Tell how fast an amplitude grows, relative to its modulus, and how fast its phase turns."""
    square = amplitude.real * amplitude.real + amplitude.imag * amplitude.imag
    ratio = amplitude.conjugate() * velocity / square if square > 0.0 else 0.0j
    few.label[label].growth, few.label[label].turning = ratio.real, -ratio.imag


@kernel
def _fields(size, edges_of, few):
    """A_a = sum_b h_ab x_b of the cluster's labels, and the square that it would have without interference."""
    for i in range(size[0]):
        few.label[few.order[i]].field = 0.0
        few.label[few.order[i]].strength = 0.0
    for i in range(size[2]):
        _add_fields(few.edges[i], edges_of, few)
    for i in range(size[3]):
        _add_fields(few.fields[i], edges_of, few)


@kernel
def _add_fields(edge, edges_of, few):
    """Let the ends of an edge feel each other; what neighbours of the cluster feel is never looked at."""
    a, b, h = edges_of[0][edge], edges_of[1][edge], edges_of[2][edge]
    x_a, x_b = few.label[a].actual, few.label[b].actual
    square = h.real * h.real + h.imag * h.imag
    few.label[a].field += h * x_b
    few.label[b].field += h.conjugate() * x_a
    few.label[a].strength += square * (x_b.real * x_b.real + x_b.imag * x_b.imag)
    few.label[b].strength += square * (x_a.real * x_a.real + x_a.imag * x_a.imag)


@kernel
def _counted(label, few):
    """Tell whether the copies of a label are counted one by one."""
    return few.label[label].copies >= 0


@kernel
def _whole(label, cluster, few):
    """Tell whether they are so by the cluster itself, which then knows all that happens to them."""
    return few.label[label].copies >= 0 and few.label[label].mark == cluster


@kernel
def _number(label, few):
    """Copies of a counted label at the present moment: at least one, if there is one that may be lost."""
    return _with_shift(few.label[label].copies, label, few)


@kernel
def _with_shift(copies, label, few):
    return max(copies + few.label[label].shift, 1.0) if copies > 0 else 0.0


@kernel
def _shift_to_middle(size, length, share, few):
    """Bring the numbers of copies from the beginning of a step to its middle, at the ``share`` of the way.

    What a label has been given by clusters that were carried before comes evenly; the neighbours that are counted in
    clusters whose turn has not come grow with the mean flow.
    """
    for i in range(size[0]):
        a = few.order[i]
        few.label[a].shift = few.label[a].late * (share - 1.0)
    for i in range(size[1]):
        b = few.border[i]
        if _counted(b, few):
            x, growth = few.mean[b], 0.5 * length * few.label[b].growth
            few.label[b].shift += (x.real * x.real + x.imag * x.imag) * growth * (2.0 + growth)


@kernel
def _longest(size, edges_of, step, few):
    """Length of the next step: no amplitude and no phase between two labels may change by much."""
    edge_a, edge_b, _ = edges_of
    fastest = 0.0
    for i in range(size[0]):
        a = few.order[i]
        field = few.label[a].field
        coherent = field.real * field.real + field.imag * field.imag
        if few.label[a].copies > 0:
            n = _number(a, few)
            # the coherent field may vanish for a moment; the incoherent sum tells how fast it comes back
            fastest = max(fastest, math.sqrt((coherent + few.label[a].strength) / n) / step)
        elif few.label[a].copies == 0:  # where the mean flow has left an extinct label behind, the leap will be cut
            fastest = max(fastest, math.sqrt(coherent) / FARTHEST)
        else:
            modulus = abs(few.label[a].actual)
            spread = 4.0 * math.sqrt(few.label[a].strength) / (FLOWING_NOISE * FLOWING_NOISE * modulus * modulus)
            fastest = max(fastest, max(math.sqrt(coherent) / FLOWING_STEP, spread) / modulus)
    for i in range(size[2]):
        a, b = edge_a[few.edges[i]], edge_b[few.edges[i]]
        if (_counted(a, few) and few.label[a].copies > 0) or (_counted(b, few) and few.label[b].copies > 0):
            fastest = max(fastest, abs(few.label[a].turning - few.label[b].turning) / (4.0 * step))
    return 1.0 / fastest if fastest > 0.0 else math.inf


@kernel
def _begin_step(size, edges_of, length, few):
    """Bound the rates of the edges with a counted end for a step of ``length``; return the sum of the bounds."""
    edge_a, edge_b, h = edges_of
    for i in range(size[0]):
        few.label[few.order[i]].traffic = 0.0
    for i in range(size[1]):
        few.label[few.border[i]].traffic = 0.0
    for i in range(size[2]):
        edge = few.edges[i]
        a, b = edge_a[edge], edge_b[edge]
        few.bound[i], few.edge[i].net = 0.0, 0.0
        if not (_counted(a, few) or _counted(b, few)):
            continue
        pairs = _copies(a, few) * _copies(b, few)
        if pairs == 0.0:
            continue
        turn = 2.0 * (_lever(a, length, few).conjugate() * h[edge] * _lever(b, length, few))
        few.edge[i].sine, few.edge[i].cosine = turn.imag, turn.real
        few.edge[i].detuning = few.label[a].turning - few.label[b].turning
        size_of = math.hypot(turn.real, turn.imag)
        few.bound[i] = min(abs(turn.imag) + abs(few.edge[i].detuning) * length * size_of, size_of)
        flow = few.bound[i] * math.sqrt(pairs) * length
        few.label[a].traffic += flow
        few.label[b].traffic += flow
    for i in range(size[0]):
        _limit(few.order[i], few)
    for i in range(size[1]):
        _limit(few.border[i], few)
    for i in range(size[2]):
        if few.bound[i] > 0.0:
            a, b = edge_a[few.edges[i]], edge_b[few.edges[i]]
            pairs = 1.0
            if _counted(a, few):
                pairs *= _with_shift(few.label[a].highest, a, few)
            if _counted(b, few):
                pairs *= _with_shift(few.label[b].highest, b, few)
            few.bound[i] *= math.sqrt(pairs)
    return fill_alias(few.bound, size[2], few.threshold, few.alias, few.stack)


@kernel
def _limit(label, few):
    """Between which counts the bounds of the step shall hold."""
    room = slack(few.label[label].copies, few.label[label].traffic)
    few.label[label].lowest, few.label[label].highest = few.label[label].copies - room, few.label[label].copies + room


@kernel
def _copies(label, few):
    """N of a counted label; one for the others, whose `_lever` has it."""
    return _number(label, few) if few.label[label].copies >= 0 else 1.0


@kernel
def _lever(label, length, few):
    """exp(-i phi) of a counted label; of the others the amplitude, with its modulus in the middle of the step."""
    amplitude = few.label[label].actual
    if few.label[label].copies >= 0:
        return amplitude / abs(amplitude)
    return amplitude * (1.0 + 0.5 * length * few.label[label].growth)


@kernel
def _let_happen(edges, edges_of, length, total, words, few):
    """Draw the copy events of counted labels one by one, by thinning, as `per_label.advance` does.

    Returns
    -------
    (events, elapsed, edge, words)
        ``edge`` is the place of an event that leaves the limits of the bounds and ends the step there, or -1; of it
        ``few.sine`` keeps the sign.
    """
    edge_a, edge_b, _ = edges_of
    happened, elapsed = 0.0, 0.0
    while total > 0.0:
        wait, words = next_exponential(words)
        elapsed += wait / total
        if elapsed >= length:
            break
        i, words = next_cell(words, edges, few.threshold, few.alias)
        a, b = edge_a[few.edges[i]], edge_b[few.edges[i]]
        sine = sine_after(few.edge[i].sine, few.edge[i].cosine, few.edge[i].detuning * elapsed)
        share, words = next_uniform(words)
        mark = share * few.bound[i]
        if mark * mark >= _copies(a, few) * _copies(b, few) * sine * sine:
            continue
        gains, loses = (a, b) if sine > 0.0 else (b, a)
        over = _counted(gains, few) and few.label[gains].copies >= few.label[gains].highest
        under = _counted(loses, few) and few.label[loses].copies <= few.label[loses].lowest
        if over or under:
            few.edge[i].sine = sine
            return happened, elapsed, int(i), words
        happened += 1.0
        few.edge[i].net += 1.0 if sine > 0.0 else -1.0
        if _counted(gains, few):
            few.label[gains].copies += 1
        if _counted(loses, few):
            few.label[loses].copies -= 1
    return happened, length, -1, words


@kernel
def _move(i, edges_of, cluster, few):
    """Let the event happen that has ended the step."""
    a, b = edges_of[0][few.edges[i]], edges_of[1][few.edges[i]]
    gains, loses = (a, b) if few.edge[i].sine > 0.0 else (b, a)
    for label, change in ((gains, 1), (loses, -1)):
        if few.label[label].copies >= 0:
            few.label[label].copies += change
        if _whole(label, cluster, few):
            few.label[label].actual = math.sqrt(_number(label, few)) * few.label[label].unit
        else:
            few.label[label].gain += change
            few.label[label].late += change


@kernel
def _exchange(edges, edges_of, cluster, elapsed, words, few):
    """Give the labels that the cluster does not count what they gain beyond the mean flow; return how many copies moved
    by it.

    Against a counted label that is what has happened less what flowed in the mean (Simpson's rule). Between others it
    is the noise of so many events as flow in the middle of the step.
    """
    edge_a, edge_b, h = edges_of
    moved = 0.0
    for i in range(edges):
        edge = few.edges[i]
        a, b = edge_a[edge], edge_b[edge]
        whole_a, whole_b = _whole(a, cluster, few), _whole(b, cluster, few)
        if whole_a and whole_b:
            continue
        if _counted(a, few) or _counted(b, few):
            flow = _current(few.mean[a], h[edge], few.mean[b]) + 4.0 * _current(few.middle[a], h[edge], few.middle[b])
            flow += _current(few.later[a], h[edge], few.later[b])
            excess = few.edge[i].net - flow * elapsed / 6.0
        else:
            x_a, x_b = few.middle[a] + few.label[a].deviation, few.middle[b] + few.label[b].deviation
            flow = _current(x_a, h[edge], x_b) * elapsed
            drawn, words = next_poisson(words, abs(flow))
            moved += drawn
            excess = math.copysign(drawn, flow) - flow
        if not whole_a:
            few.label[a].gain += excess
            few.label[a].late += few.edge[i].net
        if not whole_b:
            few.label[b].gain -= excess
            few.label[b].late -= few.edge[i].net
    return moved, words


@kernel
def _current(x_a, h, x_b):
    """Copies a unit of time that a gains from b."""
    return 2.0 * (x_a.conjugate() * h * x_b).imag


@kernel
def _finish_step(size, edges_of, cluster, elapsed, share, diagonal, few):
    """Bring all amplitudes of the cluster to the end of the step, and push its neighbours by what it deviates."""
    labels = size[0]
    _drifts(size, edges_of, cluster, diagonal, few)
    for i in range(labels):
        a = few.order[i]
        if few.label[a].copies >= 0:
            few.label[a].shift = few.label[a].late * (share - 1.0)
            few.label[a].unit = turned(few.label[a].unit, few.label[a].turning * elapsed)
            few.label[a].actual = math.sqrt(_number(a, few)) * few.label[a].unit
        else:
            few.label[a].actual = few.later[a] + _kicked_deviation(a, elapsed, few)
    for i in range(size[1]):
        _stand(few.border[i], few.later, share, few)
    _fields(size, edges_of, few)
    for i in range(labels):
        a = few.order[i]
        if few.label[a].copies > 0:
            field, unit, root = few.label[a].field, few.label[a].unit, math.sqrt(_number(a, few))
            along = unit.real * field.real + unit.imag * field.imag
            after = diagonal[a] + along / root
            few.label[a].unit = turned(unit, 0.5 * (after - few.label[a].turning) * elapsed)
            few.label[a].actual = root * few.label[a].unit
    _push(size[2], edges_of, cluster, elapsed, few)


@kernel
def _stand(label, mean, share, few):
    """Let a neighbour of the cluster do what the mean flow says, and what is known of how it deviates.

    In a cluster whose turn is over it deviates little by little, at the ``share`` of the way by so much of what it does
    at the end. In one whose turn has not come it does by what this cluster has given to it.
    """
    x = mean[label]
    if few.label[label].done == 1:
        few.label[label].actual = x + share * few.label[label].deviation
        return
    x += few.label[label].deviation
    few.label[label].actual = x
    if few.label[label].copies >= 0:
        square = x.real * x.real + x.imag * x.imag
        few.label[label].shift = square + few.label[label].gain - few.label[label].copies
        few.label[label].actual = math.sqrt(_number(label, few)) * (x / abs(x) if x != 0.0 else few.label[label].unit)


@kernel
def _drifts(size, edges_of, cluster, diagonal, few):
    """-i (h d)_a within the cluster: how the deviations d from the mean flow change."""
    edge_a, edge_b, h = edges_of
    for i in range(size[0]):
        a = few.order[i]
        few.label[a].drift = -1j * diagonal[a] * few.label[a].deviation
    for i in range(size[2]):
        edge = few.edges[i]
        a, b = edge_a[edge], edge_b[edge]
        if few.label[a].mark == cluster and few.label[b].mark == cluster:
            few.label[a].drift += -1j * h[edge] * few.label[b].deviation
            few.label[b].drift += -1j * h[edge].conjugate() * few.label[a].deviation


@kernel
def _kicked_deviation(label, elapsed, few):
    """Deviation of a flowing label at the end of the step: the kick is along the amplitude of its middle."""
    before = few.middle[label] + few.label[label].deviation
    gained, few.label[label].gain = few.label[label].gain, 0.0
    return few.label[label].deviation + few.label[label].drift * elapsed + kicked(before, gained) - before


@kernel
def kicked(amplitude, copies):
    """Change the number of copies, |amplitude|^2, and not the phase; never below a quarter."""
    n = amplitude.real * amplitude.real + amplitude.imag * amplitude.imag
    return amplitude * math.sqrt(max(1.0 + copies / n, 0.25)) if n > 0.0 else amplitude


@kernel
def _push(edges, edges_of, cluster, elapsed, few):
    """Push the neighbours by -i h_ba d_a, with d_a the deviation in the mean of both ends of the step.

    What a counted label gives them in copies is known already, so that it turns their phases only.
    """
    edge_a, edge_b, h = edges_of
    for i in range(edges):
        edge = few.edges[i]
        a, b, coupling = edge_a[edge], edge_b[edge], h[edge].conjugate()
        if few.label[a].mark != cluster:
            a, b, coupling = b, a, h[edge]
        if few.label[b].mark == cluster or few.label[b].copies >= 0:
            continue
        push = -0.5j * elapsed * coupling * (few.label[a].deviation + few.label[a].actual - few.later[a])
        if few.label[a].copies < 0:
            few.label[b].push += push
        else:
            x = few.later[b]
            few.label[b].twist += (x.conjugate() * push).imag / (x.real * x.real + x.imag * x.imag)


@kernel
def _may_become_few(label, limit, few):
    """Tell whether a flowing label is near to being counted."""
    x = few.label[label].actual
    return few.label[label].copies < 0 and x.real * x.real + x.imag * x.imag <= 2.0 * limit


@kernel
def _to_come(label, size, edges_of, share, rest, orders, terms, few):
    """Copies that a label gains in the mean on edges where they have been moved already: its current at the ``share``
    of the stretch, in the middle of the ``rest`` of the way.
    """
    gained, here = 0.0, value_at(terms, orders, label, share)
    for i in range(size[3]):
        a, b, h = edges_of[0][few.fields[i]], edges_of[1][few.fields[i]], edges_of[2][few.fields[i]]
        if a == label:
            gained += _current(here, h, value_at(terms, orders, b, share))
        elif b == label:
            gained += _current(here, h.conjugate(), value_at(terms, orders, a, share))
    return gained * rest


@kernel
def _resettle(label, limit, fields, owed, share, words, few):
    """Count a flowing label that has become few, and let a counted one flow that has become many.

    The mean flow of a flowing label, unlike what is counted, has in it what clusters carried before have moved. So a
    label that becomes counted is ``owed`` the rest of that, which comes evenly from the ``share`` of the way on, and
    none that such clusters touch ceases to be counted.
    """
    if few.label[label].copies < 0:
        x = few.label[label].actual
        words = settle(label, kicked(x, owed) if owed != 0.0 else x, limit, words, few)
        if few.label[label].copies < 0:
            few.label[label].actual = x
        elif owed != 0.0:
            few.label[label].late, few.label[label].shift = owed / (1.0 - share), -owed
            few.label[label].actual = math.sqrt(_number(label, few)) * few.label[label].unit
    elif fields == 0 and few.label[label].copies > HYSTERESIS * limit:
        few.label[label].copies = FLOWING
    return words
