import dataclasses
import math

import numpy as np
import pytest

from glassnet.errors import ConfigError
from glassnet.initializers import INITIALIZERS, Fans, Normal, Zeros
from glassnet.layers import Dense
from glassnet.network import Network

FANS = Fans(300, 700)
SIZE = 400_000

# variance from the paper, in exact fractions of the fans above
VARIANCE = {
    "normal": 0.01**2,
    "lecun-normal": 1 / 300,
    "lecun-uniform": 1 / 300,
    "glorot-normal": 2 / 1000,
    "glorot-uniform": 2 / 1000,
    "he-normal": 2 / 300,
    "he-uniform": 2 / 300,
    "fan-out-normal": 1 / 700,
}
LIMIT = {
    "lecun-uniform": math.sqrt(3 / 300),
    "glorot-uniform": math.sqrt(6 / 1000),  # Glorot and Bengio (2010), eq. 16
    "he-uniform": math.sqrt(6 / 300),
}


def draw(name, seed=0, size=SIZE):
    return INITIALIZERS[name]()(np.random.default_rng(seed), (size,), FANS)


def test_the_names():
    assert set(INITIALIZERS) == {"zeros", *VARIANCE}
    for name, kind in INITIALIZERS.items():
        assert kind.__name__.lower() == name.replace("-", "")


@pytest.mark.parametrize("name", VARIANCE)
def test_mean_and_variance_are_the_papers(name):
    a = draw(name)
    deviation = math.sqrt(VARIANCE[name])
    kurtosis = 1.8 if name in LIMIT else 3.0  # of the uniform and of the normal distribution
    assert abs(a.mean()) < 5 * deviation / math.sqrt(SIZE)
    assert abs(a.var() / VARIANCE[name] - 1) < 5 * math.sqrt((kurtosis - 1) / SIZE)
    fourth = np.mean(a**4) / VARIANCE[name] ** 2  # tells the two distributions apart
    assert abs(fourth - kurtosis) < 0.1


@pytest.mark.parametrize("name", LIMIT)
def test_uniform_draws_fill_their_interval(name):
    a = draw(name)
    limit = LIMIT[name]
    assert np.abs(a).max() <= limit
    assert a.min() < -0.9999 * limit
    assert a.max() > 0.9999 * limit


@pytest.mark.parametrize("name", VARIANCE)
def test_normal_draws_are_not_truncated(name):
    if name not in LIMIT:
        assert np.abs(draw(name)).max() > 4 * math.sqrt(VARIANCE[name])


@pytest.mark.parametrize("name", INITIALIZERS)
def test_one_seed_gives_one_array_of_the_shape_asked_for(name):
    initializer = INITIALIZERS[name]()
    a, b = (initializer(np.random.default_rng(3), (4, 5, 2), FANS) for _ in range(2))
    assert a.shape == (4, 5, 2)
    assert a.dtype == np.float64
    assert a.tobytes() == b.tobytes()
    if name != "zeros":
        assert a.tobytes() != initializer(np.random.default_rng(4), (4, 5, 2), FANS).tobytes()


def test_zeros():
    assert not Zeros()(np.random.default_rng(0), (3, 4), FANS).any()


@pytest.mark.parametrize("name", ["glorot-uniform", "fan-out-normal", "he-normal"])
def test_a_bias_is_drawn_with_the_fans_of_its_layer(name):
    network = Network([Dense(700, bias=INITIALIZERS[name]())], 300, dtype="float64")
    b = network.params[0].b
    assert abs(b.var() / VARIANCE[name] - 1) < 5 * math.sqrt(2 / 700)
    np.testing.assert_allclose(network.params[0].W.var(), 2 / 1000, rtol=0.02)


@pytest.mark.parametrize("deviation", [-0.1, math.inf, math.nan, "wide", None])
def test_a_deviation_that_makes_no_sense_is_refused(deviation):
    with pytest.raises(ConfigError, match="deviation must be a finite number at least 0"):
        Normal(deviation)


def test_a_given_deviation_counts():
    a = Normal(2.5)(np.random.default_rng(0), (SIZE,), FANS)
    assert abs(a.std() / 2.5 - 1) < 5 / math.sqrt(2 * SIZE)
    assert not Normal(0)(np.random.default_rng(0), (3,), FANS).any()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers_are_frozen_specs(name):
    assert INITIALIZERS[name]() == INITIALIZERS[name]()
    assert len({INITIALIZERS[name](), INITIALIZERS[name]()}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        INITIALIZERS[name]().deviation = 3
