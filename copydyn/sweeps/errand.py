"""What a worker of a Dask cluster does for a sweep. Light to import: a scheduler does that too."""

from __future__ import annotations

import faulthandler
import json
import os
import platform
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copydyn.refusal import Refusal

if TYPE_CHECKING:
    from copydyn.sweeps.work import Task

SLOW_FOLDER = 10.0
"""Seconds that a shared folder may take to show on one machine what another one has written."""

_known: set[str] = set()
_busy: set[str] = set()
_free = threading.Condition()


def run(words: str) -> str:
    """Do a task, unless this worker is unfit for it.

    Parameters
    ----------
    words : str
        JSON of what `told` says.

    Returns
    -------
    str
        JSON: outcome, as `copydyn.sweeps.work.work` has it, fault, bug, and why this worker is unfit.
    """
    said = json.loads(words)
    answer: dict[str, Any] = {"outcome": None, "fault": "", "bug": "", "unfit": ""}
    try:
        why = _unfit(said)
        answer |= {"unfit": why} if why else _done(said)
    except Refusal as refusal:
        answer["unfit"] = f"the one on {platform.node()} says: " + str(refusal).split("\n")[0].rstrip(".")
    except OSError as cause:
        answer["fault"] = cause.strerror or str(cause)
    except Exception:
        answer["bug"] = traceback.format_exc()
    return json.dumps(answer)


def told(task: Task, *, token: str, guarded: bool) -> str:
    """Say what a worker must know, as JSON: the task, and by what it sees that it is fit for it.

    Parameters
    ----------
    token : str
        Name of a file in the store's drafts, by which it is known again.
    guarded : bool
        Whether the process belongs to the sweep alone, and may be ended where a run does not hear its timeout.
    """
    task = task._replace(folder=os.path.abspath(task.folder))
    return json.dumps({"task": task, "token": token, "guarded": guarded, "key": _key_of(task), "made_by": made_by()})


def made_by() -> dict[str, str]:
    """Say which versions decide the bytes of a run here."""
    from copydyn.runs.made_by import made_by as of_a_run
    from copydyn.version import __version__

    return {"copydyn": __version__, **of_a_run()}


def difference(theirs: dict[str, str]) -> str:
    """Say how this process is not what ``theirs`` is; empty where it is the same."""
    mine = made_by()
    other = next((name for name in mine if name != "copydyn" and mine[name] != theirs.get(name)), "")
    if other == "code":
        its = "another copydyn" if mine["copydyn"] == theirs["copydyn"] else f"copydyn {mine['copydyn']}"
        why = f"has {its} than the sweep's {theirs['copydyn']}; install the same one there, and start it again"
    elif other:
        why = f"has {other} {mine[other]}, and not the sweep's {theirs.get(other)}; install that there"
    else:
        return ""
    return f"the one on {platform.node()} {why}"


def _done(said: dict[str, Any]) -> dict[str, Any]:
    from copydyn.sweeps.work import work

    task = _task_in(said)
    if _key_of(task) != said["key"]:
        why = "finds other files than the sweep where the scenario names a path; give whole paths"
        return {"unfit": f"the one on {platform.node()} {why}"}
    if task.only is not None:
        return _in_a_process(task)
    with _alone(f"{task.folder} {said['key']} {task.span}"), _ended_if_deaf(said["guarded"], task):
        which = "-".join(map(str, (task.block.number, *(task.span or ()))))
        mark = Path(task.folder, "drafts", f"{which}.{said['token']}")
        outcome = work(task._replace(found=_found(task, mark)))
        mark.unlink(missing_ok=True)
    return {"outcome": outcome}


def _in_a_process(task: Task) -> dict[str, Any]:
    """Make a run that may end its process in one of its own: a worker that died would take innocent ones with it."""
    from copydyn.sweeps.crew import Crew

    crew = Crew(1)
    try:
        crew.ask(task)
        while not (answers := crew.answers(1.0)):
            pass
    finally:
        crew.close()
    answer = answers[0]
    return {"outcome": answer.outcome, "fault": answer.fault, "bug": answer.bug, "unfit": answer.refusal}


@contextmanager
def _ended_if_deaf(guarded: bool, task: Task) -> Iterator[None]:
    """End this process where a run does not hear its timeout."""
    if not guarded or task.timeout is None:
        yield
        return
    from copydyn.sweeps.crew import GRACE

    faulthandler.dump_traceback_later(task.strands * (1.5 * task.timeout + GRACE), exit=True, file=_nowhere())
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _found(task: Task, mark: Path) -> tuple[str, ...]:
    """Name the records in which runs of the block stand, also those of a worker that has died over it."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        from copydyn.sweeps.builder import builder_of
        from copydyn.sweeps.store import Store
        from copydyn.sweeps.work import block_name

        name = block_name(builder_of(str(Path(task.folder, "sweeps", task.sweep))).recipe, task.block)
        left = [record.name for record in Store(Path(task.folder)).records({}) if record.block == name]
        return tuple(dict.fromkeys([*task.found, *left]))
    return task.found


def _task_in(said: dict[str, Any]) -> Task:
    from copydyn.sweeps.recipe import Block
    from copydyn.sweeps.work import Task

    folder, sweep, block, found, *rest = said["task"]
    return Task(folder, sweep, Block(*block), tuple(found), *rest)


def _key_of(task: Task) -> str:
    """Name a block by its first run; by all of them where they read different files."""
    from copydyn.sweeps.builder import builder_of
    from copydyn.sweeps.work import block_name

    recipe = builder_of(str(Path(task.folder, "sweeps", task.sweep))).recipe
    if any(key.endswith(".path") for axis in recipe.axes for key in axis.keys):
        return block_name(recipe, task.block)
    first = recipe.strand(task.block.theory, task.block.start)
    return recipe.key(first, first.first, first.replicas)


def _unfit(said: dict[str, Any]) -> str:
    """Say why this process would make other bytes, or put them elsewhere; empty where it does not."""
    known = json.dumps([said["task"][0], said["token"], said["made_by"]])
    if known in _known:
        return ""
    why = difference(said["made_by"])
    if not why and not _appears(Path(said["task"][0], "drafts", said["token"])):
        folder = said["task"][0]
        why = f"the one on {platform.node()} does not see the folder {folder}; put that where all machines share it"
    if not why:
        _known.add(known)
    return why


def _appears(path: Path) -> bool:
    deadline = time.monotonic() + SLOW_FOLDER
    while time.monotonic() < deadline:
        with suppress(OSError):  # to list a folder makes NFS look again
            if path.name in os.listdir(path.parent):
                return True
        time.sleep(0.2)
    return False


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep other threads of this process from a block, which Dask, or a sweep that goes on, may hand out once more.

    Two of them would write the same drafts.
    """
    with _free:
        _free.wait_for(lambda: name not in _busy)
        _busy.add(name)
    try:
        yield
    finally:
        with _free:
            _busy.remove(name)
            _free.notify_all()


def _nowhere() -> Any:
    return open(os.devnull, "w")  # faulthandler holds on to its descriptor
