"""The settings, read and written. Read once, in each program's `__main__`.

Defaults in config.py < the TOML file < `LINESIDE_<TABLE>__<KEY>` in the environment, e.g.
`LINESIDE_APP__PORT=8081` or `LINESIDE_CAMERAS__CAM1__PLC_PORT=8091`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from edge_app.config import (
    AppSettings,
    CameraSettings,
    ConfigError,
    DataSettings,
    InferenceSettings,
    Settings,
)

ENV_PREFIX = "LINESIDE_"

T = TypeVar("T")


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        path: The TOML file; None for defaults and environment only.
        environ: The environment; the process's own by default.

    Raises:
        ConfigError: The file can't be read, or a setting is wrong; names the key.
    """
    document: dict[str, Any] = {}
    text = ""
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
            document = tomllib.loads(text)
        except OSError as error:
            raise ConfigError(f"can't read the settings {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid TOML: {error}") from error
    _merge_environment(document, os.environ if environ is None else environ)
    try:
        return _settings(document)
    except ConfigError as error:
        line = _line_of(text, *error.place)
        if not line:
            raise
        raise ConfigError(f"{path}, line {line}: {error}", error.place) from None


def _line_of(text: str, table: str, key: str) -> int:
    """The line on which a setting stands, or its table; 0 where the file has neither."""
    inside, found = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^]]*?)\s*\]", line):
            inside = re.sub(r"[\"'\s]", "", header[1])
        elif inside == table and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
        if inside == table and table:
            found = found or number
    return 0 if key else found


def _merge_environment(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENV_PREFIX) or "__" not in variable:
            continue
        *tables, key = variable.removeprefix(ENV_PREFIX).lower().split("__")
        table = document
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{variable}: {name} is a single setting, not a table")
        try:
            table[key] = json.loads(text)
        except json.JSONDecodeError:
            table[key] = text


def _settings(document: dict[str, Any]) -> Settings:
    tables = {f.name: f for f in dataclasses.fields(Settings)}
    for name in document:
        if name not in tables:
            raise ConfigError(
                f"unknown table [{name}]; expected one of {', '.join(tables)}", (name, "")
            )
    cameras = document.get("cameras", {})
    if not isinstance(cameras, dict):
        raise ConfigError("[cameras] must hold one table for each camera, e.g. [cameras.cam1]")
    for name in cameras:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name):
            raise ConfigError(
                f"camera name {name!r}: expected 1 to 32 of a-z, 0-9, - and _, "
                "because it becomes a file name",
                (f"cameras.{name}", ""),
            )
    return Settings(
        data=_table(DataSettings, "data", document.get("data", {})),
        app=_table(AppSettings, "app", document.get("app", {})),
        inference=_table(InferenceSettings, "inference", document.get("inference", {})),
        cameras={
            name: _table(CameraSettings, f"cameras.{name}", table)
            for name, table in cameras.items()
        },
    )


def _table(kind: type[T], path: str, entries: Any) -> T:
    if not isinstance(entries, dict):
        raise ConfigError(f"[{path}] must be a table, got {entries!r}")
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in entries.items():
        if key not in fields:
            known = ", ".join(fields)
            raise ConfigError(f"unknown setting {key!r} in [{path}]; known: {known}", (path, key))
        try:
            values[key] = _checked(f"{path}.{key}", value, hints[key], fields[key].metadata)
        except ConfigError as error:
            raise ConfigError(str(error), (path, key)) from None
    return kind(**values)


def _checked(path: str, value: Any, expected: Any, metadata: Mapping[str, Any]) -> Any:
    if typing.get_origin(expected) is Literal:
        if value not in typing.get_args(expected) or isinstance(value, bool):
            choices = ", ".join(repr(choice) for choice in typing.get_args(expected))
            raise ConfigError(f"{path}: expected one of {choices}; got {value!r}")
        return value
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(
            f"{path}: expected {_words(expected)}, got {type(value).__name__} {value!r}"
        )
    low, high = metadata.get("low"), metadata.get("high")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise ConfigError(f"{path}: expected {low:g} to {high:g}, got {value!r}")
    return value


def _words(expected: type | types.UnionType) -> str:
    names: dict[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "a bool"}
    return names.get(expected, str(expected))


def to_toml(settings: Settings) -> str:
    """The settings in force, as a file that `load_settings` reads back to the same."""
    lines = []
    for name in ("data", "app", "inference"):
        lines += _toml_table(name, getattr(settings, name))
    for name, camera in settings.cameras.items():
        lines += _toml_table(f"cameras.{name}", camera)
    return "\n".join(lines)


def _toml_table(path: str, table: Any) -> list[str]:
    lines = [f"[{path}]"]
    for entry in dataclasses.fields(table):
        # JSON's strings and numbers are TOML's too.
        value = json.dumps(getattr(table, entry.name), ensure_ascii=False)
        lines.append(f"{entry.name} = {value}")
    return [*lines, ""]
