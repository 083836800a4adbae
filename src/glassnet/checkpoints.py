"""Checkpoints: all that a run needs to go on in the same bits, in files that say whether they are whole.

A checkpoint is a safetensors file. Its metadata entry ``glassnet-checkpoint`` is a JSON object with the settings of the
run, its state (see `Training.state`) and the listeners' states, in which arrays are named and stand among the tensors.
The entry ``sha256`` is the sum of that text and of all tensors: it tells a file that is torn or was changed. Reading
executes nothing.

A folder of checkpoints has one for each of some steps, ``step-00001375.safetensors``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import threading
import warnings
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from glassnet.checks import check_count
from glassnet.data import Samples
from glassnet.diagnosis import all_finite
from glassnet.errors import CheckpointError, ConfigError, GlassnetError, MissingFileError, OutputExistsError
from glassnet.files import only_writer, read_up_to, remove_leftovers, write_bytes
from glassnet.training import Begin, EpochEnd, Event, Listener, Steps, Training, threads_used

FORMAT = 1
ENTRY, SUM = "glassnet-checkpoint", "sha256"
MOST_BYTES = 2**34
"""A larger file is no checkpoint: parameters and state of 2^30 numbers are less."""

MOST_HEADER = 2**25
"""Bytes of settings, state and list of arrays; a history takes some 200 an epoch."""

_NAME = re.compile(r"step-([0-9]{8,15})\.safetensors", re.ASCII)
_EVERY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(e|epochs?|steps?|s|seconds?)", re.ASCII)

Saved: TypeAlias = dict[str, Any]
"""What a checkpoint holds: "settings", "state", "listeners" (the states of those that have one), and "written" (how
often, and how many are kept)."""


# What a run is, and how it goes on.


def settings_of(run: Training) -> dict[str, Any]:
    """Return all that the bits of a run's result depend on, as plain values; of its samples CRC-32s.

    Samples of validation count, too: listeners stop, go back or lower the learning rate by how well they are read.

    Examples
    --------
    >>> from glassnet import Dense, Network, Softmax, from_arrays
    >>> data = from_arrays(np.eye(4, 2), [0, 1, 0, 1], validation=0)
    >>> settings_of(Training(Network([Dense(2), Softmax()], 2), data, batch_size=2))["batch size"]
    2
    """
    plan, network = run.plan, run.network
    rule = dict(run.rule)
    return {
        "layers": list(map(repr, network.layers)),
        "input shape": list(network.input_shape),
        "type of numbers": network.dtype.name,
        "loss": repr(run.loss),
        "optimizer": rule.pop("type"),
        **{name.replace("_", " "): _plain(value) for name, value in rule.items()},
        "batch size": run.batch_size,
        "epochs": run.epochs,
        "max steps": run.max_steps,
        "shuffle": run.shuffle,
        "seed": run.seed,
        "frozen layers": sorted(run.frozen),
        "workers": run.workers,
        "threads": run.threads or threads_used(run.batch_length, network.layout.size, run.workers),
        "training samples": len(plan.samples),
        "validation samples": len(run.data.validation) if run.validates else 0,
        "preprocessing": repr(plan.preprocessing),
        "CRC-32 of the training samples": _crc(plan.samples),
        "CRC-32 of the validation samples": _crc(run.data.validation) if run.validates else 0,
    }


def _crc(samples: Samples) -> int:
    crc = 0
    for array in (samples.features, samples.targets, samples.weights):
        if array is not None:
            crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return crc


def _plain(value: Any) -> Any:
    """Return what JSON holds as it is; of anything else, such as a function, its text without addresses."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))


def saved_of(run: Training, settings: Mapping[str, Any]) -> Saved:
    """Return a copy of all that `restore` needs."""
    states = [[type(listener).__name__, listener.state()] for listener in _with_state(run)]
    return {"settings": dict(settings), "state": run.state(), "listeners": states}


def _with_state(run: Training) -> list[Listener]:
    """Return the listeners whose class says what must be saved of them."""
    return [listener for listener in run.listeners if type(listener).state is not Listener.state]


def step_of(saved: Mapping[str, Any]) -> int:
    """Return the step of a checkpoint.

    Raises
    ------
    CheckpointError
        If it has none.
    """
    try:
        return check_count("step", saved["state"]["place"][2], least=0)
    except (LookupError, TypeError, ConfigError) as error:
        raise CheckpointError(f"what the checkpoint holds makes no sense ({error}).") from None


def restore(run: Training, saved: Mapping[str, Any]) -> None:
    """Let a run that has not begun, and its listeners, go on where a checkpoint was written.

    Parameters
    ----------
    run : with the same settings, and listeners of the same kinds in the same order, as far as they have a state
    saved : what `load_checkpoint` returned

    Raises
    ------
    CheckpointError
        If the checkpoint is of another run, naming what differs; the run must not be used then.
    """
    try:
        ours, theirs = settings_of(run), saved["settings"]
        differences = [
            f"{name} was {theirs.get(name)!r:.200} and is {ours.get(name)!r:.200}"
            for name in {**theirs, **ours}
            if theirs.get(name) != ours.get(name)
        ]
        if differences:
            raise CheckpointError(f"it is of a run with other settings: {'; '.join(differences)}.")
        keepers = _with_state(run)
        kinds, saved_kinds = [type(one).__name__ for one in keepers], [name for name, _ in saved["listeners"]]
        if kinds != saved_kinds:
            raise CheckpointError(
                f"that run was followed by {', '.join(saved_kinds) or 'nobody'}, "
                f"and this one by {', '.join(kinds) or 'nobody'}: go on with the same listeners."
            )
        run.restore(saved["state"])
        for listener, (_, state) in zip(keepers, saved["listeners"], strict=True):
            listener.restore(state)
    except CheckpointError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"what it holds makes no sense ({error}).") from None


# Files.


def save_checkpoint(saved: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    saved : what `saved_of` returned
    path : the file; what was there is replaced

    Raises
    ------
    OSError
        If the system does not let it be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "step-00000007.safetensors")
    >>> save_checkpoint({"settings": {"seed": 1}, "state": {"theta": np.zeros(2)}, "listeners": []}, path)
    >>> load_checkpoint(path)["state"]
    {'theta': array([0., 0.])}
    """
    arrays: dict[str, NDArray[Any]] = {}
    text = json.dumps({"format": FORMAT, "saved": _packed(saved, "saved", arrays)}, allow_nan=False)
    write_bytes(path, save(arrays, {ENTRY: text, SUM: _sum(text, arrays)}))


def _packed(value: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return a value as JSON has it; its arrays go into `arrays`, by where they stood."""
    if isinstance(value, np.ndarray):
        arrays[name] = np.ascontiguousarray(value)
        return {"array": name}
    if isinstance(value, Mapping):
        return {"entries": {key: _packed(part, f"{name}.{key}", arrays) for key, part in value.items()}}
    if isinstance(value, list | tuple):
        return [_packed(part, f"{name}.{index}", arrays) for index, part in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": repr(value)}
    return value


def _unpacked(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_unpacked(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "entries":
        return {key: _unpacked(part, arrays) for key, part in content.items()}
    return arrays[content] if kind == "array" else float(content)


def _sum(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of the text and, in the order of their names, of each array's name, type, shape and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def load_checkpoint(path: str | os.PathLike[str]) -> Saved:
    """Read a checkpoint, if it is whole. For an example see `save_checkpoint`.

    Raises
    ------
    MissingFileError
        If there is no such file.
    CheckpointError
        If it is torn, was changed since it was written, or is no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such checkpoint.")
    if path.stat().st_size > MOST_BYTES:
        raise CheckpointError(f"{path} is larger than any checkpoint.")
    if int.from_bytes(read_up_to(path, 8), "little") > MOST_HEADER:
        raise CheckpointError(f"{path} is torn, or no checkpoint (its header has more than {MOST_HEADER:,} bytes).")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = metadata.get(ENTRY)
        if text is None:
            raise CheckpointError(f"{path} is no checkpoint of glassnet.")
        if metadata.get(SUM) != _sum(text, arrays):
            raise CheckpointError(f"{path} was changed since it was written: its sum is another.")
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise CheckpointError(
                f"{path} is of format {content['format']!r:.80}, and this version of glassnet reads format {FORMAT}."
            )
        saved: Saved = _unpacked(content["saved"], arrays)
        parts = saved["settings"], saved["state"], saved.setdefault("written", {}), saved["listeners"]
        if list(map(type, parts)) != [dict, dict, dict, list]:
            raise CheckpointError(
                f"{path} is no checkpoint of glassnet: its parts are not of the kinds they should be."
            )
    except SafetensorError as error:
        raise CheckpointError(f"{path} is torn, or no checkpoint ({error}).") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, GlassnetError):
            raise
        raise CheckpointError(f"{path} is no checkpoint of glassnet ({type(error).__name__}).") from None
    return saved


# Folders.


def steps_of(folder: str | os.PathLike[str]) -> dict[int, Path]:
    """Return the checkpoints of a folder by their steps, which rise.

    Raises
    ------
    MissingFileError
        If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: there is no such folder of checkpoints.")
    found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    return dict(sorted(found.items()))


def path_of(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step belongs."""
    return folder / f"step-{step:08d}.safetensors"


def _warn(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=4)


def last_checkpoint(
    folder: str | os.PathLike[str], up_to: float = math.inf, say: Callable[[str], None] = _warn
) -> Saved:
    """Return the newest whole checkpoint of a folder; of each newer one that is damaged, that is said.

    Parameters
    ----------
    folder : where `Checkpoints` wrote
    up_to : of this step or an earlier one
    say : called with each sentence; by default they are warnings

    Raises
    ------
    MissingFileError
        If there is no folder, or no whole checkpoint in it.
    """
    damaged = []
    for path in reversed([path for step, path in steps_of(folder).items() if step <= up_to]):
        try:
            saved = load_checkpoint(path)
        except CheckpointError as error:
            damaged.append(str(error))
        else:
            for sentence in damaged:
                say(f"{sentence.rstrip('.')}; the one before it is used.")
            return saved
    reason = f" ({damaged[0].rstrip('.')})" if damaged else ""
    raise MissingFileError(f"{folder}: there is no whole checkpoint in it{reason}.")


def read_every(text: str) -> tuple[float, str]:
    """Return the number and the unit, "e", "step" or "s", of how often a checkpoint is written.

    Raises
    ------
    ConfigError
        If it is no such text.

    Examples
    --------
    >>> read_every("2e"), read_every("500 steps"), read_every("1.5s")
    ((2.0, 'e'), (500.0, 'step'), (1.5, 's'))
    """
    match = _EVERY.fullmatch(text) if isinstance(text, str) else None
    number, unit = (float(match[1]), match[2]) if match else (0.0, "")
    unit = "step" if unit.startswith("st") else unit[:1]
    if number <= 0 or (unit != "s" and not number.is_integer()):
        raise ConfigError(f"checkpoints are written every 1e (epoch), 500steps or 30s, not every {text!r:.80}.")
    return number, unit


class Checkpoints(Listener):
    """Write a checkpoint now and then, from a copy and beside the training; the last ones and the best are kept.

    The best is that of the epoch with the highest validation accuracy, or the lowest validation loss where there is no
    accuracy; it is written even where none is due. One is written, too, where the run is asked to stop, by Ctrl-C or
    anything else. A checkpoint that can not be written is said and does not end the run.

    Parameters
    ----------
    folder : made if it is not there; nobody else may write to it during the run
    every : such as "1e", "500steps" or "30s"
    keep : how many of the last ones to keep, at least 1
    say : called with each sentence about what went wrong; by default they are warnings

    Attributes
    ----------
    flush_seconds : how long the end of the run waited for the last one to be written
    newest : step of the newest one that was written; None if there is none

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.
    OutputExistsError
        When training begins, if the folder has checkpoints and the run does not go on from one, or if another process
        writes there.

    Examples
    --------
    >>> import tempfile
    >>> from glassnet import Dense, Network, Softmax, fit, from_arrays
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> data = from_arrays(x, (x[:, 0] > 0).astype(int))
    >>> def network():
    ...     return Network([Dense(2), Softmax()], 2)
    >>> folder = tempfile.mkdtemp()
    >>> whole = fit(network(), data, epochs=4, listeners=[Checkpoints(folder, "1e", keep=2)])
    >>> sorted(os.listdir(folder))[-1]
    'step-00000008.safetensors'
    >>> again = network()
    >>> rest = fit(again, data, epochs=4, resume=Path(folder, "step-00000006.safetensors"))
    >>> np.array_equal(again.theta, whole.model.network.theta)
    True
    """

    last = True

    def __init__(
        self,
        folder: str | os.PathLike[str],
        every: str = "1e",
        keep: int = 3,
        say: Callable[[str], None] = _warn,
    ) -> None:
        self.folder = Path(folder)
        self.every, (self._number, self._unit) = every, read_every(every)
        self.keep = check_count("keep", keep, least=1)
        self.flush_seconds = 0.0
        self.newest: int | None = None
        self._say = say
        self._settings: dict[str, Any] = {}
        self._lock = ExitStack()
        self._writer: threading.Thread | None = None
        self._faults: list[str] = []
        self._best: tuple[float, int] | None = None
        self._saved_at = 0.0

    def notify(self, event: Event, run: Training) -> None:
        """Write a checkpoint where one is due."""
        if isinstance(event, Begin):
            self._begin(run)
        else:
            whole = isinstance(event, EpochEnd) and _is_whole(event.row, run)
            best = isinstance(event, EpochEnd) and whole and self._is_best(event.row)
            within = isinstance(event, Steps) and run.number < run.steps_an_epoch
            if (within or whole) and (best or run.stopped or self._due(run)):
                self._save(run)
        if self._unit == "step":
            run.event_at(run.step + int(self._number - run.step % self._number))

    def _begin(self, run: Training) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.enter_context(only_writer(self.folder))
        remove_leftovers(self.folder / "step-*.safetensors")
        self.newest = max((step for step in steps_of(self.folder) if step <= run.step), default=None)
        if run.step == 0 and steps_of(self.folder):
            raise OutputExistsError(
                f"{self.folder} has checkpoints of another run: go on from them, or name another folder."
            )
        self._settings = settings_of(run)
        self._saved_at = perf_counter()
        self._best = None
        for row in zip(*run.history.values(), strict=True):
            self._is_best(dict(zip(run.history, row, strict=True)))

    def _is_best(self, row: Mapping[str, float]) -> bool:
        """Return whether an epoch is the best so far; if so, remember it."""
        score = row["validation_accuracy"]
        score = -row["validation_loss"] if math.isnan(score) else score
        if not (math.isfinite(score) and (self._best is None or score > self._best[0])):
            return False
        self._best = score, int(row["step"])
        return True

    def _due(self, run: Training) -> bool:
        if self._unit == "e":
            return run.number == 0 and run.epoch % self._number == 0
        if self._unit == "step":
            return run.step % self._number == 0
        return perf_counter() - self._saved_at >= self._number

    def _save(self, run: Training) -> None:
        self._finish()
        saved = saved_of(run, self._settings) | {"written": {"every": self.every, "keep": self.keep}}
        if not all(all_finite(saved["state"][name]) for name in ("theta", "network")):
            return  # the training diverges, and goes back when it looks: the one before is to be gone on from
        best = None if self._best is None else self._best[1]
        self._writer = threading.Thread(target=self._write, args=(saved, run.step, best), daemon=False)
        self._writer.start()
        self._saved_at = perf_counter()

    def _write(self, saved: Saved, step: int, best: int | None) -> None:
        """Write one and remove those that are not needed any more; in a thread beside the training."""
        try:
            save_checkpoint(saved, path_of(self.folder, step))
            self.newest = step
            older = [there for there in steps_of(self.folder) if there <= step]
            for there in older[: -self.keep]:
                if there != best:
                    path_of(self.folder, there).unlink(missing_ok=True)
        except Exception as error:  # such as a listener's state that JSON does not hold; said by the training
            kept = "there is none yet" if self.newest is None else f"the newest is that of step {self.newest:,}"
            self._faults.append(f"the checkpoint of step {step:,} could not be written ({error}): {kept}.")

    def _finish(self) -> None:
        """Wait for the one that is being written, and say what went wrong."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        while self._faults:
            self._say(self._faults.pop(0))

    def close(self) -> None:
        """Wait until the last one is on the disk."""
        begin = perf_counter()
        self._finish()
        self.flush_seconds = perf_counter() - begin
        self._lock.close()


def _is_whole(row: Mapping[str, float], run: Training) -> bool:
    """Say whether an epoch came to its end: not by a NaN, from which a run goes back, and not by a lost worker."""
    at_its_end = run.number == 0 and run.epoch == len(run.history["epoch"])
    return at_its_end and math.isfinite(row["train_loss"])


def load_or_last(path: str | os.PathLike[str]) -> Saved:
    """Return the checkpoint of a file, or the newest whole one of a folder."""
    return load_checkpoint(path) if Path(path).is_file() else last_checkpoint(path)
