"""JSON Schema of the code's own types."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import IntEnum, StrEnum
from typing import Any, Literal, Union

Schema = dict[str, Any]

PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},
    type(None): {"type": "null"},
    Any: {},
}
"""A float may be null: JSON has no NaN."""


def schema_of(kind: Any) -> Schema:
    """The schema of a type: plain ones, enums, unions, lists, mappings, dataclasses."""
    if kind in PLAIN:
        return dict(PLAIN[kind])
    if dataclasses.is_dataclass(kind):
        return fields_schema(typing.cast("type", kind))
    if isinstance(kind, type) and issubclass(kind, StrEnum | IntEnum):
        return {"enum": [entry.value for entry in kind]}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin not in GENERIC:
        raise TypeError(f"no schema for {kind!r}")
    return GENERIC[origin](arguments)


def fields_schema(
    kind: type, renamed: Mapping[str, str] | None = None, without: tuple[str, ...] = ()
) -> Schema:
    """The schema of a dataclass's fields.

    Args:
        kind: The dataclass.
        renamed: Names that differ in JSON.
        without: Fields that are not shown.
    """
    hints = typing.get_type_hints(kind)
    names = [entry.name for entry in dataclasses.fields(kind) if entry.name not in without]
    shown = {(renamed or {}).get(name, name): schema_of(hints[name]) for name in names}
    return {"type": "object", "properties": shown, "required": list(shown)}


def object_of(**entries: Schema) -> Schema:
    """An object in which all of these stand."""
    return {"type": "object", "properties": entries, "required": list(entries)}


def list_of(entry: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": entry}


GENERIC: dict[Any, Callable[[tuple[Any, ...]], Schema]] = {
    Union: lambda kinds: {"anyOf": [schema_of(kind) for kind in kinds]},
    types.UnionType: lambda kinds: {"anyOf": [schema_of(kind) for kind in kinds]},
    Literal: lambda values: {"enum": list(values)},
    list: lambda kinds: list_of(schema_of(kinds[0])),
    tuple: lambda kinds: list_of(schema_of(kinds[0])),
    dict: lambda kinds: {"type": "object", "additionalProperties": schema_of(kinds[1])},
    Mapping: lambda kinds: {"type": "object", "additionalProperties": schema_of(kinds[1])},
}
"""Types that are made of others."""
