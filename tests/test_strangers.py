"""Files of strangers: whatever is in them, they are read, or refused in one sentence, at once and in little memory.

Good files are altered step by step, and read after each step; the sum of what was refused is counted. The files that
`fuzz/fuzz.py` found once are read again, and so are files that were made to take hours or gigabytes.
"""

from __future__ import annotations

import copy
import gzip
import importlib
import importlib.util
import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import write_idx_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from glassnet import load_model, read_csv, read_idx
from glassnet.config import RunConfig
from glassnet.data import csv, files, folder
from glassnet.data.files import Stream, one_sentence, open_content
from glassnet.data.folder import SUMS, find_idx_files, read_sums
from glassnet.errors import DataError, GlassnetError
from glassnet.studies import find_study

pytestmark = pytest.mark.no_cover

FUZZ = Path(__file__).parent / "fuzz" / "fuzz.py"


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzzing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = loaded(FUZZ)

BAD = {
    "idx": 14_000, "csv": 13_000, "model": 6_000, "records": 6_000, "sums": 4_500, "config": 3_000, "study": 2_000,
    "picture": 3_000,
}  # fmt: skip
"""How many inputs each reader refuses in these tests, at least."""

STEPS = 10
"""How often a good file is altered, and read after each time."""


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder that lies in the memory where there is one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:  # noqa: PTH112
        yield Path(name)


class Count:
    """Reads files, one after the other, and counts those that are refused."""

    def __init__(self, reader: str, place: Path) -> None:
        self.reader, self.folder, self.read, self.refused = reader, place, 0, 0

    def __call__(self, content: bytes) -> None:
        wrong, error, _ = fuzz.outcome(self.reader, content, self.folder)
        assert wrong is None, wrong
        self.read += error is None
        self.refused += error is not None


# ------------------------------------------------------------------------------------------ alterations

NUMBERS = [0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 2**24, 2**28, 2**31 - 1, 2**31, 2**32 - 1]

TOKENS: dict[str, list[bytes]] = {
    "idx": [struct.pack(">I", number) for number in NUMBERS] + [bytes([n]) for n in (0, 1, 8, 9, 11, 13, 14, 65, 255)],
    "csv": [*b"nan|inf|-inf|1e400|1e-400|1_0|0x1|-1|256|9007199254740993|| |\"1\"|'|\r|\n|\n\n|\r\n|,|,,|#|\0|\x85|"
    b"\xff|\xe2\x80\xa8|label|1e5|+1|.|1.|.5|".split(b"|"), b"9" * 400, b"1," * 50],
    "model": b'"F64"|"I8"|-1|null|true|[]|{}|1e999|NaN|\\ud800|999999999999999999999999999999|"|}'.split(b"|"),
    "picture": [struct.pack(">I", number) for number in NUMBERS] + [struct.pack("<H", n % 2**16) for n in NUMBERS]
    + [b"\xff\xda", b"\xff\xc2", b"\xff\xd9", b"IDAT", b"IEND", b"\0" * 9],
    "config": [],
    "study": [],
    "records": b'0|-1|1e400|NaN|null|true|"a"|[]|{}|[[[[|{"a":|\\ud800|\\u0000|"|\n|\0|\xff|9999999999999'.split(b"|"),
    "sums": [b"\n", b"\r", b"  ", b" *", b"g", b"../", b"/etc/passwd", b"\0", b"\xff", b"\xe2\x80\xa8", b"a" * 64],
}  # fmt: skip
VALUES = (
    b"0|-1|1|2.5|1e400|-0.0|nan|inf|true|false|'a'|''|'adam'|'onecycle'|'full'|'balanced'|'normal:1e400'|'normal:x'|"
    b"[]|[1, 2]|[[1]]|[0.5, 0.25]|['a']|{}|{ a = 1 }|[{ kind = 'curves' }]|1979-05-27|07:32:00|0x7fffffffffffffff|"
    b"0xffffffffffffffff|9999999999999999999999|1_0|1__0|'''a\nb'''|\"\\u0000\"|\"\\ud800\"|#|\\|=|[|]|{|\n[run]\n|"
    b"\n[[cells]]\n|\n[grid]\n|\n[report]\n|\n[tuning]\n|\nseed = 1\n|a.b.c = 1|\0|\xff|\xef\xbb\xbf"
).split(b"|")
TOKENS["config"] = TOKENS["study"] = VALUES

WAYS = ("flip", "flip", "cut", "remove", "insert", "repeat", "token", "token", "token", "field", "field", "field")
"""How a file is altered; the field is what is found between the signs of its format."""

SIGNS = {
    "csv": b",\n",
    "config": b"=\n",
    "study": b"=\n{},",
    "records": b":,{}[]\n",
    "model": b":,{}[]",
    "sums": b" \n",
}

ALTERATIONS = st.binary(min_size=4 * STEPS, max_size=4 * STEPS).map(
    lambda drawn: [(WAYS[way % len(WAYS)], place, value) for way, place, value in struct.iter_unpack("<BHB", drawn)]
)
"""Way, place and value of each; drawn as bytes, which is ten times as fast as one by one."""


def altered(content: bytes, reader: str, way: str, place: int, value: int) -> bytes:
    """Alter a file at a place that is counted around it, so that every number is one."""
    n, tokens = len(content), TOKENS[reader]
    at = place % (n + 1)
    end = at + 1 + value % 16
    if way == "flip" and n:
        return content[: place % n] + bytes([content[place % n] ^ 1 << value % 8]) + content[place % n + 1 :]
    if way == "cut":
        return content[:at] if value % 4 else content[at:]
    if way == "remove":
        return content[:at] + content[end:]
    if way == "insert":
        return content[:at] + bytes([value]) + content[at:]
    if way == "repeat":
        return content[:at] + content[at:end] * (1 + value % 8) + content[end:]
    token = tokens[value % len(tokens)]
    signs = SIGNS.get(reader)
    if way == "token" or signs is None:
        at = 4 * (at % 20) if reader == "idx" and value % 2 else at  # where the header has its numbers
        return content[:at] + token + content[at + len(token) * (place % 3 > 0) :]
    start = max(content.rfind(bytes([sign]), 0, at) for sign in signs) + 1
    stops = [stop for sign in signs if (stop := content.find(bytes([sign]), at)) >= 0]
    return content[:start] + token + content[min(stops, default=n) :]


def wrapped(reader: str, plain: Callable[[bytes], bytes], way: int) -> Callable[[bytes], bytes]:
    return [plain, lambda content: gzip.compress(content, 1)][way] if reader in ("idx", "csv", "records") else plain


def alter(reader: str, examples: int, count: Count, wrap: Callable[[bytes], bytes], good: list[bytes]) -> None:
    """Alter good files step by step, and read them after each."""

    @settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.integers(0, len(good) - 1), st.integers(0, 1), ALTERATIONS)
    def read_altered(which: int, way: int, alterations: list[tuple[str, int, int]]) -> None:
        content = good[which]
        finish = wrapped(reader, wrap, way if content[:2] != b"\x1f\x8b" else 0)
        for alteration in alterations:
            content = altered(content, reader, *alteration)[: 2**16]
            count(finish(content))

    read_altered()


def same(content: bytes) -> bytes:
    return content


EXAMPLES = {"idx": 1600, "csv": 1600, "records": 800, "sums": 600, "config": 350, "study": 250}


@pytest.mark.parametrize("reader", EXAMPLES)
def test_altered_files_are_read_or_refused(reader: str, memory: Path) -> None:
    count = Count(reader, memory)
    alter(reader, EXAMPLES[reader], count, same, fuzz.seeds(reader))
    print(f"{reader}: {count.refused} refused, {count.read} read")
    assert count.refused >= BAD[reader]
    assert count.read >= 10


def test_altered_pictures_are_read_or_refused(memory: Path) -> None:
    count = Count("picture", memory)
    pictures = fuzz.seeds("picture")
    alter("picture", 250, count, same, pictures)
    alter("picture", 120, count, fuzz.with_sums, pictures[:5])
    print(f"picture: {count.refused} refused, {count.read} read")
    assert count.refused >= BAD["picture"]
    assert count.read >= 10


def test_altered_models_are_read_or_refused(memory: Path) -> None:
    count = Count("model", memory)
    whole = fuzz.model_file()
    alter("model", 300, count, same, [whole])
    size = int.from_bytes(whole[:8], "little")

    def with_length(header: bytes) -> bytes:
        return struct.pack("<Q", len(header)) + header + whole[8 + size :]

    alter("model", 150, count, with_length, [whole[8 : 8 + size]])

    def with_metadata(text: bytes) -> bytes:
        return bytes(fuzz.model_file(text.decode("utf-8", "replace")))

    alter("model", 200, count, with_metadata, [json.dumps(fuzz.METADATA).encode()])
    print(f"model: {count.refused} refused, {count.read} read")
    assert count.refused >= BAD["model"]
    assert count.read >= 10


def test_there_are_fifty_thousand_bad_inputs() -> None:
    assert set(BAD) == set(fuzz.READERS)
    assert sum(BAD.values()) >= 50_000


# ------------------------------------------------------------------------------------------ values in place of others

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from([10**400, 1e308, -(2**63), "\ud800", "\0", "a\nb", "Dense", "float64", "mean", "x" * 500]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places in a JSON value but the whole."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, child in inner for place in [(*at, key), *places(child, (*at, key))]]


def put(whole: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(whole)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("reader", "whole", "made"),
    [
        ("model", fuzz.METADATA, fuzz.model_file),
        ("records", fuzz.RECORD, lambda record: json.dumps(record).encode() + b"\n"),
    ],
)
def test_any_value_in_any_place_is_taken_or_refused(
    reader: str, whole: dict[str, Any], made: Callable[[Any], bytes], memory: Path
) -> None:
    count = Count(reader, memory)

    @settings(max_examples=300, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(places(whole)), JSON)
    def read_changed(place: tuple[Any, ...], value: Any) -> None:
        count(made(put(whole, place, value)))

    read_changed()
    assert count.refused >= 100
    assert count.read >= 1


# ------------------------------------------------------------------------------------------ findings


def test_what_was_found_once_is_read_or_refused(memory: Path) -> None:
    cases = sorted(path for path in fuzz.CASES.iterdir() if not path.name.startswith("."))
    assert cases
    for case in cases:
        reader, _, _ = case.name.partition("-")
        wrong = fuzz.outcome(reader, case.read_bytes(), memory).wrong
        assert wrong is None, f"{case.name}: {wrong}"


def test_a_fault_would_be_found(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of all these tests: other errors, errors of several lines, and slow readers are findings."""

    def wrong(reader: Callable[[bytes, Path], object]) -> str | None:
        monkeypatch.setitem(fuzz.READERS, "idx", reader)
        found: str | None = fuzz.outcome("idx", b"", memory).wrong
        return found

    def refuse(error: Exception) -> Callable[[bytes, Path], object]:
        def reader(content: bytes, place: Path) -> object:
            raise error

        return reader

    assert wrong(refuse(DataError("a sentence."))) is None
    assert wrong(refuse(KeyError("a"))) == "KeyError: 'a'"
    for text in ("no end", "two\nlines.", "two\u2028lines.", "long" * 101 + ".", ""):
        assert str(wrong(refuse(DataError(text)))).startswith("no sentence")
    monkeypatch.setattr(fuzz, "MOST_SECONDS", 0.0)
    assert str(wrong(lambda content, place: sum(range(1000)))).endswith("seconds")


# ------------------------------------------------------------------------------------------ bombs


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, extra: bytes = b"", body: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def bmp(width: int, height: int, body: bytes) -> bytes:
    """A bitmap in the compression of runs."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(body), 0, 0, 14 + len(header)) + header + body


def tiff(strips: int) -> bytes:
    entries = [(256, 3, 1, 9), (257, 3, 1, 9), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (278, 3, 1, 1)]
    entries += [(273, 4, strips, 200), (279, 4, strips, 200)]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + bytes(4 * strips + 300)


def jpeg(scans: int, segments: int) -> bytes:
    """A picture of 16 million pixels, the last scan and an empty comment of which come again and again."""
    file = io.BytesIO()
    Image.new("L", (4000, 4000)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    scan = content[content.rindex(b"\xff\xda") : -2]
    return content[:2] + b"\xff\xfe\0\2" * segments + content[2:-2] + scan * scans + content[-2:]


def header(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def dots() -> bytes:
    """A picture of 62,500 marks, each of which could be a digit or its dot."""
    pixels = np.zeros((1000, 1000), np.uint8)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        pixels[row::4, column::4] = 255
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def bombs() -> dict[str, tuple[bytes, str]]:
    """Small files, by reader and what is in them, that once took or could take long or much, and the refusal."""
    architecture = json.dumps(fuzz.METADATA)
    means = architecture.replace("[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]", f"[{'1,' * 10**6}1]")
    many = json.dumps(fuzz.METADATA | {"layers": [{"type": "ReLU"}] * 10**5})
    wide = json.dumps(fuzz.METADATA | {"input_shape": [2**30]})
    text = zlib.compress(bytes(2**23))
    notes = b"II*\0\x08\0\0\0\1\0\x12\1\3\0" + struct.pack("<I", 2**20) + bytes(2**21)
    grid = "[grid]\n" + "".join(f"{axis} = {list(range(1, 201))}\n" for axis in ("epochs", "max_steps", "batch_size"))
    named = b'name = "a"\nquestion = "b"\n'
    return {
        "idx zeros": (gzip.compress(bytes(2**24)), "type code"),
        "idx unpacked": (gzip.compress(fuzz.idx_file("08", (2**27,), bytes(2**24))), "limit of 16777216"),
        "idx huge": (fuzz.idx_file("0e", (2**32 - 1,) * 64, b""), "more than any memory holds"),
        "idx members": (gzip.compress(b"") * 20_000, "is empty"),
        "idx name": (b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 2**20, "is cut off"),
        "csv rows": (gzip.compress(b"1,2\n" * (2**21 + 1), 1), "unpacks to more than 8388608"),
        "csv ends": (gzip.compress(b"1,2\n" + b"\n" * 2**22, 1), "1000 empty lines from row 2 on"),
        "csv blanks": (gzip.compress(b"1,2" + b" " * 2**23), "line of more than 4194304 bytes"),
        "csv last": (b"1,2\n" * 200_000 + b"1,x\n", "'x', which is not a number, in row 200001, column 2"),
        "csv wide": (b"1," + b"2," * 200_000 + b"x\n", "'x', which is not a number, in row 1, column 200002"),
        "csv header": (b"label," + b"a," * 200_000 + b"\n1,2\n", "2 columns in row 2, and 200002 in row 1"),
        "csv columns": (b"1" + b",1" * 2**18, "262145 columns, and at most 262144"),
        "csv blank rows": (b"1,2\n" + b"  \n" * 700_000, "1 columns in row 2"),
        "csv digits": (b"1,0." + b"1" * 2**21 + b"e-9999999", "it was read"),
        "model header": (header(b" " * 2**23), "4194304 are the most"),
        "model means": (fuzz.model_file(means), "more than 262144 means"),
        "model layers": (fuzz.model_file(many), "100000 layers, and 1000 are the most"),
        "model lists": (fuzz.model_file("[" + "[]," * 4 * 10**5 + "[]]"), "format None"),
        "model deep": (fuzz.model_file("[" * 10**6), "is not JSON"),
        "model wide": (fuzz.model_file(wide), "do not fit|its arrays have at most"),
        "model names": (header(json.dumps({f"{i}": 0 for i in range(10**5)}).encode()), "is no safetensors file"),
        "records open": (b"[" * 2**20 + b"\n", "is no record"),
        "records blanks": (gzip.compress(b" " * 2**25), "no study has as much as this"),
        "config key": (b".".join([b"a"] * 32_000) + b" = 1", "more than 200 dots in line 1"),
        "config lists": (b"a = " + b"[" * 2**15, "is no TOML"),
        "config tables": (b"a = [" + (b"\n{" + b".".join([b"a"] * 150) + b" = [") * 9 + b"]}" * 9 + b"]", "10 deep"),
        "config digits": (b"epochs = 0x" + b"f" * 60_000, "more than 64 bits"),
        "study grid": (named + grid.encode(), "more than 1000 combinations"),
        "study figures": (named + b"[report]\nplots=[" + b"{kind='speed'}," * 3000 + b"]", "take at most 100"),
        "sums lines": (b"\n" * (2**20 + 1), "has more than 1048576 bytes"),
        "picture dots": (dots(), "it was read"),
        "picture pixels": (png(60_000, 60_000), "more than 89 million pixels"),
        "picture too many": (png(5001, 5000), "more than 25,000,000 pixels"),
        "picture cut": (png(5000, 5000), "is damaged or cut off"),
        "picture text": (png(9, 9, chunk(b"zTXt", b"a\0\0" + text)), "is damaged or cut off"),
        "picture profile": (png(9, 9, chunk(b"iCCP", b"a\0\0" + text)), "is damaged or cut off"),
        "picture chunks": (png(9, 9, chunk(b"teXt", b"") * 10**5), "far more parts"),
        "picture notes": (png(9, 9, chunk(b"eXIf", notes), bytes(9 * 28)), "nothing drawn here"),
        "picture scans": (jpeg(500, 0), "far more parts"),
        "picture segments": (jpeg(0, 10**5), "far more parts"),
        "picture strips": (tiff(10**6), "far more parts"),
        "picture jump": (bmp(25_000_000, 1, b"\0\2\xff\xff"), "more than 1,048,576 pixels"),
        "picture runs": (bmp(1024, 1024, b"\0\0" * 2**21), "more than 2,097,152 bytes"),
        "picture comments": (b"P3 500 500 255\n" + b"#\n" * 10**5, "far more parts"),
        "picture grey": (b"P5 2000 2000 65534\n" + bytes(8 * 10**6), "more than 1,048,576 pixels"),
        "picture blocks": (b"GIF89a\1\0\1\0\0\0\0!\xfe" + (b"\xff" + b"a" * 255) * 9000, "far more parts"),
    }  # fmt: skip


MOST_TOGETHER = 512 * 2**20
"""Bytes by which all bombs together may make the process larger."""


def test_bombs_are_refused_at_once_and_in_little_memory(tmp_path: Path) -> None:
    told = {}
    for name, (content, sentence) in bombs().items():
        told[name.replace(" ", "-")] = sentence
        (tmp_path / name.replace(" ", "-")).write_bytes(content)
    command = [sys.executable, str(FUZZ), "--replay", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["name"] for one in found} == set(told)
    for one in found:
        slow = re.fullmatch(
            r"([\d.]+) seconds", one["wrong"] or ""
        )  # a second, or some where others use the machine, too
        assert one["wrong"] is None or (slow is not None and float(slow[1]) < 4.0), one
        assert re.search(told[one["name"]], one["error"] or "it was read"), one
    assert sum(one["memory"] for one in found) < MOST_TOGETHER


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_small_files_take_little_memory(reader: str, memory: Path) -> None:
    count = Count(reader, memory)
    good = fuzz.seeds(reader)
    for content in good:
        count(content)
    tracemalloc.start()
    alter(reader, 8, count, same, good)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count.refused + count.read >= 60
    assert peak < 64 * 2**20


# ------------------------------------------------------------------------------------------ folders

LABELS = "train-labels-idx1-ubyte"


def linked(link: Path, target: Path) -> None:
    link.unlink()
    link.symlink_to(target)


def test_links_are_followed_within_their_folder_alone(tmp_path: Path) -> None:
    data = write_idx_folder(tmp_path / "data")
    (tmp_path / "other").symlink_to(data, target_is_directory=True)
    assert find_idx_files(tmp_path / "other")["train-labels"] == tmp_path / "other" / LABELS
    (data / LABELS).rename(data / "kept")
    (data / LABELS).touch()
    linked(data / LABELS, data / "kept")
    assert find_idx_files(data)["train-labels"] == data / LABELS
    (data / "kept").rename(tmp_path / "kept")
    for target in (tmp_path / "kept", Path("..") / "kept", Path("/etc/passwd"), data / LABELS):
        linked(data / LABELS, target)
        with pytest.raises(DataError, match=rf"{LABELS} is a link that leads out of its folder"):
            find_idx_files(data)


def test_folders_and_lists_of_sums_that_lead_out_are_refused(tmp_path: Path) -> None:
    data = write_idx_folder(tmp_path / "data")
    (tmp_path / "out").mkdir()
    (data / LABELS).rename(tmp_path / "out" / LABELS)
    (data / LABELS).symlink_to(tmp_path / "out", target_is_directory=True)
    with pytest.raises(DataError, match="is a link that leads out of its folder"):
        find_idx_files(data)
    (tmp_path / "sums").write_text("0" * 64 + "  ../../etc/passwd\n")
    (data / SUMS).symlink_to(tmp_path / "sums")
    with pytest.raises(DataError, match="SHA256SUMS is a link that leads out of its folder"):
        read_sums(data)
    (data / SUMS).unlink()
    (tmp_path / "sums").rename(data / SUMS)
    assert read_sums(data) == {"../../etc/passwd": "0" * 64}  # a name, which nothing opens


def test_many_files_and_odd_names_get_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("a\x85b", "c\u2028d", "e" * 200, "g"):
        (tmp_path / f"{prefix}-train-images").touch()
    with pytest.raises(DataError, match="files of several data sets") as caught:
        find_idx_files(tmp_path)
    assert len(str(caught.value).replace(str(tmp_path), "").splitlines()) == 1
    assert len(str(caught.value)) < 400 + len(str(tmp_path))
    monkeypatch.setattr(folder, "MOST_ENTRIES", 3)
    with pytest.raises(DataError, match="more than 3 files; give the IDX files a folder of their own"):
        find_idx_files(tmp_path)


def test_devices_that_never_end_are_refused(memory: Path) -> None:
    if not Path("/dev/zero").exists():
        return
    for reader, link in (("sums", SUMS), ("config", "run.toml"), ("study", "study.toml")):
        (memory / link).unlink(missing_ok=True)
        (memory / link).symlink_to("/dev/zero")
        with pytest.raises(GlassnetError):
            {"sums": read_sums, "config": RunConfig.from_toml, "study": find_study}[reader](
                memory if reader == "sums" else memory / link
            )
        (memory / link).unlink()
    for read in (read_idx, read_csv, load_model):
        with pytest.raises(GlassnetError):
            read(Path("/dev/zero"))


# ------------------------------------------------------------------------------------------ bounds


def test_gzip_may_grow_to_a_bound_or_to_a_multiple_of_its_size(tmp_path: Path) -> None:
    zeros, noise = bytes(10_000), random.Random(0).randbytes(150)
    path = tmp_path / "zeros.gz"
    path.write_bytes(gzip.compress(zeros))  # less than 50 bytes

    def read(way: Callable[[Stream], object], most: int) -> object:
        with open_content(path, most) as stream:
            return way(stream)

    ways: list[Callable[[Stream], object]] = [
        lambda stream: stream.read(),
        lambda stream: stream.readline(),
        lambda stream: stream.readline(9_999) + stream.read(2),
        lambda stream: stream.readinto(bytearray(10_000)) and stream.read(1),
    ]
    for way in ways:
        for most in (1, 9_999):
            with pytest.raises(DataError, match=r"zeros\.gz unpacks to more than \d+ bytes, too many for its size"):
                read(way, most)
        read(way, 10_000)
    assert read(ways[0], 10_000) == zeros
    path.write_bytes(gzip.compress(noise + zeros))  # more than 100
    assert read(ways[0], 1) == noise + zeros


def test_the_page_of_the_bounds_is_true() -> None:
    page = (FUZZ.parents[2] / "docs" / "strangers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)\.([A-Z_]+)` \| ([\d,]+) \|", page, re.MULTILINE)
    assert len(rows) == 38
    for module, name, value in rows:
        assert getattr(importlib.import_module(f"glassnet.{module}"), name) == int(value.replace(",", "")), name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("as it is", "as it is."),
        ("as it is...", "as it is."),
        ("two\nlines\x85and\u2028more.", "two lines and more."),
        ("", "."),
        ("a" * 359, "a" * 359 + "."),
    ],
)
def test_one_sentence(text: str, sentence: str) -> None:
    assert one_sentence(text) == sentence


def test_a_long_sentence_keeps_its_beginning_and_its_end() -> None:
    sentence = one_sentence("begin " + "a" * 10_000 + " end")
    assert sentence.startswith("begin aaa")
    assert " ... " in sentence
    assert sentence.endswith("aaa end.")
    assert len(sentence) == files.LONGEST_SENTENCE


@settings(max_examples=500, derandomize=True, deadline=None, database=None)
@given(
    st.text("0123456789+-.eE_naifNAIFx \t\r\0\x1c\x85\xa0\xb2", max_size=6)
    | st.floats().map(str)
    | st.sampled_from(["inf", "Infinity", "nan", "1_0", "0x1", "1e400", " 1", "1 ", "\xa01", "1\x85", "", "\xb2"])
)
def test_a_cell_is_a_number_if_numpy_takes_it_for_one(cell: str) -> None:
    if "\r" not in cell:  # an end of a line for NumPy
        assert csv._is_number(cell) == csv._parses([cell], 1)
