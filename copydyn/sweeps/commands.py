"""The commands about sweeps: sweep, status, verify, repair, export, report. Everything heavy is imported only once it
is needed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from copydyn.report.exit_codes import DONE, INCOMPLETE
from copydyn.runs.durable import place

Say = Callable[[str], None]

_SWEEP_EPILOG = """\
axes:
  theory.copies=1e3,1e4,1e5            a list
  system.detuning=linspace(0,2,21)     also geomspace(a,b,n), range([a,]b[,step]) and round(...) of these
  'theory.copies=1e3,1e4; theory.floor=1,3'
                                       keys that change together
  theory.copies=1e3                    no axis: a value in place of the file's

The same command goes on where it was stopped, killed or cut off. exit code: 0 all points are there, 4 some have \
failed or missed their target, 2 bad input, 130 interrupted, 70 a fault of copydyn, 74 in place of 0 where standard \
output is lost.

examples:
  python -m copydyn sweep rabi 'theory.copies=1e3,1e4,1e5' 'system.detuning=linspace(0,2,21)' --replicas 64
  python -m copydyn sweep rabi 'theory.copies=geomspace(1e2,1e6,5)' --target-error 1e-3 --out results/rabi-copies
  python -m copydyn sweep my.toml --shard 3/8 --out /shared/folder

The last one is one of eight array jobs.
"""

_OPTIONS = (
    ("replicas", "N", "independent ensembles of each point; with --target-error, at a time"),
    ("seed", "S", "one seed, the same bytes; drawn once for a folder where nothing says one"),
    ("target-error", "X", "stop a point as soon as the largest standard error of --target is below X"),
    ("target", "WHAT", "probability, max_deviation, total_variation or infidelity (probability)"),
    ("max-replicas", "N", "where a point stops all the same (100 times --replicas)"),
    ("timeout", "SECONDS", "of one run, which has failed if it takes longer"),
    ("batch", "N", "points of a file (a function of how many there are)"),
)


def add(commands: Any, jobs: Callable[[str], int], cores: int) -> None:
    """Add the parsers of these commands."""
    sweep = commands.add_parser(
        "sweep",
        help="run a scenario at many values of its keys, and keep every run",
        epilog=_SWEEP_EPILOG,
    )
    sweep.add_argument("scenario", metavar="NAME_OR_PATH", help="a scenario, or the folder of a sweep to go on with")
    sweep.add_argument("overrides", metavar="table.key=values", nargs="*", help="axes; see below")
    sweep.add_argument("--out", metavar="DIR", help="the folder that the runs are kept in (results/NAME-sweep)")
    for name, metavar, text in _OPTIONS:
        sweep.add_argument(f"--{name}", metavar=metavar, help=text)
    _where(sweep, jobs, cores)
    sweep.add_argument("--shard", metavar="I/N", help="make the I-th part of N, for array jobs that share a folder")
    sweep.add_argument("--retry", action="store_true", help="make runs that have failed once more")
    sweep.add_argument("--quiet", action="store_true", help="print nothing but refusals")
    for name, text in (
        ("status", "say how far a sweep is, and who is at work on it"),
        ("verify", "name every file of a sweep that is damaged, missing or foreign"),
        ("repair", "set damaged files aside, and make their runs, and those that are missing, again"),
    ):
        parser = commands.add_parser(name, help=text)
        parser.add_argument("folder", metavar="DIR", help="the folder of a sweep")
        if name == "repair":
            _where(parser, jobs, cores)
            parser.add_argument("--timeout", metavar="SECONDS", help="of one run")
            parser.add_argument("--quiet", action="store_true", help="print nothing but refusals")
    export = commands.add_parser("export", help="write a sweep into one file: .nc, .parquet or .csv")
    export.add_argument("folder", metavar="DIR", help="the folder of a sweep")
    export.add_argument("file", metavar="FILE", help="its suffix says as what; an existing file is replaced")
    export.add_argument("--by-label", action="store_true", help="a table of probabilities, a row for each label")
    export.add_argument("--means", action="store_true", help="of a .nc, the means over replicas instead of all of them")
    report = commands.add_parser("report", help="write one HTML file with figures and tables, viewable offline")
    report.add_argument("folder", metavar="DIR", help="the folder of a sweep")
    report.add_argument("--out", metavar="FILE", help="the HTML file (DIR.html)")


def sweep(arguments: argparse.Namespace, say: Say) -> int:
    """Run a sweep."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: one thread a worker
    from copydyn.scenario.source import Override
    from copydyn.scenario.toml_text import parsed_value
    from copydyn.sweeps import api
    from copydyn.sweeps.asked import asked
    from copydyn.sweeps.store import Store

    options = []
    for name, _, _ in _OPTIONS:
        value = getattr(arguments, name.replace("-", "_"))
        if value is not None:
            key = "run.seed" if name == "seed" else f"sweep.{name.replace('-', '_')}"
            options.append(Override(f"--{name} {value}", key, parsed_value(value)))
    scenario, out = arguments.scenario, arguments.out
    if place(scenario).is_dir():
        out, scenario = out or scenario, str(Store(Path(scenario)).last_sweep())
    elif out is None:
        out = str(Path("results") / f"{Path(scenario).stem}-sweep")
    wanted = asked(scenario, arguments.overrides, options=options, seed=api.seed_of(place(out)))
    return _run(wanted, place(out), arguments, say, shard=_shard(arguments.shard), retry=arguments.retry)


def status(arguments: argparse.Namespace, say: Say) -> int:
    """Say how far a sweep is."""
    from copydyn.sweeps.status import status_of

    say(status_of(Path(arguments.folder)))
    return DONE


def verify(arguments: argparse.Namespace, say: Say) -> int:
    """Check every file of a sweep."""
    from copydyn.sweeps.checks import verified

    found = verified(Path(arguments.folder), progress=sys.stderr.isatty())
    say(found.text())
    return DONE if found.sound else INCOMPLETE


def repair(arguments: argparse.Namespace, say: Say) -> int:
    """Mend a sweep."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from copydyn.scenario.source import Override
    from copydyn.scenario.toml_text import parsed_value
    from copydyn.sweeps.asked import asked
    from copydyn.sweeps.checks import set_aside
    from copydyn.sweeps.store import Store

    folder = place(arguments.folder)
    options = []
    if arguments.timeout is not None:
        options = [Override(f"--timeout {arguments.timeout}", "sweep.timeout", parsed_value(arguments.timeout))]
    wanted = asked(str(Store(folder).last_sweep()), options=options)
    moved = set_aside(folder)
    if not arguments.quiet:
        say(moved)
    return _run(wanted, folder, arguments, say)


def export(arguments: argparse.Namespace, say: Say) -> int:
    """Write a sweep into one file."""
    from copydyn.sweeps.export import exported

    wanted = {"by_label": arguments.by_label, "means": arguments.means, "progress": sys.stderr.isatty()}
    say(exported(Path(arguments.folder), Path(arguments.file), **wanted))
    return DONE


def report(arguments: argparse.Namespace, say: Say) -> int:
    """Write a page about a sweep."""
    from copydyn.sweeps.page import written

    folder = place(arguments.folder)
    out = Path(arguments.out) if arguments.out else folder.with_name(f"{folder.resolve().name}.html")
    say(written(folder, out))
    return DONE


COMMANDS = {"sweep": sweep, "status": status, "verify": verify, "repair": repair, "export": export, "report": report}


def _where(parser: argparse.ArgumentParser, jobs: Callable[[str], int], cores: int) -> None:
    parser.add_argument(
        "--jobs", metavar="N", type=jobs, default=cores, help="processes; no result depends on it (all cores)"
    )
    parser.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler, tcp://..., or local, instead of processes")


def _run(wanted: Any, out: Path, arguments: argparse.Namespace, say: Say, **how: Any) -> int:
    from copydyn.sweeps import api

    progress = not arguments.quiet and sys.stderr.isatty()
    tally = api.run(wanted, out, jobs=arguments.jobs, dask=arguments.dask, progress=progress, **how)
    if not arguments.quiet:
        say(tally.text(out))
    return INCOMPLETE if tally.failed or tally.missed else DONE


def _shard(text: str | None) -> tuple[int, int]:
    from copydyn.refusal import BadValue

    if text is None:
        return (1, 1)
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and len(text) < 20 and 1 <= int(part) <= int(parts)):
        raise BadValue(f"--shard {text!r}: a shard must be I/N with I from 1 to N, such as 3/8.")
    return int(part), int(parts)
