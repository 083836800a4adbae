"""The training doctor: runs on real digits, some sick in one way each, and healthy ones in which nothing is found."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glassnet import (
    SGD,
    Adam,
    DataSet,
    Dense,
    Identity,
    Listener,
    MeanSquaredError,
    Network,
    Preprocessing,
    ReLU,
    RunConfig,
    Samples,
    Sigmoid,
    Softmax,
    Tanh,
    Training,
    doctor,
    fit,
    from_arrays,
)
from glassnet.config import LEARNING_RATES
from glassnet.diagnosis import signals
from glassnet.doctor import Doctor, loss_by_chance
from glassnet.errors import DivergedError
from glassnet.findings import Course, Finding, in_course, in_layers, rising_loss
from glassnet.layers import Layer
from glassnet.web.advice import advice

Array = NDArray[Any]

MNIST = RunConfig().load_data()
DIGITS = dataclasses.replace(MNIST, train=MNIST.train.rows(0, 6000), validation=MNIST.validation.rows(0, 1000))
SMALL: dict[str, Any] = {"hidden": (30, 20), "batch_size": 50, "epochs": 3, "workers": 1}


def examine(data: DataSet = DIGITS, network: Network | None = None, **settings: Any) -> list[Finding]:
    """Train, and return what the doctor found."""
    config = RunConfig(**{**SMALL, **settings})
    watching = Doctor()
    try:
        config.follow(config.make_training(data, network), [watching])
    except DivergedError:
        assert any(finding.kind == "bad-number" for finding in watching.findings)
    return watching.findings


def one(findings: list[Finding], kind: str) -> Finding:
    """Return the finding of a kind."""
    assert kind in [finding.kind for finding in findings], findings
    return next(finding for finding in findings if finding.kind == kind)


def kinds(findings: list[Finding]) -> set[str]:
    return {finding.kind for finding in findings}


def shuffled(samples: Samples) -> Samples:
    labels = np.random.default_rng(7).permutation(samples.targets)
    return dataclasses.replace(samples, targets=labels)


# ------------------------------------------------------------------------------------------ units and gradients


def test_an_infinity_is_named_with_its_layer_and_step() -> None:
    config = RunConfig(**SMALL, optimizer="sgd", learning_rate=100.0, activation="identity")
    run, watching = config.make_training(DIGITS), Doctor()
    with pytest.raises(DivergedError) as error:
        config.follow(run, [watching])
    (found,) = [finding for finding in watching.findings if finding.kind == "bad-number"]
    assert f"diverged at step {found.step} " in str(error.value)
    assert found.layer is not None
    assert f"{found.layer}" in str(error.value)
    assert found.seen.startswith(("Infinity in ", "NaN in "))
    assert found.cure == "Try a learning rate of 10."


def test_a_bad_number_of_inputs_that_are_not_scaled_is_cured_by_scaling() -> None:
    raw = dataclasses.replace(DIGITS, preprocessing=Preprocessing())
    found = examine(raw, optimizer="sgd", activation="identity")
    assert one(found, "bad-number").cure == "Scale the inputs first."


def ratio(network: Network) -> float:
    """Gradient of the first hidden layer as a share of the last one's, of other samples than the doctor's."""
    some = MNIST.test.rows(0, 500)
    found = signals(network, MNIST.preprocessing.apply(some.features), some.targets, RunConfig().make_loss())
    return float(found[0]["gradient_rms"] / found[-1]["gradient_rms"])


@pytest.mark.parametrize(
    ("kind", "settings", "layer"),
    [
        ("vanishing-gradient", {"activation": "sigmoid", "optimizer": "sgd"}, "sigmoid_1"),
        ("exploding-gradient", {"initializer": "normal:1.0", "learning_rate": 1e-5}, "relu_1"),
    ],
)
def test_a_gradient_that_is_lost_or_grows_on_its_way(kind: str, settings: dict[str, Any], layer: str) -> None:
    deep = {"hidden": (30,) * 7, **settings}
    found = one(examine(**deep), kind)
    assert (found.layer, found.step) == (layer, 0)
    share = ratio(RunConfig(**{**SMALL, **deep}).make_network(DIGITS))
    text = found.seen.partition(" is " if share < 1 else " gets ")[2].split()[0].replace(",", "")
    assert float(text) == pytest.approx(share, rel=0.3)
    assert share < 0.01 or share > 100


def test_dead_units_are_counted_and_their_layer_is_named() -> None:
    network = RunConfig(**SMALL).make_network(DIGITS)
    network.params[network.names.index("dense_2")].b[:18] = -1000.0  # of 20
    found = one(examine(network=network), "dead-units")
    assert (found.layer, found.step) == ("relu_2", 0)
    assert found.seen.startswith("In relu_2 90 % of the units are dead")
    assert "he-normal" in found.cure


class Poison(Listener):
    """Ruins a layer in the middle of a run."""

    def __init__(self, step: int, layer: str) -> None:
        self.step, self.layer = step, layer

    def notify(self, event: object, run: Training) -> None:
        if run.step == self.step:
            run.publish()
            run.network.params[run.network.names.index(self.layer)].b[:] = -1000.0
            run.take_over(run.optimizer_in_order())


def test_units_that_die_in_training_are_dated() -> None:
    config = RunConfig(**SMALL)
    watching = Doctor()
    config.follow(config.make_training(DIGITS), [Poison(100, "dense_1"), watching])
    found = one(watching.findings, "dead-units")
    assert (found.layer, found.step) == ("relu_1", 200)  # the first look since then, after 10,000 samples
    assert "lower learning rate" in found.cure


def test_what_only_one_look_sees_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FIRST_LOOKS", (2_000, 18_000))
    config = RunConfig(**SMALL)
    watching = Doctor()
    config.follow(config.make_training(DIGITS), [Poison(350, "dense_1"), watching])
    assert "dead-units" not in kinds(watching.findings)  # the end is the only look that sees it


def test_units_that_only_few_samples_light_are_not_dead() -> None:
    """Units that two of the 500 samples of the second look light, and none of the 100 of the first."""
    rows = np.zeros((1000, 4))
    rows[:, 0] = 1.0
    again = np.linspace(0, 999, 500).astype(int)
    first = set(np.linspace(0, 999, 100).astype(int).tolist())
    rare = [row for row in again.tolist() if row not in first][:2]
    rows[rare, 1] = 5.0
    data = from_arrays(rows, np.arange(1000) % 2, validation=0)

    def look_at(weight: float) -> set[str]:
        network = Network([Dense(10), ReLU(), Dense(2), Softmax()], 4)
        network.params[0].W[:] = 0.0
        network.params[0].W[1] = weight * np.linspace(0.5, 1.0, 10)
        network.params[0].b[:] = -1.0
        watching = Doctor()
        fit(network, data, SGD(1e-9), batch_size=500, epochs=5, listeners=[watching])
        return kinds(watching.findings)

    assert "dead-units" in look_at(0.0)
    assert "dead-units" not in look_at(1.0)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_saturated_units_are_counted_and_their_layer_is_named(activation: str) -> None:
    config = RunConfig(**SMALL, activation=activation)
    network = config.make_network(DIGITS)
    network.params[network.names.index("dense_2")].b[:15] = 3.5 if activation == "tanh" else 7.0  # of 20
    found = one(examine(network=network, activation=activation, learning_rate=1e-4), "saturated-units")
    assert (found.layer, found.step) == (f"{activation}_2", 0)
    assert found.seen.startswith(f"In {activation}_2 75 % of the units are saturated")
    assert "glorot-uniform" in found.cure


def test_units_that_are_all_alike() -> None:
    found = examine(initializer="zeros", activation="sigmoid")
    assert one(found, "units-alike").layer == "dense_1"
    assert one(found, "units-alike").step == 0


def test_zeros_in_the_last_layer_alone_are_no_harm() -> None:
    network = RunConfig(**SMALL).make_network(DIGITS)
    network.params[network.names.index("dense_3")].W[:] = 0.0
    assert examine(network=network) == []
    assert examine(hidden=(), initializer="zeros") == []


# ------------------------------------------------------------------------------------------ the loss


def test_a_loss_that_does_not_move() -> None:
    found = examine(hidden=(30,) * 7, activation="sigmoid", optimizer="sgd")
    still = one(found, "loss-stands-still")
    assert kinds(found) == {"loss-stands-still", "vanishing-gradient"}
    assert still.step == 240  # the first end of an epoch after the middle of the run
    assert "after 240 steps, and was 2.48 at first" in still.seen


@pytest.mark.parametrize(
    ("optimizer", "rate", "activation"),
    [("sgd", 30.0, "relu"), ("sgd", 60.0, "tanh"), ("adam", 3.0, "relu"), ("adam", 1.0, "tanh"), ("lion", 0.5, "tanh")],
)
def test_a_learning_rate_too_high(optimizer: str, rate: float, activation: str) -> None:
    found = examine(optimizer=optimizer, learning_rate=rate, activation=activation)
    assert one(found, "rate-too-high").cure == f"Try {rate / 10:.2g} in place of {rate:.2g}."
    assert kinds(found) <= {"rate-too-high", "dead-units", "saturated-units", "vanishing-gradient"}


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 1e-4), ("adam", 1e-6), ("lion", 1e-6)])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_a_learning_rate_too_low(optimizer: str, rate: float, activation: str) -> None:
    (found,) = examine(optimizer=optimizer, learning_rate=rate, activation=activation)
    assert (found.kind, found.step) == ("rate-too-low", 240)
    assert found.cure == f"Try {10 * rate:.2g} in place of {rate:.2g}."


def test_a_network_that_has_learnt_already_may_go_slowly() -> None:
    config = RunConfig(**SMALL)
    trained = config.follow(config.make_training(DIGITS)).model.network
    assert examine(network=trained, learning_rate=1e-6) == []


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_labels_that_were_shuffled(activation: str) -> None:
    data = dataclasses.replace(MNIST, train=shuffled(MNIST.train), validation=shuffled(MNIST.validation))
    (found,) = examine(data, hidden=(100, 100), batch_size=200, epochs=1, activation=activation)
    assert (found.kind, found.layer, found.step) == ("labels-shuffled", None, 275)
    assert "as much as without looking at the input (2.3)" in found.seen


def test_shuffled_labels_that_were_learnt_by_heart() -> None:
    data = dataclasses.replace(DIGITS, train=shuffled(DIGITS.train.rows(0, 1000)))
    (found,) = examine(data, epochs=40)
    assert found.kind == "labels-shuffled"
    assert "holds for no other samples" in found.seen
    largest = np.bincount(DIGITS.validation.targets).max() / 10  # of 1,000, in per cent
    assert f"always the same answer has {largest:.1f} %" in found.seen


def test_few_validation_samples_prove_nothing() -> None:
    data = dataclasses.replace(DIGITS, train=shuffled(DIGITS.train.rows(0, 1000)))
    assert examine(dataclasses.replace(data, validation=DIGITS.validation.rows(0, 99)), epochs=40) == []
    assert examine(data, epochs=40, validate=False) == []


def test_a_regression_on_shuffled_targets() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3))
    t = x @ rng.normal(size=(3, 2))

    def found(targets: Array) -> list[str]:
        watching, network = Doctor(), Network([Dense(20), Tanh(), Dense(2), Identity()], 3)
        fit(network, from_arrays(x, targets), Adam(0.003), batch_size=20, epochs=5, listeners=[watching])
        return [finding.kind for finding in watching.findings]

    assert found(t) == []
    assert found(rng.permutation(t)) == ["labels-shuffled"]


# ------------------------------------------------------------------------------------------ the data


def test_inputs_that_were_not_scaled() -> None:
    raw = dataclasses.replace(DIGITS, preprocessing=Preprocessing())
    found = one(examine(raw), "inputs-not-scaled")
    assert (found.step, found.layer) == (0, None)
    assert "from 0 to 255" in found.seen
    twice = dataclasses.replace(DIGITS, preprocessing=Preprocessing(scale=1 / 255**2))
    assert "from 0 to 0.00392" in one(examine(twice), "inputs-not-scaled").seen


def test_a_single_column_that_is_large() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    x[:, 1] += 2019.0  # a year

    def found(features: Array) -> set[str]:
        watching = Doctor()
        network = Network([Dense(8), Tanh(), Dense(2), Softmax()], 3)
        fit(network, from_arrays(features, (x[:, 0] > 0).astype(int)), epochs=1, listeners=[watching])
        return kinds(watching.findings)

    assert "inputs-not-scaled" in found(x)
    assert found(x - x.mean(axis=0)) == set()


def test_inputs_that_are_all_the_same() -> None:
    same = Samples(np.repeat(DIGITS.train.features[:1], 1000, axis=0), DIGITS.train.targets[:1000])
    found = examine(dataclasses.replace(DIGITS, train=same), batch_size=10)
    assert one(found, "inputs-constant").step == 0
    assert "The 100 samples" in one(found, "inputs-constant").seen
    assert "labels-shuffled" not in kinds(found)


def test_classes_that_training_never_sees() -> None:
    kept = ~np.isin(DIGITS.train.targets, (3, 7))
    train = Samples(DIGITS.train.features[kept], DIGITS.train.targets[kept])
    (found,) = examine(dataclasses.replace(DIGITS, train=train))
    assert (found.kind, found.step, found.layer) == ("classes-missing", 0, None)
    assert found.seen == "2 of 10 classes have no training sample: 3, 7."


@pytest.mark.parametrize("weights", [(1,) * 9 + (0,), (1,) * 9 + (0.001,), (0,) * 9 + (1,)])
def test_class_weights_are_no_fault(weights: tuple[float, ...]) -> None:
    assert examine(class_weights=weights) == []


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"l2": 5.0}, "Try 0.5 in place of 5 (l2)."),
        ({"l2": 0.5, "optimizer": "sgd"}, "Try 0.05 in place of 0.5 (l2)."),
        ({"weight_decay": 100.0, "optimizer": "adamw"}, "Try 10 in place of 100 (weight_decay)."),
    ],
)
def test_a_weight_decay_too_strong(settings: dict[str, Any], cure: str) -> None:
    (found,) = examine(MNIST, hidden=(100, 100), batch_size=200, epochs=1, **settings)
    assert (found.kind, found.layer, found.step, found.cure) == ("decay-too-strong", None, 275, cure)


def test_what_was_seen_of_bad_numbers_is_not_told() -> None:
    found = examine(learning_rate=1e300, epochs=1)
    end = one(found, "bad-number").step
    assert all(finding.step <= end for finding in found)


def test_labels_as_columns_may_be_missing_too() -> None:
    x = np.random.default_rng(0).normal(size=(300, 2))
    targets = np.stack([x[:, 0] > 0, x[:, 1] > 0, x[:, 0] > 1e9], axis=1).astype(float)
    watching = Doctor()
    data = from_arrays(x, targets, class_names=["right", "above", "nowhere"])
    fit(Network([Dense(3), Sigmoid()], 2), data, Adam(0.01), epochs=2, listeners=[watching])
    (found,) = watching.findings
    assert found.seen == "1 of 3 classes has no training sample: nowhere."


# ------------------------------------------------------------------------------------------ what is healthy


@pytest.mark.no_cover
@pytest.mark.parametrize("optimizer", LEARNING_RATES)
def test_nothing_is_found_in_an_epoch_of_the_default_run(optimizer: str) -> None:
    assert examine(MNIST, hidden=(100, 100), batch_size=200, epochs=1, optimizer=optimizer) == []


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(1, 5))
def test_nothing_is_found_with_other_seeds(seed: int) -> None:
    assert examine(MNIST, hidden=(100, 100), batch_size=200, epochs=1, seed=seed) == []
    assert examine(seed=seed) == []


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "sigmoid"},
        {"activation": "tanh"},
        {"activation": "gelu"},
        {"activation": "elu"},
        {"hidden": ()},
        {"loss": "mse"},
        {"loss": "sigmoid-crossentropy", "label_smoothing": 0.1},
        {"label_smoothing": 0.3, "class_weights": "balanced"},
        {"frozen": ("dense_1",)},
        {"input_range": (0.01, 1.0)},
        {"input_range": (-1.0, 1.0)},
        {"loss_reduction": "sum", "optimizer": "sgd"},
        {"batch_size": 5, "epochs": 1, "learning_rate": 0.001},
        {"batch_size": 1000, "epochs": 60},
        {"max_steps": 10},
        {"epochs": 0},
        {"validate": False},
        {"workers": 2},
    ],
    ids=str,
)
def test_nothing_is_found_in_other_healthy_runs(settings: dict[str, Any]) -> None:
    assert examine(**settings) == []


def test_nothing_is_found_where_there_is_nothing_to_learn(corners: DataSet) -> None:
    watching = Doctor()
    fit(Network([Dense(3), Softmax()], 2), corners, SGD(0.1), batch_size=10, epochs=30, listeners=[watching])
    assert watching.findings == []
    x = np.random.default_rng(0).normal(size=(300, 2))
    data = from_arrays(x, np.zeros((300, 1)))  # one answer is always right
    fit(Network([Dense(1), Identity()], 2), data, SGD(0.01), epochs=100, listeners=[watching])
    assert watching.findings == []


# ------------------------------------------------------------------------------------------ what it costs


def test_the_run_is_the_same_bit_for_bit() -> None:
    for workers in (1, 2):
        config = RunConfig(**SMALL | {"workers": workers})
        plain, watched = config.make_training(DIGITS), config.make_training(DIGITS)
        config.follow(plain)
        config.follow(watched, [Doctor()])
        np.testing.assert_array_equal(plain.network.theta, watched.network.theta)
        assert plain.history["train_loss"] == watched.history["train_loss"]


def test_how_often_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    original = doctor.look

    def counting(network: Network, x: Array, *rest: Any) -> Any:
        looks.append(len(x))
        return original(network, x, *rest)

    monkeypatch.setattr(doctor, "look", counting)
    assert examine(MNIST, hidden=(8,), batch_size=1000, epochs=5) == []
    assert looks == [100] * 6  # at first, after 2,000 and 10,000 samples, then every 100,000, and at the end
    watching = Doctor()
    config = RunConfig(**SMALL)
    assert config.follow(config.make_training(DIGITS), [watching]).train_seconds > 0
    assert 0 < watching.seconds < 60


def test_a_run_that_goes_on_is_judged_by_what_is_left() -> None:
    config = RunConfig(**SMALL, learning_rate=1e-6)
    run = config.make_training(DIGITS)
    network = config.make_network(DIGITS)
    watching = Doctor()
    assert watching.state() == {}
    run.step = 300  # as after a checkpoint; how far its parameters had gone is not known
    run.epoch, run.samples = 2, 15_000
    run.network.theta[:] = network.theta
    config.follow(run, [watching])
    assert "rate-too-low" not in kinds(watching.findings)


# ------------------------------------------------------------------------------------------ the rules


def test_the_loss_by_chance_against_arithmetic_by_hand() -> None:
    x = np.zeros((4, 2))
    classes = from_arrays(x, [0, 0, 0, 1], validation=0)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    layers: list[tuple[int, Layer, float]] = [
        (2, Softmax(), entropy),
        (1, Sigmoid(), entropy),
        (2, Sigmoid(), 2 * entropy),
    ]
    for units, output, expected in layers:
        run = Training(Network([Dense(units), output], 2), classes)
        assert loss_by_chance(run) == pytest.approx(expected)
    run = Training(Network([Dense(2), Identity()], 2), classes, loss=MeanSquaredError("sum"))
    assert loss_by_chance(run) == pytest.approx(0.1875)  # half of two variances of 3/16
    run = Training(Network([Dense(2), Softmax()], 2), classes, class_weights="balanced")
    assert loss_by_chance(run) == pytest.approx(math.log(2))
    numbers = from_arrays(x, np.array([[1.0], [2.0], [3.0], [6.0]]), weights=[1, 1, 1, 0], validation=0)
    run = Training(Network([Dense(1), Identity()], 2), numbers)
    assert loss_by_chance(run) == pytest.approx(1 / 3)


HEALTHY = Course(300, 0.1, chance=2.3, first=2.4, worst=0.6, best=0.2, epoch=0.3, now=0.2, moved=0.5, sick=False)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, None),
        ({"worst": 2.9}, None),  # it has come down again
        ({"worst": 2.9, "best": 1.9, "now": 1.9}, "rate-too-high"),
        ({"worst": 4.9}, "rate-too-high"),
        ({"now": 0.4}, None),
        ({"now": 0.5}, "rate-too-high"),
        ({"best": 2.0, "now": 2.0, "moved": 0.04}, "rate-too-low"),
        ({"best": 2.0, "now": 2.0, "moved": math.nan}, None),
        ({"best": 2.0, "now": 2.0}, None),
        ({"epoch": 2.29, "best": 2.1, "now": 2.1}, "labels-shuffled"),
        ({"epoch": 2.29, "best": 1.5, "now": 1.5}, None),  # slow at first
        ({"epoch": 2.29, "best": 2.29, "now": 2.29, "sick": True}, "loss-stands-still"),
        ({"epoch": 2.29, "best": 2.29, "now": 2.29, "sick": True, "hurt": True}, "rate-too-high"),
        ({"first": 40.0, "worst": 20.0, "best": 12.0, "now": 12.0}, None),  # far, and on its way
        ({"first": 40.0, "worst": 40.0, "best": 39.5, "now": 39.5, "sick": True}, "loss-stands-still"),
        ({"epoch": 2.29, "best": 2.1, "now": 2.1, "decay": ("l2", 0.1), "length": 0.4}, "decay-too-strong"),
        ({"epoch": 2.29, "best": 2.1, "now": 2.1, "decay": ("l2", 0.0), "length": 0.4}, "labels-shuffled"),
        ({"epoch": 2.29, "best": 2.1, "now": 2.1, "decay": ("l2", 0.1), "length": 0.6}, "labels-shuffled"),
        ({"epoch": 2.29, "best": 2.1, "now": 2.1, "decay": ("l2", 0.1), "length": math.nan}, "labels-shuffled"),
        ({"decay": ("l2", 0.1), "length": 0.4}, None),  # it has learnt all the same
        ({"unseen": (0.11, 0.11)}, "labels-shuffled"),
        ({"unseen": (0.11, 0.11), "best": 1.9, "now": 1.9}, None),
    ],
)
def test_the_course_of_a_loss(changes: dict[str, Any], kind: str | None) -> None:
    found = in_course(dataclasses.replace(HEALTHY, **changes))
    assert [finding.kind for finding in found] == ([] if kind is None else [kind])


def test_what_is_not_finite_is_no_finding() -> None:
    bad = {"dead": math.nan, "saturated": math.nan, "gradient_rms": math.nan}
    assert in_layers([{"layer": "relu_1", **bad}, {"layer": "relu_2", **bad}], 3) == []
    assert rising_loss([2.3, math.nan, math.nan], 3) == []


def test_the_playground_says_the_same() -> None:
    sick = [
        {"layer": "tanh_1", "dead": 0.8, "saturated": 0.0, "gradient_rms": 1.0},
        {"layer": "tanh_2", "dead": 0.0, "saturated": 0.7, "gradient_rms": 1e-3},
    ]
    points: list[list[float | None]] = [
        [step, 0.0, None, None, loss, 0.1] for step, loss in ((0, 2.3), (5, 4.0), (9, 5.0))
    ]
    findings = [*in_layers(sick, 9), *rising_loss([2.3, 4.0, 5.0], 9)]
    assert len(findings) == 4
    assert advice(sick, points, None) == [f"{finding.seen} {finding.cure}" for finding in findings]
    for finding in findings:
        assert finding.seen.endswith(".")
        assert finding.cure.endswith(".")
        assert str(finding).startswith("step 9: ")
