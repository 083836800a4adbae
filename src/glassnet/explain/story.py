"""A training step told as a story of 8 to 12 short parts, for one sample and one neuron.

A part is data: sentences, equations, the numbers of the neuron in full, pictures, the lines of code. Who tells the
story, to a terminal or as a page, decides how that looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.errors import ConfigError
from glassnet.layers import Dense, Dropout
from glassnet.losses import SoftmaxCrossEntropy
from glassnet.trace import Entry, Equation, Source, Trace
from glassnet.trace.equations import subscript
from glassnet.trace.frameworks import FRAMEWORKS, Framework
from glassnet.trace.letters import ascii_name, symbols_of

Array = NDArray[Any]

TERMS = 6
"""How many terms of a sum are shown one by one."""

AGREES = 1e-3
"""The largest relative difference between a gradient in float32 and the numeric derivative that counts as agreement."""

TINY = 1e-6
"""Below this a difference may be the rounding of float32: of an answer that is nearly 1, o - t has few digits left."""


@dataclass(frozen=True)
class Line:
    """One line of arithmetic: what is computed, and what comes out; a result is set off from what leads to it."""

    what: str
    value: str
    result: bool = False


@dataclass(frozen=True)
class Bar:
    """One number of several that are to be compared; of shares from -1 to 1."""

    name: str
    share: float
    value: str


@dataclass(frozen=True, eq=False)
class Picture:
    """Numbers to be looked at: grey levels from 0 to 255, or, `signed`, weights around 0."""

    pixels: Array
    caption: str
    signed: bool = False


@dataclass(frozen=True, eq=False)
class Part:
    """One part of the story."""

    title: str
    text: str
    equations: tuple[Equation, ...] = ()
    lines: tuple[Line, ...] = ()
    bars: tuple[Bar, ...] = ()
    pictures: tuple[Picture, ...] = ()
    sources: tuple[Source, ...] = ()
    calls: Mapping[Framework, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Story:
    """All parts, and what they are about."""

    title: str
    parts: tuple[Part, ...]
    agrees: bool
    """Whether the gradient that is shown agrees with the numeric derivative."""


def number(value: float) -> str:
    """Return a number with the digits that matter.

    Examples
    --------
    >>> number(0.123456), number(-1234.5678), number(1.2345e-7), number(0.0)
    ('0.1235', '−1,234.6', '1.23e-07', '0')
    """
    value = float(value)
    if value == 0:
        return "0"
    size, sign = abs(value), "−" if value < 0 else ""
    if size < 1e-3:
        return f"{sign}{size:.2e}"
    return sign + (f"{size:,.1f}" if size >= 1000 else f"{size:.4f}")


def tell(
    trace: Trace, *, layer: int | None = None, unit: int | None = None, pixels: Array | None = None, what: str = ""
) -> Story:
    """Tell a step of one sample as a story.

    Parameters
    ----------
    trace : of one sample, by a network whose parameters all belong to dense layers
    layer, unit : the neuron that is followed: dense layer from 1 and unit from 0. By default of the first hidden layer
        the one whose score matters most for the loss
    pixels : the sample as a picture of grey levels (H, W), uint8, if it is one
    what : what the sample is called

    Raises
    ------
    ConfigError
        If the trace is of several samples, the network has other parameters than those of dense layers, or there is no
        such neuron.

    Examples
    --------
    >>> from glassnet.data import Preprocessing
    >>> from glassnet.layers import ReLU, Softmax
    >>> from glassnet.model import Model
    >>> from glassnet.network import Network
    >>> from glassnet.trace import trace_step
    >>> network = Network([Dense(4), ReLU(), Dense(3), Softmax()], 5)
    >>> model = Model(network, Preprocessing(), ("a", "b", "c"), SoftmaxCrossEntropy())
    >>> story = tell(trace_step(model, np.ones((1, 5)), np.array([2])))
    >>> len(story.parts), story.agrees
    (11, True)
    """
    return _Teller(trace, layer, unit, pixels, what).story()


_RULE = "A weight is to blame as far as its input was large and the sum that it went into was wrong"


class _Teller:
    """Makes the parts, one method each."""

    def __init__(self, trace: Trace, layer: int | None, unit: int | None, pixels: Array | None, what: str) -> None:
        self.trace, self.pixels, self.what = trace, pixels, what or "the sample"
        network = self.network = trace.model.network
        self.dense = [i for i, one in enumerate(network.layers) if isinstance(one, Dense)]
        with_parameters = [i for i, params in enumerate(network.layout.layers) if params]
        if not self.dense or self.dense != with_parameters:
            raise ConfigError("the story is told of networks whose parameters all belong to dense layers.")
        if len(trace["x"].value) != 1:
            raise ConfigError(f"the story is told of one sample, and this trace has {len(trace['x'].value)}.")
        self.names = [ascii_name(symbol) for symbol in symbols_of(network)]
        self.symbols = [symbol.text for symbol in symbols_of(network)]
        self.layer, self.unit = self._neuron(layer, unit)
        self.index = self.dense[self.layer - 1]
        self.z = self.symbols[self.index + 1]
        target = trace.targets[0]
        self.target = int(np.argmax(target)) if len(target) > 1 else int(target[0] > 0.5)
        self.classes = trace.model.class_names or tuple(map(str, range(max(len(target), 2))))

    def _neuron(self, layer: int | None, unit: int | None) -> tuple[int, int]:
        """Return the neuron to follow, dense layer from 1 and unit from 0."""
        depth = len(self.dense)
        if layer is None:
            layer = 1
        if not 1 <= layer <= depth:
            layers = "layer" if depth == 1 else "layers"
            raise ConfigError(f"there is no layer {layer}: this network has {depth} dense {layers}, counted from 1.")
        units = self.network.shapes[self.dense[layer - 1] + 1][0]
        if unit is None:
            delta = self.trace[f"d{self.names[self.dense[layer - 1] + 1]}"].value[0]
            score = self.trace[self.names[self.dense[layer - 1] + 1]].value[0]
            unit = int(np.argmax(np.abs(delta * score)))
        if not 0 <= unit < units:
            raise ConfigError(f"layer {layer} has no neuron {unit}: it has {units}, counted from 0.")
        return layer, unit

    def story(self) -> Story:
        """Return the whole story."""
        last = len(self.dense)
        parts = [self._input()]
        earlier = [k for k in range(1, last) if k < self.layer]
        later = [k for k in range(1, last) if k > self.layer]
        if earlier:
            parts.append(self._others(earlier, "The layers before it"))
        parts.append(self._sum())
        if self.layer < last:
            parts.append(self._activation())
        if later:
            parts.append(self._others(later, "The next hidden layer does the same"))
        parts += [self._scores(), self._loss(), self._error()]
        other = self.layer < last and not (earlier and later)  # else there would be 13
        if other:
            parts.append(self._last_weight())
        if self.layer < last:
            parts.append(self._blame())
        parts += [self._gradient("The same rule" if other else _RULE), self._update()]
        check, agrees = self._check()
        title = f"One training step on {self.what}"
        return Story(title, (*parts, check), agrees)

    # The parts, in the order of the story.

    def _input(self) -> Part:
        entry = self.trace["x"]
        x = entry.value.ravel()
        lit = int(np.count_nonzero(x))
        pictures = () if self.pixels is None else (Picture(self.pixels, f"{self.what}, as the network sees it"),)
        preprocessing = self.trace.model.preprocessing
        mean = preprocessing.mean
        made = f"its raw values times {preprocessing.scale:.4g}"
        made += ", taken from 1" if preprocessing.invert else ""
        made += ", less the mean of each" if isinstance(mean, tuple) else f", less the mean {mean:.4g}" if mean else ""
        text = (
            f"{_start(self.what)} comes in as {x.size:,} numbers from {x.min():.4g} to {x.max():.4g}, {made}. "
            f"{lit:,} of them are not 0."
        )
        return self._part("What comes in", text, entry, pictures=pictures)

    def _sum(self) -> Part:
        inputs, weights = self._inputs(self.index), self._weights(self.layer)[:, self.unit]
        W, b, j = f"W{subscript(self.layer)}", f"b{subscript(self.layer)}", self.unit
        bias = float(self.trace[f"b{self.layer}"].value[j])
        terms = inputs.astype(float) * weights.astype(float)
        lines = [
            *self._terms(
                terms, lambda i: f"{self._input_name(i)} {W}[{i},{j}] = {number(inputs[i])} · {_signed(weights[i])}"
            ),
            Line(f"the bias {b}[{j}]", _signed(bias)),
            Line(f"{self.z}[{j}]", _signed(self._value(self.index)[j]), result=True),
        ]
        where = "the output layer" if self.layer == len(self.dense) else f"hidden layer {self.layer}"
        text = (
            f"Neuron {j} of {where} multiplies each number that comes in with a weight of its own and adds everything "
            f"up. These are the {TERMS} largest of its {inputs.size:,} terms."
        )
        pictures: tuple[Picture, ...] = ()
        if self.pixels is not None and self.layer == 1:
            pictures = (
                Picture(weights.reshape(self.pixels.shape), f"what neuron {j} looks for: its weights", signed=True),
            )
        entry = self.trace[self.names[self.index + 1]]
        return self._part(f"Neuron {j} adds up", text, entry, lines=tuple(lines), pictures=pictures)

    def _activation(self) -> Part:
        lines, entry = [], None
        for i in self._between(self.layer):
            entry = self.trace[self.names[i + 1]]
            kind = type(self.network.layers[i]).__name__
            before, after = self._value(i - 1), self._value(i)
            how = f"{kind} of {number(before[self.unit])}"
            if isinstance(self.network.layers[i], Dropout):
                mask = self.trace[f"mask_{self.names[i + 1]}"].value[0, self.unit]
                how = f"{number(before[self.unit])} · {number(mask)}, its mask"
            lines.append(Line(f"{self.symbols[i + 1]}[{self.unit}] = {how}", number(after[self.unit]), result=True))
        y = self._inputs(self.dense[self.layer])
        on = int(np.count_nonzero(y))
        text = f"Its sum goes through the activation. {on:,} of the {y.size:,} neurons of this layer pass anything on."
        if entry is None:
            text = "There is no activation here: the sum goes on as it is."
            entry = self.trace[self.names[self.index + 1]]
        return self._part(f"Neuron {self.unit} answers", text, entry, lines=tuple(lines))

    def _others(self, layers: Sequence[int], title: str) -> Part:
        lines, shown = [], []
        for k in layers:
            i = self.dense[k - 1]
            shown.append(self.trace[self.names[i + 1]])
            score = self._value(i)
            y = self._inputs(self.dense[k])
            j = int(np.argmax(np.abs(y)))
            symbol = self.symbols[self.dense[k]]
            lines += [
                Line(f"{self.symbols[i + 1]}[{j}], a sum of {self.network.shapes[i][0]:,} terms", _signed(score[j])),
                Line(f"{symbol}[{j}], the largest of its {y.size:,}", _signed(y[j]), result=True),
            ]
            shown += [self.trace[self.names[b + 1]] for b in self._between(k)]
        text = "What one layer gives is what the next one takes, with weights of its own."
        many = len(layers) > 1 and title.startswith("The next")
        return self._part("The next hidden layers do the same" if many else title, text, *shown, lines=tuple(lines))

    def _scores(self) -> Part:
        scores, outputs = self._value(self.dense[-1]), self._outputs()
        entry = self.trace["o"]
        bars = tuple(
            Bar(
                self._output(c),
                float(outputs[c]),
                f"{100 * outputs[c]:.2f} %" if self._shares() else number(outputs[c]),
            )
            for c in range(len(outputs))
        )
        z = self.symbols[self.dense[-1] + 1]
        best = int(np.argmax(outputs)) if len(outputs) > 1 else int(outputs[0] > 0.5)
        lines: tuple[Line, ...] = ()
        if isinstance(self.trace.model.loss, SoftmaxCrossEntropy):
            total = float(np.exp(scores.astype(float) - scores.max()).sum())
            lines = (
                Line(f"exp({z}[{best}] − max {z}) = exp({number(scores[best] - scores.max())})", "1.0000"),
                Line(f"Σ_k exp({z}[k] − max {z})", number(total)),
                Line(f"o[{best}]", number(outputs[best]), result=True),
            )
        text = f"The last layer has a score for each class. The network's answer is {self._class(best)}."
        return self._part(
            "Scores become an answer", text, self.trace[self.names[self.dense[-1] + 1]], entry, lines=lines, bars=bars
        )

    def _loss(self) -> Part:
        entry, outputs, t = self.trace["L"], self._outputs(), self.target
        lines: tuple[Line, ...] = (Line("L", number(self.trace.loss), result=True),)
        loss = self.trace.model.loss
        if isinstance(loss, SoftmaxCrossEntropy) and not loss.label_smoothing and len(outputs) > t:
            lines = (Line(f"−log o[{t}] = −log {number(outputs[t])}", number(self.trace.loss), result=True),)
        text = f"It should have said {self._class(t)}. The loss says how wrong the answer is: 0 would be perfect."
        return self._part("How wrong is it?", text, entry, lines=lines)

    def _error(self) -> Part:
        top = self.names[-2] if self.trace.model.loss.fused_with else self.names[-1]
        entry = self.trace[f"d{top}"]
        delta = entry.value[0]
        largest = float(np.abs(delta).max()) or 1.0
        bars = tuple(Bar(self._output(c), float(value) / largest, _signed(value)) for c, value in enumerate(delta))
        text = (
            "How the loss changes with each score: where this is above 0 the score should be lower, where it is below "
            "0 higher. From here everything runs backwards."
        )
        return self._part("Which way to go", text, entry, bars=bars)

    def _last_weight(self) -> Part:
        k = len(self.dense)
        entry = self.trace[f"dW{k}"]
        i, c = (int(at) for at in np.unravel_index(np.argmax(np.abs(entry.value)), entry.value.shape))
        y, delta = self._inputs(self.dense[-1]), self._delta(k)
        inside = self.symbols[self.dense[-1]]
        name = f"∂L/∂W{subscript(k)}[{i},{c}]"
        lines = (
            Line(f"{inside}[{i}], what the weight was multiplied with", _signed(y[i])),
            Line(f"δ{subscript(k)}[{c}], of the score that it went into", _signed(delta[c])),
            Line(f"{name} = {number(y[i])} · {_signed(delta[c])}", _signed(entry.value[i, c]), result=True),
        )
        text = f"{_RULE}. This is the one most to blame."
        return self._part("The last layer's weights", text, entry, lines=lines)

    def _blame(self) -> Part:
        k, j = self.layer, self.unit
        above = self.dense[k]  # the next dense layer
        weights, delta = self._weights(k + 1)[j], self._delta(k + 1)
        terms = weights.astype(float) * delta.astype(float)
        inside, at = self.symbols[above], subscript(k + 1)
        passed = self.trace[f"d{self.names[above]}"]
        lines = [
            *self._terms(
                terms,
                lambda c: f"W{at}[{j},{c}] δ{at}[{c}] = {number(weights[c])} · {_signed(delta[c])}",
            ),
            Line(f"∂L/∂{inside}[{j}]", _signed(passed.value[0, j]), result=True),
        ]
        shown = [passed]
        for i in reversed(list(self._between(k))):
            entry = self.trace[f"d{self.names[i]}"]
            if entry is passed:
                continue
            if f"slope_{self.names[i]}" in self.trace:
                slope = self.trace[f"slope_{self.names[i]}"]
                lines.append(
                    Line(f"{slope.symbol.text}[{j}], the slope of the activation there", number(slope.value[0, j]))
                )
                shown.append(slope)
            lines.append(Line(f"{entry.symbol.text}[{j}]", _signed(entry.value[0, j]), result=True))
            shown.append(entry)
        text = (
            f"Neuron {j} answers for all sums that its answer went into, by the same weights; and its own sum answers "
            "as far as the activation lets changes through. That is the chain rule."
        )
        return self._part(f"What neuron {j} is to blame for", text, *shown, lines=tuple(lines))

    def _weight(self) -> tuple[int, int]:
        """Return the weight of the neuron that is followed to its update."""
        gradient = self.trace[f"dW{self.layer}"].value[:, self.unit]
        return int(np.argmax(np.abs(gradient))), self.unit

    def _gradient(self, rule: str) -> Part:
        entry = self.trace[f"dW{self.layer}"]
        i, j = self._weight()
        x, delta = self._inputs(self.index), self._delta(self.layer)
        lines = (
            Line(f"{self._input_name(i)}, what came in", _signed(x[i])),
            Line(f"δ{subscript(self.layer)}[{j}], what its sum is to blame for", _signed(delta[j])),
            Line(
                f"∂L/∂W{subscript(self.layer)}[{i},{j}] = {number(x[i])} · {_signed(delta[j])}",
                _signed(entry.value[i, j]),
                result=True,
            ),
        )
        pictures: tuple[Picture, ...] = ()
        if self.pixels is not None and self.layer == 1:
            gradient = entry.value[:, j].reshape(self.pixels.shape)
            pictures = (Picture(gradient, f"the gradient of neuron {j}'s weights", signed=True),)
        text = f"{rule}: these are the weights of neuron {j}. Where nothing came in, nothing is to blame."
        return self._part(f"The weights of neuron {j}", text, entry, lines=lines, pictures=pictures)

    def _update(self) -> Part:
        trace, (i, j) = self.trace, self._weight()
        entry = trace[f"W{self.layer}_new"]
        assert entry.before is not None
        before, after = entry.before[i, j], entry.value[i, j]
        lines = [
            Line(f"g, the gradient of W{subscript(self.layer)}[{i},{j}]", _signed(trace[f"dW{self.layer}"].value[i, j]))
        ]
        for moment in trace.optimizer.moments():
            one = trace[f"{moment}_W{self.layer}"]
            assert one.before is not None
            lines.append(Line(f"{moment}, was {number(one.before[i, j])}", _signed(one.value[i, j])))
        lines += [
            Line("lr, the learning rate", number(trace.learning_rate)),
            Line(f"W{subscript(self.layer)}[{i},{j}] was", _signed(before)),
            Line("and moves by", _signed(float(after) - float(before))),
            Line(f"W{subscript(self.layer)}[{i},{j}]", _signed(after), result=True),
        ]
        text = (
            f"{type(trace.optimizer).__name__} turns gradients into steps; this is its step number {trace.t} = t. "
            f"All {self.network.layout.size:,} parameters move at once."
        )
        return self._part("The update", text, entry, lines=tuple(lines))

    def _check(self) -> tuple[Part, bool]:
        trace, (i, j) = self.trace, self._weight()
        name = f"W{self.layer}"
        gradient, numeric = float(trace[f"d{name}"].value[i, j]), trace.numeric_derivative(name, (i, j))
        difference = abs(gradient - numeric)
        error = difference / (max(abs(gradient), abs(numeric)) or 1.0)
        agrees = error < AGREES or difference < TINY
        x = trace.features
        after = trace.after.predict_proba(x)[0] if trace.model.task == "classification" else None
        before = trace.model.predict_proba(x)[0] if after is not None else None
        lines = [
            Line(f"(L(w + e) − L(w − e)) / 2e, w = W{subscript(self.layer)}[{i},{j}], e = 0.00001", _signed(numeric)),
            Line("the gradient from above", _signed(gradient)),
            Line("relative difference", f"{error:.1e}", result=True),
        ]
        if before is not None and after is not None and len(after) > self.target:
            t = self.target
            lines.append(
                Line(
                    f"o[{t}] before and after the step",
                    f"{100 * before[t]:.2f} % → {100 * after[t]:.2f} %",
                    result=True,
                )
            )
        verdict = "It is." if error < AGREES else "It is, as far as numbers of seven digits can tell."
        verdict = verdict if agrees else "It is not: the loss may have a kink there."
        text = (
            "Is all that right? Move the one weight a little up and down, compute the loss both times, and the slope "
            f"between must be the gradient. {verdict}"
        )
        equation = Equation(
            "∂L/∂w ≈ (L(w + e) − L(w − e)) / 2e",
            r"\frac{\partial L}{\partial w} \approx \frac{L(w + e) - L(w - e)}{2 e}",
        )
        return Part("The proof", text, (equation,), tuple(lines)), agrees

    # What the parts are made of.

    def _part(self, title: str, text: str, *entries: Entry, **more: Any) -> Part:
        equations = tuple(dict.fromkeys(line for entry in entries for line in entry.equations))
        sources = tuple(dict.fromkeys(source for entry in entries for source in entry.sources))
        calls = {
            other: "; ".join(dict.fromkeys(entry.calls[other] for entry in entries if other in entry.calls))
            for other in FRAMEWORKS
        }
        return Part(
            title,
            text,
            equations,
            sources=sources,
            calls={other: call for other, call in calls.items() if call},
            **more,
        )

    def _between(self, k: int) -> Iterator[int]:
        """Yield the layers between the k-th dense layer and the next one that compute something."""
        for i in range(self.dense[k - 1] + 1, self.dense[k]):
            if self.names[i] != self.names[i + 1]:
                yield i

    def _value(self, i: int) -> Array:
        """Return what layer `i` gave."""
        return self._inputs(i + 1)

    def _inputs(self, i: int) -> Array:
        """Return what goes into layer `i`."""
        row: Array = self.trace[self.names[i]].value[0]
        return row.ravel()

    def _outputs(self) -> Array:
        return self._inputs(len(self.network.layers))

    def _weights(self, k: int) -> Array:
        return self.trace[f"W{k}"].value

    def _delta(self, k: int) -> Array:
        row: Array = self.trace[f"d{self.names[self.dense[k - 1] + 1]}"].value[0]
        return row

    def _class(self, c: int) -> str:
        return self.classes[c] if c < len(self.classes) else str(c)

    def _output(self, c: int) -> str:
        """Return what an output speaks of: a single one of the second of two classes."""
        single = len(self._outputs()) == 1 and self.trace.model.task == "classification"
        return self._class(1 if single else c)

    def _shares(self) -> bool:
        return isinstance(self.trace.model.loss, SoftmaxCrossEntropy) or self.trace.model.loss.fused_with == "Sigmoid"

    def _input_name(self, i: int) -> str:
        symbol = self.symbols[self.index]
        if symbol == "x" and self.pixels is not None:
            row, column = divmod(i, self.pixels.shape[1])
            return f"x[{row},{column}]"
        return f"{symbol}[{i}]"

    def _terms(self, terms: Array, name: Callable[[int], str]) -> list[Line]:
        """Return a sum: its largest terms, and the others in one."""
        order = [int(i) for i in np.argsort(-np.abs(terms), kind="stable")]
        shown = [i for i in order[:TERMS] if terms[i]]
        rest = [i for i in order[TERMS:] if terms[i]]
        lines = [Line(name(i), _signed(terms[i])) for i in shown]
        if rest:
            lines.append(Line(f"the other {len(rest):,} that are not 0, together", _signed(terms[rest].sum())))
        return lines


def _signed(value: float) -> str:
    """Return a number with its sign."""
    return f"+{number(value)}" if value > 0 else number(value)


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]
