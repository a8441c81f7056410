"""Processes of this machine that work for a sweep: one task each at a time, in lines of JSON through a socket.

Where that is safe they are forked, ready at once with everything compiled; in a process with threads (a notebook) they
are started anew. Neither needs `if __name__ == "__main__"` in the user's script, nor a server, nor pickle.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import xarray as xr

from copydyn.refusal import Refusal
from copydyn.sweeps.recipe import Block
from copydyn.sweeps.work import Outcome, Task, work

PATIENCE = 2.0
"""Seconds that workers are given to save a long run when the sweep is interrupted."""

GRACE = 30.0
"""Seconds beyond the timeout, and a half of it, after which a worker that does not listen is ended from within."""

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""A core a worker: nested pools of threads crawl."""


HARMLESS = ("jemalloc_bg_thd",)
"""Threads that see to a fork themselves: pyarrow brings one, where it is installed."""


class Answer(NamedTuple):
    """What has become of a task.

    Parameters
    ----------
    task : Task
    outcome : Outcome or None
        None where the worker has died, or the sweep cannot go on.
    fault : str
        What the store cannot be written for; empty where the worker has died.
    bug : str
        Traceback of what should not happen.
    refusal : str
        A sentence that the sweep ends with.
    """

    task: Task
    outcome: Outcome | None
    fault: str = ""
    bug: str = ""
    refusal: str = ""


class Team(Protocol):
    """Whoever takes tasks."""

    @property
    def size(self) -> int:
        """How many tasks are worked on at a time."""
        ...

    @property
    def most(self) -> int:
        """How many that may come to be."""
        ...

    def ask(self, task: Task) -> None:
        """Hand out a task."""
        ...

    def answers(self, seconds: float) -> list[Answer]:
        """Wait for so long, or until something is done."""
        ...

    def close(self, *, patience: float = 0.0) -> None:
        """Let go of everybody, and of what they are at; long runs may be saved within ``patience`` seconds."""
        ...


class Crew:
    """Worker processes.

    Parameters
    ----------
    size : int
    """

    def __init__(self, size: int) -> None:
        self.size = self.most = size
        self._workers: list[_Worker] = []
        self._waiting: list[Task] = []
        self._ears = selectors.DefaultSelector()

    def ask(self, task: Task) -> None:
        """Hand out a task; it waits where everybody is busy."""
        self._waiting.append(task)
        self._hand_out()

    def answers(self, seconds: float) -> list[Answer]:
        """Wait for so long, or until something is done."""
        found = []
        for key, _ in self._ears.select(seconds):
            worker: _Worker = key.data
            answer = worker.hear()
            if answer is not None:
                found.append(answer)
            if worker.gone:
                self._ears.unregister(worker.line)
                self._workers.remove(worker)
                worker.bury()
        self._hand_out()
        return found

    def close(self, *, patience: float = 0.0) -> None:
        """Let go of everybody."""
        for worker in self._workers:
            with suppress(OSError):
                os.kill(worker.pid, signal.SIGTERM if patience else signal.SIGKILL)
        deadline = time.monotonic() + patience
        for worker in self._workers:
            worker.bury(deadline)
        self._workers.clear()
        self._ears.close()

    def _hand_out(self) -> None:
        while self._waiting:
            worker = next((worker for worker in self._workers if worker.task is None), None)
            if worker is None:
                if len(self._workers) == self.size:
                    return
                worker = _hired([other.line for other in self._workers])
                self._workers.append(worker)
                self._ears.register(worker.line, selectors.EVENT_READ, worker)
            worker.tell(self._waiting.pop(0))


class _Worker:
    """One of them, as the sweep sees it."""

    def __init__(self, pid: int, line: socket.socket, process: subprocess.Popen[bytes] | None) -> None:
        self.pid, self.line, self._process = pid, line, process
        self.task: Task | None = None
        self.gone = False
        self._heard = b""

    def tell(self, task: Task) -> None:
        self.task = task
        with suppress(OSError):  # one that is dead is noticed by its silence
            self.line.sendall(json.dumps(task).encode() + b"\n")

    def hear(self) -> Answer | None:
        """Take in what it says: an answer, a part of one, or its end."""
        try:
            said = self.line.recv(1 << 16)
        except OSError:
            said = b""
        if not said:
            self.gone = True
            return None if self.task is None else Answer(self.task, None)
        self._heard += said
        if not self._heard.endswith(b"\n"):
            return None
        body, self._heard = json.loads(self._heard), b""
        assert self.task is not None
        answer = Answer(
            self.task,
            Outcome(*body["outcome"]) if body["outcome"] else None,
            body["fault"],
            body["bug"],
            body["refusal"],
        )
        self.task = None
        return answer

    def bury(self, deadline: float = 0.0) -> None:
        """Wait for its end, and bring it about at the ``deadline``."""
        self.line.close()
        while not self._ended():
            if time.monotonic() > deadline:
                with suppress(OSError):
                    os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.005)

    def _ended(self) -> bool:
        if self._process is not None:
            return self._process.poll() is not None
        with suppress(ChildProcessError):
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        return True


def _hired(others: Sequence[socket.socket]) -> _Worker:
    ours, theirs = socket.socketpair()
    if _may_fork():
        _import_for_all()
        pid = os.fork()
        if pid == 0:
            _begin_as_child([ours, *others], theirs)
        theirs.close()
        return _Worker(pid, ours, None)
    environment = {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}
    command = [sys.executable, "-m", "copydyn.sweeps.crew", str(theirs.fileno())]
    process = subprocess.Popen(
        command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, cwd=os.getcwd()
    )
    theirs.close()
    return _Worker(process.pid, ours, process)


def _import_for_all() -> None:
    """Import, once for all workers, what the first run of each would."""
    import qm_reference  # noqa: F401

    xr.Variable((), 0.0)  # xarray looks for others' arrays when it first meets one


def _may_fork() -> bool:
    """Tell whether this process has no other threads, whose locks a child would inherit for ever."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return False
    try:
        others = [Path(task, "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    except OSError:
        return False
    others.remove(Path("/proc/self/comm").read_text().strip())
    return all(name in HARMLESS for name in others)


def _begin_as_child(parents: Sequence[socket.socket], line: socket.socket) -> None:
    """Work for the sweep in a forked process, which knows nothing else of its parent any more."""
    code = 1
    try:
        for other in parents:
            other.close()
        serve(line)
        code = 0
    except KeyboardInterrupt:
        code = 130
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def serve(line: socket.socket) -> None:
    """Answer one task after the other, until whoever asks is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the sweep decides
    signal.signal(signal.SIGTERM, _interrupt)
    gc.freeze()  # what came with the process stays: to look through it again and again would cost more than short runs
    inbox = _Inbox(line)
    while True:
        task = inbox.next()
        answer: dict[str, Any] = {"outcome": None, "fault": "", "bug": "", "refusal": ""}
        if task.timeout is not None:
            faulthandler.dump_traceback_later(task.strands * (1.5 * task.timeout + GRACE), exit=True, file=_nowhere())
        try:
            answer["outcome"] = work(task)
        except OSError as cause:
            answer["fault"] = cause.strerror or str(cause)
        except Refusal as refusal:
            answer["refusal"] = str(refusal)
        except Exception:
            answer["bug"] = traceback.format_exc()
        faulthandler.cancel_dump_traceback_later()
        line.sendall(json.dumps(answer).encode() + b"\n")


class _Inbox:
    """Listens all the time: a worker whose sweep has died must not go on, perhaps beside the one that resumes it."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._arrived = threading.Condition()
        self._tasks: list[Task] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> Task:
        """Wait for a task."""
        with self._arrived:
            while not self._tasks:
                self._arrived.wait()
            return self._tasks.pop(0)

    def _listen(self) -> None:
        heard = b""
        while True:
            try:
                said = self._line.recv(1 << 16)
            except OSError:
                said = b""
            if not said:
                os._exit(0)
            heard += said
            while b"\n" in heard:
                text, _, heard = heard.partition(b"\n")
                folder, sweep, block, found, *rest = json.loads(text)
                with self._arrived:
                    self._tasks.append(Task(folder, sweep, Block(*block), tuple(found), *rest))
                    self._arrived.notify()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _nowhere() -> Any:
    return open(os.devnull, "w")  # faulthandler holds on to its descriptor


if __name__ == "__main__":
    try:
        serve(socket.socket(fileno=int(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
