"""Figures show the numbers of the history."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glassnet import plots
from glassnet.errors import ConfigError
from glassnet.training import COLUMNS, History

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


@pytest.mark.parametrize("title", ["", "plain", r"te$\frac$", "a_b^c $x", "数字 ✓ 100 %", "x" * 300])
def test_any_title_can_be_saved(tmp_path: Path, title: str) -> None:
    plots.save(plots.learning_curve(history(), title), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("values", [[1.0, NAN, 2.0], [1e300, 1e-300, 0.0], [math.inf, 1.0, 2.0], [math.inf] * 3])
def test_odd_numbers_can_be_drawn(tmp_path: Path, values: list[float]) -> None:
    plots.save(plots.learning_curve(history(train_loss=values, validation_loss=values)), tmp_path / "curve.svg")
    assert b"<svg" in (tmp_path / "curve.svg").read_bytes()


def test_a_figure_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "curve.nothing"
    path.write_text("old")
    with pytest.raises(ValueError, match="nothing"):
        plots.save(plots.learning_curve(history()), path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("curve.nothing", "old")]
