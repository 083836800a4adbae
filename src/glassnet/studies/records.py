"""The records of a study on disk: one line of JSON for each finished run, appended whole."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from glassnet.data.files import Stream, open_content
from glassnet.errors import DataError
from glassnet.files import remove_leftovers, write_bytes
from glassnet.studies.job import FORMAT, Record

NEEDED = {"key", "cell", "phase", "seed", "config", "outcome", "history"}
"""Without these a line is no record."""

_KINDS: dict[str, type] = {
    "key": str, "cell": dict, "phase": str, "seed": int, "config": dict, "outcome": str, "history": dict
}  # fmt: skip
_TABLES = ("signals", "machine", "versions")
_NUMBERS = (
    "test_accuracy", "test_loss", "parameters", "steps", "train_seconds", "evaluation_seconds", "wall_seconds",
    "attempts",
)  # fmt: skip

LONGEST_LINE = 2**24
"""The most bytes of a record: one of some hundred epochs has 50 thousand."""

MOST_BYTES = 2**26
"""The most bytes of the records of a study, unpacked: those of the largest that comes along are 10 million."""

LINES, PACKED = "records.jsonl", "records.jsonl.gz"


class Records:
    """The records in a folder: those of a study that is under way in `LINES`, those of a finished one in `PACKED`.

    Parameters
    ----------
    folder : of the results

    Examples
    --------
    >>> import tempfile
    >>> records = Records(tempfile.mkdtemp())
    >>> records.append({"format": 1, "key": "a", "cell": {}, "phase": "final", "seed": 0, "config": {},
    ...                 "outcome": "finished", "history": {"train_loss": [0.5, 0.25]}})
    >>> records.pack()
    >>> list(records.read())
    ['a']
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.lines, self.packed = self.folder / LINES, self.folder / PACKED

    def read(self) -> dict[str, Record]:
        """Return all records by their keys; a last line that was cut off by a sudden end is none.

        Raises
        ------
        DataError
            If there is something else in the files, naming the line, or too much.
        """
        found: dict[str, Record] = {}
        for path in (self.packed, self.lines):
            if path.is_file():
                with open_content(path) as stream:
                    found |= _parsed(stream, path)
        return found

    def append(self, record: Record) -> None:
        """Add a record: it is on the disk when this returns, whole."""
        line = json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self.lines.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def mend(self) -> None:
        """Remove what a sudden end left: the beginning of a line, a file that had not taken its place yet."""
        remove_leftovers(self.packed)
        if self.lines.is_file():
            content = self.lines.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                with self.lines.open("r+b") as file:
                    file.truncate(whole)

    def pack(self) -> None:
        """Compress all records into one file, in the order of their keys, so that equal records are equal bytes."""
        if not self.lines.is_file():
            return
        records = self.read()
        write_bytes(self.packed, gzip.compress(_text(records[key] for key in sorted(records)), 9, mtime=0))
        self.lines.unlink()  # what is packed is on the disk now


def _text(records: Iterable[Record]) -> bytes:
    return b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)


def _parsed(stream: Stream, path: Path) -> dict[str, Record]:
    found: dict[str, Record] = {}
    number = total = 0
    while line := stream.readline(LONGEST_LINE):
        number, total = number + 1, total + len(line)
        if total > MOST_BYTES or (len(line) == LONGEST_LINE and not line.endswith(b"\n")):
            raise DataError(f"{path}, line {number}: no study has as much as this; move the file away.")
        if not line.endswith(b"\n"):
            if path.name == PACKED:
                raise DataError(f"{path}: its last line is not whole; move the file away.")
            break
        record = _record(line)
        if record is None:
            raise DataError(f"{path}, line {number}: this is no record of a run; move the file away.")
        found[record["key"]] = record
    return found


def _record(line: bytes) -> Any:
    try:
        record = json.loads(line.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("format") != FORMAT or not record.keys() >= NEEDED:
        return None
    kinds = all(isinstance(record[name], kind) for name, kind in _KINDS.items())
    good = kinds and all(isinstance(line, list) and all(map(_measured, line)) for line in record["history"].values())
    good = good and all(_measured(record.get(name)) for name in ("seed", *_NUMBERS))
    good = good and all(isinstance(record.get(name) or {}, dict) for name in _TABLES)
    return record if good and _looks(record.get("signals") or {}) else None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.80} is no number")
    return number


def _measured(value: Any) -> bool:
    """Return whether a value is a number, or None where there was none to be had."""
    return value is None or type(value) is float or (type(value) is int and abs(value) < 2**63)


def _looks(signals: dict[str, Any]) -> bool:
    """Return whether all is a list of what was seen in one layer each."""
    return all(
        isinstance(layers, list)
        and all(isinstance(layer, dict) and all(_told(value) for value in layer.values()) for layer in layers)
        for layers in signals.values()
    )


def _told(value: Any) -> bool:
    return isinstance(value, str) or _measured(value)
