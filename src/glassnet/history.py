"""The history of a training: one number an epoch for whatever was measured, and its form as a CSV file."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from pathlib import Path
from typing import TypeAlias

from glassnet.errors import DataError, MissingFileError

History: TypeAlias = dict[str, list[float]]
"""Columns of equal length, one entry an epoch; nan where something was not measured."""

COLUMNS = (
    "epoch",
    "step",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "train_seconds",
)
"""The columns that every history has, in this order: epoch from 1, steps so far, the learning rate of the last step,
mean losses, accuracies as shares of 0 to 1, and the seconds in training steps alone."""

MOST_BYTES = 2**26
"""A larger file is no history: it has half a million epochs."""

_COUNTS = ("epoch", "step")
_COUNT = re.compile(r"[0-9]{1,15}", re.ASCII)
_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?|inf)", re.ASCII | re.IGNORECASE)


def history_csv(history: History) -> str:
    """Return a history as CSV text: a header, one line an epoch, nothing where something was not measured.

    Examples
    --------
    >>> print(history_csv({name: [1.0] for name in COLUMNS} | {"train_accuracy": [math.nan]}), end="")
    epoch,step,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy,train_seconds
    1,1,1.0,1.0,,1.0,1.0,1.0
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in zip(*(history[name] for name in COLUMNS), strict=True):
        writer.writerow([int(row[0]), int(row[1]), *("" if math.isnan(value) else value for value in row[2:])])
    return text.getvalue()


def read_history(path: str | os.PathLike[str]) -> History:
    """Read the file that `history_csv` made.

    Parameters
    ----------
    path : CSV text in UTF-8 that begins with the header `COLUMNS`; further columns are kept under their names

    Returns
    -------
    History
        The columns; nan where a cell is empty. The numbers are those that were written, to the last bit.

    Raises
    ------
    MissingFileError
        If there is no such file.
    DataError
        If the file is something else, naming the row (lines counted from 1) and the column.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "history.csv"
    >>> _ = path.write_text(history_csv({name: [1.0] for name in COLUMNS} | {"train_accuracy": [math.nan]}))
    >>> read_history(path)["train_accuracy"]
    [nan]
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file; name a history.csv that a training wrote.")
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path} has more than {MOST_BYTES:,} bytes; name a history.csv that a training wrote.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            names = next(rows, [])
            if tuple(names[: len(COLUMNS)]) != COLUMNS or len(set(names)) < len(names):
                raise DataError(
                    f"{path} is no history of a training: its first row is not {','.join(COLUMNS)}; "
                    f"name a history.csv that a training wrote."
                )
            history: History = {name: [] for name in names}
            for row in rows:
                if len(row) != len(names):
                    raise DataError(
                        f"{path}, row {rows.line_num}: {len(row)} cells where the header has {len(names)}; "
                        f"take the file as the training wrote it."
                    )
                for name, cell in zip(names, row, strict=True):
                    history[name].append(_number(cell, name, f"{path}, row {rows.line_num}, column {name}"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is not CSV text in UTF-8 ({error}); name a history.csv that a training wrote."
        ) from error
    return history


def _number(cell: str, name: str, where: str) -> float:
    if name in _COUNTS:
        if not _COUNT.fullmatch(cell):
            raise DataError(f"{where}: {cell!r:.40} is no whole number; take the file as the training wrote it.")
        return int(cell)
    if cell and not _NUMBER.fullmatch(cell):
        raise DataError(f"{where}: {cell!r:.40} is no number; take the file as the training wrote it.")
    return float(cell) if cell else math.nan
