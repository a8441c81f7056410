"""Kill a run at random moments, let it go on from its checkpoint, and compare with one that was left in peace.

A script of its own: its children are forked from a process in which everything is compiled, and killed without warning.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from copydyn.experiment import Experiment
from copydyn.results import result
from copydyn.runs.conduct import Checkpoint
from copydyn.theories import CopyDynamics

H = np.array([[0.3, 0.5 + 0.2j, 0.1], [0.5 - 0.2j, -0.3, 0.3j], [0.1, -0.3j, 0.2]])
EXPERIMENT = Experiment.of([(3.0, H), (7.0, H.conj())], [0.8, 0.36j, 0.48], np.linspace(0.0, 10.0, 6))
RUNS = {
    "exact": (CopyDynamics(1_000_000), 9),
    "many": (CopyDynamics(2_000, preparation="multinomial"), 2_000),
    "agents": (CopyDynamics(40_000, "agents", record_events=True, follow=(0, 7)), 3),
    "unaligned": (CopyDynamics(1_500, phase_spread=0.4, record_events=True), 2),
}


def evolve(name: str, path: Path | None = None, jobs: int = 1):
    theory, replicas = RUNS[name]
    keep = None if path is None else Checkpoint(path, every=0.01)
    return theory.evolve(EXPERIMENT, seed=5, replicas=replicas, jobs=jobs, keep=keep)


def child(name: str, path: Path, out: Path) -> int:
    pid = os.fork()
    if pid == 0:
        found = evolve(name, path, jobs=random.choice((1, 2)))
        draft = out.with_suffix(".draft")
        result.write(found, draft)
        os.replace(draft, out)
        os._exit(0)
    return pid


def main(kills: int, seed: int) -> int:
    random.seed(seed)
    killed = resumed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in RUNS:
            whole, begun = evolve(name), time.monotonic()
            whole, length = evolve(name), time.monotonic() - begun
            path, out = Path(folder, f"{name}.checkpoint"), Path(folder, f"{name}.nc")
            wanted = killed + -(-kills // len(RUNS))
            while killed < wanted or not out.exists():
                if out.exists():
                    out.unlink()
                    path.unlink()
                resumed += path.exists()
                pid = child(name, path, out)
                if killed < wanted:
                    time.sleep(random.uniform(0.0, 0.6 * length))
                    os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                killed += os.WIFSIGNALED(status)
                assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed"
            again = result.read(out)
            assert all(
                np.array_equal(again[k].values, whole[k].values, equal_nan=again[k].dtype.kind == "f") for k in whole
            )
    print(f"{killed} killed, {resumed} gone on from a checkpoint")
    return 0 if killed >= kills and resumed >= kills // 3 else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
