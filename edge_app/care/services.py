"""Checks of the services, where there is a systemd and they are installed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from edge_app.care.device import Device
from edge_app.care.finding import Finding, fault, ok, warning

RUNS = Path("/run/systemd/system")
ASK_S = 10.0
OFTEN = 3
TARGET, SOCKET, APP = "lineside.target", "lineside-app.socket", "lineside-app.service"
PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,Result,NRestarts,ExecMainStatus"


def units_of(cameras: list[str]) -> list[str]:
    """Every unit that a device with these cameras has."""
    return [TARGET, SOCKET, APP, *(f"lineside-camera@{name}.service" for name in cameras)]


def services(device: Device) -> Iterator[Finding]:
    """Does each unit run, did it fall often, and will it come back at the next boot?"""
    units = units_of(list(device.settings.cameras))
    states = unit_states(units)
    if states.get(TARGET, {}).get("LoadState") != "loaded":
        yield ok("services", "not installed here; lineside up runs the programs")
        return
    fine = 0
    for unit in units:
        found = list(_unit(unit, states.get(unit, {})))
        fine += not found
        yield from found
    if fine == len(units):
        yield ok("services", f"all {fine} units are active")


def unit_states(units: list[str]) -> dict[str, dict[str, str]]:
    """What systemd says of the units; nothing where there is none."""
    if not RUNS.exists():
        return {}
    try:
        done = subprocess.run(
            ["systemctl", "show", "--no-pager", "-p", PROPERTIES, *units],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    blocks = [
        dict(line.partition("=")[::2] for line in block.splitlines())
        for block in done.stdout.strip().split("\n\n")
    ]
    return {block.get("Id", ""): block for block in blocks}


def _unit(unit: str, state: dict[str, str]) -> Iterator[Finding]:
    if state.get("LoadState") != "loaded":
        yield fault(unit, "is not installed", "run scripts/install again")
        return
    if state.get("ActiveState") != "active":
        status = state.get("ExecMainStatus", "0")
        why = "a setting is wrong" if status == "78" else f"{state.get('Result')}, status {status}"
        text = f"{state.get('ActiveState')} ({why})"
        yield fault(unit, text, f"journalctl -u {unit} -n 20; systemctl start {unit}")
    elif int(state.get("NRestarts") or 0) >= OFTEN:
        text = f"active, started again {state['NRestarts']} times since it was first started"
        yield warning(unit, text, f"journalctl -u {unit} says why")
    if state.get("UnitFileState") == "disabled" and unit != APP:
        yield warning(unit, "does not start at the next boot", f"systemctl enable {unit}")
