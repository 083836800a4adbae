"""The processes of a benchmark: peers that wait for their turn, what they use of CPU and memory, and the machine.

What is read from /proc exists on Linux alone; elsewhere those figures are left out.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

CLEARED = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY")
"""Environment variables that no peer sees; all others that begin like these or with XLA or TF are recorded."""


def environment(data: Path) -> dict[str, str]:
    """Return the environment of every peer."""
    kept = {name: value for name, value in os.environ.items() if name not in CLEARED}
    return {**kept, "GLASSNET_BENCHMARK_DATA": str(data), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}


class Peer:
    """A peer in a process of its own; it sleeps in a read from a pipe until it is asked.

    Attributes
    ----------
    missing : why it is not there, or None
    versions : of what it runs on
    """

    def __init__(self, name: str, env: dict[str, str]) -> None:
        self.name = name
        self._log: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (closed in `close`)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runners.turn", name],
            cwd=HERE,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
        )
        self.missing: str | None = None
        self.versions: dict[str, str] = {}

    def greet(self) -> None:
        """Wait until it has imported its library."""
        reply = self.reply()
        self.missing = reply.get("missing") or reply.get("error")
        self.versions = reply.get("versions", {})

    def send(self, do: str, **values: Any) -> None:
        """Give an order."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **values}) + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # `reply` says what happened

    def reply(self) -> dict[str, Any]:
        """Wait for the answer to the last order."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"ended with status {self.process.wait()}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """Give an order and wait for the answer."""
        self.send(do, **values)
        return self.reply()

    def close(self) -> None:
        """Let it end."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


def processes() -> dict[int, tuple[int, float]]:
    """Return parent and CPU seconds of every process."""
    found = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(folder.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK
    return found


def tree(root: int, table: dict[int, tuple[int, float]]) -> list[int]:
    """Return a process and all below it.

    Examples
    --------
    >>> tree(5, {5: (1, 0.0), 6: (5, 0.0), 7: (6, 0.0), 8: (1, 0.0)})
    [5, 6, 7]
    """
    found = [root] if root in table else []
    for pid in found:
        found += [child for child, (parent, _) in table.items() if parent == pid]
    return found


def cpu_seconds(roots: list[int]) -> list[float]:
    """Return the CPU seconds that each tree of processes has used so far."""
    table = processes()
    return [sum(table[pid][1] for pid in tree(root, table)) for root in roots]


def machine_seconds() -> float:
    """Return the CPU seconds that the whole machine has worked so far, or 0 where that is not known."""
    try:
        fields = (PROC / "stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, soft, *rest = map(int, fields[1:])
    return (user + nice + system + irq + soft + sum(rest[:1])) / TICK


def memory(root: int) -> int:
    """Return the proportional set size of a tree of processes in bytes."""
    total = 0
    for pid in tree(root, processes()):
        try:
            text = (PROC / str(pid) / "smaps_rollup").read_text()
        except OSError:
            continue
        match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
        total += int(match[1]) * 1024 if match else 0
    return total


def watch(command: list[str], env: dict[str, str], cwd: Path | None = None) -> tuple[float, int]:
    """Run a command to its end; return the seconds that it took and its peak memory, looked at 50 times a second."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=env, cwd=cwd, stdout=log, stderr=log)
        peak = 0
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.02)
        seconds = time.perf_counter() - begin
        _check(process.returncode, command, log)
    return seconds, peak


def seconds_of(command: list[str], env: dict[str, str], cwd: Path | None = None) -> float:
    """Run a command to its end and return the seconds that it took."""
    with tempfile.TemporaryFile() as log:
        begin = time.perf_counter()
        status = subprocess.run(command, env=env, cwd=cwd, stdout=log, stderr=log, check=False).returncode
        seconds = time.perf_counter() - begin
        _check(status, command, log)
    return seconds


def _check(status: int, command: list[str], log: IO[bytes]) -> None:
    if status:
        log.seek(0)
        raise RuntimeError(f"{' '.join(command[1:])} failed: {log.read().decode(errors='replace')[-2000:]}")


def machine() -> dict[str, Any]:
    """Return what the figures depend on, without a name or a path."""
    import numpy as np
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": [f"{pool['internal_api']} {pool['version']}, {pool.get('architecture')} kernels" for pool in pools],
        "cleared": [name for name in CLEARED if name in os.environ],
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if re.match(r"(OPENBLAS|OMP|MKL|XLA|TF|TORCH|GOMP)_", name) and name not in CLEARED and "/" not in value
        },
    }


def _processor() -> str:
    try:
        text = (PROC / "cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown"
    facts = dict(re.findall(r"^(model name|cpu family|model|flags)\s*: (.*)$", text, re.MULTILINE))
    flags = [
        flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_vp2intersect") if flag in facts.get("flags", "")
    ]
    return (
        f"{facts.get('model name', 'unknown')}, family {facts.get('cpu family', '?')} model {facts.get('model', '?')}, "
        f"{' '.join(flags) or 'no avx2'}"
    )
