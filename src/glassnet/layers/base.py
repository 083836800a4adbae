"""The contract of a layer, and what it finds in its workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from numpy.typing import NDArray

from glassnet.params import Param, Views
from glassnet.randomness import CounterRandom

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Buffer:
    """A named array that a layer needs for one batch.

    Parameters
    ----------
    shape : whole shape, the batch included wherever the layer wants it
    dtype : None is the network's
    over : "x" or "dy": the layer can also work in place, over its input or over dL/dy; the workspace decides
    fill : what it holds from the beginning, and for ever: nobody writes into it
    """

    shape: Shape
    dtype: Any = None
    over: Literal["x", "dy"] | None = None
    fill: float | None = None


class LayerSpace(Views):
    """What one layer finds in the workspace: its buffers by name, and the few facts below."""

    if TYPE_CHECKING:
        x: Array  # input of the last forward
        train: bool  # False: dropout and the like are off, no backward follows
        needs_dx: bool  # False: nothing below has parameters; backward may return None
        clock: Any  # .step and .row: where in the run this batch stands
        random: CounterRandom


@dataclass(frozen=True)
class Layer:
    """Base of all layers, and their contract; this one passes everything through.

    `forward` returns y and may leave in `ws` what `backward` needs (``ws.x`` is set for it). `backward` overwrites
    every gradient in `g` and returns dL/dx. Both write into the buffers that the layer asked for; the one that forward
    returns is called ``y``, the one that backward returns ``dx``.
    """

    keeps_output: ClassVar[bool] = False
    """backward reads y, so nobody above may work in place over it."""
    keeps_input: ClassVar[bool] = False
    """backward reads x, so this layer's own output may not lie over it."""
    couples_samples: ClassVar[bool] = False
    """A sample's output depends on the others of its batch, so a batch can not be cut into parts."""
    uses_randomness: ClassVar[bool] = False
    """It draws numbers by the place of a sample in its batch, so samples must keep their places."""
    takes_staircase: ClassVar[bool] = False
    """As the first layer its x may be a `glassnet.data.columns.Staircase`, and W its last parameter. Not inherited: a
    class that is made from such a layer may do something else with x, so it must say so itself."""

    def output_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of one sample's output; raise ConfigError where the input does not fit."""
        return in_shape

    def params(self, in_shape: Shape) -> dict[str, Param]:
        """Return the trained arrays by name."""
        return {}

    def state(self, in_shape: Shape) -> dict[str, Param]:
        """Return by name the arrays that are saved but not trained, such as running statistics."""
        return {}

    def buffers(self, in_shape: Shape, n: int, train: bool) -> dict[str, Buffer]:
        """Return by name the arrays that a batch of `n` samples needs; ``dx`` is left out where nobody needs it."""
        return {}

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """Return y."""
        return x

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array | None:
        """Write dL/dp into `g` and return dL/dx."""
        return dy
