"""Layers: frozen specs that hold equations and nothing else.

A layer knows its hyperparameters. Whatever changes is handed in: `p` its parameters and saved state, `g` the gradients
of its parameters, `ws` its room for one batch. A spec therefore can be shared, compared, printed and saved.

Symbols and shapes: N samples, I inputs, O outputs; x (N, I) input, y (N, O) output, dy = dL/dy, dx = dL/dx.
"""

from glassnet.layers.activations import (
    ACTIVATIONS,
    ELU,
    GELU,
    Activation,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from glassnet.layers.base import Buffer, Layer, LayerSpace
from glassnet.layers.basic import Dense, Dropout, Flatten

LAYERS: dict[str, type[Layer]] = {kind.__name__: kind for kind in (Dense, Flatten, Dropout, *ACTIVATIONS.values())}
"""All layers by class name, as model files name them."""

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "LAYERS",
    "Activation",
    "Buffer",
    "Dense",
    "Dropout",
    "Flatten",
    "Identity",
    "Layer",
    "LayerSpace",
    "LeakyReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
