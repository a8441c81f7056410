"""Pictures of sweeps: lines with errors, maps, and what has failed, each with names and units."""

import numpy as np
import pytest
from matplotlib.collections import PatchCollection, QuadMesh
from small_sweeps import of, summary_of

import copydyn
from copydyn import plot_sweep
from copydyn.report.plots import as_svg
from copydyn.report.plots.axes import is_formula
from copydyn.report.plots.names import NAMES, name_of


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def series(ax):
    """Means and errors of the lines with error bars."""
    found = []
    for drawn in ax.containers:
        line, _, bars = drawn.lines
        height = np.array([np.ptp(path[:, 1]) / 2 for path in bars[0].get_segments()]) if bars else None
        found.append((line.get_xdata(), line.get_ydata(), height))
    return found


def meshes(figure):
    panels = [ax for ax in figure.axes if not hasattr(ax, "_colorbar")]
    return [mesh for ax in panels for mesh in ax.collections if isinstance(mesh, QuadMesh)]


def overlaps(figure):
    """Say whether a text lies on another one or on the axes."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [figure._suptitle.get_window_extent(renderer)]
    for ax in figure.axes:
        boxes.append(ax.patch.get_window_extent(renderer))
        boxes += [line.label.get_window_extent(renderer) for line in (ax.xaxis, ax.yaxis) if line.label.get_text()]
        if ax.get_legend():
            boxes.append(ax.get_legend().get_window_extent(renderer))
    inside = all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    crossing = any(
        min(one.x1, two.x1) - max(one.x0, two.x0) > 0.5 and min(one.y1, two.y1) - max(one.y0, two.y0) > 0.5
        for place, one in enumerate(boxes)
        for two in boxes[place + 1 :]
    )
    return crossing or not inside


def test_a_line_for_each_value_of_another_axis():
    found = summary_of("grid")
    figure = plot_sweep(found, "theory.copies", lines="detuning")
    (ax,) = figure.axes
    assert legend_of(ax) == ["detuning = 0.5", "detuning = 1", "± s.e.", "law of finite N"]
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "copies $N$", "infidelity")
    for (x, y, error), detuning in zip(series(ax), (0.5, 1.0)):
        point = found.sel(detuning=detuning).isel(time=-1)
        np.testing.assert_array_equal(x, [40, 60, 600])
        np.testing.assert_array_equal(y, point["infidelity"])
        np.testing.assert_allclose(error, point["infidelity_error"], rtol=1e-9)
    laws = [line for line in ax.lines if line.get_linestyle() == "--"]
    np.testing.assert_array_equal(laws[1].get_ydata(), found["predicted_infidelity"].sel(detuning=1.0).isel(time=-1))
    assert figure._suptitle.get_text() == "Detuned Rabi flopping\nt = 2"
    assert not overlaps(figure)


def test_error_bars_keep_to_their_points_when_the_axis_is_out_of_order():
    found = summary_of("unordered")
    assert found["copies"].values.tolist() == [30, 10, 20]
    (ax,) = plot_sweep(found, "copies", of="max_deviation").axes
    (container,) = ax.containers
    (bars,) = container.lines[2]
    end = found.isel(time=-1).sortby("copies")
    assert (end["max_deviation_error"] > 0.0).any()
    for segment, copies, mean, error in zip(
        bars.get_segments(), (10, 20, 30), end["max_deviation"].values, end["max_deviation_error"].values
    ):
        np.testing.assert_allclose(segment, [[copies, mean - error], [copies, mean + error]])


def test_a_point_without_an_error_has_no_bar():
    found = summary_of("grid").copy(deep=True)
    found["max_deviation_error"][0] = np.nan
    (ax,) = plot_sweep(found, "copies", of="max_deviation").axes
    (bars,) = ax.containers[0].lines[2]
    assert [segment[0, 0] for segment in bars.get_segments() if segment.size] == [60, 600]
    assert "± s.e." in legend_of(ax)


def test_bands_over_time_are_standard_errors():
    found = summary_of("grid")
    (ax,) = plot_sweep(found, "time", of="total_variation").axes
    point = found.isel(copies=0, detuning=0)
    vertices = ax.collections[0].get_paths()[0].vertices
    for time, mean, error in zip(
        *(point[name].values for name in ("time", "total_variation", "total_variation_error"))
    ):
        heights = vertices[vertices[:, 0] == time, 1]
        np.testing.assert_allclose([heights.min(), heights.max()], [max(mean - error, 0.0), mean + error], atol=1e-15)
    assert "± s.e." in legend_of(ax)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("theory.copies", "copies $N$"),
        ("theory.few.copies", "few: copies $N$"),
        ("theory.floor of 50.copies", "floor of 50: copies $N$"),
        ("theory.0.rule.q", "0: power $q$"),
        ("theory.thermalising", r"thermalising $\Gamma$ (energy/ħ)"),
        ("system.detuning", "detuning $D$ (energy)"),
        ("system.wait", "wait (ħ/energy)"),
        ("system.coupling", "coupling $g$ (energy)"),
        ("system.hopping", "hopping $J$ (energy)"),
        ("system.force", "force $F$ (energy/length)"),
        ("system.flux", r"flux $\Phi$ (rad)"),
        ("system.frequency", r"frequency $\omega$ (energy/ħ)"),
        ("system.rate", "rate (energy²/ħ)"),
        ("system.hbar", "ħ (energy × time)"),
        ("theory.memory", r"memory $\tau$ (ħ/energy)"),
        ("theory.reducing", r"reducing $\gamma$ (energy/ħ)"),
        ("theory.drift", "drift $J$ (energy/ħ)"),
        ("theory.alignment.strength", "alignment $f$ (energy/ħ)"),
        ("theory.strength", "strength of the noise $D$"),
        ("schedule.stop", "end $t$ (ħ/energy)"),
        ("system.levels", "levels"),
        ("theory.phase_step", "phase step"),
        ("theory", "theory"),
    ],
)
def test_axes_are_named_by_words_symbols_and_units(key, said):
    assert name_of(key) == said
    assert "$" not in said or is_formula(said)


def test_a_unit_of_time_of_ones_own_is_in_the_units():
    assert name_of("theory.rate", "ps") == "rate (1/ps)"
    assert name_of("system.wait", "ps") == "wait (ps)"


def test_every_name_of_an_axis_can_be_drawn():
    assert all(is_formula(name_of(key)) or "$" not in name_of(key) for key in NAMES)


def test_other_axes_are_fixed_and_named():
    found = summary_of("grid")
    figure = plot_sweep(found, "detuning", of="max_deviation", at={"theory.copies": 60}, time=1)
    ((_, y, _),) = series(figure.axes[0])
    np.testing.assert_array_equal(y, found["max_deviation"].sel(copies=60).isel(time=1))
    assert figure._suptitle.get_text().endswith("copies = 60, t = 0.5")
    first = plot_sweep(found, "detuning", of="max_deviation")
    assert "copies = 40" in first._suptitle.get_text()


def test_the_mean_over_time_has_the_mean_of_the_errors():
    found = summary_of("grid")
    figure = plot_sweep(found, "copies", of="total_variation", time="mean")
    ((_, y, error),) = series(figure.axes[0])
    point = found.isel(detuning=0)
    np.testing.assert_allclose(y, point["total_variation"].mean("time"))
    np.testing.assert_allclose(error, point["total_variation_error"].mean("time"), rtol=1e-9)
    assert "mean over time" in figure._suptitle.get_text()


def test_theories_are_lines_of_their_own():
    found = summary_of("rivals")
    ax = plot_sweep(found, "coupling").axes[0]
    assert legend_of(ax) == ["a/b", "limit", "Schrodinger", "± s.e."]  # 30 copies are too few for the law
    both = plot_sweep(found, "coupling", lines="copies").axes[0]
    assert legend_of(both)[:2] == ["a/b, copies = 30", "a/b, copies = 300"]
    one = plot_sweep(found, "coupling", at={"theory": "limit"}).axes[0]
    assert len(series(one)) == 1
    other = plot_sweep(found, "theory", of="max_deviation")
    assert [text.get_text() for text in other.axes[0].get_xticklabels()] == ["a/b", "limit", "Schrodinger"]


def test_text_is_an_axis_too_and_failed_points_are_crosses():
    found = summary_of("failing")
    figure = plot_sweep(found, "engine", lines="floor")
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["exact", "meanfield"]
    assert legend_of(ax)[-2:] == ["failed", "± s.e."]
    cross = next(line for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata()))
    assert list(cross.get_xdata()) == [1.0]
    assert not overlaps(figure)


def test_two_axes_are_a_map_beside_its_error():
    found = summary_of("grid")
    figure = plot_sweep(found, "copies", "detuning")
    mean, share = meshes(figure)
    point = found.isel(time=-1)
    np.testing.assert_array_equal(mean.get_array(), point["infidelity"].transpose("detuning", "copies"))
    np.testing.assert_allclose(
        share.get_array(), (point["infidelity_error"] / point["infidelity"]).transpose("detuning", "copies")
    )
    names = [ax.get_ylabel() for ax in figure.axes]
    assert names[2:] == ["infidelity", "relative standard error"]
    assert figure.axes[0].get_xscale() == "log"
    assert not overlaps(figure)


def test_failed_and_missing_points_are_told_apart_in_maps():
    figure = plot_sweep(summary_of("failing"), "engine", "floor")
    hatched = [one for one in figure.axes[0].collections if isinstance(one, PatchCollection)]
    assert [one.get_hatch() for one in hatched] == ["////"]
    (box,) = hatched[0].get_paths()
    assert box.get_extents().bounds[:2] == (0.5, 1.0)
    assert legend_of(figure.axes[0]) == ["failed"]
    missing = summary_of("unfinished").expand_dims("other").assign_coords(other=[1.0])
    pale = plot_sweep(missing, "copies", "other")
    assert legend_of(pale.axes[0]) == ["not there"]


def test_one_replica_has_no_second_panel_and_no_bars():
    found = summary_of("alone").expand_dims(copies=[100.0], floor=[1.0])
    assert len(meshes(plot_sweep(found, "copies", "floor"))) == 1
    ((_, _, error),) = series(plot_sweep(found, "copies").axes[0])
    assert error is None


def test_over_time_lines_have_bands():
    found = summary_of("grid")
    ax = plot_sweep(found, "time", of="max_deviation", lines="copies", at={"detuning": 1.0}).axes[0]
    lines = [line for line in ax.lines if len(line.get_xdata()) > 1]
    assert len(lines) == 3
    np.testing.assert_array_equal(lines[2].get_ydata(), found["max_deviation"].sel(copies=600, detuning=1.0))
    assert ax.get_xlabel() == "time (ħ/energy)"
    alone = plot_sweep(summary_of("alone"), "time")
    assert alone._suptitle.get_text() == "Detuned Rabi flopping"


def test_probabilities_are_those_of_one_label():
    found = summary_of("grid")
    figure = plot_sweep(found, "copies", of="probability", at={"beable": "1"})
    ((_, y, _),) = series(figure.axes[0])
    np.testing.assert_array_equal(y, found["probability"].sel(beable="1").isel(time=-1, detuning=0))
    assert "beable = 1" in figure._suptitle.get_text()


def test_the_last_save_time_is_each_points_own():
    found = summary_of("grid").copy(deep=True)
    found["max_deviation"][0, :, 3:] = np.nan
    ((_, y, _),) = series(plot_sweep(found, "copies", of="max_deviation").axes[0])
    assert y[0] == found["max_deviation"][0, 0, 2]
    assert y[1] == found["max_deviation"][1, 0, 4]


def test_of_many_values_some_are_lines():
    import xarray as xr

    found = xr.concat([summary_of("grid").isel(copies=[0])] * 20, "copies").assign_coords(copies=np.arange(20.0))
    figure = plot_sweep(found, "detuning", lines="copies")
    assert len(series(figure.axes[0])) == 8
    assert "8 of 20 values of copies" in figure._suptitle.get_text()


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1, 10, 100], "log"), ([10, 100], "log"), ([0, 10, 100], "linear"), ([1, 20, 40, 60], "linear"), ([3], "linear")],
)
def test_an_axis_is_logarithmic_where_its_values_are(values, scale):
    found = summary_of("grid").isel(copies=[0] * len(values)).assign_coords(copies=values)
    assert plot_sweep(found, "copies").axes[0].get_xscale() == scale
    assert plot_sweep(found, "detuning", "copies").axes[0].get_yscale() == scale


def test_what_cannot_be_drawn_is_refused(refuses):
    found = summary_of("grid")
    refuses(lambda: plot_sweep(1, "copies"), TypeError, "must be an xarray.Dataset")
    refuses(lambda: plot_sweep(copydyn.open_sweep(of("grid")), "copies"), ValueError, "summary gives")
    refuses(lambda: plot_sweep(found, "floor"), ValueError, "has copies, detuning, time")
    refuses(lambda: plot_sweep(found, "copies", of="fidelity"), ValueError, "of must be one of max_deviation")
    refuses(lambda: plot_sweep(found, "copies", "copies"), ValueError, "different axes")
    refuses(lambda: plot_sweep(found, "time", "copies"), ValueError, "swept axes alone")
    refuses(lambda: plot_sweep(found, "time", of="worst_deviation"), ValueError, "change with time")
    refuses(lambda: plot_sweep(found, "copies", time="last"), ValueError, "number of a save time or 'mean'")
    refuses(
        lambda: plot_sweep(found, "copies", at={"detuning": 0.7}), ValueError, "one of its values, 0.5, 1, but is 0.7"
    )


def test_a_figure_is_saved_and_is_the_same_bytes_as_svg(tmp_path):
    plot_sweep(summary_of("grid"), "copies", path=tmp_path / "x.png", title=r"5 $ for \frac")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    drawn = [as_svg(plot_sweep(summary_of("grid"), "copies", title=r"5 $ for \frac")) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert b"<dc:date>" not in drawn[0]


# ---- every number where it belongs


def spoiled(place=(1, 1), status="something went wrong"):
    """Give the grid with one point that has failed, or of which something else is said."""
    found = summary_of("grid").copy(deep=True)
    found["status"] = found["status"].astype("<U30")
    found["status"].values[place] = status
    if status == "something went wrong":
        for name, variable in found.data_vars.items():
            if name != "replicas":
                found[name] = variable.astype(float).where(found["status"] != status)
    return found


def numbers(figure):
    """Give all that is drawn of numbers, in no order."""
    rows = []
    for ax in figure.axes:
        pieces = [np.transpose(line.get_data()) for line in ax.lines]
        pieces += [path for drawn in ax.containers if drawn.lines[2] for path in drawn.lines[2][0].get_segments()]
        for one in ax.collections:
            pieces += [path.vertices for path in one.get_paths()] if isinstance(one, PatchCollection) else []
            pieces += [one.get_coordinates(), one.get_array().filled(-1.0)] if isinstance(one, QuadMesh) else []
        rows += [np.nan_to_num(np.asarray(piece, float), nan=-1.0).ravel().tolist() for piece in pieces]
    return sorted(rows)


@pytest.mark.parametrize(
    "asked",
    [
        {"x": "copies", "lines": "detuning"},
        {"x": "detuning", "lines": "copies", "time": "mean"},
        {"x": "copies", "of": "max_deviation", "at": {"detuning": 1.0}},
        {"x": "time", "of": "total_variation", "lines": "detuning", "at": {"copies": 60}},
        {"x": "copies", "y": "detuning"},
        {"x": "detuning", "y": "copies", "of": "energy"},
    ],
    ids=repr,
)
def test_the_order_of_the_values_of_an_axis_changes_no_figure(asked):
    """Means, errors, laws, failed points: at an axis given out of order each keeps to its point."""
    found = spoiled()
    other = found.isel(copies=[2, 0, 1], detuning=[1, 0])
    once, again = (plot_sweep(one, **asked) for one in (found, other))
    assert numbers(once) == numbers(again)
    assert [ax.get_legend() and sorted(legend_of(ax)) for ax in once.axes] == [
        ax.get_legend() and sorted(legend_of(ax)) for ax in again.axes
    ]
    control = found.assign(max_deviation_error=found["max_deviation_error"].isel(copies=[2, 0, 1]).variable)
    assert numbers(plot_sweep(control, "copies", of="max_deviation")) != numbers(
        plot_sweep(found, "copies", of="max_deviation")
    )


@pytest.mark.parametrize("of_what", ["infidelity", "energy"])
def test_every_cell_of_a_map_stands_around_its_point(of_what):
    """With its mean in the one panel, its relative error in the other, and the hatching where it has failed."""
    found = spoiled()
    found["energy"] = -np.abs(found["energy"])  # a relative error is positive all the same
    figure = plot_sweep(found, "copies", "detuning", of=of_what)
    mean, share = meshes(figure)
    end = found.isel(time=-1)
    np.testing.assert_array_equal(mean.get_coordinates(), share.get_coordinates())
    across, up = mean.get_coordinates()[0, :, 0], mean.get_coordinates()[:, 0, 1]
    np.testing.assert_allclose(up, [0.25, 0.75, 1.25], err_msg="halfway, and as far beyond the ends")
    inner = np.sqrt([40 * 60, 60 * 600])
    np.testing.assert_allclose(
        across, [40**2 / inner[0], *inner, 600**2 / inner[1]], err_msg="halfway in the logarithm"
    )
    for column, copies in enumerate((40, 60, 600)):
        for row, detuning in enumerate((0.5, 1.0)):
            point = end.sel(copies=copies, detuning=detuning)
            value, error = float(point[of_what]), float(point[f"{of_what}_error"])
            shown = [float(mesh.get_array().filled(np.nan)[row, column]) for mesh in (mean, share)]
            np.testing.assert_allclose(shown, [value, error / abs(value)])
    (hatched,) = (one for one in figure.axes[0].collections if isinstance(one, PatchCollection))
    (box,) = hatched.get_paths()
    np.testing.assert_allclose(box.get_extents().extents, [across[1], up[1], across[2], up[2]])


def test_bands_over_time_are_those_of_their_own_lines():
    found = summary_of("grid")
    (ax,) = plot_sweep(found, "time", of="max_deviation", lines="copies").axes
    assert len(ax.collections) == 3
    for drawn, copies in zip(ax.collections, (40, 60, 600)):
        point = found.sel(copies=copies).isel(detuning=0)
        vertices = drawn.get_paths()[0].vertices
        for at, when in enumerate(found["time"].values):
            mean, error = float(point["max_deviation"][at]), float(point["max_deviation_error"][at])
            heights = vertices[vertices[:, 0] == when, 1]
            np.testing.assert_allclose(
                [heights.min(), heights.max()], [max(mean - error, 0.0), mean + error], atol=1e-15
            )


@pytest.mark.parametrize(("time", "place"), [(0, 0), (1, 1), (3, 3), (-1, 4), (-2, 3), (-5, 0)])
def test_a_save_time_is_counted_from_either_end(time, place):
    found = summary_of("grid")
    figure = plot_sweep(found, "copies", of="total_variation", time=time)
    ((_, y, error),) = series(figure.axes[0])
    point = found.isel(detuning=0, time=place)
    np.testing.assert_array_equal(y, point["total_variation"])
    np.testing.assert_allclose(error, point["total_variation_error"], rtol=1e-9, atol=1e-15)
    assert f"t = {place / 2:g}" in figure._suptitle.get_text()


def test_a_mean_over_time_is_over_the_times_that_a_point_has():
    found = summary_of("grid").copy(deep=True)
    for name in ("total_variation", "total_variation_error"):
        found[name][0, :, 3:] = np.nan
    ((_, y, error),) = series(plot_sweep(found, "copies", of="total_variation", time="mean").axes[0])
    for many, place in ((3, 0), (5, 1)):
        point = found.isel(detuning=0, copies=place, time=slice(many))
        assert y[place] == pytest.approx(float(point["total_variation"].sum()) / many)
        assert error[place] == pytest.approx(float(point["total_variation_error"].sum()) / many)


@pytest.mark.parametrize("status", ["target missed", "unfinished", "ok"])
def test_a_point_whose_target_is_missed_has_not_failed(status):
    (ax,) = plot_sweep(spoiled(status=status), "copies", lines="detuning").axes
    assert "failed" not in legend_of(ax)
    (failed,) = plot_sweep(spoiled(), "copies", lines="detuning").axes  # the control
    assert "failed" in legend_of(failed)
    (cross,) = (line for line in failed.lines if line.get_marker() == "x" and len(line.get_xdata()))
    assert list(cross.get_xdata()) == [60.0]


def test_the_law_over_time_is_that_of_each_line():
    found = summary_of("grid")
    (ax,) = plot_sweep(found, "time", lines="copies", at={"detuning": 1.0}).axes
    assert "law of finite N" in legend_of(ax)
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    solid = [line for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata())]
    assert len(dashed) == len(solid) == 3
    for law, mean, copies in zip(dashed, solid, (40, 60, 600)):
        point = found.sel(copies=copies, detuning=1.0)
        np.testing.assert_array_equal(law.get_ydata(), point["predicted_infidelity"])
        np.testing.assert_array_equal(mean.get_ydata(), point["infidelity"])
        assert law.get_color() == mean.get_color()
    (other,) = plot_sweep(found, "time", of="max_deviation").axes
    assert not [line for line in other.lines if line.get_linestyle() == "--"], "it is a law of the infidelity"


def test_of_many_values_those_that_are_lines_are_spread_out_and_named():
    import xarray as xr

    one = summary_of("grid").isel(copies=[0])
    found = xr.concat([one.assign(infidelity=one["infidelity"] * (k + 1)) for k in range(20)], "copies")
    found = found.assign_coords(copies=3.0 * np.arange(20.0))
    (ax,) = plot_sweep(found, "detuning", lines="copies").axes
    places = [0, 3, 5, 8, 11, 14, 16, 19]
    assert [name for name in legend_of(ax) if "=" in name] == [f"copies = {3 * place}" for place in places]
    for (_, y, _), place in zip(series(ax), places):
        np.testing.assert_allclose(y, (place + 1) * one["infidelity"].isel(copies=0, time=-1))


def test_theories_have_markers_values_have_colours_and_each_line_is_its_own():
    found = summary_of("rivals")
    (ax,) = plot_sweep(found, "coupling", lines="copies").axes
    seen = {}
    for drawn, name in zip(ax.containers, legend_of(ax)):
        theory, copies = name.split(", copies = ")
        line = drawn.lines[0]
        np.testing.assert_array_equal(
            line.get_ydata(), found["infidelity"].sel(theory=theory, copies=int(copies)).isel(time=-1)
        )
        seen[theory, copies] = (line.get_marker(), line.get_color())
    assert len(seen) == 6
    for theory in ("a/b", "limit", "Schrodinger"):
        assert len({seen[theory, copies][0] for copies in ("30", "300")}) == 1
    for copies in ("30", "300"):
        assert len({look[0] for (_, other), look in seen.items() if other == copies}) == 3
        assert len({look[1] for (_, other), look in seen.items() if other == copies}) == 1
    assert len({look[1] for look in seen.values()}) == 2


def test_lines_over_words_stand_to_both_sides_of_each():
    found = summary_of("failing")
    (ax,) = plot_sweep(found, "engine", of="max_deviation", lines="floor").axes
    left, right = (drawn.lines[0].get_xdata() for drawn in ax.containers)
    np.testing.assert_allclose(left + right, [0.0, 2.0])
    assert np.all(left < right)
    (alone,) = plot_sweep(found, "engine", of="max_deviation").axes
    np.testing.assert_array_equal(alone.containers[0].lines[0].get_xdata(), [0.0, 1.0])


@pytest.mark.parametrize("raised", ["infidelity_error", "predicted_infidelity"])
def test_neither_an_error_bar_nor_the_law_is_cut_off(raised):
    found = summary_of("grid").isel(copies=slice(2)).copy(deep=True)
    (ax,) = plot_sweep(found, "copies").axes
    assert ax.get_yscale() == "linear"
    low, high = ax.get_ylim()
    end = found.isel(time=-1, detuning=0)
    assert low < 0.0 < float((end["infidelity"] + end["infidelity_error"]).max()) < high
    found[raised][1] = 3.0 * high
    (ax,) = plot_sweep(found, "copies").axes
    assert ax.get_yscale() == "linear"
    assert ax.get_ylim()[1] > 3.0 * high


@pytest.mark.parametrize(
    ("values", "axis", "colours"),
    [((1e-4, 1e-2, 1.0), "log", "LogNorm"), ((0.5, 0.7, 1.0), "linear", "Normalize"), ((0.1, 0.6, 1.0), "linear", 0.0)],
)
def test_heights_and_colours_are_logarithmic_over_many_decades(values, axis, colours):
    found = summary_of("grid").copy(deep=True)
    found["max_deviation"][:] = np.array(values)[:, None, None]
    found["max_deviation_error"][:] = 1e-6
    (ax,) = plot_sweep(found, "copies", of="max_deviation").axes
    low, high = ax.get_ylim()
    assert ax.get_yscale() == axis
    assert low < min(values) < max(values) < high
    norm = meshes(plot_sweep(found, "copies", "detuning", of="max_deviation"))[0].norm
    if colours == 0.0:
        assert (norm.vmin, norm.vmax) == (0.0, 1.0), "from nothing, where the smallest is less than half the largest"
    else:
        assert type(norm).__name__ == colours
        assert (norm.vmin, norm.vmax) == (min(values), max(values))
