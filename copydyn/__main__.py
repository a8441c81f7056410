"""The command line: ``python -m copydyn scenario rabi``. Everything heavy is imported only once it is needed."""

from __future__ import annotations

import argparse
import io
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from copydyn.layout import NARROWEST, WIDEST, columns, fitted
from copydyn.refusal import Refusal
from copydyn.sweeps import commands
from copydyn.version import __version__

HOLDS, DOES_NOT_HOLD, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_EPILOG = f"""\
exit code: 0 the claim holds (or there is none), 1 it does not, 2 bad input.

What is printed fits the screen, or the number of columns in COLUMNS, from {NARROWEST} to {WIDEST}; on a narrower one \
it is as for {NARROWEST}. What is kept in files is {WIDEST} columns wide.

examples:
  python -m copydyn list
  python -m copydyn scenario rabi
  python -m copydyn scenario rabi theory.copies=1e6 system.coupling=[0.3,0.4] --seed 7
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± gets a question mark, not a traceback
    arguments = _parsed(argv)
    if arguments.command is None:
        return HOLDS  # the help was asked for, and has been printed
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            if arguments.command in commands.COMMANDS:
                return commands.COMMANDS[arguments.command](arguments, _say)
            return _COMMANDS[arguments.command](arguments)
    except Refusal as refusal:
        for sentence in refusal.in_scenario.split("\n"):
            print(f"copydyn: {sentence}", file=sys.stderr)
        return BAD_INPUT
    except MemoryError as cause:
        reason = str(cause) or "out of memory"
        print(
            f"copydyn: the run must fit into memory, but: {reason}; take fewer labels, replicas or times.",
            file=sys.stderr,
        )
        return BAD_INPUT
    except KeyboardInterrupt as stop:
        print(f"copydyn: {stop if str(stop) else 'interrupted; no result was kept.'}", file=sys.stderr, flush=True)
        # a kernel that is being compiled cannot be stopped, and nobody waits for it; daemons are not waited for anyway
        if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
            os._exit(INTERRUPTED)
        return INTERRUPTED


def _scenario(arguments: argparse.Namespace) -> int:
    # before numpy is there to read it: on a busy machine, threads of BLAS that wait for each other take a hundred times
    # as long for matrices of this size as one that works
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from copydyn.pipeline import run
    from copydyn.scenario import load
    from copydyn.source import Override
    from copydyn.toml_text import parsed_value

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
        say=_silent if arguments.quiet else _say,
    )
    return HOLDS if outcome.holds else DOES_NOT_HOLD


def _explain(arguments: argparse.Namespace) -> int:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # see `_scenario`
    from copydyn.foresight.explain import explain
    from copydyn.scenario import load
    from copydyn.toml_text import parsed_value

    _say(explain(load(arguments.scenario, arguments.overrides), parsed_value(arguments.precision)))
    return HOLDS


def _list(_: argparse.Namespace) -> int:
    from copydyn.source import read, shipped
    from copydyn.toml_text import shown

    names = shipped()
    width = max(map(len, names))
    for name in names:
        tables = read(name).tables
        _say(f"{name:<{width}}  {tables.get('title', '')}")
        claims = tables.get("claim", [])
        for claim in claims if isinstance(claims, list) else [claims]:
            parameters = [f"{key} = {shown(value)}" for key, value in claim.items() if key != "kind"]
            _say(f"{'':<{width}}  claims: {claim['kind']}{' with ' if parameters else ''}{', '.join(parameters)}")
        if not claims:
            _say(f"{'':<{width}}  claims nothing")
    return 0


_COMMANDS = {"scenario": _scenario, "explain": _explain, "list": _list}


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


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning as one sentence, without the place in the code that nobody asked for."""
    print(f"copydyn: {message}", file=sys.stderr)


def _say(text: str) -> None:
    """Print ``text``; a reader who has left early, as `head` does, changes neither the run nor its verdict."""
    try:
        print(fitted(text, columns()), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _silent(text: str) -> None:
    """Say nothing."""


if __name__ == "__main__":
    sys.exit(main())
