"""``python -m runners.turn PEER``: one peer that waits for its turns; one line of JSON each way."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

from runners.common import Cell, HasNoneError, Runner

PEERS = {
    "glassnet": "runners.glass:OneProcess",
    "workers": "runners.glass:TwoWorkers",
    "torch": "runners.pytorch:Eager",
    "torch-compiled": "runners.pytorch:Compiled",
    "jax": "runners.jaxscan:Scan",
    "keras": "runners.kerasfit:Fit",
    "sklearn": "runners.sklearnfit:Perceptron",
    "textbook": "runners.textbook:Textbook",
    "sgemm": "runners.sgemm:Products",
}


def load(peer: str) -> Runner:
    """Import a peer and make its runner."""
    module, name = PEERS[peer].split(":")
    runner: Runner = getattr(importlib.import_module(module), name)()
    return runner


def answer(runner: Runner, order: dict[str, Any]) -> dict[str, Any]:
    """Do what was asked for."""
    if order["do"] == "prepare":
        runner.prepare(Cell.from_dict(order["cell"]))
        return {}
    if order["do"] == "choose":
        return runner.choose()
    if order["do"] == "run":
        seconds, steps = runner.run(order["seconds"])
        return {"seconds": seconds, "steps": steps}
    if order["do"] == "rest":
        runner.rest()
        return {}
    if order["do"] == "figures":
        return runner.figures()
    raise ValueError(order["do"])


def main(peer: str) -> None:
    """Answer orders until there are no more."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes elsewhere
    try:
        runner = load(peer)
        reply: dict[str, Any] = {"versions": runner.versions()}
    except ModuleNotFoundError as error:
        reply = {"missing": f"{error.name} is not installed"}
    except Exception as error:
        reply = {"missing": str(error)}
    while True:
        print(json.dumps(reply), file=out, flush=True)
        line = sys.stdin.readline()
        if not line or "missing" in reply:
            return
        try:
            reply = answer(runner, json.loads(line))
        except HasNoneError as none:
            reply = {"none": str(none)}
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(sys.argv[1])
