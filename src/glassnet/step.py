"""One training step, or one worker's share of it: a batch, its gradient, the update.

    for each block (x, t) of the batch:
        dL/dtheta += backward(forward(x), t)        network, loss
    dL/dtheta = sum over the workers                communicator
    theta = update(theta, dL/dtheta)                optimizer, each worker its own slice

Steps work on a network of their own. Its first layer's weights have their rows in the order of the lit columns (see
`glassnet.data.columns`), and its parameters lie where all workers see them; `Stepper.publish` brings them to the
network that people look at.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from glassnet.data import Preprocessing, Samples
from glassnet.data.batches import Batch, Batches, batch_length
from glassnet.data.columns import LitColumns
from glassnet.layers import Flatten
from glassnet.losses import Loss
from glassnet.model import Evaluation, Tally, Task
from glassnet.network import Network, Workspace
from glassnet.optimizer import Optimizer, Part
from glassnet.params import Slot, Views
from glassnet.schedules import Constant
from glassnet.workers import Alone, Communicator, Team, Vectors

Array: TypeAlias = NDArray[Any]

Look: TypeAlias = Callable[[Batch, Sequence[Views], Array], None]
"""What is called after the gradient of a block: with the block, its gradients, and the scores from before the step."""

LEAST_BLOCK, MOST_BLOCK = 250, 4000
"""Bounds for the samples that are computed at a time."""

PARAMETERS_A_SAMPLE = 200
"""A block has a sample for so many parameters: adding its gradient to the others' costs little beside computing it."""

LEAST_ON_A_GROUND = 60
"""Samples of a batch from which on lit columns are of use where a dark one is not zero: the sums over all rows of W
that they need take as long for few samples as for many. About 30 were enough, which two workers have of 60."""

MOST_STEPS = 1000
"""Steps that workers take without a new order, at most."""


def takes_leading_columns(network: Network) -> bool:
    """Return whether the network begins with a layer, such as a dense one, that needs no more columns than are lit."""
    layer = next((layer for layer in network.layers if type(layer) is not Flatten), None)
    return bool(vars(type(layer)).get("takes_staircase"))


@dataclass
class Plan:
    """All that the steps of a run depend on.

    Parameters
    ----------
    network : its layers and shapes; its parameters are read by `Stepper.fetch` alone
    samples, preprocessing : what trains; the weights are those of samples and classes together
    targets : (N, O) dense, smoothed
    columns : the samples' lit columns, where the steps may leave out the others; dropped where that would not pay
    loss, task : without label smoothing
    optimizer : its state is allocated by the steppers
    batch_size, shuffle, seed : see `Batches`
    frozen : indices of layers that stay as they are
    mean_weight : of all samples, by which the loss of a batch is divided besides its length
    """

    network: Network
    samples: Samples
    preprocessing: Preprocessing
    targets: Array
    columns: LitColumns | None
    loss: Loss
    task: Task | None
    optimizer: Optimizer
    batch_size: int | str
    shuffle: bool
    seed: int
    frozen: frozenset[int]
    mean_weight: float

    def __post_init__(self) -> None:
        few = batch_length(self.batch_size, len(self.samples)) < LEAST_ON_A_GROUND
        if few and self.columns is not None and self.columns.background:
            self.columns = None
        layout = self.network.layout
        trained = [slot for slot in layout.slots if slot.layer not in self.frozen]
        start, stop = (trained[0].start, trained[-1].slice.stop) if trained else (0, 0)
        first = layout.slots[-1] if layout.slots else None  # the first layer's W lies last
        if first in trained and self.columns is not None and self._skips_dark(self.columns):
            stop = first.start + self.columns.lit * first.param.shape[1]
        self.span = slice(start, stop)
        """The stretch of theta from the first parameter that is trained to the last."""
        last = max((slot.layer for slot in layout.slots), default=0)
        self.parts = [
            _clipped(Part(slot.start, slot.param.shape, slot.param.decays, output=slot.layer == last), start, stop)
            for slot in trained
        ]
        self.frozen_between = [
            slot.slice for slot in layout.slots if slot.layer in self.frozen and start < slot.start < stop
        ]
        self.block = None
        if not any(layer.couples_samples for layer in self.network.layers):
            self.block = min(max(layout.size // PARAMETERS_A_SAMPLE, LEAST_BLOCK), MOST_BLOCK)

    def __getstate__(self) -> dict[str, Any]:
        """Return what other processes need: the schedule is none of it, since worker 0 tells them the rates."""
        optimizer = copy.copy(self.optimizer)
        optimizer.schedule = Constant(1.0)
        return vars(self) | {"optimizer": optimizer}

    def _skips_dark(self, columns: LitColumns) -> bool:
        """Say whether weights of columns that are dark in every sample stay as they are, since nothing moves them."""
        optimizer = self.optimizer
        moved = columns.background or optimizer.l2 or optimizer.weight_decay
        return optimizer.mixes == "nothing" and not moved

    def batches(self, share: tuple[int, int] = (0, 1)) -> Batches:
        """Return the batches, or the share (rank, size) of a worker in each."""
        return Batches(
            self.samples,
            self.preprocessing,
            self.targets,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            seed=self.seed,
            dtype=self.network.dtype,
            columns=self.columns,
            block=self.block,
            sort=not any(layer.uses_randomness for layer in self.network.layers),
            share=share,
        )

    def allocate(self, memory: Array | None = None) -> None:
        """Allocate the optimizer's state for all parameters that are trained."""
        size = self.span.stop - self.span.start
        self.optimizer.allocate(size, self.network.dtype, self.parts, memory)

    def alone(self) -> Stepper:
        """Return what takes the steps without other workers."""
        workers = Alone(self.vectors(1))
        return Stepper(self, workers, workers.share("theta"), workers.share("grads"), self.optimizer)

    def optimizer_of(self, workers: Communicator, memory: Array) -> Optimizer:
        """Return a worker's optimizer, for its slice of the parameters, with its state in the memory for all."""
        own = self.slices(workers.size)[workers.rank]
        optimizer = copy.copy(self.optimizer)
        parts = [_clipped(part, own.start, own.stop) for part in self.parts]
        parts = [part for part in parts if part.slice.stop > part.slice.start]
        optimizer.allocate(own.stop - own.start, self.network.dtype, parts, memory[:, own])
        optimizer.total = workers.total
        return optimizer

    def vectors(self, workers: int) -> Vectors:
        """Return what so many workers share."""
        dtype, size = self.network.dtype, self.network.layout.size
        return {
            "theta": (size, dtype),
            "grads": ((workers, size), dtype),
            "rows": ((len(self.optimizer.rows), self.span.stop - self.span.start), dtype),
            "rates": (MOST_STEPS + len(self.optimizer.scalars), np.float64),  # and the scalars of the state
        }

    @contextmanager
    def team(self, workers: int) -> Iterator[Stepper]:
        """Have the steps taken by several workers, which end with the block."""
        state = self.optimizer.state()
        with Team(workers, work, self, self.vectors(workers)) as team:
            self.allocate(team.share("rows"))
            try:
                stepper = Stepper.of(self, team)
                team.meet()  # all have allocated their state, which may begin as something else
                self.optimizer.restore(state)
                yield stepper
            finally:
                state = self.optimizer.state()
                self.allocate()
                self.optimizer.restore(state)

    def slices(self, workers: int) -> list[slice]:
        """Cut the span of theta into one slice a worker, of about the same length, relative to its start."""
        size = self.span.stop - self.span.start
        cuts = [size * rank // workers for rank in range(workers + 1)]
        if self.optimizer.mixes != "nothing":
            starts = [0, *(part.start for part in self.parts), size]
            cuts = [min(starts, key=lambda start: abs(start - cut)) for cut in cuts]
        return [slice(a, b) for a, b in pairwise(cuts)]


def _clipped(part: Part, start: int, stop: int) -> Part:
    """Return what of a part lies between `start` and `stop`, relative to `start`: whole rows, or else flat."""
    a = max(part.slice.start, start)
    b = max(min(part.slice.stop, stop), a)
    shape = part.shape
    if b - a != part.slice.stop - part.slice.start:
        whole_rows = len(shape) == 2 and a == part.slice.start and (b - a) % shape[1] == 0
        shape = ((b - a) // shape[1], shape[1]) if whole_rows else (b - a,)
    return Part(a - start, shape, part.decays, part.output)


class Order(IntEnum):
    """What worker 0 tells the others to do."""

    BEGIN = 0
    STEP = 1
    TELL = 2


class Stepper:
    """Takes the steps of a run, alone or as one of several workers that do the same at the same time.

    Parameters
    ----------
    plan : what the steps depend on
    workers : how to meet the others
    theta : (P,) room for the parameters, shared by all
    grads : (workers, P) room for the gradient of each one's share, shared by all
    optimizer : allocated for this worker's slice of the parameters
    keep_all : see `Workspace`

    Attributes
    ----------
    network : what the steps work on
    epoch, number, step : the next step is batch `number` of `epoch`, after `step` steps in all
    tally : of the scores from before each step
    """

    def __init__(
        self,
        plan: Plan,
        workers: Communicator,
        theta: Array,
        grads: Array,
        optimizer: Optimizer,
        *,
        keep_all: bool = False,
    ) -> None:
        network = plan.network
        self.plan, self.workers, self.optimizer = plan, workers, optimizer
        self.network = Network(network.layers, network.input_shape, dtype=network.dtype, theta=theta)
        self.epoch = self.number = self.step = 0
        self.batches = plan.batches((workers.rank, workers.size))
        self.ws = Workspace(network, self.batches.block, seed=plan.seed, frozen=plan.frozen, keep_all=keep_all)
        self.tally = Tally(plan.loss, plan.samples, network.output_shape[0], network.dtype, plan.task)
        self._fused = plan.loss.fused_with is not None
        self._grads, self._grad = grads, grads[workers.rank]
        several = self.batches.blocks_of_a_batch > 1
        self._more = np.zeros(network.layout.size if several else 0, network.dtype)
        self._views = network.layout.views(self._grad)
        self._more_views = network.layout.views(self._more) if several else []
        own = plan.slices(workers.size)[workers.rank]
        self._own = slice(plan.span.start + own.start, plan.span.start + own.stop)
        self._own_theta, self._own_grad = self.network.theta[self._own], self._grad[self._own]
        self._rates = np.empty(0) if workers.size == 1 else workers.share("rates")
        self._skips = optimizer.zero_gradient_is_noop
        self._zeroes = not self._skips or several or workers.size > 1
        first = network.layout.slots[-1] if network.layout.slots else None  # W of the first layer, if there are columns
        self._sorted = first if plan.columns is not None else None

    @classmethod
    def of(cls, plan: Plan, workers: Communicator) -> Stepper:
        """Return that of one of several workers."""
        optimizer = plan.optimizer_of(workers, workers.share("rows"))
        return cls(plan, workers, workers.share("theta"), workers.share("grads"), optimizer)

    def fetch(self, network: Network) -> None:
        """Take over the parameters of `network`, in the form that steps work on."""
        own = self.network
        own.theta[:], own.state[:] = network.theta, network.state
        if self._sorted is not None and self.plan.columns is not None:
            np.take(_rows(network, self._sorted), self.plan.columns.order, axis=0, out=_rows(own, self._sorted))
        self.plan.optimizer.train(own.theta[self.plan.span])

    def publish(self, network: Network) -> None:
        """Write the parameters that are to be evaluated and kept into `network`."""
        own = self.network
        network.theta[:], network.state[:] = own.theta, own.state
        self.plan.optimizer.eval(network.theta[self.plan.span])
        if self._sorted is not None and self.plan.columns is not None:
            rows = _rows(network, self._sorted)
            rows[self.plan.columns.order] = rows.copy()

    def optimizer_in_order(self) -> Optimizer:
        """Return a copy of the optimizer that owns all trained parameters, in the order of the published network.

        Weights of columns that steps leave out get the state that they have in the beginning.
        """
        whole = copy.copy(self.plan.optimizer)
        plan = replace(self.plan, columns=None, optimizer=whole)
        state = whole.state()
        plan.allocate()
        if state["steps"]:
            whole.begin(self.network.theta[plan.span])
            for name, row in whole.state().items():
                if name in whole.rows:
                    row[: len(state[name])] = state[name]
                    state[name] = row
                    if (order := self._order(plan.span)) is not None and self._sorted is not None:
                        rows = _rows_of(row, self._sorted, plan.span)
                        rows[order] = rows.copy()
            whole.restore(state)
        return whole

    def _order(self, span: slice) -> Array | None:
        """Return the order of the first layer's rows in steps, if these are in the span and not in their own order."""
        if self._sorted is None or self.plan.columns is None or self._sorted.slice.stop > span.stop:
            return None
        return self.plan.columns.order

    def take_optimizer(self, whole: Optimizer) -> None:
        """Go on with the state of what `optimizer_in_order` returned, as far as steps need it."""
        span, state = replace(self.plan, columns=None, optimizer=copy.copy(whole)).span, whole.state()
        size = self.plan.span.stop - self.plan.span.start
        for name in whole.rows:
            if (order := self._order(span)) is not None and self._sorted is not None:
                rows = _rows_of(state[name], self._sorted, span)
                rows[:] = rows[order]
            state[name] = state[name][:size]
        self.plan.optimizer.restore(state)

    def begin_epoch(self, network: Network) -> None:
        """Take over the parameters of `network`, and count anew."""
        self.fetch(network)
        self.tally.reset()
        self.workers.order([Order.BEGIN])

    def end_epoch(self) -> Evaluation:
        """Return how the samples of all workers did as they were met in this epoch."""
        self.tally.set(self.sums())
        return self.tally.result()

    def sums(self) -> list[float]:
        """Return the sums of all workers' tallies, see `Tally.sums`."""
        self.workers.order([Order.TELL])
        of_each = self.workers.gather(self.tally.sums()).tolist()
        return [sum(column) for column in zip(*of_each, strict=True)]

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what `Training.state` has kept of the network and the tally within an epoch."""
        self.network.theta[:], self.network.state[:] = saved["theta"], saved["network"]
        self.tally.set(saved["tally"])

    def go_to(self, epoch: int, number: int, step: int) -> None:
        """Go on with batch `number` of `epoch`, after `step` steps in all."""
        self.epoch, self.number, self.step = epoch, number, step

    def take(self, steps: int) -> None:
        """Have all workers take some steps of this epoch, at most `MOST_STEPS`."""
        if self.workers.size == 1:
            self._take(steps)
            return
        whole = self.plan.optimizer
        self._rates[:steps] = [whole.schedule(whole.steps + k) for k in range(steps)]
        self._rates[MOST_STEPS:] = [getattr(whole, name) for name in whole.scalars]
        self.workers.order([Order.STEP, steps, self.epoch, self.number, self.step, whole.steps])
        self._take_told(steps, whole.steps)
        whole.steps = self.optimizer.steps
        for name in whole.scalars:
            setattr(whole, name, getattr(self.optimizer, name))

    def serve(self) -> None:
        """Do what worker 0 tells the others to do, until it needs them no more."""
        while (order := self.workers.next_order()) is not None:
            if order[0] == Order.BEGIN:
                self.tally.reset()
            elif order[0] == Order.TELL:
                self.workers.gather(self.tally.sums())
            else:
                steps, epoch, number, step, updates = (int(number) for number in order[1:6])
                self.go_to(epoch, number, step)
                self._take_told(steps, updates)

    def _take(self, steps: int) -> None:
        with np.errstate(all="ignore"):  # what overflows is found by who looks, and gets a better sentence
            for _ in range(steps):
                self.update(self.compute())

    def _take_told(self, steps: int, updates: int) -> None:
        """Take steps at the rates that worker 0 has written down, after so many updates of the parameters."""
        optimizer = self.optimizer
        optimizer.steps, optimizer.schedule = updates, lambda step: self._rates.item(step - updates)
        for name, value in zip(optimizer.scalars, self._rates[MOST_STEPS:].tolist(), strict=True):
            setattr(optimizer, name, value)
        self._take(steps)

    def looking(self) -> Stepper:
        """Return one that takes the same steps alone, on the same parameters, and keeps all that it computes."""
        grads = np.zeros_like(self._grads[:1])
        return Stepper(self.plan, Alone(), self.network.theta, grads, self.plan.optimizer, keep_all=True)

    def compute(self, look: Look | None = None) -> int:
        """Compute the gradient of the next batch, or of this worker's share; return where in theta it ends."""
        plan, grad, end = self.plan, self._grad, 0
        norm = plan.loss.normalizer(self.batches.length(self.number)) * plan.mean_weight  # of the whole batch
        for batch in self.batches.blocks(self.epoch, self.number):
            grads = self._more_views if end else self._views
            scores = self._gradient(batch, norm, grads)
            reach = self._end(batch.x.shape[1])
            if end:
                part = slice(plan.span.start, reach)
                grad[part] += self._more[part]
            elif self._zeroes:
                grad[reach : plan.span.stop] = 0.0
            if look is not None:
                look(batch, grads, scores)
            self.tally.add(scores, batch.rows)
            end = max(end, reach)
        if end == 0:
            grad[plan.span] = 0.0  # more workers than samples
        for part in plan.frozen_between:
            grad[part] = 0.0
        return end

    def _gradient(self, batch: Batch, norm: float, grads: Sequence[Views]) -> Array:
        """Forward, loss and backward of one block; return its scores."""
        ws, clock = self.ws, self.ws.clock
        clock.step, clock.row = self.step, batch.row
        o = self.network.forward(batch.x, ws)
        dy = self.plan.loss.gradient(o, batch.t, batch.weights, norm, out=ws.current.dy)
        self.network.backward(dy, ws, skip_last=self._fused, grads=grads)
        return ws.scores if self._fused else o

    def _end(self, columns: int) -> int:
        """Return where in theta the gradient of a batch of so many columns ends: the rest is zero."""
        if self._sorted is None:
            return self.plan.span.stop
        return min(self._sorted.start + columns * self._sorted.param.shape[1], self.plan.span.stop)

    def update(self, end: int) -> None:
        """Add up the workers' gradients and step; all of it, or this worker's slice."""
        theta, grad, workers = self._own_theta, self._own_grad, self.workers
        if self._skips:
            if workers.size > 1:  # to where anybody's gradient reaches
                end = self._end(self.batches.reach(self.epoch, self.number))
            last = max(end - self._own.start, 0)
            theta, grad = theta[:last], grad[:last]
        if workers.size > 1:
            workers.meet()
            workers.reduce(self._grads, slice(self._own.start, self._own.start + len(grad)))
        self.optimizer.step(theta, grad)
        if workers.size > 1:
            workers.meet()
        self.number += 1
        self.step += 1


def work(workers: Communicator, plan: Plan) -> None:
    """Be one of several workers, but not the first; what `Team` runs in their processes."""
    stepper = Stepper.of(plan, workers)
    workers.meet()
    stepper.serve()


def _rows_of(row: Array, slot: Slot, span: slice) -> Array:
    """Return the view of a slot's part of a row of state, in the slot's shape."""
    return row[slot.start - span.start : slot.slice.stop - span.start].reshape(slot.param.shape)


def _rows(network: Network, slot: Slot) -> Array:
    return network.theta[slot.slice].reshape(slot.param.shape)
