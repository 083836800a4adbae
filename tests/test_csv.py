"""CSV files: tables written out by hand, and every way to spoil one."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from glassnet.data import csv as csv_module
from glassnet.data import read_csv
from glassnet.errors import ConfigError, DataError, GlassnetError, MissingFileError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "digits.csv"


def table(path: Path, content: str | bytes) -> tuple[list[int], list[list[float]], str]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    labels, values = read_csv(path)
    assert labels.dtype == np.int64
    assert labels.shape == (len(values),)
    return labels.tolist(), values.tolist(), values.dtype.name


def refusal(path: Path, content: str | bytes, **options: int) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_csv(path, **options)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert ";" in sentence
    return sentence


# ---------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    "content",
    [
        "7,0,255\n1,12,0\n",
        "7,0,255\n1,12,0",
        "7,0,255\r\n1,12,0\r\n",
        "7,0,255\r\n1,12,0\r",
        "7,0,255\n1,12,0\n\n\r\n\n",
        "\ufeff7,0,255\n1,12,0\n",
        " 7, 0 ,255\n1,\t12,0 \n",
        "label,1x1,1x2\n7,0,255\n1,12,0\n",
        "\ufefflabel,0,1\r\n7,0,255\r\n1,12,0",
        '"label","größe","größe"\n7,0,255\n1,12,0\n',
    ],
)
def test_spellings_of_one_table(path: Path, content: str) -> None:
    assert table(path, content) == ([7, 1], [[0, 255], [12, 0]], "uint8")
    assert table(path, gzip.compress(content.encode())) == ([7, 1], [[0, 255], [12, 0]], "uint8")


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ("0.5,0", [0.5, 0.0]),
        ("0.0,1.0", [0.0, 1.0]),  # written as fractions: no pixels
        ("256,0", [256.0, 0.0]),
        ("-1,255", [-1.0, 255.0]),
        ("1e2,-.25E-1", [100.0, -0.025]),
        ("100000000000000000000,1", [1e20, 1.0]),
        ("9007199254740993,1", [9007199254740992.0, 1.0]),
    ],
)
def test_other_numbers_are_float32(path: Path, cells: str, values: list[float]) -> None:
    labels, rows, dtype = table(path, f"3,0,255\n4,{cells}\n")
    assert labels == [3, 4]
    assert rows[0] == [0.0, 255.0]
    assert rows[1] == pytest.approx(values, rel=1e-7)
    assert dtype == "float32"


def test_whole_labels_may_be_written_as_fractions(path: Path) -> None:
    assert table(path, "5.0,0.5\n-3e0,1\n") == ([5, -3], [[0.5], [1.0]], "float32")


def test_one_chunk_with_fractions_makes_all_of_it_float(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_module, "CHUNK", 16)
    labels, rows, dtype = table(path, "".join(f"{n % 10},{n},{255 - n}\n" for n in range(200)) + "1,0.5,0.25\n")
    assert labels == [n % 10 for n in range(200)] + [1]
    assert rows == [[n, 255 - n] for n in range(200)] + [[0.5, 0.25]]
    assert dtype == "float32"


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
def test_chunks_may_end_anywhere(path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_module, "CHUNK", chunk)
    content = "label,a,b\r\n" + "".join(f"{n},{n + 100},{n + 200}\r\n" for n in range(50)) + "\r\n"
    assert table(path, content) == (list(range(50)), [[n + 100, n + 200] for n in range(50)], "uint8")


# ------------------------------------------------------------------------------------------- what is refused


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        read_csv(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="folder"):
        read_csv(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_empty(path: Path, content: bytes) -> None:
    assert "is empty" in refusal(path, content)


@pytest.mark.parametrize("content", ["label,1x1,1x2", "label,1x1,1x2\n", "label,0,1\r\n\r\n"])
def test_header_only(path: Path, content: str) -> None:
    assert "no data" in refusal(path, content)


def test_html_page_idx_file_and_damaged_gzip(path: Path) -> None:
    assert "HTML page" in refusal(path, "<!DOCTYPE html>\n<p>404, not found")
    assert "HTML page" in refusal(path, gzip.compress(b"\n<html>"))
    assert "read_idx" in refusal(path, bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
    assert "zip archive" in refusal(path, b"PK\x03\x04,,,")
    assert "cut off" in refusal(path, gzip.compress(b"7,0,255\n")[:-3])


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("7,0,255\n1,12\n", "2 columns in row 2, and 3 in row 1"),
        ("7,0,255\n1,12,0,0\n", "4 columns in row 2, and 3 in row 1"),
        ("label,a,b\n1,12\n3,4\n", "2 columns in row 2, and 3 in row 1"),
        ("7,0,255\n1,2,3\n   \n4,5,6\n", "1 columns in row 3"),
        ("7,0,255\n1,x2,0\n", "'x2', which is not a number, in row 2, column 2"),
        ("label,a,b\n7,0,255\n1,0,#\n", "'#', which is not a number, in row 3, column 3"),
        ("7,0,255\none,2,3\n", "'one', which is not a number, in row 2, column 1"),
        ("seven,0,0\n1,2,3\n", "'seven', which is not a number, in row 1, column 1"),
        ("seven,0.5,0.25\n1,2,3\n", "'seven', which is not a number, in row 1, column 1"),
        ("7,0,1_0\n", "'1_0', which is not a number, in row 1, column 3"),
        ("7,0,0x10\n", "'0x10', which is not a number, in row 1, column 3"),
        ('7,0,"1"\n', "which is not a number, in row 1, column 3"),
        ("7,0,1\r2,3,4\n7,1,1,1,1\n", "which is not a number, in row 1, column 3"),
        ("7,0,255\n1,,0\n", "an empty cell in row 2, column 2"),
        ("7,0,255\n1,2,\n", "an empty cell in row 2, column 3"),
        ("7,0,255\n1, ,0\n", "an empty cell in row 2, column 2"),
        (",label,a\n0,5,1\n", "an empty cell in row 1, column 1"),
        ("7,0,255\n1,nan,0\n", "the value nan in row 2, column 2"),
        ("7,0.5,1\n1,0,-inf\n", "the value -inf in row 2, column 3"),
        ("7,1e39,1\n", "the value 1e+39 in row 1, column 2"),
        ("7,1e999,1\n", "the value inf in row 1, column 2"),
        ("7,0\n1.5,0\n", "the label 1.5 in row 2, column 1"),
        ("label,a\n7,0\nnan,0\n", "the label nan in row 3, column 1"),
        ("1e30,0\n", "the label 1e+30 in row 1, column 1"),
        ("inf,0\n", "the label inf in row 1, column 1"),
        ("7,0,255\n\n1,12,0\n", "an empty line at row 2"),
        ("label,a\r\n7,0\r\n\r\n\r\n1,0\r\n", "an empty line at row 3"),
        ("\n7,0,255\n", "an empty line at row 1"),
        ("7;0;255\n", "no comma in its first line"),
        ("7\n1\n", "no comma in its first line"),
    ],
)
@pytest.mark.parametrize("chunk", [8, 2**20])
def test_place_of_the_fault(path: Path, content: str, place: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_module, "CHUNK", chunk)
    assert place in refusal(path, content)


def test_row_is_right_far_into_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_module, "CHUNK", 1000)
    rows = ["label,a,b"] + ["7,0,255"] * 998  # lines 1 to 999
    assert "'?', which is not a number, in row 1000, column 3" in refusal(path, "\n".join([*rows, "7,0,?", "7,0,1"]))


def test_random_text_never_raises_anything_else(path: Path) -> None:
    draw = random.Random(2)
    alphabet = "0123456789,,,,\n\n\r-+.eE nax\"'#\t\0\x1c\x85\xa0\xb2é<"
    refused = 0
    for _ in range(1000):
        head = draw.choice(["", "1,2,3\n", "a,b,c\n1,2,3\n"])
        path.write_text(head + "".join(draw.choices(alphabet, k=draw.randrange(12))), "latin-1", newline="")
        try:
            labels, values = read_csv(path)
        except GlassnetError:
            refused += 1
        else:
            assert len(labels) == len(values) > 0
            assert np.isfinite(values).all()
    assert 100 < refused < 1000


# -------------------------------------------------------------------------------------------- bounded memory


def test_max_bytes_counts_labels_and_values(path: Path) -> None:
    content = "7,0,255\n1,12,0\n"  # 2 labels of 8 bytes, 4 pixels of 1
    path.write_text(content)
    assert read_csv(path, max_bytes=20)[1].size == 4
    assert "limit of 19 bytes by row 2" in refusal(path, content, max_bytes=19)
    assert "limit of 31 bytes" in refusal(path, content.replace("12", ".5"), max_bytes=31)  # float32: 16 + 16
    with pytest.raises(ConfigError, match="max_bytes"):
        read_csv(path, max_bytes=-1)


def test_a_small_file_cannot_fill_the_memory(path: Path) -> None:
    bomb = gzip.compress(b"1,2\n" * 2**23 + b"5", 1)  # 32 MiB of text, 8 million rows
    line = gzip.compress(b"1" * 2**25, 1)  # one line of 32 MiB
    tracemalloc.start()
    assert "limit of 1000000 bytes" in refusal(path, bomb, max_bytes=10**6)
    assert "line of more than 4194304 bytes" in refusal(path, line)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 * 2**20
