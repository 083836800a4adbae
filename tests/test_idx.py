"""IDX files: packed by hand with struct, read; written, unpacked by hand; damaged in every way, refused."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from glassnet.data import files, read_idx, write_idx
from glassnet.data import idx as idx_module
from glassnet.errors import ConfigError, DataError, GlassnetError, MissingFileError

LABELS = bytes.fromhex("00000801 00000003 050004".replace(" ", ""))  # three labels: 5, 0, 4
PIXELS = bytes.fromhex("00000803 00000002 00000002 00000003".replace(" ", "")) + bytes(range(12))  # (2, 2, 3)


def stored(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refusal(path: Path, content: bytes | None = None, error: type[Exception] = DataError, **options: int) -> str:
    """Read what must be refused; give the sentence, which names the file and is one line."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error) as caught:
        read_idx(path, **options)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert ";" in sentence  # what was wrong; what to do
    return sentence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some-idx"


# ---------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("code", "letter", "values", "dtype"),
    [
        (0x08, "B", [0, 1, 255], np.uint8),
        (0x09, "b", [-128, -1, 127], np.int8),
        (0x0B, "h", [-32768, 258, 32767], np.int16),
        (0x0C, "i", [-(2**31), 16909060, 2**31 - 1], np.int32),
        (0x0D, "f", [-0.5, 1.25, 2.0**100], np.float32),
        (0x0E, "d", [-0.1, 1e300, 3.141592653589793], np.float64),
    ],
)
def test_every_type_of_the_format(path: Path, code: int, letter: str, values: list[float], dtype: type) -> None:
    content = struct.pack(f">BBBBI3{letter}", 0, 0, code, 1, 3, *values)
    array = read_idx(stored(path, content))
    assert array.dtype == dtype
    assert array.dtype.isnative
    assert array.tolist() == values
    assert array.flags.c_contiguous
    assert array.flags.writeable
    write_idx(path, array)
    assert path.read_bytes() == content


def test_last_dimension_runs_fastest(path: Path) -> None:
    array = read_idx(stored(path, PIXELS))
    assert array.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]


@pytest.mark.parametrize("ndim", [0, 1, 2, 7, 64])
def test_any_number_of_dimensions(path: Path, ndim: int) -> None:
    array = read_idx(stored(path, bytes([0, 0, 8, ndim]) + b"\0\0\0\1" * ndim + b"\x2a"))
    assert array.shape == (1,) * ndim
    assert array.item() == 42
    write_idx(path.with_suffix(".again"), array)
    assert path.with_suffix(".again").read_bytes() == path.read_bytes()


def test_no_items(path: Path) -> None:
    array = read_idx(stored(path, struct.pack(">4B3I", 0, 0, 0x0D, 3, 0, 28, 28)))
    assert array.shape == (0, 28, 28)
    assert array.dtype == np.float32


def test_gzip_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    packed_without_suffix = stored(tmp_path / "labels", gzip.compress(LABELS))
    plain_with_suffix = stored(tmp_path / "labels.gz", LABELS)
    assert read_idx(packed_without_suffix).tolist() == [5, 0, 4]
    assert read_idx(str(plain_with_suffix)).tolist() == [5, 0, 4]


def test_gzip_in_several_members_and_padded_with_zeros(path: Path) -> None:
    stored(path, gzip.compress(LABELS[:5]) + gzip.compress(LABELS[5:]) + bytes(100))
    assert read_idx(path).tolist() == [5, 0, 4]


def test_data_longer_than_a_step_of_reading(path: Path) -> None:
    count = 2 * idx_module.STEP + 7
    body = (bytes(range(251)) * (count // 251 + 1))[:count]
    stored(path, gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, count) + body, 1))
    assert read_idx(path).tobytes() == body


# ------------------------------------------------------------------------------------------- what is refused


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nothing", error=MissingFileError)
    (tmp_path / "file").touch()
    assert "does not exist" in refusal(tmp_path / "file" / "below", error=MissingFileError)
    assert "folder" in refusal(tmp_path)


def test_missing_file_is_caught_as_the_builtin(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")


def test_path_that_no_system_can_open(tmp_path: Path) -> None:
    assert "cannot be opened" in refusal(tmp_path / ("x" * 5000))
    with pytest.raises(DataError, match="cannot be opened"):
        read_idx("a\0b")


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_empty(path: Path, content: bytes) -> None:
    assert "is empty" in refusal(path, content)


@pytest.mark.parametrize(
    "page", [b"<!doctype html><html>", b"<html>, 404", b"\xef\xbb\xbf\r\n  <?xml version='1.0'?>", b"<"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_html_page(tmp_path: Path, page: bytes, packed: bool) -> None:
    content = gzip.compress(page) if packed else page
    assert "HTML page" in refusal(tmp_path / "train-images-idx3-ubyte.gz", content)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"PK\x03\x04", "zip"),
        (b"\x93NUMPY\x01\0", "numpy.load"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"label,1x1,1x2\n5,0,0\n", "read_csv"),
        (b"\xef\xbb\xbf5,0,0\n", "read_csv"),
        (gzip.compress(gzip.compress(LABELS, mtime=0), mtime=0), "twice"),
    ],
)
def test_other_kinds_of_files(path: Path, head: bytes, kind: str) -> None:
    sentence = refusal(path, head)
    assert "not an IDX file" in sentence
    assert kind in sentence


def test_wrong_magic_names_the_bytes(path: Path) -> None:
    assert "01 02 08 01" in refusal(path, b"\x01\x02\x08\x01\0\0\0\3abc")
    assert "bytes 07 " in refusal(path, b"\x07")


@pytest.mark.parametrize("code", [0x00, 0x0A, 0x0F, 0xFF])
def test_unknown_type_code(path: Path, code: int) -> None:
    assert f"0x{code:02X} at byte 2" in refusal(path, bytes([0, 0, code, 1, 0, 0, 0, 0]))


def test_more_dimensions_than_numpy_has(path: Path) -> None:
    assert "65 dimensions at byte 3" in refusal(path, bytes([0, 0, 8, 65]) + b"\0\0\0\1" * 65 + b"\0")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", [1, 2, 3, 4, 5, 15])
def test_cut_within_the_header(path: Path, packed: bool, end: int) -> None:
    content = PIXELS[:end]
    assert f"ends at byte {end}," in refusal(path, gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("missing", [1, 5, 12])
def test_cut_within_the_data(path: Path, packed: bool, missing: int) -> None:
    content = PIXELS[:-missing]
    sentence = refusal(path, gzip.compress(content) if packed else content)
    assert f"ends at byte {28 - missing}" in sentence
    assert f"{missing} bytes are missing" in sentence


def test_bytes_after_the_data(path: Path) -> None:
    sentence = refusal(path, LABELS + b"\n\n")
    assert "ends at byte 11" in sentence
    assert "2 bytes follow" in sentence
    sentence = refusal(path, gzip.compress(LABELS + b"\n\n"))
    assert "ends at byte 11 of the uncompressed content" in sentence


def test_gzip_cut_off_names_the_end(path: Path) -> None:
    content = gzip.compress(PIXELS)
    for end in (2, 9, 20, len(content) - 8, len(content) - 1):
        sentence = refusal(path, content[:end])
        assert "cut off" in sentence
        assert f"byte {end}," in sentence


def test_gzip_with_a_wrong_checksum(path: Path) -> None:
    content = gzip.compress(PIXELS)
    assert "CRC-32" in refusal(path, content[:-8] + struct.pack("<II", zlib.crc32(PIXELS) ^ 1, len(PIXELS)))


def test_gzip_with_a_wrong_length(path: Path) -> None:
    content = gzip.compress(PIXELS)
    assert "Incorrect length" in refusal(path, content[:-4] + struct.pack("<I", len(PIXELS) + 1))


def test_gzip_that_makes_no_sense(path: Path) -> None:
    content = gzip.compress(b"")[:10] + b"\xff" * 30  # block type 3 does not exist
    assert "noticed by byte 40" in refusal(path, content)


def test_bytes_after_the_gzip_data(path: Path) -> None:
    assert "not gzip" in refusal(path, gzip.compress(LABELS) + b"more")


def test_a_disk_that_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.FileIO):
        def readinto(self, target: object) -> int:
            raise OSError(5, "Input/output error")

    stored(path, LABELS)
    monkeypatch.setattr(Path, "open", lambda self, mode: io.BufferedReader(Failing(self)))
    assert "Input/output error" in refusal(path)


# -------------------------------------------------------------------------------------------- bounded memory


def huge(*shape: int) -> bytes:
    return struct.pack(f">4B{len(shape)}I", 0, 0, 0x0E, len(shape), *shape)


def test_huge_shapes_are_refused_before_memory_is_taken(path: Path) -> None:
    largest = 2**32 - 1
    tracemalloc.start()
    assert "limit" in refusal(path, gzip.compress(huge(largest, largest)))
    assert f"{8 * largest**2} bytes are missing" in refusal(path, huge(largest, largest))
    assert "unpacks to more than 67108864" in refusal(path, gzip.compress(huge(largest, largest)), max_bytes=2**80)
    assert "any memory" in refusal(path, huge(largest, largest, largest))
    assert "this machine's memory" in refusal(path, huge(0, largest, largest, largest))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_no_more_is_decompressed_than_declared(path: Path) -> None:
    stored(path, gzip.compress(LABELS + bytes(100 * 2**20), 1))
    tracemalloc.start()
    assert "at least one byte follows" in refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_max_bytes_counts_the_data(path: Path) -> None:
    stored(path, PIXELS)
    assert read_idx(path, max_bytes=12).size == 12
    assert "limit of 11" in refusal(path, max_bytes=11)


@pytest.mark.parametrize("limit", [-1, 1.5, "1", True])
def test_senseless_max_bytes(path: Path, limit: object) -> None:
    with pytest.raises(ConfigError, match="max_bytes"):
        read_idx(stored(path, LABELS), max_bytes=limit)  # type: ignore[arg-type]


def test_default_limit_is_the_memory_of_the_machine_or_four_gigabytes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beyond = gzip.compress(struct.pack(">4BII", 0, 0, 8, 2, 2**16, 2**16 + 1))  # 4 GiB and 64 KiB
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}[name])
    assert "limit of 4096000;" in refusal(path, beyond)
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.setattr(files, "MOST_UNPACKED", 2**33)
    assert "limit of 4294967296;" in refusal(path, beyond)


# --------------------------------------------------------------------------------------------- chance damage


@pytest.mark.parametrize("packed", [False, True])
def test_no_flipped_bit_gives_anything_but_a_sentence_or_an_array(path: Path, packed: bool) -> None:
    content = gzip.compress(PIXELS) if packed else PIXELS
    refused = 0
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        stored(path, bytes(damaged))
        try:
            array = read_idx(path, max_bytes=2**20)
        except GlassnetError:
            refused += 1
        else:
            assert not packed or array.tobytes() == PIXELS[16:]  # gzip's sum lets no wrong pixel pass
    assert refused > 100


def test_random_bytes_never_raise_anything_else(path: Path) -> None:
    draw = random.Random(1)
    for _ in range(500):
        head = draw.choice([b"", b"\0\0", b"\0\0\x08", b"\0\0\x0d\x01", b"\x1f\x8b", b"\x1f\x8b\x08\0", b"<", b"5,"])
        stored(path, head + draw.randbytes(draw.randrange(60)))
        with pytest.raises(GlassnetError):
            read_idx(path, max_bytes=2**20)


# -------------------------------------------------------------------------------------------- what is written


def test_written_bytes(path: Path) -> None:
    write_idx(path, np.array([[1, -2], [3, 400]], np.int16))
    assert path.read_bytes().hex(" ", 4) == "00000b02 00000002 00000002 0001fffe 00030190"


def test_gz_name_writes_gzip_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    write_idx(tmp_path / "one.gz", np.array([5, 0, 4], np.uint8))
    write_idx(str(tmp_path / "two.GZ"), np.array([5, 0, 4], np.uint8))
    assert gzip.decompress((tmp_path / "one.gz").read_bytes()) == LABELS
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.GZ").read_bytes()


def test_strides_and_byte_order_do_not_matter(path: Path) -> None:
    array = np.arange(6, dtype="<f4").reshape(2, 3).T[::-1]
    write_idx(path, array)
    assert struct.unpack(">6f", path.read_bytes()[12:]) == (2.0, 5.0, 1.0, 4.0, 0.0, 3.0)
    write_idx(path.with_suffix(".big"), array.astype(">f4"))
    assert path.with_suffix(".big").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint16, np.float16, complex, "U3", object])
def test_types_that_idx_does_not_know(path: Path, dtype: object) -> None:
    with pytest.raises(DataError, match="astype"):
        write_idx(path, np.zeros(3, dtype))  # type: ignore[call-overload]
    assert not path.exists()


def test_dimension_too_long_for_the_header(path: Path) -> None:
    with pytest.raises(DataError, match="longest dimension"):
        write_idx(path, np.broadcast_to(np.uint8(0), (2**32,)))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(path, np.array([1], np.uint8))
    before = path.read_bytes()

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match="No space left"):
        write_idx(path, np.array([2], np.uint8))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_old_file_is_replaced_and_nothing_else_stays(path: Path) -> None:
    write_idx(path, np.zeros(1000, np.uint8))
    write_idx(path, np.array([7], np.uint8))
    assert read_idx(path).tolist() == [7]
    assert list(path.parent.iterdir()) == [path]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    array = np.zeros(1, np.uint8)
    with pytest.raises(MissingFileError, match="folder does not exist"):
        write_idx(tmp_path / "no" / "where", array)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_idx(tmp_path / "folder", array)
    with pytest.raises(DataError, match="cannot be written"):
        write_idx(str(tmp_path / "a\0b"), array)
    with pytest.raises(ConfigError, match="no path for a file"):
        write_idx("", array)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
