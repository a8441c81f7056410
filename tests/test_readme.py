"""The README and docs/sweeps.md: what they show in Python runs as it stands, in one go."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from copydyn.scenario.source import shipped
from copydyn.sweeps.asked import asked

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SWEEPS = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")


def code_of(page):
    """Write the Python of a page into a file in the folder where we are."""
    Path("page.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), encoding="utf-8")
    return Path("page.py").resolve()


def run(page):
    """Run the Python of a page in the folder where we are, and give the names that it has made."""
    return runpy.run_path(str(code_of(page)))


def typed(*arguments):
    """What mypy says in strict mode."""
    # the cache of this very checkout: to read all of copydyn anew takes ten seconds
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_its_python_runs_and_shows_copies_that_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = run(README)
    assert made["result"].sizes == {"replica": 8, "time": 31, "beable": 16}
    assert made["result"]["events"][:, -1].min() > 10_000, "an example in which nothing happens shows nothing"
    assert made["comparison"].verdict == "agrees"
    assert Path("chain.png").exists()
    assert len(made["model"].agents) == 1000


def test_a_strict_type_checker_takes_what_both_pages_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wrong.py").write_text("from copydyn import Rule\nRule(harmonics=[1.0])\n")
    said = typed(str(code_of(f"{README}\n{SWEEPS}")), str(Path("wrong.py").resolve()))
    assert "page.py" not in said, said
    assert "wrong.py:2: error: List item 0 has incompatible type" in said, "the control"


def test_the_python_of_the_page_on_sweeps_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = run(SWEEPS)
    assert made["dataset"].sizes == {"copies": 3, "detuning": 2, "replica": 8, "time": 101, "beable": 2}
    assert made["at"].sizes["run"] == 1
    alone = made["dataset"].sel(copies=500, detuning=1.0)["max_deviation"]
    np.testing.assert_array_equal(made["at"]["max_deviation"][0], alone)
    assert made["means"]["status"].values.ravel().tolist() == ["ok"] * 6
    assert all(Path(name).stat().st_size for name in ("lines.png", "map.png", "detunings.nc", "detunings.html"))


def test_the_table_on_the_page_on_sweeps_is_one_that_is_read(tmp_path):
    (table,) = re.findall(r"```toml\n(.*?)```", SWEEPS, re.DOTALL)
    rabi = (ROOT / "scenarios" / "rabi.toml").read_text(encoding="utf-8")
    (tmp_path / "swept.toml").write_text(f"{rabi}\n{table}", encoding="utf-8")
    recipe = asked(str(tmp_path / "swept.toml")).recipe
    assert (recipe.shape, recipe.replicas) == ((3, 19, 2), 64)


@pytest.mark.parametrize("name", shipped())
def test_its_table_names_every_scenario(name):
    assert f"`{name}`" in README
