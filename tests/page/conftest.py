"""A device with a line beside it, and Debian's Chromium to look at its page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from device import Device
from flask import Response
from line_double import LineDouble
from window import FLAGS, PANEL, Looker, Station, listen

from edge_app.config import AppSettings
from edge_app.web.server import Server

POLICY = "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'"

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def settings() -> AppSettings:
    """Everybody may do everything; tests of roles have settings of their own."""
    return AppSettings(port=0, open_access="all")


@pytest.fixture
def station(tmp_path: Path, settings: AppSettings) -> Iterator[Station]:
    """The app on a port of its own, and a line that does what the test says."""
    device = Device(tmp_path, settings, cameras=("cam1",)).start()
    device.install()
    device.app.after_request(strictly)
    line = LineDouble(tmp_path, "cam1")
    line.start()
    device.lines.start()
    server = Server(device.app, settings, [])
    server.start()
    yield Station(device, line, f"http://127.0.0.1:{server.port}")
    server.stop(within_s=1.0)
    device.lines.stop()
    line.stop()
    device.stop()


def strictly(response: Response) -> Response:
    """Whatever the app allows, the page needs no more than this."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    return response


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def look(browser: Browser, station: Station) -> Iterator[Any]:
    """Opens windows on the station's page; each must end without a fault or a stranger."""
    windows: list[Looker] = []

    def opened(**options: Any) -> Looker:
        context = browser.new_context(**{"viewport": PANEL, "locale": "en-GB", **options})
        looker = Looker(context.new_page(), station.url)
        windows.append(looker)
        listen(looker)
        return looker

    yield opened
    for looker in windows:
        looker.page.context.close()
        assert looker.faults == []
        assert looker.strangers() == []
