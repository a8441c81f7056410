"""Input of all kinds, sound and not, as users and their enemies type it; and the verdict on what comes of it."""

import inspect
import os
import re
import resource
import signal
import time
import warnings
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import numpy as np
from hypothesis import strategies as st

from copydyn.comparison.claims import CLAIMS
from copydyn.experiment.bases import BASES
from copydyn.experiment.inputs import DiagonalOrMatrix, Ket
from copydyn.experiment.preparations import PREPARATIONS
from copydyn.refusal import Refusal
from copydyn.scenario.parsing import _annotations
from copydyn.scenario.source import find, shipped
from copydyn.scenario.toml_text import value_text
from copydyn.sweeps.asked import recipe_in
from copydyn.sweeps.store import sealed
from copydyn.systems import SYSTEMS
from copydyn.theories import THEORIES

MOST_SECONDS, MOST_MEMORY = 2.0, 2**30
"""Of processor time, and bytes, that one input may take."""

HANGS = 60
"""Seconds of a clock on the wall after which somebody waits for ever."""

FILE = "mine.toml"
TRAP = "hacked"
"""A file that only an input which was run as a program could make."""

PROGRAM = f"__import__('pathlib').Path('{TRAP}').touch()"


# ---- verdicts


class Flaw(AssertionError):
    """What should not come of any input."""


class Slow(Flaw):
    """It took too long."""


class Greedy(Flaw):
    """It took too much memory."""


class Mumbled(Flaw):
    """The sentence is not one."""


class Executed(Flaw):
    """The input was run."""


@contextmanager
def watched(what: str, most: float | None = None, hangs: int = HANGS):
    """See that a call is quick and modest, warns of nothing and makes no file of the trap's name."""

    def ring(*_: Any) -> None:
        raise Slow(f"{what} is still at it after {hangs} s")

    before, start = _peak(), time.process_time()
    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(hangs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "leap_step must be at most", RuntimeWarning)  # which is a sentence
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    seconds, memory = time.process_time() - start, _peak() - before
    if seconds > (MOST_SECONDS if most is None else most):
        raise Slow(f"{what} took {seconds:.1f} s")
    if memory > MOST_MEMORY:
        raise Greedy(f"{what} took {memory >> 20} MiB")
    if Path(TRAP).exists():
        Path(TRAP).unlink()
        raise Executed(f"{what} ran a program")


def verdict(action, *expressions: str) -> str:
    """Call ``action``: "accepted", or "refused" in sentences that name the place; anything else is raised."""
    with watched("it"):
        try:
            action()
        except Refusal as refusal:
            sentences = str(refusal).split("\n")
        else:
            return "accepted"
    for sentence in sentences:
        require_a_sentence(sentence, expressions)
    return "refused"


def require_a_sentence(sentence: str, expressions: tuple[str, ...] = ()) -> None:
    """See that ``sentence`` is one, and says where something is wrong and with which key."""
    if not sentence.isprintable() or not sentence.endswith((".", "?")) or not 20 < len(sentence) < 1500:
        raise Mumbled(f"no sentence: {sentence!r}")
    place = re.match(rf"(\S*{re.escape(FILE)}|\S*scenarios/[\w-]+\.toml)(:\d+)?: ", sentence)
    if place is None and not any(sentence.startswith(_start(expression)) for expression in expressions):
        raise Mumbled(f"no place: {sentence!r}")
    said = sentence[place.end() if place else 0 :]
    if (
        place
        and not re.search(r"\[\w+|\[\[\w+|'|\w\.\w", said)
        and not said.startswith(("a scenario must", "title", "description"))
    ):
        raise Mumbled(f"no key: {sentence!r}")


def _start(expression: str) -> str:
    """What a sentence about an expression begins with, as far as it is sure to be printed as it stands."""
    text = expression.encode("utf-8", "replace").decode()
    return re.match(r"[ -\[\]-~]{0,40}", text)[0]  # type: ignore[index]


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# ---- values


SPLINTERS = (
    *("", " ", "=", "nan", "-nan", "inf", "-inf", "1e999", "-1e999", "5e-324", "1e308", "-1e308", "0", "-0.0", "-1"),
    *("true", "false", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "1979-13-99", "1_000", "1__0", "0b1", "0o7"),
    *('""', '" "', r'"\u0000"', r'"a\nb"', r'"\u001b[31m"', '"é日本"', "'''x'''", '"', "'", '"""', "#", "\\", "\x00"),
    *("[]", "[[]]", "[[1,2],[3]]", "[{}]", "{}", "{a={b={}}}", "{a.b.c=1}", "[true]", "['a']", "[[[[[[1]]]]]]"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "1e18", "2147483648", "1.5", "1e30"),
    *(
        "1j",
        '"1j"',
        '"(1+2j)"',
        '"1e999j"',
        '"nanj"',
        "[0.3,0.4]",
        "[nan,1]",
        '["1j",0]',
        "[0.6,'0.8j']",
        "[1e308,1e308]",
    ),
    *('"/dev/zero"', '"/dev/stdin"', '"pipe"', '"../../x.npy"', '"."', '"h.npy"', '"/"', '"mine.toml"', '"link.npy"'),
    *(PROGRAM, f'"{PROGRAM}"', "${HOME}", "$(id)", "`id`", "%s", "{0}", "1,2", "1;2", "linspace(0,1,3)"),
    *('"linspace(0,1,3)"', '"1,2"', '"range(3)"', "\u2028", "\ufeff1", "\u0663", "ring", "Schrodinger", "'random'"),
    *("0x" + "f" * 99, "0x" + "f" * 20_000, "9" * 400, "9" * 5000, "[" * 3000, "[" * 90 + "]" * 90, "{a=" * 500),
    *("{" + "a." * 2000 + "a=1}", "[" * 40 + "1" + "]" * 40, '"' + "x" * 5000 + '"', "[" + "1," * 3000 + "]"),
)

WORDS = (
    *(
        "0",
        "1",
        "2",
        "exact",
        "leap",
        "meanfield",
        "auto",
        "printed",
        "hermitian",
        "even",
        "multinomial",
        "probability",
    ),
    *("position", "CopyDynamics", "total_variation", "infidelity", "max_deviation", "h 0", "cnot 0 1", "x", "A", "B"),
)

_PLAIN = {
    float: st.sampled_from([0.5, 1.0, 0.25, 2.0, 0.0, 0.1, -0.5]) | st.floats(-3.0, 3.0),
    int: st.integers(1, 6),
    complex: st.sampled_from([0.5, "0.6j", [0.3, 0.4], 1.0, "0.3-0.4j"]),
    bool: st.booleans(),
    str: st.sampled_from(WORDS),
    Ket: st.lists(st.sampled_from([1.0, "0.6j", [0.3, 0.4], 0.8, 0.0]), min_size=1, max_size=4),
    DiagonalOrMatrix: st.sampled_from([[0.5, 0.5], [[0.5, 0.0], [0.0, 0.5]], [[1.0, 0.0], [5.0, "0.1j"]], []]),
}
_PLAIN_TEXT = {kind: strategy.map(value_text) for kind, strategy in _PLAIN.items()}

PATHS = (
    "/dev/zero",
    "/dev/stdin",
    "pipe",
    "link.npy",
    "../../x.npy",
    ".",
    "h.npy",
    "/",
    "mine.toml",
    "",
    "/proc/self/mem",
)

_PERCENT = st.integers(0, 99)

_ODD = st.one_of(
    st.sampled_from(SPLINTERS),
    st.sampled_from(SPLINTERS),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr),
    st.text(max_size=8),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(value_text),
    st.recursive(
        st.sampled_from([1, 0.5, "a", True, "1j", float("nan"), -3, 2**63]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "kind", "name", ""]), inner),
        max_leaves=5,
    ).map(value_text),
)
"""Text of values that nobody should write."""


@cache  # making a strategy takes longer than drawing from it
def fitting(annotation: Any) -> st.SearchStrategy[str]:
    """Text of a value of the kind that ``annotation`` asks for."""
    return _PLAIN_TEXT[annotation] if annotation in _PLAIN_TEXT else _composed(annotation)


@st.composite
def _composed(draw, annotation: Any) -> str:
    parts = get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return draw(fitting(draw(st.sampled_from([part for part in parts if part is not NoneType]))))
    if is_dataclass(annotation):
        fields = _annotations(annotation, 0)
        chosen = draw(st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True))
        return "{" + ", ".join(f"{key} = {draw(fitting(fields[key]))}" for key in chosen) + "}"
    if get_origin(annotation) is tuple and Ellipsis not in parts:
        return "[" + ", ".join(draw(fitting(part)) for part in parts) + "]"
    several = draw(st.integers(0, 3))
    return "[" + ", ".join(draw(fitting(parts[0])) for _ in range(several)) + "]"


_PATHS = st.sampled_from(PATHS).map(value_text)
_one_of = cache(st.sampled_from)


@cache
def _some_of(words: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(words), max_size=3)


# ---- scenario files


@st.composite
def _table(draw, header: str, registry: Any, given: int, oddness: int, *, kinds: tuple[str, ...] = ()) -> str:
    """One table of a registry's kinds; of ``oddness`` in a hundred values nothing good can be said."""

    def odd() -> bool:
        return draw(_PERCENT) < oddness

    kind = draw(_one_of(kinds or tuple(sorted(registry))))
    allowed = _annotations(registry[kind], given)
    needed = [
        name
        for name, parameter in list(inspect.signature(registry[kind]).parameters.items())[given:]
        if parameter.default is inspect.Parameter.empty
    ]
    keys = [key for key in needed if not odd()]
    if allowed:
        keys += [key for key in draw(_some_of(tuple(sorted(allowed)))) if key not in keys]
    lines = [header, f'kind = "{kind}"' if not odd() else f"kind = {draw(_ODD)}"]
    for key in keys:
        sound = _PATHS if key == "path" else fitting(allowed[key])
        lines.append(f"{key} = {draw(_ODD) if odd() else draw(sound)}")
    if odd():
        key = draw(st.sampled_from(["x", "copys", "name", "kind", "", "a.b", '""', "seed", "'a\\nb'"]))
        lines.append(f"{key} = {draw(_ODD)}")
    return "\n".join(lines)


@st.composite
def scenarios(draw) -> str:
    """Text of a scenario file made from the registries."""
    oddness = draw(_one_of((0, 0, 0, 4, 15, 50)))

    def often(share: int) -> bool:
        return draw(_PERCENT) < share

    theories = ("CopyDynamics", "CopyDynamics", "Schrodinger")
    blocks = [draw(_table("[system]", SYSTEMS, 0, oddness))]
    if often(80):
        kinds = ("random",) if often(60) else ()
        blocks.append(draw(_table("[preparation]", PREPARATIONS, 1, oddness, kinds=kinds)))
    if often(15):
        blocks.append(draw(_table("[basis]", BASES, 1, oddness)))
    schedule = "[schedule]\nstop = 0.5\npoints = 3"
    if often(oddness):
        words = [draw(st.sampled_from(["stop", "points", "times", "start", "x"])) for _ in range(2)]
        schedule = "[schedule]\n" + "\n".join(f"{word} = {draw(_ODD)}" for word in words)
    blocks.append(schedule)
    if often(25):
        several = draw(st.integers(1, 3))
        blocks += [draw(_table("[[theory]]", THEORIES, 0, oddness, kinds=theories)) for _ in range(several)]
    else:
        blocks.append(draw(_table("[theory]", THEORIES, 0, oddness, kinds=theories)))
    run = "[run]\nreplicas = 2\nseed = 1"
    blocks.append(run if not often(oddness) else f"[run]\nreplicas = {draw(_ODD)}\nseed = {draw(_ODD)}")
    if often(30):
        blocks.append(draw(_table("[claim]", CLAIMS, 0, oddness)))
    if often(oddness // 4):
        blocks.append(
            draw(st.sampled_from(["[x]", "system = 1", "[[sweep]]", "title = 3", "theory = []", "[a.b]\nc = 1"]))
        )
    if often(oddness // 4):
        blocks = draw(st.permutations(blocks))
    return "\n".join(blocks) + "\n"


SHIPPED = tuple(find(name).read_bytes() for name in shipped())

BITS = (
    *(b"", b"=", b"[", b"]", b'"', b"'", b"\n", b".", b"-", b"#", b"\\", b"\xff", b"\x00", b"\r", b"{", b"}", b","),
    *(b"[sweep]\n", b"[[theory]]\n", b"[a.b]\n", b'"""', b"'''", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\n\n"),
    *(text.encode() for text in SPLINTERS),
)


@st.composite
def mutants(draw, sources: tuple[bytes, ...] = SHIPPED) -> bytes:
    """A scenario file with lines dropped, doubled or swapped, bytes flipped, cut off, or overwritten."""
    text = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split(b"\n")
        here = draw(st.integers(0, len(lines) - 1))
        what = draw(st.integers(0, 6))
        if what == 0:
            text = b"\n".join(lines[:here] + lines[here + 1 :])
        elif what == 1:
            text = b"\n".join(lines[: here + 1] + lines[here:])
        elif what == 2:
            there = draw(st.integers(0, len(lines) - 1))
            lines[here], lines[there] = lines[there], lines[here]
            text = b"\n".join(lines)
        elif what == 3 and text:
            altered = bytearray(text)
            altered[draw(st.integers(0, len(text) - 1))] ^= 1 << draw(st.integers(0, 7))
            text = bytes(altered)
        elif what == 4:
            text = text[: draw(st.integers(0, len(text)))]
        else:
            place, gap = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
            text = text[:place] + draw(st.sampled_from(BITS)) + text[place + gap :]
    return text


RAW = st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
RAW |= st.lists(st.sampled_from(BITS), max_size=12).map(b"".join)

# ---- axes


SWEPT = (
    *("theory.copies", "theory.floor", "theory.engine", "theory.kind", "theory.name", "theory.rule", "theory.follow"),
    *("system.detuning", "system.coupling", "system.kind", "system.hbar", "schedule.stop", "schedule.points"),
    *("preparation.amplitudes", "preparation.kind", "preparation", "system", "theory", "theory.rule.q", "basis.kind"),
    *("theory.0.copies", "theory.7.copies", "theory.b.copies", "run.seed", "run.replicas", "run", "sweep.replicas"),
    *("sweep.order", "sweep.grid", "claim.kind", "title", "x", "a.b.c", "", ".", "theory.", "theory..copies", "a b.c"),
    *('"theory".copies', "théorie.copies", "theory.copies.x", "a\nb.c", "a\0.b", "a" * 3000, ".".join("a" * 1500)),
)

_NUMBER = st.sampled_from(
    ["1", "2", "5", "10", "1e3", "0.5", "-1", "0", "1e999", "nan", "1e308", "-1e308", "0.1", "3.0"]
)
_NUMBER |= st.integers(-(2**70), 2**70).map(str) | st.floats().map(repr) | st.sampled_from(SPLINTERS)


@st.composite
def _expressions(draw, depth: int = 0) -> str:
    what = draw(st.integers(0, 9))
    if what < 3:
        return ",".join(draw(st.lists(st.sampled_from(["10", "20", "30", "1e3", "0.5", "1", "2"]), max_size=4)))
    if what < 5:
        name = draw(st.sampled_from(["linspace", "geomspace", "range", "round", "lin", "linspac", "", "eval", "exec"]))
        inner = [draw(_NUMBER) for _ in range(draw(st.integers(0, 4)))]
        if depth < 3 and draw(st.booleans()):
            inner.insert(0, draw(_expressions(depth + 1)))
        return f"{name}({','.join(inner)})"
    if what == 5:
        sound = ["linspace(10,20,3)", "geomspace(1,100,3)", "range(1,4)", "round(geomspace(1,9,3))", "range(9,1,-4)"]
        return draw(st.sampled_from(sound))
    if what == 6:
        return draw(st.sampled_from(["(", "[", "round(", "linspace(", "'", '"', "{a=", ")", "]"])) * draw(
            st.sampled_from([1, 2, 50, 3000])
        ) + draw(st.sampled_from(["", "1", "1,2", ")" * 50]))
    if what == 7:
        return ",".join(draw(st.lists(st.sampled_from(SPLINTERS), min_size=1, max_size=3)))
    if what == 8:
        return ",".join(draw(st.lists(_ODD, max_size=3)))
    return draw(st.text(max_size=20))


SOBER = (
    *(
        "theory.copies=10,20,30",
        "theory.copies=round(geomspace(10,1000,3))",
        "theory.floor=range(0,3)",
        "theory.copies=50",
    ),
    *(
        "system.detuning=linspace(0,2,5)",
        "system.coupling=[0.3,0.4],[0.1,0.2]",
        "system.hbar=1,2",
        "schedule.stop=1,2,3",
    ),
    *(
        "theory.copies=10,20; theory.floor=1,2",
        "preparation.amplitudes=[1,0],[0,1]",
        "system.kind='two-level','ramsey'",
    ),
    *("system={kind='two-level'},{kind='ring',sites=2}", "schedule.points=range(2,6)", "basis.kind=position,momentum"),
    *("theory.a.copies=10,20", "theory.0.floor=0,1", "theory.engine=exact,leap", "theory.kind=CopyDynamics,"),
)


@st.composite
def axes(draw) -> str:
    """One argument of ``python -m copydyn sweep``: sound, odd, mutated or anything at all; no NUL ends up in it."""
    what = draw(st.integers(0, 9))
    if what == 0:
        text = draw(st.text(st.characters(), max_size=40))
    elif what == 1:
        content = draw(st.binary(max_size=40))
        text = content.decode("utf-8", "surrogateescape")
    elif what < 6:
        text = draw(st.sampled_from(SOBER))
        if what == 2:
            place, gap = draw(st.integers(0, len(text))), draw(st.integers(0, 3))
            text = text[:place] + draw(st.sampled_from(SPLINTERS)) + text[place + gap :]
    else:
        several = draw(st.sampled_from([1, 1, 1, 2, 3]))
        text = "; ".join(f"{draw(st.sampled_from(SWEPT))}={draw(_expressions())}" for _ in range(several))
        if what == 6:
            place, gap = draw(st.integers(0, len(text))), draw(st.integers(0, 3))
            text = text[:place] + draw(st.sampled_from("=;,.()[]{}'\"\0\n\\ \udcff")) + text[place + gap :]
    return text


SOUND = """\
[system]
kind = "two-level"
[preparation]
amplitudes = [0.8, "0.6j"]
[schedule]
stop = 0.5
points = 3
"""
ONE = SOUND + "[theory]\ncopies = 20\n[run]\nreplicas = 2\nseed = 1\n"
TWO = (
    SOUND + '[[theory]]\nname = "a"\ncopies = 20\n[[theory]]\nname = "b"\ncopies = 30\n[run]\nreplicas = 2\nseed = 1\n'
)

_OPTIONS = (
    "replicas",
    "target_error",
    "target",
    "max_replicas",
    "timeout",
    "batch",
    "scenario",
    "order",
    "grid",
    "zip",
    "x",
)


@st.composite
def sweep_tables(draw) -> str:
    """A sound scenario with a [sweep] table of any kind."""
    blocks = [draw(st.sampled_from([ONE, TWO]))]
    odd = draw(st.sampled_from([0, 10, 40]))
    if draw(_PERCENT) < odd // 4:
        top = draw(st.sampled_from(["sweep = ", "[[sweep]]\ngrid = ", "sweep.grid = ", "sweep.zip = "])) + draw(_ODD)
        return f"{top}\n{blocks[0]}" if not top.startswith("[[") else f"{blocks[0]}\n{top}"

    def value(sound: str) -> str:
        return draw(_ODD) if draw(_PERCENT) < odd else sound

    lines = ["[sweep]"]
    if draw(st.booleans()):
        sober = {
            "replicas": "3",
            "target_error": "0.1",
            "target": '"infidelity"',
            "max_replicas": "9",
            "timeout": "9",
            "batch": "2",
        }
        keys = draw(st.lists(st.sampled_from(_OPTIONS), max_size=3, unique=True))
        lines += [f"{key} = {value(sober.get(key, '[]'))}" for key in keys]
    blocks.append("\n".join(lines))
    if draw(st.booleans()):
        keys = draw(st.lists(st.sampled_from(SWEPT[:16] if odd < 20 else SWEPT), max_size=2, unique=True))
        blocks.append("[sweep.grid]\n" + "\n".join(f"{_toml_key(draw, key)} = {value(_values(draw))}" for key in keys))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        keys = draw(st.lists(st.sampled_from(SWEPT[:16] if odd < 20 else SWEPT), max_size=2, unique=True))
        blocks.append("[[sweep.zip]]\n" + "\n".join(f"{_toml_key(draw, key)} = {value('[10, 20]')}" for key in keys))
    return "\n".join(blocks) + "\n"


def _toml_key(draw, key: str) -> str:
    plain = re.fullmatch(r"[\w-]+(\.[\w-]+)*", key, re.ASCII) and draw(st.booleans())
    return key if plain else value_text(key).replace("\n", "\\n")


def _values(draw) -> str:
    return draw(
        st.sampled_from(
            ["[10, 20]", '"linspace(10,20,3)"', "[1, 2, 3]", '"range(1,4)"', "[0.5]", '"10,20"', "['a', 'b']"]
        )
    )


def examined(asked) -> None:
    """Go on with an accepted sweep as far as it costs nothing: cut it, name its runs, write it, and read it again."""
    recipe = asked.recipe
    strands = [
        recipe.strand(theory, place)
        for theory in range(len(recipe.theories))
        for place in (0, recipe.strands_of_theory(theory) - 1)
    ]
    names = [recipe.key(strand, strand.first, strand.replicas) for strand in strands]
    next(recipe.blocks())
    if recipe.points > 10_000:
        return
    Path("again.toml").write_bytes(sealed(recipe.written()))
    again = recipe_in(Path("again.toml"))
    same = names == [again.key(strand, strand.first, strand.replicas) for strand in strands]
    if not same or again.written() != recipe.written():  # workers have the one or the other
        raise Flaw("a sweep that was written is another one when it is read")


def furnish(folder: Path) -> None:
    """Put into the working directory what the paths in the inputs name."""
    np.save(folder / "h.npy", np.array([[0.0, 1.0], [1.0, 0.0]]))
    (folder / "link.npy").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
