import numpy as np
import pytest

from glassnet.errors import ConfigError
from glassnet.gradcheck import EVERY_ENTRY_UP_TO, GradientReport, check_gradients, fill_with_nan
from glassnet.initializers import Normal
from glassnet.layers import (
    ACTIVATIONS,
    ELU,
    LAYERS,
    Dense,
    Dropout,
    Flatten,
    Identity,
    LeakyReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from glassnet.losses import LOSSES, MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from glassnet.network import Network, Workspace

RIGHT = 1e-6
N, INPUTS, CLASSES = 7, 5, 3
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def net(*layers, inputs=INPUTS, seed=0):
    """A network in float64 whose parameters, biases too, are far from zero."""
    network = Network(layers, inputs, dtype="float64")
    network.theta[:] = np.random.default_rng(seed).normal(0, 0.7, network.theta.size)
    return network


def samples(shape=(INPUTS,), seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, *shape)), rng.integers(0, CLASSES, N)


def output_for(loss):
    return LAYERS[loss.fused_with or "Identity"]()


def assert_right(report, network):
    """Every array was tested in both ways, and all is right."""
    names = {f"{network.names[slot.layer]}.{slot.name}" for slot in network.layout.slots}
    assert set(report.directions) == set(report.entries) == names
    assert report.worst < RIGHT, f"\n{report}"


# ----- every layer, every loss


@each_loss
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("targets", ["classes", "dense"])
def test_every_loss(loss, reduction, weighted, targets):
    network = net(Dense(4), Tanh(), Dense(CLASSES), output_for(loss))
    x, t = samples()
    rng = np.random.default_rng(2)
    if targets == "dense":
        t = rng.dirichlet(np.ones(CLASSES), N)
    weights = rng.uniform(0, 3, N) if weighted else None
    assert_right(check_gradients(network, x, t, loss(reduction), weights=weights), network)


@each_loss
@each_activation
def test_every_activation_inside_under_every_loss(activation, loss):
    network = net(Dense(4), activation(), Dense(4), activation(), Dense(CLASSES), output_for(loss))
    assert_right(check_gradients(network, *samples(), loss()), network)


@pytest.mark.parametrize("activation", [kind for kind in ACTIVATIONS.values() if kind is not Softmax])
def test_every_activation_at_the_output_of_a_regression(activation):
    network = net(Dense(4), Tanh(), Dense(2), activation())
    t = np.random.default_rng(3).normal(size=(N, 2))
    assert_right(check_gradients(network, samples()[0], t, MeanSquaredError()), network)


@each_activation
def test_every_activation_below_all_parameters(activation):
    network = net(activation(), Dense(CLASSES), Softmax())
    assert_right(check_gradients(network, *samples()), network)


@pytest.mark.parametrize("activation", [kind for kind in ACTIVATIONS.values() if kind is not Softmax])
def test_every_activation_on_pictures(activation):
    network = net(Dense(6), Tanh(), Flatten(), activation(), Dense(CLASSES), Softmax())
    assert_right(check_gradients(network, *samples()), network)
    network = net(activation(), Flatten(), Dense(CLASSES), Softmax(), inputs=(2, 3))
    assert_right(check_gradients(network, *samples((2, 3))), network)


@pytest.mark.parametrize("layer", [LeakyReLU(0.0), LeakyReLU(0.3), ELU(0.2), ELU(2.5)], ids=repr)
def test_other_constants(layer):
    network = net(Dense(6), layer, Dense(CLASSES), Softmax())
    assert_right(check_gradients(network, *samples()), network)


@each_activation
@each_loss
def test_dropout_everywhere(activation, loss):
    network = net(
        Dropout(0.2), Dense(8), Dropout(0.5), activation(), Dropout(0.5), Dense(CLASSES), output_for(loss), seed=4
    )
    assert_right(check_gradients(network, *samples(), loss(), seed=5), network)


def test_binary_targets_with_one_unit():
    network = net(Dense(4), Tanh(), Dense(1), Sigmoid())
    t = np.array([0, 1, 1, 0, 1, 0, 0])
    assert_right(check_gradients(network, samples()[0], t), network)
    assert_right(check_gradients(network, samples()[0], t, MeanSquaredError()), network)


def test_deep_and_without_an_activation():
    network = net(*[layer for _ in range(5) for layer in (Dense(4), Tanh())], Dense(2))
    assert_right(check_gradients(network, samples()[0], np.random.default_rng(0).normal(size=(N, 2))), network)
    network = net(Dense(3), Dense(3), Identity())
    assert_right(check_gradients(network, samples()[0], np.random.default_rng(0).normal(size=(N, 3))), network)


def test_one_sample():
    network = net(Dense(4), Tanh(), Dense(CLASSES), Softmax())
    x, t = samples()
    assert_right(check_gradients(network, x[:1], t[:1]), network)


def test_an_array_without_influence_is_no_error():
    """A shift of all scores changes no softmax: along it the derivative is zero, and only rounding is left."""

    class Shift(Dense):
        def params(self, in_shape):
            return {"s": super().params((1,))["b"]}

        def output_shape(self, in_shape):
            return in_shape

        def buffers(self, in_shape, n, train):
            return {}

        def forward(self, p, x, ws):
            return x + p.s[0]

        def backward(self, p, g, dy, ws):
            g.s[0] = dy.sum()
            return dy

    network = net(Dense(CLASSES), Shift(1), Softmax())
    report = check_gradients(network, *samples())
    assert np.abs(network.grads[1].s).max() < 1e-15
    assert_right(report, network)


# ----- it finds what is wrong


class NoBias(Dense):
    """Forgets dL/db."""

    def backward(self, p, g, dy, ws):
        np.dot(ws.x.T, dy, out=g.W)
        return np.dot(dy, p.W.T, out=ws.dx) if ws.needs_dx else None


class MeanBias(Dense):
    def backward(self, p, g, dy, ws):
        dx = super().backward(p, g, dy, ws)
        g.b /= len(dy)
        return dx


class Uphill(Dense):
    def backward(self, p, g, dy, ws):
        dx = super().backward(p, g, dy, ws)
        g.W *= -1
        return dx


class Adding(Dense):
    """Adds to the gradient instead of overwriting it."""

    def backward(self, p, g, dy, ws):
        before = g.W.copy()
        dx = super().backward(p, g, dy, ws)
        g.W += before
        return dx


class NotTransposed(Dense):
    """dL/dx = dy W where W is square."""

    def backward(self, p, g, dy, ws):
        dx = super().backward(p, g, dy, ws)
        return dx if dx is None else np.dot(dy, p.W, out=ws.dx)


class SlightlyOff(Dense):
    def backward(self, p, g, dy, ws):
        dx = super().backward(p, g, dy, ws)
        return dx if dx is None else np.multiply(dx, 1.0001, out=dx)


class OneEntryOff(Dense):
    def backward(self, p, g, dy, ws):
        dx = super().backward(p, g, dy, ws)
        g.W[-1, -1] *= 1.01
        return dx


class HalfSlope(Tanh):
    def backward(self, p, g, dy, ws):
        return np.multiply(dy, ws.y * ws.y, out=ws.dx)


class ForgetsToWrite(Tanh):
    def backward(self, p, g, dy, ws):
        return ws.dx


@pytest.mark.parametrize("every_entry", [True, False])
@pytest.mark.parametrize(
    "wrong",
    [
        *(kind(4) for kind in (NoBias, MeanBias, Uphill, Adding, NotTransposed, SlightlyOff, OneEntryOff)),
        HalfSlope(),
        ForgetsToWrite(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_wrong_layer_is_found(wrong, every_entry):
    network = net(Dense(4), wrong, Tanh(), Dense(CLASSES), Softmax())
    report = check_gradients(network, *samples(), every_entry=every_entry)
    assert not report.worst < 1e-5


def test_a_wrong_loss_is_found():
    class Wrong(SoftmaxCrossEntropy):
        def gradient(self, *args, **options):
            return super().gradient(*args, **options) * 1.001

    network = net(Dense(CLASSES), Softmax())
    assert 1e-4 < check_gradients(network, *samples(), Wrong()).worst < 1e-2


def test_the_report_names_the_array_that_is_wrong():
    network = net(Dense(4), Tanh(), Uphill(CLASSES), Softmax())
    report = check_gradients(network, *samples())
    assert {name for name, error in report.entries.items() if error > RIGHT} == {"uphill_1.W"}
    assert report.entries["uphill_1.W"] == pytest.approx(2, rel=1e-6)  # |-g - g| / |g|
    assert [line.split()[0] for line in str(report).splitlines()] == [
        "dense_1.W",
        "dense_1.b",
        "uphill_1.W",
        "uphill_1.b",
    ] * 2


# ----- manners


def test_the_worst_error_is_nan_wherever_it_stands():
    assert np.isnan(GradientReport({"a": 1e-9, "b": float("nan")}, {"a": 1e-9}).worst)
    assert GradientReport({"a": 1e-9, "b": 0.5}, {"a": 0.1}).worst == 0.5
    assert GradientReport({}, {}).worst == 0.0


def test_parameters_are_put_back_bit_for_bit():
    network = net(Dense(4), Tanh(), Dense(CLASSES), Softmax())
    before = network.theta.tobytes()
    check_gradients(network, *samples())
    assert network.theta.tobytes() == before


def test_float32_is_refused():
    with pytest.raises(ConfigError, match='in float64: make it with dtype="float64"'):
        check_gradients(Network([Dense(CLASSES), Softmax()], INPUTS), *samples())


def test_a_loss_that_does_not_go_with_the_output_is_refused():
    with pytest.raises(ConfigError, match="does not go with Softmax as the last layer"):
        check_gradients(net(Dense(CLASSES), Softmax()), *samples(), SigmoidCrossEntropy())


def test_large_networks_are_tested_along_directions_only():
    network = net(Dense(EVERY_ENTRY_UP_TO // INPUTS), Tanh(), Dense(CLASSES), Softmax())
    report = check_gradients(network, *samples(), directions=3)
    assert report.entries == {}
    assert 0 < report.worst < RIGHT


def test_fill_with_nan_reaches_every_buffer():
    network = Network([Dense(4), Tanh(), Dropout(0.5), Dense(CLASSES), Softmax()], INPUTS)
    ws = Workspace(network, N, keep_all=True)
    fill_with_nan(network, ws)
    arrays = [
        array
        for space in ws.current.spaces
        for name, array in vars(space).items()
        if isinstance(array, np.ndarray) and name != "ones"  # which nobody writes
    ]
    assert len(arrays) > 10
    for array in (*arrays, ws.current.dy, network.grad):
        assert np.isnan(array).all()


def test_integer_samples_are_taken_as_numbers():
    network = net(Dense(CLASSES), Softmax())
    x = np.random.default_rng(0).integers(0, 4, (N, INPUTS)).astype(np.uint8)
    assert_right(check_gradients(network, x, samples()[1]), network)


def test_initial_parameters_of_any_size():
    network = Network([Dense(4, Normal(1e-3)), Tanh(), Dense(CLASSES, Normal(3.0)), Softmax()], INPUTS, dtype="float64")
    assert_right(check_gradients(network, *samples()), network)
