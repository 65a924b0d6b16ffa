"""Kills, power cuts and bad disks, a few of each; scripts/power-cuts and power-pulls do many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cuts import cut_again_and_again
from plant import in_memory
from pulls import pull_again_and_again

pytestmark = pytest.mark.slow

needs_a_disk = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/fuse").exists() or not Path("/dev/loop-control").exists(),
    reason="needs root, FUSE and loop devices",
)


def test_a_kill_costs_no_answer(tmp_path: Path) -> None:
    """At random moments under load; ids and counters go on, and it starts."""
    with in_memory() as run_dir:
        books = cut_again_and_again(tmp_path, run_dir, cuts=3, seed=1, minutes=1)

    assert books.faults == []
    assert books.counts["cuts"] == 3
    assert books.counts["answers compared with their record"] > 0


@needs_a_disk
def test_a_power_cut_costs_the_last_second_at_most(tmp_path: Path) -> None:
    """With any part of what the disk had not flushed missing."""
    with in_memory() as run_dir:
        books = pull_again_and_again(tmp_path, run_dir, pulls=2, seed=1, load_s=3.0)

    assert books.faults == []
    assert books.counts["pulls"] == 2
    assert books.counts["answers compared with their record"] > 0
