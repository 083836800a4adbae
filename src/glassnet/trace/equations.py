r"""The equations of a training step, as text and as LaTeX: what each layer, loss and optimizer computes.

They are kept apart from the code that computes them, so that this stays as short as it is; a test looks that nothing
lacks its equation, and that both forms of each speak of the same letters.

Templates: ``$x`` and ``$y`` are a layer's input and output, ``$dx`` and ``$dy`` the derivatives of the loss by them,
``$W``, ``$b``, ``$dW``, ``$db`` its parameters and their gradients. Arrays side by side are matrix products, ⊙
multiplies entry by entry, and ᵀ transposes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template


@dataclass(frozen=True)
class Equation:
    """One equation in two spellings.

    Parameters
    ----------
    text : in plain Unicode, for a terminal
    latex : in LaTeX, without dollar signs, for a page

    Examples
    --------
    >>> Equation("$y = $x $W", r"$y = $x $W").of({"x": letter("x"), "y": letter("z", 1), "W": letter("W", 1)})
    Equation(text='z₁ = x W₁', latex='z_{1} = x W_{1}')
    """

    text: str
    latex: str

    def of(self, letters: Mapping[str, Equation]) -> Equation:
        """Return the equation with the letters of a certain layer in their places."""
        return Equation(
            Template(self.text).safe_substitute({name: symbol.text for name, symbol in letters.items()}),
            Template(self.latex).safe_substitute({name: symbol.latex for name, symbol in letters.items()}),
        )


def subscript(number: int) -> str:
    """Return a number below the line.

    Examples
    --------
    >>> subscript(12)
    '₁₂'
    """
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def letter(name: str, number: int | None = None, primes: int = 0) -> Equation:
    """Return a symbol such as z₁.

    Examples
    --------
    >>> letter("y", 12, primes=1)
    Equation(text='y₁₂′', latex="y_{12}'")
    """
    text = name if number is None else name + subscript(number)
    latex = name if number is None else f"{name}_{{{number}}}"
    return Equation(text + "′" * primes, latex + "'" * primes)


def by(symbol: Equation) -> Equation:
    """Return the derivative of the loss by a symbol: δ₁ for z₁, which is what the literature calls it.

    Examples
    --------
    >>> by(letter("z", 1)).text, by(letter("y", 1)).text, by(letter("W", 1)).latex
    ('δ₁', '∂L/∂y₁', '\\\\frac{\\\\partial L}{\\\\partial W_{1}}')
    """
    if symbol.text.startswith("z"):
        return Equation("δ" + symbol.text[1:], r"\delta" + symbol.latex[1:])
    return Equation(f"∂L/∂{symbol.text}", rf"\frac{{\partial L}}{{\partial {symbol.latex}}}")


INPUTS: dict[tuple[bool, bool], Equation] = {
    (False, False): Equation("$x = s · raw", r"$x = s \cdot \mathrm{raw}"),
    (True, False): Equation("$x = 1 − s · raw", r"$x = 1 - s \cdot \mathrm{raw}"),
    (False, True): Equation("$x = s · raw − mean", r"$x = s \cdot \mathrm{raw} - \mathrm{mean}"),
    (True, True): Equation("$x = 1 − s · raw − mean", r"$x = 1 - s \cdot \mathrm{raw} - \mathrm{mean}"),
}
"""What the preprocessing computes: whether it inverts, and whether it takes a mean away."""

SOMETHING = Equation("$y = f($x)", "$y = f($x)")
"""What a layer computes that is not glassnet's own."""

SOME_LOSS = Equation("L[n] = L(o[n], t[n])", "L[n] = L(o[n], t[n])")

FORWARD: dict[str, Equation] = {
    "Dense": Equation("$y = $x $W + $b", "$y = $x $W + $b"),
    "Flatten": Equation("$y = $x, each sample as one row", r"$y = $x \text{, each sample as one row}"),
    "Dropout": Equation("$y = $x ⊙ m", r"$y = $x \odot m"),
    "Identity": Equation("$y = $x", "$y = $x"),
    "Sigmoid": Equation("$y = 1 / (1 + exp(−$x))", r"$y = \frac{1}{1 + \exp(-$x)}"),
    "Tanh": Equation("$y = tanh($x)", r"$y = \tanh($x)"),
    "ReLU": Equation("$y = max(0, $x)", r"$y = \max(0, $x)"),
    "LeakyReLU": Equation("$y = max($x, α $x)", r"$y = \max($x, \alpha $x)"),
    "ELU": Equation(
        "$y = max(0, $x) + α (exp(min(0, $x)) − 1)", r"$y = \max(0, $x) + \alpha \left(\exp(\min(0, $x)) - 1\right)"
    ),
    "Softplus": Equation("$y = log(1 + exp($x))", r"$y = \log(1 + \exp($x))"),
    "SiLU": Equation("$y = $x / (1 + exp(−$x))", r"$y = \frac{$x}{1 + \exp(-$x)}"),
    "GELU": Equation("$y = $x ⊙ Φ($x)", r"$y = $x \odot \Phi($x)"),
    "Softmax": Equation("$y[c] = exp($x[c]) / Σ_k exp($x[k])", r"$y[c] = \frac{\exp($x[c])}{\sum_k \exp($x[k])}"),
}
"""What each kind of layer computes going forward."""

MASK = Equation("m = [u ≥ rate] / (1 − rate)", r"m = \frac{[u \ge \mathrm{rate}]}{1 - \mathrm{rate}}")

SLOPES: dict[str, Equation] = {
    "Sigmoid": Equation("f′($x) = $y ⊙ (1 − $y)", r"f'($x) = $y \odot (1 - $y)"),
    "Tanh": Equation("f′($x) = 1 − $y²", r"f'($x) = 1 - $y^{2}"),
    "ReLU": Equation("f′($x) = [$y > 0]", "f'($x) = [$y > 0]"),
    "LeakyReLU": Equation("f′($x) = (1 − α) [$y > 0] + α", r"f'($x) = (1 - \alpha) [$y > 0] + \alpha"),
    "ELU": Equation(
        "f′($x) = (1 − α) [$y > 0] + min(0, $y) + α", r"f'($x) = (1 - \alpha) [$y > 0] + \min(0, $y) + \alpha"
    ),
    "Softplus": Equation("f′($x) = 1 − exp(−$y)", r"f'($x) = 1 - \exp(-$y)"),
    "SiLU": Equation(
        "f′($x) = s ⊙ (1 + $x ⊙ (1 − s)),  s = 1 / (1 + exp(−$x))",
        r"f'($x) = s \odot (1 + $x \odot (1 - s)),\quad s = \frac{1}{1 + \exp(-$x)}",
    ),
    "GELU": Equation(
        "f′($x) = Φ($x) + $x ⊙ exp(−$x²/2) / √(2π)",
        r"f'($x) = \Phi($x) + $x \odot \frac{\exp(-$x^{2}/2)}{\sqrt{2 \pi}}",
    ),
}
"""The slopes of the activations that work entry by entry."""

THROUGH = Equation("$dx = $dy ⊙ f′($x)", r"$dx = $dy \odot f'($x)")
"""How the gradient passes such an activation."""

BACKWARD: dict[str, Equation] = {
    "Dense": Equation("$dx = $dy $Wᵀ", r"$dx = $dy\, $W^{T}"),
    "Flatten": Equation("$dx = $dy", "$dx = $dy"),
    "Dropout": Equation("$dx = $dy ⊙ m", r"$dx = $dy \odot m"),
    "Identity": Equation("$dx = $dy", "$dx = $dy"),
    "Softmax": Equation(
        "$dx = $y ⊙ ($dy − Σ_k $dy[k] $y[k])", r"$dx = $y \odot \left($dy - \sum_k $dy[k]\, $y[k]\right)"
    ),
}
"""How the gradient passes each other kind of layer."""

PARAMETERS: dict[tuple[str, str], Equation] = {
    ("Dense", "W"): Equation("$dW = $xᵀ $dy", r"$dW = $x^{T} $dy"),
    ("Dense", "b"): Equation("$db = Σ_n $dy[n]", r"$db = \sum_n $dy[n]"),
}
"""The gradient of each array of parameters."""

LOSSES: dict[str, Equation] = {
    "SoftmaxCrossEntropy": Equation("L[n] = −Σ_c t[n,c] log o[n,c]", r"L[n] = -\sum_c t[n,c] \log o[n,c]"),
    "SigmoidCrossEntropy": Equation(
        "L[n] = −Σ_k (t[n,k] log o[n,k] + (1 − t[n,k]) log(1 − o[n,k]))",
        r"L[n] = -\sum_k \left(t[n,k] \log o[n,k] + (1 - t[n,k]) \log(1 - o[n,k])\right)",
    ),
    "MeanSquaredError": Equation("L[n] = 1/2 Σ_k (t[n,k] − o[n,k])²", r"L[n] = 1/2 \sum_k (t[n,k] - o[n,k])^{2}"),
}
"""The loss of one sample."""

TOTALS = {
    "mean": Equation("L = 1/N Σ_n L[n]", r"L = 1/N \sum_n L[n]"),
    "sum": Equation("L = Σ_n L[n]", r"L = \sum_n L[n]"),
    "weighted mean": Equation("L = Σ_n w[n] L[n] / Σ_n w[n]", r"L = \frac{\sum_n w[n] L[n]}{\sum_n w[n]}"),
    "weighted sum": Equation("L = Σ_n w[n] L[n]", r"L = \sum_n w[n] L[n]"),
}
"""The loss of a batch, by its reduction."""

ERRORS = {
    "mean": Equation("$dy = (o − t) / N", r"$dy = \frac{o - t}{N}"),
    "sum": Equation("$dy = o − t", "$dy = o - t"),
    "weighted mean": Equation(
        "$dy[n] = w[n] (o[n] − t[n]) / Σ_n w[n]", r"$dy[n] = \frac{w[n] (o[n] - t[n])}{\sum_n w[n]}"
    ),
    "weighted sum": Equation("$dy[n] = w[n] (o[n] − t[n])", "$dy[n] = w[n] (o[n] - t[n])"),
}
"""The gradient of the loss, by its reduction: by the scores where loss and output are fused, else by the outputs."""

_M = Equation("m = β₁ m + (1 − β₁) g", r"m = \beta_{1} m + (1 - \beta_{1}) g")
_V = Equation("v = β₂ v + (1 − β₂) g²", r"v = \beta_{2} v + (1 - \beta_{2}) g^{2}")
_M_HAT = Equation("m̂ = m / (1 − β₁ᵗ)", r"\hat m = \frac{m}{1 - \beta_{1}^{t}}")
_V_HAT = Equation("v̂ = v / (1 − β₂ᵗ)", r"\hat v = \frac{v}{1 - \beta_{2}^{t}}")
_ADAM = Equation("θ = θ − lr m̂ / (√v̂ + ε)", r"\theta = \theta - \mathrm{lr} \frac{\hat m}{\sqrt{\hat v} + \varepsilon}")
_GRADIENT = Equation("θ = θ − lr g", r"\theta = \theta - \mathrm{lr}\, g")
_VELOCITY = Equation("θ = θ − lr v", r"\theta = \theta - \mathrm{lr}\, v")
_MEAN_SQUARE = Equation("v = ρ v + (1 − ρ) g²", r"v = \rho v + (1 - \rho) g^{2}")

RULES: dict[str, tuple[Equation, ...]] = {
    "SGD": (_GRADIENT,),
    "Momentum": (
        Equation("v = μ v − lr g", r"v = \mu v - \mathrm{lr}\, g"),
        Equation("θ = θ + v", r"\theta = \theta + v"),
    ),
    "Momentum sum": (Equation("v = μ v + g", r"v = \mu v + g"), _VELOCITY),
    "Momentum mean": (Equation("v = μ v + (1 − μ) g", r"v = \mu v + (1 - \mu) g"), _VELOCITY),
    "Nesterov": (
        Equation("v = μ v − lr g", r"v = \mu v - \mathrm{lr}\, g"),
        Equation("θ = θ + μ v − lr g", r"\theta = \theta + \mu v - \mathrm{lr}\, g"),
    ),
    "Nesterov sum": (
        Equation("v = μ v + g", r"v = \mu v + g"),
        Equation("θ = θ − lr (g + μ v)", r"\theta = \theta - \mathrm{lr} (g + \mu v)"),
    ),
    "Adagrad": (
        Equation("G = G + g²", "G = G + g^{2}"),
        Equation("θ = θ − lr g / (√G + ε)", r"\theta = \theta - \mathrm{lr} \frac{g}{\sqrt{G} + \varepsilon}"),
    ),
    "RMSprop": (
        _MEAN_SQUARE,
        Equation("θ = θ − lr g / (√v + ε)", r"\theta = \theta - \mathrm{lr} \frac{g}{\sqrt{v} + \varepsilon}"),
    ),
    "RMSprop in root": (
        _MEAN_SQUARE,
        Equation("θ = θ − lr g / √(v + ε)", r"\theta = \theta - \mathrm{lr} \frac{g}{\sqrt{v + \varepsilon}}"),
    ),
    "Adadelta": (
        _MEAN_SQUARE,
        Equation("d = g √(u + ε) / √(v + ε)", r"d = g \frac{\sqrt{u + \varepsilon}}{\sqrt{v + \varepsilon}}"),
        Equation("u = ρ u + (1 − ρ) d²", r"u = \rho u + (1 - \rho) d^{2}"),
        Equation("θ = θ − lr d", r"\theta = \theta - \mathrm{lr}\, d"),
    ),
    "Adam": (_M, _V, _M_HAT, _V_HAT, _ADAM),
    "AdamW": (_M, _V, _M_HAT, _V_HAT, _ADAM),
    "Adamax": (
        _M,
        Equation("u = max(β₂ u, |g| + ε)", r"u = \max(\beta_{2} u, |g| + \varepsilon)"),
        Equation(
            "θ = θ − lr / (1 − β₁ᵗ) m / u", r"\theta = \theta - \frac{\mathrm{lr}}{1 - \beta_{1}^{t}} \frac{m}{u}"
        ),
    ),
    "NAdam": (
        Equation("μₜ = β₁ (1 − 1/2 · 0.96^(t ψ))", r"\mu_{t} = \beta_{1} (1 - 1/2 \cdot 0.96^{(t \psi)})"),
        _M,
        _V,
        Equation(
            "m̄ = μₜ₊₁ m / (1 − μ₁⋯μₜ₊₁) + (1 − μₜ) g / (1 − μ₁⋯μₜ)",
            r"\bar m = \frac{\mu_{t+1} m}{1 - \mu_{1} \cdots \mu_{t+1}} + "
            r"\frac{(1 - \mu_{t}) g}{1 - \mu_{1} \cdots \mu_{t}}",
        ),
        _V_HAT,
        Equation(
            "θ = θ − lr m̄ / (√v̂ + ε)", r"\theta = \theta - \mathrm{lr} \frac{\bar m}{\sqrt{\hat v} + \varepsilon}"
        ),
    ),
    "AMSGrad": (
        _M,
        _V,
        Equation("v_max = max(v_max, v)", r"v_\mathrm{max} = \max(v_\mathrm{max}, v)"),
        _M_HAT,
        Equation("v̂ = v_max / (1 − β₂ᵗ)", r"\hat v = \frac{v_\mathrm{max}}{1 - \beta_{2}^{t}}"),
        _ADAM,
    ),
    "AMSGrad uncorrected": (
        _M,
        _V,
        Equation("v_max = max(v_max, v)", r"v_\mathrm{max} = \max(v_\mathrm{max}, v)"),
        Equation(
            "θ = θ − lr m / (√v_max + ε)",
            r"\theta = \theta - \mathrm{lr} \frac{m}{\sqrt{v_\mathrm{max}} + \varepsilon}",
        ),
    ),
    "RAdam waiting": (_M, _V, _M_HAT, Equation("θ = θ − lr m̂", r"\theta = \theta - \mathrm{lr}\, \hat m")),
    "RAdam": (
        _M,
        _V,
        _M_HAT,
        _V_HAT,
        Equation(
            "θ = θ − lr rₜ m̂ / (√v̂ + ε)",
            r"\theta = \theta - \mathrm{lr}\, r_{t} \frac{\hat m}{\sqrt{\hat v} + \varepsilon}",
        ),
    ),
    "Adan": (
        Equation("d = g − g_before", r"d = g - g_\mathrm{before}"),
        _M,
        Equation("v = β₂ v + (1 − β₂) d", r"v = \beta_{2} v + (1 - \beta_{2}) d"),
        Equation("n = β₃ n + (1 − β₃) (g + β₂ d)²", r"n = \beta_{3} n + (1 - \beta_{3}) (g + \beta_{2} d)^{2}"),
        Equation(
            "θ = θ − lr (m̂ + β₂ v̂) / (√n̂ + ε)",
            r"\theta = \theta - \mathrm{lr} \frac{\hat m + \beta_{2} \hat v}{\sqrt{\hat n} + \varepsilon}",
        ),
    ),
    "Lion": (
        Equation(
            "θ = θ − lr sign(β₁ m + (1 − β₁) g)",
            r"\theta = \theta - \mathrm{lr}\, \mathrm{sign}(\beta_{1} m + (1 - \beta_{1}) g)",
        ),
        Equation("m = β₂ m + (1 − β₂) g", r"m = \beta_{2} m + (1 - \beta_{2}) g"),
    ),
    "ScheduleFreeAdamW": (
        Equation("γ = lr √(1 − β₂ᵗ)", r"\gamma = \mathrm{lr} \sqrt{1 - \beta_{2}^{t}}"),
        _V,
        Equation("z = z − γ g / (√v + ε)", r"z = z - \gamma \frac{g}{\sqrt{v} + \varepsilon}"),
        Equation("c = γ² / Σ γ²", r"c = \frac{\gamma^{2}}{\sum \gamma^{2}}"),
        Equation("x = (1 − c) x + c z", "x = (1 - c) x + c z"),
        Equation("θ = (1 − β₁) z + β₁ x", r"\theta = (1 - \beta_{1}) z + \beta_{1} x"),
    ),
    "Muon matrix": (
        Equation("m = μ m + g", r"m = \mu m + g"),
        Equation("X = orthogonal(g + μ m)", r"X = \mathrm{orthogonal}(g + \mu m)"),
        Equation("θ = θ − lr s X", r"\theta = \theta - \mathrm{lr}\, s X"),
    ),
    "Muon matrix plain": (
        Equation("m = μ m + g", r"m = \mu m + g"),
        Equation("X = orthogonal(m)", r"X = \mathrm{orthogonal}(m)"),
        Equation("θ = θ − lr s X", r"\theta = \theta - \mathrm{lr}\, s X"),
    ),
}
"""What each optimizer does with the gradient g, line by line; t counts its steps from 1. Some have several forms."""

BEFORE_THE_RULE: dict[str, Equation] = {
    "clip_value": Equation("g = min(max(g, −c), c)", r"g = \min(\max(g, -c), c)"),
    "clip_norm": Equation("g = g · min(1, c / |g|)", r"g = g \cdot \min(1, c / |g|)"),
    "l2": Equation("g = g + λ θ", r"g = g + \lambda \theta"),
    "weight_decay": Equation("θ = θ − lr λ θ", r"\theta = \theta - \mathrm{lr}\, \lambda \theta"),
}
"""What any optimizer may do before its rule, in this order."""

MOMENTS = {
    "v_max": Equation("v_max", r"v_\mathrm{max}"),
}
"""Rows of an optimizer's state whose letter is spelled otherwise in LaTeX."""
