"""Batches: every sample once an epoch, as a pure function of (seed, epoch, number)."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glassnet.data import Preprocessing, Samples
from glassnet.data.batches import Batch, Batches
from glassnet.errors import ConfigError

N = 23
PICTURES = np.arange(N * 6, dtype=np.uint8).reshape(N, 2, 3)
LABELS = np.arange(N) % 4
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]


def make(samples: Samples | None = None, **options: Any) -> Batches:
    samples = Samples(PICTURES, LABELS) if samples is None else samples
    preprocessing = options.pop("preprocessing", Preprocessing())
    return Batches(samples, preprocessing, options.pop("targets", ONE_HOT), **options)


def only(batches: Batches, epoch: int, number: int) -> Batch:
    """The one block of a batch."""
    (batch,) = batches.blocks(epoch, number)
    return batch


def copy_of(batch: Batch) -> tuple[NDArray[Any], ...]:
    return tuple(np.array(part) for part in (batch.x, batch.t) if part is not None)


def rows_of(batch: Batch) -> list[int]:
    return list(range(N))[batch.rows] if isinstance(batch.rows, slice) else list(batch.rows)


def epoch_rows(batches: Batches, epoch: int) -> list[int]:
    return [row for number in range(batches.count) for row in rows_of(only(batches, epoch, number))]


@pytest.mark.parametrize("batch_size", [1, 4, 22, 23, 100, "full"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_sample_comes_once_an_epoch(batch_size: int | str, shuffle: bool) -> None:
    batches = make(batch_size=batch_size, shuffle=shuffle)
    for epoch in range(3):
        assert sorted(epoch_rows(batches, epoch)) == list(range(N))


def test_the_last_short_batch_is_used() -> None:
    batches = make(batch_size=5)
    assert batches.count == 5
    assert [len(only(batches, 0, number).x) for number in range(5)] == [5, 5, 5, 5, 3]
    assert [only(batches, 0, 4).t.shape, only(batches, 0, 0).t.shape] == [(3, 4), (5, 4)]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_holds_the_samples_it_names(shuffle: bool) -> None:
    batches = make(batch_size=5, shuffle=shuffle)
    for number in range(batches.count):
        batch = only(batches, 1, number)
        np.testing.assert_array_equal(batch.x, [[[6 * r + 3 * i + j for j in range(3)] for i in range(2)]
                                                for r in rows_of(batch)])  # fmt: skip
        assert batch.t.argmax(axis=1).tolist() == [row % 4 for row in rows_of(batch)]
        assert batch.x.dtype == np.float32
        assert batch.weights is None


def test_a_batch_depends_on_seed_epoch_and_number_alone() -> None:
    first, second = make(batch_size=4, seed=7), make(batch_size=4, seed=7)
    wanted = {(epoch, number): copy_of(only(first, epoch, number)) for epoch in range(3) for number in range(6)}
    for epoch, number in sorted(wanted, key=lambda place: (place[1], -place[0])):  # another order of asking
        for a, b in zip(wanted[epoch, number], only(second, epoch, number)[:2], strict=True):
            np.testing.assert_array_equal(a, b)


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(epoch_rows(make(batch_size=4, seed=seed), epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert tuple(range(N)) not in orders


def test_the_order_does_not_depend_on_the_batch_size() -> None:
    assert epoch_rows(make(batch_size=4, seed=3), 2) == epoch_rows(make(batch_size=7, seed=3), 2)


def test_unshuffled_batches_come_in_the_order_of_the_samples() -> None:
    batches = make(batch_size=6, shuffle=False)
    assert epoch_rows(batches, 0) == epoch_rows(batches, 5) == list(range(N))


def test_the_full_batch_is_the_whole_split_in_order_and_made_once() -> None:
    batches = make(batch_size="full", shuffle=True)
    assert (batches.count, batches.batch_size) == (1, N)
    batch = only(batches, 0, 0)
    np.testing.assert_array_equal(batch.x, PICTURES)
    assert only(batches, 4, 0).x is batch.x


@pytest.mark.parametrize("batch_size", [5, "full"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_are_preprocessed(batch_size: int | str, dtype: Any) -> None:
    preprocessing = Preprocessing(scale=0.5, invert=True, mean=tuple(range(6)))
    batches = make(preprocessing=preprocessing, batch_size=batch_size, dtype=dtype)
    batch = only(batches, 0, 0)
    row, x = rows_of(batch)[2], batch.x[2].ravel().tolist()
    assert batch.x.dtype == dtype
    assert x == [1 - 0.5 * (6 * row + i) - i for i in range(6)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_])
def test_features_of_other_types(dtype: Any) -> None:
    features = (np.arange(N * 2) % 2).reshape(N, 2).astype(dtype)
    batch = only(make(Samples(features, LABELS), batch_size=4, preprocessing=Preprocessing(scale=3.0)), 0, 1)
    assert batch.x.tolist() == [[0.0, 3.0]] * 4


@pytest.mark.parametrize("batch_size", [5, "full"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_weights_go_with_their_samples(batch_size: int | str, shuffle: bool) -> None:
    samples = Samples(PICTURES, LABELS, np.arange(N) / 2)
    batches = make(samples, batch_size=batch_size, shuffle=shuffle)
    for number in range(batches.count):
        batch = only(batches, 0, number)
        assert batch.weights is not None
        assert batch.weights.tolist() == [row / 2 for row in rows_of(batch)]
        assert batch.weights.dtype == np.float32


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True, None, "half"])
def test_a_batch_size_that_is_none_is_refused(batch_size: Any) -> None:
    with pytest.raises(ConfigError, match="batch size"):
        make(batch_size=batch_size)


def test_no_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match="no samples"):
        make(Samples(PICTURES[:0], LABELS[:0]))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_a_batch_allocates_next_to_nothing(shuffle: bool, dtype: Any) -> None:
    n = 1000  # a batch of 100 pictures is 314 KB of float32
    features = np.ones((n, 28, 28), dtype)
    samples = Samples(features, np.zeros(n, np.int64), np.ones(n))
    batches = make(samples, targets=np.ones((n, 10), np.float32), batch_size=100, shuffle=shuffle)
    for number in range(batches.count):
        only(batches, 0, number)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for number in range(batches.count):
            only(batches, 0, number)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - before < 64 * 1024
