"""A trained network as one HTML file, whose Draw room works from disk, with no server."""

from __future__ import annotations

import base64
import os
import re
from importlib.resources import files

import jinja2

from glassnet import __version__
from glassnet.files import write_text

MODULES = (
    "net.js",
    "ink.js",
    "pictures.js",
    "draw-parts.js",
    "racer-choice.js",
    "draw-area.js",
    "draw-units.js",
    "draw-lesson.js",
    "draw.js",
    "export.js",
)
"""In the order in which they need one another."""

STYLES = ("style.css", "draw.css")

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w.-]+";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class|let)\b)", re.MULTILINE)


def page_of(model_file: bytes) -> str:
    """Return the page of a network.

    Parameters
    ----------
    model_file : what `glassnet.model_files.model_bytes` makes of a model

    Examples
    --------
    >>> page_of(b"").startswith("<!DOCTYPE html>")
    True
    """
    folder = files("glassnet.web").joinpath("static")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string(folder.joinpath("export.html.j2").read_text(encoding="utf-8"))
    return template.render(
        version=__version__,
        styles="\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in STYLES),
        script=joined([folder.joinpath(name).read_text(encoding="utf-8") for name in MODULES]),
        weights=base64.b64encode(model_file).decode(),
    )


def joined(modules: list[str]) -> str:
    """Return one script of several modules that share no name: without their imports, and what they export plain.

    Examples
    --------
    >>> joined(['export const a = 1;', 'import { a } from "./a.js";\\nexport function b() { return a; }'])
    'const a = 1;\\nfunction b() { return a; }'
    """
    script = "\n".join(_EXPORT.sub("", _IMPORT.sub("", module)) for module in modules)
    return script.replace("</script", "<\\/script")


def write_snapshot(model_file: bytes, path: str | os.PathLike[str]) -> None:
    """Write the page of a network, whole or not at all."""
    write_text(path, page_of(model_file))
