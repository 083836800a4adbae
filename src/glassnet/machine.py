"""The machine: what there is to compute with, and what would make training faster, measured side by side.

A variant is a way to take the same steps: with one process or two, with one BLAS thread or two, without an environment
variable. Each waits in a process of its own until its turn comes; turns go round, and gains are ratios within a round,
since times drift on machines that others use, too.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import platform
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from glassnet.blas import threads_at_most
from glassnet.config import RunConfig, cores
from glassnet.data import DataSet
from glassnet.errors import GlassnetError

TRIAL, STEPS = 30, 150
"""Steps of the trial and of a turn, some hundredths of a second."""

HOPELESS = 3.0
"""How many times as long as things take now a way may take in its trial, to get a turn."""

WORTH = 1.05
"""The least gain that is worth a word."""

LEAST_ROUNDS = 4
"""Rounds from which on a gain is believed, if all but one of them say so."""

BUSY = 0.5
"""Processes that wait or run beside this one, for each processor, from which on the machine counts as busy."""

SLOWING = (
    "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT",
    "OMP_DYNAMIC", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "MKL_DEBUG_CPU_TYPE", "MKL_ENABLE_INSTRUCTIONS",
    "BLIS_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES", "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONMALLOC",
)  # fmt: skip
"""Environment variables that can slow training down."""

KERNELS = {"avx512f": ("SkylakeX", "Cooperlake", "SapphireRapids"), "avx2": ("Haswell", "Zen", "Excavator")}
"""Kernels of OpenBLAS that use the best of what a processor can do."""


# What there is.


def describe(root: Path = Path("/")) -> dict[str, Any]:
    """Return what training depends on, in plain values; None where the system does not tell.

    Parameters
    ----------
    root : where /proc and /sys are looked for

    Returns
    -------
    dict
        "python", "numpy" and "scipy" (versions), "system", "processor" and what it "can" do of AVX, "processors" (of
        the machine, "usable" by this process, and how many a "quota" of its control group allows), "load", "memory" and
        "available" in bytes, "blas" (each library with its version, kernels and threads), "environment" (variables that
        can slow training down).

    Examples
    --------
    >>> facts = describe()
    >>> facts["usable"] >= 1, facts["numpy"] == np.__version__
    (True, True)
    """
    name, can = _processor(root)
    memory, available = _memory(root)
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": _version("scipy"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": name,
        "can": can,
        "processors": os.cpu_count(),
        "usable": cores(),
        "quota": _quota(root),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "memory": memory,
        "available": available,
        "blas": [
            {
                "library": pool["internal_api"],
                "version": pool["version"],
                "kernels": pool.get("architecture"),
                "threads": pool["num_threads"],
            }
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        ],
        "environment": {name: os.environ[name] for name in SLOWING if name in os.environ},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _processor(root: Path) -> tuple[str, list[str]]:
    """Return the name of the processor, and which instructions it has of those that BLAS makes use of."""
    facts = dict(re.findall(r"^(model name|flags)\s*: (.*)$", _text(root / "proc/cpuinfo"), re.MULTILINE))
    flags = facts.get("flags", "").split()
    name = facts.get("model name") or platform.processor() or platform.machine() or "unknown"
    return name, [flag for flag in ("avx2", "avx512f", "avx512_bf16") if flag in flags]


def _memory(root: Path) -> tuple[int | None, int | None]:
    """Return the bytes of memory that this process may use, and how many are free."""
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE))
    total, free = (int(found[name]) * 1024 if name in found else None for name in ("MemTotal", "MemAvailable"))
    limits = [_text(root / f"sys/fs/cgroup/{name}").strip() for name in ("memory.max", "memory.current")]
    if limits[0].isdecimal() and total is not None:
        total = min(total, int(limits[0]))
        used = int(limits[1]) if limits[1].isdecimal() else 0
        free = min(free if free is not None else total, max(total - used, 0))
    return total, free


def _quota(root: Path) -> float | None:
    """Return how many processors' time the control group of this process gets; None where it is not limited."""
    text = _text(root / "sys/fs/cgroup/cpu.max").split()
    if len(text) == 2 and text[0].isdecimal() and int(text[1]):
        return int(text[0]) / int(text[1])
    parts = [_text(root / f"sys/fs/cgroup/cpu/cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    return int(parts[0]) / int(parts[1]) if all(part.isdecimal() and int(part) for part in parts) else None


def remarks(facts: dict[str, Any]) -> list[str]:
    """Return what in `describe` may cost speed, a sentence each.

    Examples
    --------
    >>> facts = {"blas": [{"library": "mkl", "kernels": None}], "can": [], "environment": {}, "available": 1e10}
    >>> remarks(facts | {"quota": 0.5, "usable": 2, "load": 0.1})
    ['The control group of this process gets the time of 0.5 processors, and 2 are to be seen: take --workers 1.']
    """
    told = []
    quota, usable, load = facts["quota"], facts["usable"], facts["load"]
    if quota is not None and quota < usable:
        told.append(
            f"The control group of this process gets the time of {quota:g} processors, and {usable} are to be seen: "
            f"take --workers {max(1, int(quota))}."
        )
    if load is not None and load > BUSY * usable:
        told.append(f"The machine is busy (load {load:.1f} on {usable} processors): times below are of what is left.")
    best = next((name for name in KERNELS if name in facts["can"]), None)
    told += [
        f"{pool['library']} computes with kernels for {pool['kernels']}, and this processor has {best}: "
        + ("clear OPENBLAS_CORETYPE." if "OPENBLAS_CORETYPE" in facts["environment"] else "a newer NumPy may know it.")
        for pool in facts["blas"]
        if best and pool["library"] == "openblas" and pool["kernels"] and pool["kernels"] not in KERNELS[best]
    ]
    if not facts["blas"]:
        told.append("NumPy's BLAS is not known here, so its kernels and threads can not be told.")
    if facts["available"] is not None and facts["available"] < 1e9:
        told.append(f"There is little memory, {facts['available'] / 1e6:,.0f} MB: take smaller batches or networks.")
    return told


# What would be faster.


@dataclass(frozen=True)
class Variant:
    """A way to take the steps.

    Parameters
    ----------
    name : what is done otherwise; of the first one, how it is done now
    how : what to do, to have it
    changes : of the configuration
    without : environment variables that it does not see
    """

    name: str
    how: str = ""
    changes: tuple[tuple[str, Any], ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What a variant took.

    Attributes
    ----------
    variant : which one
    seconds : of a step, in each turn; of what is hopeless, in its trial
    gain : how many times as fast as things are now: the median of the ratios within each round
    sure : whether all rounds but one, at most, say that it is faster by `WORTH`, and there are enough of them
    """

    variant: Variant
    seconds: tuple[float, ...]
    gain: float
    sure: bool


def variants(environment: Mapping[str, str], usable: int) -> list[Variant]:
    """Return how the default run is taken now on so many processors, and what may be faster here.

    Examples
    --------
    >>> [one.name for one in variants({}, usable=2)]
    ['now: 2 workers', '1 worker, 1 thread', '1 worker, 2 threads']
    >>> [one.name for one in variants({"OPENBLAS_CORETYPE": "Haswell"}, usable=1)]
    ['now: 1 worker, 1 thread', 'without OPENBLAS_CORETYPE']
    """
    found = [Variant("now: 1 worker, 1 thread")]
    if usable > 1:  # two workers are the default then
        found = [Variant("now: 2 workers")] + [
            Variant(name, f"train with {words}", (("workers", 1), ("threads", threads)))
            for name, words, threads in (
                ("1 worker, 1 thread", "--workers 1 --threads 1", 1),
                ("1 worker, 2 threads", "--workers 1 --threads 2", 2),
            )
        ]
    names = tuple(name for name in SLOWING if name in environment)
    found += [Variant(f"without {name}", f"clear the environment variable {name}", without=(name,)) for name in names]
    if len(names) > 1:
        found.append(Variant("without any of these", f"clear {', '.join(names)}", without=names))
    return found


def measure(
    config: RunConfig,
    ways: Sequence[Variant],
    rounds: int = 10,
    seconds: float = 10.0,
    tell: Callable[[], None] = lambda: None,
) -> list[Measured]:
    """Take the same steps in each way, in turns, and return how long they took.

    Parameters
    ----------
    config : what is trained
    ways : the first is compared with the others
    rounds : turns of each, but for those that are hopeless
    seconds : after which there is no other round
    tell : called after each trial and after each round

    Raises
    ------
    GlassnetError
        If a process that measures is lost.
    """
    begin, trial, took = perf_counter(), dict[Variant, float](), {one: list[float]() for one in ways}
    with ExitStack() as stack:
        peers = {one: stack.enter_context(_peer(config, one)) for one in ways}
        for peer in peers.values():
            _hear(peer)  # it is ready
        for one in ways:
            trial[one] = _ask(peers[one], TRIAL)
            tell()
        hopeful = [one for one in ways if trial[one] <= HOPELESS * trial[ways[0]]]
        for turn in range(rounds):
            if turn and perf_counter() - begin > seconds:
                break
            for one in hopeful if turn % 2 == 0 else reversed(hopeful):
                took[one].append(_ask(peers[one], STEPS))
            tell()
    for one in ways:
        if one not in hopeful:
            took[one] = [trial[one]]
    return [_measured(one, took[ways[0]] if one in hopeful else [trial[ways[0]]], took[one]) for one in ways]


def _measured(variant: Variant, now: Sequence[float], its: Sequence[float]) -> Measured:
    ratios = sorted(a / b for a, b in zip(now, its, strict=True))
    sure = len(ratios) >= LEAST_ROUNDS and ratios[1] >= WORTH
    return Measured(variant, tuple(its), statistics.median(ratios), sure)


def advice(found: Sequence[Measured]) -> str:
    """Return what would make training faster, with the gain that was measured, or that nothing would.

    Examples
    --------
    >>> now = Measured(Variant("now: 2 workers"), (1.0, 1.0), 1.0, False)
    >>> advice([now, Measured(Variant("1 worker", "train with --workers 1"), (0.8, 0.8), 1.25, True)])
    'To train 1.25 times as fast, train with --workers 1.'
    >>> advice([now])
    'Nothing that was tried makes training faster here.'
    """
    better = [one for one in found[1:] if one.sure]
    if not better:
        return "Nothing that was tried makes training faster here."
    best = max(better, key=lambda one: one.gain)
    return f"To train {best.gain:.2f} times as fast, {best.variant.how}."


def product_speed(seconds: float = 0.2) -> float:
    """Return how many thousand million multiplications and additions a second one thread of BLAS makes of float32."""
    a = np.ones((512, 512), np.float32)
    out, best, begin = np.empty_like(a), math.inf, perf_counter()
    with threads_at_most(1):
        while perf_counter() - begin < seconds:
            before = perf_counter()
            np.matmul(a, a, out=out)
            best = min(best, perf_counter() - before)
    return 2 * 512**3 / best / 1e9


# The processes that measure.


@contextmanager
def _peer(config: RunConfig, variant: Variant) -> Iterator[Connection]:
    """Start a process that takes turns, and let it end with the block."""
    context = multiprocessing.get_context("spawn")  # so that BLAS is loaded anew, with the environment that it sees
    ours, theirs = context.Pipe()
    kept = {name: os.environ.pop(name) for name in variant.without if name in os.environ}
    try:
        changed = config.changed(**dict(variant.changes)) if variant.changes else config
        process = context.Process(target=_take_turns, args=(theirs, changed))
        process.start()
    finally:
        os.environ.update(kept)
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(20)
        if process.is_alive():
            process.kill()
            process.join()


def _ask(peer: Connection, steps: int) -> float:
    """Let a process take some steps, and return how long one took."""
    peer.send(steps)
    return _hear(peer) / steps


def _hear(peer: Connection) -> float:
    try:
        return float(peer.recv())
    except (EOFError, OSError):
        raise GlassnetError("a process that measures was lost: try again, or with --no-measure.") from None


def _take_turns(orders: Connection, config: RunConfig) -> None:
    """Take as many steps as an order says, and answer how long that took; what a process that measures does."""
    try:
        data = config.load_data()
        orders.send(_turn(config, data, 1))
        while steps := orders.recv():
            orders.send(_turn(config, data, steps))
    except (EOFError, OSError, KeyboardInterrupt):
        pass  # nobody waits for it any more


def _turn(config: RunConfig, data: DataSet, steps: int) -> float:
    some = replace(config, max_steps=steps, validate=False)
    return some.follow(some.make_training(data)).train_seconds
