"""The team of a sweep on a Dask cluster: tasks go out as a few words, results stay in the folder that all share."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import platform
import queue
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from copydyn.refusal import BadType, BadValue
from copydyn.scenario.toml_text import shown
from copydyn.sweeps import errand
from copydyn.sweeps.crew import ONE_THREAD, Answer
from copydyn.sweeps.store import unwritable
from copydyn.sweeps.work import Outcome, Task

PATIENCE = 5.0
"""Seconds in which a scheduler must answer."""

FAREWELL = 2.0
"""Seconds that leaving a cluster may take."""

LOOK = 0.5
"""Seconds between two looks at how many workers there are."""

LONELY = 15.0
"""Seconds without a worker after which somebody may want to know."""

STILLBORN = 3
"""Workers of this machine that end before any has come to the scheduler, or senseless answers, that are enough."""

READY = 64
"""Workers that a sweep on a cluster is shared out among, however few have come yet."""

LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application", "asyncio")
"""Those that speak of what is said in one sentence here."""

_ADDRESS = re.compile(r"(?:tcp|tls)://(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([^\s/:@\[\]]+)):(\d{1,5})")


class Cluster:
    """Workers of a Dask cluster.

    Parameters
    ----------
    address : str
        Of a scheduler, tcp://host:port or tls://host:port; or "local" for one of our own.
    jobs : int
        Worker processes of "local".

    Raises
    ------
    BadType, BadValue
        If nobody answers there.
    """

    def __init__(self, address: str, jobs: int) -> None:
        self._name = f"dask {shown(address)}"
        ends = _ends_of(address)
        self._size, self._jobs, self._closed = 0, jobs, False
        self._token = f"dask.{secrets.token_hex(4)}.{platform.node()}.{os.getpid()}"
        self._folders: set[str] = set()
        self._hand: dict[str, Any] = {}
        self._heard: queue.SimpleQueue[tuple[str, Task, Any]] = queue.SimpleQueue()
        self._asked, self._lonely = 0, time.monotonic() + LONELY
        self._fit: set[str] = set()
        self._strange, self._odd = "", 0
        self._own: _Own | None = None
        self._quiet = _Quiet()
        self._dask = _distributed()
        self._quiet.begin()
        try:
            if ends is None:
                self._own = _Own(self._dask, jobs)
            else:
                self._require(_reason_against(self._dask, address, ends))
            self._client = self._connected(address if self._own is None else self._own.address)
        except BaseException:
            self._leave()
            raise
        self._client.loop.add_callback(self._look_around)

    @property
    def size(self) -> int:
        """How many threads the workers have now."""
        return self._size

    @property
    def most(self) -> int:
        """How many threads to be ready for: workers come while the sweep is at work."""
        return self._jobs if self._own is not None else max(self._size, READY)

    def ask(self, task: Task) -> None:
        """Hand out a task."""
        if task.folder not in self._folders:
            self._leave_token(task.folder)
        words = errand.told(task, token=self._token, guarded=self._own is not None)
        key = f"copydyn-{self._token}-{self._asked}"
        self._asked += 1
        self._hand[key] = self._client.submit(errand.run, words, key=key, pure=False)
        self._client.loop.add_callback(self._follow, key, task)

    def answers(self, seconds: float) -> list[Answer]:
        """Wait for so long, or until something is done.

        Raises
        ------
        BadValue
            If the scheduler is gone, or a worker cannot do what the others do.
        """
        self._look_after()
        found = []
        with suppress(queue.Empty):
            found.append(self._heard.get(timeout=seconds))
            while True:
                found.append(self._heard.get_nowait())
        return [self._answer(*said) for said in found]

    def close(self, *, patience: float = 0.0) -> None:
        """Let go of everybody; tasks that are begun on a cluster of others' are brought to an end there, and kept."""
        if self._closed:
            return
        self._closed = True
        with suppress(Exception):  # a scheduler that is gone cannot be taken leave of
            self._client.close(timeout=FAREWELL)
        self._hand.clear()
        self._leave()
        for folder in self._folders:
            for left in Path(folder, "drafts").glob(f"*{self._token}"):
                with suppress(OSError):
                    left.unlink()

    def _leave(self) -> None:
        if self._own is not None:
            self._own.close()
        self._quiet.end()

    def _connected(self, address: str) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # other versions of Dask there: it says itself what does not work
                return self._dask.Client(address, timeout=PATIENCE, set_as_default=False)
        except Exception as cause:
            self._require(_short(cause))
            raise

    def _require(self, reason: str) -> None:
        if reason:
            raise BadValue(
                f"{self._name}: a Dask scheduler must answer there, but {reason}; start one with `dask scheduler`, or "
                "take the cores of this machine without --dask."
            )

    def _leave_token(self, folder: str) -> None:
        """Put a file into the store, by which workers know it again."""
        try:
            Path(folder, "drafts", self._token).touch()
        except OSError as cause:
            raise unwritable(Path(folder), cause) from None
        self._folders.add(folder)

    async def _follow(self, key: str, task: Task) -> None:
        """Wait for a task, on the loop's side."""
        said: Any
        try:
            said = await self._hand[key]
        except (Exception, asyncio.CancelledError) as cause:
            said = cause
        self._heard.put((key, task, said))

    async def _look_around(self) -> None:
        """See how many workers there are, on the loop's side."""
        while not self._closed:
            with suppress(Exception):  # what is wrong shows where a task is lost
                threads = await self._client.nthreads()
                await self._examine([worker for worker in threads if worker not in self._fit])
                self._size = sum(number for worker, number in threads.items() if worker in self._fit)
            await asyncio.sleep(LOOK)

    async def _examine(self, workers: list[str]) -> None:
        """Ask new workers what they are: a task that they cannot read would end them."""
        if not workers:
            return
        try:
            found = await self._client.run(errand.difference, errand.made_by(), workers=workers, on_error="return")
        except OSError:
            return  # one of them has left
        except Exception as cause:
            found = {"": cause}
        self._fit.update(worker for worker, said in found.items() if said == "")
        odd = [said for said in found.values() if isinstance(said, Exception) and not isinstance(said, OSError)]
        self._odd = self._odd + 1 if odd else 0
        if self._odd >= STILLBORN:  # once, it may have left just now
            self._strange = f"one has none, or a very old one ({_short(odd[0])})"
        self._strange = next((said for said in found.values() if isinstance(said, str) and said), self._strange)

    def _look_after(self) -> None:
        """See that there is somebody to ask."""
        if self._strange:
            raise self._unfit(self._strange)
        if self._client.status not in ("running", "connecting"):
            raise self._gone()
        if self._own is not None:
            self._own.keep_up(alive=self._size > 0)
        if self._size:
            self._lonely = time.monotonic() + LONELY
        elif time.monotonic() > self._lonely:
            self._lonely = math.inf
            warnings.warn(
                f"{self._name}: there is no worker at this scheduler; the sweep waits for one.",
                RuntimeWarning,
                stacklevel=4,
            )

    def _answer(self, key: str, task: Task, said: Any) -> Answer:
        self._hand.pop(key, None)
        if isinstance(said, str):
            body = json.loads(said)
            if body["unfit"]:
                raise self._unfit(body["unfit"])
            outcome = Outcome(*body["outcome"]) if body["outcome"] else None
            return Answer(task, outcome, body["fault"], body["bug"])
        if isinstance(said, self._dask.KilledWorker):
            return Answer(task, None)
        if isinstance(said, (asyncio.CancelledError, self._dask.CancelledError, OSError)):
            raise self._gone()
        raise self._unfit(f"the scheduler, or one of them, cannot read a task ({_short(said)})")

    def _unfit(self, why: str) -> BadValue:
        return BadValue(
            f"{self._name}: every worker must have the sweep's copydyn, numpy and folder, but {why}; what is made so "
            "far is kept, and the same command goes on then."
        )

    def _gone(self) -> BadValue:
        folder = "".join(f" in {folder}" for folder in self._folders)
        return BadValue(
            f"{self._name}: the Dask scheduler must stay until the sweep is done, but is gone, or has dropped its "
            f"tasks; what is made so far is kept{folder}, and the same command goes on once there is one again."
        )


class _Own:
    """A scheduler in this process, and worker processes that know nothing of the user's script.

    Those of Dask's own LocalCluster would import it again: without `if __name__ == "__main__"` it begins anew in each.
    """

    def __init__(self, dask: Any, jobs: int) -> None:
        self._jobs, self._ended = jobs, 0
        self._workers: list[subprocess.Popen[bytes]] = []
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._cluster = dask.LocalCluster(
                n_workers=0,
                host="127.0.0.1",
                dashboard_address=":0",
                silence_logs=False,
                scheduler_kwargs={"dashboard": False, "allowed_failures": 0},
            )
        except Exception as cause:
            self._said.close()
            raise BadValue(
                f"dask 'local': a scheduler must start on 127.0.0.1, but {_short(cause)}; take the cores of this "
                "machine without --dask."
            ) from None
        self.address: str = self._cluster.scheduler_address
        self.keep_up(alive=False)

    def keep_up(self, *, alive: bool) -> None:
        """Hire somebody for everybody who has died.

        Parameters
        ----------
        alive : bool
            Whether any has come to the scheduler.

        Raises
        ------
        BadValue
            If all die at birth.
        """
        ended = [worker for worker in self._workers if worker.poll() is not None]
        self._ended = 0 if alive else self._ended + len(ended)
        if self._ended >= STILLBORN:
            raise BadValue(f"dask 'local': workers must start, but they end at once: {self._last_words()}.")
        self._workers = [worker for worker in self._workers if worker not in ended]
        while len(self._workers) < self._jobs:
            self._workers.append(self._hired())

    def close(self) -> None:
        """End them all."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.wait()
        self._workers.clear()
        with suppress(Exception):
            self._cluster.close(timeout=FAREWELL)
        self._said.close()

    def _hired(self) -> subprocess.Popen[bytes]:
        words = f"{self.address} --nthreads 1 --no-nanny --no-dashboard --memory-limit 0 --host 127.0.0.1"
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", *words.split(), "--death-timeout", "60"],
            env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C reaches the whole group; the sweep decides
        )

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip().rstrip(".") if lines else "without a word"


class _Quiet:
    """Silence of the libraries below, until they are left; for good where nobody else has them in use."""

    def __init__(self) -> None:
        self._back = "distributed" in sys.modules
        self._levels = {name: logging.getLogger(name).level for name in LOGGERS}

    def begin(self) -> None:
        """Once they are imported, which sets levels."""
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def end(self) -> None:
        """Let them speak again."""
        if self._back:
            for name, level in self._levels.items():
                logging.getLogger(name).setLevel(level)


def _distributed() -> Any:
    try:
        import distributed
        import distributed.comm
    except ImportError as cause:
        raise BadValue(
            f"--dask: the extra dask must be installed, but is not ({_short(cause)}); `pip install 'copydyn[dask]'`, "
            "or take the cores of this machine without --dask."
        ) from None
    return distributed


def _ends_of(address: str) -> tuple[str, int] | None:
    """Give host and port; None for "local"."""
    if not isinstance(address, str):
        raise BadType(f"dask must be the address of a scheduler, or 'local', but is {shown(address)}.")
    if address == "local":
        return None
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[3]) < 2**16:
        raise BadValue(
            f"dask {shown(address)}: the address of a scheduler must have the form tcp://host:port or tls://host:port, "
            "such as tcp://127.0.0.1:8786, or be local for the cores of this machine."
        )
    return found[1] or found[2], int(found[3])


def _reason_against(dask: Any, address: str, ends: tuple[str, int]) -> str:
    """Say what stands there that is no scheduler; empty where one does."""
    return _within(PATIENCE, lambda: _tried(dask, address, ends)) or ""


def _tried(dask: Any, address: str, ends: tuple[str, int]) -> str:
    try:
        socket.create_connection(ends, PATIENCE).close()
    except socket.gaierror:
        return f"no machine is known as {shown(ends[0])}"
    except (OSError, ValueError) as cause:
        return f"nobody does ({_short(cause).lower()})"
    arguments = dask.Security().get_connection_args("client")
    if address.startswith("tls") and arguments.get("ssl_context") is None:
        return "its certificates are unknown, which distributed.comm.tls in the configuration of Dask must name"
    try:
        kind = asyncio.run(_kind_of(dask, address, arguments))
    except Exception:  # whatever speaks another language there
        return "what does speaks no Dask"
    return "" if kind == "Scheduler" else f"what does is a Dask {shown(kind)}"


async def _kind_of(dask: Any, address: str, arguments: dict[str, Any]) -> str:
    """Ask who is there."""
    comm = await asyncio.wait_for(dask.comm.connect(address, PATIENCE, **arguments), 0.8 * PATIENCE)
    try:
        await comm.write({"op": "identity", "reply": True})
        said = await asyncio.wait_for(comm.read(), 0.8 * PATIENCE)
    finally:
        comm.abort()
    return str(said["type"])


def _within(seconds: float, ask: Callable[[], str]) -> str:
    """Ask in a thread, which nobody waits for longer than so many seconds: a name may take a minute to be unknown."""
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: heard.put(ask()), daemon=True).start()
    try:
        return heard.get(timeout=seconds)
    except queue.Empty:
        return f"nobody has within {seconds:g} s"


def _short(cause: BaseException) -> str:
    """Say an exception in a few words."""
    said = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(said).split()).split(". ")[0][:120].rstrip(".")
