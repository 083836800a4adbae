"""The download of one file: from several mirrors in turn, resumed where it was cut, kept only if its sums are right.

    what came of it before      .NAME.part, until a run was cut
    the rest                    Range: bytes=N-, from the first mirror that answers
    is it the file?             size, SHA-256 and MD5, as published
    then it is called NAME      one rename, and a flush of the folder

A mirror that refuses, lies about the length or sends something else makes room for the next one. Whoever comes while
another process downloads the same file waits for it.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from filelock import FileLock

from glassnet.data.catalogue import Progress, RemoteFile
from glassnet.errors import DataError, GlassnetError
from glassnet.files import take_name

TIMEOUT = 30.0
"""Seconds in which something must come."""

SLOWEST = 1000.0
"""Bytes a second that must come, on average over `TIMEOUT`."""

MOST_CUTS = 8
"""How often a mirror may cut the connection, each time after some bytes, before the next one is tried."""

PAUSE = 1.0
"""Seconds until a mirror is asked again that has cut the connection."""

_STEP = 2**18
_SCHEMES = ("http", "https")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class UnreachableError(Exception):
    """No mirror sent the file; `reasons` has the host and why, for each."""

    def __init__(self, reasons: list[tuple[str, str]]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


class _RefusedError(Exception):
    """This mirror will not do; the text says why."""


class _NoSuchRestError(_RefusedError):
    """The file ends before what was asked for begins."""


class _CutError(Exception):
    """The connection ended before the file did; the text says how."""


def download(file: RemoteFile, folder: Path, progress: Progress | None = None) -> Path:
    """Download a file if it is not there yet, unharmed.

    Parameters
    ----------
    file : what it is called, its size, its sums and where it can be had
    folder : where it goes; made if need be. What is there of it after an interruption is used by the next call.
    progress : called as bytes come

    Returns
    -------
    pathlib.Path
        The file, whose sums were checked just now.

    Raises
    ------
    UnreachableError
        When no mirror sent it. It is for the caller, who knows what else can be done, to say so in a sentence.
    DataError
        When the folder can not be written to, or has no room.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "three").write_bytes(b"123")
    >>> sha256 = "a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3"
    >>> download(RemoteFile("three", 3, sha256, None, ()), folder).name  # is there
    'three'
    """
    path = folder / file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f".{file.name}.lock"):
            if not file.is_whole(path):
                partial = folder / f".{file.name}.part"
                if partial.is_symlink():  # which leads elsewhere
                    partial.unlink()
                _check_room(file, partial)
                _from_mirrors(file, partial, progress)
                take_name(partial, path)
    except GlassnetError:
        raise
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror or error}); look at the folder, its permissions and the room "
            "on the disk, or name another folder with GLASSNET_DATA."
        ) from None
    return path


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process holds the lock, which one that ends lets go of, and hold it for the block."""
    held = FileLock(lock)
    with suppress(NotImplementedError):  # a file system without locks
        held.acquire()
    try:
        yield
    finally:
        held.release()


def _check_room(file: RemoteFile, partial: Path) -> None:
    free, needed = shutil.disk_usage(partial.parent).free, (file.size or file.most) - _length(partial)
    if needed > free:
        raise DataError(
            f"{file.name} needs {needed / 1e6:.1f} MB, and {partial.parent} has room for {free / 1e6:.1f} MB; make "
            "room, or name another folder with GLASSNET_DATA."
        )


def _from_mirrors(file: RemoteFile, partial: Path, progress: Progress | None) -> None:
    """Ask one mirror after the other until the partial file is the whole one."""
    if file.is_whole(partial):  # interrupted just before the rename
        return
    reasons = []
    for url in file.urls:
        try:
            _from_mirror(url, file, partial, progress)
        except _RefusedError as reason:
            reasons.append((urlsplit(url).netloc, str(reason)))
        else:
            return
    raise UnreachableError(reasons)


def _from_mirror(url: str, file: RemoteFile, partial: Path, progress: Progress | None) -> None:
    """Ask one mirror for what is missing, again where it was cut, and compare the sums."""
    alone, cuts = not _length(partial), 0
    while True:
        before = _length(partial)
        try:
            _receive_rest(url, file, partial, progress)
        except _CutError as cut:
            cuts += 1
            if _length(partial) <= before or cuts == MOST_CUTS:
                raise _RefusedError(str(cut)) from None
            time.sleep(PAUSE)
            continue
        if file.is_whole(partial):
            return
        partial.unlink()
        if alone:
            raise _RefusedError("it sent something whose sum is not the published one")
        alone = True  # what was there before may have been wrong: all of it once more


def _receive_rest(url: str, file: RemoteFile, partial: Path, progress: Progress | None) -> None:
    have = _length(partial)
    if have > (file.size or file.most):
        partial.unlink()
        have = 0
    if have == file.size:
        return
    try:
        response = _open(url, have)
    except _NoSuchRestError:
        if file.size:
            raise
        partial.unlink()  # what is there may be the wrong one, since the size is not known
        response = _open(url, have := 0)
    with response:
        start, end = _extent(response, have, file)
        kept = have if file.size else start  # of unknown size, what there is may be of another file
        with partial.open("r+b" if kept else "wb") as content:
            content.seek(kept)
            _receive(response, content, kept, file.name, start, end, progress)
            content.flush()
            os.fsync(content.fileno())


def _open(url: str, have: int) -> HTTPResponse:
    """Ask for a file, or for its rest where the first bytes are there."""
    if urlsplit(url).scheme not in _SCHEMES:
        raise _RefusedError("its address is not one of http or https")
    headers = {"User-Agent": "glassnet", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    opener = OpenerDirector()  # not urlopen, which reads files and speaks FTP, too
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler, _Redirects, HTTPErrorProcessor, HTTPDefaultErrorHandler):
        opener.add_handler(handler())
    try:
        response: HTTPResponse = opener.open(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416:
            raise _NoSuchRestError("its file is shorter than what there is already") from None
        if 300 <= error.code < 400:
            raise _RefusedError("it redirects in a circle, or to something other than http and https") from None
        raise _RefusedError(f"it answered with HTTP status {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that is none
        raise _RefusedError(_in_words(error)) from None
    return response


class _Redirects(HTTPRedirectHandler):
    """Follows a few redirects, none of them away from http and https, and reads nothing that comes with them."""

    max_redirections = 5

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        """Return what to ask next."""
        fp.close()  # otherwise it would be read to its end, which need not come
        if urlsplit(newurl).scheme not in _SCHEMES:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _extent(response: HTTPResponse, have: int, file: RemoteFile) -> tuple[int, int]:
    """Return where in the file that begins and ends which a mirror is about to send, or refuse it."""
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise _RefusedError("it sent a web page in place of the file")
    start = 0  # where the mirror knows no ranges, it sends all, from the beginning
    if response.status == 206:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or found[1] != str(have):
            raise _RefusedError("it sent another part of the file than was asked for")
        start = have
    elif response.status != 200:
        raise _RefusedError(f"it answered with HTTP status {response.status}")
    end = file.size if response.length is None else start + response.length
    if end is None:
        raise _RefusedError("it does not say how long the file is")
    if file.size is None and end > file.most:
        raise _RefusedError(f"its file is longer than {file.most:,} bytes")
    if file.size is not None and end != file.size:
        how = "longer" if end > file.size else "shorter"
        raise _RefusedError(f"its file is {how} than the {file.size:,} bytes that are published")
    return start, end


def _receive(
    response: HTTPResponse, content: IO[bytes], kept: int, name: str, position: int, end: int, progress: Progress | None
) -> None:
    """Write what comes beyond the bytes that are there, and no more than should."""
    began, at_begin = time.monotonic(), position
    while position < end:
        try:
            data = response.read1(min(_STEP, end - position))
        except (OSError, HTTPException, ValueError) as error:
            raise _CutError(f"{_in_words(error)}, after {position:,} of {end:,} bytes") from None
        if not data:
            raise _CutError(f"the connection was cut after {position:,} of {end:,} bytes")
        content.write(data[max(kept - position, 0) :])
        position += len(data)
        if progress is not None:
            progress(name, position, end)
        seconds = time.monotonic() - began
        if seconds > TIMEOUT:
            if position - at_begin < SLOWEST * seconds:
                raise _RefusedError(
                    f"less than {SLOWEST / 1000:g} KB a second came, after {position:,} of {end:,} bytes"
                )
            began, at_begin = time.monotonic(), position


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _in_words(error: Any) -> str:
    """Say what went wrong with a connection, in no words of the other side."""
    error = error.reason if isinstance(error, URLError) else error
    if isinstance(error, TimeoutError):
        return f"nothing came for {TIMEOUT:g} seconds"
    if isinstance(error, OSError) and error.strerror:
        return f"no connection ({error.strerror})"
    return f"no connection ({type(error).__name__})" if isinstance(error, OSError) else "it does not speak HTTP"
