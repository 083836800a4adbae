"""Files that are read up to a bound; files that are written whole or not at all, and stay so when the power fails.

    write to a temporary file in the same folder
    flush it to the disk                            fsync
    give it the name of the file                    rename, which is one step
    flush the folder, which holds the names         fsync

At every moment the name belongs to the old content or to the new one, whole: before the second flush to either, after
it to the new one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from glassnet.errors import OutputExistsError

LOCK_FILE = ".lock"
"""Held by who writes to a folder; it stays there, since removing it could let two in."""


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; at the end it takes the place of `path` in one rename.

    If the block raises, `path` is as it was before and the temporary file is gone. The temporary name keeps the ending
    of `path`, for writers that go by it. What is made there may be a link, too.

    Parameters
    ----------
    path : file to write; its folder must exist

    Raises
    ------
    OSError
        If the system does not let it be written: no room, no permission, no folder.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with whole_file(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [file.name for file in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.urandom(4).hex()}{path.suffix}")
    try:
        yield temporary
        if not temporary.is_symlink():
            sync(temporary, os.O_RDWR)
        take_name(temporary, path)
    except BaseException:
        with suppress(OSError):  # it may never have been there, or the folder may be gone
            temporary.unlink()
        raise


def take_name(temporary: Path, path: Path) -> None:
    """Let a whole file, whose content is on the disk, be called `path` from now on, even after a power cut."""
    temporary.replace(path)
    if os.name != "nt":  # where folders can not be opened
        sync(path.parent, os.O_RDONLY)


def sync(path: Path, how: int) -> None:
    """Wait until what was written is on the disk."""
    descriptor = os.open(path, how)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_up_to(path: Path, count: int) -> bytes:
    """Read a file, or its first bytes where it has more; it need not tell its size beforehand.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    count : int
        The most bytes that are read. To tell whether a file is too large, ask for one more than it may have.

    Returns
    -------
    bytes
        At most `count` bytes.

    Raises
    ------
    OSError
        When the system refuses.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "notes.txt")
    >>> _ = path.write_text("seven")
    >>> read_up_to(path, 3)
    b'sev'
    """
    with path.open("rb", buffering=0) as file:
        content = bytearray()
        while len(content) < count and (block := file.read(min(count - len(content), 2**20))):
            content += block
    return bytes(content)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 with plain line feeds, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only process that writes to a folder, which must exist, for the block. A process that ends lets go.

    Raises
    ------
    OutputExistsError
        If another one is.
    """
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputExistsError(
            f"another process is writing to {folder}: wait for it, or name another folder."
        ) from None
    except NotImplementedError:  # a file system without locks
        yield
        return
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` that a process left which ended while it wrote; only its writer may."""
    for rest in path.parent.glob(f".{path.stem}.????????{path.suffix}"):
        rest.unlink()
