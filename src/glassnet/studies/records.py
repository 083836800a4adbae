"""The records of a study on disk: one line of JSON for each finished run, appended whole."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from glassnet.errors import DataError
from glassnet.files import whole_file
from glassnet.studies.job import FORMAT, Record

NEEDED = {"key", "cell", "phase", "seed", "config", "outcome", "history"}
"""Without these a line is no record."""

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
    >>> records.append({"format": 1} | dict.fromkeys(NEEDED, "a"))
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
            If there is something else in the files, naming the line.
        """
        found: dict[str, Record] = {}
        if self.packed.is_file():
            try:
                text = gzip.decompress(self.packed.read_bytes())
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(f"{self.packed} is no whole gzip file ({error}): move it away.") from None
            found |= _parsed(text, self.packed)
        if self.lines.is_file():
            found |= _parsed(self.lines.read_bytes(), self.lines)
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
        for rest in self.folder.glob(f".{self.packed.stem}.*"):
            rest.unlink()
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
        packed = gzip.compress(_text(records[key] for key in sorted(records)), 9, mtime=0)
        with whole_file(self.packed) as temporary, temporary.open("wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())  # on the disk before the lines are gone
        self.lines.unlink()


def _text(records: Iterable[Record]) -> bytes:
    return b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)


def _parsed(content: bytes, path: Path) -> dict[str, Record]:
    *lines, rest = content.split(b"\n")
    if rest and path.name == PACKED:
        raise DataError(f"{path}: its last line is not whole; move the file away.")
    found: dict[str, Record] = {}
    for number, line in enumerate(lines, 1):
        record = _record(line)
        if record is None:
            raise DataError(f"{path}, line {number}: this is no record of a run; move the file away.")
        found[record["key"]] = record
    return found


def _record(line: bytes) -> Any:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    good = isinstance(record, dict) and record.get("format") == FORMAT and record.keys() >= NEEDED
    return record if good and isinstance(record["key"], str) else None
