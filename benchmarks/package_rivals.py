"""The rivals of `exact_against_packages.py`, where they are installed: a question and an answer a line.

A question is a line of JSON on standard input, an answer a line of JSON on standard output. Seconds are of processor
time, of this process and of the programs that it started, spent on running and not on stating or compiling a model.
Nothing of copydyn is needed here.

Two levels: counts a and b, and theta, the phase of a's label minus that of b's plus delta, as an ordinary differential
equation. One in the place of two, one a phase, is a favour to the rivals: no rate asks for more.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from math import isfinite
from time import perf_counter
from typing import Any

PATIENCE = 200
"""Seconds on the clock after which a run is given up."""

# GillesPy2 builds its programs by a bare interpreter, which must be told where this environment keeps its packages
os.environ["PYTHONPATH"] = sysconfig.get_path("purelib")

Runs = list[list[float]]
"""What is counted, run by run, at the save times or species by species."""


def worked() -> float:
    """Seconds of processor time of this process and of its children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


# ---- two levels, phases moving ----


def gillespy2_levels(levels: dict[str, Any]) -> Callable[..., Runs]:
    """TauHybridCSolver: counts discrete, theta continuous by a rate rule."""
    import gillespy2 as gp

    a, b = (gp.Species(name, initial_value=levels[name], mode="discrete") for name in "ab")
    theta = gp.Species("theta", initial_value=levels["theta"], mode="continuous", allow_negative_populations=True)
    model = gp.Model(name="levels")
    model.add_parameter([gp.Parameter(name, levels[name]) for name in ("R", "detuning")])
    model.add_species([a, b, theta])
    turn = "detuning + R*cos(theta)*(sqrt(b/a) - sqrt(a/b))"
    model.add_rate_rule(gp.RateRule(variable="theta", formula=turn, name="turn"))
    # sin+ by a root: `max` is not known, and `abs` becomes that of C, which rounds to an integer
    rate = "R*sqrt(a*b)*(sqrt(sin(theta)*sin(theta)) {} sin(theta))"
    for name, loses, gains, sign in (("onward", b, a, "+"), ("back", a, b, "-")):
        model.add_reaction(
            gp.Reaction(name=name, reactants={loses: 1}, products={gains: 1}, propensity_function=rate.format(sign))
        )
    model.timespan(gp.TimeSpan.linspace(levels["span"], levels["points"]))
    solver = gp.TauHybridCSolver(model=model)

    def run(runs: int, seed: int, tau_tol: float) -> Runs:
        ended = solver.run(number_of_trajectories=runs, seed=seed, tau_tol=tau_tol, timeout=PATIENCE)
        return [[float(count) for count in one["a"]] for one in ended]

    return run


def copasi_levels(levels: dict[str, Any]) -> Callable[..., Runs]:
    """Hybrid RK-45: both reactions stochastic, which is its default, theta a global quantity of type ODE."""
    import basico

    basico.new_model(name="levels", quantity_unit="#", volume_unit="1", time_unit="1")
    for name in "ab":
        basico.add_species(name, initial_concentration=levels[name])
    basico.add_parameter("theta", type="ode", initial_value=levels["theta"], expression="0")
    pull = f"{levels['R']!r}*cos(Values[theta])*(sqrt([b]/[a]) - sqrt([a]/[b]))"
    basico.set_parameters("theta", expression=f"{levels['detuning']!r} + {pull}")
    for name, loses, gains, sign in (("onward", "b", "a", "+"), ("back", "a", "b", "-")):
        rate = f"R*sqrt(loses*gains)*(abs(sin(theta)) {sign} sin(theta))"
        roles = {"loses": "substrate", "gains": "product", "theta": "parameter", "R": "parameter"}
        basico.add_function(name, rate, type="irreversible", mapping=roles)
        basico.add_reaction(name, f"{loses} -> {gains}")
        played_by = {"loses": loses, "gains": gains, "theta": "theta", "R": levels["R"]}
        basico.set_reaction(name, function=name, mapping=played_by)

    def run(runs: int, seed: int) -> Runs:
        settings = {"method": "hybridode45", "use_numbers": True, "use_seed": True, "start_time": 0.0}
        plan = settings | {"duration": levels["span"], "intervals": levels["points"] - 1}
        ended = [basico.run_time_course(**plan, seed=seed + number) for number in range(runs)]
        return [[float(count) for count in one["a"]] for one in ended]

    return run


# ---- a network of conversions, phases frozen ----


def names_of(network: dict[str, Any]) -> list[str]:
    return [f"s{species}" for species in range(len(network["counts"]))]


def conversions(network: dict[str, Any]) -> list[tuple[str, str, float]]:
    names = names_of(network)
    return [(names[a], names[b], rate) for a, b, rate in zip(network["from"], network["to"], network["rate"])]


def rebop_network(network: dict[str, Any]) -> Callable[..., Runs]:
    import rebop

    model = rebop.Gillespie()
    for loses, gains, rate in conversions(network):
        model.add_reaction(rate, [loses], [gains])
    start = dict(zip(names_of(network), network["counts"]))

    def run(runs: int, seed: int, sparse: bool) -> Runs:
        ended = [model.run(start, network["span"], 1, rng=seed + number, sparse=sparse) for number in range(runs)]
        return [[float(one[name][-1]) for name in names_of(network)] for one in ended]

    return run


def gillespy2_network(network: dict[str, Any]) -> Callable[..., Runs]:
    """SSACSolver."""
    import gillespy2 as gp

    model = gp.Model(name="network")
    names = names_of(network)
    model.add_species([gp.Species(n, initial_value=c, mode="discrete") for n, c in zip(names, network["counts"])])
    for place, (loses, gains, rate) in enumerate(conversions(network)):
        model.add_parameter(gp.Parameter(f"k{place}", rate))
        model.add_reaction(gp.Reaction(name=f"r{place}", reactants={loses: 1}, products={gains: 1}, rate=f"k{place}"))
    model.timespan(gp.TimeSpan.linspace(network["span"], 2))
    solver = gp.SSACSolver(model=model)

    def run(runs: int, seed: int) -> Runs:
        ended = solver.run(number_of_trajectories=runs, seed=seed, timeout=PATIENCE)
        return [[float(one[name][-1]) for name in names] for one in ended]

    return run


def copasi_network(network: dict[str, Any]) -> Callable[..., Runs]:
    """Gillespie's direct method."""
    import basico

    basico.new_model(name="network", quantity_unit="#", volume_unit="1", time_unit="1")
    names = names_of(network)
    for name, count in zip(names, network["counts"]):
        basico.add_species(name, initial_concentration=count)
    for place, (loses, gains, rate) in enumerate(conversions(network)):
        basico.add_reaction(f"r{place}", f"{loses} -> {gains}")
        basico.set_reaction_parameters(f"(r{place}).k1", value=rate)

    def run(runs: int, seed: int) -> Runs:
        settings = {"method": "directMethod", "use_numbers": True, "use_seed": True, "start_time": 0.0}
        plan = settings | {"duration": network["span"], "intervals": 1, "max_steps": 10**9}
        ended = [basico.run_time_course(**plan, seed=seed + number) for number in range(runs)]
        return [[float(one[name].iloc[-1]) for name in names] for one in ended]

    return run


RIVALS = {
    "gillespy2 levels": ("gillespy2", gillespy2_levels),
    "copasi levels": ("copasi-basico", copasi_levels),
    "rebop network": ("rebop", rebop_network),
    "gillespy2 network": ("gillespy2", gillespy2_network),
    "copasi network": ("copasi-basico", copasi_network),
}


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


# ---- questions and answers ----

stated: dict[str, Callable[..., Runs]] = {}
"""Models by the text of the question that stated them: compiled once."""


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Run a rival and say how long it took, or why there is no result."""
    package, state = RIVALS[question["rival"]]
    if installed(package) is None:
        return {"missing": f"{package} not installed"}
    key = json.dumps([question["rival"], question["model"]])
    try:
        if key not in stated:
            stated[key] = state(question["model"])
        start, clock = worked(), perf_counter()
        runs = stated[key](question["runs"], question["seed"], **question["settings"])
        seconds = worked() - start
    except Exception as error:  # whatever a package raises, its row says so and the others go on
        return {"missing": f"{package} fails: {str(error).splitlines()[0] if str(error) else type(error).__name__}"}
    if perf_counter() - clock > PATIENCE or not all(map(isfinite, chain.from_iterable(runs))):
        return {"missing": f"{package}: no result in {PATIENCE} s"}
    return {"seconds": seconds, "runs": runs, "version": installed(package)}


def main() -> None:
    """Answer until standard input ends; what the packages print goes to standard error."""
    logging.disable(logging.WARNING)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
