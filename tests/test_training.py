"""The training loop: one loop for all regimes, what it reports, and what it does when numbers go bad."""

from __future__ import annotations

import math
import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import blobs
from numpy.typing import NDArray

from glassnet import (
    SGD,
    Adam,
    Cosine,
    DataSet,
    Dense,
    Dropout,
    Identity,
    Layer,
    Listener,
    MeanSquaredError,
    Momentum,
    Network,
    Preprocessing,
    ReLU,
    Sigmoid,
    SigmoidCrossEntropy,
    Softmax,
    SoftmaxCrossEntropy,
    Training,
    fit,
    from_arrays,
    training,
)
from glassnet.diagnosis import all_finite, first_bad_number
from glassnet.errors import ConfigError, DivergedError, GlassnetError
from glassnet.fitting import follow
from glassnet.network import Workspace
from glassnet.training import Begin, End, EpochEnd, Event, Steps

# y = x W + b with W = (1, 2), b = 1/2 on these two samples gives 5.5 and 1.5, so o - t is 4.5 and -0.5
TWO = from_arrays([[1.0, 2.0], [3.0, -1.0]], [[1.0], [2.0]], validation=0)


def linear() -> Network:
    network = Network([Dense(1), Identity()], 2)
    network.params[0].W[...] = [[1.0], [2.0]]
    network.params[0].b[...] = 0.5
    return network


def numbers(network: Network) -> list[float]:
    return [*network.params[0].W.ravel().tolist(), *network.params[0].b.tolist()]


def classifier(seed: int = 0, *extra: Layer) -> Network:
    return Network([Dense(8), ReLU(), *extra, Dense(3), Softmax()], 2, seed=seed)


class Recorder(Listener):
    """Keeps every event, and may do something at some."""

    def __init__(self, act: Callable[[Event, Training], None] | None = None) -> None:
        self.events: list[Event] = []
        self.closed = 0
        self.act = act

    def notify(self, event: Event, run: Training) -> None:
        self.events.append(event)
        if self.act:
            self.act(event, run)

    def close(self) -> None:
        self.closed += 1

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    @property
    def rows(self) -> list[dict[str, float]]:
        return [event.row for event in self.events if isinstance(event, EpochEnd)]


# ------------------------------------------------------------------------------------------ steps, by hand


@pytest.mark.parametrize(
    ("batch_size", "after"),
    [
        # batch: dL/dW = x^T (o - t) / 2 = (3, 9.5) / 2, dL/db = 4 / 2
        ("full", [1 - 0.15, 2 - 0.475, 0.5 - 0.2]),
        (2, [1 - 0.15, 2 - 0.475, 0.5 - 0.2]),
        # stochastic: (4.5, 9), 4.5; then o = 3 * 0.55 - 1.1 + 0.05 = 0.6, o - t = -1.4: (-4.2, 1.4), -1.4
        (1, [0.55 + 0.42, 1.1 - 0.14, 0.05 + 0.14]),
    ],
)
def test_an_epoch_by_hand(batch_size: int | str, after: list[float]) -> None:
    network = linear()
    result = fit(network, TWO, SGD(0.1), batch_size=batch_size, epochs=1, shuffle=False)
    np.testing.assert_allclose(numbers(network), after, rtol=1e-6)
    assert (result.steps, result.samples) == ({"full": 1, 2: 1, 1: 2}[batch_size], 2)


def test_the_last_short_batch_by_hand() -> None:
    data = from_arrays([[1.0, 2.0], [1.0, 2.0], [3.0, -1.0]], [[1.0], [1.0], [2.0]], validation=0)
    network = linear()  # two equal samples are one step like a single one; the third stands alone
    fit(network, data, SGD(0.1), batch_size=2, epochs=1, shuffle=False)
    np.testing.assert_allclose(numbers(network), [0.97, 0.96, 0.19], rtol=1e-6)


def test_a_batch_larger_than_the_data_is_the_full_batch() -> None:
    first, second = linear(), linear()
    fit(first, TWO, SGD(0.1), batch_size=1000, epochs=3)
    fit(second, TWO, SGD(0.1), batch_size="full", epochs=3)
    assert numbers(first) == numbers(second)


def test_sum_with_the_rate_over_n_is_the_mean(corners: DataSet) -> None:
    first, second = classifier(), classifier()
    fit(first, corners, SGD(0.5), SoftmaxCrossEntropy("mean"), batch_size=20, epochs=2)
    fit(second, corners, SGD(0.5 / 20), SoftmaxCrossEntropy("sum"), batch_size=20, epochs=2)
    np.testing.assert_allclose(first.theta, second.theta, rtol=1e-4, atol=1e-5)


def test_weights_stand_for_repetition_and_zero_for_absence() -> None:
    x, t = blobs(30)
    wrong = np.r_[t[:20], (t[20:] + 1) % 3]
    weights = np.r_[np.full(10, 2.0), np.ones(10), np.zeros(10)]
    weighted = from_arrays(x, wrong, weights=weights, validation=0, class_names=["a", "b", "c"])
    repeated = from_arrays(np.r_[x[:10], x[:20]], np.r_[t[:10], t[:20]], validation=0, class_names=["a", "b", "c"])
    first, second = classifier(), classifier()
    a = fit(first, weighted, SGD(0.5), batch_size="full", epochs=5)
    b = fit(second, repeated, SGD(0.5), batch_size="full", epochs=5)
    np.testing.assert_allclose(first.theta, second.theta, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(a.history["train_loss"], b.history["train_loss"], rtol=1e-5)


def test_a_step_on_weights_of_zero_alone_changes_nothing() -> None:
    data = from_arrays([[1.0, 2.0], [3.0, -1.0]], [[1.0], [2.0]], weights=[1, 0], validation=0)
    network = linear()
    fit(network, data, SGD(0.1), batch_size=1, epochs=1, shuffle=False)
    np.testing.assert_allclose(
        numbers(network), [0.1, 0.2, -0.4], rtol=1e-6
    )  # error 4.5, rate 0.1, weight 1 / mean 0.5


def test_weights_count_even_in_batches_of_one() -> None:
    x, t = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0], [2.0]])
    alone, weighted = linear(), linear()
    fit(alone, from_arrays(x, t, validation=0), SGD(0.01), batch_size=1, epochs=1, shuffle=False)
    fit(weighted, from_arrays(x, t, weights=[1, 3], validation=0), SGD(0.01), batch_size=1, epochs=1, shuffle=False)
    assert not np.allclose(numbers(alone), numbers(weighted))


# ------------------------------------------------------------------------------------------ what it learns


def test_three_corners_are_learnt_in_every_regime(corners: DataSet) -> None:
    for batch_size, epochs in ((1, 3), (10, 10), ("full", 100)):
        result = fit(classifier(), corners, Adam(0.02), batch_size=batch_size, epochs=epochs)
        assert result.model.evaluate(corners.validation).accuracy == 1.0, batch_size


def test_a_line_is_learnt() -> None:
    x = np.linspace(-1, 1, 64)[:, np.newaxis]
    network = Network([Dense(1), Identity()], 1)
    fit(network, from_arrays(x, 3 * x - 2), SGD(0.5), batch_size=16, epochs=40)
    assert network.params[0].W.item() == pytest.approx(3.0, abs=1e-3)
    assert network.params[0].b.item() == pytest.approx(-2.0, abs=1e-3)


def test_two_classes_are_told_apart_by_one_output() -> None:
    x, t = blobs(200)
    x, t = x[t < 2], t[t < 2]
    data = from_arrays(x, t, test=blobs_of_two(50))
    result = fit(Network([Dense(1), Sigmoid()], 2), data, Adam(0.1), epochs=10, batch_size=10)
    assert isinstance(result.model.loss, SigmoidCrossEntropy)
    assert result.model.evaluate(data.test).accuracy == 1.0
    assert result.history["train_accuracy"][-1] == 1.0
    assert set(result.model.predict(data.test.features)) == {0, 1}


def blobs_of_two(n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    x, t = blobs(n, seed=5)
    return x[t < 2], t[t < 2]


# ------------------------------------------------------------------------------------------ the history


def test_the_training_loss_is_the_mean_as_the_epoch_went() -> None:
    result = fit(linear(), TWO, SGD(0.1), batch_size=1, epochs=1, shuffle=False)
    assert result.history["train_loss"] == pytest.approx([(4.5**2 / 2 + 1.4**2 / 2) / 2], rel=1e-6)
    assert math.isnan(result.history["train_accuracy"][0])


@pytest.mark.parametrize("batch_size", [1, 7, 64, "full"])
def test_a_network_that_stands_still_has_the_loss_of_its_predictions(corners: DataSet, batch_size: int | str) -> None:
    network = classifier(seed=3)
    before = network.theta.copy()
    result = fit(network, corners, SGD(1e-30), batch_size=batch_size, epochs=2)
    np.testing.assert_allclose(network.theta, before, atol=1e-20)
    for split, samples in (("train", corners.train), ("validation", corners.validation)):
        p = network.predict(samples.features)
        loss = np.mean([-math.log(row[label]) for row, label in zip(p, samples.targets, strict=True)])
        assert result.history[f"{split}_loss"] == pytest.approx([loss, loss], rel=1e-5)
        right = float(np.mean(p.argmax(axis=1) == samples.targets))
        assert result.history[f"{split}_accuracy"] == pytest.approx([right, right])


def test_the_columns_of_the_history(corners: DataSet) -> None:
    schedule = Cosine(0.5, 40)
    result = fit(classifier(), corners, SGD(schedule), batch_size=30, epochs=3)
    assert list(result.history) == [
        "epoch", "step", "learning_rate", "train_loss", "train_accuracy",
        "validation_loss", "validation_accuracy", "train_seconds",
    ]  # fmt: skip
    assert result.history["epoch"] == [1, 2, 3]
    assert result.history["step"] == [4, 8, 12]
    assert result.history["learning_rate"] == [schedule(3), schedule(7), schedule(11)]  # of the last step done
    assert result.history["train_loss"][2] < result.history["train_loss"][0]
    seconds = result.history["train_seconds"]
    assert 0 < seconds[0] < seconds[1] < seconds[2] <= result.train_seconds
    assert (result.steps, result.samples, result.stopped) == (12, 300, None)


def test_validation_is_measured_at_the_end_of_the_epoch(corners: DataSet) -> None:
    result = fit(classifier(), corners, SGD(0.5), batch_size=10, epochs=1)
    end = result.model.evaluate(corners.validation)
    assert result.history["validation_loss"] == [end.loss]
    assert result.history["validation_accuracy"] == [end.accuracy]
    assert result.evaluation_seconds > 0


def test_without_validation_the_parameters_are_the_same_bits(corners: DataSet) -> None:
    first, second = classifier(0, Dropout(0.5)), classifier(0, Dropout(0.5))
    fit(first, corners, Adam(0.05), batch_size=9, epochs=3)
    result = fit(second, corners, Adam(0.05), batch_size=9, epochs=3, validate=False)
    np.testing.assert_array_equal(first.theta, second.theta)
    assert all(math.isnan(value) for value in result.history["validation_loss"])
    assert result.evaluation_seconds == 0


def test_a_split_without_samples_is_not_validated() -> None:
    result = fit(classifier(), from_arrays(*blobs(30), validation=0), epochs=2)
    assert all(math.isnan(value) for value in result.history["validation_accuracy"])


# ------------------------------------------------------------------------------------------ one seed, one result


def trained(data: DataSet, **options: Any) -> NDArray[Any]:
    network = classifier(1, Dropout(0.3))
    fit(network, data, Momentum(0.05), **{"batch_size": 9, "epochs": 2, **options})
    return network.theta


@pytest.mark.parametrize("batch_size", [1, 9, "full"])
def test_one_seed_gives_one_result_bit_for_bit(corners: DataSet, batch_size: int | str) -> None:
    first, second = (trained(corners, batch_size=batch_size, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_another_seed_gives_another_result(corners: DataSet) -> None:
    assert len({trained(corners, seed=seed).tobytes() for seed in range(4)}) == 4


def test_the_order_of_samples_matters_and_can_be_kept(corners: DataSet) -> None:
    network, other = classifier(), classifier()
    fit(network, corners, SGD(0.5), batch_size=10, epochs=1, shuffle=False, seed=1)
    fit(other, corners, SGD(0.5), batch_size=10, epochs=1, shuffle=False, seed=2)
    np.testing.assert_array_equal(network.theta, other.theta)  # nothing but the order is random here
    fit(other := classifier(), corners, SGD(0.5), batch_size=10, epochs=1, seed=1)
    assert (network.theta != other.theta).any()


def test_an_optimizer_starts_anew(corners: DataSet) -> None:
    optimizer, first, second = Adam(0.02), classifier(), classifier()
    fit(first, corners, optimizer, epochs=2)
    fit(second, corners, optimizer, epochs=2)
    np.testing.assert_array_equal(first.theta, second.theta)


# ------------------------------------------------------------------------------------------ where it ends


def test_steps_end_in_the_middle_of_an_epoch(corners: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SAMPLES_PER_EVENT", 1)
    network, same = classifier(), classifier()
    result = fit(network, corners, SGD(0.5), batch_size=30, epochs=9, max_steps=6)
    assert (result.steps, result.samples, result.stopped) == (6, 160, "max_steps: 6 steps were taken")
    assert result.history["epoch"] == [1, 2]
    assert result.history["step"] == [4, 6]
    run = Training(same, corners, SGD(0.5), batch_size=30, epochs=2)
    for event in run.events():  # six steps of a longer run that is stopped
        if isinstance(event, Steps) and run.step == 6:
            run.stop("here")
    assert run.step == 6
    np.testing.assert_array_equal(network.theta, same.theta)


def test_the_size_of_a_run_is_known_before(corners: DataSet) -> None:
    for options, steps, samples in (
        ({"epochs": 3}, 12, 300),
        ({"epochs": 3, "max_steps": 6}, 6, 160),
        ({"epochs": 1, "max_steps": 100}, 4, 100),
        ({"epochs": 0}, 0, 0),
    ):
        run = Training(classifier(), corners, SGD(0.1), batch_size=30, **options)  # type: ignore[arg-type]
        assert (run.total_steps, run.total_samples) == (steps, samples)
        result = follow(run, [])
        assert (result.steps, result.samples) == (steps, samples)


@pytest.mark.parametrize("options", [{"epochs": 0}, {"max_steps": 0}])
def test_no_steps_change_nothing(corners: DataSet, options: dict[str, int]) -> None:
    network, recorder = classifier(), Recorder()
    before = network.theta.copy()
    result = fit(network, corners, listeners=[recorder], **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(network.theta, before)
    assert recorder.kinds == ["Begin", "End"]
    assert result.history["epoch"] == []


# ------------------------------------------------------------------------------------------ events and listeners


def test_events_come_in_order(corners: DataSet) -> None:
    recorder = Recorder()
    result = fit(classifier(), corners, batch_size=100, epochs=2, listeners=[recorder])
    assert recorder.kinds == ["Begin", "Steps", "EpochEnd", "Steps", "EpochEnd", "End"]
    assert recorder.events[0] == Begin()
    assert recorder.events[-1] == End()
    assert [row["epoch"] for row in recorder.rows] == [1, 2]
    assert [row["train_loss"] for row in recorder.rows] == result.history["train_loss"]


@pytest.mark.parametrize(("batch_size", "gap"), [(1, 500), (30, 990), (500, 1000), ("full", 1000)])
def test_progress_is_told_every_few_samples(batch_size: int | str, gap: int) -> None:
    recorder = Recorder()
    data = from_arrays(*blobs(1000), validation=0)
    fit(classifier(), data, SGD(0.01), batch_size=batch_size, epochs=2, listeners=[recorder])
    samples = [event.samples for event in recorder.events if isinstance(event, Steps)]
    assert samples[-1] == 2000
    assert 1000 in samples
    assert max(np.diff([0, *samples])) == gap


def test_listeners_hear_each_event_in_their_order(corners: DataSet) -> None:
    heard: list[tuple[str, str]] = []
    listeners = [Recorder(lambda event, run, name=name: heard.append((type(event).__name__, name))) for name in "ab"]  # type: ignore[misc]
    fit(classifier(), corners, epochs=1, listeners=(listener for listener in listeners))
    kinds = ["Begin", "Steps", "EpochEnd", "End"]
    assert heard == [(kind, name) for kind in kinds for name in "ab"]
    assert [listener.closed for listener in listeners] == [1, 1]


def test_a_listener_stops_the_run_and_the_first_reason_stays(corners: DataSet) -> None:
    def act(event: Event, run: Training) -> None:
        if isinstance(event, Steps) and run.step >= 300:
            run.stop("enough")
            run.stop("more than enough")

    recorder = Recorder(act)
    result = fit(classifier(), corners, SGD(0.01), batch_size=1, epochs=100, listeners=[recorder])
    assert (result.steps, result.stopped) == (300, "enough")
    assert recorder.kinds[-2:] == ["EpochEnd", "End"]
    assert result.history["step"] == [100, 200, 300]


def test_listeners_are_closed_when_one_raises(corners: DataSet) -> None:
    def act(event: Event, run: Training) -> None:
        if isinstance(event, EpochEnd):
            raise OSError("no room")

    before, broken, after = Recorder(), Recorder(act), Recorder()
    with pytest.raises(OSError, match="no room"):
        fit(classifier(), corners, epochs=5, listeners=[before, broken, after])
    assert [before.closed, broken.closed, after.closed] == [1, 1, 1]
    assert len(before.events) == len(after.events) + 1


def test_the_base_listener_does_nothing(corners: DataSet) -> None:
    listener = Listener()
    assert listener.state() == {}
    listener.restore({})
    fit(classifier(), corners, epochs=1, listeners=[listener])


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("layers", "data", "options", "sentence"),
    [
        ([Dense(3), Softmax()], {"features": np.ones((9, 5))}, {}, r"shape \(5,\), but the network takes \(2,\)"),
        ([Dense(4), Softmax()], {}, {}, "has 3 classes, but the network has 4 outputs"),
        ([Dense(1), Sigmoid()], {}, {}, "has 3 classes, but the network has 1 outputs"),
        ([Dense(3), Identity()], {"targets": np.ones((9, 2))}, {}, r"hand in the shape \(N, 3\)"),
        ([Dense(3), Softmax()], {}, {"loss": MeanSquaredError()}, "vanishes"),
        ([Dense(3), ReLU()], {}, {"loss": SoftmaxCrossEntropy()}, r"let the last layer be Softmax\(\)"),
        ([Identity()], {"features": np.ones((9, 2, 2))}, {}, "one row a sample"),
        ([Dense(3), Softmax()], {}, {"epochs": -1}, "epochs must be a whole number of at least 0, not -1"),
        ([Dense(3), Softmax()], {}, {"epochs": 1.5}, "epochs"),
        ([Dense(3), Softmax()], {}, {"epochs": True}, "epochs"),
        ([Dense(3), Softmax()], {}, {"max_steps": -1}, "max_steps"),
        ([Dense(3), Softmax()], {}, {"max_steps": "5"}, "max_steps"),
        ([Dense(3), Softmax()], {}, {"seed": -1}, "seed"),
        ([Dense(3), Softmax()], {}, {"batch_size": 0}, "batch size"),
    ],
)
def test_what_does_not_fit_is_refused(
    layers: list[Layer], data: dict[str, Any], options: dict[str, Any], sentence: str
) -> None:
    arrays = {"features": np.ones((9, 2)), "targets": np.arange(9) % 3} | data
    samples = from_arrays(**arrays, name="things")
    network = Network(layers, (2, 2) if isinstance(layers[0], Identity) else 2)
    before = network.theta.copy()
    with pytest.raises(ConfigError, match=sentence):
        fit(network, samples, **options)
    np.testing.assert_array_equal(network.theta, before)


# ------------------------------------------------------------------------------------------ when numbers go bad


def diverge(network: Network, data: DataSet, *args: Any, **options: Any) -> str:
    """Run what must diverge, and return the sentence, in which no number is made up."""
    with pytest.raises(DivergedError) as caught:
        fit(network, data, *args, **options)
    sentence = str(caught.value)
    assert re.fullmatch(
        r"training diverged at step \d+ \(epoch \d+\): the first bad number was .*; the parameters from before that "
        r"step are kept; try a lower learning rate \(it was [^)]*\), and look whether the inputs are scaled\.",
        sentence,
    )
    return sentence


def place(sentence: str) -> tuple[int, int]:
    found = re.search(r"at step (\d+) \(epoch (\d+)\)", sentence)
    assert found
    return int(found[1]), int(found[2])


def exploding_at(step: int) -> Callable[[int], float]:
    """A learning rate that is harmless before a step (from 1) and not from there on."""
    return lambda k: 0.05 if k + 1 < step else 1e30


@pytest.mark.parametrize("check_every", [1, 3, 7, 10, 10_000])
@pytest.mark.parametrize("step", [1, 2, 9, 10, 11, 20, 24])
def test_divergence_is_found_at_its_step_whenever_one_looks(
    corners: DataSet, monkeypatch: pytest.MonkeyPatch, check_every: int, step: int
) -> None:
    monkeypatch.setattr(training, "CHECK_EVERY", check_every)
    network, recorder = classifier(2, Dropout(0.2)), Recorder()
    run = Training(network, corners, Momentum(exploding_at(step)), batch_size=10, epochs=4)
    with pytest.raises(DivergedError) as caught:
        follow(run, [recorder])
    bad, epoch = place(str(caught.value))
    assert bad in (step, step + 1)  # the step of the huge rate, or the next, which sees huge parameters
    assert epoch == (bad - 1) // 10 + 1
    assert np.isfinite(network.theta).all()

    stopped = classifier(2, Dropout(0.2))
    result = fit(stopped, corners, Momentum(exploding_at(step)), batch_size=10, epochs=4, max_steps=bad - 1)
    np.testing.assert_array_equal(network.theta, stopped.theta)
    assert (run.result().steps, run.result().samples) == (result.steps, result.samples)
    assert run.optimizer.state()["steps"] == bad - 1
    assert run.result().stopped == str(caught.value)

    assert recorder.kinds[-2:] == ["EpochEnd", "End"]
    assert recorder.closed == 1
    assert recorder.rows[-1]["epoch"] == epoch
    assert recorder.rows[-1]["step"] == bad - 1
    assert math.isnan(recorder.rows[-1]["validation_loss"])


def test_divergence_is_named_at_the_first_step_that_does(corners: DataSet) -> None:
    network = classifier()
    bad, _ = place(diverge(network, corners, SGD(1e8), batch_size=10, epochs=5))
    for steps in range(1, bad):  # every shorter run ends well
        fit(again := classifier(), corners, SGD(1e8), batch_size=10, epochs=5, max_steps=steps)
    np.testing.assert_array_equal(network.theta, again.theta)
    with pytest.raises(DivergedError):
        fit(classifier(), corners, SGD(1e8), batch_size=10, epochs=5, max_steps=bad)


@pytest.mark.parametrize(
    ("layer", "which", "what"),
    [
        (0, "W", "NaN in the output of dense_1"),
        (0, "b", "NaN in the output of dense_1"),
        (2, "W", "NaN in the output of dense_2"),
        (2, "b", "NaN in the output of dense_2"),
    ],
)
def test_a_bad_weight_is_traced_to_its_layer(corners: DataSet, layer: int, which: str, what: str) -> None:
    network = classifier()
    getattr(network.params[layer], which).flat[1] = np.nan
    planted = network.theta.copy()
    sentence = diverge(network, corners, SGD(0.1), batch_size=10)
    assert f"the first bad number was {what};" in sentence
    assert place(sentence) == (1, 1)
    np.testing.assert_array_equal(network.theta, planted)  # the parameters from before that step


def test_an_infinite_weight_that_meets_no_zero_is_called_an_infinity() -> None:
    network = linear()
    network.params[0].b[...] = np.inf
    assert "infinity in the output of dense_1;" in diverge(network, TWO, SGD(0.1))


def test_inputs_that_overflow_are_named() -> None:
    data = from_arrays(np.array([[1.0], [1e39]]), [[1.0], [2.0]], validation=0)  # finite, but not in float32
    sentence = diverge(Network([Dense(1), Identity()], 1), data, SGD(1e-9), batch_size=1, shuffle=False)
    assert "infinity in the input;" in sentence
    assert place(sentence) == (2, 1)


def test_a_gradient_that_overflows_is_named() -> None:
    network = Network([Dense(1), Identity()], 1)
    network.params[0].W[...] = 1e28
    data = from_arrays([[1e10]], [[0.0]], validation=0)  # o = 1e38, dL/dW = x (o - t) = 1e48
    assert "infinity in the gradient of dense_1.W;" in diverge(network, data, SGD(1e-9))


def test_an_overflow_by_the_update_alone_is_named() -> None:
    network = linear()
    sentence = diverge(network, TWO, SGD(3e38), batch_size="full")  # dL/db = 2
    assert "infinity in dense_1.b after the update;" in sentence
    assert "(it was 3e+38)" in sentence
    assert numbers(network) == [1.0, 2.0, 0.5]


def test_divergence_leaves_numpys_settings_alone(corners: DataSet) -> None:
    with np.errstate(over="raise", invalid="warn", divide="ignore", under="call"):
        before = np.geterr()
        diverge(classifier(), corners, SGD(1e30), batch_size=10)  # a warning would be an error here
        assert np.geterr() == before


def test_a_network_that_overflows_only_in_validation_is_reported_as_it_is() -> None:
    x = np.array([[1.0]] * 9 + [[1e38]])
    network = Network([Dense(1), Identity()], 1)
    network.params[0].W[...] = 100.0
    result = fit(network, from_arrays(x, x, validation=1), SGD(0.1), epochs=1)
    assert result.history["validation_loss"] == [math.inf]


def test_a_bad_number_that_does_not_come_again_is_said_to_be_so(corners: DataSet) -> None:
    network = classifier()

    def act(event: Event, run: Training) -> None:
        if isinstance(event, Steps):
            run._stepper.network.theta[3] = np.nan  # from outside

    sentence = diverge(network, corners, SGD(0.1), batch_size=10, epochs=1, listeners=[Recorder(act)])
    assert "did not appear again" in sentence
    np.testing.assert_array_equal(network.theta, classifier().theta)


def test_divergence_after_a_wish_to_stop_is_still_an_error(corners: DataSet) -> None:
    recorder = Recorder(lambda event, run: run.stop("enough") if isinstance(event, Steps) else None)
    data = from_arrays(corners.train.features, corners.train.targets, validation=0)
    sentence = diverge(classifier(), data, SGD(1e30), batch_size=10, listeners=[recorder])
    assert place(sentence)[1] == 1
    assert isinstance(DivergedError(sentence), GlassnetError | ArithmeticError)


# ------------------------------------------------------------------------------------------ the diagnosis itself


def test_all_finite_looks_at_every_number() -> None:
    assert all_finite(np.array([1e30, -1e30], np.float32))  # whose squares are not finite
    assert all_finite(np.empty(0))
    for bad in (np.nan, np.inf, -np.inf):
        vector = np.ones(1000, np.float32)
        vector[777] = bad
        assert not all_finite(vector)


def test_a_good_step_has_no_bad_number() -> None:
    network = classifier()
    ws = Workspace(network, 4, keep_all=True)
    network.forward(np.ones((4, 2), np.float32), ws)
    ws.current.dy[...] = 1.0
    network.backward(ws.current.dy, ws, skip_last=True)
    assert first_bad_number(network, ws) is None


def test_preprocessing_reaches_the_network() -> None:
    data = from_arrays([[2.0, 4.0], [6.0, -2.0]], [[1.0], [2.0]], validation=0, preprocessing=Preprocessing(0.5))
    network = linear()
    fit(network, data, SGD(0.1), batch_size="full", epochs=1)
    np.testing.assert_allclose(numbers(network), [0.85, 1.525, 0.3], rtol=1e-6)


# ---------------------------------------------------------------------------------------- what a step allocates


@pytest.mark.no_cover
@pytest.mark.parametrize("batch_size", [1, 100, 1000, "full"])
@pytest.mark.parametrize("outputs", [3, 500])
@pytest.mark.parametrize("targets", ["classes", "one-hot", "labels"])
def test_no_step_of_the_loop_allocates_more_than_64_kilobytes(
    batch_size: int | str, outputs: int, targets: str
) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 2000)
    data = from_arrays(
        rng.integers(0, 256, (2000, 30)).astype(np.uint8),
        labels if targets == "classes" else np.eye(outputs)[labels],
        class_names=[str(i) for i in range(outputs)],
    )
    last = Sigmoid() if targets == "labels" else Softmax()
    loss = (SigmoidCrossEntropy if targets == "labels" else SoftmaxCrossEntropy)(label_smoothing=0.1)
    network = Network([Dense(20), ReLU(), Dense(outputs), last], 30)
    run = Training(network, data, Adam(), loss, batch_size=batch_size, epochs=50)
    events = run.events()
    assert isinstance(next(events), Begin)
    for _ in range(3 if batch_size == "full" else 30):
        next(events)
    peaks = []
    advance = run._advance

    def measured(steps: int) -> None:
        tracemalloc.start()
        advance(1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    run._advance = measured  # type: ignore[method-assign]
    for _ in range(20):
        next(events, None)
    assert len(peaks) >= 3
    assert max(peaks) < 64 * 1024, peaks


def test_a_loss_beyond_all_bounds_stops_the_run_though_the_parameters_are_finite() -> None:
    network = Network([Dense(2), Identity()], 2)
    network.params[0].W[...] = 1e25  # whose square is beyond float32
    data = from_arrays([[1.0, 2.0], [3.0, -1.0]], [0, 1], validation=0)
    before = network.theta.copy()
    assert "infinity in the loss;" in diverge(network, data, SGD(1e-9), batch_size="full")
    np.testing.assert_array_equal(network.theta, before)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"data": np.zeros((3, 2))}, r"the data to train with must be made like from_arrays\(features, targets\)"),
        ({"optimizer": "adam"}, r"the optimizer to train with must be made like Adam\(0.001\), not be 'adam'"),
        ({"optimizer": Adam}, "the optimizer to train with"),
        ({"loss": "mse"}, "the loss to train with"),
        ({"network": Dense(3)}, "the network to train with"),
    ],
)
def test_what_is_of_the_wrong_kind_is_refused(arguments: dict[str, Any], sentence: str, corners: DataSet) -> None:
    with pytest.raises(ConfigError, match=sentence):
        fit(**({"network": classifier(), "data": corners} | arguments))
