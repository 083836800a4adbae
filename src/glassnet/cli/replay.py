"""``glassnet replay``: the network of a run as it was after any of its steps."""

from __future__ import annotations

from pathlib import Path

import click

from glassnet.cli import options
from glassnet.cli.downloads import download
from glassnet.cli.output import Voice, echo


@click.command("replay", context_settings={"show_default": True})
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--step", type=click.IntRange(0), required=True, help="How many steps to have taken.")
@click.option("--out", type=click.Path(path_type=Path), help="Model file to write.  [default: RUN/step-N.safetensors]")
@options.force
@options.debug
def command(folder: Path, step: int, out: Path | None, force: bool, debug: bool) -> int:
    """Rebuild the network of a run as it was after any of its steps, bit for bit.

    It trains there from the nearest checkpoint before, or from the beginning where there is none: the run.toml of the
    run is enough. What the run left stays as it is.

    \b
    Examples:
      glassnet replay runs/latest --step 1234
      glassnet replay my-run --step 100 --out early.safetensors
      glassnet predict --model early.safetensors --show digit.png
    """
    from glassnet.checkpoints import step_of, steps_of
    from glassnet.cli import runs
    from glassnet.config import RunConfig
    from glassnet.errors import ConfigError
    from glassnet.listeners import Progress, StopAfter, StopOnInterrupt
    from glassnet.model_files import save_model
    from glassnet.training import Listener

    folder = runs.follow_latest(folder)
    config = RunConfig.from_toml(runs.settings_file(folder))
    out = folder / f"step-{step}.safetensors" if out is None else out
    runs.check_file(out, force, "--out")
    download(config.data, Voice())
    data = config.load_data()
    training = config.make_training(data)
    if step > training.total_steps:
        raise ConfigError(f"{folder} has {training.total_steps:,} steps: choose a --step of at most that.")
    there = steps_of(folder / runs.CHECKPOINTS) if (folder / runs.CHECKPOINTS).is_dir() else {}
    saved = runs.newest_checkpoint(folder, step) if any(before <= step for before in there) else None
    begin = 0 if saved is None else step_of(saved)
    if step > 0:
        listeners: list[Listener] = [StopAfter(step), StopOnInterrupt()]
        if Voice().shows_progress:
            listeners.append(Progress())
        config.follow(training, listeners, saved)
        if training.step != step:
            echo(f"{training.stopped} after {training.step:,} steps: nothing was written.", err=True)
            return 143 if training.stopped == "terminated" else 130
    save_model(training.model, out)
    evaluation = training.model.evaluate(data.test) if len(data.test) else None
    accuracy = None if evaluation is None else evaluation.accuracy
    reads = "" if accuracy is None else f": test accuracy {100 * accuracy:.2f} %"
    echo(f"{out} is the network after {step:,} of {training.total_steps:,} steps{reads}")
    taken = _steps_taken(folder)
    if taken is not None and step > taken:
        echo(f"the run itself ended after {taken:,} steps: this is what it would have become")
    echo(f"it was trained there from {'the beginning' if begin == 0 else f'the checkpoint of step {begin:,}'}")
    return 0


def _steps_taken(folder: Path) -> int | None:
    """Return after how many steps a run ended; None if it left no results."""
    from glassnet.cli import runs
    from glassnet.history import read_history

    if not (folder / runs.MODEL).exists() or not (folder / "history.csv").exists():
        return None
    return int(max(read_history(folder / "history.csv")["step"], default=0))
