"""The benchmarks: what they compute from their measurements, and tiny runs of them. No test looks at a time."""

import doctest
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import glassnet as gn
from glassnet import optim

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import optimizers  # noqa: E402
import peers_page  # noqa: E402
import processes  # noqa: E402
import runners.common  # noqa: E402
import runners.sgemm  # noqa: E402
import start  # noqa: E402
import steps  # noqa: E402
from runners import glass, sgemm, textbook  # noqa: E402
from runners.common import BETA1, BETA2, CELLS, EPSILON, LEARNING_RATES, MOMENTUM, OPTIMIZERS, RHO, Cell  # noqa: E402

sys.path.remove(str(BENCHMARKS))


def row(**columns):
    return {"us": columns, "chosen": {}, "none": {}, "failed": {}}


def results(**changes):
    made = {
        "rounds": 3,
        "samples": 60000,
        "missing": {"jax": "jax is not installed"},
        "versions": {"glassnet": {"glassnet": "1.0"}},
        "square": {"1": 100.0},
        "others": 0.0,
        "idle": {"torch": 0.01},
        "machine": {
            "processor": "one", "cores": 2, "system": "some", "python": "3", "blas": ["fast"], "cleared": [],
            "variables": {},
        },
        "cells": {
            "100-100/100/sgd": row(glassnet=[100.0, 200.0, 50.0], torch=[300.0, 200.0, 100.0], sgemm=[50.0, 150, 10])
            | {"chosen": {"sgemm": {"columns": 500, "flops": 1e6}}},
            "100-100/100/adagrad": row(glassnet=[100.0], torch=[150.0]) | {"none": {"sklearn": "has no adagrad"}},
        },
    }  # fmt: skip
    return made | changes


@pytest.mark.parametrize("module", [peers_page, processes, runners.common, runners.sgemm, steps])
def test_examples_in_the_docstrings(module):
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_a_ratio_is_taken_within_a_round_and_then_the_median():
    cell = results()["cells"]["100-100/100/sgd"]
    assert peers_page.ratios(cell, "torch") == [3.0, 1.0, 2.0]
    assert peers_page.spread_of([3.0, 1.0, 2.0]) == (1.5, 2.0, 2.5)  # quartiles by linear interpolation
    assert peers_page.spread_of([7.0]) == (7.0, 7.0, 7.0)
    assert peers_page.ratios(row(glassnet=[10.0, 10.0], jax=[None, 5.0]), "jax") == [0.5]  # a turn that failed


def test_the_least_ratio_decides_whether_a_floor_is_met():
    lines = peers_page.floors(results()["cells"], {"jax": "jax is not installed"})
    found = {(batch, side, peer): rest for batch, side, peer, *rest in lines}
    asked, reached, verdict = found["100 samples a step", "glassnet", "PyTorch eager"]
    assert (asked, reached) == ("1.9", "sgd 2.0, adagrad 1.50")
    assert verdict == "**missed by 21 %**"  # 1.5 / 1.9 = 0.789
    assert found["100 samples a step", "glassnet", "JAX"][2] == "not measured: JAX missing"
    assert len(lines) == 4 + 4 * 3 + 3


def test_large_networks_are_held_against_their_fastest_peer_and_the_ceiling():
    rows = {
        "512-512/128/sgd": row(glassnet=[10.0], torch=[12.0], jax=[9.0]),
        "512-512/128/adam": row(glassnet=[10.0], torch=[12.0], jax=[9.0]),
        "1024-1024-1024/1000/sgd": row(glassnet=[100.0], sgemm=[90.0]),
    }
    assert [line[-1] for line in peers_page.large(rows)] == [
        "**missed by 10 %**",  # gradient descent: not slower than any
        "met, 8 % above",  # Adam: at most 1.2 times the fastest, 0.9 * 1.2 = 1.08
        "met, 12 % above",  # 90 % of the ceiling, 80 asked for
    ]


def test_the_page_names_what_is_missing_and_what_a_peer_has_not():
    text = peers_page.page(results(), "images")
    assert "Missing: JAX (jax is not installed)." in text
    assert text.count("| missing |") == 2
    assert "| has none |" in text
    assert "| 100-100/100/sgd | 500 | 1.00 | 50 | 20 | 10 | 50 % |" in text  # 1 MFLOP in 50 and in 100 us


def test_the_page_says_when_the_machine_was_busy():
    assert "rough" not in peers_page.page(results(), "images")
    assert "rough" in peers_page.page(results(others=0.5), "images")


def test_cells_are_those_asked_for():
    names = [cell.name for cell in CELLS]
    assert len(names) == len(set(names)) == 4 * 5 + 5
    assert {"100-100/1/sgd", "100-100/full/adam", "512-512/128/adam", "1024-1024-1024/1000/sgd"} < set(names)
    assert all(Cell.from_dict(json.loads(json.dumps(cell.to_dict()))) == cell for cell in CELLS)


def test_the_textbook_computes_the_gradient_of_glassnet():
    rng = np.random.default_rng(0)
    x, labels = rng.random((20, 784), np.float32), rng.integers(10, size=20)
    params = runners.common.initial_weights(Cell((100, 100), 20, "sgd"))
    layers = [gn.Dense(100), gn.ReLU(), gn.Dense(100), gn.ReLU(), gn.Dense(10), gn.Softmax()]
    network = gn.Network(layers, 784)
    expected = textbook.gradients(params, x, np.eye(10, dtype=np.float32)[labels])
    for views, i in zip((network.params[0], network.params[2], network.params[4]), (0, 2, 4), strict=True):
        views.W[:], views.b[:] = params[i], params[i + 1]
    gn.fit(network, gn.from_arrays(x, labels, validation=0), gn.SGD(1.0), batch_size="full", epochs=1)
    for views, i in zip((network.params[0], network.params[2], network.params[4]), (0, 2, 4), strict=True):
        for after, before, g in ((views.W, params[i], expected[i]), (views.b, params[i + 1], expected[i + 1])):
            np.testing.assert_allclose(before - after, g, atol=1e-6)  # theta = theta - 1.0 g


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_textbook_rules_are_those_of_glassnet(name):
    rate = LEARNING_RATES[name]
    ours = {
        "sgd": lambda: optim.SGD(rate),
        "momentum": lambda: optim.Momentum(rate, MOMENTUM),
        "adagrad": lambda: optim.Adagrad(rate, epsilon=EPSILON),
        "rmsprop": lambda: optim.RMSprop(rate, RHO, epsilon=EPSILON),
        "adam": lambda: optim.Adam(rate, BETA1, BETA2, epsilon=EPSILON),
    }[name]()
    rng = np.random.default_rng(0)
    theta = rng.standard_normal(50)
    params, state = [theta.copy()], [{"v": np.zeros(50), "m": np.zeros(50)}]
    for t in range(1, 6):
        g = rng.standard_normal(50)
        textbook.update(name, params, [g], state, t)
        ours.step(theta, g.copy())
    np.testing.assert_allclose(theta, params[0], rtol=1e-4)


def test_products_are_counted_as_they_are_executed():
    noted, count = glass.products_of(glass.OneProcess(), Cell((100, 100), 100, "sgd"), most=4)
    assert count >= 4
    assert len(noted) == 3 * count
    assert [product.o for product in noted[:3]] == [100, 100, 10]
    assert all(product.n == 100 and product.k <= 784 for product in noted[::3])
    assert all(product.k == 100 and product.reach is None for product in noted[1::3])
    first = noted[0]
    assert first.reach is not None
    whole = 2 * first.n * first.k * first.o
    assert 2 * first.reach.sum() * first.o < sgemm.multiplied(first) < 0.9 * whole
    assert sgemm.multiplied(first._replace(reach=None)) == whole


def test_updates_and_steps_of_every_optimizer_are_timed(monkeypatch):
    monkeypatch.setattr(optimizers, "STEPS", 1)
    for figures in optimizers.seconds(1):
        assert set(figures) == set(optim.OPTIMIZERS)
        assert all(len(column) == 1 and column[0] > 0 for column in figures.values())


def run(*arguments, folder, **variables):
    command = [sys.executable, *map(str, arguments)]
    env = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8", timeout=120)


@pytest.mark.no_cover
def test_a_tiny_run_writes_page_figures_and_results_and_names_who_is_missing(tmp_path):
    for library in ("torch", "jax"):  # not there, whatever is installed
        (tmp_path / f"{library}.py").write_text(f"raise ModuleNotFoundError(name={library!r})", encoding="utf-8")
    options = ["--rounds", 2, "--samples", 300, "--only", "100-100/100/sgd", "--out", tmp_path / "page.md"]
    peers = [part for name in ("sgemm", "textbook", "torch", "jax") for part in ("--peer", name)]
    done = run(BENCHMARKS / "peers.py", *options, *peers, folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))
    assert found["missing"] == {"torch": "torch is not installed", "jax": "jax is not installed"}
    times = found["cells"]["100-100/100/sgd"]["us"]
    assert {name: len(column) for name, column in times.items()} == {"glassnet": 2, "sgemm": 2, "textbook": 2}
    assert min(min(column) for column in times.values()) > 0
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "Missing: PyTorch eager (torch is not installed); JAX (jax is not installed)." in page
    assert str(tmp_path) not in page
    assert (tmp_path / "images" / "benchmarks-ratios.png").stat().st_size > 5000
    again = page.replace("60,000", "")
    (tmp_path / "page.md").unlink()
    assert run(BENCHMARKS / "peers.py", "--redraw", "--out", tmp_path / "page.md", folder=tmp_path).returncode == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8").replace("60,000", "") == again


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_that_of_the_whole_tree(tmp_path):
    child = "import time; block = bytearray(80_000_000); time.sleep(0.6)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    alone = processes.watch([sys.executable, "-c", "import time; time.sleep(0.2)"], dict(os.environ), tmp_path)[1]
    both = processes.watch([sys.executable, "-c", parent], dict(os.environ), tmp_path)[1]
    assert 80e6 < both - alone < 120e6


def test_a_command_that_fails_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="no such thing"):
        processes.seconds_of([sys.executable, "-c", "raise SystemExit('no such thing')"], dict(os.environ), tmp_path)


def test_starts_are_timed():
    done = CliRunner().invoke(start.main, ["--runs", "1"])
    assert done.exit_code == 0
    head, *rows = done.stdout.splitlines()
    assert head.split()[-3:] == ["median", "best", "asked"]
    for name, row in zip(start.ASKED, rows, strict=True):
        assert row.startswith(name)
        assert 0 < float(row.split()[-3]) == float(row.split()[-2])


def test_steps_mark_what_became_slower(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.setattr(steps, "square", lambda threads: 100.0)
    monkeypatch.setattr(steps, "measure", lambda *arguments: {"us": 50.0, "ratio": 2.0})
    baseline = tmp_path / "baseline.json"
    cell = ["--only", "100-100/100/sgd"]
    assert CliRunner().invoke(steps.main, [*cell, "--save", str(baseline)]).exit_code == 0
    assert set(json.loads(baseline.read_text(encoding="utf-8"))) == {"100-100/100/sgd", "100-100/100/sgd, 2 workers"}
    for ratio, status in ((2.15, 0), (2.25, 1)):  # 7.5 and 12.5 % more
        monkeypatch.setattr(steps, "measure", lambda *arguments, ratio=ratio: {"us": 50.0, "ratio": ratio})
        done = CliRunner().invoke(steps.main, [*cell, "--against", str(baseline)])
        assert (done.exit_code, "SLOWER" in done.output) == (status, bool(status))


def test_steps_measures(monkeypatch):
    monkeypatch.setattr(steps, "SECONDS", 0.001)
    found = steps.measure(Cell((100, 100), 100, "sgd"), glass.OneProcess(), 1, steps.reference())
    assert found["us"] > 0
    assert found["ratio"] > 0
