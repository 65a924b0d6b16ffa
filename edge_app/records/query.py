"""Which inspections somebody asks for, and the SQL that finds them without a full search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Query:
    """Filters; those that are set must all hold.

    Args:
        decision: OK, NG, REVIEW or NONE.
        part: Exactly this part id.
        camera: Exactly this camera.
        job: Exactly this job.
        label: Exactly this label.
        since: Exposed at or after this wall-clock time.
        until: Exposed before this wall-clock time.
        reviewed: Whether a person has looked at it.
    """

    decision: str = ""
    part: str = ""
    camera: str = ""
    job: int | None = None
    label: str = ""
    since: float | None = None
    until: float | None = None
    reviewed: Literal["", "yes", "no"] = ""

    def where(self) -> tuple[str, list[Any]]:
        """The condition and its values."""
        conditions = {
            "decision = ?": self.decision or None,
            "part = ? AND part <> ''": self.part or None,
            "camera = ?": self.camera or None,
            "job = ?": self.job,
            "label = ?": self.label or None,
            "captured_at >= ?": self.since,
            "captured_at < ?": self.until,
        }
        used = {text: value for text, value in conditions.items() if value is not None}
        texts, values = list(used), list(used.values())
        if self.reviewed:
            exists = "EXISTS (SELECT 1 FROM reviews WHERE inspection = inspections.id)"
            texts.append(exists if self.reviewed == "yes" else f"NOT {exists}")
        return " AND ".join(texts) or "1", values
