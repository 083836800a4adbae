"""The report of a study: pages that hold together, tables that agree with the statistics, figures for every kind."""

from __future__ import annotations

import csv
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import study_records as made

from glassnet.studies import tables
from glassnet.studies.report import write_report
from glassnet.studies.study import Study, parse_study
from glassnet.studies.summary import Summary

FEW = made.TUNED.replace(str(made.OPTIMIZERS), '["sgd", "adam", "lion"]')
SHALLOW = re.sub(r"initializer = \[.*?\]\n", 'initializer = ["zeros", "glorot-uniform"]\n', made.GRID, flags=re.DOTALL)

VOID = {"meta", "link", "br", "img", "hr", "input", "col", "wbr"}


class Page(HTMLParser):
    """Reads a page as strictly as it can be done in a few lines."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.columns: list[int] = []
        self.titles: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs), (tag, attrs)
        self.tags.append((tag, found))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.columns.append(0)
        if tag in ("th", "td"):
            assert self.open[-2] == "tr"
            self.columns[-1] += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag, (tag, self.getpos())
        if tag == "table":
            assert len(set(self.columns)) == 1
            self.columns.clear()

    def handle_data(self, data: str) -> None:
        if self.open[-2:] == ["svg", "title"]:
            self.titles.append(data)

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [attrs for name, attrs in self.tags if name == tag]


def report(study: Study, records: list[Any], folder: Path) -> tuple[list[Path], str, Page]:
    folder.mkdir(exist_ok=True)
    written = write_report(study, records, folder, command=f"glassnet study run {study.name}")
    assert sorted(folder.iterdir()) == sorted(written)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return written, text, Page(text)


def check(text: str, page: Page) -> None:
    assert text.startswith("<!DOCTYPE html>\n")
    assert page.all("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert not page.all("script")
    assert not page.all("link")
    assert len(set(page.ids)) == len(page.ids)
    for attrs in [attrs for _, attrs in page.tags]:
        for name in ("href", "src", "xlink:href", "aria-labelledby"):
            target = attrs.get(name)
            if name == "aria-labelledby" and target:
                assert target in page.ids
            elif target and target.startswith("#"):
                assert target[1:] in page.ids
            elif target:
                assert re.fullmatch(r"[a-z.]+", target), target  # a file beside the page
    assert "url(http" not in text
    assert "@import" not in text
    assert not [url for url in re.findall(r"https?://[^\"' <>]*", text) if not url.startswith("http://www.w3.org/")]
    for picture in page.all("svg"):
        assert picture["role"] == "img"
    assert len(page.titles) == len(page.all("svg")) == len(page.all("figure")) == len(page.all("figcaption"))
    for title in page.titles:
        assert len(title) > 30
        assert not {"nan", "inf", "None"} & set(re.findall("[A-Za-z]+", title)), title
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(head.get("scope") in ("row", "col") for head in page.all("th"))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], str, Page]:
    study = parse_study(FEW)
    return report(study, made.records_of(study, made.tuned_level), tmp_path_factory.mktemp("tuned"))


def test_a_tuned_study(tuned: tuple[list[Path], str, Page]) -> None:
    written, text, page = tuned
    assert [path.name for path in written] == [
        "report.html",
        "table.csv",
        "table.md",
        "accuracy.png",
        "curves-1.png",
        "curves-2.png",
        "learning-rates.png",
        "pairs.png",
        "speed.png",
    ]
    check(text, page)
    assert len(page.titles) == 6
    assert page.titles[0].startswith("Test accuracy of each cell: sgd 98.22 ± 0.10 %")
    places = [text.index(f'<section id="{part}"') for part in ("results", "figures", "comparisons", "search", "run")]
    assert places == sorted(places)
    assert text.index("<h1>") < text.index('class="question"') < text.index('id="answer"') < places[0]
    for said in ("Example 9000", "glassnet study run optimizers", "records.jsonl", "study.toml", "Learning rate"):
        assert said in text
    assert '"banner"' not in text
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written[3:])


def test_the_same_records_give_the_same_page(tuned: tuple[list[Path], str, Page], tmp_path: Path) -> None:
    study = parse_study(FEW)
    records = [*reversed(made.records_of(study, made.tuned_level))]
    assert report(study, records, tmp_path)[1] == tuned[1]


def test_the_csv_file_is_raw(tuned: tuple[list[Path], str, Page]) -> None:
    with tuned[0][1].open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    study = parse_study(FEW)
    summary = Summary(study, made.records_of(study, made.tuned_level))
    for row, cell in zip(rows, summary.cells, strict=True):
        assert row["optimizer"] == cell.name
        assert float(row["test_accuracy_mean"]) == cell.mean
        assert float(row["test_accuracy_deviation"]) == cell.deviation
        assert float(row["learning_rate"]) == cell.learning_rate
        assert int(row["finished"]) == 10
        assert float(row["accuracy_after_1_epoch_mean"]) == cell.accuracy_at("epoch", 1)[0]
        assert row["published_accuracy"] == ""


def test_the_markdown_table_is_one(tuned: tuple[list[Path], str, Page]) -> None:
    lines = tuned[0][2].read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 3
    assert len({line.count("|") for line in table}) == 1
    assert table[2].startswith("| sgd | 0.003 | 10 | **98.22 ± 0.10** |")


def test_both_rules_side_by_side(tmp_path: Path) -> None:
    study, records = made.example(made.RULES, made.rule_level)
    table = tables.main_table(Summary(study, records))
    assert table.columns[:7] == [
        "Optimizer",
        "Regime",
        "Published, %",
        "Rule of 2019, %",
        "To published, points",
        "True gradient, %",
        "Shortcut gains, points",
    ]
    assert len(table.rows) == 15
    assert table.rows[2][:4] == ["sgd", "full batch", "90.35", "89.67 ± 0.09"]
    _, text, page = report(study, records, tmp_path)
    check(text, page)


def test_both_rules_with_a_run_that_diverged(tmp_path: Path) -> None:
    study, records = made.example(made.RULES, made.rule_level)
    records[0] |= {"outcome": "diverged", "reason": "It met NaN.", "test_accuracy": None}
    table = tables.main_table(Summary(study, records))
    assert table.columns[2] == "Seeds"
    assert [row[2] for row in table.rows[:2]] == ["4 of 5 finished; 5", "5"]
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_a_grid_with_signals(tmp_path: Path) -> None:
    study = parse_study(SHALLOW)
    written, text, page = report(study, made.records_of(study, made.grid_level), tmp_path)
    check(text, page)
    assert [path.name for path in written[3:]] == ["heatmap.png", "signals-1.png", "signals-2.png", "against.png"]


def test_one_seed_and_a_cell_that_diverged(tmp_path: Path) -> None:
    study, records = made.example(made.TINY, made.tiny_level)
    _, text, page = report(dataclasses.replace(study, quick=True), records, tmp_path)
    check(text, page)
    assert "0 of 1 finished" in text
    assert "Training met NaN in the gradient of dense_1.W at step 12." in text
    assert "<b>tags</b>" not in text
    assert "&lt;b&gt;tags&lt;/b&gt; &amp; all?" in text
    assert "A short trial run." in text
    assert "mean nothing" in text


@pytest.mark.parametrize("step", [3, 1000])
def test_a_study_that_is_not_finished(step: int, tmp_path: Path) -> None:
    study = parse_study(FEW)
    _, text, page = report(study, made.records_of(study, made.tuned_level)[::step], tmp_path)
    check(text, page)
    assert "This study is not finished." in text
    assert ("There are 10 of 30 runs so far" if step == 3 else "There are 0 of 30 runs so far") in text


def test_no_record_at_all(tmp_path: Path) -> None:
    for name, text in (("a", made.TUNED), ("b", made.RULES), ("c", made.GRID), ("d", made.TINY)):
        written, page_text, page = report(parse_study(text), [], tmp_path / name)
        assert len(written) == 3
        check(page_text, page)
        assert "This study is not finished." in page_text


def test_lost_runs_are_named(tmp_path: Path) -> None:
    study, records = made.example(made.TINY, made.tiny_level)
    empty: dict[str, list[Any]] = {name: [] for name in records[0]["history"]}
    records = [
        r
        | {
            "outcome": "lost",
            "reason": "Its process ended 3 times.",
            "test_accuracy": None,
            "history": empty,
            "steps": 0,
        }
        for r in records
    ]
    written, text, page = report(study, records, tmp_path)
    check(text, page)
    assert len(written) == 3  # there is nothing to draw
    assert text.count("Its process ended 3 times.") == 2
    assert "2 were lost" in text


def test_a_report_replaces_the_one_before(tmp_path: Path) -> None:
    study, records = made.example(made.TINY, made.tiny_level)
    report(study, records[:1], tmp_path)
    _, text, _ = report(study, records, tmp_path)
    assert "not finished" not in text


def test_figures_of_an_earlier_report_are_removed_and_others_stay(tmp_path: Path) -> None:
    study = parse_study(SHALLOW)
    for name in ("speed.png", "signals-9.png", "photo.png"):
        (tmp_path / name).write_bytes(b"old")
    write_report(study, made.records_of(study, made.grid_level), tmp_path, command="glassnet")
    left = {path.name for path in tmp_path.glob("*.png")}
    assert left == {"heatmap.png", "signals-1.png", "signals-2.png", "against.png", "photo.png"}
