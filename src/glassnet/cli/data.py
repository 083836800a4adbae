"""``glassnet data``: download data, look at them, and clear what is kept of them."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import click
from click.shell_completion import CompletionItem

from glassnet.cli import options


class Name(click.ParamType[str]):
    """The name of a data set that can be downloaded."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return what may come next."""
        from glassnet.data.catalogue import CATALOGUE

        return [CompletionItem(name) for name in CATALOGUE if name.startswith(incomplete)]


@click.group("data", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Download data sets, say what there is of them and what they hold, or clear the cache.

    \b
    Examples:
      glassnet data list
      glassnet data get fashion-mnist
      glassnet data info --data fashion-mnist
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command.command("get")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=Name())
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@options.debug
def get(names: tuple[str, ...], quiet: bool, debug: bool) -> int:
    """Download data sets: fashion-mnist, kmnist, or emnist- with balanced, byclass, bymerge, digits, letters or mnist.

    What is there already is compared with the published sums, and downloaded again only if it is damaged. A download
    that was interrupted goes on where it stopped.

    \b
    Examples:
      glassnet data get fashion-mnist
      glassnet data get kmnist emnist-letters
      GLASSNET_DATA=/srv/data glassnet data get kmnist      into another folder
    """
    from glassnet.cli.downloads import Bars
    from glassnet.cli.output import Voice, echo
    from glassnet.data import fetch

    voice = Voice(quiet)
    for name in names:
        try:
            with closing(Bars(voice)) as bars:
                folder = fetch(name, progress=bars, check=True)
        except KeyboardInterrupt:
            echo("interrupted; what has come is kept, and the same command goes on with the rest.", err=True)
            return 130
        voice.say(f"{name} is in {folder}, with the published sums; use it with --data {name}")
    return 0


@command.command("list")
@options.as_json
@options.debug
def list_data(as_json: bool, debug: bool) -> int:
    """List the data sets that are known by name, and which of them are on this machine, and where.

    \b
    Examples:
      glassnet data list
    """
    from glassnet.cli.output import echo
    from glassnet.data.named import places, stock

    found = stock()
    if as_json:
        for one in found:
            facts = {
                "name": one.published.name, "images": sum(one.published.samples),
                "classes": len(one.published.class_names), "folder": None if one.folder is None else str(one.folder),
                "bytes": one.come, "download_bytes": one.download, "page": one.published.page,
            }  # fmt: skip
            echo(json.dumps(facts))
        return 0
    rows = [("name", "images", "classes", "download", "where"), ("mnist", "70,000", "10", "-", "comes along")]
    for one in found:
        where = f"{one.come / 1e6:,.1f} MB came so far" if one.come else "-"
        if one.folder is not None:
            where = str(one.folder)
        elif one.archive is not None:
            where = f"in {one.archive}"
        rows.append((
            one.published.name, f"{sum(one.published.samples):,}", str(len(one.published.class_names)),
            f"{one.download / 1e6:,.1f} MB", where,
        ))  # fmt: skip
    for name, images, classes, download, where in rows:
        echo(f"{name:<16}{images:>8}{classes:>9}{download:>11}  {where}")
    echo("\nall of emnist is one download, of which each takes its part")
    if places():
        echo(f"downloads go to {places()[0]}")
    return 0


@command.command("info", context_settings={"show_default": True})
@options.source
@options.as_json
@options.debug
def info(data: str, classes: int, validation: int | None, as_json: bool, debug: bool) -> int:
    """Say what a data set holds: shapes, samples a class, range of the values.

    \b
    Examples:
      glassnet data info
      glassnet data info --data fashion-mnist
      glassnet data info --data train.csv,test.csv
    """
    from glassnet.cli.downloads import download
    from glassnet.cli.output import Voice, echo
    from glassnet.data import describe, load

    download(data, Voice())
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
