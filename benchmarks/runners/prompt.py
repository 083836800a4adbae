"""``python -m runners.prompt PEER EPOCHS [THREADS]``: train once, from the beginning to the end."""

from __future__ import annotations

import sys

from runners.common import Cell
from runners.turn import load

CELL = Cell((100, 100), 100, "adam")


def main(peer: str, epochs: int, threads: int | None = None) -> None:
    """Train, without a word."""
    runner = load(peer)
    if threads is not None:
        runner.use_threads(threads)
    runner.train(CELL, epochs)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
