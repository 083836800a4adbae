"""What is printed where: quiet and verbose, consoles that know ASCII alone, colour, completion in shells."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from conftest import Glassnet, write_idx_folder

from glassnet.cli import COMMANDS, cli, options
from glassnet.optim import OPTIMIZERS

pytestmark = pytest.mark.usefixtures("in_tmp")


def run(*words: object, **env: str) -> subprocess.CompletedProcess[bytes]:
    without = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return subprocess.run(
        [sys.executable, "-m", "glassnet", *map(str, words)],
        capture_output=True, stdin=subprocess.DEVNULL, env={**without, **env}, timeout=120,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------ how much


def test_quiet_prints_nothing_but_errors(glassnet: Glassnet, idx_folder: Path) -> None:
    words = ("train", "--data", idx_folder, "--epochs", 1, "--out", "out", "--quiet")
    assert glassnet(*words) == (0, "", "")
    assert Path("out/model.safetensors").is_file()
    status, out, err = glassnet(*words)
    assert (status, out) == (2, "")
    assert err.startswith("glassnet: out is there already")
    status, out, err = glassnet(*words, "--force", "--learning-rate", "1e30", "--optimizer", "sgd")
    assert (status, out) == (1, "")
    assert err.startswith("glassnet: training diverged")


def test_verbose_prints_the_plan_and_a_line_an_epoch(glassnet: Glassnet, idx_folder: Path) -> None:
    words = (
        "train",
        "--data",
        idx_folder,
        "--hidden",
        8,
        "--epochs",
        3,
        "--max-steps",
        8,
        "--batch-size",
        100,
        "--out",
        "out",
    )
    status, out, err = glassnet(*words, "--verbose", "--optimizer", "momentum", "--seed", 5)
    assert (status, err) == (0, "")
    assert "dense_1 (Dense)       (N, 8)                248" in out
    lines = [line.split() for line in out.splitlines()]
    for pair in (["optimizer", "momentum"], ["learning_rate", "0.15"], ["momentum", "0.9"], ["schedule", "onecycle"],
                 ["threads", "1"], ["seed", "5"], ["hidden", "8"]):  # fmt: skip
        assert pair in lines
    assert "8 steps; results go to out" in out
    epochs = [line for line in out.splitlines() if line.startswith("epoch ")]
    assert [line.partition(":")[0] for line in epochs] == [
        "epoch 1/3, step 3",
        "epoch 2/3, step 6",
        "epoch 3/3, step 8",
    ]
    assert all("validation loss" in line and "learning rate" in line for line in epochs)
    plain = glassnet(*words, "--force")[1].splitlines()
    assert 5 <= len(plain) <= 6  # with a word about how little it learnt, or without
    assert not any(line.startswith(("epoch", "dense_1", "schedule")) for line in plain)


@pytest.mark.parametrize(("option", "drawn"), [((), True), (("--quiet",), False), (("--verbose",), False)])
@pytest.mark.parametrize("command", ["train", "lr-find"])
def test_a_bar_only_where_somebody_looks(
    glassnet: Glassnet, idx_folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, option: tuple[str, ...],
    drawn: bool,
) -> None:  # fmt: skip
    words = (
        command,
        "--data",
        idx_folder,
        "--batch-size",
        10,
        *option,
        *(["--epochs", 1] if command == "train" else []),
    )
    assert glassnet(*words)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    status, out, err = glassnet(*words)
    assert status == 0
    assert ("100%" in err) == drawn
    assert "100%" not in out


# ------------------------------------------------------------------------------------------ which letters

CONSOLES = [
    ({"PYTHONIOENCODING": "ascii"}, lambda name: name.encode("ascii", "backslashreplace")),
    ({"PYTHONIOENCODING": "latin-1"}, lambda name: name.encode("latin-1", "backslashreplace")),
    ({"PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}, str.encode),
    ({"LC_ALL": "C"}, str.encode),  # Python takes it for UTF-8, and here it does not:
    ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
     lambda name: name.encode().decode("ascii", "surrogateescape").encode("ascii", "backslashreplace")),
]  # fmt: skip


@pytest.mark.no_cover
@pytest.mark.parametrize(("env", "shown"), CONSOLES)
def test_every_console_can_show_what_is_printed(env: dict[str, str], shown: Callable[[str], bytes]) -> None:
    write_idx_folder(Path("数字"))
    done = run("train", "--data", "数字", "--hidden", 4, "--max-steps", 3, "--out", "ausgäbe", "--verbose", **env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b" on " + shown("数字") + b", relu" in done.stdout
    assert b"results in " + shown("ausgäbe") + b": model" in done.stdout
    again = run("train", "--config", "ausgäbe", "--quiet", "--out", "again", **env)
    assert (again.returncode, again.stdout, again.stderr) == (0, b"", b"")
    assert Path("again/model.safetensors").read_bytes() == Path("ausgäbe/model.safetensors").read_bytes()
    lost = run("train", "--data", "nö", **env)
    assert (lost.returncode, lost.stdout) == (2, b"")
    assert lost.stderr.count(b"\n") == 1
    assert b"\\" in lost.stderr or "nö".encode() in lost.stderr or "nö".encode("latin-1") in lost.stderr
    info = run("data", "info", "--data", "数字", **env)
    assert info.stdout.startswith(shown("数字") + b": samples of 6 x 5")


@pytest.mark.parametrize("command", [*COMMANDS, ""])
def test_help_is_plain_text(glassnet: Glassnet, command: str) -> None:
    out = glassnet(*command.split(), "--help")[1]
    assert out.isascii()
    assert "\x1b" not in out


def test_a_name_that_is_no_unicode_does_no_harm() -> None:
    try:
        write_idx_folder(Path("bad\udcff"))
    except (OSError, UnicodeEncodeError):
        pytest.skip("this system has no such names")
    done = run("train", "--data", "bad\udcff", "--out", "out")
    assert done.returncode == 2
    assert b"can not be written as TOML: rename it" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not Path("out").exists()
    assert run("data", "info", "--data", "bad\udcff").returncode == 0


def test_what_strangers_wrote_does_not_steer_the_console(glassnet: Glassnet) -> None:
    Path("mine.toml").write_text('"\\u001b[31mred\\u0007\\u009b\\u202e" = 1')
    for debug in ((), ("--debug",)):
        err = glassnet("train", "--config", "mine.toml", *debug)[2]
        assert r"has no \x1b[31mred\x07\x9b\u202e" in err
        assert not set("\x1b\x07\x9b\u202e") & set(err)
        assert (err.count("\n") > 5) == bool(debug)  # the ends of lines stay


# ------------------------------------------------------------------------------------------ completion


def completed(*words: str) -> list[tuple[str, str]]:
    """What bash is told when Tab is pressed at the end of the last word: kinds and values."""
    env = {"_GLASSNET_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    code = "import sys; sys.argv = ['glassnet']; from glassnet.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, check=True
    )
    assert done.stderr == ""
    return [(line.partition(",")[0], line.partition(",")[2]) for line in done.stdout.split()]


def test_commands_options_choices_and_files_are_completed() -> None:
    assert [value for _, value in completed("glassnet", "")] == list(COMMANDS)
    assert completed("glassnet", "lr") == [("plain", "lr-find")]
    assert [value for _, value in completed("glassnet", "train", "--optimizer", "")] == list(OPTIMIZERS)
    assert completed("glassnet", "lr-find", "--schedu") == []
    assert completed("glassnet", "train", "--schedu") == [("plain", "--schedule")]
    negative = ["--no-shuffle", "--no-validation", "--no-doctor"]
    assert completed("glassnet", "train", "--no-") == [("plain", name) for name in negative]
    assert completed("glassnet", "train", "--data", "mn") == [("plain", "mnist"), ("file", "mn")]
    assert completed("glassnet", "evaluate", "--data", "x") == [("file", "x")]
    assert completed("glassnet", "train", "--config", "x") == [("file", "x")]
    assert completed("glassnet", "train", "--batch-size", "f") == [("plain", "full")]
    assert completed("glassnet", "train", "--class-weights", "b") == [("plain", "balanced")]
    assert completed("glassnet", "completion", "") == [("plain", name) for name in ("bash", "zsh", "fish")]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(glassnet: Glassnet, shell: str) -> None:
    status, out, err = glassnet("completion", shell)
    assert (status, err) == (0, "")
    assert f"_GLASSNET_COMPLETE={shell}_complete" in out
    program = shutil.which(shell)
    if program is not None:
        check = subprocess.run([program, "-n", "-c", out] if shell != "fish" else [program, "-n"], input=out, text=True)
        assert check.returncode == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(glassnet: Glassnet) -> None:
    Path("completion.sh").write_text(glassnet("completion", "bash")[1])
    Path("glassnet").write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from glassnet.cli import main; main()'\n")
    Path("glassnet").chmod(0o755)
    script = """
        PATH="$PWD:$PATH"; . ./completion.sh
        COMP_WORDS=(glassnet train --schedule cos); COMP_CWORD=3
        _glassnet_completion glassnet; echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("cosine cosine-restarts\n", "")


def test_every_option_of_every_command_has_a_help() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)  # type: ignore[attr-defined]
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not isinstance(parameter.type, click.Choice):
                assert parameter.help, (name, parameter.name)


def test_options_of_many_commands_are_declared_once() -> None:
    words = [
        node.value
        for path in Path(options.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for node in call.args
        if isinstance(node, ast.Constant)
    ]
    for option in ("--debug", "--json", "--model", "--data", "--config"):
        assert words.count(option) == (2 if option == "--data" else 1), option  # that of evaluate has another default
