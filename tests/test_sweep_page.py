"""The page about a sweep: whole, valid, safe, in need of nothing else, and the same bytes each time."""

import base64
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from small_sweeps import KINDS, of, sweep

from copydyn.__main__ import main
from copydyn.source import read
from copydyn.sweeps import page as pages
from copydyn.sweeps.asked import asked
from copydyn.sweeps.page import page, written
from copydyn.sweeps.summary import Digest

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
