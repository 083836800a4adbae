"""Studies as one might declare them, and records as their runs might leave them, made up without any training."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from glassnet.config import SETTINGS
from glassnet.studies.job import Job, Record, lost
from glassnet.studies.plan import Planner
from glassnet.studies.study import Cell, Study, parse_study

OPTIMIZERS = list(SETTINGS)

TUNED = f"""
name = "optimizers"
title = "Sixteen optimizers, each at its best learning rate"
question = "Which optimizer reads the test images best after five epochs, and which forgives a wrong learning rate?"
notes = '''
Every optimizer has its own learning rate, chosen on the validation images
with three seeds at each of nine rates.

The schedule is one cycle. Nothing else was tuned.
'''
seeds = 10
[run]
epochs = 5
[grid]
optimizer = {OPTIMIZERS}
[tuning]
learning_rates = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3]
seeds = 3
[report]
at_epochs = 1
plots = [
  {{ kind = "accuracy" }}, {{ kind = "curves", title = "How they learn" }},
  {{ kind = "curves", quantity = "train_loss", over = "seconds" }},
  {{ kind = "learning-rates" }}, {{ kind = "pairs" }}, {{ kind = "speed" }},
]
answers = [{{ kind = "best" }}, {{ kind = "speed" }}, {{ kind = "sensitivity" }},
           {{ kind = "pair", axis = "optimizer", of = ["adam", "sgd"] }}]
"""

FIVE = ("sgd", "momentum", "adagrad", "rmsprop", "adam")
RULES = """
name = "optimizers-2019"
title = "The optimizers of 2019, and what their shortcut gains"
question = "Do the figures of 2019 come out again, and what would the true gradient have given?"
seeds = 5
[run]
hidden = [30]
activation = "sigmoid"
schedule = "constant"
validation = 0
[grid]
rule = ["2019", "gradient"]
""" + "".join(
    f"""
[[cells]]
label = {{ optimizer = "{optimizer}", regime = "{regime}" }}
optimizer = "{optimizer}"
learning_rate = 0.01
batch_size = {batch}
published = {{ accuracy = {accuracy}, seconds = {seconds} }}
"""
    for i, optimizer in enumerate(FIVE)
    for regime, batch, accuracy, seconds in (
        ("stochastic", 1, 96.5 + 0.2 * i, 3036.35),
        ("mini-batch", 100, 95.1 + 0.5 * i, 140.2),
        ("full batch", '"full"', 90.35 - 2 * i, 512.0),
    )
)
RULES += """
[report]
plots = [{ kind = "accuracy", panel = "rule" }, { kind = "curves", panel = "regime", quantity = "train_accuracy" }]
answers = [{ kind = "published" }, { kind = "rule" }, { kind = "best" }]
"""

GRID = """
name = "initializers"
title = "Nine initializers, three activations, five depths"
question = "How far do signals come through a deep network, and which beginning lets it learn?"
seeds = 3
[grid]
initializer = ["zeros", "normal:0.01", "normal:0.1", "lecun-normal", "lecun-uniform", "glorot-normal",
               "glorot-uniform", "he-normal", "he-uniform"]
activation = ["sigmoid", "tanh", "relu"]
depth = [{ label = 1, hidden = [100] }, { label = 2, hidden = [100, 100] }, { label = 4, hidden = [100, 100] },
         { label = 8, hidden = [100] }, { label = 16, hidden = [100] }]
[report]
plots = [
  { kind = "heatmap", x = "depth", y = "initializer", panel = "activation" },
  { kind = "signals", line = "initializer", panel = "activation", quantity = "gradient_rms", where = { depth = 8 } },
  { kind = "signals", line = "initializer", panel = "activation", quantity = "dead", where = { depth = 8 } },
  { kind = "against", x = "depth", line = "activation" },
]
answers = [{ kind = "best" }, { kind = "spread", axis = "initializer" },
           { kind = "vanishing", axis = "activation", where = { depth = 8, initializer = "glorot-uniform" } }]
"""

TINY = """
name = "tiny"
question = "Does it work with <b>tags</b> & all?"
seeds = 1
[grid]
learning_rate = [0.1, 1000.0]
[report]
baseline = { learning_rate = 0.1 }
plots = [{ kind = "accuracy" }, { kind = "curves" }, { kind = "pairs" }, { kind = "speed" },
         { kind = "against", x = "learning_rate" }]
answers = [{ kind = "best" }, { kind = "speed" }, { kind = "pair", axis = "learning_rate", of = [0.1, 1000.0] }]
"""

Level = Callable[[Cell, float], tuple[float, float]]
"""The final accuracy of a cell at a learning rate (0: diverges), and the share of the way that one epoch goes."""


def tuned_level(cell: Cell, rate: float) -> tuple[float, float]:
    place = OPTIMIZERS.index(cell.label["optimizer"])
    best = 10 ** (-2.6 + 0.1 * place)
    away = math.log10(rate / best)
    if away > 1.3:
        return 0.0, 0.0
    return 0.982 - 0.0006 * place - 0.03 * away**2 / (1 + place / 8), 0.6 + 0.02 * place


def rule_level(cell: Cell, rate: float) -> tuple[float, float]:
    regime = ("stochastic", "mini-batch", "full batch").index(cell.label["regime"])
    place = FIVE.index(cell.label["optimizer"])
    shortcut = (0.004 * (place - 1) if regime == 2 else 0.0002 * place) if cell.rule == "2019" else 0.0
    return (0.967, 0.957, 0.90)[regime] + (0.002, 0.004, -0.02)[regime] * place + shortcut, (0.8, 0.5, 0.2)[regime]


def grid_level(cell: Cell, rate: float) -> tuple[float, float]:
    if cell.label["initializer"] == "zeros":
        return 0.1135, 1.0
    lost = cell.label["depth"] * {"sigmoid": 0.06, "tanh": 0.004, "relu": 0.001}[cell.label["activation"]]
    return max(0.981 - lost * len(cell.label["initializer"]) / 10, 0.1135), 0.7


def tiny_level(cell: Cell, rate: float) -> tuple[float, float]:
    return (0.0, 0.0) if rate > 100 else (0.975, 0.7)


def records_of(study: Study, level: Level) -> list[Record]:
    """Make up every record of a study, those of a search among them, one round of what is due after another."""
    records: dict[str, Record] = {}
    planner = Planner(study)
    while due := planner.due(records):
        records |= {job.key: record_of_job(study, job, level) for job in due}
    return list(records.values())


def record_of(study: Study, cell: Cell, level: Level, phase: str, number: int, rate: float | None = None) -> Record:
    return record_of_job(study, Job.of(study, cell, phase, number, rate), level)


def record_of_job(study: Study, job: Job, level: Level) -> Record:
    config, phase, number = job.config, job.phase, job.config.seed
    place, cell = next((i, one) for i, one in enumerate(study.cells) if one.label == dict(job.label))
    accuracy, pace = level(cell, config.learning_rate or 0.01)
    rate = (config.learning_rate or 0.0) if study.tuning else 0.0
    rng = np.random.default_rng([place, number, phase == "final", int(1e6 * rate)])
    diverges = not accuracy
    epochs = 1 if diverges else config.epochs
    last = accuracy + 0.0008 * rng.standard_normal() + 0.0004 * math.sin(number)
    ends = [None if diverges else last - 0.3 * (1 - pace) ** (i + 1) * (1 - i / epochs) for i in range(epochs)]
    second = 0.05 + 0.2 * abs(math.sin(len(cell.name)))
    held_out = config.validation != 0
    times = [second * (i + 1) * (1 + 0.02 * rng.random()) for i in range(epochs)]
    record = lost(job, "", 1)
    record["config"] |= {"learning_rate": config.learning_rate or 0.008}
    return record | {
        "outcome": "diverged" if diverges else "finished",
        "reason": "Training met NaN in the gradient of dense_1.W at step 12." if diverges else None,
        "history": {
            "epoch": list(range(1, epochs + 1)),
            "step": [275 * (i + 1) for i in range(epochs)],
            "learning_rate": [config.learning_rate] * epochs,
            "train_loss": [None if diverges else 3 * (1 - (end or 0)) + 0.01 for end in ends],
            "train_accuracy": [None if end is None else end - 0.005 for end in ends],
            "validation_loss": [None if diverges or not held_out else 4 * (1 - (end or 0)) for end in ends],
            "validation_accuracy": [end if held_out else None for end in ends],
            "train_seconds": times,
        },
        "test_accuracy": None if diverges or phase == "search" else round(last, 4),
        "test_loss": None if diverges or phase == "search" else 4 * (1 - last),
        "signals": _signals(cell, rng) if job.signals else None,
        "parameters": 89610,
        "steps": 275 * epochs,
        "train_seconds": times[-1],
        "evaluation_seconds": 0.1,
        "wall_seconds": times[-1] + 0.2,
        "machine": {"processor": "Example 9000", "cores": 2, "system": "Linux", "blas_threads": 1},
        "versions": {"glassnet": "0.1.0", "numpy": "2.4.6", "python": "3.13.1"},
    }


def _signals(cell: Cell, rng: np.random.Generator) -> dict[str, Any]:
    depth, activation = cell.label["depth"], cell.label["activation"]
    shrinks = {"sigmoid": 0.25, "tanh": 0.8, "relu": 0.95}[activation]
    zero = cell.label["initializer"] == "zeros"
    layers = [
        {
            "layer": f"{activation}_{i + 1}",
            "activation_mean": 0.1,
            "activation_deviation": 0.5 * shrinks**i,
            "gradient_rms": 0.0 if zero else 1e-3 * shrinks ** (depth - 1 - i) * math.exp(0.1 * rng.standard_normal()),
            "dead": 1.0 if zero else 0.02 * i,
            "saturated": 0.1,
        }
        for i in range(depth)
    ]
    return {"begin": layers, "end": layers}


def example(text: str, level: Level) -> tuple[Study, list[Record]]:
    study = parse_study(text)
    return study, records_of(study, level)
