"""Steps: every path to a gradient leads to the same one, that of the plain form in float64."""

from __future__ import annotations

import copy
import dataclasses
import os
import signal
import threading
import tracemalloc
from multiprocessing import active_children
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from glassnet import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    DataSet,
    Dense,
    Dropout,
    Flatten,
    HeNormal,
    Layer,
    Listener,
    Momentum,
    Muon,
    Network,
    Preprocessing,
    ReduceOnPlateau,
    ReLU,
    Samples,
    ScheduleFreeAdamW,
    Sigmoid,
    Softmax,
    Training,
    fit,
    from_arrays,
)
from glassnet.errors import ConfigError, DivergedError, WorkerDiedError
from glassnet.layers import LayerSpace
from glassnet.optimizer import Optimizer
from glassnet.params import Views
from glassnet.step import MOST_BLOCK, Plan
from glassnet.training import EpochEnd, Event, Steps, worker_count

Vector = NDArray[Any]

H, W, CLASSES = 6, 5, 4
DARK = 8  # columns that no sample lights


def pictures(n: int, seed: int = 0) -> DataSet:
    """Pictures of which most pixels are dark, some in all of them, with weights."""
    rng = np.random.default_rng(seed)
    often = rng.permutation(np.r_[np.zeros(DARK), np.linspace(0.02, 0.6, H * W - DARK)])
    features = (rng.integers(1, 256, (n, H * W)) * (rng.random((n, H * W)) < often)).astype(np.uint8)
    return from_arrays(
        features.reshape(n, H, W), rng.integers(0, CLASSES, n), validation=0, weights=rng.uniform(0.5, 2, n)
    )


def raised(data: DataSet) -> DataSet:
    """The same pictures with inputs of 0.01 to 1: none is zero."""
    return dataclasses.replace(data, preprocessing=data.preprocessing.to_range(0.01, 1.0))


def net(seed: int = 0, dtype: Any = np.float32, *extra: Any) -> Network:
    layers = [Flatten(), Dense(16, HeNormal()), ReLU(), *extra, Dense(8), Sigmoid(), Dense(CLASSES), Softmax()]
    return Network(layers, (H, W), seed=seed, dtype=dtype)


def plain_gradient(network: Network, data: DataSet, rows: Any) -> list[dict[str, Vector]]:
    """dL/dW and dL/db of each dense layer as the chain rule says, with einsum in float64, and every column."""
    first, second, third = (
        {name: array.astype(np.float64) for name, array in vars(network.params[i]).items()} for i in (1, 3, 5)
    )
    assert data.train.weights is not None
    x = data.preprocessing.apply(data.train.features[rows], dtype="float64").reshape(len(rows), -1)
    weights = data.train.weights[rows]
    t = np.eye(CLASSES)[data.train.targets[rows]]
    z1 = np.einsum("ni,io->no", x, first["W"]) + first["b"]
    assert np.abs(z1).min() > 1e-6  # clear of the kink
    h1 = np.where(z1 > 0, z1, 0)
    h2 = 1 / (1 + np.exp(-(np.einsum("ni,io->no", h1, second["W"]) + second["b"])))
    z3 = np.einsum("ni,io->no", h2, third["W"]) + third["b"]
    o = np.exp(z3) / np.exp(z3).sum(axis=1, keepdims=True)
    d3 = (o - t) * weights[:, None] / (len(rows) * data.train.weights.mean())
    d2 = np.einsum("no,io->ni", d3, third["W"]) * h2 * (1 - h2)
    d1 = np.einsum("no,io->ni", d2, second["W"]) * (z1 > 0)
    return [
        {"W": np.einsum("ni,no->io", a, d), "b": d.sum(axis=0)} for a, d in ((x, d1), (h1, d2), (h2, d3))
    ]  # fmt: skip


def gradient_of(run: Training) -> list[dict[str, Vector]]:
    """Read the gradient of a batch off one step of gradient descent, in the order of the columns that people see."""
    before = run.network.theta.astype(np.float64)
    run.max_steps = 1
    for _ in run.events():
        pass
    views = run.network.layout.views((before - run.network.theta.astype(np.float64)) / run.optimizer.schedule(0))
    return [vars(views[i]) for i in (1, 3, 5)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassnet.step.LEAST_BLOCK", 40)


RATE = 2.0**20  # so large that what was there before the step does not count


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 40, 95, 200, "full"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_path_gives_the_gradient_of_the_plain_form(batch_size: int | str, workers: int, dtype: Any) -> None:
    data, network = pictures(230, seed=4), net(1, dtype)
    assert data.lit_columns is not None
    run = Training(network, data, SGD(RATE), batch_size=batch_size, workers=workers, epochs=1)
    order = np.arange(230)
    if batch_size != "full":
        np.random.default_rng([0, 1, 0]).shuffle(order)
    rows = order[: 230 if batch_size == "full" else int(batch_size)]
    wanted = plain_gradient(network, data, rows)
    found = gradient_of(run)
    for a, b in zip(wanted, found, strict=True):
        for name in ("W", "b"):
            assert np.linalg.norm(a[name] - b[name]) < (1e-5 if dtype is np.float32 else 1e-8) * np.linalg.norm(a[name])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7, 100, "full"])
def test_on_a_ground_every_weight_gets_the_gradient_of_the_plain_form(
    batch_size: int | str, shuffle: bool, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glassnet.step.LEAST_ON_A_GROUND", 2)
    data, network = raised(pictures(230, seed=4)), net(1, np.float64)
    run = Training(network, data, SGD(RATE), batch_size=batch_size, shuffle=shuffle, workers=workers, epochs=1)
    assert (run.plan.columns is None) == (batch_size == 1)
    order = np.arange(230)
    if batch_size != "full" and shuffle:
        np.random.default_rng([0, 1, 0]).shuffle(order)
    wanted = plain_gradient(network, data, order[: 230 if batch_size == "full" else int(batch_size)])
    assert (wanted[0]["W"] != 0).any(axis=1).all()  # those of dark columns, too
    for a, b in zip(wanted, gradient_of(run), strict=True):
        for name in ("W", "b"):
            assert np.linalg.norm(a[name] - b[name]) < 1e-8 * np.linalg.norm(a[name])


@pytest.mark.parametrize("batch_size", [7, 100, "full"])
def test_on_a_ground_nothing_is_left_from_the_step_before(
    batch_size: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glassnet.step.LEAST_ON_A_GROUND", 2)
    data, network = raised(large_pictures(230)), Network([Flatten(), Dense(4), Softmax()], (28, 28), dtype="float64")
    stepper = Training(network, data, Adam(), batch_size=batch_size, epochs=1).plan.alone()
    stepper.fetch(network)
    for vector in (stepper._grad, stepper._more):
        vector[:] = np.nan
    stepper.take(2 if batch_size != "full" else 1)
    assert stepper.plan.span == slice(0, network.layout.size)
    assert np.isfinite(stepper._grad).all()
    assert np.isfinite(stepper.network.theta).all()


def large_pictures(n: int) -> DataSet:
    """Pictures of the size of MNIST's, whose columns are lit more and more seldom."""
    rng = np.random.default_rng(0)
    often = rng.permutation(np.r_[np.zeros(70), np.linspace(0, 0.8, 714) ** 3])
    features = (rng.integers(1, 256, (n, 784)) * (rng.random((n, 784)) < often)).astype(np.uint8)
    return from_arrays(
        features.reshape(n, 28, 28), rng.integers(0, CLASSES, n), validation=0, weights=rng.uniform(0.5, 2, n)
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("batch_size", [50, 100, 500, "full"])
def test_batches_of_many_steps_give_the_gradient_of_the_plain_form(batch_size: int | str, workers: int) -> None:
    data = large_pictures(600)
    layers = [Flatten(), Dense(100, HeNormal()), ReLU(), Dense(8), Sigmoid(), Dense(CLASSES), Softmax()]
    network = Network(layers, (28, 28), seed=1)
    run = Training(network, data, SGD(RATE), batch_size=batch_size, workers=workers, epochs=1)
    (first, *_) = run.plan.batches((0, workers)).blocks(0, 0)
    assert len(first.x.strips(100)) > 1
    order = np.arange(600)
    if batch_size != "full":
        np.random.default_rng([0, 1, 0]).shuffle(order)
    wanted = plain_gradient(network, data, order[: 600 if batch_size == "full" else int(batch_size)])
    for a, b in zip(wanted, gradient_of(run), strict=True):
        for name in ("W", "b"):
            assert np.linalg.norm(a[name] - b[name]) < 1e-5 * np.linalg.norm(a[name])


def test_the_first_layer_is_frozen_and_its_columns_are_left_out_all_the_same() -> None:
    data, network = pictures(200), net()
    before = network.theta.copy()
    run = Training(network, data, SGD(RATE), batch_size="full", frozen=["dense_1"], epochs=1)
    wanted = plain_gradient(network, data, np.arange(200))
    found = gradient_of(run)
    np.testing.assert_allclose(found[1]["W"], wanted[1]["W"], atol=1e-6)
    first = network.layout.slots[-1].slice
    np.testing.assert_array_equal(network.theta[first], before[first])


# -------------------------------------------------------------------------------- many steps, with and without tricks

RULES: list[Optimizer] = [
    SGD(0.5),
    SGD(0.5, l2=0.01),
    Momentum(0.05),
    Momentum(0.05, form="sum"),
    Adagrad(0.05, initial_accumulator=0.1),
    Adam(0.01),
    Adam(0.01, clip_norm=0.05),
    AdamW(0.01, weight_decay=0.1),
    ScheduleFreeAdamW(0.01),
    Muon(0.01),
]


def trained(optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch, tricks: bool, **options: Any) -> Vector:
    with monkeypatch.context() as patch:
        if not tricks:
            patch.setattr("glassnet.training.takes_leading_columns", lambda network: False)
            patch.setattr("glassnet.step.LEAST_BLOCK", 10_000)
        network = net(2, np.float64)
        rule = copy.deepcopy(optimizer)
        fit(network, pictures(150, seed=2), rule, **({"batch_size": 20, "epochs": 2} | options))
        return network.theta


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"batch_size": 100}, {"workers": 2}], ids=str)
def test_training_ends_where_it_does_without_leaving_anything_out(
    optimizer: Optimizer, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = trained(optimizer, monkeypatch, True, **options)
    wanted = trained(optimizer, monkeypatch, False, **{name: options[name] for name in options if name != "workers"})
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)
    assert not np.array_equal(found, net(2, np.float64).theta)


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
@pytest.mark.parametrize(
    "options",
    [{"batch_size": 1}, {"batch_size": 7}, {"batch_size": 100}, {"batch_size": "full"}, {"batch_size": 7, "workers": 2},
     {"batch_size": 100, "workers": 2, "shuffle": False}],
    ids=str,
)  # fmt: skip
def test_training_on_a_ground_ends_where_it_does_without_columns(
    optimizer: Optimizer, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glassnet.step.LEAST_ON_A_GROUND", 2)
    rng = np.random.default_rng(8)
    data = pictures(150, seed=2)
    validation = Samples(rng.integers(0, 256, (30, H, W)).astype(np.uint8), rng.integers(0, CLASSES, 30),
                         np.ones(30))  # fmt: skip
    results = []
    for tricks in (True, False):
        with monkeypatch.context() as patch:
            if not tricks:
                patch.setattr("glassnet.training.takes_leading_columns", lambda network: False)
                patch.setattr("glassnet.step.LEAST_BLOCK", 10_000)
            given = options if tricks else {name: options[name] for name in options if name != "workers"}
            network = net(2, np.float64)
            result = fit(network, dataclasses.replace(raised(data), validation=validation), copy.deepcopy(optimizer),
                         epochs=2, **given)  # fmt: skip
            results.append((network.theta, result.history["validation_loss"]))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-9)
    assert np.isfinite(results[0][1]).all()


def test_few_samples_on_a_ground_are_multiplied_as_they_are() -> None:
    for data, batch_size, there in (
        (pictures(300), 10, True), (raised(pictures(300)), 59, False), (raised(pictures(300)), 60, True),
        (raised(pictures(50)), "full", False),
    ):  # fmt: skip
        assert data.lit_columns is not None
        plan = Training(net(), data, SGD(), batch_size=batch_size, epochs=1).plan
        assert (plan.columns is data.lit_columns) == there


def test_a_bad_input_on_a_ground_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassnet.step.LEAST_ON_A_GROUND", 2)
    features = np.eye(40, 60) * 1e20
    data = from_arrays(features, np.arange(40) % 3, validation=0, preprocessing=Preprocessing(1e20, mean=-0.5))
    network = Network([Dense(3), Softmax()], 60)
    with pytest.raises(DivergedError, match="the first bad number was infinity in the input"):
        fit(network, data, SGD(0.1), batch_size=20, epochs=1)


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_repeat_bit_for_bit(workers: int) -> None:
    networks = [net(), net()]
    for network in networks:
        fit(network, pictures(150), Adam(0.01), batch_size=50, epochs=3, workers=workers)
    assert networks[0].theta.tobytes() == networks[1].theta.tobytes()


def test_masks_do_not_depend_on_blocks_and_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    thetas = []
    for block, workers in ((1000, 1), (7, 1), (1000, 3), (5, 2)):
        monkeypatch.setattr("glassnet.step.LEAST_BLOCK", block)
        network = net(0, np.float64, Dropout(0.5))
        fit(network, pictures(90), SGD(0.5), batch_size=60, epochs=2, workers=workers)
        thetas.append(network.theta)
    for theta in thetas[1:]:
        np.testing.assert_allclose(theta, thetas[0], rtol=0, atol=1e-12)


def test_more_workers_than_samples_in_the_last_batch() -> None:
    alone, many = net(0, np.float64), net(0, np.float64)
    fit(alone, pictures(41), SGD(0.5), batch_size=20, epochs=2)
    result = fit(many, pictures(41), SGD(0.5), batch_size=20, epochs=2, workers=4)
    np.testing.assert_allclose(many.theta, alone.theta, rtol=0, atol=1e-12)
    assert (result.steps, result.samples) == (6, 82)


def test_what_workers_report_is_what_one_reports() -> None:
    rows = []
    for workers in (1, 3):
        data = pictures(120)
        result = fit(net(0, np.float64), data, Adam(0.01), batch_size=30, epochs=3, workers=workers)
        rows.append([result.history[name] for name in ("train_loss", "train_accuracy", "learning_rate", "step")])
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-12)


def test_the_state_of_the_optimizer_is_whole_again_after_workers() -> None:
    alone, shared = Adam(0.01), Adam(0.01)
    for optimizer, workers in ((alone, 1), (shared, 2)):
        fit(net(0, np.float64), pictures(100), optimizer, batch_size=50, epochs=2, workers=workers)
    assert shared.steps == alone.steps == 4
    for name, moment in alone.moments().items():
        np.testing.assert_allclose(shared.moments()[name], moment, rtol=0, atol=1e-12)


# ------------------------------------------------------------------------------------------ what a plan makes of it


def plan_of(data: DataSet, optimizer: Optimizer, **options: Any) -> Plan:
    return Training(net(), data, optimizer, batch_size=10, epochs=1, **options).plan


@pytest.mark.parametrize(
    ("optimizer", "left_out"),
    [(Adam(), DARK), (SGD(), DARK), (AdamW(), 0), (Adam(l2=0.1), 0), (Muon(), 0), (ScheduleFreeAdamW(), DARK)],
    ids=repr,
)
def test_weights_of_columns_that_are_always_dark_are_left_alone_where_nothing_moves_them(
    optimizer: Optimizer, left_out: int
) -> None:
    data = pictures(400)
    assert data.lit_columns is not None
    assert data.lit_columns.lit == H * W - DARK
    span = plan_of(data, optimizer).span
    assert (span.start, span.stop) == (0, net().layout.size - left_out * 16)


def test_columns_are_not_looked_for_where_it_does_not_pay() -> None:
    data = pictures(100)
    assert plan_of(data, SGD(), max_steps=9).columns is None  # less than an epoch
    assert plan_of(data, SGD(), max_steps=10).columns is data.lit_columns
    behind = Network([Flatten(), Dropout(0.1), Dense(CLASSES), Softmax()], (H, W))
    assert Training(behind, data, epochs=1).plan.columns is None


@pytest.mark.parametrize("optimizer", [Adam(), Muon()], ids=repr)
@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_slices_cover_all_that_is_trained_once(optimizer: Optimizer, workers: int) -> None:
    plan = plan_of(pictures(100), optimizer)
    slices = plan.slices(workers)
    assert [part.start for part in slices] == [0, *(part.stop for part in slices[:-1])]
    assert slices[-1].stop == plan.span.stop - plan.span.start
    if optimizer.mixes != "nothing":
        starts = {part.start for part in plan.parts} | {slices[-1].stop}
        assert {part.start for part in slices} <= starts  # no matrix is cut


def test_a_block_has_more_samples_where_there_are_more_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassnet.step.LEAST_BLOCK", 250)
    assert plan_of(pictures(100), SGD()).block == 250
    wide = Network([Flatten(), Dense(100_000), Softmax()], (H, W))
    data = from_arrays(np.zeros((5, H, W), np.uint8), np.arange(5) % 2, class_names=[str(i) for i in range(100_000)])
    assert Training(wide, data).plan.block == MOST_BLOCK


# -------------------------------------------------------------------------------------------------- what it allocates


@pytest.mark.parametrize("lit", ["some columns", "on a ground", "all columns"])
@pytest.mark.parametrize("batch_size", [1, 100, 1000, "full"])
def test_no_step_allocates_more_than_64_kilobytes(batch_size: int | str, lit: str) -> None:
    rng = np.random.default_rng(0)
    data = large_pictures(3000)
    if lit == "all columns":
        features = (rng.integers(0, 256, (3000, 28, 28)) * (rng.random((3000, 28, 28)) < 0.2)).astype(np.uint8)
        data = from_arrays(features, rng.integers(0, 10, 3000), validation=0)
    if lit == "on a ground":
        data = raised(data)
    assert (data.lit_columns is None) == (lit == "all columns")
    network = Network([Flatten(), Dense(100), ReLU(), Dense(data.classes or 0), Softmax()], (28, 28))
    stepper = Training(network, data, Adam(), batch_size=batch_size, epochs=50).plan.alone()
    stepper.fetch(network)
    stepper.take(3)
    stepper.go_to(1, 0, 3)  # a new order of the samples
    tracemalloc.start()
    try:
        stepper.take(3)
        stepper.tally.finite()  # judges what was collected
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024


# ------------------------------------------------------------------------------------------------ workers that go wrong


class KillWorker(Listener):
    """Ends a worker by force after some events, and keeps what was learnt until then."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.theta: Vector = np.empty(0)
        self.killed = 0.0

    def notify(self, event: Event, run: Training) -> None:
        if isinstance(event, Steps):
            self.after -= 1
            if self.after == 0:
                run.publish()
                self.theta = run.network.theta.copy()
                (child,) = active_children()
                assert child.pid is not None
                os.kill(child.pid, signal.SIGKILL)
                self.killed = perf_counter()


def test_a_worker_that_dies_ends_the_run_with_what_was_learnt() -> None:
    network, killer = net(), KillWorker(after=30)
    optimizer = Adam(0.01)
    with pytest.raises(WorkerDiedError, match="worker 1"):
        fit(network, pictures(400), optimizer, batch_size=200, epochs=10_000, workers=2, listeners=[killer])
    assert perf_counter() - killer.killed < 5
    assert not active_children()
    assert np.abs(killer.theta - net().theta).max() > 0.01
    np.testing.assert_allclose(network.theta, killer.theta, rtol=0, atol=0.05)  # of one more step in part, at most
    assert optimizer.steps >= 30


def test_workers_end_with_whatever_ends_the_run() -> None:
    class Stumble(Listener):
        def notify(self, event: Event, run: Training) -> None:
            if isinstance(event, Steps):
                assert len(active_children()) == 2
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(net(), pictures(90), epochs=2, batch_size=30, workers=3, listeners=[Stumble()])
    assert not active_children()


def explodes(step: int) -> float:
    return 0.1 if step < 5 else 1e39


def test_a_bad_number_is_found_with_workers_too() -> None:
    networks = [net(), net()]
    sentences = []
    for network, workers in zip(networks, (1, 2), strict=True):
        with pytest.raises(DivergedError) as caught:
            fit(network, pictures(90), SGD(explodes), batch_size=30, epochs=3, workers=workers)
        sentences.append(str(caught.value))
    assert sentences[0] == sentences[1]
    assert "training diverged at step 6 (epoch 2)" in sentences[0]
    assert np.isfinite(networks[1].theta).all()


def test_the_rate_that_a_listener_lowers_reaches_the_workers() -> None:
    thetas = []
    for workers in (1, 2):
        network = net(0, np.float64)
        reduce = ReduceOnPlateau("train_loss", factor=0.1, patience=1, min_delta=10.0)
        fit(network, pictures(90), SGD(0.1), batch_size=30, epochs=5, workers=workers, listeners=[reduce])
        thetas.append(network.theta)
        assert reduce.scale < 0.1
    np.testing.assert_allclose(thetas[1], thetas[0], rtol=0, atol=1e-12)


def test_between_the_ends_of_two_epochs_the_network_is_up_to_date_when_asked() -> None:
    network, seen = net(0, np.float64), []

    class Ask(Listener):
        def notify(self, event: Event, run: Training) -> None:
            if isinstance(event, Steps) and run.step == 100:
                seen.append(network.theta.copy())
                run.publish()
                seen.append(network.theta.copy())

    fit(network, pictures(1500), SGD(0.5), batch_size=10, epochs=1, listeners=[Ask()])
    stopped = net(0, np.float64)
    fit(stopped, pictures(1500), SGD(0.5), batch_size=10, epochs=1, max_steps=100)
    np.testing.assert_array_equal(seen[0], net(0, np.float64).theta)
    np.testing.assert_allclose(seen[1], stopped.theta, rtol=0, atol=1e-12)


class Coupled(Layer):
    """Looks at all samples at once, as batch normalization does."""

    couples_samples = True


def test_layers_that_couple_samples_refuse_workers_and_blocks() -> None:
    network = Network([Flatten(), Coupled(), Dense(CLASSES), Softmax()], (H, W))
    assert Training(network, pictures(500), batch_size="full").plan.block is None
    with pytest.raises(ConfigError, match=r"coupled_1 needs all samples of a batch at once, .* set workers to 1"):
        Training(network, pictures(50), workers=2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"workers": 0}, "workers must be a whole number of at least 1"),
        ({"workers": 2.5}, "workers"),
        ({"threads": 0}, "threads must be a whole number of at least 1"),
        ({"workers": 2, "threads": 2}, "each of 2 workers has one BLAS thread"),
    ],
)
def test_numbers_of_workers_and_threads_that_are_none(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Training(net(), pictures(50), **options)


@pytest.mark.parametrize(
    ("cores", "batch", "parameters", "wanted"),
    [(2, 100, 89_610, 2), (64, 60_000, 10**7, 2), (2, 99, 89_610, 1), (1, 100, 89_610, 1), (2, 100, 7_850, 1)],
)
def test_how_many_workers_are_of_use(cores: int, batch: int, parameters: int, wanted: int) -> None:
    assert worker_count(cores, batch, parameters) == wanted


def test_small_batches_take_one_thread_and_the_others_what_they_had(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Ask(Listener):
        def notify(self, event: Event, run: Training) -> None:
            if isinstance(event, EpochEnd):
                seen.append(max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"))

    with threadpool_limits(2, user_api="blas"):
        small = net().layout.size * 200
        monkeypatch.setattr("glassnet.training.ONE_THREAD_UP_TO", small)
        for options in ({"batch_size": 200}, {"batch_size": 201}, {"batch_size": 201, "threads": 1}):
            fit(net(), pictures(300), epochs=1, listeners=[Ask()], **options)  # type: ignore[arg-type]
    assert seen == [1, 2, 1]


class Normalized(Optimizer):
    """A step of a given length: it needs the whole gradient."""

    def rule(self, theta: Vector, g: Vector, learning_rate: float) -> None:
        theta -= learning_rate / np.sqrt(g @ g) * g


class Noisy(Optimizer):
    """Moves parameters without any gradient, too."""

    def rule(self, theta: Vector, g: Vector, learning_rate: float) -> None:
        theta -= learning_rate * (g + 1.0)


def test_rules_of_which_nothing_is_known_step_all_parameters_in_one_process() -> None:
    data, network = pictures(100), net()
    before = network.theta.copy()
    fit(network, data, Noisy(0.01), batch_size=50, epochs=1)
    assert (network.theta != before).all()
    with pytest.raises(ConfigError, match=r"Normalized may mix all parameters, .* set workers to 1"):
        Training(net(), data, Normalized(0.1), workers=2)


class Twice(Dense):
    """A dense layer of somebody else, which wants all columns."""

    def forward(self, p: Views, x: Vector, ws: LayerSpace) -> Vector:
        y: Vector = np.dot(x, 2 * p.W, out=ws.y)
        return y


def test_layers_that_are_made_from_dense_get_all_columns() -> None:
    network = Network([Flatten(), Twice(CLASSES), Softmax()], (H, W))
    fit(network, pictures(100), SGD(0.1), epochs=1)
    assert np.isfinite(network.theta).all()


def test_features_that_were_sorted_can_not_be_changed_unnoticed() -> None:
    data = pictures(100)
    data.train.features[0] = 1
    fit(net(), data, SGD(0.1), epochs=1)
    with pytest.raises(ValueError, match="read-only"):
        data.train.features[0] = 2


@pytest.mark.parametrize("optimizer", [Adam(0.01), ScheduleFreeAdamW(0.01)], ids=repr)
def test_a_state_that_was_restored_reaches_the_workers(optimizer: Optimizer) -> None:
    thetas = []
    for workers in (1, 2):
        first = copy.deepcopy(optimizer)
        fit(net(0, np.float64), pictures(100), first, batch_size=50, epochs=2)
        network = net(1, np.float64)
        run = Training(network, pictures(100), copy.deepcopy(optimizer), batch_size=50, epochs=2, workers=workers)
        run.optimizer.restore(first.state())
        for _ in run.events():
            pass
        thetas.append(network.theta)
    np.testing.assert_allclose(thetas[1], thetas[0], rtol=0, atol=1e-12)


def test_blocks_begin_with_the_samples_that_need_most_columns() -> None:
    plan = plan_of(pictures(500), SGD())
    batches = dataclasses.replace(plan, batch_size=200).batches()
    widths = [batch.x.shape[1] for batch in batches.blocks(0, 1)]
    assert len(widths) == 5
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > widths[-1] + 5
    assert batches.reach(0, 1) == widths[0]


def test_a_worker_that_dies_over_bad_numbers_leaves_good_ones() -> None:
    class Spoil(KillWorker):
        def notify(self, event: Event, run: Training) -> None:
            super().notify(event, run)
            if self.after == 0:
                assert run._stepper is not None
                run._stepper.network.theta[5] = np.nan

    network = net()
    with pytest.raises(WorkerDiedError):
        fit(network, pictures(400), Adam(0.01), batch_size=200, epochs=10_000, workers=2, listeners=[Spoil(after=30)])
    assert np.isfinite(network.theta).all()


def test_a_run_can_be_copied_when_its_workers_are_gone() -> None:
    run = Training(net(), pictures(100), SGD(0.1), batch_size=50, epochs=1, workers=2)
    for _ in run.events():
        pass
    run.publish()  # nothing more to bring
    np.testing.assert_array_equal(copy.deepcopy(run).network.theta, run.network.theta)


def test_a_schedule_without_a_name_needs_not_be_sent_to_processes_that_are_not_forked() -> None:
    thetas = []
    for workers in (1, 2):
        network, asleep = net(0, np.float64), threading.Event()
        thread = threading.Thread(target=asleep.wait)
        thread.start()  # beside another thread nothing is forked
        try:
            optimizer = SGD(lambda step: 0.1 / (1 + step))
            fit(network, pictures(60), optimizer, batch_size=30, epochs=2, workers=workers)
        finally:
            asleep.set()
            thread.join()
        thetas.append(network.theta)
    np.testing.assert_allclose(thetas[1], thetas[0], rtol=0, atol=1e-12)


def test_what_can_not_be_sent_to_another_process_is_said() -> None:
    class Local(SGD):
        """Without a name that another process could find."""

    asleep = threading.Event()
    thread = threading.Thread(target=asleep.wait)
    thread.start()
    try:
        with pytest.raises(ConfigError, match=r"can not be sent to another process .* set workers to 1"):
            fit(net(), pictures(60), Local(0.1), batch_size=30, epochs=1, workers=2)
    finally:
        asleep.set()
        thread.join()


def test_nothing_bad_is_found_in_memory_that_no_block_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = np.empty

    def poisoned(*args: Any, **options: Any) -> Vector:
        array: Vector = empty(*args, **options)
        if array.dtype.kind == "f":
            array.fill(np.nan)
        return array

    monkeypatch.setattr(np, "empty", poisoned)
    with pytest.raises(DivergedError, match=r"at step 6 .*the first bad number was infinity"):
        fit(net(), pictures(300), SGD(explodes), batch_size=100, epochs=3)
