"""IDX, the format of MNIST: a strict reader and an atomic writer.

A file is a header and the data, every number big-endian: two zero bytes, a type code, the number of
dimensions, one uint32 for each dimension, then the elements, the last dimension running fastest.

References
----------
Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", section "the IDX file
format".
"""

from __future__ import annotations

import gzip
import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.data.files import PathLike, Stream, Unpacked, foreign_content, memory_limit, open_content
from glassnet.errors import ConfigError, DataError, MissingFileError
from glassnet.files import whole_file

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_DIMENSIONS = 64  # NumPy's own limit; the format allows 255
BEYOND = 2**80  # bytes that no memory holds, whatever a caller allows
STEP = 2**20  # bytes asked of the stream at once: large enough for speed, small beside the data


def header_size(ndim: int) -> int:
    """Bytes before the first element of an IDX file with `ndim` dimensions: 4 + 4 ndim.

    Parameters
    ----------
    ndim : int
        The number of dimensions.

    Returns
    -------
    int
        The offset of the first element in bytes.

    Examples
    --------
    >>> header_size(3)
    16
    """
    return 4 + 4 * ndim


def read_idx(path: PathLike, *, max_bytes: int | None = None) -> NDArray[Any]:
    """Read an IDX file, plain or gzip (told by its content, not by its name).

    Nothing is guessed or repaired: a file with one byte too few or too many is refused. The declared size is
    checked before memory is taken, no more is decompressed than was declared, and nothing that is more than 64 MiB
    and `files.MOST_RATIO` times the size of the file, so that a small hostile file cannot fill the memory.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    max_bytes : int, optional
        The most bytes that the data may take in memory. Default: the machine's physical memory, or 4 GiB
        where the system does not tell.

    Returns
    -------
    numpy.ndarray
        The array in the shape and type that the file declares (uint8, int8, int16, int32, float32 or
        float64), in native byte order, C-contiguous, owned by the caller.

    Raises
    ------
    MissingFileError
        When there is no such file.
    DataError
        When the content is not exactly one IDX array, or is too large.
    ConfigError
        When `max_bytes` is not a whole number of at least 0.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 0x08, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
    """
    path = Path(path)
    limit = memory_limit(max_bytes)
    with open_content(path) as stream:
        dtype, shape = _read_header(stream, path)
        start, length = header_size(len(shape)), dtype.itemsize * math.prod(shape)
        declared = f"shape {_in_words(shape)} of {dtype.name}"
        if length >= BEYOND:
            raise DataError(
                f"{path} declares {declared} in bytes 3 to {start - 1}, more than any memory holds; check the file."
            )
        if not isinstance(stream, Unpacked):
            _check_end(path, "file", os.fstat(stream.fileno()).st_size, start + length, declared)
        if length > limit:
            raise DataError(
                f"{path} declares {declared} in bytes 3 to {start - 1}, {length} bytes of data and more than "
                f"the limit of {limit}; check the file, or give a larger max_bytes."
            )
        if isinstance(stream, Unpacked) and start + length > stream.most:
            raise stream.too_large()
        array = _allocate(path, shape, dtype.newbyteorder("="), declared)
        end = start + _fill(stream, array)
        if end == start + length and stream.read(1):  # at the end this read compares gzip's checksum
            raise DataError(
                f"{path} goes on after its data: {declared} ends at byte {end} of the uncompressed content "
                "and at least one byte follows; get the file again."
            )
        _check_end(path, "content", end, start + length, declared)
    if not dtype.isnative:
        array.byteswap(inplace=True)
    return array


def _in_words(shape: tuple[int, ...]) -> str:
    """Write a shape, a long one in short."""
    sides = ", ".join(map(str, shape[:6]))
    return str(shape) if len(shape) <= 6 else f"({sides}, ...) with {len(shape)} dimensions"


def _read_header(stream: Stream, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if not magic:
        raise DataError(f"{path} is empty; get the file again.")
    if magic[:2] != b"\0\0"[: len(magic)]:
        raise DataError(_wrong_magic(path, magic + stream.read(252)))
    if len(magic) < 4:
        raise DataError(f"{path} ends at byte {len(magic)}, within its magic number of 4 bytes; get the file again.")
    code, ndim = magic[2:]
    if code not in DTYPES:
        known = ", ".join(f"0x{key:02X}" for key in DTYPES)
        raise DataError(
            f"{path} has the unknown type code 0x{code:02X} at byte 2 (IDX knows {known}); "
            "check that it is an IDX file."
        )
    if ndim > MAX_DIMENSIONS:
        raise DataError(
            f"{path} declares {ndim} dimensions at byte 3, and NumPy's arrays have at most {MAX_DIMENSIONS}; "
            "check that it is an IDX file."
        )
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise DataError(
            f"{path} ends at byte {4 + len(sizes)}, within its header of {header_size(ndim)} bytes; get the file again."
        )
    return np.dtype(DTYPES[code]), struct.unpack(f">{ndim}I", sizes)


def _wrong_magic(path: Path, head: bytes) -> str:
    kind = foreign_content(head)
    if kind is None and b"," in head and head.removeprefix(b"\xef\xbb\xbf").isascii():
        kind = "CSV; read it with read_csv"
    if kind is not None:
        return f"{path} is not an IDX file: its content begins like {kind}."
    return (
        f"{path} is not an IDX file: it begins with the bytes {head[:4].hex(' ')} instead of 00 00, a type "
        "code and the number of dimensions; check that it is the right file."
    )


def _check_end(path: Path, what: str, end: int, expected: int, declared: str) -> None:
    if end < expected:
        raise DataError(
            f"{path} is cut off: {declared} needs {expected} bytes with the header, the {what} ends at byte "
            f"{end}, and {expected - end} bytes are missing; get the file again."
        )
    if end > expected:
        raise DataError(
            f"{path} goes on after its data: {declared} ends at byte {expected}, and {end - expected} bytes "
            "follow from there; get the file again."
        )


def _allocate(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], declared: str) -> NDArray[Any]:
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError):  # ValueError: beyond addresses, even where another dimension is 0
        raise DataError(f"{path} declares {declared}, more than this machine's memory; check the file.") from None


def _fill(stream: Stream, array: NDArray[Any]) -> int:
    """Read into the array's own memory; return the number of bytes that came."""
    target = array.reshape(-1).view(np.uint8).data  # (bytes,)
    filled = 0
    while filled < len(target) and (count := stream.readinto(target[filled : filled + STEP])):
        filled += count
    return filled


def idx_header(array: NDArray[Any]) -> bytes:
    """Give the header that an IDX file of this array begins with.

    Parameters
    ----------
    array : numpy.ndarray
        An array of a type that IDX knows, in any byte order.

    Returns
    -------
    bytes
        4 + 4 ndim bytes.

    Raises
    ------
    DataError
        When IDX has no type code for the array's type, or a dimension is 2**32 or longer.

    Examples
    --------
    >>> idx_header(np.zeros((2, 3), np.uint8)).hex(" ")
    '00 00 08 02 00 00 00 02 00 00 00 03'
    """
    codes = [code for code, name in DTYPES.items() if array.dtype.newbyteorder(">") == np.dtype(name)]
    if not codes:
        known = ", ".join(np.dtype(name).name for name in DTYPES.values())
        raise DataError(f"IDX cannot hold an array of {array.dtype}; convert it with astype to one of {known}.")
    if max(array.shape, default=0) >= 2**32:
        raise DataError(
            f"IDX cannot hold the shape {array.shape}; split the array, 4294967295 is the longest dimension."
        )
    return struct.pack(f">HBB{array.ndim}I", 0, codes[0], array.ndim, *array.shape)


def idx_sha256(array: NDArray[Any]) -> str:
    """Sum (SHA-256) of the uncompressed IDX file that holds this array.

    `read_idx` accepts exactly one file for an array, so this is also the sum of what was read.

    Parameters
    ----------
    array : numpy.ndarray
        An array of a type that IDX knows.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    DataError
        When IDX cannot hold the array.

    Examples
    --------
    >>> idx_sha256(np.array([5, 0, 4], np.uint8))[:16]
    'd229e0bc81fa2cb9'
    """
    import hashlib  # not needed where data come from the cache

    digest = hashlib.sha256(idx_header(array))
    digest.update(_big_endian(array))
    return digest.hexdigest()


def write_idx(path: PathLike, array: NDArray[Any]) -> None:
    """Write an array as an IDX file, compressed when the name ends in ``.gz``.

    The file is written beside its place under another name and then moved there, so that no reader ever sees
    half of it. An existing file is replaced. The same array always gives the same bytes.

    Parameters
    ----------
    path : str or os.PathLike
        Where to write; the folder must exist.
    array : numpy.ndarray
        An array of uint8, int8, int16, int32, float32 or float64 with any number of dimensions.

    Raises
    ------
    MissingFileError
        When the folder does not exist.
    DataError
        When IDX cannot hold the array, or the system refuses to write.
    ConfigError
        When the path has no name of a file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "pairs-idx2-short.gz")
    ...     write_idx(path, np.array([[1, -2], [3, 400]], np.int16))
    ...     read_idx(path)
    array([[  1,  -2],
           [  3, 400]], dtype=int16)

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
    """
    path, array = Path(path), np.asarray(array)
    header, data = idx_header(array), _big_endian(array)
    if not path.name:
        raise ConfigError(f"{str(path)!r} is no path for a file; give the name of the file to write.")
    try:
        with whole_file(path) as beside, beside.open("xb") as file:
            if path.suffix.lower() == ".gz":
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as stream:
                    stream.write(header)
                    stream.write(data)
            else:
                file.write(header)
                file.write(data)
    except FileNotFoundError:
        raise MissingFileError(f"{path} cannot be written: its folder does not exist; make it first.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be written ({error}); choose another place.") from None


def _big_endian(array: NDArray[Any]) -> memoryview:
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder(">")).reshape(-1)  # (elements,)
    return flat.view(np.uint8).data
