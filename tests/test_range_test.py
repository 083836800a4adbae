"""The test of learning rates: what it tries, what it leaves alone, and what it suggests."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from conftest import blobs

from glassnet import (
    SGD,
    Adam,
    Cosine,
    DataSet,
    Dense,
    Dropout,
    Flatten,
    MeanSquaredError,
    Momentum,
    Network,
    RangeTest,
    ReLU,
    Samples,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    find_learning_rate,
    fit,
    from_arrays,
    load,
)
from glassnet.errors import ConfigError
from glassnet.optim import OPTIMIZERS
from glassnet.range_test import _suggest


def hidden(seed: int = 0, units: int = 20, **options: Any) -> Network:
    return Network([Dense(units), ReLU(), Dense(3), Softmax()], 2, seed=seed, **options)


# ------------------------------------------------------------------------------------------ what it does


def test_rates_rise_by_one_factor_from_the_lowest_to_the_highest(corners: DataSet) -> None:
    # With a step of 0 nothing is learnt, so that the test goes on to its end.
    found = find_learning_rate(hidden(), corners, SGD(), lowest=1e-12, highest=1e-8, steps=41, batch_size=10)
    assert found.rates[::10] == pytest.approx([1e-12, 1e-11, 1e-10, 1e-9, 1e-8], rel=1e-12)
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == 41
    assert np.diff(np.log(found.rates)) == pytest.approx(np.full(40, math.log(1e4) / 40), rel=1e-9)


def test_losses_are_those_of_a_loop_written_out(corners: DataSet) -> None:
    """A linear softmax model, batches in order, gradient descent: NumPy alone says what the losses are."""
    network = Network([Dense(3), Softmax()], 2, dtype=np.float64)
    found = find_learning_rate(
        network, corners, SGD(), batch_size="full", steps=50, lowest=1e-3, highest=1.0,
    )  # fmt: skip
    x = corners.preprocessing.apply(corners.train.features, dtype=np.float64)
    labels = corners.train.targets
    W, b = network.params[0].W.copy(), network.params[0].b.copy()
    for step, loss in enumerate(found.losses):
        z = x @ W + b
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        assert loss == pytest.approx(-np.log(p[np.arange(len(x)), labels]).mean(), rel=1e-10)
        g = (p - np.eye(3)[labels]) / len(x)
        rate = 10 ** (-3 + 3 * step / 49)
        W -= rate * x.T @ g
        b -= rate * g.sum(axis=0)
    assert len(found.losses) == 50


def test_the_running_mean_has_weights_that_fall_by_a_factor_and_sum_to_one(corners: DataSet) -> None:
    found = find_learning_rate(hidden(), corners, SGD(), steps=80, batch_size=10)  # beta is 1 - 20 / 80
    for k in (0, 1, 5, len(found.losses) - 1):
        weights = 0.75 ** np.arange(k, -1, -1)
        assert found.smoothed[k] == pytest.approx(np.average(found.losses[: k + 1], weights=weights), rel=1e-10)
    assert found.smoothed[0] == pytest.approx(found.losses[0], rel=1e-12)


def test_it_ends_when_the_running_mean_is_more_than_four_times_its_lowest(corners: DataSet) -> None:
    found = find_learning_rate(hidden(), corners, SGD(), batch_size=10, highest=1e5)
    assert len(found.rates) < 200
    ratios = [value / min(found.smoothed[10 : k + 1]) for k, value in enumerate(found.smoothed) if k >= 10]
    assert ratios[-1] > 4 >= max(ratios[:-1])


def test_it_ends_before_a_loss_that_is_not_finite() -> None:
    # A lone weight on w^2 / 2 steps to w (1 - lr): from lr = 1e39 on it is infinite in float32.
    data = from_arrays(np.ones((50, 1)), np.zeros((50, 1)), validation=0)
    network = Network([Dense(1)], 1)
    network.theta[:] = 1.0
    found = find_learning_rate(network, data, SGD(), MeanSquaredError(), batch_size="full", lowest=1e39, highest=1e40)
    assert found.losses == [2.0]  # 1/2 (1 + 1)^2
    assert found.suggestion is None
    assert found.reason is not None
    assert found.reason.startswith("the loss was not finite after 1 steps")


def test_everything_handed_in_stays_as_it_is(corners: DataSet) -> None:
    network, optimizer = hidden(), Momentum(Cosine(0.1, 40))
    fit(network, corners, optimizer, epochs=2)
    kept = network.theta.copy(), network.grad.copy(), network.state.copy(), optimizer.state()
    views = [vars(views) for views in network.params]
    data = corners.train.features.copy()
    find_learning_rate(network, corners, optimizer)
    np.testing.assert_array_equal(network.theta, kept[0])
    np.testing.assert_array_equal(network.grad, kept[1])
    np.testing.assert_array_equal(network.state, kept[2])
    assert optimizer.schedule == Cosine(0.1, 40)
    assert optimizer.steps == kept[3]["steps"]
    np.testing.assert_array_equal(optimizer.state()["v"], kept[3]["v"])
    np.testing.assert_array_equal(corners.train.features, data)
    assert [vars(views) for views in network.params] == views
    assert all(array.base is network.theta for array in views[0].values())


def test_the_optimizers_own_rate_and_state_do_not_matter(corners: DataSet) -> None:
    used = Momentum(Cosine(0.1, 40))
    fit(hidden(), corners, used, epochs=2)
    assert find_learning_rate(hidden(), corners, used) == find_learning_rate(hidden(), corners, Momentum(7.0))


def test_the_test_is_repeated_bit_for_bit_and_the_seed_shuffles(corners: DataSet) -> None:
    def losses(seed: int) -> list[float]:
        network = Network([Dense(20), ReLU(), Dropout(0.25), Dense(3), Softmax()], 2)
        return find_learning_rate(network, corners, batch_size=10, seed=seed).losses

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_the_first_losses_are_those_of_the_network_as_it_is(corners: DataSet) -> None:
    network = hidden()
    fit(network, corners, Adam(0.01), epochs=20)
    model = fit(network, corners, epochs=0).model
    found = find_learning_rate(network, corners, batch_size="full")
    assert found.losses[0] == pytest.approx(model.evaluate(corners.train).loss, rel=1e-5)


def test_progress_is_told_after_each_step(corners: DataSet) -> None:
    told: list[tuple[int, int]] = []
    found = find_learning_rate(
        hidden(), corners, batch_size=10, steps=60, on_step=lambda step, steps: told.append((step, steps))
    )
    assert told == [(k, 60) for k in range(1, len(found.rates) + 1)]


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 2000), (4, 500), (10, 200), (100, 200), ("full", 200)])
def test_small_batches_take_more_steps(corners: DataSet, batch_size: int | str, steps: int) -> None:
    told: list[int] = []
    find_learning_rate(hidden(), corners, batch_size=batch_size, on_step=lambda step, steps: told.append(steps))
    assert set(told) == {steps}


def test_frozen_layers_stay_and_class_weights_count(corners: DataSet) -> None:
    rate = {"lowest": 0.01, "highest": 0.1, "steps": 40, "batch_size": "full"}
    plain = find_learning_rate(hidden(), corners, **rate)
    assert find_learning_rate(hidden(), corners, frozen=["dense_1"], **rate).losses != plain.losses
    weighted = find_learning_rate(hidden(), corners, class_weights=[1.0, 0.0, 0.0], **rate)
    first = corners.train.features[corners.train.targets == 0]
    model = fit(hidden(), corners, epochs=0).model
    alone = model.evaluate(Samples(first, np.zeros(len(first), np.int64)))
    assert weighted.losses[0] == pytest.approx(alone.loss, rel=1e-5)


def test_the_loss_is_a_mean_whatever_the_reduction(corners: DataSet) -> None:
    mean = find_learning_rate(hidden(), corners, SGD(), SoftmaxCrossEntropy("mean"), batch_size=10)
    total = find_learning_rate(hidden(), corners, SGD(), SoftmaxCrossEntropy("sum"), batch_size=10)
    assert total.losses[0] == pytest.approx(mean.losses[0], rel=1e-6)


def test_what_was_measured_goes_into_json(corners: DataSet) -> None:
    found = find_learning_rate(hidden(), corners, batch_size=10)
    assert RangeTest(**json.loads(json.dumps(dataclasses.asdict(found)))) == found
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.suggestion = 1.0  # type: ignore[misc]


# ------------------------------------------------------------------------------------------ what it suggests

RATES = [10 ** (k / 20) for k in range(200)]


def smooth(losses: list[float]) -> list[float]:
    return [float(np.average(losses[: k + 1], weights=0.9 ** np.arange(k, -1, -1))) for k in range(len(losses))]


def ramp(*levels: tuple[int, float]) -> list[float]:
    """Straight lines through (step, level)."""
    return np.interp(np.arange(levels[-1][0] + 1), *zip(*levels, strict=True)).tolist()


def test_the_suggestion_lies_halfway_between_the_steepest_fall_and_the_lowest_value() -> None:
    curve = ramp((0, 2.0), (50, 2.0), (60, 1.8), (62, 1.4), (90, 1.0), (120, 5.0))
    # It falls most steeply between 60 and 62, that is at 61, and is lowest at 90: halfway is 75.5.
    assert _suggest(RATES, curve, curve, 200) == pytest.approx(10 ** (75.5 / 20), rel=1e-12)


def test_a_fall_that_only_comes_after_the_lowest_value_counts_for_nothing() -> None:
    curve = ramp((0, 2.0), (50, 2.0), (80, 1.0), (90, 3.0), (92, 1.5), (120, 5.0))
    suggestion = _suggest(RATES, curve, curve, 200)
    assert isinstance(suggestion, float)
    assert 10 ** (50 / 20) < suggestion < 10 ** (80 / 20)


def test_what_comes_before_the_mean_has_settled_counts_for_nothing() -> None:
    curve = ramp((0, 0.1), (1, 5.0), (9, 2.0), (50, 2.0), (60, 1.0), (90, 0.9), (120, 5.0))
    suggestion = _suggest(RATES, curve, curve, 200)
    assert isinstance(suggestion, float)
    # 99 % of the fall to 0.9 is made at 87, and the steepest part lies between 50 and 60.
    assert 10 ** (68.5 / 20) < suggestion < 10 ** (73.5 / 20)


def test_where_no_loss_is_left_the_mean_may_creep_on() -> None:
    curve = ramp((0, 2.0), (50, 2.0), (70, 0.01)) + [0.01 * 0.9**k for k in range(1, 130)]
    suggestion = _suggest(RATES, curve, curve, 200)
    assert isinstance(suggestion, float)
    assert 10 ** (60 / 20) < suggestion < 10 ** (70 / 20)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("noise", [0.01, 1.0])
def test_noise_alone_is_no_fall(seed: int, noise: float) -> None:
    losses = (5.0 + noise * np.random.default_rng(seed).standard_normal(200)).tolist()
    found = _suggest(RATES, losses, smooth(losses), 200)
    assert isinstance(found, str)
    assert "never fell by more than chance" in found


@pytest.mark.parametrize("seed", range(20))
def test_a_fall_is_seen_through_noise(seed: int) -> None:
    clean = np.array(ramp((0, 5.0), (80, 5.0), (120, 2.0), (150, 15.0)))
    losses = (clean + 0.3 * np.random.default_rng(seed).standard_normal(151)).tolist()
    suggestion = _suggest(RATES, losses, smooth(losses), 200)
    assert isinstance(suggestion, float)
    assert 10 ** (80 / 20) < suggestion < 10 ** (125 / 20)


@pytest.mark.parametrize(
    ("curve", "reason"),
    [
        ([2.0] * 200, "the loss never fell by more than chance"),
        (ramp((0, 1.0), (120, 4.0)), "the loss never fell by more than chance"),
        (ramp((0, 2.0), (50, 2.0), (199, 1.0)), "the loss was still falling at the highest rate"),
        ([2.0] * 10, "the loss was not finite after 10 steps"),
        ([], "the loss was not finite after 0 steps"),
    ],
)
def test_why_there_is_no_suggestion(curve: list[float], reason: str) -> None:
    found = _suggest(RATES, curve, curve, 200)
    assert isinstance(found, str)
    assert found.startswith(reason)
    assert found.endswith(".")


def test_a_trained_network_gets_a_reason_in_place_of_a_rate(corners: DataSet) -> None:
    network = hidden()
    fit(network, corners, Adam(0.03), epochs=200, batch_size=10)
    found = find_learning_rate(network, corners, SGD(), batch_size=10, highest=1e3)
    assert found.suggestion is None
    assert found.reason is not None
    assert "trained already" in found.reason


# ------------------------------------------------------------------------------------------ on real digits


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load("mnist")


def learner(seed: int = 0) -> Network:
    return Network([Flatten(), Dense(100), ReLU(), Dense(100), ReLU(), Dense(10), Softmax()], (28, 28), seed=seed)


@pytest.mark.no_cover
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_rule_learns_digits_with_what_is_suggested(name: str, digits: DataSet) -> None:
    found = find_learning_rate(learner(), digits, OPTIMIZERS[name]())
    assert found.reason is None
    assert found.suggestion is not None
    result = fit(learner(), digits, OPTIMIZERS[name](found.suggestion), max_steps=300)
    assert result.history["validation_accuracy"][0] > 0.9


@pytest.mark.parametrize(
    ("optimizer", "bounds"),
    [
        # Rates that three epochs of OneCycle with batches of 100 come within a point of the best with, tried one by one
        (SGD(), (0.15, 0.9)),
        (Momentum(), (0.03, 0.35)),
        (Adam(), (0.001, 0.03)),
    ],
)
def test_suggestions_lie_where_good_rates_were_found(
    optimizer: Any, bounds: tuple[float, float], digits: DataSet
) -> None:
    for seed in range(3):
        suggestion = find_learning_rate(learner(seed), digits, optimizer, seed=seed).suggestion
        assert suggestion is not None
        assert bounds[0] < suggestion < bounds[1]


# ------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": 39}, "steps must be a whole number of at least 40"),
        ({"lowest": 0.0}, "lowest must be a finite number above 0"),
        ({"highest": math.inf}, "highest must be a finite number above 0"),
        ({"lowest": 1.0, "highest": 1.0}, "the highest learning rate must be above the lowest, 1, not 1"),
        ({"batch_size": 0}, "the batch size must be a whole number of at least 1"),
        ({"batch_size": "half"}, "the batch size must be"),
        ({"optimizer": 0.1}, "the optimizer to train with must be made like"),
        ({"frozen": ["dense_9"]}, "no layer 'dense_9' with parameters to freeze"),
    ],
)
def test_what_makes_no_sense_is_refused(corners: DataSet, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        find_learning_rate(hidden(), corners, **options)


def test_what_does_not_fit_together_is_refused(corners: DataSet) -> None:
    with pytest.raises(ConfigError, match="but the network takes"):
        find_learning_rate(Network([Dense(3), Softmax()], 5), corners)
    with pytest.raises(ConfigError, match="does not go with Sigmoid"):
        find_learning_rate(Network([Dense(3), Sigmoid()], 2), corners, loss=SoftmaxCrossEntropy())


def test_few_samples_are_enough() -> None:
    data = from_arrays(*blobs(12), validation=0)
    found = find_learning_rate(hidden(), data, batch_size=5, highest=1e4)
    assert found.suggestion is not None


def test_a_fall_that_is_cut_short_by_an_infinity_gets_a_suggestion_or_a_reason() -> None:
    for count in range(1, 60):
        losses = [10.0 * 0.8**k for k in range(count)]
        found = _suggest([1e-4 * 1.1**k for k in range(count)], losses, losses, 200)
        if count >= 30:  # enough to be no chance
            assert isinstance(found, float)
            assert 1e-4 < found < 1e-4 * 1.1**count
        elif count <= 12:
            assert isinstance(found, str)
