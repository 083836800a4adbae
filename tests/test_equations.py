"""The equations: none is missing, both spellings say the same, and those of layers are true of what layers compute."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from latex2mathml.converter import convert

from glassnet import layers, losses, optim
from glassnet.layers import ACTIVATIONS, LAYERS, Activation, Dense, Flatten, ReLU, Softmax
from glassnet.losses import LOSSES
from glassnet.network import Network
from glassnet.optim import OPTIMIZERS, AMSGrad, Momentum, Muon, Nesterov, RMSprop
from glassnet.trace import equations
from glassnet.trace.equations import Equation, letter
from glassnet.trace.letters import rule_of, symbols_of

LETTERS = {"x": letter("z", 1), "y": letter("y", 1), "dx": Equation("p", "p"), "dy": Equation("q", "q")}
LETTERS |= {name: Equation(name, name) for name in ("W", "b", "dW", "db")}


def everything() -> dict[str, Equation]:
    found: dict[str, Equation] = {}
    for table, entries in vars(equations).items():
        if table.startswith("_") or not table.isupper():
            continue
        if isinstance(entries, dict):
            for key, value in entries.items():
                lines = value if isinstance(value, tuple) else (value,)
                found |= {f"{table} {key} {i}": line for i, line in enumerate(lines)}
        else:
            found[table] = entries
    return found


ALL = everything()

# What LaTeX writes in words, and how to read it as text.
WORDS = {
    r"\alpha": "α", r"\beta": "β", r"\gamma": "γ", r"\delta": "δ", r"\varepsilon": "ε", r"\theta": "θ",
    r"\lambda": "λ", r"\mu": "μ", r"\pi": "π", r"\rho": "ρ", r"\psi": "ψ", r"\Phi": "Φ", r"\partial": "∂",
    r"\sum": "Σ", r"\cdots": "⋯", r"\cdot": "·", r"\odot": "⊙", r"\ge": "≥", r"\sqrt": "√", r"\exp": "exp",
    r"\log": "log", r"\max": "max", r"\min": "min", r"\tanh": "tanh", r"\frac": "", r"\mathrm": "", r"\text": "",
    r"\left": "", r"\right": "", r"\quad": "", r"\,": "", r"\hat": "̂", r"\bar": "̄",
}  # fmt: skip
PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊ₜᵗ²ᵀ′−", "0123456789+tt2T'-")


def letters_of(text: str) -> list[str]:
    """Return the letters and signs of an equation but for brackets, fractions and blanks, in alphabetical order."""
    for word, sign in sorted(WORDS.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(word, sign)
    return sorted(re.sub(r"[\s(){}\[\]^_/\\,]", "", text.translate(PLAIN)))


@pytest.mark.parametrize("name", ALL)
def test_both_spellings_have_the_same_letters(name: str) -> None:
    equation = ALL[name].of(LETTERS)
    assert letters_of(equation.text) == letters_of(equation.latex)


@pytest.mark.parametrize("name", ALL)
def test_latex_can_be_typeset(name: str) -> None:
    latex = ALL[name].of(LETTERS).latex
    assert latex.count("{") == latex.count("}")
    found = convert(latex)
    assert found.startswith("<math")
    assert "\\" not in found
    assert "$" not in found


def test_nothing_lacks_its_equation() -> None:
    assert set(equations.FORWARD) == set(LAYERS)
    slopes = {kind.__name__ for kind in ACTIVATIONS.values() if issubclass(kind, Activation)}
    assert set(equations.SLOPES) == slopes
    assert set(equations.BACKWARD) == set(LAYERS) - slopes
    assert set(equations.LOSSES) == {kind.__name__ for kind in LOSSES.values()}
    for module, table in ((layers, LAYERS.values()), (losses, LOSSES.values()), (optim, OPTIMIZERS.values())):
        assert all(kind.__module__.startswith(module.__name__) for kind in table)
    for kind in OPTIMIZERS.values():
        assert rule_of(kind(0.1)), kind


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rules_speak_of_the_state_that_there_is(name: str) -> None:
    optimizer = OPTIMIZERS[name](0.1)
    for matrix in (False, True):
        lines = rule_of(optimizer, matrix)
        assert lines[-1].text.startswith(("θ =", "m ="))
        defined = {line.text.partition(" = ")[0] for line in lines}
        allowed = {"v"} if name == "muon" and matrix else {"g_before"}
        assert set(optimizer.letters()) - defined <= allowed
    source = inspect.getdoc(type(optimizer)) or ""
    assert "theta" in source


@pytest.mark.parametrize(
    ("optimizer", "line"),
    [
        (Momentum(), "v = μ v − lr g"),
        (Momentum(form="mean"), "v = μ v + (1 − μ) g"),
        (Nesterov(form="sum"), "θ = θ − lr (g + μ v)"),
        (RMSprop(epsilon_in_root=True), "θ = θ − lr g / √(v + ε)"),
        (AMSGrad(bias_correction=False), "θ = θ − lr m / (√v_max + ε)"),
    ],
    ids=repr,
)
def test_the_form_that_is_used_is_the_one_that_is_shown(optimizer: Any, line: str) -> None:
    assert line in [one.text for one in rule_of(optimizer)]


def test_muon_treats_matrices_apart() -> None:
    assert "orthogonal" in rule_of(Muon(), matrix=True)[1].text
    assert rule_of(Muon(), matrix=False) == equations.RULES["Adam"]
    assert rule_of(Muon(nesterov=False), matrix=True)[1].text == "X = orthogonal(m)"


def evaluated(equation: Equation, z: Any, y: Any = None) -> Any:
    """Compute the right side of an equation of one activation as it is written."""
    from math import pi

    text = equation.of({"x": letter("z"), "y": letter("y")}).text.partition(" = ")[2]
    assert text, equation
    right, _, extra = text.partition(",  s = ")
    names = {"z": z, "y": y, "α": 0.1, "π": pi, "exp": np.exp, "tanh": np.tanh, "log": np.log, "min": np.minimum}
    names |= {"max": np.maximum, "root": np.sqrt, "Φ": lambda x: 1.0 - tail(x)}
    if extra:
        names["s"] = eval(python(extra), names)
    return eval(python(right), names)


def tail(x: Any) -> Any:
    from math import erfc

    return np.array([0.5 * erfc(value / 2**0.5) for value in np.ravel(x)]).reshape(np.shape(x))


def python(text: str) -> str:
    text = text.replace("−", "-").replace("⊙", "*").replace("·", "*").replace("²", "**2").replace("√", "root")
    text = re.sub(r"\[([^]]+)]", r"(1.0 * (\1))", text)
    text = text.replace("2π", "2 * π").replace("α z", "α * z").replace("α (", "α * (")
    return text.replace(") (1.0", ") * (1.0").replace(") [", ") * [")


@pytest.mark.parametrize("name", [name for name, kind in ACTIVATIONS.items() if issubclass(kind, Activation)])
def test_an_activation_computes_what_its_equations_say(name: str) -> None:
    kind = ACTIVATIONS[name]
    layer = kind(alpha=0.1) if "alpha" in inspect.signature(kind).parameters else kind()
    assert isinstance(layer, Activation)
    z = np.array([-3.0, -0.4, 0.2, 1.7])
    y = layer.f(z, *layer.constants)
    np.testing.assert_allclose(evaluated(equations.FORWARD[kind.__name__], z), y, rtol=1e-12)
    slope = layer.df(z if layer.keeps_input else y, *layer.constants)
    np.testing.assert_allclose(evaluated(equations.SLOPES[kind.__name__], z, y), slope, rtol=1e-9)


def test_letters_of_a_network() -> None:
    network = Network([Flatten(), Dense(3), ReLU(), layers.Dropout(0.5), Dense(2), Dense(2), Softmax()], (2, 2))
    assert [symbol.text for symbol in symbols_of(network)] == ["x", "x", "z₁", "y₁", "y₁′", "z₂", "z₃", "o"]
    assert [symbol.text for symbol in symbols_of(Network([ReLU()], 3))] == ["x", "o"]
