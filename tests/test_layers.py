import dataclasses
import math
import tracemalloc

import numpy as np
import pytest

from glassnet import layers
from glassnet.errors import ConfigError
from glassnet.layers import (
    ACTIVATIONS,
    ELU,
    LAYERS,
    Activation,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Layer,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
)
from glassnet.losses import MeanSquaredError
from glassnet.network import Network, Workspace

both = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def run(network, x, dy, **options):
    """Forward and backward in a workspace that keeps everything; return it and the output."""
    ws = Workspace(network, len(x), keep_all=True, **options)
    y = network.forward(x, ws)
    network.backward(dy, ws)
    return ws, y


# ----- Dense


@both
def test_dense_is_three_einsums(dtype):
    rng = np.random.default_rng(0)
    network = Network([Dense(5), Dense(3)], 4, dtype=dtype)
    network.theta[:] = rng.normal(size=network.theta.size)
    x, dy = rng.normal(size=(7, 4)).astype(dtype), rng.normal(size=(7, 3)).astype(dtype)
    ws, y = run(network, x, dy.copy())
    first, second = network.params
    h = np.einsum("ni,io->no", x, first.W) + first.b
    tolerance = {"atol": 1e-5 if dtype == np.float32 else 1e-13}
    np.testing.assert_allclose(y, np.einsum("nh,ho->no", h, second.W) + second.b, **tolerance)
    dh = np.einsum("no,ho->nh", dy, second.W)
    np.testing.assert_allclose(ws.current.spaces[1].dx, dh, **tolerance)
    np.testing.assert_allclose(network.grads[1].W, np.einsum("nh,no->ho", h, dy), **tolerance)
    np.testing.assert_allclose(network.grads[1].b, np.einsum("no->o", dy), **tolerance)
    np.testing.assert_allclose(network.grads[0].W, np.einsum("ni,no->io", x, dh), **tolerance)
    np.testing.assert_allclose(network.grads[0].b, np.einsum("no->o", dh), **tolerance)


def test_dense_by_hand():
    network = Network([Dense(2)], 2, dtype="float64")
    network.params[0].W[:] = [[1, 2], [3, 4]]
    network.params[0].b[:] = [10, 20]
    _, y = run(network, np.array([[1.0, 1.0], [2.0, 0.0]]), np.array([[1.0, 0.0], [1.0, -1.0]]))
    assert y.tolist() == [[14, 26], [12, 24]]
    assert network.grads[0].W.tolist() == [[3, -2], [1, 0]]
    assert network.grads[0].b.tolist() == [2, -1]


@both
def test_dense_with_one_sample(dtype):
    network = Network([Dense(3)], 2, dtype=dtype)
    dy = np.array([[1, 2, 3]], dtype)
    run(network, np.array([[2, -1]], dtype), dy)
    assert network.grads[0].W.tolist() == [[2, 4, 6], [-1, -2, -3]]
    assert network.grads[0].b.tolist() == [1, 2, 3]


@pytest.mark.parametrize("units", [0, -3, 2.0, "10", None, True])
def test_dense_refuses_units(units):
    with pytest.raises(ConfigError, match="Dense: units must be a whole number of at least 1, not"):
        Dense(units)


def test_dense_refuses_pictures():
    with pytest.raises(ConfigError, match=r"not shape \(28, 28\): put Flatten\(\) before it"):
        Network([Dense(3)], (28, 28))


# ----- Flatten


def test_flatten_turns_pictures_into_rows_without_copying():
    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    network = Network([Flatten()], (3, 4))
    ws = Workspace(network, 2)
    y = network.forward(x, ws)
    assert y.tolist() == [list(range(12)), list(range(12, 24))]
    assert np.shares_memory(x, y)
    space = ws.current.spaces[0]
    dx = Flatten().backward(network.params[0], network.grads[0], y, space)
    np.testing.assert_array_equal(dx, x)
    assert np.shares_memory(dx, y)


# ----- activations


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "leaky-relu", "elu", "softplus"])
def test_activation_layers_on_values_known_by_heart(name):
    x = np.array([[-math.log(2), 0.0, math.log(3)]])
    y, slope = {
        "relu": ([0, 0, math.log(3)], [0, 0, 1]),
        "sigmoid": ([1 / 3, 1 / 2, 3 / 4], [2 / 9, 1 / 4, 3 / 16]),
        "tanh": ([-3 / 5, 0, 4 / 5], [16 / 25, 1, 9 / 25]),
        "leaky-relu": ([-0.01 * math.log(2), 0, math.log(3)], [0.01, 0.01, 1]),
        "elu": ([-1 / 2, 0, math.log(3)], [1 / 2, 1, 1]),
        "softplus": ([math.log(3 / 2), math.log(2), math.log(4)], [1 / 3, 1 / 2, 3 / 4]),
    }[name]
    network = Network([Dense(3), ACTIVATIONS[name](), Dense(3)], 3, dtype="float64")
    network.params[0].W[:] = network.params[2].W[:] = np.eye(3)
    ws, out = run(network, x, np.array([[2.0, -1.0, 3.0]]))
    np.testing.assert_allclose(out[0], y, atol=1e-15)
    np.testing.assert_allclose(ws.current.spaces[1].dx[0], np.array([2, -1, 3]) * slope, atol=1e-15)


def test_alpha_counts():
    x = np.array([[-2.0, 2.0]])
    for layer, expected in ((LeakyReLU(0.25), [-0.5, 2]), (ELU(3.0), [3 * math.expm1(-2), 2])):
        assert Network([layer], 2, dtype="float64").predict(x)[0].tolist() == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("alpha", [-0.1, 1, 1.5, math.nan, "0.1", None])
def test_leaky_relu_refuses_alpha(alpha):
    with pytest.raises(ConfigError, match=r"LeakyReLU: alpha must be a finite number at least 0 and below 1, not"):
        LeakyReLU(alpha)


@pytest.mark.parametrize("alpha", [0, -1.0, math.inf, math.nan, "1"])
def test_elu_refuses_alpha(alpha):
    with pytest.raises(ConfigError, match="ELU: alpha must be a finite number above 0, not"):
        ELU(alpha)


@pytest.mark.parametrize("kind", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations_keep_the_shape(kind):
    assert kind().output_shape((7,)) == (7,)
    if kind is not Softmax:
        assert kind().output_shape((5, 6, 2)) == (5, 6, 2)
    assert kind().params((7,)) == kind().state((7,)) == {}


def test_an_activation_says_what_its_derivative_reads():
    for kind in ACTIVATIONS.values():
        if issubclass(kind, Activation):
            assert kind.keeps_input != kind.keeps_output


@pytest.mark.parametrize("shape", [(1,), (3, 4), ()])
def test_softmax_refuses_what_is_no_row_of_classes(shape):
    with pytest.raises(ConfigError, match="at least 2 classes a sample, not shape"):
        Softmax().output_shape(shape)


# ----- Dropout


@both
def test_dropout_zeroes_its_share_and_scales_the_rest(dtype):
    network = Network([Dropout(0.3)], 400, dtype=dtype)
    ws = Workspace(network, 500)
    y = network.forward(np.ones((500, 400), dtype), ws)
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / 0.7, rtol=1e-6)
    assert abs(kept.mean() - 0.7) < 5 * math.sqrt(0.21 / kept.size)
    assert abs(y.mean(dtype=np.float64) - 1) < 5 * math.sqrt(0.3 / 0.7 / kept.size)
    assert len(np.unique(kept, axis=0)) == 500  # each sample has a mask of its own
    assert y.dtype == dtype


def test_dropout_passes_the_gradient_of_what_it_kept():
    network = Network([Dense(50), Dropout(0.4), Dense(50)], 50, dtype="float64")
    network.params[0].W[:] = network.params[2].W[:] = np.eye(50)
    dy = np.random.default_rng(0).normal(size=(8, 50))
    ws, y = run(network, np.ones((8, 50)), dy)
    np.testing.assert_allclose(ws.current.spaces[1].dx, np.where(y != 0, dy / 0.6, 0), rtol=1e-15)


def test_masks_follow_seed_step_and_place():
    network = Network([Dropout(0.5), Dropout(0.5)], 64)
    x = np.ones((20, 64), np.float32)

    def masks(seed=0, step=0, row=0, rows=20):
        ws = Workspace(network, 20, seed=seed, keep_all=True)
        ws.clock.step, ws.clock.row = step, row
        network.forward(x[:rows], ws)
        return [space.mask.copy() for space in ws.current.spaces]

    first, second = masks()
    assert (first != second).mean() > 0.4  # two layers, two masks
    np.testing.assert_array_equal(first, masks()[0])
    assert (first != masks(seed=1)[0]).mean() > 0.4
    assert (first != masks(step=1)[0]).mean() > 0.4
    np.testing.assert_array_equal(first[12:], masks(row=12, rows=8)[0])


def test_dropout_of_nothing_and_of_pictures():
    x = np.random.default_rng(0).normal(size=(3, 5, 7)).astype(np.float32)
    network = Network([Dropout(0)], (5, 7))
    np.testing.assert_array_equal(network.forward(x, Workspace(network, 3)), x)
    network = Network([Dropout(0.5)], (5, 7))
    y = network.forward(x, Workspace(network, 3))
    assert ((y == 0) | (y == 2 * x)).all()
    assert 0 < (y == 0).sum() < x.size


def test_dropout_is_the_identity_outside_training():
    network = Network([Dropout(0.5)], 10)
    x = np.ones((4, 10), np.float32)
    assert network.forward(x, Workspace(network, 4, train=False)) is x


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 2, math.nan, "0.5", None, True])
def test_dropout_refuses_rates(rate):
    with pytest.raises(ConfigError, match=r"Dropout: rate must be a finite number at least 0 and below 1, not"):
        Dropout(rate)


# ----- all


@pytest.mark.parametrize("kind", LAYERS.values(), ids=LAYERS)
def test_layers_are_frozen_specs(kind):
    layer = kind(3) if kind is Dense else kind()
    assert layer == (kind(3) if kind is Dense else kind())
    assert hash(layer) == hash(kind(3) if kind is Dense else kind())
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.units = 4


def test_the_registries_hold_every_layer_of_the_module():
    bases = {Layer, Activation}
    here = {
        kind
        for kind in vars(layers).values()
        if isinstance(kind, type) and issubclass(kind, Layer) and kind.__module__.startswith(f"{layers.__name__}.")
    }
    assert set(LAYERS.values()) == here - bases
    assert set(ACTIVATIONS.values()) == here - bases - {Dense, Flatten, Dropout}
    for name, kind in ACTIVATIONS.items():
        assert name.replace("-", "") == kind.__name__.lower()
    assert {LAYERS[name].__name__ for name in LAYERS} == set(LAYERS)


def test_the_base_layer_passes_everything_through():
    network = Network([Dense(2), Layer(), Identity()], 2, dtype="float64")
    x, dy = np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]])
    _, y = run(network, x, dy)
    np.testing.assert_array_equal(y, network.params[0].W)
    np.testing.assert_array_equal(network.grads[0].W, [[1, 2], [3, 4]])


def test_two_networks_may_share_specs():
    stack = [Dense(3), ReLU(), Dense(1), Sigmoid()]
    a, b = Network(stack, 2, seed=1), Network(stack, 2, seed=2)
    before = b.theta.copy()
    a.theta.fill(0)
    np.testing.assert_array_equal(b.theta, before)
    o = a.predict(np.ones((1, 2)))
    assert o.tolist() == [[0.5]]
    assert MeanSquaredError().value(o, np.array([1])) == 0.125


# ----- names, types and memory


def test_dense_keeps_plain_numbers_and_names_what_is_wrong():
    assert type(Dense(np.int64(3)).units) is int
    for name in ("weights", "bias"):
        with pytest.raises(ConfigError, match=f"^Dense: {name} must be an initializer such as HeNormal"):
            Dense(3, **{name: 0.1})


def test_of_a_dense_layer_the_weights_decay_alone():
    params = Dense(3).params((2,))
    assert {name: param.decays for name, param in params.items()} == {"W": True, "b": False}
    assert params["W"].fans == params["b"].fans == (2, 3)


def test_softmax_takes_two_classes_and_no_fewer():
    assert Softmax().output_shape((2,)) == (2,)
    with pytest.raises(ConfigError):
        Softmax().output_shape((1,))


@pytest.fixture(
    params=[*{**ACTIVATIONS, "softmax": Softmax, "dropout": Dropout}.values()], ids=lambda kind: kind.__name__
)
def between(request):
    """A layer between two dense ones, its buffers, and those of the layers below and above it."""
    layer = Dropout(0.5) if request.param is Dropout else request.param()

    def make(**options):
        network = Network([Dense(200), layer, Dense(200)], 200)
        ws = Workspace(network, 500, **options)
        rng = np.random.default_rng(1)
        x, dy = rng.normal(size=(2, 500, 200)).astype(np.float32)

        def step():
            network.forward(x, ws)
            network.backward(dy, ws)

        step()
        return step, *ws.current.spaces

    return layer, make


def test_a_step_writes_into_the_memory_of_the_workspace_alone(between):
    _, make = between
    for keep_all in (False, True):
        step, *_ = make(keep_all=keep_all)
        tracemalloc.start()
        step()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 500 * 200  # a quarter of what one array of the batch takes


def test_layers_work_in_place_where_nobody_reads_that_again(between):
    layer, make = between
    _, below, space, above = make()
    if not isinstance(layer, Identity):
        assert np.shares_memory(below.y, space.y) == (not layer.keeps_input)
        assert np.shares_memory(above.dx, space.dx) == (not isinstance(layer, Softmax))
    _, below, space, above = make(keep_all=True)
    if not isinstance(layer, Identity):
        assert not np.shares_memory(below.y, space.y)
        assert not np.shares_memory(above.dx, space.dx)


def test_prediction_asks_for_no_memory_of_the_way_back(between):
    layer, _ = between
    assert not {"dx", "slope"} & set(layer.buffers((4,), 8, train=False))
    assert ("dx" in layer.buffers((4,), 8, train=True)) != isinstance(layer, Identity)
    dense = Dense(3)
    assert set(dense.buffers((4,), 8, train=True)) - set(dense.buffers((4,), 8, train=False)) == {"dx", "ones"}
