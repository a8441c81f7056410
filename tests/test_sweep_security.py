"""A store that an enemy has prepared: nothing is written, moved or removed outside of it, and nothing in it is run."""

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

from copydyn import open_sweep
from copydyn.__main__ import main
from copydyn.refusal import BadValue
from copydyn.runs import checkpoint
from copydyn.sweeps import api
from copydyn.sweeps.records import Entry, Record, name_of
from copydyn.sweeps.store import Store, sealed
from tests.inline import Inline
from tests.wild import ONE


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Make a sweep of two points beside a folder that nobody may touch; its files have the names that a store has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "Crew", lambda size: Inline())
    Path("mine.toml").write_text(ONE)
    assert main(["sweep", "mine.toml", "theory.copies=10,20", "--out", "store", "--quiet"]) == 0
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    for path in (tmp_path / "store" / "runs").rglob("*.nc"):
        (outside / path.name).write_text("mine")
    (outside / f"{'ab' * 16}.nc").write_text("mine")
    return tmp_path / "store"


def untouched(store: Path) -> list[tuple[str, str]]:
    return sorted((path.name, path.read_text()) for path in (store.parent / "outside").iterdir())


def commands(capsys, *more):
    """Call every command on the store: each ends with a word, and never with a traceback."""
    said = []
    for arguments in (
        ["status", "store"],
        ["verify", "store"],
        ["repair", "store", "--quiet"],
        ["sweep", "mine.toml", "theory.copies=10,20", "--out", "store", "--quiet"],
        ["sweep", "mine.toml", "theory.copies=10,20,30", "--out", "store", "--quiet", "--retry"],
        ["sweep", "store", "--quiet"],
    ):
        assert main(arguments) in (0, 2, 4), arguments
        printed = capsys.readouterr()
        assert printed.out.replace("\n", "").isprintable()
        assert printed.err == "" or (printed.err.startswith("copydyn: ") and printed.err.endswith(".\n")), printed.err
        said.append(printed.out + printed.err)
    return "".join(said)


def forged(store: Path, entries: list, **changes) -> Path:
    """Put a record into the store whose SHA-256 and name are right."""
    body = {
        "copydyn record": 1,
        "name": "",
        "block": "b",
        "sha256": "",
        "size": 0,
        "form": "",
        "entries": entries,
        "whole": False,
        "about": {},
    } | changes
    keys = [f"{entry.get('key')}!" if entry.get("fault") else str(entry.get("key")) for entry in entries]
    name = sha256(" ".join(keys).encode()).hexdigest()[:32]
    line = json.dumps({**body, "name": name}).encode()
    path = store / "runs" / name[:2] / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(line + b"\n" + sha256(line).hexdigest().encode() + b"\n")
    return path


@pytest.mark.parametrize("name", ["runs", "drafts", "sweeps", "live", "damaged"])
def test_a_folder_of_the_store_that_leads_elsewhere_is_refused(store, name, capsys):
    before = untouched(store)
    if (store / name).exists():
        (store / name).rename(store.parent / f"old {name}")
    (store / name).symlink_to(store.parent / "outside")
    assert f"{name}: a folder of a store must be in the store, but is a link" in commands(capsys)
    assert untouched(store) == before


@pytest.mark.parametrize("name", ["runs", "drafts", "sweeps", "live"])
def test_so_is_one_of_a_store_that_is_not_made_yet(store, name, capsys):
    fresh = store.parent / "fresh"
    fresh.mkdir()
    (fresh / name).symlink_to(store.parent / "outside")
    before = untouched(store)
    assert main(["sweep", "mine.toml", "--out", "fresh", "--quiet"]) == 2
    assert "a folder of a store must be in the store" in capsys.readouterr().err
    assert untouched(store) == before


def test_links_among_the_folders_of_runs_are_not_followed(store, capsys):
    before = untouched(store)
    for folder in list((store / "runs").iterdir()):
        folder.rename(store.parent / f"old {folder.name}")
    for number in range(256):
        (store / "runs" / f"{number:02x}").symlink_to(store.parent / "outside")
    assert "is a link" in commands(capsys)
    assert untouched(store) == before


def test_links_in_the_place_of_files_are_not_followed(store, capsys):
    before = untouched(store)
    for path in [*(store / "runs").rglob("*.*"), *(store / "sweeps").iterdir(), store / "store.json"]:
        path.unlink()
        path.symlink_to(store.parent / "outside" / "precious")
    commands(capsys)
    (store / "store.json").unlink()
    (store / "store.json").write_text('{"copydyn store": 1}')
    commands(capsys)
    assert untouched(store) == before


def test_a_draft_that_is_a_link_is_not_written_through(tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    path = tmp_path / "a.checkpoint"
    path.with_name(f".{path.name}.{os.getpid()}").symlink_to(target)
    checkpoint.write(path, b"0" * 32, [])
    assert target.read_text() == "mine"
    assert checkpoint.read(path, b"0" * 32, 0) == []
    store = Store.create(tmp_path / "store")
    for draft in (f"probe.{os.uname().nodename}.{os.getpid()}", f"001.toml.{os.uname().nodename}.{os.getpid()}"):
        (store.drafts / draft).symlink_to(target)
    with pytest.raises(BadValue, match="must be kept in a folder that can be written"):
        Store.create(tmp_path / "store")
    with pytest.raises(OSError, match="symbolic links"):
        store.remember("x = 1\n")
    assert target.read_text() == "mine"


KEY = "0" * 32
ENTRY = {"key": KEY, "theory": "a", "point": {}, "first": 0, "replicas": 1, "fault": "it failed."}


@pytest.mark.parametrize(
    ("entry", "changes"),
    [
        ({"key": "../../../outside/precious"}, {}),
        ({"key": "/etc/passwd"}, {}),
        ({"key": "g" * 32}, {}),
        ({"key": 5}, {}),
        ({"theory": ["a"]}, {}),
        ({"point": [1]}, {}),
        ({"first": "0"}, {}),
        ({"first": 2**70}, {}),
        ({"replicas": -1}, {}),
        ({"seconds": "x"}, {}),
        ({"fault": ["x"]}, {}),
        ({"error": 10**400}, {}),
        ({"error": "x"}, {}),
        ({"detail": 1}, {}),
        ({"more": 1}, {}),
        ({}, {"size": -1}),
        ({}, {"size": "x"}),
        ({}, {"block": ["x"]}),
        ({}, {"form": {}}),
        ({}, {"whole": "yes"}),
        ({}, {"sha256": 3}),
        ({}, {"about": []}),
        ({}, {"copydyn record": "1"}),
        ({}, {"copydyn record": 99}),
        ({}, {"sha256": "../../../outside/precious", "size": 4}),
    ],
)
def test_a_record_of_another_making_is_damaged_and_nothing_else(store, entry, changes, capsys):
    before = untouched(store)
    path = forged(store, [ENTRY | entry], **changes)
    assert path.stem in commands(capsys)
    assert not path.exists()  # repair has set it aside
    assert (store / "damaged" / path.name).exists()
    assert untouched(store) == before
    assert open_sweep(store)["status"].values.tolist() == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"3",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"copydyn record":' * 100_000,
        b"9" * 10_000,
        b"\xff",
        b'{"entries": 3}',
    ],
    ids=range(9),
)
def test_a_record_that_is_none_is_damaged(content):
    with pytest.raises(Exception, match="its record is none of copydyn") as caught:
        Record.parsed(content + b"\n" + sha256(content).hexdigest().encode() + b"\n", KEY)
    assert type(caught.value).__name__ == "Damaged"


def test_a_huge_record_is_not_read(store, capsys):
    path = store / "runs" / "ab" / f"{'ab' * 16}.json"
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(2**34)
    assert "bytes, which are too many" in commands(capsys)


def test_a_checkpoint_that_is_a_pipe_is_not_waited_for(tmp_path, refuses):
    os.mkfifo(tmp_path / "pipe")
    refuses(lambda: checkpoint.read(tmp_path / "pipe", b"", 1), ValueError, "can be read, but: it is no regular file")


def test_pipes_are_not_waited_for(store, capsys):
    path = store / "runs" / "ab" / f"{'ab' * 16}.json"
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    os.mkfifo(store / "live" / "x.json")
    os.mkfifo(store / "sweeps" / "005.toml")
    assert "it is no regular file" in commands(capsys)


def test_names_with_signs_of_control_do_not_reach_the_terminal(store, capsys):
    (store / "runs" / "a\n\x1b[31mb").write_text("")
    forged(store, [ENTRY | {"fault": "a\x1b[31m\nb"}])
    life = {"state": "\x1b[31mrunning", "host": "\x1b]0;x\n", "pid": 3, "time": 1e300, "rate": "nan", "done": [1]}
    (store / "live" / "a.json").write_text(json.dumps(life))
    for number, broken in enumerate(([], 3, {**life, "pid": "x"}, {**life, "rate": {}}, {**life, "time": 10**400})):
        (store / "live" / f"{number}.json").write_text(json.dumps(broken))
    (store / "live" / "deep.json").write_text("[" * 60_000)
    commands(capsys)


def test_the_number_of_no_process_is_no_process(store):
    draft = store / "drafts" / f"x.{os.uname().nodename}.99999999999999999999"
    draft.write_text("")
    assert main(["sweep", "store", "--quiet"]) == 0
    assert not draft.exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "/dev/zero", "../outside/precious", "pipe"])
def test_a_sweep_that_names_a_path_outside_reads_no_more_than_its_beginning(store, path, capsys):
    if path == "pipe":
        os.mkfifo(path)
    before = untouched(store)
    text = ONE.replace('kind = "two-level"', f'kind = "file"\npath = "{path}"')
    (store / "sweeps" / "002.toml").write_bytes(sealed(f'{text}[sweep]\nscenario = "../../outside/x"\n'))
    commands(capsys)
    assert untouched(store) == before


@pytest.mark.parametrize(
    "text",
    [
        "theory = [3]",
        "theory = 3",
        "system = 3",
        'theory = "\\u00007"',
        '[sweep]\ncode = "\\u00007"',
        '[sweep]\nnumpy = "\\u00000"\n[sweep.grid]\n"theory.copies" = [1, 2]',
        '[sweep]\nfiles = ["x"]',
        "[sweep]\nfiles = 3",
        "[run]\nreplicas = 1e18",
        "[sweep.grid]\n'theory' = [1, 2]",
        "[system]\npath = [3]",
        "[[theory]]\nname = 3\n[[theory]]\nname = [4]",
    ],
)
def test_a_sweep_of_another_making_is_refused(store, text, capsys):
    (store / "sweeps" / "002.toml").write_bytes(sealed(text + "\n"))
    assert main(["sweep", "store", "--quiet"]) == 2
    commands(capsys)


def test_the_last_number_of_a_sweep_is_the_last(store, capsys):
    (store / "sweeps" / "999999999.toml").write_bytes(sealed(ONE))
    assert main(["sweep", "mine.toml", "theory.copies=30,40", "--out", "store", "--quiet"]) == 2
    assert "leaves no number for another one" in capsys.readouterr().err


def test_a_record_of_ours_is_well_formed():
    entries = [Entry(KEY, "a", {"theory.copies": 3}, 0, 5, 0.1, "", 0.5), Entry("1" * 32, "a", {}, 0, 5, 1, "no.")]
    record = Record(name_of(entries), "b", "", 0, "f", entries, True, {"seed": 1})
    assert Record.parsed(record.text(), record.name) == record
