"""The list of planted faults is sound: what `benchmarks/planted.py` does with it takes too long to be done here."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from planted import Fault, _end, faults
from trials import Copy, Trial, Verdict

ROOT = Path(__file__).resolve().parents[1]
FAULTS = faults()


def test_the_list_is_long_and_wide():
    assert len(FAULTS) >= 150
    assert Counter(fault.name for fault in FAULTS).most_common(1)[0][1] == 1
    packages = {path.parent for name in ("copydyn", "qm_reference") for path in (ROOT / name).rglob("__init__.py")}
    assert {(ROOT / fault.file).parent for fault in FAULTS} == packages


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_can_be_tried(fault):
    assert fault.old != fault.new
    assert (ROOT / fault.file).is_file()
    assert fault.tests
    assert all(there(test) for test in fault.tests)


@cache
def there(test: str) -> bool:
    """Whether a test file exists, and the function in it."""
    file, _, function = test.partition("::")
    if not (ROOT / file).is_file():
        return False
    functions = {node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if hasattr(node, "name")}
    return not function or function.partition("[")[0].rpartition("::")[2] in functions


def test_a_test_that_is_not_there_is_missed():
    assert not there("tests/test_planted.py::test_of_nothing")
    assert not there("tests/test_of_nothing.py")


def test_a_fault_is_planted_only_where_its_context_is_unique(tmp_path, monkeypatch):
    monkeypatch.setattr("planted.ROOT", tmp_path)
    (tmp_path / "some.py").write_text("a = 1\nb = 1\n")
    fault = Fault("b is two", "some.py", "b = 1", "b = 2", ("tests/test_some.py",))
    assert fault.planted() == Trial("b is two", "some.py", "a = 1\nb = 2\n", ("tests/test_some.py",))
    assert fault._replace(old="= 1").planted() is None
    assert fault._replace(old="c = 1").planted() is None
    assert fault._replace(file="other.py").planted() is None


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one function and its test."""
    monkeypatch.setattr(Copy, "__init__", lambda self, folder: setattr(self, "folder", folder))
    (tmp_path / "some.py").write_text("def double(x):\n    return 2 * x\n")
    tests = ["def test_two():\n    assert double(2) == 4\n", "def test_zero():\n    assert double(0) == 0\n"]
    (tmp_path / "test_some.py").write_text("from some import double\n" + "".join(tests))
    return Copy(tmp_path)


def test_a_fault_that_tests_see_is_caught_and_taken_away_again(project):
    before = (project.folder / "some.py").stat()
    trial = Trial("the square", "some.py", "def double(x):\n    return x**3\n", ("test_some.py",))
    verdict = project.judge(trial)
    assert verdict[:3] == ("failed", ["test_some.py::test_two"], ["test_some.py::test_zero"])
    after = (project.folder / "some.py").stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    assert project.judge(trial._replace(text="def double(x):\n    return x * 2\n")).outcome == "passed"
    assert project.judge(trial._replace(text="def double(x:\n")).caught


def test_a_fault_for_which_tests_hang_is_caught(project, monkeypatch):
    monkeypatch.setattr("trials.PATIENCE", 2)
    trial = Trial("no end", "some.py", "def double(x):\n    while True:\n        pass\n", ("test_some.py",))
    assert project.judge(trial).outcome == "hung"


def test_what_is_known_to_survive_is_told_from_what_is_not():
    fault = Fault("b is two", "some.py", "b = 1", "b = 2", ("tests/test_some.py",))
    accepted = fault._replace(survives="nobody reads b")
    seen, missed = Verdict("failed", ["a"], [], 1.0), Verdict("passed", [], ["a"], 1.0)
    assert [_end(fault, seen), _end(fault, missed)] == ["caught", "SURVIVED"]
    assert [_end(accepted, seen), _end(accepted, missed)] == ["caught!", "survived"]
