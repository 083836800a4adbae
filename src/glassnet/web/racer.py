"""One configuration that trains, a little at a time, and can be looked into between two steps."""

from __future__ import annotations

import math
from collections import deque
from time import perf_counter
from typing import Any

import numpy as np

from glassnet.data import DataSet
from glassnet.diagnosis import all_finite, signals
from glassnet.errors import ConfigError, DivergedError
from glassnet.model import EVALUATION_BATCH, evaluate
from glassnet.network import Workspace
from glassnet.trace import Trace, trace_step
from glassnet.training import SAMPLES_PER_EVENT, EpochEnd, Steps
from glassnet.web.advice import advice
from glassnet.web.messages import Lesson, encoded, picture, read_config

PROBE = 1000
"""Validation samples by which the curves are drawn."""

POINT_EVERY = 5000
"""Training samples between two points of the curves: a function of the step alone, so that a replay draws the same."""

LOOKED_AT = 500
"""Validation samples by which activations and gradients are looked at."""

BINS = 20
MOST_POINTS = 2000
"""From more points than this on, every other one is left out, and half as many are taken."""


class Racer:
    """A training run, driven step by step.

    Parameters
    ----------
    number : which one of the race it is
    config : as a page writes it, see `messages.DEFAULT`
    data : MNIST
    """

    def __init__(self, number: int, config: dict[str, Any], data: DataSet) -> None:
        self.number, self.config, self.data = number, config, data
        self.run = read_config(config).make_training(data)
        self.points: list[list[float | None]] = []
        self.points_version = 0
        self.lessons: list[Lesson] = []
        self.diverged: str | None = None
        self.test_accuracy: float | None = None
        self.validation_accuracy: float | None = None
        self._point_every = POINT_EVERY
        self._next_point = 0
        self._room = Workspace(self.run.network, EVALUATION_BATCH, train=False)
        self._events = self.run.events()
        next(self._events)  # it begins
        self._times: deque[tuple[float, int]] = deque(maxlen=50)
        self._tested_at = (-1, 0)
        self._point()

    @property
    def step(self) -> int:
        """Steps so far."""
        return self.run.step

    @property
    def epochs(self) -> float:
        """Passes over the training samples so far."""
        return self.run.step / self.run.steps_an_epoch

    def end_of_epoch(self) -> int:
        """Return the step at which the current epoch is over."""
        return (self.run.step // self.run.steps_an_epoch + 1) * self.run.steps_an_epoch

    def advance(self, target: float) -> None:
        """Take some steps, at most to the step `target`: so many that the others do not wait for long."""
        run = self.run
        some = max(1, SAMPLES_PER_EVENT // run.batch_length)
        to_point = max(1, math.ceil((self._next_point - run.samples) / run.batch_length))
        run.steps_per_event = int(min(some, to_point, target - run.step))
        before = run.step
        try:
            while not isinstance(event := next(self._events), Steps):
                if isinstance(event, EpochEnd):  # of the steps that were over already
                    self.test()
        except DivergedError as error:
            self.diverged = str(error)
        except StopIteration:
            self.diverged = self.run.stopped or "all epochs are over"
        else:
            self._times.append((perf_counter(), run.step - before))
            if run.samples >= self._next_point:
                self._point()

    def _point(self) -> None:
        """Add a point to the curves."""
        training, run = self.run.so_far(), self.run
        run.publish()
        found = evaluate(run.model, self.data.validation.rows(0, PROBE), self._room)
        self.validation_accuracy = found.accuracy
        values = (run.step, self.epochs, training.loss, training.accuracy, found.loss, found.accuracy)
        self.points.append([_finite(value) for value in values])
        self._next_point = run.samples + self._point_every
        if len(self.points) > MOST_POINTS:
            self.points = self.points[::2]
            self._point_every *= 2
            self.points_version += 1

    def test(self) -> None:
        """Evaluate the test samples, unless that was done at this step."""
        if self._tested_at == (self.step, len(self.lessons)):
            return
        self.run.publish()
        self.test_accuracy = evaluate(self.run.model, self.data.test, self._room).accuracy
        self._tested_at = (self.step, len(self.lessons))

    def rest(self) -> None:
        """Forget the pace, since nothing is trained for a while."""
        self._times.clear()

    @property
    def steps_per_second(self) -> float:
        """The pace of late, 0 at rest."""
        if len(self._times) < 2:
            return 0.0
        seconds = self._times[-1][0] - self._times[0][0]
        return sum(steps for _, steps in list(self._times)[1:]) / seconds if seconds > 0 else 0.0

    def state(self) -> dict[str, Any]:
        """Return what a page shows all the time."""
        return {
            "config": self.config,
            "step": self.step,
            "samples": self.run.samples,
            "epochs": self.epochs,
            "steps_per_second": self.steps_per_second,
            "train_loss": _finite(self.run.so_far().loss) if self.diverged is None else None,
            "validation_accuracy": self.validation_accuracy,
            "test_accuracy": self.test_accuracy,
            "parameters": self.run.network.layout.size,
            "diverged": self.diverged,
            "taught": len(self.lessons),
        }

    def look(self) -> dict[str, Any]:
        """Return how activations and gradients spread, unit by unit and layer by layer, and what to make of it."""
        self.run.publish()
        some = self.data.validation.rows(0, LOOKED_AT)
        model = self.run.model
        x = model.preprocessing.apply(some.features)
        found = signals(model.network, x, some.targets, model.loss, bins=BINS)
        layers = [
            {
                "name": one["layer"],
                "units": model.network.shapes[model.network.names.index(one["layer"])][0],
                "dead": one["dead"],
                "saturated": one["saturated"],
                "activation": _histogram(one["activations"])
                | {"mean": _finite(one["activation_mean"]), "deviation": _finite(one["activation_deviation"])},
                "gradient": _histogram(one["gradients"]) | {"rms": _finite(one["gradient_rms"])},
            }
            for one in found
        ]
        return {"step": self.step, "layers": layers, "advice": advice(found, self.points, self.diverged)}

    def trace(self, pixels: bytes, target: int) -> Trace:
        """Open the training step that this sample would be.

        Raises
        ------
        ConfigError
            If the network has no numbers to show any more.
        """
        self.run.publish()
        run = self.run
        wanted = np.array([target])
        optimizer = run.optimizer_in_order()
        traced = trace_step(run.model, picture(pixels), wanted, optimizer, seed=run.seed, step=run.step)
        if not math.isfinite(traced.loss):
            raise ConfigError(
                "the loss of this network is no longer finite: reset the race with a lower learning rate."
            )
        return traced

    def teach(self, pixels: bytes, target: int) -> dict[str, Any]:
        """Take a training step on one sample, and keep what it left.

        Raises
        ------
        ConfigError
            If that would be no numbers any more; then nothing is changed.
        """
        traced = self.trace(pixels, target)
        before, after = (model.predict_proba(picture(pixels))[0] for model in (traced.model, traced.after))
        if not (all_finite(traced.after.network.theta) and all_finite(after)):
            raise ConfigError("this step would leave numbers that are not finite: take a lower learning rate.")
        run = self.run
        run.network.theta[:], run.network.state[:] = traced.after.network.theta, traced.after.network.state
        run.take_over(traced.optimizer)
        self.lessons.append(Lesson(self.number, run.step, pixels, target))
        return {"before": before.tolist(), "after": after.tolist(), "step": run.step}

    def close(self) -> None:
        """End the run."""
        self._events.close()


def nearest(data: DataSet, pixels: bytes, count: int = 8) -> list[dict[str, Any]]:
    """Return the test images that differ least from a picture, by the sum of squared differences of grey levels / 255.

    Examples
    --------
    >>> from glassnet import load
    >>> test = load("mnist").test
    >>> nearest(load("mnist"), test.features[5].tobytes())[0]["index"]
    5
    """
    images = data.test.features.reshape(len(data.test), -1)
    own = np.frombuffer(pixels, np.uint8).astype(np.float32)
    difference = images.astype(np.float32)
    difference -= own
    distance = np.sqrt(np.einsum("ij,ij->i", difference, difference)) / 255.0
    order = np.argsort(distance, kind="stable")[:count]
    return [
        {
            "index": int(i),
            "label": int(data.test.targets[i]),
            "distance": float(distance[i]),
            "pixels": encoded(images[i]),
        }
        for i in order
    ]


def _histogram(found: tuple[Any, Any]) -> dict[str, Any]:
    counts, edges = found
    return {"counts": counts.tolist(), "edges": edges.tolist()}


def _finite(value: float | None) -> float | None:
    """Return a number that JSON can hold."""
    return None if value is None or not math.isfinite(value) else float(value)
