"""Real pages: Chromium's windows on the device, what a first visit loads and how soon it shows."""

from __future__ import annotations

import contextlib
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.place import Missing

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
PANEL = {"width": 1280, "height": 800}
SHOWN = {
    "/": "#verdict:not([data-verdict=WAITING])",
    "/records": "#gallery .tile",
    "/try": "#try-file",
    "/models": "#models .model",
    "/jobs": "#job .histogram rect",
    "/system": "#health .card",
    "/panel": "body:not([data-verdict=WAITING])",
}
"""What a person came to a view for."""

VISITS = 5


@dataclass(frozen=True, slots=True)
class Visit:
    """A first visit to a view.

    Args:
        path: The view.
        kilobytes: What came over the wire, pictures left out.
        pictures_kilobytes: The pictures.
        painted_ms: Until the first content was painted, the median of some visits.
        shown_ms: Until what the view is for was there.
    """

    path: str
    kilobytes: float
    pictures_kilobytes: float
    painted_ms: float
    shown_ms: float


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A Chromium.

    Raises:
        Missing: There is none.
    """
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not on every machine
    except ImportError:
        raise Missing("real pages need the package playwright") from None
    if program is None:
        raise Missing("real pages need Chromium: apt install chromium")
    with sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=program, args=list(FLAGS))
        yield chromium
        chromium.close()


def visit(chromium: Any, url: str, path: str) -> Visit:
    """First visits, each with an empty cache."""
    found = [_once(chromium, url, path) for _ in range(VISITS)]
    weight, pictures, _, _ = found[-1]
    painted, shown = (statistics.median(each[place] for each in found) for place in (2, 3))
    return Visit(path, weight / 1000, pictures / 1000, painted, shown)


def _once(chromium: Any, url: str, path: str) -> tuple[int, int, float, float]:
    context = chromium.new_context(viewport=PANEL)
    page = context.new_page()
    bytes_of = {True: 0, False: 0}

    def count(request: Any) -> None:
        sizes = request.sizes()
        kind = (request.response().headers or {}).get("content-type", "")
        is_picture = kind in ("image/jpeg", "image/png")
        bytes_of[is_picture] += sizes["responseBodySize"] + sizes["responseHeadersSize"]

    requests: list[Any] = []
    page.on("requestfinished", lambda request: requests.append(request))  # noqa: PLW0108 - Playwright marks what it is given
    page.goto(url + path)
    page.locator(SHOWN[path]).first.wait_for(state="attached")
    shown = page.evaluate("performance.now()")
    page.wait_for_timeout(400)
    painted = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
    )
    for request in requests:
        count(request)
    context.close()
    return bytes_of[False], bytes_of[True], painted, shown


@contextlib.contextmanager
def opened(chromium: Any, url: str, count: int) -> Iterator[list[str]]:
    """So many windows on the line view; gives what they complain of."""
    faults: list[str] = []
    contexts = []
    for _ in range(count):
        context = chromium.new_context(viewport=PANEL)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        contexts.append(context)
    yield faults
    for context in contexts:
        context.close()
