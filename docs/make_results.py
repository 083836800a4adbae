"""Write docs/results/README.md from the records of the studies that were run in full, and the README's table.

Run ``python docs/make_results.py`` after a study was run or its report has changed; a test compares.
"""

import re
import textwrap
from pathlib import Path

from glassnet.studies import Planner, Records, Study, Summary, answers, find_study, shipped

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"

PAGE = """# What the studies found

Each was run by the command below its answer; reports, figures, tables and the records of every run are in the folders.
[Studies](../studies.md) says how it is measured. Seconds are those of training steps on one core of
{machines}.

{sections}
"""

SECTION = """## {title}

*{question}*

{answer}

![{plot} of the study {name}]({name}/{plot}.png)

[Report]({name}/report.html) (open it in a browser), [table]({name}/table.md), [numbers]({name}/table.csv),
[records]({name}/{records}): {runs:,} runs, {hours}. `{command}`
"""


def section(study: Study, records: Records) -> str:
    """Return what one study found."""
    everything = records.read()
    planner = Planner(study)
    own = [everything[key] for key in planner.keys(everything) & set(everything)]
    seconds = sum(record["wall_seconds"] for record in own)
    missing = planner.total(everything) - len(own)
    found = [f"**Not finished: {missing} runs of {planner.total(everything)} are missing.**"] if missing else []
    found += answers(Summary(study, own))
    plot = study.plots[0]["kind"]
    names = sorted(path.stem for path in records.folder.glob(f"{plot}*.png"))
    return SECTION.format(
        title=study.title,
        question=study.question,
        answer="\n\n".join(textwrap.fill(sentence, 120, break_long_words=False) for sentence in found),
        plot=names[0],
        name=study.name,
        records=(records.packed if records.packed.exists() else records.lines).name,
        runs=len(own),
        hours=f"{seconds / 3600:.1f} hours of one core"
        if seconds > 5400
        else f"{seconds / 60:.0f} minutes of one core",
        command=f"glassnet study run {study.name} --out docs/results/{study.name}",
    )


def machines(folders: list[Path]) -> str:
    """Name the processors that the records name."""
    found = {record["machine"]["processor"] for folder in folders for record in Records(folder).read().values()}
    return " and ".join(sorted(found))


def page() -> str:
    """Return the page of results."""
    names = [name for name in shipped() if Records(RESULTS / name).read()]
    sections = [section(find_study(name), Records(RESULTS / name)) for name in names]
    return PAGE.format(machines=machines([RESULTS / name for name in names]), sections="\n".join(sections).rstrip())


def readme_table() -> str:
    """Return the rows of the README: the table of the optimizers, without its caption."""
    lines = (RESULTS / "optimizers" / "table.md").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("|"))


def readme(text: str) -> str:
    """Return the README with the table as it is now."""
    pattern = r"(<!-- results: optimizers -->\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda found: f"{found[1]}\n{readme_table()}\n\n{found[2]}", text, flags=re.DOTALL)


if __name__ == "__main__":
    (RESULTS / "README.md").write_text(page(), encoding="utf-8")
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text(encoding="utf-8")), encoding="utf-8")
