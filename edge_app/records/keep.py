"""One program's archive of pictures and its ledger, which belong together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_app.records.allowance import Allowance
from edge_app.records.archive import Archive
from edge_app.records.ledger import Ledger, thread_bytes

RECORD_THREADS = "recorder", "sync", "retention"
"""Who writes to the database, but for rare things such as reviews and blocks of ids."""

MB = 1_000_000


def archive_and_ledger(
    data_dir: Path,
    name: str,
    *,
    max_mb: float,
    min_free_mb: int,
    max_days: int,
    keep_ok_one_in: int,
    day_mb: float,
    day_max_mb: float,
    models: Callable[[], int] = lambda: 0,
) -> tuple[Archive, Ledger]:
    """Make both.

    Args:
        data_dir: Where everything is kept.
        name: The camera's name, or that of the uploads.
        max_mb: Pictures kept at most; `min_free_mb`, `max_days`, `keep_ok_one_in`: see `Archive`.
        min_free_mb: See `Archive`.
        max_days: See `Archive`.
        keep_ok_one_in: See `Archive`.
        day_mb: Pictures written a day before those of OK parts are no longer kept; 0: no bound.
        day_max_mb: Pictures written a day before none is kept; 0: no bound.
        models: Bytes of model files that the program wrote.
    """
    archive = Archive(
        data_dir / "images" / name,
        max_bytes=int(max_mb * MB),
        min_free_bytes=min_free_mb * MB,
        keep_ok_one_in=keep_ok_one_in,
        max_days=max_days,
        allowance=Allowance(
            int(day_mb * MB), int(day_max_mb * MB), lambda: ledger.today("pictures")
        ),
        chore=lambda: ledger.look(),  # noqa: PLW0108 - it is made below
    )
    ledger = Ledger(
        data_dir / "written" / f"{name}.json",
        {
            "records": lambda: thread_bytes(*RECORD_THREADS),
            "pictures": lambda: archive.written_bytes,
            "models": models,
        },
    )
    return archive, ledger
