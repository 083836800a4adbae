"""The story of a step as one page, with typeset mathematics, that asks for nothing from anywhere."""

from __future__ import annotations

import base64
import io
import os
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

import glassnet
from glassnet.explain.story import Picture, Story
from glassnet.files import write_text
from glassnet.trace.frameworks import NAMES
from glassnet.trace.typeset import mathml

SIZE = 196
"""Width of a picture on the page, in pixels of its style sheet."""

NEGATIVE, POSITIVE = (0, 97, 154), (196, 77, 0)
"""Colours of the weights below and above 0, told apart by every eye; white is 0."""


def write_page(story: Story, path: str | os.PathLike[str]) -> None:
    """Write a story as one HTML file, whole or not at all.

    Parameters
    ----------
    story : what `tell` told
    path : such as ``step.html``; what was there is replaced

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "step.html")
    >>> write_page(Story("One step", (), True), path)
    >>> "<h1>One step</h1>" in path.read_text(encoding="utf-8")
    True
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"mathml": mathml, "picture": picture}
    text = files("glassnet.explain").joinpath("page.html.j2").read_text(encoding="utf-8")
    page = environment.from_string(text).render(story=story, frameworks=NAMES, size=SIZE, version=glassnet.__version__)
    write_text(path, page)


def picture(shown: Picture) -> Markup:
    """Return a picture as the address of a PNG that holds it."""
    room = io.BytesIO()
    Image.fromarray(colours(shown)).save(room, "PNG", optimize=True)
    return Markup("data:image/png;base64," + base64.b64encode(room.getvalue()).decode())


def colours(shown: Picture) -> NDArray[np.uint8]:
    """Return the pixels of a picture: grey as they are, or signed, (H, W, 3), white at 0.

    Examples
    --------
    >>> colours(Picture(np.array([[-2.0, 0.0, 1.0]]), "", signed=True)).tolist()
    [[[0, 97, 154], [255, 255, 255], [225, 166, 127]]]
    """
    if not shown.signed:
        return np.asarray(shown.pixels, np.uint8)
    values: NDArray[Any] = np.asarray(shown.pixels, np.float64)
    share = values / (float(np.abs(values).max()) or 1.0)
    end = np.where(share[..., np.newaxis] < 0, NEGATIVE, POSITIVE)
    return (255 + np.abs(share)[..., np.newaxis] * (end - 255.0)).astype(np.uint8)
