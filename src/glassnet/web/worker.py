"""The process in which a session trains: takes orders, and tells how it goes.

    orders   {"id": 7, "do": "teach", ...}     answered by {"id": 7, "result": ...} or {"id": 7, "error": sentence}
    events   {"race": ...}, {"points": ...}, {"state": ...}   told by themselves; what follows a race is of that race

It ends when nobody is at the other end of the pipe.
"""

from __future__ import annotations

import math
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

from glassnet.blas import threads_at_most
from glassnet.data import DataSet, load
from glassnet.errors import ConfigError, GlassnetError
from glassnet.model_files import model_bytes
from glassnet.web.messages import LIMITS, Lesson
from glassnet.web.racer import Racer, nearest
from glassnet.web.traces import as_json

TELL_EVERY = 0.1
"""Seconds between two events of a kind, at least."""


def work(orders: Connection) -> None:
    """Train what is ordered until the pipe ends; what a session starts as a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends this one in its own time
    with threads_at_most(1):
        Worker(orders, load("mnist")).serve_until_closed()


class Worker:
    """Holds the racers of a session."""

    def __init__(self, orders: Connection, data: DataSet) -> None:
        self._orders, self._data = orders, data
        self._racers: list[Racer] = []
        self._targets: list[float] = []
        self._lessons: list[Lesson] = []  # that are still to be given, in a replay
        self._replaying = False
        self._told = 0.0
        self._told_points: list[tuple[int, int]] = []  # of each racer: which version, and how many of it
        self._do: dict[str, Callable[[dict[str, Any]], Any]] = {
            "race": self._race,
            "run": self._run,
            "look": lambda order: self._racer(order).look(),
            "teach": self._teach,
            "trace": lambda order: as_json(self._racer(order).trace(order["pixels"], order["target"])),
            "nearest": lambda order: {"images": nearest(self._data, order["pixels"])},
            "weights": self._weights,
        }

    def serve_until_closed(self) -> None:
        """Train and answer, by turns, until nobody is at the other end."""
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            self._serve()

    def _serve(self) -> None:
        while True:
            while self._orders.poll(0 if self._due() is not None else None):
                self._answer(self._orders.recv())
            racer = self._due()
            if racer is None:
                continue
            lesson = next((one for one in self._lessons if one.racer == racer.number), None)
            if lesson is not None and lesson.step <= racer.step:
                self._lessons.remove(lesson)
                racer.teach(lesson.pixels, lesson.target)
            else:
                racer.advance(self._target(racer))
            if self._due() is None:
                self._rest()
            else:
                self._tell()

    def _due(self) -> Racer | None:
        """Return whose turn it is: of those that have steps to take, who has met the fewest samples."""
        waiting = [
            racer
            for racer, target in zip(self._racers, self._targets, strict=True)
            if racer.diverged is None and (racer.step < target or self._owes(racer))
        ]
        return min(waiting, key=lambda racer: racer.run.samples, default=None)

    def _owes(self, racer: Racer) -> bool:
        return any(lesson.racer == racer.number for lesson in self._lessons)

    def _target(self, racer: Racer) -> float:
        """Return to which step a racer may go on: to its next lesson, or its target."""
        lessons = [lesson.step for lesson in self._lessons if lesson.racer == racer.number]
        return min([self._targets[racer.number], *lessons])

    def _answer(self, order: dict[str, Any]) -> None:
        try:
            answer = {"id": order["id"], "result": self._do[order["do"]](order)}
        except GlassnetError as error:
            answer = {"id": order["id"], "error": str(error)}
        except (BrokenPipeError, ConnectionResetError):
            raise  # nobody is there any more
        except Exception as error:  # a mistake of ours in one order, for which the race shall not be lost
            traceback.print_exc()
            answer = {"id": order["id"], "error": f"this should not happen, please report it: {error!r:.200}."}
        if order["do"] in ("race", "run", "teach"):
            self._tell(at_once=True)  # first: who has the answer shall not see how things were before
        self._orders.send(answer)

    def _race(self, order: dict[str, Any]) -> dict[str, Any]:
        racers = [Racer(number, config, self._data) for number, config in enumerate(order["configs"])]
        for racer in self._racers:
            racer.close()
        self._racers, self._targets = racers, [float(step) for step in order["steps"]]
        self._lessons = list(order["lessons"])
        self._replaying = any(self._targets) or bool(self._lessons)
        self._orders.send({"race": {name: order[name] for name in ("configs", "steps", "lessons")}})
        self._told_points = [(0, 0)] * len(racers)
        if not self._replaying:
            self._rest()
        return {"ok": True}

    def _run(self, order: dict[str, Any]) -> dict[str, Any]:
        if not self._racers:
            raise ConfigError("there is no race yet: set one up first.")
        action = order["action"]
        if action == "reset":
            return self._race(
                {"configs": [r.config for r in self._racers], "steps": [0] * len(self._racers), "lessons": []}
            )
        self._replaying = False
        self._lessons = []
        if action == "play":
            self._targets = [math.inf] * len(self._racers)
        elif action == "pause":
            self._targets = [float(racer.step) for racer in self._racers]
            self._rest()
        elif action == "step":
            self._targets = [racer.step + 1.0 for racer in self._racers]
        else:
            self._targets = [float(racer.end_of_epoch()) for racer in self._racers]
        return {"ok": True}

    def _teach(self, order: dict[str, Any]) -> dict[str, Any]:
        racer = self._racer(order)
        if len(racer.lessons) >= LIMITS["teach"]:
            raise ConfigError(
                f"this network was taught {LIMITS['teach']} times, the most there is: reset the race first."
            )
        if racer.diverged is not None:
            raise ConfigError(
                "this network has diverged and learns no more: reset the race with a lower learning rate."
            )
        return racer.teach(order["pixels"], order["target"])

    def _weights(self, order: dict[str, Any]) -> tuple[int, bytes]:
        racer = self._racer(order)
        racer.run.publish()
        return racer.step, model_bytes(racer.run.model)

    def _racer(self, order: dict[str, Any]) -> Racer:
        number: int = order["racer"]
        if number >= len(self._racers):
            raise ConfigError("there is no race yet: set one up first.")
        return self._racers[number]

    def _rest(self) -> None:
        """Nothing is to be trained for a while: see how good all are."""
        self._replaying = False
        for racer in self._racers:
            racer.rest()
            if racer.diverged is None:
                racer.test()
        self._tell(at_once=True)

    def _tell(self, at_once: bool = False) -> None:
        """Tell how it goes, unless that was told just now."""
        now = perf_counter()
        if not at_once and now - self._told < TELL_EVERY:
            return
        self._told = now
        for racer in self._racers:
            version, told = self._told_points[racer.number]
            told = told if version == racer.points_version else 0
            if new := racer.points[told:]:
                self._orders.send({"points": {"racer": racer.number, "points": new, "from": told}})
            self._told_points[racer.number] = (racer.points_version, len(racer.points))
        state = {
            "playing": self._due() is not None and not self._replaying,
            "busy": "replaying" if self._replaying else None,
            "racers": [racer.state() for racer in self._racers],
        }
        lessons = [lesson for racer in self._racers for lesson in racer.lessons]
        self._orders.send({"state": state, "lessons": lessons})
