"""Who changed what: a file that is only ever appended to, each line chained to the one before.

A line that was edited, dropped or moved breaks the chain; `audit.head` beside the file says
how many lines there must be, so that lines cut off at the end are missed, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_app.inference.durable import write_durably

FILE, HEAD = "audit.jsonl", "audit.head"
START = "0" * 64
"""What the first line is chained to."""

MAX_SHOWN = 500


class AuditError(Exception):
    """The log is not what was written; the message says where."""


class Audit:
    """The audit log of one device; any number of processes may append.

    Args:
        folder: The data directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._head = folder / HEAD

    def write(
        self, who: str, action: str, target: str, old: object = None, new: object = None
    ) -> dict[str, Any]:
        """Append one entry, durably.

        Args:
            who: The person or token.
            action: What was done, e.g. `job.save`.
            target: To what, e.g. `job/2`.
            old: What was there before.
            new: What is there now.

        Raises:
            OSError: The disk takes nothing; then the change must not be made either.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            count, last = self._read_head()
            entry = {
                "n": count + 1,
                "at": round(time.time(), 3),
                "who": who,
                "action": action,
                "target": target,
                "old": old,
                "new": new,
                "before": last,
            }
            digest = _digest(entry)
            file.write(_line(entry | {"hash": digest}))
            file.flush()
            os.fsync(file.fileno())
            write_durably(self._head, f"{count + 1} {digest}\n".encode())
        return entry | {"hash": digest}

    def latest(self, target: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """The newest entries, newest first.

        Args:
            target: Only those about it; empty for all.
            limit: At most this many.
        """
        kept: deque[dict[str, Any]] = deque(maxlen=min(limit, MAX_SHOWN))
        for line in self._lines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # `verify` says what is wrong with it
            if isinstance(entry, dict) and target in ("", entry.get("target")):
                kept.append(entry)
        return list(reversed(kept))

    def verify(self) -> int:
        """Follow the chain from end to end; returns the number of entries.

        Raises:
            AuditError: It is broken.
        """
        last, number = START, 0
        for number, line in enumerate(self._lines(), 1):
            last = _checked(line, number, last)
        count, head = self._read_head()
        if (count, head) != (number, last):
            raise AuditError(f"there are {number} entries; {count} were written")
        return number

    def _lines(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as file:
                yield from file
        except FileNotFoundError:
            return

    def _read_head(self) -> tuple[int, str]:
        """The last entry's number and hash: of the head file, or of a line it missed.

        Power may go between the two writes; then the log is one line ahead.
        """
        try:
            text = self._head.read_text()
        except FileNotFoundError:
            text = f"0 {START}"
        number, _, digest = text.strip().partition(" ")
        count = int(number)
        last = _last_line(self._path)
        if last is not None and last.get("n") == count + 1 and last.get("before") == digest:
            return count + 1, str(last.get("hash"))
        return count, digest


def _checked(line: bytes, number: int, before: str) -> str:
    try:
        entry = json.loads(line)
        told = entry.pop("hash")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise AuditError(f"line {number} is no entry") from None
    if entry.get("n") != number or entry.get("before") != before:
        raise AuditError(f"line {number} does not follow the one before it")
    if _digest(entry) != told:
        raise AuditError(f"line {number} was changed")
    return str(told)


def _last_line(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1_000_000))
            lines = file.read().splitlines()
        entry = json.loads(lines[-1]) if lines else None
    except (OSError, ValueError):
        return None
    return entry if isinstance(entry, dict) else None


def _digest(entry: dict[str, Any]) -> str:
    return hashlib.sha256(_line(entry)).hexdigest()


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
