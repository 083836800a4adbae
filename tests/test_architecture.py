"""The picture in the design, held by the imports: arrows run downwards only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import glassnet

ROOT = Path(glassnet.__file__).parent

# Each module, and all of ours that it may import. Nothing is listed above what it imports, so there are no cycles.
PICTURE: dict[str, set[str]] = {
    # leaves
    "": set(),
    "errors": set(),
    "files": {"errors"},
    "metrics": {"errors"},
    "randomness": set(),
    "findings": set(),
    "blas": set(),
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
    "data.pictures": {"errors", "files", "data.files", "data.ink"},
    "data.catalogue": set(),
    "data.csv": {"errors", "data.files"},
    "data.idx": {"errors", "files", "data.files"},
    "data.folder": {"errors", "files", "data.files", "data.idx"},
    "data.download": {"errors", "files", "data.catalogue"},
    "data.named": {"errors", "files", "data.cache", "data.catalogue", "data.download", "data.folder"},
    "data.columns": {"data.preprocessing"},
    "data.dataset": {"errors", "data.checks", "data.columns", "data.preprocessing"},
    "data.facts": {"data.dataset"},
    "data.sources": {"errors", "data.cache", "data.catalogue", "data.checks", "data.csv", "data.dataset", "data.files",
                     "data.folder", "data.idx", "data.named", "data.preprocessing"},
    "data.batches": {"checks", "errors", "data.columns", "data.dataset", "data.preprocessing"},
    "data": {"data.catalogue", "data.csv", "data.dataset", "data.facts", "data.idx", "data.named", "data.preprocessing",
             "data.sources"},
    # networks
    "layers.base": {"params", "randomness"},
    "layers.basic": {"checks", "errors", "initializers", "layers.base", "params", "randomness"},
    "layers.activations": {"checks", "errors", "functional", "layers.base", "params"},
    "layers": {"layers.activations", "layers.base", "layers.basic"},
    "network": {"checks", "errors", "layers", "params", "randomness"},
    "model": {"errors", "data", "layers", "losses", "metrics", "network"},
    "gradcheck": {"errors", "losses", "network"},
    "diagnosis": {"errors", "layers", "losses", "network", "params"},
    "model_files": {"errors", "files", "data", "data.files", "initializers", "layers", "losses", "model", "network"},
    # training, and what stands on it
    "workers": {"blas", "checks", "errors"},
    "step": {"data", "data.batches", "data.columns", "layers", "losses", "model", "network", "optimizer", "params",
             "schedules", "workers"},
    "training": {"blas", "checks", "errors", "data", "data.batches", "data.dataset", "diagnosis", "history", "losses",
                 "model", "network", "optim", "optimizer", "params", "step"},
    "trace.equations": set(),
    "trace.sources": set(),
    "trace.frameworks": set(),
    "trace.letters": {"network", "optim", "optimizer", "params", "trace.equations"},
    "trace.opened": {"data", "data.batches", "errors", "functional", "layers", "losses", "model", "network", "optim",
                     "optimizer", "params", "step", "trace.equations", "trace.frameworks", "trace.letters",
                     "trace.sources", "training"},
    "trace.typeset": {"trace.equations"},
    "trace": {"trace.equations", "trace.opened", "trace.sources"},
    "explain.story": {"errors", "layers", "losses", "trace", "trace.equations", "trace.frameworks", "trace.letters"},
    "explain.page": {"", "explain.story", "files", "trace.frameworks", "trace.typeset"},
    "explain.scripts": {"model_files", "errors", "layers", "trace", "trace.frameworks", "trace.letters"},
    "explain": {"explain.page", "explain.scripts", "explain.story"},
    "listeners": {"checks", "diagnosis", "errors", "files", "history", "optimizer", "schedules", "training"},
    "checkpoints": {"checks", "data", "diagnosis", "errors", "files", "training"},
    "doctor": {"data", "diagnosis", "findings", "layers", "losses", "network", "training"},
    "fitting": {"checkpoints", "data", "losses", "network", "optim", "optimizer", "training"},
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
    "config": {"checks", "errors", "files", "data", "data.files", "fitting", "initializers", "layers", "listeners",
               "losses", "network", "optim", "optimizer", "schedules", "training"},
    "machine": {"blas", "config", "data", "errors"},
    # studies: declared, performed, reported
    "studies.study": {"checks", "config", "data.batches", "data.files", "errors"},
    "studies.rule2019": {"config", "data", "data.batches", "errors", "functional", "layers", "network", "optim",
                         "params", "training"},
    "studies.job": {"", "blas", "config", "data", "diagnosis", "errors", "history", "studies.rule2019",
                    "studies.study", "training"},
    "studies.plan": {"studies.job", "studies.study"},
    "studies.records": {"data.files", "errors", "files", "studies.job"},
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
    # the playground
    "web.messages": {"config", "errors", "initializers", "layers", "optim"},
    "web.advice": {"findings"},
    "web.traces": {"trace", "trace.typeset", "web.messages"},
    "web.racer": {"data", "diagnosis", "errors", "model", "network", "trace", "training", "web.advice",
                  "web.messages"},
    "web.worker": {"blas", "model_files", "data", "errors", "web.messages", "web.racer", "web.traces"},
    "web.session": {"errors", "web.messages", "web.worker"},
    "web.export": {"", "files"},
    "web.app": {"", "errors", "web.export", "web.messages", "web.session"},
    "web": set(),
    # people
    "cli.output": set(),
    "cli.terminal": set(),
    "cli.downloads": {"data", "cli.output"},
    "cli.runs": {"", "checkpoints", "errors", "files", "config", "plots", "cli", "cli.output"},
    "cli.options": {"config", "data.catalogue", "cli.runs"},
    "cli.data": {"data", "data.cache", "data.catalogue", "data.named", "cli.downloads", "cli.options", "cli.output"},
    "cli.study": {"errors", "studies", "cli.options", "cli.output"},
    "cli.evaluate": {"errors", "model_files", "config", "data", "cli.downloads", "cli.options", "cli.output",
                     "cli.runs"},
    "cli.replay": {"errors", "model_files", "checkpoints", "config", "history", "listeners", "training",
                   "cli.downloads", "cli.options", "cli.output", "cli.runs"},
    "cli.train": {"errors", "model_files", "checkpoints", "config", "data", "doctor", "files", "findings", "history",
                  "listeners", "model", "plots", "training", "cli.downloads", "cli.options", "cli.output", "cli.runs"},
    "cli.lr_find": {"config", "files", "plots", "range_test", "cli.downloads", "cli.options", "cli.output",
                    "cli.runs"},
    "cli.plot": {"errors", "files", "config", "history", "plots", "cli.options", "cli.output", "cli.runs"},
    "cli.predict": {"errors", "model_files", "data.pictures", "model", "cli.options", "cli.output", "cli.runs",
                    "cli.terminal"},
    "cli.explain": {"errors", "model_files", "config", "data", "data.pictures", "explain", "model", "trace",
                    "trace.frameworks", "cli.options", "cli.output", "cli.runs", "cli.terminal"},
    "cli.playground": {"errors", "model_files", "web.app", "web.export", "cli.options", "cli.output", "cli.runs"},
    "cli.doctor": {"config", "machine", "cli.options", "cli.output", "cli.runs"},
    "cli.completion": {"cli.options"},
    "cli": {"errors", "cli.output", "cli.runs"},
    "__main__": {"cli"},
}  # fmt: skip

# Libraries outside the standard one, and who may use them.
LIBRARIES = {
    "numpy": set(PICTURE) - {"blas", "cli.doctor", "findings",
                             "errors", "files", "checks", "history", "schedules", "data.files", "data.catalogue",
                             "data.download", "data.named", "data", "layers", "listeners", "range_test",
                             "plots.style", "plots.together", "plots", "config", "",
                             "__main__", "cli", "cli.output", "cli.options", "cli.data", "cli.evaluate", "cli.lr_find",
                             "cli.plot", "cli.completion", "cli.study", "studies", "studies.clusters",
                             "studies.evidence", "studies.pace", "studies.plan", "studies.raw",
                             "studies.records", "studies.report", "studies.runner", "studies.study",
                             "studies.wording", "trace", "trace.equations", "trace.frameworks", "trace.letters",
                             "trace.sources", "trace.typeset", "explain", "web", "web.advice", "web.app",
                             "web.export", "web.session", "web.worker", "cli.playground", "cli.downloads", "cli.replay",
                             "fitting"},
    "lazy_loader": {""},
    "platformdirs": {"data.cache"},
    "tqdm": {"listeners", "cli.downloads", "cli.study"},
    "jinja2": {"studies.report", "explain.page", "explain.scripts", "web.export"},
    "markupsafe": {"explain.page", "trace.typeset"},
    "latex2mathml": {"trace.typeset"},
    "starlette": {"web.app"},
    "uvicorn": {"cli.playground"},
    "filelock": {"data.download", "files"},
    "distributed": {"studies.clusters"},
    "safetensors": {"model_files", "checkpoints"},
    "PIL": {"data.ink", "data.pictures", "explain.page", "plots.style"},
    "matplotlib": {name for name in PICTURE if name.startswith("plots.")} | {"studies.drawings"},
    "threadpoolctl": {"blas", "machine", "studies.job"},
    "tomli_w": {"config"},
    "click": {name for name in PICTURE if name.partition(".")[0] == "cli"}
    - {"cli.downloads", "cli.runs", "cli.terminal"},
}  # fmt: skip

STANDARD = {
    "abc", "ast", "asyncio", "atexit", "base64", "binascii", "bisect", "collections", "concurrent", "contextlib",
    "copy", "csv", "dataclasses", "datetime", "email", "enum", "functools", "gc", "glob", "gzip", "hashlib", "html",
    "http", "importlib", "inspect", "io", "itertools", "json", "math", "multiprocessing", "operator", "os", "pathlib",
    "platform", "re", "secrets", "shlex", "shutil", "signal", "socket", "statistics", "string", "struct", "sys",
    "tempfile", "textwrap", "threading", "time", "tomllib", "traceback", "types", "typing", "unicodedata", "urllib",
    "warnings", "webbrowser", "zipfile", "zlib",
}  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
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


@cache
def imported(name: str) -> frozenset[str]:
    return frozenset(imports(tree(name)))


def ours(name: str) -> set[str]:
    return {found.removeprefix("glassnet").lstrip(".") for found in imported(name) if found.startswith("glassnet")}


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
    for found in imported(name):
        library = found.partition(".")[0]
        if library not in STANDARD | {"glassnet", "__future__"}:
            assert name in LIBRARIES[library], library


@pytest.mark.parametrize("library", LIBRARIES)
def test_no_library_is_allowed_for_nothing(library: str) -> None:
    users = {name for name in PICTURE if any(found.partition(".")[0] == library for found in imported(name))}
    assert LIBRARIES[library] <= users


@pytest.mark.parametrize("name", [name for name in PICTURE if name.partition(".")[0] != "cli"])
def test_nothing_below_the_command_line_speaks_to_people(name: str) -> None:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "input", "sys.exit", "exit", "quit", "breakpoint")
            assert not called.endswith((".echo", "stdout.write", "stderr.write"))
    if name != "listeners":  # where the progress bar is drawn
        assert "sys" not in imported(name)


def test_no_command_imports_the_library_until_it_runs() -> None:
    for name in [name for name in PICTURE if name.partition(".")[0] == "cli"]:
        for node in tree(name).body:
            typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) and not typing_only:
                found = {module for module in imports(node) if module.startswith(("glassnet", "numpy", "matplotlib"))}
                others = {module for module in found if not module.startswith("glassnet.cli")}
                assert others <= {"glassnet", "glassnet.errors", "glassnet.files"}, name
