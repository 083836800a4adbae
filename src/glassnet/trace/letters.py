"""The letters of a network: what is called z₁ and W₁ in it, and which equations its optimizer follows."""

from __future__ import annotations

from collections.abc import Iterator

from glassnet.network import Network
from glassnet.optim import RAdam
from glassnet.optimizer import Optimizer
from glassnet.params import Slot
from glassnet.trace import equations
from glassnet.trace.equations import Equation, letter


def symbols_of(network: Network) -> list[Equation]:
    """Return a letter for what goes into each layer, and for what comes out of the last one.

    x the input; zₖ what the k-th layer with parameters gives, yₖ what the layers after it make of that; o the output.

    Examples
    --------
    >>> from glassnet.layers import Dense, ReLU, Softmax
    >>> [symbol.text for symbol in symbols_of(Network([Dense(4), ReLU(), Dense(3), Softmax()], 2))]
    ['x', 'z₁', 'y₁', 'z₂', 'o']
    """
    symbols, count = [letter("x")], 0
    for i, layer in enumerate(network.layers):
        if network.layout.layers[i]:
            count += 1
            symbol = letter("z", count)
        elif type(layer).__name__ == "Flatten":
            symbol = symbols[-1]
        else:
            primes = 0
            while letter("y", count, primes) in symbols:
                primes += 1
            symbol = letter("y", count, primes)
        symbols.append(letter("o") if i == len(network.layers) - 1 else symbol)
    return symbols


def rule_of(optimizer: Optimizer, matrix: bool = False, decays: bool = True) -> tuple[Equation, ...]:
    """Return the equations of an optimizer's step, line by line.

    Parameters
    ----------
    optimizer : after the step
    matrix : for a hidden layer's weights, of which some rules make something else than of the rest
    decays : for parameters that decay, as weights do and biases do not

    Examples
    --------
    >>> from glassnet.optim import Momentum
    >>> [line.text for line in rule_of(Momentum(form="sum"))]
    ['v = μ v + g', 'θ = θ − lr v']
    """
    kind = type(optimizer).__name__
    settings = optimizer.describe()
    form = kind
    if settings.get("form", "classical") != "classical":
        form = f"{kind} {settings['form']}"
    elif settings.get("epsilon_in_root"):
        form = f"{kind} in root"
    elif settings.get("bias_correction") is False:
        form = f"{kind} uncorrected"
    elif isinstance(optimizer, RAdam) and _waits(optimizer):
        form = "RAdam waiting"
    elif kind == "Muon":
        form = "Adam" if not matrix else "Muon matrix" if settings["nesterov"] else "Muon matrix plain"
    left_out = () if decays else ("l2", "weight_decay")
    before = (
        line for name, line in equations.BEFORE_THE_RULE.items() if getattr(optimizer, name) and name not in left_out
    )
    return (*before, *equations.RULES.get(form, ()))


def _waits(optimizer: RAdam) -> bool:
    """Return whether RAdam, in the step it has just taken, did not yet know the mean square well enough."""
    beta2, t = optimizer.beta2, max(optimizer.steps, 1)
    return 2 / (1 - beta2) - 1 - 2 * t * beta2**t / (1 - beta2**t) <= optimizer.threshold


def parameters(network: Network) -> Iterator[tuple[Slot, Equation]]:
    """Yield each array of parameters, first layer first, with its letter."""
    numbers = {layer: k for k, layer in enumerate(sorted({slot.layer for slot in network.layout.slots}), start=1)}
    for slot in reversed(network.layout.slots):
        yield slot, letter(slot.name, numbers[slot.layer])


def ascii_name(symbol: Equation) -> str:
    """Return a name that a keyboard has."""
    return symbol.latex.replace("_{", "").replace("}", "").replace("'", "_")
