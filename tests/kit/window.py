"""Windows on a device's page, and what goes wrong in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device import Device
from line_double import LineDouble

if TYPE_CHECKING:
    from playwright.sync_api import Page

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PANEL = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@dataclass
class Station:
    """A running device with its line."""

    device: Device
    line: LineDouble
    url: str


@dataclass
class Looker:
    """A browser window, with everything that went wrong in it."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    bytes: dict[str, int] = field(default_factory=dict)

    def open(self, path: str = "/") -> Page:
        """Go to a view of the device."""
        self.page.goto(self.url + path)
        return self.page

    def strangers(self) -> list[str]:
        """Requests that would have left the device."""
        ours = (self.url, "blob:", "data:")
        return [request for request in self.requests if not request.startswith(ours)]


def listen(looker: Looker) -> None:
    """Keep what a window asks for and complains of."""
    page = looker.page
    page.on("pageerror", lambda error: looker.faults.append(str(error)))
    page.on("request", lambda request: looker.requests.append(request.url))
    page.on(
        "console",
        lambda said: looker.faults.append(said.text) if said.type in ("error", "warning") else None,
    )
