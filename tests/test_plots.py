"""Pictures: they show what they should, with names and units, and nothing hides anything else."""

import subprocess
import sys

import numpy as np
import pytest
from exact import detuned, flux, triangle

import copydyn
from copydyn.laws import finite_copies
from copydyn.plots import MOST_LINES, plot, plot_theories
from copydyn.systems import ring
from copydyn.theories import CopyDynamics, Schrodinger


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
    assert names(left) == ["0", "1", "2", "Schrödinger"]
    assert left.get_xlabel() == "time (ħ/energy)"
    assert left.get_ylabel() == "frequency n/N"
    assert names(right) == ["law of finite N", "mean of 3 replicas ± error"]
    assert right.get_ylabel() == "N × infidelity"
    np.testing.assert_array_equal(left.lines[1].get_ydata(), result["probability"][:, 1])
    np.testing.assert_array_equal(left.lines[4].get_ydata(), reference["probability"][:, 1])
    np.testing.assert_allclose(right.lines[1].get_ydata(), 1000 * comparison["infidelity"])


def test_many_labels_are_profiles_at_three_times():
    result, reference, comparison = evolved(_large_ring())
    left = plot(result, reference, comparison).axes[0]
    assert result.sizes["beable"] > MOST_LINES
    assert names(left) == ["t = 0", "t = 1", "t = 2", "Schrödinger"]
    assert left.get_xlabel() == "site"


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
    assert names(right) == ["mean of 3 replicas ± error"]


def test_one_replica_is_called_so():
    assert "one replica" in names(plot(*evolved(detuned(), replicas=1)).axes[1])


def test_the_reference_can_be_drawn_by_itself():
    figure = plot(evolved(detuned())[1])
    assert figure.axes[0].get_ylabel() == "probability"


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
        np.testing.assert_array_equal(right.lines[number].get_ydata(), comparisons[name]["max_deviation"])
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
    result = evolved(detuned())[0]
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
