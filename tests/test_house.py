"""The rules of the house: style, types, the directions of imports, and what an import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import copydyn

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("copydyn", "qm_reference")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SCRIPTS = sorted(path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))

PROGRAMS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"}
"""Modules that turn files into programs."""

TOOLS = {
    "lint": [sys.executable, "-m", "ruff", "check", "."],
    "format": [sys.executable, "-m", "ruff", "format", "--check", "."],
    "types": [sys.executable, "-m", "mypy"],
    "imports": [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_house_is_in_order(tool):
    done = subprocess.run(TOOLS[tool], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def loaded_by(statement: str, *suspects: str) -> list[str]:
    """Which of the ``suspects`` a fresh interpreter has imported after ``statement``."""
    program = f"import sys; {statement}; print(*(name for name in {suspects} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


HEAVY = ("numpy", "scipy", "numba", "xarray", "pandas", "pydantic", "mesa", "matplotlib", "qm_reference")


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import copydyn", HEAVY),
        ("import copydyn, copydyn.refusal; dir(copydyn); copydyn.__version__", HEAVY),
        ("import copydyn.theories", ("mesa", "matplotlib", "qm_reference", "pydantic", "dask", "qutip")),
        ("import qm_reference", ("copydyn", "mesa", "matplotlib", "xarray", "qutip")),
    ],
)
def test_imports_stay_light(statement, absent):
    assert loaded_by(statement, *absent) == []


def test_the_ear_hears_an_import():
    assert loaded_by("import copydyn; copydyn.System", "numpy", "matplotlib") == ["numpy"]


@pytest.mark.parametrize("name", copydyn.__all__)
def test_public_names_resolve(name):
    assert getattr(copydyn, name) is not None
    assert name in dir(copydyn)


def test_the_namesake_of_a_name_is_its_home():
    from copydyn.runs.conduct import Checkpoint
    from copydyn.theories.copies.alignment import Alignment

    assert (copydyn.Alignment, copydyn.Checkpoint) == (Alignment, Checkpoint)


def test_completion_offers_nothing_but_what_is_public():
    offered = {name for name in dir(copydyn) if not name.startswith("__")}
    assert offered == {*copydyn.__all__, *copydyn._MODULES} - {"__version__"}


def test_names_that_are_not_there_are_missed():
    with pytest.raises(AttributeError, match="has no attribute 'schroedinger'"):
        copydyn.schroedinger  # noqa: B018


PICKLES_ITS_OWN = {"tests/test_abm_upkeep.py", "tests/test_bounds.py"}
"""Tests of what users may pickle, which load nothing but what they have just made."""


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_and_evaluates_no_input(path):
    """A docstring at the top; no eval, exec, pickle or shell, which would turn an input file into a program."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a module needs a docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert not (isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}), f"line {node.lineno}"
            for word in node.keywords:
                refused = isinstance(word.value, ast.Constant) and word.value.value is False
                assert word.arg != "shell", f"line {node.lineno}"
                assert word.arg != "allow_pickle" or refused, f"line {node.lineno}"
            called = ast.unparse(node.func)
            assert called not in {"os.system", "os.popen", "builtins.eval", "builtins.exec"}, f"line {node.lineno}"
            if called in {"np.load", "numpy.load"}:
                assert any(word.arg == "allow_pickle" for word in node.keywords), f"line {node.lineno}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            if path.relative_to(ROOT).as_posix() in PICKLES_ITS_OWN:
                names -= {"pickle"}
            assert not names & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"}, (
                f"line {node.lineno}"
            )


GENERAL = {"eig", "eigvals", "eigs", "roots", "sqrtm", "logm", "funm", "real_if_close"}
"""Functions whose numbers are real or complex as rounding or the version of numpy will have it."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_number_is_real_by_luck(path):
    """What must be real comes from symmetric matrices: `eigh`, `eigvalsh`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            assert called not in GENERAL, f"line {node.lineno}: {called}"


def test_both_packages_are_checked_and_typed():
    for package in PACKAGES:
        assert ROOT / package / "__init__.py" in MODULES
        assert (ROOT / package / "py.typed").exists()
