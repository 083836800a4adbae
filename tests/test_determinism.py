"""What is the same bit for bit and what only up to rounding; what is left alone; and several runs at once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from glassnet import (
    Adam,
    Checkpoints,
    CSVHistory,
    DataSet,
    Dense,
    Doctor,
    Dropout,
    EarlyStopping,
    Flatten,
    Network,
    ReduceOnPlateau,
    ReLU,
    Softmax,
    StopOnInterrupt,
    blas,
    fit,
    load,
    save_model,
)
from glassnet.listeners import hold_interrupts
from glassnet.training import Event, Listener, Training

pytestmark = pytest.mark.no_cover

ROUNDING = 2e-3
"""How far apart parameters may be after 40 steps of other sums, as a share of the largest; 1e-4 was seen."""


def data() -> DataSet:
    """MNIST, of which little trains."""
    return load("mnist", validation=58_000)


def train(seed: int = 0, *listeners: Listener, dropout: bool = True, **values: Any) -> np.ndarray:
    """Return the parameters after 40 steps."""
    layers = [Flatten(), Dense(20), ReLU(), *([Dropout(0.2)] if dropout else []), Dense(10), Softmax()]
    network = Network(layers, (28, 28), seed=seed)
    fit(network, data(), Adam(0.01), batch_size=100, epochs=2, seed=seed, listeners=listeners, **values)
    return network.theta


def differ(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max() / np.abs(one).max())


# The same bits.


def test_twice_the_same() -> None:
    assert np.array_equal(train(), train())


def test_another_seed_is_another_run() -> None:
    assert differ(train(0), train(1)) > 0.01


@pytest.mark.parametrize("workers", [1, 2])
def test_whoever_looks_on(workers: int, tmp_path: Path) -> None:
    class Publish(Listener):
        def notify(self, event: Event, run: Training) -> None:
            run.steps_per_event = 1
            run.publish()

    listeners = [
        Doctor(),
        Checkpoints(tmp_path, "3steps"),
        CSVHistory(tmp_path / "history.csv"),
        EarlyStopping(patience=50),
        ReduceOnPlateau(patience=50),
        StopOnInterrupt(),
        Publish(),
    ]
    assert np.array_equal(train(0, *listeners, workers=workers), train(workers=workers))


def test_with_validation_and_without() -> None:
    assert np.array_equal(train(validate=False), train())


ANOTHER = "import sys; sys.path.insert(0, {folder!r}); from test_determinism import train; train().tofile(sys.argv[1])"


def in_another(path: Path, **environment: str) -> np.ndarray:
    """Return what another process trains."""
    code = ANOTHER.format(folder=str(Path(__file__).parent))
    kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=kept | environment)
    return np.fromfile(path, np.float32)


def test_in_another_process_and_with_other_hashes(tmp_path: Path) -> None:
    own = in_another(tmp_path / "own", PYTHONHASHSEED="1")
    assert np.array_equal(in_another(tmp_path / "other", PYTHONHASHSEED="2"), own)


# The same up to rounding.


def test_other_numbers_of_workers_agree_up_to_rounding() -> None:
    one, two = train(workers=1), train(workers=2)
    assert 0 < differ(one, two) < ROUNDING


def test_other_numbers_of_threads_agree_up_to_rounding() -> None:
    assert differ(train(threads=1, dropout=False), train(threads=2, dropout=False)) < ROUNDING


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="names kernels of x86")
def test_other_kernels_agree_up_to_rounding(tmp_path: Path) -> None:
    nehalem = in_another(tmp_path / "nehalem", OPENBLAS_CORETYPE="Nehalem")
    haswell = in_another(tmp_path / "haswell", OPENBLAS_CORETYPE="Haswell")
    assert differ(nehalem, haswell) < ROUNDING


# What is left alone.


def test_no_global_random_state_is_used_or_changed() -> None:
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    python, numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
    first = train()
    assert random.getstate() == python
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert np.array_equal(after["state"]["key"], numpy["state"]["key"])
    assert after["state"]["pos"] == numpy["state"]["pos"]
    random.seed(4)
    np.random.seed(4)  # noqa: NPY002
    assert np.array_equal(train(), first)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_callers_settings_stay(workers: int, tmp_path: Path) -> None:
    def settings() -> list[Any]:
        return [
            np.geterr(),
            np.get_printoptions(),
            [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()],
            list(warnings.filters),
            [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
            Path.cwd(),
            threading.active_count(),
            sorted(set(os.environ) - {"PYTEST_CURRENT_TEST"}),
        ]

    train()  # what is loaded once
    with np.errstate(all="raise"):
        before = settings()
        train(0, StopOnInterrupt(), Doctor(), Checkpoints(tmp_path, "1e"), workers=workers)
        with hold_interrupts():
            pass
        assert settings() == before


def test_handlers_of_the_caller_come_back_after_an_error() -> None:
    class Fail(Listener):
        def notify(self, event: Event, run: Training) -> None:
            if run.step:
                raise ZeroDivisionError

    def handler(*args: object) -> None:
        """Do nothing."""

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(ZeroDivisionError):
            train(0, StopOnInterrupt(), Fail())
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_drawing_leaves_matplotlibs_settings_alone(tmp_path: Path) -> None:
    import matplotlib

    from glassnet import plots

    network = Network([Flatten(), Dense(10), Softmax()], (28, 28))
    history = fit(network, data(), epochs=1).history
    before = dict(matplotlib.rcParams)
    figure = plots.learning_curve(history, "a title")
    plots.save(figure, tmp_path / "curve.png")
    assert dict(matplotlib.rcParams) == before


# Several at once.


def predict(seed: int) -> np.ndarray:
    """Train and predict."""
    layers = [Flatten(), Dense(20), ReLU(), Dense(10), Softmax()]
    network = Network(layers, (28, 28), seed=seed)
    model = fit(network, data(), Adam(0.01), batch_size=100, max_steps=10, epochs=1).model
    return model.predict_proba(data().test.features[:500])


def test_threads_give_what_each_gives_alone() -> None:
    def both(seed: int) -> tuple[np.ndarray, np.ndarray]:
        return train(seed), predict(seed)

    alone = [both(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(both, [*range(4), *range(4)]))
    for number, (theta, shares) in enumerate(together):
        assert np.array_equal(theta, alone[number % 4][0])
        assert np.array_equal(shares, alone[number % 4][1])


SEVERAL = """
import sys
sys.path.insert(0, {folder!r})
from concurrent.futures import ThreadPoolExecutor
from threadpoolctl import threadpool_limits
import numpy as np
import test_determinism
from glassnet.blas import threads_now
with threadpool_limits(2, user_api="blas"):
    alone = [test_determinism.train(seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        for theta, wanted in zip(pool.map(test_determinism.train, [0, 1, 2] * 3), alone * 3, strict=True):
            assert np.array_equal(theta, wanted)
    print(threads_now())
"""


def test_threads_of_blas_come_back_after_runs_that_overlap() -> None:
    code = SEVERAL.format(folder=str(Path(__file__).parent))
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout == "2\n"


def test_a_block_may_end_where_garbage_is_collected_while_another_one_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def within() -> None:
        before = blas.threads_now()
        forgotten = blas.threads_at_most(1)
        forgotten.__enter__()
        libraries, one = blas._libraries, [forgotten]

        def collected() -> list[Any]:
            if one:
                one.pop().__exit__(None, None, None)
            return libraries()

        monkeypatch.setattr(blas, "_libraries", collected)
        with blas.threads_at_most(2):
            found.append(blas.threads_now() or 2)
        found.append(blas.threads_now() == before)

    found: list[int] = []
    thread = threading.Thread(target=within, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert found[1:] == [True]
    assert found[0] <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    with blas._lock:  # as another thread would, at that moment
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            with blas.threads_at_most(1):
                os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_one_model_predicts_in_many_threads_at_once() -> None:
    network = Network([Flatten(), Dense(20), ReLU(), Dropout(0.5), Dense(10), Softmax()], (28, 28))
    model = fit(network, data(), Adam(0.01), max_steps=10).model
    parts = [data().test.features[start : start + 300] for start in range(0, 3000, 300)]
    alone = [model.predict_proba(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        for part, wanted in zip(pool.map(model.predict_proba, parts * 5), alone * 5, strict=True):
            assert np.array_equal(part, wanted)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_give_what_each_gives_alone(method: str) -> None:
    alone = [train(seed) for seed in range(2)]
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        for theta, wanted in zip(pool.map(train, range(2)), alone, strict=True):
            assert np.array_equal(theta, wanted)


def test_two_trainings_with_workers_in_turn_and_one_within_another(tmp_path: Path) -> None:
    inner: list[np.ndarray] = []

    class Within(Listener):
        def notify(self, event: Event, run: Training) -> None:
            if run.step == 20 and not inner:
                inner.append(train(1))
                save_model(run.model, tmp_path / "model.safetensors")

    outer = train(0, Within())
    assert np.array_equal(outer, train(0))
    assert np.array_equal(inner[0], train(1))
