"""Randomness inside a step, as a pure function of (seed, layer, step, row).

Drawn from a counter instead of a stream, a sample's numbers do not depend on which samples stand beside it: a batch
in blocks, the same batch over several workers, a resumed run and a trace all see the same dropout masks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PER_COUNTER = 8  # float32 numbers that one count of Philox gives


class CounterRandom:
    """Uniform numbers from the counter-based generator Philox-4x64 (Salmon et al., 2011), key (seed, layer).

    Parameters
    ----------
    seed : of the run, 0 to 2^64 - 1
    layer : index of the layer
    """

    def __init__(self, seed: int, layer: int) -> None:
        self._bits = np.random.Philox(key=np.array([seed, layer], np.uint64))
        self._generator = np.random.Generator(self._bits)
        self._state: Any = self._bits.state
        self._counter: NDArray[np.uint64] = self._state["state"]["counter"]

    @staticmethod
    def row_length(width: int) -> int:
        """Return how many numbers a row of `width` takes, a multiple of eight."""
        return -(-width // _PER_COUNTER) * _PER_COUNTER

    def uniform(self, out: NDArray[np.float32], step: int, row: int) -> None:
        """Fill `out` with numbers in [0, 1).

        Parameters
        ----------
        out : (n, row_length) float32, contiguous
        step : of the run
        row : place of the first row within the whole batch
        """
        self._counter[0] = row * (out.shape[1] // _PER_COUNTER)
        self._counter[2] = step
        self._bits.state = self._state
        self._generator.random(out=out, dtype=np.float32)
