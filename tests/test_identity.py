"""What random streams, checkpoints and runs of sweeps are named after: all that decides their bytes, and no more."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from copydyn import Experiment, Preparation, Schedule, System, open_sweep
from copydyn.runs import durable
from copydyn.runs.conduct import Checkpoint
from copydyn.runs.streams import fingerprint, run_fingerprint, streams
from copydyn.scenario.scenario import TABLES, WORDS, load
from copydyn.sweeps import recipe as recipes
from copydyn.sweeps.asked import recipe_in
from copydyn.sweeps.checks import verified
from copydyn.sweeps.index import Index
from copydyn.sweeps.recipe import Recipe
from copydyn.sweeps.records import Damaged, Entry, Record, name_of
from copydyn.sweeps.rows import Described, Form, Frame
from copydyn.sweeps.store import Store
from copydyn.theories import THEORIES, CopyDynamics, Schrodinger
from tests.inline import Inline, recipe_of, run
from tests.test_parameters import CASES

H = np.array([[0.3, 0.2 + 0.1j, 0.0], [0.2 - 0.1j, -0.4, 0.5], [0.0, 0.5, 0.1]])
KET = np.array([0.6, 0.48j, 0.64])


def bumped(matrix, row, column, by):
    """Change an entry, and its partner on the other side of the diagonal."""
    other = np.array(matrix, dtype=complex)
    other[row, column] += by
    other[column, row] = np.conj(other[row, column])
    return other


# ---- the experiment

SYSTEM = {"hamiltonian": [(1.0, H), (2.0, H.conj())], "hbar": 1.0}
OTHER_SYSTEMS = {
    "a diagonal entry": {"hamiltonian": [(1.0, bumped(H, 1, 1, 1e-9)), (2.0, H.conj())]},
    "a real part": {"hamiltonian": [(1.0, bumped(H, 0, 1, 1e-9)), (2.0, H.conj())]},
    "an imaginary part": {"hamiltonian": [(1.0, bumped(H, 1, 2, 1e-9j)), (2.0, H.conj())]},
    "an entry of the last pulse": {"hamiltonian": [(1.0, H), (2.0, bumped(H.conj(), 0, 0, 1e-9))]},
    "an entry elsewhere": {"hamiltonian": [(1.0, H[::-1, ::-1]), (2.0, H.conj())]},
    "a duration": {"hamiltonian": [(1.0 + 1e-9, H), (2.0, H.conj())]},
    "the order of the pulses": {"hamiltonian": [(1.0, H.conj()), (2.0, H)]},
    "the number of pulses": {"hamiltonian": [(1.0, H), (1.0, H.conj()), (1.0, H.conj())]},
    "hbar": {"hbar": 1.0 + 1e-9},
}
SAME_SYSTEMS = {
    "labels": {"labels": ("x", "y", "z")},
    "meaning": {"meaning": "site"},
    "time_unit": {"time_unit": "s"},
    "name": {"name": "another"},
    "parts": {"parts": (("A", 3),)},
    "hamiltonian": {"hamiltonian": [(1.0, sparse.csr_array(H)), (2.0, sparse.coo_array(H.conj()))]},
}
OTHER_KETS = {
    "a real part": [0.6 + 1e-9, 0.48j, 0.64],
    "an imaginary part": [0.6 + 1e-9j, 0.48j, 0.64],
    "the sign of a phase": KET.conj(),
    "the order": KET[::-1],
}
OTHER_TIMES = {"a time": [0.0, 0.5 + 1e-9, 1.0], "one time more": [0.0, 0.5, 0.75, 1.0], "the start": [0.1, 0.5, 1.0]}


def experiment_of(system=None, ket=KET, tlist=(0.0, 0.5, 1.0), e_ops=None, normalise=True):
    return Experiment(System(**SYSTEM | (system or {})), Preparation(ket, normalise), Schedule(tlist, e_ops))


DIFFERENT = [
    *(pytest.param({"system": changes}, id=f"system: {name}") for name, changes in OTHER_SYSTEMS.items()),
    *(pytest.param({"ket": ket}, id=f"ket: {name}") for name, ket in OTHER_KETS.items()),
    *(pytest.param({"tlist": tlist}, id=f"times: {name}") for name, tlist in OTHER_TIMES.items()),
]
ALIKE = [
    *(pytest.param({"system": changes}, id=f"system: {name}") for name, changes in SAME_SYSTEMS.items()),
    pytest.param({"e_ops": {"h": H}}, id="what is looked at"),
    pytest.param({"ket": 2.0 * KET}, id="the norm before it is normalised"),
    pytest.param({"ket": KET + 0.0 * 1j - 0.0}, id="minus zero"),
]


def test_every_field_of_an_experiment_is_in_one_of_the_lists():
    tried = {name for changes in (*OTHER_SYSTEMS.values(), *SAME_SYSTEMS.values()) for name in changes}
    assert tried == {field.name for field in fields(System) if field.init}
    assert {field.name for field in fields(Preparation) if field.init} == {"ket", "normalise"}
    assert {field.name for field in fields(Schedule) if field.init} == {"tlist", "e_ops"}


@pytest.mark.parametrize("changes", DIFFERENT)
def test_what_an_experiment_does_is_in_its_fingerprint(changes):
    one, other = experiment_of(), experiment_of(**changes)
    theory = CopyDynamics(10)
    assert fingerprint(one, theory) != fingerprint(other, theory)
    assert run_fingerprint(one, theory, 1, 2) != run_fingerprint(other, theory, 1, 2)
    assert not np.any(streams(one, theory, 1, 3) == streams(other, theory, 1, 3))


@pytest.mark.parametrize("changes", ALIKE)
def test_how_an_experiment_is_described_is_not(changes):
    one, other = experiment_of(), experiment_of(**changes)
    assert fingerprint(one, CopyDynamics(10)) == fingerprint(other, CopyDynamics(10))


# ---- the theory


@pytest.mark.parametrize(
    ("theory", "name", "value"),
    [(theory, name, value) for theory, _, changes in CASES for name, value in changes.items()],
    ids=lambda value: type(value).__name__ if type(value) in THEORIES.values() else None,
)
def test_every_parameter_of_every_theory_decides_streams_checkpoints_and_runs(theory, name, value):
    """`test_parameters` sees to it that no parameter is missing among the cases."""
    theory = replace(theory, engine="agents") if name == "record_events" else theory  # others cannot
    other = replace(theory, **{name: value})
    one = experiment_of()
    assert fingerprint(one, theory) != fingerprint(one, other)
    assert run_fingerprint(one, theory, 1, 2) != run_fingerprint(one, other, 1, 2)
    assert key_of(theory={"kind": type(theory).__name__}) != key_of(theory={"kind": type(theory).__name__, name: 1})


def test_theories_of_two_kinds_are_never_one():
    one = experiment_of()
    assert (
        len({fingerprint(one, theory) for theory in (THEORIES["SUV"](0.1), THEORIES["OQT"](0.1), Schrodinger())}) == 3
    )


@dataclass(frozen=True)
class One:
    rate: float = 0.1


@dataclass(frozen=True)
class Another:
    rate: float = 0.1


def test_theories_of_two_kinds_with_the_same_fields_are_two():
    assert fingerprint(experiment_of(), One()) != fingerprint(experiment_of(), Another())


# ---- the run

RUN = {"seed": 1, "replicas": 5, "first": 0}


@pytest.mark.parametrize("name", RUN)
def test_seed_replicas_and_the_first_of_them_decide_a_checkpoint(name):
    one = experiment_of()
    found = {
        run_fingerprint(one, CopyDynamics(10), **RUN | {name: value}) for value in (RUN[name], RUN[name] + 1, 17, 5000)
    }
    assert len(found) == 4


def test_streams_depend_on_seed_and_number_only():
    one = experiment_of()
    whole = streams(one, CopyDynamics(10), 1, 7)
    np.testing.assert_array_equal(streams(one, CopyDynamics(10), 1, 4, first=3), whole[3:])
    assert np.unique(whole).size == whole.size
    assert not np.any(np.isin(streams(one, CopyDynamics(10), 2, 7), whole))


def test_a_checkpoint_of_the_first_replicas_is_not_that_of_the_next(tmp_path, refuses):
    one = load("rabi", ["schedule.stop=40", "schedule.points=3"]).experiment
    theory, keep = CopyDynamics(2000, engine="exact"), Checkpoint(tmp_path / "state", 1e-6)
    theory.evolve(one, seed=1, replicas=5, keep=keep)
    refuses(lambda: theory.evolve(one, seed=1, replicas=5, first=5, keep=keep), ValueError, "is of another one")
    again = theory.evolve(one, seed=1, replicas=5, keep=keep)
    np.testing.assert_array_equal(again.counts, theory.evolve(one, seed=1, replicas=5).counts)


# ---- the runs of a sweep

BASE = {
    "system": {"kind": "two-level", "detuning": 1.0},
    "preparation": {"amplitudes": [0.6, 0.8]},
    "schedule": {"stop": 2},
    "theory": {"copies": 100},
}


def key_of(first=0, replicas=3, *, seed=1, made=None, files=None, **tables):
    """Name a run of a sweep over nothing."""
    made = {"code": "a", "numpy": "1"} if made is None else made
    recipe = Recipe("mine", BASE | tables, (), seed, replicas, made_by=made, files=files)
    return recipe.key(recipe.strand(0, 0), first, replicas)


KEY = key_of()
OTHER_RUNS = {
    **{name: {name: {"kind": "another"}} for name in ("system", "preparation", "basis", "schedule", "theory")},
    "a digit": {"system": {"kind": "two-level", "detuning": 1.0000000001}},
    "a digit of a list": {"preparation": {"amplitudes": [0.6, 0.8000000001]}},
    "a word for a number": {"schedule": {"stop": "2"}},
    "true for one": {"theory": {"copies": 100, "floor": True}},
    "seed": {"seed": 2},
    "first": {"first": 3},
    "replicas": {"replicas": 4},
    "code": {"made": {"code": "b", "numpy": "1"}},
    "a library": {"made": {"code": "a", "numpy": "2"}},
}
SAME_RUNS = {
    "run": {"run": {"replicas": 20, "seed": 5}},
    "claim": {"claim": {"kind": "another"}},
    "sweep": {"sweep": {"jobs": 3}},
    "title": {"title": "mine"},
    "description": {"description": "mine"},
    "the theory's name": {"theory": {"copies": 100, "name": "ours"}},
    "the default kind": {"theory": {"copies": 100, "kind": "CopyDynamics"}},
    "a whole number as a real one": {"schedule": {"stop": 2.0}},
    "a real number as a power of ten": {"theory": {"copies": 1e2}},
    "the order of keys": {"system": {"detuning": 1.0, "kind": "two-level"}},
}


def test_every_table_of_a_scenario_is_in_one_of_the_lists():
    assert {*TABLES, *WORDS} <= {*OTHER_RUNS, *SAME_RUNS}


@pytest.mark.parametrize("what", OTHER_RUNS)
def test_a_run_is_named_after(what):
    assert key_of(**OTHER_RUNS[what]) != KEY


def test_all_those_names_differ():
    assert len({key_of(**changes) for changes in OTHER_RUNS.values()} | {KEY}) == len(OTHER_RUNS) + 1


@pytest.mark.parametrize("what", SAME_RUNS)
def test_a_run_is_not_named_after(what):
    assert key_of(**SAME_RUNS[what]) == KEY


@pytest.mark.parametrize("place", ["preparation", "system", "theory"])
def test_a_file_counts_by_its_bytes(place):
    tables = {place: BASE[place] | {"path": "a.npy", "deeper": {"list": [{"path": "b.npy"}]}}}
    found = [
        key_of(**tables, files=files)
        for files in (
            {"a.npy": "1", "b.npy": "2"},
            {"a.npy": "3", "b.npy": "2"},
            {"a.npy": "1", "b.npy": "3"},
            {"a.npy": "2", "b.npy": "1"},
            {},
        )
    ]
    assert len(set(found)) == 5
    assert key_of(**tables, files={"a.npy": "1", "b.npy": "2", "c.npy": "4"}) == found[0], "which nobody reads"


@pytest.mark.parametrize("changed", ["fixed", "swept", "other"])
def test_a_fixed_path_beside_a_swept_one_counts_by_its_bytes(tmp_path, changed):
    """Runs are made again where a file that they read has changed, and nowhere else."""
    files = {name: tmp_path / f"{name}.npy" for name in ("fixed", "swept", "other")}
    for number, file in enumerate(files.values(), 1):
        np.save(file, np.array([[0.1 * number, 0.2], [0.2, -0.1]]) if number == 1 else np.array([0.6, 0.8]))
    scenario = tmp_path / "both.toml"
    scenario.write_text(
        f'[system]\nkind = "file"\npath = "{files["fixed"]}"\n[preparation]\nkind = "file"\npath = "{files["swept"]}"\n'
        "[schedule]\nstop = 1\npoints = 2\n[theory]\ncopies = 20\n"
    )
    axis = f"preparation.path={files['swept']},{files['other']}"

    def runs():
        return sum(
            task.block.stop - task.block.start
            for task in run(tmp_path / "store", axis, scenario=str(scenario), fixed=()).tasks
        )

    assert (runs(), runs()) == (2, 0)
    np.save(files[changed], np.array([[0.5, 0.2], [0.2, -0.1]]) if changed == "fixed" else np.array([0.8, 0.6]))
    assert runs() == (2 if changed == "fixed" else 1)


@pytest.mark.parametrize("axes", [("theory.copies=40,60",), ("system.detuning=0.5,1", "theory.copies=40,60")])
def test_a_point_is_named_as_the_run_that_it_is(axes):
    """A sweep over a key names its points as if each had been written out."""
    swept = recipe_of(*axes)
    for number in range(swept.strands):
        strand = swept.strand(0, number)
        values = swept.values(strand.point)
        alone = recipe_of(f"schedule.points={3}", fixed=("schedule.stop=2", *(f"{k}={v}" for k, v in values.items())))
        assert swept.key(strand, 0, 3) == alone.key(alone.strand(0, 0), 0, 3)


def test_a_sweep_that_is_read_again_names_the_same_runs(tmp_path):
    made = recipe_of(replicas=5, batch=2)
    run(tmp_path, replicas=5, batch=2)
    again = recipe_in(Store(tmp_path).sweeps()[-1])
    assert list(again.names()) == list(made.names())
    assert (again.seed, again.replicas, again.batch, again.made_by) == (7, 5, 2, made.made_by)


# ---- several files a point


def lost(folder, name):
    for suffix in (".json", ".nc"):
        Store(folder).path_of(name, suffix).unlink()


@pytest.mark.parametrize("which", range(6))
def test_verify_names_the_one_run_that_is_lost_of_a_point_in_several_files(tmp_path, monkeypatch, which):
    monkeypatch.setattr(recipes, "REPLICAS_A_RUN", 2)
    run(tmp_path, "theory.copies=40,60", replicas=5, batch=1)
    store, recipe = Store(tmp_path), recipe_of("theory.copies=40,60", replicas=5, batch=1)
    strand = recipe.strand(0, which)
    key = recipe.key(strand, strand.first, strand.replicas)
    (name,) = [name for name in store.names() if any(entry.key == key for entry in store.record(name).entries)]
    assert verified(tmp_path).sound
    lost(tmp_path, name)
    (trouble,) = verified(tmp_path).troubles
    copies, first, last = [(c, *span) for c in (40, 60) for span in ((0, 1), (2, 3), (4, 4))][which]
    assert trouble.kind == "missing"
    assert trouble.what == f"CopyDynamics at theory.copies={copies}, replicas {first} to {last}"
    again = Inline()
    run(tmp_path, "theory.copies=40,60", replicas=5, batch=1, team=again)
    assert len(again.tasks) == 1
    assert verified(tmp_path).sound


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    """A store in which every run stands twice: in a file of its own, and in one of all."""
    folder = tmp_path_factory.mktemp("doubled")
    for name, batch in (("alone", 1), ("together", 2)):
        run(folder / name, "theory.copies=40,60", batch=batch)
    shutil.copytree(folder / "together" / "runs", folder / "alone" / "runs", dirs_exist_ok=True)
    return folder / "alone"


def test_verify_names_runs_that_stand_twice(doubled):
    kinds = [trouble.kind for trouble in verified(doubled).troubles]
    assert kinds == ["doubled", "doubled"]


def test_of_a_run_that_stands_twice_the_larger_file_counts(doubled):
    store = Store(doubled)
    sizes = {name: len(store.record(name).entries) for name in store.names()}
    index = store.index()
    assert sorted(sizes.values()) == [1, 1, 2]
    keys = [entry.key for name in store.names() for entry in store.record(name).entries]
    assert {sizes[index.find(key).name] for key in keys} == {2}
    records, _, _ = index.find_all(keys)
    assert {sizes[index.names[number]] for number in records} == {2}


def test_runs_that_have_failed_have_no_row_in_their_file():
    keys = [f"{number:016x}{0:016x}" for number in range(4)]
    faults = ["no", "", "no", ""]
    entries = [Entry(key, "a", {}, 0, 1, fault=fault) for key, fault in zip(keys, faults)]
    index = Index([Record(name_of(entries), "b", "c", 1, "d", entries, whole=True)], {})
    assert [index.find(key).row for key in keys] == [-1, 0, -1, 1]
    assert index.find_all(keys)[1].tolist() == [-1, 0, -1, 1]


@pytest.mark.parametrize("changed", ["name", "entries"])
def test_a_record_must_be_that_of_its_runs_and_in_its_place(changed):
    """Also where somebody has made it fit its own hash."""
    entries = [Entry(f"{7:032x}", "a", {}, 0, 1)]
    record = Record(name_of(entries), "b", "", 0, "", entries, whole=True)
    assert Record.parsed(record.text(), record.name) == record
    body = json.loads(record.text().splitlines()[0])
    if changed == "name":
        body["name"] = f"{8:032x}"
    else:
        body["entries"][0]["key"] = f"{8:032x}"
    line = json.dumps(body).encode()
    forged = line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"
    with pytest.raises(Damaged, match="that of other runs"):
        Record.parsed(forged, record.name)


@pytest.mark.parametrize("word", ["units", "long_name"])
def test_runs_share_a_file_only_if_their_variables_mean_the_same(word):
    def digest(about):
        return Form(Frame({}), {"x": Described((), (), np.dtype(float), about)}).shape.form

    about = {"units": "1", "long_name": "a"}
    assert digest(about) == digest(dict(about))
    assert digest(about) != digest(about | {word: "another"})
    times = np.arange(2.0)
    frames = [Frame({"time": (("time",), times, one)}).digest for one in (about, about | {word: "another"})]
    assert frames[0] != frames[1]


@pytest.mark.parametrize("writes", ["put", "put_new", "replacing"])
def test_what_is_renamed_into_its_place_is_on_disk_before(tmp_path, monkeypatch, writes):
    """And the folder, with its new name, after."""
    done = []
    for name in ("fsync", "replace", "link"):
        true = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, true=true: (done.append(name), true(*given))[1])
    path = tmp_path / "file"
    if writes == "replacing":
        with durable.replacing(path, tmp_path) as handle:
            handle.write(b"all of it")
    else:
        getattr(durable, writes)(path, b"all of it", tmp_path)
    assert path.read_bytes() == b"all of it"
    assert done == ["fsync", "link" if writes == "put_new" else "replace", "fsync"]


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("of", ["probability", "infidelity"])
def test_a_target_asks_for_the_error_over_all_runs_however_few_replicas_each_has(tmp_path, of, replicas):
    """std/sqrt(R) over the replicas of all runs together, the largest over times and labels."""
    run(tmp_path, "theory.copies=20,30", replicas=replicas, target_error=0.05, max_replicas=45, target=of)
    found = open_sweep(tmp_path)
    values = found["frequency" if of == "probability" else of]
    for place, many in enumerate(found["replicas"].values):
        each = values.isel(copies=place, replica=slice(0, int(many)))
        inner = [dim for dim in each.dims if dim != "replica"]
        error = (each.std("replica", ddof=1) / np.sqrt(many)).max(inner)
        assert float(found["target_error"][place]) == pytest.approx(float(error), rel=1e-12)
        assert many % replicas == 0
        assert 30 <= many <= 45
        earlier = (each.isel(replica=slice(0, int(many) - replicas)).std("replica", ddof=1)).max(inner)
        enough = float(earlier) / np.sqrt(many - replicas) <= 0.05
        assert not enough or many == 30, "one run less was not enough"


# ---- precedence


def test_the_last_override_wins():
    assert load("rabi", ["theory.copies=10", "theory.copies=20"]).theories["CopyDynamics"].copies == 20
    assert load("rabi", ["theory.copies=20", "theory.copies=10"]).theories["CopyDynamics"].copies == 10
    whole = load("rabi", ["theory.copies=20", "theory={copies=30}", "theory.floor=2"]).theories["CopyDynamics"]
    assert (whole.copies, whole.floor) == (30, 2)
    assert recipe_of("theory.copies=10", fixed=("system.detuning=3", "system.detuning=2")).tables["system"] == {
        **load("rabi").tables["system"],
        "detuning": 2,
    }


RIVALS = """
[system]
kind = "two-level"
detuning = 0.6
[preparation]
amplitudes = [0.8, "0.6j"]
[schedule]
stop = 1
points = 2
[[theory]]
name = "a"
copies = 50
[[theory]]
name = "a.b"
copies = 60
"""


@pytest.mark.parametrize("order", [1, -1])
def test_theories_called_a_and_a_b_are_told_apart(tmp_path, order):
    head, one, other = RIVALS.split("[[theory]]")
    tables = [one, other][::order]
    file = tmp_path / "names.toml"
    file.write_text("[[theory]]".join([head, *tables]))

    def copies(*overrides):
        return {name: theory.copies for name, theory in load(str(file), overrides).theories.items()}

    assert copies() == {"a": 50, "a.b": 60}
    assert copies("theory.a.copies=7") == {"a": 7, "a.b": 60}
    assert copies("theory.a.b.copies=7") == {"a": 50, "a.b": 7}
    assert copies("theory.copies=7") == {"a": 7, "a.b": 7}
    assert copies("theory.a.copies=7", "theory.copies=8", "theory.a.b.copies=9") == {"a": 8, "a.b": 9}
    run(Path(tmp_path) / "swept", "theory.a.b.copies=20,30", scenario=str(file), fixed=())
    recipe = recipe_of("theory.a.b.copies=20,30", scenario=str(file), fixed=())
    assert recipe.theories == [["a", "a.b"], ["a.b", "a"]][order < 0]
    assert [recipe.strands_of_theory(number) for number in range(2)] == [[1, 2], [2, 1]][order < 0]
