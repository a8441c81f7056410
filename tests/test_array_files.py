"""H and psi0 from files: what is read, and that a bad file is a sentence and never a program."""

import io
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from copydyn import Experiment, Schedule
from copydyn.experiment.array_files import read_array
from copydyn.experiment.preparations import PREPARATIONS
from copydyn.refusal import Refusal
from copydyn.scenario.scenario import load
from copydyn.systems import SYSTEMS, lattice, two_level

H = np.array([[0.3, 0.5 + 0.1j, 0.0], [0.5 - 0.1j, -0.3, 0.2], [0.0, 0.2, 0.1]])
KET = np.array([0.6, 0.8j, 0.0])
FORMATS = ("csr", "csc", "coo", "bsr", "dia")

hamiltonian, start = SYSTEMS["file"], PREPARATIONS["file"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(save, *args, **named) -> bytes:
    content = io.BytesIO()
    save(content, *args, **named)
    return content.getvalue()


def ket_of(preparation, system):
    return Experiment(system, preparation, Schedule([0.0])).ket


def test_a_matrix_is_read_from_an_npy_file(here):
    np.save("h.npy", H)
    for path in ("h.npy", str(here / "h.npy")):
        system = hamiltonian(path, labels=("a", "b", "c"), meaning="level", hbar=0.5)
        assert np.array_equal(system.hamiltonian, H)
        assert (system.labels, system.meaning, system.hbar) == (("a", "b", "c"), "level", 0.5)
    np.save("real.npy", H.real.astype(np.float32))
    assert np.array_equal(hamiltonian("real.npy").hamiltonian, H.real.astype(np.float32))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_is_read_by_its_keys(here, save, refuses):
    save("both.npz", H=H, psi0=KET)
    save("one.npz", H)
    system = hamiltonian("both.npz", key="H")
    assert np.array_equal(system.hamiltonian, hamiltonian("one.npz").hamiltonian)
    assert np.allclose(ket_of(start(system, "both.npz", key="psi0"), system), KET)
    refuses(lambda: hamiltonian("both.npz"), ValueError, r"key must be one of 'H', 'psi0' for 'both.npz', but is ''; ")
    refuses(lambda: hamiltonian("both.npz", key="h"), ValueError, r"key must be one of 'H', 'psi0' .* but is 'h'; ")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sparse_matrix_stays_sparse(here, kind, refuses):
    h = lattice(8).hamiltonian
    sparse.save_npz("sparse.npz", h.asformat(kind))
    system = hamiltonian("sparse.npz")
    assert sparse.issparse(system.hamiltonian)
    assert np.array_equal(system.hamiltonian.toarray(), h.toarray())
    refuses(lambda: hamiltonian("sparse.npz", key="data"), ValueError, "key must be left out, but is 'data': 'sparse")


def test_a_ket_is_read_and_held_to_its_system(here, refuses):
    np.save("ket.npy", KET)
    np.save("column.npy", 5 * KET[:, None])
    np.save("square.npy", H)
    system = lattice(3)
    assert np.allclose(ket_of(start(system, "ket.npy"), system), KET)
    assert np.allclose(ket_of(start(system, "column.npy", normalise=True), system), KET)
    refuses(lambda: start(system, "column.npy"), ValueError, r"path 'column.npy': psi0 must be normalised")
    refuses(lambda: start(two_level(), "ket.npy"), ValueError, r"path 'ket.npy': psi0 must have one .* but has 3; ")
    refuses(lambda: start(system, "square.npy"), ValueError, r"path 'square.npy': psi0 must be a vector, but")


class Bomb:
    """Unpickling this makes a file: the sign that a program was run."""

    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def npz_of(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


BAD = [
    ("is no matrix.npy", saved(np.save, H[:2]), r"path 'is no matrix.npy': H must be a square matrix, but has shape"),
    ("ket.npy", saved(np.save, KET), "path 'ket.npy': H must be a square matrix, but has shape"),
    ("skew.npy", saved(np.save, np.triu(H)), "path 'skew.npy': H must be Hermitian"),
    ("nan.npy", saved(np.save, H * np.nan), "path 'nan.npy': H must be finite"),
    ("words.npy", saved(np.save, np.array([["a", "b"], ["c", "d"]])), "path 'words.npy': H must be an array of num"),
    ("empty.npy", b"", "path must name a .npy or .npz file, but 'empty.npy' is none"),
    ("text.npy", b"0.3 0.5\n0.5 -0.3\n", "path must name a .npy or .npz file, but 'text.npy' is none"),
    ("none.npz", npz_of(), "path must name a file with an array in it, but 'none.npz' is empty"),
    ("foreign.npz", npz_of(readme=b"hello"), "key must name an array, but 'readme' of 'foreign.npz' is none"),
    ("magic.npy", b"\x93NUMPY", "path must name a whole file, but 'magic.npy' is cut off or damaged"),
    ("header.npy", saved(np.save, H).replace(b"}", b"("), "path must name a whole file, but 'header.npy' is cut off"),
    ("half.npy", saved(np.save, H)[:-20], "path must name a whole file, but 'half.npy' is cut off"),
    ("half.npz", saved(np.savez, H)[:-20], "path must name a whole file, but 'half.npz' is cut off"),
    ("half-sparse.npz", saved(sparse.save_npz, sparse.csr_array(H))[:300], "but 'half-sparse.npz' is cut off"),
    (
        "far.npz",  # an index that points out of the matrix
        saved(np.savez, format=b"csr", shape=(2, 2), data=[1.0, 1.0], indices=[0, 7], indptr=[0, 1, 2]),
        "path must name a whole file, but 'far.npz' is cut off or damaged",
    ),
    (
        "vast.npy",
        saved(np.save, H).replace(b"(3, 3), }" + b" " * 20, b"(3000000000, 300000000000), }"),
        "path must name a whole file, but 'vast.npy' is cut off or damaged",
    ),
]


@pytest.mark.parametrize(("name", "content", "names"), BAD, ids=[case[0] for case in BAD])
def test_bad_files_are_refused(here, refuses, name, content, names):
    Path(name).write_bytes(content)
    refuses(lambda: hamiltonian(name), TypeError if "array of num" in names else ValueError, names)


@pytest.mark.parametrize("save", [np.save, np.savez])
def test_nothing_pickled_is_loaded(here, refuses, save):
    Path("bomb.npy").write_bytes(saved(save, np.array([Bomb()], dtype=object)))
    refuses(lambda: hamiltonian("bomb.npy"), ValueError, "'bomb.npy' holds pickled objects, which are never loaded")
    Path("bomb.npy").write_bytes(np.array([Bomb()], dtype=object).dumps())
    refuses(lambda: hamiltonian("bomb.npy"), ValueError, "'bomb.npy' is none; ")
    assert not Path("exploded").exists()


def test_what_is_no_file_is_refused(here, refuses):
    Path("folder").mkdir()
    refuses(lambda: hamiltonian("absent.npy"), ValueError, f"none at 'absent.npy'; .* working directory, '{here}'")
    refuses(lambda: hamiltonian("folder"), ValueError, "but 'folder' cannot: is a directory")
    refuses(lambda: hamiltonian(""), ValueError, "but '' cannot: is a directory")
    refuses(lambda: hamiltonian("a\0b"), ValueError, r"but 'a\\x00b' cannot: this is no path")
    refuses(lambda: hamiltonian("no\nfile"), ValueError, r"none at 'no\\nfile'")
    refuses(lambda: hamiltonian(3), TypeError, "path must be a string, but is of type int")
    np.save("h.npy", H)
    refuses(lambda: hamiltonian("h.npy", key="H"), ValueError, "key must be left out for a .npy file, .* but is 'H'")


WHOLE = [
    saved(np.save, H),
    saved(np.savez, H=H),
    saved(np.savez_compressed, H=H),
    *[saved(sparse.save_npz, lattice(8).hamiltonian.asformat(kind)) for kind in FORMATS],
]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(WHOLE), st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path_factory, whole, data):
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged)
    with suppress(Refusal):
        hamiltonian(str(path))


def test_a_scenario_reads_them_relative_to_the_working_directory(here):
    np.savez("mine.npz", H=H, psi0=KET)
    Path("mine.toml").write_text(
        '[system]\nkind = "file"\npath = "mine.npz"\nkey = "H"\nlabels = ["a", "b", "c"]\n'
        '[preparation]\nkind = "file"\npath = "mine.npz"\nkey = "psi0"\n'
        "[schedule]\nstop = 1\npoints = 3\n[theory]\ncopies = 1e3\n"
    )
    experiment = load("mine.toml").experiment
    assert np.array_equal(experiment.system.hamiltonian, H)
    assert np.allclose(experiment.ket, KET)
    assert experiment.system.labels == ("a", "b", "c")
    Path("mine.npz").unlink()
    with pytest.raises(Refusal, match=r"mine.toml:3: \[system\] path must name a file, but there is none"):
        load("mine.toml")


def test_arrays_come_as_they_are(here):
    np.save("any.npy", np.arange(4))
    assert read_array("any.npy").dtype == np.arange(4).dtype
