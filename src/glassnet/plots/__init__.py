"""Figures from results. Nothing here trains, and nothing needs a display or touches matplotlib's global state.

Functions that take axes draw into them and return them; functions called a figure, and `learning_curve`, make a whole
one, and `save` writes it. All share one calm style, see `plots.style`.

- `learning_curve`, `compare`, `learning_rate_range`: numbers over epochs, of several runs, over learning rates;
- `confusion`, `mistakes`: what is taken for what, and which samples were misread most surely;
- `weights`: what each unit of the first layer looks for;
- `bands_figure`, `dots_figure`, `rates_figure`, `pairs_figure`, `heatmap_figure`, `layers_figure`, `against_figure`,
  `speed_figure`: what studies of many runs found, from plain arrays;
- `svg`: a figure as an element of an HTML page;
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
from glassnet.plots.grids import heatmap_figure, pairs_figure
from glassnet.plots.pictures import mistakes, mistakes_figure, picture_shape, weights, weights_figure
from glassnet.plots.results import FIGURES, figure_makers, figures_of, first_weights
from glassnet.plots.spreads import dots_figure, speed_figure
from glassnet.plots.studies import against_figure, bands_figure, layers_figure, rates_figure
from glassnet.plots.style import save, svg
from glassnet.plots.tables import confusion, confusion_figure
from glassnet.plots.together import Drawers

__all__ = [
    "FIGURES",
    "QUANTITIES",
    "Drawers",
    "against_figure",
    "bands_figure",
    "compare",
    "comparison_figure",
    "confusion",
    "confusion_figure",
    "dots_figure",
    "draw_column",
    "figure_makers",
    "figures_of",
    "first_weights",
    "heatmap_figure",
    "layers_figure",
    "learning_curve",
    "learning_rate_range",
    "learning_rate_range_figure",
    "mistakes",
    "mistakes_figure",
    "pairs_figure",
    "picture_shape",
    "rates_figure",
    "save",
    "speed_figure",
    "svg",
    "weights",
    "weights_figure",
]
