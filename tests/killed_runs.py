"""Trains, is killed and goes on, again and again: what tests/test_killed.py runs in a process of its own.

``python killed_runs.py COUNT SEED`` prints one JSON object: how many of the endings had the bits of a run that was
never interrupted, from which steps the runs went on, and which files were not whole. A run that ended before it was
killed is not counted. Each run is a fork of this process, which has imported everything once.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

import glassnet as gn
from glassnet.checkpoints import steps_of

EPOCHS, SAMPLES = 6, 1200
RUNS: list[dict[str, Any]] = [
    {"optimizer": gn.Adam(gn.OneCycle(0.01, 6 * 24)), "every": "10steps"},
    {"optimizer": gn.Momentum(gn.Cosine(0.1, 6 * 24)), "every": "1e", "dropout": True},
    {"optimizer": gn.ScheduleFreeAdamW(0.01), "every": "7steps", "dropout": True},
    {"optimizer": gn.Adagrad(0.05), "every": "0.005s", "batch_size": 1, "epochs": 1},
    {"optimizer": gn.RMSprop(0.01), "every": "3e", "batch_size": "full", "epochs": 60},
    {"optimizer": gn.Muon(0.003), "every": "5steps"},
    {"optimizer": gn.Adam(0.01), "every": "9steps", "workers": 2},
]


def data() -> gn.DataSet:
    """Pictures of 8 x 8 pixels, each class with bright pixels of its own."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, SAMPLES + 200)
    images = rng.integers(0, 60, (len(labels), 8, 8))
    images[np.arange(len(labels)), labels, :4] += 150
    return gn.from_arrays(images.astype(np.uint8), labels, validation=200)


def train(run: dict[str, Any], samples: gn.DataSet, folder: Path, resume: bool) -> Any:
    """Train to the end; return the parameters and the history, without times."""
    dropout = [gn.Dropout(0.3)] if run.get("dropout") else []
    layers = [gn.Flatten(), gn.Dense(24), gn.ReLU(), *dropout, gn.Dense(4), gn.Softmax()]
    network = gn.Network(layers, (8, 8), seed=3)
    checkpoints = gn.Checkpoints(folder, run["every"])
    result = gn.fit(
        network,
        samples,
        run["optimizer"],
        batch_size=run.get("batch_size", 50),
        epochs=run.get("epochs", EPOCHS),
        seed=3,
        workers=run.get("workers", 1),
        listeners=[
            gn.BestWeights("validation_loss"),
            gn.ReduceOnPlateau(patience=2),
            checkpoints,
        ],
        resume=folder if resume else None,
    )
    history = {name: column for name, column in result.history.items() if name not in ("train_seconds", "train_loss")}
    return network.theta, history


def in_a_fork(run: dict[str, Any], samples: gn.DataSet, folder: Path, resume: bool) -> int:
    """Begin in another process, which leaves its ending beside the checkpoints; return its number."""
    pid = os.fork()
    if pid == 0:
        try:
            theta, history = train(run, samples, folder, resume)
            np.save(folder.parent / "ending.npy", theta)
            (folder.parent / "history.json").write_text(json.dumps(history))
            os._exit(0)
        except BaseException as error:  # whatever it is, this copy of the process must not go on
            print(type(error).__name__, error, file=sys.stderr, flush=True)
            os._exit(1)
    return pid


def main(count: int, seed: int) -> None:
    """Kill so many runs."""
    rng, samples = random.Random(seed), data()
    same, went_on, damaged, references = 0, [], [], {}
    while len(went_on) < count:
        kind = len(went_on) % len(RUNS)
        run = RUNS[kind]
        place = Path(tempfile.mkdtemp(prefix="killed-"))
        folder = place / "checkpoints"
        if kind not in references:
            begin = time.perf_counter()
            assert os.waitpid(in_a_fork(run, samples, folder, False), 0)[1] == 0
            seconds = time.perf_counter() - begin
            references[kind] = (np.load(place / "ending.npy"), (place / "history.json").read_text(), seconds)
            shutil.rmtree(place)
            place.mkdir()
        theta, history, seconds = references[kind]
        pid = in_a_fork(run, samples, folder, False)
        time.sleep(rng.uniform(0, seconds))
        os.kill(pid, signal.SIGKILL)
        if os.waitpid(pid, 0)[1] == 0:
            shutil.rmtree(place)
            continue
        steps = steps_of(folder) if folder.is_dir() else {}
        for path in steps.values():
            try:
                gn.load_checkpoint(path)
            except gn.CheckpointError as error:
                damaged.append(str(error))
        went_on.append(max(steps, default=0))
        (place / "ending.npy").unlink(missing_ok=True)
        if os.waitpid(in_a_fork(run, samples, folder, bool(steps)), 0)[1] == 0:
            ending, its_history = np.load(place / "ending.npy"), (place / "history.json").read_text()
            same += np.array_equal(ending, theta) and its_history == history
        shutil.rmtree(place)
    print(json.dumps({"same": same, "went on": went_on, "damaged": damaged}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
