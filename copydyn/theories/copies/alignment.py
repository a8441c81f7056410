"""The second-order law of the phases (Smolin 2012, section 3.2): what a user may choose of it."""

from __future__ import annotations

from dataclasses import dataclass

from copydyn.experiment.inputs import as_real, shown
from copydyn.kernels.alignment import AligningLaw
from copydyn.refusal import BadValue

MOMENTA = ("copied", "reset")

STRONGEST = 1e30
"""Beyond it a typing error is likelier than a wish, and products overflow."""


@dataclass(frozen=True)
class Alignment:
    """Each copy has a momentum pi_I, and the copies of a label pull each other's phases together.

        d phi_I/dt = pi_I + Omega_I
        d pi_I/dt  = -dV/dphi_I - sum_K pi_K dOmega_K/dphi_I - gamma pi_I + sqrt(2 gamma T) xi_I(t)
        V = (f^2/2) sum over pairs I < J of one label of sin^2(phi_I - phi_J)

    with Omega_I the right-hand side of (40): the Hamiltonian (45) with every pair counted once, and friction and noise
    that the paper does not have. Small differences of phases swing at the rate f sqrt(n_a), around 0 or around pi.

    Parameters
    ----------
    strength : float, 1/time
        f >= 0.
    friction : float, 1/time
        gamma >= 0; without it the energy is conserved and nothing settles.
    temperature : float, 1/time^2
        T >= 0, the mean of pi^2 to which friction and noise lead (where labels do not couple; close to it where they
        do, as friction acts on pi and not on pi + Omega); needs friction.
    momentum : {"copied", "reset"}
        What a copier's momentum becomes: that of the copied, or zero. The paper leaves it open.
    spread : float, 1/time
        Standard deviation of the momenta at the start.

    Raises
    ------
    BadType, BadValue
    """

    strength: float = 1.0
    friction: float = 0.0
    temperature: float = 0.0
    momentum: str = "copied"
    spread: float = 0.0

    def __post_init__(self) -> None:
        for name in ("strength", "friction", "temperature", "spread"):
            real = as_real(getattr(self, name), name)
            if real < 0.0:
                raise BadValue(f"{name} of alignment must be >= 0, but is {real:g}; give zero to switch it off.")
            if real > STRONGEST:
                raise BadValue(
                    f"{name} of alignment must be at most {STRONGEST:g}, but is {real:g}; give a smaller one."
                )
            object.__setattr__(self, name, real)
        if self.temperature > 0.0 and self.friction == 0.0:
            raise BadValue(
                f"temperature of alignment must be 0 without friction, but is {self.temperature:g}; give friction > 0, "
                "or take spread for momenta at the start."
            )
        if not isinstance(self.momentum, str) or self.momentum not in MOMENTA:
            raise BadValue(
                f"momentum of alignment must be 'copied' or 'reset', but is {shown(self.momentum)}; choose one of them."
            )

    @property
    def law(self) -> AligningLaw:
        """The same as numbers for the kernel."""
        return AligningLaw(self.strength, self.friction, self.temperature, self.momentum == "reset")
