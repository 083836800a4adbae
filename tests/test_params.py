import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet.initializers import Fans, Initializer, Normal, Zeros
from glassnet.layers import Dense, ReLU
from glassnet.network import Network
from glassnet.params import Param, ParamLayout, Views

FANS = Fans(1, 1)


def test_the_order_is_last_layer_first_and_last_array_first():
    layers = [
        {"W": Param((2, 3), Zeros(), FANS), "b": Param((3,), Zeros(), FANS)},
        {},
        {"W": Param((3, 1), Zeros(), FANS), "b": Param((1,), Zeros(), FANS)},
    ]
    layout = ParamLayout(layers)
    places = [(slot.layer, slot.name, slot.slice.start, slot.slice.stop) for slot in layout.slots]
    assert places == [(2, "b", 0, 1), (2, "W", 1, 4), (0, "b", 4, 7), (0, "W", 7, 13)]
    assert layout.size == 13


def test_the_first_weights_are_the_end_of_theta_row_by_row():
    network = Network([Dense(3), ReLU(), Dense(2)], 4)
    W = network.params[0].W
    np.testing.assert_array_equal(network.theta[-12:], W.ravel())
    np.testing.assert_array_equal(network.theta[-6:], W[2:].ravel())  # the rows of the last two inputs: one slice


@settings(deadline=None)
@given(shapes=st.lists(st.lists(st.lists(st.integers(1, 3), max_size=3), max_size=3), max_size=4))
def test_views_tile_the_vector(shapes):
    layout = ParamLayout(
        [{f"a{i}": Param(tuple(shape), Zeros(), FANS) for i, shape in enumerate(layer)} for layer in shapes]
    )
    vector = np.full(layout.size, -1.0)
    views = layout.views(vector)
    assert [sorted(vars(view)) for view in views] == [[f"a{i}" for i in range(len(layer))] for layer in shapes]
    count = 0
    for layer, view in zip(shapes, views, strict=True):
        for i, shape in enumerate(layer):
            array = vars(view)[f"a{i}"]
            assert array.shape == tuple(shape)
            assert np.shares_memory(array, vector)
            array[...] = count  # overwrites nobody else's
            count += array.size
    values, sizes = np.unique(vector, return_counts=True)
    assert sizes.sum() == layout.size == count
    np.testing.assert_array_equal(values, np.cumsum([0, *sizes])[:-1])


class Counting(Initializer):
    """Gives its draws in the order in which they are asked for."""

    def __call__(self, rng, shape, fans):
        return rng.normal(size=shape)


def test_initialize_draws_first_layer_first_from_one_generator():
    a, b, c = (Param(shape, Counting(), FANS) for shape in [(2, 2), (3,), (1, 2)])
    layout = ParamLayout([{"W": a, "b": b}, {"W": c}])
    vector = np.empty(layout.size)
    layout.initialize(vector, np.random.default_rng(5))
    stream = np.random.default_rng(5).normal(size=9)
    first, second = layout.views(vector)
    np.testing.assert_array_equal(np.concatenate([first.W.ravel(), first.b, second.W.ravel()]), stream)


def test_initialize_hands_on_shape_and_fans():
    seen = []

    class Spy(Initializer):
        def __call__(self, rng, shape, fans):
            seen.append((shape, fans))
            return np.zeros(shape)

    Network([Dense(5, weights=Spy(), bias=Spy())], 3)
    assert seen == [((3, 5), (3, 5)), ((5,), (3, 5))]


def test_only_weights_decay():
    params = Dense(5).params((3,))
    assert (params["W"].decays, params["b"].decays) == (True, False)
    assert (params["W"].size, params["b"].size) == (15, 5)


def test_an_empty_layout():
    layout = ParamLayout([{}, {}])
    assert layout.size == 0
    assert layout.views(np.empty(0)) == [Views(), Views()]
    layout.initialize(np.empty(0), np.random.default_rng(0))


def test_specs_can_be_compared():
    assert Param((2,), Normal(0.5), FANS) == Param((2,), Normal(0.5), FANS) != Param((2,), Normal(0.4), FANS)
    with pytest.raises(AttributeError):
        Views().W  # noqa: B018
