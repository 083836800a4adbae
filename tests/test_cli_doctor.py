"""What the doctor says on the command line: of a training, and of the machine."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Glassnet

from glassnet import RunConfig, machine
from glassnet.machine import Measured, Variant

pytestmark = pytest.mark.usefixtures("in_tmp")


def facts_of(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        Path(folder, "result.json").read_text(encoding="utf-8"), parse_constant=pytest.fail
    )
    return found


# ------------------------------------------------------------------------------------------ of a training


@pytest.fixture
def words(idx_folder: Path) -> tuple[object, ...]:
    return "train", "--data", idx_folder, "--batch-size", 10, "--hidden", 20, "--out", "out"


def test_train_says_what_is_wrong_and_keeps_it(glassnet: Glassnet, words: tuple[object, ...]) -> None:
    status, out, err = glassnet(*words, "--epochs", 10, "--optimizer", "sgd", "--learning-rate", 1e-6)
    assert (status, err) == (0, "")
    (line,) = [line for line in out.splitlines() if line.startswith("doctor, ")]
    (found,) = facts_of("out")["findings"]
    assert line == f"doctor, step {found['step']}: {found['seen']} {found['cure']}"
    assert (found["kind"], found["layer"], found["cure"]) == ("rate-too-low", None, "Try 1e-05 in place of 1e-06.")


def test_quiet_keeps_it_all_the_same(glassnet: Glassnet, words: tuple[object, ...]) -> None:
    status, out, err = glassnet(*words, "--initializer", "zeros", "--activation", "tanh", "--quiet")
    assert (status, out, err) == (0, "", "")
    assert facts_of("out")["findings"][0]["kind"] == "units-alike"


def test_a_healthy_training_says_nothing(glassnet: Glassnet, words: tuple[object, ...]) -> None:
    status, out, err = glassnet(*words, "--epochs", 10)
    assert (status, err) == (0, "")
    assert "doctor" not in out
    assert facts_of("out")["findings"] == []


def test_the_doctor_can_be_left_out_and_the_model_is_the_same(glassnet: Glassnet, words: tuple[object, ...]) -> None:
    sick = (*words, "--initializer", "zeros", "--activation", "tanh", "--force")
    assert "doctor, step 0: The units of dense_1" in glassnet(*sick)[1]
    model = Path("out/model.safetensors").read_bytes()
    assert "doctor" not in glassnet(*sick, "--no-doctor")[1]
    assert facts_of("out")["findings"] == []
    assert Path("out/model.safetensors").read_bytes() == model


def test_a_training_that_diverged_has_its_findings_too(glassnet: Glassnet, words: tuple[object, ...]) -> None:
    status, out, err = glassnet(*words, "--optimizer", "sgd", "--learning-rate", 1e30, "--activation", "identity")
    assert status == 1
    assert "training diverged at step" in err
    found = facts_of("out")["findings"][-1]
    assert found["kind"] == "bad-number"
    assert found["layer"] in err
    assert f"doctor, step {found['step']}: {found['seen']}" in out


# ------------------------------------------------------------------------------------------ of the machine


def test_no_measure_only_looks(glassnet: Glassnet, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine.SLOWING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    status, out, err = glassnet("doctor", "--no-measure")
    assert (status, err) == (0, "")
    lines = dict(re.findall(r"^(versions|processor|processors|memory|BLAS|environment) +(.*)$", out, re.MULTILINE))
    assert set(lines) == {"versions", "processor", "processors", "memory", "BLAS", "environment"}
    assert lines["environment"] == "OPENBLAS_CORETYPE=Haswell"
    assert "a step" not in out


def test_measuring_says_what_is_faster(glassnet: Glassnet, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def measured(config: RunConfig, ways: list[Variant], rounds: int, tell: Any) -> list[Measured]:
        told.append(rounds)
        tell()
        return [Measured(way, (0.002 / (1 + k),) * 5, 1.0 + k, k > 0) for k, way in enumerate(ways)]

    monkeypatch.setattr(machine, "measure", measured)
    monkeypatch.setattr("glassnet.config.cores", lambda: 1)
    for name in machine.SLOWING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    status, out, err = glassnet("doctor")
    assert (status, err) == (0, "")
    assert re.search(r"^now: 1 worker, 1 thread +2000 +1\.00$", out, re.MULTILINE)
    assert re.search(r"^without OMP_WAIT_POLICY +1000 +2\.00$", out, re.MULTILINE)
    assert out.endswith("\nTo train 2.00 times as fast, clear the environment variable OMP_WAIT_POLICY.\n")
    status, out, err = glassnet("doctor", "--json")
    assert (status, err) == (0, "")
    facts = json.loads(out, parse_constant=pytest.fail)
    assert facts["advice"].startswith("To train 2.00 times")
    assert [one["variant"]["name"] for one in facts["measured"]] == [
        "now: 1 worker, 1 thread",
        "without OMP_WAIT_POLICY",
    ]
    assert facts["gflops"] > 0
    assert told == [10, 10]


def test_processes_take_turns_and_do_not_see_what_is_cleared(idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    ways = [
        Variant("now"),
        Variant("1 worker", changes=(("workers", 1),)),
        Variant("without", without=("OMP_WAIT_POLICY",)),
    ]
    config = RunConfig(data=str(idx_folder), batch_size=20, hidden=(10,), workers=1)
    seen: list[bool] = []

    def look() -> None:
        if not seen:
            environments = [
                Path(f"/proc/{process.pid}/environ").read_bytes() for process in multiprocessing.active_children()
            ]
            seen.extend(b"OMP_WAIT_POLICY=passive" in text for text in environments)

    found = machine.measure(config, ways, rounds=3, tell=look)
    assert [one.variant for one in found] == ways
    assert sorted(seen) == [False, True, True]
    assert all(1 <= len(one.seconds) <= 3 and min(one.seconds) > 0 for one in found)
    assert found[0].gain == 1.0
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    assert multiprocessing.active_children() == []


def test_a_gain_is_believed_if_nearly_all_rounds_have_it() -> None:
    way = Variant("some")
    assert machine._measured(way, [2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 3.0]) == Measured(
        way, (1.0, 1.0, 1.0, 3.0), 2.0, True
    )
    assert not machine._measured(way, [2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]).sure
    assert not machine._measured(way, [2.0, 2.0, 2.0], [1.0, 1.0, 1.0]).sure  # too few
    assert not machine._measured(way, [2.0] * 5, [1.95] * 5).sure  # not worth a word
    assert machine._measured(way, [2.0], [20.0]).gain == 0.1  # what is hopeless


def fake(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


CPU = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512f\n\n"
MEMORY = "MemTotal:       8388608 kB\nMemFree: 1 kB\nMemAvailable:   4194304 kB\n"


def test_what_the_system_tells(tmp_path: Path) -> None:
    root = fake(
        tmp_path / "a", {"proc/cpuinfo": CPU * 2, "proc/meminfo": MEMORY, "sys/fs/cgroup/cpu.max": "max 100000\n"}
    )
    facts = machine.describe(root)
    assert (facts["processor"], facts["can"], facts["quota"]) == ("Some CPU", ["avx2", "avx512f"], None)
    assert (facts["memory"], facts["available"]) == (2**33, 2**32)
    limits = {
        "sys/fs/cgroup/cpu.max": "50000 100000\n", "sys/fs/cgroup/memory.max": f"{2**31}\n",
        "sys/fs/cgroup/memory.current": f"{2**30}\n",
    }  # fmt: skip
    facts = machine.describe(fake(tmp_path / "a", limits))
    assert (facts["quota"], facts["memory"], facts["available"]) == (0.5, 2**31, 2**30)
    older = {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}
    assert machine.describe(fake(tmp_path / "b", older))["quota"] == 1.5
    facts = machine.describe(tmp_path / "nothing")
    assert (facts["memory"], facts["available"], facts["quota"], facts["can"]) == (None, None, None, [])
    json.dumps(facts, allow_nan=False)


QUIET = {"quota": None, "usable": 2, "load": 0.1, "can": ["avx2", "avx512f"], "environment": {}, "available": 8e9}


@pytest.mark.parametrize(
    ("changes", "kernels", "what"),
    [
        ({}, "SkylakeX", None),
        ({"can": ["avx2"]}, "Haswell", None),
        ({}, "Haswell", "kernels for Haswell, and this processor has avx512f: a newer NumPy may know it."),
        ({"environment": {"OPENBLAS_CORETYPE": "Haswell"}}, "Haswell", "clear OPENBLAS_CORETYPE."),
        ({"can": ["avx2"]}, "Nehalem", "and this processor has avx2"),
        ({"quota": 1.0}, "SkylakeX", "take --workers 1."),
        ({"load": 1.5}, "SkylakeX", "The machine is busy (load 1.5 on 2 processors)"),
        ({"available": 5e8}, "SkylakeX", "There is little memory, 500 MB"),
        ({"blas": []}, "", "BLAS is not known"),
    ],
)
def test_what_costs_speed(changes: dict[str, Any], kernels: str, what: str | None) -> None:
    facts = QUIET | {"blas": [{"library": "openblas", "kernels": kernels}]} | changes
    told = machine.remarks(facts)
    assert told == [] if what is None else (len(told) == 1 and what in told[0])


def test_the_speed_of_products_is_plausible() -> None:
    assert 0.1 < machine.product_speed(0.01) < 1e5
