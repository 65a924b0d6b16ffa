"""`lineside audit`: is the log what was written, and what does it say?"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from edge_app.audit import Audit, AuditError
from edge_app.settings_file import load_settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Mount the command."""
    audit = commands.add_parser("audit", help="the log of changes: verify it, or show its end")
    actions = audit.add_subparsers(required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="follow the chain from end to end")
    verify.set_defaults(run=_verify)
    show = actions.add_parser("show", help="the newest entries")
    show.add_argument("--target", default="", help="only those about it, e.g. job/2")
    show.add_argument("--limit", type=int, default=20)
    show.set_defaults(run=_show)
    for parser in (verify, show):
        parser.add_argument("--config", type=Path, help="the settings file (TOML)")
        parser.add_argument("--data", type=Path, help="the data folder, in place of the settings'")


def _verify(arguments: argparse.Namespace) -> int:
    try:
        count = _audit(arguments).verify()
    except AuditError as error:
        sys.stdout.write(f"the audit log is not what was written: {error}\n")
        return 1
    sys.stdout.write(f"{count} entries, each following the one before it\n")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    for entry in reversed(_audit(arguments).latest(arguments.target, arguments.limit)):
        sys.stdout.write(_told(entry) + "\n")
    return 0


def _told(entry: dict[str, Any]) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(entry["at"])))
    old, new = (json.dumps(entry[name], ensure_ascii=False) for name in ("old", "new"))
    return f"{at}  {entry['who']}  {entry['action']} {entry['target']}: {old} -> {new}"


def _audit(arguments: argparse.Namespace) -> Audit:
    return Audit(arguments.data or load_settings(arguments.config).data_dir)
