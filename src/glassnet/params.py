"""One flat vector, many named views.

All trained parameters of a network lie in one vector theta, their gradients in a second of the same layout, what is
saved but not trained in a third. An optimizer then is arithmetic on whole vectors; a layer sees ``p.W`` and ``p.b``,
views into them. Who changes parameters writes into the vector and never rebinds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glassnet.initializers import Fans, Initializer


class Views(SimpleNamespace):
    """Named arrays, reached as attributes: ``p.W``."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Param:
    """One array of a layer: its shape, how it starts, and whether weight decay applies to it."""

    shape: tuple[int, ...]
    initializer: Initializer
    fans: Fans
    decays: bool = True

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Slot:
    """Where one array lies in the vector: of which layer, under which name, from where to where."""

    layer: int
    name: str
    param: Param
    start: int

    @property
    def slice(self) -> slice:
        """The part of the vector."""
        return slice(self.start, self.start + self.param.size)


@dataclass(frozen=True)
class ParamLayout:
    """The order of all arrays in one vector, last layer first and, within a layer, last array first.

    So the first layer's weights, which are most of the parameters of a dense network, lie at the end, and the rows that
    belong to dark pixels can be left out as one slice.

    Parameters
    ----------
    layers : for each layer, name -> `Param`

    Examples
    --------
    >>> from glassnet.initializers import Zeros
    >>> W, b = Param((2, 3), Zeros(), Fans(2, 3)), Param((3,), Zeros(), Fans(2, 3))
    >>> layout = ParamLayout([{"W": W, "b": b}])
    >>> [slot.name for slot in layout.slots], layout.size
    (['b', 'W'], 9)
    """

    layers: Sequence[dict[str, Param]]
    slots: tuple[Slot, ...] = field(init=False)

    def __post_init__(self) -> None:
        slots, start = [], 0
        for layer in reversed(range(len(self.layers))):
            for name, param in reversed(self.layers[layer].items()):
                slots.append(Slot(layer, name, param, start))
                start += param.size
        object.__setattr__(self, "slots", tuple(slots))

    @property
    def size(self) -> int:
        """Length P of the vector."""
        return sum(slot.param.size for slot in self.slots)

    def views(self, vector: NDArray[Any]) -> list[Views]:
        """Return, for each layer, its named views into `vector`."""
        views = [Views() for _ in self.layers]
        for slot in self.slots:
            setattr(views[slot.layer], slot.name, vector[slot.slice].reshape(slot.param.shape))
        return views

    def initialize(self, vector: NDArray[Any], rng: np.random.Generator) -> None:
        """Draw every array anew into `vector`, first layer first."""
        for slot in reversed(self.slots):
            vector[slot.slice] = slot.param.initializer(rng, slot.param.shape, slot.param.fans).ravel()
