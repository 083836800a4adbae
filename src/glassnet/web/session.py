"""A session: one page's race, trained by a process that may be stopped, lost and started again."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import secrets
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

from glassnet.errors import GlassnetError, WorkerDiedError
from glassnet.web.messages import Lesson
from glassnet.web.worker import work

MOST_SESSIONS, MOST_LISTENERS, MOST_PENDING = 4, 8, 32
ALONE = 30.0
"""Seconds without a listener after which a race pauses."""

IDLE = 600.0
"""Seconds without a listener after which a session may make room for another."""

PATIENCE = 60.0
"""Seconds that an order may take."""

MOST_LOSSES = 3
"""Processes that may be lost within a minute before nobody starts another."""

Event = dict[str, Any]


class BusyError(GlassnetError):
    """There are as many as there may be."""


class Session:
    """Orders go to the process, events come from it; must be used from one event loop.

    Parameters
    ----------
    loop : the event loop
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.token = secrets.token_urlsafe(16)
        self.state: Event = {"playing": False, "busy": None, "racers": []}
        self.ended = False
        self.quiet_since = monotonic()
        self._loop = loop
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._listeners: set[asyncio.Queue[tuple[str, Any]]] = set()
        self._configs: list[dict[str, Any]] = []
        self._steps: list[int] = []
        self._lessons: list[Lesson] = []
        self._points: list[list[Any]] = []
        self._losses: list[float] = []
        self._start()

    # The process.

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._orders, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        threading.Thread(target=self._listen, args=(self._orders,), daemon=True).start()

    def _listen(self, orders: Connection) -> None:
        """Hand what the process says to the event loop; a thread of its own, which ends with the process."""
        with suppress(RuntimeError):  # the loop is closed
            try:
                while True:
                    self._loop.call_soon_threadsafe(self._hear, orders, orders.recv())
            except (EOFError, OSError):
                self._loop.call_soon_threadsafe(self._lost, orders)

    def _hear(self, orders: Connection, said: Event) -> None:
        if orders is not self._orders:
            return
        if "id" in said:
            future = self._pending.pop(said["id"], None)
            if future is not None and not future.done():
                if "error" in said:
                    future.set_exception(GlassnetError(said["error"]))
                else:
                    future.set_result(said["result"])
        elif "race" in said:
            race = said["race"]
            self._configs, self._steps, self._lessons = race["configs"], race["steps"], race["lessons"]
            self._points = [[] for _ in self._configs]
        elif "points" in said:
            found = said["points"]
            curve = self._points[found["racer"]]
            curve[found["from"] :] = found["points"]
            self._send("points", found)
        else:
            self.state = said["state"]
            if self.state["busy"] is None:
                self._steps, self._lessons = [racer["step"] for racer in self.state["racers"]], said["lessons"]
            self._send("state", self.state)

    def _lost(self, orders: Connection) -> None:
        """The process is gone: start another, and let it train to where this one was."""
        if self.ended or orders is not self._orders:
            return
        self._refuse("the training process was lost; it is started again.")
        now = monotonic()
        self._losses = [when for when in self._losses if now - when < 60.0] + [now]
        if len(self._losses) > MOST_LOSSES:
            reason = f"the training process was lost {len(self._losses)} times in a minute: begin with another race."
            self._send("lost", {"reason": reason})
            self.close()
            return
        self._send("lost", {"reason": "the training process was lost; another one trains to where it was."})
        self.state = self.state | {"playing": False, "busy": "replaying" if self._configs else None}
        self._send("state", self.state)
        self._process.join(0)
        self._start()
        if self._configs:
            self._points = [[] for _ in self._configs]
            order = {"do": "race", "configs": self._configs, "steps": self._steps, "lessons": self._lessons}
            self._orders.send({"id": 0, **order})

    def _refuse(self, sentence: str) -> None:
        """Answer all that was asked for and will not come."""
        for future in self._pending.values():
            if not future.done():
                future.set_exception(WorkerDiedError(sentence))
        self._pending.clear()

    # What a page asks for.

    async def ask(self, do: str, **what: Any) -> Any:
        """Give an order and wait for the answer.

        Raises
        ------
        GlassnetError
            With the sentence of the process, if it is gone, or does not answer in time.
        """
        if len(self._pending) >= MOST_PENDING:
            raise BusyError(f"{MOST_PENDING} requests are waiting already: try again in a moment.")
        if do == "race":
            what.setdefault("lessons", [])
        number = next(self._numbers)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._pending[number] = future
        try:
            self._orders.send({"id": number, "do": do, **what})
            if do == "run" and not self.is_followed:  # nor may anybody come
                self.quiet_since = monotonic()
                self._loop.call_later(ALONE, self._rest)
            return await asyncio.wait_for(future, PATIENCE)
        except TimeoutError:
            raise GlassnetError(f"the training process did not answer within {PATIENCE:.0f} seconds.") from None
        except OSError:
            raise WorkerDiedError("the training process was lost; it is started again.") from None
        finally:
            self._pending.pop(number, None)

    @property
    def racers(self) -> int:
        """How many configurations race."""
        return len(self._configs)

    # Who listens.

    def _send(self, kind: str, what: Any) -> None:
        for queue in self._listeners:
            if kind == "state" and queue.qsize() > 50:
                continue  # a page that does not keep up misses states, never points
            queue.put_nowait((kind, what))

    def check_room(self) -> None:
        """Refuse one more listener than there may be.

        Raises
        ------
        BusyError
            If there are `MOST_LISTENERS`.
        """
        if len(self._listeners) >= MOST_LISTENERS:
            raise BusyError(f"{MOST_LISTENERS} pages follow this session already: close one.")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.Queue[tuple[str, Any]]]:
        """Have a queue of events, which begins with how things are."""
        queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        for number, points in enumerate(self._points):
            queue.put_nowait(("points", {"racer": number, "points": list(points), "from": 0}))
        queue.put_nowait(("state", self.state))
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
            self.quiet_since = monotonic()
            self._loop.call_later(ALONE, self._rest)

    def _rest(self) -> None:
        """Pause a race that nobody watches any more."""
        alone = not self.is_followed and monotonic() - self.quiet_since >= ALONE
        if alone and not self.ended and self.state["playing"]:
            with suppress(OSError):  # the process is lost, and so does not play
                self._orders.send({"id": 0, "do": "run", "action": "pause"})

    @property
    def is_followed(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    @property
    def is_idle(self) -> bool:
        """Whether nobody has listened for long."""
        return not self.is_followed and monotonic() - self.quiet_since > IDLE

    def close(self) -> None:
        """End the session and its process."""
        if self.ended:
            return
        self.ended = True
        self._refuse("this race is over: load the page again.")
        self._send("ended", {})
        self._process.terminate()
        self._process.join(2.0)
        if self._process.is_alive():
            self._process.kill()
        self._orders.close()


class Sessions:
    """All sessions of a server."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def open(self) -> Session:
        """Begin a session; those that nobody needs end first.

        Raises
        ------
        BusyError
            If there are `MOST_SESSIONS`.
        """
        for session in list(self._sessions.values()):
            if session.ended or session.is_idle:
                self.close(session.token)
        if len(self._sessions) >= MOST_SESSIONS:
            quiet = [session for session in self._sessions.values() if not session.is_followed]
            if not quiet:
                raise BusyError(f"{MOST_SESSIONS} pages train already: close one of them, and load this one again.")
            self.close(min(quiet, key=lambda session: session.quiet_since).token)
        session = Session(asyncio.get_running_loop())
        self._sessions[session.token] = session
        return session

    def get(self, token: str) -> Session | None:
        """Return a session that goes on."""
        session = self._sessions.get(token)
        return None if session is None or session.ended else session

    def close(self, token: str) -> None:
        """End a session."""
        session = self._sessions.pop(token, None)
        if session is not None:
            session.close()

    def close_all(self) -> None:
        """End all."""
        for token in list(self._sessions):
            self.close(token)
