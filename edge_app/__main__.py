"""`lineside-app`: builds the app from the settings, serves it, stops on SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from edge_app import notify
from edge_app.build import build
from edge_app.collector import pass_over_what_is_here
from edge_app.config import EXIT_CONFIG, ConfigError, Settings
from edge_app.in_use import InUse, occupy
from edge_app.settings_file import load_settings, to_toml
from edge_app.trim import share_one_heap, trimmer
from edge_app.web.request_id import stamp
from edge_app.web.server import Server

SWITCH_INTERVAL_S = 0.002
"""Python's default of 5 ms lets a busy thread hold up an answer several times. Much less than this
and the threads of an overloaded app take the lock from each other in the middle of everything: at
ten times capacity 0.5 ms made refusals more than twice as slow, and answers no quicker."""

LOOP_S = 5.0
"""A server loop that has not turned for so long serves nobody."""

log = logging.getLogger("lineside.app")


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser("lineside-app", description=__doc__)
    parser.add_argument("--config", type=Path, help="the settings file (TOML)")
    parser.add_argument("--check", action="store_true", help="look at the settings and leave")
    parser.add_argument("--print-config", action="store_true", help="show the settings in force")
    arguments = parser.parse_args(argv)
    try:
        settings = load_settings(arguments.config)
    except ConfigError as error:
        print(f"lineside-app: {error}", file=sys.stderr)
        return EXIT_CONFIG
    if arguments.print_config:
        print(to_toml(settings))
        return 0
    if arguments.check:
        print("settings are in order")
        return 0
    notify.setup_logging("lineside-app").addFilter(stamp)
    try:
        return run(settings)
    except InUse as error:
        log.error("%s", error)  # noqa: TRY400 - one sentence
        return 1
    except OSError as error:
        address = f"{settings.app.host}:{settings.app.port}"
        log.error("the app can't serve on %s: %s", address, error)  # noqa: TRY400 - one sentence
        return 1


def run(settings: Settings) -> int:
    """Build everything, serve, stop in order."""
    share_one_heap()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    occupy(settings.data_dir)
    parts = build(settings)
    door = parts.uploads.door
    server = Server(parts.app, settings.app, notify.listening_sockets(), door)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    parts.start()
    server.start()
    pass_over_what_is_here()
    notify.ready()
    log.info("the app serves on http://%s:%d", settings.app.host, server.port)
    _watch(stopping, server)
    notify.stopping()
    server.stop(within_s=1.0)
    parts.stop()
    return 0


def _watch(stopping: threading.Event, server: Server) -> None:
    """Feed the watchdog while the server's loop turns, until told to stop; give memory back."""
    interval_s, trim = notify.watchdog_interval_s(), trimmer()
    while not stopping.wait(min(1.0, interval_s or 1.0)):
        if not server.alive:
            raise OSError("the server's loop has ended")
        if server.turned_s < LOOP_S:
            notify.watchdog()
        # It takes 3 ms to give back 50 MB, and hundredths where there is nothing to give.
        trim()


if __name__ == "__main__":
    sys.exit(main())
