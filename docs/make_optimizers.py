"""Write docs/optimizers.md from the docstrings of ``glassnet.optim``, so that the page and the program say the same.

Run ``python docs/make_optimizers.py`` after a change there; a test compares.
"""

import inspect
import re
import textwrap
from pathlib import Path

from glassnet.config import LEARNING_RATES
from glassnet.optim import OPTIMIZERS
from glassnet.optimizer import Optimizer

PAGE = """# The optimizers, with their equations

{count} rules, from simple to complex, as they stand in [`optim.py`](../src/glassnet/optim.py); this page is made from
there. theta are the parameters, g the gradient, lr the learning rate of the step, t its number, 1 for the first. Where
PyTorch and Keras (or optax) compute something else, each section says so, and which form is the default here.

On the command line: `glassnet train --optimizer NAME`; from Python: `gn.fit(network, data, gn.Adam(0.001))`. A learning
rate is a number or a [schedule](python.md#learning-rates). How well each reads digits, and what it costs:
[figures](optimizer-figures.md).

| name | class | rows of state | learning rate of `glassnet train` |
|---|---|---|---|
{table}

**Which one?** Start with Adam: it bears many rates. Gradient descent with momentum has nothing to hide and ends as
well once its rate is found (`glassnet lr-find` helps). Muon is among the best here, at several times the price of a
step. When you cannot say beforehand how long you will train, take the schedule-free one.

## What every rule takes

```
lr = schedule(steps)
g = clip(g)                                 clip_value: no entry is larger; clip_norm: nor is the norm of all of g
g = g + l2 theta                            weight decay as a penalty
theta = theta - lr weight_decay theta       weight decay apart from the gradient
```

then the rule. Weights decay, biases do not.

{differences}

`optimizer.moments()` gives the paper's quantities under the paper's letters, whatever the rule keeps for speed.

{sections}"""


def blocks(text: str) -> list[str]:
    """Turn the paragraphs of a docstring into Markdown, what is indented into blocks of code."""
    found = []
    for block in re.split(r"\n\n+", text.strip("\n")):
        if block.startswith("    ") or re.fullmatch(r"theta = .*", block):
            found.append(f"```\n{textwrap.dedent(block)}\n```")
        elif block != "::":
            found.append(paragraph(re.sub(r"::$", ":", block)))
    return found


def paragraph(text: str) -> str:
    """Wrap prose, with Markdown's quotes around code."""
    return textwrap.fill(" ".join(text.replace("``", "`").split()), 120, break_on_hyphens=False)


def section(name: str, rule: type[Optimizer]) -> str:
    """Return the part of the page about one rule."""
    about, _, rest = str(inspect.getdoc(rule)).partition("\n\nParameters\n----------\n")
    first, _, about = about.partition("\n")
    source = rest.partition("\nReferences\n----------\n")[2]
    intro = paragraph(f"`--optimizer {name}`. {first}")
    return "\n\n".join([f"## {rule.__name__}", intro, *blocks(about), paragraph(f"*Source:* {source}")])


def page() -> str:
    """Return the whole page."""
    table = "\n".join(
        f"| {name} | [`{rule.__name__}`](#{rule.__name__.lower()}) | {', '.join(rule.rows) or '-'} "
        f"| {LEARNING_RATES[name]:g} |"
        for name, rule in OPTIMIZERS.items()
    )
    differences = str(inspect.getdoc(Optimizer)).rpartition("\n\n")[2]
    return PAGE.format(
        count=len(OPTIMIZERS),
        table=table,
        differences=paragraph(differences.partition(" PyTorch's schedulers")[0]),
        sections="\n\n".join(section(name, rule) for name, rule in OPTIMIZERS.items()) + "\n",
    )


if __name__ == "__main__":
    (Path(__file__).parent / "optimizers.md").write_text(page(), encoding="utf-8")
