"""What decides the bytes of a run is in its name, and nothing else is: the code that computes, and the libraries."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from copydyn.runs import made_by as making
from copydyn.runs.conduct import Checkpoint
from copydyn.runs.made_by import LIBRARIES, code_stamp, counts, folders, made_by, modules
from copydyn.runs.streams import run_fingerprint
from copydyn.scenario.scenario import load
from copydyn.theories import CopyDynamics
from tests.inline import run

ROOT = Path(__file__).resolve().parents[1]

HARMLESS = {
    "copydyn.comparison.claims": "judges results",
    "copydyn.comparison.claims.*": "the same",
    "copydyn.results.parts": "sums over results, for claims",
    "copydyn.runs.durable": "reads and writes files",
    "copydyn.runs.made_by": "says what counts",
    "copydyn.refusal": "exceptions",
    "copydyn.scenario.source": "reads the tables, which are in the name of a run themselves",
    "copydyn.runs.folders": "names folders",
    "copydyn.scenario.toml_text": "writes and reads values, which are in the name of a run themselves",
    "copydyn.version": "a word",
    "copydyn.wording": "words",
}
"""What evolving and comparing import, and does not count, with why it cannot change a number."""

EVOLVE_AND_COMPARE = """
import sys
from copydyn import compare
from copydyn.scenario.scenario import load
from copydyn.theories import THEORIES
one = load("rabi", ["theory.copies=20", "schedule.stop=0.1", "schedule.points=2"])
reference = THEORIES["Schrodinger"]().evolve(one.experiment)
for theory in (*one.theories.values(), THEORIES["OQT"](0.1), THEORIES["SUV"](0.1), THEORIES["SUI"](0.1, 0.1)):
    compare(theory.evolve(one.experiment, seed=1, replicas=2), reference)
print(*(name for name in sys.modules if name.split(".")[0] in ("copydyn", "qm_reference")))
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Both packages in folders of one's own."""
    place = tmp_path_factory.mktemp("packages")
    for name, folder in folders().items():
        shutil.copytree(folder, place / name, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
    return {name: place / name for name in folders()}


def test_whatever_evolves_and_compares_counts_or_is_known_to_be_harmless():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EVOLVE_AND_COMPARE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split()) - {"copydyn"}
    assert {"qm_reference.schroedinger", "copydyn.comparison.compare", "copydyn.kernels.per_label"} <= imported
    needless = {name for name in imported if not counts(name)}
    unknown = {name for name in needless if name not in HARMLESS and f"{name.rpartition('.')[0]}.*" not in HARMLESS}
    assert unknown == set()
    assert {name for name in HARMLESS if not name.endswith("*")} <= needless, "what is named is still there"


def test_the_libraries_that_kernels_and_reference_stand_on_are_named():
    found = set()
    for name, path in modules(folders()):
        if name.startswith(("copydyn.kernels", "qm_reference")):
            found |= {
                word.partition(".")[0] for word in re.findall(r"^\s*(?:import|from) (\S+)", path.read_text(), re.M)
            }
    found -= {*sys.stdlib_module_names, "copydyn", "qm_reference"}
    assert found - {"threadpoolctl"} == set(LIBRARIES), "which only says how many threads there are"


def test_every_bystander_is_there():
    names = {name for name, _ in modules(folders())}
    packages = {name.removesuffix(".__init__") for name in names if name.endswith(".__init__")}
    assert set(making.BYSTANDERS) <= names | packages
    assert set(making.OF_SWEEPS) <= names


@pytest.mark.parametrize(
    ("module", "matters"),
    [
        ("qm_reference/schroedinger.py", True),
        ("qm_reference/__init__.py", True),
        ("copydyn/kernels/leap.py", True),
        ("copydyn/theories/copies/copying.py", True),
        ("copydyn/laws/events.py", True),
        ("copydyn/theories/irreversible/channel.py", True),
        ("copydyn/comparison/compare.py", True),
        ("copydyn/systems/lattice.py", True),
        ("copydyn/sweeps/rows.py", True),
        ("copydyn/sweeps/page.py", False),
        ("copydyn/sweeps/drive.py", False),
        ("copydyn/report/plots/axes.py", False),
        ("copydyn/abm/copy.py", False),
        ("copydyn/__main__.py", False),
        ("copydyn/version.py", False),
    ],
)
def test_what_computes_decides_and_nothing_else(copied, module, matters):
    before = code_stamp(copied)
    path = copied[module.partition("/")[0]].parent / module
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "# a comment\n", encoding="utf-8")
    try:
        assert (code_stamp(copied) != before) == matters
    finally:
        path.write_text(text, encoding="utf-8")
    assert code_stamp(copied) == before == made_by()["code"]


def test_a_module_that_is_new_or_renamed_counts(copied):
    before = code_stamp(copied)
    new = copied["copydyn"] / "kernels" / "zz_another.py"
    new.write_text("")
    one = code_stamp(copied)
    new.rename(new.with_name("zz_renamed.py"))
    other = code_stamp(copied)
    new.with_name("zz_renamed.py").unlink()
    assert len({before, one, other}) == 3
    assert code_stamp(copied) == before


OTHERS = [{"code": "another"}, *({name: "0.1"} for name in LIBRARIES)]


def pretend(monkeypatch, changes):
    """Be of another version."""
    for module in ("recipe", "builder", "work"):
        monkeypatch.setattr(f"copydyn.sweeps.{module}.made_by", lambda: made_by() | changes)
    monkeypatch.setattr("copydyn.runs.streams.made_by", lambda: made_by() | changes)


@pytest.mark.parametrize("changes", OTHERS, ids=lambda changes: next(iter(changes)))
def test_each_of_them_makes_runs_of_its_own(tmp_path, monkeypatch, changes):
    axes = ("theory.copies=40,60",)
    assert len(run(tmp_path, *axes).tasks) == 2
    assert len(run(tmp_path, *axes).tasks) == 0
    pretend(monkeypatch, changes)
    assert len(run(tmp_path, *axes).tasks) == 2


@pytest.mark.parametrize("changes", OTHERS, ids=lambda changes: next(iter(changes)))
def test_each_of_them_makes_checkpoints_of_its_own(monkeypatch, changes):
    experiment, theory = load("rabi").experiment, CopyDynamics(20)
    before = run_fingerprint(experiment, theory, 1, 2)
    assert run_fingerprint(experiment, theory, 1, 2) == before
    pretend(monkeypatch, changes)
    assert run_fingerprint(experiment, theory, 1, 2) != before


def test_a_checkpoint_of_other_code_is_refused(tmp_path, monkeypatch, refuses):
    one, keep = load("rabi", ["schedule.stop=40", "schedule.points=3"]), Checkpoint(tmp_path / "state", 1e-6)
    theory = CopyDynamics(2000, engine="exact")
    whole = theory.evolve(one.experiment, seed=1, keep=keep)
    np.testing.assert_array_equal(theory.evolve(one.experiment, seed=1, keep=keep).counts, whole.counts)
    pretend(monkeypatch, {"scipy": "0.1"})
    refuses(lambda: theory.evolve(one.experiment, seed=1, keep=keep), ValueError, "of another one")
