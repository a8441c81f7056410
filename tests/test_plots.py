"""Pictures: they show what they should, with names and units, and nothing hides anything else."""

import subprocess
import sys

import numpy as np
import pytest
from exact import detuned, flux, triangle

import copydyn
from copydyn.laws import finite_copies
from copydyn.report.plots import plot, plot_theories
from copydyn.report.plots.axes import MOST_LINES, MOST_NAMES, is_formula
from copydyn.results.observables import mean_coherence
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


# ---- bands


def band(ax, number):
    """The lower and the upper edge of a band, at each place along the axis."""
    vertices = ax.collections[number].get_paths()[0].vertices
    places = np.unique(vertices[:, 0])
    heights = [vertices[vertices[:, 0] == place, 1] for place in places]
    return np.array([one.min() for one in heights]), np.array([one.max() for one in heights])


def spread(values):
    """The standard deviation over replicas, written out."""
    away = values - values.sum(axis=0) / len(values)
    return np.sqrt((away**2).sum(axis=0) / (len(values) - 1))


def test_bands_of_frequencies_are_standard_deviations_over_replicas():
    result, reference, comparison = evolved(triangle(), copies=30, replicas=4)
    left = plot(result, reference, comparison).axes[0]
    assert "± s.d." in names(left)
    frequency = result["frequency"].values
    for label in range(3):
        mean, error = frequency[..., label].mean(axis=0), spread(frequency[..., label])
        low, high = band(left, label)
        np.testing.assert_allclose(low, np.maximum(mean - error, 0.0), atol=1e-12)
        np.testing.assert_allclose(high, np.minimum(mean + error, 1.0), atol=1e-12)
    assert not np.allclose(spread(frequency), frequency.std(axis=0), rtol=0.05), "the control: n instead of n - 1"


def test_bands_of_distances_are_standard_errors_of_the_mean():
    result, reference, _ = evolved(triangle(), copies=30, replicas=4)
    right = plot(result, reference).axes[1]
    assert "± s.e." in names(right)
    each = 0.5 * np.abs(result["frequency"] - reference["probability"]).sum("beable").values
    low, high = band(right, 0)
    mean, error = each.mean(axis=0), spread(each) / 2.0
    np.testing.assert_allclose(low, np.maximum(mean - error, 0.0), atol=1e-12)
    np.testing.assert_allclose(high, mean + error, atol=1e-12)


def test_bands_of_profiles_and_of_theories_are_the_same():
    results, reference, comparisons = rivals(_large_ring(), bare=0, low=5)
    left, right = plot_theories(results, reference, comparisons).axes
    frequency = results["low"]["frequency"].values[:, -1]
    low, high = band(left, 1)
    np.testing.assert_allclose(high - low, 2.0 * spread(frequency), atol=1e-12)
    low, high = band(right, 1)
    worst = np.abs(results["low"]["frequency"] - reference["probability"]).max("beable").values
    np.testing.assert_allclose(high, worst.mean(axis=0) + spread(worst) / np.sqrt(3), atol=1e-12)
    assert (names(left), names(right)) == (["± s.d."], ["± s.e."])
    profile = plot(results["low"], reference).axes[0]
    np.testing.assert_allclose(np.subtract(*band(profile, 1)[::-1]), 2.0 * spread(frequency), atol=1e-12)


def test_a_band_ends_where_its_quantity_does():
    result = scattered(triangle())
    result["coherence"][:] = np.array([0.7, 0.95, 1.0])[:, None, None]
    last = plot(result).axes[-1]
    low, high = band(last, 0)
    np.testing.assert_allclose(high, 1.0)
    np.testing.assert_allclose(low, np.mean([0.7, 0.95, 1.0]) - spread(np.array([0.7, 0.95, 1.0])))


def test_many_curves_do_not_hide_their_bands():
    results, reference, _ = rivals(triangle(), **{f"theory {number}": 0 for number in range(6)})
    left = plot_theories(results, reference).axes[0]
    lines = left.lines[:-1]
    assert len(lines) == len(left.collections) == 6
    assert max(line.get_linewidth() for line in lines) <= 3.0
    assert min(one.get_zorder() for one in left.collections) > max(line.get_zorder() for line in lines)
    assert all(one.get_linewidth()[0] > 0.0 for one in left.collections), "edges, which other bands do not hide"


def test_one_replica_has_no_band_and_says_nothing_of_one():
    left, right = plot(*evolved(detuned(), replicas=1)).axes
    assert not left.collections
    assert not any("±" in name for name in (*names(left), *names(right)))


# ---- what is seen


def test_no_peak_of_the_reference_is_cut_off():
    reference = Schrodinger().evolve(triangle().experiment)
    flat = reference.copy(deep=True)
    flat["probability"][:] = 1.0 / 3.0
    for figure in (plot(flat, reference), plot_theories({"flat": flat}, reference)):
        low, high = figure.axes[0].get_ylim()
        assert low < 0.0
        assert high > reference["probability"].max() > 0.5
    many = _large_ring().experiment
    peaked = Schrodinger().evolve(many)
    peaked["probability"][:] = np.eye(12)[3]
    for figure in (plot(evolved(_large_ring())[0], peaked), plot_theories({"a": evolved(_large_ring())[0]}, peaked)):
        assert figure.axes[0].get_ylim()[1] > 1.0


def test_rounding_is_no_result():
    reference = Schrodinger().evolve(triangle().experiment)
    off = reference.copy(deep=True)
    off["probability"][1:, 0] += 3e-16
    right = plot(off, reference).axes[1]
    assert not right.lines[0].get_ydata().any()
    assert names(right) == ["without noise: below 1e-12"]
    assert right.get_ylim()[1] > 1.0
    results = {"exact": off, "bad": evolved(triangle())[0]}
    both = plot_theories(results, reference).axes[1]
    assert both.get_yscale() == "linear"
    assert "exact: below 1e-12" in names(both)


def test_small_numbers_stand_whole_at_their_ticks():
    result, reference, _ = evolved(detuned(), copies=10**14)
    figure = plot(result, reference)
    figure.canvas.draw()
    right = figure.axes[1]
    assert right.yaxis.get_offset_text().get_text() == "", "a power there would hide the legend"
    ticks = {text.get_text() for text in right.get_yticklabels()}
    assert any("e" in tick for tick in ticks)
    top = right.get_ylim()[1]
    shown = [float(text.get_text().replace("−", "-")) for text in right.get_yticklabels()]
    np.testing.assert_allclose(shown, right.get_yticks(), atol=1e-6 * top)


def test_a_map_says_what_its_colours_are():
    experiment = on_a_square()
    bar = plot(CopyDynamics(1000).evolve(experiment, seed=1), Schrodinger().evolve(experiment)).axes[-1]
    assert bar.get_ylabel() == r"n/N, $|\psi|^2$ of a site (square-root scale)"


def test_a_law_that_ends_is_drawn_as_far_as_it_goes_and_the_figure_says_why():
    result, reference, comparison = evolved(detuned())
    comparison["predicted_infidelity"][4:] = np.nan
    comparison.attrs["beyond_reach"] = "from time 3 on, where it ends"
    right = plot(result, reference, comparison).axes[1]
    assert right.get_ylabel() == "N × infidelity"
    np.testing.assert_array_equal(np.isnan(right.lines[0].get_ydata()), np.isnan(comparison["predicted_infidelity"]))
    assert "no law of finite N from time 3 on, where it ends" in " ".join(names(right)).replace("\n", " ")


# ---- one replica, and means


def test_one_replica_of_many_can_be_drawn():
    result, reference, _ = evolved(triangle(), replicas=3)
    for one in (result.isel(replica=1), result.isel(replica=[1])):
        left, right = plot(one, reference).axes
        for label in range(3):
            np.testing.assert_array_equal(left.lines[label].get_ydata(), result["frequency"][1, :, label])
        each = 0.5 * np.abs(result["frequency"] - reference["probability"]).sum("beable")[1]
        np.testing.assert_allclose(right.lines[0].get_ydata(), each, atol=1e-14)
        assert names(right) == ["one replica"]
        assert not left.collections
    alone = plot_theories({"a": result.isel(replica=1)}, reference).axes[0].lines[0].get_ydata()
    assert any(np.array_equal(alone, result["frequency"][1, :, label]) for label in range(3))


def test_some_replicas_are_drawn_by_themselves():
    result = evolved(triangle(), replicas=4)[0]
    left = plot(result.isel(replica=slice(2))).axes[0]
    np.testing.assert_allclose(left.lines[0].get_ydata(), result["frequency"][:2, :, 0].mean("replica"))


@pytest.mark.parametrize("keep", [True, False])
def test_means_over_replicas_can_be_drawn(keep):
    result, reference, _ = evolved(triangle(), replicas=3)
    mean = result.mean("replica", keep_attrs=keep)
    left, right = plot(mean, reference).axes
    np.testing.assert_allclose(left.lines[2].get_ydata(), result["probability"][:, 2])
    of_mean = 0.5 * np.abs(result["probability"] - reference["probability"]).sum("beable")
    np.testing.assert_allclose(right.lines[0].get_ydata(), of_mean, atol=1e-14)
    assert names(right) == ["of the mean over replicas"]
    assert not left.collections
    unaligned = scattered(triangle())
    last = plot(unaligned.mean("replica", keep_attrs=keep)).axes[-1]
    np.testing.assert_allclose(last.lines[1].get_ydata(), unaligned["coherence"][..., 1].mean("replica"))
    plot_theories({"a": mean}, reference)
    assert [ax.get_ylabel() for ax in plot(scattered(_large_ring()).mean("replica", keep_attrs=keep)).axes] == [
        "frequency n/N"
    ]


# ---- text


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        (r"$|g\rangle$", True),
        (r"ground $|g\rangle$ and excited $|e\rangle$", True),
        (r"$\frac$", False),
        ("5 $ and 6 $", False),
        ("$5 and $6", False),
        ("$", False),
        ("$$", False),
        (r"\$5", False),
        (r"$|g\rangle", False),
        ("no formula", False),
        ("$x$ for 5 $", False),
    ],
)
def test_a_formula_is_told_from_text_with_dollars(text, formula):
    assert is_formula(text) == formula


def test_labels_in_mathtext_are_set_as_formulas_and_others_as_they_stand():
    labels = [r"$|g\rangle$", r"$\frac$"]
    result, reference, _ = evolved(detuned())
    result, reference = (one.assign_coords(beable=labels) for one in (result, reference))
    for one in (result, reference):
        one["beable"].attrs.update(units="1", long_name="level")
    figure = plot(result, reference, title=r"$|\psi|^2$ and 5 $")
    figure.canvas.draw()
    texts = figure.axes[0].get_legend().get_texts()
    assert [text.get_parse_math() for text in texts[:2]] == [True, False]
    assert [text.get_text() for text in texts[:2]] == labels
    assert not figure._suptitle.get_parse_math()
    theories = plot_theories({r"$\gamma$": result, "b$": result}, reference)
    theories.canvas.draw()
    assert [text.get_parse_math() for text in theories.legends[0].get_texts()] == [True, False, False]
    wide = [rf"$|{number}\rangle$" for number in range(12)]
    ring_of = evolved(_large_ring())[0].assign_coords(beable=wide)
    ring_of["beable"].attrs.update(units="1", long_name="site")
    profile = plot(ring_of)
    profile.canvas.draw()
    assert all(text.get_parse_math() for text in profile.axes[0].get_xticklabels())


@pytest.mark.parametrize("kind", ["pdf", "ps"])
def test_fonts_are_embedded_as_truetype(tmp_path, kind):
    result, reference, comparison = evolved(detuned())
    figure = plot(result, reference, comparison, path=tmp_path / f"one.{kind}")
    figure.savefig(tmp_path / f"two.{kind}")
    for name in ("one", "two"):
        content = (tmp_path / f"{name}.{kind}").read_bytes()
        assert (b"/FontFile2" if kind == "pdf" else b"/FontType 42 def") in content
        assert (b"/Subtype /Type3" if kind == "pdf" else b"/FontType 3 def") not in content


def test_numbers_in_legends_have_one_style():
    case = _large_ring()
    late = copydyn.Experiment.of(
        1e-6 * case.experiment.system.hamiltonian, case.experiment.ket, [0.0, 100000.0, 123456.0]
    )
    left = plot(Schrodinger().evolve(late)).axes[0]
    assert names(left) == ["t = 0", "t = 100000", "t = 123456"], "as the values of a sweep are written"


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


# ---- each line and band where it belongs


def moving(sites=12):
    """A packet that runs round a ring: no two save times are alike, and their number is even."""
    from exact import Exact

    places = np.arange(sites)
    ket = np.exp(-(((places - sites / 3) / 2.0) ** 2) + 1j * places)
    ket /= np.linalg.norm(ket)
    return Exact("packet", ring(sites), ket, np.linspace(0, 2, 6), lambda t: ket, 0.0)


def require_band(ax, number, values, most=np.inf):
    """The band has the mean of ``values`` (replica, place) less and plus their standard deviation, as far as it may."""
    low, high = band(ax, number)
    mean, error = values.mean(axis=0), spread(values)
    np.testing.assert_allclose(low, np.maximum(mean - error, 0.0), atol=1e-12)
    np.testing.assert_allclose(high, np.minimum(mean + error, most), atol=1e-12)


def test_profiles_are_those_of_their_own_times():
    result, reference, comparison = evolved(moving(), copies=60, replicas=4, floor=1)
    ax = plot(result, reference, comparison).axes[0]
    assert names(ax)[:3] == ["t = 0", "t = 0.8", "t = 2"], "the first, the middle and the last of six"
    solid = [line for line in ax.lines if line.get_linestyle() == "-"]
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    for number, at in enumerate((0, 2, 5)):
        np.testing.assert_allclose(solid[number].get_ydata(), result["frequency"][:, at].mean("replica"))
        np.testing.assert_array_equal(dashed[number].get_ydata(), reference["probability"][at])
    for number, at in enumerate((2, 5)):  # the start has no spread
        require_band(ax, number, result["frequency"].values[:, at], 1.0)
    low, high = ax.get_ylim()
    tops = [(one.get_paths()[0].vertices[:, 1]).max() for one in ax.collections]
    assert high > max(*tops, *(line.get_ydata().max() for line in ax.lines))
    assert low < 0.0
    assert plot(result, reference).axes[1].get_ylabel() == r"total variation from $|\psi|^2$"
    each = 0.5 * np.abs(result["frequency"] - reference["probability"]).sum("beable")
    np.testing.assert_allclose(plot(result, reference).axes[1].lines[0].get_ydata(), each.mean("replica"), atol=1e-15)
    left, right = ax.get_xlim()
    np.testing.assert_allclose((left, right), (-0.5, 11.5), err_msg="half a step beyond the labels")
    theories = plot_theories({"a": result, "b": result}, reference).axes[0]
    np.testing.assert_array_equal(theories.lines[-1].get_ydata(), reference["probability"][-1])
    require_band(theories, 1, result["frequency"].values[:, -1], 1.0)


def test_as_many_labels_as_colours_are_lines():
    for sites, count in ((MOST_LINES, MOST_LINES), (MOST_LINES + 1, 3)):
        ax = plot(Schrodinger().evolve(moving(sites).experiment)).axes[0]
        assert len(ax.lines) == len({line.get_color() for line in ax.lines}) == count


def test_numbers_with_gaps_stand_at_their_values():
    values = np.cumsum(np.arange(12))
    reference = Schrodinger().evolve(_large_ring().experiment).assign_coords(beable=[str(value) for value in values])
    reference["beable"].attrs.update(units="1", long_name="momentum")
    (ax,) = plot(reference).axes
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), values)


def test_the_law_and_the_infidelity_are_of_all_copies_spectators_included():
    experiment = triangle().experiment
    theory = CopyDynamics(50, spectators=10)
    result, reference = theory.evolve(experiment, seed=1, replicas=4), Schrodinger().evolve(experiment)
    law = finite_copies(experiment, theory.encoded(experiment), copies=80)
    comparison = copydyn.compare(result, reference, law)
    ax = plot(result, reference, comparison).axes[1]
    dashed, mean = ax.lines[:2]
    np.testing.assert_allclose(dashed.get_ydata(), 80 * comparison["predicted_infidelity"])
    np.testing.assert_allclose(mean.get_ydata(), 80 * comparison["infidelity"])
    low, high = band(ax, 0)
    middle, error = 80 * comparison["infidelity"].values, 80 * comparison["infidelity_error"].values
    np.testing.assert_allclose(high, middle + error, atol=1e-12)
    np.testing.assert_allclose(low, np.maximum(middle - error, 0.0), atol=1e-12)


def test_the_colours_of_maps_reach_to_the_largest_of_both():
    experiment = on_a_square()
    result, reference = CopyDynamics(1000).evolve(experiment, seed=1, replicas=2), Schrodinger().evolve(experiment)
    for peaked in ("result", "reference"):
        one, other = result.copy(deep=True), reference.copy(deep=True)
        chosen = one if peaked == "result" else other
        for name in ("probability", "frequency"):
            if name in chosen:
                chosen[name][:] = np.eye(12)[5]
        assert plot(one, other).axes[0].images[0].norm.vmax == 1.0


def off(reference, **by):
    """Give the reference with labels (by their number) off by so much at single save times."""
    found = reference.copy(deep=True)
    for label, (at, size) in by.items():
        number = int(label[-1])
        found["probability"][at, number] += size
        found["probability"][at, (number + 1) % found.sizes["beable"]] -= size
    return found


def test_the_label_that_any_theory_misses_most_at_any_time_is_drawn():
    reference = Schrodinger().evolve(triangle().experiment)
    reference["probability"][:] = [0.3, 0.3, 0.4]
    mild, bad = off(reference, label_0=(-1, 0.05)), off(reference, label_2=(3, 0.2))
    bad["probability"][3] = [0.2, 0.2, 0.6]  # label 2 is off by 0.2, the others by 0.1
    for results in ({"mild": mild, "bad": bad}, {"bad": bad, "mild": mild}):
        ax = plot_theories(results, reference).axes[0]
        assert ax.get_ylabel() == "probability of level 2"
        for line, result in zip(ax.lines, results.values()):
            np.testing.assert_array_equal(line.get_ydata(), result["probability"][:, 2])
        np.testing.assert_array_equal(ax.lines[-1].get_ydata(), reference["probability"][:, 2])


def test_bands_of_theories_are_those_of_the_label_that_is_drawn():
    results, reference, comparisons = rivals(triangle(), bare=0, low=5, high=100)
    reference["probability"][3] = [0.0, 1.0, 0.0]  # so that label 1 is missed most
    left, right = plot_theories(results, reference, comparisons).axes
    label = int(left.get_ylabel()[-1])
    assert label == 1
    for number, (name, result) in enumerate(results.items()):
        require_band(left, number, result["frequency"].values[..., label], 1.0)
        mean, error = (comparisons[name][key].values for key in ("max_deviation", "max_deviation_error"))
        np.testing.assert_allclose(band(right, number)[1], mean + error, atol=1e-12)


def test_coherences_and_entropies_have_panels_of_their_own_and_bands():
    h = [[0.3, 0.5, 0], [0.5, -0.3, 0.2], [0, 0.2, 0.9]]
    experiment = copydyn.Experiment.of(h, [0.8, 0.6, 0.0], np.linspace(0, 3, 7))
    scattered = CopyDynamics(200, phase_spread=0.5).evolve(experiment, seed=1, replicas=3)
    warm = OQT(0.5, scheme="ensemble").evolve(experiment)
    cold = warm.assign(entropy=0.5 * warm["entropy"]).assign_attrs(window_entropy=0.2)
    reference = Schrodinger().evolve(experiment)
    figure = plot_theories({"warm": warm, "scattered": scattered, "cold": cold}, reference)
    left, _, coherence, entropy = figure.axes
    assert (coherence.get_ylabel(), entropy.get_ylabel()) == ("coherence |Z|/n", "entropy S")
    (line,) = coherence.lines
    each = mean_coherence(scattered).values
    np.testing.assert_allclose(line.get_ydata(), each.mean(axis=0))
    require_band(coherence, 0, each, 1.0)
    curves, levels = entropy.lines[::2], entropy.lines[1::2]
    for curve, level, theory, drawn in zip(curves, levels, (warm, cold), (left.lines[0], left.lines[2]), strict=True):
        np.testing.assert_array_equal(curve.get_ydata(), theory["entropy"])
        assert level.get_ydata()[0] == theory.attrs["window_entropy"] != theory["entropy"][-1]
        assert curve.get_color() == level.get_color() == drawn.get_color()
    alone = plot(warm, reference).axes[-1]
    assert alone.lines[1].get_ydata()[0] == warm.attrs["window_entropy"]


def test_bands_of_coherence_divide_by_one_less_than_the_replicas_that_have_it():
    result = scattered(triangle())
    result["coherence"][0, 2:, 1] = np.nan
    ax = plot(result).axes[-1]
    each = result["coherence"].values
    require_band(ax, 0, each[..., 0], 1.0)
    low, high = band(ax, 1)
    two = each[1:, 2:, 1]
    np.testing.assert_allclose(low[2:], np.maximum(two.mean(axis=0) - spread(two), 0.0), atol=1e-12)
    np.testing.assert_allclose(high[2:], np.minimum(two.mean(axis=0) + spread(two), 1.0), atol=1e-12)


def test_no_band_is_cut_off():
    """Means of a third, or of a twelfth, with spreads as large."""
    for case, labels in ((triangle(), 3), (_large_ring(), 12)):
        result, reference, _ = evolved(case, replicas=4)
        reference["probability"][:] = 1.0 / labels
        result["frequency"][:] = 1.0 / labels
        result["frequency"][0, :, 1], result["frequency"][0, :, 2] = 2.0 / labels, 0.0
        result["probability"][:] = result["frequency"].mean("replica")
        top = float((result["frequency"].mean("replica") + result["frequency"].std("replica", ddof=1)).max())
        for figure in (plot(result, reference), plot_theories({"a": result, "b": result}, reference)):
            assert figure.axes[0].get_ylim()[1] > top > 1.5 / labels


def test_a_figure_begins_with_its_first_save_time():
    case = triangle()
    experiment = copydyn.Experiment(
        case.experiment.system, case.experiment.preparation, copydyn.Schedule([1.0, 1.5, 2.5])
    )
    reference = Schrodinger().evolve(experiment)
    result = CopyDynamics(200, phase_spread=0.5).evolve(experiment, seed=1, replicas=3)
    warm = OQT(0.5, scheme="ensemble").evolve(experiment)
    for figure in (
        plot(result, reference),
        plot(warm, reference),
        plot_theories({"a": result, "b": warm}, reference),
    ):
        assert [ax.get_xlim() for ax in figure.axes] == [(1.0, 2.5)] * len(figure.axes)


def test_a_law_of_nothing_is_not_drawn():
    result, reference, comparison = evolved(triangle())
    comparison["predicted_infidelity"][:] = 0.0
    assert plot(result, reference, comparison).axes[1].get_ylabel() == r"total variation from $|\psi|^2$"
