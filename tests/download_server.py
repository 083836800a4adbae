"""A server on this machine that behaves as badly as any on the internet, and data sets that it sends."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from glassnet.data import write_idx
from glassnet.data.catalogue import CATALOGUE, Published, RemoteFile

Behaviour: TypeAlias = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Notes what was asked for, and answers as the path says."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        with self.server.counting:
            behaviour = self.server.behaviours.get(self.path, answers(404))
        with suppress(BrokenPipeError, ConnectionResetError):  # the other side has had enough
            behaviour(self)

    def log_message(self, *args: object) -> None:
        pass

    def begin(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in {"Content_Type": "application/gzip", **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def first(self) -> int:
        """Return where what was asked for begins."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "bytes=0-")
        assert found
        return int(found[1])


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.counting, self.over = threading.Lock(), threading.Event()

    def __call__(self, path: str, *behaviours: Behaviour) -> str:
        """Return the address of a path which behaves so, once each, and as the last one from then on."""
        left = list(behaviours)
        self.behaviours[path] = lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)
        return f"http://127.0.0.1:{self.server_port}{path}"


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def sends(content: bytes, *, at_most: int | None = None, ranges: bool = True, **headers: object) -> Behaviour:
    """Send a file, or what was asked for of it; cut the connection after so many bytes."""

    def behave(handler: Handler) -> None:
        start = handler.first() if ranges else 0
        body = content[start:]
        if start:
            if not body:
                handler.begin(416)
                return
            part = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            handler.begin(206, **{"Content_Length": len(body)} | part | headers)
        else:
            handler.begin(200, **{"Content_Length": len(body)} | headers)
        handler.wfile.write(body[:at_most])

    return behave


def answers(status: int, **headers: object) -> Behaviour:
    return lambda handler: handler.begin(status, **{"Content_Length": 0} | headers)


def redirects(to: str) -> Behaviour:
    return answers(302, Location=to)


def sends_a_page(handler: Handler) -> None:
    page = b"<!DOCTYPE html><html><body>Please log in to this network.</body></html>"
    handler.begin(200, Content_Type="text/html; charset=utf-8", Content_Length=len(page))
    handler.wfile.write(page)


def speaks_something_else(handler: Handler) -> None:
    handler.wfile.write(b"220 mail.example ESMTP\r\n")


def stalls(content: bytes, after: int) -> Behaviour:
    """Send the first bytes of what was asked for, and then nothing, with the connection open."""

    def behave(handler: Handler) -> None:
        start = handler.first()
        headers = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        handler.begin(206 if start else 200, Content_Length=len(content) - start, **headers)
        handler.wfile.write(content[start : start + after])
        handler.server.over.wait(20)

    return behave


def drips(content: bytes, seconds: float) -> Behaviour:
    """Send a byte now and then."""

    def behave(handler: Handler) -> None:
        handler.begin(200, Content_Length=len(content))
        for place in range(len(content)):
            handler.wfile.write(content[place : place + 1])
            time.sleep(seconds)

    return behave


def waits(seconds: float, then: Behaviour) -> Behaviour:
    def behave(handler: Handler) -> None:
        time.sleep(seconds)
        then(handler)

    return behave


def never_ends(handler: Handler) -> None:
    handler.begin(200)
    while not handler.server.over.is_set():
        handler.wfile.write(bytes(2**16))


def remote(name: str, content: bytes, *urls: str, **changed: object) -> RemoteFile:
    """Return what would be published of a file with this content."""
    facts = {
        "name": name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "urls": urls,
    }
    return RemoteFile(**facts | changed)  # type: ignore[arg-type]


def four_parts(folder: Path, names: tuple[str, ...], classes: int, first_label: int = 0) -> dict[str, bytes]:
    """Return the files of a small data set of 28 x 28 pictures by name."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    found = {}
    for images, labels, n in ((names[0], names[1], 70), (names[2], names[3], 30)):
        arrays: dict[str, NDArray[np.uint8]] = {
            images: rng.integers(0, 256, (n, 28, 28)).astype(np.uint8),
            labels: (np.arange(n) % classes + first_label).astype(np.uint8),
        }
        for name, array in arrays.items():
            write_idx(folder / name, array)
            found[name] = (folder / name).read_bytes()
    return found


def kmnist_at(server: Server, folder: Path, *behaviours: Callable[[bytes], Behaviour]) -> Published:
    """Return a small KMNIST that the server sends."""
    real = CATALOGUE["kmnist"]
    content = four_parts(folder, real.parts, 10)
    files = tuple(
        remote(name, content[name], server(f"/kmnist/{name}", *(make(content[name]) for make in behaviours or [sends])))
        for name in real.parts
    )
    return replace(real, files=files)


def zipped(content: dict[str, bytes], *others: tuple[str, bytes]) -> bytes:
    """Return an archive of files in a folder "gzip", as that of EMNIST, and of others."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (*((f"gzip/{name}", data) for name, data in content.items()), *others):
            archive.writestr(zipfile.ZipInfo(name), data)
    return packed.getvalue()


def letters_of(*archives: RemoteFile) -> Published:
    """Return the letters of EMNIST, but from these archives."""
    return replace(CATALOGUE["emnist-letters"], archives=archives)
