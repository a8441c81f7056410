"""Playing the parts of a run: on several threads, with a bar to watch, checkpoints, and an ear for Ctrl-C.

The parts own disjoint arrays and random streams, so that nothing depends on who plays which, or when. Kernels release
the interpreter's lock: threads use all cores, share memory, and start at once, in scripts and notebooks alike.
"""

from __future__ import annotations

import math
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from copydyn.experiment.inputs import as_real, as_whole
from copydyn.runs import checkpoint
from copydyn.runs.durable import place

MOST_JOBS = 1024

GLANCE = 0.1
"""Seconds between two looks at the parts that are being played."""

PATIENCE = 0.7
"""Seconds that an interrupted run waits for its kernels to pause; compiling ones take longer and are left alone."""

SHORT = 2.0
"""Seconds below which a run that has ended is not worth a checkpoint."""

SHARE = 0.05
"""Largest share of the time that goes into checkpoints."""


class Part(Protocol):
    """What a run consists of."""

    @property
    def covered(self) -> float:
        """Time simulated so far."""
        ...

    @property
    def events(self) -> int:
        """Events so far."""
        ...

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        ...

    def go_on(self) -> Any:
        """Work for a fraction of a second."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Everything that is needed to go on; empty before the start."""
        ...

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to what `state` has given."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """Where the state of a run is kept, and how often.

    Parameters
    ----------
    path : path
        Of one file. Where it exists the run goes on from there; it stays when the run is over, and whoever has its
        result in safety removes it.
    every : float, seconds
    """

    path: Path | str
    every: float = 60.0

    def __post_init__(self) -> None:
        as_real(self.every, "every", positive=True)


class TimedOut(Exception):
    """A run has taken longer than `time_limit` allows."""


_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Let no run within take longer than so many seconds, where a number is given.

    Raises
    ------
    TimedOut
        A moment after the time is over.
    """
    token = _deadline.set(math.inf if seconds is None else time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a sentence that says how far the run has come and what is kept."""


def as_jobs(jobs: Any) -> int:
    """Give a number of threads."""
    return as_whole(jobs, "jobs", least=1, most=MOST_JOBS)


def conduct(
    parts: Sequence[Part],
    run: bytes,
    span: float,
    *,
    jobs: int = 1,
    progress: bool = False,
    keep: Checkpoint | None = None,
) -> None:
    """Play all ``parts`` to their end.

    Parameters
    ----------
    run : bytes
        Fingerprint of everything that decides the bytes of the result.
    span : float
        Time to be covered by all parts together.
    jobs : int
        Threads.
    progress : bool
        Show a bar.
    keep : Checkpoint, optional

    Raises
    ------
    BadValue
        If the checkpoint is damaged or of another run.
    Interrupted
        On Ctrl-C, once the kernels have paused and the state is kept.
    TimedOut
        Where a `time_limit` is over.
    """
    jobs = as_jobs(jobs)
    stage = _Stage(parts, run, keep, min(jobs, len(parts)))
    stage.restore()
    bar = _Bar(progress, span, parts)
    pool = ThreadPoolExecutor(stage.players, "copydyn")
    playing = [pool.submit(stage.play, player) for player in range(stage.players)]
    try:
        while not _over(playing):
            stage.keep_now_and_then()
            bar.show()
            if time.monotonic() > _deadline.get():
                raise TimedOut
    except KeyboardInterrupt:
        with _deaf():
            stage.close()
            paused = not wait(playing, PATIENCE).not_done
            raise Interrupted(stage.farewell(span, paused=paused)) from None
    finally:
        stage.close()
        pool.shutdown(wait=False)
        bar.close()
    stage.keep_at_the_end()


class _Stage:
    """The parts, and who may touch them when."""

    def __init__(self, parts: Sequence[Part], run: bytes, keep: Checkpoint | None, players: int) -> None:
        self.players = players
        self._parts, self._run, self._keep = parts, run, keep
        self._path = Path() if keep is None else place(keep.path)
        self._waiting, self._choice = iter(parts), threading.Lock()
        self._busy = [threading.Lock() for _ in range(players)]
        self._open, self._closed = threading.Event(), threading.Event()
        self._open.set()
        self._begun = self._kept = time.monotonic()
        self._cost = 0.0

    def play(self, player: int) -> None:
        """Play one part after the other until none is left or the stage is closed."""
        while (part := self._next()) is not None:
            while not part.finished and not self._closed.is_set():
                self._open.wait()
                with self._busy[player]:
                    part.go_on()

    def close(self) -> None:
        """Let every player come to rest where its part pauses next."""
        self._closed.set()

    def restore(self) -> None:
        """Go back to the checkpoint, if there is one."""
        states = checkpoint.read(self._path, self._run, len(self._parts)) if self._keep else None
        for part, state in zip(self._parts, states or ()):
            part.restore(state)

    def keep_now_and_then(self) -> None:
        """Write a checkpoint where it is due; a costly one is due less often."""
        if self._keep and time.monotonic() - self._kept > max(self._keep.every, self._cost / SHARE):
            self._write(self._path)

    def keep_at_the_end(self) -> None:
        """Write the finished run, unless it has taken so little time that nobody would miss it."""
        if self._keep and time.monotonic() - self._begun > min(SHORT, self._keep.every):
            self._write(self._path)

    def farewell(self, span: float, *, paused: bool) -> str:
        """Keep what there is and say so."""
        share = sum(part.covered for part in self._parts) / span if span else 1.0
        sentence = f"interrupted at {100.0 * share:.0f} % of the run"
        if self._keep is None:
            return f"{sentence}; nothing is saved, as no checkpoint was asked for."
        if paused and not self._write(self._path, force=False):
            return f"{sentence}; its state could not be saved."
        if not self._path.exists():
            return f"{sentence}; nothing is saved yet."
        return f"{sentence}; saved in {self._path}."

    def _next(self) -> Part | None:
        with self._choice:
            return None if self._closed.is_set() else next(self._waiting, None)

    def _write(self, path: Path, *, force: bool = True) -> bool:
        """Write a checkpoint while all players rest; a disk that is full must not end a run that goes on without."""
        begun = time.monotonic()
        self._open.clear()
        try:
            with ExitStack() as rests:
                for busy in self._busy:
                    rests.enter_context(busy)
                checkpoint.write(path, self._run, [part.state() for part in self._parts], force=force)
        except OSError as cause:
            reason = cause.strerror or str(cause)
            warnings.warn(f"{path}: the checkpoint could not be written: {reason}.", RuntimeWarning, stacklevel=4)
            return False
        finally:
            self._open.set()
            self._kept = time.monotonic()
            self._cost = self._kept - begun
        return True


def _over(playing: list[Future[None]]) -> bool:
    """Wait for a moment; tell whether all is over, and raise what went wrong."""
    done, rest = wait(playing, GLANCE, FIRST_EXCEPTION)
    for future in done:
        future.result()
    return not rest


@contextmanager
def _deaf() -> Iterator[None]:
    """Hear no further Ctrl-C, of which an impatient hand or a process group sends several."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Bar:
    """How much of the time is covered, how long the rest will take, and how many events a second there are."""

    def __init__(self, progress: bool, span: float, parts: Sequence[Part]) -> None:
        self._parts, self._bar = parts, None
        if progress:
            from tqdm import tqdm

            style = "{l_bar}{bar}| t = {n:.4g} of {total:.4g} [{elapsed}<{remaining}{postfix}]"
            covered = sum(part.covered for part in parts)
            columns, lines = shutil.get_terminal_size()  # tqdm shows nothing where a terminal has no size
            self._bar = tqdm(
                total=span, initial=covered, desc="copies", bar_format=style, leave=False, ncols=columns, nrows=lines
            )
            self._seen = (time.monotonic(), sum(part.events for part in parts))

    def show(self) -> None:
        """Draw it anew."""
        if self._bar is None:
            return
        (since, before), now = self._seen, time.monotonic()
        events = sum(part.events for part in self._parts)
        if now - since > 1.0:
            self._bar.set_postfix_str(f"{(events - before) / (now - since):.3g} events/s", refresh=False)
            self._seen = (now, events)
        with suppress(OSError):  # a terminal that has been closed ends no run
            self._bar.update(sum(part.covered for part in self._parts) - self._bar.n)

    def close(self) -> None:
        """Take it away."""
        if self._bar is not None:
            self.show()
            with suppress(OSError):
                self._bar.close()
