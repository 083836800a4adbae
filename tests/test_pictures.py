"""Pictures of digits, whatever their form, come out as MNIST would show them."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from glassnet import DataError, MissingFileError, load, read_picture
from glassnet.data import ink, pictures
from glassnet.data.pictures import to_mnist_form

Pixels = NDArray[np.uint8]

SEVEN = [(60, 40), (140, 40), (100, 160)]


def drawn(
    ink: Any = "black", ground: Any = "white", size: tuple[int, int] = (200, 200), width: int = 16, scale: float = 1.0
) -> Image.Image:
    """A seven, 80 x 120 pixels of 200 x 200."""
    picture = Image.new("RGB", size, ground)
    points = [(scale * x, scale * y) for x, y in SEVEN]
    ImageDraw.Draw(picture).line(points, fill=ink, width=width, joint="curve")
    return picture


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    file.seek(0)
    return file


def difference(a: Pixels, b: Pixels) -> float:
    """Mean absolute difference over the pixels that are lit in either, of 255, where both are shifted to fit best.

    The centre of mass is placed to whole pixels, so a trifle may move a picture by one.
    """
    found = []
    for shift in ((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)):
        moved = np.roll(a, shift, axis=(0, 1))
        found.append(np.abs(moved.astype(float) - b)[(moved > 0) | (b > 0)].mean())
    return float(min(found))


@pytest.fixture(scope="module")
def seven() -> Pixels:
    return read_picture(saved(drawn()))


def test_a_digit_has_the_form_of_mnist(seven: Pixels) -> None:
    assert seven.shape == (28, 28)
    assert seven.dtype == np.uint8
    rows, columns = np.nonzero(seven)
    assert np.ptp(rows) + 1 == 20
    assert 12 <= np.ptp(columns) + 1 <= 16  # 80 + 16 of 120 + 16 pixels, times 20
    assert seven.max() == 255
    for axis in (0, 1):
        line = seven.sum(axis=1 - axis, dtype=float)
        assert 13.5 <= (line @ np.arange(28)) / line.sum() <= 14.5  # as in all of MNIST
    top, left = rows.min(), columns.min()
    assert seven[top : top + 2, left : left + 10].min() > 200  # the bar is on top, the foot leaves the corner free
    assert seven[top + 5 :, : left + 4].max() == 0


def test_the_images_of_mnist_come_out_nearly_as_they_went_in() -> None:
    images = load("mnist").test.features[:300]
    found = np.stack([read_picture(saved(Image.fromarray(image))) for image in images])
    changed = np.abs(found.astype(float) - images).max(axis=(1, 2))
    assert np.median(changed) <= 4
    assert (changed <= 8).mean() >= 0.7
    assert np.abs(found.astype(float) - images).mean() < 1.0


@pytest.mark.parametrize("colours", [
    ("black", "white"), ("white", "black"), ("red", "white"), ("blue", "black"), ("yellow", "white"),
    ((0, 130, 0), (130, 0, 0)), ((128, 128, 128), (150, 150, 150)), ((90, 80, 70), (60, 50, 45)),
])  # fmt: skip
def test_any_ink_on_any_ground(seven: Pixels, colours: tuple[Any, Any]) -> None:
    assert difference(read_picture(saved(drawn(*colours))), seven) < 2


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_any_mode_of_png(seven: Pixels, mode: str) -> None:
    grey = drawn().convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        picture = grey.convert("RGB").convert(mode) if mode != "LA" else grey.convert("LA")
    assert picture.mode == mode
    assert difference(read_picture(saved(picture)), seven) < 2


@pytest.mark.parametrize(("kind", "mode"), [
    ("JPEG", "L"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGB"), ("WEBP", "RGBA"), ("BMP", "1"), ("BMP", "RGB"),
    ("GIF", "P"), ("TIFF", "F"), ("TIFF", "CMYK"), ("TIFF", "I;16"), ("PPM", "RGB"),
])  # fmt: skip
def test_other_formats(seven: Pixels, kind: str, mode: str) -> None:
    grey = drawn().convert("L")
    if mode in ("F", "I;16"):
        values = np.asarray(grey) / 255 if mode == "F" else np.asarray(grey).astype(np.uint16) * 16
        picture = Image.fromarray(values.astype(np.float32 if mode == "F" else np.uint16))
    else:
        picture = grey.convert("RGB").convert(mode)
    assert difference(read_picture(saved(picture, kind)), seven) < 20


def on_nothing(ink: tuple[int, int, int]) -> Image.Image:
    picture = Image.new("RGBA", (200, 200), (255 - ink[0], 0, 0, 0))
    ImageDraw.Draw(picture).line(SEVEN, fill=(*ink, 255), width=16, joint="curve")
    return picture


@pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255), (250, 230, 90), (20, 30, 120)])
def test_strokes_on_a_transparent_ground(seven: Pixels, ink: tuple[int, int, int]) -> None:
    assert difference(read_picture(saved(on_nothing(ink))), seven) < 2


def test_a_palette_with_a_transparent_colour(seven: Pixels) -> None:
    picture = Image.fromarray((np.asarray(drawn().convert("L")) > 127).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 0, 0, 0])  # black on transparent black
    assert difference(read_picture(saved(picture, transparency=1)), seven) < 2


def test_a_card_with_clear_corners(seven: Pixels) -> None:
    card = Image.new("RGBA", (260, 260), (0, 0, 0, 0))
    shape = Image.new("L", (200, 200), 0)
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, 199, 199), 30, fill=255)
    card.paste(drawn(), (30, 30), shape)
    assert difference(read_picture(saved(card)), seven) < 2


@pytest.mark.parametrize(("note", "turn"), [
    (3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270),
])  # fmt: skip
def test_the_rotation_that_a_camera_noted_is_undone(seven: Pixels, note: int, turn: Image.Transpose) -> None:
    exif = Image.Exif()
    exif[0x0112] = note
    assert difference(read_picture(saved(drawn().transpose(turn), "JPEG", quality=95, exif=exif)), seven) < 20


def test_damaged_exif_does_no_harm(seven: Pixels) -> None:
    file = saved(drawn(), "JPEG", quality=95, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert difference(read_picture(file), seven) < 20


def test_the_first_picture_of_an_animation_counts(seven: Pixels) -> None:
    blank = Image.new("RGB", (200, 200), "white")
    file = saved(drawn(), "GIF", save_all=True, append_images=[blank, blank])
    assert difference(read_picture(file), seven) < 2


@pytest.mark.parametrize("scale", [0.2, 1.5, 4, 11.3])
def test_size_makes_no_difference(seven: Pixels, scale: float) -> None:
    side = round(200 * scale)
    picture = drawn(size=(side, side), width=round(16 * scale), scale=scale)
    assert difference(read_picture(saved(picture)), seven) < 40


def test_a_small_digit_on_a_large_picture(seven: Pixels) -> None:
    page = Image.new("RGB", (3000, 2200), "white")
    page.paste(drawn(), (2500, 1700))
    assert difference(read_picture(saved(page)), seven) < 20


@pytest.mark.parametrize("width", [2, 6])
def test_thin_strokes_become_as_thick_as_those_of_mnist(width: int) -> None:
    seven = read_picture(saved(drawn(size=(1200, 1200), width=width, scale=6)))
    assert seven.max() == 255
    assert np.ptp(np.nonzero(seven)[0]) + 1 == 20
    column = seven[:, np.flatnonzero(seven.any(axis=0))[3]] / 255  # through the bar, where no other stroke is
    assert 1.5 <= column.sum() <= 3.0


def test_frames_lines_and_specks_are_no_ink(seven: Pixels) -> None:
    rng = np.random.default_rng(0)
    framed = Image.new("RGB", (230, 230), (40, 90, 30))
    framed.paste(drawn(), (15, 15))
    boxed = drawn()
    ImageDraw.Draw(boxed).rectangle((12, 12, 187, 187), outline="black", width=3)
    edged = drawn()
    ImageDraw.Draw(edged).rectangle((0, 0, 5, 199), fill="navy")
    dusty = drawn()
    for x, y in rng.integers(0, 199, (40, 2)).tolist():
        dusty.putpixel((x, y), (0, 0, 0))
    on_a_table = Image.new("RGB", (400, 320), (100, 70, 40))
    on_a_table.paste(drawn(), (120, 60))
    for picture in (framed, boxed, edged, dusty, on_a_table):
        assert difference(read_picture(saved(picture)), seven) < 12


def outlined(size: tuple[int, int], box: tuple[int, int, int, int], width: int, ground: Any = "white") -> Image.Image:
    picture = Image.new("RGB", size, ground)
    ImageDraw.Draw(picture).rectangle(box, outline="black", fill="white", width=width)
    return picture


def test_frames_sheets_and_ruled_paper_with_nothing_on_them_are_blank() -> None:
    frames = [outlined((400, 300), (m, m, 399 - m, 299 - m), width) for m in (0, 3, 20) for width in (1, 2, 5, 10)]
    window = outlined((600, 500), (40, 80, 560, 470), 1, ground="lightgrey")
    table = Image.new("RGB", (1200, 900), "#6b4423")
    table.paste(Image.new("RGB", (650, 650), "#f4f1e8"), (250, 150))
    ruled = Image.new("RGB", (400, 400), "white")
    for y in range(40, 400, 40):
        ImageDraw.Draw(ruled).line([(0, y), (399, y)], fill="grey", width=2)
    for picture in (*frames, window, table, ruled):
        with pytest.raises(DataError, match="nothing drawn here"):
            read_picture(saved(picture))


def test_a_digit_on_ruled_paper(seven: Pixels) -> None:
    page = drawn()
    for y in (6, 24, 190, 197):
        ImageDraw.Draw(page).line([(0, y), (199, y)], fill="grey", width=2)
    assert difference(read_picture(saved(page)), seven) < 12


def test_a_sheet_that_lies_askew_on_a_table() -> None:
    sheet = drawn(size=(200, 240)).convert("RGBA").rotate(8, expand=True, resample=Image.Resampling.BICUBIC)
    table = Image.new("RGBA", (420, 360), (60, 70, 90, 255))
    table.alpha_composite(sheet, (60, 40))
    turned = read_picture(saved(drawn().rotate(8, fillcolor="white", resample=Image.Resampling.BICUBIC)))
    assert difference(read_picture(saved(table.convert("RGB"))), turned) < 30


def test_a_square_zero_is_no_frame() -> None:
    picture = Image.new("L", (200, 260), 255)
    ImageDraw.Draw(picture).rectangle((50, 50, 150, 210), outline=0, width=20)
    zero = read_picture(saved(picture))
    assert zero[4:24, 10:18].max(axis=0).min() > 200
    assert zero[12:16, 13:15].max() < 30


def photographed(contrast: float, noise: float, seed: int) -> Image.Image:
    """A seven on paper: light falls off to one side, and every pixel has noise of its own."""
    ink = 1 - np.asarray(drawn(size=(400, 400), width=32, scale=2).convert("L"), float) / 255
    y, x = np.mgrid[:400, :400] / 400
    light = 215 - 70 * x - 30 * y - 25 * x * y
    values = light * (1 - contrast * ink) + np.random.default_rng(seed).normal(0, noise, (400, 400))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(("contrast", "noise"), [(0.8, 4), (0.25, 2), (0.25, 6), (0.5, 12)])
def test_uneven_light_and_noise(seven: Pixels, contrast: float, noise: float) -> None:
    for seed in range(3):
        file = saved(photographed(contrast, noise, seed), "JPEG", quality=85)
        assert difference(read_picture(file), seven) < 55


def test_separate_strokes_belong_together() -> None:
    picture = Image.new("L", (200, 200), 255)
    pen = ImageDraw.Draw(picture)
    pen.line([(80, 40), (140, 40)], fill=0, width=12)
    pen.arc((60, 70, 140, 160), -100, 140, fill=0, width=12)
    pen.line([(70, 52), (70, 100)], fill=0, width=12)
    five = read_picture(saved(picture))
    assert five[4:6].max() > 200
    assert five[22:24].max() > 150


def blank(kind: str) -> Image.Image:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:300, :400]
    values = {
        "white": np.full((300, 400), 255.0),
        "black": np.zeros((300, 400)),
        "one pixel": np.full((1, 1), 7.0),
        "noise": rng.normal(128, 20, (300, 400)),
        "paper": rng.normal(220 - 0.2 * x - 0.1 * y, 5.0),
        "gradient": 60 + x / 3 + y / 8,
        "vignette": 230 - 90 * (((x - 200) / 200) ** 2 + ((y - 150) / 150) ** 2),
        "dust": np.where((x == 100) & (y == 100), 0, 255.0),
    }[kind]
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("file", ["PNG", "JPEG"])
@pytest.mark.parametrize("kind", ["white", "black", "one pixel", "noise", "paper", "gradient", "vignette", "dust"])
def test_blank_pictures_are_said_to_be_blank(kind: str, file: str) -> None:
    with pytest.raises(DataError, match="nothing drawn here"):
        read_picture(saved(blank(kind), file))


def test_a_picture_that_is_all_transparent_is_blank(tmp_path: Path) -> None:
    Image.new("RGBA", (50, 50), (9, 9, 9, 0)).save(tmp_path / "clear.png")
    with pytest.raises(DataError, match=r"clear\.png: nothing drawn here"):
        read_picture(tmp_path / "clear.png")


def test_an_array_is_read_like_a_picture(seven: Pixels) -> None:
    rgb = np.asarray(drawn())
    np.testing.assert_array_equal(to_mnist_form(rgb), seven)
    np.testing.assert_array_equal(to_mnist_form(rgb[:, :, 0]), seven)
    np.testing.assert_array_equal(to_mnist_form(rgb[:, :, 0].astype(float)), seven)
    np.testing.assert_array_equal(to_mnist_form(np.asarray(on_nothing((0, 0, 0)))), seven)
    for shape in ((28,), (2, 3, 5), (0, 4), (1, 28, 28, 1)):
        with pytest.raises(DataError, match="shape"):
            to_mnist_form(np.zeros(shape, np.uint8))


def test_what_can_not_be_read_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = saved(drawn()).getvalue()
    jpeg = saved(drawn(), "JPEG").getvalue()
    contents = {
        "empty.png": b"", "text.png": b"seven", "cut.png": whole[: len(whole) // 2], "cut.jpg": jpeg[: len(jpeg) // 2],
        "bits.png": whole[:60] + b"\xff" * 40 + whole[100:], "head.png": whole[:20],
        "vector.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name} is (no picture|damaged)") as caught:
            read_picture(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="is a folder; give the pictures in it"):
        read_picture(tmp_path)
    for name in ("missing.png", "text.png/seven.png"):
        with pytest.raises(MissingFileError, match="does not exist"):
            read_picture(tmp_path / name)
    with pytest.raises(DataError, match="the picture is no picture"):
        read_picture(io.BytesIO(b"seven"))
    with monkeypatch.context() as patched:
        patched.setattr(pictures, "MOST_BYTES", 100)
        for source in (io.BytesIO(whole), tmp_path / "cut.png"):
            with pytest.raises(DataError, match="more than 100 bytes"):
                read_picture(source)

    def refuse(error: Exception) -> None:
        raise error

    for error, sentence in (
        (PermissionError(13, "Permission denied"), "may not be read; check its permissions"),
        (MemoryError(), "needs more memory than there is"),
    ):
        monkeypatch.setattr(Image, "open", lambda *args, error=error, **options: refuse(error))
        with pytest.raises(DataError, match=sentence):
            read_picture(tmp_path / "cut.png")


@pytest.mark.parametrize("most", [30_000, 10_000])  # Pillow warns of the first, and refuses the second
def test_pictures_that_would_fill_the_memory_are_refused(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(DataError, match="make it smaller first"):
        read_picture(saved(drawn()))


def flooded(mask: NDArray[np.bool_]) -> list[set[tuple[int, int]]]:
    """Connected parts, found by walking from pixel to pixel."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    parts = []
    while left:
        part, waiting = set(), [left.pop()]
        while waiting:
            y, x = waiting.pop()
            part.add((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            waiting += near
        parts.append(part)
    return parts


@pytest.mark.parametrize("density", [0.0, 0.1, 0.3, 0.45, 0.7, 1.0])
def test_connected_parts_are_those_of_a_walk(density: float) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mask = rng.random(rng.integers(1, 25, 2)) < density
        labels, count = ink._connected(mask)
        found = [{(int(y), int(x)) for y, x in zip(*np.nonzero(labels == i), strict=True)} for i in range(1, count + 1)]
        assert sorted(map(sorted, found)) == sorted(map(sorted, flooded(mask)))
        assert ((labels > 0) == mask).all()


def test_the_width_of_strokes_is_measured() -> None:
    bar = np.zeros((200, 200), np.float32)
    bar[20:180, 90:100] = 1
    assert pictures._stroke_width(bar) == pytest.approx(2 * 1600 / (math.pi / 4 * 340), rel=1e-6)
    y, x = np.mgrid[:200, :200] - 99.5
    ring = (np.abs(np.hypot(x, y) - 70) <= 5).astype(np.float32)
    assert pictures._stroke_width(ring) == pytest.approx(10, rel=0.05)


def test_whatever_the_pixels_there_is_a_digit_or_a_sentence() -> None:
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(400):
        shape = (*rng.integers(1, rng.choice([4, 12, 60]), 2).tolist(), 4)
        pixels = np.full(shape, rng.integers(0, 256, 4), np.uint8)
        for _ in range(rng.integers(0, 5)):
            y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
            pixels[y : y + rng.integers(1, 20), x : x + rng.integers(1, 20)] = rng.integers(0, 256, 4)
        try:
            found = to_mnist_form(pixels)
        except DataError:
            continue
        assert found.shape == (28, 28)
        assert found.max() == 255
        read += 1
    assert read > 100
