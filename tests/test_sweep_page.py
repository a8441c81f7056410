"""The page about a sweep: whole, valid, safe, in need of nothing else, and the same bytes each time."""

import base64
import html
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from small_sweeps import KINDS, of, summary_of, sweep
from tables import says

from copydyn.__main__ import main
from copydyn.scenario.source import read
from copydyn.sweeps import page as pages
from copydyn.sweeps.asked import asked
from copydyn.sweeps.page import page, written
from copydyn.sweeps.summary import Digest, summary

VOID = {"meta", "img", "br", "link"}

KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "p", "ul", "li", "b", "div"),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "img", "figcaption", "pre"),
}


class Checked(HTMLParser):
    """Sees that what is opened is closed, in order, and keeps what there is."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.words, self.images, self.ids = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in KNOWN, tag
        self.seen.append(tag)
        attributes = dict(attrs)
        assert len(attributes) == len(attrs)
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "img":
            assert attributes["alt"]
            self.images.append(attributes["src"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)


@pytest.fixture(scope="module")
def made():
    """Pages by the kind of their sweep."""
    return cache(lambda kind: page(of(kind)))


@pytest.mark.parametrize("kind", ["grid", "failing", "alone"])
def test_a_page_is_valid_and_needs_nothing_else(made, kind):
    text = made(kind)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    found = Checked(text)
    assert [found.seen.count(tag) for tag in ("html", "head", "title", "body", "h1", "main")] == [1] * 6
    assert 'name="viewport"' in text
    assert not re.search(r"https?://|//[a-z]|<script|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    assert found.images
    for source in found.images:
        head, _, body = source.partition(",")
        assert head == "data:image/svg+xml;base64"
        assert ElementTree.fromstring(base64.b64decode(body)).tag.endswith("svg")


@pytest.mark.parametrize(
    ("kind", "figures"),
    [("grid", 7), ("alone", 2), ("failing", 7)],
)
def test_there_are_lines_for_each_axis_maps_for_each_pair_and_one_over_time(made, kind, figures):
    assert Checked(made(kind)).seen.count("figure") == figures


def test_it_says_what_was_swept_and_what_came_of_it(made):
    text = Checked(made("grid")).text
    for words in ("Detuned Rabi flopping", "theory.copies", "40, 60, 600", "4 of each point", "copydyn", "numpy"):
        assert words in text
    assert "6 complete" in re.sub(r"\s+", " ", text)
    assert "±" in text


def test_what_has_failed_is_listed_with_its_sentence(made):
    found = Checked(made("failing"))
    assert "engine 'meanfield' has no copies to count" in found.text
    assert "theory.engine = meanfield, theory.floor = 2" in found.text
    assert "failed" in found.text
    assert "What has failed" not in made("grid")


@pytest.fixture
def plain(monkeypatch):
    """Leave out the figures."""
    monkeypatch.setattr(pages, "_figures", lambda _: [])


@pytest.mark.parametrize("kind", KINDS)
def test_every_sweep_has_tables(plain, kind):
    assert Checked(page(of(kind))).seen.count("table") == 2 + (kind == "failing")


def test_what_is_missing_is_counted(plain):
    text = re.sub(r"\s+", " ", Checked(page(of("unfinished"))).text)
    assert "2 complete" in text
    assert "2 not there yet" in text


def test_text_of_a_scenario_is_text(plain):
    text = page(of("rivals"))
    assert "Two &amp; &lt;three&gt; theories" in text
    assert "<three>" not in text
    assert Checked(text).text.count("One of them in $ and >.") == 2  # in the scenario as well


def test_what_no_page_may_hold_is_left_out():
    assert pages._text('<a b="c">\x00\x1b&') == "&lt;a b=&quot;c&quot;&gt;\ufffd\ufffd&amp;"


def test_the_scenario_on_the_page_is_the_sweep(plain, tmp_path):
    found = Checked(page(of("zipped")))
    source = next(words for words in found.words if "[sweep]" in words)
    (tmp_path / "again.toml").write_text(source, encoding="utf-8")
    again, once = asked(str(tmp_path / "again.toml")).recipe, Digest(of("zipped")).recipe
    assert (again.seed, again.replicas, again.axes[0].values) == (once.seed, once.replicas, once.axes[0].values)
    assert read(str(tmp_path / "again.toml")).tables["theory"] == once.tables["theory"]
    assert "python -m copydyn sweep rabi.toml --out rabi-sweep" in found.text


def test_of_many_points_the_first_are_shown(plain, monkeypatch):
    monkeypatch.setattr(pages, "MOST_ROWS", 4)
    found = Checked(page(of("grid")))
    assert "the first 4 of 6 points" in found.text
    table = found.text[found.text.index("These are the first") : found.text.index("How to make it again")]
    assert table.count("complete") == 4


def test_the_same_store_gives_the_same_bytes(tmp_path, made):
    program = "import sys; from copydyn.__main__ import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["report", str(of("alone")), "--out", str(tmp_path / "x.html")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, timeout=120)
    assert (tmp_path / "x.html").read_bytes() == made("alone").encode()


def test_it_stands_beside_the_store_where_nothing_else_is_said(plain, tmp_path, capsys):
    folder = Path(shutil.copytree(of("alone"), tmp_path / "alone"))
    assert main(["report", str(folder)]) == 0
    assert sorted(os.listdir(tmp_path)) == ["alone", "alone.html"]
    assert "alone.html: one page" in capsys.readouterr().out


def test_a_sweep_without_results_has_a_page(tmp_path):
    folder = sweep(tmp_path / "s", ["theory.copies=40"], shard=(2, 2))
    assert "There are no results yet." in Checked(page(folder)).text


def test_what_cannot_be_written_is_refused(plain, tmp_path, refuses, capsys):
    refuses(lambda: written(of("alone"), tmp_path / "nowhere" / "x.html"), ValueError, "there is no folder")
    refuses(lambda: written(of("alone"), of("alone") / "x.html"), ValueError, "outside the folder")
    refuses(lambda: written(tmp_path, tmp_path / "x.html"), ValueError, "store.json")
    assert main(["report", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.strip().split("\n")) == 1
    assert os.listdir(tmp_path) == []


# ---- every cell


def tables_of(text):
    """Give the cells of every table, row by row, heads included."""
    return [
        [
            [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
            for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        ]
        for table in re.findall(r"<table>(.*?)</table>", text, re.DOTALL)
    ]


POINTS = {
    "grid": (["theory.copies", "system.detuning"], ["copies", "detuning"]),
    "rivals": (["theory", "theory.a/b.copies", "system.coupling"], ["theory", "copies", "coupling"]),
    "failing": (["theory.engine", "theory.floor"], ["engine", "floor"]),
    "sizes": (["system.sites"], ["sites"]),
    "unfinished": (["theory.copies"], ["copies"]),
    "target": (["theory.copies"], ["copies"]),
}


@pytest.mark.parametrize("kind", POINTS)
def test_every_cell_of_the_points_is_its_number_in_the_summary(plain, kind):
    found = summary_of(kind)
    keys, axes = POINTS[kind]
    head, *rows = tables_of(page(of(kind)))[1]
    measured = ["infidelity", "max_deviation", "total_variation"]
    laws = ["predicted_infidelity"] if np.isfinite(found.get("predicted_infidelity", np.nan)[..., -1]).any() else []
    assert head == [*keys, "replicas", "status", *(name.replace("_", " ") for name in (*measured, *laws))]
    assert len(rows) == found["replicas"].size
    seen = set()
    for row in rows:
        chosen = dict(zip(axes, row))
        seen.add(tuple(chosen.values()))
        kinds = {name: found[name].dtype.kind for name in chosen}
        point = found.sel({name: said if kinds[name] == "U" else float(said) for name, said in chosen.items()})
        point = point.squeeze()
        rest = row[len(keys) :]
        assert rest[0] == str(int(point["replicas"]))
        status = str(point["status"].values)
        assert rest[1] == {"ok": "complete", "": "not there", "target missed": status}.get(status, "failed")
        for said, name in zip(rest[2:], [*measured, *laws], strict=True):
            values = np.atleast_1d(point[name].values)
            value = values[-1]
            error = np.nan if name in laws else np.atleast_1d(point[f"{name}_error"].values)[-1]
            assert (said == "") if np.isnan(value) else says(said, value, error), (row, name)
    assert len(seen) == len(rows), "each point once"
    control = float(found["infidelity"].values.ravel()[~np.isnan(found["infidelity"].values.ravel())][-1])
    assert not says(f"{control:.4g}", 1.01 * control, np.nan)


def test_what_was_swept_is_told_value_by_value(plain, tmp_path):
    rows = dict(tables_of(page(of("zipped")))[0])
    assert rows["theory.copies"] == "40, 60"
    assert rows["theory.floor (with theory.copies)"] == "1, 3"
    assert rows["replicas"] == "4 of each point"
    assert rows["seed"] == "5"
    rows = dict(tables_of(page(of("rivals")))[0])
    assert rows["theories"] == "a/b, limit, Schrodinger"
    target = dict(tables_of(page(of("target")))[0])["replicas"]
    assert target == "20 at a time, until the largest standard error of probability is below 0.02, 200 at most"
    assert pages._values(list(range(8))) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert pages._values(list(range(10, 30))) == "10, 11, 12, 13, ..., 28, 29: 20 values"
    assert pages._values([0.123456, 1e6, 3.0, "exact"]) == "0.123456, 1000000, 3, exact"


def counted(text):
    """Give the numbers in the boxes at the top of a page."""
    boxes = re.findall(r"<li[^>]*><b>(.*?)</b> (.*?)</li>", text)
    return {name: said for said, name in boxes if name != "of computing"}


def test_a_point_that_misses_its_target_is_told_with_the_error_that_it_has(plain, tmp_path):
    axes = ["theory.copies=30,1000000"]
    folder = sweep(tmp_path / "s", axes, replicas=30, target_error=0.01, max_replicas=40)
    found, text = summary(folder), page(folder)
    assert found["status"].values.tolist() == ["target missed", "ok"]
    (head, row) = tables_of(text)[2]
    assert head == ["point", "standard error of probability", "replicas"]
    error = float(found["target_error"][0])
    assert row == ["theory.copies = 30", f"{error:.3g}", "40"]
    assert error > 0.01
    assert "an error above 0.01 all the same" in text
    assert counted(text) == {"complete": "1", "have missed the target": "1"}


def test_points_are_counted_by_what_is_said_of_them(plain, tmp_path):
    assert counted(page(of("failing"))) == {"complete": "3", "failed": "1"}
    assert counted(page(of("unfinished"))) == {"complete": "2", "not there yet": "2"}
    folder = sweep(tmp_path / "s", ["theory.copies=10,12,14"], replicas=1030, shard=(1, 2), batch=1)
    states = summary(folder)["status"].values.tolist()
    wanted = {"complete": states.count("ok"), "unfinished": states.count("unfinished")}
    assert counted(page(folder)) == {
        name: str(number) for name, number in wanted.items() if number or name == "complete"
    }
    assert wanted["unfinished"] > 0


def test_figures_are_fixed_at_the_first_point_that_has_results(monkeypatch):
    asked = []
    monkeypatch.setattr("copydyn.report.plots.plot_sweep", lambda _, *axes, **how: asked.append((axes, how)))
    monkeypatch.setattr(pages, "_figure", lambda figure, caption: caption)
    sweep_of = pages._Sweep(of("failing"))
    sweep_of.status[0] = "has failed"
    assert sweep_of.first() == {"engine": 0, "floor": 1}
    list(pages._figures(pages._Sweep(of("grid"))))
    assert [(axes, how["of"], how.get("lines"), how.get("at")) for axes, how in asked] == [
        (("copies",), "infidelity", "detuning", {}),
        (("detuning",), "infidelity", "copies", {}),
        (("copies",), "max_deviation", "detuning", {}),
        (("detuning",), "max_deviation", "copies", {}),
        (("copies", "detuning"), "infidelity", None, {}),
        (("time",), "infidelity", "copies", None),
        (("time",), "max_deviation", "copies", None),
    ]
