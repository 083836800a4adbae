"""Preprocessing: numbers worked out by hand, bits against fractions, and no memory beyond the result."""

from __future__ import annotations

import dataclasses
import json
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from glassnet.data import Preprocessing
from glassnet.errors import ConfigError, DataError

PIXELS = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)


def test_nothing_by_default() -> None:
    x = Preprocessing().apply(PIXELS)
    assert x.dtype == np.float32
    assert x.tolist() == PIXELS.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scaled_pixels_are_the_nearest_product(dtype: type) -> None:
    x = Preprocessing(scale=1 / 255).apply(PIXELS, dtype=dtype)
    scale = Fraction(float(dtype(1 / 255)))  # exact value of the factor in this type
    digits = 24 if dtype is np.float32 else 53
    for pixel, value in enumerate(x.ravel().tolist()):
        error = abs(Fraction(value) - pixel * scale)
        assert error <= pixel * scale / 2**digits  # half a unit in the last place: rounded once
    assert x.ravel()[0] == 0
    assert x.ravel()[255] == 1


def test_order_of_the_steps() -> None:
    # u = 0.5 raw: 1, 2; inverted: 0, -1; less 3: -3, -4
    x = Preprocessing(scale=0.5, invert=True, mean=3.0).apply(np.array([[2, 4]]))
    assert x.tolist() == [[-3.0, -4.0]]


def test_one_mean_for_each_feature_in_flattened_order() -> None:
    raw = np.array([[[10, 20], [30, 40]], [[11, 21], [31, 41]]], np.int16)  # (2, 2, 2)
    x = Preprocessing(mean=(1.0, 2.0, 3.0, 4.0)).apply(raw)
    assert x.tolist() == [[[9, 18], [27, 36]], [[10, 19], [28, 37]]]


@pytest.mark.parametrize("raw_dtype", [bool, np.int8, np.uint16, np.int64, np.uint64, np.float16, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_real_type(raw_dtype: type, dtype: type) -> None:
    raw = np.array([[0, 1], [1, 0]], raw_dtype)
    for mean in (0.25, (0.25, 0.25)):
        x = Preprocessing(scale=0.5, invert=True, mean=mean).apply(raw, dtype=dtype)
        assert x.dtype == dtype
        assert x.tolist() == [[0.75, 0.25], [0.25, 0.75]]


def test_result_is_contiguous_for_any_strides() -> None:
    raw = PIXELS.transpose(2, 0, 1)[::2]
    x = Preprocessing(mean=tuple(range(32))).apply(raw)
    assert x.flags.c_contiguous
    assert x[1, 3, 7] == raw[1, 3, 7] - 31.0


def test_numpy_scalars_become_python_numbers() -> None:
    made = Preprocessing(scale=np.float64(0.5), mean=(np.float32(0.25), 1))  # type: ignore[arg-type]
    assert type(made.scale) is float
    assert [type(m) for m in made.mean] == [float, float]  # type: ignore[union-attr]
    assert made.apply(np.zeros((1, 2))).dtype == np.float32


def test_json_there_and_back() -> None:
    made = Preprocessing(scale=1 / 255, invert=True, mean=(0.1, 1 / 3))
    text = json.dumps(dataclasses.asdict(made))
    assert Preprocessing(**json.loads(text)) == made
    assert hash(Preprocessing(**json.loads(text))) == hash(made)


def test_empty_batches_and_single_numbers() -> None:
    assert Preprocessing(mean=(1.0, 2.0)).apply(np.zeros((0, 2))).shape == (0, 2)
    assert Preprocessing(mean=(1.0,)).apply(np.array([3, 4])).tolist() == [2.0, 3.0]


def test_out_takes_the_result_and_nothing_else_is_allocated() -> None:
    raw = np.random.default_rng(0).integers(0, 256, (1000, 28, 28), np.uint8)
    made = Preprocessing(scale=1 / 255, invert=True, mean=(0.1,) * 784)
    out = np.full(raw.shape, np.nan, np.float32)
    tracemalloc.start()
    assert made.apply(raw, out=out) is out
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes / 10
    assert out.tobytes() == made.apply(raw).tobytes()


def test_float32_in_place() -> None:
    raw = np.array([[1.0, 2.0]], np.float32)
    assert Preprocessing(scale=2.0, mean=1.0).apply(raw, out=raw) is raw
    assert raw.tolist() == [[1.0, 3.0]]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"scale": float("nan")}, "scale"),
        ({"scale": float("inf")}, "scale"),
        ({"scale": 10**400}, "scale"),
        ({"scale": "1"}, "scale"),
        ({"scale": None}, "scale"),
        ({"scale": True}, "scale"),
        ({"scale": 1j}, "scale"),
        ({"invert": 1}, "invert"),
        ({"invert": "no"}, "invert"),
        ({"mean": "0.5"}, "mean"),
        ({"mean": float("-inf")}, "mean"),
        ({"mean": (0.5, float("nan"))}, r"mean\[1\]"),
        ({"mean": [[0.5]]}, r"mean\[0\]"),
        ({"mean": np.zeros(2)}, "mean"),
    ],
)
def test_senseless_fields(fields: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=f"^preprocessing: {word} is .*; give"):
        Preprocessing(**fields)  # type: ignore[arg-type]


def test_features_that_do_not_fit_the_mean() -> None:
    with pytest.raises(DataError, match="6 features, and the preprocessing has means for 4"):
        Preprocessing(mean=(0.0,) * 4).apply(np.zeros((5, 2, 3)))


@pytest.mark.parametrize("raw", [np.float64(3), np.array([["a"]]), np.array([[1j]]), np.array([[None]])])
def test_raw_that_is_no_table_of_real_numbers(raw: np.ndarray) -> None:
    with pytest.raises(DataError, match="not samples of real numbers"):
        Preprocessing().apply(raw)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.complex64, "U5"])
def test_types_that_networks_do_not_use(dtype: object) -> None:
    with pytest.raises(ConfigError, match="float32 or float64"):
        Preprocessing().apply(PIXELS, dtype=dtype)  # type: ignore[arg-type]


@pytest.mark.parametrize("out", [np.empty((4, 64), np.float32), np.empty((4, 8, 8)), np.empty((8, 8, 4), np.float32).T])
def test_out_that_does_not_fit(out: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="C-contiguous"):
        Preprocessing().apply(PIXELS, out=out)


# ------------------------------------------------------------------------------------------ another range


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("mean", [0.0, 0.25, (0.25, -0.5, 0.0)])
@pytest.mark.parametrize(("low", "high"), [(0.01, 1.0), (-1.0, 1.0), (0.0, 0.5), (3, 7)])
def test_a_range_is_what_comes_after(invert: bool, mean: float | tuple[float, ...], low: float, high: float) -> None:
    raw = np.array([[0, 255, 51], [102, 7, 204]], np.uint8)
    plain = Preprocessing(1 / 255, invert, mean)
    u = plain.apply(raw, dtype=np.float64)
    made = plain.to_range(low, high)
    np.testing.assert_allclose(made.apply(raw, dtype=np.float64), u * (high - low) + low, rtol=0, atol=1e-14)
    assert made.invert == invert
    assert type(made.mean) is type(mean)
    assert Preprocessing(**json.loads(json.dumps(dataclasses.asdict(made)))) == made  # a plain one


def test_the_range_from_0_to_1_changes_nothing() -> None:
    plain = Preprocessing(1 / 255, mean=0.1)
    assert plain.to_range(0, 1) is plain
    assert Preprocessing().to_range(0.0, 2.0) == Preprocessing(2.0)


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (1.0, 0.0, r"the range goes from 1\.0 to 0\.0; give the lower number first"),
        (0.5, 0.5, "the range goes from 0.5 to 0.5; give the lower number first"),
        (float("nan"), 1.0, "low is nan; give a finite number"),
        (0.0, float("inf"), "high is inf; give a finite number"),
        ("0", 1.0, "low is '0'; give a finite number"),
        (-1e308, 1e308, "scale is inf; give a finite number"),
    ],
)
def test_senseless_ranges(low: float, high: float, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^preprocessing: {sentence}"):
        Preprocessing().to_range(low, high)


def test_what_a_raw_zero_is() -> None:
    for mean in (0.0, -0.01, 0.3):
        made = Preprocessing(scale=0.5, mean=mean)
        assert made.apply(np.zeros((1, 1)), dtype=np.float64).item() == made.background
    assert math.copysign(1.0, Preprocessing().background or 0.0) == 1.0
    assert Preprocessing(invert=True).background is None
    assert Preprocessing(mean=(0.1, 0.1)).background is None
