"""``glassnet train``: train a network, say how well it reads unseen samples, leave the results in a folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glassnet.cli import options
from glassnet.cli.downloads import download
from glassnet.cli.output import Voice, echo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from glassnet.config import RunConfig
    from glassnet.data import DataSet
    from glassnet.findings import Finding
    from glassnet.model import Evaluation
    from glassnet.plots import Drawers
    from glassnet.training import Listener, Result, Training


@click.command("train", cls=options.Command, context_settings={"show_default": True})
@options.config_file
@options.source
@options.learner
@options.learning_rate
@options.length
@options.doctor
@options.checkpoints
@options.results("a fresh one under runs/")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    file: Path | None,
    out: Path | None,
    force: bool,
    doctor: bool,
    checkpoint_every: str | None,
    keep_checkpoints: int,
    resume: Path | None,
    quiet: bool,
    verbose: bool,
    debug: bool,
    **values: Any,
) -> int:
    """Train a network and say how well it reads digits it has never seen.

    With no options: 784-100-100-10 on the MNIST that comes along, in a few seconds. The folder of results gets
    model.safetensors, history.csv, result.json, figures, and run.toml, which repeats the run; runs/latest names the
    newest one.

    \b
    Examples:
      glassnet train
      glassnet train --hidden 512,256 --epochs 10 --seed 1
      glassnet train --activation sigmoid --optimizer sgd --batch-size 1 --epochs 3 --learning-rate 0.1
      glassnet train --batch-size full --epochs 300 --optimizer rmsprop
      glassnet train --optimizer adamw --weight-decay 0.05 --label-smoothing 0.1 --schedule cosine
      glassnet train --config runs/latest --seed 1
      glassnet train --epochs 100 --checkpoint-every 1e --out long
      glassnet train --resume long
      glassnet train --data train.csv,test.csv --out my-run
      glassnet train --data folder-of-idx-files --classes 26
    """
    voice = Voice(quiet, verbose)
    if checkpoint_every is None and resume is None and options.was_given(ctx, "keep_checkpoints"):
        raise click.UsageError("--keep-checkpoints says how many are kept: add --checkpoint-every, such as 1e.", ctx)
    if resume is None:
        config = options.run_config(ctx, file, values)
        return _begin(config, out, force, doctor, checkpoint_every, keep_checkpoints, voice)
    if file is not None or out is not None or force:
        raise click.UsageError("--resume brings settings and folder: leave --config, --out and --force out.", ctx)
    given = {name: value for name, value in values.items() if options.was_given(ctx, name)}
    keep = keep_checkpoints if options.was_given(ctx, "keep_checkpoints") else None
    return _resume(resume, given, doctor, checkpoint_every, keep, voice)


def _begin(
    config: RunConfig, out: Path | None, force: bool, doctor: bool, every: str | None, keep: int, voice: Voice
) -> int:
    """Train as `config` says, write the results, and return the exit status."""
    from glassnet import plots
    from glassnet.checkpoints import read_every
    from glassnet.cli import runs
    from glassnet.files import only_writer

    if every is not None:
        read_every(every)
    if out is not None:
        runs.check_free(out, force, runs.results())
    download(config.data, voice)
    data = config.load_data()
    with plots.Drawers() as drawers:  # they load matplotlib meanwhile
        training, resolved = config.make_training(data), config.resolved(data)
        settings = runs.config_text(resolved)
        folder = runs.make_folder(out, force)
        with only_writer(folder):
            runs.remove_checkpoints(folder)
            run = Run(resolved, settings, data, training, folder, doctor, every, keep, None)
            return _train(run, voice, drawers)


def _resume(
    folder: Path, given: dict[str, Any], doctor: bool, every: str | None, keep: int | None, voice: Voice
) -> int:
    """Go on with a run, write the results, and return the exit status."""
    from glassnet import plots
    from glassnet.cli import runs
    from glassnet.config import RunConfig
    from glassnet.files import only_writer

    folder = runs.follow_latest(folder)
    config = RunConfig.from_toml(runs.settings_file(folder))
    runs.check_same(folder, config, given)
    download(config.data, voice)
    data = config.load_data()
    with plots.Drawers() as drawers, only_writer(folder):
        saved = runs.newest_checkpoint(folder)
        if saved is None:
            runs.check_free_of_results(folder)
            echo("it begins anew.", err=True)
            runs.put_aside_checkpoints(folder)
        written = {} if saved is None else saved["written"]
        every, keep = every or written.get("every", "1e"), keep or written.get("keep", 3)
        training, settings = config.make_training(data), runs.config_text(config)
        return _train(Run(config, settings, data, training, folder, doctor, every, keep, saved), voice, drawers)


@dataclass
class Run:
    """What is trained, and where its results go."""

    config: RunConfig
    settings: str
    data: DataSet
    training: Training
    folder: Path
    doctor: bool
    every: str | None
    keep: int
    saved: Mapping[str, Any] | None


def _train(run: Run, voice: Voice, drawers: Drawers) -> int:
    from glassnet.checkpoints import Checkpoints, step_of
    from glassnet.cli import runs
    from glassnet.doctor import Doctor
    from glassnet.errors import DivergedError, WorkerDiedError
    from glassnet.files import write_text
    from glassnet.history import history_csv
    from glassnet.listeners import CSVHistory, Progress, StopOnInterrupt, hold_interrupts

    config, data, training, folder = run.config, run.data, run.training, run.folder
    runs.remove_rests(folder)
    begin = 0 if run.saved is None else step_of(run.saved)
    replaces = (folder / runs.MODEL).exists()  # results keep their settings and their history until others are there
    if not replaces:
        write_text(folder / runs.RUN_FILE, run.settings)
    _announce(config, data, training, folder, voice)
    doctor = Doctor()
    listeners: list[Listener] = [
        *([] if replaces else [CSVHistory(folder / "history.csv")]),
        StopOnInterrupt(),
        *([doctor] if run.doctor else []),
    ]
    again = ""
    if run.every is not None:
        runs.write_settings(folder, run.settings)
        listeners.append(Checkpoints(folder / runs.CHECKPOINTS, run.every, run.keep, partial(echo, err=True)))
        again = f"'glassnet train --resume {folder}' goes on"
        voice.say(f"a checkpoint every {run.every}: after an interruption, {again}")
    if run.saved is not None:
        over = ", its last one: the results are written anew" if begin == training.total_steps else ""
        voice.say(f"it goes on after step {begin:,}{over}")
    if voice.shows_progress:
        listeners.append(Progress())
    if voice.verbose:
        listeners.append(_line_an_epoch())
    failure: Exception | None = None
    with hold_interrupts() as interrupts:
        try:
            config.follow(training, listeners, run.saved)
        except (DivergedError, WorkerDiedError, OSError) as error:  # what was learnt is saved before the error is said
            if training.step == begin and not isinstance(error, DivergedError):
                raise  # nothing was learnt: what is there stays
            failure = error
        result = training.result()
        write_text(folder / runs.RUN_FILE, run.settings)
        if replaces:
            write_text(folder / "history.csv", history_csv(result.history))
        if result.stopped in ("interrupted", "terminated"):
            ending = f"; {again}." if again else "."
            echo(f"{result.stopped} after {result.steps:,} steps; what was learnt so far is saved{ending}", err=True)
        for finding in doctor.findings:
            voice.say(f"doctor, {finding}")
        _write(config, data, result, doctor.findings, folder, voice, drawers)
        if not isinstance(failure, DivergedError):  # whoever reads with the newest run wants one that came out well
            runs.point_latest(folder)
    if failure is not None:
        raise failure
    if result.stopped == "terminated":
        return 143
    return 130 if interrupts or result.stopped == "interrupted" else 0


def _announce(config: RunConfig, data: DataSet, training: Training, folder: Path, voice: Voice) -> None:
    voice.say(f"{_network_line(config, data)}; {training.network.layout.size:,} parameters")
    voice.say(f"{len(data.train):,} samples to train, {len(data.validation):,} held out, {len(data.test):,} to test")
    voice.detail(f"\n{training.network.summary()}\n")
    for name, value in config.to_dict().items():
        if value not in (None, []):
            voice.detail(f"{name:<18}{','.join(map(str, value)) if isinstance(value, list) else value}")
    by = f" by {training.workers} workers" if training.workers > 1 else ""
    voice.detail(f"\n{training.total_steps:,} steps{by}; results go to {folder}")


def _line_an_epoch() -> Listener:
    from glassnet.listeners import summary_of
    from glassnet.training import EpochEnd, Event, Listener

    class Lines(Listener):
        def notify(self, event: Event, run: Training) -> None:
            if isinstance(event, EpochEnd):
                row = event.row
                echo(
                    f"epoch {row['epoch']:.0f}/{run.epochs}, step {row['step']:,.0f}: {summary_of(row)}; "
                    f"learning rate {row['learning_rate']:.3g}, {row['train_seconds']:.2f} s"
                )

    return Lines()


def _network_line(config: RunConfig, data: DataSet) -> str:
    import math

    outputs = data.train.targets.shape[1] if data.classes is None else data.classes
    widths = "-".join(map(str, [math.prod(data.input_shape), *config.hidden, outputs]))
    return f"{widths} on {data.name}, {config.activation}, {config.loss}, {config.optimizer}"


def _write(
    config: RunConfig,
    data: DataSet,
    result: Result,
    findings: Sequence[Finding],
    folder: Path,
    voice: Voice,
    drawers: Drawers,
) -> None:
    """Evaluate the test samples, write all files of a run, and say what came out."""
    import numpy as np

    from glassnet.cli import runs
    from glassnet.model_files import save_model

    save_model(result.model, folder / runs.MODEL)
    begin = time.perf_counter()
    network = result.model.network
    outputs = np.empty((len(data.test), *network.output_shape), network.dtype)
    test = result.model.evaluate(data.test, outputs) if len(data.test) else None
    evaluation_seconds = result.evaluation_seconds + time.perf_counter() - begin
    if test is not None and test.accuracy is not None:
        voice.say(
            f"test accuracy {100 * test.accuracy:.2f} % of {len(data.test):,} samples never seen before, "
            f"loss {test.loss:.4f}"
        )
        if data.test.targets.ndim == 1 and test.accuracy <= _share_of_largest_class(data):
            cure = "" if findings else "; try another --learning-rate"
            voice.say(f"it learnt nothing: always to answer with one class would be as good{cure}")
    figures = _draw(config, data, result, test, outputs, folder, drawers)
    last = {name: column[-1] if column else float("nan") for name, column in result.history.items()}
    rate = result.samples / result.train_seconds if result.train_seconds else float("nan")
    wall_seconds = time.time() - runs.process_start()
    runs.write_json(
        folder / "result.json",
        {
            "test_accuracy": test.accuracy if test else None,
            "test_loss": test.loss if test else None,
            "validation_accuracy": last["validation_accuracy"],
            "validation_loss": last["validation_loss"],
            "train_accuracy": last["train_accuracy"],
            "train_loss": last["train_loss"],
            "train_seconds": result.train_seconds,
            "evaluation_seconds": evaluation_seconds,
            "wall_seconds": wall_seconds,
            "steps": result.steps,
            "images_per_second": rate,
            "epochs": int(result.epochs) if result.epochs.is_integer() else result.epochs,
            "stopped": result.stopped,
            "findings": [asdict(finding) for finding in findings],
            "seed": config.seed,
            "parameters": result.model.network.layout.size,
            "config": config.to_dict(),
            "versions": runs.versions(),
        },
    )
    voice.say(
        f"trained {result.train_seconds:.2f} s, {0.0 if rate != rate else rate:,.0f} samples a second; "
        f"{wall_seconds:.2f} s from the prompt"
    )
    names = [runs.MODEL, runs.RUN_FILE, "history.csv", "result.json", *figures]
    voice.say(f"results in {folder}: {', '.join(names)}")


def _share_of_largest_class(data: DataSet) -> float:
    import numpy as np

    return float(np.bincount(data.test.targets).max()) / len(data.test)


def _draw(
    config: RunConfig,
    data: DataSet,
    result: Result,
    test: Evaluation | None,
    outputs: NDArray[Any],
    folder: Path,
    drawers: Drawers,
) -> list[str]:
    """Draw what the run allows, and return the names of the files."""
    import numpy as np

    from glassnet import plots

    title = _network_line(config, data)
    if test is not None and test.accuracy is not None:
        title += f": {100 * test.accuracy:.2f} % of the test samples"
    with np.errstate(all="ignore"):  # a network that diverged is drawn as it is
        makers = plots.figure_makers(result.model, data.test, outputs, title)
        if result.history["epoch"]:
            makers = {"learning-curve": partial(plots.learning_curve, result.history, title), **makers}
        drawers.save_all({folder / plots.FIGURES[name]: make for name, make in makers.items()})
    names = [plots.FIGURES[name] for name in makers]
    for name in set(plots.FIGURES.values()).difference(names):
        (folder / name).unlink(missing_ok=True)  # of the run that this one replaces
    return names
