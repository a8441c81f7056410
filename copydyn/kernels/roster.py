"""Who is where: the copies as rows, and for each label the list of its members, all in O(1) per copy event.

A label's members stand in pages drawn from one pool, so that lists grow and shrink without
ever being moved: 4 bytes a copy, whatever the labels do. With rows of int32 beable, float64 phase and int32 position a
copy costs 20 bytes, plus at most one page a label.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from copydyn.kernels.compiled import kernel, likely
from copydyn.kernels.memory import own


class Roster(NamedTuple):
    """Rows of the copies and the member lists of the labels.

    beable : int32 (copy,), phase : float64 (copy,), rad; position : int32 (copy,), place in the list of its label;
    pool : int32 (page * page size,); directory : int32 (beable, page), the pages of a label in order;
    free : int32 (page,), a stack of unused pages with its height in level : int64 (1,); bits : int64 (1,), a page
    holds 2^bits members.
    """

    beable: np.ndarray
    phase: np.ndarray
    position: np.ndarray
    pool: np.ndarray
    directory: np.ndarray
    free: np.ndarray
    level: np.ndarray
    bits: np.ndarray


class EventLog(NamedTuple):
    """Copy events in order: time, who copied whom, from which label to which; ``used`` : int64 (1,) says how many."""

    time: np.ndarray
    copier: np.ndarray
    copied: np.ndarray
    lost: np.ndarray
    gained: np.ndarray
    used: np.ndarray


def roster_of(counts: np.ndarray, *, with_phases: bool) -> Roster:
    """Give rows to the copies, label after label; the phases are left at zero, or left out."""
    roster = _allocate(int(counts.sum()), counts.size)
    if not with_phases:
        roster = roster._replace(phase=np.zeros(0))
    roster.beable[:] = np.repeat(np.arange(counts.size, dtype=np.int32), counts)
    enlist(counts, roster)
    return roster


def event_log(capacity: int) -> EventLog:
    """Allocate a log of ``capacity`` events."""
    copier, copied, lost, gained = np.zeros((4, capacity), np.int32)
    return EventLog(np.zeros(capacity), copier, copied, lost, gained, np.zeros(1, np.int64))


def _allocate(copies: int, labels: int) -> Roster:
    # pages near sqrt(copies) balance the half-empty last page of each label against the length of its directory
    bits = max(4, int(copies).bit_length() // 2)
    page = 1 << bits
    pages = copies // page + labels + 1
    rows = np.zeros(copies, np.int32)
    return Roster(
        beable=rows,
        phase=np.zeros(copies),
        position=rows.copy(),
        pool=np.zeros(pages * page, np.int32),
        directory=np.zeros((labels, copies // page + 1), np.int32),
        free=np.arange(pages, dtype=np.int32)[::-1].copy(),
        level=own(np.array([pages])),
        bits=own(np.array([bits])),
    )


@kernel
def enlist(counts, roster):
    """Fill the member lists from the rows; on return ``counts`` holds the length of each list."""
    counts[:] = 0
    for copy in range(roster.beable.size):
        _append(copy, roster.beable[copy], counts, roster)


@kernel
def member(label, rank, roster):
    """Tell which copy stands at ``rank`` in the list of ``label``."""
    return roster.pool[_slot(label, rank, roster)]


@kernel
def move(copy, label, counts, roster):
    """Take ``copy`` from the list it is in, and append it to that of ``label``."""
    hand_over(roster.beable[copy], roster.position[copy], label, counts, roster)


@kernel
def hand_over(leaves, rank, label, counts, roster):
    """Take the copy at ``rank`` of one list, fill the gap with the last of that list, and append it to another list."""
    last = counts[leaves] - 1
    gap, end = _slot(leaves, rank, roster), _slot(leaves, last, roster)
    copy, filler = roster.pool[gap], roster.pool[end]
    roster.pool[gap] = filler
    roster.position[filler] = rank
    bits = roster.bits[0]
    if not likely(last & ((1 << bits) - 1) != 0):
        roster.free[roster.level[0]] = roster.directory[leaves, last >> bits]
        roster.level[0] += 1
    counts[leaves] = last
    roster.beable[copy] = label
    _append(copy, label, counts, roster)


@kernel
def _append(copy, label, counts, roster):
    rank = counts[label]
    bits = roster.bits[0]
    if not likely(rank & ((1 << bits) - 1) != 0):
        roster.level[0] -= 1
        roster.directory[label, rank >> bits] = roster.free[roster.level[0]]
    roster.pool[_slot(label, rank, roster)] = copy
    roster.position[copy] = rank
    counts[label] = rank + 1


@kernel
def _slot(label, rank, roster):
    bits = roster.bits[0]
    return (int(roster.directory[label, rank >> bits]) << bits) + (rank & ((1 << bits) - 1))
