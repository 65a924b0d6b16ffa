"""`lineside-camera NAME`: builds one line from the settings, runs it, stops on SIGTERM."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import logging
import os
import signal
import sys
from pathlib import Path

from camera.assembly import Assembly, check
from camera.attempt import one_picture
from camera.gpio import GpioError
from camera.sources import SourceLost
from edge_app import notify
from edge_app.config import EXIT_CONFIG, CameraSettings, ConfigError, Settings
from edge_app.in_use import occupy
from edge_app.inference.decode import BadImage
from edge_app.settings_file import load_settings, to_toml

SWITCH_INTERVAL_S = 0.0005
"""Python's default of 5 ms lets a busy thread hold up the inspection loop several times."""

log = logging.getLogger("lineside.camera")


def main(argv: list[str] | None = None) -> int:
    """Run one line; returns the exit status."""
    arguments = _arguments(argv)
    try:
        settings = load_settings(arguments.config)
        camera = settings.camera(arguments.name)
        check(camera)
    except ConfigError as error:
        print(f"lineside-camera: {error}", file=sys.stderr)
        return EXIT_CONFIG
    if arguments.print_config:
        print(to_toml(settings))
        return 0
    if arguments.check:
        print(f"settings of camera {arguments.name} are in order")
        return 0
    if arguments.try_out:
        return _try(arguments.name, camera, settings)
    notify.setup_logging(f"lineside-camera-{arguments.name}")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        return run(arguments.name, camera, settings)
    except (OSError, GpioError) as error:
        log.error("camera %s can't start: %s", arguments.name, error)  # noqa: TRY400 - one sentence
        return 1


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("lineside-camera", description=__doc__)
    parser.add_argument("name", help="the camera's name in the settings, e.g. cam1")
    parser.add_argument("--config", type=Path, help="the settings file (TOML)")
    parser.add_argument("--check", action="store_true", help="look at the settings and leave")
    parser.add_argument("--print-config", action="store_true", help="show the settings in force")
    parser.add_argument(
        "--try", action="store_true", dest="try_out", help="take one picture and leave"
    )
    return parser.parse_args(argv)


def _try(name: str, camera: CameraSettings, settings: Settings) -> int:
    try:
        with contextlib.ExitStack() as held:
            if settings.socket_dir.is_dir():
                held.callback(os.close, _only_one(settings.socket_dir / f"{name}.lock"))
            print(one_picture(camera))
    except (SourceLost, BadImage, OSError) as error:
        print(f"lineside-camera: {error}", file=sys.stderr)
        return 1
    return 0


def run(name: str, camera: CameraSettings, settings: Settings) -> int:
    """Build the line, serve until SIGTERM or SIGINT, stop in order."""
    occupy(settings.data_dir)
    settings.socket_dir.mkdir(parents=True, exist_ok=True)
    lock = _only_one(settings.socket_dir / f"{name}.lock")
    try:
        assembly = Assembly(name, camera, settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: assembly.line.stop())
        assembly.serve()
    finally:
        os.close(lock)
    return 0


def _only_one(path: Path) -> int:
    """Hold the camera's lock while the process lives: two lines on one camera would mix parts."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise OSError(f"another lineside-camera runs for this camera ({path})") from error
    return lock


if __name__ == "__main__":
    sys.exit(main())
