"""What a study is: a question, the runs that answer it, and what is to be shown; read from a small TOML file."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

from glassnet.checks import check_count, check_number
from glassnet.config import RunConfig, parse_toml, read_text
from glassnet.data.batches import batch_length
from glassnet.data.files import one_sentence
from glassnet.errors import ConfigError, MissingFileError

Value: TypeAlias = Any  # what TOML holds: a text, a number, true or false, a list of these
Table: TypeAlias = dict[str, Any]

RULES = ("gradient", "2019")
"""How a step is computed: along the gradient, or as the scripts of 2019 did, see `rule2019`."""

FIXED = {"workers": 1, "threads": 1}
"""Every run is one process with one BLAS thread, so that its bits do not depend on how many run beside it."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

TRIAL = "# A trial of a few steps a run: its figures mean nothing.\n"
"""The first line of the text of a study that was cut short by `Study.trial`."""

MOST_SEEDS = 1000
"""Final runs of a cell, so that their seeds are none of those of a search."""

MOST_CELLS = 1000
"""Cells of a study: a grid of a few lines can have more combinations than any memory holds."""

MOST_TABLES = 100
"""Figures of a report, and as many sentences."""

MOST_NUMBER = 1e100
"""The largest number of a label: what is beyond it can not be put on an axis."""

QUANTITIES = {
    "curves": ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"),
    "signals": ("activation_mean", "activation_deviation", "gradient_rms", "dead", "saturated"),
}
"""What figures can show."""

PLOTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "curves": ((), ("panel", "quantity", "over", "where")),
    "accuracy": ((), ("panel",)),
    "learning-rates": ((), ()),
    "pairs": ((), ()),
    "heatmap": (("x", "y"), ("panel",)),
    "signals": (("line", "quantity"), ("panel", "where")),
    "against": (("x",), ("line",)),
    "speed": ((), ()),
}
"""The figures of a report, with the keys that each needs and those that it may have."""

ANSWERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "best": ((), ()),
    "published": ((), ()),
    "rule": ((), ()),
    "pair": (("axis", "of"), ()),
    "spread": (("axis",), ()),
    "sensitivity": ((), ()),
    "vanishing": (("axis",), ("where",)),
    "speed": ((), ()),
    "early": ((), ()),
}
"""The sentences of a report, with the keys that each needs and those that it may have."""

_TOP = {"name", "title", "question", "notes", "seeds", "run", "grid", "cells", "tuning", "report"}
_REPORT = {"plots", "answers", "baseline", "at_epochs", "at_seconds"}


@dataclass(frozen=True)
class Cell:
    """Runs that differ in nothing but their seeds.

    Attributes
    ----------
    label : the values by which the cells of the study differ
    config : of every run, but for the seed and a learning rate that is searched for
    rule : one of `RULES`
    published : what somebody else found with these settings: "accuracy" in percent, "seconds"
    """

    label: Mapping[str, Value]
    config: RunConfig
    rule: str = "gradient"
    published: Mapping[str, float] | None = None

    @property
    def name(self) -> str:
        """The values of the label, in one line."""
        return ", ".join(value_name(value) for value in self.label.values())


@dataclass(frozen=True)
class Tuning:
    """How each cell gets its learning rate: the best one of a grid, by accuracy on the validation samples.

    Attributes
    ----------
    learning_rates : the grid, rising
    seeds : runs at each rate; their seeds are none of those of the final runs
    rounds : how often the grid may grow by one rate, where the best one lies on its edge
    refine : how often the rates midway between the best and its neighbours (geometrically) are tried after that
    """

    learning_rates: tuple[float, ...]
    seeds: int = 3
    rounds: int = 6
    refine: int = 0


@dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it.

    Attributes
    ----------
    name : of its folder
    title, question, notes : text for the report
    cells : see `Cell`
    seeds : final runs of each cell, with seeds 0, 1, ...
    tuning : None where every cell has its learning rate
    plots, answers : what the report shows and says, see `PLOTS` and `ANSWERS`
    baseline : the label (or a part of it) of the cell that others are compared with; None: the best one
    at_epochs, at_seconds : places on the curves at which the accuracies are compared, besides the end
    source : the TOML text that it came from
    quick : a trial of a few steps

    Examples
    --------
    >>> study = find_study("optimizers")
    >>> study.axes, len(study.cells), study.seeds
    (('optimizer',), 16, 10)
    """

    name: str
    title: str
    question: str
    cells: tuple[Cell, ...]
    notes: str = ""
    seeds: int = 3
    tuning: Tuning | None = None
    plots: tuple[Table, ...] = ()
    answers: tuple[Table, ...] = ()
    baseline: Mapping[str, Value] | None = None
    at_epochs: int | None = None
    at_seconds: float | None = None
    source: str = field(default="", repr=False)
    quick: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """The keys of the labels."""
        return tuple(self.cells[0].label)

    @cached_property
    def needs_signals(self) -> bool:
        """Whether a run must look at the activations and gradients of its layers."""
        return any(table["kind"] == "signals" for table in self.plots) or any(
            table["kind"] == "vanishing" for table in self.answers
        )

    def with_seeds(self, seeds: int) -> Study:
        """Return the same study with another number of final runs.

        Raises
        ------
        ConfigError
            If it is no whole number of 1 to `MOST_SEEDS`.
        """
        return dataclasses.replace(self, seeds=_seeds("seeds", seeds))

    def trial(self) -> Study:
        """Return the same study with a few steps a run: to see whether it works, not what comes out."""
        cells = tuple(dataclasses.replace(cell, config=_shortened(cell.config)) for cell in self.cells)
        tuning, seeds = self.tuning, 2 if len(cells) <= 20 else 1
        if tuning is not None:
            rates = tuning.learning_rates
            rates = rates[:: max(1, len(rates) // 2)] if len(cells) <= 60 else rates[:1]
            tuning = dataclasses.replace(tuning, learning_rates=rates, seeds=1, rounds=0, refine=0)
        seeds, source = min(self.seeds, seeds), TRIAL + self.source if self.source else ""
        return dataclasses.replace(self, cells=cells, seeds=seeds, tuning=tuning, source=source, quick=True)


def value_name(value: Value) -> str:
    """Write a value of a label: a list with hyphens, as the widths of a network.

    Examples
    --------
    >>> value_name([100, 100]), value_name(0.1), value_name("adam"), value_name(True)
    ('100-100', '0.1', 'adam', 'yes')
    """
    if isinstance(value, list | tuple):
        return "-".join(map(value_name, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def shipped() -> list[str]:
    """Return the names of the studies that come with glassnet, in the order in which they are best read."""
    return [
        "optimizers-2019",
        "activations-2019",
        "adagrad-learning-rate",
        "optimizers",
        "activations",
        "initializers",
        "batch-size",
        "width-and-depth",
    ]


def find_study(name: str | os.PathLike[str]) -> Study:
    """Return a study: one that comes with glassnet, by its name, or one's own, by the path of its TOML file.

    Raises
    ------
    MissingFileError
        If there is neither.
    ConfigError
        If the file says something that makes no sense, naming the file and the place.

    Examples
    --------
    >>> find_study("batch-size").name
    'batch-size'
    """
    if str(name) in shipped():
        path = files("glassnet.studies") / "shipped" / f"{name}.toml"
        return parse_study(path.read_text(encoding="utf-8"), f"the study {name}")
    path = Path(name)
    try:
        text = read_text(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise MissingFileError(
            f"there is no study {str(name)!r:.200}: name one of {', '.join(shipped())}, or the TOML file of your own."
        ) from None
    return parse_study(text, str(path))


def parse_study(text: str, where: str = "the study") -> Study:
    """Read a study from TOML text.

    Parameters
    ----------
    text : see ``docs/studies.md`` for what it may hold
    where : what errors call it

    Raises
    ------
    ConfigError
        If it is no TOML, or says something that makes no sense.

    Examples
    --------
    >>> study = parse_study('''
    ... name = "two-rates"
    ... question = "Which learning rate is better?"
    ... [grid]
    ... learning_rate = [0.001, 0.01]
    ... ''')
    >>> [cell.name for cell in study.cells]
    ['0.001', '0.01']
    """
    table = parse_toml(text, where)
    try:
        return _study(table, text)
    except ConfigError as error:
        raise ConfigError(f"{where}: {one_sentence(str(error))}") from None


def _study(table: Table, source: str) -> Study:
    _known("a study", table, _TOP)
    name = _text(table, "name")
    if not NAME.fullmatch(name):
        raise ConfigError(f"the name {name!r:.80} must be letters, digits, '.', '_' and '-', for it names a folder.")
    run, grid, report = (_table(table, key) for key in ("run", "grid", "report"))
    _known("report", report, _REPORT)
    if "seed" in run:
        raise ConfigError("seed is not for [run]: say with seeds how many runs each cell has.")
    cells = tuple(_cells(run, grid, _tables(table, "cells")))
    axes = tuple(cells[0].label)
    for cell in cells:
        _check_label(cell.label)
        if tuple(cell.label) != axes:
            raise ConfigError(
                f"all cells need labels with the same keys: one has {', '.join(axes) or 'none'}, "
                f"another {', '.join(cell.label) or 'none'}."
            )
    names = [cell.name for cell in cells]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"two cells have the same label {twice!r}: give each its own.")
    tuning = _tuning(table["tuning"], cells) if "tuning" in table else None
    seconds = report.get("at_seconds")
    epochs = report.get("at_epochs")
    return Study(
        name=name,
        title=_text(table, "title", name),
        question=_text(table, "question"),
        cells=cells,
        notes=_text(table, "notes", "").strip(),
        seeds=_seeds("seeds", table.get("seeds", 3)),
        tuning=tuning,
        plots=_kinds(report, "plots", PLOTS, cells),
        answers=_kinds(report, "answers", ANSWERS, cells),
        baseline=_baseline(report, cells),
        at_epochs=None if epochs is None else check_count("at_epochs", epochs, least=1),
        at_seconds=None if seconds is None else check_number("at_seconds", seconds, above=0),
        source=source,
        quick=source.startswith(TRIAL),
    )


def _seeds(what: str, value: Any) -> int:
    if check_count(what, value, least=1) > MOST_SEEDS:
        raise ConfigError(f"{what} must be a whole number of 1 to {MOST_SEEDS}, not {value!r:.80}.")
    return int(value)


def _check_label(label: Mapping[str, Value]) -> None:
    """Refuse what could not stand in a table, on an axis or in JSON."""
    for key, value in label.items():
        for part in value if isinstance(value, list) else [value]:
            number = isinstance(part, int | float) and not isinstance(part, bool)
            if (number and not abs(part) <= MOST_NUMBER) or not isinstance(part, str | bool | int | float):
                raise ConfigError(
                    f"the label {key!r:.80} must be a text, true or false, a number of at most {MOST_NUMBER:g} or a "
                    f"list of these, not {value!r:.80}."
                )


def _cells(run: Table, grid: Table, listed: list[Table]) -> Iterator[Cell]:
    """Combine each listed cell (or a single one without values) with each point of the grid."""
    axes = [[_choice(axis, value) for value in _values(grid, axis)] for axis in grid]
    if math.prod(map(len, axes)) * max(len(listed), 1) > MOST_CELLS:
        raise ConfigError(f"the cells and the grid make more than {MOST_CELLS} combinations: take fewer values.")
    for own in listed or [{}]:
        own = dict(own)
        label, published = _table(own, "label"), own.pop("published", None)
        own.pop("label", None)
        for point in itertools.product(*axes):
            values = run | own
            names = dict(label)
            for axis, (shown, fields) in zip(grid, point, strict=True):
                names[axis] = shown
                values |= fields
            yield _cell(names, values, published)


def _choice(axis: str, value: Value) -> tuple[Value, Table]:
    """Return how a value of an axis is shown, and the settings that it stands for."""
    if not isinstance(value, dict):
        return value, {axis: value}
    if "label" not in value:
        raise ConfigError(f"grid: a table for {axis} needs a label, as in {{ label = 1, hidden = [100] }}.")
    fields = dict(value)
    return fields.pop("label"), fields


def _cell(label: Table, values: Table, published: Any) -> Cell:
    where = f"cell {', '.join(map(value_name, label.values())) or 'of [run]'}"
    rule = values.pop("rule", "gradient")
    if rule not in RULES:
        raise ConfigError(f"{where}: there is no rule {rule!r:.80}; choose from {', '.join(RULES)}.")
    odd = {"seed", *FIXED} & set(values)
    if odd:
        raise ConfigError(f"{where}: {', '.join(sorted(odd))} is the business of the runner; leave it out.")
    if published is not None:
        if not isinstance(published, dict) or set(published) - {"accuracy", "seconds"}:
            raise ConfigError(f"{where}: published holds accuracy (in percent) and seconds, not {published!r:.80}.")
        published = {name: check_number(f"published {name}", value, least=0) for name, value in published.items()}
    try:
        config = RunConfig.from_dict(values | FIXED)
        batch_length(config.batch_size, MOST_SEEDS)
        return Cell(label, config, rule, published)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _tuning(table: Any, cells: tuple[Cell, ...]) -> Tuning:
    if not isinstance(table, dict):
        raise ConfigError("tuning must be a table with learning_rates.")
    _known("tuning", table, {"learning_rates", "seeds", "rounds", "refine"})
    rates = table.get("learning_rates")
    if not isinstance(rates, list) or len(rates) < 2:
        raise ConfigError("tuning: learning_rates must be a list of two or more numbers that rise.")
    rates = [check_number("tuning: a learning rate", rate, above=0) for rate in rates]
    if sorted(set(rates)) != rates:
        raise ConfigError("tuning: the learning_rates must rise.")
    for cell in cells:
        if cell.config.validation == 0 or not cell.config.validate:
            raise ConfigError(f"tuning chooses on the validation samples, but cell {cell.name} has none.")
        if cell.config.learning_rate is not None:
            raise ConfigError(f"tuning chooses the learning rate, but cell {cell.name} has one: leave one of them out.")
    return Tuning(
        tuple(rates),
        _seeds("tuning: seeds", table.get("seeds", 3)),
        check_count("tuning: rounds", table.get("rounds", 6), least=0),
        check_count("tuning: refine", table.get("refine", 0), least=0),
    )


def _kinds(
    report: Table, key: str, kinds: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]], cells: tuple[Cell, ...]
) -> tuple[Table, ...]:
    """Check the tables that say what a report shows."""
    found, axes = _tables(report, key), tuple(cells[0].label)
    if len(found) > MOST_TABLES:
        raise ConfigError(f"report: {key} are {len(found)}: take at most {MOST_TABLES}.")
    for table in found:
        kind = str(table.get("kind"))
        if kind not in kinds:
            raise ConfigError(f"report: there is no kind {kind!r:.80} of {key}; choose from {', '.join(kinds)}.")
        needed, allowed = kinds[kind]
        where = f"report: {key}: {kind}"
        _known(where, table, {"kind", *(["title"] if key == "plots" else []), *needed, *allowed})
        for name in needed:
            if name not in table:
                raise ConfigError(f"{where} needs {name}.")
        _text(table, "title", "")
        for name in {"panel", "x", "y", "line", "axis"} & set(table):
            _one_of(f"{where}: {name}", table[name], axes)
        if "quantity" in table:
            _one_of(f"{where}: quantity", table["quantity"], QUANTITIES[kind])
        if "over" in table:
            _one_of(f"{where}: over", table["over"], ("epoch", "seconds"))
        for axis, value in _table(table, "where").items():
            _one_of(f"{where}: where", axis, axes)
            _occurs(f"{where}: where", axis, value, cells)
        if "of" in table:
            if not isinstance(table["of"], list) or len(table["of"]) != 2:
                raise ConfigError(f"{where}: of must be two values of the axis {table['axis']}.")
            for value in table["of"]:
                _occurs(f"{where}: of", table["axis"], value, cells)
    return tuple(found)


def _one_of(where: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{where} must be one of {', '.join(choices)}, not {value!r:.80}.")


def _occurs(where: str, axis: str, value: Any, cells: tuple[Cell, ...]) -> None:
    if not any(cell.label[axis] == value and type(cell.label[axis]) is type(value) for cell in cells):
        raise ConfigError(f"{where}: no cell has {value!r:.80} for {axis}.")


def _baseline(report: Table, cells: tuple[Cell, ...]) -> Table | None:
    wanted = report.get("baseline")
    if wanted is None:
        return None
    if not isinstance(wanted, dict) or sum(wanted.items() <= dict(cell.label).items() for cell in cells) != 1:
        raise ConfigError(f"report: baseline must be the label of one cell, not {wanted!r:.80}.")
    return wanted


def _known(what: str, table: Table, names: set[str]) -> None:
    odd = set(table) - names
    if odd:
        raise ConfigError(f"{what} has no {', '.join(sorted(odd))}; choose from {', '.join(sorted(names))}.")


def _text(table: Table, key: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise ConfigError(f"{key} must be a text" + (f", not {value!r:.80}." if key in table else "; it is missing."))
    return value


def _table(table: Table, key: str) -> Table:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise ConfigError(f"{key} must be a table, not {value!r:.80}.")
    return value


def _tables(table: Table, key: str) -> list[Table]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise ConfigError(f"{key} must be a list of tables, not {value!r:.80}.")
    return value


def _values(grid: Table, axis: str) -> list[Value]:
    values = grid[axis]
    if not isinstance(values, list) or not values:
        raise ConfigError(f"grid: {axis} must be a list of the values to try, not {values!r:.80}.")
    return values


def _shortened(config: RunConfig) -> RunConfig:
    steps = 2 if config.batch_size == "full" else 10
    steps = steps if config.max_steps is None else min(steps, config.max_steps)
    return dataclasses.replace(config, epochs=1, max_steps=steps, warmup=None)


def canonical(values: Any) -> str:
    """Write values as JSON, the same text for the same values."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
