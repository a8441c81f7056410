"""Names, streams, axes, checkpoints and files of sweeps, by small cases that can be told by hand."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from copydyn import Experiment
from copydyn.experiment.array_files import read_array
from copydyn.runs import conduct
from copydyn.runs.conduct import Checkpoint
from copydyn.runs.made_by import BYSTANDERS, counts
from copydyn.runs.streams import fingerprint, said, streams
from copydyn.sweeps.axes import canonical, parse_values
from copydyn.sweeps.drive import Tally
from copydyn.sweeps.index import Index
from copydyn.sweeps.moments import Moments
from copydyn.sweeps.packing import column
from copydyn.sweeps.records import Entry, Record
from copydyn.sweeps.rows import MOST_BYTES, Shape, grouped
from copydyn.theories import CopyDynamics

# ---- names


@pytest.mark.parametrize("bystander", BYSTANDERS)
def test_a_module_whose_name_begins_like_that_of_a_bystander_counts(bystander):
    assert not counts(bystander)
    assert not counts(f"{bystander}.part")
    assert counts(f"{bystander.removesuffix('__')}s")


@dataclass(frozen=True)
class Known:
    """A theory with a field that follows from the other, and is not shown."""

    rate: float
    derived: Any = field(default=0, repr=False)


def test_fields_that_are_not_shown_are_not_named():
    assert said(Known(1.0, derived=3)) == said(Known(1.0)) == "Known(rate=1.0)"


def test_a_mapping_is_named_with_its_keys_and_a_set_in_one_order():
    assert said({"a": 1, "b": 2}) == "{'a': 1, 'b': 2}"
    words = [f"word {number}" for number in range(20)]  # a set of words has another order in each process
    assert said(set(words)) == said(frozenset(words)) == f"{{{', '.join(sorted(map(repr, words)))}}}"


def splitmix(key: int, number: int) -> int:
    """Steele, Lea and Flood's function, in whole numbers of any size."""
    mixed = (key + number * 0x9E3779B97F4A7C15) % 2**64
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
    return mixed ^ mixed >> 31


def test_replicas_take_the_outputs_of_splitmix_in_their_order():
    assert splitmix(0, 1) == 0xE220A8397B1DCDAF, "the first output that its authors give for the seed zero"
    one, theory = Experiment.of(np.diag([0.0, 1.0]), [0.6, 0.8], [0.0, 1.0]), CopyDynamics(10)
    words = np.frombuffer(fingerprint(one, theory), dtype=np.uint32).tolist()
    key = np.random.SeedSequence([7, *words]).generate_state(4, np.uint64).tolist()
    told = [[splitmix(word, replica + 1) for word in key] for replica in range(5, 8)]
    assert streams(one, theory, 7, 3, first=5).tolist() == told


# ---- axes


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("round(0.6,1.7)", [1, 2]),
        ("round(-0.6,-1.2)", [-1]),
        ("range(0,0.9,0.3)", [0, 0.3, 0.6]),  # 0.9/0.3 is a little more than three
        ("range(0,0.7,0.1)", [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),  # and 0.7/0.1 a little less than seven
    ],
)
def test_values_of_an_axis_are_rounded_to_the_nearest(expression, values):
    assert parse_values(expression, "here") == values


@pytest.mark.parametrize(("value", "kind"), [(2.0**62, int), (2.0**63, float), (-(2.0**63), float), (0.5, float)])
def test_whole_numbers_that_toml_can_hold_are_whole(value, kind):
    assert type(canonical(value)) is type(canonical([value])[0]) is type(canonical({"a": value})["a"]) is kind


# ---- checkpoints


class Part:
    """One that has covered so much, and remembers it."""

    def __init__(self, covered: float) -> None:
        self.covered = covered

    def state(self):
        return {"covered": np.array(self.covered)}


def stage(tmp_path, every=60.0, keep=True):
    checkpoint = Checkpoint(tmp_path / "state", every) if keep else None
    return conduct._Stage([Part(1.0), Part(0.5)], bytes(32), checkpoint, 1)


@pytest.mark.parametrize(
    ("every", "cost", "seconds", "due"),
    [
        (60.0, 0.0, 59.0, False),
        (60.0, 0.0, 61.0, True),
        (60.0, 2.0, 61.0, True),  # 5 % of the time may go into checkpoints: 40 s lie between two that take 2 s
        (60.0, 4.0, 61.0, False),
        (60.0, 4.0, 81.0, True),
        (1.0, 4.0, 79.0, False),
    ],
)
def test_checkpoints_are_written_as_often_as_they_are_asked_for_and_may_cost(tmp_path, every, cost, seconds, due):
    one = stage(tmp_path, every)
    one._cost, one._kept = cost, time.monotonic() - seconds
    one.keep_now_and_then()
    assert (tmp_path / "state").exists() == due


@pytest.mark.parametrize(("every", "seconds", "kept"), [(60.0, 1.0, False), (60.0, 3.0, True), (0.5, 1.0, True)])
def test_a_run_that_has_ended_is_kept_where_somebody_would_miss_it(tmp_path, every, seconds, kept):
    one = stage(tmp_path, every)
    one._begun = time.monotonic() - seconds
    one.keep_at_the_end()
    assert (tmp_path / "state").exists() == kept


def test_an_interrupted_run_says_how_far_it_is_and_what_is_kept(tmp_path):
    said = "interrupted at 25 % of the run; "
    assert stage(tmp_path, keep=False).farewell(6.0, paused=True).startswith(f"{said}nothing is saved, as no")
    one = stage(tmp_path)
    assert one.farewell(6.0, paused=False) == f"{said}nothing is saved yet."
    assert not (tmp_path / "state").exists(), "kernels that have not paused are still at work on their arrays"
    assert one.farewell(6.0, paused=True) == f"{said}saved in {tmp_path / 'state'}."
    assert stage(tmp_path).farewell(6.0, paused=False) == f"{said}saved in {tmp_path / 'state'}.", "the one before"


def test_a_time_limit_is_that_of_what_is_within():
    with conduct.time_limit(1e6):
        outer = conduct._deadline.get()
        with conduct.time_limit(5.0):
            assert 4.0 < conduct._deadline.get() - time.monotonic() <= 5.0
        assert conduct._deadline.get() == outer
    assert conduct._deadline.get() == float("inf")


# ---- what sweeps keep


@pytest.mark.parametrize("parts", [(1, 1, 1), (1, 4), (7, 2, 5)])
def test_moments_of_parts_are_those_of_all_replicas(parts):
    random_state = np.random.default_rng(4)
    values = random_state.normal(size=(2, sum(parts), 3)) + np.array([0.0, 10.0, -3.0])
    found, means = Moments((2, 3)), Moments((2, 3), complex)
    for part in np.split(values, np.cumsum(parts)[:-1], axis=1):
        found.add([0, 1], part)
        means.add_means([0, 1], (2.0 - 1.0j) * part.mean(axis=1), part.shape[1])
    np.testing.assert_allclose(found.mean, values.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(found.error(), values.std(axis=1, ddof=1) / np.sqrt(sum(parts)), rtol=1e-12)
    np.testing.assert_allclose(means.mean, (2.0 - 1.0j) * values.mean(axis=1), rtol=1e-13)
    assert np.all(np.isnan(means.error())), "of runs whose means alone are known"
    assert found.number.tolist() == means.number.tolist() == [sum(parts)] * 2


def entry(key: str, **more) -> Entry:
    return Entry(key, "x", {}, 0, 1, **more)


def test_runs_are_told_by_all_of_their_names_and_keep_rows_and_errors():
    one, other, failed = "a" * 32, "b" * 32, "c" * 32
    runs = [entry(one, error=0.0), entry(failed, fault="why"), entry(other)]
    index = Index([Record("n", "", "", 0, "", runs, whole=True)], {})
    assert (index.find(one).row, index.find(failed).row, index.find(other).row) == (0, -1, 1)
    assert index.find(one).error == 0.0
    assert np.isnan(index.find(other).error)
    strangers = ["a" * 16 + "d" * 16, "d" * 16 + "a" * 16, "0" * 32, "f" * 32]
    assert [index.find(key) for key in strangers] == [None] * 4
    records, rows, errors = index.find_all([*strangers, other, one, failed])
    assert records.tolist() == [-1, -1, -1, -1, 0, 0, 0]
    assert rows.tolist() == [-1, -1, -1, -1, 1, 0, -1]
    np.testing.assert_array_equal(errors, [*[np.nan] * 5, 0.0, np.nan])
    assert len(index) == 3


def test_files_are_filled_in_order_and_never_beyond_what_they_may_hold():
    third = MOST_BYTES // 3
    assert grouped([Shape("a", third)] * 7) == [[0, 1, 2], [3, 4, 5], [6]]
    assert grouped([Shape("a", MOST_BYTES), Shape("a", 1), None, Shape("b", 1)]) == [[0], [1, 2], [3]]
    assert grouped([None, Shape("a", 1), Shape("a", MOST_BYTES - 1), Shape("a", 1)]) == [[0, 1, 2], [3]]


@pytest.mark.parametrize(
    ("values", "kind", "told"),
    [
        ([1, 2], "i", [1, 2]),
        ([1, 2.5], "f", [1.0, 2.5]),
        ([True, False], "U", ["true", "false"]),
        ([True, 2], "U", ["true", "2"]),
        ([1, 2**63], "f", [1.0, 2.0**63]),
        (["a", 1], "U", ["a", "1"]),
        ([[1, 2]], "U", ["[1, 2]"]),
    ],
)
def test_a_column_is_of_numbers_where_all_are(values, kind, told):
    found = column(values)
    assert found.dtype.kind == kind
    assert found.tolist() == told


def test_the_words_at_the_end_of_a_sweep_count_what_was_there_made_failed_and_missed(tmp_path):
    tally = Tally(total=12, found=4, done=8, failed=2, sentence="no\nroom", missed=list("edcba"))
    lines = tally.text(tmp_path).splitlines()
    assert lines[0].startswith("12 runs, 4 of them were there already; 8 made in ")
    assert "2, the first one because: no" in lines[2]
    assert lines[3] == "  target missed 5: a; b; c; and 2 more"
    assert Tally(total=1, done=1).text(tmp_path).startswith("1 run, 1 made in ")
    assert Tally(total=2, found=2).text(tmp_path).splitlines()[0] == (
        "2 runs, 2 of them were there already; nothing was left to do"
    )
    begun = Tally(total=50, found=40, done=8, begun=time.monotonic() - 4.0)
    assert begun.rate == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("column_index", [3, -1])
def test_a_sparse_file_whose_indices_lead_elsewhere_is_refused(tmp_path, refuses, column_index):
    path = tmp_path / "h.npz"
    parts = {"indptr": np.array([0, 1, 2]), "indices": np.array([0, column_index]), "data": np.ones(2)}
    np.savez(path, format=np.array("csr"), shape=np.array([2, 2]), **parts)
    refuses(lambda: read_array(str(path)), ValueError, "cut off or damaged")
