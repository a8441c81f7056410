"""Composite systems: parts with Hamiltonians of their own, and what couples them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from copydyn.experiment import Part, System
from copydyn.experiment.inputs import LARGEST_SYSTEM, Matrix, as_hermitian, as_real, as_reals, shown
from copydyn.refusal import BadType, BadValue
from copydyn.systems.few_level import as_complex
from copydyn.systems.spins import PAULI

ROUNDING = 1e-12
"""Changes of two parts that are closer than this, relative to the whole duration, are taken for one."""

Rows = Sequence[Sequence[complex]]
"""A matrix in a scenario: a list of its rows."""


def composite(
    parts: Mapping[str, Any],
    interaction: Any = None,
    *,
    hbar: float = 1.0,
    meaning: str = "joint label",
    name: str = "composite",
) -> System:
    """H = sum_k 1 x ... x H_k x ... x 1 + V on the joint labels (a_A, a_B, ...), the last part running fastest.

    Parameters
    ----------
    parts : mapping of str to System, or to whatever System takes for a Hamiltonian
        Each part's name and H_k. Where one has pulses, every change of any part's Hamiltonian begins a new joint pulse,
        and the whole lasts as long as the part that ends first.
    interaction : (P, P) array or sparse matrix, optional
        V, P being the product of the parts' sizes; it holds at all times.
    hbar, meaning, name
        As for System.

    Returns
    -------
    System
        Sparse, with ``parts`` named.

    Raises
    ------
    BadType, BadValue
        If the parts are no mapping of names to Hamiltonians, a part's own hbar differs, or V has another shape.

    Examples
    --------
    >>> x = [[0, 1], [1, 0]]
    >>> pair = composite({"A": x, "B": [[0, 0], [0, 0]]}, 0.1 * np.kron(x, x))
    >>> pair.labels
    ('(0,0)', '(0,1)', '(1,0)', '(1,1)')
    """
    if not isinstance(parts, Mapping) or not parts:
        raise BadType("parts must be a mapping of names to Hamiltonians, such as {'A': h_a, 'B': h_b}.")
    systems = [_as_system(part, f"part '{title}'", hbar) for title, part in parts.items()]
    sizes = [system.size for system in systems]
    total = math.prod(sizes)
    if total > LARGEST_SYSTEM:
        raise BadValue(f"parts must have at most {LARGEST_SYSTEM} joint labels, but have {total}; take fewer parts.")
    coupling = None if interaction is None else as_hermitian(interaction, "interaction")
    if coupling is not None and coupling.shape[0] != total:
        raise BadValue(
            f"interaction must act on the {' x '.join(map(str, sizes))} = {total} joint labels, but has shape "
            f"{coupling.shape}."
        )
    train = []
    for duration, hamiltonians in _together(systems):
        joint = sparse.csr_array((total, total), dtype=complex) if coupling is None else sparse.csr_array(coupling)
        for place, h in enumerate(hamiltonians):
            before, after = math.prod(sizes[:place]), math.prod(sizes[place + 1 :])
            joint = joint + sparse.kron(sparse.eye_array(before), sparse.kron(h, sparse.eye_array(after)), "csr")
        train.append((duration, sparse.csr_array(joint)))
    named = [Part(str(title), tuple(system.labels)) for title, system in zip(parts, systems)]
    hamiltonian = train[0][1] if math.isinf(train[0][0]) else train
    return System(hamiltonian, meaning=meaning, hbar=hbar, name=name, parts=named)


def from_rows(
    names: Sequence[str] = ("A", "B"),
    hamiltonians: Sequence[Rows] = (((0.5, 0.3), (0.3, -0.5)), ((0.2, 0.4), (0.4, -0.2))),
    interaction: Rows | None = None,
    hbar: float = 1.0,
) -> System:
    """Make a `composite` of matrices written out.

    Parameters
    ----------
    names : sequence of str
        One for each part.
    hamiltonians : sequence of matrices
        H_k, each a list of rows.
    interaction : matrix, optional
        V on the joint labels.
    """
    if isinstance(names, str) or len(names) != len(hamiltonians) or len(set(names)) != len(names):
        raise BadValue(
            f"names must give each of the {len(hamiltonians)} parts a name of its own, but are {shown(names)}."
        )
    return composite(dict(zip(names, hamiltonians)), interaction, hbar=hbar)


def coupled_qubits(
    splittings: tuple[float, float] = (0.4, -0.3),
    drives: tuple[complex, complex] = (0.5, 0.3),
    couplings: tuple[float, float, float] = (0.2, 0.2, 0.3),
    hbar: float = 1.0,
) -> System:
    """H = sum_k ((e_k/2) sigma_z,k + g_k |0><1|_k + h.c.) + sum_i J_i sigma_i,A sigma_i,B, i = x, y, z.

    The labels are "(0,0)", "(0,1)", "(1,0)", "(1,1)", and the parts A and B.

    Parameters
    ----------
    splittings : (float, float), energy
        e_A, e_B.
    drives : (complex, complex), energy
        g_A, g_B.
    couplings : (float, float, float), energy
        J_x, J_y, J_z; (J, J, 0) exchanges the two, (0, 0, J) shifts their phases.
    """
    e, j = as_reals(splittings, "splittings"), as_reals(couplings, "couplings")
    for values, size, title in ((e, 2, "splittings"), (j, 3, "couplings")):
        if values.shape != (size,):
            raise BadValue(f"{title} must be {size} numbers, but have shape {values.shape}.")
    if not isinstance(drives, (tuple, list, np.ndarray)) or len(drives) != 2:
        raise BadValue(f"drives must be 2 numbers, g_A and g_B, but are {shown(drives)}.")
    g = [as_complex(drive, "drives") for drive in drives]
    own = [np.array([[0.5 * e[k], g[k]], [g[k].conjugate(), -0.5 * e[k]]]) for k in (0, 1)]
    interaction = sum(strength * sparse.kron(PAULI[axis], PAULI[axis]) for strength, axis in zip(j, "xyz"))
    return composite(
        {"A": own[0], "B": own[1]},
        sparse.csr_array(interaction),
        hbar=hbar,
        meaning="joint level",
        name="coupled-qubits",
    )


def _as_system(part: Any, title: str, hbar: float) -> System:
    unit = as_real(hbar, "hbar", positive=True)
    if not isinstance(part, System):
        try:
            return System(part, hbar=unit)
        except (BadType, BadValue) as fault:
            raise type(fault)(f"{title}: {fault}") from None
    if part.hbar != unit:
        raise BadValue(f"{title} must have hbar = {unit:g} like the whole, but has {part.hbar:g}.")
    return part


def _together(systems: Sequence[System]) -> list[tuple[float, list[Matrix]]]:
    """Cut the trains of all parts at every change of any: pulses of (duration, H of each part)."""
    ends = [np.cumsum([pulse.duration for pulse in system.pulses]) for system in systems]
    length = min(float(end[-1]) for end in ends)
    if math.isinf(length):
        return [(length, [system.pulses[0].hamiltonian for system in systems])]
    edges = np.unique(np.concatenate([end[end <= length] for end in ends]))
    edges = edges[np.diff(edges, append=math.inf) > ROUNDING * length]  # edges that only rounding holds apart are one
    joint = []
    for start, edge in zip([0.0, *edges[:-1]], edges):
        now = [int(np.searchsorted(end, 0.5 * (start + edge))) for end in ends]
        pulses = [system.pulses[number].hamiltonian for system, number in zip(systems, now)]
        joint.append((float(edge - start), pulses))
    return joint
