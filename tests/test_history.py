"""A history comes back from its file as it was written, and nothing else is taken for one."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassnet import DataError, MissingFileError
from glassnet.history import COLUMNS, MOST_BYTES, History, history_csv, read_history

HEADER = "epoch,step,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy,train_seconds\n"
ROW = "1,500,0.01,0.5,0.75,0.25,0.875,1.5\n"


def read(folder: Path, text: str | bytes) -> History:
    path = folder / "history.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_history(path)


def test_a_file_is_read_as_its_columns(tmp_path: Path) -> None:
    history = read(tmp_path, HEADER + ROW + "2,1000,1e-05,inf,,,,3\n")
    assert list(history) == list(COLUMNS)
    assert history["epoch"] == [1, 2]
    assert history["step"] == [500, 1000]
    assert history["learning_rate"] == [0.01, 0.00001]
    assert history["train_loss"] == [0.5, math.inf]
    assert history["train_seconds"] == [1.5, 3.0]
    for name, first in (("train_accuracy", 0.75), ("validation_loss", 0.25), ("validation_accuracy", 0.875)):
        assert history[name][0] == first
        assert math.isnan(history[name][1])


def test_the_text_is_what_any_csv_reader_reads() -> None:
    history: History = {name: [float(i), i + 10.5] for i, name in enumerate(COLUMNS)}
    history |= {"epoch": [1, 2], "step": [3, 6], "validation_loss": [math.nan, 0.1]}
    first, second = csv.DictReader(history_csv(history).splitlines())
    assert first["epoch"], first["step"] == ("1", "3")
    assert (first["validation_loss"], second["validation_loss"]) == ("", "0.1")
    assert (first["train_seconds"], second["train_seconds"]) == ("7.0", "17.5")


@given(st.lists(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=6, max_size=6), max_size=5))
def test_every_number_comes_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]]
) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(6)]
    counts = [list(range(1, len(rows) + 1)), [10**12 * i for i in range(len(rows))]]
    history = dict(zip(COLUMNS, counts + columns, strict=True))
    back = read(tmp_path_factory.mktemp("histories"), history_csv(history))
    assert [[value.hex() for value in map(float, column)] for column in back.values()] == [
        [value.hex() if value == value else "nan" for value in map(float, column)] for column in history.values()
    ]


def test_no_epoch_is_an_empty_history(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER) == {name: [] for name in COLUMNS}


def test_what_other_programs_do_to_a_text_is_borne(tmp_path: Path) -> None:
    history = read(tmp_path, b"\xef\xbb\xbf" + (HEADER + ROW).replace("\n", "\r\n").encode())
    assert history["train_loss"] == [0.5]


def test_further_columns_are_kept(tmp_path: Path) -> None:
    history = read(tmp_path, HEADER.replace("\n", ",gradient_norm\n") + ROW.replace("\n", ",2.5\n"))
    assert list(history) == [*COLUMNS, "gradient_norm"]
    assert history["gradient_norm"] == [2.5]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no history of a training"),
        ("\n" + HEADER + ROW, "is no history of a training"),
        ("5,0,0,12\n", "is no history of a training"),
        (HEADER.replace("epoch,step", "step,epoch") + ROW, "is no history of a training"),
        (HEADER.replace(",train_seconds", "") + ROW, "is no history of a training"),
        (HEADER.replace("\n", ",epoch\n") + ROW, "is no history of a training"),
        (HEADER + ROW + "2,1000,0.01\n", "row 3: 3 cells where the header has 8"),
        (HEADER + ROW + "\n", "row 3: 0 cells where the header has 8"),
        (HEADER + ROW.replace("0.25", "low"), "row 2, column validation_loss: 'low' is no number"),
        (HEADER + ROW.replace("0.25", "1_0"), "row 2, column validation_loss: '1_0' is no number"),
        (HEADER + ROW.replace("0.25", " 1"), "row 2, column validation_loss: ' 1' is no number"),
        (HEADER + ROW.replace("0.25", "nan"), "row 2, column validation_loss: 'nan' is no number"),
        (HEADER + ROW.replace("500", "500.5"), "row 2, column step: '500.5' is no whole number"),
        (HEADER + ROW.replace("500", ""), "row 2, column step: '' is no whole number"),
        (HEADER + ROW.replace("500", "-5"), "row 2, column step: '-5' is no whole number"),
        (HEADER + ROW.replace("0.25", '"0.25'), "is not CSV text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "is not CSV text in UTF-8"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_its_place(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, text)
    assert says in str(error.value)
    assert str(tmp_path / "history.csv") in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("name", ["nothing.csv", "."])
def test_no_file_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingFileError, match="there is no such file"):
        read_history(tmp_path / name)


def test_a_file_of_any_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(DataError, match=r"history\.csv has more than 67,108,864 bytes"):
        read_history(path)
