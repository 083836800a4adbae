"""Model and metrics: raw data in, classes, probabilities, loss and accuracy out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import glassnet.model as model_module
from glassnet import (
    Dense,
    Flatten,
    Identity,
    Layer,
    MeanSquaredError,
    Model,
    Network,
    Preprocessing,
    Samples,
    Sigmoid,
    SigmoidCrossEntropy,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    Zeros,
    metrics,
)
from glassnet.errors import ConfigError
from glassnet.losses import Loss, default_loss
from glassnet.model import EVALUATION_BATCH, Tally


def linear(output: Layer, w: list[list[float]], b: list[float], loss: Loss, names: int | None) -> Model:
    """A model of one dense layer, with given numbers, that halves what it reads."""
    network = Network([Dense(len(b)), output], len(w), dtype="float64")
    network.params[0].W[...] = w
    network.params[0].b[...] = b
    class_names = None if names is None else tuple(str(i) for i in range(names))
    return Model(network, Preprocessing(scale=0.5), class_names, loss)


REGRESSION = linear(Identity(), [[1.0, 0.0], [2.0, -4.0]], [0.5, 0.0], MeanSquaredError(), None)
BINARY = linear(Sigmoid(), [[2.0]], [0.0], SigmoidCrossEntropy(), 2)
LABELS = Model(
    linear(Sigmoid(), [[2.0, -2.0]], [0.0, 1.0], SigmoidCrossEntropy(), 2).network,
    Preprocessing(scale=0.5),
    ("high", "low"),
    SigmoidCrossEntropy(),
    "multi-label",
)
CLASSES = linear(Softmax(), [[2.0, 0.0, 0.0]], [0.0, 0.0, -40.0], SoftmaxCrossEntropy(), 3)


def test_outputs_of_raw_features_by_hand() -> None:
    outputs = REGRESSION.outputs(np.array([[2, 4], [0, 1]], np.uint8))
    assert outputs.tolist() == [[1 + 4 + 0.5, -8.0], [1.0 + 0.5, -2.0]]


def test_probabilities_by_hand() -> None:
    p = 1 / (1 + math.exp(-3))
    np.testing.assert_allclose(BINARY.predict_proba(np.array([[3.0]])), [[p]], rtol=1e-12)
    np.testing.assert_allclose(CLASSES.predict_proba(np.array([[3.0]])), [[p, 1 - p, 0.0]], rtol=1e-12, atol=1e-15)


def test_predict_gives_classes_or_numbers() -> None:
    x = np.array([[3.0], [-3.0], [0.0]])
    assert BINARY.predict(x).tolist() == [1, 0, 0]
    assert CLASSES.predict(x).tolist() == [0, 1, 0]
    assert REGRESSION.predict(np.array([[2.0, 0.0]])).tolist() == [[1.5, 0.0]]


def test_labels_are_answered_one_by_one() -> None:
    x = np.array([[3.0], [-3.0], [0.5], [0.0]])  # scores x and 1 - x
    assert LABELS.predict(x).tolist() == [[1, 0], [0, 1], [1, 1], [0, 1]]
    assert LABELS.predict(np.empty((0, 1))).shape == (0, 2)
    p = 1 / (1 + math.exp(-3))
    np.testing.assert_allclose(LABELS.predict_proba(x[:1]), [[p, 1 / (1 + math.exp(2))]], rtol=1e-12)


def test_the_task_is_guessed_where_nobody_says_it() -> None:
    softmax, sigmoid = CLASSES.network, LABELS.network
    for network, names, loss, task in (
        (softmax, ("a", "b", "c"), SoftmaxCrossEntropy(), "classification"),
        (softmax, None, SoftmaxCrossEntropy(), "classification"),
        (sigmoid, ("a", "b"), SigmoidCrossEntropy(), "classification"),
        (sigmoid, ("a", "b"), MeanSquaredError(), "classification"),
        (sigmoid, None, SigmoidCrossEntropy(), "regression"),
    ):
        assert Model(network, Preprocessing(), names, loss).task == task
    assert Model(sigmoid, Preprocessing(), ("a", "b"), MeanSquaredError(), "regression").task == "regression"


def test_a_task_that_makes_no_sense_is_refused() -> None:
    for task in ("guessing", 3, ["regression"]):
        with pytest.raises(ConfigError, match="one of classification, multi-label, regression, not"):
            Model(CLASSES.network, Preprocessing(), None, SoftmaxCrossEntropy(), task)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"multi-label model must be Sigmoid\(\), not Softmax"):
        Model(CLASSES.network, Preprocessing(), None, SoftmaxCrossEntropy(), "multi-label")


def test_a_list_is_taken_and_nothing_gives_nothing() -> None:
    assert REGRESSION.outputs([[2, 4]]).tolist() == [[5.5, -8.0]]  # type: ignore[arg-type]
    empty = np.empty((0, 2))
    assert REGRESSION.outputs(empty).shape == (0, 2)
    assert CLASSES.predict(np.empty((0, 1))).shape == (0,)


def test_probabilities_of_a_regression_are_refused() -> None:
    with pytest.raises(ConfigError, match="outputs of a Identity layer are no probabilities"):
        REGRESSION.predict_proba(np.zeros((1, 2)))


def test_features_of_another_shape_are_refused() -> None:
    model = Model(Network([Flatten(), Dense(2), Softmax()], (2, 3)), Preprocessing(), ("a", "b"), SoftmaxCrossEntropy())
    for call in (model.outputs, model.predict, model.predict_proba):
        with pytest.raises(ConfigError, match=r"samples of shape \(2, 3\).*\(N, 2, 3\), not \(6,\)"):
            call(np.zeros(6))
    with pytest.raises(ConfigError, match=r"not \(4, 3, 2\)"):
        model.evaluate(Samples(np.zeros((4, 3, 2)), np.zeros(4, np.int64)))


def test_more_samples_than_one_evaluation_batch() -> None:
    n = 2 * EVALUATION_BATCH + 3
    x = np.linspace(-4, 4, n)[:, np.newaxis]
    t = (np.arange(n) % 3 == 0).astype(np.int64)
    p = 1 / (1 + np.exp(-x[:, 0]))  # by the definition
    np.testing.assert_allclose(BINARY.outputs(x)[:, 0], p, rtol=1e-12)
    result = BINARY.evaluate(Samples(x, t))
    assert result.loss == pytest.approx(np.mean([-math.log(q if k else 1 - q) for q, k in zip(p, t, strict=True)]))
    assert result.accuracy == np.mean((x[:, 0] > 0) == t)


def test_evaluation_by_hand() -> None:
    uniform = Model(Network([Dense(4, Zeros()), Softmax()], 2), Preprocessing(), tuple("abcd"), SoftmaxCrossEntropy())
    result = uniform.evaluate(Samples(np.ones((5, 2)), np.array([0, 1, 2, 0, 3])))
    assert result.loss == pytest.approx(math.log(4))
    assert result.accuracy == 0.4  # all are taken for class 0


@pytest.mark.parametrize("length", [7, 2500])
def test_an_evaluation_leaves_the_outputs_that_it_computed(length: int) -> None:
    x = np.random.default_rng(0).normal(size=(length, 2))
    network = Network([Dense(4), Softmax()], 2, seed=1)
    model = Model(network, Preprocessing(), tuple("abcd"), SoftmaxCrossEntropy())
    samples = Samples(x, np.arange(length) % 4)
    out = np.full((length, 4), np.nan, np.float32)
    assert model.evaluate(samples, out) == model.evaluate(samples)
    np.testing.assert_array_equal(out, model.outputs(x))
    assert np.mean(out.argmax(axis=1) == samples.targets) == model.evaluate(samples).accuracy


def test_evaluation_of_labels_by_hand() -> None:
    x = np.array([[3.0], [-3.0], [0.5], [0.0]])
    t = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 0.0]])  # the second and the fourth have one wrong label
    result = LABELS.evaluate(Samples(x, t))
    assert result.accuracy == 0.5
    p = [[1 / (1 + math.exp(-z)) for z in (v, 1 - v)] for v in x[:, 0]]
    each = [-sum(math.log(q if k else 1 - q) for q, k in zip(*rows, strict=True)) for rows in zip(p, t, strict=True)]
    assert result.loss == pytest.approx(sum(each) / 4)


def test_evaluation_of_dense_targets_of_a_softmax_by_hand() -> None:
    x = np.array([[3.0], [-3.0], [2.0]])  # classes 0, 1, 0
    t = np.array([[0.0, 1.0, 0.0], [0.2, 0.4, 0.4], [0.3, 0.3, 0.4]])
    assert CLASSES.evaluate(Samples(x, t)).accuracy == 1 / 3  # the second alone: no class has a larger target


def test_the_task_says_what_is_right_whatever_the_targets_are() -> None:
    x = np.array([[3.0], [-3.0], [0.5], [0.0]])  # labels: 1 0, 0 1, 1 1, 0 1
    soft = np.array([[0.9, 0.1], [0.6, 0.4], [0.51, 1.0], [0.5, 0.9]])  # above 0.5: 1 0, 1 0, 1 1, 0 1
    assert LABELS.evaluate(Samples(x, soft)).accuracy == 3 / 4
    assert LABELS.evaluate(Samples(x, np.array([0, 0, 0, 1]))).accuracy == 2 / 4  # as 1 0, 1 0, 1 0, 0 1
    assert CLASSES.evaluate(Samples(x, np.array([[0, 0.5, 0.5]] * 4))).accuracy == 1 / 4
    numbers = Model(LABELS.network, LABELS.preprocessing, None, SigmoidCrossEntropy(), "regression")
    assert numbers.evaluate(Samples(x, np.round(soft))).accuracy is None
    assert numbers.evaluate(Samples(x, np.array([0, 0, 0, 1]))).accuracy is None
    assert BINARY.evaluate(Samples(x, np.array([[0.9], [0.9], [0.5], [0.2]]))).accuracy == 3 / 4  # classes 1 0 1 0


def test_an_evaluation_does_not_look_through_all_targets_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "task_of", lambda loss, targets: pytest.fail("all targets are looked through"))
    LABELS.evaluate(Samples(np.array([[3.0]]), np.array([[1.0, 0.0]])))


def test_label_smoothing_is_in_no_evaluation() -> None:
    x, t = np.array([[3.0], [-3.0]]), np.array([0, 1])
    for model, loss in ((CLASSES, SoftmaxCrossEntropy), (LABELS, SigmoidCrossEntropy)):
        smoothed = Model(model.network, model.preprocessing, model.class_names, loss(label_smoothing=0.3))
        plain = Model(model.network, model.preprocessing, model.class_names, loss())
        assert smoothed.evaluate(Samples(x, t)) == plain.evaluate(Samples(x, t))


def test_weights_count_in_the_loss() -> None:
    x, t = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[2.5, 0.0], [1.5, 4.0]])  # losses 2 and 8
    assert REGRESSION.evaluate(Samples(x, t)).loss == 5.0
    assert REGRESSION.evaluate(Samples(x, t, np.array([3.0, 1.0]))).loss == (3 * 2 + 8) / 4
    assert REGRESSION.evaluate(Samples(x, t)).accuracy is None


def test_the_loss_is_the_mean_whatever_the_reduction() -> None:
    model = Model(REGRESSION.network, REGRESSION.preprocessing, None, MeanSquaredError("sum"))
    assert model.evaluate(Samples(np.zeros((2, 2)), np.array([[2.5, 0.0], [0.5, 2.0]]))).loss == 2.0


@pytest.mark.parametrize(
    ("model", "targets", "what"),
    [
        (BINARY, np.array([0, 2]), "tells 2 classes apart, 0 to 1, and a sample is of 2"),
        (BINARY, np.zeros((2, 3)), "has 1 outputs, and the samples 3 targets each"),
    ],
)
def test_targets_that_do_not_fit_are_refused(model: Model, targets: Any, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        model.evaluate(Samples(np.zeros((2, 1)), targets))


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(ConfigError, match="no samples"):
        BINARY.evaluate(Samples(np.empty((0, 1)), np.empty(0, np.int64)))


def test_outputs_beyond_all_bounds_give_an_infinite_loss_and_no_warning() -> None:
    model = linear(Identity(), [[1e300]], [0.0], MeanSquaredError(), None)
    assert model.evaluate(Samples(np.array([[1e9]]), np.array([[0.0]]))).loss == math.inf


def test_the_model_lets_the_evaluated_network_alone() -> None:
    before = CLASSES.network.theta.copy(), CLASSES.network.grad.copy()
    CLASSES.evaluate(Samples(np.ones((3, 1)), np.array([0, 1, 2])))
    np.testing.assert_array_equal(CLASSES.network.theta, before[0])
    np.testing.assert_array_equal(CLASSES.network.grad, before[1])


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("room", [1, 3, 5, 100])
@pytest.mark.parametrize("lengths", [[1] * 9, [4, 4, 1], [9], [2, 6, 1]])
def test_a_tally_adds_up_whatever_the_pieces(
    room: int, blocks: int, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_module, "TALLY_BYTES", 32 * room)  # rows of two scores and two targets in float64
    monkeypatch.setattr(model_module, "TALLY_BLOCKS", blocks)
    scores = np.array([[0.0, 2.0 * i] for i in range(9)])
    t = np.array([[0.0, 0.0]] * 9)
    samples = Samples(np.zeros((9, 1)), t)
    tally = Tally(MeanSquaredError(), samples, 2, np.float64, "regression")
    tally.add(scores[:2] + 1000.0, np.array([3, 4]))
    tally.reset()
    start = 0
    for i, n in enumerate(lengths):
        index: Any = slice(start, start + n) if i % 2 else np.arange(start, start + n)
        tally.add(scores[start : start + n], index)
        start += n
    assert tally.result().loss == 2 * sum(i * i for i in range(9)) / 9


def test_a_tally_counts_right_answers_by_score_where_the_loss_is_fused() -> None:
    samples = Samples(np.zeros((3, 1)), np.array([1, 1, 0]))
    tally = Tally(SigmoidCrossEntropy(), samples, 1, np.float64, "classification")
    tally.add(np.array([[0.25], [-0.25], [-3.0]]), slice(0, 3))  # scores: the border is 0, not 1/2
    assert tally.result().accuracy == 2 / 3


@pytest.mark.parametrize("room", [1, 3, 100])
@pytest.mark.parametrize("lengths", [[1] * 7, [7], [2, 4, 1]])
def test_a_tally_counts_labels_whatever_the_pieces(
    room: int, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_module, "TALLY_BYTES", 32 * room)
    scores = np.array([[1.0, -1.0]] * 7)
    t = np.array([[1.0, 0.0]] * 5 + [[1.0, 1.0], [0.0, 0.0]])
    tally = Tally(SigmoidCrossEntropy(), Samples(np.zeros((7, 1)), t), 2, np.float64, "multi-label")
    start = 0
    for n in lengths:
        tally.add(scores[start : start + n], np.arange(start, start + n))
        start += n
    assert tally.result().accuracy == 5 / 7


def test_a_tally_of_nothing_is_no_number() -> None:
    samples = Samples(np.zeros((1, 1)), np.array([0]))
    result = Tally(MeanSquaredError(), samples, 1, np.float64, "classification").result()
    assert math.isnan(result.loss)
    assert result.accuracy is None


@pytest.mark.parametrize(
    ("output", "loss"),
    [(Softmax(), SoftmaxCrossEntropy()), (Sigmoid(), SigmoidCrossEntropy()), (Identity(), MeanSquaredError()),
     (Tanh(), MeanSquaredError())],
)  # fmt: skip
def test_the_default_loss_goes_with_the_last_layer(output: Layer, loss: Loss) -> None:
    assert default_loss(type(output).__name__) == loss


def test_how_sure_of_its_class_each_sample_is() -> None:
    several = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.25, 0.25, 0.5]])
    assert metrics.confidence(several).tolist() == [0.7, 0.5, 0.5]
    assert metrics.confidence(np.array([[0.25], [0.5], [0.875]])).tolist() == [0.75, 0.5, 0.875]
    assert metrics.confidence(np.empty((0, 3))).shape == metrics.confidence(np.empty((0, 1))).shape == (0,)


def test_metrics_by_hand() -> None:
    outputs = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.9, 0.0, 0.1]])
    labels = np.array([1, 0, 0, 2])
    assert metrics.predicted_class(outputs).tolist() == [1, 0, 2, 0]
    assert metrics.correct(outputs, labels) == 2
    assert metrics.accuracy(outputs, labels) == 0.5
    assert metrics.predicted_class(np.array([[0.5], [0.6]])).tolist() == [0, 1]
    assert metrics.predicted_class(np.array([[-0.1], [0.1]]), threshold=0.0).tolist() == [0, 1]
