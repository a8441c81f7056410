"""What a sweep is asked for: every way to write an axis, every refusal, who wins, and what a run is called."""

import math
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copydyn.scenario.source import BadScenario, Override
from copydyn.sweeps import asked as asking
from copydyn.sweeps.asked import asked, recipe_in
from copydyn.sweeps.axes import LONGEST_EXPRESSION, Axis, parse_axis, parse_values, zipped
from copydyn.sweeps.recipe import Recipe, pieces, share
from copydyn.sweeps.store import sealed
from tests.wild import ONE, TWO


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a scenario into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str = ONE) -> str:
        (tmp_path / "mine.toml").write_text(text)
        return "mine.toml"

    return write


# ---- expressions


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("1,2,3", [1, 2, 3]),
        (" 1e3 , 1e4,", [1e3, 1e4]),
        ("1e3,", [1e3]),
        ("0.5,true,'a','b,c'", [0.5, True, "a", "b,c"]),
        ("exact,leap", ["exact", "leap"]),
        ("[0.3,0.4],[1,0]", [[0.3, 0.4], [1, 0]]),
        ("{a=1,b=2},{a=3}", [{"a": 1, "b": 2}, {"a": 3}]),
        ("linspace(0,2,5)", [0, 0.5, 1, 1.5, 2]),
        ("linspace( 3 , 3 , 1 )", [3]),
        ("linspace(0,0.3,4)", [0, 0.1, 0.2, 0.3]),
        ("linspace(2,-2,3)", [2, 0, -2]),
        ("geomspace(1,1e4,5)", [1, 10, 100, 1000, 10000]),
        ("geomspace(-1,-100,3)", [-1, -10, -100]),
        ("range(4)", [0, 1, 2, 3]),
        ("range(2,5)", [2, 3, 4]),
        ("range(9,1,-4)", [9, 5]),
        ("range(0,0.3,0.1)", [0, 0.1, 0.2]),
        ("range(0,1,0.25)", [0, 0.25, 0.5, 0.75]),
        ("round(geomspace(10,1000,4))", [10, 46, 215, 1000]),
        ("round(0.4,0.6,1.4)", [0, 1]),
        ("round(linspace(0,1,5))", [0, 1]),
    ],
)
def test_every_form_of_an_axis(expression, values):
    assert parse_values(expression, "here") == values
    if len(values) == len(set(map(repr, values))):
        assert parse_axis(f"theory.x = {expression}") == Axis(
            ("theory.x",), tuple((value,) for value in values), f"theory.x = {expression}"
        )


@pytest.mark.parametrize("text", ["a.b=1", "a.b=exact", "a.b=[1,2]", "a.b='1,2'", "a.b=", "a.b={x=1,y=2}", "a.b=1-2"])
def test_one_value_without_a_comma_is_no_axis(text):
    assert parse_axis(text) is None


def test_computed_values_have_twelve_digits_and_are_found_when_typed():
    assert parse_values("linspace(0,1,11)", "")[3] == 0.3
    assert np.linspace(0, 1, 11)[3] != 0.3
    assert parse_values("geomspace(1,2,3)", "")[1] == float(f"{math.sqrt(2):.12g}")


def test_keys_that_change_together_are_one_axis():
    axis = parse_axis("theory.copies=10,20; theory.floor=range(1,3)")
    assert axis.keys == ("theory.copies", "theory.floor")
    assert axis.values == ((10, 1), (20, 2))
    assert len(axis) == 2
    alone = parse_axis("theory.copies=10; theory.floor=1")  # one value each: an axis of one place all the same
    assert alone.values == ((10, 1),)


def test_blanks_around_a_key_do_not_count():
    assert parse_axis(" theory . copies =1,2").keys == ("theory.copies",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("theory.copies", "an axis must have the form table.key=values"),
        ("=1,2", "an axis must have the form"),
        ("theory..copies=1,2", "an axis must have the form"),
        ("a.b=1,2;", "an axis must have the form"),
        ("a.b=1,2;a.b=3,4", "'a.b' must stand once in an axis, but stands twice"),
        ("a.b=1,2;a.c=1,2,3", "must have equally many values, but 'a.b' has 2, 'a.c' has 3"),
        ("a.b=1,,2", "values must stand between commas, but one is missing"),
        ("a.b=,", "values must stand between commas"),
        ("a.b=1,2,1", "the values of 'a.b' must differ, but 1 stands twice"),
        ("a.b=1,1.0", "the values of 'a.b' must differ, but 1 stands twice"),
        ("a.b=[1],[1.0]", r"must differ, but \[1\] stands twice"),
        ("a.b=nan,1", "'a.b' must be given values, but one is nan"),
        ("a.b=[nan],1", "'a.b' must be given values, but one is nan"),
        (f"a.b=0x{'f' * 20_000},1", r"whole numbers below 2\^63, but one is 0xfff"),
        ("run.replicas=1,2", "'run.replicas' must be the same for all points; give --replicas"),
        ("run.seed=1,2", "'run.seed' must be the same for all points; points have random numbers of their own"),
        ("title=a,b", "'title' must be a key that changes what is computed"),
        ("claim.kind=a,b", "'claim.kind' must be a key that changes what is computed"),
        ("sweep.replicas=1,2", "'sweep.replicas' must be a key that changes"),
        ("theory={copies=1},{copies=2}", "'theory' must be swept key by key"),
        (f"{'a.' * 80}b=1,2", "a key must have at most 200 printable characters and 64 steps"),
        (f"{'a' * 300}=1,2", "a key must have at most 200 printable characters"),
        ("a\nb.c=1,2", r"a key must have .* but 'a\\nb.c' has others"),
        ("a.b=linspac(1,2,3)", "'linspac' is no function of axes; did you mean 'linspace'"),
        (f"a.b={'f' * 20_000}(1)", r"'f{40}\.\.\.' is no function of axes"),
        ("a.b=eval(1)", "'eval' is no function of axes; there are linspace, geomspace, range, round. Text is put in"),
        (
            "a.b=linspace(1,2)",
            r"linspace must be given start, stop and how many, such as linspace\(1,2,5\), but is given 2",
        ),
        ("a.b=linspace(1,2,0)", "linspace must be asked for 1 to 1000000 values, but is for 0"),
        ("a.b=linspace(1,2,2.5)", "linspace must be asked for 1 to 1000000 values, but is for 2.5"),
        ("a.b=linspace(1,2,1e9)", r"1 to 1000000 values, but is for 1e\+09"),
        ("a.b=linspace(1,x,3)", 'linspace must be given finite numbers, but is given "x"'),
        ("a.b=linspace(1,inf,3)", "linspace must be given finite numbers, but is given inf"),
        ("a.b=linspace(1,true,3)", "linspace must be given finite numbers, but is given true"),
        (f"a.b=linspace(1,0x{'f' * 400},3)", "linspace must be given finite numbers, but is given 0xfff"),
        ("a.b=linspace(1e308,-1e308,3)", "must be finite, but its ends are too far apart"),
        ("a.b=geomspace(0,1,3)", "geomspace must go from one number to another of the same sign and not zero"),
        ("a.b=geomspace(-1,1,3)", "goes from -1 to 1; linspace can"),
        ("a.b=range()", "range must be given finite numbers, but is given"),
        ("a.b=range(1,2,3,4)", "range must be given stop, start and stop, or start, stop and step"),
        ("a.b=range(1,2,0)", "the step of range must not be zero"),
        ("a.b=range(0)", "range must give 1 to 1000000 values, but gives 0; stop is left out"),
        ("a.b=range(5,1)", "but gives 0"),
        ("a.b=range(1e7)", "but gives 10000000"),
        ("a.b=range(0,1,1e-320)", "range must give 1 to 1000000 values"),
        ("a.b=round(round(1,2))", "round must be given values or a function of axes, but is given round again"),
        ("a.b=round('x')", 'round must be given finite numbers, but is given "x"'),
        (f"a.b={'1,' * LONGEST_EXPRESSION}", f"an axis must have at most {LONGEST_EXPRESSION} characters"),
    ],
)
def test_every_refusal_of_an_axis_begins_with_it(refuses, text, names):
    sentence = refuses(lambda: parse_axis(text), ValueError, names)
    assert sentence.startswith(text[:40].replace("\n", "\\n"))
    assert len(sentence) < 600


def test_an_axis_has_not_more_values_than_a_typing_error(refuses):
    refuses(
        lambda: zipped({"a.b": range(1_000_001)}, "here"), ValueError, "here: 'a.b' must have at most 1000000 values"
    )
    refuses(lambda: zipped({"a.b": []}, "here"), ValueError, "here: 'a.b' must have at least one value, but has none")


@pytest.mark.parametrize(
    "expression", ["__import__('os').system('touch hacked')", "open('hacked','w')", "(lambda: 1)()", "[x for x in y]"]
)
def test_a_program_is_text_or_refused_and_never_run(file, tmp_path, expression):
    name = file(ONE + f'[sweep.grid]\ntheory.floor = "{expression},1"\n')
    for texts in ([f"theory.copies={expression}"], [f"theory.copies={expression},1"], [f"{expression}=1,2"], []):
        with pytest.raises(BadScenario):
            asked(name, texts)
    assert not (tmp_path / "hacked").exists()


# ---- files, options, and who wins


def axes_in(recipe: Recipe) -> dict[tuple[str, ...], list]:
    return {axis.keys: [row[0] if len(row) == 1 else row for row in axis.values] for axis in recipe.axes}


GRID = """\
[sweep]
replicas = 7
timeout = 3
[sweep.grid]
theory.copies = [10, 20]
"system.detuning" = "linspace(0, 1, 3)"
[[sweep.zip]]
theory.floor = [0, 1]
schedule.stop = "1,2"
"""


def test_a_file_may_have_axes_and_options(file):
    found = asked(file(ONE + GRID))
    assert axes_in(found.recipe) == {
        ("theory.copies",): [10, 20],
        ("system.detuning",): [0, 0.5, 1],
        ("theory.floor", "schedule.stop"): [(0, 1), (1, 2)],
    }
    assert (found.recipe.replicas, found.recipe.seed, found.timeout, found.recipe.target) == (7, 1, 3, None)
    assert found.recipe.points == 12
    assert "sweep" not in found.recipe.tables


def test_the_command_line_wins_over_the_file(file):
    options = [Override("--replicas 9", "sweep.replicas", 9), Override("--seed 5", "run.seed", 5)]
    found = asked(file(ONE + GRID), ["theory.copies=50", "system.detuning=7,8"], options=options).recipe
    assert axes_in(found) == {("theory.floor", "schedule.stop"): [(0, 1), (1, 2)], ("system.detuning",): [7, 8]}
    assert found.tables["theory"]["copies"] == 50
    assert (found.replicas, found.seed) == (9, 5)
    # an axis of one key takes the place of the whole bundle that the key is in
    assert ("theory.floor",) in axes_in(asked("mine.toml", ["theory.floor=3,4"]).recipe)
    assert ("theory.floor", "schedule.stop") not in axes_in(asked("mine.toml", ["theory.floor=3,4"]).recipe)


def test_axes_keep_the_order_in_which_they_are_asked_for(file):
    texts = ["system.detuning=1,2", "theory.copies=10,20", "schedule.stop=1,2"]
    assert [axis.keys[0] for axis in asked(file(), texts).recipe.axes] == [text.split("=")[0] for text in texts]
    assert asked(file(), texts[::-1]).recipe.shape == (2, 2, 2)
    ordered = GRID.replace("[sweep]", '[sweep]\norder = ["theory.floor", "system.detuning"]')
    keys = [axis.keys[0] for axis in asked(file(ONE + ordered)).recipe.axes]
    assert keys == ["theory.floor", "system.detuning", "theory.copies"]


def test_the_seed_is_that_of_the_file_the_store_or_a_fresh_one(file):
    seedless = ONE.replace("seed = 1\n", "")
    assert asked(file(ONE), seed=3).recipe.seed == 1
    assert asked(file(seedless), seed=3).recipe.seed == 3
    fresh = {asked(file(seedless)).recipe.seed for _ in range(3)}
    assert len(fresh) == 3


def test_replicas_and_targets(file):
    assert asked(file(ONE)).recipe.replicas == 2
    target = asked(file(ONE + "[sweep]\ntarget_error = 0.1\n")).recipe.target
    assert (target.error, target.most, target.of) == (0.1, 200, "probability")
    more = '[sweep]\ntarget_error = 0.1\nreplicas = 5\nmax_replicas = 50\ntarget = "infidelity"\n'
    recipe = asked(file(ONE + more)).recipe
    assert (recipe.target.most, recipe.target.of, recipe.replicas, recipe.runs_a_point) == (50, "infidelity", 5, 1)
    many = asked(file(ONE + "[sweep]\nreplicas = 2500\n")).recipe
    assert many.runs_a_point == 3
    assert [tuple(many.strand(0, number)[2:]) for number in range(3)] == [(0, 1024), (1024, 1024), (2048, 452)]


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("[sweep]\nreplicas = 0", r":14: \[sweep\] replicas must be >= 1"),
        ("[sweep]\nreplicas = 'x'", r":14: \[sweep\] replicas must be a whole number"),
        (
            "[sweep]\nreplicas = 1e18",
            r":14: \[sweep\] replicas must be fewer, but 1 x 10{18} of them make",
        ),
        ("[sweep]\nbatch = 0", r":14: \[sweep\] batch must be >= 1"),
        ("[sweep]\nbatch = 2000", r":14: \[sweep\] batch must be at most 1024"),
        ("[sweep]\ntimeout = -1", r":14: \[sweep\] timeout must be > 0"),
        ("[sweep]\ntimeout = nan", r":14: \[sweep\] timeout must be finite"),
        ("[sweep]\ntarget = 'x'", r":14: \[sweep\] target must be one of probability"),
        ("[sweep]\ntarget_error = 0", r":14: \[sweep\] target_error must be > 0"),
        ("[sweep]\nmax_replicas = 5", r":14: \[sweep\] max_replicas is about a target_error"),
        ("[sweep]\nmax_replicas = 1\ntarget_error=1", r":14: \[sweep\] max_replicas must be at least the 2 replicas"),
        ("[sweep]\norder = 3", r":14: \[sweep\] order must be a list of strings"),
        (
            "[sweep]\norder = ['theory.floor']",
            r":14: \[sweep\] order must name keys that are swept, but names .theory\.floor",
        ),
        ("[sweep]\nx = 3", r":14: \[sweep\] 'x' is no key of"),
        ("[sweep]\ngrid = 3", r":14: \[sweep\] grid must be a table, but is 3"),
        ("[sweep]\nzip = [3]", r":14: \[sweep\] zip must be tables"),
        ("[[sweep.zip]]", r":13: \[\[sweep.zip\]\] must have keys that change together, but is empty"),
        (
            "[[sweep.zip]]\ntheory.copies = [1]\ntheory.floor = [1,2]",
            ":14: keys that change together must have equally",
        ),
        ("[sweep.grid]\ntheory.copies = 3", r":14: \[sweep\] theory.copies must be a list or an expression in quotes"),
        ("[sweep.grid]\ntheory.copies = []", ":14: 'theory.copies' must have at least one value"),
        ("[sweep.grid]\ntheory.copies = [1, 'x']", r':14: theory.copies="x": \[theory\] copies must be a whole number'),
        (
            "[sweep.grid]\ntheory.copies = 'linspac(1,2,3)'",
            r":14: \[sweep\] theory.copies: 'linspac' is no function of axes",
        ),
        ("[sweep.grid]\ntheory.copies = ','", r":14: \[sweep\] theory.copies: values must stand between commas"),
        ('[sweep.grid]\n"" = [1, 2]', ":14: a key must have the form table.key, but is ''"),
        ('[[sweep.zip]]\n"theory." = [1, 2]', ":14: a key must have the form table.key, but is 'theory.'"),
        ('[sweep.grid]\n"theory.copies" = []', ":14: 'theory.copies' must have at least one value"),
        ("[sweep.grid]\ntheory.name = ['a', 'b']", ":14: 'theory.name' must be a key that changes what is computed"),
        ("[sweep.grid]\nrun.seed = [1, 2]", ":14: 'run.seed' must be the same for all points"),
        ('[sweep.grid]\n"a\\nb" = [1, 2]', ":14: a key must have at most"),
        ("[sweep.grid]\nsystem = [1, 2]", r":14: system=1: \[system\] must be a table"),
        ("[[sweep]]\ngrid = 1", r":13: \[sweep\] must be a table"),
    ],
)
def test_every_fault_of_a_sweep_has_its_line(refuses, file, table, names):
    name = file(ONE + table + "\n")
    sentence = refuses(lambda: asked(name), ValueError, names)
    assert sentence.startswith("mine.toml:1")


def test_two_axes_may_not_be_about_the_same_key(refuses, file):
    for other in ("system.detuning=3,4", "system={kind='two-level',detuning=1},{kind='two-level'}"):
        refuses(
            lambda other=other: asked(file(), ["system.detuning=1,2", other]),
            ValueError,
            "'system.*' must be swept by one axis, but 'system.detuning' is another's",
        )


def test_an_axis_that_another_one_writes_over_is_refused(refuses, file):
    refuses(
        lambda: asked(file(TWO), ["theory.0.copies=1,2", "theory.copies=3,4"]),
        ValueError,
        "theory.0.copies=1,2: 'theory.0.copies' must be a key that changes what is computed",
    )


def test_too_many_points_are_refused(refuses, file):
    texts = ["theory.copies=range(1,100001)", "schedule.stop=range(1,100001)"]
    refuses(
        lambda: asked(file(), texts), ValueError, "at most 100000000 points, but .* 100000 theory.copies x 100000 sch"
    )


def test_every_value_of_a_short_axis_is_tried_and_a_slow_one_is_left_to_the_sweep(file, monkeypatch):
    with pytest.raises(BadScenario, match=r"theory\.copies=0: \[theory\] copies must be >= 1"):
        asked(file(), ["theory.copies=9,8,7,0"])
    monkeypatch.setattr(asking, "TRYING", -1.0)
    assert asked(file(), ["theory.copies=9,8,7,0"]).recipe.points == 4


def test_all_faults_are_said_at_once(file):
    with pytest.raises(BadScenario) as caught:
        asked(file(ONE + "[sweep]\nbatch = 0\n"), ["theory.copies=linspac(1,2,3)", "x"])
    assert len(caught.value.faults) == 3


# ---- what a run is called


def keys_of(recipe: Recipe) -> list[list[str]]:
    """Keys of all strands, by theory."""
    return [
        [
            recipe.key(strand, strand.first, strand.replicas)
            for strand in (recipe.strand(theory, number) for number in range(recipe.strands_of_theory(theory)))
        ]
        for theory in range(len(recipe.theories))
    ]


def key(file, *texts: str, text: str = ONE, **options) -> str:
    overrides = [Override(f"--{name}", f"sweep.{name}", value) for name, value in options.items()]
    ((one,),) = keys_of(asked(file(text), texts, options=overrides).recipe)
    return one


def test_the_same_point_has_the_same_name_whichever_way_it_is_reached(file):
    one = key(file, "theory.copies=1e3", "system.detuning=0.3")
    assert key(file, "theory.copies=1000", "system.detuning=0.3") == one
    assert key(file, "theory.copies=1000.0,", "system.detuning=0.3,") == one
    assert key(file, "theory.copies=1e3,; system.detuning=0.3,") == one
    assert key(file, "theory.copies=1000", text=ONE.replace('"two-level"', '"two-level"\ndetuning = 0.3')) == one
    assert key(file, "theory.copies=1000", "system.detuning=0.3", "title=another", "theory.name=x") == one
    axis = asked(file(), ["system.detuning=linspace(0,1,11)", "theory.copies=1000,"]).recipe
    assert keys_of(axis)[0][3] == one
    grid = asked(file(ONE + "[sweep.grid]\ntheory.copies=[5, 1e3]\nsystem.detuning=[0.3]\n")).recipe
    assert keys_of(grid)[0][1] == one
    both = asked(file(TWO), ["theory.copies=1000", "system.detuning=0.3"]).recipe
    assert keys_of(both) == [[one], [one]]  # the name of a theory does not change what it does


def test_whatever_decides_the_bytes_changes_the_name(file, tmp_path):
    names = [
        key(file),
        key(file, "run.seed=2"),
        key(file, "run.replicas=3"),
        key(file, "theory.copies=21"),
        key(file, "theory.floor=1"),
        key(file, "theory={kind='Schrodinger'}"),
        key(file, "system.detuning=0.1"),
        key(file, "basis.kind=momentum"),
        key(file, "schedule.points=4"),
        key(file, "preparation.amplitudes=[1,0]"),
    ]
    assert len(set(names)) == len(names)
    np.save(tmp_path / "h.npy", np.array([[0.0, 1.0], [1.0, 0.0]]))
    one = key(file, "system={kind='file',path='h.npy'}")
    swept = "system={kind='file',path='h.npy'},"
    recipe = asked(file(), [swept]).recipe
    assert keys_of(recipe) == [[one]]
    np.save(tmp_path / "h.npy", np.array([[0.0, 2.0], [2.0, 0.0]]))
    assert key(file, "system={kind='file',path='h.npy'}") != one
    assert keys_of(recipe) == [[one]]  # as the file was when it was asked for
    assert keys_of(asked(file(), [swept]).recipe) != [[one]]


def test_runs_of_one_point_have_names_of_their_own(file):
    recipe = asked(file(ONE + "[sweep]\nreplicas = 2500\n")).recipe
    assert len(set(keys_of(recipe)[0])) == 3


def test_an_axis_of_one_theory_costs_the_others_nothing(file):
    recipe = asked(file(TWO), ["theory.a.floor=0,1,2", "system.detuning=0,1"]).recipe
    assert recipe.points == 6
    assert [recipe.shape_of(theory) for theory in (0, 1)] == [(3, 2), (1, 2)]
    assert list(map(len, keys_of(recipe))) == [6, 2]
    assert recipe.strands == 8
    assert recipe.values(recipe.strand(1, 1).point) == {"theory.a.floor": 0, "system.detuning": 1}


AXES = st.sampled_from(
    [
        [],
        ["theory.copies=range(1,8)"],
        ["theory.a.copies=range(1,8)", "system.detuning=range(5)"],
        ["theory.1.copies=range(1,4); theory.a.floor=range(3)", "schedule.stop=1,2"],
    ]
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(AXES, st.integers(1, 3000), st.none() | st.integers(1, 20), st.integers(1, 9))
def test_blocks_and_shards_cover_every_strand_once(tmp_path_factory, texts, replicas, batch, parts):
    path = tmp_path_factory.getbasetemp() / "two.toml"
    path.write_text(TWO)
    options = [Override("", "sweep.replicas", replicas)] + ([Override("", "sweep.batch", batch)] if batch else [])
    recipe = asked(str(path), texts, options=options).recipe
    shards = [list(recipe.units((part, parts))) for part in range(1, parts + 1)]
    units = [unit for shard in shards for unit in shard]
    assert sorted(units) == [
        (block, span)
        for block in recipe.blocks()
        for span in pieces((0, block.stop - block.start), share(recipe.strands, parts, recipe.block_size))
    ]
    assert sum(block.stop - block.start for block in recipe.blocks()) == sum(unit.size for unit in units)
    strands = [strand for unit in units for strand in recipe.strands_of(unit.block)[slice(*unit.span)]]
    assert len(strands) == len(set(strands)) == recipe.strands
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert all(1 <= len(recipe.strands_of(block)) <= recipe.block_size for block in recipe.blocks())
    for theory in (0, 1):
        own = [strand for strand in strands if strand.theory == theory]
        each = {strand.point: 0 for strand in own}
        for strand in own:
            each[strand.point] += strand.replicas
        assert set(each.values()) == {replicas}


@pytest.mark.parametrize("text", [ONE, TWO, ONE + GRID])
def test_a_sweep_that_is_written_is_read_back_as_the_same(file, tmp_path, text):
    texts = ["system.coupling=[0.3,0.4],[0.1,0.2]", "preparation={kind='random'},{kind='random',seed=3}"]
    options = [Override("", "sweep.target_error", 0.1), Override("", "sweep.batch", 3)]
    recipe = asked(file(text), texts, options=options).recipe
    written = recipe.written()
    tomllib.loads(written)
    (tmp_path / "again.toml").write_bytes(sealed(written))
    again = recipe_in(tmp_path / "again.toml")
    assert again.written() == written
    assert keys_of(again) == keys_of(recipe)
    assert (again.name, again.target, again.batch, again.shape) == ("mine", recipe.target, 3, recipe.shape)


def test_a_long_axis_is_read_back(file, tmp_path):
    recipe = asked(file(), ["system.detuning=linspace(0,1,150001)"]).recipe
    (tmp_path / "again.toml").write_bytes(sealed(recipe.written()))
    assert (tmp_path / "again.toml").stat().st_size > 2**20
    assert recipe_in(tmp_path / "again.toml").axes[0].values == recipe.axes[0].values
