"""``glassnet train --checkpoint-every``, ``--resume``, and ``glassnet replay``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Glassnet

from glassnet import load_checkpoint, load_model
from glassnet.checkpoints import steps_of
from glassnet.config import RunConfig
from glassnet.history import read_history

pytestmark = pytest.mark.usefixtures("in_tmp")


@pytest.fixture
def options(idx_folder: Path) -> list[str]:
    """A run of 60 steps: 20 an epoch and three epochs."""
    return [
        "--data",
        str(idx_folder),
        "--hidden",
        "8",
        "--batch-size",
        "14",
        "--epochs",
        "3",
        "--optimizer",
        "momentum",
    ]


def theta(path: str) -> np.ndarray:
    return load_model(path).network.theta


def cut(folder: str, last: int) -> None:
    """Leave a run as it is when it is killed after a step: no results, and the checkpoints up to there."""
    for path in Path(folder).iterdir():
        if path.is_file() and path.name not in ("run.toml", ".lock"):
            path.unlink()
    for step, path in steps_of(Path(folder, "checkpoints")).items():
        if step > last:
            path.unlink()


def test_a_run_goes_on_to_the_same_bits(glassnet: Glassnet, options: list[str]) -> None:
    assert glassnet("train", *options, "--out", "whole")[0] == 0
    status, out, _ = glassnet(
        "train", *options, "--out", "run", "--checkpoint-every", "7steps", "--keep-checkpoints", 9
    )
    assert status == 0
    assert "a checkpoint every 7steps: after an interruption, 'glassnet train --resume run' goes on" in out
    total = read_history("run/history.csv")["step"][-1]
    assert len(steps_of("run/checkpoints")) >= 8
    cut("run", 30)
    status, out, err = glassnet("train", "--resume", "run")
    assert (status, err) == (0, "")
    assert "it goes on after step 28" in out
    assert np.array_equal(theta("run/model.safetensors"), theta("whole/model.safetensors"))
    assert read_history("run/history.csv")["step"][-1] == total
    newest = load_checkpoint(list(steps_of("run/checkpoints").values())[-1])
    assert newest["written"] == {"every": "7steps", "keep": 9}


def test_a_run_that_was_killed_while_it_replaced_another_goes_on(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "run", "--checkpoint-every", "1e")
    old = {path.name: path.read_bytes() for path in Path("run").iterdir() if path.is_file()}
    more = "--hidden", 5, "--checkpoint-every", "7steps", "--keep-checkpoints", 9
    glassnet("train", *options, *more, "--out", "run", "--force")
    wanted = theta("run/model.safetensors")
    for name, content in old.items():  # as they were until the end of the second run
        Path("run", name).write_bytes(content)
    for step, path in steps_of("run/checkpoints").items():
        if step > 30:
            path.unlink()
    status, out, err = glassnet("train", "--resume", "run")
    assert (status, err) == (0, "")
    assert "it goes on after step 28" in out
    assert np.array_equal(theta("run/model.safetensors"), wanted)
    assert "hidden = [\n    5,\n]" in Path("run/run.toml").read_text()
    assert glassnet("train", *options, "--out", "run", "--force")[0] == 0
    assert list(Path("run/checkpoints").iterdir()) == [Path("run/checkpoints/.lock")]


def test_a_run_without_a_checkpoint_begins_anew(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "whole", "--checkpoint-every", "1e")
    wanted = theta("whole/model.safetensors")
    cut("whole", 0)
    status, _, err = glassnet("train", "--resume", "whole")
    assert status == 0
    assert err == "whole/checkpoints: there is no whole checkpoint in it.\nit begins anew.\n"
    assert np.array_equal(theta("whole/model.safetensors"), wanted)


def test_damaged_checkpoints_alone_are_put_aside(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "whole", "--checkpoint-every", "1e")
    wanted = theta("whole/model.safetensors")
    cut("whole", 20)
    (path,) = steps_of("whole/checkpoints").values()
    path.write_bytes(path.read_bytes()[:-1])
    status, _, err = glassnet("train", "--resume", "whole")
    assert status == 0
    assert f"{path} is {path.stem}.damaged now.\n" in err
    assert path.with_suffix(".damaged").exists()
    assert np.array_equal(theta("whole/model.safetensors"), wanted)


def test_a_run_that_is_over_says_so(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "run", "--checkpoint-every", "1e")
    before = theta("run/model.safetensors")
    status, out, _ = glassnet("train", "--resume", "run")
    assert status == 0
    assert "it goes on after step 60, its last one: the results are written anew" in out
    assert np.array_equal(theta("run/model.safetensors"), before)


def test_how_many_are_kept_of_none_is_refused(glassnet: Glassnet, options: list[str]) -> None:
    status, _, err = glassnet("train", *options, "--keep-checkpoints", "2")
    assert status == 2
    assert "add --checkpoint-every, such as 1e" in err


def test_a_replay_says_what_the_run_never_was(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "run", "--max-steps", 30)
    text = Path("run/run.toml").read_text()
    Path("run/run.toml").write_text(text.replace("max_steps = 30\n", ""))  # as if Ctrl-C had ended it
    _, out, _ = glassnet("replay", "run", "--step", "30")
    assert "would have become" not in out
    status, out, _ = glassnet("replay", "run", "--step", "31")
    assert status == 0
    assert "the run itself ended after 30 steps: this is what it would have become" in out


def files_of(folder: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


@pytest.mark.parametrize("more", [["--checkpoint-every", "1e"], []], ids=["damaged", "none"])
def test_results_with_nothing_to_go_on_from_stay(glassnet: Glassnet, options: list[str], more: list[str]) -> None:
    glassnet("train", *options, "--out", "run", *more)
    for path in Path("run/checkpoints").glob("step-*"):
        path.write_bytes(b"no checkpoint")
    before = files_of("run")
    status, out, err = glassnet("train", "--resume", "run")
    assert (status, out) == (2, "")
    assert "run has results, and nothing to go on from: they stay; 'glassnet train --config run --out ...'" in err
    assert files_of("run") == before


def test_results_are_those_of_one_run_until_others_are_there(
    glassnet: Glassnet, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*arguments: Any) -> None:
        follow(*arguments)
        raise KilledError

    glassnet("train", *options, "--out", "run")
    before, follow = files_of("run"), RunConfig.follow
    with monkeypatch.context() as patch:
        patch.setattr(RunConfig, "follow", killed)
        with pytest.raises(KilledError):
            glassnet("train", *options, "--hidden", 5, "--out", "run", "--force")
    assert files_of("run") == before
    for name in (".model.0123abcd.safetensors", ".history.0123abcd.csv"):
        Path("run", name).write_bytes(b"half")
    glassnet("train", *options, "--hidden", 5, "--out", "run", "--force")
    assert files_of("run").keys() == before.keys()
    result = json.loads(Path("run/result.json").read_text())
    assert read_history("run/history.csv")["train_loss"][-1] == result["train_loss"]


def test_a_torn_checkpoint_is_said_and_the_one_before_is_used(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "run", "--checkpoint-every", "1e")
    wanted = theta("run/model.safetensors")
    newest = list(steps_of("run/checkpoints").values())[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    status, _, err = glassnet("train", "--resume", "run")
    assert status == 0
    assert f"{newest} is torn" in err
    assert "the one before it is used." in err
    assert np.array_equal(theta("run/model.safetensors"), wanted)


def test_another_configuration_is_named(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "run", "--checkpoint-every", "1e")
    before = Path("run/model.safetensors").read_bytes()
    status, _, err = glassnet("train", "--resume", "run", "--seed", 4, "--epochs", 9)
    assert status == 2
    assert "run is another run: epochs was 3 and is 9; seed was 0 and is 4; leave that out to go on" in err
    _, _, err = glassnet("train", "--resume", "run", "--hidden", 7)
    assert re.search(
        r": run is another run: hidden was \[[0-9, ]+\] and is \[7\]; leave that out", err
    )  # and that alone
    assert glassnet("train", "--resume", "run", "--seed", 0)[0] == 0
    assert Path("run/model.safetensors").read_bytes() == before


@pytest.mark.parametrize("more", [("--out", "x"), ("--force",), ("--config", "run")])
def test_a_folder_and_settings_come_from_the_run(more: tuple[str, ...], glassnet: Glassnet) -> None:
    status, _, err = glassnet("train", "--resume", "run", *more)
    assert status == 2
    assert "--resume brings settings and folder: leave --config, --out and --force out." in err


def test_mistakes_get_one_sentence(glassnet: Glassnet, options: list[str]) -> None:
    status, _, err = glassnet("train", "--resume", "nowhere")
    assert status == 1
    assert "there is no such file" in err
    status, _, err = glassnet("train", *options, "--checkpoint-every", "soon")
    assert status == 2
    assert "checkpoints are written every 1e (epoch), 500steps or 30s, not every 'soon'" in err
    assert not Path("runs").exists()


def test_a_run_that_is_replaced_loses_its_checkpoints(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "run", "--checkpoint-every", "1e")
    assert glassnet("train", *options, "--out", "run", "--force", "--seed", 1, "--checkpoint-every", "3e")[0] == 0
    for path in steps_of("run/checkpoints").values():
        assert load_checkpoint(path)["settings"]["seed"] == 1


def test_time_travel(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "run", "--checkpoint-every", "25steps", "--keep-checkpoints", 9)
    there = {path: path.read_bytes() for path in Path("run").glob("*") if path.is_file()}
    status, out, err = glassnet("replay", "run", "--step", 33)
    assert (status, err) == (0, "")
    assert "run/step-33.safetensors is the network after 33 of 60 steps: test accuracy" in out
    assert "from the checkpoint of step 25" in out
    for path, content in there.items():
        assert path.read_bytes() == content
    wanted = theta("run/step-33.safetensors")
    cut("run", 0)
    status, out, _ = glassnet("replay", "run", "--step", 33, "--out", "again.safetensors")
    assert "from the beginning" in out
    assert np.array_equal(theta("again.safetensors"), wanted)


def test_time_travel_replaces_nothing_unless_asked(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "run")
    before = Path("run/model.safetensors").read_bytes()
    status, _, err = glassnet("replay", "run", "--step", 3, "--out", "run/model.safetensors")
    assert status == 2
    assert "run/model.safetensors is there already: name another file with --out, or add --force" in err
    assert Path("run/model.safetensors").read_bytes() == before
    assert glassnet("replay", "run", "--step", 3)[0] == 0
    assert glassnet("replay", "run", "--step", 3)[0] == 2
    assert glassnet("replay", "run", "--step", 3, "--force")[0] == 0


def test_the_last_and_the_first_step(glassnet: Glassnet, options: list[str]) -> None:
    glassnet("train", *options, "--out", "run", "--checkpoint-every", "1e")
    assert glassnet("replay", "run", "--step", 60)[0] == 0
    assert np.array_equal(theta("run/step-60.safetensors"), theta("run/model.safetensors"))
    assert glassnet("replay", "run", "--step", 0)[0] == 0
    status, _, err = glassnet("replay", "run", "--step", 61)
    assert status == 2
    assert "run has 60 steps: choose a --step of at most that." in err


@pytest.mark.no_cover
def test_the_program_is_killed_and_goes_on(idx_folder: Path, glassnet: Glassnet) -> None:
    options = ["--data", str(idx_folder), "--hidden", "8", "--batch-size", "1", "--epochs", "40", "--quiet"]
    assert glassnet("train", *options, "--out", "whole")[0] == 0
    command = [sys.executable, "-m", "glassnet", "train", *options, "--out", "run", "--checkpoint-every", "100steps"]
    process = subprocess.Popen(command)
    end = time.monotonic() + 60
    while not list(Path("run").glob("checkpoints/step-*")):
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not Path("run/model.safetensors").exists()
    assert glassnet("train", "--resume", "run", "--quiet") == (0, "", "")
    assert np.array_equal(theta("run/model.safetensors"), theta("whole/model.safetensors"))
