"""The ceiling: the matrix products of glassnet's training step, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from glassnet.data.columns import Staircase
from runners.common import Array, Cell, HasNoneError, LoopRunner, thread_counts
from runners.glass import OneProcess, Product, products_of

SQUARE = 1536
"""Side of the matrices whose product tells what the machine can do at best."""


class Products(LoopRunner):
    """x W forwards, x^T dy and dy W^T backwards, in the shapes that glassnet executes, into arrays that exist."""

    title = "sgemm alone"
    chooses_threads = True

    def __init__(self) -> None:
        self.ours = OneProcess()

    def versions(self) -> dict[str, str]:
        """Return the BLAS and its kernels."""
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        return {pool["internal_api"]: f"{pool['version']}, {pool.get('architecture')} kernels" for pool in pools}

    def prepare(self, cell: Cell) -> None:
        """Find out what glassnet executes."""
        layers = len(cell.hidden) + 1
        noted, steps = products_of(self.ours, cell)
        if not noted:
            raise HasNoneError("the stochastic step multiplies vectors")
        products: list[Callable[[], object]] = []
        arrays: dict[tuple[str, int, int, int], Array] = {}
        for number, product in enumerate(noted):
            products += make_products(arrays, number % layers, product)
        self.steps = rounds(products, steps)
        self.run(0.0)
        first = noted[::layers]
        self.counts = {
            "flops": sum(flops(number % layers, product) for number, product in enumerate(noted)) / steps,
            "columns": round(sum(map(multiplied, first)) / sum(2 * product.n * product.o for product in first)),
        }

    def use_threads(self, count: int) -> None:
        """Give BLAS so many threads."""
        threadpool_limits(count, user_api="blas")

    def choose(self) -> dict[str, Any]:
        """Return the threads, the operations of a step and the mean number of columns of x that were multiplied."""
        return {**super().choose(), **self.counts}

    def figures(self) -> dict[str, Any]:
        """Return GFLOP/s of a large square product for each number of threads."""
        return {str(threads): square(threads) for threads in thread_counts()}


def multiplied(product: Product) -> int:
    """Count the multiplications of x W and x^T dy, those of the steps alone where x is a staircase.

    Examples
    --------
    >>> multiplied(Product(2, 3, 4, None)), multiplied(Product(100, 700, 100, np.linspace(700, 1, 100, dtype=np.intp)))
    (48, 8449600)
    """
    n, k, o, reach = product
    if reach is None:
        return 2 * n * k * o
    matmul, found = np.matmul, []

    def counting(a: Array, b: Array, out: Array) -> Array:
        found.append(a.size * b.shape[1])
        return out

    x = Staircase(np.empty((n, k), np.float32), reach)
    np.matmul = counting  # type: ignore[assignment]
    try:
        with np.errstate(all="ignore"):  # nothing is computed, so sums are of whatever lies there
            x.dot(np.empty((k, o), np.float32), out=np.empty((n, o), np.float32))
            x.T.dot(np.empty((n, o), np.float32), out=np.empty((k, o), np.float32))
    finally:
        np.matmul = matmul
    return sum(found)


def flops(layer: int, product: Product) -> int:
    """Count the operations of a dense layer: x W, x^T dy, and but for the lowest layer dy W^T.

    Examples
    --------
    >>> flops(0, Product(2, 3, 4, None)), flops(1, Product(2, 3, 4, None))
    (96, 144)
    """
    return 2 * multiplied(product) + (2 * product.n * product.k * product.o if layer else 0)


def make_products(
    arrays: dict[tuple[str, int, int, int], Array], layer: int, product: Product
) -> list[Callable[[], object]]:
    """Return the products of one dense layer of k inputs and o outputs on n samples, ready to be called."""
    n, k, o, reach = product

    def array(name: str, rows: int, columns: int) -> Array:
        key = name, layer, rows, columns
        if key not in arrays:
            arrays[key] = np.random.default_rng(0).standard_normal((rows, columns), np.float32)
        return arrays[key]

    x, w, dy = array("x", n, k), array("w", k, o), array("dy", n, o)
    y, dw = array("y", n, o), array("dw", k, o)
    rows = x if reach is None else Staircase(x, reach)
    products: list[Callable[[], object]] = [lambda: rows.dot(w, out=y), lambda: rows.T.dot(dy, out=dw)]
    if layer:
        dx = array("dx", n, k)
        products.append(lambda: np.dot(dy, w.T, out=dx))
    return products


def rounds(products: list[Callable[[], object]], steps: int) -> Iterator[int]:
    """Compute the products again and again; each item is the number of steps that they make."""
    while True:
        for product in products:
            product()
        yield steps


def square(threads: int, seconds: float = 0.4) -> float:
    """Return GFLOP/s of a large square product: the best of as many as fit into the time."""
    a, b = (np.random.default_rng(i).standard_normal((SQUARE, SQUARE), np.float32) for i in range(2))
    out = np.empty_like(a)
    best = float("inf")
    with threadpool_limits(threads, user_api="blas"):
        end = perf_counter() + seconds
        while perf_counter() < end:
            begin = perf_counter()
            np.dot(a, b, out=out)
            best = min(best, perf_counter() - begin)
    return 2 * SQUARE**3 / best / 1e9
