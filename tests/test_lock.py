"""The lock speaks for everything that pyproject.toml asks for."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEVICE = [
    Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["gpio"]
]
EVERYTHING = DEVICE + [
    Requirement(line)
    for extra in ("dev", "convert")
    for line in PROJECT["optional-dependencies"][extra]
]


@pytest.mark.parametrize("python", ["3.11", "3.13"])
@pytest.mark.parametrize(
    ("kind", "asked"), [("device", DEVICE), ("constraints", EVERYTHING)], ids=["device", "all"]
)
def test_the_lock_is_complete(kind: str, asked: list[Requirement], python: str) -> None:
    """Each requirement has exactly one version in the lock, and one that it allows."""
    locked = {}
    for line in (ROOT / f"requirements/{kind}-{python}.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, version = line.split("==")
            locked[canonicalize_name(name)] = version

    environment = {"python_version": python, "sys_platform": "linux"}
    wanted = [r for r in asked if r.marker is None or r.marker.evaluate(environment)]
    missing = [str(r) for r in wanted if canonicalize_name(r.name) not in locked]

    assert missing == [], "run scripts/lock"
    assert [str(r) for r in wanted if locked[canonicalize_name(r.name)] not in r.specifier] == []
