"""What `explain` writes for PyTorch is run there, and takes the same step; it needs PyTorch: ``pytest -m torch``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassnet import (
    ELU,
    GELU,
    AMSGrad,
    Dense,
    Flatten,
    LeakyReLU,
    MeanSquaredError,
    Model,
    Momentum,
    Nesterov,
    Network,
    Optimizer,
    Preprocessing,
    ReLU,
    Sigmoid,
    SigmoidCrossEntropy,
    SiLU,
    Softmax,
    SoftmaxCrossEntropy,
    Softplus,
    Tanh,
    save_model,
)
from glassnet.explain import script
from glassnet.layers import Layer
from glassnet.losses import Loss
from glassnet.optim import OPTIMIZERS
from glassnet.trace import Trace, trace_step
from glassnet.trace.frameworks import optimizer_call

pytestmark = pytest.mark.torch

SAME = [name for name, kind in OPTIMIZERS.items() if optimizer_call("torch", kind(0.01).describe(), 0.01).code]


def run(trace: Trace, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run the program for a trace, check what it prints, and return its names."""
    path = folder / "model.safetensors"
    save_model(trace.model, path)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(script("torch", trace, path), "step.py", "exec"), names)
    assert "The same step, but for rounding." in capsys.readouterr().out
    return names


def check(trace: Trace, names: dict[str, Any]) -> None:
    """Compare every number of every array."""
    network, after = trace.model.network, trace.after.network
    dense = [i for i, params in enumerate(network.layout.layers) if params]
    for number, i in enumerate(dense, start=1):
        layer, new = names[network.names[i]], after.params[i]
        for theirs, ours, gradient in (
            (layer.weight.detach().numpy().T, new.W, layer.weight.grad.numpy().T),
            (layer.bias.detach().numpy(), new.b, layer.bias.grad.numpy()),
        ):
            name = "W" if ours is new.W else "b"
            np.testing.assert_allclose(gradient, trace[f"d{name}{number}"].value, rtol=1e-4, atol=1e-7)
            np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)
    assert names["L"].item() == pytest.approx(trace.loss, rel=1e-5)


def traced(*layers: Layer, loss: Loss, optimizer: Optimizer, preprocessing: Preprocessing | None = None) -> Trace:
    rng = np.random.default_rng(6)
    network = Network([Flatten(), *layers], (5, 6), seed=2)
    model = Model(network, preprocessing or Preprocessing(1 / 255), ("a", "b", "c"), loss)
    pixels = rng.integers(0, 256, (1, 5, 6)).astype(np.uint8)
    return trace_step(model, pixels, np.array([1]), optimizer)


@pytest.mark.parametrize("name", SAME)
def test_every_optimizer_that_pytorch_has_takes_the_same_step(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = Dense(8), ReLU(), Dense(3), Softmax()
    trace = traced(*layers, loss=SoftmaxCrossEntropy(), optimizer=OPTIMIZERS[name](0.01))
    check(trace, run(trace, tmp_path, capsys))


@pytest.mark.parametrize(
    "activation", [Sigmoid(), Tanh(), LeakyReLU(0.2), ELU(0.7), GELU(), SiLU(), Softplus()], ids=repr
)
def test_every_activation_computes_the_same_there(
    activation: Layer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = Dense(8), activation, Dense(7), activation, Dense(3), Softmax()
    trace = traced(*layers, loss=SoftmaxCrossEntropy(), optimizer=Momentum(0.1))
    check(trace, run(trace, tmp_path, capsys))


@pytest.mark.parametrize(
    "loss",
    [
        SoftmaxCrossEntropy("sum", 0.1),
        SigmoidCrossEntropy(),
        SigmoidCrossEntropy("sum", 0.1),
        MeanSquaredError(),
        MeanSquaredError("sum", 0.02),
    ],
    ids=repr,
)
def test_every_loss_is_the_same_there(loss: Loss, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = Softmax() if isinstance(loss, SoftmaxCrossEntropy) else Sigmoid()
    trace = traced(Dense(8), Tanh(), Dense(3), output, loss=loss, optimizer=Nesterov(0.1))
    check(trace, run(trace, tmp_path, capsys))


def test_preprocessing_is_the_same_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = traced(
        Dense(3),
        Softmax(),
        loss=SoftmaxCrossEntropy(),
        optimizer=AMSGrad(0.01),
        preprocessing=Preprocessing(1 / 255, invert=True, mean=0.25),
    )
    check(trace, run(trace, tmp_path, capsys))


def test_a_program_says_where_the_numbers_differ(tmp_path: Path) -> None:
    trace = traced(Dense(3), Softmax(), loss=SoftmaxCrossEntropy(), optimizer=Momentum(0.1))
    save_model(trace.after, tmp_path / "other.safetensors")  # not the weights of the trace
    with pytest.raises(SystemExit, match="which is more than rounding"):
        exec(compile(script("torch", trace, tmp_path / "other.safetensors"), "step.py", "exec"), {})
