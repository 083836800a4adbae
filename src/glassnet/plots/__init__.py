"""Figures from results. Nothing here trains, and nothing needs a display or touches matplotlib's global state.

Functions that take axes draw into them and return them; functions called a figure, and `learning_curve`, make a whole
one, and `save` writes it. All share one calm style, see `plots.style`.

- `learning_curve`, `compare`, `learning_rate_range`: numbers over epochs, of several runs, over learning rates;
- `confusion`, `mistakes`: what is taken for what, and which samples were misread most surely;
- `weights`: what each unit of the first layer looks for;
- `figures_of`: those of these that a model and its test samples can have, and `FIGURES`: the files they are kept in;
- `figure_makers`, `Drawers`: the same, made when they are called for, and written on two cores.
"""

from glassnet.plots.curves import (
    QUANTITIES,
    compare,
    comparison_figure,
    draw_column,
    learning_curve,
    learning_rate_range,
    learning_rate_range_figure,
)
from glassnet.plots.pictures import mistakes, mistakes_figure, picture_shape, weights, weights_figure
from glassnet.plots.results import FIGURES, figure_makers, figures_of, first_weights
from glassnet.plots.style import save
from glassnet.plots.tables import confusion, confusion_figure
from glassnet.plots.together import Drawers

__all__ = [
    "FIGURES",
    "QUANTITIES",
    "Drawers",
    "compare",
    "comparison_figure",
    "confusion",
    "confusion_figure",
    "draw_column",
    "figure_makers",
    "figures_of",
    "first_weights",
    "learning_curve",
    "learning_rate_range",
    "learning_rate_range_figure",
    "mistakes",
    "mistakes_figure",
    "picture_shape",
    "save",
    "weights",
    "weights_figure",
]
