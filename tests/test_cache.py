"""Decoded data are kept, and never believed when anything about them is doubtful."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import Glassnet, write_idx_folder

from glassnet.data import cache, read_idx, write_idx
from glassnet.data.cache import Arrays, cached, clear_cache
from glassnet.data.sources import load

ARRAYS: Arrays = {
    "pictures": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "labels": np.array([-1, 500], np.int16),
    "values": np.array([[0.5], [np.nan]], np.float32),
    "nothing": np.empty((0, 7), np.float64),
}
LONG_AGO = 1_600_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, whose entries may come from files that were written just now."""
    monkeypatch.setenv("GLASSNET_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(cache, "_YOUNG", -1.0)
    return tmp_path / "kept"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.gz"
    path.write_bytes(b"some bytes")
    return path


class Decoder:
    """Gives arrays, and counts how often it was asked."""

    def __init__(self, arrays: Arrays = ARRAYS) -> None:
        self.calls, self.arrays = 0, arrays

    def __call__(self) -> Arrays:
        self.calls += 1
        return self.arrays


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert list(found) == list(expected)
    for name, array in found.items():
        assert array.dtype == expected[name].dtype
        assert array.flags.writeable
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, expected[name])


def the_entry(folder: Path) -> Path:
    (entry,) = folder.iterdir()
    return entry


def test_arrays_come_back_as_they_were_without_decoding(folder: Path, source: Path) -> None:
    decode = Decoder()
    for calls in (1, 1, 1):
        assert_same(cached([source], decode), ARRAYS)
        assert decode.calls == calls


def test_what_is_handed_out_can_be_changed_without_changing_what_is_kept(folder: Path, source: Path) -> None:
    cached([source], Decoder())
    cached([source], Decoder())["pictures"][:] = 9
    assert_same(cached([source], Decoder({})), ARRAYS)


def test_arrays_in_any_order_of_memory_can_be_kept(folder: Path, source: Path) -> None:
    turned = {"turned": np.arange(6, dtype=np.int32).reshape(2, 3).T}
    cached([source], Decoder(turned))
    np.testing.assert_array_equal(cached([source], Decoder({}))["turned"], [[0, 3], [1, 4], [2, 5]])


def _longer(path: Path) -> None:
    path.write_bytes(b"some more bytes")


def _other_bytes_of_the_same_length(path: Path) -> None:
    path.write_bytes(b"same bytes")
    os.utime(path, (LONG_AGO, LONG_AGO))


def _replaced_by_a_copy_with_its_times(path: Path) -> None:
    stat = path.stat()
    copy = path.with_name("copy")
    copy.write_bytes(b"same bytes")
    os.utime(copy, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    copy.replace(path)


@pytest.mark.parametrize("change", [_longer, _other_bytes_of_the_same_length, _replaced_by_a_copy_with_its_times])
def test_files_that_changed_are_decoded_again(folder: Path, source: Path, change) -> None:
    cached([source], Decoder())
    change(source)
    new = Decoder({"new": np.arange(3, dtype=np.uint8)})
    assert_same(cached([source], new), new.arrays)
    assert_same(cached([source], new), new.arrays)
    assert new.calls == 1
    assert len(list(folder.iterdir())) == 1  # the old one made room


def test_another_file_beside_is_another_source(folder: Path, source: Path) -> None:
    cached([source], Decoder())
    other = source.with_name("other.gz")
    other.write_bytes(source.read_bytes())
    decode = Decoder({"other": np.zeros(1, np.uint8)})
    assert list(cached([source, other], decode)) == ["other"]


def test_folders_have_entries_of_their_own(folder: Path, tmp_path: Path) -> None:
    made = {}
    for name in ("a", "b"):
        path = tmp_path / name / "x.gz"
        path.parent.mkdir()
        path.write_bytes(b"the same")
        made[path] = {name: np.zeros(3, np.uint8)}
        cached([path], Decoder(made[path]))
    for path, arrays in made.items():
        assert_same(cached([path], Decoder({})), arrays)


def test_a_file_that_changed_just_now_is_not_believed_to_stay(
    folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_YOUNG", 3600.0)
    cached([source], Decoder())
    assert not folder.exists()


def test_a_file_that_changes_while_it_is_decoded_is_not_kept(folder: Path, source: Path) -> None:
    def decode() -> Arrays:
        source.write_bytes(b"longer than it was")
        return ARRAYS

    assert_same(cached([source], decode), ARRAYS)
    assert not folder.exists()


def test_what_decoding_fails_with_is_not_hidden(folder: Path, source: Path) -> None:
    def decode() -> Arrays:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        cached([source], decode)
    assert not folder.exists()


def test_every_flipped_byte_and_every_cut_is_noticed(folder: Path, source: Path) -> None:
    cached([source], Decoder())
    entry = the_entry(folder)
    whole = entry.read_bytes()
    for at in range(len(whole)):
        entry.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert_same(cached([source], Decoder()), ARRAYS)
        assert entry.read_bytes() == whole, at  # made again
    for cut in (0, 1, 100, len(whole) - 1):
        entry.write_bytes(whole[:cut])
        assert_same(cached([source], Decoder()), ARRAYS)
    entry.write_bytes(whole + b"more")
    assert_same(cached([source], Decoder()), ARRAYS)
    assert entry.read_bytes() == whole


def _declare(entry: Path, **values: object) -> None:
    head, _, rest = entry.read_bytes().partition(b"\n")
    entry.write_bytes(json.dumps(json.loads(head) | values).encode() + b"\n" + rest)


@pytest.mark.parametrize(
    "values",
    [
        {"format": "glassnet arrays 0"},
        {"arrays": [["x", "|O", [3], 0]]},
        {"arrays": [["x", "|u1", [2**62], 0]]},
        {"arrays": [["x", "|u1", [-30], 0]]},
        {"arrays": [["x", "|u1", "no shape", 0]]},
        {"arrays": 7},
        {"source": None},
    ],
)
def test_an_entry_that_declares_nonsense_is_made_again(folder: Path, source: Path, values) -> None:
    cached([source], Decoder())
    _declare(the_entry(folder), **values)
    decode = Decoder()
    assert_same(cached([source], decode), ARRAYS)
    assert decode.calls == 1
    assert_same(cached([source], decode), ARRAYS)
    assert decode.calls == 1


@pytest.mark.parametrize("head", [b"", b"[]\n", b"\xff\xfe\n", b"[" * 60_000 + b"\n", b"{" * 2**17])
def test_an_entry_that_is_something_else_is_made_again(folder: Path, source: Path, head: bytes) -> None:
    cached([source], Decoder())
    the_entry(folder).write_bytes(head)
    assert_same(cached([source], Decoder()), ARRAYS)


@pytest.mark.parametrize("place", ["a-file", "a-file/below"])
def test_a_folder_that_can_not_be_made_does_not_matter(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "a-file").touch()
    monkeypatch.setattr(cache, "_YOUNG", -1.0)
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / place)
    for _ in range(2):
        assert_same(cached([source], Decoder()), ARRAYS)


def test_a_full_disk_does_not_matter_and_leaves_nothing(
    folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    real = Path.open

    def opened(path: Path, mode: str = "r", *rest: object) -> object:
        return full(path) if mode == "xb" else real(path, mode, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", opened)
    assert_same(cached([source], Decoder()), ARRAYS)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has these permissions")
def test_others_may_not_look_into_the_folder(folder: Path, source: Path) -> None:
    cached([source], Decoder())
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_empty_variable_keeps_nothing(source: Path, monkeypatch: pytest.MonkeyPatch, glassnet: Glassnet) -> None:
    monkeypatch.setenv("GLASSNET_CACHE", "")
    monkeypatch.setattr(cache, "_YOUNG", -1.0)
    decode = Decoder()
    for calls in (1, 2):
        cached([source], decode)
        assert decode.calls == calls
    assert clear_cache() == (0, 0)
    assert glassnet("data", "clear-cache") == (0, "nothing is kept, since GLASSNET_CACHE is empty.\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="the rule of Linux")
def test_without_the_variable_it_is_the_folder_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLASSNET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "glassnet"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert cache.cache_folder() == tmp_path / "me" / ".cache" / "glassnet"


def test_the_oldest_entries_make_room(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 3000)
    paths = []
    for i in range(4):
        path = tmp_path / f"folder{i}" / "x.gz"
        path.parent.mkdir()
        path.write_bytes(b"x")
        cached([path], Decoder({"x": np.full(900, i, np.uint8)}))  # with its head above 1000 bytes
        for entry in folder.iterdir():
            if entry.stat().st_mtime > LONG_AGO + 1000:
                os.utime(entry, (LONG_AGO + i, LONG_AGO + i))
        paths.append(path)
    kept = [not decode.calls for path in paths if (decode := Decoder()) and cached([path], decode) is not None]
    assert kept[:2] == [False, False]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3000


def test_what_alone_is_too_large_is_not_kept(folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 100)
    assert_same(cached([source], Decoder()), ARRAYS)
    assert not folder.exists()


def test_what_killed_runs_left_is_swept_up_and_foreign_files_stay(folder: Path, source: Path) -> None:
    folder.mkdir()
    for name in (".old.1234.arrays", ".new.1234.arrays", "mine.txt"):
        (folder / name).touch()
    os.utime(folder / ".old.1234.arrays", (LONG_AGO, LONG_AGO))
    os.utime(folder / "mine.txt", (LONG_AGO, LONG_AGO))
    cached([source], Decoder())
    assert {path.name for path in folder.iterdir()} >= {".new.1234.arrays", "mine.txt"}
    assert len(list(folder.iterdir())) == 3
    clear_cache()
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_the_command_says_what_it_removed(folder: Path, source: Path, glassnet: Glassnet) -> None:
    assert glassnet("data", "clear-cache")[:2] == (0, f"removed 0 entries, 0.0 MB, from {folder}\n")
    cached([source], Decoder({"x": np.zeros(2_000_000, np.uint8)}))
    assert glassnet("data", "clear-cache")[:2] == (0, f"removed 1 entry, 2.0 MB, from {folder}\n")
    assert list(folder.iterdir()) == []


# ------------------------------------------------------------------------------------------ sources that use it


def pack(folder: Path) -> None:
    for path in list(folder.iterdir()):
        write_idx(path.with_name(path.name + ".gz"), read_idx(path))
        path.unlink()


def test_compressed_folders_are_kept_and_plain_ones_are_not(folder: Path, tmp_path: Path) -> None:
    data = write_idx_folder(tmp_path / "small")
    plain = load(data)
    assert not folder.exists()
    pack(data)
    first, second = load(data), load(data)
    entry = the_entry(folder)
    assert entry.stat().st_size > 300 * 30 + 60 * 30
    for loaded in (first, second):
        for split in ("train", "validation", "test"):
            mine, expected = getattr(loaded, split), getattr(plain, split)
            np.testing.assert_array_equal(mine.features, expected.features)
            np.testing.assert_array_equal(mine.targets, expected.targets)
            assert (mine.features.dtype, mine.targets.dtype) == (expected.features.dtype, expected.targets.dtype)
        assert loaded.train.features.flags.writeable


def test_what_is_kept_is_what_is_read(folder: Path, tmp_path: Path) -> None:
    data = write_idx_folder(tmp_path / "small")
    pack(data)
    load(data)
    entry = the_entry(folder)
    head, _, rest = entry.read_bytes().partition(b"\n")
    described = json.loads(head)
    described["arrays"][0][3] = zlib.crc32(bytes(9000), zlib.crc32(b"train-images |u1 (300, 6, 5)"))
    entry.write_bytes(json.dumps(described).encode() + b"\n" + bytes(9000) + rest[9000:])
    assert not load(data).train.features.any()


def test_sums_that_are_listed_later_are_compared(folder: Path, tmp_path: Path) -> None:
    from glassnet.errors import DataError

    data = write_idx_folder(tmp_path / "small")
    pack(data)
    load(data)
    (data / "SHA256SUMS").write_text("0" * 64 + "  train-images-idx3-ubyte\n")
    with pytest.raises(DataError, match="does not have the SHA-256 sum"):
        load(data)


def test_runs_side_by_side_read_the_same(tmp_path: Path) -> None:
    code = "import glassnet as gn; d = gn.load('mnist'); print(int(d.train.features.sum(dtype='int64')))"
    env = os.environ | {"GLASSNET_CACHE": str(tmp_path / "kept")}
    runs = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    printed = {run.communicate()[0].strip() for run in runs}
    assert [run.returncode for run in runs] == [0] * 4
    assert printed == {str(int(load("mnist").train.features.sum(dtype=np.int64)))}
    assert len(list((tmp_path / "kept").iterdir())) == 1
