"""glassnet lr-find: a suggestion, its picture, and the command that trains with it."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
from conftest import Glassnet

from glassnet import RunConfig
from glassnet.range_test import find_learning_rate

pytestmark = pytest.mark.usefixtures("in_tmp")


@pytest.fixture
def words(idx_folder: Path) -> tuple[object, ...]:
    return "lr-find", "--data", idx_folder, "--batch-size", 20


def test_it_suggests_a_rate_and_shows_why(glassnet: Glassnet, words: tuple[object, ...], idx_folder: Path) -> None:
    status, out, err = glassnet(*words, "--hidden", 20, "--optimizer", "sgd", "--no-shuffle")
    assert (status, err) == (0, "")
    first, second, third, last = out.splitlines()
    assert re.fullmatch(r"\d+ steps on small with sgd, batches of 20, learning rates of 1e-06 to [\d.]+", first)
    rate = re.fullmatch(r"suggested learning rate ([\d.e-]+)", second)
    assert rate is not None
    assert 0.01 < float(rate[1]) < 5
    train = shlex.split(last.partition(": ")[2])
    assert train == [
        "glassnet", "train", "--data", str(idx_folder), "--hidden", "20", "--optimizer", "sgd", "--batch-size", "20",
        "--no-shuffle", "--learning-rate", rate[1],
    ]  # fmt: skip
    folder = Path(third.removeprefix("results in ").partition(":")[0])
    assert folder.parent == Path("runs")
    assert sorted(path.name for path in folder.iterdir()) == ["lr-find.csv", "lr-find.png"]
    assert (folder / "lr-find.png").read_bytes().startswith(b"\x89PNG")
    assert not Path("runs/latest").exists()
    status, out, err = glassnet(*train[1:], "--epochs", 5)
    assert (status, err) == (0, "")


def test_json_and_csv_say_what_the_library_finds(
    glassnet: Glassnet, words: tuple[object, ...], idx_folder: Path
) -> None:
    given = ("--optimizer", "momentum", "--steps", 60, "--lowest", 1e-4, "--highest", 5, "--seed", 3, "--out", "out")
    status, out, err = glassnet(*words, *given, "--json")
    assert (status, err) == (0, "")
    facts = json.loads(out, parse_constant=pytest.fail)
    config = RunConfig(data=str(idx_folder), optimizer="momentum", batch_size=20, seed=3)
    data = config.load_data()
    found = find_learning_rate(
        config.make_network(data), data, config.make_optimizer(60, 270), config.make_loss(),
        batch_size=20, steps=60, lowest=1e-4, highest=5, seed=3,
    )  # fmt: skip
    assert (facts["rates"], facts["suggestion"]) == (found.rates, found.suggestion)
    assert (facts["losses"], facts["smoothed"]) == (found.losses, found.smoothed)
    assert facts["folder"] == "out"
    assert facts["train"].endswith(f"--seed 3 --learning-rate {found.suggestion:.2g}")
    with Path("out/lr-find.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
    for column, values in (("learning_rate", found.rates), ("loss", found.losses), ("smoothed_loss", found.smoothed)):
        assert [float(row[column]) for row in rows] == values


def test_the_settings_of_a_run_are_taken(glassnet: Glassnet, idx_folder: Path) -> None:
    assert glassnet("train", "--data", idx_folder, "--batch-size", 20, "--schedule", "cosine", "--warmup", 20,
                    "--out", "my run", "--quiet")[0] == 0  # fmt: skip
    status, out, err = glassnet("lr-find", "--config", "my run", "--optimizer", "nadam", "--verbose")
    assert (status, err) == (0, "")
    assert "with nadam, batches of 20" in out
    assert "dense_1 (Dense)" in out
    assert "running mean" in out
    assert "glassnet train --config 'my run' --optimizer nadam --learning-rate 0" in out.splitlines()[-1]


def test_where_nothing_can_be_learnt_it_says_so(glassnet: Glassnet, words: tuple[object, ...]) -> None:
    given = ("--lowest", 1e-12, "--highest", 1e-11, "--out", "out")
    status, out, err = glassnet(*words, *given)
    assert status == 1
    assert err.startswith("glassnet: there is no learning rate to suggest: the loss ")
    assert err.count("\n") == 1
    assert "train with it" not in out
    assert Path("out/lr-find.png").is_file()
    status, out, err = glassnet(*words, *given, "--force", "--json")
    assert (status, err) == (1, "")
    facts = json.loads(out)
    assert (facts["suggestion"], facts["train"]) == (None, None)
    assert facts["reason"]


def test_results_are_not_overwritten_without_force(glassnet: Glassnet, words: tuple[object, ...]) -> None:
    given = (*words, "--steps", 40, "--out", "out")
    assert glassnet(*given)[0] == 0
    status, out, err = glassnet(*given)
    assert (status, out) == (2, "")
    assert "--force" in err
    assert glassnet(*given, "--force")[0] == 0


def test_the_command_to_train_with_says_it_all(
    glassnet: Glassnet, words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glassnet.plots.figure_makers", lambda *args, **kwargs: {})
    more = ("--input-range", "-1,1", "--optimizer", "rmsprop", "--epsilon-outside-root", "--bias-initializer", "normal")
    status, out, _ = glassnet(*words, *more, "--json")
    assert status == 0
    train = shlex.split(json.loads(out)["train"])[1:]
    assert glassnet(*train, "--out", "trained", "--max-steps", 2)[0] == 0
    found = RunConfig.from_toml("trained")
    assert (found.input_range, found.epsilon_in_root, found.bias_initializer) == ((-1.0, 1.0), False, "normal")


def test_quiet(glassnet: Glassnet, words: tuple[object, ...]) -> None:
    assert glassnet(*words, "--quiet") == (0, "", "")


def test_a_folder_where_the_picture_belongs_is_said_at_once(glassnet: Glassnet, idx_folder: Path, in_tmp: Path) -> None:
    (in_tmp / "out" / "lr-find.png").mkdir(parents=True)
    status, out, err = glassnet("lr-find", "--data", idx_folder, "--out", "out", "--force")
    assert (status, out) == (2, "")
    assert "lr-find.png is a folder" in err
