"""The contract of a layer carries what is not in the package yet: state, coupled samples, another storage order."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest

from glassnet.gradcheck import check_gradients, fill_with_nan
from glassnet.initializers import Fans, HeNormal, Initializer, Zeros
from glassnet.layers import (
    ACTIVATIONS,
    Buffer,
    Dense,
    Dropout,
    Flatten,
    Layer,
    ReLU,
    Softmax,
    Tanh,
)
from glassnet.losses import SoftmaxCrossEntropy
from glassnet.network import Network, Workspace
from glassnet.params import Param

RIGHT = 1e-6


@dataclass(frozen=True)
class Ones(Initializer):
    def __call__(self, rng, shape, fans):
        return np.ones(shape)


@dataclass(frozen=True)
class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(var + epsilon) + beta (Ioffe and Szegedy, 2015), over the rows of a batch."""

    momentum: float = 0.9
    epsilon: float = 1e-3

    couples_samples = True

    def params(self, in_shape):
        fans = Fans(1, 1)
        return {
            "gamma": Param(in_shape, Ones(), fans, decays=False),
            "beta": Param(in_shape, Zeros(), fans, decays=False),
        }

    def state(self, in_shape):
        return {"mean": Param(in_shape, Zeros(), Fans(1, 1)), "var": Param(in_shape, Ones(), Fans(1, 1))}

    def buffers(self, in_shape, n, train):
        forward = {"y": Buffer((n, *in_shape), over="x")}
        return (
            forward | {"xhat": Buffer((n, *in_shape)), "std": Buffer(in_shape), "dx": Buffer((n, *in_shape), over="dy")}
            if train
            else forward
        )

    def forward(self, p, x, ws):
        if not ws.train:
            np.subtract(x, p.mean, out=ws.y)
            ws.y *= p.gamma / np.sqrt(p.var + self.epsilon)
            ws.y += p.beta
            return ws.y
        mean, var = x.mean(axis=0), x.var(axis=0)
        p.mean[:] = self.momentum * p.mean + (1 - self.momentum) * mean
        p.var[:] = self.momentum * p.var + (1 - self.momentum) * var
        np.sqrt(var + self.epsilon, out=ws.std)
        np.subtract(x, mean, out=ws.xhat)
        ws.xhat /= ws.std
        np.multiply(ws.xhat, p.gamma, out=ws.y)
        ws.y += p.beta
        return ws.y

    def backward(self, p, g, dy, ws):
        np.einsum("n...,n...->...", dy, ws.xhat, out=g.gamma)
        dy.sum(axis=0, out=g.beta)
        if not ws.needs_dx:
            return None
        dx = dy - g.beta / len(dy) - ws.xhat * (g.gamma / len(dy))
        return np.multiply(dx, p.gamma / ws.std, out=ws.dx)


@dataclass(frozen=True)
class Conv2D(Layer):
    """Valid convolution of pictures (N, H, W, C), which it keeps as (C, H, W, N) in its workspace."""

    filters: int
    side: int = 3

    def output_shape(self, in_shape):
        h, w, _ = in_shape
        return (h - self.side + 1, w - self.side + 1, self.filters)

    def params(self, in_shape):
        k, c = self.side, in_shape[2]
        fans = Fans(k * k * c, k * k * self.filters)
        return {
            "K": Param((self.filters, k * k * c), HeNormal(), fans),
            "b": Param((self.filters, 1), HeNormal(), fans, decays=False),
        }

    def buffers(self, in_shape, n, train):
        (h, w, c), (oh, ow, _) = in_shape, self.output_shape(in_shape)
        return {
            "windows": Buffer((self.side**2 * c, oh, ow, n)),
            "y": Buffer((self.filters, oh, ow, n)),
            "dx": Buffer((c, h, w, n)),
        }

    def places(self, in_shape):
        oh, ow, _ = self.output_shape(in_shape)
        return [np.s_[i : i + oh, j : j + ow] for i in range(self.side) for j in range(self.side)]

    def forward(self, p, x, ws):
        c = x.shape[3]
        last = x.transpose(3, 1, 2, 0)  # (N,H,W,C) -> (C,H,W,N)
        for at, place in enumerate(self.places(x.shape[1:])):
            ws.windows[at * c : (at + 1) * c] = last[(slice(None), *place)]
        np.dot(p.K, ws.windows.reshape(len(ws.windows), -1), out=ws.y.reshape(self.filters, -1))
        rows = ws.y.reshape(self.filters, -1)
        rows += p.b
        return ws.y.transpose(3, 1, 2, 0)  # (O,H,W,N) -> (N,H,W,O)

    def backward(self, p, g, dy, ws):
        windows = ws.windows.reshape(len(ws.windows), -1)
        rows = np.ascontiguousarray(dy.transpose(3, 1, 2, 0)).reshape(self.filters, -1)
        np.dot(rows, windows.T, out=g.K)
        rows.sum(axis=1, keepdims=True, out=g.b)
        if not ws.needs_dx:
            return None
        np.dot(p.K.T, rows, out=windows)  # the windows are not needed any more
        ws.dx.fill(0)
        c = len(ws.dx)
        for at, place in enumerate(self.places(ws.x.shape[1:])):
            ws.dx[(slice(None), *place)] += ws.windows[at * c : (at + 1) * c]
        return ws.dx.transpose(3, 1, 2, 0)


@dataclass(frozen=True)
class Bend(Layer):
    """Passes x through, and multiplies the gradient by 1 + x^2: has no y, and reads x again in backward."""

    keeps_input = True

    def buffers(self, in_shape, n, train):
        return {"dx": Buffer((n, *in_shape), over="dy")} if train else {}

    def backward(self, p, g, dy, ws):
        return np.multiply(dy, 1 + ws.x * ws.x, out=ws.dx)


def net(layers, inputs, dtype="float64"):
    network = Network(layers, inputs, dtype=dtype)
    network.theta[:] = np.random.default_rng(0).normal(0.3, 0.6, network.theta.size)
    return network


def samples(n=6, shape=(5,), classes=3, dtype="float64"):
    rng = np.random.default_rng(1)
    return rng.normal(1, 2, (n, *shape)).astype(dtype), np.eye(classes, dtype=dtype)[rng.integers(0, classes, n)]


def step(network, ws, x, t):
    fill_with_nan(network, ws)
    o = network.forward(x, ws)
    network.backward(SoftmaxCrossEntropy().gradient(o, t, out=ws.current.dy), ws, skip_last=True)
    return o.copy(), network.grad.copy()


NORMALIZED = {
    "inside": ([Dense(4), BatchNorm(), Tanh(), Dense(3), Softmax()], (5,)),
    "after the activation": ([Dense(4), Tanh(), BatchNorm(), Dense(3), Softmax()], (5,)),
    "first": ([BatchNorm(), Dense(3), Softmax()], (5,)),
    "before the output": ([Dense(3), BatchNorm(), Softmax()], (5,)),
    "twice, with dropout": (
        [Dense(4), BatchNorm(), Dropout(0.3), Tanh(), Dense(4), BatchNorm(), Dense(3), Softmax()],
        (5,),
    ),
    "pictures": ([BatchNorm(), Flatten(), Dense(3), Softmax()], (2, 3)),
}
CONVOLUTIONS = {
    "one": ([Conv2D(2), Tanh(), Flatten(), Dense(3), Softmax()], (5, 4, 2)),
    "two": ([Conv2D(3, 2), Tanh(), Conv2D(2, 2), ReLU(), Flatten(), Dense(3), Softmax()], (5, 4, 1)),
    "straight into Flatten": ([Conv2D(2), Flatten(), Dense(3), Softmax()], (4, 4, 1)),
    "dropout between": (
        [Conv2D(2, 2), Dropout(0.3), Conv2D(2, 2), Dropout(0.3), Flatten(), Dense(3), Softmax()],
        (4, 4, 1),
    ),
    "normalized": ([Conv2D(2, 2), BatchNorm(), ReLU(), Conv2D(2, 2), Flatten(), Dense(3), Softmax()], (4, 4, 1)),
    **{
        name: ([Conv2D(2, 2), kind(), Conv2D(2, 2), kind(), Flatten(), Dense(3), Softmax()], (4, 4, 1))
        for name, kind in ACTIVATIONS.items()
        if kind is not Softmax
    },
}
every = pytest.mark.parametrize(
    ("layers", "shape"), [*NORMALIZED.values(), *CONVOLUTIONS.values()], ids=[*NORMALIZED, *CONVOLUTIONS]
)


@every
def test_gradients_are_right(layers, shape):
    network = net(layers, shape)
    network.state[:] = np.random.default_rng(2).uniform(1, 2, network.state.size)
    theta, state = network.theta.copy(), network.state.copy()
    x, t = samples(shape=shape)
    report = check_gradients(network, x, t, every_entry=True)
    assert report.worst < RIGHT, f"\n{report}"
    assert network.theta.tobytes() == theta.tobytes()
    assert network.state.tobytes() == state.tobytes()


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shared_memory_gives_the_same_bits(layers, shape, dtype):
    network = net(layers, shape, dtype)
    state = network.state.copy()
    for n in (6, 4):
        x, t = samples(n, shape, dtype=dtype)
        o, grad = step(network, Workspace(network, 6, keep_all=True), x, t)
        network.state[:] = state
        o2, grad2 = step(network, Workspace(network, 6), x, t)
        network.state[:] = state
        assert np.isfinite(grad).all()
        assert o2.tobytes() == o.tobytes()
        assert grad2.tobytes() == grad.tobytes()


@pytest.mark.parametrize("above", [ReLU(), Tanh(), Dropout(0.5), BatchNorm()], ids=repr)
@pytest.mark.parametrize("between", [[], [Flatten()], [Layer(), Bend()]], ids=["", "flatten", "twice"])
def test_what_a_layer_without_an_output_of_its_own_reads_again_is_not_overwritten(above, between):
    network = net([Dense(6), Bend(), *between, above, Dense(3), Softmax()], (5,))
    x, t = samples()
    o, grad = step(network, Workspace(network, 6, keep_all=True), x, t)
    ws = Workspace(network, 6)
    o2, grad2 = step(network, ws, x, t)
    assert o2.tobytes() == o.tobytes()
    assert grad2.tobytes() == grad.tobytes()
    np.testing.assert_allclose(
        ws.current.spaces[1].x, np.einsum("ni,io->no", x, network.params[0].W) + network.params[0].b
    )


# ----- state


def test_state_is_saved_but_not_trained():
    network = net([Dense(4), BatchNorm(), Dense(3), Softmax()], 5)
    norm = network.params[1]
    assert network.layout.size == network.theta.size == 5 * 4 + 4 + 4 + 4 + 4 * 3 + 3
    assert network.state.size == 8
    for view in (norm.mean, norm.var):
        assert np.shares_memory(view, network.state)
        assert not np.shares_memory(view, network.theta)
    assert set(vars(network.grads[1])) == {"gamma", "beta"}
    assert norm.mean.tolist() == [0] * 4
    assert norm.var.tolist() == [1] * 4
    assert "Saved, not trained: 8" in network.summary()
    assert [line.split()[-1] for line in network.summary().splitlines() if "batchnorm" in line] == ["8"]


def test_running_statistics_follow_training_and_serve_evaluation():
    layer = BatchNorm(momentum=0.75, epsilon=0.0)
    network = Network([layer, Dense(3), Softmax()], 2, dtype="float64")
    x = np.array([[1.0, 10.0], [3.0, 30.0]])  # mean 2, 20; variance 1, 100
    ws = Workspace(network, 2)
    y = network.forward(x, ws)
    np.testing.assert_allclose(ws.current.spaces[0].y, [[-1, -1], [1, 1]])
    np.testing.assert_allclose(network.params[0].mean, [0.5, 5])
    np.testing.assert_allclose(network.params[0].var, [1, 25.75])
    before = network.state.copy()
    evaluated = network.predict(x)
    np.testing.assert_array_equal(network.state, before)  # evaluation reads, and does not write
    by_hand = (x - [0.5, 5]) / np.sqrt([1, 25.75]) @ network.params[1].W
    np.testing.assert_allclose(np.log(evaluated[:, 1:] / evaluated[:, :1]), by_hand[:, 1:] - by_hand[:, :1])
    assert np.abs(evaluated - y).max() > 0.01
    for _ in range(100):
        network.forward(x, ws)
    np.testing.assert_allclose(network.predict(x), network.forward(x, ws), rtol=1e-9)


def test_initialize_and_copies_take_the_state_along():
    network = net([BatchNorm(), Dense(3), Softmax()], 5)
    x, t = samples()
    step(network, Workspace(network, 6), x, t)
    moved = network.state.copy()
    twin = copy.deepcopy(network)
    assert twin.state.tobytes() == moved.tobytes()
    np.testing.assert_array_equal(twin.predict(x), network.predict(x))
    twin.state[:] = 1
    np.testing.assert_array_equal(twin.params[0].mean, np.ones(5))
    assert network.state.tobytes() == moved.tobytes()
    network.initialize(0)
    assert network.state.tolist() == [1] * 5 + [0] * 5  # last array first: var, mean


def test_given_parameters_leave_the_state_at_its_start():
    network = net([BatchNorm(), Dense(3), Softmax()], 5)
    other = Network(network.layers, 5, dtype="float64", theta=network.theta)
    assert other.theta is network.theta
    assert other.state.tolist() == [1] * 5 + [0] * 5


def test_samples_that_are_coupled_say_so():
    assert BatchNorm().couples_samples
    assert not any(layer.couples_samples for layer in (Dense(3), Dropout(0.5), Softmax(), ReLU()))
    network = net([BatchNorm(), Dense(3), Softmax()], 5)
    x, _ = samples()
    ws = Workspace(network, 6)
    whole = network.forward(x, ws)[:3].copy()
    assert np.abs(network.forward(x[:3], ws) - whole).max() > 0.01


# ----- storage in another order


def test_convolution_is_the_sum_over_windows():
    network = net([Conv2D(2, 3)], (5, 4, 2))
    x, _ = samples(3, (5, 4, 2))
    K = network.params[0].K.reshape(2, 3, 3, 2)  # (O, kh, kw, C)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))  # (N, H', W', C, kh, kw)
    expected = np.einsum("nhwcij,oijc->nhwo", windows, K) + network.params[0].b[:, 0]
    np.testing.assert_allclose(network.predict(x), expected, atol=1e-13)


def test_the_workspace_keeps_pictures_batch_last():
    network = net([Conv2D(2), ReLU(), Flatten(), Dense(3), Softmax()], (5, 4, 1))
    ws = Workspace(network, 6)
    for n in (6, 4):
        space = ws.at(n).spaces[0]
        assert space.y.shape == (2, 3, 2, n)
        assert space.windows.shape == (9, 3, 2, n)
        assert space.y.flags.c_contiguous
        assert np.shares_memory(space.y, ws.at(6).spaces[0].y)
    assert network.output_shape == (3,)
    assert network.shapes[1] == (3, 2, 2)
    assert "dx" not in vars(space)
    x, _ = samples(4, (5, 4, 1))
    network.forward(x, ws)
    assert ws.current.spaces[1].x.shape == (4, 3, 2, 2)
    assert np.shares_memory(ws.current.spaces[1].y, ws.current.spaces[0].y)  # ReLU works in place all the same


def test_a_convolution_learns_where_the_bright_spot_is():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.1, (60, 6, 6, 1))
    t = rng.integers(0, 2, 60)
    x[np.arange(60), rng.integers(0, 6, 60), 5 * t] += 3
    network = Network([Conv2D(4), BatchNorm(), ReLU(), Flatten(), Dense(2), Softmax()], (6, 6, 1), dtype="float64")
    ws = Workspace(network, 60)
    for _ in range(100):
        _, grad = step(network, ws, x, t)
        network.theta -= 0.1 * grad
    assert (network.predict(x).argmax(axis=1) == t).all()
