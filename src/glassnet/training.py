"""Training: the loop. It yields events and never prints, draws or writes a file; listeners do.

    for each epoch:
        for each batch: step            see `glassnet.step`
        look at the validation samples

Batch, mini-batch and stochastic training are this loop with ``batch_size`` "full", some, and 1.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from glassnet.blas import threads_at_most, threads_now
from glassnet.checks import check_count, check_number
from glassnet.data import DataSet
from glassnet.data.batches import Batch, batch_length
from glassnet.data.dataset import weighted_by_class
from glassnet.diagnosis import all_finite, first_bad_number, first_bad_parameter
from glassnet.errors import ConfigError, DivergedError, WorkerDiedError
from glassnet.history import COLUMNS, History
from glassnet.losses import Loss, default_loss, dense_targets
from glassnet.model import EVALUATION_BATCH, Evaluation, Model, evaluate, task_of
from glassnet.network import Network, Workspace
from glassnet.optim import Adam
from glassnet.optimizer import Optimizer
from glassnet.params import Views
from glassnet.step import Plan, Stepper, takes_leading_columns

Array = NDArray[Any]

CHECK_EVERY = 500
"""Steps between two looks whether all parameters are finite (there is one at the end of each epoch, too)."""

SAMPLES_PER_EVENT = 1000
"""Samples after which the loop reports, unless one batch is more or `CHECK_EVERY` steps are fewer."""


ONE_THREAD_UP_TO = 20_000_000
"""Steps of up to so many samples times parameters take one BLAS thread: a second one gains little there, and on a busy
machine the two wait for each other (docs/decisions/0009 and 0015)."""

ROWS_A_WORKER, PARAMETERS_FOR_WORKERS, MOST_WORKERS = 50, 20_000, 2
"""What `worker_count` asks for: samples for each, and parameters. More than two workers were not measured."""


def blas_threads(batch: int, parameters: int, workers: int = 1) -> int | None:
    """Return how many threads BLAS may use for steps of so many samples; None: as many as it likes.

    A fixed rule, since the last bits of a result may depend on it.

    Examples
    --------
    >>> blas_threads(200, 89_610), blas_threads(1000, 89_610), blas_threads(1000, 89_610, workers=2)
    (1, None, 1)
    """
    return 1 if workers > 1 or batch * parameters <= ONE_THREAD_UP_TO else None


def threads_used(batch: int, parameters: int, workers: int) -> int | None:
    """Return how many threads BLAS uses where nobody says so: by `blas_threads`, or as many as it has."""
    return blas_threads(batch, parameters, workers) or threads_now()


def worker_count(cores: int, batch: int, parameters: int) -> int:
    """Return how many workers are of use: one, or two if there is enough for both to do.

    A fixed rule and never a timing, since results depend on it in their last bits.

    Examples
    --------
    >>> worker_count(8, 100, 89_610), worker_count(8, 1, 89_610), worker_count(1, 100, 89_610)
    (2, 1, 1)
    """
    return max(1, min(cores, batch // ROWS_A_WORKER, parameters // PARAMETERS_FOR_WORKERS + 1, MOST_WORKERS))


@dataclass(frozen=True)
class Begin:
    """Training is about to start."""


@dataclass(frozen=True)
class Steps:
    """Some steps were taken; the network lags behind them until the end of the epoch, or `Training.publish`."""

    samples: int


@dataclass(frozen=True)
class EpochEnd:
    """An epoch (or the part of it before a stop) is over.

    `row` has a number for each of `COLUMNS`: epoch from 1, steps so far, the learning rate of the last step, loss and
    accuracy of the training samples as they were met, on average over the epoch, those of the validation samples at
    its end, and the seconds spent in training steps so far.
    """

    row: dict[str, float]


@dataclass(frozen=True)
class End:
    """Training is over; `Training.stopped` says why if it was before the last epoch."""


Event: TypeAlias = Begin | Steps | EpochEnd | End


class Listener:
    """Base of everything that follows a training: told of each event, it may look at the run or ask it to stop.

    Attributes
    ----------
    last : told after the others, so that it sees what they made of an event

    Examples
    --------
    >>> class StopWhenSlow(Listener):
    ...     def notify(self, event, run):
    ...         if isinstance(event, EpochEnd) and event.row["train_seconds"] > 60:
    ...             run.stop("a minute is enough")
    """

    last = False

    def notify(self, event: Event, run: Training) -> None:
        """Take note of an event."""

    def close(self) -> None:
        """Put away what `notify` opened; called once, whatever ended the run."""

    def state(self) -> dict[str, Any]:
        """Return what must be saved to go on later."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""


@dataclass(frozen=True)
class Result:
    """What training leaves.

    Attributes
    ----------
    model : ready to predict from raw data, to evaluate and to save
    history : see `EpochEnd`
    steps : updates of the parameters
    epochs : passes over the training samples, with a fraction for one that was not finished
    samples : training samples that were used, counted every time
    train_seconds : time in training steps alone
    evaluation_seconds : time on the validation samples
    stopped : why it ended before the last epoch; None if it did not
    """

    model: Model
    history: History
    steps: int
    epochs: float
    samples: int
    train_seconds: float
    evaluation_seconds: float
    stopped: str | None


@dataclass
class _Snapshot:
    """All that the next step depends on, in the form that steps work on."""

    theta: Array
    state: Array
    optimizer: dict[str, Any]
    place: tuple[int, int, int, int]  # epoch, number, step, samples


@dataclass
class Training:
    """One run: what it works on, and how far it is.

    Parameters
    ----------
    network : trained in place
    data : its training split trains, its validation split is looked at after each epoch
    optimizer : Adam unless given; its state starts anew
    loss : by default the one that goes with the last layer
    batch_size : samples a step, or "full"
    epochs : passes over the training samples
    max_steps : stop after so many steps
    shuffle : a new order of the samples in every epoch
    validate : evaluate the validation split after each epoch, if there is one
    seed : of the order of the samples and of the randomness inside steps
    frozen : names of layers (see `Network.names`) whose parameters stay as they are
    class_weights : "balanced", one number for each class, or None
        The weight of each training sample is multiplied by that of its class: by N / (C n_c), with which every class
        counts the same, or by the number. Like sample weights they are in the steps and in the training loss, a mean by
        weight, and as in Keras' ``fit(class_weight=...)`` in no figure of validation or test, and in no accuracy
    workers : processes that train together, each with a part of every batch and of the update, and one BLAS thread.
        Their optimizer has the settings with which the run began, but for the schedule. They compute the same gradient
        but for rounding, in the same bits every time. Where processes can not be forked (on Windows, on macOS, beside
        other Python threads) a program must begin with ``if __name__ == "__main__":``
    threads : that BLAS may use while this process trains alone; None: see `blas_threads`

    Raises
    ------
    ConfigError
        If something does not fit together, such as class weights with dense targets; nothing has changed then.

    Attributes
    ----------
    epoch, number, step : the next step is batch `number` of `epoch`, after `step` steps in all
    steps_per_event : steps between two events; may be changed at any of them
    history : so far
    stopped : why it ends early
    listeners : who follows it
    rule : what the optimizer said of itself before anybody changed its schedule
    """

    network: Network
    data: DataSet
    optimizer: Optimizer = field(default_factory=Adam)
    loss: Loss | None = None
    batch_size: int | str = 100
    epochs: int = 5
    max_steps: int | None = None
    shuffle: bool = True
    validate: bool = True
    seed: int = 0
    frozen: Sequence[str] = ()
    class_weights: Literal["balanced"] | Sequence[float] | None = None
    workers: int = 1
    threads: int | None = None

    epoch: int = field(default=0, init=False)
    number: int = field(default=0, init=False)
    step: int = field(default=0, init=False)
    samples: int = field(default=0, init=False)
    train_seconds: float = field(default=0.0, init=False)
    evaluation_seconds: float = field(default=0.0, init=False)
    stopped: str | None = field(default=None, init=False)
    history: History = field(default_factory=lambda: {name: [] for name in COLUMNS}, init=False)
    listeners: Sequence[Listener] = field(default=(), init=False, repr=False)
    _stepper: Stepper | None = field(default=None, init=False, repr=False)
    _asked: set[int] = field(default_factory=set, init=False, repr=False)
    _saved: Mapping[str, Any] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        network, data = self.network, self.data
        for what, value, kind, example in (
            ("network", network, Network, "Network([Dense(10), Softmax()], 784)"),
            ("data", data, DataSet, "from_arrays(features, targets)"),
            ("optimizer", self.optimizer, Optimizer, "Adam(0.001)"),
            ("loss", self.loss, Loss | None, "SoftmaxCrossEntropy()"),
        ):
            if not isinstance(value, kind):
                raise ConfigError(f"the {what} to train with must be made like {example}, not be {value!r:.80}.")
        output = type(network.layers[-1]).__name__
        loss = self.loss = self.loss or default_loss(output)
        loss.check_output(output)
        check_count("epochs", self.epochs, least=0)
        check_count("seed", self.seed, least=0)
        if self.max_steps is not None:
            check_count("max_steps", self.max_steps, least=0)
        check_count("workers", self.workers, least=1)
        if self.threads is not None:
            check_count("threads", self.threads, least=1)
        if self.workers > 1:
            self._check_workers()
        if len(network.output_shape) != 1:
            raise ConfigError(f"the network's output must be one row a sample, not shape {network.output_shape}.")
        if data.input_shape != network.input_shape:
            raise ConfigError(
                f"the samples of {data.name} have shape {data.input_shape}, "
                f"but the network takes {network.input_shape}."
            )
        outputs = network.output_shape[0]
        if data.classes is not None and outputs not in ({data.classes, 1} if data.classes == 2 else {data.classes}):
            raise ConfigError(f"{data.name} has {data.classes} classes, but the network has {outputs} outputs.")
        targets = dense_targets(data.train.targets, outputs, network.dtype)
        loss.check_targets(targets)
        train = data.train if self.class_weights is None else weighted_by_class(data, self.class_weights)
        weights = train.weights
        self.batch_length = batch_length(self.batch_size, len(train))
        self.steps_an_epoch = -(-len(train) // self.batch_length)
        self.steps_per_event = max(1, SAMPLES_PER_EVENT // self.batch_length)
        passes = self.total_steps >= self.steps_an_epoch  # finding the lit columns takes longer than a few steps save
        mean_weight = 1.0 if weights is None or loss.reduction == "sum" else float(weights.mean()) or 1.0
        self.model = Model(network, data.preprocessing, data.class_names, loss, task_of(loss, data.train.targets))
        self.plan = Plan(
            network=network,
            samples=train,
            preprocessing=data.preprocessing,
            targets=loss.smooth(targets),
            columns=data.lit_columns if passes and takes_leading_columns(network) else None,
            loss=loss.unsmoothed(),  # the targets of the batches are smoothed already
            task=self.model.task,
            optimizer=self.optimizer,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            seed=self.seed,
            frozen=self._frozen_layers(),
            mean_weight=mean_weight,
        )
        self.validates = self.validate and len(data.validation) > 0
        self._eval_ws = Workspace(network, min(EVALUATION_BATCH, max(len(data.validation), 1)), train=False)
        self.plan.allocate()
        self.rule = self.optimizer.describe()

    def _check_workers(self) -> None:
        """Refuse what several workers can not do."""
        if self.optimizer.mixes == "all":
            raise ConfigError(
                f"{type(self.optimizer).__name__} may mix all parameters, so workers can not each take some of them: "
                f"set workers to 1, or say in its attribute mixes that it does not."
            )
        if self.threads is not None and self.threads > 1:
            raise ConfigError(f"each of {self.workers} workers has one BLAS thread: leave threads out, or workers.")
        for name, layer, state in zip(
            self.network.names, self.network.layers, self.network.state_layout.layers, strict=True
        ):
            if layer.couples_samples or state:
                raise ConfigError(
                    f"{name} needs all samples of a batch at once, so they can not be shared out: set workers to 1."
                )

    def _frozen_layers(self) -> frozenset[int]:
        """Return the indices of the layers that stay as they are."""
        names, layers = self.network.names, self.network.layout.layers
        trainable = [name for name, params in zip(names, layers, strict=True) if params]
        for name in self.frozen:
            if isinstance(self.frozen, str) or name not in trainable:
                raise ConfigError(
                    f"there is no layer {name!r:.80} with parameters to freeze; give a list of {', '.join(trainable)}."
                )
        if trainable and set(trainable) <= set(self.frozen):
            raise ConfigError("all layers with parameters are frozen, so nothing is left to train; leave one out.")
        return frozenset(names.index(name) for name in self.frozen)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run, if nothing stops it."""
        steps = self.epochs * self.steps_an_epoch
        return steps if self.max_steps is None else min(steps, self.max_steps)

    @property
    def total_samples(self) -> int:
        """Samples of the whole run, if nothing stops it."""
        epochs, rest = divmod(self.total_steps, self.steps_an_epoch)
        return epochs * len(self.data.train) + rest * self.batch_length

    def result(self) -> Result:
        """Return what there is so far."""
        return Result(
            self.model,
            self.history,
            self.step,
            self.step / self.steps_an_epoch,
            self.samples,
            self.train_seconds,
            self.evaluation_seconds,
            self.stopped,
        )

    def stop(self, reason: str) -> None:
        """Ask the run to end after the step it is at."""
        self.stopped = self.stopped or reason

    def event_at(self, step: int) -> None:
        """Let an event come at a step, however many lie between two events."""
        self._asked.add(step)

    def publish(self) -> None:
        """Bring the network up to date: between the ends of two epochs it lags behind the steps.

        For listeners that look at its parameters at `Steps`. Changes of them count at `Begin` and `EpochEnd`, and
        where `take_over` is called.
        """
        if self._stepper is not None:
            self._stepper.publish(self.network)

    def optimizer_in_order(self) -> Optimizer:
        """Return a copy of the optimizer as it is now, with a state for all trained parameters of the network.

        The optimizer itself may own fewer, and in another order: see `glassnet.step`. Weights of inputs that are 0 in
        all samples have the state of the beginning.
        """
        if self._stepper is None:
            raise ConfigError("the optimizer has a state only while the run goes on.")
        return self._stepper.optimizer_in_order()

    def take_over(self, optimizer: Optimizer) -> None:
        """Go on from the network's parameters as they are now, and from an optimizer's state.

        For listeners that have changed them at `Steps`, after `publish`.

        Parameters
        ----------
        optimizer : what `optimizer_in_order` returned, some steps later
        """
        if self._stepper is not None:
            self._stepper.take_optimizer(optimizer)
            self._stepper.fetch(self.network)
            self._good = self._snapshot()

    def so_far(self) -> Evaluation:
        """Return how the training samples of this epoch did as they were met; of several workers, those of the first.

        Before the first step of an epoch its numbers are NaN and None.
        """
        return Evaluation(math.nan, None) if self._stepper is None else self._stepper.tally.so_far()

    def state(self) -> dict[str, Any]:
        """Return a copy of all that the rest of the run depends on besides its settings, for `restore`.

        To be called by a listener at `Steps`, or at the end of a whole epoch.

        Returns
        -------
        dict
            "place" (epoch, number, step, samples), "seconds" (of steps, of evaluations), "theta" and "network" (the
            parameters and the layers' state, within an epoch in the form that steps work on), "optimizer", "tally"
            (sums over this epoch's samples so far), "history" (of the epochs before).

        Raises
        ------
        ConfigError
            If nothing is known of an epoch that is not over: before and after the run, and where a stop has cut it.
        """
        within, network = self.number > 0, self.network
        if len(self.history["epoch"]) != self.epoch or (within and self._stepper is None):
            raise ConfigError("the state of a run can be saved at Steps, or at the end of a whole epoch.")
        if within:
            network = self._at_work.network
        return {
            "place": list(self._place()),
            "seconds": [self.train_seconds, self.evaluation_seconds],
            "theta": network.theta.copy(),
            "network": network.state.copy(),
            "optimizer": self.optimizer.state(),
            "tally": self._at_work.sums() if within else [],
            "history": {name: list(column) for name, column in self.history.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Let this run, which has not begun, go on where another one with the same settings was.

        Parameters
        ----------
        state : what `state` returned

        Raises
        ------
        ConfigError
            If the state can not be of such a run.
        """
        network, place, history = self.network, state["place"], state["history"]
        epoch, number, step, samples = (check_count("place", count, least=0) for count in place)
        fits = (
            number <= self.steps_an_epoch
            and step == epoch * self.steps_an_epoch + number <= self.total_steps
            and samples == epoch * len(self.data.train) + min(number * self.batch_length, len(self.data.train))
            and set(history) == set(COLUMNS)
            and all(len(column) == epoch for column in history.values())
            and all(type(value) in (int, float) for column in history.values() for value in column)
            and len(state["tally"]) == (4 if number else 0)
        )
        for name, own in (("theta", network.theta), ("network", network.state)):
            saved = np.asarray(state[name])
            fits = fits and saved.shape == own.shape and saved.dtype == own.dtype and all_finite(saved)
        if not fits:
            raise ConfigError("the state that was saved is not of a run like this one.")
        self.optimizer.restore(state["optimizer"])
        network.theta[:], network.state[:] = state["theta"], state["network"]
        self.epoch, self.number, self.step, self.samples = epoch, number, step, samples
        self.train_seconds, self.evaluation_seconds = (check_number("seconds", x, least=0) for x in state["seconds"])
        self.history = {name: list(history[name]) for name in COLUMNS}
        self._saved = state if number else None

    def events(self) -> Generator[Event, None, None]:
        """Train, and yield what happens.

        Raises
        ------
        DivergedError
            At a NaN or an infinity, after everything else was yielded. It names the step and the first bad number, and
            the network holds the parameters from before that step.
        WorkerDiedError
            If one of several workers is gone, after everything else was yielded. The network holds what was learnt so
            far, the last step perhaps in part.
        """
        error: DivergedError | WorkerDiedError | None = None
        with self._steppers() as stepper:
            stepper.fetch(self.network)
            if self._saved is not None:
                stepper.restore(self._saved)
                stepper.publish(self.network)
            yield Begin()
            while self.step < self.total_steps and not self.stopped:
                training = Evaluation(math.nan, None)
                try:
                    stepper.begin_epoch(self.network)
                    if self._saved is not None:
                        stepper.restore(self._saved)
                        self._saved = None
                    self._good = self._snapshot()
                    while self.number < self.steps_an_epoch and self.step < self.total_steps and not self.stopped:
                        self._advance(self.steps_per_event)
                        yield Steps(self.samples)
                    training = stepper.end_epoch()
                    if not self._check():
                        error = self._replay()
                except WorkerDiedError as died:
                    error = died
                    if not all_finite(stepper.network.theta):
                        self._go_back(self._good)
                finally:
                    stepper.publish(self.network)
                if error is not None:
                    self.stopped = str(error)
                validation = self._evaluate() if self.validates and error is None else Evaluation(math.nan, None)
                row = self._row(training, validation)
                if self.number == self.steps_an_epoch:
                    self.epoch, self.number = self.epoch + 1, 0
                yield EpochEnd(row)
            if self.step == self.max_steps and self.step < self.epochs * self.steps_an_epoch:
                self.stop(f"max_steps: {self.max_steps} steps were taken")
            yield End()
        if error is not None:
            raise error

    @contextmanager
    def _steppers(self) -> Iterator[Stepper]:
        """Have the steps taken, by workers that end with the block."""
        with ExitStack() as stack:
            if self.workers == 1:
                stack.enter_context(self._threads())
                self._stepper = self.plan.alone()
            else:
                self._stepper = stack.enter_context(self.plan.team(self.workers))
            stack.callback(setattr, self, "_stepper", None)
            yield self._stepper

    @property
    def _at_work(self) -> Stepper:
        assert self._stepper is not None
        return self._stepper

    def _threads(self) -> AbstractContextManager[Any]:
        """Let BLAS use the threads of this run within a block."""
        parameters = self.network.layout.size
        threads = blas_threads(self.batch_length, parameters) if self.threads is None else self.threads
        return nullcontext() if threads is None else threads_at_most(threads)

    def _advance(self, steps: int) -> None:
        """Take up to `steps` steps of this epoch, and look now and then whether all numbers are finite."""
        left = self.steps_an_epoch - self.number, self.total_steps - self.step, CHECK_EVERY - self.step % CHECK_EVERY
        self._asked = {step for step in self._asked if step > self.step}
        steps = min(steps, *left, *(step - self.step for step in self._asked))
        begin = perf_counter()
        self._at_work.go_to(self.epoch, self.number, self.step)
        self._at_work.take(steps)
        self._count(steps)
        if self.step % CHECK_EVERY == 0 and not self._check():
            self.stop("a number is not finite")
        self.train_seconds += perf_counter() - begin

    def _count(self, steps: int) -> None:
        """Note that so many steps of this epoch were taken."""
        before, self.number = self.number, self.number + steps
        self.step += steps
        self.samples += min(self.number * self.batch_length, len(self.data.train)) - before * self.batch_length

    def batch_losses(self) -> Iterator[float]:
        """Take the steps of `events`, alone and on a copy of the network, and yield after each the loss from before it.

        Nothing is looked after: no validation, no history, no way back from a NaN or an infinity. The loss is that of
        the step's batch, the mean a sample, by weight where there are weights, whatever the reduction.
        """
        sums = [0.0, 0.0]

        def look(batch: Batch, grads: Sequence[Views], scores: Array) -> None:
            sums[0] += self.plan.loss.value(scores, batch.t, batch.weights, 1.0)
            sums[1] += len(scores) if batch.weights is None else float(batch.weights.sum(dtype=np.float64))

        stepper = self.plan.alone()
        stepper.fetch(self.network)
        with self._threads():
            while self.step < self.total_steps:
                if self.number == self.steps_an_epoch:
                    self.epoch, self.number = self.epoch + 1, 0
                sums[:] = 0.0, 0.0
                with np.errstate(all="ignore"):
                    stepper.go_to(self.epoch, self.number, self.step)
                    stepper.update(stepper.compute(look))
                self._count(1)
                yield sums[0] / (sums[1] or 1.0)

    def _evaluate(self) -> Evaluation:
        begin = perf_counter()
        result = evaluate(self.model, self.data.validation, self._eval_ws)
        self.evaluation_seconds += perf_counter() - begin
        return result

    def _row(self, training: Evaluation, validation: Evaluation) -> dict[str, float]:
        """Append a row to the history and return it."""
        values = (
            self.epoch + 1,
            self.step,
            self.optimizer.schedule(max(self.step - 1, 0)),
            training.loss,
            math.nan if training.accuracy is None else training.accuracy,
            validation.loss,
            math.nan if validation.accuracy is None else validation.accuracy,
            self.train_seconds,
        )
        for name, value in zip(COLUMNS, values, strict=True):
            self.history[name].append(value)
        return dict(zip(COLUMNS, values, strict=True))

    def _check(self) -> bool:
        """Return whether loss and parameters are finite; if so, remember everything as it is now."""
        network, good = self._at_work.network, self._good
        if not (self._at_work.tally.finite() and all_finite(network.theta) and all_finite(network.state)):
            return False
        good.theta[:], good.state[:] = network.theta, network.state
        self.optimizer.state(into=good.optimizer)
        good.place = self._place()
        return True

    def _place(self) -> tuple[int, int, int, int]:
        return self.epoch, self.number, self.step, self.samples

    def _snapshot(self) -> _Snapshot:
        network = self._at_work.network
        return _Snapshot(network.theta.copy(), network.state.copy(), self.optimizer.state(), self._place())

    def _go_back(self, to: _Snapshot) -> None:
        network = self._at_work.network
        network.theta[:] = to.theta
        network.state[:] = to.state
        self.optimizer.restore(to.optimizer)
        self.epoch, self.number, self.step, self.samples = to.place

    def _replay(self) -> DivergedError:
        """Find the first bad number since the last look, and go back to before the step in which it appeared."""
        own, last = self._at_work, self.step
        self._stepper = alone = own.looking()
        self._go_back(self._good)
        try:
            found = self._first_bad_number(alone, last)
        finally:
            own.network.state[:], self._stepper = alone.network.state, own
        return self._diverged(found)

    def _first_bad_number(self, stepper: Stepper, last: int) -> str:
        """Take the steps up to `last` until a bad number appears, go back to before that one, and say what it was."""
        found: list[str] = []

        def look(batch: Batch, grads: Sequence[Views], scores: Array) -> None:
            bad = first_bad_number(stepper.network, stepper.ws, grads)
            if bad is None and not math.isfinite(self.plan.loss.value(scores, batch.t, batch.weights, 1.0)):
                bad = "infinity in the loss"
            found.extend([] if bad is None else [bad])

        with np.errstate(all="ignore"):
            while self.step < last:
                if self.number == self.steps_an_epoch:
                    self.epoch, self.number = self.epoch + 1, 0
                before = self._snapshot()
                stepper.go_to(self.epoch, self.number, self.step)
                end = stepper.compute(look)
                if not found:
                    stepper.update(end)
                    bad = first_bad_parameter(stepper.network)
                    found.extend([] if bad is None else [bad])
                if found:
                    self._go_back(before)
                    return found[0]
                self._count(1)
        self._go_back(self._good)
        return "a number that is not finite, which did not appear again when the steps were repeated"

    def _diverged(self, found: str) -> DivergedError:
        rate = self.optimizer.schedule(self.step)
        return DivergedError(
            f"training diverged at step {self.step + 1} (epoch {self.epoch + 1}): the first bad number was {found}; "
            f"the parameters from before that step are kept; try a lower learning rate (it was {rate:g}), "
            f"and look whether the inputs are scaled."
        )
