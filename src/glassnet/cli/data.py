"""``glassnet data``: look at data, and clear what is kept of them."""

from __future__ import annotations

import json
from typing import Any

import click

from glassnet.cli import options


@click.group("data", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Say what a data set holds, or clear the cache."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command.command("info", context_settings={"show_default": True})
@options.source
@options.as_json
@options.debug
def info(data: str, classes: int, validation: int | None, as_json: bool, debug: bool) -> int:
    """Say what a data set holds: shapes, samples a class, range of the values.

    \b
    Examples:
      glassnet data info
      glassnet data info --data train.csv,test.csv
    """
    from glassnet.cli.output import echo
    from glassnet.data import describe, load

    facts = describe(load(data, validation=validation, classes=classes))
    echo(json.dumps(facts) if as_json else _table(facts))
    return 0


@command.command("clear-cache")
@options.debug
def clear(debug: bool) -> int:
    """Remove the decoded data that glassnet keeps to start faster.

    \b
    Examples:
      glassnet data clear-cache
    """
    from glassnet.cli.output import echo
    from glassnet.data.cache import VARIABLE, cache_folder, clear_cache

    folder = cache_folder()
    if folder is None:
        echo(f"nothing is kept, since {VARIABLE} is empty.")
        return 0
    entries, size = clear_cache()
    echo(f"removed {entries} {'entry' if entries == 1 else 'entries'}, {size / 1e6:.1f} MB, from {folder}")
    return 0


def _table(facts: dict[str, Any]) -> str:
    splits = {name: facts[name] for name in ("train", "validation", "test")}
    shape = " x ".join(map(str, facts["input_shape"]))
    scaling = facts["preprocessing"]["scale"]
    lines = [
        f"{facts['name']}: samples of {shape} {facts['train']['features']['dtype']}, {facts['classes']} classes, "
        f"scaled by {scaling:.6g}",
        "",
        f"{'':<12}" + "".join(f"{name:>12}" for name in splits),
        f"{'samples':<12}" + "".join(f"{split['count']:>12,}" for split in splits.values()),
    ]
    for what, form in (("minimum", "g"), ("maximum", "g"), ("mean", ".2f"), ("zeros", ".1%")):
        cells = ("-" if split[what] is None else format(split[what], form) for split in splits.values())
        lines.append(f"{what:<12}" + "".join(f"{cell:>12}" for cell in cells))
    for name in splits["train"]["per_class"] or ():
        counts = (split["per_class"][name] for split in splits.values())
        lines.append(f"{'class ' + name:<12}" + "".join(f"{count:>12,}" for count in counts))
    return "\n".join(lines)
