"""One calm style for all figures: white ground, thin grey lines, colours that colour-blind people tell apart.

The colours are those of Okabe and Ito ("Color universal design", 2008) without the yellow, too pale for a line.
What colour tells is also told by dashes, markers or numbers.
"""

from __future__ import annotations

import os
import textwrap
import unicodedata
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from glassnet.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
INK, GREY, PALE, GROUND = "#333333", "#666666", "#E5E5E5", "#F4F4F4"
DPI = 120

_CHARACTER = 0.6
"""Width of a character of the font, in font sizes, on average and a little more."""


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Make a figure of so many inches that no window shows, with a title above all panels."""
    from matplotlib.figure import Figure  # half a second, which only figures need to wait for

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    if title:
        lines = textwrap.wrap(plain(title, 1000), int(width * 72 / (10 * _CHARACTER)))
        figure.suptitle("\n".join(lines[:4]), fontsize=10, color=GREY, parse_math=False)
    return figure


def plain(text: str, most: int = 40) -> str:
    """Return a text fit for a label: in one line, without what can not be drawn, and cut to `most` characters.

    Examples
    --------
    >>> plain("two\\nlines"), plain("anticonstitutionnellement", 12)
    ('two lines', 'anticonstit…')
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in text)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def width_of(text: str, size: float) -> float:
    """Return about how many points a text takes in a font of that size."""
    return size * _CHARACTER * sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def width_of_axes(axes: Axes) -> float:
    """Return how many points wide the axes are, before any layout was done."""
    return float(axes.get_window_extent().width * 72 / axes.get_figure(root=True).dpi)  # type: ignore[union-attr]


def calm(axes: Axes) -> None:
    """Take away what only frames, and put thin lines behind the rest."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#AAAAAA")
    axes.tick_params(which="both", color="#AAAAAA", labelcolor=GREY, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)


def bare(axes: Axes) -> None:
    """Take away the frame, the ticks and their labels."""
    axes.spines[:].set_visible(False)
    axes.set(xticks=[], yticks=[])


def heading(axes: Axes, text: str) -> None:
    """Say above the axes what they show."""
    axes.set_title(text, loc="left", fontsize=11, color=INK, parse_math=False)


def colours(name: str, *steps: str) -> Colormap:
    """Make a scale of colours from the lowest to the highest; what is no number stays empty."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(name, steps).with_extremes(bad=(1.0, 1.0, 1.0, 0.0))


def percent(share: float) -> str:
    """Write a share as percent, with as many digits as tell it from all and from nothing.

    Examples
    --------
    >>> percent(0.5), percent(0.987), percent(0.99996), percent(1.0), percent(0.0004)
    ('50 %', '99 %', '99.996 %', '100 %', '0.04 %')
    """
    if not 0 < share < 1:
        return f"{100 * share:.0f} %"
    digits = next((d for d in range(6) if 0 < round(100 * share, d) < 100), 6)
    return f"{100 * share:.{digits}f} %"


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of the path's ending, whole or not at all."""
    with whole_file(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name in another script is drawn as boxes
        if os.fspath(path).lower().endswith(".png"):
            _save_png(figure, temporary)
        else:
            figure.savefig(temporary)


def _save_png(figure: Figure, path: Path) -> None:
    """Draw and write; `Figure.savefig` would draw everything twice, once to lay it out, and write an alpha channel."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    shown = figure.canvas
    try:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
        picture = Image.frombytes("RGBA", canvas.get_width_height(), pixels)
    finally:
        figure.set_canvas(shown)
    if picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    picture.save(path, compress_level=1, dpi=(figure.dpi, figure.dpi))  # half the time, not more bytes than with alpha
