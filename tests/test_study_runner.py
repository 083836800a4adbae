"""The runner: nothing is lost, nothing is done twice, and every end is followed by a beginning."""

import dataclasses
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from glassnet.errors import ConfigError, DataError, OutputExistsError, WorkerDiedError
from glassnet.studies import Cluster, Dask, Processes, Records, parse_study, run_study
from glassnet.studies.job import perform

STUDY = """
name = "small"
question = "Which?"
seeds = 2
[run]
hidden = [16]
epochs = 1
max_steps = {steps}
[grid]
optimizer = ["sgd", "adam", "lion"]
"""
TIMES = ("train_seconds", "evaluation_seconds", "wall_seconds", "attempts")


def small(steps: int = 20):
    return parse_study(STUDY.format(steps=steps))


def without_times(records):
    """What must be the same whatever happened on the way."""
    plain = {}
    for key, record in records.items():
        history = {name: column for name, column in record["history"].items() if name != "train_seconds"}
        plain[key] = {name: value for name, value in record.items() if name not in TIMES} | {"history": history}
    return plain


def drive(study, folder, **options):
    return list(run_study(study, folder, **options))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    drive(small(), folder, jobs=2)
    return without_times(Records(folder).read())


def test_every_run_leaves_a_whole_record(undisturbed):
    assert len(undisturbed) == 6
    for record in undisturbed.values():
        assert record["outcome"] == "finished"
        assert record["reason"] is None
        assert record["steps"] == 20
        assert 0.1 < record["test_accuracy"] <= 1
        assert len(record["history"]["validation_accuracy"]) == 1
        assert record["config"]["learning_rate"] > 0  # every default is spelled out
        assert (record["config"]["workers"], record["config"]["threads"]) == (1, 1)
        assert record["machine"]["blas_threads"] == 1
        assert set(record["versions"]) == {"glassnet", "numpy", "python"}
    cells = Counter(record["cell"]["optimizer"] for record in undisturbed.values())
    assert cells == {"sgd": 2, "adam": 2, "lion": 2}


def test_bits_do_not_depend_on_how_many_run_at_a_time(undisturbed, tmp_path):
    progress = drive(small(), tmp_path, jobs=1)
    assert [step.done for step in progress] == list(range(7))
    assert {step.total for step in progress} == {6}
    assert progress[0].remaining_seconds is None
    assert progress[-1].remaining_seconds == 0
    assert without_times(Records(tmp_path).read()) == undisturbed
    assert not Records(tmp_path).lines.exists()


def test_what_has_a_record_is_not_done_again(undisturbed, tmp_path):
    study = small()
    for step in run_study(study, tmp_path, jobs=1):
        if step.done == 2:
            break  # leaves the loop, and with it the runner
    before = Records(tmp_path).read()
    assert len(before) == 2
    steps = drive(study, tmp_path, jobs=2)
    assert [step.done for step in steps] == [2, 3, 4, 5, 6]
    after = Records(tmp_path).read()
    assert {key: after[key] for key in before} == before
    assert without_times(after) == undisturbed
    assert [step.done for step in run_study(study, tmp_path)] == [6]
    assert [step.done for step in run_study(study.with_seeds(3), tmp_path)] == [6, 7, 8, 9]


def processes_with(word: str) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if word in (entry / "environ").read_bytes().decode(errors="replace"):
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.no_cover
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("killed_after", [0.0, 1, 4], ids=["at the start", "after a record", "in the middle"])
def test_a_runner_that_is_killed_goes_on_where_it_was(undisturbed, tmp_path, killed_after):
    path = tmp_path / "small.toml"
    path.write_text(STUDY.format(steps=20), encoding="utf-8")
    out, mark = tmp_path / "out", f"mark-{os.getpid()}-{killed_after}"
    words = [sys.executable, "-m", "glassnet", "study", "run", str(path), "--out", str(out), "--jobs", "2"]
    with subprocess.Popen(words, env={**os.environ, "GLASSNET_TEST_MARK": mark}, stdout=subprocess.DEVNULL) as runner:
        lines = Records(out).lines
        wait_until(lambda: (lines.exists() and lines.read_bytes().count(b"\n") >= killed_after) or not killed_after)
        runner.kill()
    wait_until(lambda: not processes_with(mark))  # its processes end with it
    there = len(Records(out).read()) if out.exists() else 0
    assert there < 6
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert without_times(Records(out).read()) == undisturbed
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) in ([], [".lock"])


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def heeds_ctrl_c():
    """Let a process heed Ctrl-C even where this one, started in the background by a script, ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_it_in_one_sentence_and_it_goes_on(undisturbed, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(STUDY.format(steps=20), encoding="utf-8")
    for attempt in range(5):  # on a busy machine all runs may be over before the signal comes
        out = tmp_path / f"out{attempt}"
        words = [sys.executable, "-m", "glassnet", "study", "run", str(path), "--out", str(out), "--jobs", "1"]
        lines = Records(out).lines
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=heeds_ctrl_c
        ) as runner:
            wait_until(lambda lines=lines: lines.exists() and lines.stat().st_size > 0)
            runner.send_signal(signal.SIGINT)
            _, said = runner.communicate(timeout=60)
        if runner.returncode != 0:
            break
    assert runner.returncode == 130
    assert said == "interrupted; every finished run is kept, and the same command goes on with the others.\n"
    assert subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert without_times(Records(out).read()) == undisturbed


@pytest.mark.no_cover
@pytest.mark.parametrize("moment", ["the packed file", "study.toml"])
def test_a_runner_that_is_killed_while_it_writes_a_file_leaves_nothing_behind(undisturbed, tmp_path, moment):
    name = "records.jsonl.gz" if moment == "the packed file" else moment
    code = f"""
import os, pathlib, signal
from glassnet.studies import parse_study, run_study
replace = pathlib.Path.replace
def die(self, target):
    if target.name == {name!r}:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(self, target)
pathlib.Path.replace = die
if __name__ == "__main__":
    list(run_study(parse_study({STUDY.format(steps=20)!r}), {str(tmp_path)!r}, jobs=2))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".records", ".study"))]
    drive(small(), tmp_path, jobs=2)
    assert without_times(Records(tmp_path).read()) == undisturbed
    assert {path.name for path in tmp_path.iterdir()} - {".lock"} == {"records.jsonl.gz", "study.toml"}


@pytest.mark.no_cover
def test_a_search_that_is_killed_ends_in_the_same_records(tmp_path):
    text = STUDY.format(steps=3).replace('"sgd", "adam", "lion"', '"sgd", "adam"').replace("seeds = 2", "seeds = 1")
    text += "[tuning]\nlearning_rates = [0.001, 0.01]\nseeds = 1\nrounds = 1\nrefine = 1\n"
    path = tmp_path / "search.toml"
    path.write_text(text, encoding="utf-8")
    drive(parse_study(text), tmp_path / "whole", jobs=2)
    expected = without_times(Records(tmp_path / "whole").read())
    words = [sys.executable, "-m", "glassnet", "study", "run", str(path), "--out", str(tmp_path / "out"), "--jobs", "2"]
    records = Records(tmp_path / "out")
    for enough in (3, 6):  # in the search, and later on
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as runner:
            wait_until(lambda: len(records.read()) >= enough if records.folder.exists() else False)  # noqa: B023
            runner.kill()
    assert subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert without_times(records.read()) == expected


def wait_until(true, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def test_a_process_that_is_killed_is_replaced_and_its_run_done_again(undisturbed, tmp_path):
    steps = []
    for step in run_study(small(), tmp_path, jobs=2):
        steps.append(step)
        if step.done == 1:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    assert steps[-1].retried >= 1
    records = Records(tmp_path).read()
    assert without_times(records) == undisturbed
    assert max(record["attempts"] for record in records.values()) >= 2


class FakeExecutor(Executor):
    """Performs a run at once, in this process; breaks, as a pool does, at those of one optimizer."""

    def __init__(self, cluster):
        self.cluster, self.broken = cluster, False

    def submit(self, function, job):
        if self.broken:
            raise BrokenExecutor("broken")
        self.cluster.begun.append(job.label[0][1])
        future = Future()
        if job.label[0][1] == self.cluster.deadly:
            self.broken = True
            future.set_exception(BrokenExecutor("its process died"))
        else:
            future.set_result(function(job))
        return future


class FakeCluster(Cluster):
    slots = 2

    def __init__(self, deadly):
        self.deadly, self.begun, self.closed = deadly, [], 0

    def executor(self):
        return FakeExecutor(self)

    def close(self):
        self.closed += 1


def test_a_run_that_always_ends_its_process_is_given_up_and_says_so(undisturbed, tmp_path):
    cluster = FakeCluster("adam")
    steps = drive(small(), tmp_path, cluster=cluster)
    records = Records(tmp_path).read()
    lost = [record for record in records.values() if record["outcome"] == "lost"]
    assert len(lost) == 2
    for record in lost:
        assert record["cell"] == {"optimizer": "adam"}
        assert record["reason"] == "its process ended 3 times before it was done"
        assert record["attempts"] == 3
        assert record["test_accuracy"] is None
    assert Counter(cluster.begun)["adam"] == 6
    assert steps[-1].retried == 6
    assert steps[-1].done == 6
    finished = {key: record for key, record in records.items() if record["outcome"] == "finished"}
    assert without_times(finished) == {key: undisturbed[key] for key in finished}
    assert cluster.closed == 1
    again = drive(small(), tmp_path, cluster=FakeCluster(None))  # the next call tries again what was lost
    assert [step.done for step in again] == [4, 5, 6]
    assert without_times(Records(tmp_path).read()) == undisturbed


def test_processes_that_all_end_at_once_end_the_study_with_a_hint(tmp_path):
    class Deadly(FakeCluster):
        def executor(self):
            executor = super().executor()
            executor.cluster.deadly = None
            submit = executor.submit

            def die(function, job):
                self.deadly = job.label[0][1]
                return submit(function, job)

            executor.submit = die
            return executor

    cluster = Deadly(None)
    with pytest.raises(WorkerDiedError, match="if __name__"):
        drive(small(), tmp_path, cluster=cluster)
    assert len(cluster.begun) == 5
    assert Records(tmp_path).read() == {}
    assert cluster.closed == 1


def test_a_run_that_diverges_is_a_result_with_its_reason(tmp_path):
    study = parse_study(
        'name = "wild"\nquestion = "?"\nseeds = 1\n[run]\noptimizer = "sgd"\nmax_steps = 5\nhidden = [8]\n'
        'loss = "mse"\noutput_activation = "identity"\nschedule = "constant"\n[grid]\nlearning_rate = [0.01, 1e30]\n'
    )
    drive(study, tmp_path, jobs=1)
    records = sorted(Records(tmp_path).read().values(), key=lambda record: record["cell"]["learning_rate"])
    assert [record["outcome"] for record in records] == ["finished", "diverged"]
    assert "training diverged at step" in records[1]["reason"]
    assert records[1]["test_accuracy"] is None
    json.dumps(records, allow_nan=False)


def test_signals_are_there_when_the_report_needs_them(tmp_path):
    study = parse_study(
        'name = "signals"\nquestion = "?"\nseeds = 1\n[run]\nmax_steps = 5\nhidden = [8, 8]\n'
        '[grid]\nactivation = ["tanh"]\n'
        '[report]\nplots = [{ kind = "signals", line = "activation", quantity = "gradient_rms" }]\n'
    )
    drive(study, tmp_path, jobs=1)
    (record,) = Records(tmp_path).read().values()
    for moment in ("begin", "end"):
        assert [layer["layer"] for layer in record["signals"][moment]] == ["tanh_1", "tanh_2"]
    assert record["signals"]["begin"] != record["signals"]["end"]


def test_two_runners_do_not_share_a_folder(tmp_path):
    steps = run_study(small(), tmp_path, jobs=1)
    next(steps)
    with pytest.raises(OutputExistsError, match="another process is writing"):
        next(run_study(small(), tmp_path, jobs=1))
    steps.close()
    next(run_study(small(), tmp_path, cluster=FakeCluster(None)))


def test_a_folder_keeps_the_records_of_one_study(tmp_path):
    next(run_study(small(), tmp_path, cluster=FakeCluster(None)))
    other = parse_study(STUDY.format(steps=1).replace("small", "other"))
    with pytest.raises(OutputExistsError, match="the records of the study small, not of the study other"):
        next(run_study(other, tmp_path))
    with pytest.raises(OutputExistsError, match="the records of the study small, not of a trial of the study small"):
        next(run_study(small().trial(), tmp_path))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputExistsError, match="is a file"):
        next(run_study(small(), tmp_path / "file"))


def test_a_study_without_a_text_is_performed_as_well(tmp_path):
    study = dataclasses.replace(small(), source="")
    for _ in range(2):
        drive(study, tmp_path, cluster=FakeCluster(None))
    assert len(Records(tmp_path).read()) == 6


def test_what_can_not_begin_is_said_before_anything_is_done(tmp_path):
    study = parse_study(STUDY.format(steps=5) + 'rule = ["2019", "gradient"]\n')
    cluster = FakeCluster(None)
    with pytest.raises(ConfigError, match="sgd, 2019: the rule of 2019 is for sigmoid layers"):
        drive(study, tmp_path, cluster=cluster)
    assert cluster.begun == []


def test_runs_take_turns_seed_by_seed(tmp_path):
    cluster = FakeCluster(None)
    cluster.slots = 1
    steps = drive(small(), tmp_path, cluster=cluster)
    assert [step.record["seed"] for step in steps[1:]] == [0, 0, 0, 1, 1, 1]
    assert set(cluster.begun[:3]) == {"sgd", "adam", "lion"}


def test_data_that_can_not_be_read_end_the_study_in_one_sentence(tmp_path):
    study = parse_study(f'name = "no-data"\nquestion = "?"\n[run]\ndata = "{tmp_path}"\n')
    with pytest.raises((DataError, FileNotFoundError), match=str(tmp_path)):
        drive(study, tmp_path / "out", jobs=1)


# Dask, with a real scheduler and two workers


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def dask_cluster(workers: int = 2, threads: int = 1):
    """A scheduler and workers, in processes of their own, without a nanny that would bring a killed one back."""
    address, started = f"tcp://127.0.0.1:{free_port()}", []
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    base = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    try:
        port = address.rpartition(":")[2]
        scheduler = [*base, "--host", "127.0.0.1", "--port", port, "--no-dashboard", "--no-show"]
        started.append(subprocess.Popen(scheduler, **quiet))
        worker = [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            address,
            "--nthreads",
            str(threads),
            "--no-nanny",
        ]
        worker += ["--no-dashboard", "--host", "127.0.0.1"]
        started += [subprocess.Popen(worker, **quiet) for _ in range(workers)]
        yield address, started
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_dask_cluster_does_the_same_runs_and_loses_none_with_a_worker(undisturbed, tmp_path):
    with dask_cluster() as (address, (_, _, doomed)):
        cluster = Dask(address)
        wait_until(lambda: cluster.slots == 4)
        steps = []
        for step in run_study(small(), tmp_path, cluster=cluster):
            steps.append(step)
            if step.done == 2:
                doomed.kill()
    assert steps[-1].done == 6
    assert steps[-1].retried == 1
    assert without_times(Records(tmp_path).read()) == undisturbed


def test_a_scheduler_that_is_gone_is_said_and_every_finished_run_is_kept(tmp_path):
    with dask_cluster(1) as (address, (scheduler, _)):
        cluster = Dask(address)
        steps = run_study(small(), tmp_path, cluster=cluster)
        next(steps)
        next(steps)
        scheduler.kill()
        with pytest.raises(WorkerDiedError, match="the Dask scheduler is gone"):
            list(steps)
    assert 1 <= len(Records(tmp_path).read()) < 6


def test_workers_that_can_not_be_used_are_refused(tmp_path):
    with dask_cluster(0) as (address, _):
        cluster = Dask(address)
        cluster.patience = 0.5
        with pytest.raises(ConfigError, match="has no worker: start them with"):
            drive(small(), tmp_path, cluster=cluster)
    with dask_cluster(1, threads=2) as (address, _), pytest.raises(ConfigError, match="workers with several threads"):
        drive(small(), tmp_path, cluster=Dask(address))


def test_a_dask_cluster_that_is_not_there_is_said_in_one_sentence(monkeypatch):
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:1'"):
        Dask("tcp://127.0.0.1:1", patience=0.5)
    with pytest.raises(ConfigError, match="no Dask scheduler answers"):
        Dask("nonsense://", patience=0.5)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'glassnet\[dask\]'"):
        Dask("tcp://127.0.0.1:1")


def test_jobs_are_performed_in_this_process_as_in_another(undisturbed):
    from glassnet.studies.job import Job

    study = small()
    job = Job.of(study, study.cells[0], "final", 0)
    record = json.loads(json.dumps(perform(job)))
    assert without_times({job.key: record})[job.key] == undisturbed[job.key]


def test_processes_must_be_at_least_one():
    with pytest.raises(ConfigError, match="jobs"):
        Processes(0)
