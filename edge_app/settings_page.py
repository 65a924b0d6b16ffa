"""docs/settings.md, made from the settings themselves: `lineside settings` prints it."""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any, Literal

from edge_app.config import CameraSettings, Settings

INTRODUCTION = """\
# Settings

Made by `lineside settings`; a test holds this page to the code.

Defaults < the file (`/etc/lineside/lineside.toml`, or `--config FILE`) < the environment.
A variable is `LINESIDE_<TABLE>__<KEY>`, its value JSON or plain text:
`LINESIDE_APP__PORT=8081`, `LINESIDE_CAMERAS__CAM1__PLC_PORT=8091`.

An unknown key, a wrong type or a value out of range is an error that names the key, and the
program ends with exit status 78, which systemd does not restart. `--check` looks at the
settings and leaves; `--print-config` shows those in force.
"""


def settings_page() -> str:
    """The page, in Markdown."""
    parts = [INTRODUCTION]
    hints = typing.get_type_hints(Settings)
    for entry in dataclasses.fields(Settings):
        kind = CameraSettings if entry.name == "cameras" else hints[entry.name]
        name = "cameras.NAME" if entry.name == "cameras" else entry.name
        parts.append(f"## [{name}]\n\n{(kind.__doc__ or '').strip()}\n\n{_table(kind)}\n")
    return "\n".join(parts)


def _table(kind: Any) -> str:
    rows = ["| key | type | default | why |", "|---|---|---|---|"]
    hints = typing.get_type_hints(kind)
    for entry in dataclasses.fields(kind):
        why = entry.metadata["why"].replace("|", "\\|")
        default = json.dumps(entry.default, ensure_ascii=False)
        rows.append(f"| `{entry.name}` | {_type(hints[entry.name], entry)} | `{default}` | {why} |")
    return "\n".join(rows)


def _type(hint: Any, entry: dataclasses.Field[Any]) -> str:
    if typing.get_origin(hint) is Literal:
        return ", ".join(f"`{json.dumps(choice)}`" for choice in typing.get_args(hint))
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}[hint]
    low, high = entry.metadata["low"], entry.metadata["high"]
    return words if low is None else f"{words}, {_plain(low)} to {_plain(high)}"


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)
