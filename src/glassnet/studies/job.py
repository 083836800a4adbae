"""One run of a study: from its configuration to its record."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import platform
import time
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from threadpoolctl import threadpool_info

import glassnet
from glassnet.blas import threads_at_most
from glassnet.config import RunConfig
from glassnet.data import DataSet
from glassnet.diagnosis import signals
from glassnet.errors import ConfigError, DivergedError
from glassnet.history import COLUMNS
from glassnet.studies import rule2019
from glassnet.studies.study import Cell, Study, canonical, value_name
from glassnet.training import Training

Record: TypeAlias = dict[str, Any]
"""What is kept of a run: see ``docs/studies.md``."""

FORMAT = 1

FIRST_SEARCH_SEED = 1000
"""Runs that choose a learning rate have other seeds than the final ones, which are to judge it."""

SIGNAL_SAMPLES = 500
"""Training samples on which the layers are looked at."""


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes
    ----------
    study : its name
    label, rule : of its cell
    phase : "search" to choose a learning rate, or "final"
    config : with the seed
    signals : whether to look at the activations and gradients of the layers
    """

    study: str
    label: tuple[tuple[str, Any], ...]
    rule: str
    phase: str
    config: RunConfig
    signals: bool = False

    @classmethod
    def of(cls, study: Study, cell: Cell, phase: str, number: int, learning_rate: float | None = None) -> Job:
        """Return run `number` of a cell, with the learning rate that is tried or was chosen."""
        config = dataclasses.replace(cell.config, seed=number + (FIRST_SEARCH_SEED if phase == "search" else 0))
        if learning_rate is not None:
            config = dataclasses.replace(config, learning_rate=learning_rate)
        needs_signals = study.needs_signals and phase == "final"
        return cls(study.name, tuple(cell.label.items()), cell.rule, phase, config, needs_signals)

    @cached_property
    def key(self) -> str:
        """What tells this run from every other, and stays the same as long as its settings do.

        Settings at their defaults are left out, so that one that glassnet gets later changes no key.
        """
        default = RunConfig().to_dict()
        config = {name: value for name, value in self.config.to_dict().items() if value != default[name]}
        values = [FORMAT, dict(self.label), self.rule, self.phase, config, self.signals]
        return hashlib.sha256(canonical(values).encode()).hexdigest()[:20]

    @property
    def cost(self) -> float:
        """About how many seconds it takes on one core, with data like MNIST: by this the runs are put in order."""
        config = self.config
        batch = 60_000 if config.batch_size == "full" else int(config.batch_size)
        steps = config.epochs * 60_000 / batch
        steps = steps if config.max_steps is None else min(steps, config.max_steps)
        parameters = sum(a * b for a, b in pairwise((784, *config.hidden, 10)))
        slow = 6.0 if config.optimizer == "muon" else 1.0
        return steps * (25e-6 * (2 + len(config.hidden)) + batch * (6e-7 + 4e-11 * parameters)) * slow + 0.1


def perform(job: Job) -> Record:
    """Take a run from its beginning to its end and return its record.

    A run that diverges is a result like any other, with the reason.

    Raises
    ------
    GlassnetError
        If the data can not be read, or do not fit the network.
    """
    begin = time.perf_counter()
    with threads_at_most(1):
        data, where = _data(job.config), machine()
        training = _training(job, data)
        looks = [_signals(training)] if job.signals else []
        reason = None
        try:
            job.config.follow(training)
        except DivergedError as error:
            reason = str(error)
        if job.signals and reason is None:
            looks.append(_signals(training))
        result = training.result()
        test = None
        seconds = result.evaluation_seconds
        if job.phase == "final" and reason is None and len(data.test):
            before = time.perf_counter()
            test = result.model.evaluate(data.test)
            seconds += time.perf_counter() - before
    history = {name: [_finite(value) for value in result.history[name]] for name in COLUMNS}
    history |= {name: [int(value) for value in result.history[name]] for name in ("epoch", "step")}
    return _place(job) | {
        "config": _effective(job).resolved(data).to_dict() | {"data": job.config.data},
        "outcome": "finished" if reason is None else "diverged",
        "reason": reason,
        "history": history,
        "test_accuracy": test and test.accuracy,
        "test_loss": None if test is None else _finite(test.loss),
        "signals": dict(zip(("begin", "end"), looks, strict=False)) or None,
        "parameters": result.model.network.layout.size,
        "steps": result.steps,
        "train_seconds": result.train_seconds,
        "evaluation_seconds": seconds,
        "wall_seconds": time.perf_counter() - begin,
        "attempts": 1,
        "machine": where,
        "versions": versions(),
    }


def check(job: Job) -> None:
    """Refuse a run that can not begin: what `perform` would meet before its first step.

    Raises
    ------
    GlassnetError
        If the data can not be read, or something does not fit together, naming the run.
    """
    try:
        _training(job, _data(job.config))
    except ConfigError as error:
        raise ConfigError(f"{', '.join(value_name(value) for _, value in job.label) or job.study}: {error}") from None


def _training(job: Job, data: DataSet) -> Training:
    return rule2019.make_training(job.config, data) if job.rule == "2019" else job.config.make_training(data)


def _effective(job: Job) -> RunConfig:
    """Return the settings as the rule takes them."""
    return rule2019.adapted(job.config) if job.rule == "2019" else job.config


def _place(job: Job) -> Record:
    """Return what says which run a record is of."""
    return {
        "format": FORMAT,
        "key": job.key,
        "study": job.study,
        "cell": dict(job.label),
        "rule": job.rule,
        "phase": job.phase,
        "seed": job.config.seed,
    }


def lost(job: Job, reason: str, attempts: int) -> Record:
    """Return the record of a run whose process ended each time before it did."""
    return _place(job) | {
        "config": job.config.to_dict(),
        "outcome": "lost",
        "reason": reason,
        "history": {name: [] for name in COLUMNS},
        "test_accuracy": None,
        "test_loss": None,
        "signals": None,
        "parameters": 0,
        "steps": 0,
        "train_seconds": 0.0,
        "evaluation_seconds": 0.0,
        "wall_seconds": 0.0,
        "attempts": attempts,
        "machine": machine(),
        "versions": versions(),
    }


def machine() -> dict[str, Any]:
    """Return what the times of a run depend on, and its last bits."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    kernels = (f"{pool['internal_api']} {pool['version']}, {pool.get('architecture', '?')}" for pool in pools)
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "blas": "; ".join(kernels),
        "blas_threads": max((pool["num_threads"] for pool in pools), default=1),
    }


def versions() -> dict[str, str]:
    """Return the versions that a run depends on."""
    return {"glassnet": glassnet.__version__, "numpy": np.__version__, "python": platform.python_version()}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except (OSError, UnicodeDecodeError):
        names = []
    return names[0] if names else platform.processor() or platform.machine()


_loaded: dict[str, DataSet] = {}


def _data(config: RunConfig) -> DataSet:
    """Load the data of a run, unless the run before it in this process had the same."""
    key = canonical([config.data, config.classes, config.validation, list(config.input_range)])
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = config.load_data()
    return _loaded[key]


def _signals(training: Training) -> list[dict[str, Any]]:
    """Look at the layers as they are now, on the first training samples."""
    train = training.data.train
    x = training.data.preprocessing.apply(train.features[:SIGNAL_SAMPLES], dtype=training.network.dtype)
    assert training.loss is not None
    found = signals(training.network, x, train.targets[:SIGNAL_SAMPLES], training.loss)
    return [
        {name: _finite(value) if isinstance(value, float) else value for name, value in one.items()} for one in found
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
