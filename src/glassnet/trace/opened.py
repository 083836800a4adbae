"""One training step, opened: every number beside its equation, the lines of code that computed it, and its shape.

    x -> z₁ -> y₁ -> ... -> o -> L         forward
    dL/dx <- ... <- δ <- L                 backward
    theta, state -> theta, state           update

It is the step of `glassnet.step`, with the same kernels in the same order and so the same bits; only that every array
has memory of its own, where training writes one over another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from glassnet.data import from_arrays
from glassnet.data.batches import Batch
from glassnet.errors import ConfigError
from glassnet.functional import softmax, softmax_backward
from glassnet.layers import Activation, Layer, Softmax
from glassnet.losses import Loss
from glassnet.model import Model
from glassnet.network import Network, Workspace
from glassnet.optim import Adam
from glassnet.optimizer import Optimizer
from glassnet.params import Views
from glassnet.step import LEAST_BLOCK, Plan, Stepper
from glassnet.trace import equations
from glassnet.trace.equations import Equation, by, letter
from glassnet.trace.frameworks import (
    FRAMEWORKS,
    Framework,
    gradient_call,
    input_call,
    layer_call,
    loss_call,
    parameter_call,
    state_call,
)
from glassnet.trace.letters import ascii_name, parameters, rule_of, symbols_of
from glassnet.trace.sources import Source, source_of
from glassnet.training import Training

Array: TypeAlias = NDArray[Any]
Part: TypeAlias = Literal["input", "forward", "loss", "backward", "update"]

MOST_SAMPLES = LEAST_BLOCK
"""The largest batch that is traced; a larger one may be computed in blocks, of which each overwrites the one before."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One array of a step.

    Attributes
    ----------
    name : by which a trace is asked for it, such as "z1", "dW1" or "m_W1"
    part : of the step
    layer : index of the layer in the network; None for what belongs to none
    symbol : its letter
    equations : what was computed, in the order of the computation; none for what was there already
    letters : the shape in the letters of the field, such as "N, O"
    value : the numbers, as the step left them
    before : for what an update changes, the numbers from before it
    sources : the lines that computed it
    calls : for each framework what gives the same there; not where it has nothing like it
    """

    name: str
    part: Part
    layer: int | None
    symbol: Equation
    value: Array
    letters: str
    equations: tuple[Equation, ...] = ()
    before: Array | None = None
    sources: tuple[Source, ...] = ()
    calls: Mapping[Framework, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Trace:
    """What `trace_step` saw.

    Attributes
    ----------
    entries : in the order in which the step computes
    model, after : the model from before the step, and as the step left it; both are copies
    optimizer : with its state from after the step; a copy
    learning_rate, t : of this step, and its number for the optimizer, 1 for the first
    loss : of the batch, which the step follows
    features : (N, ...) raw
    targets : (N, O) dense, smoothed where the loss smooths them
    """

    entries: tuple[Entry, ...]
    model: Model
    after: Model
    optimizer: Optimizer
    learning_rate: float
    t: int
    loss: float
    features: Array
    targets: Array
    _value: Callable[[Array], float] = field(repr=False)

    def __getitem__(self, name: str) -> Entry:
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise ConfigError(f"the trace has no {name!r:.80}; it has {', '.join(entry.name for entry in self.entries)}.")

    def __contains__(self, name: str) -> bool:
        return any(entry.name == name for entry in self.entries)

    def numeric_derivative(self, name: str, index: tuple[int, ...], epsilon: float = 1e-5) -> float:
        """Return the derivative of the loss by one parameter, by central differences in float64.

        (L(w + e) - L(w - e)) / (2 e), with the same dropout masks; compare ``trace["d" + name].value[index]``.

        Parameters
        ----------
        name : of the array, such as "W1"
        index : of the parameter in it
        epsilon : e

        Raises
        ------
        ConfigError
            If there is no such parameter.
        """
        place = self._place(name, index)
        theta = self["theta"].before
        assert theta is not None
        theta = theta.astype(np.float64)
        values = []
        for sign in (1.0, -1.0):
            moved = theta.copy()
            moved[place] += sign * epsilon
            values.append(self._value(moved))
        return (values[0] - values[1]) / (2.0 * epsilon)

    def _place(self, name: str, index: tuple[int, ...]) -> int:
        """Return where in theta a parameter lies."""
        for slot, letter_of in parameters(self.model.network):
            if ascii_name(letter_of) == name:
                try:
                    return slot.start + int(np.ravel_multi_index(index, slot.param.shape))
                except (ValueError, TypeError):
                    raise ConfigError(
                        f"{name} of shape {tuple(slot.param.shape)} has no entry {index!r:.80}."
                    ) from None
        raise ConfigError(f"the network has no parameters {name!r:.80}.")


def trace_step(
    model: Model,
    features: Array,
    targets: Array,
    optimizer: Optimizer | None = None,
    *,
    weights: Array | None = None,
    frozen: Sequence[str] = (),
    seed: int = 0,
    step: int = 0,
) -> Trace:
    """Take one training step on some samples, and keep all that is computed.

    The model and the optimizer stay as they are: the step is taken on copies.

    Parameters
    ----------
    model : with its network, preprocessing and loss
    features : (N, ...) raw, N at most `MOST_SAMPLES`
    targets : (N,) classes or (N, O)
    optimizer : Adam unless given. One that has taken steps with this network goes on from its state
    weights : (N,) of the samples
    frozen : names of layers whose parameters stay as they are
    seed, step : of the run and the number of the step in it, from 0, on which the masks of dropout depend

    Returns
    -------
    Trace
        With every intermediate result.

    Raises
    ------
    ConfigError
        If samples, targets, optimizer and network do not fit together.

    Notes
    -----
    The step is that of a training whose batch these samples are, in this order, without the sorting of columns and
    samples that speeds up long runs (docs/decisions/0014): sums are added up in another order there, and agree but for
    rounding.

    Examples
    --------
    >>> from glassnet.data import Preprocessing
    >>> from glassnet.layers import Dense, Softmax
    >>> from glassnet.losses import SoftmaxCrossEntropy
    >>> network = Network([Dense(2), Softmax()], 3)
    >>> model = Model(network, Preprocessing(), None, SoftmaxCrossEntropy())
    >>> traced = trace_step(model, np.ones((1, 3)), np.array([0]))
    >>> traced["dW1"].equations[0].text, traced["dW1"].value.shape
    ('∂L/∂W₁ = xᵀ δ₁', (3, 2))
    >>> round(traced.numeric_derivative("W1", (0, 1)) / float(traced["dW1"].value[0, 1]), 4)
    1.0
    """
    features, targets = np.asarray(features), np.asarray(targets)
    if not 1 <= len(features) <= MOST_SAMPLES:
        raise ConfigError(f"a trace shows 1 to {MOST_SAMPLES} samples, not {len(features):,}: take fewer.")
    optimizer = Adam() if optimizer is None else optimizer
    state = optimizer.state() if optimizer.allocated else None
    before, network, own = _copied(model), _copied(model).network, copy.copy(optimizer)
    data = from_arrays(
        features,
        targets,
        validation=0,
        weights=weights,
        class_names=_class_names(model) if targets.ndim == 1 else None,
        preprocessing=model.preprocessing,
        name="the traced samples",
    )
    run = Training(
        network, data, own, model.loss, batch_size=len(features), shuffle=False, seed=seed, frozen=frozen, threads=1
    )
    plan = replace(run.plan, columns=None)
    plan.allocate()
    if state is not None:
        own.restore(state)
    looking = plan.alone().looking()
    looking.fetch(network)
    looking.go_to(0, 0, step)
    return _Look(before, plan, looking, model.loss, seed, step).trace()


def _copied(model: Model) -> Model:
    """Return a model with a network of its own."""
    network = model.network
    own = Network(network.layers, network.input_shape, dtype=network.dtype, theta=network.theta.copy())
    own.state[:] = network.state
    return replace(model, network=own)


def _class_names(model: Model) -> tuple[str, ...]:
    """Return the names of all classes that the network knows, of which a few samples may not show each."""
    return model.class_names or tuple(map(str, range(max(model.network.output_shape[0], 2))))


class _Look:
    """Takes the step and collects the entries."""

    def __init__(self, model: Model, plan: Plan, stepper: Stepper, loss: Loss, seed: int, step: int) -> None:
        self.model, self.plan, self.stepper, self.loss = model, plan, stepper, loss
        self.network, self.optimizer = stepper.network, stepper.optimizer
        self.seed, self.step = seed, step
        self.symbols = symbols_of(self.network)
        self.entries: list[Entry] = []

    def trace(self) -> Trace:
        """Take the step."""
        stepper, optimizer, network = self.stepper, self.optimizer, self.network
        if optimizer.steps == 0:
            optimizer.begin(network.theta[self.plan.span])
        theta, state = network.theta.copy(), optimizer.moments()
        rate = float(optimizer.schedule(optimizer.steps))
        with np.errstate(all="ignore"):
            end = stepper.compute(self._look)
            stepper.update(end)
        self._update(theta, state)
        after = _copied(self.model)
        stepper.publish(after.network)
        return Trace(
            tuple(self.entries),
            self.model,
            after,
            optimizer,
            rate,
            optimizer.steps,
            self.total,
            self.plan.samples.features,
            self.targets,
            self._value_of(stepper.ws),
        )

    def _add(self, name: str, part: Part, layer: int | None, symbol: Equation, value: Array, **more: Any) -> None:
        self.entries.append(Entry(name, part, layer, symbol, value=value, **more))

    def _look(self, batch: Batch, grads: Sequence[Views], scores: Array) -> None:
        """Collect what a step has computed before the update."""
        ws = self.stepper.ws
        self.batch = batch._replace(x=batch.x.copy(), t=batch.t.copy())
        self._input()
        for i in range(len(self.network.layers)):
            self._forward(i, ws)
        self._losses(ws, scores)
        for i in range(ws.top, ws.lowest - 1, -1):
            self._backward(i, ws, grads[i])

    def _input(self) -> None:
        preprocessing, symbol = self.model.preprocessing, self.symbols[0]
        form = preprocessing.invert, bool(np.any(preprocessing.mean))
        self._add(
            "x",
            "input",
            None,
            symbol,
            self.batch.x,
            equations=(equations.INPUTS[form].of({"x": symbol}),),
            letters=_samples(self.batch.x, "I"),
            sources=source_of(type(preprocessing).into),
            calls={other: input_call(other, vars(preprocessing)) for other in FRAMEWORKS},
        )

    def _letters(self, i: int) -> dict[str, Equation]:
        """Return the letters of a layer's equations."""
        x, y = self.symbols[i], self.symbols[i + 1]
        letters = {"x": x, "y": y, "dx": by(x), "dy": by(y)}
        for slot, symbol in parameters(self.network):
            if slot.layer == i:
                letters |= {slot.name: symbol, f"d{slot.name}": by(symbol)}
        return letters

    def _calls(self, i: int, name: str) -> dict[Framework, str]:
        """Return what holds a layer's parameters in each framework."""
        return {other: parameter_call(other, self.network.names[i], name) for other in FRAMEWORKS}

    def _forward(self, i: int, ws: Workspace) -> None:
        layer, letters, space = self.network.layers[i], self._letters(i), ws.current.spaces[i]
        kind, x, y = type(layer).__name__, ascii_name(self.symbols[i]), ascii_name(self.symbols[i + 1])
        for name in self.network.layout.layers[i]:
            array = getattr(self.network.params[i], name)
            self._add(
                ascii_name(letters[name]),
                "forward",
                i,
                letters[name],
                array.copy(),
                letters=_sides(array.shape),
                calls=self._calls(i, name),
            )
        if "mask" in vars(space):
            self._add(
                f"mask_{y}",
                "forward",
                i,
                letter("m"),
                space.mask,
                equations=(equations.MASK,),
                letters=_samples(space.mask),
                sources=source_of(type(layer).forward, "mask"),
            )
        if x == y:  # the same numbers in another shape
            return
        above = ws.current.spaces[i + 1].x if i + 1 < len(self.network.layers) else vars(space).get("y", space.x)
        inputs = self.network.shapes[i][-1]
        made = {other: layer_call(other, self._described(layer), inputs) for other in FRAMEWORKS}
        self._add(
            y,
            "forward",
            i,
            letters["y"],
            above,
            equations=(equations.FORWARD.get(kind, equations.SOMETHING).of(letters),),
            letters=_samples(above),
            sources=source_of(_forward_function(layer)),
            calls={other: f"{y} = {call.code}({x})" for other, call in made.items() if call.code},
        )

    @staticmethod
    def _described(layer: Layer) -> dict[str, Any]:
        """Return a layer's name and numbers."""
        return {"type": type(layer).__name__} | {one.name: getattr(layer, one.name) for one in fields(layer)}

    def _losses(self, ws: Workspace, scores: Array) -> None:
        loss, batch = self.plan.loss, self.batch
        self.targets, smoothed = batch.t, self.loss != loss
        each = loss.per_sample(scores, batch.t)
        self.norm = loss.normalizer(len(each)) * self.plan.mean_weight
        self.total = loss.value(scores, batch.t, batch.weights, self.norm)
        form = f"{'weighted ' if batch.weights is not None else ''}{loss.reduction}"
        one = equations.LOSSES.get(type(loss).__name__, equations.SOME_LOSS)
        if smoothed:
            one = Equation(one.text.replace("t[", "t′["), one.latex.replace("t[", "t'["))
        outputs = batch.t.shape[1]
        self._add(
            "t",
            "loss",
            None,
            letter("t", primes=int(smoothed)),
            batch.t,
            letters="N, O",
            calls={
                "torch": f"t = F.one_hot(labels, {outputs}).float()",
                "keras": f"t = keras.utils.to_categorical(labels, {outputs})",
            },
        )
        top = self.symbols[-2] if loss.fused_with else self.symbols[-1]
        values = {"type": type(loss).__name__, "reduction": loss.reduction}
        known = type(loss).__name__ in equations.LOSSES and batch.weights is None
        self._add(
            "L",
            "loss",
            None,
            letter("L"),
            each,
            equations=(one, equations.TOTALS[form]),
            letters="N",
            sources=source_of(type(loss).per_sample),
            calls={other: f"L = {loss_call(other, values, ascii_name(top))}" for other in FRAMEWORKS} if known else {},
        )
        self._add(
            f"d{ascii_name(top)}",
            "loss",
            None,
            by(top),
            ws.current.dy.copy(),
            equations=(equations.ERRORS[form].of({"dy": by(top)}),),
            letters="N, O",
            sources=source_of(type(loss).gradient),
            calls={other: gradient_call(other, ascii_name(top)) for other in FRAMEWORKS},
        )

    def _backward(self, i: int, ws: Workspace, grads: Views) -> None:
        layer, letters, space = self.network.layers[i], self._letters(i), vars(ws.current.spaces[i])
        kind, backward = type(layer).__name__, type(layer).backward
        x, y = ascii_name(self.symbols[i]), ascii_name(self.symbols[i + 1])
        for name in self.network.layout.layers[i]:
            array = getattr(grads, name)
            general = Equation(f"$d{name}", f"$d{name}")
            self._add(
                f"d{ascii_name(letters[name])}",
                "backward",
                i,
                letters[f"d{name}"],
                array.copy(),
                equations=(equations.PARAMETERS.get((kind, name), general).of(letters),),
                letters=_sides(array.shape),
                sources=source_of(backward, f"g.{name}"),
                calls={
                    other: gradient_call(other, call.removesuffix(".T")) + ".T" * call.endswith(".T")
                    for other, call in self._calls(i, name).items()
                },
            )
        if "slope" in space and isinstance(layer, Activation):
            symbol = Equation(f"f′({letters['x'].text})", f"f'({letters['x'].latex})")
            self._add(
                f"slope_{x}",
                "backward",
                i,
                symbol,
                space["slope"],
                equations=(equations.SLOPES.get(kind, symbol).of(letters),),
                letters=_samples(space["slope"]),
                sources=source_of(layer.df),
                calls={other: gradient_call(other, x, f"{y}.sum()" if other == "torch" else y) for other in FRAMEWORKS},
            )
        if "dx" in space or (kind == "Identity" and i > ws.lowest):  # which hands on what came from above
            dx = space["dx"] if "dx" in space else self.entries[-1].value
            self._add(
                f"d{x}",
                "backward",
                i,
                letters["dx"],
                dx,
                equations=(equations.BACKWARD.get(kind, equations.THROUGH).of(letters),),
                letters=_samples(dx),
                sources=source_of(
                    softmax_backward if kind == "Softmax" else backward, "" if kind == "Softmax" else "ws.dx"
                ),
                calls={other: gradient_call(other, x) for other in FRAMEWORKS},
            )

    def _update(self, theta: Array, state: dict[str, Array]) -> None:
        optimizer, span, network = self.optimizer, self.plan.span, self.network
        described, moments, source = optimizer.describe(), optimizer.moments(), source_of(type(optimizer).rule)
        step: dict[Framework, str] = {"torch": "optimizer.step()", "keras": "optimizer.apply(gradients)"}
        last = max((slot.layer for slot in network.layout.slots), default=-1)
        for slot, symbol in parameters(network):
            if slot.layer in self.plan.frozen:
                continue
            shape, name = slot.param.shape, ascii_name(symbol)
            matrix = len(shape) == 2 and min(shape) > 1 and slot.layer != last
            lines = rule_of(optimizer, matrix, slot.param.decays)
            own = slice(slot.slice.start - span.start, slot.slice.stop - span.start)
            for moment, value in moments.items():
                calls = {
                    other: state_call(other, described, moment, call)
                    for other, call in self._calls(slot.layer, slot.name).items()
                }
                self._add(
                    f"{moment}_{name}",
                    "update",
                    slot.layer,
                    equations.MOMENTS.get(moment, Equation(moment, moment)),
                    value[own].reshape(shape),
                    before=state[moment][own].reshape(shape),
                    equations=tuple(line for line in lines if line.text.startswith(f"{moment} =")),
                    letters=_sides(shape),
                    sources=source,
                    calls={other: call for other, call in calls.items() if call},
                )
            self._add(
                f"{name}_new",
                "update",
                slot.layer,
                symbol,
                network.theta[slot.slice].reshape(shape).copy(),
                before=theta[slot.slice].reshape(shape),
                equations=lines,
                letters=_sides(shape),
                sources=source,
                calls=step,
            )
        self._add("theta", "update", None, letter("θ"), network.theta.copy(), before=theta, letters="P", calls=step)

    def _value_of(self, ws: Workspace) -> Callable[[Array], float]:
        """Return the loss of the batch as a function of the parameters, in float64."""
        layers, shape = self.network.layers, self.network.input_shape
        x, t, weights = self.batch.x, self.batch.t, self.batch.weights
        loss, norm, seed, step, state = self.plan.loss, self.norm, self.seed, self.step, self.network.state.copy()

        def value(theta: Array) -> float:
            network = Network(layers, shape, dtype=np.float64, theta=theta)
            network.state[:] = state
            room = Workspace(network, len(x), seed=seed)
            room.clock.step = step
            o = network.forward(np.ascontiguousarray(x, np.float64), room)
            scores = room.scores if loss.fused_with else o
            return loss.value(scores, t.astype(np.float64), weights, norm)

        return value


def _samples(array: Array, row: str = "O") -> str:
    """Return the letters of an array's shape, samples first."""
    return {2: f"N, {row}", 3: "N, H, W", 4: "N, H, W, C"}.get(array.ndim, "N, ...")


def _sides(shape: tuple[int, ...]) -> str:
    """Return the letters of the shape of parameters."""
    return {1: "O", 2: "I, O"}.get(len(shape), ", ".join(map(str, shape)))


def _forward_function(layer: Layer) -> Callable[..., Any]:
    """Return what computes a layer's output."""
    if isinstance(layer, Softmax):
        return softmax
    return layer.f if isinstance(layer, Activation) else type(layer).forward
