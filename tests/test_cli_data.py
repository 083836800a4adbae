"""``glassnet data get`` and ``list``: what they do is seen, and what they can not do is said in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Glassnet
from download_server import Server, answers, kmnist_at, letters_of, remote, serving

from glassnet.cli.downloads import Bars
from glassnet.data.catalogue import CATALOGUE


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, no proxy, and a small KMNIST."""
    monkeypatch.setenv("GLASSNET_CACHE", str(tmp_path / "cache"))
    for name in ("GLASSNET_DATA", "GLASSNET_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(CATALOGUE, "kmnist", kmnist_at(server, tmp_path / "made"))


def test_get_downloads_and_says_where(glassnet: Glassnet, server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "data" / "kmnist"
    said = f"kmnist is in {folder}, with the published sums; use it with --data kmnist\n"
    assert glassnet("data", "get", "kmnist") == (0, said, "")
    assert glassnet("data", "get", "kmnist") == (0, said, "")
    assert glassnet("data", "get", "kmnist", "--quiet") == (0, "", "")
    assert len(server.asked) == 4


def test_get_replaces_what_is_damaged(glassnet: Glassnet, server: Server, tmp_path: Path) -> None:
    assert glassnet("data", "get", "kmnist", "--quiet")[0] == 0
    damaged = tmp_path / "cache" / "data" / "kmnist" / CATALOGUE["kmnist"].parts[0]
    whole = damaged.read_bytes()
    damaged.write_bytes(bytes(len(whole)))
    assert glassnet("data", "get", "kmnist", "--quiet")[0] == 0
    assert damaged.read_bytes() == whole
    assert len(server.asked) == 5


def test_get_of_what_can_not_be_had(glassnet: Glassnet, server: Server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(CATALOGUE, "kmnist", kmnist_at(server, tmp_path / "made", lambda content: answers(404)))
    status, out, err = glassnet("data", "get", "kmnist")
    assert (status, out) == (1, "")
    assert err.startswith("glassnet: kmnist is not on this machine and could not be downloaded (127.0.0.1:")
    assert err.endswith(f"with a browser and put them into {tmp_path}/cache/data/kmnist.\n")
    status, out, err = glassnet("data", "get", "imagenet")
    assert (status, out) == (2, "")
    assert err.startswith("glassnet: there is no data set 'imagenet' to download; choose from fashion-mnist, kmnist,")
    status, _, err = glassnet("data", "get")
    assert (status, err.count("\n")) == (2, 1)


def test_an_interrupted_get_says_that_it_goes_on(glassnet: Glassnet, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bars, "__call__", interrupt)
    status, _, err = glassnet("data", "get", "kmnist")
    assert status == 130
    assert err == "interrupted; what has come is kept, and the same command goes on with the rest.\n"


def test_list_says_what_is_there(glassnet: Glassnet, tmp_path: Path) -> None:
    status, out, err = glassnet("data", "list")
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines()[:10]}
    assert rows["mnist"] == ["mnist", "70,000", "10", "-", "comes", "along"]
    assert rows["fashion-mnist"] == ["fashion-mnist", "70,000", "10", "30.9", "MB", "-"]
    assert rows["emnist-letters"] == ["emnist-letters", "145,600", "26", "561.8", "MB", "-"]
    assert out.splitlines()[-1] == f"downloads go to {tmp_path / 'cache' / 'data'}"
    assert {len(line.rpartition("  ")[0]) for line in out.splitlines()[1:6] if line.endswith("-")} == {44}
    glassnet("data", "get", "kmnist")
    out = glassnet("data", "list")[1]
    assert f"  {tmp_path / 'cache' / 'data' / 'kmnist'}\n" in out


def test_list_knows_what_can_be_unpacked(glassnet: Glassnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOGUE, "emnist-letters", letters_of(remote("gzip.zip", b"an archive")))
    monkeypatch.setenv("GLASSNET_DATA", str(tmp_path / "mine"))
    folder = tmp_path / "mine" / "emnist"
    folder.mkdir(parents=True)
    (folder / "gzip.zip").write_bytes(b"an archive")
    out = glassnet("data", "list")[1]
    assert f"0.0 MB  in {folder / 'gzip.zip'}\n" in out
    assert out.endswith(f"downloads go to {tmp_path / 'mine'}\n")


def test_list_as_json_and_of_a_part(glassnet: Glassnet, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "data" / "fashion-mnist"
    folder.mkdir(parents=True)
    (folder / ".train-images-idx3-ubyte.gz.part").write_bytes(bytes(1_500_000))
    assert "30.9 MB  1.5 MB came so far\n" in glassnet("data", "list")[1]
    facts = [json.loads(line) for line in glassnet("data", "list", "--json")[1].splitlines()]
    assert facts[0] == {
        "name": "fashion-mnist", "images": 70000, "classes": 10, "folder": None, "bytes": 1_500_000,
        "download_bytes": 30_878_645, "page": "https://github.com/zalandoresearch/fashion-mnist",
    }  # fmt: skip
    assert len(facts) == len(CATALOGUE)


def test_info_and_training_know_the_names(glassnet: Glassnet, server: Server, in_tmp: Path) -> None:
    out = glassnet("data", "info", "--data", "kmnist", "--validation", "10")[1]
    assert out.startswith("kmnist: samples of 28 x 28 uint8, 10 classes, scaled by")
    assert "class tsu" in out
    assert len(server.asked) == 4


def test_a_terminal_sees_a_bar_for_each_file(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    class Loud:
        shows_progress = True

    bars = Bars(Loud())  # type: ignore[arg-type]
    for done in (500_000, 750_000, 1_000_000):
        bars("a.gz", done, 1_000_000)
    bars("b.gz", 3, 3)
    bars.close()
    err = capsys.readouterr().err
    assert "a.gz: 100%" in err
    assert "1.00M/1.00M" in err
    assert "b.gz: 100%" in err


@pytest.mark.parametrize("command", ["get", "list"])
def test_the_help_has_examples(glassnet: Glassnet, command: str) -> None:
    out = glassnet("data", command, "--help")[1]
    assert f"\n  Examples:\n    glassnet data {command}" in out


def test_the_names_are_completed(server: Server) -> None:
    from glassnet.cli.data import Name

    found = Name().shell_complete(None, None, "emnist-b")  # type: ignore[arg-type]
    assert [item.value for item in found] == ["emnist-balanced", "emnist-byclass", "emnist-bymerge"]
