"""Decoded arrays, kept in the user's cache folder: to read them back takes a tenth of the time of decompressing them.

An entry is one file: a line of JSON, then the arrays' bytes. The line names the format, the source files as they were
(path, size, times, inode), and of each array its name, type, shape and CRC-32. Whatever does not agree is thrown away
and made again. Where the folder can not be used, everything works without it.
"""

from __future__ import annotations

import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from glassnet.files import whole_file

Arrays: TypeAlias = dict[str, NDArray[Any]]

VARIABLE = "GLASSNET_CACHE"
"""Environment variable that names the folder; empty: nothing is kept."""

MOST_BYTES = 2**30
"""What all entries together may take; the oldest ones go first."""

_FORMAT = "glassnet arrays 1"
_ENDING = ".arrays"
_TYPES = {np.dtype(name).str: np.dtype(name) for name in ("u1", "i1", "i2", "i4", "f4", "f8")}
_STEP = 2**20  # bytes that are read and summed at a time, while they lie in the processor's cache
_YOUNG = 2.0  # seconds within which a file may change twice and keep its time
_ABANDONED = 3600.0  # seconds after which a temporary file belongs to a run that was killed


def cache_folder() -> Path | None:
    """Return the folder of the entries, which need not exist; None where nothing is to be kept.

    It is the one that `GLASSNET_CACHE` names; without that variable ``glassnet`` in the system's folder for caches:
    ``$XDG_CACHE_HOME`` or ``~/.cache`` on Linux.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        from platformdirs import user_cache_path

        return user_cache_path("glassnet", appauthor=False)
    return Path(named) if named else None


def cached(files: Iterable[Path], decode: Callable[[], Arrays]) -> Arrays:
    """Return what `decode` returns, from the cache where the files are still as they were.

    Parameters
    ----------
    files : all files that the arrays come from, and those that decide whether `decode` succeeds
    decode : makes the arrays, of uint8, int8, int16, int32, float32 or float64; its errors are not caught

    Returns
    -------
    dict of str to numpy.ndarray
        C-contiguous, owned by the caller.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "source")
    >>> _ = path.write_bytes(b"two")
    >>> cached([path], lambda: {"lengths": np.array([3], np.uint8)})
    {'lengths': array([3], dtype=uint8)}
    """
    folder, paths = cache_folder(), [Path(path).absolute() for path in files]
    source = None if folder is None else _state(paths)
    if folder is None or source is None:
        return decode()
    entry = folder / f"{zlib.crc32(os.fsencode(paths[0].parent)):08x}{_ENDING}"
    found = _read(entry, source)
    if found is None:
        found = decode()
        if _state(paths) == source and not _young(source):
            _write(entry, source, found)
    return found


def clear_cache() -> tuple[int, int]:
    """Remove all entries, and return how many there were and how many bytes they took.

    Raises
    ------
    OSError
        If one can not be removed.
    """
    folder = cache_folder()
    entries = _entries(folder) if folder is not None else []
    size = sum(path.stat().st_size for path in entries)
    for path in entries:
        path.unlink(missing_ok=True)
    return len(entries), size


def _state(paths: list[Path]) -> list[list[Any]] | None:
    """Return what changes with the files; a change of their times alone counts, too. None: one can not be looked at."""
    try:
        stats = [(path, path.stat()) for path in paths]
    except OSError:
        return None
    return [[os.fsdecode(p), s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for p, s in stats]


def _young(source: list[list[Any]]) -> bool:
    return any(time.time() - max(changed, created) / 1e9 < _YOUNG for _, _, changed, created, _ in source)


def _read(entry: Path, source: list[list[Any]]) -> Arrays | None:
    """Return the arrays of an entry, or None if it is not there, or not that of these files, whole and unharmed."""
    try:
        with entry.open("rb") as file:
            head = json.loads(file.readline(2**16))
            if head["format"] != _FORMAT or head["source"] != source:
                return None
            sizes = [_TYPES[kind].itemsize * math.prod(shape) for _, kind, shape, _ in head["arrays"]]
            if min(sizes, default=0) < 0 or file.tell() + sum(sizes) != os.fstat(file.fileno()).st_size:
                return None
            arrays = {}
            for name, kind, shape, crc in head["arrays"]:
                arrays[name] = np.empty(shape, _TYPES[kind])
                if _fill(file, arrays[name], _seed(name, arrays[name])) != crc:
                    return None
            return arrays
    except (OSError, ValueError, KeyError, TypeError, MemoryError, RecursionError):
        return None


def _seed(name: str, array: NDArray[Any]) -> int:
    """Return the CRC-32 of what is said of an array, from which that of its bytes goes on."""
    return zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode())


def _fill(file: BinaryIO, array: NDArray[Any], crc: int) -> int:
    """Read into the array's own memory, and return the CRC-32 of what came, going on from `crc`."""
    target = _bytes_of(array)
    for start in range(0, len(target), _STEP):
        part = target[start : start + _STEP]
        crc = zlib.crc32(part[: file.readinto(part)], crc)  # type: ignore[attr-defined]
    return crc


def _write(entry: Path, source: list[list[Any]], arrays: Arrays) -> None:
    """Keep the arrays and make room for them; where that fails, nothing is kept."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    kinds = [
        [name, array.dtype.str, list(array.shape), zlib.crc32(_bytes_of(array), _seed(name, array))]
        for name, array in arrays.items()
    ]
    head = json.dumps({"format": _FORMAT, "source": source, "arrays": kinds}).encode() + b"\n"
    size = len(head) + sum(array.nbytes for array in arrays.values())
    if size > MOST_BYTES or any(array.dtype.str not in _TYPES for array in arrays.values()):
        return
    with suppress(OSError):
        entry.parent.mkdir(0o700, parents=True, exist_ok=True)
        entry.unlink(missing_ok=True)
        _make_room(entry.parent, size)
        with whole_file(entry) as temporary, temporary.open("xb") as file:
            file.write(head)
            for array in arrays.values():
                file.write(_bytes_of(array))


def _make_room(folder: Path, size: int) -> None:
    kept = []
    for path in _entries(folder):
        stat = path.stat()
        if path.name.startswith(".") and time.time() - stat.st_mtime > _ABANDONED:
            path.unlink(missing_ok=True)
        elif not path.name.startswith("."):
            kept.append((stat.st_mtime_ns, stat.st_size, path))
    for _, taken, path in sorted(kept, reverse=True):  # the newest first
        size += taken
        if size > MOST_BYTES:
            path.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix == _ENDING] if folder.is_dir() else []


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
