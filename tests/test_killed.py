"""Runs that are killed at any moment and go on end in the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_cover

KILLS = 200


@pytest.mark.skipif(sys.platform == "win32", reason="runs are forks")
def test_runs_that_are_killed_at_any_moment_end_in_the_same_bits() -> None:
    script = Path(__file__).with_name("killed_runs.py")
    done = subprocess.run(
        [sys.executable, str(script), str(KILLS), "1"], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["damaged"] == []
    assert len(found["went on"]) == found["same"] == KILLS
    assert len({step for step in found["went on"] if step}) > 20
