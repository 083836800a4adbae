"""Network: layers in a row and their vectors. Workspace: the room that one batch of one thread needs.

forward    x -> y = f_L(... f_2(f_1(x)))
backward   dL/dy -> dL/dtheta, by the chain rule, last layer first
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glassnet.checks import check_count
from glassnet.errors import ConfigError
from glassnet.layers import Buffer, Layer, LayerSpace
from glassnet.params import ParamLayout, Views
from glassnet.randomness import CounterRandom

Array = NDArray[Any]


class Network:
    """A feed-forward network.

    Parameters
    ----------
    layers : from the input to the output
    input_shape : shape of one sample; an integer I is (I,)
    seed : of the initial parameters
    dtype : float32 to train, float64 to check
    theta : memory for the parameters, shape (P,), for example shared between processes; what it holds is kept and
        nothing is drawn

    Attributes
    ----------
    theta : (P,) trained parameters, one vector in the order of `layout`
    grad : (P,) dL/dtheta of the last backward pass
    state : (S,) what is saved but not trained
    params, grads : for each layer, named views into theta (and state) and into grad

    Raises
    ------
    ConfigError
        Where the layers do not fit one another.

    Examples
    --------
    >>> from glassnet.layers import Dense, ReLU, Softmax
    >>> network = Network([Dense(100), ReLU(), Dense(10), Softmax()], input_shape=784)
    >>> network.predict(np.zeros((1, 784))).round(3)[0, :3]
    array([0.1, 0.1, 0.1], dtype=float32)
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        input_shape: int | Sequence[int],
        *,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
        theta: Array | None = None,
    ) -> None:
        if isinstance(layers, Layer):
            raise ConfigError(f"the layers must be a list, even of one: [{layers!r}].")
        self.layers = tuple(layers)
        self.input_shape = tuple(int(side) for side in np.atleast_1d(input_shape))
        self.dtype = np.dtype(dtype)
        check_count("seed", seed, least=0)
        self._check()
        self.shapes = [self.input_shape]  # shapes[l] goes into layer l
        for layer in self.layers:
            self.shapes.append(layer.output_shape(self.shapes[-1]))
        pairs = list(zip(self.layers, self.shapes, strict=False))
        self.layout = ParamLayout([layer.params(shape) for layer, shape in pairs])
        self.state_layout = ParamLayout([layer.state(shape) for layer, shape in pairs])
        self.theta = np.empty(self.layout.size, self.dtype) if theta is None else self._given(theta)
        self.grad = np.zeros(self.layout.size, self.dtype)
        self.state = np.empty(self.state_layout.size, self.dtype)
        self.params = self.layout.views(self.theta)
        self.grads = self.layout.views(self.grad)
        for views, state in zip(self.params, self.state_layout.views(self.state), strict=True):
            vars(views).update(vars(state))
        if theta is None:
            self.initialize(seed)
        else:
            self._initialize_state(seed)

    def _check(self) -> None:
        if not self.layers:
            raise ConfigError("a network needs at least one layer.")
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise ConfigError(f"a network is made of layers such as Dense(100), and {layer!r} is none.")
        if not self.input_shape or min(self.input_shape) < 1:
            raise ConfigError(f"the input shape must have sides of at least 1, not {self.input_shape}.")
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ConfigError(f"a network computes in float32 or float64, not {self.dtype}.")

    def _given(self, theta: Array) -> Array:
        if theta.shape != (self.layout.size,) or theta.dtype != self.dtype or not theta.flags.c_contiguous:
            raise ConfigError(
                f"theta must be a contiguous {self.dtype} vector of {self.layout.size} numbers, "
                f"not {theta.dtype} of shape {theta.shape}."
            )
        return theta

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        return f"Network([{layers}], {self.input_shape}, dtype={self.dtype.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _copy, (self.layers, self.input_shape, self.theta, self.state)

    def initialize(self, seed: int) -> None:
        """Draw all parameters anew, first layer first, from `seed` alone."""
        self.layout.initialize(self.theta, np.random.default_rng([seed, 0]))
        self._initialize_state(seed)

    def _initialize_state(self, seed: int) -> None:
        self.state_layout.initialize(self.state, np.random.default_rng([seed, 2]))  # 1 is the order of the samples

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one sample's output."""
        return self.shapes[-1]

    @property
    def names(self) -> list[str]:
        """One name a layer, such as ``dense_1``: its class in small letters and a count."""
        counts: dict[str, int] = {}
        names = []
        for layer in self.layers:
            kind = type(layer).__name__.lower()
            counts[kind] = counts.get(kind, 0) + 1
            names.append(f"{kind}_{counts[kind]}")
        return names

    def forward(self, x: Array, ws: Workspace) -> Array:
        """Return the outputs (N, ...) of a batch x (N, ...), which must have the network's dtype and be contiguous."""
        ws.current = batch = ws.at(len(x))
        for layer, p, space in zip(self.layers, self.params, batch.spaces, strict=True):
            space.x = x
            x = layer.forward(p, x, space)
        return x

    def backward(
        self, dy: Array, ws: Workspace, *, skip_last: bool = False, grads: Sequence[Views] | None = None
    ) -> None:
        """Write dL/dtheta of the last forward pass in `ws` into `grad`, or another vector.

        Parameters
        ----------
        dy : dL/dy of the network's output, or with `skip_last` dL/dx of its last layer (a fused loss gives that);
            lost afterwards
        grads : ``layout.views`` of the other vector
        """
        spaces = ws.current.spaces
        grads = self.grads if grads is None else grads
        ws.top = len(self.layers) - (2 if skip_last else 1)
        for i in range(ws.top, ws.lowest - 1, -1):
            below = self.layers[i].backward(self.params[i], grads[i], dy, spaces[i])
            dy = dy if below is None else below  # None: the lowest layer with parameters, where the loop ends

    def predict(self, x: Array, *, batch_size: int = 1000) -> Array:
        """Return the outputs of any number of samples, in evaluation mode.

        Parameters
        ----------
        x : (N, ...) preprocessed samples, any real dtype
        batch_size : samples at a time, a matter of memory alone

        Raises
        ------
        ConfigError
            If the samples do not have the network's input shape.
        """
        x = np.asarray(x)
        if x.shape[1:] != self.input_shape:
            raise ConfigError(
                f"the network takes samples of shape {self.input_shape}, so an array of shape (N, "
                f"{', '.join(map(str, self.input_shape))}), not {x.shape}."
            )
        out = np.empty((len(x), *self.output_shape), self.dtype)
        ws = Workspace(self, min(batch_size, max(len(x), 1)), train=False)
        for start in range(0, len(x), batch_size):
            part = np.ascontiguousarray(x[start : start + batch_size], self.dtype)
            out[start : start + batch_size] = self.forward(part, ws)
        return out

    def summary(self) -> str:
        """Return the table of layers, output shapes and parameter counts that Keras users know.

        Examples
        --------
        >>> from glassnet.layers import Dense, ReLU
        >>> print(Network([Dense(3), ReLU()], input_shape=2).summary())
        Layer (type)      Output Shape      Param #
        -------------------------------------------
        dense_1 (Dense)   (N, 3)                  9
        relu_1 (ReLU)     (N, 3)                  0
        -------------------------------------------
        Trained parameters: 9 (36 bytes)
        """
        counts = [sum(param.size for param in params.values()) for params in self.layout.layers]
        rows = [
            (f"{name} ({type(layer).__name__})", f"(N, {', '.join(map(str, shape))})", f"{count:,}")
            for name, layer, shape, count in zip(self.names, self.layers, self.shapes[1:], counts, strict=True)
        ]
        head = ("Layer (type)", "Output Shape", "Param #")
        widths = [max(len(row[i]) for row in [head, *rows]) + 3 for i in range(3)]
        line = "-" * sum(widths)
        first, *rest = [f"{a:<{widths[0]}}{b:<{widths[1]}}{c:>{widths[2]}}" for a, b, c in [head, *rows]]
        total = f"Trained parameters: {self.layout.size:,} ({self.theta.nbytes:,} bytes)"
        kept = [f"Saved, not trained: {self.state_layout.size:,}"] if self.state_layout.size else []
        return "\n".join([first, line, *rest, line, total, *kept])


def _copy(layers: tuple[Layer, ...], input_shape: tuple[int, ...], theta: Array, state: Array) -> Network:
    """Make what `copy` and `pickle` return: views into the copy's own vectors, which a plain deep copy tears off."""
    network = Network(layers, input_shape, dtype=theta.dtype, theta=theta)
    network.state[:] = state
    return network


@dataclass
class BatchViews:
    """The part of a workspace that belongs to one batch length."""

    spaces: list[LayerSpace]
    dy: Array  # room for the gradient of the loss, in the shape of the output


class Workspace:
    """Room for the batches of one thread in one mode.

    Buffers are made for the largest batch; a shorter one gets contiguous views into the same memory. A layer that can
    work in place does so over its input (dL/dx: over dL/dy) where nobody reads that again.

    Parameters
    ----------
    network : whose layers say what they need
    batch_size : the largest batch
    train : False leaves out what only training needs
    seed : of the randomness inside steps
    keep_all : give every buffer memory of its own, so that all intermediate values can be looked at afterwards; the
        numbers are the same bits
    frozen : indices of layers that are not trained: where the lowest ones are among them, backward ends above these

    Attributes
    ----------
    clock : ``.step`` and ``.row`` say where in the run the batch stands: the masks of dropout depend on them
    current : the views used by the last forward pass
    """

    def __init__(
        self,
        network: Network,
        batch_size: int,
        *,
        train: bool = True,
        seed: int = 0,
        keep_all: bool = False,
        frozen: Collection[int] = (),
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"a workspace needs a batch size of at least 1, not {batch_size}.")
        self.network = network
        self.batch_size = batch_size
        self.train = train
        self.clock = SimpleNamespace(step=0, row=0)
        trained = [i for i, params in enumerate(network.layout.layers) if params and i not in frozen]
        self.lowest = trained[0] if trained else len(network.layers)
        """Index of the lowest layer that is trained: nothing at or below it computes dL/dx."""
        self.top = len(network.layers) - 1
        """Index of the highest layer that the last backward pass went through."""
        self._random = [CounterRandom(seed, i) for i in range(len(network.layers))] if train else []
        self._keep_all = keep_all
        self._memory: dict[tuple[int, str], Array] = {}
        self._plan = self._share_memory()
        self._batches: dict[int, BatchViews] = {}
        self.current = self.at(batch_size)

    def _buffers(self, i: int, n: int) -> dict[str, Buffer]:
        wanted = self.network.layers[i].buffers(self.network.shapes[i], n, self.train)
        if not self.train or i <= self.lowest:
            wanted.pop("dx", None)
        return wanted

    def _share_memory(self) -> dict[tuple[int, str], tuple[int, str]]:
        """Decide for every buffer in whose memory it lies, and allocate that; the key (-1, "dy") is the loss's."""
        layers = self.network.layers
        owners: dict[tuple[int, str], tuple[int, str]] = {}
        wanted = [self._buffers(i, self.batch_size) for i in range(len(layers))]
        output: tuple[int, str] | None = None  # where the current layer's input lies; None: nobody may write there
        for i, layer in enumerate(layers):
            for name, buffer in wanted[i].items():
                inside = buffer.over == "x" and i < len(layers) - 1 and not self._keep_all
                if inside and output and self._alike(buffer, wanted[output[0]][output[1]]):
                    owners[i, name] = output
                elif buffer.over != "dy":
                    owners[i, name] = (i, name)
            if (i, "y") in owners:
                output = owners[i, "y"]
            if layer.keeps_output or (layer.keeps_input and "y" not in wanted[i]):
                output = None
        above = (-1, "dy")
        for i in reversed(range(len(layers))):
            for name, buffer in wanted[i].items():
                if buffer.over == "dy":
                    owners[i, name] = (i, name) if self._keep_all else above
            above = owners.get((i, "dx"), above)
        for i, name in set(owners.values()) - {(-1, "dy")}:
            self._memory[i, name] = self._allocate(wanted[i][name])
        self._constants = {key for key in owners if wanted[key[0]][key[1]].fill is not None}
        if self.train:
            self._memory[-1, "dy"] = self._allocate(Buffer((self.batch_size, *self.network.output_shape)))
        return owners

    def _alike(self, a: Buffer, b: Buffer) -> bool:
        """Say whether one could lie in the memory of the other."""
        return math.prod(a.shape) == math.prod(b.shape) and (a.dtype or self.network.dtype) == (
            b.dtype or self.network.dtype
        )

    def _allocate(self, buffer: Buffer) -> Array:
        dtype = buffer.dtype or self.network.dtype
        if buffer.fill is not None:
            return np.full(math.prod(buffer.shape), buffer.fill, dtype)
        return np.empty(math.prod(buffer.shape), dtype)

    def at(self, n: int) -> BatchViews:
        """Return the views for a batch of `n` samples, made once for each length."""
        batch = self._batches.get(n)
        if batch is None:
            if n > self.batch_size:
                raise ConfigError(f"a batch of {n} samples does not fit a workspace made for {self.batch_size}.")
            batch = self._batches[n] = self._views(n)
        return batch

    def _views(self, n: int) -> BatchViews:
        spaces = []
        for i in range(len(self.network.layers)):
            arrays = {
                name: self._memory[self._plan[i, name]][: math.prod(buffer.shape)].reshape(buffer.shape)
                for name, buffer in self._buffers(i, n).items()
            }
            facts = {"train": self.train, "needs_dx": self.train and i > self.lowest, "clock": self.clock}
            random = {"random": self._random[i]} if self.train else {}
            spaces.append(LayerSpace(**arrays, **facts, **random))
        shape = (n, *self.network.output_shape)
        dy = self._memory[-1, "dy"][: math.prod(shape)].reshape(shape) if self.train else np.empty(0)
        return BatchViews(spaces, dy)

    @property
    def memory(self) -> list[Array]:
        """The arrays in which all buffers lie, but those that nobody writes into."""
        return [array for key, array in self._memory.items() if key not in self._constants]

    @property
    def scores(self) -> Array:
        """What went into the last layer in the last forward pass: the z of a fused loss."""
        return self.current.spaces[-1].x
