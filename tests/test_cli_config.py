"""run.toml: every run writes it, and from it the same run comes again, bit for bit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Glassnet, write_idx_folder

from glassnet import RunConfig, load_model
from glassnet.cli import runs

pytestmark = pytest.mark.usefixtures("in_tmp")

Values = dict[str, Any]


@pytest.fixture
def train(glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Values]:
    """Train a small network without figures, into a folder; return what run.toml says."""
    monkeypatch.setattr("glassnet.plots.figure_makers", lambda *args, **kwargs: {})

    def call(*args: object, out: str = "out") -> Values:
        status, _, err = glassnet("train", "--data", idx_folder, "--hidden", 8, "--epochs", 2, "--out", out, *args)
        assert (status, err) == (0, "")
        return values_of(out)

    return call


def values_of(folder: str) -> Values:
    return tomllib.loads(Path(folder, "run.toml").read_text(encoding="utf-8"))


def model_of(folder: str) -> bytes:
    return Path(folder, "model.safetensors").read_bytes()


# ------------------------------------------------------------------------------------------ the same again


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "options",
    [
        "",
        "--max-steps 4",
        "--batch-size full --threads 2",
        "--batch-size 250",  # more than one thread by default, and an incomplete batch
        "--schedule constant --warmup 3 --batch-size 100",
        "--schedule step",
        "--schedule exponential",
        "--schedule inverse-time",
        "--schedule polynomial --warmup 1",
        "--schedule cosine",
        "--schedule cosine-restarts",
        "--reduce-on-plateau 1 --epochs 6 --learning-rate 0.5",
        "--optimizer schedule-free-adamw",
        "--optimizer muon --weight-decay 0.1",
        "--optimizer sgd --loss-reduction sum --no-validation",
        "--optimizer adan --beta1 0.7 --beta3 0.8 --clip-norm 0.1 --clip-value 0.01 --l2 0.001",
        "--class-weights balanced --label-smoothing 0.1",
        "--class-weights 1,2,3,4,5,6,7,8,9,0.1 --validation 0",
        "--hidden= --loss mse --no-shuffle --seed 4294967295",
        "--input-range 0.01,1 --bias-initializer normal:0.1 --loss mse --label-smoothing 0.02",
        "--input-range -1,1 --workers 2",
        "--optimizer nesterov --momentum-form sum",
        "--optimizer rmsprop --epsilon-in-root",
        "--hidden 9,7 --freeze dense_1,dense_3 --activation gelu --initializer normal:0.1",
    ],
)
def test_a_run_repeated_from_its_file_gives_the_same_model(
    train: Callable[..., Values], glassnet: Glassnet, options: str
) -> None:
    values = train(*options.split())
    status, _, err = glassnet("train", "--config", "out/run.toml", "--out", "again")
    assert (status, err) == (0, "")
    assert model_of("again") == model_of("out")
    assert values_of("again") == values


def test_a_folder_that_was_moved_repeats_from_anywhere(
    train: Callable[..., Values], glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(idx_folder.parent)
    status, _, _ = glassnet("train", "--data", idx_folder.name, "--hidden", 8, "--out", tmp_path / "first")
    shutil.rmtree("runs")
    assert status == 0
    monkeypatch.chdir(tmp_path)
    Path("elsewhere").mkdir()
    Path("first").rename("elsewhere/moved")
    monkeypatch.chdir("elsewhere")
    assert glassnet("train", "--config", "moved", "--out", "again")[0] == 0  # the folder in place of the file
    assert model_of("again") == model_of("moved")
    assert Path(values_of("again")["data"]) == idx_folder.resolve()


@pytest.mark.no_cover
def test_another_process_gives_the_same_bits(train: Callable[..., Values]) -> None:
    train("--batch-size", 250, "--threads", 1)
    words = [sys.executable, "-m", "glassnet", "train", "--config", "out", "--out", "again", "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "2"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert model_of("again") == model_of("out")


def test_the_newest_run_can_be_repeated_by_its_pointer(
    train: Callable[..., Values], glassnet: Glassnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out="runs/one")
    for _ in range(2):
        assert glassnet("train", "--config", "runs/latest", "--out", "again", "--force")[0] == 0
        assert model_of("again") == model_of("runs/one")
        runs.LATEST.unlink()
        runs.LATEST.write_text("one\n")  # where links do not work


def test_a_run_that_is_cut_off_leaves_its_file(
    glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(RunConfig, "follow", fail)
    assert glassnet("train", "--data", idx_folder, "--out", "out")[0] == 1
    assert values_of("out")["optimizer"] == "adam"


def test_what_the_file_looks_like(train: Callable[..., Values], idx_folder: Path) -> None:
    values = train("--optimizer", "momentum", "--seed", 3)
    text = Path("out/run.toml").read_text(encoding="utf-8")
    assert text.startswith("# All settings of a run, written by glassnet ")
    assert "glassnet train --config run.toml" in text.splitlines()[1]
    assert values == {
        "data": str(idx_folder.resolve()), "classes": 10, "validation": 30, "validate": True,
        "input_range": [0.0, 1.0], "hidden": [8],
        "activation": "relu", "output_activation": "softmax", "initializer": "auto",
        "bias_initializer": "zeros", "frozen": [],
        "loss": "softmax-crossentropy", "loss_reduction": "mean", "label_smoothing": 0.0, "optimizer": "momentum",
        "learning_rate": 0.15, "momentum": 0.9, "momentum_form": "classical", "l2": 0.0,
        "weight_decay": 0.0, "schedule": "onecycle",
        "batch_size": 200, "epochs": 2, "shuffle": True, "seed": 3, "workers": 1, "threads": 1,
    }  # fmt: skip


def test_the_range_of_the_inputs_is_a_part_of_the_model(train: Callable[..., Values], glassnet: Glassnet) -> None:
    train("--input-range", "-3,5", "--validation", 30)
    model = load_model("out/model.safetensors")
    assert model.preprocessing.apply(np.array([[0, 255]], np.uint8)).round(5).tolist() == [[-3.0, 5.0]]
    status, out, _ = glassnet("evaluate", "--model", "out/model.safetensors", "--json")
    facts = json.loads(Path("out/result.json").read_text(encoding="utf-8"))
    assert status == 0
    assert json.loads(out)["accuracy"] == facts["test_accuracy"]
    assert json.loads(out)["loss"] == pytest.approx(facts["test_loss"], rel=1e-5)


@pytest.mark.parametrize("text", ["1", "0,1,2", "a,b", "1,0", "0,nan", "0,inf", ""])
def test_a_range_that_is_none_is_refused(glassnet: Glassnet, text: str) -> None:
    status, _, err = glassnet("train", "--input-range", text)
    assert status == 2
    assert "--input-range" in err


# ------------------------------------------------------------------------------------------ what is overridden


def test_the_line_overrides_the_file(train: Callable[..., Values], glassnet: Glassnet) -> None:
    train("--beta1", 0.8, "--learning-rate", 0.01, "--no-shuffle", "--no-validation")
    repeat = ("train", "--config", "out", "--out", "again", "--force")
    assert glassnet(*repeat, "--hidden", "5,4", "--shuffle", "--validate", "--seed", 7)[0] == 0
    changed = {"hidden": [5, 4], "shuffle": True, "validate": True, "seed": 7}
    assert values_of("again") == values_of("out") | changed
    assert glassnet(*repeat, "--optimizer", "sgd", "--schedule", "cosine")[0] == 0
    found = values_of("again")
    assert (found["optimizer"], found["learning_rate"], found["schedule"]) == ("sgd", 0.8, "cosine")
    assert not {"beta1", "beta2", "epsilon"} & set(found)
    assert glassnet(*repeat, "--optimizer", "sgd", "--learning-rate", 0.25, "--loss", "mse")[0] == 0
    found = values_of("again")
    assert (found["learning_rate"], found["loss"], found["output_activation"]) == (0.25, "mse", "sigmoid")


def test_a_default_that_is_given_overrides_too(train: Callable[..., Values], glassnet: Glassnet) -> None:
    train("--epochs", 1, "--batch-size", 50)
    assert glassnet("train", "--config", "out", "--out", "again", "--batch-size", 100)[0] == 0
    assert (values_of("again")["batch_size"], values_of("again")["epochs"]) == (100, 1)


def test_a_sum_over_larger_batches_learns_as_with_the_default(train: Callable[..., Values], glassnet: Glassnet) -> None:
    summed = ("--optimizer", "sgd", "--loss-reduction", "sum")
    assert train(*summed)["learning_rate"] == pytest.approx(0.004)  # 0.8 over batches of 200
    assert glassnet("train", "--config", "out", "--batch-size", 250, "--out", "again")[0] == 0
    assert values_of("again")["learning_rate"] == pytest.approx(0.0032)


def test_the_same_data_by_another_name_keep_the_split(
    train: Callable[..., Values], glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("--validation", 70)
    folder = Path("out").resolve()
    monkeypatch.chdir(idx_folder.parent)
    assert glassnet("train", "--config", folder, "--data", idx_folder.name, "--out", folder / "again")[0] == 0
    assert values_of(f"{folder / 'again'}")["validation"] == 70


def test_other_data_bring_their_own_split(train: Callable[..., Values], glassnet: Glassnet) -> None:
    train("--validation", 70)
    write_idx_folder(Path("other"), train=200)
    assert glassnet("train", "--config", "out", "--data", "other", "--out", "again")[0] == 0
    assert values_of("again")["validation"] == 20


@pytest.mark.parametrize(
    ("text", "args", "status", "fragments"),
    [
        ("epochs = 3", ["--optimizer", "sgd", "--beta1", "0.5"], 2, ["beta1 is a setting of the optimizer"]),
        ("epoch = 3", [], 2, ["mine.toml: a configuration has no epoch"]),
        ("epochs = 'x'", [], 2, ["mine.toml: epochs must be a whole number"]),
        ("epochs = \n", [], 2, ["mine.toml is no TOML", "line 1"]),
        ("data = 'nowhere/at-all'", [], 1, ["nowhere/at-all does not exist"]),
        ("seed = 99999999999999999999999", [], 2, ["mine.toml has a whole number of more than 64 bits"]),
        ("seed = 4294967296", [], 2, ["mine.toml: seed must be a whole number of 0 to 4,294,967,295"]),
        ("learning_rate = 1e999", [], 2, ["mine.toml: learning_rate must be a finite number"]),
        ("validation = 1" + "0" * 18, [], 2, ["mine.toml: validation must be a whole number of 0 to 4,294,967,295"]),
        ('"\\u001b]0;owned\\u0007" = 3', [], 2, [r"a configuration has no \x1b]0;owned\x07"]),
        (None, [], 1, ["mine.toml: there is no such file"]),
    ],
)
def test_a_file_with_mistakes_gets_one_sentence(
    glassnet: Glassnet, in_tmp: Path, text: str | None, args: list[str], status: int, fragments: list[str]
) -> None:
    if text is not None:
        Path("mine.toml").write_text(text)
    for command in ("train", "lr-find"):
        found = glassnet(command, "--config", "mine.toml", *args)
        assert found[:2] == (status, "")
        assert found[2].startswith("glassnet: ")
        assert found[2].count("\n") == 1
        for fragment in fragments:
            assert fragment in found[2]
    assert not Path("runs").exists()


def test_evaluate_reads_the_file(train: Callable[..., Values], glassnet: Glassnet, idx_folder: Path) -> None:
    train("--validation", 70)
    status, out, _ = glassnet("evaluate", "--model", "out/model.safetensors", "--split", "validation")
    assert status == 0
    assert "on the 70 validation samples of small" in out
    evaluated = out
    Path("out/result.json").unlink()
    assert glassnet("evaluate", "--model", "out/model.safetensors", "--split", "validation")[1] == out
    Path("out/run.toml").write_text("data = 3")
    status, out, err = glassnet("evaluate", "--model", "out/model.safetensors")
    assert (status, out) == (2, "")
    assert "run.toml: data must be a text, not 3" in err
    given = ("--data", idx_folder, "--validation", 70, "--split", "validation")
    assert glassnet("evaluate", "--model", "out/model.safetensors", *given) == (
        0, evaluated, ""
    )  # fmt: skip
    Path("out/run.toml").unlink()  # then it is MNIST
    assert "reads samples of shape (6, 5)" in glassnet("evaluate", "--model", "out/model.safetensors")[2]


def test_the_file_runs_from_python(train: Callable[..., Values]) -> None:
    train("--optimizer", "nadam")
    config = RunConfig.from_toml("out")
    result = config.follow(config.make_training(config.load_data()))
    from glassnet import load_model

    np.testing.assert_array_equal(result.model.network.theta, load_model("out/model.safetensors").network.theta)
