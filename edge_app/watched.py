"""What there is to tell of a running app: its status and its metrics look at the same things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_app.lines import Lines
from edge_app.records.ledger import Ledger
from edge_app.surroundings import Surroundings
from edge_app.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Watched:
    """Who is asked.

    Args:
        uploads: The app's own work: uploads, their door, recorder and archive.
        lines: The lines, as last heard.
        surroundings: The computer itself.
        ledger: What the app writes.
        data_dir: Where the records are.
    """

    uploads: Uploads
    lines: Lines
    surroundings: Surroundings
    ledger: Ledger
    data_dir: Path
