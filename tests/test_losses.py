import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet import Dense, Network, Sigmoid, Softmax, Tanh, check_gradients
from glassnet.errors import ConfigError
from glassnet.losses import (
    LOSSES,
    Loss,
    MeanSquaredError,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    default_loss,
    dense_targets,
)

N, UNITS = 6, 4
each = pytest.mark.parametrize("kind", LOSSES.values(), ids=LOSSES)
both = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def outputs(loss, z):
    """What comes out of the activation that the loss is fused with, one number at a time."""
    if loss.fused_with == "Softmax":
        return np.array([[math.exp(v) / math.fsum(map(math.exp, row)) for v in row] for row in z])
    if loss.fused_with == "Sigmoid":
        return np.array([[1 / (1 + math.exp(-v)) for v in row] for row in z])
    return z.copy()


def batch(seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (N, UNITS))
    classes = rng.integers(0, UNITS, N)
    dense = rng.dirichlet(np.ones(UNITS), N)
    weights = rng.uniform(0.1, 3, N)
    return z, classes, dense, weights


# ----- values by hand


def test_equal_scores_cost_the_logarithm_of_the_classes():
    assert SoftmaxCrossEntropy().value(np.zeros((3, 10)), np.array([0, 4, 9])) == pytest.approx(math.log(10), rel=1e-15)


def test_softmax_crossentropy_by_hand():
    z = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]])  # probabilities 1/8 2/8 5/8, 3/8 3/8 2/8
    assert SoftmaxCrossEntropy().value(z, np.array([2, 0])) == pytest.approx((math.log(8 / 5) + math.log(8 / 3)) / 2)
    t = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    by_hand = -(0.5 * math.log(1 / 8) + 0.5 * math.log(2 / 8)) - math.log(2 / 8)
    assert SoftmaxCrossEntropy("sum").value(z, t) == pytest.approx(by_hand, rel=1e-14)


def test_softmax_crossentropy_of_targets_that_do_not_sum_to_one():
    z = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]])
    t = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(SoftmaxCrossEntropy().per_sample(z, t), [2 * math.log(8) + math.log(8 / 5), 0])


def test_sigmoid_crossentropy_by_hand():
    z = np.array([[0.0, math.log(3)], [math.log(9), 0.0]])  # probabilities 1/2 3/4, 9/10 1/2
    t = np.array([[1.0, 0.0], [1.0, 0.25]])
    first = math.log(2) + math.log(4)
    second = math.log(10 / 9) + math.log(2)
    np.testing.assert_allclose(SigmoidCrossEntropy().per_sample(z, t), [first, second], rtol=1e-15)
    assert SigmoidCrossEntropy().value(z, t) == pytest.approx((first + second) / 2)


def test_squared_error_by_hand():
    o, t = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[0.0, 4.0], [3.0, -1.0]])
    np.testing.assert_array_equal(MeanSquaredError().per_sample(o, t), [2.5, 4.5])
    assert MeanSquaredError().value(o, t) == 3.5
    assert MeanSquaredError("sum").value(o, t) == 7.0
    assert MeanSquaredError().value(o, t, np.array([3.0, 1.0])) == 3.0  # (3 2.5 + 4.5) / 4
    np.testing.assert_array_equal(MeanSquaredError().gradient(o, t), [[0.5, -1.0], [-1.5, 0.0]])


@both
def test_extreme_scores(dtype):
    z = np.array([[1e4, -1e4, 1e4]], dtype)
    softmax, sigmoid = SoftmaxCrossEntropy(), SigmoidCrossEntropy()
    assert softmax.value(z, np.array([0])) == pytest.approx(math.log(2), rel=1e-6)  # 1e4 + log 2 - 1e4
    assert softmax.value(z, np.array([1])) == pytest.approx(2e4 + math.log(2), rel=1e-6)
    assert softmax.value(z, np.array([[0.5, 0.0, 0.5]], dtype)) == pytest.approx(math.log(2), rel=1e-6)
    assert sigmoid.value(z, np.array([[1, 0, 1]], dtype)) == 0.0
    assert sigmoid.value(z, np.array([[0, 1, 0.5]], dtype)) == 2.5e4


# ----- targets, weights, sums


@each
def test_integer_and_dense_targets_agree(kind):
    z, classes, _, weights = batch()
    loss = kind()
    one_hot = np.eye(UNITS)[classes]
    o = outputs(loss, z)
    assert loss.value(z, classes) == pytest.approx(loss.value(z, one_hot), rel=1e-14)
    assert loss.value(z, classes, weights) == pytest.approx(loss.value(z, one_hot, weights), rel=1e-14)
    np.testing.assert_array_equal(loss.gradient(o, classes, weights), loss.gradient(o, one_hot, weights))


@each
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@settings(deadline=None)
@given(seed=st.integers(0, 99), counts=st.lists(st.integers(0, 3), min_size=N, max_size=N).filter(any))
def test_a_weight_counts_like_as_many_repetitions(kind, reduction, seed, counts):
    z, _, t, _ = batch(seed)
    loss = kind(reduction)
    weights = np.array(counts, float)
    again = np.repeat(np.arange(N), counts)
    assert loss.value(z, t, weights) == pytest.approx(loss.value(z[again], t[again]), rel=1e-12)
    o = outputs(loss, z)
    repeated = loss.gradient(o[again], t[again])
    summed = np.zeros_like(o)
    np.add.at(summed, again, repeated)
    np.testing.assert_allclose(loss.gradient(o, t, weights), summed, atol=1e-15)


@each
@both
def test_weights_that_are_all_zero_give_nothing_and_no_error(kind, dtype):
    z, classes, _, _ = batch()
    loss, z = kind(), z.astype(dtype)
    assert loss.value(z, classes, np.zeros(N, dtype)) == 0.0
    assert not loss.gradient(z, classes, np.zeros(N, dtype)).any()


@each
def test_mean_is_sum_by_samples_or_by_weights(kind):
    z, classes, _, weights = batch()
    o = outputs(kind(), z)
    assert kind("sum").value(z, classes) == pytest.approx(N * kind().value(z, classes))
    assert kind("sum").value(z, classes, weights) == pytest.approx(weights.sum() * kind().value(z, classes, weights))
    np.testing.assert_allclose(kind("sum").gradient(o, classes), N * kind().gradient(o, classes), atol=1e-15)
    assert (kind().normalizer(N), kind("sum").normalizer(N)) == (N, 1.0)
    assert kind().normalizer(2, np.array([0.25, 1.5], np.float32)) == 1.75
    assert kind("sum").normalizer(2, np.array([0.25, 1.5])) == 1.0


@each
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_with_one_norm_add_up_to_the_whole(kind, reduction, weighted):
    z, classes, _, weights = batch()
    loss = kind(reduction)
    weights = weights if weighted else None
    o = outputs(loss, z)
    norm = loss.normalizer(N, weights)
    parts = [slice(0, 1), slice(1, 4), slice(4, N)]
    values = [loss.value(z[i], classes[i], weights[i] if weighted else None, norm) for i in parts]
    assert sum(values) == pytest.approx(loss.value(z, classes, weights), rel=1e-14)
    rows = [loss.gradient(o[i], classes[i], weights[i] if weighted else None, norm) for i in parts]
    np.testing.assert_array_equal(np.concatenate(rows), loss.gradient(o, classes, weights))


# ----- gradient


@each
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("targets", ["classes", "dense"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_the_limit_of_differences_of_the_value(kind, reduction, targets, weighted):
    z, classes, dense, weights = batch()
    t = classes if targets == "classes" else dense
    weights = weights if weighted else None
    loss, e = kind(reduction), 1e-6
    numeric = np.empty_like(z)
    for place in np.ndindex(z.shape):
        values = []
        for sign in (1, -1):
            moved = z.copy()
            moved[place] += sign * e
            values.append(loss.value(moved, t, weights))
        numeric[place] = (values[0] - values[1]) / (2 * e)
    np.testing.assert_allclose(loss.gradient(outputs(loss, z), t, weights), numeric, atol=2e-8)


@each
@both
def test_out_is_written_and_may_be_the_outputs(kind, dtype):
    z, classes, _, weights = batch()
    loss = kind()
    o = outputs(loss, z).astype(dtype)
    expected = loss.gradient(o, classes, weights)
    room = np.full_like(o, np.nan)
    assert loss.gradient(o, classes, weights, out=room) is room
    assert room.tobytes() == expected.tobytes()
    assert loss.gradient(o, classes, weights, out=o) is o
    assert o.tobytes() == expected.tobytes()


@each
def test_the_gradient_stays_in_the_dtype_of_the_outputs(kind):
    z, classes, dense, weights = batch()
    for t in (classes, dense):  # dense and weights are in float64
        assert kind().gradient(z.astype(np.float32), t, weights).dtype == np.float32


# ----- label smoothing

smoothing = pytest.mark.parametrize(
    "kind", [SoftmaxCrossEntropy, SigmoidCrossEntropy, MeanSquaredError], ids=lambda kind: kind.name
)

# PyTorch 2.13.0, float64: loss and its gradient for these scores, and classes or the dense targets beside them
Z = np.array([[2.0, -1.0, 0.5], [0.0, 0.25, -3.0]])
CLASSES = np.array([2, 1])
RECORDED = [
    # torch.nn.CrossEntropyLoss(label_smoothing=0.1)(Z, CLASSES)
    (SoftmaxCrossEntropy(label_smoothing=0.1), CLASSES, 1.2277405766837837,
     [[0.3761318506279713, 0.0028896199686770582, -0.3790214705966483],
      [0.19757505292379435, -0.1915748533976267, -0.006000199526167649]]),
    # torch.nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum")(Z, CLASSES)
    (SoftmaxCrossEntropy("sum", 0.1), CLASSES, 2.4554811533675673,
     [[0.7522637012559426, 0.0057792399373541165, -0.7580429411932966],
      [0.3951501058475887, -0.3831497067952534, -0.012000399052335298]]),
    # torch.nn.CrossEntropyLoss(label_smoothing=0.3)(Z, [[0.5, 0.25, 0.25], [0, 1, 0]])
    (SoftmaxCrossEntropy(label_smoothing=0.3), np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]), 1.21315724335045,
     [[0.16779851729463788, -0.11794371336465627, -0.04985480392998166],
      [0.164241719590461, -0.12490818673096002, -0.03933353285950098]]),
    # torch.nn.BCEWithLogitsLoss(reduction="none")(Z, [[0.9, 0.1, 0.9], [0.1, 0.1, 0.9]]).sum(1).mean()
    (SigmoidCrossEntropy(label_smoothing=0.2), np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), 2.7534703173769164,
     [[-0.009601461011058854, 0.08447071068499755, -0.13877033439907271],
      [0.2, 0.23108825044289905, -0.42628706341121664]]),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "t", "value", "gradient"), RECORDED)
def test_smoothed_losses_are_those_of_pytorch(loss, t, value, gradient):
    assert loss.value(Z, t) == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(loss.gradient(outputs(loss, Z), t), gradient, atol=1e-15)


def test_smoothed_targets_by_hand():
    t = np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]], np.float32)
    softmax = SoftmaxCrossEntropy(label_smoothing=0.2).smooth(t)
    assert softmax.dtype == np.float32
    np.testing.assert_allclose(softmax, [[0.85, 0.05, 0.05, 0.05], [0.45, 0.45, 0.05, 0.05]], rtol=1e-6)
    sigmoid = SigmoidCrossEntropy(label_smoothing=0.2).smooth(t)
    np.testing.assert_allclose(sigmoid, [[0.9, 0.1, 0.1, 0.1], [0.5, 0.5, 0.1, 0.1]], rtol=1e-6)
    assert t[0].tolist() == [1.0, 0.0, 0.0, 0.0]  # what was handed in is as it was


def test_one_yes_or_no_smoothed_by_hand():
    loss = SigmoidCrossEntropy(label_smoothing=0.2)  # 0.9 and 0.1 for yes and no
    z, t = np.array([[math.log(9)], [math.log(9)]]), np.array([1, 0])
    np.testing.assert_allclose(loss.gradient(outputs(loss, z), t, norm=1.0), [[0.0], [0.8]], atol=1e-15)
    yes, no = math.log(10 / 9), math.log(10)
    np.testing.assert_allclose(loss.per_sample(z, t), [0.9 * yes + 0.1 * no, 0.1 * yes + 0.9 * no], rtol=1e-14)


def test_smoothed_squared_errors_by_hand():
    loss = MeanSquaredError("sum", 0.02)
    np.testing.assert_allclose(loss.smooth(np.array([[1.0, 0.0, 0.5]])), [[0.99, 0.01, 0.5]], rtol=1e-15)
    o, t = np.array([[0.5, 0.5, 0.01], [0.99, 0.0, 0.51]]), np.array([1, 0])
    wanted = [[0.49, -0.49, 0.0], [0.0, -0.01, 0.5]]  # o minus 0.01 0.99 0.01, and o minus 0.99 0.01 0.01
    for targets in (t, np.eye(3)[t]):
        np.testing.assert_allclose(loss.gradient(o, targets), wanted, atol=1e-15)
        each = [(0.49**2 + 0.49**2) / 2, (0.01**2 + 0.5**2) / 2]
        np.testing.assert_allclose(loss.per_sample(o, targets), each, rtol=1e-14)
    assert loss.unsmoothed().per_sample(o, t)[0] == pytest.approx((0.25 + 0.25 + 0.0001) / 2, rel=1e-14)
    one = MeanSquaredError(label_smoothing=0.02)  # a single unit that says yes or no
    assert one.gradient(np.array([[0.5], [0.5]]), t, norm=1.0).ravel().tolist() == pytest.approx([-0.49, 0.49])


def test_squared_errors_of_numbers_have_no_smoothing():
    t = np.array([[0.0, 1.0], [0.5, 1.5], [2.0, 0.0]])
    MeanSquaredError().check_targets(t)
    MeanSquaredError(label_smoothing=0.1).check_targets(t[:1])
    sentence = r"row 1 \(from 0\) are not between 0 and 1, as the label smoothing of mse needs them"
    with pytest.raises(ConfigError, match=sentence):
        MeanSquaredError(label_smoothing=0.1).check_targets(t)
    with pytest.raises(ConfigError, match="a NaN or an infinity"):
        MeanSquaredError(label_smoothing=0.1).check_targets(np.array([[np.nan]]))


@smoothing
@pytest.mark.parametrize("s", [0.1, 0.75])
def test_integer_and_dense_targets_agree_when_smoothed(kind, s):
    z, classes, _, weights = batch()
    loss, one_hot = kind(label_smoothing=s), np.eye(UNITS)[classes]
    o = outputs(loss, z)
    assert loss.value(z, classes, weights) == pytest.approx(loss.value(z, one_hot, weights), rel=1e-14)
    np.testing.assert_array_equal(loss.gradient(o, classes, weights), loss.gradient(o, one_hot, weights))
    ahead, plain = loss.smooth(one_hot), loss.unsmoothed()  # what training does once for all steps
    assert plain.value(z, ahead, weights) == pytest.approx(loss.value(z, classes, weights), rel=1e-14)
    np.testing.assert_array_equal(plain.gradient(o, ahead, weights), loss.gradient(o, classes, weights))


@smoothing
@pytest.mark.parametrize("targets", ["classes", "dense"])
def test_gradients_of_smoothed_losses_pass_the_check(kind, targets):
    _, classes, dense, weights = batch()
    loss = kind("sum", 0.3)
    output = Softmax() if kind is SoftmaxCrossEntropy else Sigmoid()
    network = Network([Dense(3), Tanh(), Dense(UNITS), output], 5, seed=1, dtype="float64")
    x = np.random.default_rng(2).normal(size=(N, 5))
    t = classes if targets == "classes" else dense
    assert check_gradients(network, x, t, loss, weights=weights).worst < 1e-7


@smoothing
def test_without_smoothing_nothing_is_made_anew(kind):
    t = np.eye(UNITS)
    assert kind().smooth(t) is t
    assert kind().unsmoothed() == kind()
    assert kind("sum", 0.5).unsmoothed() == kind("sum")
    plain = kind("sum")
    assert plain.unsmoothed() is plain


@both
def test_extreme_scores_cost_what_smoothing_says(dtype):
    z = np.array([[1e4, -1e4, 1e4]], dtype)
    loss = SoftmaxCrossEntropy(label_smoothing=0.3)  # a tenth of the target on a score 2e4 below the largest
    assert loss.value(z, np.array([0])) == pytest.approx(0.1 * 2e4 + math.log(2), rel=1e-6)


@smoothing
@pytest.mark.parametrize("s", [-0.1, 1.0, 2, math.nan, math.inf, "0.1", None, True, np.float32(0.1)])
def test_smoothing_out_of_bounds_is_refused(kind, s):
    with pytest.raises(ConfigError, match=r"^label_smoothing must be a finite number at least 0 and below 1, not "):
        kind(label_smoothing=s)


# ----- which output goes with which loss


@pytest.mark.parametrize(
    ("kind", "activation", "sentence"),
    [
        (SoftmaxCrossEntropy, "Sigmoid", "do not sum to one; use sigmoid-crossentropy, or a Softmax output"),
        (SoftmaxCrossEntropy, "Identity", r"needs probabilities; let the last layer be Softmax\(\)"),
        (SoftmaxCrossEntropy, "Dense", r"needs probabilities; let the last layer be Softmax\(\)"),
        (SigmoidCrossEntropy, "Softmax", "a softmax couples them; use softmax-crossentropy"),
        (SigmoidCrossEntropy, "ReLU", r"needs probabilities; let the last layer be Sigmoid\(\)"),
        (MeanSquaredError, "Softmax", "vanishes where the network is most wrong; use softmax-crossentropy"),
    ],
)
def test_pairs_that_make_no_sense_are_refused_with_the_reason(kind, activation, sentence):
    with pytest.raises(
        ConfigError, match=f"^{kind.name} does not go with {activation} as the last layer: .*{sentence}"
    ) as caught:
        kind().check_output(activation)
    assert str(caught.value).count(".") == 1  # one sentence


@pytest.mark.parametrize(
    ("kind", "activation"),
    [
        (SoftmaxCrossEntropy, "Softmax"),
        (SigmoidCrossEntropy, "Sigmoid"),
        *((MeanSquaredError, name) for name in ("Identity", "Dense", "Sigmoid", "Tanh")),
    ],
)
def test_pairs_that_do(kind, activation):
    kind().check_output(activation)


def test_why_squared_error_refuses_softmax():
    """The slope of 1/2 |t - softmax(z)|^2 is all but gone where the network is sure of the wrong class."""
    o = np.array([1.0 - 1e-9, 1e-9])
    dy = MeanSquaredError().gradient(o[None], np.array([1]))[0]
    dz = o * (dy - dy @ o)
    assert np.abs(dz).max() < 1e-8


# ----- targets


@both
def test_dense_targets_by_hand(dtype):
    t = dense_targets(np.array([2, 0], np.uint8), 3, dtype)
    assert t.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert t.dtype == dtype
    assert dense_targets(np.array([1, 0, 1]), 1, dtype).tolist() == [[1], [0], [1]]
    assert dense_targets(np.array([[0.25, 1.0]]), 2, dtype).tolist() == [[0.25, 1.0]]
    assert dense_targets(np.empty(0, int), 3, dtype).shape == (0, 3)


def test_one_output_unit_with_integer_targets():
    z, t = np.array([[0.0], [math.log(3)]]), np.array([1, 0])
    loss = SigmoidCrossEntropy()
    np.testing.assert_allclose(loss.per_sample(z, t), [math.log(2), math.log(4)])
    np.testing.assert_allclose(loss.gradient(outputs(loss, z), t, norm=1.0), [[-0.5], [0.75]])
    assert MeanSquaredError().value(np.array([[0.5]]), np.array([1])) == 0.125


@pytest.mark.parametrize(
    ("t", "units", "sentence"),
    [
        (np.array([0, 3]), 3, "from 0 to 2.*go from 0 to 3"),
        (np.array([-1, 0]), 3, "from 0 to 2.*go from -1 to 0"),
        (np.array([0, 2]), 1, "from 0 to 1"),
        (np.array([[0, 1]]), 2, r"shape \(1, 2\)"),
        (np.empty((0, 2), int), 2, r"shape \(0, 2\)"),
        (np.array([0.0, 1.0]), 2, r"shape \(2,\) do not fit 2 outputs"),
        (np.zeros((2, 3)), 2, r"shape \(2, 3\) do not fit 2 outputs"),
    ],
)
def test_targets_that_do_not_fit_are_refused(t, units, sentence):
    with pytest.raises(ConfigError, match=sentence):
        dense_targets(t, units)


@each
def test_a_class_that_does_not_exist_is_refused_by_the_gradient(kind):
    with pytest.raises(ConfigError, match="from 0 to 2"):
        kind().gradient(np.full((1, 3), 1 / 3), np.array([3]))


@each
def test_the_registry_and_the_reduction(kind):
    assert LOSSES[kind.name] is kind
    assert kind() == kind("mean") != kind("sum")
    with pytest.raises(ConfigError, match="'mean' or 'sum', not 'max'"):
        kind("max")


def test_the_base_leaves_the_value_to_its_losses():
    with pytest.raises(TypeError, match="per_sample"):
        Loss()


@pytest.mark.parametrize(
    ("loss", "row", "why"),
    [
        (MeanSquaredError(), [np.nan, 0.0], "hold a NaN or an infinity"),
        (SoftmaxCrossEntropy(), [np.inf, 0.0], "hold a NaN or an infinity"),
        (SoftmaxCrossEntropy(), [0.5, 0.6], "are no probabilities that sum to 1"),
        (SoftmaxCrossEntropy(), [1.5, -0.5], "are no probabilities that sum to 1"),
        (SigmoidCrossEntropy(), [0.5, 1.5], "are not between 0 and 1"),
        (SigmoidCrossEntropy(), [-0.1, 0.5], "are not between 0 and 1"),
    ],
)
def test_dense_targets_that_make_no_sense_are_refused_by_row(loss, row, why):
    with pytest.raises(ConfigError, match=rf"^the dense targets of row 1 \(from 0\) {why}"):
        loss.check_targets(np.array([[1.0, 0.0], row]))
    loss.check_targets(np.array([[1.0, 0.0], [0.25, 0.75]]))


def test_a_numpy_share_does_not_turn_float32_into_float64():
    loss = SoftmaxCrossEntropy(label_smoothing=np.float64(0.1))
    assert type(loss.label_smoothing) is float
    assert loss.smooth(np.eye(3, dtype=np.float32)).dtype == np.float32


# ----- types, bounds and names


@both
@pytest.mark.parametrize(("t", "units"), [([0, 2], 3), ([0, 1], 1), ([[0.5, 0.5], [1.0, 0.0]], 2)])
def test_dense_targets_have_the_type_that_is_asked_for(dtype, t, units):
    found = dense_targets(np.array(t), units, dtype)
    assert found.dtype == dtype
    assert found.shape == (2, units)


@each
@pytest.mark.parametrize("t", [np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]])])
def test_targets_are_made_in_the_type_of_the_outputs(monkeypatch, kind, t):
    """In another type the step would be right, but slow."""
    seen = []

    def watched(t, outputs, dtype=None):
        seen.append(dtype)
        return dense_targets(t, outputs, dtype)

    monkeypatch.setattr("glassnet.losses.dense_targets", watched)
    o = np.array([[0.5, -0.5], [0.25, 0.75]], np.float32)
    assert kind().per_sample(o, t).shape == (2,)
    kind().gradient(o.copy(), t)
    assert set(seen) <= {np.dtype(np.float32)}


def test_rows_of_very_different_size_do_not_underflow():
    z = np.array([[1000.0, 1000.0], [0.0, 0.0]])
    np.testing.assert_allclose(SoftmaxCrossEntropy().per_sample(z, np.array([0, 1])), math.log(2))


def test_sums_are_taken_in_float64():
    """Added one by one in float32, 2^24 and then ones would stay 2^24."""
    weights = np.ones(2**12, np.float32)
    weights[::2] = 2.0**24
    norm = MeanSquaredError().normalizer(2**12, weights)
    assert norm == 2.0**35 + 2**11
    o = np.zeros((2**12, 1), np.float32)
    t = np.sqrt(weights).reshape(-1, 1)
    assert MeanSquaredError(reduction="sum").value(o, t) == 2 * (2.0**35 + 2**11) / 4


def test_no_weight_at_all_divides_by_one():
    assert MeanSquaredError().normalizer(3, np.zeros(3)) == 1.0


def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(ConfigError, match=r"targets of shape \(2, 3\) do not fit outputs of shape \(2, 2\)"):
        MeanSquaredError().value(np.zeros((2, 2)), np.zeros((2, 3)))


def test_the_default_loss_goes_with_the_activation():
    assert default_loss("Softmax") == SoftmaxCrossEntropy()
    assert default_loss("Sigmoid") == SigmoidCrossEntropy()
    assert default_loss("Tanh") == default_loss("Identity") == MeanSquaredError()
