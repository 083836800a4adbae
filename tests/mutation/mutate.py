"""Mutation testing of the mathematics: does any test fail when an operator, a number or an argument is another?

    python -m pip install mutmut -e '.[test]'
    python tests/mutation/mutate.py --out survivors.diff

mutmut changes one thing at a time in `MUTATED` and runs the `TESTS` that reach it; a mutant under which they all pass
has survived. This takes about 15 minutes of one core. At the end there is one line for each module, and the file
holds what every survivor changed. Report of the last run: docs/LOG.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MUTATED = ("optim.py", "losses.py", "functional.py", "layers/*")
TESTS = ("test_optim.py", "test_losses.py", "test_functional.py", "test_layers.py", "test_gradcheck.py")
COPIED = ("src", "tests", "README.md", "LICENSE", "pyproject.toml", "constraints.txt")

SETTINGS = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = {mutated}
also_copy = ["tests"]
pytest_add_cli_args_test_selection = {tests}
"""


def copy_of_the_project(folder: Path) -> None:
    """Copy what is mutated and what tests it, and add what mutmut is told."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder)
    project = folder / "pyproject.toml"
    text = project.read_text(encoding="utf-8").replace('"--doctest-modules", ', "")
    mutated = [f"src/glassnet/{name}" for name in MUTATED]
    tests = [f"tests/{name}" for name in TESTS]
    project.write_text(text + SETTINGS.format(mutated=mutated, tests=tests), encoding="utf-8")


def main() -> int:
    """Run mutmut on a copy and print what survived."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1, help="mutants that are tested at once (1)")
    parser.add_argument("--out", type=Path, default=Path("survivors.diff"), help="the survivors (survivors.diff)")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_the_project(folder)
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}

        def mutmut(*words: str, show: bool = False) -> str:
            line = [sys.executable, "-m", "mutmut", *words]
            done = subprocess.run(line, cwd=folder, env=environment, check=True, text=True, stdout=None if show else -1)
            return done.stdout or ""

        mutmut("run", "--max-children", str(given.jobs), show=True)
        counts: Counter[tuple[str, bool]] = Counter()
        changes = []
        for line in mutmut("results", "--all", "true").splitlines():
            mutant, _, outcome = line.strip().rpartition(": ")
            if not mutant:
                continue
            killed = outcome in ("killed", "timeout")
            counts[mutant.partition(".x")[0], killed] += 1
            if not killed:
                changes.append(f"# {mutant}: {outcome}\n{mutmut('show', mutant)}")
    given.out.write_text("\n".join(changes), encoding="utf-8")
    for module in sorted({module for module, _ in counts}):
        killed, survived = counts[module, True], counts[module, False]
        print(f"{module}: {killed} of {killed + survived} killed, {killed / (killed + survived):.1%}")
    killed = sum(count for (_, was), count in counts.items() if was)
    print(f"together: {killed} of {counts.total()} killed, {killed / counts.total():.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
