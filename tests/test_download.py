"""Data sets are downloaded from whoever sends the right bytes, whatever else happens on the way."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from download_server import (
    Behaviour,
    Server,
    answers,
    drips,
    four_parts,
    kmnist_at,
    letters_of,
    never_ends,
    redirects,
    remote,
    sends,
    sends_a_page,
    serving,
    speaks_something_else,
    stalls,
    waits,
    zipped,
)

from glassnet import ConfigError, DataError, MissingFileError, load, read_idx
from glassnet.data import catalogue, download, fetch, named
from glassnet.data.catalogue import CATALOGUE, NAMES
from glassnet.data.download import UnreachableError

LONGER, SHORTER = (f"its file is {how} than the 300,000 bytes that are published" for how in ("longer", "shorter"))
CONTENT = np.random.default_rng(0).integers(0, 256, 300_000).astype(np.uint8).tobytes()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, no proxy, and no patience."""
    monkeypatch.setenv("GLASSNET_CACHE", str(tmp_path / "cache"))
    for name in ("GLASSNET_DATA", "GLASSNET_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    monkeypatch.setattr(download, "PAUSE", 0.0)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def get(tmp_path: Path, *urls: str, **changed: object) -> Path:
    return download.download(remote("a.gz", CONTENT, *urls, **changed), tmp_path / "to")


def assert_there(tmp_path: Path) -> None:
    assert (tmp_path / "to" / "a.gz").read_bytes() == CONTENT
    assert names_in(tmp_path / "to") == ["a.gz"]


def refusal(tmp_path: Path, *urls: str, **changed: object) -> str:
    """Download what can not be had, and return the reasons."""
    with pytest.raises(UnreachableError) as error:
        get(tmp_path, *urls, **changed)
    assert not (tmp_path / "to" / "a.gz").exists()
    assert {host for host, _ in error.value.reasons} <= {url.split("/")[2] for url in urls}
    return "; ".join(reason for _, reason in error.value.reasons)


# ------------------------------------------------------------------------------------------ one file


def test_a_file_comes_as_it_is_and_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    url = server("/a", sends(CONTENT))
    for _ in range(2):
        assert get(tmp_path, url) == tmp_path / "to" / "a.gz"
        assert_there(tmp_path)
    assert server.asked == [("/a", None)]


def test_progress_is_told(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    file = remote("a.gz", CONTENT, server("/a", sends(CONTENT)))
    download.download(file, tmp_path, lambda *facts: seen.append(facts))
    assert {(name, total) for name, _, total in seen} == {("a.gz", len(CONTENT))}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1] == len(CONTENT)


def test_what_is_cut_goes_on_where_it_was_cut(server: Server, tmp_path: Path) -> None:
    url = server("/a", sends(CONTENT, at_most=100_000))
    get(tmp_path, url)
    assert_there(tmp_path)
    assert server.asked == [("/a", None), ("/a", "bytes=100000-"), ("/a", "bytes=200000-")]


def test_another_run_goes_on_where_one_was_stopped(server: Server, tmp_path: Path) -> None:
    def stop(name: str, done: int, total: int) -> None:
        if done > 50_000:
            raise KeyboardInterrupt

    url = server("/a", sends(CONTENT))
    with pytest.raises(KeyboardInterrupt):
        download.download(remote("a.gz", CONTENT, url), tmp_path / "to", stop)
    (rest,) = names_in(tmp_path / "to")
    came = (tmp_path / "to" / rest).stat().st_size
    assert rest == ".a.gz.part"
    assert came > 50_000
    get(tmp_path, url)
    assert_there(tmp_path)
    assert server.asked[1:] == ([] if came == len(CONTENT) else [("/a", f"bytes={came}-")])


def test_another_mirror_goes_on_where_one_gave_up(server: Server, tmp_path: Path) -> None:
    first = server("/first", sends(CONTENT, at_most=70_000), answers(500))
    get(tmp_path, first, server("/second", sends(CONTENT)))
    assert_there(tmp_path)
    assert server.asked == [("/first", None), ("/first", "bytes=70000-"), ("/second", "bytes=70000-")]


def test_a_mirror_that_cuts_again_and_again_is_left(server: Server, tmp_path: Path) -> None:
    first = server("/first", sends(CONTENT, at_most=10))
    get(tmp_path, first, server("/second", sends(CONTENT)))
    assert_there(tmp_path)
    assert [path for path, _ in server.asked] == ["/first"] * download.MOST_CUTS + ["/second"]


def test_a_mirror_that_stalls_is_asked_for_the_rest_and_then_left(server: Server, tmp_path: Path) -> None:
    first = server("/first", stalls(CONTENT, after=100_000), stalls(CONTENT, after=0))
    begin = time.monotonic()
    get(tmp_path, first, server("/second", sends(CONTENT)))
    assert time.monotonic() - begin < 5
    assert_there(tmp_path)
    assert server.asked == [("/first", None), ("/first", "bytes=100000-"), ("/second", "bytes=100000-")]


def test_a_mirror_that_drips_is_left(server: Server, tmp_path: Path) -> None:
    url = server("/a", drips(CONTENT, 0.1))
    assert re.match(r"less than 1 KB a second came, after \d of 300,000 bytes", refusal(tmp_path, url))
    get(tmp_path, url, server("/b", sends(CONTENT)))
    assert_there(tmp_path)
    assert [path for path, _ in server.asked] == ["/a", "/a", "/b"]


def test_what_came_stays_where_a_mirror_without_ranges_is_cut_sooner(server: Server, tmp_path: Path) -> None:
    first = server("/first", sends(CONTENT, at_most=200_000), answers(503))
    second = server("/second", sends(CONTENT, ranges=False, at_most=1000))
    with pytest.raises(UnreachableError):
        get(tmp_path, first, second)
    (rest,) = names_in(tmp_path / "to")
    assert (tmp_path / "to" / rest).read_bytes() == CONTENT[:200_000]


def test_where_ranges_are_ignored_it_begins_anew(server: Server, tmp_path: Path) -> None:
    url = server("/a", sends(CONTENT, at_most=100_000), sends(CONTENT, ranges=False))
    get(tmp_path, url)
    assert_there(tmp_path)
    assert server.asked == [("/a", None), ("/a", "bytes=100000-")]


@pytest.mark.parametrize(
    "wrong", ["bytes 0-299999/300000", "bytes 100001-299999/300000", "pages 3-4", "bytes " + "9" * 9999 + "-1/1", None]
)
def test_another_part_than_was_asked_for_is_not_taken(server: Server, tmp_path: Path, wrong: str | None) -> None:
    other = sends(bytes(len(CONTENT)), Content_Range=wrong)
    url = server("/a", sends(CONTENT, at_most=100_000), other)
    assert refusal(tmp_path, url) == "it sent another part of the file than was asked for"
    assert (tmp_path / "to" / ".a.gz.part").read_bytes() == CONTENT[:100_000]


def test_wrong_bytes_from_an_earlier_run_are_found_out_and_got_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / ".a.gz.part").write_bytes(bytes(100_000))
    get(tmp_path, server("/a", sends(CONTENT)))
    assert_there(tmp_path)
    assert server.asked == [("/a", "bytes=100000-"), ("/a", None)]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX lets everybody make links")
def test_a_link_is_not_written_through(server: Server, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "to" / ".a.gz.part").symlink_to(tmp_path / "mine.txt")
    get(tmp_path, server("/a", sends(CONTENT)))
    assert_there(tmp_path)
    assert not (tmp_path / "to" / "a.gz").is_symlink()
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("there", [CONTENT, bytes(len(CONTENT)), CONTENT + b"more"])
def test_whatever_was_left_the_right_file_comes(server: Server, tmp_path: Path, there: bytes) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / ".a.gz.part").write_bytes(there)
    get(tmp_path, server("/a", sends(CONTENT)))
    assert_there(tmp_path)
    assert server.asked == ([] if there == CONTENT else [("/a", None)])


def test_a_damaged_file_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "a.gz").write_bytes(bytes(len(CONTENT)))
    get(tmp_path, server("/a", sends(CONTENT)))
    assert_there(tmp_path)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (answers(404), "it answered with HTTP status 404"),
        (answers(500), "it answered with HTTP status 500"),
        (answers(204), "it answered with HTTP status 204"),
        (answers(304), "it redirects in a circle, or to something other than http and https"),
        (sends_a_page, "it sent a web page in place of the file"),
        (sends(CONTENT, Content_Type="text/html"), "it sent a web page in place of the file"),
        (sends(CONTENT[:-1] + b"?"), "it sent something whose sum is not the published one"),
        (sends(CONTENT + b"more"), LONGER),
        (sends(CONTENT[:-1]), SHORTER),
        (sends(CONTENT, Content_Length=300_001), LONGER),
        (sends(CONTENT, Content_Length=299_999), SHORTER),
        (sends(CONTENT, Content_Length=10**30), LONGER),
        (sends(b"", Content_Length=300_000), "the connection was cut after 0 of 300,000 bytes"),
        (never_ends, "it sent something whose sum is not the published one"),
        (speaks_something_else, "it does not speak HTTP"),
        (stalls(CONTENT, after=0), "nothing came for 0.3 seconds, after 0 of 300,000 bytes"),
        (lambda handler: handler.server.over.wait(20), "nothing came for 0.3 seconds"),
        (redirects("file:///etc/hostname"), "it redirects in a circle, or to something other than http and https"),
        (redirects("ftp://127.0.0.1/a"), "it redirects in a circle, or to something other than http and https"),
        (redirects("http://[::"), "it does not speak HTTP"),
        (redirects("/a"), "it redirects in a circle, or to something other than http and https"),
    ],
)
def test_what_is_not_the_file_is_refused_and_the_next_mirror_asked(
    server: Server, tmp_path: Path, behaviour: Behaviour, reason: str
) -> None:
    url = server("/a", behaviour)
    assert refusal(tmp_path, url) == reason
    assert not [name for name in names_in(tmp_path / "to") if (tmp_path / "to" / name).stat().st_size]
    get(tmp_path, url, server("/b", sends(CONTENT)))
    assert_there(tmp_path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_with_the_range(server: Server, tmp_path: Path, status: int) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / ".a.gz.part").write_bytes(CONTENT[:1000])
    other = server("/other", sends(CONTENT))
    get(tmp_path, server("/a", answers(status, Location=other)))
    assert_there(tmp_path)
    assert server.asked == [("/a", "bytes=1000-"), ("/other", "bytes=1000-")]


def test_not_more_than_a_few_redirects_are_followed(server: Server, tmp_path: Path) -> None:
    for step in range(20):
        server(f"/{step}", redirects(f"/{step + 1}"))
    assert "redirects" in refusal(tmp_path, server("/0", redirects("/1")))
    assert len(server.asked) == 6


def test_the_body_of_a_redirect_is_not_read(server: Server, tmp_path: Path) -> None:
    def endless(handler) -> None:
        handler.begin(302, Location="/other")
        while not handler.server.over.is_set():
            handler.wfile.write(bytes(2**16))

    server("/other", sends(CONTENT))
    get(tmp_path, server("/a", endless))
    assert_there(tmp_path)


def test_without_a_length_the_known_size_holds(server: Server, tmp_path: Path) -> None:
    get(tmp_path, server("/a", sends(CONTENT, Content_Length=None)))
    assert_there(tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a.gz", "data:,a"])
def test_only_http_is_spoken(tmp_path: Path, url: str) -> None:
    with pytest.raises(UnreachableError) as error:
        get(tmp_path, url)
    assert error.value.reasons[0][1] == "its address is not one of http or https"


def test_nobody_there_and_no_such_name(tmp_path: Path) -> None:
    with serving() as gone:
        url = gone("/a", sends(CONTENT))
    reasons = refusal(tmp_path, url, "http://no-such-host.invalid/a")
    assert reasons.count("no connection (") == 2
    assert "Connection refused" in reasons


def test_where_the_size_is_not_known_the_length_must_be_told_and_bounded(server: Server, tmp_path: Path) -> None:
    silent = server("/silent", sends(CONTENT, Content_Length=None))
    large = server("/large", sends(CONTENT))
    asks = {"size": None, "most": 200_000}
    assert refusal(tmp_path, silent, large, **asks) == (
        "it does not say how long the file is; its file is longer than 200,000 bytes"
    )
    get(tmp_path, server("/cuts", sends(CONTENT, at_most=200_000)), size=None, most=400_000)
    assert_there(tmp_path)
    assert server.asked[-1] == ("/cuts", "bytes=200000-")


def test_where_the_size_is_not_known_a_wrong_rest_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / ".a.gz.part").write_bytes(bytes(len(CONTENT)))
    get(tmp_path, server("/a", sends(CONTENT)), size=None)
    assert_there(tmp_path)
    assert server.asked == [("/a", "bytes=300000-"), ("/a", None)]


def test_a_mirror_with_a_shorter_file_takes_nothing_away(server: Server, tmp_path: Path) -> None:
    first = server("/first", sends(CONTENT, at_most=200_000), sends(b"short"))
    get(tmp_path, first, server("/second", sends(CONTENT)))
    assert_there(tmp_path)
    assert server.asked[-1] == ("/second", "bytes=200000-")


def test_the_md5_that_authors_published_must_be_right_too(server: Server, tmp_path: Path) -> None:
    assert "sum is not the published one" in refusal(tmp_path, server("/a", sends(CONTENT)), md5="0" * 32)
    get(tmp_path, server("/b", sends(CONTENT)), md5=None)
    assert_there(tmp_path)


def test_a_full_disk_is_said_before_anything_comes(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 123_456})())
    with pytest.raises(DataError, match=re.escape("a.gz needs 0.3 MB, and") + r".*has room for 0\.1 MB; make room"):
        get(tmp_path, server("/a", sends(CONTENT)))
    assert server.asked == []


def test_a_folder_that_can_not_be_made_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "to").write_text("a file")
    with pytest.raises(DataError, match=r"a\.gz cannot be written \(.*or name another folder with GLASSNET_DATA\.$"):
        get(tmp_path, server("/a", sends(CONTENT)))


PROGRAM = """
import sys
from pathlib import Path
from glassnet.data.catalogue import RemoteFile
from glassnet.data.download import download
url, sha256, folder = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
print(download(RemoteFile("a.gz", None, sha256, None, (url,)), Path(folder)).stat().st_size)
"""


def test_two_processes_make_one_request(server: Server, tmp_path: Path) -> None:
    url = server("/a", waits(0.5, sends(CONTENT)))
    arguments = [sys.executable, "-c", PROGRAM, url, hashlib.sha256(CONTENT).hexdigest(), str(tmp_path / "to")]
    both = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for one in both:
        assert one.stdout is not None
        assert one.stdin is not None
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("go\n")  # type: ignore[union-attr]
        one.stdin.flush()  # type: ignore[union-attr]
    for one in both:
        assert one.communicate(timeout=20) == ("300000\n", "")
    assert_there(tmp_path)
    assert server.asked == [("/a", None)]


def test_a_process_that_is_killed_leaves_what_came_and_no_lock(server: Server, tmp_path: Path) -> None:
    url = server("/a", stalls(CONTENT, after=200_000), sends(CONTENT))
    arguments = [sys.executable, "-c", PROGRAM, url, hashlib.sha256(CONTENT).hexdigest(), str(tmp_path / "to")]
    partial = tmp_path / "to" / ".a.gz.part"
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        while not (partial.exists() and partial.stat().st_size > 100_000):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    came = partial.stat().st_size
    get(tmp_path, url)
    assert_there(tmp_path)
    assert server.asked == [("/a", None), ("/a", f"bytes={came}-")]


def test_two_threads_make_one_request(server: Server, tmp_path: Path) -> None:
    url = server("/a", waits(0.2, sends(CONTENT)))
    threads = [threading.Thread(target=get, args=(tmp_path, url)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_there(tmp_path)
    assert server.asked == [("/a", None)]


# ------------------------------------------------------------------------------------------ by name


def test_the_catalogue_is_what_was_published() -> None:
    assert NAMES == (
        "mnist", "fashion-mnist", "kmnist", "emnist-balanced", "emnist-byclass", "emnist-bymerge", "emnist-digits",
        "emnist-letters", "emnist-mnist",
    )  # fmt: skip
    for name, published in CATALOGUE.items():
        assert name == published.name
        assert published.page.startswith("https://")
        assert len(set(published.parts)) == 4
        assert bool(published.files) != bool(published.archives)
        for file in (*published.files, *published.archives):
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.md5 is None or re.fullmatch("[0-9a-f]{32}", file.md5)
            assert file.urls
            assert all(re.match("https?://[^/]+/", url) for url in file.urls)
            assert 0 < (file.size or file.most) <= 600_000_000
        assert len({url.split("/")[2] for file in (*published.files, *published.archives) for url in file.urls}) > 1


def test_the_classes_are_those_of_the_published_mappings() -> None:
    balanced = [*range(48, 58), *range(65, 91), 97, 98, 100, 101, 102, 103, 104, 110, 113, 114, 116]
    assert [ord(name) for name in CATALOGUE["emnist-balanced"].class_names] == balanced
    assert CATALOGUE["emnist-bymerge"].class_names == CATALOGUE["emnist-balanced"].class_names
    by_class = [*range(48, 58), *range(65, 91), *range(97, 123)]
    assert [ord(name) for name in CATALOGUE["emnist-byclass"].class_names] == by_class
    assert "".join(CATALOGUE["emnist-letters"].class_names) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert CATALOGUE["fashion-mnist"].class_names[9] == "Ankle boot"
    assert "-".join(CATALOGUE["kmnist"].class_names) == "o-ki-su-tsu-na-ha-ma-ya-re-wo"


@pytest.fixture
def kmnist(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> catalogue.Published:
    monkeypatch.setitem(CATALOGUE, "kmnist", kmnist_at(server, tmp_path / "made"))
    return CATALOGUE["kmnist"]


def test_load_downloads_once(kmnist: catalogue.Published, server: Server, tmp_path: Path) -> None:
    data = load("kmnist", validation=10)
    assert (len(data.train), len(data.validation), len(data.test)) == (60, 10, 30)
    assert data.class_names == kmnist.class_names
    assert data.name == "kmnist"
    np.testing.assert_array_equal(data.test.features, read_idx(tmp_path / "made" / kmnist.parts[2]))
    again = load("kmnist", validation=10)
    np.testing.assert_array_equal(again.train.features, data.train.features)
    assert sorted(path for path, _ in server.asked) == sorted(f"/kmnist/{name}" for name in kmnist.parts)
    assert names_in(tmp_path / "cache" / "data" / "kmnist") == sorted(kmnist.parts)


def test_a_folder_of_that_name_is_named_with_a_path(kmnist, in_tmp: Path, server: Server) -> None:
    four_parts(in_tmp / "kmnist", kmnist.parts, 10)
    assert load("./kmnist").class_names == tuple("0123456789")
    assert server.asked == []
    assert load("kmnist").class_names == kmnist.class_names


def test_the_named_folder_is_looked_into_first_and_written_to(
    kmnist, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_cache = fetch("kmnist")
    assert in_the_cache == tmp_path / "cache" / "data" / "kmnist"
    monkeypatch.setenv("GLASSNET_DATA", str(tmp_path / "mine"))
    assert fetch("kmnist") == in_the_cache
    for path in in_the_cache.iterdir():
        path.unlink()
    assert fetch("kmnist") == tmp_path / "mine" / "kmnist"
    assert len(server.asked) == 8
    assert names_in(tmp_path / "mine" / "kmnist") == sorted(kmnist.parts)


def test_offline_nothing_is_asked_for(kmnist, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSNET_OFFLINE", "1")
    with pytest.raises(MissingFileError) as error:
        load("kmnist")
    assert str(error.value) == (
        "kmnist is not on this machine, and GLASSNET_OFFLINE forbids to download it; unset that, or get "
        "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz "
        f"from https://github.com/rois-codh/kmnist with a browser and put them into {tmp_path}/cache/data/kmnist."
    )
    assert server.asked == []
    monkeypatch.setenv("GLASSNET_OFFLINE", "0")
    load("kmnist")
    monkeypatch.setenv("GLASSNET_OFFLINE", "yes")
    load("kmnist")


def test_files_that_were_put_there_by_hand_are_taken(
    kmnist, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSNET_DATA", str(tmp_path / "mine"))
    monkeypatch.setenv("GLASSNET_OFFLINE", "1")
    (tmp_path / "mine").mkdir()
    (tmp_path / "made").rename(tmp_path / "mine" / "kmnist")
    assert len(load("kmnist").test) == 30
    damaged = tmp_path / "mine" / "kmnist" / kmnist.parts[1]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"does not have the published .*'glassnet data get kmnist' replaces it\.$"):
        load("kmnist")
    monkeypatch.delenv("GLASSNET_OFFLINE")
    assert fetch("kmnist", check=True) == damaged.parent
    assert [path for path, _ in server.asked] == [f"/kmnist/{damaged.name}"]
    assert len(load("kmnist").test) == 30


def test_nobody_to_be_reached_is_one_sentence_with_the_way_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        published = kmnist_at(server, tmp_path / "made", lambda content: answers(503))
        monkeypatch.setitem(CATALOGUE, "kmnist", published)
        host = f"127.0.0.1:{server.server_port}"
        with pytest.raises(MissingFileError) as error:
            load("kmnist")
    assert str(error.value) == (
        f"kmnist is not on this machine and could not be downloaded ({host}: it answered with HTTP status 503); look "
        "at the connection and try again, which goes on where it stopped, or get train-images-idx3-ubyte.gz, "
        "train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz from "
        f"https://github.com/rois-codh/kmnist with a browser and put them into {tmp_path}/cache/data/kmnist."
    )


def test_with_no_folder_nothing_is_downloaded(kmnist, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSNET_CACHE", "")
    with pytest.raises(MissingFileError, match=r"since GLASSNET_CACHE is empty; name one with GLASSNET_DATA\.$"):
        load("kmnist")
    assert server.asked == []


def test_names_that_are_not_known() -> None:
    with pytest.raises(ConfigError, match=r"no folder has that name; give fashion-mnist if that is meant, or 'mnist',"):
        load("fashion")
    with pytest.raises(ConfigError, match=r"give emnist-balanced, .*, emnist-mnist if that is meant, or 'mnist',"):
        load("EMNIST")
    with pytest.raises(ConfigError, match=r"give fashion-mnist if that is meant"):
        load("Fashion_MNIST")
    with pytest.raises(ConfigError, match=r"give 'mnist', .* \('glassnet data list' shows other names\)\.$"):
        load("imagenet")
    with pytest.raises(ConfigError, match=r"there is no data set 'mnist' to download; .* \(mnist comes along\)\.$"):
        fetch("mnist")


# ------------------------------------------------------------------------------------------ EMNIST


@pytest.fixture
def letters(tmp_path: Path) -> dict[str, bytes]:
    return four_parts(tmp_path / "made", CATALOGUE["emnist-letters"].parts, 26, first_label=1)


def test_letters_are_turned_upright_and_counted_from_0(
    letters: dict[str, bytes], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [("gzip/emnist-digits-train-images-idx3-ubyte.gz", b"not wanted"), ("../../evil", b"evil"), ("/evil", b"")]
    packed = zipped(letters, *others)
    url = server("/gzip.zip", sends(packed, at_most=len(packed) // 2 + 1))
    monkeypatch.setitem(CATALOGUE, "emnist-letters", letters_of(remote("gzip.zip", packed, url)))
    for _ in range(2):
        data = load("emnist-letters", validation=0)
        raw = read_idx(tmp_path / "made" / CATALOGUE["emnist-letters"].parts[0])
        assert data.train.features.flags.c_contiguous
        assert (data.train.features[5, 3, 9], data.classes) == (raw[5, 9, 3], 26)
        np.testing.assert_array_equal(data.train.features, np.stack([picture.T for picture in raw]))
        assert data.train.targets[:28].tolist() == [*range(26), 0, 1]
        assert data.class_names[data.train.targets[25]] == "Z"
    data_folder = tmp_path / "cache" / "data"
    assert names_in(data_folder) == ["emnist", "emnist-letters"]
    assert names_in(data_folder / "emnist-letters") == ["SHA256SUMS", *sorted(letters)]
    assert names_in(data_folder / "emnist") == ["gzip.zip"]
    assert server.asked == [("/gzip.zip", None), ("/gzip.zip", f"bytes={len(packed) // 2 + 1}-")]


def test_a_part_is_unpacked_again_from_the_archive_that_is_there(
    letters: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = zipped(letters)
    monkeypatch.setitem(CATALOGUE, "emnist-letters", letters_of(remote("gzip.zip", packed)))
    monkeypatch.setenv("GLASSNET_OFFLINE", "1")
    monkeypatch.setenv("GLASSNET_DATA", str(tmp_path / "mine"))
    (tmp_path / "mine" / "emnist").mkdir(parents=True)
    (tmp_path / "mine" / "emnist" / "gzip.zip").write_bytes(packed)  # by hand
    folder = fetch("emnist-letters")
    name = CATALOGUE["emnist-letters"].parts[1]
    (folder / name).write_bytes((folder / name).read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"SHA256SUMS|damaged"):
        load("emnist-letters")
    fetch("emnist-letters", check=True)
    assert (folder / name).read_bytes() == letters[name]
    assert fetch("emnist-letters", check=True) == folder


def test_another_archive_will_do(
    letters: dict[str, bytes], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = zipped({}, *letters.items())
    first = remote("gzip.zip", b"other", server("/gzip.zip", sends_a_page))
    second = remote("emnist-gzip.zip", flat, server("/emnist-gzip.zip", sends(flat)), size=None, most=10**6)
    monkeypatch.setitem(CATALOGUE, "emnist-letters", letters_of(first, second))
    assert len(load("emnist-letters").test) == 30
    assert names_in(tmp_path / "cache" / "data" / "emnist") == ["emnist-gzip.zip"]
    monkeypatch.setitem(CATALOGUE, "emnist-letters", letters_of(first))
    assert fetch("emnist-letters").name == "emnist-letters"


@pytest.mark.parametrize("damage", ["twice", "missing", "large", "not a zip", "crc"])
def test_an_archive_with_something_else_is_refused(
    letters: dict[str, bytes], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    name = CATALOGUE["emnist-letters"].parts[3]
    if damage == "large":
        monkeypatch.setattr(named, "MOST_PACKED", 10)
    packed = {
        "twice": zipped(letters, (f"other/{name}", b"")),
        "missing": zipped({key: value for key, value in letters.items() if key != name}),
        "large": zipped(letters),
        "not a zip": CONTENT,
        "crc": zipped(letters),
    }[damage]
    if damage == "crc":
        half = len(packed) // 2
        packed = packed[:half] + bytes([packed[half] ^ 1]) + packed[half + 1 :]
    file = remote("gzip.zip", packed, server("/gzip.zip", sends(packed)))
    monkeypatch.setitem(CATALOGUE, "emnist-letters", letters_of(file))
    with pytest.raises(DataError, match=r"remove it and get it again\.$"):
        load("emnist-letters")
    assert "SHA256SUMS" not in names_in(tmp_path / "cache" / "data" / "emnist-letters")
    assert not [path for path in (tmp_path / "cache" / "data" / "emnist-letters").glob(".*") if path.suffix == ".gz"]


def test_what_unpacks_to_more_than_its_images_is_refused(
    letters: dict[str, bytes], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = zipped(letters)
    small = letters_of(remote("gzip.zip", packed, server("/gzip.zip", sends(packed))))
    monkeypatch.setitem(CATALOGUE, "emnist-letters", replace(small, samples=(60, 10)))
    with pytest.raises(DataError, match=r"declares shape \(70, 28, 28\) .* more than the limit of 47040"):
        load("emnist-letters")
