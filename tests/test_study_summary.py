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

from glassnet.studies.cells import Reach
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
from glassnet.studies.published import late_slope, reaches, short
from glassnet.studies.sentences import answers, breadth
from glassnet.studies.study import Study, parse_study
from glassnet.studies.summary import Search, Summary

pytestmark = pytest.mark.no_cover  # the reports of studies sum these up, too

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
    stranger = records[0] | {"cell": {"learning_rate": 7.0}, "key": "other"}
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
    assert cell.accuracy_at("epoch", 2).mean == pytest.approx(0.96)
    assert cell.accuracy_at("train_seconds", 3.5).mean == pytest.approx(0.955)
    assert cell.accuracy_at("train_seconds", 0.5) == Reach({}, 4)


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
    assert answers(summary)[-1] == "Of 8 runs, 8 diverged: 4 of 4 with adam and 4 of 4 with sgd."


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
    rising = parse_study(made.TUNED.replace("seeds = 3", "seeds = 3\nrounds = 2"))
    wider = Summary(rising, made.records_of(rising, lambda cell, rate: (0.9 + rate / 100, 0.5))).searches[0]
    assert wider is not None
    assert wider.rates.tolist()[-3:] == [0.3, 0.9, 2.7]
    assert (wider.chosen, wider.widened, wider.at_edge) == (2.7, 2, True)


def test_how_wide_a_range_of_rates_is_good() -> None:
    rates = np.array([0.001, 0.01, 0.1, 1.0, 10.0])
    means = np.array([[0.90], [0.975], [0.98], [0.971], [np.nan]])  # the last one diverged
    assert breadth(Search(rates, means, 0.1, 0)) == (pytest.approx(2.0), False)
    assert breadth(Search(rates[1:4], means[1:4], 0.1, 0)) == (pytest.approx(2.0), True)
    assert breadth(Search(rates, np.full((5, 1), np.nan), 0.001, 0)) is None
    assert breadth(Search(rates, means, None, 0)) is None  # the search goes on


def test_a_rate_at_which_a_seed_diverged_counts_as_in_the_choice() -> None:
    rates = np.array([0.01, 0.1, 1.0, 10.0])
    # means 0.60, 0.66, 0.63 and 0: the planner takes 0.1, alone within a point of the best
    values = np.array([[0.6, 0.6, 0.6], [0.99, 0.99, np.nan], [0.63, 0.63, 0.63], [np.nan, np.nan, np.nan]])
    search = Search(rates, values, 0.1, 0)
    assert search.means == pytest.approx([0.6, 0.66, 0.63, 0.0])
    assert breadth(search) == (0.0, False)


def test_the_rules_are_paired_cell_by_cell() -> None:
    summary = summary_of(made.RULES, made.rule_level)
    assert summary.both_rules
    assert len(summary.rule_pairs) == 15
    for i, j in summary.rule_pairs:
        then, now = summary.cells[i].cell.label, summary.cells[j].cell.label
        assert (then["rule"], now["rule"]) == ("2019", "gradient")
        assert {**then, "rule": ""} == {**now, "rule": ""}
    said, rule, _ = answers(summary)
    assert "In 13 of 15 settings with the rule of 2019" in said
    assert "sgd, full batch (89.67 ± 0.09 % against 90.35 %, −0.68 points)" in said
    assert "add up to 18,443 s" in said  # 5 (3036.35 + 140.2 + 512)
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


def told(text: str, values: dict[str, list[float | None]]) -> list[str]:
    return answers(by_hand(parse_study(text), values))


THREE = TWO.replace('["adam", "sgd"]', '["adam", "sgd", "lion"]').replace('{ kind = "speed" }, ', "")
BEST = THREE[: THREE.index("answers")] + 'answers = [{ kind = "best" }]\n'
HIGH: list[float | None] = [0.97, 0.971, 0.972, 0.97]
LOW: list[float | None] = [0.95, 0.949, 0.951, 0.949]


def test_records_of_other_settings_under_the_same_label_are_left_out() -> None:
    study, other = parse_study(TWO), parse_study(TWO.replace("[grid]", "[run]\nepochs = 7\n[grid]"))
    records = [made.record_of(one, one.cells[0], made.tiny_level, "final", 0) for one in (study, other)]
    assert [record["cell"] for record in records] == [{"optimizer": "adam"}] * 2
    for order in (records, records[::-1]):
        summary = Summary(study, order)
        assert summary.records == (records[0],)
        assert summary.cells[0].runs == (records[0],)


def test_every_other_falls_short_is_said_of_every_other_alone() -> None:
    (best,) = told(BEST, {"adam": HIGH, "sgd": LOW, "lion": LOW})
    assert "Every other falls short of it by a real difference" in best
    best, failed = told(BEST, {"adam": HIGH, "sgd": LOW, "lion": [0.98, 0.98, 0.981, None]})
    assert "Every other" not in best
    assert "The other falls short of it by a real difference" in best  # sgd
    assert "Higher, but not in every run, came lion (98.03 ± 0.06 % in the 3 of 4 runs that finished)" in best
    assert failed == "Of 12 runs, 1 diverged: 1 of 4 with lion."
    (best,) = told(BEST, {"adam": HIGH, "sgd": LOW, "lion": []})
    assert "Every other with a result falls short of it by a real difference" in best
    assert "There is no run yet with lion." in best


def test_a_cell_without_common_seeds_is_named() -> None:
    best, failed = told(BEST, {"adam": [*HIGH[:3], None], "sgd": [*LOW[:3], None], "lion": [None, None, None, 0.9]})
    assert "There are too few runs with the same seeds to compare it with lion." in best
    assert "Every other" not in best
    best, _ = told(BEST, {"adam": [0.9, 0.91, None, None], "sgd": [None, None, 0.8, 0.81], "lion": []})
    assert "Without the spread" not in best
    assert "There are too few runs with the same seeds to compare it with sgd." in best
    assert failed == "Of 12 runs, 5 diverged: 1 of 4 with adam, 1 of 4 with sgd and 3 of 4 with lion."


def test_differences_that_are_all_the_same_are_not_for_want_of_seeds() -> None:
    (best,) = told(BEST, {"adam": [0.9] * 4, "sgd": [0.8] * 4, "lion": [0.7] * 4})
    assert "Without the spread" not in best
    assert "The difference is the same with every seed" in best
    assert "sgd (−10.00 points) and lion (−20.00 points)" in best


def test_the_best_is_judged_as_such_even_if_it_was_declared_the_baseline() -> None:
    # differences of the other two with s = 0.01 around 0.02: t = 4 with 3 degrees, p = 0.028, twice that by Bonferroni
    study = parse_study(BEST + 'baseline = { optimizer = "adam" }\n')
    near = [0.95 + d for d in (0.015, -0.015, 0.005, -0.005)]
    values: dict[str, list[float | None]] = {"adam": [0.97] * 4, "sgd": [*near], "lion": [*near[::-1]]}
    summary = by_hand(study, values)
    p = summary.against(0)[1].p
    assert p is not None
    assert summary.against(0)[1].corrected == pytest.approx(2 * p)
    declared = summary.against(0, declared=True)
    assert declared[1].corrected == pytest.approx(2 * p)  # the smaller of two equal ones, twice; the other as large
    values["lion"] = [0.5, 0.51, 0.5, 0.49]
    summary = by_hand(study, values)
    assert summary.against(0, declared=True)[1].corrected == pytest.approx(p)  # the larger of two
    assert summary.against(0)[1].corrected == pytest.approx(2 * p)


def test_a_run_that_diverged_later_has_not_reached_an_accuracy() -> None:
    summary = by_hand(parse_study(TWO), {"adam": [0.97, None, 0.97, 0.97], "sgd": [0.97] * 3})
    reach = summary.cells[0].time_to(0.90)
    assert (reach.reached, reach.runs, reach.always, sorted(reach.values)) == (3, 4, False, [0, 2, 3])
    assert reach.some == " (3 of 4)"


def test_times_are_never_called_certain_and_cells_without_runs_are_left_out() -> None:
    text = THREE[: THREE.index("answers")] + 'answers = [{ kind = "speed" }]\n'
    fast = {"validation_accuracy": [0.90, 0.975], "train_seconds": [1.0, 2.0]}
    (said,) = answers(by_hand(parse_study(text), {"adam": [0.97] * 4, "sgd": [0.97] * 4, "lion": []}, **fast))
    assert said.startswith(
        "The first to reach 97 % with every seed is adam, after 2.00 ± 0.00 s; next is sgd, after 2.00"
    )
    assert "never" not in said
    assert "They depend on what else the machine did" in said
    met = {"validation_accuracy": [None, None], "train_accuracy": [0.5, 0.95], "train_seconds": [1.0, 2.0]}
    said, _ = answers(by_hand(parse_study(text), {"adam": [0.9], "sgd": [0.9], "lion": [None]}, **met))
    assert "so accurate on the training samples as met." in said
    assert "1 of 3 settings never gets there in a run that finished: lion." in said


EARLY = THREE[: THREE.index("answers")] + 'answers = [{ kind = "early" }]\n'


def early_by_hand(curves: dict[str, list[tuple[list[float], list[float]]]]) -> Summary:
    """A summary of given accuracies and seconds after each epoch, for each cell a pair a seed."""
    study, records = parse_study(EARLY), []
    for cell in study.cells:
        for seed, (accuracies, times) in enumerate(curves[cell.name]):
            record = made.record_of(study, cell, made.tiny_level, "final", seed)
            epochs = list(range(1, len(accuracies) + 1))
            record["history"] |= {"epoch": epochs, "validation_accuracy": accuracies, "train_seconds": times}
            records.append(record)
    return Summary(study, records)


def test_who_leads_before_the_end() -> None:
    # after 2 epochs adam leads sgd by 0.02, 0.03 and 0.01: mean 0.02, s 0.01, t = 2 sqrt 3, p = 0.074, twice that
    summary = early_by_hand(
        {
            "adam": [([0.5, 0.92], [2.0, 4.0]), ([0.5, 0.93], [2.0, 4.0]), ([0.5, 0.91], [2.6, 4.0])],
            "sgd": [([0.6, 0.90, 0.99], [1.0, 2.0, 3.0])] * 3,
            "lion": [([0.1, 0.2], [3.0, 6.0])] * 3,
        }
    )
    adam = summary.cells[0].accuracy_at("train_seconds", 2.5)
    assert (adam.reached, adam.runs, adam.mean, adam.some) == (2, 3, 0.5, " (2 of 3)")
    (said,) = answers(summary)
    assert (
        "After 2 epochs, best on the validation samples is adam with 92.00 ± 1.00 %; next is sgd with 90.00 ± 0.00 %, "
        "2.00 points behind, which chance alone might do (95 % interval of the lead −0.48 to +4.48). "
        "Worst is lion with 20.00 ± 0.00 %." in said
    )
    assert (
        "After 2.5 s, best on the validation samples is sgd with 90.00 ± 0.00 %; next is adam with "
        "50.00 ± 0.00 % (2 of 3), 40.00 points behind with every seed, so that there is no spread to judge it by. "
        "No epoch ended by then, in any run that finished, with lion." in said
    )


def test_the_lead_is_corrected_for_all_that_it_could_have_been_over() -> None:
    # by 0.10, 0.12 and 0.11: mean 0.11, s 0.01, t = 11 sqrt 3, p = 0.0027, twice that by Bonferroni
    sgd = [([0.5, 0.80], [1.0, 2.0])] * 3
    summary = early_by_hand(
        {"adam": [([0.5, 0.8 + d], [1.0, 2.0]) for d in (0.1, 0.12, 0.11)], "sgd": sgd, "lion": sgd}
    )
    assert "11.00 points behind, more than chance (95 % interval of the lead +8.52 to +13.48)" in answers(summary)[0]


PUBLISHED = """
name = "two"
question = "Which?"
seeds = 2
[run]
validation = 0
[grid]
rule = ["2019", "gradient"]
""" + "".join(
    f"""
[[cells]]
label = {{ optimizer = "{optimizer}" }}
optimizer = "{optimizer}"
published = {{ accuracy = 90.30 }}
"""
    for optimizer in ("sgd", "momentum", "adam")
)
PUBLISHED += """
[report]
answers = [{ kind = "published" }, { kind = "rule" }]
"""


def published_by_hand(then: list[list[float | None]], now: list[float | None]) -> Summary:
    study = parse_study(PUBLISHED)
    names = [cell.name for cell in study.cells]
    return by_hand(study, dict(zip(names, [value for one in then for value in (one, now)], strict=True)))


def test_every_cell_with_a_published_accuracy_counts() -> None:
    summary = published_by_hand([[0.90, 0.90], [0.99, None], [None, None]], [0.92, 0.93])
    said, rule, failed = answers(summary)
    assert said.startswith("In 1 of 3 settings with the rule of 2019 the mean test accuracy reaches the published one")
    assert "Short of it" not in said
    assert "for not every run finished: momentum (1 of 2, +8.70 points) and adam (0 of 2)." in said
    assert "1 of 3 settings could not be compared, for no seed finished with both: adam." in rule
    assert failed == "Of 12 runs, 3 diverged: 1 of 2 with momentum, rule of 2019 and 2 of 2 with adam, rule of 2019."
    none = published_by_hand([[0.90, 0.90], [0.89, 0.89], []], [0.92, 0.93])
    assert "There is no figure yet of adam." in answers(none)[0]
    assert [cell.cell.label["optimizer"] for cell in short(none)] == ["momentum"]


def test_exactly_at_the_tolerance_is_reached() -> None:
    cell = published_by_hand([[0.90, 0.90], [], []], [])  # 0.3 points below, which floats make 0.30000000000000027
    assert cell.cells[0].gap is not None
    assert cell.cells[0].gap < -0.003
    assert reaches(cell.cells[0])
    below = published_by_hand([[0.8999, 0.90], [], []], [])
    assert not reaches(below.cells[0])


def test_what_both_rules_cost_in_time() -> None:
    study = parse_study(PUBLISHED)
    records = [made.record_of(study, cell, made.tiny_level, "final", n) for cell in study.cells for n in range(2)]
    for record in records:  # means of 100 and 30
        record["wall_seconds"] = (90.0 if record["rule"] == "2019" else 20.0) + 20 * record["seed"]
    said = answers(Summary(study, records))[1]
    assert (
        "One seed of all 3 settings takes 5 min 0 s of one core with the rule of 2019 and 1 min 30 s with the" in said
    )
    assert "One seed of 1 of 3 settings" in answers(Summary(study, records[:4]))[1]


def test_how_fast_the_accuracy_rose_at_the_end() -> None:
    # 21 epochs: the last 3 are 0.50, 0.52, 0.51, whose least-squares slope is (0.51 - 0.50) / 2 an epoch
    history = {"epoch": list(range(1, 22)), "train_accuracy": [0.1] * 18 + [0.50, 0.52, 0.51]}
    assert late_slope(history) == pytest.approx(0.5)
    assert late_slope({"epoch": [1], "train_accuracy": [0.5]}) is None
    assert late_slope({"epoch": [], "train_accuracy": []}) is None


def test_a_gradient_of_zero_is_the_worst_vanishing() -> None:
    study, records = made.example(made.GRID, made.grid_level)
    for record in records:
        label = record["cell"]
        if (label["depth"], label["initializer"], label["activation"]) == (8, "glorot-uniform", "relu"):
            first, last = ((0.0, 1.0), (0.25, 1.0), (1.0, 1.0))[record["seed"]]  # geometric mean of the others 0.5
            record["signals"]["begin"] = [{"gradient_rms": value} for value in (first, 0.5, last)]
        if (label["depth"], label["initializer"], label["activation"]) == (8, "glorot-uniform", "tanh"):
            record["signals"]["begin"] = [{"gradient_rms": value} for value in (0.0, 0.0)]
    vanishing = answers(Summary(study, records))[2]
    assert "0.50 with relu (0.25 to 1.0; 0 in 1 of 3 runs)" in vanishing
    assert "0 in 3 of 3 runs with tanh" in vanishing
