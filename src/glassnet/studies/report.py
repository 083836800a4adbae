"""The report of a study: one page that needs nothing else, its figures as PNG, its table as CSV and Markdown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

import glassnet
from glassnet import plots
from glassnet.files import write_text
from glassnet.plots.style import svg
from glassnet.studies import tables
from glassnet.studies.drawings import Drawing, drawings_of
from glassnet.studies.job import Record
from glassnet.studies.raw import raw_csv
from glassnet.studies.records import LINES, PACKED
from glassnet.studies.runner import STUDY_FILE
from glassnet.studies.sentences import answers
from glassnet.studies.study import PLOTS, Study
from glassnet.studies.summary import Summary
from glassnet.studies.wording import counted, printable

PAGE, CSV_TABLE, MARKDOWN_TABLE = "report.html", "table.csv", "table.md"

_TIES = re.compile(r" (?=[%±<])|(?<=[±<]) |(?<=\d) (?=s\b)")


@dataclass
class _Shown:
    """A figure of the page."""

    name: str
    caption: str
    svg: str


@dataclass
class _Part:
    """A section of the page."""

    id: str
    title: str
    before: list[str] = field(default_factory=list)
    tables: list[tables.Table] = field(default_factory=list)
    drawings: list[_Shown] = field(default_factory=list)
    command: str = ""
    files: list[dict[str, str]] = field(default_factory=list)


def write_report(
    study: Study, records: Iterable[Record], folder: str | os.PathLike[str], *, command: str
) -> list[Path]:
    """Write what the records say about the study's question.

    The page, ``report.html``, needs no other file, no script and no network. Beside it come ``table.csv``, raw numbers
    in full precision, ``table.md``, and each figure as PNG. Files that are there already are replaced, each in one go;
    figures of an earlier report that this one does not have are removed. That of a trial (`Study.trial`) says that its
    figures mean nothing.

    Parameters
    ----------
    study : the question
    records : of its runs, as far as there are any; a study that is not finished gets a report that says so
    folder : where to write; it must exist
    command : the line that ran the study, to be shown

    Returns
    -------
    list of pathlib.Path
        The files that were written, the page first.

    Examples
    --------
    >>> import tempfile
    >>> from glassnet.studies.study import parse_study
    >>> study = parse_study('name = "two"\\nquestion = "Which?"\\n[grid]\\nlearning_rate = [0.1, 0.2]')
    >>> [path.name for path in write_report(study, [], tempfile.mkdtemp(), command="glassnet study two")]
    ['report.html', 'table.csv', 'table.md']
    """
    folder = Path(folder)
    summary = Summary(study, records)
    written, shown = [], []
    for drawing in drawings_of(summary):
        shown.append(_draw(drawing, folder))
        written.append(folder / f"{drawing.name}.png")
    for path in folder.glob("*.png"):
        if path not in written and path.stem.rstrip("-0123456789") in PLOTS:
            path.unlink()
    page = _template().render(
        study=study,
        banners=_banners(summary),
        answers=answers(summary) if summary.found else [],
        parts=_parts(summary, shown, command, folder),
        version=glassnet.__version__,
    )
    main = tables.main_table(summary)
    write_text(folder / PAGE, page.rstrip() + "\n")
    write_text(folder / CSV_TABLE, raw_csv(summary))
    write_text(folder / MARKDOWN_TABLE, main.markdown() + f"\n{main.caption}\n")
    return [folder / PAGE, folder / CSV_TABLE, folder / MARKDOWN_TABLE, *written]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True, finalize=_visible
    )
    environment.filters["bound"] = _bound
    return environment.from_string(files("glassnet.studies").joinpath("report.html.j2").read_text(encoding="utf-8"))


def _visible(value: Any) -> Any:
    """Replace what can not be shown in a text of the page; what is HTML already stays as it is."""
    return printable(value) if type(value) is str else value


def _bound(text: str) -> str:
    """Bind numbers to their units and spreads, so that no line breaks between them.

    Examples
    --------
    >>> _bound("98.05 ± 0.10 % after 12 s").count("\N{NO-BREAK SPACE}")
    4
    """
    return _TIES.sub("\N{NO-BREAK SPACE}", text)


def _draw(drawing: Drawing, folder: Path) -> _Shown:
    figure = drawing.make()
    plots.save(figure, folder / f"{drawing.name}.png")
    figure.set_layout_engine("none")  # everything has its place, which takes as long to find as to draw
    return _Shown(
        drawing.name, drawing.caption, svg(figure, drawing.describe, prefix=f"{drawing.name}-svg", reach=1.25)
    )


def _banners(summary: Summary) -> list[dict[str, str]]:
    found = []
    if summary.study.quick:
        rest = "Each run was cut to a few steps to see whether everything works. The figures on this page mean nothing."
        found.append({"head": "A short trial run.", "rest": rest})
    if summary.found < summary.expected:
        there = "is" if summary.found == 1 else "are"
        rest = f"There {there} {summary.found:,} of {counted(summary.expected, 'run')} so far"
        searched = len(summary.records) - summary.found
        search = "searches" if searched == 1 else "search"
        rest += f", and {counted(searched, 'run')} that {search} for learning rates" if searched else ""
        found.append(
            {"head": "This study is not finished.", "rest": f"{rest}. What follows is drawn from these alone."}
        )
    return found


def _parts(summary: Summary, shown: list[_Shown], command: str, folder: Path) -> list[_Part]:
    notes = [" ".join(text.split()) for text in summary.study.notes.split("\n\n") if text.strip()]
    pairs, search, failures = (
        make(summary) for make in (tables.pairs_table, tables.search_table, tables.failures_table)
    )
    results = [tables.main_table(summary), tables.times_table(summary), tables.short_table(summary)]
    parts = [_Part("results", "Results", tables=[table for table in results if table])]
    if shown:
        parts.append(_Part("figures", "Figures", drawings=shown))
    if pairs:
        parts.append(_Part("comparisons", "Compared on the same seeds", tables=[pairs]))
    if search:
        parts.append(_Part("search", "How the learning rates were chosen", tables=[search]))
    if failures:
        parts.append(_Part("failures", "Runs that did not finish", tables=[failures]))
    run = [tables.facts_table(summary), *([tables.settings_table(summary)] if summary.found else [])]
    parts.append(_Part("run", "What was run", tables=run, command=command, files=_files(summary, folder)))
    if notes:
        parts.append(_Part("notes", "Notes", before=notes))
    return parts


def _files(summary: Summary, folder: Path) -> list[dict[str, Any]]:
    records = PACKED if (folder / PACKED).is_file() or not (folder / LINES).is_file() else LINES
    return [
        {"name": records, "holds": "the record of every run, a line of JSON each"},
        {"name": STUDY_FILE, "holds": "the study as it was declared"},
        {"name": CSV_TABLE, "holds": "the results in full precision, a line a cell"},
        {"name": MARKDOWN_TABLE, "holds": "the table of results as Markdown"},
    ]
