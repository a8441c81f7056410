"""Pictures: they show what they should, with names and units, and nothing hides anything else."""

import subprocess
import sys

import numpy as np
import pytest
from exact import detuned, flux, triangle

import copydyn
from copydyn.laws import finite_copies
from copydyn.observables import mean_coherence
from copydyn.plots import plot, plot_theories
from copydyn.plots.axes import MOST_LINES, MOST_NAMES
from copydyn.systems import ring, square_lattice
from copydyn.theories import OQT, CopyDynamics, Schrodinger


def evolved(case, copies=1000, replicas=3, **theory):
    experiment = case.experiment
    result = CopyDynamics(copies, **theory).evolve(experiment, seed=1, replicas=replicas)
    reference = Schrodinger().evolve(experiment)
    law = finite_copies(experiment, experiment.ket)
    return result, reference, copydyn.compare(result, reference, law)


def names(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def boxes(figure):
    """Where each piece of text and each pair of axes is drawn."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found = [figure._suptitle.get_window_extent(renderer)]
    for axes in figure.axes:
        found += [axes.get_legend().get_window_extent(renderer), axes.patch.get_window_extent(renderer)]
        found += [axes.xaxis.label.get_window_extent(renderer), axes.yaxis.label.get_window_extent(renderer)]
    return found


def test_few_labels_are_lines_over_time():
    result, reference, comparison = evolved(triangle())
    left, right = plot(result, reference, comparison, title="a triangle").axes
    assert names(left) == ["0", "1", "2", "± s.d.", "Schrödinger"]
    assert left.get_xlabel() == "time (ħ/energy)"
    assert left.get_ylabel() == "frequency n/N by level"
    assert names(right) == ["law of finite N", "mean of 3 replicas", "± s.e."]
    assert right.get_ylabel() == "N × infidelity"
    np.testing.assert_array_equal(left.lines[1].get_ydata(), result["probability"][:, 1])
    np.testing.assert_array_equal(left.lines[4].get_ydata(), reference["probability"][:, 1])
    np.testing.assert_allclose(right.lines[1].get_ydata(), 1000 * comparison["infidelity"])


def test_many_labels_are_profiles_at_three_times():
    result, reference, comparison = evolved(_large_ring())
    left = plot(result, reference, comparison).axes[0]
    assert result.sizes["beable"] > MOST_LINES
    assert names(left) == ["t = 0", "t = 1", "t = 2", "± s.d.", "Schrödinger"]
    assert left.get_xlabel() == "site"


@pytest.mark.parametrize(
    ("names", "places", "axis"),
    [
        ([str(k) for k in range(-6, 6)], np.arange(-6, 6), "momentum"),
        ([f"{k:04b}" for k in range(12)], np.arange(12), "momentum"),
        ([str(11 - k) for k in range(12)], np.arange(12), "momentum"),
    ],
    ids=["numbers", "bits", "numbers in no order"],
)
def test_labels_stand_at_their_own_values_where_they_are_numbers(names, places, axis):
    reference = Schrodinger().evolve(_large_ring().experiment).assign_coords(beable=names)
    reference["beable"].attrs.update(units="1", long_name="momentum")
    (ax,) = plot(reference).axes
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), places)
    assert ax.get_xlabel() == axis
    if names[0] != "-6":
        assert [text.get_text() for text in ax.get_xticklabels()] == names
    np.testing.assert_array_equal(plot_theories({"a": reference}, reference).axes[0].lines[0].get_xdata(), places)


def on_a_square(columns=4, rows=3):
    """A plane wave along x."""
    ket = np.repeat(np.exp(1j * np.arange(columns)), rows)
    preparation = copydyn.Preparation(ket, normalise=True)
    return copydyn.Experiment(square_lattice(columns, rows), preparation, copydyn.Schedule(np.linspace(0, 1, 3)))


def test_a_square_lattice_is_a_map_beside_that_of_the_reference():
    experiment = on_a_square()
    result, reference = CopyDynamics(1000).evolve(experiment, seed=1, replicas=2), Schrodinger().evolve(experiment)
    found, expected, deviation, _ = plot(result, reference).axes
    for ax, dataset in ((found, result), (expected, reference)):
        shown = ax.images[0].get_array()
        assert shown.shape == (3, 4), "rows upwards, columns along x"
        np.testing.assert_allclose(shown[2, 1], float(dataset["probability"].sel(beable="(1,2)")[-1]))
        assert ax.images[0].origin == "lower"
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (column)", "y (row)")
    assert found.images[0].norm is expected.images[0].norm, "one scale of colours for both"
    assert found.get_title(loc="left") == "n/N at t = 1"
    assert deviation.get_ylabel() == r"total variation from $|\psi|^2$"
    early, _ = plot(result.isel(time=[1])).axes
    assert early.get_title(loc="left") == "n/N at t = 0.5"


def test_joint_labels_of_a_composite_are_no_map():
    parts = [("A", 4), ("B", 3)]
    experiment = copydyn.Experiment.of(np.eye(12), np.full(12, 12**-0.5), [0.0, 1.0], parts=parts)
    (ax,) = plot(Schrodinger().evolve(experiment)).axes
    assert not ax.images
    assert ax.get_xlabel() == "label"
    assert ax.get_xticklabels()[4].get_text() == "(1,1)"


def test_names_that_do_not_fit_below_an_axis_become_numbers():
    size = MOST_NAMES + 1
    for names in ([f"state {k}" for k in range(size)], [f"state of number {k}" for k in range(MOST_LINES + 1)]):
        ket = np.full(len(names), len(names) ** -0.5)
        experiment = copydyn.Experiment.of(np.eye(len(names)), ket, [0.0, 1.0], labels=names)
        (ax,) = plot(Schrodinger().evolve(experiment)).axes
        assert ax.get_xlabel() == "label, by number"


def scattered(case, **theory):
    return CopyDynamics(200, phase_spread=0.5, **theory).evolve(case.experiment, seed=1, replicas=3)


def test_phases_that_are_not_aligned_show_their_coherence():
    result, reference = scattered(triangle()), Schrodinger().evolve(triangle().experiment)
    for figure in (plot(result), plot(result, reference)):
        last = figure.axes[-1]
        assert last.get_ylabel() == "coherence |Z|/n"
        assert names(last) == ["0", "1", "2", "± s.d."]
        np.testing.assert_array_equal(last.lines[2].get_ydata(), result["coherence"][..., 2].mean("replica"))
    assert len(figure.axes) == 3


def test_an_empty_label_has_no_coherence_and_gives_no_warning():
    result = scattered(triangle())
    result["coherence"][:, 2:, 0] = np.nan
    result["coherence"][1:, 1:, 1] = np.nan
    line, rest = plot(result).axes[-1].lines[:2]
    assert np.isnan(line.get_ydata()[2:]).all()
    np.testing.assert_array_equal(rest.get_ydata()[1:], result["coherence"][0, 1:, 1])


def test_coherence_of_many_labels_is_that_of_all_copies():
    result = scattered(_large_ring())
    last = plot(result).axes[-1]
    assert names(last) == ["all copies", "± s.d."]
    np.testing.assert_array_equal(last.lines[0].get_ydata(), mean_coherence(result).mean("replica"))


def test_coherences_of_theories_share_a_panel_without_those_that_are_aligned():
    results = {"aligned": evolved(detuned())[0], "scattered": scattered(detuned())}
    left, _, last = plot_theories(results, Schrodinger().evolve(detuned().experiment)).axes
    (line,) = last.lines
    assert line.get_color() == left.lines[1].get_color()
    np.testing.assert_array_equal(line.get_ydata(), mean_coherence(results["scattered"]).mean("replica"))


def test_the_mean_coherence_is_one_over_all_copies(refuses):
    result = scattered(detuned())
    sums = result["counts"] * result["coherence"]  # |Z_a|
    np.testing.assert_allclose(mean_coherence(result), sums.sum("beable") / 200)
    empty = result.copy(deep=True)
    empty["frequency"][:] = [1.0, 0.0]
    empty["coherence"][..., 1] = np.nan
    np.testing.assert_array_equal(mean_coherence(empty), empty["coherence"][..., 0])
    refuses(lambda: mean_coherence(evolved(detuned())[0]), ValueError, "phase_spread or alignment")


def test_a_result_alone_is_one_panel():
    result = evolved(detuned(), replicas=1)[0]
    figure = copydyn.plot(result)
    assert len(figure.axes) == 1
    assert names(figure.axes[0]) == ["0", "1"]
    assert figure._suptitle.get_text() == "two-level"


def test_a_reference_is_compared_without_a_law_by_total_variation():
    result, reference, _ = evolved(detuned())
    right = plot(result, reference).axes[1]
    assert right.get_ylabel() == r"total variation from $|\psi|^2$"
    assert names(right) == ["mean of 3 replicas", "± s.e."]


def test_one_replica_is_called_so():
    assert "one replica" in names(plot(*evolved(detuned(), replicas=1)).axes[1])


def test_what_has_no_copies_is_no_replica():
    case = triangle()
    limit = CopyDynamics(1000, "meanfield").evolve(case.experiment)
    assert names(plot(limit, Schrodinger().evolve(case.experiment)).axes[1]) == ["without noise: below 1e-12"]


def test_the_reference_can_be_drawn_by_itself():
    figure = plot(evolved(detuned())[1])
    assert figure.axes[0].get_ylabel() == "probability by level"


def test_far_beyond_the_law_the_axis_is_logarithmic():
    result, reference, comparison = evolved(detuned(), copies=100_000, rule="printed")
    right = plot(result, reference, comparison).axes[1]
    assert right.get_yscale() == "log"
    lowest, highest = right.get_ylim()
    assert lowest < 1e5 * comparison["predicted_infidelity"].max() < 1e5 * comparison["infidelity"].max() < highest
    assert lowest > 1e-6


@pytest.mark.parametrize("case", [detuned, triangle, flux], ids=lambda case: case.__name__)
def test_nothing_overlaps(case):
    figure = plot(*evolved(case()), title="A title of some length, as scenarios have them")
    drawn = boxes(figure)
    canvas = figure.bbox
    for number, box in enumerate(drawn):
        assert canvas.x0 <= box.x0
        assert box.x1 <= canvas.x1
        assert canvas.y0 <= box.y0
        assert box.y1 <= canvas.y1
        assert not any(_overlap(box, other) for other in drawn[number + 1 :])


def _overlap(one, other, slack=0.5):
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    high = min(one.y1, other.y1) - max(one.y0, other.y0)
    return wide > slack and high > slack


def rivals(case, **floors):
    """Results and comparisons of ensembles with these floors, and the reference."""
    several = {name: evolved(case, copies=500, floor=floor) for name, floor in floors.items()}
    reference = next(iter(several.values()))[1]
    return {name: one[0] for name, one in several.items()}, reference, {name: one[2] for name, one in several.items()}


def test_several_theories_share_two_panels():
    results, reference, comparisons = rivals(triangle(), bare=0, low=5, high=100)
    figure = plot_theories(results, reference, comparisons, title="three floors")
    left, right = figure.axes
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["bare", "low", "high", "Schrödinger"]
    missed = np.abs(results["high"]["probability"] - reference["probability"]).max("time")
    worst = int(np.argmax(missed.values))
    assert left.get_ylabel() == f"frequency of level {worst}"
    for number, name in enumerate(results):
        np.testing.assert_array_equal(left.lines[number].get_ydata(), results[name]["probability"][:, worst])
        np.testing.assert_allclose(right.lines[number].get_ydata(), comparisons[name]["max_deviation"], atol=1e-15)
        assert left.lines[number].get_color() == right.lines[number].get_color()
    np.testing.assert_array_equal(left.lines[3].get_ydata(), reference["probability"][:, worst])
    widths = [line.get_linewidth() for line in left.lines]
    assert widths == sorted(widths, reverse=True), "lines that coincide must not hide each other"


def test_several_theories_of_many_labels_are_profiles_at_the_end():
    results, reference, _ = rivals(_large_ring(), bare=0, low=5)
    left = plot_theories(results, reference).axes[0]
    assert left.get_ylabel() == "frequency at t = 2"
    np.testing.assert_array_equal(left.lines[1].get_ydata(), results["low"]["probability"][-1])


def test_theories_that_differ_much_share_a_logarithmic_axis():
    results, reference, comparisons = rivals(detuned(), good=0, bad=0)
    comparisons["bad"]["max_deviation"] *= 100
    right = plot_theories(results, reference, comparisons).axes[1]
    assert right.get_yscale() == "log"
    lowest, highest = right.get_ylim()
    assert lowest < comparisons["good"]["max_deviation"].max() < comparisons["bad"]["max_deviation"].max() < highest


def test_names_of_theories_are_no_formulas_and_overlap_nothing():
    names = [f"5 $ for \\frac {number} {'x' * 27}" for number in range(9)]
    results, reference, comparisons = rivals(detuned(), **dict.fromkeys(names, 0))
    figure = plot_theories(results, reference, comparisons, title="A title of some length, as scenarios have them")
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    drawn = [figure._suptitle.get_window_extent(renderer), figure.legends[0].get_window_extent(renderer)]
    for axes in figure.axes:
        drawn += [axes.patch.get_window_extent(renderer), axes.xaxis.label.get_window_extent(renderer)]
        drawn += [axes.yaxis.label.get_window_extent(renderer)]
    for number, box in enumerate(drawn):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(_overlap(box, other) for other in drawn[number + 1 :])


def test_no_theory_is_no_picture(refuses):
    reference = evolved(detuned())[1]
    refuses(lambda: plot_theories({}, reference), ValueError, "results must hold at least one result")


def test_a_title_is_text_and_no_formula():
    result = evolved(detuned())[0].assign_coords(beable=[r"$\frac$", "$"])
    result["beable"].attrs.update(units="1", long_name="level")
    figure = plot(result, title=r"5 $ for \frac")
    figure.canvas.draw()


def test_a_figure_is_saved(tmp_path):
    result, reference, comparison = evolved(detuned())
    plot(result, reference, comparison, path=tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_no_result_is_refused(refuses):
    result, reference, _ = evolved(detuned())
    refuses(lambda: plot(1), TypeError, "must be an xarray.Dataset")
    refuses(lambda: plot(result, reference.isel(time=slice(3))), ValueError, "same 'time'")


def test_no_global_state_is_made():
    code = "import sys, copydyn; copydyn.plot; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def _large_ring():
    """A plane wave on more sites than there are lines."""
    from exact import Exact

    size = 12
    ket = np.exp(2j * np.pi * np.arange(size) / size) / np.sqrt(size)
    return Exact("ring", ring(size), ket, np.linspace(0, 2, 5), lambda t: ket, 1 / size)


def test_entropies_have_a_panel_of_their_own():
    """Where the entropy of an ensemble is known it is drawn, with that of its equilibrium: one theory or several."""
    h = [[0.3, 0.5, 0], [0.5, -0.3, 0.2], [0, 0.2, 0.9]]
    experiment = copydyn.Experiment.of(h, [0.8, 0.6, 0.0], np.linspace(0, 3, 7))
    results = {"OQT": OQT(0.5, scheme="ensemble").evolve(experiment), "none": Schrodinger().evolve(experiment)}
    reference = results["none"]
    for figure in (plot(results["OQT"], reference), plot_theories(results, reference)):
        last = figure.axes[-1]
        assert last.get_ylabel() == "entropy S"
        curve, level = last.get_lines()
        np.testing.assert_allclose(curve.get_ydata(), results["OQT"].entropy)
        assert level.get_ydata()[0] == pytest.approx(results["OQT"].attrs["window_entropy"])
    assert all(ax.get_ylabel() != "entropy S" for ax in plot(reference, reference).axes)
