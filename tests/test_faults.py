"""Files survive whatever happens while they are written: a full disk, lost permissions, a power cut at any call."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import blobs

from glassnet import (
    Adam,
    Checkpoints,
    Dense,
    Model,
    Network,
    OutputExistsError,
    Preprocessing,
    Softmax,
    SoftmaxCrossEntropy,
    files,
    fit,
    from_arrays,
    last_checkpoint,
    load_model,
    save_model,
)
from glassnet.files import only_writer, write_bytes, write_text
from glassnet.history import read_history
from glassnet.listeners import CSVHistory

FLUSH, REPLACE = files.sync, os.replace
OLD, NEW = b"old " * 300, b"new! " * 400


class PowerCutError(BaseException):
    """Nothing that comes after happens."""


class Disk:
    """A folder's disk, of which the power may be cut: it forgets what was not flushed.

    What a file holds counts from the flush of the file, and what a name stands for from the flush of the folder. Until
    then either may be lost or kept, so `after` gives all that may be there when the power comes back.

    Parameters
    ----------
    folder : what it holds
    cut_at : the call at which the power goes, counted from 1
    error : what that call raises; a power cut, or something that a program may live with
    """

    def __init__(self, folder: Path, cut_at: float, error: BaseException) -> None:
        self.folder, self.cut_at, self.error, self.calls = folder, cut_at, error, 0
        self.files = {path.stat().st_ino: path.read_bytes() for path in folder.iterdir()}
        self.names = {path.name: path.stat().st_ino for path in folder.iterdir()}
        self.renames: list[dict[str, int]] = []

    def call(self) -> None:
        self.calls += 1
        if self.calls == self.cut_at:
            raise self.error

    def flush(self, path: Path, how: int) -> None:
        self.call()
        FLUSH(path, how)
        if path == self.folder:
            self.names = self.now()
            self.renames = []
        else:
            self.files[path.stat().st_ino] = path.read_bytes()

    def rename(self, one: Any, other: Any) -> None:
        self.call()
        REPLACE(one, other)
        self.renames.append(self.now())

    def now(self) -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in self.folder.iterdir()}

    def after(self) -> Iterator[dict[str, bytes]]:
        """Give each state that the folder may be in: names as flushed or as after any later rename."""
        for names in [self.names, *self.renames, self.now()]:
            for lost in (b"", NEW[:7], b"\0" * len(NEW)):
                yield {name: self.files.get(inode, lost) for name, inode in names.items()}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Disk]:
    def make(folder: Path, cut_at: float, error: BaseException) -> Disk:
        made = Disk(folder, cut_at, error)
        monkeypatch.setattr(files, "sync", made.flush)
        monkeypatch.setattr(Path, "replace", lambda one, other: made.rename(one, other))
        return made

    return make


def model() -> Model:
    return Model(Network([Dense(3), Softmax()], 2, seed=1), Preprocessing(), None, SoftmaxCrossEntropy())


WRITERS: dict[str, Callable[[Path], None]] = {
    "bytes": lambda path: write_bytes(path, NEW),
    "text": lambda path: write_text(path, NEW.decode()),
    "model": lambda path: save_model(model(), path),
}


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_power_cut_at_any_call_leaves_the_old_or_the_new_whole(
    writer: str, before: bool, tmp_path: Path, disk: Callable[..., Disk]
) -> None:
    WRITERS[writer](tmp_path / "new")
    new, calls = (tmp_path / "new").read_bytes(), 0
    for cut_at in [*range(1, 10), float("inf")]:
        folder = tmp_path / str(cut_at)
        folder.mkdir()
        if before:
            (folder / "file").write_bytes(OLD)
        made = disk(folder, cut_at, PowerCutError())
        with suppress(PowerCutError):
            WRITERS[writer](folder / "file")
        for state in made.after():
            assert state.get("file") in (new, OLD if before else None)
            if made.calls < cut_at:
                assert state["file"] == new  # nothing is forgotten of what was said to be written
        calls = max(calls, made.calls)
    assert calls >= 3  # a flush of the file, a rename, a flush of the folder


def test_the_double_notices_a_writer_that_does_not_flush(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(OLD)
    made = disk(folder, float("inf"), PowerCutError())
    (folder / "other").write_bytes(NEW)
    os.replace(folder / "other", folder / "file")  # noqa: PTH105
    assert any(state["file"] not in (OLD, NEW) for state in made.after())


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EROFS, "Read-only")])
@pytest.mark.parametrize("writer", WRITERS)
def test_an_error_at_any_call_leaves_the_old_or_the_new_whole_and_nothing_else(
    writer: str, error: OSError, tmp_path: Path, disk: Callable[..., Disk]
) -> None:
    for fail_at in range(1, 4):
        folder = tmp_path / str(fail_at)
        folder.mkdir()
        (folder / "file").write_bytes(OLD)
        disk(folder, fail_at, error)
        with pytest.raises(OSError, match=str(error.strerror)):
            WRITERS[writer](folder / "file")
        content = (folder / "file").read_bytes()
        assert (content == OLD) == (fail_at < 3)
        assert [path.name for path in folder.iterdir()] == ["file"]


def test_checkpoints_survive_a_power_cut_at_any_call(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    samples = from_arrays(*blobs(60), validation=20)

    def train(folder: Path, resume: Path | None = None) -> Any:
        network = Network([Dense(3), Softmax()], 2, seed=1)
        listener = Checkpoints(folder, "2steps", keep=2, say=lambda sentence: None)
        fit(network, samples, Adam(), batch_size=10, epochs=2, listeners=[listener], resume=resume)
        return network.theta

    whole = train(tmp_path / "whole")
    for fail_at in range(1, 13):
        folder = tmp_path / str(fail_at)
        folder.mkdir()
        made = disk(folder, fail_at, OSError(errno.EIO, "Input/output error"))
        train(folder)
        made.cut_at = float("inf")
        for number, state in enumerate(made.after()):
            there = tmp_path / f"{fail_at}-{number}"
            there.mkdir()
            for name, content in state.items():
                (there / name).write_bytes(content)
            names = sorted(name for name in state if name.startswith("step-"))
            if names:
                assert last_checkpoint(there)["state"]["place"][2] == int(names[-1][5:13])
                assert np.array_equal(train(there, there), whole)
            shutil.rmtree(there)


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk that is full."""
    path = tmp_path / "model.safetensors"
    save_model(model(), path)
    before = path.read_bytes()
    program = f"""
import resource, signal, sys
from glassnet import Dense, Model, Network, Preprocessing, Softmax, SoftmaxCrossEntropy, save_model
model = Model(Network([Dense(300), Softmax()], 200), Preprocessing(), None, SoftmaxCrossEntropy())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    save_model(model, {str(path)!r})
except OSError as error:
    sys.exit(7)
"""
    assert resource.RLIMIT_FSIZE is not None
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 7
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    load_model(path)


def test_a_folder_that_vanished_is_said_and_the_run_goes_on(tmp_path: Path) -> None:
    from glassnet.training import EpochEnd, Event, Listener, Training

    folder, said = tmp_path / "folder", []

    class Remove(Listener):
        def notify(self, event: Event, run: Training) -> None:
            if isinstance(event, EpochEnd) and run.epoch == 2:
                folder.rename(tmp_path / "elsewhere")  # one step, whatever is being written there

    samples = from_arrays(*blobs(60), validation=20)
    listeners = [Remove(), Checkpoints(folder, "1e", say=said.append)]
    result = fit(Network([Dense(3), Softmax()], 2), samples, batch_size=10, epochs=4, listeners=listeners)
    assert result.epochs == 4
    assert said
    assert all(re.search("could not be written.*(No such file|no such folder)", sentence) for sentence in said)


def test_a_history_that_can_not_be_written_keeps_the_one_before(tmp_path: Path, disk: Callable[..., Disk]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    samples = from_arrays(*blobs(60), validation=20)

    def train() -> None:
        network = Network([Dense(3), Softmax()], 2)
        fit(network, samples, batch_size=10, epochs=2, listeners=[CSVHistory(folder / "history.csv")])

    train()
    before = read_history(folder / "history.csv")
    disk(folder, 1, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space"):
        train()
    assert read_history(folder / "history.csv") == before


def test_a_folder_has_one_writer_at_a_time(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from glassnet.files import only_writer\n"
        "with only_writer(pathlib.Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with (
            pytest.raises(OutputExistsError, match=r"another process is writing to .*: wait for it"),
            only_writer(tmp_path),
        ):
            pass
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.stdout.close()
    with only_writer(tmp_path):  # who is killed lets go
        pass


# The program.


def begin(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Begin a long run, and return when it has written a checkpoint."""
    command = [sys.executable, "-m", "glassnet", "train", "--hidden", "16", "--epochs", "500", "--out", "run"]
    command += ["--checkpoint-every", "50steps", *options]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not list(folder.glob("run/checkpoints/step-*")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    return process


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_run_with_all_that_it_learnt(number: int, status: int, word: str, tmp_path: Path) -> None:
    process = begin(tmp_path)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert f"{word} after" in said
    assert "'glassnet train --resume run' goes on" in said
    load_model(tmp_path / "run" / "model.safetensors")
    assert last_checkpoint(tmp_path / "run" / "checkpoints")["state"]["place"][2] > 0


@pytest.mark.no_cover
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once_and_keeps_the_checkpoints(number: int, tmp_path: Path) -> None:
    process = begin(tmp_path)
    process.send_signal(number)
    end = time.monotonic() + 60
    while process.poll() is None:
        time.sleep(0.01)
        process.send_signal(number)
        assert time.monotonic() < end
    process.communicate()
    assert process.returncode in (130, -number, 143)
    assert last_checkpoint(tmp_path / "run" / "checkpoints")["state"]["place"][2] > 0


@pytest.mark.no_cover
def test_two_programs_that_write_to_one_folder_notice_each_other(tmp_path: Path) -> None:
    process = begin(tmp_path)
    try:
        second = subprocess.run(
            [sys.executable, "-m", "glassnet", "train", "--resume", "run"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 2
        assert "another process is writing to run" in second.stderr
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
