"""`lineside check`: all that a technician would look at, one line for each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_app.care import cameras, host, models, services
from edge_app.care.device import Device, look_at
from edge_app.care.finding import EXIT, Finding, fault, ok, told, worst
from edge_app.care.place import Place, add_place, needed, place_of
from edge_app.care.rights import as_owner
from edge_app.config import ConfigError, Settings

CREDENTIALS = Path("/etc/lineside/credentials")

CHECKS: tuple[Callable[[Device], Iterator[Finding]], ...] = (
    host.restores,
    services.services,
    cameras.cameras,
    models.jobs,
    models.models,
    cameras.ports,
    host.disk,
    host.records,
    host.memory,
    host.clock,
    host.heat,
    host.permissions,
)

DESCRIPTION = """\
Look at everything a technician would look at: settings, services, cameras, jobs, models, ports,
disk, memory, clock, heat and permissions. A line that runs is asked and not disturbed; a camera
without one gives one picture. Exit status: 0 all is well, 3 there are warnings, 1 there is a
fault, 2 the command line is wrong."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Mount the command."""
    check = commands.add_parser("check", help="is all well?", description=DESCRIPTION)
    check.add_argument("--json", action="store_true", help="for programs")
    add_place(check)
    check.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    place = place_of(arguments)
    try:
        needed(place)
        settings = place.settings()
    except ConfigError as error:
        return _tell([fault("settings", str(error), _todo(place))], as_json=arguments.json)
    # Root's own facts first; the rest is looked at with the programs' own rights.
    ours = list(host.credentials(CREDENTIALS)) if place.data is None else []

    def look() -> int:
        return _tell([*everything(place, settings), *ours], as_json=arguments.json)

    return as_owner(settings.data_dir, look)


def everything(place: Place, settings: Settings) -> list[Finding]:
    """All findings; a check that fails is a finding itself."""
    device = look_at(place.config, settings)
    found = [ok("settings", f"{place.config} is in order")]
    for check in CHECKS:
        try:
            found += check(device)
        # A check's edge: whatever is broken here, the others are looked at all the same.
        except Exception as error:  # noqa: BLE001 - said
            text = f"can't be looked at: {type(error).__name__}: {error}"
            found.append(fault(check.__name__, text, "lineside support-bundle, and ask"))
    return found


def _todo(place: Place) -> str:
    if place.config is None:
        return "sudo scripts/install on a device, scripts/run to try it"
    return "mend it; docs/settings.md lists every setting"


def _tell(findings: list[Finding], *, as_json: bool) -> int:
    state = worst(findings)
    if as_json:
        document = {"state": state, "findings": [entry.to_json() for entry in findings]}
        sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(told(findings) + "\n")
    return EXIT[state]
