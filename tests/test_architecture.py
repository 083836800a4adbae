"""The picture in the design, held by the imports: arrows run downwards only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import glassnet

ROOT = Path(glassnet.__file__).parent

# Each module, and all of ours that it may import. Nothing is listed above what it imports, so there are no cycles.
PICTURE: dict[str, set[str]] = {
    # leaves
    "": set(),
    "errors": set(),
    "files": set(),
    "metrics": {"errors"},
    "randomness": set(),
    "functional": set(),
    "checks": {"errors"},
    "history": {"errors"},
    "schedules": {"checks", "errors"},
    "initializers": {"checks"},
    "losses": {"checks", "errors", "functional"},
    "optimizer": {"checks", "errors", "schedules"},
    "optim": {"checks", "errors", "optimizer", "schedules"},
    "params": {"initializers"},
    # data
    "data.checks": {"errors"},
    "data.files": {"checks", "errors"},
    "data.cache": {"files"},
    "data.preprocessing": {"errors"},
    "data.ink": {"errors"},
    "data.pictures": {"errors", "data.files", "data.ink"},
    "data.csv": {"errors", "data.files"},
    "data.idx": {"errors", "files", "data.files"},
    "data.folder": {"errors", "data.idx"},
    "data.columns": {"data.preprocessing"},
    "data.dataset": {"errors", "data.checks", "data.columns", "data.preprocessing"},
    "data.facts": {"data.dataset"},
    "data.sources": {"errors", "data.cache", "data.checks", "data.csv", "data.dataset", "data.files", "data.folder",
                     "data.idx", "data.preprocessing"},
    "data.batches": {"checks", "errors", "data.columns", "data.dataset", "data.preprocessing"},
    "data": {"data.csv", "data.dataset", "data.facts", "data.idx", "data.preprocessing", "data.sources"},
    # networks
    "layers.base": {"params", "randomness"},
    "layers.basic": {"checks", "errors", "initializers", "layers.base", "params", "randomness"},
    "layers.activations": {"checks", "errors", "functional", "layers.base", "params"},
    "layers": {"layers.activations", "layers.base", "layers.basic"},
    "network": {"checks", "errors", "layers", "params", "randomness"},
    "model": {"errors", "data", "layers", "losses", "metrics", "network"},
    "gradcheck": {"errors", "losses", "network"},
    "diagnosis": {"errors", "layers", "losses", "network", "params"},
    "checkpoint": {"errors", "files", "data", "initializers", "layers", "losses", "model", "network"},
    # training, and what stands on it
    "workers": {"checks", "errors"},
    "step": {"data", "data.batches", "data.columns", "layers", "losses", "model", "network", "optimizer", "params",
             "schedules", "workers"},
    "training": {"checks", "errors", "data", "data.batches", "data.dataset", "diagnosis", "history", "losses",
                 "model", "network", "optim", "optimizer", "params", "step"},
    "listeners": {"checks", "errors", "files", "history", "optimizer", "schedules", "training"},
    "range_test": {"checks", "data", "errors", "losses", "network", "optim", "optimizer", "schedules", "training"},
    "plots.style": {"files"},
    "plots.curves": {"errors", "history", "plots.style"},
    "plots.tables": {"errors", "plots.style"},
    "plots.pictures": {"errors", "metrics", "plots.style"},
    "plots.results": {"data", "layers", "metrics", "model", "network", "plots.pictures", "plots.tables"},
    "plots.together": {"plots.style"},
    "plots.panels": {"plots.style"},
    "plots.studies": {"plots.panels", "plots.style"},
    "plots.spreads": {"plots.panels", "plots.style"},
    "plots.grids": {"errors", "plots.panels", "plots.style"},
    "plots": {"plots.curves", "plots.grids", "plots.pictures", "plots.results", "plots.spreads", "plots.studies",
              "plots.style", "plots.tables", "plots.together"},
    "config": {"checks", "errors", "data", "initializers", "layers", "listeners", "losses", "network", "optim",
               "optimizer", "schedules", "training"},
    # studies: declared, performed, reported
    "studies.study": {"checks", "config", "data.batches", "errors"},
    "studies.rule2019": {"config", "data", "data.batches", "errors", "functional", "layers", "network", "optim",
                         "params", "training"},
    "studies.job": {"", "config", "data", "diagnosis", "errors", "history", "studies.rule2019", "studies.study",
                    "training"},
    "studies.plan": {"studies.job", "studies.study"},
    "studies.records": {"errors", "files", "studies.job"},
    "studies.clusters": {"checks", "errors"},
    "studies.runner": {"config", "errors", "files", "studies.clusters", "studies.job", "studies.plan",
                       "studies.records", "studies.study"},
    "studies.evidence": set(),
    "studies.wording": {"studies.study"},
    "studies.cells": {"studies.evidence", "studies.job", "studies.study", "studies.wording"},
    "studies.summary": {"studies.cells", "studies.evidence", "studies.job", "studies.plan", "studies.study",
                        "studies.wording"},
    "studies.published": {"studies.cells", "studies.evidence", "studies.summary", "studies.wording"},
    "studies.pace": {"studies.cells", "studies.evidence", "studies.summary", "studies.wording"},
    "studies.sentences": {"studies.cells", "studies.evidence", "studies.pace", "studies.published", "studies.summary",
                          "studies.wording"},
    "studies.raw": {"studies.cells", "studies.summary", "studies.wording"},
    "studies.tables": {"studies.cells", "studies.evidence", "studies.published", "studies.sentences",
                       "studies.summary", "studies.wording"},
    "studies.drawings": {"plots", "studies.cells", "studies.summary", "studies.wording"},
    "studies.report": {"", "files", "plots", "plots.style", "studies.drawings", "studies.job", "studies.raw",
                       "studies.records", "studies.runner", "studies.sentences", "studies.study", "studies.summary",
                       "studies.tables", "studies.wording"},
    "studies": {"studies.clusters", "studies.plan", "studies.records", "studies.report", "studies.runner",
                "studies.sentences", "studies.study", "studies.summary"},
    # people
    "cli.output": set(),
    "cli.terminal": set(),
    "cli.runs": {"", "errors", "files", "config", "cli", "cli.output"},
    "cli.options": {"config", "cli.runs"},
    "cli.data": {"data", "data.cache", "cli.options", "cli.output"},
    "cli.study": {"errors", "studies", "cli.options", "cli.output"},
    "cli.evaluate": {"errors", "checkpoint", "config", "data", "cli.options", "cli.output", "cli.runs"},
    "cli.train": {"errors", "checkpoint", "config", "data", "files", "listeners", "model", "plots", "training",
                  "cli.options", "cli.output", "cli.runs"},
    "cli.lr_find": {"config", "files", "plots", "range_test", "cli.options", "cli.output", "cli.runs"},
    "cli.plot": {"errors", "config", "history", "plots", "cli.options", "cli.output", "cli.runs"},
    "cli.predict": {"errors", "checkpoint", "data.pictures", "model", "cli.options", "cli.output", "cli.runs",
                    "cli.terminal"},
    "cli.completion": {"cli.options"},
    "cli": {"errors", "cli.output", "cli.runs"},
    "__main__": {"cli"},
}  # fmt: skip

# Libraries outside the standard one, and who may use them.
LIBRARIES = {
    "numpy": set(PICTURE) - {"errors", "files", "checks", "history", "schedules", "data.files", "data", "layers",
                             "listeners", "range_test", "plots.style", "plots.together", "plots", "config", "",
                             "__main__", "cli", "cli.output", "cli.options", "cli.data", "cli.evaluate", "cli.lr_find",
                             "cli.plot", "cli.completion", "cli.study", "studies", "studies.clusters",
                             "studies.evidence", "studies.pace", "studies.plan", "studies.raw",
                             "studies.records", "studies.report", "studies.runner", "studies.study",
                             "studies.wording"},
    "lazy_loader": {""},
    "platformdirs": {"data.cache"},
    "tqdm": {"listeners", "cli.study"},
    "jinja2": {"studies.report"},
    "filelock": {"studies.runner"},
    "distributed": {"studies.clusters"},
    "safetensors": {"checkpoint"},
    "PIL": {"data.ink", "data.pictures", "plots.style"},
    "matplotlib": {name for name in PICTURE if name.startswith("plots.")} | {"studies.drawings"},
    "threadpoolctl": {"config", "studies.job", "training", "workers"},
    "tomli_w": {"config"},
    "click": {name for name in PICTURE if name.partition(".")[0] == "cli"} - {"cli.runs", "cli.terminal"},
}  # fmt: skip

STANDARD = {
    "abc", "atexit", "bisect", "collections", "concurrent", "contextlib", "copy", "csv", "dataclasses", "datetime",
    "enum", "functools", "gc", "glob", "gzip", "hashlib", "html", "importlib", "io", "itertools", "json", "math",
    "multiprocessing", "operator", "os", "pathlib", "platform", "re", "secrets", "shlex", "signal", "statistics",
    "struct", "sys", "tempfile", "textwrap", "threading", "time", "tomllib", "traceback", "types", "typing",
    "unicodedata", "warnings", "zlib",
}  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def imports(node: ast.AST) -> Iterator[str]:
    """Dotted names that are imported anywhere in a piece of source."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            yield from (alias.name for alias in part.names)
        elif isinstance(part, ast.ImportFrom):
            assert part.level == 0, "imports are absolute"
            assert part.module is not None
            if part.module.partition(".")[0] == "glassnet":
                for alias in part.names:
                    inner = f"{part.module}.{alias.name}"
                    yield inner if inner.removeprefix("glassnet.") in PICTURE else part.module
            else:
                yield part.module


def ours(name: str) -> set[str]:
    return {found.removeprefix("glassnet").lstrip(".") for found in imports(tree(name)) if found.startswith("glassnet")}


def test_the_picture_shows_every_module() -> None:
    assert set(PICTURE) == set(FILES)


@pytest.mark.parametrize("name", PICTURE)
def test_arrows_run_where_the_picture_says(name: str) -> None:
    assert ours(name) <= PICTURE[name]


@pytest.mark.parametrize("name", PICTURE)
def test_no_arrow_is_drawn_for_nothing(name: str) -> None:
    assert PICTURE[name] <= ours(name)


def test_arrows_run_downwards() -> None:
    order = list(PICTURE)
    up = {
        (name, below)
        for name, allowed in PICTURE.items()
        for below in allowed
        if order.index(below) >= order.index(name)
    }
    assert up == {("cli.runs", "cli")}  # for the constant STARTED alone, see the next test


def test_the_package_of_commands_imports_none_when_it_is_imported() -> None:
    for node in tree("cli").body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert not any(found.startswith("glassnet.cli") for found in imports(node))


@pytest.mark.parametrize("name", PICTURE)
def test_libraries_are_used_where_they_belong(name: str) -> None:
    for found in imports(tree(name)):
        library = found.partition(".")[0]
        if library not in STANDARD | {"glassnet", "__future__"}:
            assert name in LIBRARIES[library], library


@pytest.mark.parametrize("library", LIBRARIES)
def test_no_library_is_allowed_for_nothing(library: str) -> None:
    users = {name for name in PICTURE if any(found.partition(".")[0] == library for found in imports(tree(name)))}
    assert LIBRARIES[library] <= users


@pytest.mark.parametrize("name", [name for name in PICTURE if name.partition(".")[0] != "cli"])
def test_nothing_below_the_command_line_speaks_to_people(name: str) -> None:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "input", "sys.exit", "exit", "quit", "breakpoint")
            assert not called.endswith((".echo", "stdout.write", "stderr.write"))
    if name != "listeners":  # where the progress bar is drawn
        assert "sys" not in set(imports(tree(name)))


def test_no_command_imports_the_library_until_it_runs() -> None:
    for name in [name for name in PICTURE if name.partition(".")[0] == "cli"]:
        for node in tree(name).body:
            typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) and not typing_only:
                found = {module for module in imports(node) if module.startswith(("glassnet", "numpy", "matplotlib"))}
                others = {module for module in found if not module.startswith("glassnet.cli")}
                assert others <= {"glassnet", "glassnet.errors", "glassnet.files"}, name
