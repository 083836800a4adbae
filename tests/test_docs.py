"""The documentation is true: its code runs, its links lead somewhere, and every option is described."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from glassnet.cli import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def code_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run_script(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.no_cover
@pytest.mark.parametrize("page", [page for page in PAGES if code_blocks(page)], ids=lambda page: page.name)
def test_code_on_the_pages_runs(page, tmp_path):
    for code in code_blocks(page):
        run_script(code, tmp_path)


def test_readme_code_trains_saves_and_predicts(tmp_path):
    printed = run_script(code_blocks(ROOT / "README.md")[0], tmp_path)
    assert float(re.search(r"accuracy=([\d.]+)", printed)[1]) > 0.965
    assert printed.splitlines()[-1] == "[7 2 1 0 4]"  # the first five test images
    assert (tmp_path / "model.safetensors").is_file()


def test_example_script_runs(tmp_path):
    printed = run_script((ROOT / "examples" / "first_network.py").read_text(encoding="utf-8"), tmp_path)
    assert "55,000 images of (28, 28)" in printed
    assert re.findall(r"sees a (\d)", printed) == re.findall(r"it is a (\d)", printed) == list("72104")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        inner = (*path, name)
        found += commands(command, inner) if isinstance(command, click.Group) else [(inner, command)]
    return found


@pytest.mark.parametrize(
    ("path", "command"), commands(cli), ids=lambda value: " ".join(value) if type(value) is tuple else ""
)
def test_every_option_is_described(path, command):
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = re.search(rf"^## `glassnet {' '.join(path)}`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, path
    for parameter in command.params:
        for option in parameter.opts:
            assert re.search(rf"`{option}\b", section[1]), option


def test_the_page_of_the_optimizers_is_made_from_their_docstrings():
    spec = importlib.util.spec_from_file_location("make_optimizers", ROOT / "docs" / "make_optimizers.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert (ROOT / "docs" / "optimizers.md").read_text(encoding="utf-8") == maker.page(), "run docs/make_optimizers.py"


def test_readme_has_the_two_commands():
    blocks = re.findall(
        r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert [block.strip() for block in blocks[:2]] == [
        "python3 -m pip install . && python3 -m glassnet train",
        'python3 -m pip install -e ".[test]" && python3 -m pytest',
    ]


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in folder.glob("0*.md"))


@pytest.mark.no_cover
def test_the_page_of_results_and_the_table_of_the_readme_are_made_from_the_records():
    spec = importlib.util.spec_from_file_location("make_results", ROOT / "docs" / "make_results.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    found = (ROOT / "docs" / "results" / "README.md").read_text(encoding="utf-8")
    assert found == maker.page(), "run docs/make_results.py"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert maker.readme_table() in text
    assert text == maker.readme(text), "run docs/make_results.py"


def test_every_fault_names_a_test_that_there_is() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!fault).* \| ((?:`test_|the same).*) \|$", page, re.MULTILINE)
    assert len(rows) == page.count("\n| ") - 1 >= 25
    check_tests(page)


def test_every_row_of_what_is_the_same_names_a_test_that_there_is() -> None:
    page = (ROOT / "docs" / "determinism.md").read_text(encoding="utf-8")
    assert page.count("\n| ") - 1 == len(re.findall(r"^\|.*`test_\w+(\.py::\w+)?`.*\|$", page, re.MULTILINE))
    check_tests(re.sub(r"`(test_\w+)`", r"`test_determinism.py::\1`", page))


def check_tests(page: str) -> None:
    for file, name in re.findall(r"`(test_\w+\.py)::(\w+)", page):
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), name
