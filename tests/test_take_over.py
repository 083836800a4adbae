"""Looking into a run between its steps, and going on from other parameters and another state of the optimizer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import pictures

from glassnet import (
    SGD,
    ConfigError,
    DataSet,
    Dense,
    Flatten,
    Network,
    Preprocessing,
    ReLU,
    Softmax,
    Training,
    from_arrays,
)
from glassnet.optim import OPTIMIZERS
from glassnet.training import Begin, Steps


def dark_edges(n: int = 120) -> DataSet:
    """Pictures of 6 x 5 pixels whose first row, and a pixel in the middle, are dark in all of them."""
    images, labels = pictures(n)
    images[:, 0] = 0
    images[:, 3, 2] = 0
    return from_arrays(images, labels.astype(np.int64), validation=0, preprocessing=Preprocessing(1 / 255))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimizer_in_order_is_that_of_steps_without_sorted_columns(name: str) -> None:
    data = dark_edges()
    states, thetas = [], []
    for sorted_columns in (True, False):
        network = Network([Flatten(), Dense(7), ReLU(), Dense(10), Softmax()], data.input_shape, seed=2)
        run = Training(network, data, OPTIMIZERS[name](0.01), batch_size=60, epochs=3, seed=4)
        assert run.plan.columns is not None
        if not sorted_columns:
            run.plan = replace(run.plan, columns=None)
            run.plan.allocate()
        events = run.events()
        while run.step < 5:
            next(events)
        run.publish()
        states.append(run.optimizer_in_order().state())
        thetas.append(network.theta.copy())
        events.close()
    np.testing.assert_allclose(thetas[0], thetas[1], rtol=1e-3, atol=1e-5)
    for key, row in states[1].items():
        np.testing.assert_allclose(states[0][key], row, rtol=1e-3, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_that_takes_over_its_own_optimizer_goes_on_in_the_same_bits(name: str) -> None:
    data, thetas = dark_edges(), []
    for interrupted in (False, True):
        network = Network([Flatten(), Dense(7), ReLU(), Dense(10), Softmax()], data.input_shape, seed=2)
        run = Training(network, data, OPTIMIZERS[name](0.01), batch_size=30, epochs=2, seed=4)
        run.steps_per_event = 1
        for event in run.events():
            if interrupted and isinstance(event, Begin | Steps) and run.step in (0, 3, 5):
                run.publish()
                run.take_over(run.optimizer_in_order())
        thetas.append(network.theta.copy())
    np.testing.assert_array_equal(thetas[0], thetas[1])


def test_parameters_that_a_listener_sets_and_takes_over_count() -> None:
    data = dark_edges()
    network = Network([Flatten(), Dense(10), Softmax()], data.input_shape, seed=2)
    run = Training(network, data, SGD(1e-30), batch_size=60, epochs=1)
    run.steps_per_event = 1
    for event in run.events():
        if isinstance(event, Steps) and run.step == 1:
            run.publish()
            network.theta[:] = np.arange(network.layout.size)
            run.take_over(run.optimizer_in_order())
    np.testing.assert_allclose(network.theta, np.arange(network.layout.size), atol=1e-20)


def test_a_look_at_the_beginning_changes_nothing() -> None:
    data = dark_edges()
    network = Network([Flatten(), Dense(10), Softmax()], data.input_shape, seed=2)
    theta = network.theta.copy()
    run = Training(network, data, SGD(0.1), batch_size=60, epochs=1)
    assert np.isnan(run.so_far().loss)
    with pytest.raises(ConfigError, match="while the run goes on"):
        run.optimizer_in_order()
    events = run.events()
    assert isinstance(next(events), Begin)
    run.publish()
    np.testing.assert_array_equal(network.theta, theta)
    next(events)
    so_far = run.so_far()
    assert run.so_far() == so_far
    assert 0 < so_far.loss < 10
    assert so_far.accuracy is not None
    events.close()
