"""Optimizers, from simple to complex: a short history of gradient descent in sixteen rules.

Walk downhill:

* 1847, 1951 `SGD`: a step against the gradient.
* 1964 `Momentum`: keep rolling.
* 1983 `Nesterov`: look where the roll leads before the step.

Give each parameter a learning rate of its own:

* 2011 `Adagrad`: smaller where gradients were large.
* 2012 `RMSprop`: the same, forgetting old gradients.
* 2012 `Adadelta`: the same, and no learning rate to choose.

Do both at once, and mend what breaks:

* 2015 `Adam`: RMSprop with momentum, corrected for having started at zero.
* 2015 `Adamax`: Adam with the largest gradient in place of the mean square.
* 2016 `NAdam`: Adam that looks ahead as Nesterov does.
* 2018 `AMSGrad`: Adam that remembers the largest mean square.
* 2019 `AdamW`: Adam whose weight decay stays out of the gradient.
* 2020 `RAdam`: Adam that waits until it knows the mean square well enough to divide by it.
* 2022 `Adan`: NAdam's look ahead, from the change of the gradient.

Question what Adam took for granted:

* 2023 `Lion`: only the sign of the momentum.
* 2024 `ScheduleFreeAdamW`: an average of the walk in place of a learning rate that falls.
* 2024 `Muon`: a matrix is more than its entries.

A rule is the lines of its paper, in place, over one flat vector theta of P parameters and its gradient g; g^2, sqrt,
/, max, sign and the |g| of `Adamax` are taken entry by entry, as NumPy does. Its price is the number of passes, each
one NumPy call that reads or writes all P numbers, which each docstring states. These letters are the same everywhere:
theta (P,), g (P,), lr the learning rate of the step, t the number of the step, 1 for the first. The others follow each
paper, so that v is a velocity in `Momentum`, a mean square from `RMSprop` on, and a mean change in `Adan`.

Where a paper keeps a running mean, m = beta m + (1 - beta) g, the rules here keep the running sum, M = beta M + g, so
that m = (1 - beta) M: that saves a pass, and the factor goes into a single number. Rows of state named by a capital are
such sums; `moments` gives the means.

Every rule also takes `l2`, `weight_decay`, `clip_value` and `clip_norm`, which work before it, see `Optimizer`.

In float32 the square of a gradient below 1e-23 is 0, and the sum of squares of gradients above about 1e17 is
infinite; between these every rule gives finite steps.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
import numpy.typing as npt

from glassnet.checks import check_count, check_number
from glassnet.errors import ConfigError
from glassnet.optimizer import Common, Mixes, Optimizer, Part, Vector
from glassnet.schedules import Schedule


class SGD(Optimizer):
    """Gradient descent: a step against the gradient.

    theta = theta - lr g

    It is called stochastic when g comes from a batch instead of all samples; the rule is the same. 2 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

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

    mixes = "nothing"
    zero_gradient_is_noop = True

    def __init__(self, learning_rate: float | Schedule = 0.01, **common: Unpack[Common]) -> None:
        super().__init__(learning_rate, **common)

    def rule(self, theta: Vector, g: Vector, learning_rate: float) -> None:
        """Apply theta = theta - lr g."""
        g *= learning_rate
        theta -= g  # theta = theta - lr g


class Momentum(Optimizer):
    """Gradient descent of a heavy ball: it keeps a part of its last step.

    In a narrow valley plain steps zigzag between the walls and creep along the floor. Summed, what alternates cancels,
    and what agrees adds up, to lr g / (1 - mu): ten times the step of `SGD` at mu = 0.9.

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
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

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

    mixes = "nothing"
    rows = ("v",)
    hyperparameters = ("momentum", "form")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.9,
        form: Literal["classical", "sum", "mean"] = "classical",
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
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

    def letters(self) -> dict[str, tuple[str, float]]:
        """For the mean form the row v holds the running sum M."""
        return {"v": ("v", self._scale())}

    def _scale(self) -> float:
        return 1 - self.momentum if self.form == "mean" else 1.0


class Nesterov(Optimizer):
    """Momentum that looks ahead: the gradient is taken where the roll is about to lead.

    The ball is at phi and rolls on by mu v in any case, so its gradient is asked for there::

        v = mu v - lr g(phi + mu v)             phi = phi + v

    What is stored and evaluated here is that point, theta = phi + mu v. Written for it alone (put in phi = theta - mu v
    with the old v, and v - mu v_old = -lr g), there are two forms, with mu = momentum::

        classical:  v = mu v - lr g             theta = theta + mu v - lr g
        sum:        v = mu v + g                theta = theta - lr (g + mu v)

    While lr is constant they are the same walk. Where the gradient turns, this walk brakes one step earlier than
    `Momentum`. 6 passes in each form.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.
    momentum : float
        mu, the part of v that is kept, at least 0 and below 1. With 0 it is `SGD`.
    form : {"classical", "sum"}
        Which of the two.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds, or the form is neither of the two.

    Examples
    --------
    Two steps on the same slope, (1 + 0.5) and then (1 + 0.5 + 0.25):

    >>> theta = np.array([0.0])
    >>> nesterov = Nesterov(learning_rate=1.0, momentum=0.5)
    >>> for _ in range(2):
    ...     nesterov.step(theta, np.array([1.0]))
    ...     print(theta)
    [-1.5]
    [-3.25]

    References
    ----------
    Nesterov (1983), "A method for solving the convex programming problem with convergence rate O(1/k^2)"; as a momentum
    Sutskever, Martens, Dahl & Hinton (2013), equations 3 and 4; for theta alone Bengio, Boulanger-Lewandowski &
    Pascanu (2013), "Advances in optimizing recurrent networks", equation 7. Keras's ``SGD(nesterov=True)`` is
    classical, PyTorch's is sum.
    """

    mixes = "nothing"
    rows = ("v",)
    scratch = ("s",)
    hyperparameters = ("momentum", "form")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.9,
        form: Literal["classical", "sum"] = "classical",
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.momentum = check_number("momentum", momentum, least=0, below=1)
        if form not in ("classical", "sum"):
            raise ConfigError(f'form is {form!r}; give "classical" or "sum".')
        self.form = form

    def rule(self, theta: Vector, g: Vector, v: Vector, s: Vector, learning_rate: float) -> None:
        """Apply one of the two forms."""
        v *= self.momentum
        if self.form == "classical":
            g *= learning_rate
            v -= g  # v = mu v - lr g
            theta -= g
            np.multiply(v, self.momentum, out=s)
            theta += s  # theta = theta + mu v - lr g
        else:
            v += g  # v = mu v + g
            np.multiply(v, self.momentum, out=s)
            g += s
            g *= learning_rate
            theta -= g  # theta = theta - lr (g + mu v)


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
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

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

    mixes = "nothing"
    rows = ("G",)
    scratch = ("s",)
    hyperparameters = ("epsilon", "initial_accumulator")
    zero_gradient_is_noop = True

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        epsilon: float = 1e-8,
        initial_accumulator: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.epsilon = check_number("epsilon", epsilon, above=0)
        self.initial_accumulator = check_number("initial_accumulator", initial_accumulator, least=0)

    def prepare(self) -> None:
        """Fill G with `initial_accumulator`."""
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
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

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
    Tieleman & Hinton (2012), "Neural networks for machine learning", lecture 6e, slide 29; the slide has rho 0.9 and no
    epsilon. The lecture comes from Rprop (Riedmiller & Braun, 1993), which uses only the sign of each entry; that it is
    an Adagrad that forgets was seen at about the same time, see `Adadelta`. PyTorch has epsilon 1e-8 outside the root,
    but its rho (called alpha) is 0.99 and its rate 0.01. Keras has rho 0.9, rate 0.001 and epsilon 1e-7 inside:
    ``RMSprop(epsilon=1e-7, epsilon_in_root=True)`` here.
    """

    mixes = "nothing"
    rows = ("V",)
    scratch = ("s",)
    hyperparameters = ("rho", "epsilon", "epsilon_in_root")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        epsilon_in_root: bool = False,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
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

    def letters(self) -> dict[str, tuple[str, float]]:
        """v = (1 - rho) V, the running mean of the squared gradient."""
        return {"v": ("V", 1 - self.rho)}


class Adadelta(Optimizer):
    """RMSprop in units that are right: a step is as long as recent steps were, so no rate need be chosen.

    ::

        v = rho v + (1 - rho) g^2
        d = g sqrt(u + epsilon) / sqrt(v + epsilon)
        u = rho u + (1 - rho) d^2
        theta = theta - lr d

    If theta is in metres, g is in 1/m (the loss has no unit) and so is sqrt(v); sqrt(u) brings the metres back. Both
    are computed as running sums, whose factor (1 - rho) cancels in the quotient::

        d = g sqrt((U + epsilon / (1 - rho)) / (V + epsilon / (1 - rho)))

    13 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0; the paper has none, that is 1.
    rho : float
        The part of v and u that is kept, at least 0 and below 1.
    epsilon : float
        Where the walk starts from, since u is 0 at first: above 0. It sets how long the first steps are.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    The first step is about sqrt(epsilon / (1 - rho)), whatever the gradient:

    >>> theta = np.zeros(2)
    >>> Adadelta(rho=0.75, epsilon=0.01).step(theta, np.array([100.0, -50.0]))
    >>> theta.round(3)
    array([-0.2,  0.2])

    References
    ----------
    Zeiler (2012), "ADADELTA: An adaptive learning rate method", algorithm 1. PyTorch computes just that, with rho 0.9.
    Keras does too, with epsilon 1e-7 and a learning rate of 0.001, at which next to nothing is learnt.
    """

    mixes = "nothing"
    rows = ("V", "U")
    scratch = ("s", "r")
    hyperparameters = ("rho", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 1.0,
        rho: float = 0.95,
        epsilon: float = 1e-6,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho = check_number("rho", rho, least=0, below=1)
        self.epsilon = check_number("epsilon", epsilon, above=0)

    def rule(self, theta: Vector, g: Vector, V: Vector, U: Vector, s: Vector, r: Vector, learning_rate: float) -> None:
        """Apply d = g sqrt(u + epsilon) / sqrt(v + epsilon), theta = theta - lr d."""
        epsilon = self.epsilon / (1 - self.rho)
        V *= self.rho
        np.multiply(g, g, out=s)
        V += s  # V = rho V + g^2
        np.add(V, epsilon, out=s)
        np.add(U, epsilon, out=r)
        r /= s
        np.sqrt(r, out=r)
        g *= r  # d = g sqrt((u + epsilon) / (v + epsilon))
        U *= self.rho
        np.multiply(g, g, out=r)
        U += r  # U = rho U + d^2
        g *= learning_rate
        theta -= g  # theta = theta - lr d

    def letters(self) -> dict[str, tuple[str, float]]:
        """v = (1 - rho) V and u = (1 - rho) U, the running means of squared gradients and squared steps."""
        return {"v": ("V", 1 - self.rho), "u": ("U", 1 - self.rho)}


class _TwoMoments(Optimizer):
    """What Adam and its relatives share: beta1 for the gradient, beta2 for its square, and epsilon."""

    mixes: ClassVar[Mixes] = "nothing"
    rows: ClassVar[tuple[str, ...]] = ("M", "V")
    hyperparameters: ClassVar[tuple[str, ...]] = ("beta1", "beta2", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta1 = check_number("beta1", beta1, least=0, below=1)
        self.beta2 = check_number("beta2", beta2, least=0, below=1)
        self.epsilon = check_number("epsilon", epsilon, above=0)

    def letters(self) -> dict[str, tuple[str, float]]:
        """m = (1 - beta1) M and v = (1 - beta2) V, the running means before the correction."""
        return {"m": ("M", 1 - self.beta1), "v": ("V", 1 - self.beta2)}


class Adam(_TwoMoments):
    """Adaptive moments: momentum's mean gradient over RMSprop's root, both corrected for having started at zero.

    After t steps the weights within m sum to 1 - beta1^t, not to 1; dividing by that makes it a mean again::

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
        lr, above 0: about the largest step of a parameter whose gradients keep coming; after a long silence the first
        one moves it up to (1 - beta1) / sqrt(1 - beta2) = 3.2 times as far.
    beta1 : float
        The part of m that is kept, at least 0 and below 1.
    beta2 : float
        The part of v that is kept, at least 0 and below 1.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, so it must be above 0, and in float32 above 1e-38.
        Gradients well below it give steps well below lr.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

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


class Adamax(_TwoMoments):
    """Adam with the largest recent gradient in place of the root of the mean square.

    The mean square is a norm of all past gradients, with exponent 2; let the exponent go to infinity, and what is
    left is a maximum that fades::

        m = beta1 m + (1 - beta1) g
        u = max(beta2 u, |g| + epsilon)
        theta = theta - lr / (1 - beta1^t) m / u

    u needs no correction, since a maximum does not start too close to zero. 9 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0: about the largest step that a parameter takes.
    beta1 : float
        The part of m that is kept, at least 0 and below 1.
    beta2 : float
        How slowly the maximum fades, at least 0 and below 1.
    epsilon : float
        Keeps 0 / 0 away, above 0.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    >>> theta = np.zeros(2)
    >>> Adamax(learning_rate=0.1).step(theta, np.array([100.0, -0.01]))
    >>> theta.round(3)
    array([-0.1,  0.1])

    References
    ----------
    Kingma & Ba (2015), "Adam: A method for stochastic optimization", algorithm 2, which has no epsilon. PyTorch adds
    1e-8 to |g|, as here; Keras adds 1e-7 to u when it divides, and has a rate of 0.001.
    """

    rows = ("M", "u")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.002,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **common)

    def rule(self, theta: Vector, g: Vector, M: Vector, u: Vector, learning_rate: float) -> None:
        """Apply u = max(beta2 u, |g| + epsilon), theta = theta - lr / (1 - beta1^t) m / u."""
        M *= self.beta1
        M += g  # M = beta1 M + g
        u *= self.beta2
        np.abs(g, out=g)
        g += self.epsilon
        np.maximum(u, g, out=u)  # u = max(beta2 u, |g| + epsilon)
        np.divide(M, u, out=g)
        g *= learning_rate * (1 - self.beta1) / (1 - self.beta1**self.steps)
        theta -= g  # theta = theta - lr / (1 - beta1^t) m / u

    def letters(self) -> dict[str, tuple[str, float]]:
        """m = (1 - beta1) M; u is kept as it is."""
        return {"m": ("M", 1 - self.beta1), "u": ("u", 1.0)}


class NAdam(_TwoMoments):
    """Adam that looks ahead: it steps by the momentum that the next step will begin with.

    Adam's m is beta1 m_before + (1 - beta1) g. As `Nesterov` moves theta by mu v - lr g with the new v, this puts the
    new m in the place of m_before: beta1 m + (1 - beta1) g. With a momentum mu_t that grows from about beta1 / 2 to
    beta1 during the run, and the product mu_1 ... mu_t where Adam's correction has beta1^t::

        mu_t = beta1 (1 - 1/2 0.96^(t momentum_decay))
        m = beta1 m + (1 - beta1) g             v = beta2 v + (1 - beta2) g^2
        m_bar = mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t)
        theta = theta - lr m_bar / (sqrt(v / (1 - beta2^t)) + epsilon)

    13 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.
    beta1 : float
        The part of m that is kept, at least 0 and below 1.
    beta2 : float
        The part of v that is kept, at least 0 and below 1.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, above 0.
    momentum_decay : float
        How fast mu_t grows, at least 0.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    >>> theta = np.zeros(2)
    >>> NAdam(learning_rate=0.1, beta1=0.0).step(theta, np.array([100.0, -0.01]))
    >>> theta.round(3)
    array([-0.1,  0.1])

    References
    ----------
    Dozat (2016), "Incorporating Nesterov momentum into Adam", algorithm 2, but m is averaged with beta1 where the paper
    has mu_t, as in PyTorch and Keras (the paper also multiplies v_hat by beta2), so that on a steady slope the first
    steps are up to a quarter shorter than lr. mu_t is the one that he recommends, with exponent t / 250, as in PyTorch.
    Keras has exponent t, that is momentum_decay=1, so that mu_t is beta1 after a hundred steps, and a rate of 0.001;
    optax has a constant mu, beta1.
    """

    scratch = ("s",)
    scalars: ClassVar[dict[str, float]] = {"mu_product": 1.0}
    hyperparameters = ("beta1", "beta2", "epsilon", "momentum_decay")
    mu_product: float

    def __init__(
        self,
        learning_rate: float | Schedule = 0.002,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 0.004,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **common)
        self.momentum_decay = check_number("momentum_decay", momentum_decay, least=0)

    def rule(self, theta: Vector, g: Vector, M: Vector, V: Vector, s: Vector, learning_rate: float) -> None:
        """Apply theta = theta - lr m_bar / (sqrt(v_hat) + epsilon)."""
        beta1, beta2, t = self.beta1, self.beta2, self.steps
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (k * self.momentum_decay)) for k in (t, t + 1))
        self.mu_product *= mu
        c = math.sqrt((1 - beta2) / (1 - beta2**t))  # sqrt(v_hat) = c sqrt(V)
        M *= beta1
        M += g  # M = beta1 M + g
        V *= beta2
        np.multiply(g, g, out=s)
        V += s  # V = beta2 V + g^2
        np.multiply(M, mu_next * (1 - beta1) / (1 - self.mu_product * mu_next), out=s)
        g *= (1 - mu) / (1 - self.mu_product)
        g += s  # g = m_bar
        np.sqrt(V, out=s)
        s += self.epsilon / c  # s = (sqrt(v_hat) + epsilon) / c
        g /= s
        g *= learning_rate / c
        theta -= g  # theta = theta - lr m_bar / (c s)


class AMSGrad(_TwoMoments):
    """Adam that remembers the largest mean square: it divides by the largest v so far.

    Where large gradients are rare, Adam forgets one before the next comes, and takes long steps in between, which
    can lead away from the minimum for ever::

        m = beta1 m + (1 - beta1) g             v = beta2 v + (1 - beta2) g^2
        v_max = max(v_max, v)
        theta = theta - lr m_hat / (sqrt(v_max / (1 - beta2^t)) + epsilon)

    Without `bias_correction`, m and v_max are used as they are; only then, as in the paper, does no parameter's rate
    ever grow. The correction lets it grow while 1 - beta2^t rises to 1, over the first thousands of steps. 11 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.
    beta1 : float
        The part of m that is kept, at least 0 and below 1.
    beta2 : float
        The part of v that is kept, at least 0 and below 1.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, above 0.
    bias_correction : bool
        Whether to correct for having started at zero, as Adam does.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    After a large gradient small ones hardly move anything:

    >>> theta = np.zeros(1)
    >>> amsgrad = AMSGrad(learning_rate=1.0, beta1=0.0, beta2=0.0)
    >>> for g in (100.0, 1.0):
    ...     amsgrad.step(theta, np.array([g]))
    >>> theta.round(3)
    array([-1.01])

    References
    ----------
    Reddi, Kale & Kumar (2018), "On the convergence of Adam and beyond", algorithm 2, which has neither correction nor
    epsilon. PyTorch's ``Adam(amsgrad=True)`` is the corrected form, as here; Keras's is too, with epsilon as in its
    Adam; optax takes the maximum after the correction, which keeps the rates from growing.
    """

    rows = ("M", "V", "V_max")
    hyperparameters = ("beta1", "beta2", "epsilon", "bias_correction")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        bias_correction: bool = True,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **common)
        if not isinstance(bias_correction, bool):
            raise ConfigError(f"bias_correction is {bias_correction!r}; give True or False.")
        self.bias_correction = bias_correction

    def rule(self, theta: Vector, g: Vector, M: Vector, V: Vector, V_max: Vector, learning_rate: float) -> None:
        """Apply v_max = max(v_max, v), theta = theta - lr m_hat / (sqrt(v_max_hat) + epsilon)."""
        beta1, beta2, t = self.beta1, self.beta2, self.steps
        correction1, correction2 = (1 - beta1**t, 1 - beta2**t) if self.bias_correction else (1.0, 1.0)
        c = math.sqrt((1 - beta2) / correction2)  # sqrt(v_max_hat) = c sqrt(V_max)
        M *= beta1
        M += g  # M = beta1 M + g
        V *= beta2
        g *= g
        V += g  # V = beta2 V + g^2
        np.maximum(V_max, V, out=V_max)
        np.sqrt(V_max, out=g)
        g += self.epsilon / c
        np.divide(M, g, out=g)
        g *= learning_rate * (1 - beta1) / correction1 / c  # g = lr m_hat / (sqrt(v_max_hat) + epsilon)
        theta -= g

    def letters(self) -> dict[str, tuple[str, float]]:
        """Of Adam's, and v_max = (1 - beta2) V_max."""
        return super().letters() | {"v_max": ("V_max", 1 - self.beta2)}


class AdamW(Adam):
    """Adam whose weight decay stays out of the gradient.

    ::

        theta = theta - lr weight_decay theta - lr m_hat / (sqrt(v_hat) + epsilon)

    A penalty l2 theta in the gradient would be divided by sqrt(v_hat) like the rest of it: weights with large
    gradients would decay least. Taken apart, all decay alike. It is `Adam` with another default; 10 passes, and one
    over what decays.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.
    beta1 : float
        The part of m that is kept, at least 0 and below 1.
    beta2 : float
        The part of v that is kept, at least 0 and below 1.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, above 0.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`; weight_decay is 0.01 unless given.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    Without a gradient, only the decay is left, 1 - 0.5 0.1 a step:

    >>> theta = np.array([1.0])
    >>> AdamW(learning_rate=0.5, weight_decay=0.1).step(theta, np.zeros(1))
    >>> theta
    array([0.95])

    References
    ----------
    Loshchilov & Hutter (2019), "Decoupled weight decay regularization", algorithm 2, where the decay is eta_t
    weight_decay theta, without alpha: a value from the paper is to be divided by alpha here. PyTorch, Keras and optax
    multiply by all of lr, as here; their weight_decay is 0.01, 0.004 and 0.0001.
    """

    hyperparameters = ("beta1", "beta2", "epsilon", "weight_decay")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        common.setdefault("weight_decay", 0.01)
        super().__init__(learning_rate, beta1, beta2, epsilon, **common)


class RAdam(Adam):
    """Adam that waits until it knows the mean square well enough to divide by it.

    After a few steps v is a mean of few squares, and 1 / sqrt(v) may be anything. How many squares it is worth is::

        rho_inf = 2 / (1 - beta2) - 1           rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t)

    While rho_t is not above the threshold, the step is momentum's; then it is Adam's, times r_t, which grows to 1::

        theta = theta - lr m_hat                                        waiting
        theta = theta - lr r_t m_hat / (sqrt(v_hat) + epsilon)          after
        r_t = sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t))

    While it waits, a step is lr times the mean gradient, whatever its size. After, r_t makes steps short at first
    (0.026 of Adam's at step 6, 0.65 at step 1000, with beta2 = 0.999), which is what a warm-up does for Adam. 7 passes
    while it waits, then 10 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.
    beta1 : float
        The part of m that is kept, at least 0 and below 1.
    beta2 : float
        The part of v that is kept, at least 0 and below 1. Up to 2/3, where rho_inf is 5, the wait never ends.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, above 0.
    threshold : float
        rho_t at which the wait ends, at least 4.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    With beta2 = 0.999 the first five steps are momentum's:

    >>> theta = np.zeros(1)
    >>> radam = RAdam(learning_rate=0.1, beta1=0.0)
    >>> for _ in range(6):
    ...     radam.step(theta, np.array([8.0]))
    ...     print(theta.round(4), end=" ")
    [-0.8] [-1.6] [-2.4] [-3.2] [-4.] [-4.0026]

    References
    ----------
    Liu, Jiang, He, Chen, Liu, Gao & Han (2020), "On the variance of the adaptive learning rate and beyond",
    algorithm 2, which waits for rho_t > 4; the authors' program, PyTorch and optax for rho_t > 5, as here. PyTorch
    adds epsilon to sqrt(v) before the correction, optax to sqrt(v_hat), as here. Keras has no RAdam.
    """

    hyperparameters = ("beta1", "beta2", "epsilon", "threshold")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        threshold: float = 5.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **common)
        self.threshold = check_number("threshold", threshold, least=4)

    def rule(self, theta: Vector, g: Vector, M: Vector, V: Vector, learning_rate: float) -> None:
        """Apply theta = theta - lr m_hat or, when v is known well enough, Adam's step times r_t."""
        beta1, beta2, t = self.beta1, self.beta2, self.steps
        rho_inf = 2 / (1 - beta2) - 1
        rho_t = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        rate = learning_rate * (1 - beta1) / (1 - beta1**t)  # lr m_hat = rate M
        M *= beta1
        M += g  # M = beta1 M + g
        V *= beta2
        g *= g
        V += g  # V = beta2 V + g^2
        if rho_t > self.threshold:
            r = (rho_t - 4) * (rho_t - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho_t)  # r_t^2
            c = math.sqrt((1 - beta2) / (1 - beta2**t))  # sqrt(v_hat) = c sqrt(V)
            np.sqrt(V, out=g)
            g += self.epsilon / c
            np.divide(M, g, out=g)
            g *= rate * math.sqrt(r) / c  # g = lr r_t m_hat / (sqrt(v_hat) + epsilon)
        else:
            np.multiply(M, rate, out=g)  # g = lr m_hat
        theta -= g


class Adan(Optimizer):
    """Adam that looks ahead by the change of the gradient.

    Nesterov's method, written for theta, is momentum on g plus beta2 times the change of g: if the gradient goes on
    changing as it just did, that is the next one.

    With d = g - g_before, which is 0 in the first step::

        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) d
        n = beta3 n + (1 - beta3) (g + beta2 d)^2
        theta = theta - lr (m_hat + beta2 v_hat) / (sqrt(n_hat) + epsilon)

    and each of m, v, n is corrected for having started at zero, m_hat = m / (1 - beta1^t) and so on. 18 passes and a
    copy.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0.
    beta1 : float
        The part of m that is kept, at least 0 and below 1.
    beta2 : float
        The part of v that is kept, at least 0 and below 1.
    beta3 : float
        The part of n that is kept, at least 0 and below 1.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, above 0.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    A gradient that falls from 1 to 0.5 counts as 0.5 - 0.5 beta2:

    >>> theta = np.zeros(1)
    >>> adan = Adan(learning_rate=1.0, beta1=0.0, beta2=0.5, beta3=0.0)
    >>> for g in (1.0, 0.5):
    ...     adan.step(theta, np.array([g]))
    >>> adan.moments()["n"]  # (0.5 - 0.25)^2
    array([0.0625])

    References
    ----------
    Xie, Zhou, Li, Lin & Yan (2022), "Adan: Adaptive Nesterov momentum algorithm for faster optimizing deep models",
    algorithm 1, whose betas are 1 minus those here; the correction is in the authors' program, not in the algorithm,
    and so is an epsilon outside the root. The paper decays weights by dividing theta by 1 + lr weight_decay after the
    step; here it is as in AdamW. Optax (0.2.8) multiplies d by 1 - beta2 instead of beta2, and has a second epsilon of
    1e-8 inside the root. Neither PyTorch nor Keras has it.
    """

    mixes = "nothing"
    rows = ("M", "D", "N", "g_before")
    scratch = ("s",)
    hyperparameters = ("beta1", "beta2", "beta3", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta1: float = 0.98,
        beta2: float = 0.92,
        beta3: float = 0.99,
        epsilon: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta1 = check_number("beta1", beta1, least=0, below=1)
        self.beta2 = check_number("beta2", beta2, least=0, below=1)
        self.beta3 = check_number("beta3", beta3, least=0, below=1)
        self.epsilon = check_number("epsilon", epsilon, above=0)

    def rule(
        self,
        theta: Vector,
        g: Vector,
        M: Vector,
        D: Vector,
        N: Vector,
        g_before: Vector,
        s: Vector,
        learning_rate: float,
    ) -> None:
        """Apply theta = theta - lr (m_hat + beta2 v_hat) / (sqrt(n_hat) + epsilon)."""
        beta1, beta2, beta3, t = self.beta1, self.beta2, self.beta3, self.steps
        c = math.sqrt((1 - beta3) / (1 - beta3**t))  # sqrt(n_hat) = c sqrt(N)
        if t == 1:
            np.copyto(g_before, g)
        np.subtract(g, g_before, out=s)  # s = d
        np.copyto(g_before, g)
        M *= beta1
        M += g  # M = beta1 M + g
        D *= beta2
        D += s  # D = beta2 D + d
        s *= beta2
        g += s
        g *= g
        N *= beta3
        N += g  # N = beta3 N + (g + beta2 d)^2
        np.multiply(D, beta2 * (1 - beta2) / (1 - beta2**t), out=s)
        np.multiply(M, (1 - beta1) / (1 - beta1**t), out=g)
        s += g  # s = m_hat + beta2 v_hat
        np.sqrt(N, out=g)
        g += self.epsilon / c
        s /= g
        s *= learning_rate / c
        theta -= s  # theta = theta - lr (m_hat + beta2 v_hat) / (sqrt(n_hat) + epsilon)

    def letters(self) -> dict[str, tuple[str, float]]:
        """m = (1 - beta1) M, v = (1 - beta2) D, n = (1 - beta3) N, before the correction."""
        return {"m": ("M", 1 - self.beta1), "v": ("D", 1 - self.beta2), "n": ("N", 1 - self.beta3)}


class Lion(Optimizer):
    """Only the sign of the momentum: every parameter moves by lr, one way or the other.

    ::

        theta = theta - lr sign(beta1 m + (1 - beta1) g)
        m = beta2 m + (1 - beta2) g

    Where gradients are steady, Adam's step is already nearly lr sign(g); this drops the division and with it a row of
    state. A program found it by trying programs. One row of state, where Adam has two; a step has the same length
    however small the gradient is, so the rate wants to be three to ten times lower than Adam's, and to fall. 7 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0: the step of each parameter.
    beta1 : float
        The weight of the momentum against the gradient, at least 0 and below 1.
    beta2 : float
        The part of m that is kept, at least 0 and below 1.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`; weight decay works at lr, so that it wants to be as many times larger.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    >>> theta = np.zeros(3)
    >>> Lion(learning_rate=0.1).step(theta, np.array([100.0, -0.01, 0.0]))
    >>> theta
    array([-0.1,  0.1,  0. ])

    References
    ----------
    Chen, Liang, Huang, Real, Wang et al. (2023), "Symbolic discovery of optimization algorithms", algorithm 2. Keras
    and optax compute the same (Keras at a rate of 0.001, optax with a weight decay of 0.001 unless told otherwise);
    PyTorch has no Lion.
    """

    mixes = "nothing"
    rows = ("M",)
    scratch = ("s",)
    hyperparameters = ("beta1", "beta2")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.0001,
        beta1: float = 0.9,
        beta2: float = 0.99,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta1 = check_number("beta1", beta1, least=0, below=1)
        self.beta2 = check_number("beta2", beta2, least=0, below=1)

    def rule(self, theta: Vector, g: Vector, M: Vector, s: Vector, learning_rate: float) -> None:
        """Apply theta = theta - lr sign(beta1 m + (1 - beta1) g), m = beta2 m + (1 - beta2) g."""
        np.multiply(M, self.beta1 * (1 - self.beta2) / (1 - self.beta1), out=s)
        s += g  # s = (beta1 m + (1 - beta1) g) / (1 - beta1)
        M *= self.beta2
        M += g  # M = beta2 M + g
        np.sign(s, out=g)  # not in place, which takes ten times as long
        g *= learning_rate
        theta -= g  # theta = theta - lr sign(s)

    def letters(self) -> dict[str, tuple[str, float]]:
        """m = (1 - beta2) M."""
        return {"m": ("M", 1 - self.beta2)}


class ScheduleFreeAdamW(_TwoMoments):
    """An average of the walk in place of a learning rate that falls.

    A rate that falls to zero ends near the middle of where a constant rate would go on wandering; so this averages the
    walk, and need not know when the run will end. Three points: z walks, x is the average of all z, and the gradient
    is taken at y, between the two::

        y = (1 - beta1) z + beta1 x                             g is the gradient at y
        v = beta2 v + (1 - beta2) g^2                           gamma = lr sqrt(1 - beta2^t)
        z = z - gamma g / (sqrt(v) + epsilon) - gamma weight_decay y
        c = gamma^2 / (sum of all gamma^2 so far)               x = (1 - c) x + c z

    While it trains, theta holds y. What is to be evaluated and kept is x: `eval` writes it into theta, `train` goes
    back to y (`glassnet.fit` does both). The rate should rise at first, as with `glassnet.WarmUp`, and then stay.
    14 passes.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0. Wants to be higher than with a rate that falls.
    beta1 : float
        Where y stands between z (0) and x (1), at least 0 and below 1.
    beta2 : float
        The part of v that is kept, at least 0 and below 1.
    epsilon : float
        Keeps 0 / 0 away where no gradient has come yet, above 0.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`; weight_decay is 0 unless given, and works at y, as above.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    z goes to -1, -2, -3, and x to the mean of these:

    >>> theta = np.zeros(1)
    >>> free = ScheduleFreeAdamW(learning_rate=1.0, beta2=0.0)
    >>> for _ in range(3):
    ...     free.step(theta, np.array([8.0]))
    >>> free.eval(theta)
    >>> theta.round(6)
    array([-2.])

    References
    ----------
    Defazio, Yang, Mehta, Mishchenko, Khaled & Cutkosky (2024), "The road less scheduled", algorithm 1. The authors'
    program weighs by the largest lr so far in place of gamma, and corrects v itself; optax's
    `contrib.schedule_free_adamw` too. Keras (3.15) has it with c = 1 / t and v corrected; PyTorch has none.
    """

    rows = ("z", "x", "V")
    scratch = ("s",)
    scalars: ClassVar[dict[str, float]] = {"gamma_squares": 0.0}
    gamma_squares: float

    def __init__(
        self,
        learning_rate: float | Schedule = 0.0025,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **common)

    def begin(self, theta: Vector) -> None:
        """Let z and x start where y does."""
        z, x, _, _ = self._allocated()
        z[:] = x[:] = theta

    def decay(self, theta: Vector, learning_rate: float) -> None:
        """Apply z = z - gamma weight_decay y, where parameters decay."""
        z, _, _, s = self._allocated()
        for part in self._decaying:
            np.multiply(theta[part], self._gamma(learning_rate) * self.weight_decay, out=s[part])
            z[part] -= s[part]

    def rule(self, theta: Vector, g: Vector, z: Vector, x: Vector, V: Vector, s: Vector, learning_rate: float) -> None:
        """Apply z = z - gamma g / (sqrt(v) + epsilon), x = (1 - c) x + c z, and write y into theta."""
        root, gamma = math.sqrt(1 - self.beta2), self._gamma(learning_rate)  # sqrt(v) = root sqrt(V)
        V *= self.beta2
        np.multiply(g, g, out=s)
        V += s  # V = beta2 V + g^2
        np.sqrt(V, out=s)
        s += self.epsilon / root  # s = (sqrt(v) + epsilon) / root
        g /= s
        g *= gamma / root
        z -= g  # z = z - gamma g / (sqrt(v) + epsilon)
        square = gamma * gamma
        self.gamma_squares += square
        c = square / self.gamma_squares if square else 0.0
        np.subtract(z, x, out=s)
        s *= c
        x += s  # x = (1 - c) x + c z
        self.train(theta)

    def _gamma(self, learning_rate: float) -> float:
        return learning_rate * math.sqrt(1 - self.beta2**self.steps)

    def eval(self, theta: Vector) -> None:
        """Write x into `theta`; before the first step it holds that already."""
        if self.steps:
            theta[:] = self._allocated()[1]

    def train(self, theta: Vector) -> None:
        """Write y into `theta`."""
        if self.steps:
            z, x, _, _ = self._allocated()
            np.subtract(x, z, out=theta)
            theta *= self.beta1
            theta += z  # y = (1 - beta1) z + beta1 x

    def letters(self) -> dict[str, tuple[str, float]]:
        """x and z as they are, v = (1 - beta2) V."""
        return {"x": ("x", 1.0), "z": ("z", 1.0), "v": ("V", 1 - self.beta2)}


class Muon(Adam):
    """A matrix is more than its entries: its momentum is made orthogonal before the step.

    A matrix turns its inputs (V^T), stretches each direction by a singular value (the diagonal of S), and turns again
    (U). The gradient of a weight matrix, U S V^T, has a few large singular values, and plain steps go in their
    directions alone; a step of U V^T would count all directions alike. A step of Newton and Schulz leaves U and V as
    they are and sends each singular value s to a s + b s^3 + c s^5, which pushes small ones up and keeps large ones
    near 1, with nothing but products. With |G| the root of the sum of squares, so that no s is above 1 at first::

        M = mu M + g                            G = g + mu M  (nesterov),  else M
        X = G / |G|
        five times:  A = X X^T,  X = a X + (b A + c A A) X      a, b, c = 3.4445, -4.7750, 2.0315
        theta = theta - lr scale X

    These a, b, c do not bring the singular values to 1 but, fast, to between 0.68 and 1.21; those below about |G| / 700
    are left smaller. It is for matrices, parts (I, O) with both sides above 1, but not the last layer's (Jordan leaves
    the first layer to Adam too; here it counts as hidden). The rest, biases and last layer, follows `Adam`. The price
    is five times 4 r^2 c + 2 r^3 operations a matrix, r the shorter side and c the longer: for the layers of a
    784-100-100-10 network ten times a forward pass of 100 images.

    Parameters
    ----------
    learning_rate : float or Schedule
        lr, above 0, of the matrices and of the rest.
    momentum : float
        mu of the matrices, at least 0 and below 1.
    nesterov : bool
        Whether to look ahead.
    ns_steps : int
        Steps of Newton and Schulz, at least 1.
    scaling : {"match-rms", "original"}
        "match-rms": 0.2 sqrt(max(I, O)), with which entries move about as far as with Adam, so that one lr serves
        both; "original": sqrt(max(1, O / I)).
    beta1, beta2, epsilon : float
        Of the rest, see `Adam`.
    **common : l2, weight_decay, clip_value, clip_norm
        See `Optimizer`.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    A gradient with one strong direction and one weak one gives a step in which both are about as strong:

    >>> theta = np.zeros(4)
    >>> muon = Muon(learning_rate=1.0, momentum=0.0, scaling="original")
    >>> muon.allocate(4, np.float64, [Part(0, (2, 2))])
    >>> muon.step(theta, np.array([100.0, 0.0, 0.0, 1.0]))
    >>> theta.reshape(2, 2).round(1)
    array([[-0.7,  0. ],
           [ 0. , -0.7]])

    References
    ----------
    Jordan, Jin, Boza, You, Cesista, Newhouse & Bernstein (2024), "Muon: An optimizer for hidden layers in neural
    networks", with its quintic coefficients; the scaling "match-rms" is Liu, Su, Yao et al. (2025), "Muon is scalable
    for LLM training", equation 4. PyTorch's Muon takes only matrices, scales as "original" unless told
    ``adjust_lr_fn="match_rms_adamw"``, rounds to bfloat16 within the five steps, and decays by 0.1. Optax's
    `contrib.muon`, which scales as "original", and Keras's, as "match-rms", do all but matrices by Adam, but take the
    last layer's for a matrix too unless told.
    """

    hyperparameters = ("momentum", "nesterov", "ns_steps", "scaling", "beta1", "beta2", "epsilon")
    mixes: ClassVar[Mixes] = "parts"

    def __init__(
        self,
        learning_rate: float | Schedule = 0.002,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        scaling: Literal["match-rms", "original"] = "match-rms",
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **common)
        self.momentum = check_number("momentum", momentum, least=0, below=1)
        if not isinstance(nesterov, bool):
            raise ConfigError(f"nesterov is {nesterov!r}; give True or False.")
        self.nesterov = nesterov
        self.ns_steps = check_count("ns_steps", ns_steps, least=1)
        if scaling not in ("match-rms", "original"):
            raise ConfigError(f'scaling is {scaling!r}; give "match-rms" or "original".')
        self.scaling = scaling

    def prepare(self) -> None:
        """Tell the matrices from the rest, and make room for their products."""
        self._matrices = [
            _Matrix(part, self._dtype)
            for part in self.parts
            if len(part.shape) == 2 and min(part.shape) > 1 and not part.output
        ]
        edges = [0]
        for matrix in self._matrices:
            edges += [matrix.part.slice.start, matrix.part.slice.stop]
        edges.append(self._size)
        self._rest = [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]

    def rule(self, theta: Vector, g: Vector, M: Vector, V: Vector, learning_rate: float) -> None:
        """Apply theta = theta - lr scale X to matrices, and Adam to the rest."""
        for matrix in self._matrices:
            m, dm = matrix.wide(M), matrix.wide(g)
            m *= self.momentum
            m += dm  # M = mu M + g
            if self.nesterov:
                np.multiply(m, self.momentum, out=matrix.X)
                matrix.X += dm  # G = g + mu M
            else:
                np.copyto(matrix.X, m)
            matrix.orthogonalize(self.ns_steps)
            rows, columns = matrix.part.shape
            scale = (
                0.2 * math.sqrt(max(rows, columns)) if self.scaling == "match-rms" else max(1, columns / rows) ** 0.5
            )
            matrix.X *= learning_rate * scale
            w = matrix.wide(theta)
            w -= matrix.X  # theta = theta - lr scale X
        for rest in self._rest:
            super().rule(theta[rest], g[rest], M[rest], V[rest], learning_rate)

    def moments(self) -> dict[str, Vector]:
        """Return "m" and "v" as `Adam` does, with m the running sum M where matrices lie, and v 0 there."""
        moments = super().moments()
        for matrix in self._matrices:
            moments["m"][matrix.part.slice] = self._allocated()[0][matrix.part.slice]
        return moments


class _Matrix:
    """A part that is a matrix, and the room for its products; it is turned so that it is wide, (r, c) with r <= c."""

    def __init__(self, part: Part, dtype: npt.DTypeLike) -> None:
        self.part = part
        r, c = sorted(part.shape)
        self.X, self._Y = np.empty((r, c), dtype), np.empty((r, c), dtype)
        self._A, self._B = np.empty((r, r), dtype), np.empty((r, r), dtype)

    def wide(self, vector: Vector) -> npt.NDArray[Any]:
        """Return the view of this part of a vector, (r, c)."""
        array = vector[self.part.slice].reshape(self.part.shape)
        return array if array.shape == self.X.shape else array.T

    def orthogonalize(self, steps: int) -> None:
        """Drive the singular values of X towards 1: after |X| = 1, X = a X + (b A + c A A) X with A = X X^T."""
        X, A, B, Y = self.X, self._A, self._B, self._Y
        X *= 1 / (math.sqrt(np.dot(X.ravel(), X.ravel())) + 1e-7)
        for _ in range(steps):
            np.dot(X, X.T, out=A)  # (r, c)(c, r) -> (r, r)
            np.dot(A, A, out=B)
            A *= -4.7750
            B *= 2.0315
            B += A  # B = b A + c A A
            np.dot(B, X, out=Y)  # (r, r)(r, c) -> (r, c)
            X *= 3.4445
            X += Y


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adadelta": Adadelta,
    "adam": Adam,
    "adamax": Adamax,
    "nadam": NAdam,
    "amsgrad": AMSGrad,
    "adamw": AdamW,
    "radam": RAdam,
    "adan": Adan,
    "lion": Lion,
    "schedule-free-adamw": ScheduleFreeAdamW,
    "muon": Muon,
}
"""The rules by their names on the command line."""
