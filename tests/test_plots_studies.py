"""The figures of studies show the numbers they were given, and nothing odd breaks them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from glassnet import plots
from glassnet.errors import ConfigError
from glassnet.plots.panels import centre, floor_of, thin
from glassnet.plots.style import INK, MARKERS, line_style, new_figure

pytestmark = pytest.mark.no_cover  # the reports of studies draw these, too

NAN = math.nan
SVG = "{http://www.w3.org/2000/svg}"


def texts(where: Axes | Figure) -> list[str]:
    return [text.get_text() for text in where.texts]


def drawn(figure: Figure) -> Figure:
    """The same figure, after it was drawn; warnings are errors."""
    figure.draw_without_rendering()
    return figure


def xy(line: Line2D) -> tuple[list[float], list[float]]:
    return np.asarray(line.get_xdata(), float).tolist(), np.asarray(line.get_ydata(), float).tolist()


def names(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def cells(axes: Axes) -> dict[tuple[int, int], tuple[str, str]]:
    """The colours of the fill and of the frame of each cell, by row and column."""
    (found,) = [one for one in axes.collections if isinstance(one, PolyCollection)]
    fills, edges = np.asarray(found.get_facecolor()), np.asarray(found.get_edgecolor())
    return {
        tuple(np.asarray(path.vertices)[:4].mean(axis=0).round().astype(int)[::-1].tolist()): (
            to_hex(tuple(fills[k])),
            to_hex(tuple(edges[k])) if len(edges) else "none",
        )
        for k, path in enumerate(found.get_paths())
    }


# ------------------------------------------------------------------------------------------------------ the numbers


def test_mean_and_deviation_are_those_of_the_sample() -> None:
    mean, deviation = centre([[1.0, 5.0, NAN], [3.0, NAN, NAN]])
    np.testing.assert_allclose(mean, [2.0, 5.0, NAN])
    np.testing.assert_allclose(deviation, [math.sqrt(2.0), 0.0, NAN])


def test_a_thinned_line_keeps_its_ends() -> None:
    assert thin(400).tolist() == list(range(400))
    some = thin(60_000)
    assert (len(some), some[0], some[-1]) == (400, 0, 59_999)


@pytest.mark.parametrize(
    ("values", "far"),
    [
        ([], 0),
        ([NAN, 97.0], 0),
        ([96.0, 97.0, 98.0], 0),
        ([90.0, 97.9, 98.0], 1),
        ([95.0, 97.9, 98.0], 0),  # five points are seen beside a tenth
        ([11.35, 9.8, 97.0, 98.0], 2),
        ([11.35, 60.0, 97.0, 97.5, 98.0], 2),
        ([11.35, 20.0, 30.0, 98.0], 0),  # most are low: then the axis has to show them
        ([50.0, 70.0, 90.0], 0),
    ],
)
def test_only_what_is_far_below_is_cut_off(values: list[float], far: int) -> None:
    floor = floor_of(values)
    assert sum(value < (-math.inf if floor is None else floor) for value in values) == far


# ------------------------------------------------------------------------------------------------------------ bands


def test_bands_are_means_and_deviations() -> None:
    ys = np.array([[0.5, 0.90, 0.96], [0.7, 0.92, 0.96]])
    figure = drawn(
        plots.bands_figure(
            {"batch 1": {"adam": ([1, 2, 3], ys)}, "batch 100": {"sgd": ([1, 2, 3], ys[:1])}},
            xlabel="epoch", ylabel="accuracy in %", title="two", percent=True,
        )
    )  # fmt: skip
    first, second = figure.axes
    x, y = xy(first.get_lines()[0])
    assert x == [1, 2, 3]
    assert y == pytest.approx([60.0, 91.0, 96.0])
    (band,) = first.collections
    edge = np.asarray(band.get_paths()[0].vertices)
    spread = 100 * 0.1 * math.sqrt(2)
    assert edge[edge[:, 0] == 1, 1].min() == pytest.approx(60.0 - spread)
    assert edge[edge[:, 0] == 1, 1].max() == pytest.approx(60.0 + spread)
    assert not second.collections  # a single seed has no spread
    assert [axes.get_title("left") for axes in figure.axes] == ["batch 1", "batch 100"]
    assert (first.get_xlabel(), first.get_ylabel(), figure.get_suptitle()) == ("epoch", "accuracy in %", "two")
    assert first.get_ylim() == second.get_ylim()
    assert names(figure) == ["adam", "sgd"]


def test_a_name_looks_the_same_in_all_panels_and_names_differ() -> None:
    line = ([1, 2], [[1.0, 2.0]])
    figure = plots.bands_figure({"a": {"x": line, "y": line}, "b": {"y": line}}, xlabel="", ylabel="")
    (x, y), (again,) = [axes.get_lines() for axes in figure.axes]
    assert y.get_color() == again.get_color() != x.get_color()
    styles = [tuple(map(str, line_style(i).values())) for i in range(35)]
    assert len(set(styles)) == 35
    assert len({(dashes, marker) for _, dashes, marker in styles}) == 35  # without colour, too


def test_the_axis_of_accuracies_begins_where_they_differ_and_names_what_is_below() -> None:
    epochs = np.arange(1, 21)
    good = 0.98 - 0.9 * np.exp(-0.5 * epochs)
    lines: dict[str, Any] = {name: (epochs, [good - 0.005 * i]) for i, name in enumerate("abcdef")}
    figure = drawn(
        plots.bands_figure({"": lines | {"lost": (epochs, [[0.1135] * 20])}}, xlabel="", ylabel="", percent=True)
    )
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    assert 85 < low < 95.4
    assert 98 < high < 100
    assert sorted(texts(axes)) == ["below, at the end:", "lost 11.3"]
    assert names(figure)[-1] == "lost"


def test_many_points_are_thinned() -> None:
    figure = plots.bands_figure({"": {"a": (range(5000), np.ones((2, 5000)))}}, xlabel="", ylabel="")
    x, _ = xy(figure.axes[0].get_lines()[0])
    assert (len(x), x[0], x[-1]) == (400, 0, 4999)


def test_losses_can_be_logarithmic_and_one_that_explodes_leaves_the_picture() -> None:
    losses = np.array([[2.3, 1.0, 0.1, 0.05], [2.3, 0.9, 0.2, 0.01]])
    figure = drawn(plots.bands_figure({"": {"a": ([1, 2, 3, 4], losses)}}, xlabel="", ylabel="", logy=True, logx=True))
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("log", "log")
    lines = {str(i): ([1, 2, 3, 4], losses + 0.1 * i) for i in range(3)} | {"wild": ([1, 2, 3, 4], losses * 1e9)}
    assert drawn(plots.bands_figure({"": lines}, xlabel="", ylabel="")).axes[0].get_ylim()[1] < 10


@pytest.mark.parametrize("kind", ["percent", "log", ""])
@pytest.mark.parametrize(
    "line",
    [([1], [[0.5]]), ([1], [[0.5], [0.7], [NAN]]), ([1, 2], [[NAN, NAN]]), ([], []), ([1, 2], np.empty((0, 2))),
     ([1, 2, 3], [[NAN, 0.5, NAN], [0.2, 0.6, NAN]]), ([1, 2], [[0.0, 0.0]]), ([0, 1], [[1e300, math.inf]]),
     ([3, 3], [[0.5, 0.5]])],
)  # fmt: skip
def test_odd_lines_can_be_drawn(line: Any, kind: str) -> None:
    log = kind == "log"
    for panels in ({"": {"a": line}}, {"p": {"a": line}, "q": {}, "r": {"b": ([1, 2], [[0.9, 0.8]]), "a": line}}):
        drawn(plots.bands_figure(panels, xlabel="x", ylabel="y", percent=kind == "percent", logy=log, logx=log))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_panels_stand_in_rows(count: int) -> None:
    panels = {f"panel {i}": {"a": ([1, 2], [[1.0, 2.0]])} for i in range(count)}
    figure = drawn(plots.bands_figure(panels, xlabel="epoch", ylabel="loss"))
    assert len(figure.axes) == count
    columns = 2 if count == 4 else min(count, 3)
    assert [bool(axes.get_xlabel()) for axes in figure.axes] == [i + columns >= count for i in range(count)]


# ------------------------------------------------------------------------------------------------------------- dots


def test_dots_are_seeds_means_deviations_and_marks() -> None:
    figure = drawn(
        plots.dots_figure(
            {"adam": [98.0, 98.1, 98.2], "sgd": [97.0]}, marks={"adam": 97.5}, mark_label="published", xlabel="accuracy"
        )
    )
    (axes,) = figure.axes
    seeds, bar, mean, mark, single = axes.get_lines()
    assert xy(seeds) == ([98.0, 98.1, 98.2], [0, 0, 0])
    assert xy(bar)[0] == pytest.approx([98.0, 98.2])
    assert xy(mean)[0] == pytest.approx([98.1])
    assert (xy(mark), mark.get_marker(), mark.get_fillstyle()) == (([97.5], [0]), "D", "none")
    assert xy(single) == ([97.0], [1])
    assert texts(axes) == ["98.10 ± 0.10", "97.00"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["adam", "sgd"]
    assert names(figure) == ["one seed", "mean ± deviation", "published"]
    low, high = axes.get_ylim()
    assert low > high  # the first row is at the top


def test_values_far_below_become_an_arrow_with_their_number() -> None:
    rows = {"good": [97.0, 97.2], "lost": [11.35, 11.35], "mixed": [9.8, 97.1], "fair": [96.5, 96.6], "ok": [97.0]}
    figure = drawn(plots.dots_figure(rows, marks={"lost": 9.8, "good": 97.3}))
    (axes,) = figure.axes
    assert axes.get_xlim()[0] > 90
    assert {"11.35", "9.80 (1 of 2)", "9.80", "11.35 ± 0.00", "53.45 ± 61.73"} <= set(texts(axes))
    arrows = [line for line in axes.get_lines() if line.get_marker() == "<"]
    assert [xy(line)[1] for line in arrows] == [[1], [1], [2]]
    marks = [xy(line) for line in axes.get_lines() if line.get_marker() == "D"]
    assert marks == [([97.3], [0])]


def test_rows_in_groups_stand_under_headings() -> None:
    rows = {"full batch": {"adam": [97.0, 98.0], "sgd": [96.0]}, "batch 1": {"adam": [95.0]}}
    figure = drawn(plots.dots_figure(rows, marks={"full batch": {"adam": 97.0}, "batch 1": {"adam": 94.0}}))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["adam", "sgd", "adam"]
    assert {"full batch", "batch 1"} <= set(texts(axes))
    diamonds = [xy(line)[0] for line in axes.get_lines() if line.get_marker() == "D"]
    assert diamonds == [[97.0], [94.0]]


@pytest.mark.parametrize(
    "rows",
    [{}, {"a": []}, {"a": [NAN, NAN]}, {"a": [98.0, NAN]}, {"a": [5.0]}, {"g": {}}, {"a": [0.0, 0.0]},
     {"a": [math.inf, 1.0]}, {f"row {i}": [i, i + 1.0] for i in range(30)}],
)  # fmt: skip
def test_odd_rows_can_be_drawn(rows: Any) -> None:
    figure = drawn(plots.dots_figure(rows, marks={"a": NAN}))
    if rows.get("a") == [98.0, NAN]:
        assert texts(figure.axes[0]) == ["98.00  (1 of 2)"]
    if not rows or rows in ({"a": []}, {"a": [NAN, NAN]}):
        assert "no value" in texts(figure.axes[0])


def test_more_rows_make_a_higher_figure() -> None:
    heights = [plots.dots_figure({str(i): [1.0] for i in range(n)}).get_figheight() for n in (1, 10, 30)]
    assert heights == sorted(set(heights))


# ------------------------------------------------------------------------------------------------------------ rates


def test_a_search_shows_means_seeds_the_choice_and_what_diverged() -> None:
    accuracies = [[90.0, 92.0], [97.0, 98.0], [96.0, NAN], [NAN, NAN]]
    figure = drawn(plots.rates_figure({"adam": ([0.001, 0.01, 0.1, 1.0], accuracies, 0.01)}))
    (axes,) = figure.axes
    seeds, mean, below, lost, partly, choice, ring = axes.get_lines()
    assert xy(seeds)[0] == [0.001, 0.001, 0.01, 0.01, 0.1, 0.1, 1.0, 1.0]
    np.testing.assert_allclose(xy(mean), [[0.001, 0.01, 0.1, 1.0], [91.0, 97.5, 96.0, NAN]])
    assert xy(below)[0] == [0.001]  # 91 is far below 97.5
    assert (xy(lost)[0], lost.get_marker(), lost.get_color()) == ([1.0], "x", INK)
    assert (xy(partly)[0], partly.get_marker()) == ([0.1], "x")
    assert xy(choice)[0] == [0.01, 0.01]
    assert xy(ring) == ([0.01], [97.5])
    assert (axes.get_title("left"), axes.get_title("right"), axes.get_xscale()) == ("adam", "0.01", "log")


def test_searches_share_one_scale_four_in_a_row() -> None:
    searches = {f"rule {i}": ([0.1, 0.01, 1.0], [[90.0 + i], [80.0], [10.0]], 0.1) for i in range(5)}
    figure = drawn(plots.rates_figure(searches, "a title"))
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert len({round(axes.get_position().y0, 3) for axes in figure.axes}) == 2
    assert xy(figure.axes[0].get_lines()[0])[0] == [0.01, 0.1, 1.0]  # in order


@pytest.mark.parametrize(
    "search",
    [([], [], None), ([0.1], [[NAN]], None), ([0.1], [[97.0]], 0.1), ([0.1, 1.0], [[97.0], [NAN]], 0.5),
     ([0.1, 0.2], np.empty((2, 0)), NAN), ([0.0, 0.1], [[10.0], [20.0]], 0.1)],
)  # fmt: skip
def test_odd_searches_can_be_drawn(search: Any) -> None:
    drawn(plots.rates_figure({"a": search}))
    drawn(plots.rates_figure({"a": search, "b": ([0.1, 1.0], [[97.0, 98.0], [1.0, 2.0]], 0.1)}))


def test_no_search_can_be_drawn() -> None:
    drawn(plots.rates_figure({}))


# ------------------------------------------------------------------------------------------------------------ pairs


def test_pairs_have_signs_colours_and_frames() -> None:
    differences = np.array([[0.0, 0.5, -0.04], [-0.5, 0.0, NAN], [0.04, NAN, 0.0]])
    real = np.abs(differences) > 0.1
    figure = drawn(plots.pairs_figure(["a", "b", "c"], differences, real))
    axes = figure.axes[0]
    found = {text.get_text(): text.get_fontweight() for text in axes.texts}
    assert found.pop("bold with a frame: more than chance")
    assert found == {"+0.50": "bold", "−0.50": "bold", "−0.04": "normal", "+0.04": "normal"}
    fills = cells(axes)
    assert set(fills) == {(0, 1), (0, 2), (1, 0), (2, 0)}
    red, blue = (int(fills[0, 1][0][i : i + 2], 16) for i in (1, 5))
    assert blue > red  # a is better than b
    red, blue = (int(fills[1, 0][0][i : i + 2], 16) for i in (1, 5))
    assert red > blue
    assert fills[0, 1][1] == INK
    assert fills[0, 2][0] == fills[0, 2][1]  # no frame of its own
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]


def test_one_that_fell_far_behind_does_not_take_all_colours() -> None:
    means = np.array([97.0, 97.5, 98.0, 98.5, 11.0])
    differences = means[:, None] - means
    axes = plots.pairs_figure(list("abcde"), differences, np.abs(differences) > 0.1).figure.axes[0]
    assert cells(axes)[0, 3] != cells(axes)[0, 4]
    assert cells(axes)[3, 0][0] not in ("#ffffff", cells(axes)[1, 0][0])


@pytest.mark.parametrize("count", [0, 1, 2, 20, 21])
def test_any_number_of_pairs_can_be_drawn(count: int) -> None:
    means = np.arange(count, dtype=float)
    differences = means[:, None] - means
    figure = drawn(plots.pairs_figure([f"n{i}" for i in range(count)], differences, differences > 1))
    numbered = [text for text in texts(figure.axes[0]) if text.startswith(("+", "−"))]
    assert len(numbered) == (count * (count - 1) if count <= 20 else 0)


def test_pairs_without_numbers_or_of_equals_can_be_drawn() -> None:
    nothing = np.full((2, 2), NAN)
    assert texts(drawn(plots.pairs_figure(["a", "b"], nothing, nothing > 0)).axes[0]) == ["no value"]
    drawn(plots.pairs_figure(["a", "b"], np.zeros((2, 2)), np.zeros((2, 2), bool)))
    with pytest.raises(ConfigError, match=r"3 names need matrices \(3, 3\), not \(2, 2\)"):
        plots.pairs_figure(["a", "b", "c"], nothing, nothing > 0)


# ---------------------------------------------------------------------------------------------------------- heatmap


def test_a_heatmap_shows_each_value_in_one_scale() -> None:
    tables = {
        "2 layers": (["relu", "tanh"], ["he", "glorot"], [[98.0, 97.0], [NAN, 96.0]]),
        "5 layers": (["relu"], ["he"], [[98.0]]),
    }
    figure = drawn(plots.heatmap_figure(tables, xlabel="initializer", ylabel="activation", title="t"))
    first, second, bar = figure.axes
    assert texts(first) == ["98.00", "97.00", "96.00"]
    assert set(cells(first)) == {(0, 0), (0, 1), (1, 1)}
    assert cells(first)[0, 0] == cells(second)[0, 0]
    assert len({fill for fill, _ in cells(first).values()}) == 3
    assert [label.get_text() for label in first.get_yticklabels()] == ["relu", "tanh"]
    assert (first.get_xlabel(), first.get_ylabel()) == ("initializer", "activation")
    assert bar.get_ylabel() == "mean test accuracy in %"


def test_values_far_below_are_grey_and_keep_their_number() -> None:
    values = [[98.0, 97.0], [11.35, 97.5]]
    axes = plots.heatmap_figure({"": (["a", "b"], ["c", "d"], values)}).axes[0]
    assert cells(axes)[1, 0][0] == "#d9d9d9"
    assert "11.35" in texts(axes)
    assert len({fill for fill, _ in cells(axes).values()}) == 4


@pytest.mark.parametrize(
    "panels",
    [{}, {"": ([], [], [])}, {"": (["a"], ["b"], [[NAN]])}, {"": (["a"], ["b"], [[5.0]])},
     {"": (["a"] * 30, ["b" * 9] * 30, np.ones((30, 30)))}, {f"{i}": (["a"], ["b"], [[i]]) for i in range(5)},
     {"x": (["a"], ["b"], [[1.0]]), "y": ([], ["b"], [])}],
)  # fmt: skip
def test_odd_heatmaps_can_be_drawn(panels: Any) -> None:
    drawn(plots.heatmap_figure(panels))


def test_a_heatmap_whose_names_do_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"2 rows and 1 columns do not fit values of shape \(1, 2\)"):
        plots.heatmap_figure({"": (["a", "b"], ["c"], [[1.0, 2.0]])})


# --------------------------------------------------------------------------------------------------- layers, against


def test_layers_are_counted_from_one() -> None:
    figure = drawn(plots.layers_figure({"he": {"relu": [1e-3, 1e-2, 1e-1], "sigmoid": [0.0, 1e-5]}}, ylabel="rms"))
    (axes,) = figure.axes
    relu, none, sigmoid, zeros = axes.get_lines()
    assert xy(relu) == ([1, 2, 3], [1e-3, 1e-2, 1e-1])
    assert xy(none) == ([], [])
    np.testing.assert_array_equal(xy(sigmoid)[1], [NAN, 1e-5])
    assert (xy(zeros)[0], zeros.get_marker()) == ([1], "v")
    assert (axes.get_yscale(), axes.get_ylabel(), names(figure)) == ("log", "rms", ["relu", "sigmoid"])
    linear = drawn(plots.layers_figure({"": {"relu": [0.0, 0.5]}}, ylabel="dead", logy=False)).axes[0]
    assert (linear.get_yscale(), xy(linear.get_lines()[0])[1]) == ("linear", [0.0, 0.5])


@pytest.mark.parametrize("values", [[], [NAN], [0.0, 0.0], [1.0], [math.inf, -1.0], [1e-300, 1e-9]])
@pytest.mark.parametrize("logy", [True, False])
def test_odd_layers_can_be_drawn(values: list[float], logy: bool) -> None:
    drawn(plots.layers_figure({"": {"a": values}, "q": {}}, ylabel="y", logy=logy))
    drawn(plots.layers_figure({}, ylabel="y", logy=logy))


def test_settings_stand_in_order_with_their_deviations() -> None:
    figure = drawn(
        plots.against_figure({"a": ([100, 1, 10], [3.0, 1.0, 2.0], [0.3, 0.1, 0.2])}, xlabel="b", ylabel="a")
    )
    (axes,) = figure.axes
    (line,) = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert xy(line) == ([1, 10, 100], [1.0, 2.0, 3.0])
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "10", "100"]
    bars = np.array(axes.collections[0].get_segments())  # type: ignore[attr-defined]
    np.testing.assert_allclose(bars[:, :, 1], [[0.9, 1.1], [1.8, 2.2], [2.7, 3.3]])


def test_few_numbers_are_linear_and_words_come_last() -> None:
    near = drawn(plots.against_figure({"a": ([1, 2, 5], [1.0, 2.0, 3.0], [0, 0, 0])}, xlabel="", ylabel=""))
    assert near.axes[0].get_xscale() == "linear"
    lines: Mapping[str, Any] = {"a": (["full", 1, 1000], [3.0, 1.0, 2.0], [0, 0, 0]), "b": ([10], [5.0], [NAN])}
    figure = drawn(plots.against_figure(lines, xlabel="", ylabel=""))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "10", "1,000", "full"]
    found = {line.get_marker(): xy(line) for line in axes.get_lines() if line.get_marker() in MARKERS}
    assert found == {"o": ([0, 2, 3], [1.0, 2.0, 3.0]), "s": ([1], [5.0])}
    assert names(figure) == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    [([], [], []), ([1], [2.0], [NAN]), ([1, 2], [NAN, NAN], [0, 0]), (["full"], [1.0], [0.1]),
     ([0, 100], [1, 2], [0, 0]), ([None, [3], NAN], [1, 2, 3], [0, 0, 0])],
)  # fmt: skip
def test_odd_settings_can_be_drawn(line: Any) -> None:
    drawn(plots.against_figure({"a": line}, xlabel="x", ylabel="y"))
    drawn(plots.against_figure({}, xlabel="x", ylabel="y"))


# ------------------------------------------------------------------------------------------------------------ speed


def test_speed_has_a_marker_for_each_level_that_was_reached() -> None:
    figure = drawn(plots.speed_figure({"adam": {"90 %": 0.5, "97 %": 4.0}, "sgd": {"90 %": 2.0, "97 %": NAN}}))
    (axes,) = figure.axes
    found = [(line.get_marker(), *xy(line)) for line in axes.get_lines()]
    assert found == [("None", [0.5, 4.0], [0, 0]), ("o", [0.5], [0]), ("s", [4.0], [0]), ("o", [2.0], [1])]
    assert texts(axes) == ["not 97 %"]
    assert names(figure) == ["90 %", "97 %"]
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    "rows",
    [{}, {"a": {}}, {"a": {"90 %": None}}, {"a": {"90 %": 1.0}}, {"a": {"90 %": 0.0, "95 %": 1e9, "97 %": 1e-3}}],
)
def test_odd_speeds_can_be_drawn(rows: Any) -> None:
    drawn(plots.speed_figure(rows))


# -------------------------------------------------------------------------------------------- all of them, and as SVG

ODD = r"te$\frac$ <a&b> _x id=\"m\" href=\"#q\" : #333333"
ALL: dict[str, Callable[[str], Figure]] = {
    "bands": lambda n: plots.bands_figure(
        {n: {n: ([1, 2], [[1.0, 2.0]]), "_b": ([1], [[1]])}}, xlabel=n, ylabel=n, title=n
    ),
    "dots": lambda n: plots.dots_figure({n: {n: [1.0, 2.0]}}, marks={n: {n: 1.5}}, mark_label=n, xlabel=n, title=n),
    "rates": lambda n: plots.rates_figure({n: ([0.1, 1.0], [[1.0], [2.0]], 0.1), "b": ([0.1], [[1.0]], None)}, n),
    "pairs": lambda n: plots.pairs_figure([n, n], [[0.0, 1.0], [-1.0, 0.0]], np.eye(2) < 1, n),
    "heatmap": lambda n: plots.heatmap_figure({n: ([n], [n], [[1.0]])}, title=n, label=n, xlabel=n, ylabel=n),
    "layers": lambda n: plots.layers_figure({n: {n: [1.0, 2.0]}}, ylabel=n, title=n),
    "against": lambda n: plots.against_figure({n: ([n, 1], [1.0, 2.0], [1, 1])}, xlabel=n, ylabel=n, title=n),
    "speed": lambda n: plots.speed_figure({n: {n: 1.0, "b": NAN}}, n),
}  # fmt: skip


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("name", [ODD, "数字 ✓ 100 %", "x" * 300, "a\nb"])
def test_any_text_can_be_drawn(kind: str, name: str) -> None:
    figure = ALL[kind](name)
    root = ElementTree.fromstring(plots.svg(figure, name))
    assert root.tag == f"{SVG}svg"


@pytest.mark.parametrize("kind", ALL)
def test_an_svg_is_deterministic_and_says_nothing_of_its_making(kind: str) -> None:
    once, again = (plots.svg(ALL[kind]("a name"), "what it shows") for _ in range(2))
    assert once == again
    for unwanted in ("<?xml", "DOCTYPE", "metadata", "<style", "xlink", "DejaVu", "matplotlib", "dc:date"):
        assert unwanted not in once


def test_an_svg_has_a_title_a_view_box_and_text() -> None:
    figure = ALL["dots"]("adam")
    root = ElementTree.fromstring(plots.svg(figure, 'accuracy < 98 % & "more"'))
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == 'accuracy < 98 % & "more"'
    width, height = (72 * float(side) for side in figure.get_size_inches())
    assert root.attrib["role"] == "img"
    assert root.attrib["width"] == "100%"
    assert [float(n) for n in root.attrib["viewBox"].split()] == pytest.approx([0, 0, width, height], rel=1e-4)
    found = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert {"1.500 ± 0.707", "mean ± deviation"} <= set(found)


def test_two_figures_of_one_page_share_no_id_and_every_reference_is_met() -> None:
    found = []
    for prefix in ("first", "second"):
        text = plots.svg(ALL["bands"](ODD), "", prefix=prefix)
        ids = [element.attrib["id"] for element in ElementTree.fromstring(text).iter() if "id" in element.attrib]
        assert ids
        assert len(ids) == len(set(ids))
        tags = "".join(re.findall(r"<[^>]*>", text))
        assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', tags)) == set(ids)
        found.append(set(ids))
    assert not found[0] & found[1]


def test_texts_of_an_svg_stay_what_they_are() -> None:
    figure = new_figure(4, 2)
    axes = figure.subplots()
    axes.set_title('id="m" href="#q" : #333333 1.23456', parse_math=False)
    root = ElementTree.fromstring(plots.svg(figure, ""))
    assert 'id="m" href="#q" : #333333 1.23456' in ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def test_ink_and_greys_of_an_svg_are_variables_and_the_ground_is_transparent() -> None:
    text = plots.svg(ALL["bands"]("a"), "")
    tags = "".join(re.findall(r"<[^>]*>", text)).lower()
    for variable, colour in {"ink": "#333333", "grey": "#666666", "pale": "#e5e5e5", "line": "#aaaaaa"}.items():
        assert f"var(--{variable}, {colour})" in tags
        assert f": {colour}" not in tags
    assert "#ffffff" not in tags


def test_numbers_in_cells_do_not_follow_the_page() -> None:
    root = ElementTree.fromstring(plots.svg(ALL["heatmap"]("a"), ""))
    (number,) = [text for text in root.iter(f"{SVG}text") if "".join(text.itertext()) == "1.000"]
    assert "var(" not in number.attrib["style"]
