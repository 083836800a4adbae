"""CSV as MNIST is often passed around: a label, then the values of one sample, on every line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glassnet.data.files import PathLike, Stream, foreign_content, memory_limit, open_content
from glassnet.errors import DataError

CHUNK = 2**20  # bytes of text parsed at once
LONGEST_LINE = 2**22  # bytes
MOST_UNPACKED = 2**23  # bytes of text in any gzip file: numbers take longer to read than to unpack
MOST_COLUMNS = 2**18  # a colour picture of 224 x 224 pixels has 150,528
MOST_EMPTY_LINES = 1000  # at the end
EXACT = 2**53  # whole numbers up to here are exact in float64


class Table(NamedTuple):
    """What a CSV file holds, with what is needed to point at a line of it.

    Parameters
    ----------
    labels : numpy.ndarray of int64, shape (N,)
        The first column.
    values : numpy.ndarray of uint8 or float32, shape (N, K)
        The other columns.
    first_row : int
        The line, counted from 1, that holds sample 0: 2 after a header line, else 1.

    Examples
    --------
    >>> table = Table(np.array([7]), np.array([[0, 255]], np.uint8), first_row=2)
    >>> table.first_row
    2
    """

    labels: NDArray[np.int64]
    values: NDArray[Any]
    first_row: int


def read_csv(path: PathLike, *, max_bytes: int | None = None) -> tuple[NDArray[np.int64], NDArray[Any]]:
    r"""Read labels and values from comma separated text, plain or gzip (told by content, not by name).

    Each line is a sample: its label, then K values. A first line is taken as a header when its first cell is
    not a number, and those of the other cells that are numbers are different whole numbers, as the names of
    columns are. Lines end in LF or CRLF; a byte order mark and empty lines at the end are allowed. The text
    is parsed in chunks by `numpy.loadtxt`, so that the memory taken is the result's and some dozen megabytes.
    No more than 8 MiB, or `files.MOST_RATIO` times the size of the file, are unpacked.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    max_bytes : int, optional
        The most bytes that labels and values may take in memory. Default: the machine's physical memory, or
        4 GiB where the system does not tell.

    Returns
    -------
    labels : numpy.ndarray of int64, shape (N,)
        The first column, whole numbers (5 or 5.0).
    values : numpy.ndarray, shape (N, K)
        The other columns: uint8 when all are written as whole numbers of 0 to 255, else float32.

    Raises
    ------
    MissingFileError
        When there is no such file.
    DataError
        When the content is not such a table, naming the row (lines counted from 1, as an editor shows them)
        and the column (from 1), or when it is too large.
    ConfigError
        When `max_bytes` is not a whole number of at least 0.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "digits.csv")
    ...     _ = path.write_text("label,1x1,1x2\n7,0,255\n1,12,0\n")
    ...     labels, values = read_csv(path)
    >>> labels.tolist(), values.tolist(), values.dtype.name
    ([7, 1], [[0, 255], [12, 0]], 'uint8')

    References
    ----------
    Y. Shafranovich, "Common format and MIME type for comma-separated values (CSV) files", RFC 4180, 2005.
    """
    labels, values, _ = read_table(path, max_bytes=max_bytes)
    return labels, values


def read_table(path: PathLike, *, max_bytes: int | None = None) -> Table:
    r"""Read a CSV file as `read_csv` does, and keep the row of the first sample.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    max_bytes : int, optional
        As for `read_csv`.

    Returns
    -------
    Table
        Labels, values, and the row where they begin.

    Raises
    ------
    MissingFileError, DataError, ConfigError
        As `read_csv`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "digits.csv")
    ...     _ = path.write_text("7,0.5\n1,0.25\n")
    ...     read_table(path)
    Table(labels=array([7, 1]), values=array([[0.5 ],
           [0.25]], dtype=float32), first_row=1)
    """
    path = Path(path)
    limit = memory_limit(max_bytes)
    labels: list[NDArray[np.int64]] = []
    parts: deque[NDArray[Any]] = deque()
    first_row, columns, rows, itemsize = 1, 0, 0, 1
    with open_content(path, MOST_UNPACKED) as stream:
        for row, lines in _lines(stream, path):
            if not columns:
                columns = _count_columns(lines[0], path)
                if _is_header(lines[0].split(",")):
                    first_row, row, lines = 2, 2, lines[1:]
                    if not lines:
                        continue
            table = _parse(lines, row, columns, path)  # (n, 1 + K), int64 or float64
            labels.append(_labels(table[:, 0], row, path))  # (n,)
            parts.append(_values(table[:, 1:], row, path))  # (n, K)
            rows += len(lines)
            itemsize = max(itemsize, parts[-1].itemsize)
            if rows * (labels[-1].itemsize + (columns - 1) * itemsize) > limit:
                raise DataError(
                    f"{path} needs more memory than the limit of {limit} bytes by row "
                    f"{row + len(lines) - 1}; split the file, or give a larger max_bytes."
                )
    if not rows:
        what = "holds a header line and no data" if columns else "is empty"
        raise DataError(f"{path} {what}; get the file again.")
    values = np.empty((rows, columns - 1), np.uint8 if itemsize == 1 else np.float32)
    filled = 0
    while parts:
        part = parts.popleft()  # so that its memory can be given back before the next is copied
        values[filled : filled + len(part)] = part
        filled += len(part)
    return Table(np.concatenate(labels), values, first_row)


def _lines(stream: Stream, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give the lines in chunks, each with the row of its first line; refuse empty lines before the last."""
    rest = stream.read(CHUNK)
    kind = "an IDX file; read it with read_idx" if rest.startswith(b"\0\0") else foreign_content(rest[:256])
    if kind is not None:
        raise DataError(f"{path} is not a CSV file: its content begins like {kind}.")
    rest = rest.removeprefix(b"\xef\xbb\xbf")
    row, empty_row, ended = 1, 0, False
    while not ended:
        block = stream.read(CHUNK)
        ended = not block
        rest += block
        cut = len(rest) if ended else rest.rfind(b"\n") + 1
        if len(rest) - cut > LONGEST_LINE:
            raise DataError(f"{path} has a line of more than {LONGEST_LINE} bytes; check that it is a CSV file.")
        lines = rest[:cut].decode("latin-1").split("\n")
        rest = rest[cut:]
        if not lines[-1]:  # what follows the last line feed
            lines.pop()
        lines = [line.removesuffix("\r") for line in lines]
        for number, line in enumerate(lines, row):
            if not line:
                empty_row = empty_row or number
            elif empty_row:
                raise DataError(f"{path} has an empty line at row {empty_row}; remove it.")
            if empty_row and number - empty_row >= MOST_EMPTY_LINES:
                raise DataError(f"{path} has {MOST_EMPTY_LINES} empty lines from row {empty_row} on; remove them.")
        row += len(lines)
        if filled := [line for line in lines if line]:
            yield row - len(lines), filled


def _count_columns(line: str, path: Path) -> int:
    columns = line.count(",") + 1
    if columns < 2:
        raise DataError(
            f"{path} has no comma in its first line, {line[:40]!r}; write a label and its values, separated by commas."
        )
    if columns > MOST_COLUMNS:
        raise DataError(f"{path} has {columns} columns, and at most {MOST_COLUMNS} are read; check that it is right.")
    return columns


def _is_header(cells: list[str]) -> bool:
    if not cells[0].strip() or _is_number(cells[0]):
        return False
    numbers = [cell.strip() for cell in cells[1:] if _is_number(cell)]
    return len(set(numbers)) == len(numbers) and all(number.isdecimal() for number in numbers)


def _is_number(cell: str) -> bool:
    """Return whether NumPy reads a cell as a float: Python's takes 1_0, ends of lines and any script's digits."""
    number = cell.strip()
    if "_" in cell or "\r" in cell or not number.isascii():
        return False
    try:
        float(number)
    except ValueError:
        return False
    return True


def _parses(lines: list[str], columns: int) -> bool:
    try:
        return _loadtxt(lines, np.float64).shape == (len(lines), columns)
    except ValueError:
        return False


def _loadtxt(lines: list[str], dtype: type[np.int64 | np.float64]) -> NDArray[Any]:
    if not any(map(str.strip, lines)):
        raise ValueError("nothing but blanks")  # NumPy warns and goes on
    return np.loadtxt(lines, dtype, comments=None, delimiter=",", ndmin=2)


def _parse(lines: list[str], row: int, columns: int, path: Path) -> NDArray[Any]:
    for dtype in (np.int64, np.float64):
        try:
            table = _loadtxt(lines, dtype)
        except ValueError:
            continue
        if table.shape != (len(lines), columns):  # NumPy skips lines of blanks
            break
        if dtype is np.float64 or (table.min() >= -EXACT and table.max() <= EXACT):
            return table
    while len(lines) > 1:  # halve them until the first bad line is left
        half = len(lines) // 2
        if _parses(lines[:half], columns):
            row, lines = row + half, lines[half:]
        else:
            lines = lines[:half]
    cells = lines[0].split(",")
    if len(cells) != columns:
        raise DataError(
            f"{path} has {len(cells)} columns in row {row}, and {columns} in row 1; give every row the same number."
        )
    column, cell = next((pair for pair in enumerate(cells, 1) if not _is_number(pair[1])), (columns, cells[-1]))
    what = f"{cell[:40]!r}, which is not a number," if cell.strip() else "an empty cell"
    raise DataError(f"{path} has {what} in row {row}, column {column}; write a number there.")


def _labels(column: NDArray[Any], row: int, path: Path) -> NDArray[np.int64]:
    whole = (np.abs(column) <= EXACT) & (column == np.floor(column))  # False for NaN
    if not whole.all():
        index = int(np.argmin(whole))
        raise DataError(
            f"{path} has the label {column[index]} in row {row + index}, column 1; write labels as whole numbers."
        )
    return column.astype(np.int64)


def _values(table: NDArray[Any], row: int, path: Path) -> NDArray[Any]:
    if table.dtype == np.int64 and table.min() >= 0 and table.max() <= 255:
        return table.astype(np.uint8)
    with np.errstate(over="ignore"):
        values = table.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        index, column = np.unravel_index(int(np.argmin(finite)), finite.shape)
        raise DataError(
            f"{path} has the value {table[index, column]} in row {row + index}, column {column + 2}; "
            "write finite numbers within the range of float32."
        )
    return values
