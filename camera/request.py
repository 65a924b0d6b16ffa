"""What comes from a machine over HTTP and what goes back; the fields of the first."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_FIELDS = 20


@dataclass(frozen=True, slots=True)
class Request:
    """What came.

    Args:
        method: `GET` or `POST`.
        path: Without the query.
        params: Query, form or JSON fields; each at most once.
        headers: By lower-case name.
        client: The peer's address; empty on a Unix socket.
        arrived_at: Monotonic seconds at which the last byte had come.
        fault: Why the fields can't be read; empty when they can. Then `params` is empty.
        early: Sends a reply at once, from any thread, while the one that got the request is still
            at work; the connection goes on without it. False if there was a reply already.
    """

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    client: str
    arrived_at: float
    fault: str = ""
    early: Callable[[Reply], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Args:
        body: The whole body.
        kind: Its content type.
        status: The HTTP status.
    """

    body: bytes
    kind: str = "text/plain"
    status: int = 200


Answer = Callable[[Request], Reply]


def read_fields(query: str, body: bytes) -> dict[str, str]:
    """The fields of query and body together, each at most once.

    Raises:
        ValueError: They can't be read, in a sentence for the client.
    """
    fields = _fields(query)
    if body.strip(b"\0\r\n "):
        return _once([*fields.items(), *_body_fields(body).items()])
    return fields


def _fields(query: str) -> dict[str, str]:
    if query.count("&") >= MAX_FIELDS:
        raise ValueError(f"expected at most {MAX_FIELDS} fields")
    if "%" in query or "+" in query:
        return _once(urllib.parse.parse_qsl(query, keep_blank_values=True))
    # The same where nothing is escaped, as in a PLC's trigger; the part does not stop meanwhile.
    halves = [pair.partition("=") for pair in query.split("&") if pair]
    return _once([(name, value) for name, _, value in halves])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields by name; of two with one name nobody could say which is meant."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice")
    return fields


def _body_fields(body: bytes) -> dict[str, str]:
    """Fields of a JSON object or a form, whatever content type the client believes it sends."""
    try:
        text = body.rstrip(b"\0").decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError("expected a form or JSON body in UTF-8") from error
    if not text.startswith("{"):
        return _fields(text)
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError("the JSON body is not valid") from error
    return {name: _text(value) for name, value in document.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("expected whole numbers and texts in the JSON body")  # noqa: TRY004 - the client's mistake
    return str(value)
