"""The rule of 2019: what the scripts that glassnet grew from did in place of the gradient.

With t the targets, o the outputs of the layers and e = t - o the error of the last one::

    scripts of 2019                              the gradient, of L = 1/2 sum (t - o)^2
    e_below = e W^T                              e_below = (e o (1 - o)) W^T
    step of W = x^T (e o (1 - o))                the same
    step of all b = sum (e o (1 - o)) / n        step of b = sum over the samples of e o (1 - o)

So errors pass down without the slope of the sigmoid, and all biases of a layer move by one number, the sum over units
and samples, divided by the n samples of a batch; those of the plain script do not move at all. Adam counts its steps
from 1 in each epoch. RMSprop has its epsilon under the root.

It is here for the studies that make the tables of 2019 again, and nothing else in glassnet knows it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet import functional
from glassnet.config import RunConfig
from glassnet.data import DataSet
from glassnet.data.batches import batch_length
from glassnet.errors import ConfigError
from glassnet.layers import Buffer, Dense, Flatten, Layer, LayerSpace
from glassnet.network import Network
from glassnet.optim import Adam
from glassnet.params import Views
from glassnet.training import Training

Array = NDArray[Any]


@dataclass(frozen=True)
class SigmoidDense2019(Dense):
    """A dense layer with its sigmoid, o = sigmoid(x W + b), whose `backward` is the rule of 2019.

    Parameters
    ----------
    units, weights, bias : see `Dense`
    samples : n, by which the step of the biases is divided
    moves_bias : False leaves the biases as they are drawn

    Examples
    --------
    >>> SigmoidDense2019(10, samples=100).output_shape((784,))
    (10,)
    """

    samples: int = 1
    moves_bias: bool = True

    keeps_output = True
    takes_staircase = True

    def buffers(self, in_shape: tuple[int, ...], n: int, train: bool) -> dict[str, Buffer]:
        """Return y (N, O), and to train d (N, O) and dx (N, I)."""
        forward = {"y": Buffer((n, self.units))}
        return forward | {"d": Buffer((n, self.units)), "dx": Buffer((n, *in_shape))} if train else forward

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """o = sigmoid(x W + b)."""
        z: Array = x.dot(p.W, out=ws.y)  # (N,I)(I,O) -> (N,O)
        z += p.b[np.newaxis]
        return functional.sigmoid(z, out=z)

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array | None:
        """With dy = -e: steps against x^T d and sum d / n, d = dy o (1 - o); passes dy W^T down."""
        d: Array = np.subtract(1.0, ws.y, out=ws.d)
        d *= ws.y
        d *= dy  # d = dy o (1 - o)                               (N,O)
        ws.x.T.dot(d, out=g.W)  # x^T d                             (I,N)(N,O) -> (I,O)
        g.b[:] = d.sum(dtype=np.float64) / self.samples if self.moves_bias else 0.0  # one number for all
        if not ws.needs_dx:
            return None
        dx: Array = dy.dot(p.W.T, out=ws.dx)  # dy W^T, without the slope       (N,O)(O,I) -> (N,I)
        return dx


class EpochAdam(Adam):
    """Adam whose t starts again at 1 with each epoch, while its moments go on.

    Parameters
    ----------
    steps_an_epoch : after how many steps t starts again
    learning_rate, beta1, beta2, epsilon : see `Adam`

    Examples
    --------
    With one step an epoch, t is always 1, and m / (1 - beta1) is the running sum 1 + 0.9 of two equal gradients:

    >>> theta = np.zeros(1)
    >>> rule = EpochAdam(1, learning_rate=0.1)
    >>> for _ in range(2):
    ...     rule.step(theta, np.ones(1))
    >>> round(float(theta[0]), 4)  # -0.1 (1 + 1.9 / sqrt(1.999))
    -0.2344
    """

    def __init__(self, steps_an_epoch: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.steps_an_epoch = steps_an_epoch

    def rule(self, theta: Array, g: Array, M: Array, V: Array, learning_rate: float) -> None:
        """Apply Adam's rule with t counted from the beginning of the epoch."""
        steps = self.steps
        self.steps = (steps - 1) % self.steps_an_epoch + 1
        super().rule(theta, g, M, V, learning_rate)
        self.steps = steps


def adapted(config: RunConfig) -> RunConfig:
    """Return the settings as the rule takes them: RMSprop with its epsilon under the root."""
    return replace(config, epsilon_in_root=True) if config.optimizer == "rmsprop" else config


def make_training(config: RunConfig, data: DataSet) -> Training:
    """Make a run that `config` describes, with the rule of 2019 in place of the gradient.

    Raises
    ------
    ConfigError
        If it is no network of sigmoids with the summed squared error, which alone the rule is for.
    """
    if (config.activation, config.loss, config.loss_reduction) != ("sigmoid", "mse", "sum") or (
        config.output_activation not in (None, "sigmoid")
    ):
        raise ConfigError("the rule of 2019 is for sigmoid layers and the loss mse with the reduction sum.")
    plain = config.make_network(data)
    n = batch_length(config.batch_size, len(data.train))
    layers: list[Layer] = [
        SigmoidDense2019(layer.units, layer.weights, layer.bias, samples=n, moves_bias=config.optimizer != "sgd")
        for layer in plain.layers
        if isinstance(layer, Dense)
    ]
    if len(data.input_shape) > 1:
        layers.insert(0, Flatten())
    network = Network(layers, data.input_shape, seed=config.seed)
    config = adapted(config)
    training = config.make_training(data, network)
    if config.optimizer == "adam":
        rule = training.optimizer
        assert isinstance(rule, Adam)
        settings = {name: getattr(rule, name) for name in ("beta1", "beta2", "epsilon")}
        optimizer = EpochAdam(training.steps_an_epoch, learning_rate=rule.schedule, **settings)
        training = config.make_training(data, network, optimizer)
    return training
