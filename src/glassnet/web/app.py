"""The routes of the playground, and who may use them; what they do is done elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glassnet import __version__
from glassnet.errors import GlassnetError, WorkerDiedError
from glassnet.web import messages
from glassnet.web.export import page_of
from glassnet.web.session import BusyError, Session, Sessions

STATIC = Path(__file__).parent / "static"
MOST_BYTES = 64 * 1024
"""The longest message that is read."""

HEARTBEAT = 15.0
"""Seconds after which a silent stream of events says that it is still there."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Lets in what comes from this page alone: by Host and Origin; messages are JSON, with a header of ours, and short.

    A stranger's page that a browser shows can send requests to 127.0.0.1; it can not set that header, nor JSON as the
    type, without being asked first, and a name of its own that it lets point here shows in Host.

    Parameters
    ----------
    app : what is guarded
    hosts : values of Host that are this server, such as "127.0.0.1:8000"; None takes any, for a server that others use
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None) -> None:
        self._app, self._hosts = app, None if hosts is None else set(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        await self._app(scope, _bounded(receive), _with_headers(send))

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._hosts is not None and host not in self._hosts:
            return _error(421, f"this server is not {host!a:.80}: open it under the address that it printed.")
        if origin is not None and origin not in {f"http://{name}" for name in self._hosts or (host,)}:
            return _error(403, "requests from other pages are not answered.")
        if method not in ("GET", "HEAD", "POST"):
            return _error(405, f"{method:.20} is not a method of this server.")
        if method == "POST":
            if headers.get("x-glassnet") != "1":
                return _error(403, "a message needs the header X-Glassnet: 1.")
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return _error(415, "a message must be JSON.")
            length = headers.get("content-length", "")
            if length and (not length.isdecimal() or int(length[:20]) > MOST_BYTES):
                return _error(413, f"a message may have {MOST_BYTES:,} bytes.")
        return None


class _TooLong(Exception):  # noqa: N818 - never leaves this module
    pass


def _bounded(receive: Receive) -> Receive:
    """Return a receiver that stops reading where a message is longer than its header said it may be."""
    count = 0

    async def bounded() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > MOST_BYTES:
            raise _TooLong
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name for name, _ in message["headers"]}
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in known]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sending


def _error(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


def make_app(hosts: Iterable[str] | None) -> ASGIApp:
    """Return the application.

    Parameters
    ----------
    hosts : values of Host under which it answers, see `Guard`

    Examples
    --------
    >>> type(make_app(["127.0.0.1:8000"])).__name__
    'Guard'
    """
    sessions = Sessions()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        sessions.close_all()

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def facts(request: Request) -> Response:
        return JSONResponse(messages.facts() | {"version": __version__, "alone": hosts is not None})

    async def open_session(request: Request) -> Response:
        await _values(request)
        return JSONResponse({"session": sessions.open().token})

    def in_session(do: Callable[[Session, Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            session = sessions.get(request.path_params["token"])
            if session is None:
                return _error(404, "this session is over: load the page again.")
            return await do(session, request)

        return handle

    routes = [
        Route("/", page),
        Route("/api/facts", facts),
        Route("/api/session", open_session, methods=["POST"]),
        *(Route(f"/api/session/{{token}}/{name}", in_session(do), methods=["POST"]) for name, do in ORDERS.items()),
        Route("/api/session/{token}/weights", in_session(_weights)),
        Route("/api/session/{token}/snapshot", in_session(_snapshot)),
        Route("/api/session/{token}/events", in_session(_events)),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers: dict[Any, Any] = {
        BusyError: lambda request, error: _error(429, str(error)),
        WorkerDiedError: lambda request, error: _error(503, str(error)),
        GlassnetError: lambda request, error: _error(400, str(error)),
        HTTPException: lambda request, error: _error(error.status_code, f"{error.detail}: {request.url.path:.80}."),
        _TooLong: lambda request, error: _error(413, f"a message may have {MOST_BYTES:,} bytes."),
        Exception: lambda request, error: _error(500, "this should not happen, please report it."),
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan), hosts)


async def _values(request: Request) -> dict[str, Any]:
    """Return the message of a request.

    Raises
    ------
    GlassnetError
        If it is no JSON object.
    """
    try:
        values = json.loads(await request.body(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise GlassnetError("the message is no JSON.") from None
    if not isinstance(values, dict):
        raise GlassnetError("the message must be an object.")
    return values


def _no_number(name: str) -> float:
    raise ValueError(name)


async def _race(session: Session, request: Request) -> Response:
    configs, steps = messages.read_race(await _values(request))
    return JSONResponse(await session.ask("race", configs=configs, steps=steps))


async def _run(session: Session, request: Request) -> Response:
    return JSONResponse(await session.ask("run", action=messages.read_action(await _values(request))))


async def _look(session: Session, request: Request) -> Response:
    racer = messages.read_racer(await _values(request), max(session.racers, 1))
    return JSONResponse(await session.ask("look", racer=racer))


async def _nearest(session: Session, request: Request) -> Response:
    values = await _values(request)
    messages.read_racer(values, 1, "pixels")
    return JSONResponse(await session.ask("nearest", pixels=messages.read_pixels(values)))


def _of_a_picture(do: str) -> Callable[[Session, Request], Awaitable[Response]]:
    async def handle(session: Session, request: Request) -> Response:
        values = await _values(request)
        racer = messages.read_racer(values, max(session.racers, 1), "pixels", "target")
        pixels, target = messages.read_pixels(values), messages.read_target(values)
        return JSONResponse(await session.ask(do, racer=racer, pixels=pixels, target=target))

    return handle


ORDERS: dict[str, Callable[[Session, Request], Awaitable[Response]]] = {
    "race": _race,
    "run": _run,
    "look": _look,
    "nearest": _nearest,
    "teach": _of_a_picture("teach"),
    "trace": _of_a_picture("trace"),
}
"""What a page may ask of its session by POST."""


def _racer_in_query(session: Session, request: Request) -> int:
    text = request.query_params.get("racer", "0")
    number = int(text) if text.isdecimal() and len(text) < 4 else text
    return messages.read_racer({"racer": number}, max(session.racers, 1))


async def _weights(session: Session, request: Request) -> Response:
    step, content = await session.ask("weights", racer=_racer_in_query(session, request))
    return Response(content, headers={"x-step": str(step)}, media_type="application/octet-stream")


async def _snapshot(session: Session, request: Request) -> Response:
    step, content = await session.ask("weights", racer=_racer_in_query(session, request))
    name = f'attachment; filename="glassnet-step-{step}.html"'
    return Response(page_of(content), headers={"content-disposition": name}, media_type="text/html")


async def _events(session: Session, request: Request) -> Response:
    session.check_room()  # here, so that a refusal is an answer and no broken stream

    async def stream() -> AsyncIterator[str]:
        async with session.listening() as queue:
            while True:
                try:
                    kind, what = await asyncio.wait_for(queue.get(), HEARTBEAT)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                yield f"event: {kind}\ndata: {json.dumps(what)}\n\n"
                if kind == "ended":
                    return

    return StreamingResponse(stream(), media_type="text/event-stream")
