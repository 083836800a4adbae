"""Run folders: where results go, and which one is the newest."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from glassnet import __version__
from glassnet.cli import STARTED
from glassnet.cli.output import echo
from glassnet.errors import MissingFileError, OutputExistsError
from glassnet.files import whole_file, write_text

if TYPE_CHECKING:
    from glassnet.config import RunConfig

RUNS = Path("runs")
LATEST = RUNS / "latest"
MODEL = "model.safetensors"
RUN_FILE = "run.toml"
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
    if out.is_dir() and any(out.iterdir()) and not force:
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
    """Return the folder that ``runs/latest`` names where it is a text file; any other path as it is."""
    return RUNS / path.read_text(encoding="utf-8").strip() if path == LATEST and path.is_file() else path


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
