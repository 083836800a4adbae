"""Lit columns: which inputs are ever more than zero, and in which order a batch needs the fewest of them.

Most pixels of a handwritten digit are dark. A dark column of a batch adds nothing to x W, and the gradient of its row
of W is exactly zero, so the product over the other columns is the same one. With the columns in the order of how often
they are lit, those that a batch needs are the first few: one slice of x, of W and of the gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.data.preprocessing import Preprocessing

Array = NDArray[Any]

MOST_REACH = 0.9
"""Where samples reach further than this share of the columns, on average, leaving out the rest is not worth it."""

_ROWS = 250  # at a time, so that what is read twice is still in the cache


@dataclass(frozen=True, eq=False)
class LitColumns:
    """The features of some samples with their columns sorted, those that are lit most often first.

    Attributes
    ----------
    order : (D,) the column that stands at each place
    features : (N, D) raw features in that order
    reach : (N,) for each sample, a number of leading columns after which it is dark
    lit : leading columns after which every sample is dark, the largest reach
    """

    order: NDArray[np.intp]
    features: Array
    reach: NDArray[np.intp]
    lit: int


def lit_columns(features: Array, preprocessing: Preprocessing) -> LitColumns | None:
    """Find the lit columns of raw features (N, ...); None where sorting them would not help.

    That is so where the preprocessing makes something else of a zero, and where samples are dense.

    Examples
    --------
    >>> features = np.array([[0, 0, 7], [0, 9, 8], [0, 0, 6]], np.uint8)
    >>> columns = lit_columns(features, Preprocessing(scale=1 / 255))
    >>> columns.order.tolist(), columns.reach.tolist(), columns.lit
    ([2, 1, 0], [1, 2, 1], 2)
    >>> lit_columns(features, Preprocessing(invert=True)) is None
    True
    """
    if not preprocessing.keeps_zeros:
        return None
    rows = features.reshape(len(features), -1)  # (N, ...) -> (N, D)
    blocks = [slice(start, start + _ROWS) for start in range(0, len(rows), _ROWS)]
    counts = np.zeros(rows.shape[1], np.intp)
    for block in blocks:
        counts += (rows[block] != 0).sum(axis=0, dtype=np.uint8)  # _ROWS fit a byte
    if counts.sum() > MOST_REACH * rows.size:
        return None
    order = np.argsort(-counts, kind="stable")
    ordered, reach = np.take(rows, order, axis=1), np.empty(len(rows), np.intp)
    word = math.gcd(rows.shape[1] * rows.itemsize, 8)  # a row is looked at in words of up to eight bytes
    words = ordered.view(f"u{word}")
    for block in blocks:
        lit = words[block] != 0
        reach[block] = words.shape[1] - lit[:, ::-1].argmax(axis=1)  # up to the last lit word
        reach[block][~lit.any(axis=1)] = 1  # a sample without any still has a column
    reach *= word
    np.minimum(-(-reach // rows.itemsize), rows.shape[1], out=reach)
    if reach.mean() > MOST_REACH * rows.shape[1]:
        return None
    return LitColumns(order, ordered, reach, int(reach.max()))
