"""Sweeps on a Dask cluster: a scheduler and workers in processes on loopback; workers that die; addresses of nobody."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import copydyn
from copydyn.sweeps import errand
from copydyn.sweeps.asked import recipe_in
from copydyn.sweeps.store import Store
from copydyn.sweeps.work import Task, work

ROOT = Path(__file__).resolve().parents[1]
AXES = {"theory.copies": [1e3, 1e4], "system.detuning": "linspace(0.5, 1.2, 8)"}
CALM = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
SOON = 240.0
"""Seconds after which a busy machine is taken for one where nothing happens any more."""

pytest.importorskip("distributed")


def begun(module, *words, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        env={**CALM, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def until(true, seconds=SOON):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Loopback:
    """A scheduler, and workers of one and of two threads."""

    def __init__(self, folder, threads=(1, 2)):
        file = folder / "scheduler.json"
        words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address", ":0"]
        self.scheduler = begun("distributed.cli.dask_scheduler", *words, "--scheduler-file", str(file))
        self.workers = []
        until(lambda: file.exists() and file.stat().st_size > 0)
        self.address = json.loads(file.read_text())["address"]
        self.folder = folder
        for number in threads:
            self.hire(number)

    def hire(self, threads):
        words = ["--no-nanny", "--no-dashboard", "--memory-limit", "0", "--local-directory", str(self.folder)]
        worker = begun("distributed.cli.dask_worker", self.address, "--nthreads", str(threads), *words)
        self.workers.append(worker)

    def close(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def loopback(tmp_path_factory):
    cluster = Loopback(tmp_path_factory.mktemp("dask"))
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What processes of this machine make of the sweep."""
    out = tmp_path_factory.mktemp("alone") / "store"
    copydyn.sweep("rabi", AXES, replicas=4, seed=3, out=out, jobs=2)
    return files_of(out)


def files_of(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted((out / "runs").rglob("*.nc"))}


def nothing_else_in(out):
    """No parts of blocks, and nothing of Dask's; what a killed worker was writing is removed by the next sweep."""
    return all(record.whole for record in Store(out).records({})) and not list((out / "drafts").glob("*dask*"))


HEARING = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background are deaf
from copydyn.__main__ import main
sys.exit(main())
"""


def sweep_command(out, *words):
    command = [sys.executable, "-c", HEARING, "sweep", "rabi", *words, "--seed", "3", "--out", str(out)]
    return subprocess.Popen(command, cwd=ROOT, env=CALM, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_same_bytes_as_on_this_machine(loopback, alone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # workers have another working directory
    found = copydyn.sweep("rabi", AXES, replicas=4, seed=3, out="store", dask=loopback.address)
    assert files_of(tmp_path / "store") == alone
    assert len(alone) == 16
    assert (found.status == "ok").all()
    assert nothing_else_in(tmp_path / "store")


def when_begun(out, strike):
    """Do something as soon as the first run is there."""

    def wait():
        until(lambda: files_of(out))
        strike()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_worker_that_is_killed_loses_nothing(loopback, alone, tmp_path):
    out, doomed = tmp_path / "store", loopback.workers[0]
    loopback.hire(1)
    killer = when_begun(out, doomed.kill)
    copydyn.sweep("rabi", AXES, replicas=4, seed=3, out=out, dask=loopback.address)
    killer.join()
    assert doomed.wait() == -signal.SIGKILL
    assert files_of(out) == alone
    assert nothing_else_in(out)


def test_ctrl_c_leaves_the_cluster_and_the_same_command_goes_on(loopback, tmp_path):
    out = tmp_path / "store"
    words = ["theory.copies=1e5,2e5", "system.detuning=linspace(0.5,1.5,20)", "--replicas", "2"]
    words += ["--dask", loopback.address]
    process = sweep_command(out, *words)
    until(lambda: files_of(out))
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    said, err = process.communicate(timeout=SOON)
    assert time.monotonic() - begun < 10.0
    assert (process.returncode, said) == (130, "")
    assert err.startswith("copydyn: interrupted with ")
    assert err.count("\n") == 1
    done = len(files_of(out))
    assert 0 < done < 40
    said, err = sweep_command(out, *words).communicate(timeout=SOON)
    assert err == ""
    assert re.match("40 runs, [0-9]+ of them were there already; ", said)
    assert len(files_of(out)) == 40


def test_a_cluster_of_its_own_and_a_point_that_kills_its_worker(tmp_path, alone):
    """In a script without a guard, which worker processes must not run again."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def trapped(self, plan):\n"
        "    if plan.values['theory.copies'] == 1000 and plan.values['system.detuning'] == 0.5:\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return run(self, plan)\n"
        "if {'distributed.cli.dask_worker', 'copydyn.sweeps.crew'}.intersection(sys.orig_argv):\n"
        "    from copydyn.sweeps.builder import Builder\n"
        "    run, Builder.run = Builder.run, trapped\n"
    )
    few = {**AXES, "system.detuning": [0.5, 0.6]}
    script = tmp_path / "script.py"
    script.write_text(
        "import copydyn\n"
        f"found = copydyn.sweep('rabi', {few!r}, replicas=4, seed=3, out='store', dask='local', jobs=1)\n"
        "print(int((found.status == 'ok').sum()), *set(found.status.values.ravel().tolist()), sep='|')\n"
    )
    environment = {**CALM, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    words = [sys.executable, str(script)]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("3|")
    assert "the process that computed it died twice" in done.stdout
    assert len(files_of(tmp_path / "store")) == 3
    assert set(files_of(tmp_path / "store").items()) < set(alone.items())


def test_what_a_dead_worker_has_left_of_a_block_is_found_and_merged(tmp_path):
    """Dask hands the task out once more as it was; a mark in the store says that somebody had begun it."""
    whole, out = tmp_path / "whole", tmp_path / "store"
    options = {"replicas": 1, "seed": 3, "batch": 4}
    copydyn.sweep("rabi", {**AXES, "theory.copies": 100}, out=whole, jobs=1, **options)
    store = Store.create(out)
    store.remember(Store(whole).last_sweep().read_text())
    recipe = recipe_in(store.last_sweep())
    block = next(recipe.blocks())
    task = Task(str(out), "001.toml", block, ())
    for strand in (1, 3):
        work(task._replace(only=strand))
    (out / "drafts" / "token").touch()
    (out / "drafts" / f"{block.number}.token").touch()
    said = json.loads(errand.run(errand.told(task, token="token", guarded=False)))
    assert said == {"outcome": [4, 0, "", []], "fault": "", "bug": "", "unfit": ""}
    (out / "drafts" / "token").unlink()
    assert nothing_else_in(out)
    assert set(files_of(out).items()) < set(files_of(whole).items())
    assert len(files_of(out)) == 1


def told_to(out, **changes):
    """Why a worker says that it is unfit, when it is told that the sweep is different in some way."""
    task = Task(str(out), "001.toml", next(recipe_in(Store(out).last_sweep()).blocks()), ())
    words = json.loads(errand.told(task, token="token", guarded=False))
    versions = {name: changes.pop(name) for name in ("code", "copydyn", "numpy", "numba") if name in changes}
    return json.loads(errand.run(json.dumps({**words, **changes, "made_by": words["made_by"] | versions})))["unfit"]


def test_a_worker_that_differs_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(errand, "SLOW_FOLDER", 0.1)
    out = tmp_path / "store"
    copydyn.sweep("rabi", {"theory.copies": [10, 20]}, replicas=1, seed=3, out=out, jobs=1)
    (out / "drafts" / "token").touch()
    assert told_to(out) == ""
    assert "has another copydyn than the sweep's" in told_to(out, code="0" * 64)
    assert "than the sweep's 9.9;" in told_to(out, code="0" * 64, copydyn="9.9")
    assert "has numpy" in told_to(out, numpy="0.9")
    assert "has numba" in told_to(out, numba="0.9")
    assert "does not see the folder" in told_to(out, token="another")
    assert "finds other files" in told_to(out, key="0" * 32)


def test_a_failing_point_is_recorded_with_its_sentence(loopback, tmp_path):
    axes = {"theory.copies": [1e9, 2e9], "theory.engine": "exact"}
    found = copydyn.sweep("rabi", axes, replicas=2, seed=3, timeout=0.3, out=tmp_path / "store", dask=loopback.address)
    assert all("longer than the timeout" in sentence for sentence in found.status.values)


def test_a_scheduler_that_dies_on_the_way_is_said_in_one_sentence(tmp_path, refuses):
    cluster = Loopback(tmp_path, threads=[1])
    try:
        axes = {"theory.copies": [3e4, 1e5], "system.detuning": "linspace(0.5, 1.5, 20)"}
        out = tmp_path / "store"
        killer = when_begun(out, cluster.scheduler.kill)
        sentence = refuses(
            lambda: copydyn.sweep("rabi", axes, replicas=2, seed=3, out=out, dask=cluster.address),
            ValueError,
            "is gone",
        )
        killer.join()
        assert str(out) in sentence
        assert files_of(out)
    finally:
        cluster.close()


class Teapot(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(418)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def strangers():
    """Ports where no scheduler is: nobody, somebody silent, a web server."""
    silent = socket.create_server(("127.0.0.1", 0))
    web = ThreadingHTTPServer(("127.0.0.1", 0), Teapot)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
    yield {"nobody": free, "silent": silent.getsockname()[1], "web": web.server_port}
    web.shutdown()
    web.server_close()
    silent.close()


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("tcp://127.0.0.1:{nobody}", "nobody does .connection refused"),
        ("tcp://127.0.0.1:{silent}", "speaks no Dask|nobody has within"),
        ("tcp://127.0.0.1:{web}", "speaks no Dask"),
        ("tls://127.0.0.1:{silent}", "certificates"),
        ("tcp://no-such-machine.invalid:8786", "no machine is known|nobody has within"),
        ("tcp://127.0.0.1", "must have the form"),
        ("127.0.0.1:8786", "must have the form"),
        ("tcp://127.0.0.1:65536", "must have the form"),
        ("tcp://a b:1", "must have the form"),
        ("tcp://\0:1", "no machine is known|nobody does"),
        ("tcp://" + "x" * 300 + ":1", "no machine is known|nobody does|nobody has"),
        ("", "must have the form"),
    ],
)
def test_an_address_without_a_scheduler_is_refused_soon(address, names, strangers, tmp_path, refuses, capfd):
    begun = time.monotonic()
    refuses(
        lambda: copydyn.sweep("rabi", AXES, out=tmp_path / "store", dask=address.format(**strangers)), ValueError, names
    )
    assert time.monotonic() - begun < 10.0
    assert not (tmp_path / "store").exists()
    assert capfd.readouterr() == ("", "")


def test_what_is_no_address_at_all_is_refused(tmp_path, refuses):
    refuses(lambda: copydyn.sweep("rabi", AXES, out=tmp_path / "store", dask=8786), TypeError, "8786")


def test_the_command_line_says_one_sentence_and_nothing_else(tmp_path, strangers):
    process = sweep_command(tmp_path / "store", "--dask", f"tcp://127.0.0.1:{strangers['nobody']}")
    out, err = process.communicate(timeout=SOON)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("copydyn: dask ")
    assert err.count("\n") == 1


def test_a_missing_extra_is_named(tmp_path, refuses, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    refuses(lambda: copydyn.sweep("rabi", AXES, out=tmp_path / "store", dask="local"), ValueError, r"copydyn\[dask\]")
