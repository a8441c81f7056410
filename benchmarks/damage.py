"""Is any damage to a sweep's files accepted in silence?

A store is damaged in one of many ways (bits flipped, files cut, grown, emptied, swapped, lost, doubled, in another's
place), 10 000 times. Each time `verify` must find something, or every file must be what it was; and whoever opens the
store must get the right values, an incomplete sweep that says so, or one sentence.

    python benchmarks/damage.py [TIMES=10000] [SEED=1]
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from copydyn import open_sweep
from tests import test_sweep_store as damage
from tests.inline import files, run


def main(times: int, seed: int) -> int:
    rng, done, silent = random.Random(seed), Counter[str](), list[str]()
    mutate = damage.mutations

    def counted(folder: Path, random_state: random.Random) -> str:
        said = mutate(folder, random_state)
        done[said.split()[0]] += 1
        return said

    damage.mutations = counted
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "sweep"
        run(folder, batch=3)
        damage.GOOD.update({name: variable.load() for name, variable in open_sweep(folder).items()})
        expected = files(folder)
        for number in range(times):
            fault = damage.accepted_in_silence(folder, expected, rng)
            if fault:
                silent.append(fault)
                print(fault)
            if sys.stderr.isatty():
                print(f"\r{number + 1} of {times}", end="", file=sys.stderr)
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(done.items()))
    print(f"{sum(done.values())} damages ({kinds}): {len(silent)} accepted in silence.")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in (*sys.argv[1:], *("10000", "1")[len(sys.argv) - 1 :]))))
