"""One copy of the system, as a Mesa agent."""

from __future__ import annotations

import cmath
import math
from typing import TYPE_CHECKING

from copydyn.abm.adapter import Resident
from copydyn.kernels.per_copy import join
from copydyn.kernels.roster import move
from copydyn.kernels.variates import uniform
from copydyn.refusal import BadValue

if TYPE_CHECKING:
    from copydyn.abm.copy_model import CopyModel


class Copy(Resident):
    """A pair of beables, a value and a phase (Smolin 2012, section 2.4): a view of one row of the ensemble.

    ``model.copy(row)`` gives the one copy of a row. A copy is not made by hand, and it is not removed: N never changes.

    Attributes
    ----------
    model : CopyModel
    unique_id : int
        row + 1.
    """

    model: CopyModel
    unique_id: int

    def __init__(self, model: CopyModel, row: int) -> None:
        raise BadValue(
            f"Copy(model, {row!r}) would be one more than the model counts, whose number of copies never changes; "
            "model.copy(row) gives the copy of a row."
        )

    @property
    def row(self) -> int:
        """Which copy, 0..N-1."""
        return self.unique_id - 1

    @property
    def beable(self) -> int:
        """Number of the label that this copy carries."""
        return int(self.model.ensemble.rows.beable[self.row])

    @property
    def label(self) -> str:
        """Name of the label that this copy carries."""
        return str(self.model.experiment.system.labels[self.beable])

    @property
    def phase(self) -> float:
        """Phase in [0, 2 pi), rad: the label's while phases are aligned, else its own."""
        ensemble = self.model.ensemble
        if ensemble.aligned:
            return -cmath.phase(ensemble.factor[self.beable]) % (2.0 * math.pi)
        return float(ensemble.rows.phase[self.row])

    def step(self) -> None:
        """Meet a copy drawn from the other label, and copy it or be copied: the readable twin of the kernels.

        The clock of the model calls this when it proposes a meeting of two labels, a of this copy and b of the
        other, at a rate that is no smaller than any true one. With theta = phi_I - phi_J + delta_ab the meeting
        becomes a copy event with the ratio 2 R_ab |sin theta| sqrt(n_a n_b) / bound; for sin theta > 0 the other
        copies this copy, for sin theta < 0 this copies the other (and the other way round for the printed rule).
        """
        meeting = self.model.meeting
        if meeting is None:
            raise BadValue("a copy steps when the model's clock calls it; call model.step().")
        other = self.model.draw_member(meeting.other_label)
        here, there = self.model.counts_of(meeting.label), self.model.counts_of(meeting.other_label)
        theta = self._phase_after(meeting.elapsed) - other._phase_after(meeting.elapsed) + meeting.delta
        rate = 2.0 * meeting.strength * math.sin(theta) * self.model.rule_sign
        if uniform(self.model.ensemble.random_state) * meeting.bound >= abs(rate) * math.sqrt(here * there):
            return
        copier, copied = (other, self) if rate > 0.0 else (self, other)
        if self.model.counts_of(copier.beable) > self.model.theory.floor:
            self.model.happen(copier, copied)

    def take_over(self, other: Copy) -> None:
        """Take the whole state of ``other``: a_I <- a_J, phi_I <- phi_J (4)."""
        ensemble = self.model.ensemble
        if ensemble.aligned:
            move(self.row, other.beable, ensemble.counts, ensemble.rows)
        else:
            join(self.row, other.row, ensemble.counts, ensemble.factor, ensemble.rows)

    def _phase_after(self, elapsed: float) -> float:
        """Phase a little after the beginning of the step, as far as that could tell (40)."""
        model = self.model
        if model.ensemble.aligned:
            turning, lean = float(model.work.turning[self.beable]), float(model.work.lean[self.beable])
            return self.phase + elapsed * (turning + elapsed * lean)
        field = model.work.field[self.beable]
        turning = float(model.couplings.omega[self.beable]) + (cmath.exp(1j * self.phase) * field).real
        return self.phase + elapsed * turning

    def __repr__(self) -> str:
        return f"Copy(row={self.row}, beable={self.beable}, phase={self.phase:.4f})"
