"""What the keys of scenarios are called on the axes of figures: a word, a symbol where the theory has one, a unit."""

from __future__ import annotations

from typing import NamedTuple

TIME = "ħ/energy"


_UNITS = {"time": TIME, "1/time": "energy/ħ", "energy/time": "energy²/ħ", "energy × time": "energy × time"}


class Name(NamedTuple):
    """Of a parameter; "time" within its unit is the unit of time."""

    word: str
    symbol: str = ""
    unit: str = ""


NAMES = {
    "theory.copies": Name("copies", "$N$"),
    "theory.spectators": Name("spectators", unit="copies a label"),
    "theory.floor": Name("floor", unit="copies a label"),
    "theory.phase_spread": Name("phase spread", unit="rad"),
    "theory.leap_step": Name("leap step", unit="rad"),
    "theory.alignment.strength": Name("alignment", "$f$", "1/time"),
    "theory.rate": Name("rate", unit="1/time"),
    "theory.thermalising": Name("thermalising", r"$\Gamma$", "1/time"),
    "theory.reducing": Name("reducing", r"$\gamma$", "1/time"),
    "theory.drift": Name("drift", "$J$", "1/time"),
    "theory.strength": Name("strength of the noise", "$D$"),
    "theory.memory": Name("memory", r"$\tau$", "time"),
    "theory.degrees": Name("degrees of freedom"),
    "theory.tol": Name("tolerance"),
    "theory.rule.q": Name("power", "$q$"),
    "theory.rule.r": Name("power", "$r$"),
    "theory.rule.ratio": Name("ratio", "$R'/R$"),
    "system.detuning": Name("detuning", "$D$", "energy"),
    "system.coupling": Name("coupling", "$g$", "energy"),
    "system.hopping": Name("hopping", "$J$", "energy"),
    "system.field": Name("field", unit="energy"),
    "system.transverse": Name("transverse field", unit="energy"),
    "system.longitudinal": Name("longitudinal field", unit="energy"),
    "system.splitting": Name("splitting", unit="energy"),
    "system.ferromagnet": Name("ferromagnet", unit="energy"),
    "system.reading": Name("reading", unit="energy"),
    "system.interaction": Name("interaction", unit="energy"),
    "system.height": Name("height", unit="energy"),
    "system.barrier": Name("barrier", unit="energy"),
    "system.force": Name("force", "$F$", "energy/length"),
    "system.spacing": Name("spacing", "$d$", "length"),
    "system.separation": Name("separation", unit="length"),
    "system.flux": Name("flux", r"$\Phi$", "rad"),
    "system.phase": Name("phase", unit="rad"),
    "system.pulse": Name("pulse", unit="time"),
    "system.wait": Name("wait", unit="time"),
    "system.duration": Name("duration", unit="time"),
    "system.frequency": Name("frequency", r"$\omega$", "1/time"),
    "system.rate": Name("rate", unit="energy/time"),
    "system.hbar": Name("ħ", unit="energy × time"),
    "system.mass": Name("mass", "$m$"),
    "preparation.momentum": Name("momentum", "$k$"),
    "schedule.stop": Name("end", "$t$", "time"),
    "schedule.points": Name("save times"),
}
"""By key; of several theories, ``theory.NAME.copies`` is ``theory.copies`` of one."""


def name_of(key: str, time: str = TIME) -> str:
    """Name the axis of ``key``: "copies $N$", "detuning $D$ (energy)"; of a theory by itself "few: copies $N$"."""
    table, *path = key.split(".")
    for length in range(len(path), 0, -1):
        owner, rest = ".".join(path[:-length]), path[-length:]
        if found := NAMES.get(".".join((table, *rest))):
            unit = _UNITS.get(found.unit, found.unit) if time == TIME else found.unit.replace("time", time)
            said = " ".join(filter(None, (found.word, found.symbol, f"({unit})" if unit else "")))
            return f"{owner}: {said}" if owner else said
    return ": ".join(path or [table]).replace("_", " ")
