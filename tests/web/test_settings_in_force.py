"""An engineer reads on the page what is set; no secret is among it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from edge_app.build import build
from edge_app.config import AppSettings, CameraSettings, DataSettings, Settings

SOURCE = "rtsp://eye:hush-hush@10.0.0.7/stream"


def test_the_settings_in_force_are_told_without_secrets(tmp_path: Path) -> None:
    """Defaults and what was set stand there as TOML; a camera's password is blotted out."""
    settings = Settings(
        data=DataSettings(dir=str(tmp_path)),
        app=AppSettings(port=18231, open_access="all"),
        cameras={"cam1": CameraSettings(source=SOURCE)},
    )

    reply = build(settings).app.test_client().get("/api/v1/settings")

    told = tomllib.loads(reply.get_json()["toml"])
    assert told["app"]["port"] == 18231
    assert told["cameras"]["cam1"]["source"] == "rtsp://***@10.0.0.7/stream"
    assert "hush" not in reply.text


def test_only_an_engineer_reads_them(tmp_path: Path) -> None:
    """By default nobody unknown does."""
    settings = Settings(data=DataSettings(dir=str(tmp_path)))

    reply = build(settings).app.test_client().get("/api/v1/settings")

    assert reply.status_code == 401
