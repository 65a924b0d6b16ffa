"""Settings are read once, checked whole, and documented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.config import AppSettings, ConfigError, Settings
from edge_app.settings_file import load_settings, to_toml
from edge_app.settings_page import settings_page

ROOT = Path(__file__).parents[1]


def test_defaults_stand_without_a_file() -> None:
    """Without file and environment every setting has its default."""
    assert load_settings(environ={}) == Settings()


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable overrides the file's value, and only that one."""
    path = tmp_path / "lineside.toml"
    path.write_text('[app]\nport = 8081\nhost = "192.0.2.1"\n')

    settings = load_settings(path, {"LINESIDE_APP__PORT": "8082", "HOME": "/root"})

    assert settings.app == AppSettings(host="192.0.2.1", port=8082)


def test_environment_makes_a_camera() -> None:
    """A camera can be set up by environment alone."""
    settings = load_settings(environ={"LINESIDE_CAMERAS__CAM1__SOURCE": "pattern:"})

    assert settings.camera("cam1").source == "pattern:"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[app]\nprt = 1", "'prt'"),
        ("[app]\nhost = '::1'\n\nprt = 1", "lineside.toml, line 4:"),
        ("[data]\n[ cameras . 'cam1' ]\njob = 0", "lineside.toml, line 3:"),
        ("[app]\nport = 8081\n[ap]\nport = 1", "lineside.toml, line 3:"),
        ("[ap]\nport = 1", "[ap]"),
        ("[app]\nport = '1'", "app.port"),
        ("[app]\nport = true", "app.port"),
        ("[app]\nport = 0", "app.port"),
        ("[app]\ndeadline_ms = nan", "app.deadline_ms"),
        ("[app]\ndeadline_ms = inf", "app.deadline_ms"),
        ("[cameras.cam1]\nplc = 'on'", "cameras.cam1.plc"),
        ("[cameras.cam1]\nrotation = 45", "cameras.cam1.rotation"),
        ("[cameras.'../x']\nplc = 'off'", "'../x'"),
        ("cameras = 3", "[cameras]"),
        ("app = 3", "[app]"),
        ("[app", "TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    """Whatever is wrong, the one sentence names the key."""
    path = tmp_path / "lineside.toml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})

    assert named in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """A settings file that is not there is an error with its path."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_settings(tmp_path / "nowhere.toml", {})


def test_an_unknown_camera_names_the_known_ones() -> None:
    """Asking for a camera that is not set up lists those that are."""
    settings = load_settings(environ={"LINESIDE_CAMERAS__CAM1__SOURCE": "pattern:"})

    with pytest.raises(ConfigError, match="cam1"):
        settings.camera("cam2")


@given(
    host=st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    port=st.integers(1, 65535),
    deadline_ms=st.floats(1, 60_000),
)
def test_printed_settings_read_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, host: str, port: int, deadline_ms: float
) -> None:
    """What --print-config shows is a settings file with the same meaning."""
    environ = {
        "LINESIDE_APP__HOST": json.dumps(host),
        "LINESIDE_APP__PORT": str(port),
        "LINESIDE_APP__DEADLINE_MS": repr(deadline_ms),
        "LINESIDE_CAMERAS__CAM1__SOURCE": "pattern:",
    }
    settings = load_settings(environ=environ)
    path = tmp_path_factory.mktemp("config") / "lineside.toml"
    path.write_text(to_toml(settings), encoding="utf-8")

    assert load_settings(path, {}) == settings


def test_every_setting_is_documented() -> None:
    """docs/settings.md is what `lineside settings` prints."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()
