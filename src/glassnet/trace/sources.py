"""Where in glassnet's own code something is computed."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Source:
    """Some lines of glassnet's own code.

    Attributes
    ----------
    file : within the package, such as "layers/basic.py"; of another program its name alone
    first, last : numbers of the lines, from 1
    code : the lines
    """

    file: str
    first: int
    last: int
    code: str

    def __str__(self) -> str:
        lines = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.file}:{lines}"


@cache
def source_of(function: Callable[..., Any], needle: str = "") -> tuple[Source, ...]:
    """Return the statements of a function that hold a piece of text, or all of them, without its docstring.

    Of what is no plain function, such as a lambda, all lines; () where the source can not be found, as for what was
    typed at a prompt.

    Examples
    --------
    >>> from glassnet.layers import Dense
    >>> print(source_of(Dense.backward, "g.b")[0].code)
    ws.ones.dot(dy, out=g.b)  # (N,)(N,O) -> (O,)                          dL/db = sum_n dy_n, by BLAS
    """
    try:
        lines, start = inspect.getsourcelines(function)
        path = Path(inspect.getsourcefile(function) or "")
    except (OSError, TypeError):
        return ()
    first, last = 1, len(lines)
    with suppress(SyntaxError):  # a lambda may begin or end within a line that is none without those around it
        tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
        if isinstance(tree, ast.FunctionDef):
            body = tree.body[1:] if ast.get_docstring(tree) and len(tree.body) > 1 else tree.body
            chosen = [node for node in body if needle in ast.unparse(node) and not isinstance(node, ast.If)] or body
            first, last = chosen[0].lineno, chosen[-1].end_lineno or chosen[-1].lineno
    code = textwrap.dedent("".join(lines[first - 1 : last])).rstrip()
    name = path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name
    return (Source(name, start + first - 1, start + last - 1, code),)
