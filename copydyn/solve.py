"""copysolve: copy dynamics with the signature that users of sesolve know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from copydyn.experiment import Experiment
from copydyn.runs.conduct import Checkpoint
from copydyn.theories.copies.copying import CopyDynamics
from copydyn.theories.copies.rules import Rule


def copysolve(
    H: Any,
    psi0: Any,
    tlist: Any,
    *,
    copies: float,
    engine: str = "auto",
    replicas: int = 1,
    seed: int | None = None,
    hbar: float = 1.0,
    rule: str | Rule = "smolin",
    spectators: int = 0,
    floor: int = 0,
    admixture: tuple[float, Any] | None = None,
    e_ops: Any = None,
    progress: bool = False,
    jobs: int = 1,
    checkpoint: Path | str | None = None,
) -> xr.Dataset:
    """Evolve N copies whose frequencies n_a/N follow |psi_a|^2, i hbar d psi/dt = H psi, as N -> infinity.

    Tagged copies, the event log, phases that are not aligned and counts that are drawn are asked of
    ``copydyn.theories.CopyDynamics(copies, ...).evolve(Experiment.of(H, psi0, tlist))``, which this is short for.

    Parameters
    ----------
    H : (P, P) array, scipy sparse matrix, qutip.Qobj, or [(duration, H), ...]
        Hamiltonian in the basis of the beables; pulses are counted from time 0. `copydyn.drives.sampled` makes them of
        H(t).
    psi0 : (P,) ket or qutip.Qobj
        Normalised; it holds at ``tlist[0]``.
    tlist : (time,) increasing times, in units of hbar / (unit of H)
    copies : int, or float with an integer value
        N.
    engine, rule, spectators, floor, admixture
        See `copydyn.theories.CopyDynamics`.
    replicas : int
        Independent ensembles of N copies.
    seed : int, optional
        One seed, the same bytes; a fresh one is drawn and written into ``attrs`` otherwise.
    hbar : float
    e_ops : Hermitian operator, or list or dict of them
        Read off the ensemble's ket into ``expect (replica, time, e_op)``.
    progress : bool
        Show a bar.
    jobs : int
        Threads; the bytes do not depend on it.
    checkpoint : path, optional
        File that keeps the state of a long run every minute; where it exists the run goes on from there. Remove it once
        the result is safe.

    Returns
    -------
    xarray.Dataset
        See `copydyn.theories.CopyDynamics.evolve`.

    Raises
    ------
    ValueError, TypeError
        With one sentence that names the argument.
    """
    theory = CopyDynamics(
        copies,
        engine=engine,
        rule=rule,
        spectators=spectators,
        floor=floor,
        admixture=admixture,
    )
    experiment = Experiment.of(H, psi0, tlist, hbar=hbar, e_ops=e_ops)
    keep = None if checkpoint is None else Checkpoint(checkpoint)
    return theory.evolve(experiment, seed, replicas, progress=progress, jobs=jobs, keep=keep)
