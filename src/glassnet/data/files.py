"""Opening files of strangers: plain or gzip, never more than a bound, with one sentence for all that can be wrong."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from glassnet.checks import check_count
from glassnet.errors import DataError, MissingFileError

PathLike: TypeAlias = str | os.PathLike[str]

GZIP_MAGIC = b"\x1f\x8b"
UNKNOWN_MEMORY_LIMIT = 4 * 2**30  # bytes, where the system does not say how much memory it has

MOST_UNPACKED = 64 * 2**20
"""Bytes that any gzip file may unpack to."""

MOST_RATIO = 100
"""How many times its own size a gzip file may unpack to, where that is more; MNIST's unpack to 5 times theirs."""

LONGEST_SENTENCE = 360
"""Letters that are told of what a file holds."""

_SIGNATURES = (
    (b"version https://git-lfs", "a Git LFS pointer; run 'git lfs pull' for the data"),
    (b"\x89PNG", "a PNG picture; name the file with the data"),
    (b"\xff\xd8\xff", "a JPEG picture; name the file with the data"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"BZh", "bzip2 data; unpack it first"),
    (b"\xfd7zXZ", "xz data; unpack it first"),
    (b"\x93NUMPY", "a NumPy .npy file; load it with numpy.load and use from_arrays"),
    (GZIP_MAGIC, "data compressed with gzip twice; unpack it once"),
)


class Unpacked(gzip.GzipFile):
    """The content of a gzip file, which ends in a `DataError` where it grows beyond all measure.

    Parameters
    ----------
    file : io.BufferedReader
        The gzip file.
    path : pathlib.Path
        What to call it in the sentence.
    most : int
        Bytes that it may unpack to, even where they are more than `MOST_RATIO` times its size.

    Examples
    --------
    >>> file = io.BufferedReader(io.BytesIO(gzip.compress(bytes(10**6))))
    >>> Unpacked(file, Path("zeros.gz"), most=1000).read()
    Traceback (most recent call last):
    glassnet.errors.DataError: zeros.gz unpacks to more than ... bytes, too many for its size; ...
    """

    def __init__(self, file: io.BufferedReader, path: Path, most: int = MOST_UNPACKED) -> None:
        super().__init__(fileobj=file, mode="rb")
        size = file.seek(0, os.SEEK_END) if file.seekable() else 0
        if file.seekable():
            file.seek(0)
        self.path, self.most, self._came = path, max(most, MOST_RATIO * size), 0

    def read(self, size: int | None = -1) -> bytes:
        """Read as any file does, but no more than one byte beyond the bound; `readinto` calls this."""
        content = super().read(self._within(size))
        self._count(len(content))
        return content

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line as any file does, but no more than one byte beyond the bound."""
        content = super().readline(self._within(size))
        self._count(len(content))
        return content

    def _within(self, size: int | None) -> int:
        left = self.most + 1 - self._came
        return left if size is None or size < 0 else min(size, left)

    def _count(self, more: int) -> None:
        self._came += more
        if self._came > self.most:
            raise self.too_large()

    def too_large(self) -> DataError:
        """Return the error of content beyond the bound."""
        return DataError(
            f"{self.path} unpacks to more than {self.most} bytes, too many for its size; unpack it yourself if you "
            "trust it."
        )


Stream: TypeAlias = io.BufferedReader | Unpacked


def one_sentence(text: str) -> str:
    r"""Make one line of bearable length that ends in a full stop, since what a file holds may be anything.

    Parameters
    ----------
    text : str
        A sentence, with or without its full stop.

    Returns
    -------
    str
        The sentence; where it is too long its middle is left out.

    Examples
    --------
    >>> one_sentence("the label 'two\nlines' is\x85no number")
    "the label 'two lines' is no number."
    >>> len(one_sentence("a" * 10**6))
    360
    """
    line = " ".join(text.split()).rstrip(".") + "."
    if len(line) <= LONGEST_SENTENCE:
        return line
    half = LONGEST_SENTENCE // 2
    return f"{line[: half - 3]} ... {line[-half + 2 :]}"


def memory_limit(max_bytes: int | None) -> int:
    """Bytes a reader may fill: `max_bytes`, or the machine's physical memory when that is None.

    Parameters
    ----------
    max_bytes : int or None
        A limit in bytes, at least 0. None takes the physical memory, or 4 GiB where the system does not tell.

    Returns
    -------
    int
        The limit in bytes.

    Raises
    ------
    ConfigError
        When `max_bytes` is not a whole number of at least 0.

    Examples
    --------
    >>> memory_limit(1000)
    1000
    """
    if max_bytes is None:
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):
            return UNKNOWN_MEMORY_LIMIT
    return check_count("max_bytes", max_bytes, least=0)


def foreign_content(head: bytes) -> str | None:
    """Say what a file is and what to do, when its first bytes show that it is neither IDX nor CSV.

    Parameters
    ----------
    head : bytes
        The first bytes of the (uncompressed) content; 64 are enough for every kind that is known here.

    Returns
    -------
    str or None
        Its kind and what to do, or None for content of no known foreign kind.

    Examples
    --------
    >>> foreign_content(b"<!DOCTYPE html><html>")
    'an HTML page, as failed downloads leave; download it again'
    >>> foreign_content(b"5,0,0,12") is None
    True
    """
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return "an HTML page, as failed downloads leave; download it again"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    return None


@contextmanager
def open_content(path: Path, most: int | None = None) -> Iterator[Stream]:
    """Open a file for reading its content, uncompressed when it begins like gzip, whatever its name.

    What goes wrong with the file while the `with` block reads it becomes a sentence too. Reading until the
    end (until ``read`` gives ``b""``) is what makes gzip compare its checksum.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    most : int, optional
        Bytes that any gzip file may unpack to. Default: `MOST_UNPACKED`.

    Yields
    ------
    io.BufferedReader or Unpacked
        The content as a stream of bytes; `Unpacked` when the file is compressed.

    Raises
    ------
    MissingFileError
        When there is no such file.
    DataError
        For a folder, a file that cannot be read, and gzip that is damaged, cut off or too large.

    Examples
    --------
    >>> import gzip, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "digits.csv")
    ...     _ = path.write_bytes(gzip.compress(b"5,0,12"))
    ...     with open_content(path) as stream:
    ...         stream.read()
    b'5,0,12'

    References
    ----------
    P. Deutsch, "GZIP file format specification version 4.3", RFC 1952, 1996.
    """
    with _open(path) as file:
        try:
            if file.peek(2)[:2] != GZIP_MAGIC:
                yield file
                return
            with Unpacked(file, path, MOST_UNPACKED if most is None else most) as stream:
                yield stream
        except EOFError:
            raise DataError(
                f"{path} is cut off: its gzip data stop in the middle, at byte {file.tell()}, "
                "where the file ends; get the file again."
            ) from None
        except zlib.error as error:
            raise DataError(
                f"{path} is damaged: its gzip data make no sense, noticed by byte {file.tell()} of the file "
                f"({error}); get the file again."
            ) from None
        except gzip.BadGzipFile as error:
            raise DataError(f"{path} is damaged: {_gzip_fault(str(error))}; get the file again.") from None
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); check the file and its disk.") from None


def _open(path: Path) -> io.BufferedReader:
    try:
        if not path.is_dir():
            return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"{path} does not exist; check the path.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be opened ({error}); check the path and its permissions.") from None
    raise DataError(f"{path} is a folder where a file is needed; name the file inside it.")


def _gzip_fault(message: str) -> str:
    if message.startswith("CRC"):
        return "the checksum (CRC-32) at the end of its gzip data does not match the content"
    if message.startswith("Not a gzipped"):
        return "after its gzip data come bytes that are not gzip"
    return f"its gzip data make no sense ({message})"
