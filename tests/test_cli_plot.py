"""``glassnet plot`` as a person meets it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from glassnet import RunConfig, plots
from glassnet.cli import main, plot
from glassnet.history import COLUMNS, History, history_csv

pytestmark = pytest.mark.usefixtures("in_tmp")

SGD = {"optimizer": "sgd"}
Glassnet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def glassnet(capsys: pytest.CaptureFixture[str]) -> Glassnet:
    """Call ``glassnet plot``, and return its exit status and what it printed."""

    def call(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["plot", *map(str, args)])
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, out, err

    return call


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    figures: list[Figure] = []
    save = plots.save

    def keep(figure: Figure, path: Path) -> None:
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(plots, "save", keep)
    return figures


def make_run(name: str, length: int = 2, columns: dict[str, list[float]] | None = None, **settings: Any) -> Path:
    """Make a folder with the history and the configuration of a run."""
    folder = Path(name)
    folder.mkdir(parents=True)
    history: History = {column: [1 / (i + 1) for i in range(length)] for column in COLUMNS}
    history |= {"epoch": list(range(1, length + 1)), "step": list(range(length))} | (columns or {})
    (folder / "history.csv").write_text(history_csv(history), encoding="utf-8")
    if settings:
        (folder / "run.toml").write_text(RunConfig(**settings).to_toml(), encoding="utf-8")
    return folder


def names_in(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def assert_one_sentence(err: str) -> None:
    assert err.startswith("glassnet: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1


def test_all_that_is_in_runs_is_drawn_once(glassnet: Glassnet) -> None:
    make_run("runs/one", optimizer="sgd")
    make_run("runs/two", optimizer="adam")
    Path("runs/latest").symlink_to("two", target_is_directory=True)
    Path("runs/range").mkdir()
    Path("runs/range/lr-find.csv").write_text("step\n")
    assert glassnet(*sorted(Path("runs").iterdir())) == (0, "comparison.png shows sgd, adam\n", "")
    status, _, err = glassnet("runs/one", "runs/nothere", "--force")
    assert status == 1
    assert "runs/nothere" in err


def test_runs_are_drawn_together_and_named_by_what_differs(glassnet: Glassnet, drawn: list[Figure]) -> None:
    make_run("one", columns={"validation_loss": [0.5, 0.25]}, optimizer="sgd", learning_rate=0.5)
    make_run("two", optimizer="adam")
    assert glassnet("one", "two") == (0, "comparison.png shows sgd, adam\n", "")
    assert Path("comparison.png").read_bytes().startswith(b"\x89PNG\r\n")
    (figure,) = drawn
    assert names_in(figure) == ["sgd", "adam"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["validation loss", "validation accuracy in %"]
    line = figure.axes[0].get_lines()[0]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 2], [0.5, 0.25])


def test_one_run_is_drawn_as_its_learning_curve(glassnet: Glassnet, drawn: list[Figure]) -> None:
    make_run("one")
    assert glassnet("one", "--title", "$x") == (0, "learning-curve.png shows one\n", "")
    loss, accuracy = drawn[0].axes
    assert [line.get_label() for line in loss.get_lines()] == ["training", "validation"]
    assert accuracy.get_ylabel() == "accuracy in %"
    assert drawn[0].get_suptitle() == "$x"


def test_one_run_and_a_quantity_is_a_comparison_of_one(glassnet: Glassnet, drawn: list[Figure]) -> None:
    make_run("one")
    assert glassnet("one", "--quantity", "learning_rate")[1] == "comparison.png shows one\n"
    assert [axes.get_ylabel() for axes in drawn[0].axes] == ["learning rate"]


def test_without_a_run_it_is_the_newest(glassnet: Glassnet, drawn: list[Figure]) -> None:
    make_run("runs/first", length=3)
    make_run("runs/second", length=4)
    Path("runs/latest").symlink_to("first", target_is_directory=True)
    assert glassnet() == (0, "learning-curve.png shows first\n", "")
    Path("runs/latest").unlink()
    Path("runs/latest").write_text("second\n", encoding="utf-8")  # where links do not work
    assert glassnet("--force")[1] == "learning-curve.png shows second\n"
    assert glassnet("--out", "b.png", "runs/latest")[1] == "b.png shows second\n"
    assert [len(figure.axes[0].get_lines()[0].get_xdata()) for figure in drawn] == [3, 4, 4]


@pytest.mark.parametrize(
    "text", ["", "third", "//server/share", "\\\\server\\share", "a\nb", "\0", "\xff", "a" * 10**6]
)
def test_a_text_that_names_no_run_is_refused(glassnet: Glassnet, text: str) -> None:
    make_run("runs/first")
    Path("runs/latest").write_text(text, encoding="latin-1")
    status, out, err = glassnet("runs/latest")
    assert (status, out) == (1, "")
    assert_one_sentence(err)
    assert "runs/latest names no folder that is there" in err.replace("\\", "/")


def test_without_any_run_that_is_said(glassnet: Glassnet) -> None:
    status, out, err = glassnet()
    assert (status, out) == (1, "")
    assert_one_sentence(err)
    assert "there is no run in runs" in err


@pytest.mark.parametrize(
    ("ending", "begins"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG"), ("PNG", b"\x89PNG")]
)
def test_the_ending_says_the_format(glassnet: Glassnet, ending: str, begins: bytes) -> None:
    make_run("one")
    assert glassnet("one", "--out", f"picture.{ending}")[0] == 0
    assert Path(f"picture.{ending}").read_bytes().startswith(begins)


def test_nothing_is_replaced_unless_asked(glassnet: Glassnet) -> None:
    make_run("one")
    Path("learning-curve.png").write_text("mine")
    status, out, err = glassnet("one")
    assert (status, out, Path("learning-curve.png").read_text()) == (2, "", "mine")
    assert err == (
        "glassnet: learning-curve.png is there already: name another file with --out, or add --force to replace it.\n"
    )
    assert glassnet("one", "--force")[0] == 0
    assert Path("learning-curve.png").read_bytes().startswith(b"\x89PNG")


def test_training_is_drawn_where_nothing_was_validated(glassnet: Glassnet, drawn: list[Figure]) -> None:
    nothing = [math.nan, math.nan]
    for name in ("one", "two"):
        make_run(name, columns={"validation_loss": nothing, "validation_accuracy": nothing})
    assert glassnet("one", "two")[0] == 0
    assert [axes.get_ylabel() for axes in drawn[0].axes] == ["training loss", "training accuracy in %"]
    make_run("three")
    assert glassnet("one", "three", "--force")[0] == 0
    assert [axes.get_ylabel() for axes in drawn[1].axes] == ["validation loss", "validation accuracy in %"]
    assert names_in(drawn[1]) == ["three"]


def test_labels_name_the_runs_in_their_order(glassnet: Glassnet, drawn: list[Figure]) -> None:
    make_run("one", optimizer="sgd")
    make_run("two")
    assert glassnet("one/history.csv", "two", "--label", "_a$", "--label", "b") == (
        0,
        "comparison.png shows _a$, b\n",
        "",
    )
    assert names_in(drawn[0]) == ["_a$", "b"]


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["nowhere"], 1, "nowhere: there is no such file"),
        (["empty"], 1, "empty has no history.csv"),
        (["broken"], 1, "is no history of a training"),
        (["begun"], 1, "has no epoch yet"),
        (["one", "one"], 2, "2 runs need as many different names, and there are 1"),
        (["one", "two", "--label", "a"], 2, "2 runs need as many different names, and there are 1"),
        (["one", "two", "--label", "a", "--label", "a"], 2, "2 runs need as many different names"),
        (["one", "--out", "picture.gif"], 2, "picture.gif has none of the endings .png, .svg, .pdf"),
        (["one", "--out", "picture"], 2, "has none of the endings"),
        (["one", "--out", "no/picture.png"], 1, "the folder no does not exist"),
        (["one", "--out", "folder.png"], 2, "folder.png is a folder"),
        (["one", "--quantity", "speed"], 2, "'speed' is not one of 'train_loss'"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_no_picture(
    glassnet: Glassnet, args: list[str], status: int, says: str
) -> None:
    make_run("one")
    make_run("two")
    make_run("begun", length=0)
    for name in ("empty", "broken", "folder.png"):
        Path(name).mkdir()
    Path("broken/history.csv").write_text("5,0,0\n")
    found, out, err = glassnet(*args)
    assert (found, out) == (status, "")
    assert_one_sentence(err)
    assert says in err
    assert not [path for path in Path().glob("*.*") if path.is_file()]


def test_debug_shows_the_traceback(glassnet: Glassnet) -> None:
    assert "Traceback" in glassnet("nowhere", "--debug")[2]


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ([{"optimizer": "sgd"}, {"optimizer": "adam", "beta1": 0.8}], ["sgd", "adam"]),
        ([{"optimizer": "sgd", "learning_rate": 0.5}, {"optimizer": "sgd", "learning_rate": 0.1}],
         ["learning rate 0.5", "learning rate 0.1"]),
        ([SGD | {"learning_rate": 0.5}, SGD | {"learning_rate": 0.1}, {"learning_rate": 0.5}],
         ["sgd, learning rate 0.5", "sgd, learning rate 0.1", "adam, learning rate 0.5"]),
        ([{"hidden": (30,)}, {"hidden": (100, 50)}, {"hidden": ()}], ["hidden 30", "hidden 100-50", "hidden unset"]),
        ([{"activation": "tanh", "seed": 1}, {"activation": "tanh", "seed": 2}], ["seed 1", "seed 2"]),
        ([{"shuffle": True}, {"shuffle": False}], ["shuffle", "no shuffle"]),
        ([{"max_steps": 5}, {"epochs": 5}], ["max steps 5", "max steps unset"]),
        ([{"seed": 1}, {"seed": 1}], ["run 0", "run 1"]),
        ([{"seed": 1, "epochs": 3, "batch_size": 7, "hidden": (8,)}, {"seed": 2, "epochs": 4}], ["run 0", "run 1"]),
    ],
)  # fmt: skip
def test_runs_are_named_by_the_settings_that_differ(settings: list[dict[str, Any]], names: list[str]) -> None:
    folders = [make_run(f"run {i}", **values) for i, values in enumerate(settings)]
    assert plot.names_of([folder / "history.csv" for folder in folders]) == names


def test_where_no_settings_are_known_folders_name_the_runs() -> None:
    for name in ("a/run", "b/run"):
        make_run(name)
    assert plot.names_of([Path("a/run/history.csv")]) == ["run"]
    files = [Path("a/run/history.csv"), Path("b/run/history.csv")]
    assert plot.names_of(files) == [str(file) for file in files]
    assert plot.names_of([Path("a/one.csv"), Path("a/two.csv")]) == ["one", "two"]


def test_the_settings_are_found_in_older_runs_too(in_tmp: Path) -> None:
    config = {"optimizer": "sgd"}
    (in_tmp / "result.json").write_text(json.dumps({"config": config}))
    assert plot.config_of(in_tmp) == config
    for odd in ('{"config": 3}', "{}", "[1]", "no json", "[" * 100_000):
        (in_tmp / "result.json").write_text(odd)
        assert plot.config_of(in_tmp) == {}
    (in_tmp / "run.toml").write_text("optimizer = 'none such'")
    assert plot.config_of(in_tmp) == {}


def test_every_setting_that_goes_by_a_special_name_is_one_of_a_run() -> None:
    names = {field.name for field in dataclasses.fields(RunConfig)}
    assert {*plot._SPEAKS_FOR_ITSELF, *plot._OF_THE_OPTIMIZER} <= names


def test_the_quantities_are_those_that_can_be_drawn() -> None:
    assert list(plots.QUANTITIES) == plot.QUANTITIES
    assert set(plot.QUANTITIES) < set(COLUMNS)
