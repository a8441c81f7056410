"""Kernels are recompiled when any file of theirs has changed, and only then."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

KERNELS = Path(__file__).parents[1] / "copydyn" / "kernels"
LIKELY = """
from numba import njit
from kernels_copy.compiled import likely
@njit
def size(x):
    return 1 if likely(abs(x) < 1.0) else 2
print([size(0.5), size(5.0), likely(True), likely(False)])
"""
PROGRAM = """
import numpy as np
from kernels_copy import outer
print(outer.twice_more(3.0), sum(outer.twice_more.stats.cache_hits.values()))
"""


def run(folder):
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=True)
    value, hits = done.stdout.split()
    return float(value), int(hits)


def test_what_is_likely_is_a_hint_and_no_more(tmp_path):
    package = tmp_path / "kernels_copy"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(KERNELS / "compiled.py", package)
    for switched_off in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": switched_off}
        command = [sys.executable, "-c", LIKELY]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == "[1, 2, True, False]\n"


def test_an_edit_of_an_inlined_file_is_seen(tmp_path):
    """Numba alone would go on with 12: it looks at the outer file, which has not changed."""
    package = tmp_path / "kernels_copy"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(KERNELS / "compiled.py", package)
    inner, outer = package / "inner.py", package / "outer.py"
    head = "from kernels_copy.compiled import kernel\n"
    inner.write_text(head + "@kernel\ndef twice(x):\n    return 2.0 * x\n")
    head += "from kernels_copy.inner import twice\n"
    outer.write_text(head + "@kernel\ndef twice_more(x):\n    return 2.0 * twice(x)\n")
    assert run(tmp_path) == (12.0, 0)
    assert run(tmp_path) == (12.0, 1)
    inner.write_text(inner.read_text().replace("2.0 * x", "5.0 * x"))
    assert run(tmp_path) == (30.0, 0)
    assert run(tmp_path) == (30.0, 1)
