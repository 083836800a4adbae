"""The signals of a batch, against arithmetic by hand, einsum chains and finite differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glassnet import Dense, Dropout, Flatten, Network, Sigmoid, Softmax
from glassnet.diagnosis import signals
from glassnet.errors import ConfigError
from glassnet.initializers import Normal
from glassnet.layers import ACTIVATIONS, ELU, GELU, Identity, Layer, ReLU, SiLU, Tanh
from glassnet.losses import MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy

NUMBERS = {"activation_mean", "activation_deviation", "gradient_rms", "dead", "saturated"}
CROSS_ENTROPY = SoftmaxCrossEntropy()


def batch(n: int = 7, inputs: int = 4, classes: int = 3) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, inputs)), rng.integers(0, classes, n)


def network(*hidden: Layer, units: int = 5) -> Network:
    layers: list[Layer] = []
    for layer in hidden:
        layers += [Dense(units), layer]
    return Network([*layers, Dense(3), Softmax()], 4, seed=3, dtype="float64")


def softmax(z: NDArray[Any]) -> NDArray[Any]:
    e = np.exp(z)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def test_two_tanh_layers_by_the_chain_rule() -> None:
    net, (x, t) = network(Tanh(), Tanh()), batch()
    (w1, b1), (w2, b2), (w3, b3) = [(p.W, p.b) for p in net.params if "W" in vars(p)]
    y1 = np.tanh(x @ w1 + b1)
    y2 = np.tanh(y1 @ w2 + b2)
    delta3 = (softmax(y2 @ w3 + b3) - np.eye(3)[t]) / 7
    delta2 = np.einsum("no,uo,nu->nu", delta3, w3, 1 / np.cosh(y1 @ w2 + b2) ** 2)
    delta1 = np.einsum("no,uo,nu->nu", delta2, w2, 1 / np.cosh(x @ w1 + b1) ** 2)
    found = signals(net, x, t, CROSS_ENTROPY)
    assert [signal["layer"] for signal in found] == ["tanh_1", "tanh_2"]
    for signal, y, delta in zip(found, (y1, y2), (delta1, delta2), strict=True):
        mean = y.sum() / 35
        assert signal["activation_mean"] == pytest.approx(mean)
        assert signal["activation_deviation"] == pytest.approx(math.sqrt(((y - mean) ** 2).sum() / 35))
        assert signal["gradient_rms"] == pytest.approx(math.sqrt((delta**2).sum() / 35))
        assert (signal["dead"], signal["saturated"]) == (0.0, 0.0)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_activation_against_differences_of_the_loss(name: str, dtype: str) -> None:
    layers = [Dense(5), ACTIVATIONS[name](), Dense(5), ACTIVATIONS[name](), Dense(3), Softmax()]
    net, (x, t) = Network(layers, 4, seed=3, dtype=dtype), batch()
    found = signals(net, x, t, CROSS_ENTROPY)
    kind = type(layers[1]).__name__.lower()
    assert [signal["layer"] for signal in found] == [f"{kind}_1", f"{kind}_2"]
    assert all(signal.keys() == NUMBERS | {"layer"} for signal in found)
    assert all(type(signal[number]) is float for signal in found for number in NUMBERS)
    # dL/dz of the first layer is dL/d(an offset of each sample and unit), by differences in float64
    above = Network(layers[1:], 5, dtype="float64")
    above.theta[:] = np.concatenate([net.theta[s.slice] for s in net.layout.slots if s.layer > 0])
    z = x @ net.params[0].W.astype(float) + net.params[0].b

    def value(at: NDArray[Any]) -> float:
        return float(-np.log(above.predict(at)[np.arange(7), t]).mean())

    numeric = np.zeros_like(z)
    for n, u in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[n, u] = 1e-6
        numeric[n, u] = (value(z + step) - value(z - step)) / 2e-6
    assert found[0]["gradient_rms"] == pytest.approx(np.sqrt((numeric**2).mean()), rel=1e-4)


def test_a_unit_that_no_sample_lights_is_dead() -> None:
    net, (x, t) = network(ReLU(), units=4), batch(20)
    net.params[0].b[:] = (-100.0, 100.0, 100.0, -100.0)
    (signal,) = signals(net, x, t, CROSS_ENTROPY)
    assert (signal["dead"], signal["saturated"]) == (0.5, 0.0)


def test_a_rectifier_that_few_samples_light_is_saturated_not_dead() -> None:
    net = network(ReLU(), units=2)
    net.params[0].W[:] = [[1.0, 1.0], [0, 0], [0, 0], [0, 0]]
    net.params[0].b[:] = (-18.5, -17.5)  # the units are lit by x = 19, and by x = 18 and 19
    x = np.zeros((20, 4))
    x[:, 0] = np.arange(20)
    (signal,) = signals(net, x, np.zeros(20, int), CROSS_ENTROPY)
    assert (signal["dead"], signal["saturated"]) == (0.0, 1.0)  # 19 and 18 samples of 20 are in the dark
    net.params[0].b[:] = (-18.5, -16.5)
    (signal,) = signals(net, x, np.zeros(20, int), CROSS_ENTROPY)
    assert (signal["dead"], signal["saturated"]) == (0.0, 0.5)  # and 17


def test_sigmoids_of_large_weights_are_saturated() -> None:
    rng = np.random.default_rng(1)
    layers = [Dense(50, weights=Normal(50.0)), Sigmoid(), Dense(3), Softmax()]
    net = Network(layers, 30, seed=0, dtype="float64")
    (signal,) = signals(net, rng.normal(size=(40, 30)), rng.integers(0, 3, 40), CROSS_ENTROPY)
    assert signal["saturated"] + signal["dead"] > 0.9
    assert signal["saturated"] > 0.5
    assert signal["activation_deviation"] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("layer", "z", "slope"),
    [  # the largest slopes are 1/4, 1, 2, 1.0998 and 1.1289
        (Sigmoid(), math.log(79), 79 / 6400),
        (Sigmoid(), math.log(75), 75 / 5776),
        (Tanh(), math.atanh(math.sqrt(0.951)), 0.049),
        (Tanh(), math.atanh(math.sqrt(0.949)), 0.051),
        (ELU(2.0), math.log(0.049), 0.098),
        (ELU(2.0), math.log(0.051), 0.102),
        (SiLU(), -1.19, None),
        (GELU(), -0.70, None),
    ],
)
def test_flat_is_a_twentieth_of_the_largest_slope(layer: Layer, z: float, slope: float | None) -> None:
    net = network(layer, units=2)
    net.theta[:] = 0.0
    net.params[0].b[:] = z
    largest = {"Sigmoid": 0.25, "Tanh": 1.0, "ELU": 2.0, "SiLU": 1.09984, "GELU": 1.12890}[type(layer).__name__]
    if slope is None:
        f = net.layers[1].f  # type: ignore[attr-defined]
        slope = float(f(np.array([z + 1e-6]))[0] - f(np.array([z - 1e-6]))[0]) / 2e-6
    (signal,) = signals(net, np.ones((3, 4)), np.zeros(3, int), CROSS_ENTROPY)
    assert signal["saturated"] == float(abs(slope) < 0.05 * largest)


def test_nothing_of_the_network_changes() -> None:
    net, (x, t) = network(Sigmoid(), Dropout(0.5), ReLU()), batch()
    net.grad[:] = np.arange(net.grad.size)
    before = net.theta.copy(), net.grad.copy(), net.state.copy(), x.copy(), t.copy()
    first = signals(net, x, t, CROSS_ENTROPY)
    assert signals(net, x, t, CROSS_ENTROPY) == first
    for now, then in zip((net.theta, net.grad, net.state, x, t), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_dense_targets_and_the_sum_of_losses_give_the_same() -> None:
    net, (x, t) = network(Tanh()), batch()
    expected = signals(net, x, t, CROSS_ENTROPY)
    assert signals(net, x, np.eye(3)[t], CROSS_ENTROPY) == expected
    assert signals(net, x, t, SoftmaxCrossEntropy(reduction="sum")) == expected


def test_losses_that_are_not_fused_and_identities_between() -> None:
    x, t = batch()
    net = Network([Dense(5), Identity(), Dropout(0.0), Dense(3), Sigmoid()], 4, seed=1, dtype="float64")
    (signal,) = signals(net, x, t, MeanSquaredError())
    w1, w2 = net.params[0].W, net.params[3].W
    o = 1 / (1 + np.exp(-(x @ w1) @ w2))
    delta = np.einsum("no,no,no,uo->nu", o - np.eye(3)[t], o, 1 - o, w2) / 7
    assert signal["gradient_rms"] == pytest.approx(math.sqrt((delta**2).mean()))
    assert signal["activation_deviation"] == pytest.approx((x @ w1).std())
    assert (signal["layer"], signal["dead"], signal["saturated"]) == ("identity_1", 0.0, 0.0)
    (fused,) = signals(net, x, t, SigmoidCrossEntropy())
    delta = np.einsum("no,uo->nu", o - np.eye(3)[t], w2) / 7
    assert fused["gradient_rms"] == pytest.approx(math.sqrt((delta**2).mean()))


def test_gradients_vanish_down_a_deep_network_of_sigmoids() -> None:
    net = network(*(Sigmoid() for _ in range(10)), units=20)
    rms = [signal["gradient_rms"] for signal in signals(net, *batch(50), CROSS_ENTROPY)]
    assert len(rms) == 10
    assert rms == sorted(rms)
    assert rms[-1] > 1000 * rms[0] > 0


def test_only_activations_between_trained_layers_are_hidden() -> None:
    x, t = np.random.default_rng(0).normal(size=(6, 2, 2)), np.arange(6) % 3
    layers = [Sigmoid(), Flatten(), Dense(4), ReLU(), Tanh(), Dense(3), Identity(), Softmax()]
    names = [s["layer"] for s in signals(Network(layers, (2, 2)), x, t, CROSS_ENTROPY)]
    assert names == ["relu_1", "tanh_1"]
    assert signals(Network([Dense(3), Softmax()], 4), *batch(), CROSS_ENTROPY) == []
    assert signals(Network([Softmax()], 3), *batch(inputs=3), CROSS_ENTROPY) == []


def test_what_has_overflown_is_told_without_a_warning() -> None:
    net = network(ReLU(), Sigmoid())
    net.params[0].W[:] = math.inf
    signal = signals(net, *batch(), CROSS_ENTROPY)[0]
    assert math.isnan(signal["activation_mean"])
    assert math.isnan(signal["gradient_rms"])


def test_what_does_not_fit_is_refused() -> None:
    net, (x, t) = network(ReLU()), batch()
    with pytest.raises(ConfigError, match=r"shape \(7, 4, 1\) with 7 targets"):
        signals(net, x[..., None], t, CROSS_ENTROPY)
    with pytest.raises(ConfigError, match="with 6 targets"):
        signals(net, x, t[:6], CROSS_ENTROPY)
    with pytest.raises(ConfigError, match="at least 1"):
        signals(net, x[:0], t[:0], CROSS_ENTROPY)
    with pytest.raises(ConfigError, match="does not go with"):
        signals(net, x, t, MeanSquaredError())


def test_histograms_count_every_activation_and_gradient() -> None:
    own = network(Tanh(), Sigmoid())
    x, t = batch()
    plain, found = signals(own, x, t, CROSS_ENTROPY), signals(own, x, t, CROSS_ENTROPY, bins=6)
    for one, other in zip(found, plain, strict=True):
        assert {name: one[name] for name in other} == other
        for counts, edges in (one["activations"], one["gradients"]):
            assert (counts.sum(), len(counts), len(edges)) == (7 * 5, 6, 7)
        assert -1.0 <= one["activations"][1][0] < one["activations"][1][-1] <= 1.0
