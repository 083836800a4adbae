"""From the measurements of `peers.py` to docs/benchmarks.md and its figures; measures nothing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

OURS, WORKERS, CEILING = "glassnet", "workers", "sgemm"

TITLES = {
    OURS: "glassnet",
    WORKERS: "glassnet, 2 workers",
    "torch": "PyTorch eager",
    "torch-compiled": "PyTorch compiled",
    "jax": "JAX",
    "keras": "Keras",
    "sklearn": "scikit-learn",
    "textbook": "textbook NumPy",
    CEILING: "sgemm alone",
}

PEERS = [WORKERS, "torch", "torch-compiled", "jax", "keras", "sklearn", "textbook"]
"""Whose ratios are given."""

FLOORS: list[tuple[str, tuple[str, ...], str, str, float]] = [
    ("1", ("sgd", "adagrad"), OURS, "torch", 5.0),
    ("1", ("sgd", "adagrad"), OURS, "jax", 0.4),
    ("1", ("momentum", "rmsprop", "adam"), OURS, "torch", 2.2),
    ("1", ("momentum", "rmsprop", "adam"), OURS, "jax", 0.38),
    *(
        (batch, ("sgd", "momentum", "adagrad", "rmsprop", "adam"), side, peer, floor)
        for batch, torch_floors, jax_floors in (
            ("100", (1.9, 2.7), (0.88, 1.25)),
            ("1000", (2.3, 3.0), (1.1, 1.4)),
            ("full", (3.2, 5.0), (2.3, 4.0)),
        )
        for peer, floors in (("torch", torch_floors), ("jax", jax_floors))
        for side, floor in zip((OURS, WORKERS), floors, strict=True)
    ),
    ("100", ("sgd", "momentum", "adagrad", "rmsprop", "adam"), OURS, "keras", 4.0),
    ("100", ("sgd", "momentum", "adam"), OURS, "sklearn", 1.6),
    ("100", ("sgd", "momentum", "adagrad", "rmsprop", "adam"), OURS, "textbook", 1.3),
]
"""Batch, optimizers, our side, peer, and the ratio of their times that is asked for, for 784-100-100-10."""

BATCHES = {"1": "one sample a step", "100": "100 samples a step", "1000": "1000 samples a step", "full": "all samples"}


class Spread(NamedTuple):
    """A median with its quartiles."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.low)} to {short(self.high)})"


def spread_of(figures: Sequence[float]) -> Spread:
    """Return the quartiles, by linear interpolation.

    Examples
    --------
    >>> spread_of([4.0, 1.0, 2.0, 3.0, 5.0])
    Spread(low=2.0, median=3.0, high=4.0)
    """
    if len(figures) == 1:
        return Spread(figures[0], figures[0], figures[0])
    return Spread(*statistics.quantiles(figures, n=4, method="inclusive"))


def ratios(row: dict[str, Any], peer: str, side: str = OURS) -> list[float]:
    """Return the peer's time over ours, for each round in which both had their turn.

    Examples
    --------
    >>> ratios({"us": {"glassnet": [10.0, 20.0, None], "jax": [30.0, 20.0, 5.0]}}, "jax")
    [3.0, 1.0]
    """
    pairs = zip(row["us"].get(peer, []), row["us"].get(side, []), strict=False)
    return [theirs / ours for theirs, ours in pairs if theirs is not None and ours is not None]


def short(figure: float) -> str:
    """Write a figure with two or three digits.

    Examples
    --------
    >>> short(0.456), short(4.56), short(45.6), short(45678.9)
    ('0.46', '4.6', '46', '45,679')
    """
    return f"{figure:.2f}" if figure < 1.995 else f"{figure:.1f}" if figure < 9.95 else f"{figure:,.0f}"


def median(figures: Sequence[float | None]) -> float | None:
    """Return the median of what was measured, or None."""
    there = [figure for figure in figures if figure is not None]
    return statistics.median(there) if there else None


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell_of(row: dict[str, Any], peer: str, missing: dict[str, str]) -> str:
    """Return the microseconds and the ratio of one peer, or why there are none."""
    if peer in missing:
        return "missing"
    if peer in row["none"]:
        return "has none"
    if peer in row["failed"]:
        return "failed"
    time = median(row["us"].get(peer, []))
    if time is None:
        return ""
    found = ratios(row, peer)
    return short(time) if peer == OURS or not found else f"{short(time)}, **{short(spread_of(found).median)}**"


def floors(rows: dict[str, dict[str, Any]], missing: dict[str, str]) -> list[list[str]]:
    """Return a row for each floor: what is asked for, the ratios of its cells, and the verdict on the least of them."""
    lines = []
    for batch, optimizers, side, peer, floor in FLOORS:
        found = {}
        for optimizer in optimizers:
            row = rows.get(f"100-100/{batch}/{optimizer}")
            figures = ratios(row, peer, side) if row else []
            if figures:
                found[optimizer] = spread_of(figures).median
        what = [BATCHES[batch], TITLES[side], TITLES[peer], f"{floor:g}"]
        if not found:
            absent = [TITLES[name] for name in (side, peer) if name in missing]
            lines.append([*what, "", f"not measured: {', '.join(absent)} missing" if absent else "not measured"])
            continue
        names = ", ".join(f"{name} {short(figure)}" for name, figure in found.items())
        lines.append([*what, names, verdict(min(found.values()) / floor)])
    return lines


def verdict(share: float) -> str:
    """Say whether a floor is met, from the least ratio over the floor.

    Examples
    --------
    >>> verdict(1.25), verdict(0.8), verdict(0.996)
    ('met, 25 % above', '**missed by 20 %**', '**missed by less than 1 %**')
    """
    if share >= 1:
        return f"met, {100 * (share - 1):.0f} % above"
    return f"**missed by {100 * (1 - share):.0f} %**" if share <= 0.99 else "**missed by less than 1 %**"


def large(rows: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return a row for each large network: against its fastest peer, what is asked for, and the verdict."""
    lines = []
    for name, row in rows.items():
        hidden, batch, optimizer = name.split("/")
        if hidden == "100-100":
            continue
        if batch == "1000":
            share = [100 / ratio for ratio in ratios(row, OURS, CEILING)]
            if share:
                middle = spread_of(share).median
                lines.append([name, "sgemm at the same shapes", "80 %", f"{middle:.0f} %", verdict(middle / 80)])
            continue
        peers = {peer: spread_of(found).median for peer in PEERS if peer != WORKERS and (found := ratios(row, peer))}
        if peers:
            fastest = min(peers, key=lambda peer: peers[peer])
            floor = 1.0 if optimizer == "sgd" else 1 / 1.2
            asked = [f"{TITLES[fastest]}, the fastest", f"{floor:.2f}", short(peers[fastest])]
            lines.append([name, *asked, verdict(peers[fastest] / floor)])
    return lines


def ceiling(rows: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return a row a cell: operations, columns, sgemm's time for them, the speed reached, the share of the ceiling."""
    lines = []
    for name, row in rows.items():
        ours, alone = median(row["us"].get(OURS, [])), median(row["us"].get(CEILING, []))
        chosen = row["chosen"].get(CEILING, {})
        if ours is None or alone is None or not chosen:
            continue
        work = chosen["flops"]
        share = [
            f"{100 * spread_of(found).median:.0f} %" if (found := ratios(row, CEILING, side)) else ""
            for side in (OURS, WORKERS)
        ]
        lines.append(
            [name, str(chosen["columns"]), f"{work / 1e6:,.2f}", short(alone), f"{work / alone / 1e3:.0f}",
             f"{work / ours / 1e3:.0f}", *share]
        )  # fmt: skip
    return lines


def spreads(rows: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return a row a cell: the ratio of every peer with its quartiles."""
    return [
        [name, *(str(spread_of(found)) if (found := ratios(row, peer)) else "" for peer in PEERS)]
        for name, row in rows.items()
    ]


def page(results: dict[str, Any], images: str) -> str:
    """Return docs/benchmarks.md."""
    rows: dict[str, dict[str, Any]] = results["cells"]
    missing: dict[str, str] = results["missing"]
    peers = [peer for peer in TITLES if peer not in (OURS, CEILING)]
    small = {name: row for name, row in rows.items() if name.startswith("100-100/")}
    parts = [INTRODUCTION.format(rounds=results["rounds"], samples=results["samples"])]
    if missing:
        parts.append("Missing: " + "; ".join(f"{TITLES[name]} ({why})" for name, why in missing.items()) + ".")
    parts.append(noise(results))
    parts.append("## Microseconds a step, and **the ratio to glassnet with one process**")
    parts.append(
        f"![Time of each peer over that of glassnet, by batch size and optimizer]({images}/benchmarks-ratios.png)"
    )
    parts.append(
        table(
            ["cell", *(TITLES[peer] for peer in (OURS, *peers))],
            [[name, *(cell_of(row, peer, missing) for peer in (OURS, *peers))] for name, row in rows.items()],
        )
    )
    if small:
        parts.append("## What was asked for")
        parts.append(
            "The least ratio of the optimizers in a row decides.\n\n"
            + table(["batch", "side", "against", "asked for", "reached", "verdict"], floors(rows, missing))
        )
    if wide := large(rows):
        parts.append(table(["larger network", "against", "asked for", "reached", "verdict"], wide))
    if top := ceiling(rows):
        square = ", ".join(
            f"{figure:.0f} with {count} thread{'s' * (count != '1')}" for count, figure in results["square"].items()
        )
        parts.append("## The ceiling\n\n" + CEILING_TEXT.format(square=square))
        head = [
            "cell",
            "columns",
            "MFLOP a step",
            "sgemm alone, us",
            "its GFLOP/s",
            "ours",
            "share, 1 process",
            "share, 2 workers",
        ]
        parts.append(table(head, top))
    if results.get("prompt"):
        parts.append("## From the prompt, and memory\n\n" + PROMPT_TEXT.format(**results["prompt_of"]))
        parts.append(f"![Seconds from the prompt and peak memory of each peer]({images}/benchmarks-prompt.png)")
        parts.append(table(["peer", "seconds", "peak memory, MB"], prompt(results["prompt"], missing)))
    if results.get("train"):
        parts.append(train(results["train"]))
    parts.append("## Spread\n\nThe ratios of the table above with their quartiles over the rounds.")
    parts.append(table(["cell", *(TITLES[peer] for peer in PEERS)], spreads(rows)))
    parts.append("## Where this was measured\n\n" + where(results))
    return "\n\n".join(part for part in parts if part) + "\n"


def noise(results: dict[str, Any]) -> str:
    """Say how much else ran on the machine, and whether waiting peers were quiet."""
    others, idle = results.get("others"), results.get("idle")
    if others is None or idle is None:
        return ""
    most = max(idle, key=lambda name: idle[name], default=None)
    loud = f"; of the waiting peers {TITLES[most]} used most, {100 * idle[most]:.1f} % of a core" if most else ""
    warning = " **So these figures are rough: measure again on a quiet machine.**" if others > 0.1 else ""
    return f"Other programs used {others:.2f} cores meanwhile{loud}.{warning}"


def prompt(found: dict[str, dict[str, Any]], missing: dict[str, str]) -> list[list[str]]:
    """Return a row a peer."""
    lines = []
    for peer, title in TITLES.items():
        if peer in missing:
            lines.append([title, "missing", ""])
        elif peer in found:
            row = found[peer]
            if "failed" in row:
                lines.append([title, "failed", ""])
                continue
            peak = f"{row['peak'] / 1e6:,.0f}" if row["peak"] else "not measured"
            lines.append([title, f"{statistics.median(row['seconds']):.2f}", peak])
    return lines


def train(found: dict[str, Any]) -> str:
    """Say what `glassnet train` took."""
    accuracies, walls, alone = found["accuracy"], found["seconds"], found["train_seconds"]
    deviation = f" ± {100 * statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    lines = [
        ["test accuracy, mean %", "98.0", f"{100 * statistics.mean(accuracies):.2f}{deviation}"],
        ["from the prompt to the end, median s", "2.5", f"{statistics.median(walls):.2f}"],
        ["training alone, median s", "1.0", f"{statistics.median(alone):.2f}"],
    ]
    if found["peak"]:
        lines.append(["peak memory, MB", "450", f"{found['peak'] / 1e6:,.0f}"])
    return f"## `glassnet train` as it stands, {len(accuracies)} seeds\n\n" + table(["", "asked for", "reached"], lines)


def where(results: dict[str, Any]) -> str:
    """Return the environment as a list."""
    facts = results["machine"]
    versions = {name: version for peer in results["versions"].values() for name, version in peer.items()}
    lines = [
        f"- processor: {facts['processor']}; {facts['cores']} cores; {facts['system']}",
        f"- Python {facts['python']}, " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())),
        f"- BLAS of NumPy: {'; '.join(facts['blas'])}",
        f"- cleared for all peers: {', '.join(facts['cleared']) or 'nothing was set'}; "
        f"kept: {', '.join(f'{name}={value}' for name, value in facts['variables'].items()) or 'nothing'}",
    ]
    return "\n".join(lines)


INTRODUCTION = """# glassnet and its peers

The same network (784-100-100-10 unless a cell says otherwise, ReLU, float32, softmax cross-entropy) on the same
data ({samples:,} training images of MNIST) with the same batch size, a new order in every epoch and the same
optimizer. A cell is named by hidden layers, batch size and optimizer. The environment, and then this page with its
figures:

```bash
python3 -m venv .venv-peers && .venv-peers/bin/python -m pip install -e . -r benchmarks/requirements-peers.txt
.venv-peers/bin/python benchmarks/peers.py
```

**What is timed** is a step of the real loop, the gathering of the batch included, compilation and the first steps
left out: for glassnet all of `Training.events`, with its record of loss and accuracy, which the peers do not keep.
Every peer is a process of its own that sleeps between its turns. In each of {rounds} rounds every peer has a turn,
in random order; a ratio is the peer's time over ours in the same round, and the figure is the median over the
rounds. Above 1, glassnet is faster.

**Who plays how.** glassnet: BLAS threads by its fixed rule, with two workers one each. PyTorch eager: tensors in
memory, fused optimizers (RMSprop has none on a CPU: foreach), one or two threads, whichever is faster in a trial.
PyTorch compiled: the whole step, gathering and update included, as one graph (`torch.compile` around the eager step
is slower). JAX: the steps of an epoch in `lax.scan`, compiled, donated buffers, data on the device, optax. Keras on
TensorFlow: `compile` and `fit` as the guides show them. scikit-learn: `MLPClassifier.fit`, which has gradient
descent, momentum and Adam. Textbook NumPy: new arrays in every line. A full batch is not gathered by anybody. Peers
have float32 data ready in memory; glassnet has bytes."""

CEILING_TEXT = """Large square products run at {square} (GFLOP/s). "sgemm alone" computes the products of a step and
nothing else, as glassnet executes them: no more than the steps of a batch is multiplied, and the mean number of columns
that is left of each image is given. It takes one or two threads, whichever is faster. The share is its
time over ours."""

PROMPT_TEXT = """A fresh script that trains {cell} for {epochs} epochs, from the start of Python to its end:
imports, data, compilation and training; the median of {runs} runs in turns. Peak memory is the proportional set
size of all its processes, looked at 50 times a second in a run of its own."""
