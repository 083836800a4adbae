"""What a study may say, and which runs follow from it."""

import dataclasses
import gzip
import json
import math
from pathlib import Path

import pytest

from glassnet.errors import ConfigError, DataError, MissingFileError
from glassnet.studies import Planner, Records, find_study, parse_study, shipped
from glassnet.studies import records as records_module
from glassnet.studies.job import FIRST_SEARCH_SEED, Job
from glassnet.studies.records import NEEDED
from glassnet.studies.study import value_name

HEAD = 'name = "mine"\nquestion = "Which?"\n'


def test_a_grid_is_every_combination_in_the_order_of_the_file():
    study = parse_study(HEAD + '[grid]\nactivation = ["relu", "tanh"]\nhidden = [[10], [20, 20]]\n')
    assert [cell.name for cell in study.cells] == ["relu, 10", "relu, 20-20", "tanh, 10", "tanh, 20-20"]
    assert study.axes == ("activation", "hidden")
    assert (study.cells[3].config.activation, study.cells[3].config.hidden) == ("tanh", (20, 20))
    assert study.seeds == 3
    assert all((cell.config.workers, cell.config.threads) == (1, 1) for cell in study.cells)


def test_listed_cells_are_combined_with_the_grid_and_override_what_all_share():
    study = parse_study(
        HEAD
        + """
seeds = 2
[run]
epochs = 7
optimizer = "sgd"
[grid]
depth = [{ label = 1, hidden = [10] }, { label = 2, hidden = [10, 10] }]
[[cells]]
label = { regime = "batch" }
batch_size = "full"
[[cells]]
label = { regime = "stochastic" }
batch_size = 1
epochs = 2
published = { accuracy = 97.2, seconds = 3 }
"""
    )
    found = [(dict(cell.label), cell.config.batch_size, cell.config.epochs, cell.config.hidden) for cell in study.cells]
    assert found == [
        ({"regime": "batch", "depth": 1}, "full", 7, (10,)),
        ({"regime": "batch", "depth": 2}, "full", 7, (10, 10)),
        ({"regime": "stochastic", "depth": 1}, 1, 2, (10,)),
        ({"regime": "stochastic", "depth": 2}, 1, 2, (10, 10)),
    ]
    assert study.cells[2].published == {"accuracy": 97.2, "seconds": 3.0}
    assert {cell.config.optimizer for cell in study.cells} == {"sgd"}


def test_without_cells_or_grid_there_is_one_cell():
    (cell,) = parse_study(HEAD + "[run]\nepochs = 1\n").cells
    assert (dict(cell.label), cell.config.epochs) == ({}, 1)


GRID = "[grid]\nepochs = [1, 2]\n[report]\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = ", "is no TOML"),
        ('question = "?"', "name must be a text; it is missing"),
        ('name = "a/b"\nquestion = "?"', "name 'a/b' must be letters"),
        (HEAD + "colour = 1", "a study has no colour"),
        (HEAD + "seeds = 0", "seeds must be a whole number of at least 1"),
        (HEAD + "[run]\nseed = 1", "seed is not for"),
        (HEAD + "[run]\nworkers = 2", "workers is the business of the runner"),
        (HEAD + "[run]\nepoch = 1", "cell of .* has no epoch"),
        (HEAD + '[run]\noptimizer = "sgdd"', "there is no optimizer 'sgdd'"),
        (HEAD + '[run]\nrule = "2020"', "there is no rule '2020'"),
        (HEAD + "[grid]\nepochs = 3", "epochs must be a list"),
        (HEAD + "[grid]\ndepth = [{ hidden = [1] }]", "needs a label"),
        (HEAD + "[grid]\nepochs = [1, 1]", "two cells have the same label '1'"),
        (HEAD + '[[cells]]\nlabel = { a = 1 }\n[[cells]]\nlabel = { b = 1 }', "labels with the same keys"),
        (HEAD + "[[cells]]\npublished = 3", "published holds accuracy"),
        (HEAD + "[tuning]\nlearning_rates = [1]", "two or more"),
        (HEAD + "[tuning]\nlearning_rates = [1, 0.1]", "must rise"),
        (HEAD + "[run]\nvalidation = 0\n[tuning]\nlearning_rates = [0.1, 1]", "has none"),
        (HEAD + "[run]\nlearning_rate = 1.0\n[tuning]\nlearning_rates = [0.1, 1]", "has one"),
        (HEAD + '[report]\nplots = [{ kind = "pie" }]', "no kind 'pie' of plots"),
        (HEAD + '[report]\nanswers = [{ kind = "spread" }]', "spread needs axis"),
        (HEAD + '[report]\nplots = [{ kind = "curves", panel = "colour" }]', "panel must be one of"),
        (HEAD + '[report]\nplots = [{ kind = "speed", size = 3 }]', "has no size"),
        (HEAD + "[grid]\nepochs = [1, 2]\n[report]\nbaseline = { epochs = 3 }", "label of one cell"),
        (HEAD + "seeds = 1001", "seeds must be a whole number of 1 to 1000"),
        (HEAD + "seeds = " + "9" * 5000, "is no TOML"),
        (HEAD + "seeds = 0x" + "f" * 5000, "whole number of more than 64 bits"),
        (HEAD + "[grid]\n" + "".join(f"a{n} = [1, 2, 3, 4]\n" for n in range(5)), "more than 1000 combinations"),
        (HEAD + f"[grid]\nepochs = {list(range(501))}\n" + "[[cells]]\n" * 2, "more than 1000 combinations"),
        (HEAD + "[report]\nplots = [" + '{ kind = "speed" },' * 101 + "]", "plots are 101: take at most 100"),
        (HEAD + "[run]\n" + ".".join("a" * 202) + " = 1", "more than 200 dots in line 4"),
        (HEAD + "#" * 2**16, "has more than 65,536 bytes"),
        (HEAD + "[run]\nbatch_size = 0", "whole number of at least 1"),
        (HEAD + "[[cells]]\nlabel = { day = 2020-01-01 }", "the label 'day' must be"),
        (HEAD + "[[cells]]\nlabel = { x = nan }", "the label 'x' must be"),
        (HEAD + "[[cells]]\nlabel = { x = 1e101 }", "the label 'x' must be"),
        (HEAD + "[[cells]]\nlabel = { x = [[1]] }", "the label 'x' must be"),
        (HEAD + '[report]\nplots = [{ kind = "speed", title = 3 }]', "title must be a text"),
        (HEAD + '[report]\nplots = [{ kind = "curves", quantity = "foo" }]', "quantity must be one of train_loss"),
        (HEAD + '[report]\nplots = [{ kind = "curves", over = "bananas" }]', "over must be one of epoch, seconds"),
        (HEAD + GRID + 'plots = [{ kind = "curves", where = { depth = 3 } }]', "where must be one of epochs"),
        (HEAD + GRID + 'plots = [{ kind = "curves", where = { epochs = 3 } }]', "no cell has 3 for epochs"),
        (HEAD + GRID + 'plots = [{ kind = "curves", where = 3 }]', "where must be a table"),
        (HEAD + GRID + 'answers = [{ kind = "pair", axis = "epochs", of = 3 }]', "of must be two values"),
        (HEAD + GRID + 'answers = [{ kind = "pair", axis = "epochs", of = [1, 4] }]', "no cell has 4 for epochs"),
        (HEAD + GRID + 'answers = [{ kind = "best", title = "no" }]', "has no title"),
        (HEAD + '[[cells]]\nlabel = { x = "two\\nlines" }\nepoch = 1', "two lines: a configuration has no epoch"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_sentence(text, sentence, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=sentence) as refused:
        find_study(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_study_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(MissingFileError, match="optimizers-2019"):
        find_study("optimisers")
    with pytest.raises(MissingFileError, match="there is no study"):
        find_study(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(ConfigError, match="UTF-8"):
        find_study(tmp_path / "latin.toml")


@pytest.mark.parametrize("name", shipped())
def test_shipped_studies_are_whole(name):
    study = find_study(name)
    assert study.name == name
    assert study.question.endswith("?")
    assert study.notes
    assert study.plots
    assert study.answers
    jobs = Planner(study).due({})
    assert len({job.key for job in jobs}) == len(jobs)


def test_a_trial_of_a_large_grid_chooses_no_learning_rates():
    study = find_study("activations").trial()
    due = Planner(study).due({})
    assert {job.phase for job in due} == {"final"}
    assert len(due) == len(study.cells) * study.seeds == 108
    assert {job.config.learning_rate for job in due} == {3.16e-4}


def test_a_trial_is_short_and_says_so():
    study = parse_study(HEAD + "[run]\nmax_steps = 3\nepochs = 5\n")
    trial = study.trial()
    assert trial.quick
    assert not study.quick
    assert (trial.cells[0].config.epochs, trial.cells[0].config.max_steps) == (1, 3)
    assert parse_study(trial.source).quick


def test_the_example_is_whole():
    study = find_study(Path(__file__).parent.parent / "examples" / "my_study.toml")
    assert [cell.name for cell in study.cells] == ["100, at once", "100, slow", "400, at once", "400, slow"]
    assert [cell.config.warmup for cell in study.cells] == [0, 100, 0, 100]


def test_the_table_of_2019_is_that_of_2019():
    study = find_study("optimizers-2019")
    assert len(study.cells) == 32
    published = [cell.published["accuracy"] for cell in study.cells if cell.rule == "2019" and cell.published]
    assert published == [90.35, 95.89, 97.2, 90.09, 96.85, 97.2, 90.19, 95.77, 94.78, 91.0, 96.85, 96.68]
    seconds = sum(cell.published["seconds"] for cell in study.cells if cell.rule == "2019" and cell.published)
    assert seconds == pytest.approx(14574.77)  # four hours and three minutes
    for cell in study.cells:
        assert (cell.config.hidden, cell.config.shuffle, cell.config.validation) == ((100, 100), False, 0)
        assert cell.label["rule"] == cell.rule


def test_keys_stay_as_they_are_so_that_records_keep_their_place():
    """Whoever changes a key throws away every record that there is: then FORMAT must change, too."""
    study = parse_study(HEAD + "[run]\nepochs = 2\n[grid]\nlearning_rate = [0.1]\n")
    assert [Job.of(study, study.cells[0], "final", seed).key for seed in (0, 1)] == [
        "a7891d114be92e1c8494",
        "0ac74391e675a40a9e58",
    ]


def tuned(rounds: int = 2):
    return parse_study(HEAD + f"seeds = 2\n[tuning]\nlearning_rates = [0.01, 0.1, 1.0]\nseeds = 2\nrounds = {rounds}\n")


def whole(key: str, **more) -> dict:
    record = {"format": 1, "key": key, "cell": {}, "phase": "final", "seed": 0, "config": {}, "outcome": "finished"}
    return record | {"history": {"train_loss": [0.5, None]}} | more


def record_of(job: Job, accuracy: float | None) -> dict:
    return {
        "format": 1,
        "key": job.key,
        "outcome": "diverged" if accuracy is None else "finished",
        "history": {"validation_accuracy": [0.1, accuracy]},
    }


def test_a_search_comes_before_the_final_runs_which_have_other_seeds():
    study = tuned()
    planner, records = Planner(study), {}
    first = planner.due(records)
    assert [(job.config.learning_rate, job.config.seed) for job in first] == [
        (rate, FIRST_SEARCH_SEED + n) for rate in (0.01, 0.1, 1.0) for n in (0, 1)
    ]
    assert planner.total(records) == 8
    for job in first:
        records[job.key] = record_of(job, {0.01: 0.8, 0.1: 0.9, 1.0: 0.85}[job.config.learning_rate])
    final = planner.due(records)
    assert [(job.phase, job.config.learning_rate, job.config.seed) for job in final] == [
        ("final", 0.1, 0),
        ("final", 0.1, 1),
    ]
    for job in final:
        records[job.key] = record_of(job, 0.9)
    assert planner.due(records) == []
    assert planner.keys(records) == set(records)


@pytest.mark.parametrize(("slope", "rates"), [(1, [0.01, 0.1, 1.0, 10.0, 100.0]), (-1, [1e-4, 1e-3, 0.01, 0.1, 1.0])])
def test_the_grid_grows_where_the_best_lies_on_its_edge(slope, rates):
    planner, records = Planner(tuned()), {}
    while (due := planner.due(records)) and due[0].phase == "search":
        for job in due:
            decade = round(math.log10(job.config.learning_rate))
            records[job.key] = record_of(job, 0.5 + slope * 0.01 * decade)
    search = planner.search(planner.study.cells[0], records)
    assert list(search.rates) == rates
    assert search.widened == 2
    assert search.chosen == (100.0 if slope > 0 else 1e-4)
    assert planner.total(records) == 12


def test_a_search_is_refined_between_the_best_and_its_neighbours():
    study = dataclasses.replace(tuned(), tuning=dataclasses.replace(tuned().tuning, refine=2))
    planner, records, rounds = Planner(study), {}, []
    while (due := planner.due(records)) and due[0].phase == "search":
        rounds.append(sorted({job.config.learning_rate for job in due}))
        for job in due:
            records[job.key] = record_of(job, 1 - abs(math.log10(job.config.learning_rate / 0.2)) / 10)
    assert rounds == [[0.01, 0.1, 1.0], [0.0316, 0.316], [0.178, 0.562]]
    search = planner.search(study.cells[0], records)
    assert (search.chosen, search.widened) == (0.178, 0)
    assert list(search.rates) == [0.01, 0.0316, 0.1, 0.178, 0.316, 0.562, 1.0]


def test_a_rate_at_which_a_run_diverges_counts_as_nothing_learnt():
    planner, records = Planner(tuned()), {}
    for job in planner.due(records):
        rate, diverges = job.config.learning_rate, job.config.seed == FIRST_SEARCH_SEED
        records[job.key] = record_of(job, None if rate == 0.1 and diverges else {0.01: 0.6, 0.1: 0.99, 1.0: 0.5}[rate])
    search = planner.search(planner.study.cells[0], records)
    assert 1e-3 in search.rates  # 0.01 is the best, with 0.6, since 0.1 has a mean of 0.495


def test_values_are_written_for_people():
    assert value_name([]) == "none"
    assert value_name([100, 100]) == "100-100"
    assert value_name(1e-6) == "1e-06"
    assert value_name(False) == "no"


def test_records_are_read_back_and_a_torn_line_is_none(tmp_path):
    records = Records(tmp_path)
    assert records.read() == {}
    records.append(whole("a", x=1.5))
    records.append(whole("b", x=None))
    with records.lines.open("ab") as file:
        file.write(b'{"format": 1, "key": "c", "x"')
    assert set(records.read()) == {"a", "b"}
    records.mend()
    (tmp_path / ".records.jsonl.0123abcd.gz").write_bytes(b"of a runner that ended while it packed")
    records.mend()
    assert [path.name for path in tmp_path.iterdir()] == ["records.jsonl"]
    records.append(whole("d"))
    assert set(records.read()) == {"a", "b", "d"}
    records.pack()
    assert not records.lines.exists()
    assert records.read()["a"] == whole("a", x=1.5)
    records.append(whole("e"))
    assert set(Records(tmp_path).read()) == {"a", "b", "d", "e"}


def test_packed_records_are_the_same_bytes_whatever_their_order(tmp_path):
    contents = []
    for name, keys in (("one", "abc"), ("two", "cab")):
        (tmp_path / name).mkdir()
        records = Records(tmp_path / name)
        for key in keys:
            records.append(whole(key))
        records.pack()
        contents.append(records.packed.read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense", "[]", "{}", whole("a", format=2), whole(3), {"format": 1, "key": "a"},
        *(whole("a") | {name: 0.5} for name in sorted(NEEDED)), whole("a", seed=10**30), whole("a", test_accuracy="1"),
        whole("a", history={"train_loss": 1}), whole("a", history={"train_loss": ["1"]}), whole("a", signals=[1]),
        whole("a", history={"train_loss": [10**30]}), whole("a", history={"train_loss": [math.nan]}),
        whole("a", history={"train_loss": [True]}), whole("a", signals={"begin": {}}), whole("a", machine="fast"),
        whole("a", signals={"begin": [{"dead": []}]}), json.dumps(whole("a", test_loss=1.5)).replace("1.5", "1e400"),
    ],
    ids=lambda line: str(line)[:60],
)  # fmt: skip
def test_what_is_no_record_is_refused_by_its_line(tmp_path, line):
    line = (line if isinstance(line, str) else json.dumps(line)).encode()
    good = json.dumps(whole("a")).encode()
    records = Records(tmp_path)
    records.lines.write_bytes(good + b"\n" + line + b"\n" + good + b"\n")
    with pytest.raises(Exception, match=r"records.jsonl, line 2: this is no record") as refused:
        records.read()
    assert type(refused.value).__name__ == "DataError"


def test_a_damaged_packed_file_is_refused(tmp_path):
    records = Records(tmp_path)
    records.append(whole("a"))
    records.pack()
    good = records.packed.read_bytes()
    for damaged in (good[:-9], b"no gzip", good[:12] + bytes([good[12] ^ 255]) + good[13:]):
        records.packed.write_bytes(damaged)
        with pytest.raises(DataError, match=r"is cut off|is damaged|is not whole|no record of a run"):
            records.read()


def test_records_beyond_all_measure_are_refused(tmp_path, monkeypatch):
    records = Records(tmp_path)
    records.append(whole("a"))
    size = records.lines.stat().st_size
    records.append(whole("b"))
    monkeypatch.setattr(records_module, "MOST_BYTES", 2 * size)
    assert set(records.read()) == {"a", "b"}
    monkeypatch.setattr(records_module, "MOST_BYTES", 2 * size - 1)
    with pytest.raises(DataError, match="line 2: no study has as much as this"):
        records.read()
    monkeypatch.setattr(records_module, "LONGEST_LINE", size - 1)
    with pytest.raises(DataError, match="line 1: no study has as much as this"):
        records.read()
    records.lines.unlink()
    records.packed.write_bytes(gzip.compress(bytes(2**26 + 1)))
    monkeypatch.setattr(records_module, "LONGEST_LINE", 2**27)
    monkeypatch.setattr(records_module, "MOST_BYTES", 2**27)
    with pytest.raises(DataError, match="unpacks to more than 67108864 bytes"):
        records.read()
