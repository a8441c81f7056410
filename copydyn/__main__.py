"""The command line: ``python -m copydyn scenario rabi``. Everything heavy is imported only once it is needed."""

from __future__ import annotations

import argparse
import io
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from copydyn.refusal import Refusal
from copydyn.report.exit_codes import BAD_INPUT, DOES_NOT_HOLD, DONE, FAULT, INTERRUPTED, NOT_JUDGED
from copydyn.report.layout import NARROWEST, WIDEST, columns, fitted
from copydyn.report.terminal import Terminal
from copydyn.sweeps import commands
from copydyn.version import __version__

Say = Callable[[Any], object]

_EPILOG = f"""\
exit code: 0 the claims hold (or there are none), 1 one does not, 2 bad input, 3 one cannot be judged, \
130 interrupted, 70 a fault of copydyn, with its traceback; 74 in place of 0 where standard output could not be \
written. What has been computed is kept in every case.

What is printed fits the screen, or the number of columns in COLUMNS, from {NARROWEST} to {WIDEST}; on a narrower one \
it is as for {NARROWEST}. What is kept in files is {WIDEST} columns wide.

examples:
  python -m copydyn list
  python -m copydyn scenario rabi
  python -m copydyn scenario rabi theory.copies=1e6 system.coupling=[0.3,0.4] --seed 7
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: see `copydyn.exit_codes`."""
    terminal = Terminal(lambda text: fitted(text, columns()))
    try:
        return terminal.settled(_run(argv, terminal))
    except SystemExit as end:  # of the parser
        raise SystemExit(terminal.settled(int(end.code or DONE))) from None


def _run(argv: Sequence[str] | None, terminal: Terminal) -> int:
    told = io.StringIO()
    try:
        with redirect_stdout(told):
            arguments = _parsed(argv)
    except SystemExit:  # after --help or --version; the parser would not notice that nobody can read them
        if told.getvalue():
            terminal.say(told.getvalue().rstrip("\n"))
        raise
    if arguments.command is None:  # the help was asked for
        terminal.say(told.getvalue().rstrip("\n"))
        return DONE

    def warn(message: Any, *_: Any, **__: Any) -> None:  # the place in the code nobody has asked for
        terminal.complain(f"copydyn: {message}")

    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn
            if arguments.command == "scenario":
                return _scenario(arguments, terminal.say, warn)
            command = commands.COMMANDS.get(arguments.command) or _COMMANDS[arguments.command]
            return command(arguments, terminal.say)
    except Refusal as refusal:
        for sentence in refusal.in_scenario.split("\n"):
            terminal.complain(f"copydyn: {sentence}")
        return BAD_INPUT
    except MemoryError as cause:
        reason = str(cause) or "out of memory"
        terminal.complain(
            f"copydyn: the run must fit into memory, but: {reason}; take fewer labels, replicas or times."
        )
        return BAD_INPUT
    except KeyboardInterrupt as stop:
        terminal.complain(f"copydyn: {stop if str(stop) else 'interrupted; no result was kept.'}")
        # a kernel that is being compiled cannot be stopped, and nobody waits for it; daemons are not waited for anyway
        if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
            os._exit(INTERRUPTED)
        return INTERRUPTED
    except Exception:  # left alone, Python would give it the exit code of a claim that does not hold
        terminal.complain(f"{traceback.format_exc()}copydyn: this is a fault of copydyn itself; please report it.")
        return FAULT


def _scenario(arguments: argparse.Namespace, say: Say, remark: Say) -> int:
    # before numpy is there to read it: on a busy machine, threads of BLAS that wait for each other take a hundred times
    # as long for matrices of this size as one that works
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from copydyn.pipeline import run
    from copydyn.scenario.scenario import load
    from copydyn.scenario.source import Override
    from copydyn.scenario.toml_text import parsed_value

    overrides: list[str | Override] = list(arguments.overrides)
    for option in ("replicas", "seed"):
        value = getattr(arguments, option)
        if value is not None:
            overrides.append(Override(f"--{option} {value}", f"run.{option}", parsed_value(value)))
    scenario = load(arguments.scenario, overrides)
    outcome = run(
        scenario,
        Path(arguments.out),
        progress=not arguments.quiet and sys.stderr.isatty(),
        jobs=arguments.jobs,
        every=arguments.checkpoint_every,
        picture=not arguments.no_plot,
        say=_silent if arguments.quiet else say,
        remark=remark,
    )
    return {True: DONE, False: DOES_NOT_HOLD, None: NOT_JUDGED}[outcome.holds]


def _explain(arguments: argparse.Namespace, say: Say) -> int:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # see `_scenario`
    from copydyn.report.foresight.explain import explain
    from copydyn.scenario.scenario import load
    from copydyn.scenario.toml_text import parsed_value

    say(explain(load(arguments.scenario, arguments.overrides), parsed_value(arguments.precision)))
    return DONE


def _list(_: argparse.Namespace, say: Say) -> int:
    from copydyn.scenario.source import read, shipped
    from copydyn.scenario.toml_text import shown

    names = shipped()
    width = max(map(len, names))
    for name in names:
        tables = read(name).tables
        say(f"{name:<{width}}  {tables.get('title', '')}")
        claims = tables.get("claim", [])
        for claim in claims if isinstance(claims, list) else [claims]:
            parameters = [f"{key} = {shown(value)}" for key, value in claim.items() if key != "kind"]
            say(f"{'':<{width}}  claims: {claim['kind']}{' with ' if parameters else ''}{', '.join(parameters)}")
        if not claims:
            say(f"{'':<{width}}  claims nothing")
    return DONE


_COMMANDS = {"explain": _explain, "list": _list}


class _Help(argparse.HelpFormatter):
    """Help that fits the screen, with the lines of its examples as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns())

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return fitted(text, width, hanging="")


class _Parser(argparse.ArgumentParser):
    """A parser, as are those of its commands, whose help is `_Help`."""

    def __init__(self, **about: Any) -> None:
        super().__init__(formatter_class=_Help, **about)


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="copydyn",
        description="Simulate Smolin's copy dynamics and judge it by the Schrödinger equation.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"copydyn {__version__}")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    scenario = parsers.add_parser("scenario", help="run a scenario and check its claim", epilog=_EPILOG)
    scenario.add_argument("scenario", metavar="NAME_OR_PATH", help="a shipped scenario, or the path of a TOML file")
    scenario.add_argument("overrides", metavar="table.key=value", nargs="*", help="values in place of the file's")
    scenario.add_argument("--out", metavar="DIR", default="results", help="where the result's folder goes (results)")
    scenario.add_argument("--replicas", metavar="N", help="independent ensembles; short for run.replicas=N")
    scenario.add_argument("--seed", metavar="S", help="one seed, the same bytes; short for run.seed=S")
    scenario.add_argument(
        "--jobs",
        metavar="N",
        type=_jobs,
        default=_cores(),
        help="threads; the result does not depend on it (all cores)",
    )
    scenario.add_argument(
        "--checkpoint-every",
        metavar="SECONDS",
        type=_seconds,
        default=60.0,
        help="how often a long run is saved; the same command goes on from there (60)",
    )
    scenario.add_argument("--no-plot", action="store_true", help="do not draw figure.png")
    scenario.add_argument("--quiet", action="store_true", help="print nothing but refusals")
    foresee = parsers.add_parser("explain", help="foresee precision, nodes, events, time and memory of a scenario")
    foresee.add_argument("scenario", metavar="NAME_OR_PATH", help="a shipped scenario, or the path of a TOML file")
    foresee.add_argument("overrides", metavar="table.key=value", nargs="*", help="values in place of the file's")
    foresee.add_argument("--precision", metavar="P", default="0.01", help="deviation wanted of every n/N (0.01)")
    commands.add(parsers, _jobs, _cores())
    parsers.add_parser("list", help="name the shipped scenarios and what they claim")
    arguments, rest = parser.parse_known_args(argv)
    if arguments.command is None and not rest:
        parser.print_help()
    unknown = [word for word in rest if word.startswith("-") or not hasattr(arguments, "overrides")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if rest:  # overrides that stand behind an option, which argparse leaves over
        arguments.overrides += rest
    return arguments


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _jobs(text: str) -> int:
    jobs = int(text) if text.isdecimal() else 0
    if not 1 <= jobs <= 1024:
        raise argparse.ArgumentTypeError(f"--jobs must be a whole number from 1 to 1024, but is {text}.")
    return jobs


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"--checkpoint-every must be a number of seconds > 0, but is {text}.")
    return seconds


def _silent(text: str) -> None:
    """Say nothing."""


if __name__ == "__main__":
    sys.exit(main())
