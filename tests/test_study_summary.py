"""What the records of a study say: statistics against published tables and hand arithmetic, and the sentences."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import study_records as made
from hypothesis import given
from hypothesis import strategies as st

from glassnet.studies.evidence import (
    Paired,
    corrected,
    deviation_of,
    holm,
    mean_of,
    paired,
    student_quantile,
    student_within,
    two_sided_p,
)
from glassnet.studies.sentences import answers, breadth
from glassnet.studies.study import Study, parse_study
from glassnet.studies.summary import Search, Summary

# two-sided 95 % and 99 % points of Student's t, from printed tables
TABLE = {
    1: (12.706, 63.657),
    2: (4.303, 9.925),
    3: (3.182, 5.841),
    4: (2.776, 4.604),
    5: (2.571, 4.032),
    9: (2.262, 3.250),
    10: (2.228, 3.169),
    15: (2.131, 2.947),
    30: (2.042, 2.750),
    120: (1.980, 2.617),
}


@pytest.mark.parametrize("degrees", TABLE)
def test_quantiles_are_those_of_the_tables(degrees: int) -> None:
    assert student_quantile(degrees) == pytest.approx(TABLE[degrees][0], abs=6e-4)
    assert student_quantile(degrees, 0.99) == pytest.approx(TABLE[degrees][1], abs=6e-4)


def test_p_values_that_were_published() -> None:
    assert student_quantile(9) == pytest.approx(2.262157, abs=5e-7)
    assert two_sided_p(2.0, 5) == pytest.approx(0.101939, abs=5e-7)
    assert two_sided_p(-2.0, 5) == two_sided_p(2.0, 5)
    assert two_sided_p(math.inf, 4) == pytest.approx(0.0, abs=1e-15)


@given(st.integers(1, 12), st.floats(0.05, 20.0))
def test_the_finite_series_is_the_integral_of_the_density(degrees: int, t: float) -> None:
    x = np.linspace(0.0, t, 20001)
    scale = math.gamma((degrees + 1) / 2) / math.gamma(degrees / 2) / math.sqrt(degrees * math.pi)
    y = scale * (1 + x * x / degrees) ** (-(degrees + 1) / 2)
    simpson = (x[1] / 3) * (y[0] + y[-1] + 4 * y[1:-1:2].sum() + 2 * y[2:-1:2].sum())
    assert student_within(t, degrees) == pytest.approx(2 * simpson, abs=1e-9)


def test_holm_by_hand() -> None:
    # sorted 0.005 (times 4), 0.01 (times 3), 0.03 (times 2), 0.04 (times 1, but not below the one before)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_mean_and_deviation() -> None:
    assert mean_of([]) is None
    assert deviation_of([1.0]) is None
    assert deviation_of([0.98, 0.97, 0.99]) == pytest.approx(0.01)


def test_differences_without_spread_are_never_real() -> None:
    same = paired({0: 0.5, 1: 0.75, 2: 1.0}, {0: 0.25, 1: 0.5, 2: 0.75})
    assert (same.count, same.difference, same.interval, same.p, same.real) == (3, 0.25, None, None, False)
    rounding = paired({0: 0.3, 1: 0.7, 2: 0.9}, {0: 0.2, 1: 0.6, 2: 0.8})
    assert rounding.p is None
    assert paired({0: 1.0}, {0: 0.5}) == Paired(1, 0.5)
    assert paired({0: 1.0}, {1: 0.5}) == Paired(0, None)
    assert not corrected([same])[0].real


def test_paired_by_hand() -> None:
    # differences 1, 2, 3: mean 2, s = 1, t = 2 sqrt 3 with 2 degrees of freedom, where p = 1 - t / sqrt(2 + t^2)
    one = paired({0: 2.0, 1: 4.0, 2: 6.0}, {2: 3.0, 1: 2.0, 0: 1.0})
    t = 2 * math.sqrt(3)
    assert one.p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert one.interval == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-6)
    assert one.turned.difference == -2.0
    assert one.turned.interval == pytest.approx((-one.interval[1], -one.interval[0]) if one.interval else None)


def summary_of(text: str, level: made.Level) -> Summary:
    return Summary(*made.example(text, level))


def test_cells_come_in_the_order_of_the_study_and_seeds_in_theirs() -> None:
    study, records = made.example(made.TUNED, made.tuned_level)
    summary = Summary(study, reversed(records))
    assert [cell.name for cell in summary.cells] == [cell.name for cell in study.cells]
    assert all(cell.seeds == tuple(range(10)) for cell in summary.cells)
    assert summary.found == summary.expected == 160
    assert len(summary.records) == len(records)


def test_a_cell_has_the_sample_deviation_of_its_seeds() -> None:
    study, records = made.example(made.TUNED, made.tuned_level)
    own = [r["test_accuracy"] for r in records if r["phase"] == "final" and r["cell"] == {"optimizer": "adam"}]
    cell = Summary(study, records).cells[study.cells.index(next(c for c in study.cells if c.name == "adam"))]
    assert cell.mean == pytest.approx(np.mean(own))
    assert cell.deviation == pytest.approx(np.std(own, ddof=1))


def test_strangers_are_left_out_and_the_later_of_two_counts() -> None:
    study, records = made.example(made.TINY, made.tiny_level)
    stranger = records[0] | {"cell": {"learning_rate": 7.0}}
    again = records[0] | {"test_accuracy": 0.5}
    summary = Summary(study, [*records, stranger, again])
    assert summary.found == 2
    assert summary.cells[0].mean == 0.5


TWO = """
name = "two"
question = "Which?"
seeds = 4
[grid]
optimizer = ["adam", "sgd"]
[report]
at_epochs = 2
at_seconds = 2.5
answers = [{ kind = "best" }, { kind = "speed" }, { kind = "pair", axis = "optimizer", of = ["sgd", "adam"] }]
"""


def by_hand(study: Study, values: dict[str, list[float | None]], **history: Any) -> Summary:
    """A summary of given test accuracies, a list a cell; None diverged."""
    records = []
    for cell in study.cells:
        for seed, value in enumerate(values[cell.name]):
            record = made.record_of(study, cell, lambda cell, rate: (0.97, 0.7), "final", seed, None)
            record["history"] |= history
            record["test_accuracy"] = value
            if value is None:
                record |= {"outcome": "diverged", "reason": "It met NaN."}
            records.append(record)
    return Summary(study, records)


def test_the_time_to_an_accuracy_is_the_end_of_the_first_epoch_that_reaches_it() -> None:
    accuracy = {"validation_accuracy": [0.90, 0.96, 0.955, 0.971], "train_seconds": [1.0, 2.0, 3.0, 4.0]}
    cell = by_hand(parse_study(TWO), {"adam": [0.9] * 4, "sgd": [0.9] * 4}, **accuracy).cells[0]
    assert [cell.time_to(target).mean for target in (0.90, 0.95, 0.97, 0.98)] == [1.0, 2.0, 4.0, None]
    assert (cell.time_to(0.97).reached, cell.time_to(0.98).reached, cell.time_to(0.98).runs) == (4, 0, 4)
    assert cell.accuracy_at("epoch", 2)[0] == pytest.approx(0.96)
    assert cell.accuracy_at("train_seconds", 3.5)[0] == pytest.approx(0.955)
    assert cell.accuracy_at("train_seconds", 0.5) == (None, None)


def test_without_validation_the_accuracy_as_met_in_training_is_taken() -> None:
    history = {"validation_accuracy": [None] * 2, "train_accuracy": [0.5, 0.95], "train_seconds": [1.0, 2.0]}
    cell = by_hand(parse_study(TWO), {"adam": [0.9] * 4, "sgd": [0.9] * 4}, **history).cells[0]
    assert cell.time_to(0.95).mean == 2.0


def test_curves_are_padded() -> None:
    study, records = made.example(made.TINY.replace("seeds = 1", "seeds = 2"), made.tiny_level)
    records[1]["history"] = {name: values[:2] for name, values in records[1]["history"].items()}
    curve = Summary(study, records).cells[0].curve("validation_accuracy")
    assert curve.shape == (2, 5)
    assert np.isfinite(curve).sum(axis=1).tolist() == [5, 2]


def test_a_run_that_diverged_is_never_dropped_in_silence() -> None:
    summary = by_hand(parse_study(TWO), {"adam": [0.99, None, 0.99, 0.98], "sgd": [0.95, 0.96, 0.97, 0.97]})
    adam, sgd = summary.cells
    assert (adam.count("finished"), adam.count("diverged"), adam.whole, sgd.whole) == (3, 1, False, True)
    assert summary.best == 1  # it finished every time
    said = " ".join(answers(summary))
    assert "Best is sgd" in said
    assert "Higher, but not in every run, came adam (98.67 ± 0.58 % in the 3 of 4 runs that finished)" in said
    assert "Of 8 runs, 1 diverged: 1 of 4 with adam" in said


def test_an_outcome_with_no_run_that_finished() -> None:
    summary = by_hand(parse_study(TWO), {"adam": [None] * 4, "sgd": [None] * 4})
    assert (summary.best, summary.baseline, summary.worst) == (None, None, None)
    assert "Of 8 runs, 8 diverged: 4 of 4 with adam and 4 of 4 with sgd." in answers(summary)[0]


def test_what_can_not_be_told_apart_is_said_so() -> None:
    close = by_hand(parse_study(TWO), {"adam": [0.97, 0.98, 0.96, 0.97], "sgd": [0.969, 0.970, 0.972, 0.968]})
    best, _, pair = answers(close)
    assert "It can not be told apart from sgd (96.97 ± 0.17 %)" in best
    assert "chance" in best
    assert "can not be told apart" in pair
    apart = by_hand(parse_study(TWO), {"adam": [0.97, 0.971, 0.972, 0.97], "sgd": [0.95, 0.949, 0.951, 0.949]})
    best, _, pair = answers(apart)
    assert "Every other falls short of it by a real difference" in best
    assert pair.startswith("adam is 2.10 points more accurate than sgd on the same seeds (95 % interval +1.97 to +2.23")


def test_one_seed_tells_nothing_from_chance() -> None:
    study = parse_study(TWO.replace("seeds = 4", "seeds = 1"))
    best = answers(by_hand(study, {"adam": [0.98], "sgd": [0.90]}))[0]
    assert "one seed, so nothing is known of the spread" in best
    assert "no difference can be told from chance" in best


def test_pairs_are_corrected_over_all_and_turn_their_sign() -> None:
    summary = summary_of(made.TUNED, made.tuned_level)
    one, other = summary.pair(0, 15), summary.pair(15, 0)
    assert one.difference == -other.difference  # type: ignore[operator]
    ps = [summary.pair(i, j).p for i, j in itertools.combinations(range(16), 2)]
    assert one.corrected == pytest.approx(holm([float(p or 0.0) for p in ps])[14])


def test_comparisons_with_the_best_are_corrected_over_themselves() -> None:
    summary = summary_of(made.TUNED, made.tuned_level)
    found = summary.against(summary.best)  # type: ignore[arg-type]
    assert len(found) == 15
    for one in found.values():
        assert one.corrected == pytest.approx(min(1.0, 15 * (one.p or 0.0)))


def test_the_search_of_a_learning_rate() -> None:
    study, records = made.example(made.TUNED, made.tuned_level)
    search = Summary(study, records).searches[0]
    assert search is not None
    assert search.rates.tolist() == [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3]
    assert search.accuracies.shape == (7, 3)
    assert np.isnan(search.accuracies[-1]).all()  # diverged
    assert (search.chosen, search.widened, search.at_edge) == (0.003, 0, False)
    wider = dict(records[0], config=records[0]["config"] | {"learning_rate": 0.0001})
    again = Summary(study, [*records, wider]).searches[0]
    assert again is not None
    assert again.widened == 1


def test_how_wide_a_range_of_rates_is_good() -> None:
    rates = np.array([0.001, 0.01, 0.1, 1.0, 10.0])
    means = np.array([[0.90], [0.975], [0.98], [0.971], [np.nan]])
    assert breadth(Search(rates, means, 0.1, 0)) == (pytest.approx(2.0), False)
    assert breadth(Search(rates[1:4], means[1:4], 0.1, 0)) == (pytest.approx(2.0), True)
    assert breadth(Search(rates, np.full((5, 1), np.nan), None, 0)) is None


def test_the_rules_are_paired_cell_by_cell() -> None:
    summary = summary_of(made.RULES, made.rule_level)
    assert summary.both_rules
    assert len(summary.rule_pairs) == 15
    for i, j in summary.rule_pairs:
        then, now = summary.cells[i].cell.label, summary.cells[j].cell.label
        assert (then["rule"], now["rule"]) == ("2019", "gradient")
        assert {**then, "rule": ""} == {**now, "rule": ""}
    published, rule, _ = answers(summary)
    assert "In 13 of 15 settings with the rule of 2019" in published
    assert "sgd, full batch (89.67 ± 0.09 % against 90.35 %, −0.68 points)" in published
    assert "add up to 18,443 s" in published  # 5 (3036.35 + 140.2 + 512)
    assert "gains it in 3 of 15 settings" in rule
    assert "Full batch: the rule of 2019 gains most with adam, " in rule


def test_an_axis_is_compared_seed_by_seed_over_the_other_settings() -> None:
    summary = summary_of(made.GRID, made.grid_level)
    one, runs = summary.between("activation", "relu", "sigmoid")
    assert (one.count, runs) == (3, 3 * 9 * 5)
    means = [np.mean([c.mean for c in summary.cells if c.cell.label["activation"] == a]) for a in ("relu", "sigmoid")]
    assert one.difference == pytest.approx(means[0] - means[1])


def test_spread_and_vanishing() -> None:
    _, spread, vanishing = answers(summary_of(made.GRID, made.grid_level))
    assert spread.startswith(
        "Within one setting of the rest, the choice of the initializer moves the mean accuracy by "
    )
    assert vanishing.startswith("Before the first step, at depth 8 and initializer glorot-uniform, the gradient")
    assert "0.0000" in vanishing  # 0.25 to the power of 7 is 6.1e-5


def test_signals_of_layers() -> None:
    summary = summary_of(made.GRID, made.grid_level)
    cell = next(cell for cell in summary.cells if cell.cell.label["depth"] == 8)
    assert cell.signals("gradient_rms").shape == (3, 8)
    assert summary_of(made.TINY, made.tiny_level).cells[0].signals("dead").size == 0


@pytest.mark.parametrize(
    ("text", "level"),
    [(made.TUNED, made.tuned_level), (made.RULES, made.rule_level), (made.GRID, made.grid_level)],
)
def test_every_answer_is_whole_sentences_even_of_a_part(text: str, level: made.Level) -> None:
    study, records = made.example(text, level)
    for some in (records, records[::3], records[:4], []):
        for said in answers(Summary(study, some)):
            assert said.endswith(".")
            assert not {"None", "nan", "inf"} & set(said.replace("(", " ").replace(",", " ").split())
            assert "  " not in said


def test_what_is_common_to_all_runs() -> None:
    summary = summary_of(made.RULES, made.rule_level)
    common = summary.common()
    assert (common["hidden"], common["learning_rate"]) == ([30], 0.01)
    assert not {"optimizer", "batch_size", "seed"} & set(common)
    assert len(summary.machines()) == 1
