"""One HTML file about a sweep: what was swept, figures, tables, what has failed, and how to make it again."""

from __future__ import annotations

import base64
import html
import re
import warnings
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copydyn.runs.durable import place
from copydyn.sweeps.atlas import FAILED, MISSED, OK, UNFINISHED
from copydyn.sweeps.export import Sink, require_outside, written_whole
from copydyn.sweeps.summary import Digest, provenance
from copydyn.wording import duration, plus_minus, said_of, size

MOST_AXES = 4
"""Axes that get figures of their own, and of each other."""

MOST_LINES = 8

MOST_ROWS = 300
"""Points in the table; of more, an export has them all."""

MOST_FAULTS = 100

FEW_VALUES = 8
"""Values of an axis that are all named."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")

_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --pale: #5c6675; --rule: #dfe3e8; --blue: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1.2rem 4rem; color: var(--ink); background: #fff;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.6rem 0 0.4rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 0.6rem; padding-bottom: 0.25rem; border-bottom: 1px solid var(--rule); }
p { margin: 0.5rem 0; max-width: 46rem; }
.pale, figcaption { color: var(--pale); font-size: 0.9rem; }
.counts { display: flex; flex-wrap: wrap; gap: 0.7rem; padding: 0; margin: 1.1rem 0; list-style: none; }
.counts li { border: 1px solid var(--rule); border-radius: 0.5rem; padding: 0.4rem 0.9rem; }
.counts b { display: block; font-size: 1.35rem; line-height: 1.3; }
.counts .bad b { color: #b33a00; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.3rem 0.9rem 0.3rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { font-weight: 600; white-space: nowrap; }
td { overflow-wrap: anywhere; }
td.n { white-space: nowrap; }
figure { margin: 1.2rem 0 1.8rem; }
figure img { max-width: 100%; height: auto; }
pre { background: #f5f7f9; border-radius: 0.5rem; padding: 0.8rem 1rem; overflow-x: auto; font-size: 0.85rem; }
@media print { pre, figure, tr { break-inside: avoid; } }
"""


def written(folder: Path, out: Path) -> str:
    """Write a page about a sweep, with all figures in it: the same bytes for the same store.

    Parameters
    ----------
    folder : Path
        Of the store.
    out : Path
        The HTML file; an existing one is replaced, at once and only by a whole one.

    Returns
    -------
    str
        What was written.

    Raises
    ------
    BadValue
        If the folder is no store, one of its files is damaged, or the page cannot be written.
    """
    folder, out = place(folder), place(out)
    content = page(folder).encode("utf-8", "replace")
    require_outside(folder, out)
    with written_whole(out) as handle:
        Sink(handle).write(content)
    return f"{out}: one page, {size(len(content))}, that needs nothing else"


def page(folder: Path) -> str:
    """Write the page as text."""
    sweep = _Sweep(folder)
    parts = [
        f"<h1>{_text(sweep.title)}</h1>",
        *(f"<p>{_text(paragraph)}</p>" for paragraph in sweep.description.split("\n\n") if paragraph.strip()),
        _counts(sweep),
        _section("What was swept", _what(sweep)),
        _section("Figures", _drawn(sweep)),
        _section("Points", _points(sweep)),
        _missed(sweep),
        _faults(sweep),
        _section("How to make it again", _again(sweep)),
    ]
    body = "\n".join(filter(None, parts))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(sweep.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


class _Sweep:
    """What the page is about."""

    def __init__(self, folder: Path) -> None:
        self.digest = Digest(folder)
        self.recipe = self.digest.recipe
        self.ends = self.digest.dataset(ends=True)
        self.status = self.ends["status"].values.ravel()
        self.versions, self.seconds = provenance(folder)
        self.title = str(self.ends.attrs["title"])
        self.description = str(self.recipe.tables.get("description", "")).strip()

    @property
    def failed(self) -> np.ndarray:
        return np.flatnonzero(~np.isin(self.status, (OK, MISSED, UNFINISHED, "")))

    @property
    def missed(self) -> np.ndarray:
        return np.flatnonzero(self.status == MISSED)

    @property
    def axes(self) -> list[str]:
        """Axes with more than one value, theories left out."""
        return [name for name in self.digest.names if name != "theory" and self.ends.sizes[name] > 1]

    @property
    def measured(self) -> list[str]:
        return [name for name in ("infidelity", "max_deviation", "total_variation") if name in self.ends]

    def first(self) -> dict[str, int]:
        """Give the places of the first point with results: what is fixed in figures is fixed there."""
        sound = np.flatnonzero(np.isin(self.status, (OK, MISSED, UNFINISHED)))
        place = np.unravel_index(int(sound[0]) if sound.size else 0, self.digest.shape) if self.digest.names else ()
        return {name: int(spot) for name, spot in zip(self.digest.names, place)}


def _counts(sweep: _Sweep) -> str:
    status = sweep.status
    boxes = [("complete", int((status == OK).sum()), ""), ("have missed the target", sweep.missed.size, "bad")]
    boxes += [("unfinished", int((status == UNFINISHED).sum()), ""), ("failed", sweep.failed.size, "bad")]
    boxes += [("not there yet", int((status == "").sum()), "")]
    shown = [
        f"<li{f' class={chr(34)}{look}{chr(34)}' if look else ''}><b>{number}</b> {name}</li>"
        for name, number, look in boxes
        if number or name == "complete"
    ]
    return f'<ul class="counts">{"".join(shown)}<li><b>{duration(sweep.seconds)}</b> of computing</li></ul>'


def _what(sweep: _Sweep) -> str:
    recipe = sweep.recipe
    rows: list[tuple[str, str]] = [("scenario", recipe.name)]
    for axis in recipe.axes:
        for number, key in enumerate(axis.keys):
            with_it = f" (with {axis.keys[0]})" if number else ""
            rows.append((f"{key}{with_it}", _values([row[number] for row in axis.values])))
    rows.append(("theories" if len(recipe.theories) > 1 else "theory", ", ".join(recipe.theories)))
    rows.append(("replicas", _replicas(sweep)))
    rows.append(("seed", str(recipe.seed)))
    rows.append(("law of finite N", str(sweep.ends.attrs["law"])))
    rows += [(name, ", ".join(found)) for name, found in sweep.versions.items()]
    return _table([], [[_Cell(name, head=True), _Cell(value)] for name, value in rows])


def _replicas(sweep: _Sweep) -> str:
    target, replicas = sweep.recipe.target, sweep.recipe.replicas
    if target is None:
        return f"{replicas} of each point"
    return (
        f"{replicas} at a time, until the largest standard error of {target.of} is below {target.error:g}, "
        f"{target.most} at most"
    )


def _values(values: Sequence[Any]) -> str:
    said = [said_of(value) for value in values]
    if len(said) <= FEW_VALUES:
        return ", ".join(said)
    return f"{', '.join(said[: FEW_VALUES // 2])}, ..., {', '.join(said[-2:])}: {len(said)} values"


def _drawn(sweep: _Sweep) -> str:
    """Draw what can be drawn: LaTeX, fonts and backends may fail, and all else on the page does without."""
    drawn: list[str] = []
    try:
        drawn.extend(_figures(sweep))
    except Exception as cause:
        reason = (str(cause).strip().split("\n")[0] or type(cause).__name__).rstrip(".")
        warnings.warn(f"figures could not be drawn, all else is on the page: {reason}.", RuntimeWarning, stacklevel=4)
        drawn.append(f"<p>Figures could not be drawn: {_text(reason)}.</p>\n")
    return "".join(drawn)


def _figures(sweep: _Sweep) -> Iterator[str]:
    """Draw lines over each axis, maps over each pair, and the first axis over time."""
    if not sweep.measured:
        yield "<p>There are no results yet.</p>"
        return
    from copydyn.report.plots import plot_sweep  # slow to import

    axes, first = sweep.axes[:MOST_AXES], sweep.first()
    wanted = sweep.measured[:2] if len(axes) < 3 else sweep.measured[:1]
    at = {name: sweep.ends[name].values[place].item() for name, place in first.items() if name != "theory"}
    for of in wanted:
        for name in axes:
            others = [other for other in axes if other != name]
            fixed = {key: value for key, value in at.items() if key != name and key not in others[:1]}
            lines = others[0] if others else None
            figure = plot_sweep(sweep.ends, name, of=of, lines=lines, at=fixed)
            yield _figure(figure, f"{of.replace('_', ' ')} over {name}, at the last save time")
    for one, two in combinations(axes, 2):
        fixed = {key: value for key, value in at.items() if key not in (one, two)}
        for theory in sweep.recipe.theories:
            chosen = {**fixed, **({"theory": theory} if len(sweep.recipe.theories) > 1 else {})}
            figure = plot_sweep(sweep.ends, one, two, of=wanted[0], at=chosen)
            yield _figure(figure, f"{wanted[0].replace('_', ' ')} over {one} and {two}, and its relative error")
            if len(axes) > 2:
                break  # of many maps, those of the first theory
    over = {name: [place] for name, place in first.items() if name != "theory"}
    if axes:
        many = sweep.ends.sizes[axes[0]]
        over[axes[0]] = np.unique(np.linspace(0, many - 1, min(many, MOST_LINES)).round().astype(int)).tolist()
    for of in wanted:
        series = sweep.digest.dataset(over)
        if series.sizes["time"] > 1:
            figure = plot_sweep(series, "time", of=of, lines=axes[0] if axes else None)
            yield _figure(figure, f"{of.replace('_', ' ')} over time, with its standard error as a band")


def _figure(figure: Any, caption: str) -> str:
    from copydyn.report.plots import as_svg

    drawn = base64.b64encode(as_svg(figure)).decode()
    return (
        f'<figure>\n<img src="data:image/svg+xml;base64,{drawn}" alt="{_text(caption)}">\n'
        f"<figcaption>{_text(caption[0].upper() + caption[1:])}.</figcaption>\n</figure>\n"
    )


def _points(sweep: _Sweep) -> str:
    recipe, ends = sweep.recipe, sweep.ends
    several = len(recipe.theories) > 1
    keys = [key for axis in recipe.axes for key in axis.keys]
    laws = ["predicted_infidelity"] if "predicted_infidelity" in ends else []
    heads = [*(["theory"] if several else []), *keys, "replicas", "status"]
    heads += [name.replace("_", " ") for name in (*sweep.measured, *laws)]
    flat = {
        name: ends[name].values.reshape(sweep.digest.size)
        for measured in sweep.measured
        for name in (measured, f"{measured}_error")
    }
    flat |= {name: ends[name].values.reshape(sweep.digest.size) for name in laws}
    replicas = ends["replicas"].values.ravel()
    rows = []
    for number in range(min(sweep.digest.size, MOST_ROWS)):
        theory, point = divmod(number, recipe.points)
        row = [_Cell(recipe.theories[theory])] if several else []
        row += [_Cell(said_of(value), number=not isinstance(value, str)) for value in recipe.values(point).values()]
        row += [_Cell(str(replicas[number]), number=True), _Cell(_status(sweep.status[number]))]
        for name in sweep.measured:
            value, error = float(flat[name][number]), float(flat[f"{name}_error"][number])
            row.append(_Cell("" if np.isnan(value) else plus_minus(value, error), number=True))
        row += [
            _Cell("" if np.isnan(flat[name][number]) else f"{flat[name][number]:.4g}", number=True) for name in laws
        ]
        rows.append(row)
    note = (
        "Means over replicas with their standard errors, at the last save time of each point; where replicas have no "
        "frequencies, distances are those of their mean, and have none."
    )
    if sweep.digest.size > MOST_ROWS:
        note += (
            f" These are the first {MOST_ROWS} of {sweep.digest.size} points; python -m copydyn export writes all of "
            "them, with all save times, as .csv, .parquet or .nc."
        )
    return f'<p class="pale">{_text(note)}</p>\n{_table(heads, rows)}'


def _status(status: str) -> str:
    return {OK: "complete", MISSED: MISSED, "": "not there", UNFINISHED: UNFINISHED}.get(status, FAILED)


def _missed(sweep: _Sweep) -> str:
    target = sweep.recipe.target
    if target is None or not sweep.missed.size:
        return ""
    errors, replicas = sweep.ends["target_error"].values.ravel(), sweep.ends["replicas"].values.ravel()
    rows = [
        [_Cell(_named(sweep, number)), _Cell(f"{errors[number]:.3g}", number=True), _Cell(str(replicas[number]))]
        for number in sweep.missed[:MOST_FAULTS].tolist()
    ]
    table = _table(["point", f"standard error of {target.of}", "replicas"], rows) + _and_more(sweep.missed.size)
    note = f"They have as many replicas as they may, and an error above {target.error:g} all the same."
    return _section("What has missed the target", f'<p class="pale">{_text(note)}</p>\n{table}')


def _faults(sweep: _Sweep) -> str:
    failed = sweep.failed
    if not failed.size:
        return ""
    rows = [
        [_Cell(_named(sweep, number)), _Cell(str(sweep.status[number]))] for number in failed[:MOST_FAULTS].tolist()
    ]
    return _section("What has failed", _table(["point", "because"], rows) + _and_more(failed.size))


def _named(sweep: _Sweep, number: int) -> str:
    recipe = sweep.recipe
    theory, point = divmod(number, recipe.points)
    where = ", ".join(f"{key} = {said_of(value)}" for key, value in recipe.values(point).items()) or "the only point"
    return f"{recipe.theories[theory]}: {where}" if len(recipe.theories) > 1 else where


def _and_more(size: int) -> str:
    return f'<p class="pale">and {size - MOST_FAULTS} more.</p>' if size > MOST_FAULTS else ""


def _again(sweep: _Sweep) -> str:
    name = re.sub(r"[^\w-]+", "-", sweep.recipe.name).strip("-") or "sweep"
    command = f"python -m copydyn sweep {name}.toml --out {name}-sweep"
    return (
        f"<p>Save what follows as {_text(name)}.toml, and run the command. The same seed with the same versions gives "
        f"the same bytes.</p>\n<pre>{_text(command)}</pre>\n<pre>{_text(sweep.recipe.written().rstrip())}</pre>"
    )


class _Cell(NamedTuple):
    """Of a table."""

    text: str
    number: bool = False
    head: bool = False


def _table(heads: Sequence[str], rows: Sequence[Sequence[_Cell]]) -> str:
    lines = ['<div class="wide">\n<table>']
    if heads:
        lines.append("<thead><tr>" + "".join(f'<th scope="col">{_text(head)}</th>' for head in heads) + "</tr></thead>")
    lines.append("<tbody>")
    lines += ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows]
    return "\n".join([*lines, "</tbody>", "</table>\n</div>"])


def _cell(cell: _Cell) -> str:
    if cell.head:
        return f'<th scope="row">{_text(cell.text)}</th>'
    return f'<td class="n">{_text(cell.text)}</td>' if cell.number else f"<td>{_text(cell.text)}</td>"


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{_text(title)}</h2>\n{content}\n</section>"


def _text(text: str) -> str:
    """Make text safe in HTML, and leave out what no HTML may hold."""
    return html.escape(_CONTROL.sub("\ufffd", str(text)))
