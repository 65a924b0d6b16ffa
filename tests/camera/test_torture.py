"""A short run of the torture; scripts/torture does 100,000 triggers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_short_torture_finds_no_fault() -> None:
    """Every answer belongs to its part, none twice, none lost, no OK out of a fault."""
    command = [sys.executable, str(ROOT / "tests" / "camera" / "torture.py"), "--triggers", "1500"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout
    assert "no fault" in done.stdout
