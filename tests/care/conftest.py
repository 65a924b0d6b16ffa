"""A device that was set up, and commands that are run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import Command

from edge_app.up import make_demo_line


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device's data, made once; nobody may change it."""
    folder = tmp_path_factory.mktemp("device") / "data"
    folder.mkdir()
    make_demo_line(folder, folder / "lineside.toml")
    return folder


@pytest.fixture
def data(demo_data: Path, tmp_path: Path) -> Path:
    """A device's data of one's own."""
    return Path(shutil.copytree(demo_data, tmp_path / "data", symlinks=True))


@pytest.fixture
def lineside(tmp_path: Path) -> Command:
    """Run a `lineside` command in an empty folder."""

    def run(*words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "edge_app.cli", *map(str, words)],
            cwd=tmp_path,
            env=os.environ | environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
