"""Lit columns, the staircases that batches make of them, and that neither changes what is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glassnet.data import Preprocessing, Samples
from glassnet.data.batches import Batches
from glassnet.data.columns import LEAST_STEP, SMALL, LitColumns, Raised, Staircase, lit_columns

Array = NDArray[Any]


def test_columns_in_the_order_of_how_often_they_are_lit() -> None:
    features = np.array([[0, 9, 0, 1, 0], [0, 9, 0, 0, 0], [0, 9, 3, 2, 0], [0, 0, 0, 5, 0]], np.uint8)
    columns = lit_columns(features, Preprocessing(1 / 255))
    assert columns is not None
    assert columns.order.tolist() == [1, 3, 2, 0, 4]  # 3, 3, 1, 0 and 0 times; the first of equals comes first
    np.testing.assert_array_equal(columns.features, features[:, columns.order])
    assert columns.reach.tolist() == [2, 1, 3, 2]
    assert columns.lit == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 3, 8, 30])
def test_nothing_is_lit_after_the_reach(dtype: Any, width: int) -> None:
    rng = np.random.default_rng(width)
    features = (rng.integers(0, 100, (777, width)) * (rng.random((777, width)) < 0.1)).astype(dtype)
    features[5] = 0
    columns = lit_columns(features, Preprocessing())
    if columns is None:
        assert width * np.dtype(dtype).itemsize <= 8  # all in one word
        return
    for row, reach in zip(columns.features, columns.reach, strict=True):
        assert not row[reach:].any()
    last = np.array([max(np.flatnonzero(row), default=0) + 1 for row in columns.features])
    assert (columns.reach - last < 8).all()  # and little further than it must be: what lies in one word of eight bytes
    assert columns.lit == columns.reach.max()


@pytest.mark.parametrize("shape", [(300, 28), (300, 8), (1, 40)])
def test_where_all_is_dark_one_column_is_left(shape: tuple[int, int]) -> None:
    columns = lit_columns(np.zeros(shape, np.uint8), Preprocessing())
    assert columns is not None
    assert (columns.lit, set(columns.reach.tolist())) == (1, {1})
    assert lit_columns(np.ones((20, 1), np.uint8), Preprocessing()) is None


@pytest.mark.parametrize(
    ("features", "preprocessing"),
    [
        (np.eye(20), Preprocessing(invert=True)),
        (np.eye(20), Preprocessing(mean=(0.1,) * 20)),
        (np.ones((20, 20)), Preprocessing()),
        (np.r_[np.eye(20), np.ones((400, 20))], Preprocessing()),
    ],
    ids=["inverted", "centred each", "dense", "dense but for a few"],
)
def test_dense_data_stay_as_they_are(features: Array, preprocessing: Preprocessing) -> None:
    assert lit_columns(features, preprocessing) is None


@pytest.mark.parametrize(("mean", "background"), [(0.0, 0.0), (-0.01, 0.01), (0.3, -0.3)])
def test_columns_on_a_ground_are_those_of_zeros(mean: float, background: float) -> None:
    features = np.array([[0, 9, 0, 1, 0], [0, 9, 0, 0, 0], [0, 9, 3, 2, 0], [0, 0, 0, 5, 0]], np.uint8)
    zeros, columns = lit_columns(features, Preprocessing()), lit_columns(features, Preprocessing(0.5, mean=mean))
    assert columns is not None
    assert zeros is not None
    assert (columns.background, zeros.background) == (background, 0.0)
    assert columns.lit == zeros.lit
    for name in ("order", "features", "reach"):
        np.testing.assert_array_equal(getattr(columns, name), getattr(zeros, name))


# ----------------------------------------------------------------------------------------------------- staircases


def stairs(n: int, columns: int, dtype: Any = np.float64, seed: int = 0) -> tuple[Array, Array]:
    """A matrix whose rows reach less and less far, and how far."""
    rng = np.random.default_rng([n, columns, seed])
    reach = np.sort(rng.integers(1, columns + 1, n))[::-1].astype(np.intp)
    reach[0] = columns
    array = rng.normal(size=(n, columns)).astype(dtype)
    array[np.arange(columns) >= reach[:, np.newaxis]] = 0
    return array, reach


# The small ones are multiplied some rows at a time, those of 600 outputs and of 400 rows strip by strip.
SHAPES = [(2, 5, 3), (13, 40, 100), (50, 700, 100), (100, 620, 100), (160, 300, 100), (400, 600, 100), (128, 640, 600)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("known", [True, False], ids=["reach", "no reach"])
def test_a_staircase_multiplies_like_its_array(shape: tuple[int, int, int], dtype: Any, known: bool) -> None:
    n, columns, outputs = shape
    array, reach = stairs(n, columns, dtype)
    x = Staircase(array, reach if known else None)
    rng = np.random.default_rng(1)
    W = rng.normal(size=(columns + 7, outputs)).astype(dtype)
    dy = rng.normal(size=(n, outputs)).astype(dtype)
    W[columns:] = np.nan  # belongs to columns that nobody reaches
    tolerance = {"rtol": 0, "atol": 1e-3 if dtype == np.float32 else 1e-11}
    y = np.full((n, outputs), np.nan, dtype)
    assert x.dot(W, out=y) is y
    np.testing.assert_allclose(y, array @ W[:columns], **tolerance)
    dW = np.full_like(W, 7)
    assert x.T.dot(dy, out=dW) is dW
    np.testing.assert_allclose(dW[:columns], array.T @ dy, **tolerance)
    assert (dW[columns:] == 7).all()
    assert (len(x), x.shape, x.ndim) == (n, array.shape, 2)
    np.testing.assert_array_equal(np.asarray(x), array)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("known", [True, False], ids=["reach", "no reach"])
def test_a_raised_staircase_multiplies_like_its_array(shape: tuple[int, int, int], known: bool) -> None:
    n, columns, outputs = shape
    array, reach = stairs(n, columns)
    plain = np.concatenate([array, np.zeros((n, 7))], axis=1) + 0.4  # seven more columns that nobody reaches
    x = Raised(array, reach if known else None, background=0.4, width=columns + 7)
    rng = np.random.default_rng(1)
    W, dy = rng.uniform(0.1, 1, (columns + 7, outputs)), rng.uniform(0.1, 1, (n, outputs))
    W[::3] *= -0.2  # no sum is near zero, so that the error is one of the products
    dy[::3] *= -0.2
    y = np.full((n, outputs), np.nan)
    assert x.dot(W, out=y) is y
    scale = np.abs(plain) @ np.abs(W)
    assert (np.abs(y - np.einsum("nd,do->no", plain, W)) < 1e-12 * scale).all()
    dW = np.full_like(W, np.nan)
    assert x.T.dot(dy, out=dW) is dW
    scale = np.abs(plain).T @ np.abs(dy)
    assert (np.abs(dW - np.einsum("nd,no->do", plain, dy)) < 1e-12 * scale).all()
    assert (len(x), x.shape, x.ndim) == (n, plain.shape, 2)
    np.testing.assert_array_equal(np.asarray(x), plain)
    assert np.asarray(x, np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="without a copy"):
        np.array(x, copy=False)


def test_a_raised_staircase_can_be_put_over_another_array() -> None:
    x = Raised(*stairs(5, 4), background=-2.0, width=6)
    x.dot(np.ones((6, 3)), out=np.empty((5, 3)))
    array, reach = stairs(450, 500, seed=1)
    wide = Raised(array[:1, :1], None, background=-2.0, width=600)
    assert wide.put(array, reach) is wide
    wanted = array.sum(axis=1) - 1200
    np.testing.assert_allclose(wide.dot(np.ones((600, 100)), out=np.empty((450, 100)))[:, 99], wanted, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_strips_leave_out_nothing_that_is_lit(shape: tuple[int, int, int]) -> None:
    n, columns, outputs = shape
    array, reach = stairs(n, columns)
    strips = Staircase(array, reach).strips(outputs)
    edges = [start for _, start, _ in strips] + [columns]
    assert edges[0] == 0
    assert [stop for _, _, stop in strips] == edges[1:]
    for rows, start, stop in strips:
        assert start < stop
        assert not array[rows:, start:stop].any()


@pytest.mark.parametrize("shape", [(50, 700, 100), (100, 620, 100), (400, 600, 100), (128, 640, 600)])
def test_a_third_of_an_even_slope_is_not_multiplied(
    shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    n, columns, outputs = shape
    reach = np.linspace(columns, 1, n).astype(np.intp)  # half of the array is dark
    array = np.where(np.arange(columns) < reach[:, np.newaxis], 1.0, 0.0)
    x, products = Staircase(array, reach), []
    matmul = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b, out: products.append(a.size) or matmul(a, b, out=out))
    x.dot(np.ones((columns, outputs)), out=np.empty((n, outputs)))
    assert array.size / 2 < sum(products) < array.size * 0.7
    products.clear()
    x.T.dot(np.ones((n, outputs)), out=np.empty((columns, outputs)))
    assert array.size / 2 < sum(products) < array.size * 0.7


def test_small_products_are_as_large_as_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    array, reach = stairs(100, 620)
    x, products = Staircase(array, reach), []
    matmul = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b, out: products.append(a.size * 100) or matmul(a, b, out=out))
    x.dot(np.ones((620, 100)), out=np.empty((100, 100)))
    x.T.dot(np.ones((100, 100)), out=np.empty((620, 100)))
    assert max(products) <= SMALL
    assert len(products) < 20


def test_a_large_staircase_has_no_step_that_is_not_worth_it() -> None:
    reach = np.r_[np.full(300, 200), np.full(100, 200 - LEAST_STEP + 1)].astype(np.intp)
    assert Staircase(np.ones((400, 200)), reach).strips(100) == [(400, 0, 200)]
    reach = np.r_[np.full(100, 200), np.full(300, 200 - LEAST_STEP)].astype(np.intp)
    assert Staircase(np.ones((400, 200)), reach).strips(100) == [(400, 0, 184), (220, 184, 200)]


def test_a_staircase_can_be_put_over_another_array() -> None:
    x = Staircase(*stairs(400, 600))
    x.dot(np.ones((600, 100)), out=np.empty((400, 100)))
    array, reach = stairs(450, 500, seed=1)
    assert x.put(array, reach) is x
    np.testing.assert_allclose(x.dot(np.ones((500, 100)), out=np.empty((450, 100)))[:, 0], array.sum(axis=1))


# ----------------------------------------------------------------------------------------------- batches of staircases

N = 230


def batches(batch_size: int | str = 50, **options: Any) -> tuple[LitColumns, Batches]:
    rng = np.random.default_rng(0)
    features = (rng.integers(1, 256, (N, 200)) * (rng.random((N, 200)) < np.linspace(0, 0.5, 200) ** 2)).astype(
        np.uint8
    )
    columns = lit_columns(features, Preprocessing(1 / 255))
    assert columns is not None
    targets = np.eye(N)  # which sample it is
    samples = Samples(features, np.arange(N))
    return columns, Batches(
        samples, Preprocessing(1 / 255), targets, batch_size=batch_size, columns=columns, dtype=np.float64, **options
    )


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("block", [None, 7])
@pytest.mark.parametrize("batch_size", [1, 2, 50, "full"])
def test_shares_are_the_batch_whoever_takes_them_and_in_whatever_order(
    batch_size: int | str, block: int | None, workers: int, sort: bool, shuffle: bool
) -> None:
    options: dict[str, Any] = {"block": block, "sort": sort, "shuffle": shuffle}
    columns, plain = batches(batch_size, sort=False, shuffle=shuffle)
    shares = [batches(batch_size, share=(rank, workers), **options)[1] for rank in range(workers)]
    for epoch, number in ((0, 0), (0, plain.count - 1), (1, plain.count // 2)):
        wanted = sorted(row for b in plain.blocks(epoch, number) for row in np.arange(N)[b.rows].tolist())
        found: list[int] = []
        for share in shares:
            before = np.inf
            for batch in share.blocks(epoch, number):
                rows = np.arange(N)[batch.rows]
                found += rows.tolist()
                np.testing.assert_array_equal(batch.t, np.eye(N)[rows])
                x = np.asarray(batch.x)
                np.testing.assert_array_equal(x, columns.features[rows, : x.shape[1]] * (1 / 255))
                assert not columns.features[rows, x.shape[1] :].any()
                assert x.shape[1] == columns.reach[rows].max() <= share.reach(epoch, number)
                if sort:
                    assert (np.diff(columns.reach[rows]) <= 0).all()
                    assert x.shape[1] <= before
                    before = columns.reach[rows].min()
        assert sorted(found) == wanted
        assert shares[0].reach(epoch, number) == (columns.lit if batch_size == "full" else columns.reach[wanted].max())


@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("batch_size", [2, 50, "full"])
def test_batches_on_a_ground_have_all_columns(batch_size: int | str, workers: int, shuffle: bool, sort: bool) -> None:
    columns, plain = batches(batch_size, shuffle=shuffle, sort=sort)
    preprocessing = Preprocessing(0.99 / 255, mean=-0.01)
    raised = lit_columns(plain.samples.features, preprocessing)
    assert raised is not None
    x = preprocessing.apply(plain.samples.features, dtype=np.float64)[:, columns.order]
    for rank in range(workers):
        share = Batches(plain.samples, preprocessing, np.eye(N), batch_size=batch_size, columns=raised, block=7,
                        dtype=np.float64, shuffle=shuffle, sort=sort, share=(rank, workers))  # fmt: skip
        assert share.reach(0, 1) == 200
        for batch in share.blocks(0, 0):
            assert batch.x.shape == (len(batch.t), 200)
            np.testing.assert_allclose(np.asarray(batch.x), x[batch.rows], rtol=0, atol=1e-15)


@pytest.mark.parametrize("batch_size", [50, "full"])
def test_shares_of_a_sorted_batch_reach_about_equally_far(batch_size: int | str) -> None:
    columns, _ = batches()
    means = []
    for rank in range(2):
        _, share = batches(batch_size, share=(rank, 2))
        means.append(np.mean([columns.reach[batch.rows].mean() for batch in share.blocks(0, 0)]))
    assert abs(means[0] - means[1]) < 3


def test_a_sorted_batch_is_a_staircase() -> None:
    _, sorted_ones = batches(50)
    (batch,) = sorted_ones.blocks(0, 1)
    assert len(batch.x.strips(10_000)) > 1
    _, others = batches(50, sort=False)
    (batch,) = others.blocks(0, 1)
    assert batch.x.strips(10_000) == [(50, 0, batch.x.shape[1])]
