"""Many replicas, several threads, pauses, kills, Ctrl-C, damaged checkpoints: never another byte."""

import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from copydyn import copysolve
from copydyn.experiment import Experiment
from copydyn.runs import checkpoint, conduct
from copydyn.runs.conduct import Checkpoint, Interrupted
from copydyn.theories import CopyDynamics
from copydyn.theories.copies import engines
from copydyn.theories.copies.alignment import Alignment

H = np.array([[0.3, 0.5 + 0.2j, 0.1], [0.5 - 0.2j, -0.3, 0.3j], [0.1, -0.3j, 0.2]])
TRAIN = [(0.7, H), (1.3, H.conj())]
EXPERIMENT = Experiment.of(TRAIN, [0.8, 0.36j, 0.48], np.linspace(0.0, 2.0, 5), e_ops={"h": H})
THEORIES = {
    "exact": CopyDynamics(1000),
    "multinomial": CopyDynamics(1000, preparation="multinomial", spectators=3),
    "leap": CopyDynamics(1000, "leap"),
    "large leap": CopyDynamics(10**15, "leap", preparation="multinomial"),
    "agents": CopyDynamics(1000, "agents", record_events=True, follow=(0, 7)),
    "unaligned": CopyDynamics(300, phase_spread=0.4, record_events=True),
    "aligning": CopyDynamics(300, alignment=Alignment(0.2, friction=0.5, temperature=0.01, spread=0.1)),
}


@pytest.fixture(params=THEORIES)
def theory(request):
    return THEORIES[request.param]


def evolve(theory, replicas=5, **how):
    return theory.evolve(EXPERIMENT, seed=3, replicas=replicas, **how)


def test_the_number_of_threads_changes_nothing(theory):
    alone = evolve(theory, replicas=70)  # more replicas than parts
    for jobs in (2, 7):
        assert evolve(theory, replicas=70, jobs=jobs).identical(alone)


def test_a_batch_is_its_replicas_one_by_one(theory):
    """`advance_replicas` against one call of `advance` a stretch, which the agents' model uses as well."""
    batch = evolve(theory)
    settled = theory.resolved(EXPERIMENT)
    for replica in range(5):
        shown = []
        for snapshot in settled.iterate(EXPERIMENT, 3, replica):
            shown.append(snapshot.time_index)
            seen = batch.isel(replica=replica, time=snapshot.time_index)
            assert np.array_equal(seen.counts.values, snapshot.ensemble.counts)
            assert np.array_equal(seen.phase.values, snapshot.ensemble.phases, equal_nan=True)
            assert int(seen.events) == snapshot.events
        assert shown == list(range(len(EXPERIMENT.tlist))), "every save time, once, in order"


def test_replicas_are_numbered(theory):
    """More of them keep the old ones."""
    few, many = evolve(theory, replicas=2), evolve(theory, replicas=66)
    assert np.array_equal(many.counts.values[:2], few.counts.values)


def test_replicas_may_begin_anywhere(theory):
    """Several runs of fewer are one of many."""
    whole = evolve(theory, replicas=7)
    parts = [evolve(theory, replicas=3), evolve(theory, replicas=4, first=3)]
    for name in ("counts", "phase", "events"):
        joined = np.concatenate([part[name].values for part in parts])
        assert np.array_equal(joined, whole[name].values, equal_nan=joined.dtype.kind == "f")


def paused(monkeypatch, theory, path, calls):
    """Interrupt a run after so many calls of the kernels."""
    seen = []

    def over(playing):
        seen.append(playing)
        if len(seen) > calls:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(conduct, "_over", over)
    monkeypatch.setattr(engines, "WORK_A_CALL", 200)
    with pytest.raises(Interrupted) as caught:
        evolve(theory, keep=Checkpoint(path))
    monkeypatch.undo()
    return str(caught.value)


def test_an_interrupted_run_goes_on(theory, tmp_path, monkeypatch):
    whole, path = evolve(theory), tmp_path / "run.checkpoint"
    for calls in (0, 1):
        assert str(path) in paused(monkeypatch, theory, path, calls)
        assert path.exists()
    assert evolve(theory, keep=Checkpoint(path), jobs=2).identical(whole)


def test_a_finished_run_is_read_and_not_run_again(theory, tmp_path, monkeypatch):
    path = tmp_path / "run.checkpoint"
    whole = evolve(theory, keep=Checkpoint(path, every=1e-9))
    assert path.exists()
    monkeypatch.setattr(engines.Kernels, "advance", None)
    monkeypatch.setattr(engines.Kernels, "advance_replicas", None)
    assert evolve(theory, keep=Checkpoint(path)).identical(whole)


def test_killed_at_fifty_random_moments():
    """SIGKILL, in all engines, with one thread or two; the script compares every byte."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.run(
        [sys.executable, str(here / "killed.py"), "50", "1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_ctrl_c_ends_soon_and_the_same_command_goes_on(tmp_path):
    command = [sys.executable, "-m", "copydyn", "scenario", "rabi", "--no-plot", "--checkpoint-every", "0.2"]
    changes = ["theory.copies=3e6", "run.replicas=20"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    subprocess.run([*command, *changes, "--quiet", "--out", str(whole)], env=environment, check=True, timeout=300)

    hearing = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"  # background jobs are deaf
    listener = [sys.executable, "-c", f"{hearing}; from copydyn.__main__ import main; sys.exit(main())", *command[3:]]
    run = subprocess.Popen([*listener, *changes, "--out", str(broken)], env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60.0
    while not list(broken.glob("rabi-*.checkpoint")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    begun = time.monotonic()
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert time.monotonic() - begun < 10.0, "half a second on a free machine; busy disks and cores are no fault of ours"
    assert run.returncode == 130, said
    (kept,) = broken.glob("rabi-*.checkpoint")
    assert f"saved in {kept}. The same command with --seed 1 goes on from there." in said.decode()
    assert "Traceback" not in said.decode()

    again = subprocess.run([*command, *changes, "--out", str(broken)], env=environment, capture_output=True, check=True)
    assert f"going on from {kept}" in " ".join(again.stdout.decode().split())  # a long path has a line of its own
    assert not list(broken.glob("*.checkpoint"))
    one, other = (xr_bytes(folder / "rabi-001" / "result.nc") for folder in (whole, broken))
    assert one.identical(other)


def xr_bytes(path):
    from copydyn.results import result

    return result.read(path)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    path = tmp_path / "run.checkpoint"
    paused(monkeypatch, THEORIES["exact"], path, 0)
    return path


def test_a_damaged_checkpoint_is_refused(kept, refuses):
    whole = kept.read_bytes()
    words = np.random.default_rng(0)
    pieces = [whole[: int(share * len(whole))] for share in (0.0, 0.1, 0.5, 0.9, 0.999)]
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 4
    for content in (*pieces, bytes(flipped), b"no checkpoint", words.bytes(5000), np.arange(3).tobytes()):
        kept.write_bytes(content)
        refuses(lambda: evolve(THEORIES["exact"], keep=Checkpoint(kept)), ValueError, f"^{kept}: a checkpoint must be")
    assert kept.exists(), "it is the user's to remove"


def test_no_flipped_bit_is_accepted(kept, refuses):
    whole = kept.read_bytes()
    words = np.random.default_rng(1)
    for place in (0, 20, 21, 52, 53, 84, 85, len(whole) - 1, *words.integers(0, len(whole), 60)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(words.integers(0, 8))
        kept.write_bytes(damaged)
        refuses(lambda: evolve(THEORIES["exact"], keep=Checkpoint(kept)), ValueError, f"^{kept}: a checkpoint must")


def test_a_checkpoint_of_another_run_is_refused(kept, refuses):
    others = (
        {"theory": replace(THEORIES["exact"], copies=1001)},
        {"theory": replace(THEORIES["exact"], follow=(1,), engine="agents")},
        {"replicas": 6},
    )
    for other in others:
        how = {"theory": THEORIES["exact"], **other, "keep": Checkpoint(kept)}
        refuses(lambda how=how: evolve(**how), ValueError, "must be of this run, but is of another one")
    refuses(
        lambda: THEORIES["exact"].evolve(EXPERIMENT, seed=4, replicas=5, keep=Checkpoint(kept)),
        ValueError,
        "of this run",
    )


def test_a_disk_that_cannot_hold_the_checkpoint_does_not_end_the_run(theory, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write", full)
    with pytest.warns(RuntimeWarning, match="could not be written: No space left on device"):
        found = evolve(theory, keep=Checkpoint(tmp_path / "run.checkpoint", every=1e-9))
    assert found.identical(evolve(theory))


def test_a_killed_writer_leaves_the_old_checkpoint(kept):
    before = kept.read_bytes()
    kept.with_name(f".{kept.name}.123").write_bytes(b"half of a draft")
    assert evolve(THEORIES["exact"], keep=Checkpoint(kept)).identical(evolve(THEORIES["exact"]))
    assert kept.read_bytes() == before
    checkpoint.remove(kept)
    assert list(kept.parent.iterdir()) == []


def test_without_a_checkpoint_ctrl_c_says_so(monkeypatch):
    def over(playing):
        raise KeyboardInterrupt

    monkeypatch.setattr(conduct, "_over", over)
    with pytest.raises(Interrupted, match="nothing is saved, as no checkpoint was asked for"):
        evolve(THEORIES["exact"])


def test_a_bar_shows_events_and_time_left(capsys):
    evolve(CopyDynamics(100_000), progress=True)
    assert "copies" in capsys.readouterr().err


def test_copysolve_takes_jobs_and_a_checkpoint(tmp_path):
    asked = {"copies": 1000, "replicas": 4, "seed": 1}
    plain = copysolve(H, EXPERIMENT.ket, [0.0, 1.0], **asked)
    with warnings.catch_warnings():
        assert copysolve(H, EXPERIMENT.ket, [0.0, 1.0], **asked, jobs=2, checkpoint=tmp_path / "c").identical(plain)


@pytest.mark.parametrize("jobs", [0, -1, 1.5, "2", True, 10**6])
def test_bad_jobs_are_refused(jobs, refuses):
    kind = TypeError if isinstance(jobs, (str, bool)) else ValueError
    refuses(lambda: evolve(THEORIES["exact"], jobs=jobs), kind, "^jobs must be")


@pytest.mark.parametrize("every", [0.0, -1.0, float("nan")])
def test_bad_intervals_are_refused(every, refuses):
    refuses(lambda: Checkpoint("c", every=every), ValueError, "^every must be")
