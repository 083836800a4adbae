"""Studies: declared experiments, the runner that performs them, and the report on what came out.

    study.toml -> Study -> Planner: which runs are due -> run_study: records -> write_report

- `find_study`, `parse_study`, `Study`: what a study is;
- `run_study`: performs the runs that have no record yet, in processes or on a Dask cluster;
- `Records`: what is kept of each run;
- `Summary`, `answers`, `write_report`: what the records say.
"""

from glassnet.studies.clusters import Cluster, Dask, Processes
from glassnet.studies.plan import Planner
from glassnet.studies.records import Records
from glassnet.studies.report import write_report
from glassnet.studies.runner import Progress, check_folder, run_study
from glassnet.studies.sentences import answers
from glassnet.studies.study import Cell, Study, Tuning, find_study, parse_study, shipped
from glassnet.studies.summary import Summary

__all__ = [
    "Cell",
    "Cluster",
    "Dask",
    "Planner",
    "Processes",
    "Progress",
    "Records",
    "Study",
    "Summary",
    "Tuning",
    "answers",
    "check_folder",
    "find_study",
    "parse_study",
    "run_study",
    "shipped",
    "write_report",
]
