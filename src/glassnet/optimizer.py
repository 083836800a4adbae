"""What every optimizer shares: the schedule, the count of steps, the rows of state, and what comes before the rule.

A step is::

    lr = schedule(steps);  steps = steps + 1
    g = clip(g)                                 by value, then by the norm of all of g
    g = g + l2 theta                            weight decay as a penalty, on the parts that decay
    theta = theta - lr weight_decay theta       weight decay apart from the gradient, on the same parts
    rule(theta, g, *rows, *scratch, lr)         the lines of the paper

The rules themselves, in the order of their history, are in `glassnet.optim`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from glassnet.checks import check_count, check_number
from glassnet.errors import ConfigError
from glassnet.schedules import Constant, Schedule, describe

Vector: TypeAlias = npt.NDArray[np.floating[Any]]
"""A flat vector, (P,), of float32 or float64."""


Mixes: TypeAlias = Literal["all", "parts", "nothing"]
"""Which parameters a rule mixes with one another, see `Optimizer`."""

MOST_STEPS = 2**53
"""Up to here every number of steps is a float64, too, which the rules compute with."""

FLUSH_EVERY = 64
"""Steps between two times at which numbers of the state that are nearly zero become zero, see `Optimizer._flush`."""


@dataclass(frozen=True)
class Part:
    """One array that lies in theta, and how it is to be treated.

    Parameters
    ----------
    start : int
        Where it begins.
    shape : tuple of int
        Its shape, in C order; weights are (I, O), as in y = x W.
    decays : bool
        Whether weight decay applies to it; to biases it does not, as a rule.
    output : bool
        Whether it belongs to the last layer, which `Muon` treats apart.

    Examples
    --------
    >>> Part(3, (2, 4)).slice
    slice(3, 11, None)
    """

    start: int
    shape: tuple[int, ...]
    decays: bool = True
    output: bool = False

    @property
    def slice(self) -> slice:
        """Its place in theta."""
        return slice(self.start, self.start + math.prod(self.shape))


class Common(TypedDict, total=False):
    """The keyword arguments that every optimizer takes, see `Optimizer`."""

    l2: float
    weight_decay: float
    clip_value: float | None
    clip_norm: float | None


class Optimizer(ABC):
    """Base of the rules.

    A rule writes `rule(theta, g, *rows, *scratch, learning_rate)` and names its rows; this class owns them. No
    rule but `Muon`'s mixes one parameter with another, so instances that each own a slice of theta give, bit for
    bit, what one instance on the whole gives (`clip_norm` needs the square sum of the whole, see `total`).

    Parameters
    ----------
    learning_rate : float or Schedule
        A rate above 0, or a function from the step (0-based) to the rate.
    l2 : float
        Weight decay as a penalty l2/2 |theta|^2 in the loss: g = g + l2 theta. At least 0.
    weight_decay : float
        Weight decay apart from the gradient: theta = theta - lr weight_decay theta. At least 0. For `SGD` the two
        are the same; a rule that divides by the size of the gradients would divide the penalty as well.
    clip_value : float, optional
        No entry of g may be larger: above 0.
    clip_norm : float, optional
        Where the norm of all of g is larger, g is scaled down to it: above 0.

    Attributes
    ----------
    rows : tuple of str
        Names of the rule's state, each a row of P numbers.
    scratch : tuple of str
        Names of the rows that are lent to the rule and mean nothing between two steps.
    scalars : dict of str to float
        Names of single numbers of state, which are attributes, and their values before the first step.
    hyperparameters : tuple of str
        Names of the constructor's own arguments, which are attributes of the instance too.
    zero_gradient_is_noop : bool
        True where a gradient of zero leaves parameter and state alone, so that the step may skip it.
    mixes : {"all", "parts", "nothing"}
        Which parameters a step mixes with one another: any, as is assumed of a new rule, which then cannot be shared
        out among workers; those of the same part; or none, where besides a parameter whose gradients were all zero
        stays as it is, so that training may leave it out.
    total : callable
        What makes of the square sum of g that of the whole gradient, for `clip_norm`, where this instance owns a
        slice of the parameters and others the rest. By default there is no rest.
    schedule : Schedule
        The learning rate as a function of the step; may be replaced between two steps.
    steps : int
        Steps done, which is t within a rule.

    Raises
    ------
    ConfigError
        If the learning rate is neither a function nor a number above 0, or another argument is out of its bounds.

    Examples
    --------
    A new rule is one method (this one is Bernstein et al. (2018), "signSGD", algorithm 1):

    >>> class SignSGD(Optimizer):
    ...     def rule(self, theta, g, learning_rate):
    ...         np.sign(g, out=g)
    ...         g *= learning_rate
    ...         theta -= g  # theta = theta - lr sign(g)
    >>> theta = np.array([1.0, -2.0])
    >>> SignSGD(0.5, clip_norm=1.0).step(theta, np.array([30.0, -0.001]))
    >>> theta
    array([ 0.5, -1.5])

    References
    ----------
    Hanson & Pratt (1988), "Comparing biases for minimal network construction with back-propagation", for weight
    decay; Loshchilov & Hutter (2019), "Decoupled weight decay regularization", algorithms 1 and 2, for the
    difference; Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks",
    algorithm 1, for clipping by the norm.

    `torch.optim.Optimizer` and `keras.optimizers.Optimizer` hold lists of tensors and keep state for each; here there
    is one vector, which the network sees as named views. PyTorch's `weight_decay` is `l2` here but for AdamW and
    others that say so; Keras's is decoupled everywhere. Both decay biases unless told otherwise; glassnet does not.
    Keras has clipping as `clipvalue` and `global_clipnorm` (its `clipnorm` is for each array by itself); PyTorch has
    `clip_grad_value_` and `clip_grad_norm_`, which divides by the norm + 1e-6. PyTorch's schedulers are objects
    with a state of their own that set the rate from outside; Keras's are functions of the step, as here.
    """

    rows: ClassVar[tuple[str, ...]] = ()
    scratch: ClassVar[tuple[str, ...]] = ()
    scalars: ClassVar[dict[str, float]] = {}
    hyperparameters: ClassVar[tuple[str, ...]] = ()
    zero_gradient_is_noop: bool = False
    mixes: ClassVar[Mixes] = "all"

    def __init__(
        self,
        learning_rate: float | Schedule,
        *,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        self.schedule: Schedule = learning_rate if callable(learning_rate) else Constant(learning_rate)
        self.l2 = check_number("l2", l2, least=0)
        self.weight_decay = check_number("weight_decay", weight_decay, least=0)
        self.clip_value = None if clip_value is None else check_number("clip_value", clip_value, above=0)
        self.clip_norm = None if clip_norm is None else check_number("clip_norm", clip_norm, above=0)
        if self.l2 or self.weight_decay:
            self.zero_gradient_is_noop = False
        self.steps = 0
        self.total: Callable[[float], float] = float
        self._vectors: tuple[Vector, ...] | None = None  # the rows, then the scratch

    @abstractmethod
    def rule(self, theta: Vector, g: Vector, *args: Any, **kwargs: Any) -> None:
        """Update theta and the rows of state in place.

        Parameters
        ----------
        theta : ndarray, (P,)
            Parameters; updated.
        g : ndarray, (P,)
            Gradient; scratch afterwards.
        *args
            The rows of state, the rows of scratch, each (P,), and the learning rate, a Python float.
        **kwargs
            None are handed in.
        """

    def prepare(self) -> None:
        """Give rows another initial value than 0, or make room of another shape; called by `allocate`."""

    def begin(self, theta: Vector) -> None:
        """Take what the rule needs from the initial parameters; called before the first step."""

    def allocate(
        self,
        size: int,
        dtype: npt.DTypeLike,
        parts: Sequence[Part] | None = None,
        memory: npt.NDArray[np.floating[Any]] | None = None,
    ) -> None:
        """Make the rows of state for `size` parameters, at their initial values, and set `steps` to 0.

        Parameters
        ----------
        size : int
            P, the number of parameters.
        dtype : data type
            The floating-point type of theta.
        parts : sequence of Part, optional
            The arrays that lie in theta. What belongs to none does not decay. By default one, all of theta.
        memory : ndarray, (rows, P), optional
            Where the rows shall lie, for example shared between processes.

        Raises
        ------
        ConfigError
            If the size is negative, the type is not a floating-point one, the parts do not lie in theta, each
            apart from the others, or the memory is of another shape or type.

        Examples
        --------
        >>> from glassnet.optim import Adam
        >>> adam = Adam()
        >>> adam.allocate(2, np.float32)
        >>> adam.state()
        {'steps': 0, 'M': array([0., 0.], dtype=float32), 'V': array([0., 0.], dtype=float32)}
        """
        check_count("size", size, least=0)
        if np.dtype(dtype).kind != "f":
            raise ConfigError(f"Parameters of type {np.dtype(dtype)} cannot be stepped; give float32 or float64.")
        parts = (Part(0, (size,)),) if parts is None else tuple(sorted(parts, key=lambda part: part.start))
        end = 0
        for part in parts:
            if not end <= part.slice.start <= part.slice.stop <= size:
                raise ConfigError(
                    f"{part} does not lie in a vector of {size} parameters, or lies over another; give parts of theta."
                )
            end = part.slice.stop
        self._size, self._dtype, self.parts = size, np.dtype(dtype), parts
        self._decaying = [part.slice for part in parts if part.decays]
        self._room = np.empty(size if self.l2 else 0, dtype)
        if memory is None:
            memory = np.empty((len(self.rows), size), dtype)
        if memory.shape != (len(self.rows), size) or memory.dtype != self._dtype:
            raise ConfigError(
                f"The memory for {len(self.rows)} rows of {size} parameters of {self._dtype} can not be of shape "
                f"{memory.shape} and {memory.dtype}."
            )
        memory[...] = 0.0
        self._vectors = (*memory, *np.zeros((len(self.scratch), size), dtype))
        self.steps = 0
        for name, value in self.scalars.items():
            setattr(self, name, value)
        self.prepare()

    def step(self, theta: Vector, grad: Vector) -> None:
        """Update `theta` in place by one step; the first one allocates the state if nobody has.

        Parameters
        ----------
        theta : ndarray, (P,)
            Parameters, or the slice of them that this instance owns. Where `zero_gradient_is_noop`, the leading ones
            are enough if all gradients after them are zero.
        grad : ndarray, (P,)
            The loss's gradient at theta, of the same type. The rules compute in it: it is scratch afterwards.

        Raises
        ------
        ConfigError
            If the vectors are not of the size and type that the state was allocated for.

        Examples
        --------
        Down the parabola theta^2, whose gradient is 2 theta:

        >>> from glassnet.optim import SGD
        >>> theta = np.array([1.0])
        >>> sgd = SGD(learning_rate=0.25)
        >>> for _ in range(3):
        ...     sgd.step(theta, 2 * theta)
        >>> theta
        array([0.125])
        """
        if self._vectors is None:
            self.allocate(theta.size, theta.dtype)
        vectors = self._allocated()
        if theta.size < self._size and self.zero_gradient_is_noop:
            vectors = tuple(vector[: theta.size] for vector in vectors)
        elif theta.size != self._size:
            self._refuse(theta, grad)
        if not (theta.shape == grad.shape == (theta.size,) and theta.dtype == grad.dtype == self._dtype):
            self._refuse(theta, grad)
        if self.steps == 0:
            self.begin(theta)
        learning_rate = float(self.schedule(self.steps))  # a NumPy float64 would turn float32 into float64
        self.steps += 1
        self._clip(grad)
        if self.l2:
            for part in self._decaying:
                np.multiply(theta[part], self.l2, out=self._room[part])
                grad[part] += self._room[part]  # g = g + l2 theta
        if self.weight_decay:
            self.decay(theta, learning_rate)
        self.rule(theta, grad, *vectors, learning_rate)
        if self.steps % FLUSH_EVERY == 0:
            self._flush(vectors)

    def _flush(self, vectors: tuple[Vector, ...]) -> None:
        """Round off what decayed to below the smallest normal number: on it square roots take twice the time."""
        tiny = float(np.finfo(self._dtype).tiny / np.finfo(self._dtype).eps)  # whose last digit is that number
        for row, _ in zip(vectors, self.rows, strict=False):
            row += tiny
            row -= tiny

    def _refuse(self, theta: Vector, grad: Vector) -> None:
        raise ConfigError(
            f"This {type(self).__name__} was allocated for {self._size} parameters of {self._dtype}, but "
            f"theta is {theta.shape} {theta.dtype} and its gradient {grad.shape} {grad.dtype}; call "
            f"allocate() for these, or hand it the vectors it was allocated for."
        )

    def _clip(self, g: Vector) -> None:
        if self.clip_value is not None:
            np.clip(g, -self.clip_value, self.clip_value, out=g)
        if self.clip_norm is not None:
            with np.errstate(over="ignore"):
                norm = math.sqrt(self.total(np.dot(g, g)))
            if (
                norm == math.inf
            ):  # the squares are too large for the type, of a g / its largest number^0.65 they are not
                g *= float(np.finfo(g.dtype).max) ** -0.65
                norm = math.sqrt(self.total(np.dot(g, g)))
                g *= self.clip_norm / norm
            elif norm > self.clip_norm:
                g *= self.clip_norm / norm  # g = g c / |g|

    def decay(self, theta: Vector, learning_rate: float) -> None:
        """Apply theta = theta - lr weight_decay theta, where parameters decay.

        Parameters
        ----------
        theta : ndarray, (P,)
            Parameters; updated.
        learning_rate : float
            lr of this step.
        """
        for part in self._decaying:
            theta[part] *= 1 - learning_rate * self.weight_decay

    def eval(self, theta: Vector) -> None:
        """Write the parameters that are to be evaluated and kept into `theta`; for all but schedule-free rules, it
        holds them already. `train` goes back.

        Parameters
        ----------
        theta : ndarray, (P,)
            Parameters, as the last step left them.
        """

    def train(self, theta: Vector) -> None:
        """Write the parameters that training goes on from into `theta`, in the bits it had before `eval`.

        Parameters
        ----------
        theta : ndarray, (P,)
            Parameters, as `eval` left them.
        """

    def letters(self) -> dict[str, tuple[str, float]]:
        """Return, for each quantity of the paper, the row that stands for it and the factor between them."""
        return {name: (name, 1.0) for name in self.rows}

    def moments(self) -> dict[str, Vector]:
        """Return the paper's quantities, as fresh arrays, even where the rule keeps others for speed.

        Returns
        -------
        dict of str to ndarray, (P,)
            By the paper's letter.

        Raises
        ------
        ConfigError
            If no state has been allocated yet.

        Examples
        --------
        >>> from glassnet.optim import Adam
        >>> adam = Adam(beta1=0.75, beta2=0.875)
        >>> adam.step(np.zeros(1), np.array([8.0]))
        >>> adam.state()["M"], adam.moments()
        (array([8.]), {'m': array([2.]), 'v': array([8.])})
        """
        rows = dict(zip(self.rows, self._allocated(), strict=False))
        return {letter: rows[name] * factor for letter, (name, factor) in self.letters().items()}

    def state(self, into: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what `restore` needs to go on in the same bits: the count of steps and a copy of each row.

        Parameters
        ----------
        into : dict, optional
            What an earlier call returned, whose arrays are written again and which is returned.

        Returns
        -------
        dict
            "steps" (int), then a float for each name in `scalars`, then an array, (P,), for each name in `rows`.

        Raises
        ------
        ConfigError
            If no state has been allocated yet.

        Examples
        --------
        >>> from glassnet.optim import Momentum
        >>> momentum = Momentum(learning_rate=0.5)
        >>> momentum.step(np.zeros(2), np.array([1.0, 2.0]))
        >>> momentum.state()
        {'steps': 1, 'v': array([-0.5, -1. ])}
        """
        rows = dict(zip(self.rows, self._allocated(), strict=False))
        numbers = {"steps": self.steps} | {name: getattr(self, name) for name in self.scalars}
        if into is None:
            return numbers | {name: row.copy() for name, row in rows.items()}
        into |= numbers
        for name, row in rows.items():
            into[name][:] = row
        return into

    def restore(self, state: Mapping[str, Any]) -> None:
        """Write a saved `state` into the rows; they keep their memory.

        Parameters
        ----------
        state : mapping
            What `state()` returned, of an optimizer of the same class, size and type.

        Raises
        ------
        ConfigError
            If no state has been allocated yet, or names, shapes, types or the count do not fit; then nothing
            has been written.

        Examples
        --------
        >>> from glassnet.optim import Momentum
        >>> first, second = Momentum(), Momentum()
        >>> first.step(np.zeros(2), np.ones(2))
        >>> second.allocate(2, np.float64)
        >>> second.restore(first.state())
        >>> second.steps
        1
        """
        vectors = self._allocated()
        wanted = {"steps", *self.scalars, *self.rows}
        if set(state) != wanted:
            raise ConfigError(
                f"The state of {type(self).__name__} has {sorted(wanted)}, but this one has {sorted(state)}; "
                f"restore a state that the same class saved."
            )
        steps = check_count("steps", state["steps"], least=0)
        if steps > MOST_STEPS:
            raise ConfigError(f"The saved state claims more than {MOST_STEPS:,} steps, which nobody has taken.")
        scalars = {name: check_number(name, state[name]) for name in self.scalars}
        saved = [np.asarray(state[name]) for name in self.rows]
        for name, row in zip(self.rows, saved, strict=True):
            if row.shape != (self._size,) or row.dtype != self._dtype:
                raise ConfigError(
                    f"Row {name} of the saved state is {row.shape} {row.dtype}, but this "
                    f"{type(self).__name__} has {self._size} parameters of {self._dtype}; restore a "
                    f"state of the same network."
                )
        for vector, row in zip(vectors, saved, strict=False):  # the scratch comes last and is not saved
            vector[:] = row
        for name, value in scalars.items():
            setattr(self, name, value)
        self.steps = steps

    def describe(self) -> dict[str, Any]:
        """Return the class's name and the constructor's arguments as plain values, ready for JSON.

        Returns
        -------
        dict
            "type", "learning_rate" (see `schedules.describe`), every name in `hyperparameters`, and of the arguments
            that all optimizers take those that are in use.

        Examples
        --------
        >>> from glassnet.optim import Momentum
        >>> Momentum(0.1, clip_norm=5.0).describe()
        {'type': 'Momentum', 'learning_rate': 0.1, 'momentum': 0.9, 'form': 'classical', 'clip_norm': 5.0}
        """
        own = {name: getattr(self, name) for name in self.hyperparameters}
        common = {name: getattr(self, name) for name in Common.__annotations__ if getattr(self, name)}
        return {"type": type(self).__name__, "learning_rate": describe(self.schedule)} | own | common

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.describe().items() if name != "type")
        return f"{type(self).__name__}({arguments})"

    @property
    def allocated(self) -> bool:
        """Whether there is a state: after `allocate`, or the first step."""
        return self._vectors is not None

    def _allocated(self) -> tuple[Vector, ...]:
        if self._vectors is None:
            raise ConfigError(
                f"This {type(self).__name__} has no state yet; call allocate(size, dtype) or step once first."
            )
        return self._vectors
