"""The README: what it shows in Python runs as it stands, in one go."""

import re
import runpy
from pathlib import Path

import pytest

from copydyn.source import shipped

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_its_python_runs_and_shows_copies_that_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("readme.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL)), encoding="utf-8")
    made = runpy.run_path("readme.py")
    assert made["result"].sizes == {"replica": 8, "time": 31, "beable": 16}
    assert made["result"]["events"][:, -1].min() > 10_000, "an example in which nothing happens shows nothing"
    assert made["comparison"].verdict == "agrees"
    assert Path("chain.png").exists()
    assert len(made["model"].agents) == 1000


@pytest.mark.parametrize("name", shipped())
def test_its_table_names_every_scenario(name):
    assert f"`{name}`" in README
