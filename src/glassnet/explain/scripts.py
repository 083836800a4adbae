"""A traced step as a complete program for another framework, which takes the same step and compares the numbers."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from glassnet.errors import ConfigError
from glassnet.layers import Dropout
from glassnet.model_files import describe
from glassnet.trace import Trace
from glassnet.trace.frameworks import NAMES, Framework, layer_call, loss_call, optimizer_call
from glassnet.trace.letters import ascii_name, parameters

BYTES_A_LINE = 28
"""Of a sample that is no picture; of a picture, a row."""


def script(framework: Framework, trace: Trace, model_file: str | os.PathLike[str]) -> str:
    """Return a program that builds the same network, loads the same weights and takes the same step.

    It prints the loss, the gradients and the movement of each array beside those of glassnet, and ends with an error
    where they differ by more than rounding.

    Parameters
    ----------
    framework : {"torch", "keras"}
    trace : of the first step of its optimizer
    model_file : where the weights lie, a file that `glassnet.save_model` wrote

    Raises
    ------
    ConfigError
        If the framework can not take this step: it lacks the optimizer or a layer, or the step depends on more than
        the model file says.

    Examples
    --------
    >>> from glassnet.data import Preprocessing
    >>> from glassnet.layers import Dense, Softmax
    >>> from glassnet.losses import SoftmaxCrossEntropy
    >>> from glassnet.model import Model
    >>> from glassnet.network import Network
    >>> from glassnet.trace import trace_step
    >>> model = Model(Network([Dense(2), Softmax()], 3), Preprocessing(), None, SoftmaxCrossEntropy())
    >>> text = script("torch", trace_step(model, np.ones((1, 3)), np.array([0])), "model.safetensors")
    >>> "dense_1 = nn.Linear(3, 2)" in text
    True
    """
    name, model, optimizer = NAMES[framework], trace.model, trace.optimizer
    network = model.network
    if trace.t != 1:
        raise ConfigError(f"this is step {trace.t} of its optimizer, and a program for {name} begins with the first.")
    if any(isinstance(layer, Dropout) and layer.rate for layer in network.layers):
        raise ConfigError(f"the network has dropout, whose masks {name} draws otherwise: take one without.")
    if framework not in trace["L"].calls:
        raise ConfigError(f"a program for {name} knows no sample weights, and no loss but those of glassnet.")
    settings = optimizer.describe()
    other = [one for one in ("l2", "clip_value", "clip_norm") if getattr(optimizer, one)]
    if other or (optimizer.weight_decay and settings["type"] != "AdamW"):
        raise ConfigError(f"a program for {name} knows no {', '.join(other) or 'weight decay'} of the optimizer.")
    call = optimizer_call(framework, settings, trace.learning_rate)
    if call.code is None:
        raise ConfigError(f"{call.why}: choose another --optimizer for a program in {name}.")
    layers = _layers(framework, trace)
    preprocessing = model.preprocessing
    if isinstance(preprocessing.mean, tuple):
        raise ConfigError("a program for another framework knows one mean for all features, and this model has many.")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["repr"] = repr
    text = files("glassnet.explain").joinpath(f"{framework}.py.j2").read_text(encoding="utf-8")
    loss = describe(model.loss)
    scores = "z" if model.loss.fused_with else "o"
    return environment.from_string(text).render(
        model_file=str(Path(model_file).resolve()),
        raw=_hex(trace.features),
        dtype=trace.features.dtype.name,
        shape=trace.features.shape,
        preprocessing=preprocessing,
        targets=trace.targets.tolist(),
        layers=layers,
        scores=scores,
        loss=loss_call(framework, loss, scores),
        optimizer=call.code,
        decay=optimizer.weight_decay,
        loss_value=trace.loss,
        expected=_expected(trace),
    )


def _layers(framework: Framework, trace: Trace) -> list[dict[str, Any]]:
    """Return each layer's name and call; a last one that is fused with the loss is left out."""
    network, fused = trace.model.network, trace.model.loss.fused_with is not None
    found = []
    for i, (name, layer) in enumerate(zip(network.names, network.layers, strict=True)):
        if fused and i == len(network.layers) - 1:
            break
        call = layer_call(framework, describe(layer), network.shapes[i][-1])
        if call.code is None:
            raise ConfigError(f"{call.why}: take another network.")
        found.append({"name": name, "call": call.code, "parameters": list(network.layout.layers[i])})
    return found


def _hex(features: np.ndarray[Any, Any]) -> list[str]:
    """Return the bytes of the raw features as lines of hexadecimal digits, a row of a picture in each."""
    raw = np.ascontiguousarray(features).tobytes()
    width = features.shape[-1] * features.dtype.itemsize if features.ndim > 2 else BYTES_A_LINE
    return [raw[i : i + width].hex() for i in range(0, len(raw), width)]


def _expected(trace: Trace) -> list[tuple[str, str, float, float]]:
    """Return for each array of parameters its layer and name, how long its gradient is, and how far it moves."""
    network = trace.model.network
    rows = []
    for slot, symbol in parameters(network):
        name = ascii_name(symbol)
        new = trace[f"{name}_new"]
        assert new.before is not None
        moved = np.linalg.norm(new.value.astype(np.float64) - new.before.astype(np.float64))
        gradient = np.linalg.norm(trace[f"d{name}"].value.astype(np.float64))
        rows.append((network.names[slot.layer], slot.name, float(gradient), float(moved)))
    return rows
