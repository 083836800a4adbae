"""Batches: the training samples in the order of an epoch, a few at a time, ready for the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glassnet.checks import check_count
from glassnet.data.dataset import Samples
from glassnet.data.preprocessing import Preprocessing
from glassnet.errors import ConfigError

Array = NDArray[Any]


class Batch(NamedTuple):
    """Some samples: preprocessed features x (n, ...), dense targets t (n, O), weights (n,) or None, their places."""

    x: Array
    t: Array
    weights: Array | None
    rows: Array | slice


class Batches:
    """The batches of every epoch, as a pure function of (seed, epoch, number of the batch).

    Features stay in their own type, such as uint8, until their batch is made: gathering bytes and scaling them takes
    less time than gathering floats. The arrays of a batch are used again by the next one.

    Parameters
    ----------
    samples : the training split
    preprocessing : applied to the features of each batch
    targets : (N, O) dense, in the order of the samples
    batch_size : samples a batch; the last one of an epoch may be shorter. "full" takes all, in their order, every time
    shuffle : draw a new order for each epoch; otherwise that of the samples
    seed : of the orders
    dtype : of what the network computes in
    """

    def __init__(
        self,
        samples: Samples,
        preprocessing: Preprocessing,
        targets: Array,
        *,
        batch_size: int | str = 100,
        shuffle: bool = True,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if len(samples) == 0:
            raise ConfigError("there are no samples to train on.")
        self.samples = samples
        if batch_size == "full":
            self.batch_size = len(samples)
        elif isinstance(batch_size, str):
            raise ConfigError(f'the batch size must be a whole number of at least 1 or "full", not {batch_size!r}.')
        else:
            self.batch_size = min(check_count("the batch size", batch_size, least=1), len(samples))
        self.count = -(-len(samples) // self.batch_size)
        self._preprocessing = preprocessing
        self._seed = seed
        self._targets = targets
        self._weights = None if samples.weights is None else samples.weights.astype(dtype)
        self._x = np.empty((self.batch_size, *samples.features.shape[1:]), dtype)
        self._make: Callable[[int, int], Batch] = self._slice
        self._whole: Batch | None = None
        if self.count > 1 and shuffle:
            self._order_epoch = -1
            self._file_order = np.arange(len(samples))
            self._order = self._file_order.copy()
            self._raw = np.empty(self._x.shape, samples.features.dtype)
            self._t = np.empty((self.batch_size, targets.shape[1]), targets.dtype)
            self._w = None if self._weights is None else np.empty(self.batch_size, dtype)
            self._make = self._gather

    def get(self, epoch: int, number: int) -> Batch:
        """Return one batch.

        Parameters
        ----------
        epoch : from 0
        number : of the batch within the epoch, from 0 to `count` - 1
        """
        return self._make(epoch, number * self.batch_size)

    def _slice(self, epoch: int, start: int) -> Batch:
        if self._whole is not None:
            return self._whole
        part = slice(start, min(start + self.batch_size, len(self.samples)))
        raw = self.samples.features[part]
        x = self._preprocessing.apply(raw, out=self._x[: len(raw)], dtype=self._x.dtype)
        batch = Batch(x, self._targets[part], None if self._weights is None else self._weights[part], part)
        if self.count == 1:
            self._whole = batch  # the only batch there is need not be made again
        return batch

    def _gather(self, epoch: int, start: int) -> Batch:
        if epoch != self._order_epoch:
            self._order[:] = self._file_order
            np.random.default_rng([self._seed, 1, epoch]).shuffle(self._order)
            self._order_epoch = epoch
        index = self._order[start : start + self.batch_size]
        n = len(index)
        raw, x, t = self._raw[:n], self._x[:n], self._t[:n]
        np.take(self.samples.features, index, axis=0, out=raw, mode="clip")  # "clip" writes into out without a copy
        self._preprocessing.apply(raw, out=x, dtype=x.dtype)
        np.take(self._targets, index, axis=0, out=t, mode="clip")
        if self._weights is None or self._w is None:
            return Batch(x, t, None, index)
        return Batch(x, t, np.take(self._weights, index, out=self._w[:n], mode="clip"), index)
