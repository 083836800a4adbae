"""``glassnet study`` as its users type it."""

import csv
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Glassnet

from glassnet.studies import find_study, shipped

pytestmark = pytest.mark.usefixtures("in_tmp")

SMALL = """
name = "small"
question = "Which of two learning rates is better?"
seeds = 2
[run]
hidden = [8]
max_steps = 3
[grid]
learning_rate = [0.001, 0.01]
[report]
plots = [{ kind = "accuracy" }]
answers = [{ kind = "best" }]
"""


@pytest.fixture
def small() -> str:
    Path("small.toml").write_text(SMALL, encoding="utf-8")
    return "small.toml"


def test_list_says_what_there_is(glassnet: Glassnet) -> None:
    status, out, err = glassnet("study", "list")
    assert (status, err) == (0, "")
    for name in shipped():
        assert name in out
    status, out, _ = glassnet("study", "list", "--json")
    facts = json.loads(out)
    assert [study["name"] for study in facts] == shipped()
    assert (facts[0]["runs"], facts[0]["seconds"] > 3600) == (96, True)


def test_a_study_of_ones_own_is_run_reported_and_not_run_again(glassnet: Glassnet, small: str) -> None:
    status, out, err = glassnet("study", "run", small, "--jobs", 1)
    assert (status, err) == (0, "")
    folder = Path("studies/small")
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "accuracy.png", "records.jsonl.gz", "report.html", "study.toml", "table.csv", "table.md",
    }  # fmt: skip
    assert "results in studies/small: report.html" in out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Which of two learning rates is better?" in page
    assert "glassnet study run small.toml" in page
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert (folder / "study.toml").read_text(encoding="utf-8") == SMALL
    before = (folder / "records.jsonl.gz").read_bytes()
    status, out, _ = glassnet("study", "run", small)
    assert status == 0
    assert "small: 4 of 4 runs are there already" in out
    assert (folder / "records.jsonl.gz").read_bytes() == before
    (folder / "report.html").unlink()
    assert glassnet("study", "report", small)[0] == 0
    assert (folder / "report.html").is_file()


def test_more_seeds_are_added_to_those_that_are_there(glassnet: Glassnet, small: str) -> None:
    glassnet("study", "run", small, "--seeds", 1, "--jobs", 1, "--out", "here", "--quiet")
    status, out, _ = glassnet("study", "run", small, "--seeds", 2, "--jobs", 1, "--out", "here")
    assert status == 0
    assert "2 of 4 runs are there already" in out
    status, out, _ = glassnet("study", "report", small, "--seeds", 3, "--out", "here")
    assert "2 runs have no record yet" in out
    status, out, _ = glassnet("study", "report", small, "--seeds", 1, "--out", "here")
    assert "2 records in here belong to no run of this study" in out


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("run", "nothing"), 1, "there is no study 'nothing': name one of optimizers-2019"),
        (("run", "small.toml", "--jobs", 2, "--dask", "tcp://127.0.0.1:1"), 2, "leave one of them out"),
        (("run", "bad.toml"), 2, "bad.toml: there is no rule"),
        (("report", "small.toml", "--out", "nowhere"), 1, "there are no results in nowhere: 'glassnet study run'"),
        (("report", "optimizers", "--out", "other"), 2, "of the study small, not of the study optimizers"),
    ],
)
def test_mistakes_are_one_sentence(
    glassnet: Glassnet, small: str, words: tuple[object, ...], status: int, sentence: str
) -> None:
    Path("bad.toml").write_text(SMALL.replace("hidden", 'rule = "?"\nhidden'), encoding="utf-8")
    Path("other").mkdir()
    Path("other/study.toml").write_text(SMALL, encoding="utf-8")
    found, out, err = glassnet("study", *words)
    assert found == status
    assert sentence in err.replace("bad.toml: cell 0.001: there", "bad.toml: there")
    assert err.count("\n") == 1
    assert out == ""


@pytest.mark.no_cover
@pytest.mark.parametrize("name", shipped())
def test_a_trial_of_a_shipped_study_gives_a_whole_report(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "glassnet", "study", "run", name, "--quick"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "its figures mean nothing" in done.stdout
    folder = Path("studies") / f"{name}-quick"
    study = find_study(name).trial()
    records = [json.loads(line) for line in gzip.decompress((folder / "records.jsonl.gz").read_bytes()).splitlines()]
    assert {record["outcome"] for record in records} == {"finished"}
    final = [record for record in records if record["phase"] == "final"]
    assert len(final) == len(study.cells) * study.seeds
    reached = any((record["history"]["validation_accuracy"][-1] or 0) >= 0.9 for record in final)
    drawn = [plot["kind"] for plot in study.plots if plot["kind"] != "speed" or reached]
    assert sorted(re.sub(r"-\d+$", "", path.stem) for path in folder.glob("*.png")) == sorted(drawn)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == len(drawn)
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(study.cells)
