"""``glassnet study``: experiments that are declared, performed and reported."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glassnet.cli import options
from glassnet.cli.output import Voice, echo

if TYPE_CHECKING:
    from glassnet.studies import Cluster, Progress, Study

FOLDER = Path("studies")
"""Where results go that no option sends elsewhere."""

_out = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the results.  [default: studies/NAME, or NAME-quick]"
)
_quick = click.option("--quick", is_flag=True, help="A few steps a run: to see whether it works, not what comes out.")
_seeds = click.option(
    "--seeds", type=click.IntRange(1, 10_000), help="Final runs of each cell.  [default: the study's]"
)
_quiet = click.option("--quiet", is_flag=True, help="Print nothing but errors.")


@click.group("study", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Compare optimizers, activations and the like: many runs, several seeds, one report.

    \b
    Examples:
      glassnet study list
      glassnet study run batch-size
      glassnet study run my-study.toml --jobs 4
      glassnet study report batch-size
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command.command("list")
@options.as_json
@options.debug
def list_studies(as_json: bool, debug: bool) -> int:
    """Say which studies come with glassnet: what they ask, how many runs they have, and about how long these take.

    \b
    Examples:
      glassnet study list
    """
    import json
    import textwrap

    from glassnet.studies import Planner, find_study, shipped

    studies = [find_study(name) for name in shipped()]
    if as_json:
        facts = [
            {"name": study.name, "question": study.question, "cells": len(study.cells), "seeds": study.seeds,
             "runs": Planner(study).total({}), "seconds": Planner(study).cost()}
            for study in studies
        ]  # fmt: skip
        echo(json.dumps(facts))
        return 0
    for study in studies:
        planner, at_least = Planner(study), "at least " if study.tuning else ""
        hours = planner.cost() / 3600
        took = f"{hours:.1f} hours" if hours > 1.5 else f"{60 * hours:.0f} minutes"
        echo(f"{study.name}: {at_least}{planner.total({})} runs, about {took} of one core")
        echo(textwrap.indent(textwrap.fill(study.question, 76), "    "))
    return 0


@command.command("run", context_settings={"show_default": True})
@click.argument("name")
@click.option(
    "--jobs", type=click.IntRange(1, options.MOST_PROCESSES), help="Runs at a time.  [default: one a processor]"
)
@_quick
@_seeds
@_out
@click.option("--dask", metavar="ADDRESS", help="Send the runs to a Dask cluster, such as tcp://host:8786.")
@_quiet
@options.debug
def run(
    name: str,
    jobs: int | None,
    quick: bool,
    seeds: int | None,
    out: Path | None,
    dask: str | None,
    quiet: bool,
    debug: bool,
) -> int:
    """Perform the runs of a study and write its report; NAME is one of `study list`, or a TOML file of your own.

    Each finished run is kept at once. What was interrupted, by whatever it was, goes on where it stopped when the same
    command is given again. The folder of results gets report.html, the figures, table.csv, table.md, the records of all
    runs, and study.toml.

    \b
    Examples:
      glassnet study run optimizers --quick
      glassnet study run optimizers --jobs 2
      glassnet study run my-study.toml --seeds 10 --out results
      glassnet study run batch-size --dask tcp://192.168.0.5:8786
    """
    from glassnet.studies import Dask, Processes, check_folder, run_study

    if jobs is not None and dask is not None:
        raise click.UsageError("--jobs is for processes on this machine, not for --dask: leave one of them out.")
    study = _study(name, quick, seeds)
    folder = out or _default(study)
    voice = Voice(quiet)
    check_folder(folder, study)
    cluster: Cluster | None = Dask(dask) if dask else Processes(jobs) if jobs else None
    try:
        last = _follow(run_study(study, folder, cluster=cluster), study, voice)
    except KeyboardInterrupt:
        echo("interrupted; every finished run is kept, and the same command goes on with the others.", err=True)
        return 130
    if last.retried:
        times = "once" if last.retried == 1 else f"{last.retried} times"
        echo(f"{times} a process ended before its run was done, which was begun again.", err=True)
    return _report(study, folder, _command(name, quick, seeds, out), voice)


@command.command("report")
@click.argument("name")
@_quick
@_seeds
@_out
@_quiet
@options.debug
def report(name: str, quick: bool, seeds: int | None, out: Path | None, quiet: bool, debug: bool) -> int:
    """Write the report of a study anew from the records that there are; it trains nothing.

    \b
    Examples:
      glassnet study report optimizers
      glassnet study report my-study.toml --out results
    """
    from glassnet.errors import MissingFileError
    from glassnet.studies import check_folder

    study = _study(name, quick, seeds)
    folder = out or _default(study)
    if not folder.is_dir():
        raise MissingFileError(f"there are no results in {folder}: 'glassnet study run' makes them.")
    check_folder(folder, study)
    return _report(study, folder, _command(name, quick, seeds, out), Voice(quiet))


def _study(name: str, quick: bool, seeds: int | None) -> Study:
    from glassnet.studies import find_study

    study = find_study(name)
    if quick:
        study = study.trial()
    return study if seeds is None else study.with_seeds(seeds)


def _default(study: Study) -> Path:
    return FOLDER / (f"{study.name}-quick" if study.quick else study.name)


def _command(name: str, quick: bool, seeds: int | None, out: Path | None) -> str:
    """Return the command that makes the results again."""
    import shlex

    words = ["glassnet", "study", "run", name]
    words += ["--quick"] if quick else []
    words += ["--seeds", str(seeds)] if seeds is not None else []
    words += ["--out", out.as_posix()] if out is not None else []
    return shlex.join(words)


def _follow(steps: Iterable[Progress], study: Study, voice: Voice) -> Progress:
    """Show a bar over all runs, and return how it ended."""
    from tqdm import tqdm

    bar: Any = None
    last: Progress | None = None
    try:
        for progress in steps:
            if bar is None:
                if progress.done:
                    voice.say(f"{study.name}: {progress.done} of {progress.total} runs are there already")
                bar = tqdm(
                    total=progress.total,
                    initial=progress.done,
                    bar_format="{desc} |{bar}|",
                    disable=None if voice.shows_progress else True,
                    dynamic_ncols=True,
                    desc=_place(study, progress),
                )
            bar.total, bar.n = progress.total, progress.done
            bar.set_description_str(_place(study, progress))
            last = progress
    finally:
        if bar is not None:
            bar.close()
    assert last is not None
    return last


def _place(study: Study, progress: Progress) -> str:
    """Say how far a study is."""
    from tqdm import tqdm

    left = progress.remaining_seconds
    rest = "" if left is None else f", {tqdm.format_interval(left)} left"
    return f"{study.name}: {progress.done:,} of {progress.total:,} runs{rest}"


def _report(study: Study, folder: Path, command: str, voice: Voice) -> int:
    import textwrap

    from glassnet.studies import Planner, Records, Summary, answers, write_report

    everything = Records(folder).read()
    planner = Planner(study)
    own = planner.keys(everything)
    records = [record for key, record in everything.items() if key in own]
    others = len(everything) - len(records)
    paths = write_report(study, records, folder, command=command)
    if study.quick:
        voice.say("a trial of a few steps: its figures mean nothing")
    for sentence in answers(Summary(study, records)):
        voice.say(textwrap.fill(sentence, 100))
    if others:
        voice.say(f"{others} records in {folder} belong to no run of this study as it is declared now; they are left.")
    missing = planner.total(everything) - len(records)
    if missing:
        voice.say(f"{missing} runs have no record yet")
    voice.say(f"results in {folder}: {', '.join(path.name for path in paths)}")
    return 1 if any(record["outcome"] == "lost" for record in records) else 0
