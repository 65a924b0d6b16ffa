"""One program's archive of pictures and its ledger, which belong together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_app.config import DataSettings
from edge_app.records.allowance import Allowance
from edge_app.records.archive import Archive
from edge_app.records.ledger import Ledger, thread_bytes

RECORD_THREADS = "recorder", "sync", "retention"
"""Who writes to the database, but for rare things such as reviews and blocks of ids."""

MB = 1_000_000


def archive_and_ledger(
    data_dir: Path,
    name: str,
    limits: DataSettings,
    *,
    sharers: int,
    models: Callable[[], int] = lambda: 0,
    chore: Callable[[], object] = lambda: None,
) -> tuple[Archive, Ledger]:
    """Make both.

    Args:
        data_dir: Where everything is kept.
        name: The camera's name, or that of the uploads.
        limits: For the whole device.
        sharers: Archives that share the bytes evenly: one for each camera, one for the uploads.
        models: Bytes of model files that the program wrote.
        chore: See `Archive`.
    """

    def tidy() -> None:
        chore()
        ledger.look()

    archive = Archive(
        data_dir / "images" / name,
        max_bytes=limits.images_max_mb * MB // sharers,
        min_free_bytes=limits.images_min_free_mb * MB,
        keep_ok_one_in=limits.keep_ok_one_in,
        max_days=limits.images_max_days,
        allowance=Allowance(
            limits.images_day_mb * MB // sharers,
            limits.images_day_max_mb * MB // sharers,
            lambda: ledger.today("pictures"),
        ),
        chore=tidy,
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
