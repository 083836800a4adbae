"""What several test files share: a place to write, and small data sets that a network can learn."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: on a busy machine two threads wait for each other
os.environ["COLUMNS"] = "80"  # however wide the terminal is

os.environ["GLASSNET_CACHE"] = tempfile.mkdtemp(prefix="glassnet-")  # shared by all tests and what they start

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

from glassnet import DataSet, files, from_arrays, write_idx
from glassnet.cli import main

atexit.register(shutil.rmtree, os.environ["GLASSNET_CACHE"], ignore_errors=True)

Glassnet: TypeAlias = Callable[..., tuple[int, str, str]]

hypothesis.settings.register_profile("busy machines", deadline=None)
hypothesis.settings.load_profile("busy machines")

collect_ignore = ["data"]  # the scripts that made the stored numbers need what the tests do not


def blobs(n: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points around three corners of the plane, and which corner."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    corners = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    return corners[labels] + rng.normal(0.0, 0.5, (n, 2)), labels


def pictures(n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Noisy pictures of 6 x 5 pixels, each class with one bright pixel of its own, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n).astype(np.uint8)
    images = rng.integers(0, 100, (n, 6, 5)).astype(np.uint8)
    images[np.arange(n), labels % 6, labels // 2] = 255
    return images, labels


def write_idx_folder(folder: Path, train: int = 300, test: int = 60) -> Path:
    """Write such pictures as the four files of a data set."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, n, seed in (("train", train, 1), ("t10k", test, 2)):
        images, labels = pictures(n, seed)
        write_idx(folder / f"{name}-images-idx3-ubyte", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files be written without a flush to the disk, which takes 5 ms each; tests/test_faults.py looks at those."""
    monkeypatch.setattr(files, "sync", lambda path, how: None)


@pytest.fixture(autouse=True)
def _uncovered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the programs, too, that a test starts which is left out where coverage is measured."""
    if request.node.get_closest_marker("no_cover"):
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def glassnet(capsys: pytest.CaptureFixture[str]) -> Glassnet:
    """Call the program, and return its exit status and what it printed."""

    def call(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, out, err

    return call


@pytest.fixture
def corners() -> DataSet:
    """120 points in three classes, 100 to train and 20 to validate."""
    return from_arrays(*blobs(120), validation=20, name="corners")


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of IDX files with 300 training and 60 test samples, to be read only."""
    return write_idx_folder(tmp_path_factory.mktemp("data") / "small")
