"""The rule of 2019 against its description, done one sample after another."""

import numpy as np
import pytest

from glassnet.config import RunConfig
from glassnet.data import from_arrays
from glassnet.errors import ConfigError
from glassnet.layers import Dense, Sigmoid
from glassnet.losses import MeanSquaredError
from glassnet.network import Network, Workspace
from glassnet.studies import rule2019
from glassnet.studies.rule2019 import EpochAdam, SigmoidDense2019

SETTINGS = {
    "hidden": (4, 3),
    "activation": "sigmoid",
    "loss": "mse",
    "loss_reduction": "sum",
    "label_smoothing": 0.02,
    "initializer": "fan-out-normal",
    "bias_initializer": "fan-out-normal",
    "schedule": "constant",
    "shuffle": False,
    "validation": 0,
    "threads": 1,
    "workers": 1,
}


def small_data(n: int = 12):
    rng = np.random.default_rng(5)
    return from_arrays(rng.uniform(0.01, 1, (n, 5)).astype(np.float32), rng.integers(0, 2, n), validation=0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_hand(x, t, weights, biases, batch, epochs, update, moves_bias=True):
    """The scripts of 2019 as they are described: weights (out, in), errors from above without any slope."""
    for _ in range(epochs):
        for number, start in enumerate(range(0, len(x), batch)):
            steps_w = [np.zeros_like(w) for w in weights]
            steps_b = [0.0 for _ in biases]
            for one, target in zip(x[start : start + batch], t[start : start + batch], strict=True):
                outputs = [one]
                for w, b in zip(weights, biases, strict=True):
                    outputs.append(sigmoid(w @ outputs[-1] + b))
                e = target - outputs[-1]
                for layer in (2, 1, 0):
                    o = outputs[layer + 1]
                    steps_w[layer] += np.outer(e * o * (1 - o), outputs[layer])
                    steps_b[layer] += (e * o * (1 - o)).sum()
                    e = weights[layer].T @ e
            for layer in range(3):
                update(f"W{layer}", weights[layer], steps_w[layer], number + 1)
                if moves_bias:
                    update(f"b{layer}", biases[layer], np.full(len(biases[layer]), steps_b[layer] / batch), number + 1)


def momentum_rule(state, lr=0.3, beta=0.7):
    def update(name, p, step, t):
        state[name] = beta * state.get(name, 0.0) + (1 - beta) * step
        p += lr * state[name]

    return update


def adagrad_rule(state, lr=0.1, eps=1e-8):
    def update(name, p, step, t):
        state[name] = state.get(name, 0.0) + step**2
        p += lr * step / (np.sqrt(state[name]) + eps)

    return update


def rmsprop_rule(state, lr=0.01, beta=0.9, eps=1e-3):
    def update(name, p, step, t):
        state[name] = beta * state.get(name, 0.0) + (1 - beta) * step**2
        p += lr * step / np.sqrt(state[name] + eps)

    return update


def adam_rule(state, lr=0.05, beta1=0.9, beta2=0.99, eps=1e-8):
    def update(name, p, step, t):
        m, v = state.get(name, (0.0, 0.0))
        m, v = beta1 * m + (1 - beta1) * step, beta2 * v + (1 - beta2) * step**2
        state[name] = m, v
        p += lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)

    return update


def plain_rule(state, lr=0.3):
    def update(name, p, step, t):
        p += lr * step

    return update


@pytest.mark.parametrize("batch_size", [1, 4, "full"])
@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (plain_rule, {"optimizer": "sgd", "learning_rate": 0.3}),
        (momentum_rule, {"optimizer": "momentum", "momentum": 0.7, "momentum_form": "mean", "learning_rate": 0.3}),
        (adagrad_rule, {"optimizer": "adagrad", "epsilon": 1e-8, "learning_rate": 0.1}),
        (rmsprop_rule, {"optimizer": "rmsprop", "rho": 0.9, "epsilon": 1e-3, "learning_rate": 0.01}),
        (adam_rule, {"optimizer": "adam", "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, "learning_rate": 0.05}),
    ],
    ids=["sgd", "momentum", "adagrad", "rmsprop", "adam"],
)
def test_a_run_is_what_the_description_says(rule, settings, batch_size):
    data = small_data()
    config = RunConfig(**SETTINGS, **settings, batch_size=batch_size, epochs=3)
    training = rule2019.make_training(config, data)
    weights = [p.W.T.astype(np.float64) for p in training.network.params if "W" in vars(p)]
    biases = [p.b.astype(np.float64) for p in training.network.params if "b" in vars(p)]
    targets = np.where(np.eye(2)[data.train.targets] == 1, 0.99, 0.01)
    n = len(data.train) if batch_size == "full" else batch_size
    x = data.preprocessing.apply(data.train.features, dtype=np.float64)
    by_hand(x, targets, weights, biases, n, 3, rule({}), moves_bias=settings["optimizer"] != "sgd")
    config.follow(training)
    found = [p for p in training.network.params if "W" in vars(p)]
    for p, w, b in zip(found, weights, biases, strict=True):
        np.testing.assert_allclose(p.W, w.T, rtol=2e-4, atol=2e-5)
        np.testing.assert_allclose(p.b, b, rtol=2e-4, atol=2e-5)


def test_the_last_layer_steps_along_the_gradient_and_those_below_do_not():
    rng = np.random.default_rng(0)
    x, t = rng.uniform(size=(6, 5)), rng.uniform(0.01, 0.99, (6, 2))
    theirs = Network([SigmoidDense2019(4, samples=6), SigmoidDense2019(2, samples=6)], 5, dtype=np.float64)
    ours = Network([Dense(4), Sigmoid(), Dense(2), Sigmoid()], 5, dtype=np.float64)
    for mine, its in zip((ours.params[0], ours.params[2]), theirs.params, strict=True):
        mine.W[:], mine.b[:] = its.W, its.b
    loss = MeanSquaredError("sum")
    for network in (theirs, ours):
        ws = Workspace(network, 6)
        o = network.forward(x, ws)
        network.backward(loss.gradient(o, t, None, 1.0), ws)
    np.testing.assert_allclose(theirs.grads[1].W, ours.grads[2].W, rtol=1e-12)
    np.testing.assert_allclose(theirs.grads[1].b, ours.grads[2].b.sum() / 6, rtol=1e-12)
    assert np.abs(theirs.grads[0].W / ours.grads[0].W - 1).min() > 0.5  # a slope of at most a quarter is missing


def test_a_first_layer_that_leaves_out_zeros_computes_the_same():
    rng = np.random.default_rng(1)
    pixels = (rng.integers(0, 256, (400, 6, 6)) * (rng.random((400, 6, 6)) < 0.2)).astype(np.uint8)
    data = from_arrays(pixels, rng.integers(0, 2, 400), validation=0)
    config = RunConfig(**SETTINGS, optimizer="sgd", learning_rate=1e-3, batch_size=100, epochs=3)
    training = rule2019.make_training(config, data)
    assert training.plan.columns is not None
    dense = rule2019.make_training(config, data)
    dense.plan.columns = None
    for run in (training, dense):
        config.follow(run)
    np.testing.assert_allclose(training.network.theta, dense.network.theta, rtol=1e-4, atol=1e-6)


def test_adam_counts_from_one_in_each_epoch():
    theta = np.zeros(1)
    rule = EpochAdam(2, learning_rate=0.1, beta1=0.5, beta2=0.5, epsilon=1e-12)
    seen = []
    for gradient in (1.0, 1.0, 4.0):
        before = theta[0]
        rule.step(theta, np.array([gradient]))
        seen.append(before - theta[0])
    m, v = 0.5 * 0.75 + 0.5 * 4, 0.5 * 0.75 + 0.5 * 16
    np.testing.assert_allclose(seen, [0.1, 0.1, 0.1 * (m / 0.5) / np.sqrt(v / 0.5)], rtol=1e-9)
    assert rule.steps == 3


@pytest.mark.parametrize("odd", [{"activation": "relu"}, {"loss_reduction": "mean"}, {"output_activation": "tanh"}])
def test_the_rule_is_for_its_network_alone(odd):
    config = RunConfig(**(SETTINGS | odd), optimizer="sgd", learning_rate=0.1)
    with pytest.raises(ConfigError, match="rule of 2019 is for sigmoid layers"):
        rule2019.make_training(config, small_data())
