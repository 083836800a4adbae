"""Ink on a picture: what is drawn, told from its ground, from noise, frames, specks and the edges of the sheet."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glassnet.errors import DataError

WORKING_SIDE = 600
"""The longest side on which ink is told from ground; larger pictures are averaged down to it."""

MOST_MARKS = 200
"""The heaviest marks on a picture, the only ones that are looked at: a pattern of dots has thousands."""

FAINTEST = 12.0
"""The smallest difference from the ground, of 255, that counts as drawn."""

NOTHING = "nothing drawn here; give a picture of one digit that stands out from its ground"

_FRAME = 20.0  # by how much, of 255, nearly all pixels change at the edge of a frame
_NOISY = 2.5  # the noise, of 255, from which on a picture is averaged to half its size
_SMALL = 60  # a digit of fewer pixels, on a picture that was averaged down, is looked at more closely
_DEPTH = 4  # how many frames within frames are looked into

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # top, bottom, left, right; the bottom row and the right column are outside


def find_ink(image: Image.Image, valid: Mask | None = None, depth: int = _DEPTH, side: int = WORKING_SIDE) -> Floats:
    """Find the digit: how much ink lies on each pixel of its bounding box, 0 to 1, at the working resolution.

    `valid` says which part of the picture counts, at any resolution; it has no dents, so that it can be narrowed.
    """
    factor = max(1, math.ceil(max(image.size) / side))
    picture = np.asarray(image.reduce(factor) if factor > 1 else image, np.float32)  # (H, W, 3)
    if valid is None:
        box = _within_frame(picture) if depth else None
        if box is not None:
            return find_ink(image.crop(_scaled(box, factor, image.size)), depth=depth - 1)
        valid = np.ones(picture.shape[:2], bool)
    valid = _resized(valid, picture.shape[:2])
    d, noise = _contrast(picture, valid)
    if noise > _NOISY and max(d.shape) >= 200:
        return find_ink(image, valid, depth, max(d.shape) // 2)
    drawn = d > max(5.0 * noise, FAINTEST)
    if not drawn.any():
        raise DataError(NOTHING)
    strong = d > _split(d[drawn])
    level = float(np.percentile(d[strong], 90))
    marks = _Marks(d, d > max(4.0 * noise, 0.12 * level, 0.5 * FAINTEST), strong)
    sheets = marks.sheets() if depth else []
    for box, inside in sheets:
        with contextlib.suppress(DataError):  # blank; the digit may be on another
            return find_ink(image.crop(_scaled(box, factor, image.size)), inside, depth - 1)
    if sheets:
        raise DataError(NOTHING)
    kept = marks.digit()
    top, bottom, left, right = _bounds(kept)
    size = max(bottom - top, right - left)
    if size < max(3.0, 0.015 * max(kept.shape)):
        raise DataError(NOTHING)
    if depth and factor > 1 and size < _SMALL:  # small on a large picture: closer
        h, w = kept.shape
        box = max(top - size, 0), min(bottom + size, h), max(left - size, 0), min(right + size, w)
        near = valid[box[0] : box[1], box[2] : box[3]]
        return find_ink(image.crop(_scaled(box, factor, image.size)), near, depth - 1)
    ink = np.where(_grown(kept), d, 0.0)[top:bottom, left:right]
    return np.clip(ink / np.percentile(d[kept & strong], 95), 0.0, 1.0).astype(np.float32)


def _within_frame(picture: Floats) -> Box | None:
    """Return what lies within a frame along all four edges of the picture; None if there is no such frame.

    At the inner edge of a frame nearly all pixels of a row change at once; no digit does that on four sides.
    """
    inner = []
    for lines in (picture, picture[::-1], picture.swapaxes(0, 1), picture.swapaxes(0, 1)[::-1]):
        reach = min(max(4, round(0.12 * len(lines))), len(lines) // 3)
        if reach < 2:
            return None
        middle = lines[: reach + 2, lines.shape[1] // 5 : -(lines.shape[1] // 5) or None]
        change = np.abs(middle[2:] - middle[:-2]).max(axis=2)  # over two rows, since edges are blurred
        edges = np.flatnonzero(np.percentile(change, 15, axis=1) > _FRAME)
        if not len(edges):
            return None
        last = edges[0] + int((np.diff(edges, append=edges[-1] + 9) > 1).argmax())  # of the first edge's rows
        inner.append(int(last) + 2)
    h, w = picture.shape[:2]
    box = inner[0], h - inner[1], inner[2], w - inner[3]
    return box if box[0] < box[1] and box[2] < box[3] else None


def _contrast(picture: Floats, valid: Mask) -> tuple[Floats, float]:
    """Return how far each pixel is from the ground, along the colour of the ink (H, W), and how far noise reaches."""
    ring = valid & ~_narrowed(valid, max(1, round(0.04 * min(valid.shape))))
    r = picture - _ground(picture, valid, ring)  # (H, W, 3)
    r[~valid] = 0.0
    distance = np.sqrt((r * r).sum(axis=2))  # (H, W)
    far = distance >= max(0.5 * float(np.percentile(distance, 99.9)), 1.0)
    u = r[far].mean(axis=0) if far.any() else np.zeros(3, np.float32)  # (3,)
    length = float(np.sqrt((u * u).sum()))
    if length == 0.0:
        return np.zeros(valid.shape, np.float32), 0.0
    d = r @ (u / length)  # d = (pixel - ground) . u
    return d, 1.4826 * float(np.median(np.abs(d[ring])))


def _ground(picture: Floats, valid: Mask, ring: Mask) -> Floats:
    """Estimate the ground: one colour (1, 1, 3), or a quadratic surface (H, W, 3) where light falls unevenly."""
    h, w = ring.shape
    colour = np.median(picture[ring], axis=0)  # (3,)
    off = np.abs(picture[ring] - colour).max(axis=1)
    if (off <= 2).mean() >= 0.5 or (off <= 6).mean() >= 0.9:
        return colour.astype(np.float32)[None, None]
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    grid = np.ix_(*(np.linspace(0, n - 1, min(n, 64)).round().astype(int) for n in (h, w)))
    some, edge = valid[grid], ring[grid][valid[grid]]
    terms, values = _terms(x[grid][some], y[grid][some]), picture[grid][some].astype(np.float64)  # (K, 6), (K, 3)
    surface = np.zeros((6, 3))
    surface[0] = colour
    for _ in range(12):  # least absolute deviations along the edge, by reweighting
        distance = np.abs(values[edge] - terms[edge] @ surface).max(axis=1)
        surface = _fit(terms[edge], values[edge], 1.0 / np.maximum(distance, 1.0))
    spread = max(1.4826 * float(np.median(np.abs(values[edge] - terms[edge] @ surface).max(axis=1))), 2.0)
    for _ in range(12):  # then through all that is like it: Tukey's biweight
        distance = np.abs(values - terms @ surface).max(axis=1) / (4.7 * spread)
        surface = _fit(terms, values, np.clip(1.0 - distance**2, 0.0, None) ** 2)
    return (_terms(x, y) @ surface).astype(np.float32)


def _terms(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _fit(terms: NDArray[Any], values: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    weighted = terms * weights[:, None]
    solved = np.linalg.lstsq(terms.T @ weighted, weighted.T @ values, rcond=None)[0]  # (T' W T) b = T' W v
    return np.asarray(solved)


def _split(values: Floats) -> float:
    """Split values in two by Otsu's threshold, the one with the largest variance between the two parts.

    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on Systems, Man, and
    Cybernetics 9(1), 1979, equation 18.
    """
    top = float(values.max())
    counts, edges = np.histogram(values, bins=128, range=(0.0, top))
    omega = np.cumsum(counts) / counts.sum()  # omega(k), the share below
    mu = np.cumsum(counts * 0.5 * (edges[1:] + edges[:-1])) / counts.sum()  # mu(k), its first moment
    between = (mu[-1] * omega - mu) ** 2 / np.maximum(omega * (1.0 - omega), 1e-12)
    return min(float(edges[1 + int(between[:-1].argmax())]), 0.6 * top)


def _scaled(box: Box, factor: int, size: tuple[int, int]) -> Box:
    """Return a box in the pixels of the whole picture, in Pillow's order: left, upper, right, lower."""
    top, bottom, left, right = (factor * place for place in box)
    return left, top, min(right, size[0]), min(bottom, size[1])


def _bounds(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _resized(mask: Mask, shape: tuple[int, ...]) -> Mask:
    rows, columns = (np.arange(n) * old // n for n, old in zip(shape, mask.shape, strict=True))
    return mask[np.ix_(rows, columns)]


def _narrowed(mask: Mask, by: int) -> Mask:
    """Return the mask with its dents filled, without the first and last `by` pixels of every row and column."""
    result = np.ones(mask.shape, bool)
    for axis in (0, 1):
        n = mask.shape[axis]
        place = np.arange(n)[:, None] if axis == 0 else np.arange(n)
        first = np.where(mask.any(axis), mask.argmax(axis), n)
        last = n - 1 - np.flip(mask, axis).argmax(axis)
        if axis == 1:
            first, last = first[:, None], last[:, None]
        result &= (place >= first + by) & (place <= last - by)
    return result


def _grown(mask: Mask) -> Mask:
    """Return the mask and its neighbours on eight sides."""
    tall = mask.copy()
    tall[1:] |= mask[:-1]
    tall[:-1] |= mask[1:]
    wide = tall.copy()
    wide[:, 1:] |= tall[:, :-1]
    wide[:, :-1] |= tall[:, 1:]
    return wide


def _connected(mask: Mask) -> tuple[NDArray[np.int64], int]:
    """Number the connected parts of a mask, neighbours on eight sides, from 1; 0 is the rest.

    Parts are found as runs within rows, which take the smallest number among those that they touch until all agree.
    """
    h, w = mask.shape
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)  # (H, W + 1)
    rows, starts = np.nonzero(steps == 1)
    stops = np.nonzero(steps == -1)[1]  # outside the run
    line = w + 2  # longer than a row, so that runs of other rows are out of reach
    below = (rows + 1) * line
    first = np.searchsorted(rows * line + stops, below + starts, "left")
    after = np.searchsorted(rows * line + starts, below + stops, "right")
    touching = np.maximum(after - first, 0)  # runs in the next row that each run touches
    a = np.repeat(np.arange(len(rows)), touching)
    b = np.arange(touching.sum()) + np.repeat(first - (np.cumsum(touching) - touching), touching)
    number = np.arange(len(rows))
    while (number[a] != number[b]).any():
        least = np.minimum(number[a], number[b])
        for part in (a, b):
            np.minimum.at(number, number[part], least)
        number = number[number]
    _, number = np.unique(number, return_inverse=True)
    change = np.zeros((h, w + 1), np.int64)
    change[rows, starts] = number + 1
    np.subtract.at(change, (rows, stops), number + 1)
    return change.cumsum(axis=1)[:, :w], int(number.max(initial=-1)) + 1


class _Marks:
    """The connected marks on a picture that have a strong pixel, by the ink in them."""

    def __init__(self, d: Floats, weak: Mask, strong: Mask) -> None:
        self._labels, count = _connected(weak)
        labels = self._labels.ravel()
        self._mass = np.bincount(labels, d.ravel(), count + 1)
        self._area = np.bincount(labels, minlength=count + 1)
        rows, columns = np.nonzero(self._labels)
        found = self._labels[rows, columns]
        self._boxes = np.empty((count + 1, 4), np.int64)  # as `Box`
        self._boxes[:, ::2], self._boxes[:, 1::2] = max(d.shape), 0
        for side, places in ((0, rows), (2, columns)):
            np.minimum.at(self._boxes[:, side], found, places)
            np.maximum.at(self._boxes[:, side + 1], found, places + 1)
        whole = np.bincount(labels, strong.ravel(), count + 1) > 0
        whole[0] = False
        ids = np.flatnonzero(whole)
        self._ids: list[int] = ids[np.argsort(-self._mass[ids])][:MOST_MARKS].tolist()

    def sheets(self) -> list[tuple[Box, Mask]]:
        """Return what may be a sheet of paper with a digit on it, another colour around: box and what lies inside."""
        found = []
        for i in self._ids[:3]:
            top, bottom, left, right = box = self._box(i)
            mark = self._labels[top:bottom, left:right] == i
            whole = _narrowed(mark, 0)
            if whole.sum() >= 0.15 * self._labels.size and mark.sum() >= 0.7 * whole.sum() and _rectangular(whole):
                inside = _narrowed(whole, 1 + round(0.02 * min(whole.shape)))
                if inside.any():
                    found.append((box, inside))
        return found

    def digit(self) -> Mask:
        """Return the pixels of the digit: the largest mark that is no frame, with what belongs to it."""
        ids = self._within_frames(self._unruled(self._ids))
        if not ids or self._is_frame(ids[0]):
            raise DataError(NOTHING)
        loose = [i for i in ids if not self._at_the_edge(i)]
        ids = [i for i in ids if i in loose or not self._is_edge(i, loose)]
        main, *others = ids
        size, mass = self._size(main), self._mass / self._mass[main]
        near = [i for i in others if mass[i] >= 0.3 or (mass[i] >= 0.03 and self._gap(i, main) <= 0.3 * size)]
        return np.isin(self._labels, [main, *near])

    def _unruled(self, ids: list[int]) -> list[int]:
        """Leave out the lines of ruled paper: three or more, thin, from one edge of the picture to the other."""
        h, w = self._labels.shape
        boxes = {i: self._box(i) for i in ids}
        rows = {i for i, (top, bottom, left, right) in boxes.items() if right - left == w and bottom - top <= 0.1 * h}
        columns = {
            i for i, (top, bottom, left, right) in boxes.items() if bottom - top == h and right - left <= 0.1 * w
        }
        ruled = {i for lines in (rows, columns) if len(lines) >= 3 for i in lines}
        return [i for i in ids if i not in ruled]

    def _is_frame(self, i: int) -> bool:
        """Return whether a mark is a rectangle of thin lines around most of the picture."""
        top, bottom, left, right = self._box(i)
        h, w = self._labels.shape
        if bottom - top < 0.6 * h or right - left < 0.6 * w:
            return False
        mark = self._labels[top:bottom, left:right] == i
        whole = _narrowed(mark, 0)
        return bool(mark.sum() < 0.25 * whole.sum()) and _rectangular(whole)

    def _within_frames(self, ids: list[int]) -> list[int]:
        """Leave out rectangles of lines, and what lies outside them, where something lies inside."""
        for i in ids[:5]:
            top, bottom, left, right = box = self._box(i)
            mark = self._labels[top:bottom, left:right] == i
            whole = _narrowed(mark, 0)
            inside = [j for j in ids if j != i and _encloses(box, self._box(j)) and self._size(j) > 0.1 * self._size(i)]
            if inside and mark.sum() < 0.7 * whole.sum() and _rectangular(whole):
                return self._within_frames([j for j in ids if j != i and _encloses(box, self._box(j))])
        return ids

    def _at_the_edge(self, i: int) -> bool:
        top, bottom, left, right = self._box(i)
        h, w = self._labels.shape
        return top == 0 or left == 0 or bottom == h or right == w

    def _is_edge(self, i: int, loose: list[int]) -> bool:
        """Return whether a mark at the edge is a line, a shadow or dirt there: something else may be the digit."""
        rim = ~_narrowed(np.ones(self._labels.shape, bool), max(1, round(0.1 * min(self._labels.shape))))
        hugging = (self._labels[rim] == i).sum() > 0.5 * self._area[i]
        return any(self._size(j) >= (0.05 if hugging else 0.3) * self._size(i) for j in loose)

    def _box(self, i: int) -> Box:
        top, bottom, left, right = self._boxes[i].tolist()
        return top, bottom, left, right

    def _size(self, i: int) -> int:
        top, bottom, left, right = self._box(i)
        return max(bottom - top, right - left)

    def _gap(self, i: int, j: int) -> int:
        a, b = self._box(i), self._box(j)
        return max(a[0] - b[1], b[0] - a[1], a[2] - b[3], b[2] - a[3], 0)


def _encloses(outer: Box, inner: Box) -> bool:
    return outer[0] < inner[0] and inner[1] < outer[1] and outer[2] < inner[2] and inner[3] < outer[3]


def _rectangular(mask: Mask) -> bool:
    """Return whether a mask without dents nearly fills a rectangle, turned by any angle, that is no mere bar.

    An ellipse fills pi/4 of its rectangle.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask[rows].argmax(axis=1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    y, x = np.concatenate([rows, rows]), np.concatenate([first, last])  # (2 H,)
    angles = np.radians(np.arange(-45, 45, 3))[:, None]
    wide = np.ptp(np.cos(angles) * x + np.sin(angles) * y, axis=1) + 1.0
    tall = np.ptp(np.cos(angles) * y - np.sin(angles) * x, axis=1) + 1.0
    best = int((wide * tall).argmin())
    sides = sorted((float(wide[best]), float(tall[best])))
    return bool(mask.sum() >= 0.88 * sides[0] * sides[1] and sides[0] >= 0.35 * sides[1])
