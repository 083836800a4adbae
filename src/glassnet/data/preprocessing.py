"""From raw features to the numbers a network sees: scale, inversion, centring."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glassnet.errors import ConfigError, DataError


@dataclass(frozen=True)
class Preprocessing:
    """What happens to raw features before they enter a network; it travels with the model file.

    ::

        u = scale * raw
        u = 1 - u            if invert
        x = u - mean

    All fields are plain Python values, so ``dataclasses.asdict`` gives what JSON can hold, and
    ``Preprocessing(**json.loads(text))`` gives the same preprocessing back (a list becomes a tuple).

    Parameters
    ----------
    scale : float
        Factor on the raw numbers, such as 1/255 for pixels of 0 to 255.
    invert : bool
        Whether 1 - u takes the place of u: for black on white pictures.
    mean : float or tuple of float
        What is taken away last, in the units of u: one number, or one for each feature of a sample in
        flattened (C) order.

    Raises
    ------
    ConfigError
        When a field has the wrong type or is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> pixels = np.array([[0, 255], [51, 102]], np.uint8)
    >>> Preprocessing(scale=1 / 255).apply(pixels).round(6)
    array([[0. , 1. ],
           [0.2, 0.4]], dtype=float32)
    >>> Preprocessing(scale=1 / 255, invert=True, mean=(0.5, 0.0)).apply(pixels).round(6)
    array([[0.5, 0. ],
           [0.3, 0.6]], dtype=float32)

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998, section 4.3: why centring and
    scaling help.
    """

    scale: float = 1.0
    invert: bool = False
    mean: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _number("scale", self.scale))
        if not isinstance(self.invert, bool):
            raise ConfigError(f"preprocessing: invert is {self.invert!r}; give True or False")
        if isinstance(self.mean, (tuple, list)):
            mean: float | tuple[float, ...] = tuple(_number(f"mean[{i}]", m) for i, m in enumerate(self.mean))
        else:
            mean = _number("mean", self.mean)
        object.__setattr__(self, "mean", mean)

    def apply(
        self, raw: NDArray[Any], *, dtype: DTypeLike = np.float32, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Compute x from raw features.

        Every step is one pass in `dtype` over the result, in place: what is computed for uint8 and a scale is
        exactly ``raw.astype(dtype) * dtype(scale)``.

        Parameters
        ----------
        raw : numpy.ndarray, shape (N, ...)
            Features of N samples, of any real type.
        dtype : dtype
            The type of the result: float32 or float64.
        out : numpy.ndarray, shape (N, ...), optional
            C-contiguous array of `dtype` that takes the result.

        Returns
        -------
        numpy.ndarray, shape (N, ...)
            x: `out`, or a new C-contiguous array.

        Raises
        ------
        ConfigError
            When `dtype` is not a floating type that networks use, or `out` does not fit.
        DataError
            When `raw` is not made of real numbers, or has another number of features than `mean`.

        Examples
        --------
        >>> import numpy as np
        >>> raw, buffer = np.array([[3], [5]]), np.empty((2, 1))
        >>> Preprocessing(mean=4).apply(raw, dtype=np.float64, out=buffer) is buffer
        True
        >>> buffer.tolist()
        [[-1.0], [1.0]]
        """
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise ConfigError(f"preprocessing gives float32 or float64, not {dtype}; choose one of them as dtype")
        if raw.ndim == 0 or raw.dtype.kind not in "biuf":
            raise DataError(
                f"raw features of shape {raw.shape} and {raw.dtype} are not samples of real numbers; "
                "give an array of numbers, samples first"
            )
        self.check_features(raw.shape[1:])
        if out is None:
            out = np.empty(raw.shape, dtype)
        elif out.shape != raw.shape or out.dtype != dtype or not out.flags.c_contiguous:
            raise ConfigError(
                f"out of shape {out.shape} and {out.dtype} cannot take features of shape {raw.shape} as "
                f"{dtype}; give a C-contiguous array of that shape and type"
            )
        return self.into(out, raw)

    def into(self, out: NDArray[Any], raw: NDArray[Any]) -> NDArray[Any]:
        """Compute x as `apply` does, into `out`, without its checks: what a training step calls.

        Parameters
        ----------
        out : numpy.ndarray, shape (N, ...)
            C-contiguous, float32 or float64.
        raw : numpy.ndarray, shape (N, ...)
            Features of real numbers; where there is a `background`, those of some columns will do.

        Returns
        -------
        numpy.ndarray, shape (N, ...)
            `out`.

        Examples
        --------
        >>> Preprocessing(scale=0.5).into(np.empty((1, 2)), np.array([[3, 5]]))
        array([[1.5, 2.5]])
        """
        np.copyto(out, raw, casting="same_kind")  # in two passes, since one that converts as well takes longer
        if self.scale != 1.0:
            out *= self.scale  # u = scale * raw
        if self.invert:
            np.subtract(1.0, out, out=out)  # u = 1 - u
        if isinstance(self.mean, tuple):
            flat = out.reshape(len(out), len(self.mean))  # (N, K), a view
            flat -= np.array(self.mean, out.dtype)  # x = u - mean
        elif self.mean:
            out -= self.mean  # x = u - mean
        return out

    @property
    def background(self) -> float | None:
        """What a raw zero is for the network; None where something is inverted, or each feature has its own mean.

        Examples
        --------
        >>> Preprocessing(mean=-0.01).background, Preprocessing(mean=(0.1, 0.2)).background
        (0.01, None)
        """
        return None if self.invert or isinstance(self.mean, tuple) else 0.0 - self.mean

    def to_range(self, low: float, high: float) -> Preprocessing:
        """Return the preprocessing that is followed by x = low + (high - low) u, with u what this one gives.

        Pixels of 0 to 1 come to lie between `low` and `high`. It is a plain preprocessing again, with k = high - low:

        ::

            low + k (s raw - m)      = k s raw - (k m - low)
            low + k (1 - s raw - m)  = 1 - k s raw - (1 - high + k m)      if invert

        Parameters
        ----------
        low, high : float
            What 0 and 1 become.

        Returns
        -------
        Preprocessing
            For 0 and 1 this one.

        Raises
        ------
        ConfigError
            When a bound is not finite, or `low` is not below `high`.

        Examples
        --------
        >>> ranged = Preprocessing(scale=1 / 255).to_range(0.01, 1.0)
        >>> ranged.apply(np.array([[0, 255]], np.uint8)).round(6)
        array([[0.01, 1.  ]], dtype=float32)
        >>> ranged.mean
        -0.01
        """
        low, high = _number("low", low), _number("high", high)
        if not low < high:
            raise ConfigError(f"preprocessing: the range goes from {low} to {high}; give the lower number first")
        if (low, high) == (0.0, 1.0):
            return self
        k, shift = high - low, 1.0 - high if self.invert else -low
        mean = tuple(k * m + shift for m in self.mean) if isinstance(self.mean, tuple) else k * self.mean + shift
        return Preprocessing(k * self.scale, self.invert, mean)

    def check_features(self, input_shape: tuple[int, ...]) -> None:
        """Refuse samples of a shape that does not fit the mean.

        Parameters
        ----------
        input_shape : tuple of int
            The shape of one sample.

        Raises
        ------
        DataError
            When `mean` has one number for each feature and their count is another one.

        Examples
        --------
        >>> Preprocessing(mean=(0.1, 0.2, 0.3, 0.4)).check_features((2, 2))
        """
        if isinstance(self.mean, tuple) and len(self.mean) != math.prod(input_shape):
            raise DataError(
                f"samples of shape {input_shape} have {math.prod(input_shape)} features, and the "
                f"preprocessing has means for {len(self.mean)}; use the preprocessing that was made for "
                "these data"
            )


def _number(name: str, value: object) -> float:
    number = math.nan
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # an int beyond the largest float
            number = float(value)
    if not math.isfinite(number):
        raise ConfigError(f"preprocessing: {name} is {value!r}; give a finite number")
    return number
