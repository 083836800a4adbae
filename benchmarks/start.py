"""How long it takes until something happens: from the prompt to the help, and until the data are ready to train.

``python benchmarks/start.py`` starts each in a fresh process, in turns, and prints the median and the best. The first
start after an installation, which compiles modules and unpacks MNIST into the cache, is not counted.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from time import perf_counter

import click
from tqdm import tqdm

ASKED = {"glassnet --help": 0.25, "MNIST ready to train": 0.5}
"""Seconds that each may take."""

COMMANDS = {
    "glassnet --help": ["-m", "glassnet", "--help"],
    "MNIST ready to train": [
        "-c",
        "import os; from glassnet.config import RunConfig; RunConfig().load_data().lit_columns; os._exit(0)",
    ],
}


def seconds(arguments: list[str]) -> float:
    """Return the time that Python takes from its start to its end."""
    begin = perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begin


@click.command()
@click.option("--runs", type=click.IntRange(1), default=15, show_default=True, help="Starts of each.")
def main(runs: int) -> None:
    """Print how long it takes to start."""
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for arguments in COMMANDS.values():
        seconds(arguments)  # fills the caches
    for _ in tqdm(range(runs), desc="starts", leave=False):
        for name, arguments in COMMANDS.items():
            found[name].append(seconds(arguments))
    print(f"{'seconds from the prompt':<26}{'median':>8}{'best':>8}{'asked':>8}")
    for name, times in found.items():
        print(f"{name:<26}{statistics.median(times):8.3f}{min(times):8.3f}{ASKED[name]:8.2f}")


if __name__ == "__main__":
    main()
