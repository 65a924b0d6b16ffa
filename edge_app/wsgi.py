"""The app for any WSGI server: `gunicorn "edge_app.wsgi:application()" --workers 1 --threads 24`.

One worker: the model, the admission and the counters live in one process. What our own
server adds is missing there: the deadline counts from the moment at which a thread takes
the request up, and slow clients are the business of a proxy in front.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

from flask import Flask

from edge_app import notify
from edge_app.build import build
from edge_app.collector import pass_over_what_is_here
from edge_app.in_use import occupy
from edge_app.settings_file import load_settings
from edge_app.trim import share_one_heap
from edge_app.web.request_id import stamp

CONFIG = "LINESIDE_CONFIG"
"""Variable that names the settings file."""

SWITCH_INTERVAL_S = 0.002


def application() -> Flask:
    """The app, warm, with everything running behind it.

    Raises:
        ConfigError: A setting is wrong.
        InUse: A restore is at work, or was cut off.
    """
    path = os.environ.get(CONFIG)
    settings = load_settings(Path(path) if path else None)
    notify.setup_logging("lineside-app").addFilter(stamp)
    share_one_heap()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    occupy(settings.data_dir)
    parts = build(settings)
    parts.start()
    pass_over_what_is_here()
    atexit.register(parts.stop)
    return parts.app
