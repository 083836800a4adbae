"""Listeners: what happens around a training. Each follows the events of `training` and may ask the run to stop."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any, TextIO

from glassnet.checks import check_count, check_number
from glassnet.diagnosis import all_finite
from glassnet.errors import ConfigError, MissingFileError
from glassnet.files import write_text
from glassnet.history import history_csv
from glassnet.optimizer import Optimizer
from glassnet.schedules import Scaled
from glassnet.training import Begin, End, EpochEnd, Event, Listener, Steps, Training


class Progress(Listener):
    """A live progress bar over the whole run: samples, epoch, and the newest loss and accuracy.

    Parameters
    ----------
    stream : where to draw; by default the standard error
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._bar: Any = None

    def notify(self, event: Event, run: Training) -> None:
        """Draw what is new."""
        if isinstance(event, Begin):
            from tqdm import tqdm  # not needed by who trains without a bar

            class Bar(tqdm):  # type: ignore[type-arg]
                monitor_interval = 0  # no thread beside this one, so that processes can be forked

            self._bar = Bar(
                total=run.total_samples,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| {remaining} left{postfix}",  # fits 80 columns
                file=self._stream or sys.stderr,
                disable=None if self._stream is None else False,  # None: draw on a terminal only
                dynamic_ncols=True,
                desc=f"epoch 1/{run.epochs}",
            )
        elif isinstance(event, Steps):
            self._bar.update(event.samples - self._bar.n)
        elif isinstance(event, EpochEnd):
            self._bar.set_postfix_str(summary_of(event.row), refresh=False)
            self._bar.set_description_str(f"epoch {min(run.epoch + 1, run.epochs)}/{run.epochs}")

    def close(self) -> None:
        """Leave the bar as it is and go to the next line."""
        if self._bar is not None:
            self._bar.close()


def summary_of(row: dict[str, float]) -> str:
    """Say in a few words how an epoch went: of the validation samples if there are any, else of the training.

    Examples
    --------
    >>> summary_of({"train_loss": 0.25, "train_accuracy": 0.5, "validation_loss": float("nan")})
    'loss 0.2500, accuracy 50.00 %'
    """
    kind, prefix = ("train", "") if math.isnan(row["validation_loss"]) else ("validation", "validation ")
    accuracy = row[f"{kind}_accuracy"]
    text = f"{prefix}loss {row[f'{kind}_loss']:.4f}"
    return text if math.isnan(accuracy) else f"{text}, accuracy {accuracy:.2%}".replace("%", " %")


class _Monitor(Listener):
    """Base of the listeners that wait for the best epoch by a column of the history."""

    min_delta = 0.0

    def __init__(self, monitor: str) -> None:
        if monitor not in ("validation_loss", "validation_accuracy", "train_loss", "train_accuracy"):
            raise ConfigError(
                f"there is no {monitor!r} to watch: name validation_loss, validation_accuracy or the same of train."
            )
        self.monitor = monitor
        self.best = -math.inf
        self.best_epoch = 0

    def notify(self, event: Event, run: Training) -> None:
        if isinstance(event, Begin):
            if self.monitor.startswith("validation") and not run.validates:
                raise ConfigError(
                    f"{type(self).__name__} watches {self.monitor}, but nothing is validated in this run."
                )
            if self.monitor.endswith("accuracy") and run.model.task == "regression":
                raise ConfigError(
                    f"{type(self).__name__} watches {self.monitor}, but a regression has no accuracy: "
                    f"watch {self.monitor.replace('accuracy', 'loss')}."
                )
            if run.step == 0:
                self.forget()  # what an earlier run left
            else:
                self.go_on(run)
        if isinstance(event, EpochEnd):
            value = event.row[self.monitor] * (-1.0 if self.monitor.endswith("loss") else 1.0)
            if value > self.best + self.min_delta:
                self.best, self.best_epoch = value, int(event.row["epoch"])
                self.improved(run)
            else:
                self.waited(int(event.row["epoch"]) - self.best_epoch, run)

    def forget(self) -> None:
        """Begin anew."""
        self.best, self.best_epoch = -math.inf, 0

    def go_on(self, run: Training) -> None:
        """The run goes on where another one ended, perhaps because of what this listener had seen."""

    def improved(self, run: Training) -> None:
        """This epoch was the best so far."""

    def waited(self, epochs: int, run: Training) -> None:
        """The best epoch was so many epochs ago."""

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch}

    def restore(self, state: dict[str, Any]) -> None:
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])


class EarlyStopping(_Monitor):
    """Stop when `monitor` has not improved for `patience` epochs (Prechelt, "Early stopping - but when?", 1998).

    Parameters
    ----------
    monitor : a loss (lower is better) or an accuracy of the history
    patience : epochs to wait

    Raises
    ------
    ConfigError
        When training begins, if there is no validation to watch, or no accuracy, as of a regression.

    Examples
    --------
    >>> import numpy as np
    >>> from glassnet import Dense, Network, Softmax, fit, from_arrays
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> data = from_arrays(x, (x[:, 0] > 0).astype(int))
    >>> stopping = EarlyStopping("validation_accuracy", patience=3)
    >>> fit(Network([Dense(2), Softmax()], 2), data, epochs=200, listeners=[stopping]).stopped
    'early stopping: validation_accuracy has not improved since epoch ...'
    """

    def __init__(self, monitor: str = "validation_loss", patience: int = 5) -> None:
        super().__init__(monitor)
        self.patience = check_count("patience", patience, least=1)

    def go_on(self, run: Training) -> None:
        """Stop at once where that run did."""
        self.waited(run.epoch - self.best_epoch, run)

    def waited(self, epochs: int, run: Training) -> None:
        """Stop after `patience` epochs."""
        if epochs >= self.patience:
            run.stop(f"early stopping: {self.monitor} has not improved since epoch {self.best_epoch}")


class BestWeights(_Monitor):
    """At the end of the run, put back the parameters of the epoch that was best by `monitor`.

    Parameters
    ----------
    monitor : a loss (lower is better) or an accuracy of the history

    Attributes
    ----------
    best_epoch : the epoch whose parameters are kept, from 1

    Raises
    ------
    ConfigError
        When training begins, if there is no validation to watch, or no accuracy, as of a regression.

    Examples
    --------
    >>> import numpy as np
    >>> from glassnet import Dense, Network, Softmax, fit, from_arrays
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> data = from_arrays(x, (x[:, 0] > 0).astype(int))
    >>> best = BestWeights("validation_loss")
    >>> result = fit(Network([Dense(2), Softmax()], 2), data, epochs=9, listeners=[best])
    >>> result.model.evaluate(data.validation).loss == min(result.history["validation_loss"])
    True
    """

    def __init__(self, monitor: str = "validation_accuracy") -> None:
        super().__init__(monitor)
        self._kept: tuple[Any, Any] | None = None

    def forget(self) -> None:
        """Begin anew."""
        super().forget()
        self._kept = None

    def notify(self, event: Event, run: Training) -> None:
        """Keep the best parameters; at the end, put them back."""
        super().notify(event, run)
        if isinstance(event, End) and self._kept is not None:
            run.network.theta[:], run.network.state[:] = self._kept

    def improved(self, run: Training) -> None:
        """Keep a copy."""
        self._kept = run.network.theta.copy(), run.network.state.copy()

    def state(self) -> dict[str, Any]:
        """Return the best value, its epoch and its parameters."""
        return super().state() | {"kept": self._kept}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        super().restore(state)
        self._kept = None if state["kept"] is None else tuple(state["kept"])

    def go_on(self, run: Training) -> None:
        """Check that what was saved are parameters of this network."""
        own = run.network.theta, run.network.state
        kept = self._kept or own
        kinds = [[(getattr(a, "shape", None), getattr(a, "dtype", None)) for a in both] for both in (kept, own)]
        if kinds[0] != kinds[1] or not all(map(all_finite, kept)):
            raise ConfigError("the best parameters that were saved are not of this network.")


class StopAt(_Monitor):
    """Stop as soon as `monitor` is good enough: an accuracy of at least `target`, a loss of at most that.

    Parameters
    ----------
    target : accuracy as a share, 0 to 1, or loss
    monitor : a loss or an accuracy of the history

    Raises
    ------
    ConfigError
        When training begins, if there is no validation to watch, or no accuracy, as of a regression.

    Examples
    --------
    >>> import numpy as np
    >>> from glassnet import Dense, Network, Softmax, fit, from_arrays
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> data = from_arrays(x, (x[:, 0] > 0).astype(int))
    >>> fit(Network([Dense(2), Softmax()], 2), data, epochs=500, listeners=[StopAt(0.9)]).stopped
    'validation_accuracy reached 0.9'
    """

    def __init__(self, target: float, monitor: str = "validation_accuracy") -> None:
        super().__init__(monitor)
        self.target = target

    def go_on(self, run: Training) -> None:
        """Stop at once where that run did."""
        self.improved(run)

    def improved(self, run: Training) -> None:
        """Stop at the target."""
        if self.best >= (-self.target if self.monitor.endswith("loss") else self.target):
            run.stop(f"{self.monitor} reached {self.target:g}")


class _Lowered:
    """A schedule that a `ReduceOnPlateau` lowers while the optimizer holds it: by what `scaled` says now."""

    def __init__(self, scaled: Scaled) -> None:
        self.scaled = scaled

    def __call__(self, step: int) -> float:
        return self.scaled(step)

    def __repr__(self) -> str:
        return repr(self.scaled)


class ReduceOnPlateau(_Monitor):
    """Lower the learning rate where `monitor` stands still.

    After the epochs r_1, r_2, ... in which it reduces, the schedule of the optimizer is multiplied::

        lr(k) = max(factor^i schedule(k), min_learning_rate)        after r_i

    It reduces when `patience` epochs in a row were none of them better, by more than `min_delta`, than the best so
    far, and then counts anew. The schedule may be any; where it is below `min_learning_rate` by itself, it stays so.
    Of several in one run, each multiplies what the others leave. When the run is over, the optimizer has its own
    schedule again.

    Parameters
    ----------
    monitor : a loss (lower is better) or an accuracy of the history
    factor : what the rate is multiplied by, above 0 and below 1
    patience : epochs to wait, at least 1; fewer than those of an `EarlyStopping` beside it
    min_delta : how much better counts as better, in units of `monitor`, at least 0
    cooldown : epochs after a reduction that are not counted, at least 0
    min_learning_rate : no reduction leads below it; at least 0

    Attributes
    ----------
    scale : what the schedule is multiplied by now, ``factor`` to the power of the reductions so far

    Raises
    ------
    ConfigError
        If an argument is out of its bounds; when training begins, if there is no validation to watch, or no accuracy,
        as of a regression.

    Examples
    --------
    Of a loss that goes up and down, because the rate is too high:

    >>> import numpy as np
    >>> from glassnet import SGD, Dense, Network, Softmax, fit, from_arrays
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> data = from_arrays(x, (x[:, 0] > 0).astype(int))
    >>> network, reduce = Network([Dense(2), Softmax()], 2), ReduceOnPlateau("train_loss", factor=0.5, patience=2)
    >>> history = fit(network, data, SGD(10.0), batch_size=10, epochs=7, listeners=[reduce]).history
    >>> [round(loss, 2) for loss in history["train_loss"]]
    [0.12, 0.07, 0.04, 0.06, 0.06, 0.05, 0.03]
    >>> history["learning_rate"]
    [10.0, 10.0, 10.0, 10.0, 10.0, 5.0, 5.0]

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012), "ImageNet classification with deep convolutional neural networks", section 5,
    divided by 10, by hand, where the error on the validation images stood still. `patience` counts as Keras's
    `ReduceLROnPlateau` does; PyTorch's waits for one epoch more. Both have a patience of 10, for longer runs than
    those that are common here, and the same factor. `min_delta` is absolute as in Keras, where PyTorch's threshold is
    a part of the best value unless ``threshold_mode="abs"``. `cooldown` counts as PyTorch's; in Keras a cooldown of
    1 is none. Both multiply the rate itself, and a schedule beside them may write over it.
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        factor: float = 0.1,
        patience: int = 3,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_learning_rate: float = 0.0,
    ) -> None:
        super().__init__(monitor)
        self.factor = check_number("factor", factor, above=0, below=1)
        self.patience = check_count("patience", patience, least=1)
        self.min_delta = check_number("min_delta", min_delta, least=0)
        self.cooldown = check_count("cooldown", cooldown, least=0)
        self.min_learning_rate = check_number("min_learning_rate", min_learning_rate, least=0)
        self._held: tuple[Optimizer, _Lowered] | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        super().forget()
        self.scale = 1.0
        self._waited = self._cooling = 0

    def notify(self, event: Event, run: Training) -> None:
        """Watch the epochs; when training begins or goes on, take hold of the schedule."""
        super().notify(event, run)
        if isinstance(event, Begin):
            self.close()
            lowered = _Lowered(Scaled(run.optimizer.schedule, self.scale, self.min_learning_rate))
            run.optimizer.schedule = lowered
            self._held = run.optimizer, lowered

    def improved(self, run: Training) -> None:
        """Wait anew."""
        self._waited = 0
        self._cooling = max(0, self._cooling - 1)

    def waited(self, epochs: int, run: Training) -> None:
        """Reduce after `patience` epochs."""
        if self._cooling:
            self._cooling -= 1
            return
        self._waited += 1
        if self._waited == self.patience:
            self.scale *= self.factor
            self._waited, self._cooling = 0, self.cooldown
            if self._held is not None:
                lowered = self._held[1]
                lowered.scaled = replace(lowered.scaled, factor=self.scale)

    def close(self) -> None:
        """Give the optimizer its own schedule back, as far as it is lowered here."""
        if self._held is None:
            return
        (optimizer, lowered), self._held = self._held, None
        own, above = lowered.scaled.schedule, optimizer.schedule
        if above is lowered:
            optimizer.schedule = own
        while isinstance(above, _Lowered):  # another one holds the schedule that is lowered here
            if above.scaled.schedule is lowered:
                above.scaled = replace(above.scaled, schedule=own)
            above = above.scaled.schedule

    def state(self) -> dict[str, Any]:
        """Return the best value, its epoch, what was waited for since, and what the schedule is multiplied by."""
        return super().state() | {"scale": self.scale, "waited": self._waited, "cooling": self._cooling}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        super().restore(state)
        self.scale = float(state["scale"])
        self._waited, self._cooling = int(state["waited"]), int(state["cooling"])


class CSVHistory(Listener):
    """Write the history to a CSV file as training goes on, at most once a second and at the end, whole each time.

    Parameters
    ----------
    path : the file; what was there is replaced when the first epoch ends
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise MissingFileError(f"{self.path}: the folder {self.path.parent} does not exist; make it first.")
        self._written = -math.inf

    def notify(self, event: Event, run: Training) -> None:
        """Write the file."""
        if (isinstance(event, EpochEnd) and perf_counter() - self._written >= 1) or isinstance(event, End):
            write_text(self.path, history_csv(run.history))
            self._written = perf_counter()


@contextmanager
def hold_interrupts() -> Iterator[list[int]]:
    """Let what is inside finish in spite of Ctrl-C, which is only noted in the list; a second one interrupts at once.

    Outside the main thread, where Python delivers no signals, nothing is done.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


class StopOnInterrupt(Listener):
    """Let the first Ctrl-C, or the first SIGTERM, end the run cleanly after the current step; a second ends it at once.

    The handlers are in place while the run lasts and only in the main thread, where Python allows it.
    """

    def __init__(self) -> None:
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def notify(self, event: Event, run: Training) -> None:
        """Put the handlers in place when training begins."""
        if isinstance(event, Begin) and threading.current_thread() is threading.main_thread():

            def stop(number: int, frame: FrameType | None) -> None:
                interrupted = number == signal.SIGINT
                run.stop("interrupted" if interrupted else "terminated")
                signal.signal(number, signal.default_int_handler if interrupted else signal.SIG_DFL)

            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, stop)

    def close(self) -> None:
        """Put back the handlers that were there before."""
        while self._before:
            number, before = self._before.popitem()
            signal.signal(number, signal.SIG_DFL if before is None else before)


class StopAfter(Listener):
    """Stop after a step, in the midst of an epoch if need be.

    Parameters
    ----------
    step : the last one to take, counted from the beginning of the run; at least 1

    Examples
    --------
    >>> import numpy as np
    >>> from glassnet import Dense, Network, Softmax, fit, from_arrays
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> data = from_arrays(x, (x[:, 0] > 0).astype(int))
    >>> fit(Network([Dense(2), Softmax()], 2), data, batch_size=10, epochs=9, listeners=[StopAfter(25)]).steps
    25
    """

    def __init__(self, step: int) -> None:
        self.step = check_count("step", step, least=1)

    def notify(self, event: Event, run: Training) -> None:
        """Let an event come at the step, and stop there."""
        if run.step >= self.step:
            run.stop(f"step {self.step:,} was reached")
        else:
            run.event_at(self.step)
