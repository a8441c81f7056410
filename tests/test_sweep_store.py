"""The store of a sweep: nothing acknowledged is lost or doubled, and nothing damaged is accepted in silence."""

import errno
import json
import os
import random
import shutil
from pathlib import Path

import pytest
import xarray as xr

from copydyn import open_sweep
from copydyn.refusal import BadValue
from copydyn.runs import durable
from copydyn.sweeps import work as working
from copydyn.sweeps.checks import set_aside, verified
from copydyn.sweeps.records import Damaged
from copydyn.sweeps.store import Store
from tests.inline import Inline, files, recipe_of, run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nothing has happened to."""
    folder = tmp_path_factory.mktemp("sweep") / "whole"
    run(folder)
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    """A store of one's own, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "copied"))


def test_a_finished_sweep_is_sound(whole):
    found = verified(whole)
    assert found.sound, found.text()
    assert (found.runs, found.files) == (6, 6)


def test_the_same_sweep_again_does_nothing(whole, copied):
    assert run(copied).tasks == []
    assert files(copied) == files(whole)


@pytest.mark.parametrize("batch", [1, 2, 4, 6])
def test_no_result_depends_on_how_runs_share_files(whole, tmp_path, batch):
    run(tmp_path, batch=batch)
    one, other = open_sweep(whole).load(), open_sweep(tmp_path).load()
    xr.testing.assert_identical(one.drop_attrs(), other.drop_attrs())
    assert verified(tmp_path).sound


def test_a_grid_that_grows_keeps_its_points(copied):
    before = files(copied)
    team = run(copied, "theory.copies=40,60,80", "system.detuning=0.5,1,1.5")
    assert sum(task.block.stop - task.block.start for task in team.tasks) == 3
    after = files(copied)
    assert before.items() <= after.items()
    assert verified(copied).sound


def test_points_are_found_whichever_way_they_are_reached(copied):
    team = run(copied, "theory.copies=60,40")
    assert [task.found for task in team.tasks] != []  # at the scenario's own detuning, 0.6, nothing is there
    fixed = ("schedule.stop=2", "schedule.points=3", "system.detuning=1")
    assert run(copied, "theory.copies=6e1,4e1", fixed=fixed).tasks == []


def test_another_seed_other_replicas_another_time_are_other_runs(copied):
    assert len(run(copied, seed=8).tasks) == 6
    assert len(run(copied, replicas=4).tasks) == 6
    assert len(run(copied, fixed=("schedule.stop=3", "schedule.points=3")).tasks) == 6


# ---- blocks in pieces

PAIR = ("theory.copies=40,60", "system.detuning=1")
"""Axes of two points, which are committed one by one and merged then."""


def test_a_block_that_was_committed_in_pieces_ends_up_the_same(tmp_path, monkeypatch):
    run(tmp_path / "one", batch=6)
    monkeypatch.setattr(working, "FLUSH", 0.0)
    run(tmp_path / "pieces", batch=6)
    assert files(tmp_path / "pieces") == files(tmp_path / "one")
    assert len(files(tmp_path / "one")) == 2


def test_a_point_on_its_way_to_a_target_is_committed_in_pieces_too(tmp_path, monkeypatch):
    how = {"replicas": 16, "target_error": 0.02, "max_replicas": 400}
    run(tmp_path / "one", "theory.copies=20", **how)
    commit, committed = Store.commit, []
    monkeypatch.setattr(Store, "commit", lambda *given, **more: committed.append(more) or commit(*given, **more))
    monkeypatch.setattr(working, "FLUSH", 0.0)
    run(tmp_path / "pieces", "theory.copies=20", **how)
    assert files(tmp_path / "pieces") == files(tmp_path / "one")
    assert [more["whole"] for more in committed].count(False) >= 3, "what is done of it is safe"


class Killed(BaseException):
    """In the place of SIGKILL."""


def killed_at(monkeypatch, number):
    """Let the process die at its n-th step that changes the disk; what is written by then is there."""
    steps = []

    def dying(name):
        step = getattr(os, name)

        def run(*arguments, **how):
            steps.append(name)
            if len(steps) == number + 1:
                raise Killed
            return step(*arguments, **how)

        return run

    for name in ("open", "write", "fsync", "replace", "link", "unlink"):
        monkeypatch.setattr(durable.os, name, dying(name))
    return steps


def test_killed_at_every_step_it_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    """Every system call that changes the store, in a sweep that merges pieces: one after the other is the last."""
    run(tmp_path / "whole", *PAIR, batch=2)
    expected = files(tmp_path / "whole")
    monkeypatch.setattr(working, "FLUSH", 0.0)
    number, died, folder = 0, True, tmp_path / "killed"
    while died:
        died = False
        with monkeypatch.context() as patch:
            killed_at(patch, number)
            try:
                run(folder, *PAIR, batch=2)
            except Killed:
                died = True
        acknowledged = keys_of(folder)
        run(folder, *PAIR, batch=2)
        assert acknowledged <= keys_of(folder)
        assert files(folder) == expected, number
        found = verified(folder)
        assert found.sound, (number, found.text())
        shutil.rmtree(folder)
        number += 1
    assert number > 50


def keys_of(folder):
    """Names of the runs that count."""
    if not (Path(folder) / "store.json").exists():
        return set()
    store = Store(folder)
    return {entry.key for name in store.names() for entry in store.record(name).entries}


# ---- a disk that fails


FAILURES = (
    ("open", errno.EACCES),
    ("open", errno.EIO),
    ("write", errno.ENOSPC),
    ("fsync", errno.ENOSPC),
    ("fsync", errno.EIO),
    ("replace", errno.EACCES),
    ("link", errno.ENOSPC),
    ("unlink", errno.EACCES),
    ("read", errno.EIO),
)


def failing_at(patch, name, number, code):
    """Let the n-th call of a step of the store fail; give the list of calls."""
    calls, real = [], getattr(os, name)

    def step(*arguments, **how):
        calls.append(arguments)
        if len(calls) == number + 1:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **how)

    patch.setattr(durable.os, name, step)
    return calls


def refusal_of(folder):
    """Run the sweep of two points; give the sentence that it is refused with."""
    try:
        run(folder, *PAIR, batch=2)
    except BadValue as fault:
        return str(fault)
    return ""


@pytest.mark.parametrize(("name", "code"), FAILURES)
def test_every_failure_of_the_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch, name, code):
    run(tmp_path / "whole", *PAIR, batch=2)
    expected = files(tmp_path / "whole")
    monkeypatch.setattr(working, "FLUSH", 0.0)
    number, refused, folder = 0, 0, tmp_path / "failing"
    while True:
        with monkeypatch.context() as patch:
            calls = failing_at(patch, name, number, code)
            said = refusal_of(folder)
        if said:
            refused += 1
            assert os.strerror(code).lower() in said.lower()
            assert said.endswith(".")
            assert "\n" not in said
        if len(calls) <= number:
            break
        kept = keys_of(folder)
        run(folder, *PAIR, batch=2)
        assert kept <= keys_of(folder)
        assert files(folder) == expected, number
        assert verified(folder).sound, verified(folder).text()
        shutil.rmtree(folder)
        number += 1
    assert number >= (1 if name == "link" else 3)
    assert refused >= number // 2  # the others are about signs of life, or are tidied up by the next sweep


def test_a_disk_that_takes_a_part_at_a_time_is_enough(tmp_path, monkeypatch):
    run(tmp_path / "whole")
    real = os.write
    monkeypatch.setattr(durable.os, "write", lambda handle, data: real(handle, bytes(data)[: 1 + len(data) // 2]))
    run(tmp_path / "short")
    monkeypatch.undo()
    assert files(tmp_path / "short") == files(tmp_path / "whole")


def test_failures_of_life_signs_are_no_failures(tmp_path, monkeypatch):
    real = os.open

    def failing(path, *arguments, **how):
        if "vm-" in str(path) or path.name.startswith(os.uname().nodename):
            raise OSError(errno.ENOSPC, "full")
        return real(path, *arguments, **how)

    monkeypatch.setattr(durable.os, "open", failing)
    run(tmp_path / "quiet")
    monkeypatch.undo()
    assert verified(tmp_path / "quiet").sound


# ---- files that are not what they were


def mutations(folder, random_state):
    """Damage a store in one of many ways; say what was done, or None where that came to nothing."""
    ours = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "live"]
    path, other = random_state.sample(ours, 2)
    kind = random_state.choice(("flip", "cut", "swap", "drop", "double", "grow", "zero", "stale"))
    content = path.read_bytes()
    if kind == "flip":
        place = random_state.randrange(len(content))
        changed = bytearray(content)
        changed[place] ^= 1 << random_state.randrange(8)
        path.write_bytes(bytes(changed))
    elif kind == "cut":
        path.write_bytes(content[: random_state.randrange(len(content))])
    elif kind == "swap":
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
    elif kind == "drop":
        path.unlink()
    elif kind == "double":
        twin = path.with_name(f"{random_state.getrandbits(128):032x}{path.suffix}")
        twin.write_bytes(content)
    elif kind == "grow":
        path.write_bytes(content + b"\0")
    elif kind == "zero":
        path.write_bytes(bytes(len(content)))
    else:
        path.write_bytes(other.read_bytes())
    return f"{kind} {path.name}"


def accepted_in_silence(folder, expected, random_state):
    """Damage a copy of a store; tell what was done where nobody notices and the results are wrong."""
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = mutations(folder, random_state)
    try:
        try:
            found = verified(folder)
            noticed = not found.sound
        except BadValue:
            noticed = True
        if not noticed and files(folder) != expected:
            return f"verify: {done}"
        try:
            opened = open_sweep(folder)
            same = all(opened[name].load().equals(GOOD[name]) for name in GOOD if name in opened) and set(GOOD) <= set(
                opened
            )
            complete = bool((opened["status"] == "ok").all())
        except BadValue:
            return None  # said in a sentence
        return None if same or not complete else f"open: {done}"
    finally:
        for path in list(folder.rglob("*")):
            if path.is_file() and path.relative_to(folder) not in before:
                path.unlink()
        for path, content in before.items():
            (folder / path).write_bytes(content)


GOOD: dict = {}


def test_no_damage_is_accepted_in_silence(copied):
    GOOD.update({name: variable.load() for name, variable in open_sweep(copied).items()})
    expected, random_state = files(copied), random.Random(3)
    bad = [fault for _ in range(120) if (fault := accepted_in_silence(copied, expected, random_state))]
    assert bad == []


def test_verify_names_the_run_and_repair_makes_it_again(whole, copied):
    store = Store(copied)
    names = list(store.names())
    damaged, lost, stripped = names[0], names[1], names[2]
    content = bytearray(store.path_of(damaged, ".nc").read_bytes())
    content[len(content) // 2] ^= 1
    store.path_of(damaged, ".nc").write_bytes(bytes(content))
    store.path_of(lost, ".nc").unlink()
    store.path_of(stripped, ".json").unlink()
    (copied / "runs" / "notes.txt").write_text("mine")
    found = verified(copied)
    kinds = sorted(trouble.kind for trouble in found.troubles)
    assert kinds == ["damaged", "damaged", "foreign", "left over", "missing", "missing", "missing"]
    text = found.text()
    assert damaged in text
    assert lost in text
    assert stripped in text
    assert "theory.copies=" in text
    with pytest.raises(BadValue, match=r"its file is damaged, or another one; `python -m copydyn repair"):
        open_sweep(copied).counts.load()
    assert set_aside(copied).startswith("3 damaged files")
    run(copied)
    left = verified(copied).troubles
    assert [trouble.kind for trouble in left] == ["foreign"]
    assert files(copied) == files(whole)
    assert (copied / "runs" / "notes.txt").read_text() == "mine"
    assert len(list((copied / "damaged").iterdir())) == 3


def test_a_newer_store_is_refused(copied, refuses):
    (copied / "store.json").write_text('{"copydyn store": 2}')
    refuses(lambda: Store(copied), ValueError, "made by a newer version")
    refuses(lambda: Store.create(copied), ValueError, "made by a newer version")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"copydyn store": "1"}', '{"copydyn store": true}', "[" * 9999]
)
def test_a_damaged_mark_is_refused(copied, refuses, text):
    (copied / "store.json").write_text(text)
    refuses(lambda: Store(copied), ValueError, "store.json: it must say which format")


def test_a_store_needs_a_folder_of_its_own(tmp_path, refuses):
    (tmp_path / "thesis.tex").write_text("")
    refuses(lambda: Store.create(tmp_path), ValueError, "'thesis.tex' is in it")
    refuses(lambda: Store(tmp_path), ValueError, "with a file store.json, but there is none")
    refuses(lambda: Store.create(tmp_path / "thesis.tex"), ValueError, "a file stands in its way")


def test_a_sweep_that_was_edited_is_refused(copied, refuses):
    path = copied / "sweeps" / "001.toml"
    path.write_text(path.read_text().replace("copies", "copier"))
    refuses(lambda: open_sweep(copied), ValueError, "damaged or was changed")
    run(copied)
    assert (copied / "sweeps" / "002.toml").exists()
    assert open_sweep(copied).sizes["copies"] == 2


def test_a_record_says_what_it_is_about(whole):
    store = Store(whole)
    record = store.record(next(store.names()))
    (entry,) = record.entries
    assert entry.point.keys() == {"theory.copies", "system.detuning"}
    assert (entry.theory, entry.first, entry.replicas) == ("CopyDynamics", 0, 3)
    assert record.about["seed"] == 7
    assert record.about["versions"].keys() >= {"copydyn", "numpy", "python"}
    assert entry.seconds > 0.0
    with xr.open_dataset(store.path_of(record.name, ".nc")) as plain:  # by those who do not have copydyn
        assert plain["theory.copies"].item() == entry.point["theory.copies"]
        assert plain.counts.dims == ("run", "replica", "time", "beable")
        assert "[system]" in plain.attrs["scenario"]
    with pytest.raises(Damaged):
        store.record("0" * 32)


def test_a_link_is_no_file_of_ours(copied, tmp_path):
    store = Store(copied)
    path = store.path_of(next(store.names()), ".nc")
    elsewhere = tmp_path / "elsewhere.nc"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert {trouble.kind for trouble in verified(copied).troubles} >= {"foreign", "damaged"}


def test_records_are_json_that_anyone_can_read(whole):
    for path in (whole / "runs").rglob("*.json"):
        assert json.loads(path.read_text().splitlines()[0])["copydyn record"] == 1


def test_inline_is_a_team(tmp_path):
    """The team of these tests counts what it is asked for."""
    team = run(tmp_path, team=Inline())
    assert len(team.tasks) == recipe_of().strands == 6


def test_pieces_that_are_damaged_or_merged_by_another_are_made_again(tmp_path, monkeypatch):
    run(tmp_path / "whole", *PAIR, batch=2)
    monkeypatch.setattr(working, "FLUSH", 0.0)
    merge = working._Desk._merge
    monkeypatch.setattr(working._Desk, "_merge", lambda _: None)
    run(tmp_path / "pieces", *PAIR, batch=2)
    monkeypatch.setattr(working._Desk, "_merge", merge)
    monkeypatch.setattr(working, "FLUSH", 5.0)
    store = Store(tmp_path / "pieces")
    first, _ = store.names()
    content = bytearray(store.path_of(first, ".nc").read_bytes())
    content[-9] ^= 1
    store.path_of(first, ".nc").write_bytes(bytes(content))
    run(tmp_path / "pieces", *PAIR, batch=2)
    assert files(tmp_path / "pieces") == files(tmp_path / "whole")
    assert verified(tmp_path / "pieces").sound


def test_two_that_ask_at_the_same_moment_do_not_overwrite_each_other(tmp_path, monkeypatch):
    store = Store.create(tmp_path / "out")
    link = os.link

    def slow(draft, path):
        if path.name == "001.toml":
            path.write_bytes(b"another sweep")
        link(draft, path)

    monkeypatch.setattr(durable.os, "link", slow)
    assert store.remember("mine").name == "002.toml"
    assert (tmp_path / "out" / "sweeps" / "001.toml").read_bytes() == b"another sweep"
    assert store.remember("mine").name == "002.toml"
    assert os.listdir(store.drafts) == []
