"""Which device is meant: its settings file and its data directory."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

from edge_app.config import ConfigError, Settings
from edge_app.settings_file import load_settings

INSTALLED = Path("/etc/lineside/lineside.toml")
"""Where scripts/install puts the settings."""

DEMO_DATA = Path("lineside-data")
"""Where `lineside up` puts everything."""

FILE = "lineside.toml"
MAX_SETTINGS_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Settings and data of one device.

    Args:
        config: The settings file; None where there is none.
        data: The data directory, if it is not what the settings say.
    """

    config: Path | None
    data: Path | None = None

    def settings(self) -> Settings:
        """The settings in force.

        Raises:
            ConfigError: They are wrong.
        """
        environ = dict(os.environ)
        if self.data is not None:
            environ["LINESIDE_DATA__DIR"] = json.dumps(str(self.data.resolve()))
        return load_settings(self.config, environ)


def add_place(parser: argparse.ArgumentParser) -> None:
    """Let a command be told which device is meant."""
    parser.add_argument("--config", type=Path, help=f"the settings file ({INSTALLED})")
    parser.add_argument("--data", type=Path, help="the data folder, in place of the settings'")


def place_of(arguments: argparse.Namespace, installed: Path = INSTALLED) -> Place:
    """What was told, else what is installed, else what `lineside up` made here."""
    config, data = arguments.config, arguments.data
    if config is not None:
        return Place(config, data)
    if data is None and installed.exists():
        return Place(installed)
    own = (data or DEMO_DATA) / FILE
    if own.exists():
        return Place(own, data or DEMO_DATA)
    return Place(None, data)


def needed(place: Place) -> Path:
    """The settings file of a device that must be set up.

    Raises:
        ConfigError: It is not.
    """
    if place.config is None:
        raise ConfigError(
            f"nothing is set up here: there is neither {INSTALLED} nor {DEMO_DATA / FILE}; "
            "name a settings file with --config, or a data folder with --data"
        )
    return place.config
