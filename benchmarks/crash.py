"""Is anything that a sweep has acknowledged ever lost, doubled or changed by a SIGKILL?

Children that sweep, resume, repair and export are forked from a process in which everything is compiled, and killed
without warning at random moments; their workers die with them. After each kill the store is looked at: what was
acknowledged before must be there still. Once a round is through, the store must be byte for byte that of a sweep which
was left in peace, `verify` must find nothing, and no child may have printed a traceback.

    python benchmarks/crash.py [KILLS=1000] [SEED=1]
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import contextlib
import hashlib
import io
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from copydyn.__main__ import main as copydyn
from copydyn.sweeps import work
from copydyn.sweeps.checks import verified
from copydyn.sweeps.records import Damaged
from copydyn.sweeps.store import Store

SWEEP = (
    "theory.copies=200,400,600",
    "system.detuning=linspace(0.1,2,4)",
    "schedule.stop=3",
    "schedule.points=5",
    "--replicas=3",
    "--seed=3",
    "--batch=4",
    "--quiet",
)


def swept(folder: Path) -> list[str]:
    return ["sweep", "rabi", *SWEEP, f"--out={folder}", "--jobs=2"]


def repaired(folder: Path) -> list[str]:
    return ["repair", str(folder), "--quiet", "--jobs=2"]


def exported(folder: Path, file: Path) -> list[str]:
    return ["export", str(folder), str(file)]


def child(arguments: list[str], errors: Path) -> int:
    pid = os.fork()
    if pid == 0:
        handle = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, 2)
        os.dup2(silence, 1)
        code = 70
        try:
            code = copydyn(arguments)
        finally:
            os._exit(code)
    return pid


def state(folder: Path) -> dict[str, str]:
    """What is acknowledged: of every run that counts, a digest of its file's row as the record and the hash have it."""
    if not (folder / "store.json").exists():
        return {}
    store, found = Store(folder), {}
    for name in store.names():
        try:
            record = store.record(name)
            if record.sha256:
                store.content(record)
        except Damaged as damage:
            if store.has(name):
                raise AssertionError(f"{name}: {damage}") from None
            continue
        found |= {entry.key: record.block for entry in record.entries}
    return found


def bytes_of(folder: Path) -> dict[str, str]:
    """A digest of every file with runs in it; of records without what clocks have put there."""
    found = {}
    for path in sorted((folder / "runs").rglob("*.*")):
        content = path.read_bytes()
        if path.suffix == ".json":
            body = json.loads(content.splitlines()[0])
            del body["about"]["written"]
            for entry in body["entries"]:
                del entry["seconds"]
            content = json.dumps(body).encode()
        found[path.name] = hashlib.sha256(content).hexdigest()
    return found


def damage(folder: Path, rng: random.Random) -> None:
    """Give `repair` something to do."""
    store = Store(folder)
    for name in rng.sample(sorted(store.names()), 2):
        path = store.path_of(name, rng.choice((".nc", ".json")))
        content = bytearray(path.read_bytes())
        content[rng.randrange(len(content))] ^= 16
        path.write_bytes(bytes(content))


class Round:
    """Kills until one command has come to its end."""

    def __init__(self, rng: random.Random, errors: Path) -> None:
        self.rng, self.errors = rng, errors
        self.killed: dict[str, int] = {}

    def play(self, what: str, arguments: list[str], length: float, folder: Path | None, most: int) -> None:
        kills = 0
        while True:
            before = state(folder) if folder and what != "repair" else {}
            pid = child(arguments, self.errors)
            if kills < most:
                time.sleep(self.rng.uniform(0.0, 1.1 * length))
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if os.WIFSIGNALED(status):
                kills += 1
                self.killed[what] = self.killed.get(what, 0) + 1
            if folder and what != "repair":
                lost = before.keys() - state(folder).keys()
                assert not lost, f"{len(lost)} acknowledged runs were lost"
            said = self.errors.read_text() if self.errors.exists() else ""
            assert "Traceback" not in said, said
            if not os.WIFSIGNALED(status):
                assert os.WEXITSTATUS(status) == 0, (what, os.WEXITSTATUS(status), said)
                return


def main(kills: int, seed: int) -> int:
    rng = random.Random(seed)
    work.FLUSH = 0.05  # so that blocks are committed in pieces, and merged
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        whole, errors = top / "whole", top / "errors"
        copydyn(swept(whole))
        shutil.rmtree(whole)
        begun = time.monotonic()
        os.waitpid(child(swept(whole), errors), 0)
        length = time.monotonic() - begun
        expected = bytes_of(whole)
        rounds = Round(rng, errors)
        begun, number = time.monotonic(), 0
        while sum(rounds.killed.values()) < kills:
            number += 1
            folder = top / "killed"
            rounds.play("sweep", swept(folder), length, folder, most=rng.randrange(1, 7))
            assert bytes_of(folder) == expected, "the store is another one than that of a sweep left in peace"
            found = verified(folder)
            assert found.sound, found.text()
            if number % 2 == 0:
                damage(folder, rng)
                rounds.play("repair", repaired(folder), 0.7 * length, folder, most=rng.randrange(1, 4))
                assert bytes_of(folder) == expected
                assert verified(folder).sound, verified(folder).text()
            if number % 3 == 0:
                suffix = rng.choice((".nc", ".csv", ".parquet"))
                file, peace = top / f"killed{suffix}", top / f"peace{suffix}"
                with contextlib.redirect_stdout(io.StringIO()):
                    copydyn(exported(folder, peace))
                rounds.play("export", exported(folder, file), 0.3, None, most=rng.randrange(1, 4))
                assert file.read_bytes() == peace.read_bytes(), f"the {suffix} is another one"
                assert sorted(top.iterdir()) == sorted({whole, folder, file, peace, *({errors} & set(top.iterdir()))})
                file.unlink()
                peace.unlink()
            shutil.rmtree(folder)
            if sys.stderr.isatty():
                print(f"\r{sum(rounds.killed.values())} of {kills}", end="", file=sys.stderr)
        seconds = time.monotonic() - begun
    total = ", ".join(f"{number} in {what}" for what, number in rounds.killed.items())
    print(f"a sweep takes {length:.2f} s")
    print(f"{sum(rounds.killed.values())} kills ({total}) in {number} rounds and {seconds:.0f} s:")
    print("nothing acknowledged was lost, doubled or changed; no traceback; every store and export byte-identical.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in (*sys.argv[1:], *("1000", "1")[len(sys.argv) - 1 :]))))
