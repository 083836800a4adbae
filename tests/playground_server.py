"""A playground that runs, for the tests that talk to it: the command itself, in a process of its own."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from glassnet import load

PATIENCE = 60.0


class Playground:
    """The server, and one session in it.

    Parameters
    ----------
    folder : where it runs
    """

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "glassnet", "playground", "--no-browser", "--port", "0"]
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", self.line)
        assert found, self.line + self.process.stdout.read()
        self.port = int(found[1])
        self.host = f"127.0.0.1:{self.port}"
        self.address = f"http://{self.host}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request as it is, and return status, headers and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, path: str, values: Any) -> tuple[int, Any]:
        """Send a message as the page does, and return status and answer."""
        headers = {"Content-Type": "application/json", "X-Glassnet": "1"}
        status, _, content = self.request("POST", path, json.dumps(values).encode(), headers)
        return status, json.loads(content)

    def get(self, path: str) -> tuple[int, Any]:
        """Return status and answer."""
        status, _, content = self.request("GET", path)
        return status, json.loads(content)


class Page:
    """What a page does with the server: a session, and its events.

    Parameters
    ----------
    playground : the server
    """

    def __init__(self, playground: Playground) -> None:
        self.playground = playground
        status, answer = playground.post("/api/session", {})
        assert status == 200, answer
        self.path = f"/api/session/{answer['session']}/"

    def ask(self, name: str, values: Any, status: int = 200) -> Any:
        """Send a message to the session, and return the answer, which must have this status."""
        found, answer = self.playground.post(self.path + name, values)
        assert found == status, answer
        return answer

    def follow(self, until: Callable[[str, Any], bool]) -> list[tuple[str, Any]]:
        """Return the events from now to the first one for which `until` holds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.playground.port, timeout=PATIENCE)
        events: list[tuple[str, Any]] = []
        try:
            connection.request("GET", self.path + "events")
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            end, kind = time.monotonic() + PATIENCE, ""
            while time.monotonic() < end:
                line = answer.readline().decode().rstrip("\n")
                assert line or answer.isclosed() is False, "the stream ended"
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    events.append((kind, json.loads(line.removeprefix("data: "))))
                    if until(*events[-1]):
                        return events
        finally:
            connection.close()
        raise AssertionError(f"no such event within {PATIENCE} s; the last were {events[-3:]}")

    def rest(self) -> dict[str, Any]:
        """Wait until nothing is trained, and return the state."""
        return self.follow(is_at_rest)[-1][1]

    def curves(self) -> dict[int, list[Any]]:
        """Return the points of all curves."""
        events = self.follow(lambda kind, what: kind == "state")
        return {what["racer"]: what["points"] for kind, what in events if kind == "points"}


def is_at_rest(kind: str, what: Any) -> bool:
    """Say whether an event tells that everything is set up and nothing is being trained."""
    return kind == "state" and bool(what["racers"]) and not what["playing"] and what["busy"] is None


def picture(index: int = 0) -> str:
    """Return a test image as a page sends it."""
    return base64.b64encode(load("mnist").test.features[index].tobytes()).decode()


def signal_trainers(playground: Playground, number: signal.Signals = signal.SIGKILL) -> None:
    """Kill all processes in which the server trains, or send them another signal."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == playground.process.pid and b"spawn_main" in command:
            os.kill(int(process.name), number)
