"""The store: a run is kept whole or not at all, and never over another one."""

import errno
import os

import pytest

from copydyn.refusal import BadValue
from copydyn.runs import folders as store

FILES = {"result.nc": b"\x89HDF", "table.txt": b"a\n", "empty": b""}


def entries(parent):
    return sorted(os.listdir(parent))


def test_a_run_gets_a_folder_of_its_own(tmp_path):
    parent = tmp_path / "some" / "results"
    folders = [store.keep(parent, "rabi", FILES) for _ in range(3)]
    assert [folder.name for folder in folders] == ["rabi-001", "rabi-002", "rabi-003"]
    assert entries(parent) == ["rabi-001", "rabi-002", "rabi-003"]
    for folder in folders:
        assert {file: (folder / file).read_bytes() for file in entries(folder)} == FILES


def test_numbers_go_on_behind_the_largest(tmp_path):
    for name in ("rabi-007", "rabi-x", "rabi-node-012", "rabi-0", "rabi-1000-old"):
        (tmp_path / name).mkdir()
    (tmp_path / "rabi-009").write_text("a file takes a number as well")
    assert store.keep(tmp_path, "rabi", FILES).name == "rabi-010"
    assert store.keep(tmp_path, "rabi.(x)", FILES).name == "rabi.(x)-001"


def test_a_folder_can_be_read_by_those_who_may_read_its_parent(tmp_path):
    mask = os.umask(0o022)
    try:
        assert store.keep(tmp_path, "rabi", FILES).stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(mask)


def test_a_number_that_another_run_takes_meanwhile_is_passed_over(tmp_path, monkeypatch):
    rename, taken = os.rename, []

    def slow_rename(source, target):
        if len(taken) < 2:  # another run is faster, twice
            taken.append(target)
            target.mkdir()
            (target / "theirs").write_text("theirs")
        rename(source, target)

    monkeypatch.setattr(os, "rename", slow_rename)
    folder = store.keep(tmp_path, "rabi", FILES)
    assert folder.name == "rabi-003"
    assert entries(tmp_path) == ["rabi-001", "rabi-002", "rabi-003"]
    assert entries(tmp_path / "rabi-001") == ["theirs"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, refuses, step, code):
    store.keep(tmp_path, "rabi", FILES)

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, step, fail)
    refuses(lambda: store.keep(tmp_path, "rabi", FILES), ValueError, os.strerror(code))
    assert entries(tmp_path) == ["rabi-001"]
    assert entries(tmp_path / "rabi-001") == sorted(FILES)


@pytest.mark.parametrize("when", range(5))
def test_a_run_appears_only_once_it_is_whole_and_on_disk(tmp_path, monkeypatch, when):
    """Whichever fsync is interrupted: three files, the folder, and last the parent after the rename."""
    calls = []

    def interrupted(_):
        calls.append(entries(tmp_path))
        if len(calls) == when + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.keep(tmp_path, "rabi", FILES)
    whole = when == 4
    assert entries(tmp_path) == (["rabi-001"] if whole else [])
    assert not any("rabi-001" in names for names in calls[:4])


def test_what_stands_in_the_way_is_said(tmp_path, refuses):
    (tmp_path / "file").write_text("")
    for parent in (tmp_path / "file", tmp_path / "file" / "results"):
        for action in (lambda p=parent: store.keep(p, "rabi", FILES), lambda p=parent: store.require_writable(p)):
            refuses(action, ValueError, "a file stands in its way; choose one with --out")


def test_a_folder_is_tried_before_it_is_needed(tmp_path, monkeypatch, refuses):
    store.require_writable(tmp_path / "new")
    assert entries(tmp_path / "new") == []

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", denied)
    refuses(lambda: store.require_writable(tmp_path), ValueError, "Permission denied")


def test_a_refusal_is_a_value_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadValue):
        store.require_writable(tmp_path / "file")
