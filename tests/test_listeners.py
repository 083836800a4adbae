"""Listeners: progress, early stopping, best weights, CSV history, Ctrl-C."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from conftest import blobs

from glassnet import (
    SGD,
    Adam,
    BestWeights,
    Constant,
    Cosine,
    CSVHistory,
    DataSet,
    Dense,
    EarlyStopping,
    Identity,
    Listener,
    MeanSquaredError,
    Network,
    Progress,
    ReduceOnPlateau,
    Result,
    Softmax,
    StopAt,
    StopOnInterrupt,
    Training,
    fit,
    from_arrays,
    listeners,
)
from glassnet.errors import ConfigError, DivergedError, MissingFileError
from glassnet.fitting import follow
from glassnet.training import Begin, End, EpochEnd, Event, Steps


class Act(Listener):
    """Does something at every event."""

    def __init__(self, act: Callable[[Event, Training], None]) -> None:
        self.act = act

    def notify(self, event: Event, run: Training) -> None:
        self.act(event, run)


class Run:
    """A run of which only the measurements matter."""

    def __init__(self, column: str = "validation_loss", *, validates: bool = True) -> None:
        self.column, self.validates, self.stopped = column, validates, ""
        self.network = SimpleNamespace(theta=np.zeros(2), state=np.zeros(1))
        self.optimizer = SimpleNamespace(schedule=Constant(1.0))
        self.model = SimpleNamespace(task="classification")
        self.epoch = self.step = 0

    def stop(self, reason: str) -> None:
        self.stopped = reason

    def follow(self, listener: Listener, values: list[float], *, begin: bool = True) -> int:
        """Tell a listener of epochs until it stops the run; return the epoch."""
        run = cast("Training", self)
        if begin:
            listener.notify(Begin(), run)
        for value in values:
            self.epoch, self.step = self.epoch + 1, self.step + 10
            self.network.theta[:], self.network.state[:] = self.epoch, -self.epoch
            listener.notify(Steps(self.epoch), run)
            listener.notify(EpochEnd({"epoch": self.epoch, self.column: value}), run)
            if self.stopped:
                break
        return self.epoch


def train(data: DataSet, *followers: Listener, **options: Any) -> Result:
    options = {"optimizer": SGD(0.1), "epochs": 3, "batch_size": 10} | options
    return fit(Network([Dense(3), Softmax()], 2), data, listeners=followers, **options)


# ------------------------------------------------------------------------------------------ progress


def test_progress_is_drawn_on_the_given_stream_alone(corners: DataSet, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    result = train(corners, Progress(stream))
    assert capsys.readouterr() == ("", "")
    text = stream.getvalue()
    assert "epoch 1/3" in text
    assert text.endswith("\n")
    last = text.rstrip().rpartition("\r")[2]
    assert last.startswith("epoch 3/3: 100%")
    assert f"validation loss {result.history['validation_loss'][-1]:.4f}" in last
    assert f"accuracy {100 * result.history['validation_accuracy'][-1]:.2f} %" in last


def test_progress_is_drawn_on_the_standard_error_if_that_is_a_terminal(
    corners: DataSet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(corners, Progress(), validate=False)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    train(corners, Progress(), validate=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert "100%" in err
    assert "validation" not in err
    assert ", loss " in err


def test_progress_ends_its_line_when_the_run_diverges(corners: DataSet) -> None:
    stream = io.StringIO()
    with pytest.raises(DivergedError):
        train(corners, Progress(stream), optimizer=SGD(1e39))
    assert stream.getvalue().endswith("\n")


def test_progress_fits_a_terminal_of_80_columns(corners: DataSet) -> None:
    stream = io.StringIO()
    train(corners, Progress(stream), epochs=10)
    last = stream.getvalue().rstrip().rpartition("\r")[2]
    assert "|##########|" in last  # without a terminal; in one it is as long as there is room
    assert len(last.replace("##########", "###")) < 80
    assert last.endswith(" %")


def test_progress_of_a_run_that_never_began_draws_nothing() -> None:
    stream = io.StringIO()
    Progress(stream).close()
    assert stream.getvalue() == ""


def test_progress_of_a_regression_has_no_accuracy() -> None:
    stream = io.StringIO()
    data = from_arrays(np.ones((20, 2)), np.ones((20, 1)))
    fit(Network([Dense(1), Identity()], 2), data, epochs=1, listeners=[Progress(stream)])
    assert "validation loss" in stream.getvalue()
    assert "accuracy" not in stream.getvalue()


# ------------------------------------------------------------------------------------------ waiting for the best


@pytest.mark.parametrize(
    ("values", "patience", "ends"),
    [
        ([1.0, 0.5, 0.6, 0.7, 0.4], 2, 4),
        ([1.0, 0.5, 0.6, 0.4, 0.5, 0.5, 0.1], 2, 6),  # better again: the waiting begins anew
        ([1.0, 1.0, 0.9], 1, 2),  # equal is not better
        ([3.0, 2.0, 1.0, 0.5], 1, 4),  # never stopped
        ([math.nan, math.nan, 1.0], 3, 3),
        ([1.0, math.nan, math.nan, 0.5], 2, 3),
    ],
)
def test_early_stopping_waits_for_a_lower_loss(values: list[float], patience: int, ends: int) -> None:
    run = Run()
    assert run.follow(EarlyStopping(patience=patience), values) == ends
    assert bool(run.stopped) == (ends < len(values))


def test_early_stopping_says_since_when() -> None:
    run = Run("train_accuracy", validates=False)
    assert run.follow(EarlyStopping("train_accuracy", 2), [0.5, 0.75, 0.6, 0.75, 0.9]) == 4
    assert run.stopped == "early stopping: train_accuracy has not improved since epoch 2"


def test_early_stopping_goes_on_where_it_was() -> None:
    first, run = EarlyStopping(patience=3), Run()
    run.follow(first, [1.0, 0.5, 0.6])
    second = EarlyStopping(patience=3)
    second.restore(json.loads(json.dumps(first.state())))
    assert run.follow(second, [0.7, 0.55, 0.4]) == 5  # three epochs after the second


def test_early_stopping_ends_a_real_run(corners: DataSet) -> None:
    result = train(corners, EarlyStopping("validation_accuracy", 2), epochs=500)
    accuracies = result.history["validation_accuracy"]
    assert 3 <= len(accuracies) < 500
    assert max(accuracies) == max(accuracies[:-2])
    assert result.stopped is not None
    assert result.stopped.startswith("early stopping: validation_accuracy")


def test_best_weights_come_back_at_the_end() -> None:
    listener, run = BestWeights(), Run("validation_accuracy")
    run.follow(listener, [0.2, 0.9, 0.9, 0.1])
    assert run.network.theta.tolist() == [4, 4]
    listener.notify(End(), cast("Training", run))
    assert run.network.theta.tolist() == [2, 2]
    assert run.network.state.tolist() == [-2]


def test_best_weights_go_on_where_they_were() -> None:
    first, run = BestWeights("validation_loss"), Run()
    run.follow(first, [0.3, 0.2])
    second = BestWeights("validation_loss")
    second.restore(first.state())
    run.follow(second, [0.25, 0.5])
    second.notify(End(), cast("Training", run))
    assert run.network.theta.tolist() == [2, 2]
    assert (second.best_epoch, second.best) == (2, -0.2)


def test_a_listener_used_again_begins_anew(corners: DataSet) -> None:
    best = BestWeights("train_loss")
    train(corners, best, epochs=5)
    network = Network([Dense(7), Softmax()], 2)  # of another size: what the first run left would not even fit
    worse = from_arrays(*blobs(60), class_names=list("abcdefg"))
    result = fit(network, worse, SGD(1e-6), epochs=1, listeners=[best])
    assert best.best_epoch == 1
    assert best.best == -result.history["train_loss"][0]


def test_best_weights_of_a_run_without_epochs_change_nothing(corners: DataSet) -> None:
    network = Network([Dense(3), Softmax()], 2)
    before = network.theta.copy()
    fit(network, corners, epochs=0, listeners=[BestWeights()])
    np.testing.assert_array_equal(network.theta, before)


def test_best_weights_of_a_real_run_score_what_the_history_says(corners: DataSet) -> None:
    result = train(corners, BestWeights("validation_loss"), optimizer=SGD(lambda step: 0.1 if step < 10 else 200.0))
    losses = result.history["validation_loss"]
    assert losses[-1] > min(losses)
    assert result.model.evaluate(corners.validation).loss == min(losses)


@pytest.mark.parametrize(
    ("monitor", "target", "values", "ends"),
    [
        ("validation_accuracy", 0.9, [0.5, 0.89, 0.9, 1.0], 3),
        ("validation_loss", 0.1, [0.5, 0.11, 0.1, 0.0], 3),
        ("train_loss", 0.0, [0.5, 0.4], 2),
    ],
)
def test_stop_at_a_target(monitor: str, target: float, values: list[float], ends: int) -> None:
    run = Run(monitor)
    assert run.follow(StopAt(target, monitor), values) == ends
    assert run.stopped == ("" if ends == len(values) else f"{monitor} reached {target:g}")


def test_stop_at_goes_on_where_it_was() -> None:
    first, run = StopAt(0.9), Run("validation_accuracy")
    run.follow(first, [0.5, 0.8])
    second = StopAt(0.9)
    second.restore(first.state())
    assert run.follow(second, [0.7, 0.95, 1.0]) == 4


@pytest.mark.parametrize("listener", [EarlyStopping(), BestWeights(), StopAt(0.9), ReduceOnPlateau()])
def test_what_watches_validation_refuses_a_run_without(corners: DataSet, listener: Listener) -> None:
    sentence = f"{type(listener).__name__} watches validation_.*, but nothing is validated"
    with pytest.raises(ConfigError, match=sentence):
        train(corners, listener, validate=False)
    with pytest.raises(ConfigError, match=sentence):
        train(from_arrays(*blobs(30), validation=0), listener)


@pytest.mark.parametrize("which", ["train", "validation"])
@pytest.mark.parametrize("kind", [EarlyStopping, BestWeights, lambda monitor: StopAt(0.9, monitor), ReduceOnPlateau])
def test_what_watches_an_accuracy_refuses_a_regression(kind: Callable[[str], Listener], which: str) -> None:
    data = from_arrays(np.ones((20, 2)), np.ones((20, 1)))

    def run(monitor: str) -> Result:
        return fit(Network([Dense(1), Identity()], 2), data, epochs=1, listeners=[kind(monitor)])

    sentence = rf"watches {which}_accuracy, but a regression has no accuracy: watch {which}_loss\.$"
    with pytest.raises(ConfigError, match=sentence):
        run(f"{which}_accuracy")
    run(f"{which}_loss")


@pytest.mark.parametrize(
    "make",
    [
        lambda: EarlyStopping("test_accuracy"),
        lambda: BestWeights("loss"),
        lambda: StopAt(1.0, "learning_rate"),
        lambda: EarlyStopping(patience=0),
        lambda: EarlyStopping(patience=2.5),  # type: ignore[arg-type]
        lambda: ReduceOnPlateau("test_loss"),
        lambda: ReduceOnPlateau(factor=1.0),
        lambda: ReduceOnPlateau(factor=0.0),
        lambda: ReduceOnPlateau(patience=0),
        lambda: ReduceOnPlateau(min_delta=-1.0),
        lambda: ReduceOnPlateau(cooldown=-1),
        lambda: ReduceOnPlateau(min_learning_rate=math.nan),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], Listener]) -> None:
    with pytest.raises(ConfigError):
        make()


# ------------------------------------------------------------------------------------------ reduce on plateau

PLATEAU = [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.85, 0.86, 0.86, 0.86, 0.86, 0.86, 0.86, 0.849995, 0.86]


def rates_of(listener: Listener, values: list[float], run: Run | None = None) -> list[float]:
    """The rate of each epoch, of a run whose own rate is 1."""
    run, rates = run or Run(getattr(listener, "monitor", "validation_loss")), []
    listener.notify(Begin(), cast("Training", run))
    for value in values:
        rates.append(run.optimizer.schedule(run.step))
        run.follow(listener, [value], begin=False)
    return rates


@pytest.mark.parametrize(
    ("settings", "printed"),
    [
        # ReduceLROnPlateau(SGD(lr=1.0), threshold=1e-4, threshold_mode="abs", ...), patience being one less there
        (
            {"factor": 0.5, "patience": 2},
            [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625, 0.03125, 0.03125],
        ),
        (
            {"factor": 0.5, "patience": 2, "cooldown": 2},
            [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125, 0.125],
        ),
        (
            {"factor": 0.25, "patience": 1, "cooldown": 1, "min_learning_rate": 0.1},
            [1, 1, 1, 0.25, 0.25, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
        ),
        (
            {"factor": 0.5, "patience": 3},
            [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125],
        ),
    ],
)
def test_rates_are_reduced_where_pytorch_reduces_them(settings: dict[str, Any], printed: list[float]) -> None:
    assert rates_of(ReduceOnPlateau(**settings), PLATEAU) == printed
    accuracies = [1 - loss for loss in PLATEAU]
    assert rates_of(ReduceOnPlateau("validation_accuracy", **settings), accuracies) == printed


def test_epochs_of_a_cooldown_are_counted_down_whether_they_improve_or_not() -> None:
    # The third epoch, the first after the reduction, improves; the fourth is the second of the cooldown.
    reduce = ReduceOnPlateau(factor=0.5, patience=1, cooldown=2)
    assert rates_of(reduce, [1.0, 1.0, 0.5, 0.5, 0.5, 0.5]) == [1, 1, 0.5, 0.5, 0.5, 0.25]


def plateaus() -> list[Listener]:
    # Nothing is ever better by 9: one reduces after epochs 3, 5, 7, ..., the other after epochs 4, 7, ...
    return [
        ReduceOnPlateau("train_loss", 0.5, patience=2, min_delta=9.0),
        ReduceOnPlateau("validation_loss", 0.25, patience=3, min_delta=9.0, min_learning_rate=0.0625),
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_two_in_one_run_multiply(corners: DataSet, order: int) -> None:
    own = Constant(1.0)
    optimizer = SGD(own)
    result = train(corners, *plateaus()[::order], optimizer=optimizer, epochs=6)
    assert result.history["learning_rate"] == [1, 1, 1, 1 / 2, 1 / 8, 1 / 16]
    assert optimizer.schedule is own


@pytest.mark.parametrize("closed", [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0], [2, 0, 1]])
def test_the_schedule_comes_back_in_whatever_order_they_end(closed: list[int]) -> None:
    run, factors = Run(), [0.5, 0.25, 0.125]
    own = run.optimizer.schedule
    reducers = [ReduceOnPlateau(factor=factor, patience=1) for factor in factors]
    for reduce in reducers:
        reduce.notify(Begin(), cast("Training", run))
    for value in (1.0, 1.0):
        for reduce in reducers:
            reduce.notify(EpochEnd({"epoch": 1 + run.epoch, "validation_loss": value}), cast("Training", run))
        run.epoch += 1
    left = 1 / 64
    for i in closed:
        assert run.optimizer.schedule(0) == left
        reducers[i].close()
        left /= factors[i]
    assert run.optimizer.schedule is own
    reducers[0].close()  # a second time changes nothing
    assert run.optimizer.schedule is own


def test_a_run_that_begins_again_is_not_reduced_twice() -> None:
    run, reduce = Run(), ReduceOnPlateau(factor=0.5, patience=1)
    assert rates_of(reduce, [1.0, 1.0, 1.0], run) == [1, 1, 0.5]
    assert rates_of(reduce, [1.0], run) == [0.25]  # goes on
    reduce.close()
    assert run.optimizer.schedule == Constant(1.0)


def test_an_optimizer_shows_by_how_much_its_rate_is_reduced(corners: DataSet) -> None:
    shown = []
    act = Act(lambda event, run: shown.append(repr(run.optimizer)) if isinstance(event, EpochEnd) else None)
    reduce = ReduceOnPlateau("train_loss", 0.5, patience=1, min_delta=9.0)
    train(corners, reduce, act, optimizer=SGD(Constant(0.5)), epochs=2)
    assert "factor=1.0" in shown[0]
    assert "Constant(learning_rate=0.5), factor=0.5" in shown[1]


def test_the_schedule_goes_on_under_the_factor(corners: DataSet) -> None:
    # 10 steps an epoch; nothing is ever better by 9, so every second epoch after the first one reduces.
    reduce = ReduceOnPlateau("train_loss", factor=0.5, patience=2, min_delta=9.0, min_learning_rate=0.15)
    rates = train(corners, reduce, optimizer=SGD(lambda step: 1.0 - step / 100), epochs=7).history["learning_rate"]
    assert rates == pytest.approx([0.91, 0.81, 0.71, 0.61 / 2, 0.51 / 2, 0.15, 0.15])  # 0.41 / 4 is less than 0.15


@pytest.mark.parametrize("again", ["optimizer", "listener", "both"])
def test_a_second_run_begins_with_the_full_rate(corners: DataSet, again: str) -> None:
    def make() -> tuple[SGD, ReduceOnPlateau]:
        return SGD(Cosine(0.5, 100)), ReduceOnPlateau("train_loss", 0.5, patience=1, min_delta=9.0)

    optimizer, reduce = make()
    first = train(corners, reduce, optimizer=optimizer, epochs=4)
    assert first.history["learning_rate"] == pytest.approx(
        [Cosine(0.5, 100)(10 * epoch + 9) * part for epoch, part in enumerate([1, 1, 0.5, 0.25])]
    )
    assert optimizer.schedule == Cosine(0.5, 100)
    fresh_optimizer, fresh_reduce = make()
    second = train(
        corners,
        fresh_reduce if again == "optimizer" else reduce,
        optimizer=fresh_optimizer if again == "listener" else optimizer,
        epochs=4,
    )
    assert second.history["learning_rate"] == first.history["learning_rate"]
    np.testing.assert_array_equal(second.model.network.theta, first.model.network.theta)


def test_a_run_that_diverges_leaves_the_schedule_as_it_was(corners: DataSet) -> None:
    def schedule(step: int) -> float:
        return 0.1 if step < 25 else 1e39

    optimizer = SGD(schedule)
    with pytest.raises(DivergedError, match=r"step 26 .* \(it was 5e\+38\)"):
        train(corners, ReduceOnPlateau("train_loss", 0.5, patience=1, min_delta=9.0), optimizer=optimizer)
    assert optimizer.schedule is schedule


@pytest.mark.parametrize("epochs", range(1, 11))
def test_a_resumed_run_reduces_as_one_never_interrupted(corners: DataSet, epochs: int) -> None:
    def make(listener: Listener, *others: Listener) -> tuple[Training, list[Listener]]:
        optimizer = Adam(Cosine(0.5, 120))
        network = Network([Dense(3), Softmax()], 2)
        return Training(network, corners, optimizer, batch_size=10, epochs=12), [listener, *others]

    def reducer() -> ReduceOnPlateau:
        return ReduceOnPlateau("validation_loss", 0.5, patience=2, min_delta=0.02, cooldown=1)

    def stop(event: Event, run: Training) -> None:
        if isinstance(event, EpochEnd) and run.epoch == epochs:
            run.stop("enough")

    whole = follow(*make(reducer()))
    assert whole.history["learning_rate"][10] <= Cosine(0.5, 120)(109) / 4  # reduced at least twice
    first = reducer()
    run, followers = make(first, Act(stop))
    follow(run, followers)
    saved = json.loads(json.dumps(first.state()))

    second = reducer()
    second.restore(saved)
    resumed, followers = make(second)
    resumed.network.theta[:], resumed.network.state[:] = run.network.theta, run.network.state
    resumed.optimizer.restore(run.optimizer.state())
    resumed.epoch, resumed.number, resumed.step, resumed.samples = run.epoch, run.number, run.step, run.samples
    result = follow(resumed, followers)
    assert result.history["learning_rate"] == whole.history["learning_rate"][epochs:]
    np.testing.assert_array_equal(result.model.network.theta, whole.model.network.theta)


# ------------------------------------------------------------------------------------------ CSV history


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_file_is_the_history(corners: DataSet, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    result = train(corners, CSVHistory(path), epochs=4)
    rows = read(path)
    assert len(rows) == 4
    assert rows[0].keys() == result.history.keys()
    for name, column in result.history.items():
        assert [float(row[name]) for row in rows] == column, name
    assert [row["step"] for row in rows] == ["10", "20", "30", "40"]
    assert b"\r" not in path.read_bytes()


def test_what_was_not_measured_is_left_empty(corners: DataSet, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("old")
    train(corners, CSVHistory(path), validate=False)
    assert {(row["validation_loss"], row["validation_accuracy"]) for row in read(path)} == {("", "")}


@pytest.mark.parametrize(("seconds", "written"), [(2.0, [1, 2, 3, 4, 5]), (0.125, [1, 1, 1, 1, 1])])
def test_the_file_grows_at_most_once_a_second_and_is_always_whole(
    corners: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, written: list[int]
) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(listeners, "perf_counter", lambda: next(now) * seconds / 2)  # asked twice where it is written
    path, seen = tmp_path / "history.csv", []

    def look(event: Event, run: Training) -> None:
        if isinstance(event, EpochEnd):
            seen.append(len(read(path)))
            assert [file.name for file in tmp_path.iterdir()] == ["history.csv"]

    train(corners, CSVHistory(path), Act(look), epochs=5)
    assert seen == written
    assert len(read(path)) == 5


def test_the_file_is_complete_when_a_run_diverges(corners: DataSet, tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        train(corners, CSVHistory(tmp_path / "h.csv"), optimizer=SGD(lambda step: 0.1 if step < 25 else 1e39))
    assert [row["epoch"] for row in read(tmp_path / "h.csv")] == ["1", "2", "3"]


def test_a_missing_folder_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"the folder .* does not exist"):
        CSVHistory(tmp_path / "nowhere" / "history.csv")


# ------------------------------------------------------------------------------------------ Ctrl-C


@pytest.fixture
def handler() -> Iterator[Callable[..., None]]:
    """Set a handler of ours, as a surrounding program might have one."""

    def ours(number: int, frame: Any) -> None:
        raise AssertionError("the handler of the surrounding program was called")

    before = signal.signal(signal.SIGINT, ours)
    yield ours
    signal.signal(signal.SIGINT, before)


def interrupt(times: int, at_sample: int = 400) -> Act:
    def act(event: Event, run: Training) -> None:
        if isinstance(event, Steps) and event.samples == at_sample:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    return Act(act)


def test_an_interrupt_ends_the_run_with_what_was_learnt(corners: DataSet, handler: Callable[..., None]) -> None:
    result = train(corners, StopOnInterrupt(), interrupt(1), batch_size=1, epochs=1000)
    assert result.stopped == "interrupted"
    assert 400 <= result.steps <= 600
    assert signal.getsignal(signal.SIGINT) is handler
    same = train(corners, batch_size=1, epochs=1000, max_steps=result.steps)
    np.testing.assert_array_equal(result.model.network.theta, same.model.network.theta)


def test_a_second_interrupt_comes_through(corners: DataSet, handler: Callable[..., None]) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(corners, StopOnInterrupt(), interrupt(2), batch_size=1, epochs=1000)
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_handler_is_there_while_the_run_lasts_and_no_longer(corners: DataSet, handler: Callable[..., None]) -> None:
    seen = []
    train(corners, StopOnInterrupt(), Act(lambda event, run: seen.append(signal.getsignal(signal.SIGINT))))
    assert handler not in seen
    assert signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(DivergedError):
        train(corners, StopOnInterrupt(), optimizer=SGD(1e39))
    assert signal.getsignal(signal.SIGINT) is handler


def test_other_threads_leave_the_handler_alone(corners: DataSet, handler: Callable[..., None]) -> None:
    seen: list[Any] = []
    watch = Act(lambda event, run: seen.append(signal.getsignal(signal.SIGINT)))
    thread = threading.Thread(target=train, args=(corners, StopOnInterrupt(), watch))
    thread.start()
    thread.join()
    assert set(seen) == {handler}
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_loss_that_was_given_is_what_listeners_see() -> None:
    data = from_arrays(np.ones((20, 2)), np.full((20, 1), 3.0))
    network = Network([Dense(1), Identity()], 2)
    network.theta[...] = 0.0
    result = fit(network, data, SGD(1e-30), MeanSquaredError(), epochs=2, listeners=[StopAt(4.5, "train_loss")])
    assert result.stopped == "train_loss reached 4.5"  # 1/2 (3 - 0)^2
    assert result.history["epoch"] == [1]
