"""The report of a study: pages that hold together, tables that agree with the statistics, figures for every kind."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import study_records as made

from glassnet.studies import tables
from glassnet.studies.drawings import Drawing, drawings_of
from glassnet.studies.raw import raw_csv
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


@pytest.mark.no_cover
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
        assert float(row["accuracy_after_1_epoch_mean"]) == cell.accuracy_at("epoch", 1).mean
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
    records = made.records_of(study, made.tuned_level)
    searches, finals = ([r for r in records if r["phase"] == phase] for phase in ("search", "final"))
    _, text, page = report(study, [*searches, *finals[1::step]], tmp_path)
    check(text, page)
    assert "This study is not finished." in text
    assert ("There are 10 of 30 runs so far" if step == 3 else "There is 1 of 30 runs so far") in text
    assert "63 runs that search for learning rates" in text


def test_final_runs_count_once_their_search_is_at_its_end() -> None:
    study = parse_study(FEW)
    records = made.records_of(study, made.tuned_level)
    assert Summary(study, records[1:]).found == 20  # a run of the search for sgd is missing
    assert Summary(study, records).found == 30


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


@pytest.mark.no_cover
def test_figures_of_an_earlier_report_are_removed_and_others_stay(tmp_path: Path) -> None:
    study = parse_study(SHALLOW)
    for name in ("speed.png", "signals-9.png", "photo.png"):
        (tmp_path / name).write_bytes(b"old")
    write_report(study, made.records_of(study, made.grid_level), tmp_path, command="glassnet")
    left = {path.name for path in tmp_path.glob("*.png")}
    assert left == {"heatmap.png", "signals-1.png", "signals-2.png", "against.png", "photo.png"}


def test_how_many_had_an_epoch_by_then_and_times_with_their_spread(tmp_path: Path) -> None:
    study = parse_study(FEW.replace("at_epochs = 1", "at_seconds = 1.5"))
    records = made.records_of(study, made.tuned_level)
    for record in records:
        if record["phase"] == "final":
            slow = 1.0 if record["seed"] == 0 else 0.0  # the first seed is 1 s later
            times = [1.0 + slow, 2.0 + slow, 3.0 + slow, 4.0 + slow, 5.0 + slow]
            record["history"] |= {"train_seconds": times, "validation_accuracy": [0.5, 0.905, 0.91, 0.92, 0.93]}
    summary = Summary(study, records)
    table = tables.main_table(summary)
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["After 1.5 s, %"] == "50.00 ± 0.00 (9 of 10)"
    # one time of 3 and nine of 2: mean 2.1, deviation sqrt((0.81 + 9 * 0.01) / 9) = 0.316
    assert row["To 90 %, s"] == "2.10 ± 0.32"
    raw = next(csv.DictReader(io.StringIO(raw_csv(summary))))
    assert (raw["accuracy_after_1.5_s_mean"], raw["accuracy_after_1.5_s_runs"]) == ("0.5", "9")
    assert float(raw["seconds_to_90_deviation"]) == pytest.approx(0.1**0.5)


def test_both_rules_have_a_table_of_times() -> None:
    study, records = made.example(made.RULES, made.rule_level)
    table = tables.times_table(Summary(study, records))
    assert table is not None
    assert table.columns == ["Optimizer", "Regime", "Rule", "Seeds", "To 90 %, s", "To 95 %, s", "To 97 %, s"]
    assert len(table.rows) == 30
    assert [row[:4] for row in table.rows[:2]] == [
        ["sgd", "stochastic", "2019", "5"],
        ["sgd", "stochastic", "true gradient", "5"],
    ]
    assert "on the training samples as met" in table.caption
    assert tables.times_table(Summary(*made.example(made.TINY, made.tiny_level))) is None


def test_what_fell_short_of_the_published_accuracy_comes_with_evidence(tmp_path: Path) -> None:
    study, records = made.example(made.RULES, made.rule_level)
    own = [r for r in records if r["cell"] == {"rule": "2019", "optimizer": "sgd", "regime": "full batch"}]
    for record in own:  # 20 epochs, the last two of which rise by 0.002, or not at all with the seeds 3 and 4
        last = 0.899 if record["seed"] < 3 else 0.897
        record["test_accuracy"] = 0.89
        record["history"] |= {
            "epoch": list(range(1, 21)),
            "train_accuracy": [0.5] * 18 + [0.897, last],
            "train_loss": [9.0] * 19 + [0.25],
            "validation_accuracy": [None] * 20,
            "train_seconds": [1.0] * 20,
        }
    table = tables.short_table(Summary(study, records))
    assert table is not None
    # training accuracy: mean 0.8982, deviation 0.002 sqrt(0.3) = 0.0011; slope: 0.0012 an epoch, as much deviation
    first = "sgd", "full batch", "90.35", "89.00 ± 0.00", "89.00", "−1.35", "89.82 ± 0.11", "0.25 ± 0"
    assert tuple(table.rows[0][:8]) == first
    assert table.rows[0][8:] == ["+12.00 ± 10.95", "3 of 5 runs"]
    _, text, page = report(study, records, tmp_path)
    check(text, page)
    assert "Short of the published accuracy by more than 0.30 points" in text
    for record in own:
        record["test_accuracy"] = 0.99
    records = [r | {"test_accuracy": 0.999} if r["test_accuracy"] else r for r in records]
    assert tables.short_table(Summary(study, records)) is None


ODD = """
name = "odd"
question = "Which?"
seeds = 2
[grid]
learning_rate = [0.1, 0.2]
[[cells]]
label = { seeds = "a\\u0000<i>*b*_c_", rule = "mine" }
[[cells]]
label = { seeds = "plain", rule = "mine" }
[report]
plots = [{ kind = "accuracy" }, { kind = "against", x = "learning_rate" }]
answers = [{ kind = "best" }]
"""


def test_axes_that_are_called_like_other_columns_are_not_lost(tmp_path: Path) -> None:
    study = parse_study(ODD)
    records = [made.record_of(study, cell, made.tiny_level, "final", n) for cell in study.cells[:3] for n in range(2)]
    rows = list(csv.DictReader(io.StringIO(raw_csv(Summary(study, records)))))
    assert [(row["label_seeds"], row["seeds"]) for row in rows[1:]] == [
        ("a\N{REPLACEMENT CHARACTER}<i>*b*_c_", "2"),
        ("plain", "2"),
        ("plain", "0"),
    ]
    assert [(row["label_rule"], row["rule"]) for row in rows] == [("mine", "gradient")] * 4
    assert [row["label_learning_rate"] for row in rows] == ["0.1", "0.2"] * 2
    assert rows[3]["learning_rate"] == "0.2"  # without any run


def test_names_are_no_markup_and_no_control_characters(tmp_path: Path) -> None:
    study = parse_study(ODD)
    study = dataclasses.replace(study, title="A\0title")
    records = made.records_of(study, made.tiny_level)
    written, text, page = report(study, records, tmp_path)
    check(text, page)
    shown = "a\N{REPLACEMENT CHARACTER}&lt;i&gt;*b*_c_"
    assert shown in text
    for path in written:
        if path.suffix != ".png":
            assert not set(path.read_text(encoding="utf-8")) & {chr(i) for i in range(32) if i != 10}
    assert r"| a�\<i\>\*b\*\_c\_ |".replace(r"�", "\ufffd") in (tmp_path / "table.md").read_text(encoding="utf-8")


def drawing(study: Study, records: list[Any], name: str) -> Drawing:
    return next(one for one in drawings_of(Summary(study, records)) if one.name == name)


def test_one_line_for_each_combination_of_the_other_axes() -> None:
    study, records = made.example(SHALLOW, made.grid_level)
    lines = drawing(study, records, "against").make().axes[0].get_lines()
    lines = [line for line in lines if line.get_linestyle() != "None"]  # the others are caps of the deviations
    assert len(lines) == 6
    assert all(list(line.get_xdata()) == [1, 2, 4, 8, 16] for line in lines)
    said = drawing(study, records, "against").describe
    assert "sigmoid, glorot-uniform: 1 " in said  # the axis that `line` names comes first


def test_line_decides_the_lines_of_signals() -> None:
    text = SHALLOW.replace('line = "initializer", panel = "activation", quantity = "gradient_rms"', "XX")
    text = text.replace("XX", 'line = "activation", quantity = "gradient_rms"')
    study, records = made.example(text, made.grid_level)
    figure = drawing(study, records, "signals-1").make()
    names = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert names[:3] == ["sigmoid, zeros", "sigmoid, glorot-uniform", "tanh, zeros"]


def test_captions_say_what_failed_runs_are_missing() -> None:
    study, records = made.example(SHALLOW, made.grid_level)
    caption = drawing(study, records, "signals-2").caption
    assert "Dead: the slope of the activation is below 1e-6 for every sample." in caption
    assert "did not finish" not in caption
    name = {"initializer": "glorot-uniform", "activation": "relu", "depth": 8}
    one = next(r for r in records if r["cell"] == name)
    one |= {"outcome": "diverged", "reason": "It met NaN.", "test_accuracy": None}
    caption = drawing(study, records, "signals-2").caption
    assert caption.endswith("Without runs that did not finish: glorot-uniform, relu, depth 8 (1 of 3 runs).")
    assert "did not finish" not in drawing(study, records, "signals-1").caption  # taken before the first step
    study, records = made.example(made.TINY.replace("seeds = 1", "seeds = 2"), made.tiny_level)
    records[1] |= {"outcome": "diverged", "reason": "It met NaN.", "test_accuracy": None}
    caption = drawing(study, records, "curves").caption
    assert "up to where they broke off: learning rate 0.1 (1 of 2 runs)." in caption


def test_tables_and_figures_say_how_they_are_corrected() -> None:
    study, records = made.example(FEW.replace("seeds = 3\n", "seeds = 3\nrefine = 1\n"), made.tuned_level)
    summary = Summary(study, records)
    against, search = tables.pairs_table(summary), tables.search_table(summary)
    assert against is not None
    assert search is not None
    assert "corrected for 2 comparisons (Bonferroni)" in against.caption
    assert "verdicts can differ" in against.caption
    assert "Bonferroni" in tables.main_table(summary).caption
    assert "after Holm's correction over all 3 pairs" in drawing(study, records, "pairs").caption
    for caption in (search.caption, drawing(study, records, "learning-rates").caption):
        assert "midway between the best and its neighbours" in " ".join(caption.split())
    study = dataclasses.replace(study, baseline={"optimizer": "sgd"})
    declared = tables.pairs_table(Summary(study, records))
    assert declared is not None
    assert "Each minus sgd, the baseline." in declared.caption
    assert "(Holm)" in declared.caption
    rules = tables.main_table(Summary(*made.example(made.RULES, made.rule_level)))
    assert "Holm's correction over 15 pairs of rules" in rules.caption
