"""One calm style for all figures: white ground, thin grey lines, colours that colour-blind people tell apart.

The colours are those of Okabe and Ito ("Color universal design", 2008) without the yellow, too pale for a line.
What colour tells is also told by dashes, markers or numbers.
"""

from __future__ import annotations

import html
import io
import os
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassnet.files import whole_file

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
INK, GREY, PALE, GROUND = "#333333", "#666666", "#E5E5E5", "#F4F4F4"
LINE = "#AAAAAA"
DPI = 120

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (9, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_CHARACTER = 0.6
"""Width of a character of the font, in font sizes, on average and a little more."""


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Make a figure of so many inches that no window shows, with a title above all panels."""
    from matplotlib.figure import Figure  # half a second, which only figures need to wait for

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    if title:
        figure.suptitle("\n".join(_lines(title, width)), fontsize=10, color=GREY, parse_math=False)
    return figure


def _lines(title: str, width: float) -> list[str]:
    return textwrap.wrap(plain(title, 1000), int(width * 72 / (10 * _CHARACTER)))[:4]


def height_of_title(title: str, width: float) -> float:
    """Return how many inches the title takes above a figure of that width."""
    lines = len(_lines(title, width)) if title else 0
    return 0.17 * lines + 0.16 if lines else 0.0


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
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(which="both", color=LINE, labelcolor=GREY, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)


def line_style(i: int) -> dict[str, Any]:
    """Return colour, dashes and marker of the line of that number: the first 35 are told apart without colour, too."""
    return {
        "color": COLOURS[i % len(COLOURS)],
        "linestyle": DASHES[i % len(DASHES)],
        "marker": MARKERS[(i + i // 35) % len(MARKERS)],
    }


def name_lines(figure: Figure, handles: Sequence[Artist], names: Sequence[str], **place: Any) -> None:
    """Say beside all panels what is what; names may begin with an underscore or hold dollars."""
    options: dict[str, Any] = {
        "loc": "outside right upper",
        "handlelength": 2.6,
        "ncols": columns_of_names(len(names)),
    } | place
    numbers = [str(i) for i in range(len(names))]
    legend = figure.legend(handles, numbers, frameon=False, labelcolor=INK, fontsize=9, **options)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=plain(name), parse_math=False)


def columns_of_names(names: int) -> int:
    """Return in how many columns `name_lines` writes them."""
    return 1 + (names - 1) // 40


def room_for_names(names: Sequence[str]) -> tuple[float, float]:
    """Return the width and the height, in inches, that `name_lines` takes beside the panels."""
    columns = columns_of_names(len(names))
    wide = max((width_of(plain(name), 9) for name in names), default=0.0) / 72
    return (0.55 + wide) * columns, 0.3 + 0.19 * -(-len(names) // columns)


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


_VARIABLES = {
    INK: "ink",
    BLACK: "ink",
    GREY: "grey",
    PALE: "pale",
    LINE: "line",
    BLUE: "blue",
    VERMILION: "vermilion",
    GREEN: "green",
}
_FAMILY = re.compile(r" font-family: [^;\"]*;")
_DECIMALS = re.compile(r"(\.\d\d)\d+")
_IDS = re.compile(r' id="([^"]*)"')
_TAGS = re.compile(r"<[^>]*>")
_UNTURNED = re.compile(r' transform="rotate\(-?0 [^)]*\)"')
_USES = re.compile(r'(?:href="#|url\(#)([^")]*)')


def svg(figure: Figure, describe: str, *, prefix: str = "figure", reach: float = 1.0) -> str:
    """Return a figure as an SVG element to be put into an HTML page.

    Text stays text, in the sans-serif font of whoever reads it. The ground is transparent, and ink, greys and thin
    lines are CSS variables, which a page may set for a dark ground: ``--ink``, ``--grey``, ``--pale``, ``--line``; so
    are the darker colours, ``--blue``, ``--vermilion``, ``--green``. The same figure gives the same bytes.

    Parameters
    ----------
    figure : any figure
    describe : what it shows, for those who can not see it
    prefix : of all ids in it, another one for each figure of a page: letters, digits and hyphens
    reach : how many times as large as drawn the figure may become where the page is wide

    Returns
    -------
    str
        As wide as its place allows; what else it needs of the page is nothing.

    Examples
    --------
    >>> svg(new_figure(2, 1), "two < three").startswith('<svg xmlns="http://www.w3.org/2000/svg" role="img"')
    True
    """
    from matplotlib import rc_context

    drawn = io.StringIO()
    # no id, time or font of this machine may get into the bytes
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "glassnet"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure.savefig(drawn, format="svg", metadata={"Date": None}, transparent=True)
    text = drawn.getvalue()
    inside = text[text.index("</metadata>") + len("</metadata>") : text.rindex("</svg>")]
    inside = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", inside, count=1, flags=re.DOTALL)
    used = {name for tag in _TAGS.findall(inside) for name in _USES.findall(tag)}

    def tag(found: re.Match[str]) -> str:
        """Rewrite one tag; texts between them stay as they are, whatever they say."""
        text = _DECIMALS.sub(r"\1", _FAMILY.sub("", found[0].replace("xlink:href=", "href=")))
        text = _IDS.sub(lambda own: f' id="{prefix}-{own[1]}"' if own[1] in used else "", text)
        text = _USES.sub(lambda use: use[0].replace("#", f"#{prefix}-"), text)
        for colour, variable in _VARIABLES.items():
            text = text.replace(f": {colour.lower()}", f": var(--{variable}, {colour.lower()})")
        return _UNTURNED.sub("", text)

    inside = re.sub(r"\s*\n\s*", "\n", _TAGS.sub(tag, inside)).strip()
    width, height = (72 * side for side in figure.get_size_inches())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="100%" viewBox="0 0 {width:g} {height:g}" '
        f'style="max-width: {reach * width * 96 / 72:.0f}px; height: auto; fill: var(--ink, {INK.lower()}); '
        f'font-family: sans-serif; stroke-linejoin: round; stroke-linecap: butt">\n'
        f"<title>{html.escape(plain(describe, 2000))}</title>\n{inside}\n</svg>\n"
    )
