"""``glassnet lr-find``: which learning rate should a run have?"""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from glassnet.cli import options
from glassnet.cli.downloads import download
from glassnet.cli.output import Voice, echo

if TYPE_CHECKING:
    from glassnet.config import RunConfig
    from glassnet.range_test import RangeTest

_range = options.in_section("Range")


@click.command("lr-find", cls=options.Command, context_settings={"show_default": True})
@options.config_file
@options.source
@options.learner
@_range("--lowest", type=options.positive, default=1e-6, help="Learning rate of the first step.")
@_range("--highest", type=options.positive, default=10.0, help="Learning rate of the last step.")
@_range(
    "--steps",
    type=click.IntRange(40, 1_000_000),
    help="Steps from one to the other.  [default: 200; for batches below 10 as many as take in 2,000 samples]",
)
@options.as_json
@options.results("a fresh one under runs/, which runs/latest does not name")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    file: Path | None,
    out: Path | None,
    force: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,
    lowest: float,
    highest: float,
    steps: int | None,
    as_json: bool,
    **values: Any,
) -> int:
    """Find a learning rate: in one short training let it rise, and look at the loss.

    Takes the options of train that say what is learnt, from what, and how a step is made. The folder of results gets
    lr-find.png and lr-find.csv; printed are a rate to begin with and the command that trains with it.

    \b
    Examples:
      glassnet lr-find
      glassnet lr-find --optimizer momentum --batch-size 20
      glassnet lr-find --config runs/latest --json
    """
    from glassnet.cli import runs

    config = options.run_config(ctx, file, values)
    voice = Voice(quiet or as_json, verbose and not as_json)
    if out is not None:
        runs.check_free(out, force, ("lr-find.csv", "lr-find.png"))
    found = _search(config, lowest, highest, steps, voice)
    for k in range(0, len(found.rates), max(1, len(found.rates) // 20)):
        rate, loss, mean = found.rates[k], found.losses[k], found.smoothed[k]
        voice.detail(f"step {k + 1:,}: learning rate {rate:.3g}, loss {loss:.4g}, running mean {mean:.4g}")
    folder = runs.make_folder(out, force, "_lr-find")
    _write(config, found, folder)
    train = None
    if found.suggestion is not None:
        train = shlex.join(["glassnet", "train", *_given(ctx, config), "--learning-rate", f"{found.suggestion:.2g}"])
    if as_json:
        echo(runs.as_json_text(dataclasses.asdict(found) | {"folder": str(folder), "train": train}))
    elif train is not None:
        voice.say(f"suggested learning rate {found.suggestion:.2g}")
        voice.say(f"results in {folder}: lr-find.csv, lr-find.png")
        voice.say(f"train with it: {train}")
    else:
        voice.say(f"results in {folder}: lr-find.csv, lr-find.png")
        echo(f"glassnet: there is no learning rate to suggest: {found.reason}", err=True)
    return 0 if train is not None else 1


def _search(config: RunConfig, lowest: float, highest: float, steps: int | None, voice: Voice) -> RangeTest:
    from glassnet.range_test import find_learning_rate

    download(config.data, voice)
    data = config.load_data()
    network = config.make_network(data)
    plain = config.changed(schedule="constant", warmup=None, reduce_on_plateau=None)  # the test brings its own
    voice.detail(f"\n{network.summary()}\n")

    def tell(step: int, total: int) -> None:
        bar.length = total
        bar.update(1)

    hidden = not voice.shows_progress
    with click.progressbar(length=steps or 1, file=sys.stderr, hidden=hidden) as bar:
        found = find_learning_rate(
            network,
            data,
            plain.make_optimizer(2, len(data.train)),
            config.make_loss(),
            batch_size=config.batch_size,
            steps=steps,
            lowest=lowest,
            highest=highest,
            seed=config.seed,
            frozen=config.frozen,
            class_weights=config.class_weights,  # type: ignore[arg-type]
            threads=config.threads,
            on_step=tell,
        )
        bar.update((bar.length or 0) - bar.pos)  # it may end early
    voice.say(
        f"{len(found.rates):,} steps on {data.name} with {config.optimizer}, batches of {config.batch_size}, "
        f"learning rates of {lowest:g} to {found.rates[-1] if found.rates else lowest:.3g}"
    )
    return found


def _write(config: RunConfig, found: RangeTest, folder: Path) -> None:
    from glassnet import plots
    from glassnet.files import write_text

    rows = zip(found.rates, found.losses, found.smoothed, strict=True)
    lines = ["step,learning_rate,loss,smoothed_loss"]
    lines += [f"{step},{','.join(map(repr, row))}" for step, row in enumerate(rows, 1)]
    write_text(folder / "lr-find.csv", "\n".join(lines) + "\n")
    title = f"{config.optimizer}, batches of {config.batch_size}"
    figure = plots.learning_rate_range_figure(found.rates, found.losses, found.smoothed, found.suggestion, title)
    plots.save(figure, folder / "lr-find.png")


def _given(ctx: click.Context, config: RunConfig) -> list[str]:
    """Return what was given on the line and means the same to train."""
    words = []
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[name]
        if isinstance(value, bool) and hasattr(config, name):
            words.append(parameter.opts[0] if value else parameter.secondary_opts[0])
        elif name == "file" or hasattr(config, name):
            words += [parameter.opts[0], ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return words
