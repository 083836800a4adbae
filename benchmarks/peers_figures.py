"""The figures of docs/benchmarks.md, drawn from the measurements of `peers.py`."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glassnet.plots import style
from peers_page import BATCHES, OURS, TITLES, WORKERS, ratios, short, spread_of

COLOURS = {
    WORKERS: style.BLACK,
    "torch": style.VERMILION,
    "torch-compiled": style.ORANGE,
    "jax": style.BLUE,
    "keras": style.PURPLE,
    "sklearn": style.SKY,
    "textbook": style.GREEN,
}


def draw_ratios(results: dict[str, Any], path: Path) -> None:
    """Draw, for each batch size, the time of every peer over ours as bars on a logarithmic axis."""
    rows = {name: row for name, row in results["cells"].items() if name.startswith("100-100/")}
    batches = [batch for batch in BATCHES if any(name.split("/")[1] == batch for name in rows)]
    if not batches:
        return
    peers = [peer for peer in COLOURS if any(ratios(row, peer) for row in rows.values())]
    figure = style.new_figure(11, 1.0 + 0.95 * 5 * ((len(batches) + 1) // 2))
    grid = figure.subplots((len(batches) + 1) // 2, min(2, len(batches)), squeeze=False)
    for axes in grid.flat[len(batches) :]:
        style.bare(axes)
    for axes, batch in zip(grid.flat, batches, strict=False):
        names = [name for name in rows if name.split("/")[1] == batch]
        height = 0.8 / max(len(peers), 1)
        for place, name in enumerate(names):
            for i, peer in enumerate(peers):
                found = ratios(rows[name], peer)
                if not found:
                    continue
                low, middle, high = spread_of(found)
                y = place - 0.4 + (i + 0.5) * height
                axes.barh(y, middle - 1, height * 0.9, left=1, color=COLOURS[peer], label=TITLES[peer])
                axes.plot([low, high], [y, y], color=style.INK, linewidth=0.8)
                _label(axes, short(middle), (max(high, 1.0), y), 6)
        style.calm(axes)
        style.heading(axes, BATCHES[batch])
        axes.set_xscale("log")
        axes.set_xticks(
            ticks := [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
        )
        axes.set_xticklabels([f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.margins(x=0.08)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=style.PALE, linewidth=0.8)
        axes.axvline(1, color=style.INK, linewidth=1)
        axes.set_yticks(range(len(names)), [name.split("/")[2] for name in names])
        axes.invert_yaxis()
    for axes in grid.flat[max(0, len(batches) - grid.shape[1]) : len(batches)]:
        axes.set_xlabel("time of a step / glassnet's with one process; right of 1: slower than glassnet", fontsize=8)
    labelled = {
        label: handle for axes in grid.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    order = [TITLES[peer] for peer in peers]
    figure.legend(
        [labelled[title] for title in order], order, loc="outside upper center", ncols=4, frameon=False, fontsize=8
    )
    style.save(figure, path)


def _label(axes: Any, text: str, at: tuple[float, float], size: float) -> None:
    axes.annotate(text, at, (3, 0), textcoords="offset points", fontsize=size, va="center", color=style.GREY)


def draw_prompt(results: dict[str, Any], path: Path) -> None:
    """Draw seconds from the prompt and peak memory as bars, one a peer."""
    found = {peer: row for peer, row in results.get("prompt", {}).items() if "failed" not in row}
    if not found:
        return
    figure = style.new_figure(9, 0.9 + 0.32 * len(found))
    panels: list[tuple[str, Callable[[dict[str, Any]], float]]] = [
        ("seconds from the prompt to the end", lambda row: statistics.median(row["seconds"])),
        ("peak memory in MB", lambda row: row["peak"] / 1e6),
    ]
    for axes, (title, value) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        for place, (peer, row) in enumerate(found.items()):
            ours = peer in (OURS, WORKERS)
            axes.barh(place, value(row), 0.7, color=style.BLUE if ours else "#BBBBBB")
            _label(axes, short(value(row)), (value(row), place), 8)
        style.calm(axes)
        style.heading(axes, title)
        axes.grid(visible=False)
        axes.margins(x=0.15)
        axes.set_yticks(range(len(found)), [TITLES[peer] for peer in found])
    axes.invert_yaxis()
    style.save(figure, path)
