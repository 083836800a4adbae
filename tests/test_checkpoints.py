"""Checkpoints: a run that goes on ends in the bits of one that was never interrupted."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import blobs
from safetensors.numpy import load_file, save_file

from glassnet import (
    SGD,
    Adam,
    BestWeights,
    CheckpointError,
    Checkpoints,
    ConfigError,
    Cosine,
    DataSet,
    Dense,
    DivergedError,
    Dropout,
    EarlyStopping,
    Exponential,
    InverseTime,
    MissingFileError,
    Momentum,
    Network,
    OneCycle,
    OutputExistsError,
    Polynomial,
    ReduceOnPlateau,
    ReLU,
    Softmax,
    Step,
    StopAfter,
    StopAt,
    WarmUp,
    fit,
    from_arrays,
    last_checkpoint,
    load_checkpoint,
)
from glassnet import checkpoints as module
from glassnet.checkpoints import MOST_HEADER, read_every, save_checkpoint, step_of, steps_of
from glassnet.fitting import follow
from glassnet.optim import OPTIMIZERS
from glassnet.schedules import CosineRestarts, Join, Scaled
from glassnet.training import EpochEnd, Event, Listener, Steps, Training

STEPS = 40  # four epochs of ten steps


class CutError(Exception):
    """The run ends here."""


class CutAt(Listener):
    """Ends a run without any warning after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def notify(self, event: Event, run: Training) -> None:
        if isinstance(event, Steps | EpochEnd) and run.step >= self.step:
            raise CutError
        run.steps_per_event = 1


def network(dropout: bool = False, units: int = 8) -> Network:
    layers = [Dense(units), ReLU(), *([Dropout(0.4)] if dropout else []), Dense(3), Softmax()]
    return Network(layers, 2, seed=5)


def train(samples: DataSet, folder: Path | None, *others: Listener, resume: Path | None = None, **values: Any) -> Any:
    """Return the network and what is left of the run."""
    net = network(values.pop("dropout", False))
    optimizer = values.pop("optimizer", None) or Adam(0.05)
    listeners = [*others, *([] if folder is None else [Checkpoints(folder, values.pop("every", "3steps"))])]
    values.pop("every", None)
    values = {"batch_size": 10, "epochs": 4, "seed": 2, **values}
    return net, fit(net, samples, optimizer, listeners=listeners, resume=resume, **values)


def check(samples: DataSet, folder: Path, cut: int, *, listeners: Any = list, **values: Any) -> None:
    """Cut a run, go on, and compare with one that was never interrupted."""
    make = values.pop("optimizer", lambda: Adam(0.05))
    whole, result = train(samples, None, *listeners(), optimizer=make(), **values)
    with pytest.raises(CutError):
        train(samples, folder, *listeners(), CutAt(cut), optimizer=make(), **values)
    assert max(steps_of(folder)) <= cut
    again, resumed = train(samples, folder, *listeners(), optimizer=make(), resume=folder, **values)
    assert np.array_equal(again.theta, whole.theta)
    for name in set(result.history) - {"train_seconds", "train_loss"}:
        assert np.array_equal(resumed.history[name], result.history[name], equal_nan=True), name
    assert np.allclose(resumed.history["train_loss"], result.history["train_loss"], rtol=1e-12)
    assert (resumed.steps, resumed.samples, resumed.stopped) == (result.steps, result.samples, result.stopped)


@pytest.mark.no_cover
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on(name: str, workers: int, corners: DataSet, tmp_path: Path) -> None:
    check(corners, tmp_path, 17, optimizer=lambda: OPTIMIZERS[name](), workers=workers)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "schedule",
    [
        OneCycle(0.1, STEPS),
        Cosine(0.1, STEPS),
        CosineRestarts(0.1, 10),
        Step(0.1, 10),
        Exponential(0.1, STEPS),
        InverseTime(0.1, STEPS),
        Polynomial(0.1, STEPS),
        WarmUp(Cosine(0.1, 30), 10),
        Join(Cosine(0.1, 20), 20, Polynomial(0.05, 20)),
        Scaled(Cosine(0.1, STEPS), 0.5),
        lambda step: 0.1 / (1 + step),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_every_schedule_goes_on(schedule: Any, corners: DataSet, tmp_path: Path) -> None:
    check(corners, tmp_path, 23, optimizer=lambda: Momentum(schedule))


@pytest.mark.no_cover
@pytest.mark.parametrize(("workers", "cut"), [(1, 2), (1, 9), (1, 10), (1, 11), (1, 39), (2, 9), (2, 10)])
@pytest.mark.parametrize(
    ("batch_size", "every"), [(10, "1steps"), (1, "9steps"), (33, "1e"), ("full", "2e"), (7, "0.000001s")]
)
def test_every_regime_goes_on(
    batch_size: Any, every: str, workers: int, cut: int, corners: DataSet, tmp_path: Path
) -> None:
    epochs = {"full": 50, 33: 12, 1: 1}.get(batch_size, 4)
    cut = cut if every == "1steps" else max(cut, 10)
    check(corners, tmp_path, cut, batch_size=batch_size, every=every, epochs=epochs, workers=workers, dropout=True)


def test_listeners_go_on(corners: DataSet, tmp_path: Path) -> None:
    def listeners() -> list[Listener]:
        return [
            BestWeights("validation_loss"),
            ReduceOnPlateau("train_accuracy", 0.5, 1),
            EarlyStopping("validation_accuracy", patience=6),
        ]

    check(corners, tmp_path, 33, listeners=listeners, epochs=20, optimizer=lambda: SGD(2.0))


@pytest.mark.parametrize(
    "more", [{"frozen": ["dense_1"]}, {"class_weights": "balanced"}, {"max_steps": 33}, {"shuffle": False}]
)
def test_every_option_goes_on(more: dict[str, Any], corners: DataSet, tmp_path: Path) -> None:
    check(corners, tmp_path, 14, **more)


def test_a_stop_in_mid_epoch_leaves_a_checkpoint_to_go_on_from(corners: DataSet, tmp_path: Path) -> None:
    whole, _ = train(corners, None)
    _, result = train(corners, tmp_path, StopAfter(25), every="100steps")
    assert result.stopped == "step 25 was reached"
    assert 25 in steps_of(tmp_path)
    again, resumed = train(corners, tmp_path, resume=tmp_path, every="100steps")
    assert np.array_equal(again.theta, whole.theta)
    assert resumed.history["epoch"] == [1, 2, 3, 4]


def test_a_run_that_is_over_ends_again_in_the_same(corners: DataSet, tmp_path: Path) -> None:
    first, result = train(corners, tmp_path, BestWeights("validation_loss"), every="1e")
    again, resumed = train(corners, tmp_path, BestWeights("validation_loss"), resume=tmp_path, every="1e")
    assert np.array_equal(first.theta, again.theta)
    assert resumed.history == result.history


def test_the_last_ones_and_the_best_are_kept(corners: DataSet, tmp_path: Path) -> None:
    class Scripted(Listener):
        """Says how good each epoch was."""

        def notify(self, event: Event, run: Training) -> None:
            if isinstance(event, EpochEnd):
                event.row["validation_accuracy"] = {3: 0.9, 7: 0.9}.get(run.epoch, 0.1)

    fit(
        network(), corners, Adam(), batch_size=10, epochs=9, listeners=[Scripted(), Checkpoints(tmp_path, "1e", keep=2)]
    )
    assert list(steps_of(tmp_path)) == [30, 80, 90]


def test_the_best_is_written_where_none_is_due(corners: DataSet, tmp_path: Path) -> None:
    _, result = train(corners, tmp_path, every="3e", epochs=5)
    accuracies = result.history["validation_accuracy"]
    best = accuracies.index(max(accuracies)) + 1
    assert set(steps_of(tmp_path)) >= {10 * best, 30}


def test_without_validation_there_is_no_best(tmp_path: Path) -> None:
    samples = from_arrays(*blobs(100), validation=0)
    train(samples, tmp_path, every="2e")
    assert list(steps_of(tmp_path)) == [20, 40]


def test_time_travel(corners: DataSet, tmp_path: Path) -> None:
    thetas = {}

    class Note(Listener):
        def notify(self, event: Event, run: Training) -> None:
            run.steps_per_event = 1
            if isinstance(event, Steps):
                run.publish()
                thetas[run.step] = run.network.theta.copy()

    train(corners, tmp_path, Note())
    for step in (1, 10, 22, 39, 40):
        near = max([there for there in steps_of(tmp_path) if there <= step], default=None)
        resume = None if near is None else tmp_path / f"step-{near:08d}.safetensors"
        if near == step:
            continue
        net, result = train(corners, None, StopAfter(step), resume=resume)
        assert result.steps == step
        assert np.array_equal(net.theta, thetas[step])


# What is refused.


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"seed": 3}, "seed was 2 and is 3"),
        ({"batch_size": 20}, "batch size was 10 and is 20"),
        ({"epochs": 5}, "epochs was 4 and is 5"),
        ({"optimizer": Adam(0.01)}, "learning rate was 0.05 and is 0.01"),
        ({"optimizer": Momentum(0.05)}, "optimizer was 'Adam' and is 'Momentum'"),
        ({"dropout": True}, "layers was .*Dropout"),
        ({"shuffle": False}, "shuffle was True and is False"),
        ({"workers": 2}, "workers was 1 and is 2"),
        ({"frozen": ["dense_1"]}, r"frozen layers was \[\] and is \['dense_1'\]"),
        ({"class_weights": "balanced"}, "CRC-32 of the training samples"),
        ({"validate": False}, "validation samples was 20 and is 0"),
    ],
)
def test_a_run_with_other_settings_is_named(more: dict[str, Any], what: str, corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path)
    with pytest.raises(CheckpointError, match=what) as error:
        train(corners, None, resume=tmp_path, **more)
    assert len(str(error.value)) < 1000


def test_other_samples_are_noticed(corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path)
    other = from_arrays(*blobs(120, seed=9), validation=20, name="corners")
    with pytest.raises(CheckpointError, match="CRC-32 of the training samples was"):
        train(other, None, resume=tmp_path)


def test_other_validation_samples_are_noticed(corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path)
    samples = corners.validation
    other = replace(corners, validation=replace(samples, targets=samples.targets[::-1]))
    with pytest.raises(CheckpointError, match="CRC-32 of the validation samples was"):
        train(other, None, resume=tmp_path)


@pytest.mark.parametrize(
    "stopping", [lambda: StopAt(0.5), lambda: EarlyStopping("validation_accuracy", patience=1)], ids=["target", "early"]
)
def test_a_run_that_was_stopped_stays_stopped(stopping: Any, corners: DataSet, tmp_path: Path) -> None:
    whole, result = train(corners, tmp_path, stopping(), epochs=60)
    assert result.steps < 600
    again, resumed = train(corners, None, stopping(), epochs=60, resume=tmp_path)
    assert (resumed.steps, resumed.stopped) == (result.steps, result.stopped)
    assert np.array_equal(again.theta, whole.theta)


class Counting(Listener):
    """Has nothing to save at first."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}

    def notify(self, event: Event, run: Training) -> None:
        if isinstance(event, EpochEnd):
            self.count["epochs"] = self.count.get("epochs", 0) + 1

    def state(self) -> dict[str, Any]:
        return dict(self.count)

    def restore(self, state: dict[str, Any]) -> None:
        self.count = dict(state)


def test_a_listener_whose_state_begins_empty_goes_on(corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path, Counting(), epochs=4)
    counting = Counting()
    train(corners, None, counting, resume=tmp_path / "step-00000036.safetensors")
    assert counting.count == {"epochs": 4}


class Bursting:
    """A learning rate that makes every number infinite from a step on."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, step: int) -> float:
        return 0.1 if step < self.step else 1e39

    def __repr__(self) -> str:
        return f"Bursting({self.step})"


@pytest.mark.parametrize(("batch_size", "every"), [("full", "1e"), (10, "1step"), (10, "1e")])
@pytest.mark.parametrize("burst", [20, 25, 29])
def test_a_run_that_diverges_leaves_checkpoints_to_go_on_from(
    batch_size: Any, every: str, burst: int, corners: DataSet, tmp_path: Path
) -> None:
    def run(**more: Any) -> None:
        values = {"batch_size": batch_size, "epochs": 40, "every": every, "optimizer": SGD(Bursting(burst))}
        train(corners, tmp_path, **values, **more)

    with pytest.raises(DivergedError, match=f"at step {burst + 1} ") as first:
        run()
    for step, path in steps_of(tmp_path).items():
        saved = load_checkpoint(path)
        assert step_of(saved) == step <= burst
        assert len(saved["state"]["history"]["epoch"]) == saved["state"]["place"][0]
    with pytest.raises(DivergedError) as second:
        run(resume=tmp_path)
    assert str(second.value) == str(first.value)


def test_other_listeners_are_noticed(corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path, BestWeights())
    with pytest.raises(CheckpointError, match="followed by BestWeights, and this one by nobody"):
        train(corners, None, resume=tmp_path)


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)


def another_number(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'\\"seed\\": 2', b'\\"seed\\": 3'))


def long_header(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes((MOST_HEADER + 1).to_bytes(8, "little") + content[8:])


def no_sum(path: Path) -> None:
    save_file(load_file(path), path)


@pytest.mark.parametrize("damage", [torn, empty, one_bit, another_number, long_header, no_sum])
def test_a_damaged_one_is_noticed_and_the_one_before_is_used(damage: Any, corners: DataSet, tmp_path: Path) -> None:
    whole, _ = train(corners, tmp_path)
    *_, before, newest = steps_of(tmp_path).values()
    content, theta = newest.read_bytes(), load_checkpoint(newest)["state"]["theta"]
    damage(newest)
    assert newest.read_bytes() != content
    with pytest.raises(CheckpointError, match=newest.name):
        load_checkpoint(newest)
    with pytest.warns(RuntimeWarning, match="the one before it is used"):
        saved = last_checkpoint(tmp_path)
    assert saved["state"]["place"] == load_checkpoint(before)["state"]["place"]
    with pytest.warns(RuntimeWarning, match=newest.name):
        again, _ = train(corners, tmp_path, resume=tmp_path)
    assert np.array_equal(again.theta, whole.theta)
    assert np.array_equal(load_checkpoint(newest)["state"]["theta"], theta)  # it is written anew


def test_where_none_is_whole_that_is_said(corners: DataSet, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such folder"):
        last_checkpoint(tmp_path / "nowhere")
    with pytest.raises(MissingFileError, match=r"no whole checkpoint in it\.$"):
        last_checkpoint(tmp_path)
    train(corners, tmp_path)
    for path in steps_of(tmp_path).values():
        torn(path)
    with pytest.raises(MissingFileError, match=r"no whole checkpoint in it .*is torn"):
        last_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(place=[0, 0, 7, 0]),
        lambda state: state.update(place=[99, 0, 990, 0]),
        lambda state: state["place"].__setitem__(3, 7),
        lambda state: state.update(place="none"),
        lambda state: state.update(theta=np.zeros(3)),
        lambda state: state.update(theta=np.full_like(state["theta"], np.nan)),
        lambda state: state.update(network=np.zeros(3)),
        lambda state: state["optimizer"].pop("M"),
        lambda state: state["optimizer"].update(steps=-1),
        lambda state: state["optimizer"].update(steps=10**400),
        lambda state: state.pop("history"),
        lambda state: state["history"].update(epoch=[]),
        lambda state: state["history"].update(epoch=["1", "2", "3", "4"]),
        lambda state: state.update(tally=[1.0]),
        lambda state: state.update(seconds=["a", "b"]),
    ],
)
def test_a_state_that_makes_no_sense_is_refused(change: Any, corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path)
    saved = last_checkpoint(tmp_path)
    change(saved["state"])
    path = tmp_path / "made-up.safetensors"
    save_checkpoint(saved, path)
    with pytest.raises(CheckpointError, match="makes no sense"):
        train(corners, None, resume=path)


@pytest.mark.parametrize("text", ["", "e", "0e", "1.5e", "-1e", "1 day", "1e5", "nan s", "0.5steps", None, 3])
def test_how_often_must_make_sense(text: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="checkpoints are written every 1e"):
        Checkpoints(tmp_path, text)


def test_units() -> None:
    assert read_every("1 epoch") == read_every("1epochs") == (1.0, "e")
    assert read_every("1 step") == (1.0, "step")
    assert read_every("2 seconds") == (2.0, "s")


def test_checkpoints_of_another_run_are_not_mixed_with_new_ones(corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path)
    there = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputExistsError, match="checkpoints of another run"):
        train(corners, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == there


def test_two_runs_notice_each_other(corners: DataSet, tmp_path: Path) -> None:
    class Second(Listener):
        def notify(self, event: Event, run: Training) -> None:
            if run.step == 10:
                with pytest.raises(OutputExistsError, match="another process is writing"):
                    train(corners, tmp_path)

    train(corners, tmp_path, Second())
    assert len(steps_of(tmp_path)) >= 3


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(kept="text"),
        lambda state: state.update(kept=[np.zeros(3), np.zeros(3)]),
        lambda state: state.update(kept=[np.full_like(part, np.nan) for part in state["kept"]]),
        lambda state: state.update(best=10**400),
        lambda state: state.update(best_epoch=float("inf")),
        lambda state: state.clear(),
    ],
)
def test_a_listener_s_state_that_makes_no_sense_is_refused(change: Any, corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path, BestWeights())
    saved = last_checkpoint(tmp_path)
    change(saved["listeners"][0][1])
    path = tmp_path / "made-up.safetensors"
    save_checkpoint(saved, path)
    with pytest.raises((CheckpointError, ConfigError), match=r"makes no sense|not of this network"):
        train(corners, None, BestWeights(), resume=path)


@pytest.mark.parametrize("name", ["settings", "state", "listeners", "written"])
@pytest.mark.parametrize("value", [None, 7, "text", [1], {"a": 1}])
def test_parts_of_another_kind_are_refused(name: str, value: Any, corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path)
    path = tmp_path / "made-up.safetensors"
    save_checkpoint(last_checkpoint(tmp_path) | {name: value}, path)
    with contextlib.suppress(CheckpointError):  # a dict where one should be, or a list
        assert step_of(load_checkpoint(path)) == 39
        assert isinstance(value, list if name == "listeners" else dict)


class Unwritable(Listener):
    """Has a state that JSON does not hold."""

    def state(self) -> dict[str, Any]:
        return {"what": np.int64(1)}


def test_a_state_that_cannot_be_written_is_said_and_the_run_goes_on(corners: DataSet, tmp_path: Path) -> None:
    said: list[str] = []
    listeners = [Unwritable(), Checkpoints(tmp_path, "4e", say=said.append)]
    assert fit(network(), corners, Adam(), batch_size=10, epochs=4, validate=False, listeners=listeners).steps == 40
    assert said == [
        "the checkpoint of step 40 could not be written (Object of type int64 is not JSON serializable): there is none "
        "yet."
    ]


def test_one_that_cannot_be_written_is_said_and_the_run_goes_on(
    corners: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    real = save_checkpoint

    def full(saved: Any, path: Path) -> None:
        if path.name == "step-00000020.safetensors":
            raise OSError(28, "No space left on device")
        real(saved, path)

    monkeypatch.setattr(module, "save_checkpoint", full)
    listener = Checkpoints(tmp_path, "1e", say=said.append)
    result = fit(network(), corners, Adam(), batch_size=10, epochs=4, listeners=[listener])
    assert result.steps == 40
    assert 20 not in steps_of(tmp_path)
    assert said == [
        "the checkpoint of step 20 could not be written ([Errno 28] No space left on device): the newest is that of "
        "step 10."
    ]
    assert listener.newest == 40


def test_what_an_ended_writer_left_is_removed(corners: DataSet, tmp_path: Path) -> None:
    (tmp_path / ".step-00000003.0123abcd.safetensors").write_bytes(b"half")
    train(corners, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".step")]


def test_the_state_is_known_at_the_right_moments_alone(corners: DataSet) -> None:
    run = Training(network(), corners, batch_size=10, epochs=2)
    assert run.state()["place"] == [0, 0, 0, 0]
    failed = []

    class Look(Listener):
        def notify(self, event: Event, run: Training) -> None:
            run.steps_per_event = 1
            if isinstance(event, EpochEnd) and run.number:
                with pytest.raises(ConfigError, match="can be saved at Steps"):
                    run.state()
                failed.append(run.step)

    follow(run, [StopAfter(13), Look()])
    assert failed == [13]


def test_taking_a_state_changes_no_bits(corners: DataSet, tmp_path: Path) -> None:
    plain, _ = train(corners, None, workers=2)
    watched, _ = train(corners, tmp_path, workers=2, every="1steps")
    assert np.array_equal(plain.theta, watched.theta)


def test_a_file_holds_plain_values_alone(corners: DataSet, tmp_path: Path) -> None:
    train(corners, tmp_path, BestWeights(), every="7steps")
    path = list(steps_of(tmp_path).values())[-1]
    header = path.read_bytes()
    size = int.from_bytes(header[:8], "little")
    metadata = json.loads(header[8 : 8 + size])["__metadata__"]
    assert set(metadata) == {"glassnet-checkpoint", "sha256"}
    text = json.loads(metadata["glassnet-checkpoint"])
    assert text["format"] == 1
    saved = load_checkpoint(path)
    assert saved["written"] == {"every": "7steps", "keep": 3}
    assert math.isfinite(saved["listeners"][0][1]["best"])
    path.unlink()
    with pytest.raises(MissingFileError, match="there is no such checkpoint"):
        load_checkpoint(path)
