"""What training aims at: class weights, smoothed targets, several labels a sample, and the figures of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from conftest import blobs
from numpy.typing import NDArray

from glassnet import (
    SGD,
    Adam,
    DataSet,
    Dense,
    Identity,
    MeanSquaredError,
    Network,
    Samples,
    Sigmoid,
    SigmoidCrossEntropy,
    Softmax,
    SoftmaxCrossEntropy,
    Training,
    fit,
    from_arrays,
    load_model,
    metrics,
    save_model,
)
from glassnet.data.dataset import balanced_class_weights, weighted_by_class
from glassnet.errors import ConfigError
from glassnet.losses import Loss

NAMES = ["a", "b", "c"]


def labelled(counts: list[int], weights: list[float] | None = None, names: list[str] | None = None) -> DataSet:
    """Samples that tell nothing, `counts` of each class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return from_arrays(np.zeros((len(labels), 1)), labels, weights=weights, validation=0, class_names=names or NAMES)


def settled(data: DataSet, loss: Loss, outputs: int = 3, rate: float = 2.0, **options: Any) -> NDArray[np.float64]:
    """The outputs of a network that sees nothing of its samples, after training to the end: the mean target."""
    last = Softmax() if isinstance(loss, SoftmaxCrossEntropy) else Sigmoid()
    network = Network([Dense(outputs), last], 1, dtype="float64")
    fit(network, data, SGD(rate), loss, batch_size="full", epochs=400, **options)
    return network.predict(np.zeros((1, 1)))[0]


# ------------------------------------------------------------------------------------------ class weights, by hand


def test_balanced_weights_by_hand() -> None:
    # 7 samples of 3 classes: 7 / (3 4), 7 / (3 1), 7 / (3 2)
    np.testing.assert_allclose(balanced_class_weights(labelled([4, 1, 2]).train, 3), [7 / 12, 7 / 3, 7 / 6], rtol=1e-15)


def test_balanced_weights_of_weighted_samples_are_those_of_scikit_learn() -> None:
    # sklearn.utils.class_weight.compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 2, 0, 1, 0, 2],
    #                                                 sample_weight=[1, 1, 2, 0.5, 3, 1, 1]), version 1.9.1
    samples = Samples(np.zeros((7, 1)), np.array([0, 0, 2, 0, 1, 0, 2]), np.array([1, 1, 2, 0.5, 3, 1, 1]))
    found = balanced_class_weights(samples, 3)
    np.testing.assert_allclose(found, [0.9047619, 1.05555556, 1.05555556], rtol=1e-8)


def test_a_class_without_samples_leaves_the_others_as_they_are() -> None:
    assert balanced_class_weights(labelled([3, 0, 1]).train, 3).tolist() == [4 / 6, 0.0, 4 / 2]
    data = labelled([1, 1, 1], [2, 0, 1])  # one that nobody counts is as good as absent
    assert balanced_class_weights(data.train, 3).tolist() == [3 / 4, 0.0, 3 / 2]


def test_class_weights_multiply_those_of_the_samples() -> None:
    data = labelled([2, 1, 1], [1, 2, 3, 0.5])
    assert weighted_by_class(data, [10, 1, 0]).weights.tolist() == [10, 20, 3, 0]  # type: ignore[union-attr]
    assert data.train.weights.tolist() == [1, 2, 3, 0.5]  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------ class weights, in training


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [1, 7, "full"])
def test_class_weights_are_sample_weights(batch_size: int | str, reduction: Any) -> None:
    x, t = blobs(60)
    by_class = np.array([0.5, 2.0, 1.0])
    first, second = (Network([Dense(3), Softmax()], 2, dtype="float64") for _ in range(2))
    options: dict[str, Any] = {"batch_size": batch_size, "epochs": 2, "loss": SoftmaxCrossEntropy(reduction)}
    a = fit(first, from_arrays(x, t, validation=10), SGD(0.01), class_weights=by_class.tolist(), **options)
    weighted = from_arrays(x, t, weights=by_class[t], validation=10)
    b = fit(second, weighted, SGD(0.01), **options)
    np.testing.assert_array_equal(first.theta, second.theta)
    assert a.history["train_loss"] == b.history["train_loss"]
    assert a.history["train_accuracy"] == b.history["train_accuracy"]
    validation = Samples(x[50:], t[50:])  # without weights of any kind
    assert a.history["validation_loss"][-1] == a.model.evaluate(validation).loss != b.history["validation_loss"][-1]


def test_the_training_loss_is_the_mean_by_weight() -> None:
    network = Network([Dense(3), Softmax()], 1, dtype="float64")
    network.params[0].b[...] = np.log([1, 2, 5])  # probabilities 1/8, 2/8, 5/8
    result = fit(network, labelled([2, 1, 1]), SGD(1e-30), epochs=1, class_weights=[1, 3, 0])
    assert result.history["train_loss"] == pytest.approx([(2 * math.log(8) + 3 * math.log(4)) / 5], rel=1e-12)
    assert result.history["train_accuracy"] == [1 / 4]  # a share of the samples, whatever they weigh


def test_what_a_network_settles_at_is_the_weighted_share() -> None:
    data = labelled([8, 3, 1])
    np.testing.assert_allclose(settled(data, SoftmaxCrossEntropy()), [8 / 12, 3 / 12, 1 / 12], atol=1e-6)
    balanced = settled(data, SoftmaxCrossEntropy(), class_weights="balanced")
    np.testing.assert_allclose(balanced, [1 / 3] * 3, atol=1e-6)
    by_hand = settled(data, SoftmaxCrossEntropy(), class_weights=(1, 4, 0))  # 8 : 12 : 0
    np.testing.assert_allclose(by_hand, [0.4, 0.6, 0.0], atol=2e-3)
    with_weights = labelled([2, 1, 1], [1, 5, 2, 1])  # balanced whatever the samples weigh
    np.testing.assert_allclose(
        settled(with_weights, SoftmaxCrossEntropy(), class_weights="balanced"), [1 / 3] * 3, atol=1e-6
    )


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_only_ratios_of_class_weights_matter_to_a_mean(scale: float) -> None:
    x, t = blobs(40)
    data = from_arrays(x, t, validation=0)
    first, second = (Network([Dense(3), Softmax()], 2, dtype="float64") for _ in range(2))
    fit(first, data, SGD(0.1), batch_size=5, epochs=2, class_weights=[1, 2, 3])
    fit(second, data, SGD(0.1), batch_size=5, epochs=2, class_weights=[scale, 2 * scale, 3 * scale])
    np.testing.assert_allclose(first.theta, second.theta, rtol=1e-9)


@pytest.mark.parametrize(
    ("class_weights", "sentence"),
    [
        ("even", 'class_weights must be "balanced" or 3 numbers, .* not \'even\''),
        ([1, 2], r"must be \"balanced\" or 3 numbers, .*; these have the shape \(2,\)"),
        (2.0, r"these have the shape \(\)"),
        ([[1, 2, 3]], r"these have the shape \(1, 3\)"),
        ([[1], [2, 3]], "must be \"balanced\" or 3 numbers"),
        (["1", "2", "3"], "must be \"balanced\" or 3 numbers"),
        ([True, False, True], "must be \"balanced\" or 3 numbers"),
        ({0: 1.0, 1: 2.0, 2: 3.0}, "must be \"balanced\" or 3 numbers"),
        ([1, -2, 3], "the class weight of label 1 is -2: give a finite number of at least 0"),
        ([1, 2, math.nan], "the class weight of label 2 is nan"),
        ([math.inf, 2, 3], "the class weight of label 0 is inf"),
        ([0, 0, 0], "the class weights are all 0"),
        ([0, 0, 1], "leave no training sample of arrays a weight above 0"),
    ],
)  # fmt: skip
def test_class_weights_that_make_no_sense_are_refused(class_weights: Any, sentence: str) -> None:
    network = Network([Dense(3), Softmax()], 1)
    with pytest.raises(ConfigError, match=sentence) as caught:
        fit(network, labelled([2, 2, 0]), class_weights=class_weights)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("class_weights", ["balanced", [1, 2]])
def test_class_weights_of_dense_targets_are_refused(class_weights: Any) -> None:
    data = from_arrays(np.zeros((3, 1)), np.eye(3)[:, :2], validation=0, class_names=["a", "b"])
    with pytest.raises(ConfigError, match=r"targets of arrays are dense; weigh the samples instead, .*weights="):
        fit(Network([Dense(2), Sigmoid()], 1), data, class_weights=class_weights)


# ------------------------------------------------------------------------------------------ label smoothing


@pytest.mark.parametrize("batch_size", [1, 7, "full"])
def test_smoothing_trains_on_smoothed_targets(batch_size: int | str) -> None:
    x, t = blobs(60)
    smoothed = np.full((60, 3), 0.1)  # (1 - 0.3) 1 + 0.3 / 3 and 0.3 / 3
    smoothed[np.arange(60), t] = 0.8
    first, second = (Network([Dense(3), Softmax()], 2, dtype="float64") for _ in range(2))
    options: dict[str, Any] = {"batch_size": batch_size, "epochs": 2}
    fit(first, from_arrays(x, t), SGD(0.1), SoftmaxCrossEntropy(label_smoothing=0.3), **options)
    fit(second, from_arrays(x, smoothed), SGD(0.1), **options)
    np.testing.assert_allclose(first.theta, second.theta, rtol=1e-12)


def test_what_a_network_settles_at_is_the_smoothed_share() -> None:
    data = labelled([3, 1, 0])  # 0.9 (3/4, 1/4, 0) + 0.1 / 3
    softmax = settled(data, SoftmaxCrossEntropy(label_smoothing=0.1))
    np.testing.assert_allclose(softmax, [0.675 + 0.1 / 3, 0.225 + 0.1 / 3, 0.1 / 3], atol=1e-5)
    sigmoid = settled(data, SigmoidCrossEntropy(label_smoothing=0.1))  # each unit: 0.9 t + 0.05
    np.testing.assert_allclose(sigmoid, [0.725, 0.275, 0.05], atol=1e-5)
    squares = settled(data, MeanSquaredError(label_smoothing=0.1), rate=40.0)
    np.testing.assert_allclose(squares, sigmoid, atol=1e-5)
    one = settled(labelled([3, 1], names=["no", "yes"]), SigmoidCrossEntropy(label_smoothing=0.1), outputs=1)
    np.testing.assert_allclose(one, [0.9 / 4 + 0.05], atol=1e-5)


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy, SigmoidCrossEntropy, MeanSquaredError])
@pytest.mark.parametrize("dense", [False, True])
def test_reported_losses_are_those_of_the_targets_as_they_are(loss: Any, dense: bool) -> None:
    x, t = blobs(60)
    data = from_arrays(x, np.eye(3)[t] if dense else t, validation=20, class_names=NAMES)
    last = Softmax() if loss is SoftmaxCrossEntropy else Sigmoid()
    networks = [Network([Dense(3), last], 2, dtype="float64") for _ in range(2)]
    plain, smoothed = (
        fit(network, data, SGD(1e-30), loss(label_smoothing=s), epochs=1, batch_size=7)
        for network, s in zip(networks, (0.0, 0.4), strict=True)
    )
    for column in ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy"):
        assert smoothed.history[column] == pytest.approx(plain.history[column], rel=1e-12, nan_ok=True), column
    assert smoothed.model.loss == loss(label_smoothing=0.4)
    assert smoothed.model.evaluate(data.validation) == plain.model.evaluate(data.validation)


def test_targets_are_smoothed_once_and_the_data_stay_as_they_are() -> None:
    targets = np.eye(3)[np.arange(9) % 3]
    data = from_arrays(np.ones((9, 1)), targets, validation=0, class_names=NAMES)
    run = Training(Network([Dense(3), Softmax()], 1, dtype="float64"), data, loss=SoftmaxCrossEntropy("mean", 0.3))
    np.testing.assert_allclose(next(run.plan.batches().blocks(0, 0)).t.max(), 0.8)
    assert set(data.train.targets.ravel()) == {0.0, 1.0}
    plain = Training(Network([Dense(3), Softmax()], 1, dtype="float64"), data)
    assert np.shares_memory(plain.plan.targets, targets)  # nothing is made where nothing changes


def test_a_diverging_loss_is_found_with_smoothing_as_well() -> None:
    network = Network([Dense(3), Softmax()], 1)
    with pytest.raises(ArithmeticError, match="the first bad number was"):
        fit(network, from_arrays(np.ones((9, 1)), np.arange(9) % 3), SGD(3e38), SoftmaxCrossEntropy("sum", 0.1))


# ------------------------------------------------------------------------------------------ several labels a sample


def questions(n: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Points, and two things that are true of them or not, in all four combinations."""
    x = np.random.default_rng(seed).normal(size=(n, 2))
    return x, np.stack([x[:, 0] > 0, x.sum(axis=1) > 0], axis=1)


def test_two_questions_are_learnt_and_answered_after_loading(tmp_path: Any) -> None:
    x, t = questions(600)
    data = from_arrays(x[:500], t[:500], test=(x[500:], t[500:]), class_names=["right", "above"])
    result = fit(Network([Dense(2), Sigmoid()], 2), data, Adam(0.1), batch_size=20, epochs=20)
    model = result.model
    save_model(model, tmp_path / "m.safetensors")
    for m in (model, load_model(tmp_path / "m.safetensors")):
        assert m.task == "multi-label"
        assert m.class_names == ("right", "above")
        predicted = m.predict(x[500:])
        assert predicted.shape == (100, 2)
        assert predicted.dtype == np.intp
        assert {tuple(row) for row in predicted.tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}
        right = float(np.mean([list(p) == list(q) for p, q in zip(predicted, t[500:], strict=True)]))
        assert m.evaluate(data.test).accuracy == right > 0.95
    assert result.history["train_accuracy"][-1] > 0.95
    assert result.history["validation_accuracy"][-1] > 0.9


@pytest.mark.parametrize(
    ("targets", "loss", "task"),
    [
        (np.arange(6) % 3, SigmoidCrossEntropy(), "classification"),
        (np.arange(6) % 3, MeanSquaredError(), "classification"),
        (np.eye(3)[np.arange(6) % 3], SoftmaxCrossEntropy(), "classification"),
        (np.full((6, 3), 1 / 3), SoftmaxCrossEntropy(), "classification"),
        (np.eye(3)[np.arange(6) % 3], SigmoidCrossEntropy(), "multi-label"),
        (np.ones((6, 3), bool), SigmoidCrossEntropy(), "multi-label"),
        (np.full((6, 3), 0.25), SigmoidCrossEntropy(), "regression"),
        (np.eye(3)[np.arange(6) % 3], MeanSquaredError(), "regression"),
    ],
)
def test_the_task_follows_from_targets_and_loss(targets: NDArray[Any], loss: Loss, task: str) -> None:
    last = Softmax() if isinstance(loss, SoftmaxCrossEntropy) else Sigmoid()
    data = from_arrays(np.zeros((6, 1)), targets, validation=0, class_names=NAMES)
    result = fit(Network([Dense(3), last], 1), data, SGD(1e-30), loss, epochs=1)
    assert result.model.task == task
    assert math.isnan(result.history["train_accuracy"][0]) == (task == "regression")
    answers = result.model.predict(np.zeros((4, 1)))
    assert answers.shape == ((4,) if task == "classification" else (4, 3))


@pytest.mark.parametrize(("soft", "task"), [(0, "regression"), (150, "multi-label")])
def test_training_decides_what_is_asked_of_all_samples(soft: int, task: str, tmp_path: Any) -> None:
    x, t = questions(200)
    targets = t.astype(float)
    targets[soft, 0] = 0.5  # of the training samples, or of the validation samples
    data = from_arrays(x, targets, validation=100, class_names=["right", "above"])
    result = fit(Network([Dense(2), Sigmoid()], 2), data, Adam(0.1), batch_size=10, epochs=2)
    save_model(result.model, tmp_path / "m.safetensors")
    assert result.model.task == task
    for column in ("train_accuracy", "validation_accuracy"):
        assert [math.isnan(value) for value in result.history[column]] == [task == "regression"] * 2
    for model in (result.model, load_model(tmp_path / "m.safetensors")):
        for samples in (data.train, data.validation):
            assert (model.evaluate(samples).accuracy is None) == (task == "regression")


def test_one_question_in_a_column_is_answered_in_a_column(tmp_path: Any) -> None:
    x, t = questions(200)
    data = from_arrays(x, t[:, :1], class_names=["right"])
    model = fit(Network([Dense(1), Sigmoid()], 2), data, Adam(0.1), batch_size=10, epochs=10).model
    save_model(model, tmp_path / "m.safetensors")
    points = np.array([[2.0, 0.0], [-2.0, 0.0]])
    assert load_model(tmp_path / "m.safetensors").predict(points).tolist() == [[1], [0]]


def test_columns_of_a_regression_may_have_names() -> None:
    x = np.linspace(-1, 1, 32)[:, np.newaxis]
    data = from_arrays(x, np.concatenate([x, 1 - x], axis=1), class_names=["warm", "cold"])
    model = fit(Network([Dense(2), Identity()], 1), data, SGD(0.5), batch_size=8, epochs=40).model
    np.testing.assert_allclose(model.predict(np.array([[0.5], [-1.0]])), [[0.5, 0.5], [-1.0, 2.0]], atol=1e-3)


def test_one_hot_targets_train_and_report_like_labels() -> None:
    x, t = blobs(90)
    runs = []
    for targets in (t, np.eye(3)[t], np.eye(3, dtype=np.float32)[t]):
        network = Network([Dense(3), Softmax()], 2, dtype="float64")
        runs.append(fit(network, from_arrays(x, targets, validation=30), SGD(0.5), batch_size=10, epochs=3))
    for run in runs[1:]:
        np.testing.assert_array_equal(run.model.network.theta, runs[0].model.network.theta)
        for column in ("train_accuracy", "validation_accuracy"):
            assert run.history[column] == runs[0].history[column]
        np.testing.assert_array_equal(run.model.predict(x), runs[0].model.predict(x))


# ------------------------------------------------------------------------------------------ figures of several labels

# five samples, four labels; TP 2 1 0 0, FP 0 1 1 1, FN 1 1 1 0
TRUE = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
GIVEN = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]])


def test_figures_of_labels_by_hand() -> None:
    assert metrics.subset_accuracy(TRUE, GIVEN) == 2 / 5
    assert metrics.hamming_loss(TRUE, GIVEN) == 6 / 20
    each = metrics.precision_recall(TRUE, GIVEN)
    np.testing.assert_allclose(each.precision, [1, 1 / 2, 0, 0])
    np.testing.assert_allclose(each.recall, [2 / 3, 1 / 2, 0, 0])
    np.testing.assert_allclose(each.f1, [4 / 5, 1 / 2, 0, 0])
    assert metrics.precision_recall(TRUE, GIVEN, "micro") == (3 / 6, 3 / 6, 6 / 12)


def test_macro_figures_are_those_of_scikit_learn() -> None:
    # sklearn.metrics.precision_recall_fscore_support(TRUE, GIVEN, average="macro", zero_division=0), version 1.9.1
    found = metrics.precision_recall(TRUE, GIVEN, "macro")
    np.testing.assert_allclose(found, [0.375, 0.29166666666666663, 0.325], rtol=1e-15)


def test_all_right_is_one_and_booleans_are_labels() -> None:
    answers = TRUE[:, :3] == 1
    assert metrics.subset_accuracy(answers, answers) == 1.0
    assert metrics.hamming_loss(answers, answers) == 0.0
    for average in (None, "micro", "macro"):
        assert np.min(metrics.precision_recall(answers, answers, average)) == 1.0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("targets", "predicted", "sentence"),
    [
        (TRUE, GIVEN[:, :3], r"targets \(5, 4\) and predicted \(5, 3\) must be labels of the same shape"),
        (TRUE[:, 0], GIVEN[:, 0], r"targets \(5,\) and predicted \(5,\) must be labels"),
        (TRUE[:0], GIVEN[:0], r"targets \(0, 4\)"),
        (TRUE, GIVEN * 0.7, r"predicted hold something other than 0 and 1 in row 0"),
        (TRUE * np.array([[1], [1], [1], [1], [2]]), GIVEN, r"targets hold something other than 0 and 1 in row 4"),
    ],
)
def test_what_is_no_label_is_refused(targets: Any, predicted: Any, sentence: str) -> None:
    for figure in (metrics.subset_accuracy, metrics.hamming_loss, metrics.precision_recall):
        with pytest.raises(ConfigError, match=sentence):
            figure(targets, predicted)


def test_an_unknown_average_is_refused() -> None:
    with pytest.raises(ConfigError, match="average must be None, 'micro' or 'macro', not 'weighted'"):
        metrics.precision_recall(TRUE, GIVEN, "weighted")  # type: ignore[arg-type]


def test_right_answers_to_dense_targets_by_hand() -> None:
    outputs = np.array([[0.1, 0.3, 0.6], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.4, 0.4, 0.2]])
    soft = np.array([[0.5, 0.0, 0.5], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0]])
    # first: as large as any; second: 0.2 < 0.7; third: right; fourth: of equal outputs the first is given
    assert metrics.correct_among(outputs, soft) == 2
    rows = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 1], [0, 0, 0]])
    assert metrics.predicted_labels(outputs).tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert metrics.correct_rows(outputs, rows) == 2  # 0.5 does not exceed 0.5
    assert metrics.correct_rows(outputs, rows * 0.2 + 0.4) == 2  # 0.6 is a yes, 0.4 a no


def test_right_answers_of_one_unit_to_dense_targets_by_hand() -> None:
    outputs, soft = np.array([[0.9], [0.9], [0.1], [0.1], [0.3]]), np.array([[0.6], [0.4], [0.6], [0.4], [0.5]])
    assert metrics.correct_among(outputs, soft) == 3  # at 0.5 both classes are right
    assert metrics.correct_among(outputs - 0.5, soft, threshold=0.0) == 3
