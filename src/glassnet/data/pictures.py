"""Pictures of a single digit, from a scanner, a camera or a drawing program, brought to the form of MNIST."""

from __future__ import annotations

import io
import math
import os
import re
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from glassnet.data.files import PathLike, one_sentence
from glassnet.data.ink import NOTHING, WORKING_SIDE, Floats, find_ink
from glassnet.errors import DataError, MissingFileError
from glassnet.files import read_up_to

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is read; others are refused, since some decoders start programs."""

SIDE, BOX = 28, 20
"""Sides of an MNIST picture and of the box that its digit fills, in pixels."""

MOST_BYTES = 128 * 2**20
"""The most that a picture may have."""

MOST_PIXELS = 25_000_000
"""The most that is decoded, in about a second: an A4 page at 500 dots per inch has 24 million."""

MOST_JPEG_PIXELS = 64_000_000
"""The most of a JPEG file, which is made smaller as it is decoded."""

MOST_SCANS = 20
"""Of a JPEG file: each goes over all pixels, and may take no more than some bytes; usual are 1 to 14."""

MOST_PARTS = 2**16
"""Chunks of a PNG file, or segments of a JPEG file: Pillow looks at one after the other."""

MOST_VALUES = 2**16
"""Numbers in one entry of a TIFF file, of which Pillow makes objects; mostly one for each row of pixels."""

MOST_GIF_BYTES = 2**21
"""The most of a GIF file: Pillow takes quadratic time for its comments."""

MOST_SLOW_BYTES, MOST_SLOW_PIXELS, SLOW = 2**21, 2**20, ("bmp_rle", "ppm", "ppm_plain")
"""The most of a file for which Pillow has a decoder written in Python, and the names of these."""

MOST_COMMENTS = 100
"""In a PPM file written as text, for each of which Pillow copies what follows."""

MOST_EXIF = 2**16
"""The most bytes of notes of a camera that are looked through for the rotation, as many as JPEG allows."""

THINNEST, THICKENED = 1.6, 2.1
"""Strokes thinner than the first (pixels in the 28 x 28 picture) are thickened to the second. In MNIST 5 % are thinner
than 1.65; the median is 2.36."""

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # of a JPEG segment with a length, or of the end
_BYTES = (1, 2, 6, 7)  # kinds of TIFF entries that are kept as bytes

_FINE = 4  # how many times finer than MNIST's pixels the grid is on which strokes are measured and thickened

RESAMPLING = Image.Resampling.HAMMING


def read_picture(source: PathLike | BinaryIO) -> NDArray[np.uint8]:
    """Read a picture of one digit as MNIST would show it: 28 x 28, light on dark.

    Any size and mode will do, dark on light or light on dark, grey or colour, with transparency; the rotation that a
    camera noted is undone; of an animation the first picture counts. See `to_mnist_form` for what happens then.

    Parameters
    ----------
    source : str or path-like or binary file
        A PNG, JPEG, WebP, BMP, GIF, TIFF or PPM file.

    Returns
    -------
    numpy.ndarray, shape (28, 28)
        uint8, 0 for the ground to 255 for the strongest ink.

    Raises
    ------
    MissingFileError
        When there is no such file.
    DataError
        When it cannot be read, is no picture, is damaged or too large, or nothing is drawn on it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image, ImageDraw
    >>> picture = Image.new("RGB", (300, 400), "white")
    >>> ImageDraw.Draw(picture).line([(200, 100), (180, 300)], fill="navy", width=12)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "one.png")
    ...     picture.save(path)
    ...     one = read_picture(path)
    >>> one.shape, int(one[:, :8].max()), int(one.max())
    ((28, 28), 0, 255)

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", Proceedings
    of the IEEE 86(11), 1998, section III.A: how the pictures of MNIST were made.
    """
    name = str(source) if isinstance(source, str | os.PathLike) else "the picture"
    try:
        return to_mnist_form(np.asarray(_decode(source, name)))
    except DataError as error:
        raise error if str(error).startswith(name) else DataError(f"{name}: {str(error).rstrip('.')}.") from None


def to_mnist_form(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring a picture of one digit to the form of MNIST.

    ::

        ground   the colour along the edges; where it varies, a quadratic surface through what is not drawn
        ink      d = (pixel - ground) . u, with u the mean direction of what differs most
        digit    what is darker or lighter than the noise, without frames, lines at the edge, and specks
        size     the longer side becomes 20 pixels, averaged; strokes that would be too thin are thickened
        place    the centre of mass goes to the middle of 28 x 28

    Parameters
    ----------
    pixels : numpy.ndarray, shape (H, W), (H, W, 3) or (H, W, 4)
        Grey, RGB or RGBA (opacity not multiplied in) of 0 to 255.

    Returns
    -------
    numpy.ndarray, shape (28, 28)
        uint8, 0 for the ground to 255 for the strongest ink.

    Raises
    ------
    DataError
        When the shape is another one, or nothing is drawn: all is of one colour, a soft gradient, or noise.

    Examples
    --------
    >>> page = np.full((90, 60), 240, np.uint8)
    >>> page[20:80, 40:48] = 30
    >>> one = to_mnist_form(page)
    >>> rows, columns = np.nonzero(one)
    >>> int(rows.min()), int(rows.max())
    (4, 23)

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", Proceedings
    of the IEEE 86(11), 1998, section III.A.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)  # (H, W, 3)
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or 0 in pixels.shape:
        raise DataError(f"a picture of shape {pixels.shape} is neither (H, W), (H, W, 3) nor (H, W, 4).")
    if pixels.dtype != np.uint8:
        pixels = np.clip(np.rint(np.nan_to_num(pixels)), 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels).reduce(math.ceil(max(pixels.shape) / (4 * WORKING_SIDE)))
    return _place(_to_box(find_ink(_without_alpha(image))))


def _decode(source: PathLike | BinaryIO, name: str) -> Image.Image:
    """Open, decode and turn upright; RGB or RGBA of 8 bits, no larger than needed."""
    try:
        content = _content(source, name)
        _check_parts(content, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(image, content, name)
                image.draft("RGB", (2 * WORKING_SIDE, 2 * WORKING_SIDE))  # JPEG can decode at 1/2, 1/4 or 1/8
                image.load()
                upright = _upright(image)
                return _to_8_bits(upright)
    except DataError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(f"{name} does not exist; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{name} is a folder; give the pictures in it, such as {name}/*.png") from None
    except PermissionError:
        raise DataError(f"{name} may not be read; check its permissions.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise DataError(f"{name} has more than {most} million pixels; make it smaller first.") from None
    except UnidentifiedImageError:
        raise DataError(f"{name} is no picture that can be read; give a PNG, JPEG, WebP or BMP file.") from None
    except MemoryError:
        raise DataError(f"{name} needs more memory than there is; make it smaller first.") from None
    except Exception as error:  # what a damaged file raises is up to its decoder
        why = one_sentence(str(error)).rstrip(".")
        raise DataError(f"{name} is damaged or cut off ({why}); save or download it again.") from error


def _content(source: PathLike | BinaryIO, name: str) -> bytes:
    if isinstance(source, str | os.PathLike):
        content = read_up_to(Path(source), MOST_BYTES + 1)
    else:
        content = source.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise DataError(f"{name} has more than {MOST_BYTES:,} bytes; make it smaller first.")
    return content


def _check_parts(content: bytes, name: str) -> None:
    """Refuse files that are small and take Pillow minutes, or gigabytes, even before it knows how many pixels."""
    if content.startswith(b"\x89PNG"):
        too_many = _chunks(content) > MOST_PARTS
    elif content.startswith(b"\xff\xd8"):
        segments, scans = _segments(content)
        too_many = segments > MOST_PARTS or scans > MOST_SCANS
    elif content.startswith((b"II", b"MM")):
        too_many = _values(content) > MOST_VALUES
    elif content.startswith(b"GIF"):
        too_many = len(content) > MOST_GIF_BYTES
    else:
        too_many = content[:1] == b"P" and content[1:2] in b"123" and content.count(b"#") > MOST_COMMENTS
    if too_many:
        raise DataError(f"{name} has far more parts than a picture of one digit needs; save it as another PNG file.")


def _chunks(content: bytes) -> int:
    """Count the chunks of a PNG file: length, kind, data, checksum."""
    place, count = 8, 0
    while place < len(content) and count <= MOST_PARTS:
        place += 12 + int.from_bytes(content[place : place + 4], "big")
        count += 1
    return count


def _segments(content: bytes) -> tuple[int, int]:
    """Count the segments and the scans of a JPEG file: between them lie pixels, where FF 00 stands for FF."""
    place, segments, scans = 2, 0, 0
    while segments <= MOST_PARTS and scans <= MOST_SCANS and (marker := _MARKER.search(content, place)):
        place = marker.end()
        if marker[1] == b"\xd9":  # the end
            break
        segments += 1
        scans += marker[1] == b"\xda"
        place += int.from_bytes(content[place : place + 2], "big")
    return segments, scans


def _values(content: bytes) -> int:
    """Return the length of the longest list of numbers in the first directory of a TIFF file."""
    order: Literal["little", "big"] = "little" if content[:1] == b"I" else "big"

    def number(place: int, size: int) -> int:
        return int.from_bytes(content[place : place + size], order)

    big = number(2, 2) == 43  # BigTIFF, with larger numbers everywhere
    wide, entry, head = (8, 20, 8) if big else (4, 12, 2)
    start = number(8 if big else 4, wide)
    entries = range(start + head, min(start + head + entry * number(start, head), len(content)), entry)
    counts = (number(place + 4, wide) for place in entries if number(place + 2, 2) not in _BYTES)
    return max(counts, default=0)


def _check_size(image: Image.Image, content: bytes, name: str) -> None:
    slow = any(tile[0] in SLOW for tile in image.tile[:1])  # type: ignore[attr-defined]
    most = MOST_SLOW_PIXELS if slow else MOST_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MOST_PIXELS
    if image.width * image.height > most:
        raise DataError(f"{name} has more than {most:,} pixels; make it smaller first.")
    if slow and len(content) > MOST_SLOW_BYTES:
        raise DataError(f"{name} has more than {MOST_SLOW_BYTES:,} bytes; save it as a PNG file.")


def _upright(image: Image.Image) -> Image.Image:
    if len(image.info.get("exif", b"")) > MOST_EXIF:
        return image
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged note about the rotation says nothing about the picture
        return image


def _to_8_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits: the range that is used becomes 0 to 255
        values = np.nan_to_num(np.array(image, np.float32), copy=False)
        low, high = float(values.min()), float(values.max())
        scale = 255 / ((high - low) or 1.0)
        values *= scale
        values -= low * scale
        image = Image.fromarray(np.rint(values, out=values).astype(np.uint8))
    alpha = "transparency" in image.info or image.mode in ("LA", "PA", "RGBA")
    return image.convert("RGBA" if alpha else "RGB")


def _without_alpha(image: Image.Image) -> Image.Image:
    """Lay what is transparent on a ground that leaves the drawing visible.

    A drawing on nothing goes on white or black, whichever is farther from its colour. A card with clear corners, which
    fills its box and has a drawing of its own on it, goes on its own most common brightness.
    """
    if image.mode != "RGBA":
        return image
    rgba = np.asarray(image, np.float32)
    alpha = rgba[:, :, 3] / 255.0
    if alpha.min() == 1.0:
        return image.convert("RGB")
    seen = alpha > 0.5
    if not seen.any():
        seen = alpha > 0.0
        if not seen.any():
            raise DataError(NOTHING)
    light = rgba[:, :, :3] @ np.array([0.299, 0.587, 0.114], np.float32)  # (H, W), Rec. 601
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    inside = seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    low, middle, high = np.percentile(light[seen], [1, 50, 99])
    if inside.mean() > 0.7 and high - low > 60:
        ground = np.median(rgba[:, :, :3][seen], axis=0)
    else:
        ground = np.full(3, 255.0 if middle < 128 else 0.0)
    blended = ground + alpha[:, :, None] * (rgba[:, :, :3] - ground)  # (H, W, 3)
    return Image.fromarray(np.rint(blended).astype(np.uint8))


def _to_box(ink: Floats) -> Floats:
    """Bring ink (H, W) to the size of MNIST's digits: the longer side 20 pixels, strokes not too thin."""
    fine = _fitted(ink, _FINE * BOX)
    width = _stroke_width(fine) / _FINE
    if width >= THINNEST:
        small = _fitted(ink, BOX)
    else:
        radius = 0.5 * (THICKENED - width)  # grows on both sides of a stroke
        fine = _fitted(ink, round(_FINE * (BOX - 2 * radius)))
        fine /= max(float(np.median(fine[fine >= 0.25 * fine.max()])), 1e-6)  # averaging has made hairlines faint
        small = _fitted(_thickened(np.minimum(fine, 1.0), _FINE * radius), BOX)
    small /= max(float(small.max()), 1e-6)
    return small


def _fitted(ink: Floats, side: int) -> Floats:
    """Resample so that the longer side has `side` pixels; averages where it shrinks."""
    h, w = ink.shape
    scale = side / max(h, w)
    size = max(1, round(scale * w)), max(1, round(scale * h))
    if size == (w, h):
        return ink.copy()
    resized = Image.fromarray(ink).resize(size, RESAMPLING)
    return np.clip(np.asarray(resized, np.float32), 0.0, None)


def _stroke_width(ink: Floats) -> float:
    """Estimate the mean width of the strokes in pixels: twice the area over the perimeter.

    The perimeter is pi/4 times the sum of absolute differences along rows and columns: right on average over angles.
    """
    padded = np.pad(ink, 1)
    total = float(np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum())
    return 2.0 * float(ink.sum()) / max(math.pi / 4 * total, 1e-6)


def _thickened(ink: Floats, radius: float) -> Floats:
    """Return the largest value within a disc around each pixel; the picture grows by the radius on all sides."""
    reach = math.ceil(radius)
    padded = np.pad(ink, 2 * reach)
    h, w = ink.shape[0] + 2 * reach, ink.shape[1] + 2 * reach
    result = np.zeros((h, w), np.float32)
    for y in range(2 * reach + 1):
        for x in range(2 * reach + 1):
            if math.hypot(y - reach, x - reach) <= radius:
                np.maximum(result, padded[y : y + h, x : x + w], out=result)
    return result[_inner(result.max(axis=1))][:, _inner(result.max(axis=0))]


def _inner(line: Floats) -> slice:
    lit = np.flatnonzero(line > 0.1)
    return slice(int(lit[0]), int(lit[-1]) + 1)


def _place(small: Floats) -> NDArray[np.uint8]:
    """Put a digit (h, w), at most 20 x 20, into 28 x 28 so that its centre of mass lies in the middle."""
    picture = np.zeros((SIDE, SIDE), np.uint8)
    corner = []
    for axis, n in enumerate(small.shape):
        line = small.sum(axis=1 - axis, dtype=np.float64)
        centre = float((line * np.arange(n)).sum() / line.sum())
        corner.append(min(max(round(SIDE / 2 - centre), 0), SIDE - n))
    y, x = corner
    picture[y : y + small.shape[0], x : x + small.shape[1]] = np.rint(255 * small)
    return picture
