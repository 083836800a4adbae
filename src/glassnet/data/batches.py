"""Batches: the training samples in the order of an epoch, a few at a time, ready for the network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glassnet.checks import check_count
from glassnet.data.columns import LitColumns, Raised, Staircase
from glassnet.data.dataset import Samples
from glassnet.data.preprocessing import Preprocessing
from glassnet.errors import ConfigError

Array = NDArray[Any]


class Batch(NamedTuple):
    """Some samples of a batch, all of them as a rule.

    Attributes
    ----------
    x : (n, ...) preprocessed features; with lit columns a staircase (n, k) of the k leading ones, after which all n are
        dark; on a ground it is one of all columns
    t : (n, O) dense targets
    weights : (n,) or None
    rows : where they stand among the training samples
    row : place of the first one within the whole batch
    """

    x: Any  # an array or a Staircase
    t: Array
    weights: Array | None
    rows: Array | slice
    row: int


def batch_length(batch_size: int | str, samples: int) -> int:
    """Return how many of so many samples are a batch.

    Raises
    ------
    ConfigError
        If the batch size is neither a whole number of at least 1 nor "full".

    Examples
    --------
    >>> batch_length(100, 60000), batch_length("full", 60000), batch_length(100, 7)
    (100, 60000, 7)
    """
    if batch_size == "full":
        return samples
    if isinstance(batch_size, str):
        raise ConfigError(f'the batch size must be a whole number of at least 1 or "full", not {batch_size!r}.')
    return min(check_count("the batch size", batch_size, least=1), samples)


class Batches:
    """The batches of every epoch, as a pure function of (seed, epoch, number of the batch).

    Features stay in their own type, such as uint8, until their batch is made: gathering bytes and scaling them takes
    less time than gathering floats. The arrays of a batch are used again by the next one.

    Parameters
    ----------
    samples : the training split
    preprocessing : applied to the features of each batch
    targets : (N, O) dense, in the order of the samples
    batch_size : samples a batch; the last one of an epoch may be shorter. "full" takes all, every time
    shuffle : draw a new order for each epoch; otherwise that of the samples
    seed : of the orders
    dtype : of what the network computes in
    columns : the features with their columns sorted; then a batch has only those that it needs
    block : samples at a time, where a batch has more
    sort : whether the samples of a batch may change places, those first that need most columns
    share : (rank, size) of a worker: of each batch it gets what the others do not
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
        columns: LitColumns | None = None,
        block: int | None = None,
        sort: bool = True,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if len(samples) == 0:
            raise ConfigError("there are no samples to train on.")
        self.samples = samples
        self.batch_size = batch_length(batch_size, len(samples))
        self.count = -(-len(samples) // self.batch_size)
        self._rank, self._workers = share
        most = -(-self.batch_size // self._workers)
        self.block = most if block is None else min(block, most)
        self._preprocessing = preprocessing
        self._seed = seed
        self._features = samples.features if columns is None else columns.features
        self._targets = targets
        self._weights = None if samples.weights is None else samples.weights.astype(dtype)
        self._columns = columns
        self._sorts = sort and columns is not None and self.batch_size > 1
        self._shuffles = shuffle and self.count > 1
        self._reach = None if columns is None else columns.reach
        self._places: Array | None = None  # where features and so on stand among the samples, if elsewhere
        self._x = np.empty(self.block * self._features[0].size, dtype)
        self._stairs = Staircase(self._x[np.newaxis])
        if columns is not None and columns.background:
            self._stairs = Raised(self._x[np.newaxis], background=columns.background, width=len(columns.order))
            self._preprocessing = replace(preprocessing, mean=0.0)  # of what stands on the ground
        self._whole: Batch | None = None
        self._gathers = self._shuffles or (self._sorts and self.count > 1)
        if self._gathers:
            self._raw = np.empty((self.block, *self._features.shape[1:]), self._features.dtype)
            self._t = np.empty((self.block, targets.shape[1]), targets.dtype)
            self._w = None if self._weights is None else np.empty(self.block, dtype)
            self._file_order = np.arange(len(samples))
            self._order, self._order_epoch = self._file_order.copy(), -1
            self._order_reach = None if columns is None else columns.reach.copy()
            self._keys = np.empty(len(samples) if self._sorts else 0, np.int64)

    def _part(self, number: int) -> slice:
        """Return the places of this worker's share of a batch, in the order of the epoch."""
        start, n = number * self.batch_size, self.length(number)
        if self._sorts:
            return slice(start + self._rank, start + n, self._workers)  # so that all shares reach about equally far
        return slice(start + n * self._rank // self._workers, start + n * (self._rank + 1) // self._workers)

    @property
    def blocks_of_a_batch(self) -> int:
        """How many blocks this worker's share of a batch has at most."""
        most = -(-self.batch_size // self._workers)
        return -(-most // self.block)

    def length(self, number: int) -> int:
        """Return how many samples batch `number` has, all workers together."""
        return min(self.batch_size, len(self.samples) - number * self.batch_size)

    def reach(self, epoch: int, number: int) -> int:
        """Return how many leading columns the batch needs, that of the samples of all workers together."""
        if self._columns is None or self._columns.background:
            return math.prod(self.samples.features.shape[1:])
        if self.count == 1:
            return self._columns.lit
        start = number * self.batch_size
        _, reach = self._in_order(epoch) if self._gathers else (None, self._reach)
        assert reach is not None
        return int(reach[start] if self._sorts else reach[start : start + self.batch_size].max())

    def blocks(self, epoch: int, number: int) -> Iterator[Batch]:
        """Yield one batch, or this worker's share of it, in blocks: that which needs most columns first.

        Parameters
        ----------
        epoch : from 0
        number : of the batch within the epoch, from 0 to `count` - 1
        """
        if self._gathers and self.batch_size == 1:
            if self._rank == 0:
                place = self._in_order(epoch)[0].item(number)
                yield self._slice(place, place + 1, 0)
            return
        part = self._part(number)
        first = part.start - number * self.batch_size
        if not self._gathers:
            self._sort_once(part)
            start, stop = (part.start, part.stop) if self._places is None else (0, len(self._places))
            for a in range(start, stop, self.block):
                yield self._slice(a, min(a + self.block, stop), first + a - start)
            return
        order, reach = self._in_order(epoch)
        index = order[part]
        if reach is not None:
            reach = reach[part]
        for a in range(0, len(index), self.block):
            end = a + self.block
            yield self._gather(index[a:end], None if reach is None else reach[a:end], first + a)

    def _in_order(self, epoch: int) -> tuple[Array, Array | None]:
        """Return the samples in the order of an epoch, and how far they reach: no less than the next in the batch."""
        order, reach = self._order, self._order_reach
        if epoch == self._order_epoch:
            return order, reach
        order[:] = self._file_order
        if self._shuffles:
            np.random.default_rng([self._seed, 1, epoch]).shuffle(order)
        if reach is not None and self._reach is not None:
            np.take(self._reach, order, out=reach, mode="clip")
            if self._sorts:
                self._sort_batches(order, reach)
                np.take(self._reach, order, out=reach, mode="clip")
        self._order_epoch = epoch
        return order, reach

    def _sort_batches(self, order: Array, reach: Array) -> None:
        """Sort the samples of each batch by how far they reach: in one go, by a number of batch, reach and sample."""
        keys, samples, columns = self._keys, len(self.samples), self._features.shape[1]
        np.floor_divide(self._file_order, self.batch_size, out=keys)
        keys *= columns + 1
        keys += columns
        keys -= reach
        keys *= samples
        keys += order
        keys.sort()
        np.remainder(keys, samples, out=order)

    def _sort_once(self, part: slice) -> None:
        """Where all samples are one batch, keep this worker's share in its sorted order."""
        if self._places is not None or not self._sorts or self._reach is None:
            return
        self._places = np.argsort(-self._reach, kind="stable")[part]
        self._features, self._targets, self._reach = (
            np.take(array, self._places, axis=0) for array in (self._features, self._targets, self._reach)
        )
        self._weights = None if self._weights is None else self._weights[self._places]

    def _gather(self, index: Array, reach: Array | None, row: int) -> Batch:
        """Make a block of the samples at `index`."""
        n = len(index)
        raw, t = self._raw[:n], self._t[:n]
        np.take(self._features, index, axis=0, out=raw, mode="clip")  # "clip" writes into out without a copy
        np.take(self._targets, index, axis=0, out=t, mode="clip")
        x = self._preprocessed(raw, reach)
        if self._weights is None or self._w is None:
            return Batch(x, t, None, index, row)
        return Batch(x, t, np.take(self._weights, index, out=self._w[:n], mode="clip"), index, row)

    def _slice(self, start: int, stop: int, row: int) -> Batch:
        """Make a block of samples that stand side by side, of views where it can."""
        if self._whole is not None:
            return self._whole
        part = slice(start, stop)
        x = self._preprocessed(self._features[part], None if self._reach is None else self._reach[part])
        rows = part if self._places is None else self._places[part]
        batch = Batch(x, self._targets[part], None if self._weights is None else self._weights[part], rows, row)
        if self.count == 1 and len(x) == len(self.samples):
            self._whole = batch  # the only block there is need not be made again
        return batch

    def _preprocessed(self, raw: Array, reach: Array | None) -> Array | Staircase:
        if reach is None:
            return self._preprocessing.into(self._x[: raw.size].reshape(raw.shape), raw)
        raw = raw[:, : reach[0].item() if self._sorts or len(raw) == 1 else reach.max()]  # (n, D) -> (n, k)
        x = self._preprocessing.into(self._x[: raw.size].reshape(raw.shape), raw)
        return self._stairs.put(x, reach if self._sorts else None)
