import math
import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from glassnet import functional
from glassnet.functional import SCRATCH, normal_tail, relu, relu_derivative, softmax, softmax_backward

ALPHA = {"leaky_relu": 0.3, "elu": 1.7}


def sigmoid_by_hand(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


BY_HAND = {
    "sigmoid": sigmoid_by_hand,
    "tanh": math.tanh,
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky_relu": lambda z: z if z > 0 else 0.3 * z,
    "elu": lambda z: z if z > 0 else 1.7 * math.expm1(z),
    "softplus": lambda z: math.log1p(math.exp(z)) if z < 30 else z + math.log1p(math.exp(-z)),
    "silu": lambda z: z * sigmoid_by_hand(z),
    "gelu": lambda z: z * 0.5 * math.erfc(-z / math.sqrt(2)),
}
FROM_INPUT = {"silu", "gelu"}
"""Whose derivative is written in terms of z, not of y."""
NAMES = sorted(SCRATCH)
POINTS = np.concatenate(
    [
        [0.0, -0.0, 1e-300, -1e-300, 1e-20, -1e-20, 1e-8, -1e-8, 700.0, -700.0, 1e4, -1e4],
        np.linspace(-40, 40, 401),
        np.random.default_rng(1).normal(size=300),
    ]
)
each = pytest.mark.parametrize("name", NAMES)
both = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def pair(name):
    """Return f and its derivative as functions of (array, out=, scratch=)."""
    f, df = getattr(functional, name), getattr(functional, f"{name}_derivative")
    if name in ALPHA:
        return partial(f, alpha=ALPHA[name]), partial(df, alpha=ALPHA[name])
    return f, df


def slope(name, z):
    f, df = pair(name)
    return df(z if name in FROM_INPUT else f(z))


def test_every_pair_is_tested():
    assert set(BY_HAND) == set(SCRATCH)


@each
def test_f_is_what_math_gives_point_by_point(name):
    f, _ = pair(name)
    expected = np.array([BY_HAND[name](float(z)) for z in POINTS])
    np.testing.assert_allclose(f(POINTS), expected, rtol=2e-15, atol=2e-15)


@each
def test_f_in_float32_agrees_to_its_precision(name):
    f, _ = pair(name)
    z = POINTS.astype(np.float32)
    expected = np.array([BY_HAND[name](float(v)) for v in z])
    # the sigmoid is right to an absolute 1e-7, so z times the sigmoid is to 1e-7 |z|
    np.testing.assert_array_less(np.abs(f(z) - expected), 3e-7 * np.maximum(1, np.abs(z)))


@each
def test_the_derivative_is_the_limit_of_differences(name):
    f, _ = pair(name)
    z = np.concatenate([np.linspace(-30, 30, 241), np.random.default_rng(2).normal(size=200)])
    z = z[np.abs(z) > 1e-3]  # away from the kink of the rectifiers
    e = 1e-5
    np.testing.assert_allclose(slope(name, z), (f(z + e) - f(z - e)) / (2 * e), atol=1e-9)


@pytest.mark.parametrize(
    ("name", "at_zero"),
    [
        ("sigmoid", 0.25),
        ("tanh", 1.0),
        ("relu", 0.0),
        ("leaky_relu", 0.3),
        ("elu", 1.7),
        ("softplus", 0.5),
        ("silu", 0.5),
        ("gelu", 0.5),
    ],
)
def test_the_derivative_at_plus_and_minus_zero(name, at_zero):
    np.testing.assert_allclose(slope(name, np.array([0.0, -0.0])), [at_zero, at_zero], rtol=1e-15)


@each
@both
def test_finite_and_right_at_the_ends(name, dtype):
    f, _ = pair(name)
    z = np.array([-1e4, 1e4], dtype)
    below, above = {"sigmoid": (0, 1), "tanh": (-1, 1), "leaky_relu": (-3e3, 1e4), "elu": (-1.7, 1e4)}.get(
        name, (0, 1e4)
    )
    np.testing.assert_allclose(f(z), [below, above], rtol=1e-6)
    flat = {"sigmoid": (0, 0), "tanh": (0, 0), "leaky_relu": (0.3, 1)}.get(name, (0, 1))
    np.testing.assert_allclose(slope(name, z), flat, atol=1e-6)


@each
@both
def test_writes_into_out_and_scratch_and_nothing_else(name, dtype):
    f, df = pair(name)
    z = np.random.default_rng(3).normal(0, 3, (7, 5)).astype(dtype)
    kept = z.copy()
    y = f(z)
    out, scratch = np.full_like(z, np.nan), np.full((SCRATCH[name], *z.shape), np.nan, dtype)
    assert f(z, out=out, scratch=scratch) is out
    assert out.tobytes() == y.tobytes()
    assert z.tobytes() == kept.tobytes()

    source = z if name in FROM_INPUT else y
    plain = df(source)
    kept = source.copy()
    out, scratch = np.full_like(z, np.nan), np.full((SCRATCH[name], *z.shape), np.nan, dtype)
    assert df(source, out=out, scratch=scratch) is out
    assert out.tobytes() == plain.tobytes()
    assert source.tobytes() == kept.tobytes()
    assert y.dtype == plain.dtype == dtype


def allocated(function, *args, **options):
    """Return how many bytes more there were, at most, while a function ran."""
    function(*args, **options)
    tracemalloc.start()
    try:
        function(*args, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@each
def test_with_out_and_scratch_nothing_is_allocated(name):
    z = np.random.default_rng(3).normal(0, 3, (200, 500))
    out, scratch = np.empty_like(z), np.empty((SCRATCH[name], *z.shape))
    for f in pair(name):
        assert allocated(f, z, out=out, scratch=scratch) < z.nbytes / 50  # but for iterators and views


def test_with_room_softmax_allocates_nothing():
    z = np.random.default_rng(3).normal(0, 3, (20_000, 10))
    out, columns, row = np.empty_like(z), np.empty((10, 20_000)), np.empty(20_000)
    assert allocated(softmax, z, out, columns, row) < row.nbytes / 2
    assert allocated(softmax_backward, z, z, out, row[:, np.newaxis]) < row.nbytes / 2


def test_the_tail_in_float32_takes_the_shorter_polynomial(monkeypatch):
    monkeypatch.setattr(functional, "_TAIL_FLOAT64", None)
    assert normal_tail(np.ones(3, np.float32)) == pytest.approx(math.erfc(1 / math.sqrt(2)) / 2, rel=1e-6)


@both
def test_relu_may_compare_with_an_array_of_zeros(dtype):
    z = np.concatenate([POINTS, -POINTS]).astype(dtype)
    zeros = np.zeros_like(z)
    y = relu(z)
    assert relu(z, zeros=zeros).tobytes() == y.tobytes()
    assert relu_derivative(y, zeros=zeros).tobytes() == relu_derivative(y).tobytes()


@each
@both
def test_in_place_gives_the_same_bits(name, dtype):
    f, _ = pair(name)
    z = np.concatenate([POINTS, -POINTS]).astype(dtype)
    expected = f(z)
    assert f(z, out=z) is z
    assert z.tobytes() == expected.tobytes()


reals = arrays(
    np.float64,
    array_shapes(min_dims=1, max_dims=3, max_side=4),
    elements=st.floats(-1e4, 1e4, allow_subnormal=False),
)


@settings(deadline=None)
@given(z=reals)
def test_f_stays_within_its_bounds(z):
    for name in NAMES:
        y = pair(name)[0](z)
        least = {"tanh": -1.0, "elu": -1.7, "silu": -0.27847, "gelu": -0.16998}.get(name, 0.0)
        if name != "leaky_relu":
            assert (y >= least).all()
        if name in ("sigmoid", "tanh"):
            assert (y <= 1).all()
        if name not in ("sigmoid", "softplus"):
            assert (np.abs(y) <= 1.7 * np.abs(z)).all()  # all others pass through the origin
        assert y.shape == z.shape


@settings(deadline=None)
@given(z=arrays(np.float64, 50, elements=st.floats(-1e4, 1e4, allow_subnormal=False)))
def test_f_never_falls(z):
    z.sort()
    for name in sorted(set(NAMES) - FROM_INPUT):
        y = pair(name)[0](z)
        assert (np.diff(y) >= -1e-15 * np.maximum(1, np.abs(y[1:]))).all(), name


@settings(deadline=None)
@given(z=reals)
def test_symmetries(z):
    f = {name: pair(name)[0] for name in NAMES}
    np.testing.assert_allclose(f["sigmoid"](-z), 1 - f["sigmoid"](z), atol=1e-15)
    np.testing.assert_array_equal(f["tanh"](-z), -f["tanh"](z))
    for name in ("relu", "softplus", "silu", "gelu"):  # f(z) - f(-z) = z
        np.testing.assert_allclose(f[name](z) - f[name](-z), z, rtol=1e-14, atol=1e-15)


# ----- the tail of the normal distribution


def test_normal_tail_to_1e_15():
    a = np.concatenate([np.linspace(0, 12, 40_001), np.geomspace(1e-12, 1e4, 500)])
    expected = np.array([math.erfc(v / math.sqrt(2)) / 2 for v in a])
    assert np.abs(normal_tail(a) - expected).max() < 1e-15


def test_normal_tail_in_float32():
    a = np.concatenate([np.linspace(0, 12, 4001), np.geomspace(1e-12, 1e4, 500)]).astype(np.float32)
    expected = np.array([math.erfc(float(v) / math.sqrt(2)) / 2 for v in a])
    tail = normal_tail(a)
    assert tail.dtype == np.float32
    assert np.abs(tail - expected).max() < 2e-7


def test_normal_tail_in_place_with_dirty_scratch():
    a = np.linspace(0, 9, 100)
    expected = normal_tail(a)
    assert normal_tail(a, out=a, scratch=np.full((2, 100), np.nan)) is a
    assert a.tobytes() == expected.tobytes()


# ----- softmax

scores = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 6)), elements=st.floats(-1e4, 1e4))


@settings(deadline=None)
@given(z=scores)
def test_softmax_rows_are_distributions_in_the_order_of_the_scores(z):
    y = softmax(z)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-14)
    assert (y >= 0).all()
    for scores_of_row, row in zip(z, y, strict=True):
        assert (np.diff(row[np.argsort(scores_of_row)]) >= 0).all()


@settings(deadline=None)
@given(z=scores, shift=st.integers(-1000, 1000))
def test_softmax_does_not_see_a_shift(z, shift):
    np.testing.assert_allclose(softmax(z + shift), softmax(z), rtol=1e-10, atol=1e-300)


def test_softmax_by_hand():
    z = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]])
    np.testing.assert_allclose(softmax(z), [[1 / 8, 2 / 8, 5 / 8], [3 / 8, 3 / 8, 2 / 8]], rtol=1e-15)


@both
def test_softmax_of_extreme_scores(dtype):
    y = softmax(np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [0, 1e4, 1e4]], dtype))
    np.testing.assert_allclose(y, [[1, 0, 0], [1 / 3] * 3, [0, 0.5, 0.5]], rtol=1e-6)
    assert y.dtype == dtype


@both
def test_softmax_in_place_with_a_dirty_row(dtype):
    z = np.random.default_rng(4).normal(size=(6, 4)).astype(dtype)
    expected = softmax(z)
    assert softmax(z, z, np.full((4, 6), np.nan, dtype), np.full(6, np.nan, dtype)) is z
    assert z.tobytes() == expected.tobytes()


@both
def test_softmax_backward_is_the_jacobian_times_dy(dtype):
    rng = np.random.default_rng(5)
    y = softmax(rng.normal(0, 2, (6, 4)).astype(dtype))
    dy = rng.normal(size=(6, 4)).astype(dtype)
    jacobian = np.zeros((6, 4, 4))  # d y_c / d z_k
    for n in range(6):
        for c in range(4):
            for k in range(4):
                jacobian[n, c, k] = y[n, c] * ((c == k) - y[n, k])
    expected = np.einsum("nc,nck->nk", dy, jacobian)
    room = np.full_like(y, np.nan)
    assert softmax_backward(y, dy, room, np.full((6, 1), np.nan, dtype)) is room
    np.testing.assert_allclose(room, expected, atol=1e-6 if dtype == np.float32 else 1e-15)
    assert softmax_backward(y, dy).tobytes() == room.tobytes()
