"""The public names: there, typed, documented, and free of charge to import."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import glassnet

STUB = Path(glassnet.__file__).with_suffix(".pyi")


def stub_imports() -> dict[str, str]:
    """Each name that the stub imports, and its module."""
    found = {}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"glassnet.{node.module}" for alias in node.names}
    return found


def python(code: str, *options: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", *options, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", glassnet.__all__)
def test_every_name_is_there_and_what_the_stub_says(name: str) -> None:
    there = getattr(glassnet, name)
    module = sys.modules[stub_imports()[name]]
    assert there is getattr(module, name)


def test_the_stub_the_list_and_dir_agree() -> None:
    stub = ast.parse(STUB.read_text(encoding="utf-8"))
    listed = next(ast.literal_eval(n.value) for n in stub.body if isinstance(n, ast.Assign))
    assert set(listed) == set(stub_imports()) == set(glassnet.__all__)
    assert len(listed) == len(set(listed))
    assert set(glassnet.__all__) <= set(dir(glassnet))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Pickle"):
        _ = glassnet.Pickle  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", glassnet.__all__)
def test_every_public_thing_and_each_of_its_methods_is_documented(name: str) -> None:
    thing: Any = getattr(glassnet, name)
    assert inspect.getdoc(thing), name
    if inspect.isclass(thing):
        assert vars(thing).get("__doc__"), f"{name} has only the documentation of its base"
        for method, value in vars(thing).items():
            if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                assert inspect.getdoc(value), f"{name}.{method}"


def test_errors_are_what_a_caller_would_catch() -> None:
    bases = {
        glassnet.ConfigError: ValueError,
        glassnet.DataError: ValueError,
        glassnet.ModelFileError: ValueError,
        glassnet.CheckpointError: ValueError,
        glassnet.MissingFileError: FileNotFoundError,
        glassnet.OutputExistsError: FileExistsError,
        glassnet.DivergedError: ArithmeticError,
        glassnet.WorkerDiedError: RuntimeError,
    }
    for error, base in bases.items():
        assert issubclass(error, glassnet.GlassnetError)
        assert issubclass(error, base)
        assert str(error("a sentence.")) == "a sentence."
    assert {getattr(glassnet, name) for name in glassnet.__all__ if name.endswith("Error")} == {
        *bases, glassnet.GlassnetError, glassnet.MeanSquaredError,
    }  # fmt: skip


def loaded_by(code: str) -> dict[str, bool]:
    """Which heavy libraries are in memory after some code."""
    printed = python(f"{code}; import sys; print(*sys.modules)").split()
    return {name: name in printed for name in ("numpy", "matplotlib", "click", "tqdm")}


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert loaded_by("import glassnet") == {"numpy": False, "matplotlib": False, "click": False, "tqdm": False}


def test_training_imports_no_pictures() -> None:
    loaded = loaded_by("import glassnet; glassnet.fit; glassnet.Progress")
    assert loaded == {"numpy": True, "matplotlib": False, "click": False, "tqdm": False}


@pytest.mark.parametrize(
    "command",
    [[], ["train"], ["lr-find"], ["evaluate"], ["predict"], ["plot"], ["data", "info"], ["completion"]],
)
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    code = f"""
import sys
from glassnet.cli import main
try:
    main({[*command, "-h"]!r})
except SystemExit as end:
    assert not end.code
print("\\nloaded:", *(name for name in ("numpy", "matplotlib", "safetensors") if name in sys.modules))
"""
    printed = python(code)
    assert printed.startswith("Usage: glassnet ")
    assert printed.splitlines()[-1].split() == ["loaded:"]


def test_drawing_needs_no_display_and_leaves_pyplot_alone() -> None:
    code = """
import io, sys
import matplotlib, numpy as np
before = list(dict.items(matplotlib.rcParams))  # asked for by name, the backend would be looked for
from glassnet import plots
from glassnet.history import COLUMNS
history = {name: [1.0] for name in COLUMNS}
one = np.ones((2, 2))
for figure in (
    plots.learning_curve(history),
    plots.comparison_figure({"a": history, "b": history}),
    plots.learning_rate_range_figure([0.1, 1.0], [2.0, 1.0], [2.0, 1.0], 0.1),
    plots.confusion_figure(one, ["a", "b"]),
    plots.mistakes_figure(np.ones((2, 5, 5)), [0, 1], one, ["a", "b"]),
    plots.weights_figure(np.ones((25, 2)), (5, 5)),
):
    figure.savefig(io.BytesIO())
assert list(dict.items(matplotlib.rcParams)) == before
print("matplotlib.pyplot" in sys.modules)
"""
    assert python(code).strip() == "False"


def test_the_version_is_the_one_that_is_installed() -> None:
    from importlib.metadata import version

    assert glassnet.__version__ == version("glassnet")


def test_types_are_shipped() -> None:
    assert (STUB.parent / "py.typed").is_file()
