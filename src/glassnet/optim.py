"""Optimizers, from simple to complex: a short history of gradient descent in five rules.

* 1847, 1951 `SGD`: walk against the gradient.
* 1964 `Momentum`: keep rolling.
* 2011 `Adagrad`: a learning rate for each parameter, smaller where gradients were large.
* 2012 `RMSprop`: the same, forgetting old gradients.
* 2015 `Adam`: RMSprop with momentum, corrected for having started at zero.

A rule is the line of its paper, in place, over one flat vector theta of P parameters and its gradient g. Its
price is the number of passes over P numbers, which each docstring states. Letters are the same everywhere:
theta (P,), g (P,), lr the learning rate of the step, t the number of the step, 1 for the first.

In float32 the square of a gradient below 1e-23 is 0, and the sum of squares of gradients above about 1e17 is
infinite; between these every rule gives finite steps.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from glassnet.checks import check_count, check_number
from glassnet.errors import ConfigError
from glassnet.schedules import Constant, Schedule

Vector: TypeAlias = npt.NDArray[np.floating[Any]]
"""A flat vector, (P,), of float32 or float64."""


class Optimizer(ABC):
    """What every rule shares: the schedule, the count of steps and the rows of state.

    A rule writes `rule(theta, g, *rows, *scratch, learning_rate)` and names its rows; this class owns them::

        lr = schedule(steps);  steps = steps + 1;  rule(theta, g, *rows, *scratch, lr)

    No rule mixes one parameter with another, so instances that each own a slice of theta give, bit for bit,
    what one instance on the whole gives.

    Parameters
    ----------
    learning_rate : float or Schedule
        A rate above 0, or a function from the step (0-based) to the rate.

    Attributes
    ----------
    rows : tuple of str
        Names of the rule's state, each a row of P numbers.
    scratch : tuple of str
        Names of the rows that are lent to the rule and mean nothing between two steps.
    hyperparameters : tuple of str
        Names of the constructor's other arguments, which are attributes of the instance too.
    zero_gradient_is_noop : bool
        True where a gradient of zero leaves parameter and state alone, so that the step may skip it.
    schedule : Schedule
        The learning rate as a function of the step; may be replaced between two steps.
    steps : int
        Steps done, which is t within a rule.

    Raises
    ------
    ConfigError
        If the learning rate is neither a function nor a number above 0.

    Examples
    --------
    A new rule is one method (this one is Bernstein et al. (2018), "signSGD", algorithm 1):

    >>> class SignSGD(Optimizer):
    ...     def rule(self, theta, g, learning_rate):
    ...         np.sign(g, out=g)
    ...         g *= learning_rate
    ...         theta -= g  # theta = theta - lr sign(g)
    >>> theta = np.array([1.0, -2.0])
    >>> SignSGD(0.5).step(theta, np.array([30.0, -0.001]))
    >>> theta
    array([ 0.5, -1.5])

    References
    ----------
    `torch.optim.Optimizer` and `keras.optimizers.Optimizer` hold lists of tensors and keep state for each;
    here there is one vector, which the network sees as named views. PyTorch's schedulers are objects with a
    state of their own that set the rate from outside; Keras's are functions of the step, as here.
    """

    rows: ClassVar[tuple[str, ...]] = ()
    scratch: ClassVar[tuple[str, ...]] = ()
    hyperparameters: ClassVar[tuple[str, ...]] = ()
    zero_gradient_is_noop: ClassVar[bool] = False

    def __init__(self, learning_rate: float | Schedule) -> None:
        self.schedule: Schedule = learning_rate if callable(learning_rate) else Constant(learning_rate)
        self.steps = 0
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

    def allocate(self, size: int, dtype: npt.DTypeLike) -> None:
        """Make the rows of state for `size` parameters, at their initial values, and set `steps` to 0.

        Parameters
        ----------
        size : int
            P, the number of parameters.
        dtype : data type
            The floating-point type of theta.

        Raises
        ------
        ConfigError
            If the size is negative, or the type is not a floating-point one.

        Examples
        --------
        >>> adam = Adam()
        >>> adam.allocate(2, np.float32)
        >>> adam.state()
        {'steps': 0, 'M': array([0., 0.], dtype=float32), 'V': array([0., 0.], dtype=float32)}
        """
        check_count("size", size, least=0)
        if np.dtype(dtype).kind != "f":
            raise ConfigError(f"Parameters of type {np.dtype(dtype)} cannot be stepped; give float32 or float64.")
        self._size, self._dtype = size, np.dtype(dtype)
        self._vectors = tuple(np.zeros((len(self.rows) + len(self.scratch), size), dtype))
        self.steps = 0

    def step(self, theta: Vector, grad: Vector) -> None:
        """Update `theta` in place by one step; the first one allocates the state if nobody has.

        Parameters
        ----------
        theta : ndarray, (P,)
            Parameters, or the slice of them that this instance owns.
        grad : ndarray, (P,)
            The loss's gradient at theta, of the same type. The rules compute in it: it is scratch afterwards.

        Raises
        ------
        ConfigError
            If the vectors are not of the size and type that the state was allocated for.

        Examples
        --------
        Down the parabola theta^2, whose gradient is 2 theta:

        >>> theta = np.array([1.0])
        >>> sgd = SGD(learning_rate=0.25)
        >>> for _ in range(3):
        ...     sgd.step(theta, 2 * theta)
        >>> theta
        array([0.125])
        """
        if self._vectors is None:
            self.allocate(theta.size, theta.dtype)
        if not (theta.shape == grad.shape == (self._size,) and theta.dtype == grad.dtype == self._dtype):
            raise ConfigError(
                f"This {type(self).__name__} was allocated for {self._size} parameters of {self._dtype}, but "
                f"theta is {theta.shape} {theta.dtype} and its gradient {grad.shape} {grad.dtype}; call "
                f"allocate() for these, or hand it the vectors it was allocated for."
            )
        learning_rate = float(self.schedule(self.steps))  # a NumPy float64 would turn float32 into float64
        self.steps += 1
        self.rule(theta, grad, *self._allocated(), learning_rate)

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
        >>> adam = Adam(beta1=0.75)
        >>> adam.step(np.zeros(1), np.array([8.0]))
        >>> adam.state()["M"], adam.moments()["m"]
        (array([8.]), array([2.]))
        """
        return self._copies()

    def state(self, into: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what `restore` needs to go on in the same bits: the count of steps and a copy of each row.

        Parameters
        ----------
        into : dict, optional
            What an earlier call returned, whose arrays are written again and which is returned.

        Returns
        -------
        dict
            "steps" (int), then an array, (P,), for each name in `rows`.

        Raises
        ------
        ConfigError
            If no state has been allocated yet.

        Examples
        --------
        >>> momentum = Momentum(learning_rate=0.5)
        >>> momentum.step(np.zeros(2), np.array([1.0, 2.0]))
        >>> momentum.state()
        {'steps': 1, 'v': array([-0.5, -1. ])}
        """
        if into is None:
            return {"steps": self.steps, **self._copies()}
        into["steps"] = self.steps
        for name, row in zip(self.rows, self._allocated(), strict=False):
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
        >>> first, second = Momentum(), Momentum()
        >>> first.step(np.zeros(2), np.ones(2))
        >>> second.allocate(2, np.float64)
        >>> second.restore(first.state())
        >>> second.steps
        1
        """
        vectors = self._allocated()
        wanted = {"steps", *self.rows}
        if set(state) != wanted:
            raise ConfigError(
                f"The state of {type(self).__name__} has {sorted(wanted)}, but this one has {sorted(state)}; "
                f"restore a state that the same class saved."
            )
        steps = check_count("steps", state["steps"], least=0)
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
        self.steps = steps

    def describe(self) -> dict[str, Any]:
        """Return the class's name and the constructor's arguments as plain values, ready for JSON.

        Returns
        -------
        dict
            "type", "learning_rate" and every name in `hyperparameters`. A schedule of `glassnet.schedules`
            other than `Constant` is a dict of its own; any other function is its `repr`.

        Examples
        --------
        >>> Momentum(0.1).describe()
        {'type': 'Momentum', 'learning_rate': 0.1, 'momentum': 0.9, 'form': 'classical'}
        """
        schedule: Any = self.schedule
        learning_rate: Any = repr(schedule)
        if isinstance(schedule, Constant):
            learning_rate = schedule.learning_rate
        elif dataclasses.is_dataclass(schedule) and not isinstance(schedule, type):
            learning_rate = {"type": type(schedule).__name__, **dataclasses.asdict(schedule)}
        others = {name: getattr(self, name) for name in self.hyperparameters}
        return {"type": type(self).__name__, "learning_rate": learning_rate, **others}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.describe().items() if name != "type")
        return f"{type(self).__name__}({arguments})"

    def _allocated(self) -> tuple[Vector, ...]:
        if self._vectors is None:
            raise ConfigError(
                f"This {type(self).__name__} has no state yet; call allocate(size, dtype) or step once first."
            )
        return self._vectors

    def _copies(self) -> dict[str, Vector]:
        return {name: row.copy() for name, row in zip(self.rows, self._allocated(), strict=False)}


class SGD(Optimizer):
    """Gradient descent: a step against the gradient.

    theta = theta - lr g

    It is called stochastic when g comes from a batch instead of all samples; the rule is the same. 2 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.

    Raises
    ------
    ConfigError
        If the learning rate is not above 0.

    Examples
    --------
    >>> theta = np.array([1.0, 2.0])
    >>> SGD(learning_rate=0.5).step(theta, np.array([1.0, -1.0]))
    >>> theta
    array([0.5, 2.5])

    References
    ----------
    Cauchy (1847), "Méthode générale pour la résolution des systèmes d'équations simultanées"; with noisy
    gradients Robbins & Monro (1951), "A stochastic approximation method". PyTorch's and Keras's
    `SGD` agree; theirs take a momentum as well, which is the next class here. PyTorch's default rate is
    0.001, Keras's 0.01.
    """

    zero_gradient_is_noop = True

    def __init__(self, learning_rate: float | Schedule = 0.01) -> None:
        super().__init__(learning_rate)

    def rule(self, theta: Vector, g: Vector, learning_rate: float) -> None:
        """Apply theta = theta - lr g."""
        g *= learning_rate
        theta -= g  # theta = theta - lr g


class Momentum(Optimizer):
    """Gradient descent of a heavy ball: it keeps a part of its last step.

    Three forms are in use, with mu = momentum::

        classical:  v = mu v - lr g             theta = theta + v
        sum:        v = mu v + g                theta = theta - lr v
        mean:       v = mu v + (1 - mu) g       theta = theta - lr v

    While lr is constant, classical and sum are the same walk. When it changes, the classical v carries the
    old rates along, whereas sum applies the new one to all of v at once. The mean form walks as sum does at a
    rate of (1 - mu) lr: ten times shorter steps at mu = 0.9. It keeps the running sum M, v = (1 - mu) M, and
    scales once. 4 passes in each form.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.
    momentum : float
        mu, the part of v that is kept, at least 0 and below 1. With 0 every form is `SGD`.
    form : {"classical", "sum", "mean"}
        Which of the three.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds, or the form is none of the three.

    Examples
    --------
    Two steps on the same slope, 1 and then 1 + 0.5:

    >>> theta = np.array([0.0])
    >>> momentum = Momentum(learning_rate=1.0, momentum=0.5)
    >>> for _ in range(2):
    ...     momentum.step(theta, np.array([1.0]))
    ...     print(theta)
    [-1.]
    [-2.5]

    References
    ----------
    Polyak (1964), "Some methods of speeding up the convergence of iteration methods", the heavy ball; in
    the classical form as Sutskever, Martens, Dahl & Hinton (2013), "On the importance of initialization and
    momentum in deep learning", equations 1 and 2. Keras's `SGD(momentum=)` is classical, PyTorch's is sum.
    PyTorch's with ``dampening=momentum`` is mean but for its first step, where v is g undamped.
    """

    rows = ("v",)
    hyperparameters = ("momentum", "form")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.9,
        form: Literal["classical", "sum", "mean"] = "classical",
    ) -> None:
        super().__init__(learning_rate)
        self.momentum = check_number("momentum", momentum, least=0, below=1)
        if form not in ("classical", "sum", "mean"):
            raise ConfigError(f'form is {form!r}; give "classical", "sum" or "mean".')
        self.form = form

    def rule(self, theta: Vector, g: Vector, v: Vector, learning_rate: float) -> None:
        """Apply one of the three forms; for mean, the row v holds the running sum M."""
        v *= self.momentum
        if self.form == "classical":
            g *= learning_rate
            v -= g  # v = mu v - lr g
            theta += v  # theta = theta + v
        else:
            v += g  # v = mu v + g
            np.multiply(v, learning_rate * self._scale(), out=g)
            theta -= g  # theta = theta - lr v

    def moments(self) -> dict[str, Vector]:
        """Return v, for the mean form as the running mean that it stands for.

        Returns
        -------
        dict of str to ndarray, (P,)
            "v".

        Raises
        ------
        ConfigError
            If no state has been allocated yet.

        Examples
        --------
        >>> momentum = Momentum(momentum=0.75, form="mean")
        >>> momentum.step(np.zeros(1), np.array([8.0]))
        >>> momentum.moments()
        {'v': array([2.])}
        """
        return {"v": self._allocated()[0] * self._scale()}

    def _scale(self) -> float:
        return 1 - self.momentum if self.form == "mean" else 1.0


class Adagrad(Optimizer):
    """A learning rate for each parameter: small where the gradients so far were large.

    ::

        G = G + g^2
        theta = theta - lr g / (sqrt(G) + epsilon)

    A parameter that rarely gets a gradient takes large steps when it does. G never shrinks, so all steps do.
    7 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0: the size of a parameter's first step (with `initial_accumulator` 0), whatever its
        gradient.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, so it must be above 0, and in float32 above 1e-38.
        Gradients well below it give steps well below lr.
    initial_accumulator : float
        G before the first step, at least 0.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    Gradients of very different size, first steps of one size:

    >>> theta = np.zeros(3)
    >>> Adagrad(learning_rate=0.5).step(theta, np.array([100.0, -0.01, 0.0]))
    >>> theta.round(3)
    array([-0.5,  0.5,  0. ])

    References
    ----------
    Duchi, Hazan & Singer (2011), "Adaptive subgradient methods for online learning and stochastic
    optimization", figure 1, with a diagonal G and epsilon as its delta. PyTorch has epsilon 1e-10, outside
    the root as here. Keras has it inside, sqrt(G + 1e-7), a rate of 0.001 and an initial accumulator of 0.1.
    """

    rows = ("G",)
    scratch = ("s",)
    hyperparameters = ("epsilon", "initial_accumulator")
    zero_gradient_is_noop = True

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        epsilon: float = 1e-8,
        initial_accumulator: float = 0.0,
    ) -> None:
        super().__init__(learning_rate)
        self.epsilon = check_number("epsilon", epsilon, above=0)
        self.initial_accumulator = check_number("initial_accumulator", initial_accumulator, least=0)

    def allocate(self, size: int, dtype: npt.DTypeLike) -> None:
        """Make G for `size` parameters, filled with `initial_accumulator`, and set `steps` to 0.

        Parameters
        ----------
        size : int
            P, the number of parameters.
        dtype : data type
            The floating-point type of theta.

        Raises
        ------
        ConfigError
            If the size is negative, or the type is not a floating-point one.

        Examples
        --------
        >>> adagrad = Adagrad(initial_accumulator=0.1)
        >>> adagrad.allocate(2, np.float64)
        >>> adagrad.state()
        {'steps': 0, 'G': array([0.1, 0.1])}
        """
        super().allocate(size, dtype)
        self._allocated()[0][:] = self.initial_accumulator

    def rule(self, theta: Vector, g: Vector, G: Vector, s: Vector, learning_rate: float) -> None:
        """Apply G = G + g^2, theta = theta - lr g / (sqrt(G) + epsilon)."""
        np.multiply(g, g, out=s)
        G += s  # G = G + g^2
        np.sqrt(G, out=s)
        s += self.epsilon
        g /= s
        g *= learning_rate
        theta -= g  # theta = theta - lr g / (sqrt(G) + epsilon)


class RMSprop(Optimizer):
    """Adagrad that forgets: the mean of recent squares instead of the sum of all.

    ::

        v = rho v + (1 - rho) g^2
        theta = theta - lr g / (sqrt(v) + epsilon)          or, epsilon_in_root:  lr g / sqrt(v + epsilon)

    It is computed with a running sum V, v = (1 - rho) V, which saves the pass that multiplies by (1 - rho).
    With c = sqrt(1 - rho), sqrt(v) = c sqrt(V), and c divides two scalars once a step instead of a vector::

        V = rho V + g^2
        theta = theta - (lr / c) g / (sqrt(V) + epsilon / c)    or    (lr / c) g / sqrt(V + epsilon / c^2)

    8 passes instead of 9.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.
    rho : float
        The part of v that is kept, at least 0 and below 1.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, so it must be above 0, and in float32 above 1e-38.
        Inside the root it weighs as its root does outside: 1e-8 as 1e-4.
    epsilon_in_root : bool
        Whether epsilon stands inside the root.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    v starts at 0, so the first step is lr / sqrt(1 - rho), whatever the gradient:

    >>> theta = np.zeros(3)
    >>> RMSprop(learning_rate=0.1, rho=0.75).step(theta, np.array([100.0, -0.01, 0.0]))
    >>> theta.round(3)
    array([-0.2,  0.2,  0. ])

    References
    ----------
    Tieleman & Hinton (2012), "Neural networks for machine learning", lecture 6e, slide 29; the slide has rho
    0.9 and no epsilon. PyTorch has epsilon 1e-8 outside the root, but its rho (called alpha) is 0.99 and its
    rate 0.01. Keras has rho 0.9, rate 0.001 and epsilon 1e-7 inside: ``RMSprop(epsilon=1e-7,
    epsilon_in_root=True)`` here.
    """

    rows = ("V",)
    scratch = ("s",)
    hyperparameters = ("rho", "epsilon", "epsilon_in_root")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        epsilon_in_root: bool = False,
    ) -> None:
        super().__init__(learning_rate)
        self.rho = check_number("rho", rho, least=0, below=1)
        self.epsilon = check_number("epsilon", epsilon, above=0)
        if not isinstance(epsilon_in_root, bool):
            raise ConfigError(f"epsilon_in_root is {epsilon_in_root!r}; give True or False.")
        self.epsilon_in_root = epsilon_in_root

    def rule(self, theta: Vector, g: Vector, V: Vector, s: Vector, learning_rate: float) -> None:
        """Apply V = rho V + g^2, theta = theta - (lr / c) g / (sqrt(V) + epsilon / c)."""
        c = math.sqrt(1 - self.rho)  # sqrt(v) = c sqrt(V)
        V *= self.rho
        np.multiply(g, g, out=s)
        V += s  # V = rho V + g^2
        if self.epsilon_in_root:
            np.add(V, self.epsilon / (1 - self.rho), out=s)
            np.sqrt(s, out=s)  # s = sqrt(v + epsilon) / c
        else:
            np.sqrt(V, out=s)
            s += self.epsilon / c  # s = (sqrt(v) + epsilon) / c
        g /= s
        g *= learning_rate / c
        theta -= g  # theta = theta - lr g / (c s)

    def moments(self) -> dict[str, Vector]:
        """Return v, the running mean of the squared gradient.

        Returns
        -------
        dict of str to ndarray, (P,)
            "v".

        Raises
        ------
        ConfigError
            If no state has been allocated yet.

        Examples
        --------
        >>> rmsprop = RMSprop(rho=0.75)
        >>> rmsprop.step(np.zeros(1), np.array([4.0]))
        >>> rmsprop.moments()
        {'v': array([4.])}
        """
        return {"v": self._allocated()[0] * (1 - self.rho)}  # v = (1 - rho) V


class Adam(Optimizer):
    """Adaptive moments: momentum over RMSprop, both corrected for having started at zero.

    The paper's running means, whose early values are too close to 0, and their correction::

        m = beta1 m + (1 - beta1) g             m_hat = m / (1 - beta1^t)
        v = beta2 v + (1 - beta2) g^2           v_hat = v / (1 - beta2^t)
        theta = theta - lr m_hat / (sqrt(v_hat) + epsilon)

    They are computed with running sums, m = (1 - beta1) M and v = (1 - beta2) V, which saves the two passes
    that multiply by (1 - beta). With c = sqrt((1 - beta2) / (1 - beta2^t)), sqrt(v_hat) = c sqrt(V), and all
    factors meet in two scalars::

        M = beta1 M + g
        V = beta2 V + g^2
        theta = theta - [lr (1 - beta1) / (1 - beta1^t) / c] M / (sqrt(V) + [epsilon / c])

    10 passes instead of 12.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0: about the largest step that a parameter takes.
    beta1 : float
        The part of m that is kept, at least 0 and below 1.
    beta2 : float
        The part of v that is kept, at least 0 and below 1.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, so it must be above 0, and in float32 above 1e-38.
        Gradients well below it give steps well below lr.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    After the correction the first step is lr, whatever the gradient:

    >>> theta = np.zeros(3)
    >>> Adam(learning_rate=0.1).step(theta, np.array([100.0, -0.01, 0.0]))
    >>> theta.round(3)
    array([-0.1,  0.1,  0. ])

    References
    ----------
    Kingma & Ba (2015), "Adam: A method for stochastic optimization", algorithm 1. PyTorch computes just that.
    Keras computes the variant from the end of section 2, lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) +
    1e-7), whose epsilon does not shrink with sqrt(v) in the first steps: at t = 1 it weighs as 3.2e-6 does
    here.
    """

    rows = ("M", "V")
    hyperparameters = ("beta1", "beta2", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate)
        self.beta1 = check_number("beta1", beta1, least=0, below=1)
        self.beta2 = check_number("beta2", beta2, least=0, below=1)
        self.epsilon = check_number("epsilon", epsilon, above=0)

    def rule(self, theta: Vector, g: Vector, M: Vector, V: Vector, learning_rate: float) -> None:
        """Apply M = beta1 M + g, V = beta2 V + g^2, theta = theta - lr m_hat / (sqrt(v_hat) + epsilon)."""
        beta1, beta2, t = self.beta1, self.beta2, self.steps
        c = math.sqrt((1 - beta2) / (1 - beta2**t))  # sqrt(v_hat) = c sqrt(V)
        M *= beta1
        M += g  # M = beta1 M + g
        V *= beta2
        g *= g
        V += g  # V = beta2 V + g^2
        np.sqrt(V, out=g)
        g += self.epsilon / c  # g = (sqrt(v_hat) + epsilon) / c
        np.divide(M, g, out=g)
        g *= learning_rate * (1 - beta1) / (1 - beta1**t) / c  # g = lr m_hat / (sqrt(v_hat) + epsilon)
        theta -= g

    def moments(self) -> dict[str, Vector]:
        """Return m and v, the running means of the gradient and of its square, before the correction.

        Returns
        -------
        dict of str to ndarray, (P,)
            "m" and "v".

        Raises
        ------
        ConfigError
            If no state has been allocated yet.

        Examples
        --------
        >>> adam = Adam(beta1=0.75, beta2=0.875)
        >>> adam.step(np.zeros(1), np.array([8.0]))
        >>> adam.moments()
        {'m': array([2.]), 'v': array([8.])}
        """
        M, V = self._allocated()
        return {"m": M * (1 - self.beta1), "v": V * (1 - self.beta2)}  # m = (1 - beta1) M, v = (1 - beta2) V


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
}
"""The rules by their names on the command line."""
