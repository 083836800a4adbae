"""The command line as a person meets it: what it writes, says and returns, and what it does about mistakes."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Glassnet, pictures, write_idx_folder

from glassnet import (
    Dense,
    Flatten,
    Model,
    Network,
    Preprocessing,
    RunConfig,
    Softmax,
    SoftmaxCrossEntropy,
    load,
    load_model,
    model_files,
    save_model,
    write_idx,
)
from glassnet.cli import runs
from glassnet.fitting import follow

pytestmark = pytest.mark.usefixtures("in_tmp")

FILES = [
    ".lock",
    "confusion.png", "history.csv", "learning-curve.png", "mistakes.png", "model.safetensors", "result.json",
    "run.toml", "weights.png",
]  # fmt: skip
KEYS = {
    "test_accuracy": float, "validation_accuracy": float, "test_loss": float, "train_seconds": float,
    "evaluation_seconds": float, "wall_seconds": float, "steps": int, "images_per_second": float, "epochs": int,
    "seed": int, "parameters": int, "config": dict, "versions": dict,
}  # fmt: skip


@pytest.fixture
def train(glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Train a small network in no time, into a folder; return what result.json says."""

    def call(
        *args: object, out: str = "out", status: int = 0, data: object = idx_folder, figures: bool = False
    ) -> dict[str, Any]:
        given = ("train", "--data", data, "--hidden", 8, "--epochs", 2, "--out", out, *args)
        with monkeypatch.context() as patch:
            if not figures:  # but the learning curve
                patch.setattr("glassnet.plots.figure_makers", lambda *args, **kwargs: {})
            assert glassnet(*given)[0] == status
        result: dict[str, Any] = json.loads(Path(out, "result.json").read_text(encoding="utf-8"))
        return result

    return call


def snapshot(folder: Path) -> dict[str, bytes | str | None]:
    """Everything in a folder: names, contents, where links lead."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else None if path.is_dir()
        else path.read_bytes()
        for path in folder.rglob("*")
    }  # fmt: skip


def assert_one_sentence(err: str) -> None:
    assert err.startswith("glassnet: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def subprocess_env() -> dict[str, str]:
    return {**os.environ, "PYTHONWARNINGS": "error"}


# ------------------------------------------------------------------------------------------ train


def test_training_leaves_its_files_and_says_what_came_out(glassnet: Glassnet, idx_folder: Path) -> None:
    status, out, err = glassnet("train", "--data", idx_folder, "--hidden", "20", "--epochs", "40")
    assert (status, err) == (0, "")
    folders = [path for path in Path("runs").iterdir() if path.name != "latest"]
    assert len(folders) == 1
    assert sorted(path.name for path in folders[0].iterdir()) == FILES
    first, second, third, *_, last = out.splitlines()
    assert first == "30-20-10 on small, relu, softmax-crossentropy, adam; 830 parameters"
    assert second == "270 samples to train, 30 held out, 60 to test"
    result = json.loads((folders[0] / "result.json").read_text())
    assert result["test_accuracy"] > 0.5
    assert third.startswith(f"test accuracy {100 * result['test_accuracy']:.2f} % of 60 samples never seen before")
    assert last.startswith(f"results in {folders[0]}: model.safetensors, run.toml, history.csv, result.json, ")
    assert sorted(last.partition(": ")[2].split(", ")) == FILES[1:]
    for path in folders[0].glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_figures_are_drawn_where_they_make_sense(train: Callable[..., dict[str, Any]], in_tmp: Path) -> None:
    rng = np.random.default_rng(0)
    for name, n in (("train", 100), ("test", 20)):
        np.savetxt(f"{name}.csv", np.c_[rng.integers(0, 3, n), rng.normal(size=(n, 4))], delimiter=",")
    train("--classes", 3, data="train.csv,test.csv", figures=True)
    assert sorted(path.stem for path in Path("out").glob("*.png")) == ["confusion", "learning-curve"]


def test_the_result_has_all_keys_and_sane_relations(train: Callable[..., dict[str, Any]], idx_folder: Path) -> None:
    result = train("--seed", 3, "--batch-size", 30)
    for key, kind in KEYS.items():
        assert type(result[key]) is kind, key
    assert 0 <= result["test_accuracy"] <= 1
    assert result["test_accuracy"] * 60 == pytest.approx(round(result["test_accuracy"] * 60))
    assert 0 < result["train_seconds"] <= result["wall_seconds"]
    assert 0 < result["evaluation_seconds"] <= result["wall_seconds"]
    assert result["steps"] == 2 * 9
    assert result["epochs"] == 2
    assert result["seed"] == result["config"]["seed"] == 3
    assert result["parameters"] == 30 * 8 + 8 + 8 * 10 + 10
    assert result["images_per_second"] == pytest.approx(2 * 270 / result["train_seconds"])
    assert result["stopped"] is None
    assert {"glassnet", "numpy", "python"} <= set(result["versions"])
    with Path("out/history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for name in ("validation_accuracy", "validation_loss", "train_accuracy", "train_loss"):
        assert result[name] == float(rows[-1][name])
    model = load_model("out/model.safetensors")
    found = model.evaluate(load(idx_folder).test)
    assert (found.accuracy, found.loss) == (result["test_accuracy"], result["test_loss"])


def test_the_config_in_the_result_gives_the_same_bits(train: Callable[..., dict[str, Any]]) -> None:
    result = train("--optimizer", "momentum", "--schedule", "cosine", "--activation", "gelu", "--seed", 9)
    config = RunConfig.from_dict(result["config"])
    again = config.make_training(config.load_data())
    follow(again, [])
    theta = load_model("out/model.safetensors").network.theta
    np.testing.assert_array_equal(again.network.theta, theta)
    assert again.step == result["steps"]


def test_one_seed_gives_one_file_and_another_another(train: Callable[..., dict[str, Any]]) -> None:
    train(out="a")
    train(out="b")
    train("--seed", 1, out="c")
    a, b, c = (Path(name, "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_without_validation_the_model_is_the_same_bytes(train: Callable[..., dict[str, Any]]) -> None:
    train(out="with")
    result = train("--no-validation", out="without")
    assert Path("with/model.safetensors").read_bytes() == Path("without/model.safetensors").read_bytes()
    assert result["validation_accuracy"] is None
    assert result["config"]["validate"] is False
    assert result["config"]["validation"] == 30


@pytest.mark.parametrize(("option", "held_out"), [(("--validation", 0), 0), (("--validation", 70), 70), ((), 30)])
def test_how_many_samples_are_held_out(
    train: Callable[..., dict[str, Any]], option: tuple[object, ...], held_out: int
) -> None:
    result = train(*option, "--batch-size", 10)
    assert result["steps"] == 2 * (300 - held_out) / 10
    assert (result["validation_accuracy"] is None) == (held_out == 0)
    assert result["config"]["validation"] == held_out


@pytest.mark.parametrize(("batch_size", "steps"), [("full", 2), ("1", 540), ("100", 6), ("99999", 2)])
def test_batch_sizes(train: Callable[..., dict[str, Any]], batch_size: str, steps: int) -> None:
    result = train("--batch-size", batch_size)
    assert result["steps"] == steps
    assert result["config"]["batch_size"] == (batch_size if batch_size == "full" else int(batch_size))


def test_steps_can_be_limited_and_the_order_kept(train: Callable[..., dict[str, Any]]) -> None:
    assert train("--max-steps", 4, out="a")["steps"] == 4
    assert train("--no-shuffle", out="b")["config"]["shuffle"] is False
    train(out="c")
    assert Path("b/model.safetensors").read_bytes() != Path("c/model.safetensors").read_bytes()


def test_every_option_arrives(train: Callable[..., dict[str, Any]]) -> None:
    given = {
        "activation": "tanh", "output-activation": "sigmoid", "initializer": "normal:0.2", "loss": "mse",
        "loss-reduction": "sum", "optimizer": "adan", "learning-rate": 0.003, "beta1": 0.8, "beta2": 0.95,
        "beta3": 0.7, "epsilon": 1e-6, "l2": 0.001, "weight-decay": 0.002, "clip-value": 2.5, "clip-norm": 1.5,
        "schedule": "step", "warmup": 2, "classes": 12,
    }  # fmt: skip
    config = train(*[part for name, value in given.items() for part in (f"--{name}", value)])["config"]
    assert {name: config[name.replace("-", "_")] for name in given} == given
    assert train("--optimizer", "momentum", "--momentum", 0.25, out="b")["config"]["momentum"] == 0.25
    assert train("--optimizer", "rmsprop", "--rho", 0.25, out="c")["config"]["rho"] == 0.25
    assert train("--hidden", "", out="d")["parameters"] == 310
    assert train("--hidden", " 4, 5", out="e")["config"]["hidden"] == [4, 5]
    smooth = train("--label-smoothing", 0.1, "--freeze", "dense_1", "--reduce-on-plateau", 1, out="f")["config"]
    assert (smooth["label_smoothing"], smooth["frozen"], smooth["reduce_on_plateau"]) == (0.1, ["dense_1"], 1)
    assert smooth["schedule"] == "constant"
    weights = ",".join(map(str, range(1, 11)))
    assert train("--class-weights", weights, out="g")["config"]["class_weights"] == [float(k) for k in range(1, 11)]
    assert train("--class-weights", "balanced", out="h")["config"]["class_weights"] == "balanced"


def test_a_frozen_layer_stays(train: Callable[..., dict[str, Any]], glassnet: Glassnet, idx_folder: Path) -> None:
    train("--max-steps", 1, "--learning-rate", 1e-30, out="start")  # too small to change anything
    train("--freeze", "dense_1", out="frozen")
    start, frozen = (load_model(f"{name}/model.safetensors").network.params for name in ("start", "frozen"))
    np.testing.assert_array_equal(frozen[1].W, start[1].W)
    assert (frozen[3].W != start[3].W).any()
    status, out, err = glassnet("train", "--data", idx_folder, "--freeze", "dense_1, hidden")
    assert (status, out) == (2, "")
    assert_one_sentence(err)
    assert "dense_1, dense_2, dense_3" in err


def test_a_pair_of_csv_files(train: Callable[..., dict[str, Any]], glassnet: Glassnet) -> None:
    for name, n, seed in (("train", 300, 1), ("test", 60, 2)):
        x, t = pictures(n, seed)
        np.savetxt(f"{name}.csv", np.c_[t, x.reshape(n, -1)], fmt="%d", delimiter=",")
    result = train(data="train.csv,test.csv")
    assert result["parameters"] == 338
    status, out, _ = glassnet("evaluate", "--model", "out/model.safetensors", "--data", "train.csv,test.csv")
    assert status == 0
    assert f"accuracy {100 * result['test_accuracy']:.2f} %" in out


def test_names_with_special_characters_do_no_harm(train: Callable[..., dict[str, Any]]) -> None:
    for name in (r"te$\frac$", "数字 %s {x}"):
        write_idx_folder(Path(name))
        train(data=name, out=f"out of {name}", figures=True)
        assert sorted(path.name for path in Path(f"out of {name}").iterdir()) == FILES


def test_a_bar_is_drawn_where_somebody_looks(
    glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    status, out, err = glassnet("train", "--data", idx_folder, "--epochs", 2)
    assert status == 0
    assert "epoch 2/2: 100%" in err
    assert "100%" not in out


@pytest.mark.parametrize("steps", [60])
def test_real_digits(glassnet: Glassnet, steps: int) -> None:
    status, out, err = glassnet("train", "--hidden", "30", "--max-steps", steps, "--batch-size", 50)
    assert (status, err) == (0, "")
    assert "784-30-10 on mnist" in out
    assert "55,000 samples to train, 5,000 held out, 10,000 to test" in out
    result = json.loads(Path("runs/latest/result.json").read_text())
    assert result["test_accuracy"] > 0.75
    status, out, _ = glassnet("evaluate")
    assert f"on the 10,000 test samples of mnist: accuracy {100 * result['test_accuracy']:.2f} %" in out


def test_a_run_that_learnt_nothing_says_so(glassnet: Glassnet, idx_folder: Path) -> None:
    data = ("--data", idx_folder, "--epochs", 2, "--batch-size", 10)
    status, out, _ = glassnet("train", *data, "--optimizer", "sgd", "--learning-rate", 1000, "--clip-norm", 1)
    assert status == 0
    assert "it learnt nothing" in out
    status, out, _ = glassnet("train", *data, "--epochs", 40)
    assert status == 0
    assert "it learnt nothing" not in out


# ------------------------------------------------------------------------------------------ where results go


def test_results_are_never_overwritten_without_force(
    train: Callable[..., dict[str, Any]], glassnet: Glassnet, idx_folder: Path, in_tmp: Path
) -> None:
    train("--seed", 1)
    Path("out/notes.txt").write_text("mine")
    before = snapshot(in_tmp)
    status, out, err = glassnet("train", "--data", idx_folder, "--out", "out")
    assert (status, out) == (2, "")
    assert_one_sentence(err)
    assert "out is there already and not empty" in err
    assert "--force" in err
    assert snapshot(in_tmp) == before
    assert train("--seed", 2, "--force", figures=True)["seed"] == 2
    assert sorted(path.name for path in Path("out").iterdir()) == sorted([*FILES, "notes.txt"])
    assert Path("out/notes.txt").read_text() == "mine"
    status, _, _ = glassnet("train", "--data", idx_folder, "--out", "out", "--force", "--activation", "identity",
                            "--loss", "mse", "--output-activation", "identity", "--max-steps", 3)  # fmt: skip
    assert status == 0
    said = json.loads(Path("out/result.json").read_text())["config"]["loss"]
    assert said == tomllib.loads(Path("out/run.toml").read_text())["loss"] == "mse"


def test_a_folder_where_a_file_belongs_is_said_before_training(glassnet: Glassnet, idx_folder: Path) -> None:
    Path("out/confusion.png").mkdir(parents=True)
    status, out, err = glassnet("train", "--data", idx_folder, "--out", "out", "--force")
    assert (status, out) == (2, "")
    assert_one_sentence(err)
    assert "confusion.png is a folder" in err
    assert [path.name for path in Path("out").iterdir()] == ["confusion.png"]


def test_a_run_that_diverged_is_not_the_latest(glassnet: Glassnet, idx_folder: Path) -> None:
    assert glassnet("train", "--data", idx_folder, "--out", "good", "--max-steps", 3)[0] == 0
    bad = ("--out", "bad", "--optimizer", "sgd", "--learning-rate", "1e30")
    assert glassnet("train", "--data", idx_folder, *bad)[0] == 1
    assert Path("bad/model.safetensors").is_file()
    assert Path("runs/latest").resolve() == Path("good").resolve()


def test_pictures_of_the_run_before_do_not_stay(glassnet: Glassnet, idx_folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("label,a,b,c\n" + "0,1,2,3\n1,3,2,1\n" * 30)
    assert glassnet("train", "--data", idx_folder, "--max-steps", 3, "--out", "out")[0] == 0
    assert Path("out/weights.png").exists()
    assert (
        glassnet("train", "--data", f"{table},{table}", "--classes", 2, "--max-steps", 3, "--out", "out", "--force")[0]
        == 0
    )
    assert not Path("out/weights.png").exists()
    assert Path("out/confusion.png").exists()


def test_force_with_bad_options_or_data_changes_nothing(
    train: Callable[..., dict[str, Any]], glassnet: Glassnet, in_tmp: Path, idx_folder: Path
) -> None:
    train()
    before = snapshot(in_tmp)
    for args in (
        ("--data", "nowhere"),
        ("--data", idx_folder, "--batch-size", 0),
        ("--data", idx_folder, "--seed", -1),
    ):
        assert glassnet("train", "--out", "out", "--force", *args)[0] in (1, 2)
    assert snapshot(in_tmp) == before


def test_an_empty_folder_or_a_new_one_within_new_ones_can_be_named(train: Callable[..., dict[str, Any]]) -> None:
    Path("empty").mkdir()
    train(out="empty")
    train(out="a/b/c", figures=True)
    assert sorted(path.name for path in Path("a/b/c").iterdir()) == FILES


def test_a_file_in_place_of_the_folder_is_refused(glassnet: Glassnet, idx_folder: Path) -> None:
    Path("out").write_text("mine")
    for out, status, fragment in (("out", 2, "out is a file"), ("out/inside", 1, "Not a directory")):
        found = glassnet("train", "--data", idx_folder, "--out", out, "--force")
        assert found[0] == status
        assert_one_sentence(found[2])
        assert fragment in found[2]
    assert Path("out").read_text() == "mine"


@pytest.mark.parametrize("error", [None, OSError("no links here"), NotImplementedError()])
def test_latest_names_the_newest_run(
    train: Callable[..., dict[str, Any]], glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
) -> None:  # fmt: skip
    if error is not None:

        def refuse(*args: object, **kwargs: object) -> None:
            raise error

        monkeypatch.setattr(Path, "symlink_to", refuse)
    latest = Path("runs/latest")
    for out, seed in (("runs/one", 1), ("elsewhere/two", 2), ("runs/three", 3)):
        result = train("--seed", seed, out=out)
        assert latest.is_symlink() == (error is None)
        assert latest.is_file() == (error is not None)
        status, printed, _ = glassnet("evaluate", "--data", idx_folder, "--json")
        assert status == 0
        facts = json.loads(printed)
        assert Path(facts["model"]).resolve() == Path(out, "model.safetensors").resolve()
        assert facts["loss"] == result["test_loss"]
    assert sorted(path.name for path in Path("runs").iterdir()) == ["latest", "one", "three"]


def test_latest_is_right_where_runs_is_a_link(train: Callable[..., dict[str, Any]]) -> None:
    Path("deep/down/runs").mkdir(parents=True)
    Path("runs").symlink_to("deep/down/runs", target_is_directory=True)
    train()
    assert Path("runs/latest").resolve() == Path("out").resolve()


def test_a_run_does_not_fail_for_want_of_a_pointer(glassnet: Glassnet, idx_folder: Path) -> None:
    Path("runs/latest/mine").mkdir(parents=True)
    status, out, err = glassnet("train", "--data", idx_folder, "--max-steps", 1, "--out", "out")
    assert status == 0
    assert "results in out" in out
    assert_one_sentence(err)
    assert "could not be made to name this run" in err
    assert sorted(path.name for path in Path("out").iterdir()) == FILES


def test_another_drive_is_named_in_full(monkeypatch: pytest.MonkeyPatch, in_tmp: Path) -> None:
    def relpath(path: object, start: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(runs.os.path, "relpath", relpath)
    runs.point_latest(Path("out"))
    assert Path("runs/latest").readlink() == (in_tmp / "out").resolve()


def test_runs_of_one_second_get_folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "datetime", FrozenTime)
    made = [runs.make_folder(None, False) for _ in range(3)]
    assert [folder.name for folder in made] == ["2026-01-02_03-04-05", "2026-01-02_03-04-05_2", "2026-01-02_03-04-05_3"]
    assert all(folder.is_dir() for folder in made)


class FrozenTime:
    @staticmethod
    def now() -> FrozenTime:
        return FrozenTime()

    def strftime(self, form: str) -> str:
        return time.strftime(form, (2026, 1, 2, 3, 4, 5, 0, 0, 0))


def test_the_start_of_the_process_is_before_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from glassnet.cli import runs, STARTED; print(STARTED - runs.process_start())"
    before = time.time()
    lag = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 0 <= lag <= time.time() - before + 0.05  # the system counts in hundredths of a second

    def no_proc(self: Path) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", no_proc)
    assert runs.process_start() == runs.STARTED


# ------------------------------------------------------------------------------------------ evaluate, data, help


def test_evaluate_agrees_with_the_result(
    train: Callable[..., dict[str, Any]], glassnet: Glassnet, idx_folder: Path
) -> None:
    result = train("--validation", 70)
    given = ("evaluate", "--model", "out/model.safetensors", "--data", idx_folder)
    status, out, err = glassnet(*given)
    assert (status, err) == (0, "")
    assert out == (
        f"out/model.safetensors on the 60 test samples of small: accuracy {100 * result['test_accuracy']:.2f} %, "
        f"loss {result['test_loss']:.4f}\n"
    )
    assert json.loads(glassnet(*given, "--json")[1]) == {
        "model": "out/model.safetensors", "data": "small", "split": "test", "samples": 60,
        "accuracy": result["test_accuracy"], "loss": result["test_loss"],
    }  # fmt: skip
    facts = json.loads(glassnet(*given, "--json", "--split", "validation", "--validation", 70)[1])
    assert facts == json.loads(glassnet(*given, "--json", "--split", "validation")[1])  # 70 is in run.toml
    assert facts == json.loads(glassnet(*given[:3], "--json", "--split", "validation")[1])  # and so are the data
    assert (facts["samples"], facts["accuracy"], facts["loss"]) == (
        70, result["validation_accuracy"], result["validation_loss"],
    )  # fmt: skip
    assert json.loads(glassnet(*given, "--json", "--split", "train")[1])["samples"] == 230


def test_how_many_were_held_out_belongs_to_the_data_of_the_run(
    train: Callable[..., dict[str, Any]], glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("--validation", 70)
    write_idx_folder(Path("other"), train=200)
    model = Path("out/model.safetensors").resolve()
    given = ("evaluate", "--model", model, "--split", "validation", "--json", "--data")
    assert json.loads(glassnet(*given, "other")[1])["samples"] == 20  # a tenth, as without any run
    assert json.loads(glassnet(*given, "other", "--validation", 30)[1])["samples"] == 30
    monkeypatch.chdir(idx_folder.parent)
    assert json.loads(glassnet(*given, f"./{idx_folder.name}")[1])["samples"] == 70


def test_evaluate_refuses_what_does_not_fit(
    train: Callable[..., dict[str, Any]], glassnet: Glassnet, idx_folder: Path
) -> None:
    train()
    model = ("evaluate", "--model", "out/model.safetensors")
    Path("bad.safetensors").write_bytes(b"nothing of the kind")
    three = Network([Flatten(), Dense(3), Softmax()], (28, 28))
    save_model(Model(three, Preprocessing(), None, SoftmaxCrossEntropy()), "three.safetensors")
    for args, status, fragment in (
        (("evaluate", "--data", idx_folder, "--model", "nothing"), 1, "nothing: there is no such model file"),
        (("evaluate", "--data", idx_folder, "--model", "out"), 1, "out is a folder: name the model file inside it"),
        (("evaluate", "--data", idx_folder, "--model", "bad.safetensors"), 1, "is no safetensors file"),
        ((*model, "--data", "nowhere/at-all"), 1, "nowhere/at-all does not exist"),
        ((*model, "--data", "mnist"), 2, "this model reads samples of shape (6, 5)"),
        (("evaluate", "--model", "three.safetensors", "--data", "mnist"), 2, "tells 3 classes apart, 0 to 2, and a"),
        ((*model, "--data", idx_folder, "--split", "validation", "--validation", 0), 2, "has no validation samples"),
        ((*model, "--data", idx_folder, "--split", "all"), 2, "--split"),
    ):
        found = glassnet(*args)
        assert (found[0], found[1]) == (status, ""), args
        assert_one_sentence(found[2])
        assert fragment in found[2]


def test_evaluate_without_a_run_says_how_to_get_one(glassnet: Glassnet) -> None:
    status, out, err = glassnet("evaluate")
    assert (status, out) == (1, "")
    assert_one_sentence(err)
    assert "glassnet train" in err
    Path("runs").mkdir()
    Path("runs/latest").write_text("deleted-run\n")
    assert glassnet("evaluate")[0] == 1


def test_data_info_counts(glassnet: Glassnet, idx_folder: Path) -> None:
    status, out, err = glassnet("data", "info", "--data", idx_folder, "--validation", 40)
    assert (status, err) == (0, "")
    labels = load(idx_folder, validation=40)
    rows = {line.rpartition("  ")[0].split("  ")[0]: line.split() for line in out.splitlines()[2:]}
    assert out.splitlines()[0] == "small: samples of 6 x 5 uint8, 10 classes, scaled by 0.00392157"
    assert rows["samples"][1:] == ["260", "40", "60"]
    assert rows["maximum"][1:] == ["255", "255", "255"]
    for label in range(10):
        assert rows[f"class {label}"][2:] == [
            str((samples.targets == label).sum()) for samples in (labels.train, labels.validation, labels.test)
        ]
    facts = json.loads(glassnet("data", "info", "--data", idx_folder, "--validation", 0, "--json")[1])
    assert (facts["train"]["count"], facts["validation"]["count"]) == (300, 0)


def test_data_info_of_an_empty_split_and_of_mnist(glassnet: Glassnet, idx_folder: Path) -> None:
    assert " -" in glassnet("data", "info", "--data", idx_folder, "--validation", 0)[1]
    out = glassnet("data", "info")[1]
    assert "mnist: samples of 28 x 28 uint8, 10 classes" in out
    assert "55,000       5,000      10,000" in out


@pytest.mark.parametrize("args", [(), ("--help",), ("-h",), ("data",), ("data", "--help"), ("train", "-h")])
def test_help(glassnet: Glassnet, args: tuple[str, ...]) -> None:
    status, out, err = glassnet(*args)
    assert (status, err) == (0, "")
    assert out.startswith("Usage: glassnet")
    assert "\\b" not in out


@pytest.mark.parametrize("command", [(), ("train",), ("lr-find",), ("evaluate",), ("data", "info"), ("completion",)])
def test_help_shows_examples_a_line_each(glassnet: Glassnet, command: tuple[str, ...]) -> None:
    out = glassnet(*command, "--help")[1]
    assert "\n  Examples:\n    glassnet " in out


def test_version(glassnet: Glassnet) -> None:
    import glassnet as package

    status, out, _ = glassnet("--version")
    assert status == 0
    assert out.startswith(f"glassnet {package.__version__}, numpy {np.__version__}, python 3.")


def test_python_m_glassnet(idx_folder: Path) -> None:
    args = [sys.executable, "-m", "glassnet", "train", "--data", str(idx_folder), "--epochs", "1", "--out", "out"]
    begin = time.time()
    done = subprocess.run(args, capture_output=True, text=True, env=subprocess_env(), stdin=subprocess.DEVNULL)
    elapsed = time.time() - begin
    assert (done.returncode, done.stderr) == (0, "")
    assert "results in out" in done.stdout
    result = json.loads(Path("out/result.json").read_text())
    assert result["train_seconds"] + result["evaluation_seconds"] <= result["wall_seconds"] <= elapsed + 0.05


# ------------------------------------------------------------------------------------------ wrong usage


@pytest.mark.parametrize(
    ("args", "fragment"),
    [
        (["learn"], "No such command 'learn'"),
        (["data", "show"], "No such command 'show'"),
        (["--verbose"], "No such option '--verbose'"),
        (["train", "--epoch", "3"], "'--epoch'"),
        (["train", "extra"], "extra"),
        (["train", "--epochs"], "'--epochs' requires an argument"),
        (["train", "--epochs", "many"], "'many' is not a valid integer"),
        (["train", "--epochs", "0"], "'--epochs': 0 is not in the range x>=1"),
        (["train", "--max-steps", "0"], "'--max-steps'"),
        (["train", "--validation", "-1"], "'--validation'"),
        (["train", "--seed", "-1"], "'--seed'"),
        (["train", "--seed", "99999999999999999999"], "'--seed'"),
        (["train", "--hidden", "a,b"], "'a,b' is no list of widths such as 100,100"),
        (["train", "--hidden", "100,0"], "'100,0' has a width below 1"),
        (["train", "--hidden", "100,-5"], "has a width below 1"),
        (["train", "--hidden", "1e3"], "is no list of widths"),
        (["train", "--hidden", "99999999999999999999"], "whole numbers of 1 to 1,000,000"),
        (["train", "--activation", "step"], "'step' is not one of 'sigmoid', 'relu'"),
        (["train", "--output-activation", "max"], "'max' is not one of"),
        (["train", "--initializer", "ones"], "there is no initializer 'ones'; choose from auto"),
        (["train", "--initializer", "normal:x"], "the deviation in 'normal:x'"),
        (["train", "--loss", "hinge"], "'hinge' is not one of 'softmax-crossentropy'"),
        (["train", "--loss", "mse", "--output-activation", "softmax"], "vanishes"),
        (["train", "--output-activation", "sigmoid"], "do not sum to one"),
        (["train", "--loss-reduction", "max"], "'max' is not one of 'mean', 'sum'"),
        (["train", "--optimizer", "best"], "'best' is not one of 'sgd'"),
        (["train", "--learning-rate", "0"], "'--learning-rate': 0.0 is not in the range x>0"),
        (["train", "--learning-rate", "-0.1"], "'--learning-rate'"),
        (["train", "--learning-rate", "nan"], "learning_rate must be a finite number"),
        (["train", "--learning-rate", "inf"], "learning_rate must be a finite number"),
        (["train", "--learning-rate", "0,1"], "'0,1' is not a valid float"),
        (["train", "--momentum", "0.5"], "momentum or nesterov or muon, not of adam: leave it out"),
        (["train", "--optimizer", "sgd", "--beta1", "0.5"], "beta1 is a setting of the optimizer adam or"),
        (["train", "--optimizer", "adam", "--beta3", "0.5"], "beta3 is a setting of the optimizer adan, not of adam"),
        (["train", "--l2", "-1"], "'--l2'"),
        (["train", "--clip-norm", "0"], "'--clip-norm'"),
        (["train", "--warmup", "10"], "onecycle brings its own warm-up"),
        (["train", "--schedule", "cosine", "--warmup", "3300"], "leaves nothing of a run of 1,375"),
        (["train", "--reduce-on-plateau", "2", "--schedule", "onecycle"], "onecycle falls by itself"),
        (["train", "--reduce-on-plateau", "2", "--no-validation"], "nothing is validated"),
        (["train", "--label-smoothing", "1"], "'--label-smoothing'"),
        (["train", "--label-smoothing", "1", "--loss", "mse"], "'--label-smoothing'"),
        (["train", "--input-range", "1,0"], "'1,0' does not go from one number to a higher one"),
        (["train", "--input-range", "0.01"], "'0.01' is no range of two numbers such as 0.01,1"),
        (["train", "--bias-initializer", "auto"], "there is no bias initializer 'auto'"),
        (["train", "--momentum-form", "sum"], "momentum_form is a setting of the optimizer momentum or nesterov"),
        (["train", "--epsilon-in-root"], "epsilon_in_root is a setting of the optimizer rmsprop, not of adam"),
        (["train", "--class-weights", "even"], 'neither "balanced" nor a list of numbers'),
        (["train", "--class-weights", "1,2"], "class"),
        (["train", "--freeze", "conv"], "dense_1, dense_2, dense_3"),
        (["train", "--quiet", "--verbose"], "--quiet and --verbose exclude each other"),
        (["lr-find", "--epochs", "3"], "'--epochs'"),
        (["lr-find", "--steps", "3"], "'--steps'"),
        (["lr-find", "--lowest", "1", "--highest", "0.1"], "the highest learning rate must be above the lowest"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        (["completion"], "Missing argument"),
        (["train", "--optimizer", "momentum", "--momentum", "1"], "'--momentum'"),
        (["train", "--beta2", "nan"], "beta2 must be a finite number"),
        (["train", "--epsilon", "0"], "'--epsilon'"),
        (["train", "--schedule", "linear"], "'linear' is not one of 'constant'"),
        (["train", "--batch-size", "0"], "neither a whole number of at least 1 nor"),
        (["train", "--batch-size", "-1"], "neither a whole number"),
        (["train", "--batch-size", "half"], "neither a whole number"),
        (["train", "--batch-size", "2.5"], "neither a whole number"),
        (["train", "--batch-size", "9" * 5000], "neither a whole number"),
        (["train", "--epochs", "9" * 400], "epochs must be a whole number of 0 to 4,294,967,295, not 999"),
        (["train", "--classes", "1"], "'--classes'"),
        (["train", "--data", ""], "source '' is no path"),
        (["train", "--data", "fashion"], "source 'fashion' is not known and no folder has that name"),
        (["train", "--data", "a.csv,b.csv,c.csv"], "source has 3 parts"),
        (["train", "--validation", "60000"], "0 to 59999"),
        (["evaluate", "--split", "all"], "'all' is not one of 'test'"),
        (["data", "info", "--data", "fashion"], "source 'fashion' is not known"),
    ],
)
def test_wrong_usage_gets_one_sentence_and_exit_status_2(
    glassnet: Glassnet, in_tmp: Path, args: list[str], fragment: str
) -> None:
    status, out, err = glassnet(*args)
    assert (status, out) == (2, "")
    assert_one_sentence(err)
    assert fragment in err
    assert not list(in_tmp.iterdir())


# ------------------------------------------------------------------------------------------ bad data

TRAIN_X, TRAIN_T = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_X, TEST_T = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def cut(name: str, count: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-count]) and None  # type: ignore[func-returns-value]


def append(name: str, more: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + more) and None  # type: ignore[func-returns-value]


def start(name: str, head: bytes) -> Callable[[Path], None]:
    """Put other bytes at the start of a file."""
    return lambda folder: (folder / name).write_bytes(head + (folder / name).read_bytes()[len(head) :]) and None  # type: ignore[func-returns-value]


def replace_by(name: str, content: bytes, new: str | None = None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / (new or name)).write_bytes(content)

    return change


def labels(name: str, values: Any) -> Callable[[Path], None]:
    return lambda folder: write_idx(folder / name, np.array(values, np.uint8))


def images(name: str, shape: tuple[int, ...]) -> Callable[[Path], None]:
    return lambda folder: write_idx(folder / name, np.zeros(shape, np.uint8))


HTML = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>"


@pytest.mark.parametrize(
    ("damage", "where", "fragments"),
    [
        (lambda folder: (folder / TEST_T).unlink(), "small", ["no t10k-labels", "put all four files there"]),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "small", ["no train-images"]),
        (lambda folder: shutil.rmtree(folder), "data/small", ["data/small", "does not exist"]),
        (lambda folder: None, "data/other,data/another", ["other", "does not exist"]),
        (cut(TRAIN_X, 1), "small", [TRAIN_X, "is cut off", "1 bytes are missing"]),
        (cut(TRAIN_T, 300), "small", [TRAIN_T, "is cut off", "byte 8"]),
        (cut(TEST_X, 1800 + 8), "small", [TEST_X, "ends at byte 8", "header"]),
        (replace_by(TRAIN_T, b""), "small", [TRAIN_T, "is empty"]),
        (append(TRAIN_X, b"\0\0"), "small", [TRAIN_X, "goes on after its data", "2 bytes"]),
        (start(TRAIN_X, b"\0\0\x07"), "small", [TRAIN_X, "type code 0x07 at byte 2"]),
        (start(TRAIN_X, b"ABCD"), "small", [TRAIN_X, "it begins with the bytes 41 42 43 44"]),
        (start(TRAIN_X, b"\0\0\x08\x03" + b"\xff" * 12), "small", [TRAIN_X, "more than any memory holds"]),
        (replace_by(TRAIN_X, gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12), TRAIN_X + ".gz"), "small",
         [TRAIN_X + ".gz", "more than any memory holds"]),
        (replace_by(TRAIN_X, HTML, TRAIN_X + ".gz"), "small", [TRAIN_X + ".gz", "an HTML page", "download it again"]),
        (replace_by(TRAIN_X, gzip.compress(HTML), TRAIN_X + ".gz"), "small", [TRAIN_X + ".gz", "an HTML page"]),
        (replace_by(TRAIN_X, gzip.compress(bytes(9999))[:-9], TRAIN_X + ".gz"), "small", [TRAIN_X + ".gz"]),
        (replace_by(TRAIN_X, gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 300, 6, 5) + bytes(9000))[:-9],
                    TRAIN_X + ".gz"), "small", [TRAIN_X + ".gz", "is cut off: its gzip data stop in the middle"]),
        (replace_by(TRAIN_X, b"\x89PNG\r\n"), "small", [TRAIN_X, "a PNG picture"]),
        (labels(TRAIN_T, [3] * 298 + [10, 3]), "small", [TRAIN_T, "the label 10 in item 298", "byte 306", "0 to 9"]),
        (labels(TEST_T, [200] + [3] * 59), "small", [TEST_T, "the label 200 in item 0"]),
        (labels(TRAIN_T, [3] * 299), "small", [TRAIN_X, "holds 300 images", TRAIN_T, "299 labels"]),
        (images(TEST_X, (61, 6, 5)), "small", [TEST_X, "holds 61 images", TEST_T, "60 labels"]),
        (images(TEST_X, (60, 5, 6)), "small", ["(6, 5)", "(5, 6)"]),
        (images(TRAIN_X, (300,)), "small", [TRAIN_X, "(300,)", "no images"]),
        (images(TRAIN_T, (300, 2)), "small", [TRAIN_T, "(300, 2)", "no labels"]),
        (lambda folder: (folder / "SHA256SUMS").write_text(f"{'0' * 64}  {TRAIN_X}\n"), "small",
         [TRAIN_X, "does not have the SHA-256 sum"]),
        (lambda folder: (folder / "SHA256SUMS").write_text("what?\n"), "small", ["SHA256SUMS", "row 1"]),
        (lambda folder: write_idx(folder / f"fashion-{TRAIN_X}", np.zeros((1, 1, 1), np.uint8)), "small",
         ["several data sets"]),
        (lambda folder: (folder / "a.csv").write_text("1,2,3\n4,5\n"), "small/a.csv,small/a.csv",
         ["a.csv", "2 columns in row 2"]),
        (lambda folder: (folder / "a.csv").write_text("1,2,3\n4,x,6\n"), "small/a.csv,small/a.csv",
         ["a.csv", "row 2, column 2"]),
        (lambda folder: (folder / "a.csv").write_text("1,2\n\n3,4\n"), "small/a.csv,small/a.csv",
         ["a.csv", "an empty line at row 2"]),
        (lambda folder: (folder / "a.csv").write_text("1,2\n77,4\n"), "small/a.csv,small/a.csv",
         ["a.csv", "the label 77 in row 2"]),
        (lambda folder: (folder / "a.csv").write_bytes(HTML), "small/a.csv,small/a.csv", ["a.csv", "an HTML page"]),
        (lambda folder: None, f"small,small/{TRAIN_X}", ["small is a folder where a file is needed"]),
    ],
)  # fmt: skip
def test_bad_data_get_one_sentence_and_change_nothing(
    glassnet: Glassnet, in_tmp: Path, damage: Callable[[Path], object], where: str, fragments: list[str]
) -> None:
    for folder in ("small", "data/small"):
        write_idx_folder(Path(folder))
    damage(Path(where) if where == "data/small" else Path("small"))
    Path("runs/old").mkdir(parents=True)
    Path("runs/old/result.json").write_text("{}")
    before = snapshot(in_tmp)
    for command in (("train",), ("train", "--out", "runs/old", "--force"), ("data", "info")):
        status, out, err = glassnet(*command, "--data", where)
        assert (status, out) == (1, "")
        assert_one_sentence(err)
        for fragment in fragments:
            assert fragment in err
        assert snapshot(in_tmp) == before


def test_debug_shows_where(glassnet: Glassnet) -> None:
    for args, status, error in (
        (("train", "--data", "no/folder"), 1, "MissingFileError"),
        (("train", "--momentum", "0.5"), 2, "ConfigError"),
        (("data", "info", "--data", "no/folder"), 1, "MissingFileError"),
        (("evaluate",), 1, "MissingFileError"),
    ):
        found = glassnet(*args, "--debug")
        assert found[0] == status
        assert found[2].startswith("Traceback (most recent call last):")
        assert error in found[2]
        assert found[2].splitlines()[-1].startswith("glassnet: ")


# ------------------------------------------------------------------------------------------ when things go wrong


def test_divergence_is_told_and_what_was_before_is_kept(glassnet: Glassnet, idx_folder: Path) -> None:
    status, out, err = glassnet(
        "train", "--data", idx_folder, "--learning-rate", "1e30", "--optimizer", "sgd", "--out", "out"
    )
    assert status == 1
    assert_one_sentence(err)
    assert "training diverged at step 2 (epoch 1): the first bad number was" in err
    assert "the parameters from before that step are kept" in err
    assert "results in out" in out
    assert sorted(path.name for path in Path("out").iterdir()) == FILES
    model = load_model("out/model.safetensors")  # which refuses what is not finite
    assert np.isfinite(model.network.theta).all()
    result = json.loads(Path("out/result.json").read_text(), parse_constant=pytest.fail)
    assert result["steps"] == 1
    assert result["images_per_second"] > 0
    assert result["stopped"] + "\n" == err.removeprefix("glassnet: ")
    status, out, err = glassnet("evaluate", "--model", "out/model.safetensors", "--data", idx_folder, "--json")
    assert (status, err) == (0, "")
    json.loads(out, parse_constant=pytest.fail)


def test_a_loss_that_overflows_is_null_in_json(train: Callable[..., dict[str, Any]]) -> None:
    options = ("--loss", "mse", "--output-activation", "identity", "--optimizer", "sgd", "--learning-rate", "1e20")
    result = train(*options, status=1)
    assert result["validation_loss"] is None
    json.loads(Path("out/result.json").read_text(), parse_constant=pytest.fail)


def test_an_interrupt_leaves_what_was_learnt(idx_folder: Path, glassnet: Glassnet) -> None:
    args = ["train", "--data", str(idx_folder), "--hidden", "8", "--batch-size", "1", "--epochs", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "glassnet", *args, "--out", "out"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=subprocess_env(),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not Path("out/history.csv").exists():  # written when the first epoch ends
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    result = json.loads(Path("out/result.json").read_text())
    assert result["stopped"] == "interrupted"
    assert err == f"interrupted after {result['steps']:,} steps; what was learnt so far is saved.\n"
    assert "results in out" in out
    assert sorted(path.name for path in Path("out").iterdir()) == FILES
    with Path("out/history.csv").open(newline="") as file:
        assert int(list(csv.DictReader(file))[-1]["step"]) == result["steps"] >= 270
    facts = json.loads(glassnet("evaluate", "--data", idx_folder, "--json")[1])
    assert facts["accuracy"] == result["test_accuracy"]


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (KeyboardInterrupt(), 130, "glassnet: interrupted before it was done."),
        (MemoryError(), 1, "glassnet: there is not enough memory: take a smaller network, batch or data set."),
        (PermissionError(13, "Permission denied", "runs"), 1,
         "glassnet: the system refused ([Errno 13] Permission denied: 'runs'): look at the folder, its permissions and "
         "the room on the disk."),
        (RuntimeError("a bug"), 1,
         "glassnet: this should not happen, please report it (RuntimeError: a bug); --debug shows where."),
    ],
)  # fmt: skip
def test_whatever_happens_is_told_in_a_sentence(
    glassnet: Glassnet, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, sentence: str
) -> None:
    monkeypatch.setattr("glassnet.config.load", raising(error))
    found = glassnet("train")
    assert found[0] == status
    assert found[2].strip() == sentence
    debugged = glassnet("train", "--debug")
    assert debugged[0] == status
    assert f"Traceback (most recent call last):\n{'':2}File" in debugged[2]


def test_a_disk_that_is_full_is_told_in_a_sentence(
    glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "write_bytes", raising(OSError(28, "No space left on device", "out/model")))
    status, _, err = glassnet("train", "--data", idx_folder, "--max-steps", 1, "--out", "out")
    assert status == 1
    assert_one_sentence(err)
    assert "the system refused ([Errno 28] No space left on device: 'out/model')" in err
    assert sorted(path.name for path in Path("out").iterdir()) == [".lock", "history.csv", "run.toml"]
    assert not Path("runs").exists()


def test_a_real_limit_of_the_system_is_told_in_a_sentence(idx_folder: Path) -> None:
    code = f"""
import resource
from glassnet.cli import main
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
try:
    main(["train", "--data", {str(idx_folder)!r}, "--max-steps", "1", "--out", "out"])
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, env=subprocess_env())
    assert done.returncode == 1
    assert_one_sentence(done.stderr)
    assert "the system refused" in done.stderr
    assert "File too large" in done.stderr
    assert sorted(path.name for path in Path("out").iterdir()) == [".lock", "history.csv", "run.toml"]


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "glassnet", "train", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=subprocess_env(),
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)
    assert b"Traceback" not in err


def test_an_interrupt_while_results_are_written_waits_for_them(
    glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = model_files.save_model

    def interrupted(model: Model, path: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        save(model, path)

    monkeypatch.setattr(model_files, "save_model", interrupted)
    before = signal.getsignal(signal.SIGINT)
    status, out, _ = glassnet("train", "--data", idx_folder, "--epochs", 1, "--out", "out")
    assert status == 130
    assert "results in out" in out
    assert sorted(path.name for path in Path("out").iterdir()) == FILES
    assert Path("runs/latest/result.json").is_file()
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_is_collected_at_the_end() -> None:
    code = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 1000))
import glassnet.cli
print(gc.get_freeze_count())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=subprocess_env())
    assert (done.stdout.split(), done.stderr) == (["0", "True"], "")
