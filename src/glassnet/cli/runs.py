"""Run folders: where results go, and which one is the newest."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from glassnet import __version__
from glassnet.cli import STARTED
from glassnet.cli.output import echo
from glassnet.errors import ConfigError, MissingFileError, OutputExistsError
from glassnet.files import LOCK_FILE, read_up_to, remove_leftovers, whole_file, write_text

if TYPE_CHECKING:
    from glassnet.config import RunConfig

RUNS = Path("runs")
LATEST = RUNS / "latest"
MODEL = "model.safetensors"
RUN_FILE = "run.toml"
CHECKPOINTS = "checkpoints"
MOST_NAME = 4096  # bytes of the text in runs/latest
SHIPPED = Path(__file__).parent.parent / "data" / "pretrained" / "digits.safetensors"


def process_start() -> float:
    """Return when this process started, in seconds since the epoch; where the system does not tell, when we did."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        start = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return STARTED
    return start if 0 <= STARTED - start < 60 else STARTED  # containers may keep another clock


def versions() -> dict[str, str]:
    """Return the versions of what computed."""
    import numpy as np

    return {
        "glassnet": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def check_free(out: Path, force: bool, names: Iterable[str] = ()) -> None:
    """Refuse a folder that holds something already, or one in which files of these names can not be replaced.

    Raises
    ------
    OutputExistsError
        If `out` is a file, a folder with something in it and `force` is not set, or has a folder where a file belongs.
    """
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"{out} is a file: name a folder with --out.")
    if out.is_dir() and any(path.name != LOCK_FILE for path in out.iterdir()) and not force:
        raise OutputExistsError(
            f"{out} is there already and not empty: name another folder, or add --force to replace its results."
        )
    for name in names:
        if (out / name).is_dir():
            raise OutputExistsError(f"{out / name} is a folder where a result belongs: move it, or name another --out.")


def make_folder(out: Path | None, force: bool, kind: str = "") -> Path:
    """Make the folder of a run: `out`, or a fresh one under ``runs/`` named after the time and the `kind` of run."""
    if out is not None:
        check_free(out, force)
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):  # a folder that can not be written to is better known before training
            return out
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    RUNS.mkdir(exist_ok=True)
    for suffix in ["", *(f"_{i}" for i in range(2, 1000))]:
        folder = RUNS / f"{stamp}{kind}{suffix}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise OutputExistsError(f"{RUNS} has 999 runs of this second already: name a folder with --out.")


def remove_checkpoints(folder: Path) -> None:
    """Remove those of a run that is replaced."""
    from glassnet.checkpoints import steps_of

    if (folder / CHECKPOINTS).is_dir():
        for path in steps_of(folder / CHECKPOINTS).values():
            path.unlink()
        (folder / CHECKPOINTS / RUN_FILE).unlink(missing_ok=True)


def check_file(out: Path, force: bool, option: str) -> None:
    """Refuse a file that can not be written, or would replace another.

    Raises
    ------
    MissingFileError
        If its folder does not exist.
    OutputExistsError
        If it is there already and `force` is not set, or is a folder.
    """
    if not out.parent.is_dir():
        raise MissingFileError(f"{out}: the folder {out.parent} does not exist; make it first.")
    if out.is_dir():
        raise OutputExistsError(f"{out} is a folder: name a file with {option}.")
    if out.exists() and not force:
        raise OutputExistsError(
            f"{out} is there already: name another file with {option}, or add --force to replace it."
        )


def put_aside_checkpoints(folder: Path) -> None:
    """Rename those of a run that begins anew because none of them is whole, so that nobody takes them for its own."""
    from glassnet.checkpoints import steps_of

    if (folder / CHECKPOINTS).is_dir():
        for path in steps_of(folder / CHECKPOINTS).values():
            path.replace(path.with_suffix(".damaged"))
            echo(f"{path} is {path.stem}.damaged now.", err=True)


def check_free_of_results(folder: Path) -> None:
    """Refuse to begin a run anew that left results, whether it came to its end or was stopped.

    Raises
    ------
    OutputExistsError
        If there is a model.
    """
    if (folder / MODEL).exists():
        raise OutputExistsError(
            f"{folder} has results, and nothing to go on from: they stay; "
            f"'glassnet train --config {folder} --out ...' trains the same again, elsewhere."
        )


def results() -> tuple[str, ...]:
    """Return the names of the files that a run leaves."""
    from glassnet import plots

    return MODEL, RUN_FILE, "history.csv", "result.json", *plots.FIGURES.values()


def remove_rests(folder: Path) -> None:
    """Remove what a process left in the folder that ended while it wrote results; only its writer may."""
    for name in results():
        remove_leftovers(folder / name)


def write_settings(folder: Path, text: str) -> None:
    """Put the settings of a run beside its checkpoints: results that it replaces keep their own until its end."""
    (folder / CHECKPOINTS).mkdir(exist_ok=True)
    write_text(folder / CHECKPOINTS / RUN_FILE, text)


def settings_file(folder: Path) -> Path:
    """Return the run.toml of the run whose checkpoints are there, or of the results where there are none."""
    beside = folder / CHECKPOINTS / RUN_FILE
    return beside if beside.is_file() else folder / RUN_FILE


def newest_checkpoint(folder: Path, up_to: float = math.inf) -> dict[str, Any] | None:
    """Return the newest whole checkpoint of a run, up to a step; None, and the reason is said, if there is none."""
    from glassnet.checkpoints import last_checkpoint

    try:
        return last_checkpoint(folder / CHECKPOINTS, up_to, partial(echo, err=True))
    except MissingFileError as error:
        echo(str(error), err=True)
        return None


def check_same(folder: Path, there: RunConfig, given: Mapping[str, Any]) -> None:
    """Refuse to go on with a run in another way than it began, if any setting that is given differs.

    Raises
    ------
    ConfigError
        Naming what differs.
    """
    old, new = there.to_dict(), there.changed(**given).to_dict()
    differences = [
        f"{name} was {old[name]!r:.80} and is {new[name]!r:.80}"
        for name in old
        if name in given and old[name] != new[name]
    ]
    if differences:
        raise ConfigError(
            f"{folder} is another run: {'; '.join(differences)}; leave that out to go on, or begin a run of its own."
        )


def point_latest(folder: Path) -> None:
    """Let ``runs/latest`` name `folder`: by a link, or by a text file where links do not work.

    A run does not fail where neither can be written; that is only said.
    """
    try:
        RUNS.mkdir(exist_ok=True)
        target = _relative(folder.resolve(), RUNS.resolve())
        try:
            with whole_file(LATEST) as temporary:
                temporary.symlink_to(target, target_is_directory=True)
        except (OSError, NotImplementedError):
            write_text(LATEST, target + "\n")
    except OSError as error:
        echo(f"glassnet: {LATEST} could not be made to name this run ({error}).", err=True)


def _relative(folder: Path, start: Path) -> str:
    try:
        return os.path.relpath(folder, start)
    except ValueError:  # another drive, on Windows
        return str(folder)


def follow_latest(path: Path) -> Path:
    """Return the folder that ``runs/latest`` names where it is a text file; any other path as it is.

    Raises
    ------
    MissingFileError
        If the text is no name of a folder that is there.
    """
    if path != LATEST or not path.is_file():
        return path
    name = read_up_to(path, MOST_NAME + 1).decode("utf-8", errors="replace").strip()
    elsewhere = name.startswith(("//", "\\\\"))  # another machine, on Windows
    folder = RUNS / name
    if not name or not name.isprintable() or len(name) > MOST_NAME or elsewhere or not folder.is_dir():
        raise MissingFileError(f"{LATEST} names no folder that is there: remove it, and name the run.")
    return folder


def latest_model() -> Path:
    """Return the model file of the newest run.

    Raises
    ------
    MissingFileError
        If there is none.
    """
    folder = follow_latest(LATEST)
    if not (folder / MODEL).is_file():
        raise MissingFileError(
            f"there is no model in {LATEST}: train one with 'glassnet train', or name one with --model."
        )
    return folder / MODEL


def default_model() -> tuple[Path, str]:
    """Return the model file of the newest run or, where nothing was trained yet, the one that comes with glassnet.

    And what to call it. A ``runs/latest`` that names no model is an error as in `latest_model`.
    """
    if os.path.lexists(LATEST):
        path = latest_model()
        return path, f"the newest run, {_relative(path.resolve(), Path.cwd())}"
    return SHIPPED, "the model that comes with glassnet, since there is no run here ('glassnet train' makes one)"


def config_text(config: RunConfig) -> str:
    """Return what run.toml holds: all settings of a run, ready for ``glassnet train --config``."""
    head = (
        f"# All settings of a run, written by glassnet {__version__}.\n"
        f"# 'glassnet train --config {RUN_FILE}' repeats it; options on the line override what is here.\n\n"
    )
    return head + config.to_toml()


def config_beside(model: Path) -> RunConfig:
    """Return the configuration in the run.toml beside a model file; the default one if there is none."""
    from glassnet.config import RunConfig

    path = model.parent / RUN_FILE
    return RunConfig.from_toml(path) if path.is_file() else RunConfig()


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write values as indented JSON, see `as_json_text`."""
    write_text(path, as_json_text(values, indent=2) + "\n")


def as_json_text(values: dict[str, Any], indent: int | None = None) -> str:
    """Return values as JSON; what is not a finite number becomes null.

    Examples
    --------
    >>> as_json_text({"loss": float("inf"), "steps": 3})
    '{"loss": null, "steps": 3}'
    """
    return json.dumps(_plain(values), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
