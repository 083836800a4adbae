"""Figures show the numbers they were given."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glassnet import (
    Dense,
    Flatten,
    Identity,
    MeanSquaredError,
    Model,
    Network,
    Preprocessing,
    ReLU,
    Samples,
    Sigmoid,
    SigmoidCrossEntropy,
    Softmax,
    SoftmaxCrossEntropy,
    plots,
)
from glassnet.errors import ConfigError
from glassnet.history import COLUMNS, History
from glassnet.layers import Layer

NAN = math.nan


def history(epochs: int = 3, **columns: Any) -> History:
    made: History = {name: [0.5 / (i + 1) for i in range(epochs)] for name in COLUMNS}
    return made | {"epoch": [i + 1 for i in range(epochs)]} | columns


def lines(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    return {
        str(line.get_label()): (list(np.asarray(line.get_xdata())), list(np.asarray(line.get_ydata())))
        for line in axes.get_lines()
    }


def test_the_learning_curve_shows_the_history() -> None:
    figure = plots.learning_curve(
        history(
            train_loss=[2.0, 1.0, 0.5], validation_loss=[1.5, 0.75, 1.0],
            train_accuracy=[0.25, 0.5, 0.75], validation_accuracy=[0.5, 0.75, 1.0],
        ),
        "a title",
    )  # fmt: skip
    loss, accuracy = figure.axes
    assert lines(loss) == {"training": ([1, 2, 3], [2.0, 1.0, 0.5]), "validation": ([1, 2, 3], [1.5, 0.75, 1.0])}
    assert lines(accuracy) == {
        "training": ([1, 2, 3], [25.0, 50.0, 75.0]),
        "validation": ([1, 2, 3], [50.0, 75.0, 100.0]),
    }
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "loss")
    assert (accuracy.get_xlabel(), accuracy.get_ylabel()) == ("epoch", "accuracy in %")
    assert figure.get_suptitle() == "a title"
    for axes in figure.axes:
        legend = axes.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]


def test_colours_and_dashes_tell_the_splits_apart() -> None:
    training, validation = plots.learning_curve(history()).axes[0].get_lines()
    assert training.get_color() != validation.get_color()
    assert training.get_linestyle() != validation.get_linestyle()


def test_what_was_not_measured_is_not_drawn() -> None:
    nothing = [NAN, NAN, NAN]
    figure = plots.learning_curve(history(validation_loss=nothing, validation_accuracy=nothing, train_accuracy=nothing))
    assert list(lines(figure.axes[0])) == ["training"]
    assert lines(figure.axes[1]) == {}
    assert figure.axes[1].get_legend() is None


def test_a_single_epoch_is_a_point_in_the_middle() -> None:
    axes = plots.learning_curve(history(1)).axes[0]
    assert axes.get_xlim() == (0, 2)
    assert axes.get_lines()[0].get_marker() == "o"


def test_many_epochs_are_drawn_without_markers() -> None:
    markers = {epochs: plots.learning_curve(history(epochs)).axes[0].get_lines()[0].get_marker() for epochs in (30, 31)}
    assert markers[30] == "o"
    assert markers[31] in ("None", None, "")


def test_no_epoch_is_refused() -> None:
    with pytest.raises(ConfigError, match="the history has no epoch"):
        plots.learning_curve(history(0))


def test_one_quantity_is_drawn_into_given_axes() -> None:
    axes = Figure().subplots()
    assert plots.draw_column(axes, history(), "loss") is axes
    assert len(axes.get_lines()) == 2


@pytest.mark.no_cover
@pytest.mark.parametrize("title", ["", "plain", r"te$\frac$", "a_b^c $x", "数字 ✓ 100 %", "x" * 300])
def test_any_title_can_be_saved(tmp_path: Path, title: str) -> None:
    plots.save(plots.learning_curve(history(), title), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("values", [[1.0, NAN, 2.0], [1e300, 1e-300, 0.0], [math.inf, 1.0, 2.0], [math.inf] * 3])
def test_odd_numbers_can_be_drawn(tmp_path: Path, values: list[float]) -> None:
    plots.save(plots.learning_curve(history(train_loss=values, validation_loss=values)), tmp_path / "curve.svg")
    assert b"<svg" in (tmp_path / "curve.svg").read_bytes()


HUGE = [[1e308, 1.0, 2.0], [1.7e308, -1.7e308, 1.0], [1e101, 1.0, 2.0], [1e100, -1e100, 1e-300], [1e99] * 3]


@pytest.mark.no_cover
@pytest.mark.parametrize("values", HUGE)
def test_numbers_too_large_for_an_axis_are_left_out(tmp_path: Path, values: list[float]) -> None:
    runs = {"huge": dict.fromkeys(COLUMNS, values) | {"epoch": [1, 2, 3]}, "other": history()}
    curve, comparison = plots.learning_curve(runs["huge"]), plots.comparison_figure(runs, "", list(plots.QUANTITIES))
    for figure in (curve, comparison, plots.learning_rate_range_figure([0.1, 0.2, 0.3], values, values, 0.2)):
        plots.save(figure, tmp_path / "curve.png")
    for factor, axes in zip((1, 100), curve.axes, strict=True):
        drawn = lines(axes)["training"][1]
        expected = [value * factor if abs(value) < 1e100 * 1.5 else NAN for value in values]
        np.testing.assert_array_equal(drawn, expected)


def test_a_run_of_numbers_too_large_for_an_axis_was_not_measured() -> None:
    axes = plots.compare(Figure().subplots(), {"a": history(2, validation_loss=[1e308, 1e200])})
    assert [text.get_text() for text in axes.texts] == ["not measured"]


def test_a_figure_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "curve.nothing"
    path.write_text("old")
    with pytest.raises(ValueError, match="nothing"):
        plots.save(plots.learning_curve(history()), path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("curve.nothing", "old")]


# ------------------------------------------------------------------------------------------ several runs


def legend_of(part: Axes | Figure) -> list[str]:
    legend = part.get_legend() if isinstance(part, Axes) else part.legends[0]
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_runs_are_compared_with_their_numbers() -> None:
    axes = Figure().subplots()
    runs = {"sgd": history(validation_loss=[3.0, 2.0, 1.0]), "adam": history(2, validation_loss=[0.5, 0.25])}
    assert plots.compare(axes, runs) is axes
    assert lines(axes) == {"sgd": ([1, 2, 3], [3.0, 2.0, 1.0]), "adam": ([1, 2], [0.5, 0.25])}
    assert legend_of(axes) == ["sgd", "adam"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epoch", "validation loss", "linear")


def test_the_figure_has_a_panel_for_each_quantity_and_names_the_runs_once() -> None:
    runs = {"a": history(validation_accuracy=[0.5, 0.75, 1.0]), "b": history()}
    figure = plots.comparison_figure(runs, "two runs", ["train_loss", "validation_accuracy", "learning_rate"])
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "training loss", "validation accuracy in %", "learning rate",
    ]  # fmt: skip
    assert lines(figure.axes[1])["a"] == ([1, 2, 3], [50.0, 75.0, 100.0])
    assert [axes.get_legend() for axes in figure.axes] == [None] * 3
    assert legend_of(figure) == ["a", "b"]
    assert figure.get_suptitle() == "two runs"


def test_35_runs_are_told_apart_without_markers() -> None:
    axes = plots.compare(Figure().subplots(), {f"run {i}": history(40) for i in range(35)}, legend=False)
    drawn = axes.get_lines()
    assert len({(line.get_color(), line.get_linestyle(), line.get_gapcolor()) for line in drawn}) > 7
    dashes = {tuple(line._dash_pattern[1] or ()) for line in drawn}
    assert len(dashes) == 5
    assert len({(line.get_color(), tuple(line._dash_pattern[1] or ())) for line in drawn}) == 35


def test_a_run_keeps_its_look_in_every_panel_and_without_the_others() -> None:
    nothing = history(validation_accuracy=[NAN] * 3)
    loss, accuracy = plots.comparison_figure({"a": nothing, "b": history()}).axes
    assert list(lines(loss)) == ["a", "b"]
    assert list(lines(accuracy)) == ["b"]
    assert loss.get_lines()[1].get_color() == accuracy.get_lines()[0].get_color()


@pytest.mark.parametrize(("losses", "scale"), [([30.0, 1.0], "log"), ([29.0, 1.0], "linear"), ([30.0, 0.0], "linear")])
def test_losses_far_apart_stand_on_a_logarithmic_scale(losses: list[float], scale: str) -> None:
    axes = plots.compare(Figure().subplots(), {"a": history(2, validation_loss=losses)})
    assert axes.get_yscale() == scale
    assert plots.compare(axes, {"a": history(2)}, "validation_accuracy").get_ylabel() == "validation accuracy in %"


def test_what_no_run_measured_is_said() -> None:
    axes = plots.compare(Figure().subplots(), {"a": history(1, validation_loss=[NAN])})
    assert [text.get_text() for text in axes.texts] == ["not measured"]
    assert axes.get_legend() is None


def test_a_comparison_that_makes_no_sense_is_refused() -> None:
    for runs in ({}, {"a": history(0)}):
        with pytest.raises(ConfigError, match="no run has an epoch"):
            plots.comparison_figure(runs)
    with pytest.raises(ConfigError, match="there is no quantity 'speed' to draw; choose from train_loss"):
        plots.compare(Figure().subplots(), {"a": history()}, "speed")


ODD_NAMES = ["_hidden", r"$\frac$", "$x", "数字 ✓", "two\nlines", "\ud800", "x" * 300, "x" * 299 + "y", "\t", "100 %"]


def test_any_name_of_a_run_can_be_drawn(tmp_path: Path) -> None:
    figure = plots.comparison_figure({name: history() for name in ODD_NAMES})
    plots.save(figure, tmp_path / "runs.png")
    assert len(legend_of(figure)) == len(ODD_NAMES)
    assert legend_of(figure)[:3] == ["_hidden", r"$\frac$", "$x"]
    assert legend_of(figure)[4] == "two lines"
    assert len(legend_of(figure)[6]) == 40


def test_odd_losses_of_several_runs_can_be_drawn(tmp_path: Path) -> None:
    odd = [[1.0, NAN, 2.0], [1e300, 1e-300, 0.0], [math.inf, 1.0, 2.0], [math.inf] * 3, [-1.0, 0.0, 1e9]]
    runs = {str(i): history(validation_loss=values, validation_accuracy=values) for i, values in enumerate(odd)}
    plots.save(plots.comparison_figure(runs), tmp_path / "runs.svg")


# ------------------------------------------------------------------------------------------ learning rates

RATES = [0.001, 0.01, 0.1, 1.0]


def test_a_test_of_learning_rates_shows_losses_and_the_suggestion() -> None:
    axes = plots.learning_rate_range_figure(RATES, [2.5, 1.5, 1.0, 90.0], [2.0, 1.5, 1.0, 50.0], 0.1, "a title").axes[0]
    raw, smoothed, mark, point = axes.get_lines()
    assert (list(raw.get_xdata()), list(raw.get_ydata())) == (RATES, [2.5, 1.5, 1.0, 90.0])
    assert (list(smoothed.get_xdata()), list(smoothed.get_ydata())) == (RATES, [2.0, 1.5, 1.0, 50.0])
    assert list(mark.get_xdata()) == [0.1, 0.1]
    assert (list(point.get_xdata()), list(point.get_ydata())) == ([0.1], [1.0])
    assert raw.get_linewidth() < smoothed.get_linewidth()
    assert legend_of(axes) == ["loss of each batch", "smoothed", "suggested: 0.1"]
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "learning rate")
    assert axes.get_ylim()[0] < 1.0
    assert 2.0 < axes.get_ylim()[1] < 5.0  # the fall is seen, the explosion leaves the picture


@pytest.mark.no_cover
@pytest.mark.parametrize("smoothed", [[1.0, NAN, math.inf, math.inf], [NAN] * 4, [1.0] * 4])
@pytest.mark.parametrize("suggestion", [None, 0.01])
def test_odd_tests_of_learning_rates_can_be_drawn(
    tmp_path: Path, smoothed: list[float], suggestion: float | None
) -> None:
    figure = plots.learning_rate_range_figure(RATES, smoothed, smoothed, suggestion)
    plots.save(figure, tmp_path / "rates.svg")
    assert len(legend_of(figure.axes[0])) == (2 if suggestion is None else 3)


@pytest.mark.parametrize("losses", [[], [1.0], [[1.0, 2.0, 3.0, 4.0]]])
def test_losses_that_do_not_belong_to_the_rates_are_refused(losses: list[Any]) -> None:
    with pytest.raises(ConfigError, match="must be of one length"):
        plots.learning_rate_range_figure(RATES, losses, losses)
    with pytest.raises(ConfigError, match="must be above 0"):
        plots.learning_rate_range_figure([0.0, 1.0], [1.0, 2.0], [1.0, 2.0])


# ------------------------------------------------------------------------------------------ confusion

MATRIX = [[8, 2, 0], [0, 5, 5], [0, 0, 0]]  # the last class has no samples


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_confusion_matrix_shows_counts_shares_and_what_was_right() -> None:
    figure = plots.confusion_figure(MATRIX, ["zero", "one", "two"], "a title")
    (axes,) = figure.axes
    errors = np.ma.asarray(axes.get_images()[0].get_array())
    assert errors.filled(-1).tolist() == [[-1, 0.2, 0], [0, -1, 0.5], [0, 0, -1]]  # shares of the rows
    counts = {
        (round(text.get_position()[1]), round(text.get_position()[0])): int(text.get_text())
        for text in axes.texts
        if text.get_text().isdecimal()
    }
    assert counts == {(0, 0): 8, (0, 1): 2, (1, 1): 5, (1, 2): 5}
    assert [text for text in texts(axes) if "%" in text or text == "none"] == ["80.0 %", "50.0 %", "none"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["zero", "one", "two"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["zero", "one", "two"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("read as", "is")
    assert axes.get_title("left") == "13 of 20 read right"
    assert figure.get_suptitle() == "a title"


def test_errors_are_coloured_and_what_is_right_is_grey() -> None:
    errors, right = plots.confusion(Figure().subplots(), MATRIX, "abc").get_images()
    red, green, blue, opaque = errors.to_rgba(errors.get_array())[1, 2]
    assert red > 2 * blue
    assert opaque == 1
    assert errors.to_rgba(errors.get_array())[0, 0, 3] == 0  # nothing is drawn there
    red, green, blue, _ = right.to_rgba(right.get_array())[0, 0]
    assert red == green == blue


@pytest.mark.no_cover
@pytest.mark.parametrize(("classes", "numbered"), [(2, True), (30, True), (31, False), (100, False)])
def test_many_classes_are_drawn_without_numbers(tmp_path: Path, classes: int, numbered: bool) -> None:
    figure = plots.confusion_figure(np.full((classes, classes), 12), [f"class {i}" for i in range(classes)])
    plots.save(figure, tmp_path / "confusion.png")
    assert texts(figure.axes[0]).count("12") == (classes * classes if numbered else 0)
    assert len(figure.axes) == (1 if numbered else 2)  # the second is the colour bar
    assert len(figure.axes[0].get_xticks()) <= 50
    assert max(figure.get_size_inches()) < 14


def test_no_errors_at_all_can_be_drawn(tmp_path: Path) -> None:
    for matrix in (np.eye(3), np.zeros((3, 3))):
        plots.save(plots.confusion_figure(matrix, "abc"), tmp_path / "confusion.png")


def test_any_class_name_can_be_drawn(tmp_path: Path) -> None:
    matrix = np.ones((len(ODD_NAMES),) * 2)
    plots.save(plots.confusion_figure(matrix, ODD_NAMES, ODD_NAMES[1]), tmp_path / "confusion.pdf")


def test_a_matrix_that_is_none_is_refused() -> None:
    for matrix in ([[1, 2, 3], [4, 5, 6]], [1, 2], [[1]]):
        with pytest.raises(ConfigError, match=r"has the shape \(C, C\)"):
            plots.confusion_figure(matrix, "ab")
    with pytest.raises(ConfigError, match="there are 3 classes and 2 class names"):
        plots.confusion_figure(MATRIX, "ab")


# ------------------------------------------------------------------------------------------ pictures

IMAGES = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([0, 1, 1, 2])
PROBABILITIES = np.array([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.95, 0.05, 0.0], [0.3, 0.3, 0.4]])


def test_the_surest_mistakes_are_drawn_first_and_say_what_they_are() -> None:
    axes = plots.mistakes(Figure((9, 6)).subplots(), IMAGES, LABELS, PROBABILITIES, ["cat", "dog", "owl"])
    assert texts(axes) == ["is dog, read as cat (95 %)", "is cat, read as dog (50 %)"]
    assert axes.get_title("left") == "2 of 4 misread; all of them"
    shown = np.ma.asarray(axes.get_images()[0].get_array())
    k = 10  # 28 pixels a side at least, of pictures 3 wide
    assert shown[: 2 * k : k, : 3 * k : k].tolist() == IMAGES[2].tolist()
    assert shown[: 2 * k : k, -3 * k :: k].tolist() == IMAGES[0].tolist()
    assert shown.mask[:, 3 * k].all()  # between the two
    first, second = axes.texts
    assert first.get_position()[0] < second.get_position()[0]


def test_at_most_so_many_mistakes_are_drawn() -> None:
    x, p = np.zeros((50, 5, 5)), np.tile([0.25, 0.75], (50, 1))
    axes = plots.mistakes_figure(x, np.zeros(50, int), p, "ab").axes[0]
    assert axes.get_title("left") == "50 of 50 misread; the 24 surest"
    assert texts(axes) == ["is a, read as b (75 %)"] * 24
    assert len({text.get_position() for text in axes.texts}) == 24
    assert len(plots.mistakes_figure(x, np.zeros(50, int), p, "ab", count=7).axes[0].texts) == 7


def test_one_output_unit_is_the_probability_of_the_second_class() -> None:
    p = np.array([[0.9], [0.1], [0.2], [0.7]])
    axes = plots.mistakes_figure(IMAGES, np.array([0, 1, 0, 1]), p, ["no", "yes"]).axes[0]
    assert texts(axes) == ["is no, read as yes (90 %)", "is yes, read as no (90 %)"]


def test_long_names_take_two_lines() -> None:
    names = ["ankle boot, brown", "sneaker", "sandal"]
    axes = plots.mistakes(Figure((3, 3)).subplots(), IMAGES, LABELS, PROBABILITIES, names)
    assert texts(axes)[0] == "is sneaker,\nread as ankle boot, bro… (95 %)"


@pytest.mark.parametrize(("inks", "ground"), [(25, 1.0), (75, 0.0)])
def test_the_ground_is_light(inks: int, ground: float) -> None:
    x = (np.arange(100).reshape(1, 10, 10) < inks) * 255
    image = plots.mistakes_figure(x, [0], np.array([[0.0, 1.0]]), "ab").axes[0].get_images()[0]
    assert image.to_rgba(0.0)[0] == ground
    assert image.to_rgba(255.0)[0] == 1 - ground


def test_no_mistake_is_said_so(tmp_path: Path) -> None:
    figure = plots.mistakes_figure(IMAGES, PROBABILITIES.argmax(axis=1), PROBABILITIES, "abc", "a title")
    plots.save(figure, tmp_path / "mistakes.png")
    assert texts(figure.axes[0]) == ["none of the 4 samples was misread"]


@pytest.mark.parametrize("value", [0, 255, NAN])
@pytest.mark.parametrize("shape", [(28, 28, 1), (16,), (2, 300), (300, 2), (500, 500)])
def test_odd_pictures_can_be_drawn(tmp_path: Path, value: float, shape: tuple[int, ...]) -> None:
    figure = plots.mistakes_figure(np.full((3, *shape), value), [0, 0, 0], np.eye(3)[[1, 2, 0]], ODD_NAMES[:3], "title")
    plots.save(figure, tmp_path / "mistakes.png")
    assert max(figure.get_size_inches()) < 40


def test_what_is_no_picture_is_not_drawn() -> None:
    with pytest.raises(ConfigError, match=r"samples of shape \(13,\) are no pictures"):
        plots.mistakes_figure(np.zeros((4, 13)), LABELS, PROBABILITIES, "abc")
    with pytest.raises(ConfigError, match="there are 3 pictures and 4 labels"):
        plots.mistakes_figure(IMAGES[:3], LABELS, PROBABILITIES, "abc")
    with pytest.raises(ConfigError, match="do not fit"):
        plots.mistakes_figure(IMAGES, LABELS, PROBABILITIES[:3], "abc")


@pytest.mark.parametrize(
    ("shape", "picture"),
    [
        ((28, 28), (28, 28)), ((28, 28, 1), (28, 28)), ((784,), (28, 28)), ((6, 5), (6, 5)), ((16,), (4, 4)),
        ((2, 2), (2, 2)), ((32, 32, 3), None), ((785,), None), ((9,), None), ((1, 28), None), ((28, 1), None),
        ((2, 2, 2, 2), None), ((), None),
    ],
)  # fmt: skip
def test_which_samples_are_pictures(shape: tuple[int, ...], picture: tuple[int, int] | None) -> None:
    assert plots.picture_shape(shape) == picture


# ------------------------------------------------------------------------------------------ weights


def test_each_unit_shows_its_column_of_weights() -> None:
    W = np.arange(30.0).reshape(6, 5) - 15  # five units that read pictures of 2 x 3
    figure = plots.weights_figure(W, (2, 3), "a title")
    axes, bar = figure.axes
    (image,) = axes.get_images()
    shown = np.ma.asarray(image.get_array())
    k = 10
    assert shown[: 2 * k : k, : 3 * k : k].tolist() == [[-15, -10, -5], [0, 5, 10]]
    low, high = image.get_clim()
    assert low == -high
    assert high == pytest.approx(15, rel=0.1)
    assert shown[-2 * k :: k, : 3 * k : k].tolist() == [[-12, -7, -2], [3, 8, 13]]  # the fourth, in the second row
    assert axes.get_title("left") == "what each unit of the first layer looks for"
    assert [label.get_text() for label in bar.get_xticklabels()] == [
        f"\N{MINUS SIGN}{high:.2g} against", "0", f"+{high:.2g} for",
    ]  # fmt: skip


def test_for_and_against_are_told_by_colours_around_white() -> None:
    image = plots.weights(Figure().subplots(), np.eye(16), (4, 4)).get_images()[0]
    high = image.get_clim()[1]
    assert image.to_rgba(0.0)[:3] == pytest.approx((1, 1, 1), abs=0.01)
    assert image.to_rgba(high)[0] > image.to_rgba(high)[2]  # more red than blue
    assert image.to_rgba(-high)[0] < image.to_rgba(-high)[2]


def test_few_large_weights_do_not_pale_the_rest() -> None:
    W = np.ones((16, 100))
    W[0, 0] = 1e6
    assert plots.weights(Figure().subplots(), W, (4, 4)).get_images()[0].get_clim() == (-1, 1)


def test_of_many_units_the_first_are_drawn_and_that_is_said(tmp_path: Path) -> None:
    figure = plots.weights_figure(np.ones((784, 512)), (28, 28))
    plots.save(figure, tmp_path / "weights.png")
    assert figure.axes[0].get_title("left") == "what each of the first 100 of 512 units of the first layer looks for"


@pytest.mark.parametrize("W", [np.zeros((16, 1)), np.full((16, 3), NAN), np.full((16, 7), 1e30), np.ones((16, 11))])
def test_odd_weights_can_be_drawn(tmp_path: Path, W: Any) -> None:
    plots.save(plots.weights_figure(W, (4, 4), "$"), tmp_path / "weights.png")


@pytest.mark.parametrize("shape", [(15, 3), (16,), (16, 0)])
def test_weights_of_no_picture_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="are not those of pictures of 4 x 4"):
        plots.weights_figure(np.ones(shape), (4, 4))


# ------------------------------------------------------------------------------------------ what a run can have


def model(layers: list[Layer], shape: Any, names: str | None, loss: Any, **options: Any) -> Model:
    return Model(Network(layers, shape), Preprocessing(), tuple(names) if names else None, loss, **options)


X = np.random.default_rng(0).random((30, 5, 5))
ROWS = X.reshape(30, 25)
CLASSES = np.arange(30) % 3
ONE_HOT = np.eye(3)[CLASSES]
SOFTMAX, SIGMOID, SQUARES = SoftmaxCrossEntropy(), SigmoidCrossEntropy(), MeanSquaredError()
READER = model([Flatten(), Dense(3), Softmax()], (5, 5), "abc", SOFTMAX)
RUNS: dict[str, tuple[Model, Samples | None, str]] = {
    "pictures": (READER, Samples(X, CLASSES), "confusion mistakes weights"),
    "rows": (
        model([Dense(9), ReLU(), Dense(3), Softmax()], 25, "abc", SOFTMAX),
        Samples(ROWS, ONE_HOT),
        "confusion mistakes weights",
    ),
    "one unit": (
        model([Flatten(), Dense(1), Sigmoid()], (5, 5), "ab", SIGMOID),
        Samples(X, CLASSES % 2),
        "confusion mistakes weights",
    ),
    "no probabilities": (
        model([Flatten(), Dense(3), Identity()], (5, 5), "abc", SQUARES),
        Samples(X, CLASSES),
        "confusion weights",
    ),
    "no pictures": (model([Dense(3), Softmax()], 24, "abc", SOFTMAX), Samples(ROWS[:, 1:], CLASSES), "confusion"),
    "weights behind another layer": (
        model([Flatten(), ReLU(), Dense(3), Softmax()], (5, 5), "abc", SOFTMAX),
        Samples(X, CLASSES),
        "confusion mistakes",
    ),
    "soft targets": (READER, Samples(X, np.full((30, 3), 1 / 3)), "weights"),
    "rows without a class": (READER, Samples(X, ONE_HOT * (np.arange(30) > 0)[:, np.newaxis]), "weights"),
    "rows with two classes": (READER, Samples(X, np.maximum(ONE_HOT, np.eye(3)[np.full(30, 2)])), "weights"),
    "no samples": (READER, Samples(X, CLASSES).rows(0, 0), "weights"),
    "nothing": (READER, None, "weights"),
    "multi-label": (
        model([Flatten(), Dense(3), Sigmoid()], (5, 5), "abc", SIGMOID, task="multi-label"),
        Samples(X, ONE_HOT),
        "weights",
    ),
    "regression": (model([Flatten(), Dense(3), Identity()], (5, 5), None, SQUARES), Samples(X, ONE_HOT), "weights"),
}


@pytest.mark.parametrize(("trained", "samples", "figures"), RUNS.values(), ids=RUNS)
def test_a_run_has_the_figures_that_make_sense(
    tmp_path: Path, trained: Model, samples: Samples | None, figures: str
) -> None:
    made = dict(plots.figures_of(trained, samples, title="a title"))
    assert list(made) == figures.split()
    for name, figure in made.items():
        plots.save(figure, tmp_path / plots.FIGURES[name])


def test_the_figures_of_a_run_have_their_files() -> None:
    assert list(plots.FIGURES.values()) == ["learning-curve.png", "confusion.png", "mistakes.png", "weights.png"]


def test_the_figures_of_a_run_agree_with_its_evaluation() -> None:
    trained = model([Flatten(), Dense(3), Softmax()], (5, 5), "abc", SOFTMAX)
    samples = Samples(X, CLASSES)
    accuracy = trained.evaluate(samples).accuracy
    assert accuracy is not None
    right = round(30 * accuracy)
    made = dict(plots.figures_of(trained, samples, trained.outputs(X)))
    assert made["confusion"].axes[0].get_title("left") == f"{right} of 30 read right"
    assert made["mistakes"].axes[0].get_title("left").startswith(f"{30 - right} of 30 misread")


def test_outputs_at_hand_are_taken() -> None:
    trained = model([Flatten(), Dense(3), Softmax()], (5, 5), "abc", SOFTMAX)
    figures = dict(plots.figures_of(trained, Samples(X, CLASSES), np.eye(3)[CLASSES]))
    assert figures["confusion"].axes[0].get_title("left") == "30 of 30 read right"


def test_the_first_weights_are_those_of_the_network_itself() -> None:
    network = Network([Flatten(), Dense(3), Softmax()], (5, 5))
    W = plots.first_weights(network)
    assert W is not None
    assert W.shape == (25, 3)
    assert np.shares_memory(W, network.theta)
