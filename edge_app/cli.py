"""The `lineside` command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_app import audit_cli, commission, jobs_cli, models_cli
from edge_app.care import backup_cli, check, support
from edge_app.care.backup import BackupError
from edge_app.config import EXIT_CONFIG, ConfigError
from edge_app.jobs import JobError
from edge_app.lines import LineDown
from edge_app.models import StoreError
from edge_app.settings_page import settings_page
from edge_app.up import CantStart, Up


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser("lineside", description="Look after a Lineside device.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(commands)
    models_cli.add_parser(commands)
    jobs_cli.add_parser(commands)
    commission.add_parser(commands)
    audit_cli.add_parser(commands)
    check.add_parser(commands)
    support.add_parser(commands)
    backup_cli.add_parser(commands)
    settings = commands.add_parser("settings", help="print the page of all settings (Markdown)")
    settings.set_defaults(run=_settings)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except KeyboardInterrupt:
        return 130
    except ConfigError as error:
        print(f"lineside: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except (BackupError, CantStart, StoreError, JobError, LineDown) as error:
        print(f"lineside: {error}", file=sys.stderr)
        return 1
    return status


def _add_up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = commands.add_parser(
        "up",
        help="run app and lines together without systemd; the demo line if there is none yet",
    )
    up.add_argument("--host", default="", help="address of the app (127.0.0.1)")
    up.add_argument("--port", type=int, help="port of the app (8080)")
    up.add_argument("--plc-port", type=int, help="port of the first line's PLC listener (8090)")
    up.add_argument(
        "--data",
        type=Path,
        default=Path("lineside-data"),
        help="folder for everything that is kept",
    )
    up.add_argument(
        "--seconds",
        type=float,
        help="stop by itself; the exit status is 0 only if every part got an answer",
    )
    up.set_defaults(run=_up)


def _settings(arguments: argparse.Namespace) -> int:
    del arguments
    print(settings_page(), end="")
    return 0


def _up(arguments: argparse.Namespace) -> int:
    overrides = {}
    if arguments.host:
        overrides["LINESIDE_APP__HOST"] = arguments.host
    if arguments.port is not None:
        overrides["LINESIDE_APP__PORT"] = str(arguments.port)
    if arguments.plc_port is not None:
        overrides["LINESIDE_CAMERAS__CAM1__PLC_PORT"] = str(arguments.plc_port)
    return Up(arguments.data, overrides).run(arguments.seconds)


if __name__ == "__main__":
    sys.exit(main())
