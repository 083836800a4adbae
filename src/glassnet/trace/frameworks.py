"""The same things in PyTorch and in Keras: which call of theirs computes what a layer, loss or optimizer of ours does.

Everything is described by plain values (`describe` of layers, losses and optimizers), so this knows no class of ours. A
call that is None has no like: the framework lacks it, or computes something else, and `why` says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Framework: TypeAlias = Literal["torch", "keras"]
Values: TypeAlias = Mapping[str, Any]

FRAMEWORKS: tuple[Framework, ...] = ("torch", "keras")
NAMES: dict[Framework, str] = {"torch": "PyTorch", "keras": "Keras"}


@dataclass(frozen=True)
class Call:
    """A call of a framework, or why there is none."""

    code: str | None
    why: str = ""


_TORCH_LAYERS: dict[str, str] = {
    "Dense": "nn.Linear({inputs}, {units})",
    "Flatten": "nn.Flatten()",
    "Dropout": "nn.Dropout({rate})",
    "Identity": "nn.Identity()",
    "Sigmoid": "nn.Sigmoid()",
    "Tanh": "nn.Tanh()",
    "ReLU": "nn.ReLU()",
    "LeakyReLU": "nn.LeakyReLU({alpha})",
    "ELU": "nn.ELU({alpha})",
    "Softplus": "nn.Softplus()",
    "SiLU": "nn.SiLU()",
    "GELU": "nn.GELU()",
    "Softmax": "nn.Softmax(dim=1)",
}
_KERAS_LAYERS: dict[str, str] = {
    "Dense": "layers.Dense({units})",
    "Flatten": "layers.Flatten()",
    "Dropout": "layers.Dropout({rate})",
    "Identity": "layers.Identity()",
    "Sigmoid": 'layers.Activation("sigmoid")',
    "Tanh": 'layers.Activation("tanh")',
    "ReLU": "layers.ReLU()",
    "LeakyReLU": "layers.LeakyReLU(negative_slope={alpha})",
    "ELU": "layers.ELU({alpha})",
    "Softplus": 'layers.Activation("softplus")',
    "SiLU": 'layers.Activation("silu")',
    "GELU": 'layers.Activation("gelu")',
    "Softmax": "layers.Softmax()",
}
_LAYERS: dict[Framework, dict[str, str]] = {"torch": _TORCH_LAYERS, "keras": _KERAS_LAYERS}


def input_call(framework: Framework, preprocessing: Values) -> str:
    """Return what makes the numbers that a network sees of raw ones.

    Parameters
    ----------
    preprocessing : its fields, see `glassnet.data.Preprocessing`; of means for each feature, "mean" stands for them

    Examples
    --------
    >>> input_call("torch", {"scale": 0.5, "invert": True, "mean": 0.25})
    'x = 1 - torch.tensor(raw) * 0.5 - 0.25'
    """
    array = {"torch": "torch.tensor", "keras": "ops.array"}[framework]
    mean = preprocessing["mean"]
    less = f" - {array}(mean)" if isinstance(mean, tuple) else f" - {_number(mean)}" if mean else ""
    return f"x = {'1 - ' if preprocessing['invert'] else ''}{array}(raw) * {_number(preprocessing['scale'])}{less}"


def layer_call(framework: Framework, layer: Values, inputs: int) -> Call:
    """Return the call that makes a layer.

    Parameters
    ----------
    layer : what `glassnet.model_files.describe` says of it
    inputs : numbers a sample that go into it

    Examples
    --------
    >>> layer_call("torch", {"type": "Dense", "units": 100}, 784).code
    'nn.Linear(784, 100)'
    """
    template = _LAYERS[framework].get(layer["type"])
    if template is None:
        return Call(None, f"{NAMES[framework]} has no {layer['type']}")
    return Call(template.format(inputs=inputs, **{key: value for key, value in layer.items() if key != "type"}))


def parameter_call(framework: Framework, layer: str, name: str) -> str:
    """Return what holds an array of parameters in the shape that ours has.

    Examples
    --------
    >>> parameter_call("torch", "dense_1", "W"), parameter_call("keras", "dense_1", "b")
    ('dense_1.weight.T', 'dense_1.bias')
    """
    names = {"torch": {"W": "weight.T", "b": "bias"}, "keras": {"W": "kernel", "b": "bias"}}[framework]
    return f"{layer}.{names.get(name, name)}"


def loss_call(framework: Framework, loss: Values, scores: str = "z", targets: str = "t") -> str:
    """Return the expression of a loss, from dense targets that are smoothed already.

    Examples
    --------
    >>> loss_call("torch", {"type": "MeanSquaredError", "reduction": "sum"}, "o")
    'F.mse_loss(o, t, reduction="sum") / 2'
    """
    kind, mean = loss["type"], loss["reduction"] == "mean"
    if framework == "torch":
        name = {"SoftmaxCrossEntropy": "cross_entropy", "SigmoidCrossEntropy": "binary_cross_entropy_with_logits"}
        if kind == "SoftmaxCrossEntropy":
            return f"F.cross_entropy({scores}, {targets}" + (")" if mean else ', reduction="sum")')
        call = f'F.{name.get(kind, "mse_loss")}({scores}, {targets}, reduction="sum")'
        factors = (["2"] if kind == "MeanSquaredError" else []) + ([f"len({targets})"] if mean else [])
        return call + "".join(f" / {factor}" for factor in factors)
    each = {
        "SoftmaxCrossEntropy": f"keras.losses.categorical_crossentropy({targets}, {scores}, from_logits=True)",
        "SigmoidCrossEntropy": (
            f"keras.losses.binary_crossentropy({targets}, {scores}, from_logits=True) * {targets}.shape[1]"
        ),
        "MeanSquaredError": f"keras.losses.mean_squared_error({targets}, {scores}) * {targets}.shape[1] / 2",
    }[kind]
    return f"ops.{'mean' if mean else 'sum'}({each})"


def _number(value: float) -> str:
    return f"{value:.9g}"


def _torch_optimizer(values: Values, rate: float) -> Call:
    """Return PyTorch's optimizer; the parameters come in groups, since biases do not decay."""
    kind, lr = values["type"], f"lr={_number(rate)}"
    adam = "betas=({beta1}, {beta2}), eps={epsilon}".format_map(_Known(values))
    calls: dict[str, str] = {
        "SGD": f"SGD(groups, {lr})",
        "Momentum": f"SGD(groups, {lr}, momentum={values.get('momentum')})",
        "Nesterov": f"SGD(groups, {lr}, momentum={values.get('momentum')}, nesterov=True)",
        "Adagrad": f"Adagrad(groups, {lr}, eps={values.get('epsilon')}, "
        f"initial_accumulator_value={values.get('initial_accumulator')})",
        "RMSprop": f"RMSprop(groups, {lr}, alpha={values.get('rho')}, eps={values.get('epsilon')})",
        "Adadelta": f"Adadelta(groups, {lr}, rho={values.get('rho')}, eps={values.get('epsilon')})",
        "Adam": f"Adam(groups, {lr}, {adam})",
        "Adamax": f"Adamax(groups, {lr}, {adam})",
        "NAdam": f"NAdam(groups, {lr}, {adam}, momentum_decay={values.get('momentum_decay')})",
        "AMSGrad": f"Adam(groups, {lr}, {adam}, amsgrad=True)",
        "AdamW": f"AdamW(groups, {lr}, {adam})",
        "RAdam": f"RAdam(groups, {lr}, {adam})",
    }
    other = {
        "Adan": "PyTorch has no Adan",
        "Lion": "PyTorch has no Lion",
        "ScheduleFreeAdamW": "PyTorch has no schedule-free AdamW",
        "Muon": "PyTorch's Muon rounds to bfloat16 and takes matrices alone",
    }
    if kind == "Momentum" and values["form"] == "mean":
        return Call(None, "PyTorch's momentum is no running mean in its first step")
    if kind == "RMSprop" and values["epsilon_in_root"]:
        return Call(None, "PyTorch's RMSprop has its epsilon outside the root")
    if kind == "AMSGrad" and not values["bias_correction"]:
        return Call(None, "PyTorch's AMSGrad corrects its moments")
    if kind == "RAdam" and values["threshold"] != 5:
        return Call(None, "PyTorch's RAdam waits for 5 squares")
    return Call(f"torch.optim.{calls[kind]}") if kind in calls else Call(None, other.get(kind, f"it has no {kind}"))


def _keras_optimizer(values: Values, rate: float) -> Call:
    """Return Keras' optimizer, whose first step is ours."""
    kind, lr = values["type"], _number(rate)
    adam = ""
    if "beta2" in values and "epsilon" in values:  # Keras adds epsilon before the correction
        epsilon = _number(values["epsilon"] * math.sqrt(1 - values["beta2"]))
        adam = f"beta_1={values['beta1']}, beta_2={values['beta2']}, epsilon={epsilon}"
    calls: dict[str, str] = {
        "SGD": f"SGD({lr})",
        "Momentum": f"SGD({lr}, momentum={values.get('momentum')})",
        "Nesterov": f"SGD({lr}, momentum={values.get('momentum')}, nesterov=True)",
        "RMSprop": f"RMSprop({lr}, rho={values.get('rho')}, epsilon={values.get('epsilon')})",
        "Adadelta": f"Adadelta({lr}, rho={values.get('rho')}, epsilon={values.get('epsilon')})",
        "Adam": f"Adam({lr}, {adam})",
        "Adamax": f"Adamax({lr}, beta_1={values.get('beta1')}, beta_2={values.get('beta2')}, "
        f"epsilon={values.get('epsilon')})",
        "AMSGrad": f"Adam({lr}, {adam}, amsgrad=True)",
        "AdamW": f"AdamW({lr}, {adam}, weight_decay={values.get('weight_decay')})",
        "Lion": f"Lion({lr}, beta_1={values.get('beta1')}, beta_2={values.get('beta2')})",
    }
    other = {
        "Adagrad": "Keras' Adagrad has its epsilon inside the root",
        "NAdam": "Keras' Nadam lets its momentum grow another way",
        "RAdam": "Keras has no RAdam",
        "Adan": "Keras has no Adan",
        "ScheduleFreeAdamW": "Keras' schedule-free AdamW averages another way",
        "Muon": "Keras' Muon takes the last layer for a matrix, too",
    }
    if kind == "Momentum" and values["form"] == "mean":
        return Call(None, "Keras' momentum is no running mean")
    if kind == "RMSprop" and not values["epsilon_in_root"]:
        return Call(None, "Keras' RMSprop has its epsilon inside the root")
    if kind == "AMSGrad" and not values["bias_correction"]:
        return Call(None, "Keras' AMSGrad corrects its moments")
    return (
        Call(f"keras.optimizers.{calls[kind]}") if kind in calls else Call(None, other.get(kind, f"it has no {kind}"))
    )


class _Known(dict[str, Any]):
    """Values for a template, with None for what there is not."""

    def __missing__(self, key: str) -> None:
        return None


_OPTIMIZERS: dict[Framework, Callable[[Values, float], Call]] = {"torch": _torch_optimizer, "keras": _keras_optimizer}


def optimizer_call(framework: Framework, optimizer: Values, rate: float) -> Call:
    """Return the call that makes an optimizer whose first step is the same.

    Parameters
    ----------
    optimizer : what its `describe` says
    rate : the learning rate of the step

    Examples
    --------
    >>> from glassnet.optim import Lion, Momentum
    >>> optimizer_call("torch", Momentum(0.1).describe(), 0.1).code
    'torch.optim.SGD(groups, lr=0.1, momentum=0.9)'
    >>> optimizer_call("torch", Lion().describe(), 0.1)
    Call(code=None, why='PyTorch has no Lion')
    """
    return _OPTIMIZERS[framework](optimizer, rate)


_TORCH_STATE = {
    "Momentum": {"v": "momentum_buffer"},
    "Nesterov": {"v": "momentum_buffer"},
    "Adagrad": {"G": "sum"},
    "RMSprop": {"v": "square_avg"},
    "Adadelta": {"v": "square_avg", "u": "acc_delta"},
    "Adamax": {"m": "exp_avg", "u": "exp_inf"},
    "AMSGrad": {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
} | {name: {"m": "exp_avg", "v": "exp_avg_sq"} for name in ("Adam", "AdamW", "NAdam", "RAdam")}


_VELOCITIES: dict[Framework, str] = {"torch": "sum", "keras": "classical"}
"""The form of momentum whose v each framework keeps; it keeps one number only, and those of other forms differ."""


def state_call(framework: Framework, optimizer: Values, moment: str, parameter: str) -> str:
    """Return where a framework keeps a moment of an optimizer; nothing where it keeps no such thing.

    Parameters
    ----------
    optimizer : what its `describe` says
    moment : its letter
    parameter : what `parameter_call` says

    Examples
    --------
    >>> state_call("torch", {"type": "Adam"}, "m", "dense_1.weight.T")
    'optimizer.state[dense_1.weight]["exp_avg"].T'
    """
    if optimizer.get("form", _VELOCITIES[framework]) != _VELOCITIES[framework]:
        return ""
    if framework == "keras":
        return "optimizer.variables"
    key = _TORCH_STATE.get(optimizer["type"], {}).get(moment)
    own, turned = parameter.removesuffix(".T"), ".T" if parameter.endswith(".T") else ""
    return f'optimizer.state[{own}]["{key}"]{turned}' if key else ""


def gradient_call(framework: Framework, variable: str, of: str = "L") -> str:
    """Return the expression of a derivative; Keras has none of its own, so it is TensorFlow's, from a GradientTape.

    Examples
    --------
    >>> gradient_call("torch", "z1"), gradient_call("keras", "dense_1.kernel")
    ('torch.autograd.grad(L, z1)[0]', 'tape.gradient(L, dense_1.kernel)')
    """
    return f"torch.autograd.grad({of}, {variable})[0]" if framework == "torch" else f"tape.gradient({of}, {variable})"
