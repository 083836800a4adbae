"""glassnet beside PyTorch, JAX, Keras, scikit-learn and textbook NumPy: seconds a step, memory, time from the prompt.

``python benchmarks/peers.py`` measures everything (some 12 minutes on two cores) and writes docs/benchmarks.md, its
figures and docs/benchmarks.json; docs/benchmarks.md says how, and how the environment is made. ``--quick`` takes about
two minutes and has half of the cells.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

import peers_figures
import peers_page
from peers_page import CEILING, OURS, TITLES
from processes import HERE, Peer, cpu_seconds, environment, machine, machine_seconds, seconds_of, watch
from runners.common import CELLS, Cell, write_data
from runners.prompt import CELL as PROMPT_CELL

TURN = 0.2
"""Seconds of a turn; at least one step is taken."""

PAUSE = 0.03
"""Seconds between two turns, in which the threads of the last one go to sleep."""

QUICK = [cell for cell in CELLS if cell.hidden == (100, 100) and cell.optimizer in ("sgd", "adam")]

EPOCHS, PROMPTS, SEEDS = 5, 3, 10


class Turns:
    """The peers, and how loud it was while they had their turns."""

    def __init__(self, names: list[str], env: dict[str, str]) -> None:
        self.peers = {name: Peer(name, env) for name in names}
        self.missing: dict[str, str] = {}
        self.idle = dict.fromkeys(names, 0.0)
        self.waited = dict.fromkeys(names, 0.0)
        self.others = self.seconds = 0.0

    def greet(self) -> dict[str, dict[str, str]]:
        """Wait until all have imported their libraries; those that can not are missing. Return the versions."""
        for name, peer in tqdm(list(self.peers.items()), desc="importing"):
            peer.greet()
            if peer.missing is not None:
                self.missing[name] = peer.missing
                self.peers.pop(name).close()
        return {name: peer.versions for name, peer in self.peers.items()}

    def measure(self, cell: Cell, rounds: int, bar: Any) -> dict[str, Any]:
        """Let all peers train a cell, in turns; return microseconds a step, one figure a round."""
        row: dict[str, Any] = {"us": {}, "chosen": {}, "none": {}, "failed": {}}
        for peer in self.peers.values():  # all at once: compiling takes longest
            peer.send("prepare", cell=cell.to_dict())
        ready = [name for name, peer in self.peers.items() if self._fine(name, peer.reply(), row) is not None]
        for name in list(ready):
            chosen = self._fine(name, self.peers[name].ask("choose"), row)
            if chosen is None:
                ready.remove(name)
            else:
                row["chosen"][name] = chosen
                row["us"][name] = []
        for _ in range(rounds):
            for name in random.sample(ready, len(ready)):  # nobody always follows the same one
                time.sleep(PAUSE)
                answer = self._fine(name, self._turn(name), row)
                row["us"][name].append(None if answer is None else round(1e6 * answer["seconds"] / answer["steps"], 2))
                bar.update()
        for peer in self.peers.values():
            peer.send("rest")
        for peer in self.peers.values():
            peer.reply()
        return row

    def _fine(self, name: str, answer: dict[str, Any], row: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer, or note why there is none."""
        if "none" in answer:
            row["none"][name] = answer["none"]
        elif "error" in answer:
            row["failed"][name] = answer["error"]
            tqdm.write(f"{TITLES[name]}: {answer['error']}")
        else:
            return answer
        return None

    def _turn(self, name: str) -> dict[str, Any]:
        """Let one peer train, and note what the waiting ones and other programs used meanwhile."""
        names = list(self.peers)
        roots = [self.peers[other].process.pid for other in names]
        before, begin, all_before = cpu_seconds([*roots, os.getpid()]), time.perf_counter(), machine_seconds()
        answer = self.peers[name].ask("run", seconds=TURN)
        all_after, passed, after = machine_seconds(), time.perf_counter() - begin, cpu_seconds([*roots, os.getpid()])
        for other, x, y in zip(names, before, after, strict=False):
            if other != name:
                self.idle[other] += y - x
                self.waited[other] += passed
        self.others += max(0.0, all_after - all_before - (after[-1] - before[-1]))  # the last is we with all peers
        self.seconds += passed
        return answer

    def close(self) -> None:
        """Let all end."""
        for peer in self.peers.values():
            peer.close()


def steps(cells: list[Cell], names: list[str], rounds: int, env: dict[str, str]) -> dict[str, Any]:
    """Measure the seconds a step of every cell and peer."""
    turns = Turns(names, env)
    try:
        versions = turns.greet()
        found: dict[str, Any] = {"versions": versions, "missing": turns.missing, "cells": {}, "square": {}}
        if CEILING in turns.peers:
            found["square"] = turns.peers[CEILING].ask("figures")
        with tqdm(total=len(cells) * rounds * len(turns.peers), desc="turns") as bar:
            for number, cell in enumerate(cells, 1):
                bar.set_postfix_str(cell.name)
                row = found["cells"][cell.name] = turns.measure(cell, rounds, bar)
                bar.n = number * rounds * len(turns.peers)
                tqdm.write(line_of(cell, row))
        if not machine_seconds():  # not Linux: not known
            return found
        found["idle"] = {name: turns.idle[name] / max(turns.waited[name], 1e-9) for name in turns.peers}
        found["others"] = turns.others / max(turns.seconds, 1e-9)
        return found
    finally:
        turns.close()


def line_of(cell: Cell, row: dict[str, Any]) -> str:
    """Return what came out for a cell, in a line."""
    parts = []
    for name, column in row["us"].items():
        if (time_of := peers_page.median(column)) is not None:
            found = peers_page.ratios(row, name)
            ratio = f" ({peers_page.short(statistics.median(found))})" if found and name != OURS else ""
            parts.append(f"{name} {peers_page.short(time_of)}{ratio}")
    return f"{cell.name}: {', '.join(parts)}"


def prompts(names: list[str], runs: int, epochs: int, row: dict[str, Any], env: dict[str, str]) -> dict[str, Any]:
    """Measure whole scripts: seconds from the prompt, in turns, and peak memory in a run of its own."""
    found: dict[str, Any] = {name: {"seconds": [], "peak": 0} for name in names}
    with tqdm(total=len(names) * (runs + 1), desc="scripts") as bar:
        for number in range(runs + 1):
            for name in random.sample(names, len(names)):
                threads = row.get("chosen", {}).get(name, {}).get("threads")
                options = [str(threads)] if isinstance(threads, int) else []
                command = [sys.executable, "-m", "runners.prompt", name, str(epochs), *options]
                bar.set_postfix_str(name)
                try:
                    if number == 0:
                        found[name]["peak"] = watch(command, env, HERE)[1]
                    elif "failed" not in found[name]:
                        found[name]["seconds"].append(seconds_of(command, env, HERE))
                except RuntimeError as error:
                    found[name]["failed"] = "it ended with an error"
                    tqdm.write(str(error))
                bar.update()
    return found


def trainings(seeds: int, env: dict[str, str]) -> dict[str, Any]:
    """Measure `glassnet train` as it stands, once a seed."""
    found: dict[str, Any] = {"accuracy": [], "train_seconds": [], "seconds": [], "peak": 0}
    with tempfile.TemporaryDirectory() as folder:
        for seed in tqdm(range(seeds + 1), desc="glassnet train"):
            out = Path(folder) / str(seed)
            command = [sys.executable, "-m", "glassnet", "train", "--quiet", "--seed", str(seed), "--out", str(out)]
            if seed == seeds:  # one more, for the memory
                found["peak"] = watch(command, env, Path(folder))[1]
                break
            found["seconds"].append(seconds_of(command, env, Path(folder)))
            result = json.loads((out / "result.json").read_text(encoding="utf-8"))
            found["accuracy"].append(result["test_accuracy"])
            found["train_seconds"].append(result["train_seconds"])
    return found


@click.command()
@click.option("--quick", is_flag=True, help="Three rounds of half of the cells, one script a peer, three seeds.")
@click.option("--only", metavar="PART", multiple=True, help="Only cells whose name has this part, such as /100/adam.")
@click.option("--peer", "chosen", type=click.Choice(list(TITLES)), multiple=True, help="Only this peer, and glassnet.")
@click.option("--rounds", type=click.IntRange(1), help="Turns of each peer in each cell.  [default: 5]")
@click.option("--steps-only", is_flag=True, help="No scripts from the prompt, no `glassnet train`.")
@click.option("--samples", type=click.IntRange(200), help="Take the first so many training images alone.", hidden=True)
@click.option("--redraw", is_flag=True, help="Measure nothing: write page and figures from the JSON that is there.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page; the JSON goes beside it, the figures into images/ there.  [default: docs/benchmarks.md; nothing "
    "with --only or --peer]",
)
def main(
    quick: bool,
    only: tuple[str, ...],
    chosen: tuple[str, ...],
    rounds: int | None,
    steps_only: bool,
    samples: int | None,
    redraw: bool,
    out: Path | None,
) -> None:
    """Measure glassnet and its peers, and write the page."""
    partial = bool(only or chosen)
    out = out or (None if partial else HERE.parent / "docs" / "benchmarks.md")
    if redraw:
        out = out or HERE.parent / "docs" / "benchmarks.md"
        write(json.loads(out.with_suffix(".json").read_text(encoding="utf-8")), out)
        return
    cells = [cell for cell in (QUICK if quick else CELLS) if not only or any(part in cell.name for part in only)]
    if not cells:
        raise click.UsageError(f"no cell has that name; there are {', '.join(cell.name for cell in CELLS)}.")
    names = [name for name in TITLES if not chosen or name in (*chosen, OURS)]
    rounds = rounds or (3 if quick else 5)
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder), samples)
        env = environment(Path(folder))
        results = {
            "machine": machine(),
            "rounds": rounds,
            "samples": samples or 60000,
            **steps(cells, names, rounds, env),
        }
        if not (steps_only or partial):
            runs = 1 if quick else PROMPTS
            there = [name for name in names if name != CEILING and name not in results["missing"]]
            results["prompt_of"] = {"cell": PROMPT_CELL.name, "epochs": EPOCHS, "runs": runs}
            results["prompt"] = prompts(there, runs, EPOCHS, results["cells"].get(PROMPT_CELL.name, {}), env)
            results["train"] = trainings(3 if quick else SEEDS, env)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.with_suffix(".json").write_text(as_json(results), encoding="utf-8")
        write(results, out)


def as_json(results: dict[str, Any]) -> str:
    """Return the results as JSON, a line a cell."""
    rest = json.dumps({name: value for name, value in results.items() if name != "cells"}, indent=1)
    cells = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in results["cells"].items())
    return rest[:-2] + ',\n "cells": {\n' + cells + "\n }\n}\n"


def write(results: dict[str, Any], out: Path) -> None:
    """Write the page and its figures."""
    images = out.parent / "images"
    images.mkdir(exist_ok=True)
    peers_figures.draw_ratios(results, images / "benchmarks-ratios.png")
    peers_figures.draw_prompt(results, images / "benchmarks-prompt.png")
    out.write_text(peers_page.page(results, "images"), encoding="utf-8")


if __name__ == "__main__":
    main()
