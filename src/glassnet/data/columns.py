"""Lit columns: which inputs are ever more than zero, and in which order a batch needs the fewest of them.

Most pixels of a handwritten digit are dark. A dark column of a batch adds nothing to x W, and the gradient of its row
of W is exactly zero, so the product over the other columns is the same one. With the columns in the order of how often
they are lit, those that a batch needs are the first few: one slice of x, of W and of the gradient. With the samples in
the order of how far they reach, x looks like a staircase, and what lies beyond its steps need not be multiplied.

Where a dark pixel is a number c that is the same everywhere, as 0.01 for inputs of 0.01 to 1, x = c + u with u a
staircase, and the ground costs two sums (1 is a column of ones, D rows of W and of its gradient):

    x W    = u W + c 1 (1^T W)
    x^T dy = u^T dy + c 1 (1^T dy)
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.data.preprocessing import Preprocessing

Array = NDArray[Any]

MOST_REACH = 0.9
"""Where samples reach further than this share of the columns, on average, leaving out the rest is not worth it."""

STEPS = (0.08, 0.25, 0.55)
"""Where a large staircase steps down, as shares of its rows."""

LEAST_STEP = 16
"""Columns by which a step must be shorter than the one above: a product more must be worth its call."""

SMALL = 1_000_000
"""Multiplications of a product up to which BLAS (OpenBLAS with AVX-512) reads its operands where they lie; what is
larger it first copies into an order of its own, once more for each product."""

_ROWS = 250  # at a time, so that what is read twice is still in the cache


@dataclass(frozen=True, eq=False)
class LitColumns:
    """The features of some samples with their columns sorted, those that are lit most often first.

    Attributes
    ----------
    order : (D,) the column that stands at each place
    features : (N, K) raw features in that order, K >= `lit`: those that are dark in every sample are left out, but for
        a few that fill up a word
    reach : (N,) for each sample, a number of leading columns after which it is dark
    lit : leading columns that are lit in some sample, the largest reach
    background : what a raw zero is for the network
    """

    order: NDArray[np.intp]
    features: Array
    reach: NDArray[np.intp]
    lit: int
    background: float = 0.0


def lit_columns(features: Array, preprocessing: Preprocessing) -> LitColumns | None:
    """Find the lit columns of raw features (N, ...); None where sorting them would not help.

    That is so where the preprocessing does not make the same number of all zeros, and where samples are dense.

    Examples
    --------
    >>> features = np.array([[0, 0, 7], [0, 9, 8], [0, 0, 6]], np.uint8)
    >>> columns = lit_columns(features, Preprocessing(scale=1 / 255))
    >>> columns.order.tolist(), columns.reach.tolist(), columns.lit
    ([2, 1, 0], [1, 2, 1], 2)
    >>> lit_columns(features, Preprocessing(mean=-0.01)).background
    0.01
    >>> lit_columns(features, Preprocessing(invert=True)) is None
    True
    """
    background = preprocessing.background
    if background is None:
        return None
    rows = features.reshape(len(features), -1)  # (N, ...) -> (N, D)
    blocks = [slice(start, start + _ROWS) for start in range(0, len(rows), _ROWS)]
    counts = np.zeros(rows.shape[1], np.intp)
    for block in blocks:
        counts += (rows[block] != 0).sum(axis=0, dtype=np.uint8)  # _ROWS fit a byte
    if counts.sum() > MOST_REACH * rows.size:
        return None
    order, width = np.argsort(-counts, kind="stable"), rows.shape[1]
    lit = max(int(np.count_nonzero(counts)), 1)
    kept = min(-(-lit // 8) * 8, width)
    ordered, reach = np.take(rows, order[:kept], axis=1), np.empty(len(rows), np.intp)
    word = math.gcd(kept * rows.itemsize, 8)  # a row is looked at in words of up to eight bytes
    words = ordered.view(f"u{word}")
    for block in blocks:
        on = words[block] != 0
        reach[block] = words.shape[1] - on[:, ::-1].argmax(axis=1)  # up to the last lit word
        reach[block][~on.any(axis=1)] = 1  # a sample without any still has a column
    reach *= word
    np.minimum(-(-reach // rows.itemsize), lit, out=reach)
    if reach.mean() > MOST_REACH * width:
        return None
    return LitColumns(order, ordered, reach, lit, background)


class Staircase:
    """A matrix x (N, K) whose rows reach less far from step to step, which multiplies no more than its steps.

    ::

        x = | a a a b b |      x W = a W[:3] + | b W[3:] |      x^T dy = | a^T dy     |
            | a a a . . |                      |    0    |               | b^T dy[:1] |
            | a a a . . |                      |    0    |

    Where so few rows are multiplied that the products are small for BLAS, x W is computed some rows at a time instead.

    Parameters
    ----------
    array : (N, K) with zeros where the dots are
    reach : (N,) leading columns after which a row is zero, never more than in the row above, the first one K; or None,
        then all is one step

    Attributes
    ----------
    array, reach, shape : of what it was put over last

    Examples
    --------
    >>> x = Staircase(np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]))
    >>> x.dot(np.ones((5, 2)), out=np.empty((2, 2)))  # the last two of five columns are zero
    array([[6., 6.],
           [4., 4.]])
    >>> x.T.dot(np.ones((2, 1)), out=np.zeros((5, 1))).tolist()
    [[5.0], [2.0], [3.0], [0.0], [0.0]]
    """

    ndim = 2

    def __init__(self, array: Array, reach: NDArray[np.intp] | None = None) -> None:
        self._scratch = np.empty(0, array.dtype)
        self.put(array, reach)

    def put(self, array: Array, reach: NDArray[np.intp] | None = None) -> Staircase:
        """Become the staircase of another array."""
        self.array, self.reach = array, reach
        self.shape: tuple[int, ...] = array.shape
        return self

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.array, dtype, copy=copy)

    def dot(self, W: Array, out: Array) -> Array:
        """Return x W (N, O), with as many leading rows of W (D, O) as x has columns."""
        array, (n, columns), outputs = self.array, self.array.shape, W.shape[1]
        if self.reach is None:
            product: Array = array.dot(W[:columns], out=out)
            return product
        if self._small(outputs):
            start = 0
            while start < n:
                reach = self.reach.item(start)
                stop = start + SMALL // (reach * outputs)
                np.matmul(array[start:stop, :reach], W[:reach], out=out[start:stop])
                start = stop
            return out
        (_, _, stop), *others = self.strips(outputs)
        np.matmul(array[:, :stop], W[:stop], out=out)
        if self._scratch.size < out.size:
            self._scratch = np.empty(out.size, out.dtype)
        for rows, start, stop in others:
            more = self._scratch[: rows * outputs].reshape(rows, outputs)
            out[:rows] += np.matmul(array[:rows, start:stop], W[start:stop], out=more)
        return out

    @property
    def T(self) -> _Transposed:  # noqa: N802  as NumPy calls it
        """x^T."""
        return _Transposed(self)

    def _small(self, outputs: int) -> bool:
        """Return whether products of all columns, or of 50 or more with all rows, are small for BLAS."""
        n, columns = self.array.shape
        return bool(max(n * 50, columns * 8) * outputs <= SMALL)

    def strips(self, outputs: int) -> list[tuple[int, int, int]]:
        """Cut the columns into strips (rows, start, stop), each with the leading rows that reach into it."""
        n, columns = self.array.shape
        if self.reach is None:
            return [(n, 0, columns)]
        strips, start = [], 0
        if self._small(outputs):
            ascending = self.reach[::-1].tolist()
            while start < columns:
                rows = n - bisect_right(ascending, start)
                stop = min(start + SMALL // (rows * outputs), columns)
                strips.append((rows, start, stop))
                start = stop
            return strips
        rows = n
        for share in reversed(STEPS):
            above = int(share * n)
            stop = self.reach.item(above)
            if above and min(stop - start, columns - stop) >= LEAST_STEP:
                strips.append((rows, start, stop))
                rows, start = above, stop
        return [*strips, (rows, start, columns)]


class Raised(Staircase):
    """A matrix x (N, D) that is a staircase u (N, K) on a ground of c in all D columns, x = c + u.

    ::

        x W = u W + c 1 (1^T W)      x^T dy = u^T dy + c 1 (1^T dy)

    Parameters
    ----------
    array, reach : of u, see `Staircase`
    background : c
    width : D

    Examples
    --------
    >>> x = Raised(np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]), background=0.5, width=5)
    >>> np.asarray(x)
    array([[1.5, 2.5, 3.5, 0.5, 0.5],
           [4.5, 0.5, 0.5, 0.5, 0.5]])
    >>> x.dot(np.ones((5, 2)), out=np.empty((2, 2)))
    array([[8.5, 8.5],
           [6.5, 6.5]])
    >>> x.T.dot(np.ones((2, 1)), out=np.empty((5, 1))).tolist()
    [[6.0], [3.0], [4.0], [1.0], [1.0]]
    """

    def __init__(self, array: Array, reach: NDArray[np.intp] | None = None, *, background: float, width: int) -> None:
        self.background, self._width = background, width
        self._ground = np.empty(0, array.dtype)
        super().__init__(array, reach)

    def put(self, array: Array, reach: NDArray[np.intp] | None = None) -> Staircase:
        """Become the staircase of another array, on the same ground."""
        super().put(array, reach)
        self.shape = len(array), self._width
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("a staircase on a ground is no array without a copy.")
        x = np.full(self.shape, self.background, self.array.dtype if dtype is None else dtype)
        x[:, : self.array.shape[1]] += self.array
        return x

    def dot(self, W: Array, out: Array) -> Array:
        """Return x W (N, O), with all rows of W (D, O)."""
        super().dot(W, out)  # (N,K)(K,O) -> (N,O)              u W
        out += self.ground(W)  # (O,)                           u W + c 1 (1^T W)
        return out

    @property
    def T(self) -> _RaisedTransposed:  # noqa: N802  as NumPy calls it
        """x^T."""
        return _RaisedTransposed(self)

    def ground(self, rows: Array) -> Array:
        """Return c 1^T times some rows (n, O), shape (O,)."""
        n = len(rows)
        if len(self._ground) < n:
            self._ground = np.full(n, self.background, self.array.dtype)
        ground: Array = self._ground[:n].dot(rows)  # (n,)(n,O) -> (O,)
        return ground


class _Transposed:
    """x^T (K, N) of a staircase."""

    __slots__ = ("_x",)

    def __init__(self, x: Staircase) -> None:
        self._x = x

    def dot(self, dy: Array, out: Array) -> Array:
        """Write x^T dy, with dy (N, O), into the first K rows of `out` (D, O), and leave the others alone."""
        x = self._x
        array = x.array
        if x.reach is None:
            array.T.dot(dy, out=out[: array.shape[1]])
            return out
        for rows, start, stop in x.strips(dy.shape[1]):  # np.dot would copy a part of the array first
            np.matmul(array[:rows, start:stop].T, dy[:rows], out=out[start:stop])
        return out


class _RaisedTransposed(_Transposed):
    """x^T (D, N) of a staircase on a ground."""

    __slots__ = ()
    _x: Raised

    def dot(self, dy: Array, out: Array) -> Array:
        """Write x^T dy, with dy (N, O), into all rows of `out` (D, O)."""
        super().dot(dy, out)  # (K,N)(N,O) -> (K,O)             u^T dy
        columns, ground = self._x.array.shape[1], self._x.ground(dy)
        out[:columns] += ground  # (O,)                         u^T dy + c 1 (1^T dy)
        out[columns:] = ground
        return out
