"""What the app knows of the lines: asked over their control sockets, never waited for."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ASK_S = 0.5
"""A line that does not answer within this is as good as down for whoever looks at it."""

POLL_S = 0.2
MAX_REPLY_BYTES = 32 * 1024 * 1024

log = logging.getLogger(__name__)


class LineDown(Exception):  # noqa: N818 - a fact about the line
    """The line does not answer on its control socket."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("line", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class LineReply:
    """What a line answered."""

    status: int
    kind: str
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a document."""
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass(slots=True)
class LineState:
    """The newest that is known of a line.

    Args:
        status: What it said last; empty before it ever said anything.
        heard_at: Monotonic seconds of that; None before.
        down_since: Monotonic seconds since when it is silent; None while it answers.
        reason: Why it is silent.
    """

    status: Mapping[str, Any] = field(default_factory=dict)
    heard_at: float | None = None
    down_since: float | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The form the API shows: always with its age, so that old is never taken for new."""
        now = time.monotonic()
        return {
            "up": self.down_since is None and self.heard_at is not None,
            "age_s": None if self.heard_at is None else round(now - self.heard_at, 3),
            "down_s": None if self.down_since is None else round(now - self.down_since, 1),
            "reason": self.reason,
            "status": dict(self.status),
        }


class Lines:
    """Asks each line how it is, several times a second, in a thread of its own.

    Requests are answered from what is known already: a line that hangs holds up nobody.

    Args:
        socket_dir: Where the control sockets are.
        names: The cameras.
    """

    def __init__(self, socket_dir: Path, names: list[str]) -> None:
        self.names = names
        self._socket_dir = socket_dir
        self._states = {name: LineState(down_since=time.monotonic()) for name in names}
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(name,), name=f"watch-{name}", daemon=True)
            for name in names
        ]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(ASK_S * 2)

    def state(self, name: str) -> LineState:
        """The newest that is known of a line.

        Raises:
            KeyError: There is no such camera.
        """
        return self._states[name]

    def ask(
        self,
        name: str,
        method: str,
        path: str,
        fields: Mapping[str, str] | None = None,
        timeout_s: float = ASK_S,
    ) -> LineReply:
        """Ask a line directly; blocks for at most the time given.

        Raises:
            LineDown: It did not answer.
            KeyError: There is no such camera.
        """
        if name not in self._states:
            raise KeyError(name)
        connection = _Connection(self._socket_dir / f"{name}.sock", timeout_s)
        try:
            body = json.dumps(fields) if fields else None
            connection.request(method, path, body=body)
            reply = connection.getresponse()
            content = reply.read(MAX_REPLY_BYTES)
            return LineReply(reply.status, reply.getheader("Content-Type", ""), content)
        except (OSError, http.client.HTTPException) as error:
            raise LineDown(
                f"line {name} does not answer: {error or type(error).__name__}"
            ) from error
        finally:
            connection.close()

    def _watch(self, name: str) -> None:
        while not self._stopping.wait(POLL_S):
            now = time.monotonic()
            old = self._states[name]
            try:
                status = self.ask(name, "GET", "/status").json()
                self._states[name] = LineState(status=status, heard_at=time.monotonic())
                if old.down_since is not None:
                    log.info("line %s answers", name)
            except (LineDown, ValueError) as error:
                if old.down_since is None:
                    log.warning("line %s is down: %s", name, error)
                since = now if old.down_since is None else old.down_since
                self._states[name] = LineState(old.status, old.heard_at, since, str(error))
