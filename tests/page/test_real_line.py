"""The page over the whole product: real app, real line, real model, and a kill in between."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from window import PANEL, Looker, listen

from edge_app.records.database import Database
from edge_app.up import DEMO

pytestmark = pytest.mark.slow  # a real browser

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
expect = sync_api.expect

VERDICTS = re.compile("^(OK|NG|REVIEW|NONE)$")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`lineside up` with its demo line."""
    if not (DEMO / "model.tflite").exists():
        pytest.skip("the demo model is not there: scripts/make-demo makes it")
    port = free_port()
    command = [sys.executable, "-m", "edge_app.cli", "up", "--data", str(tmp_path)]
    command += ["--port", str(port), "--plc-port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, process)
        yield url, process
        process.send_signal(signal.SIGTERM)


def test_the_page_follows_a_real_line(browser: Any, demo: Any, tmp_path: Path) -> None:
    """The verdict on the page is the record's; a killed line is said in time and comes back."""
    url, process = demo
    looker = Looker(browser.new_context(viewport=PANEL, locale="en-GB").new_page(), url)
    listen(looker)
    page = looker.open()
    verdict = page.locator("#verdict")
    expect(verdict).to_have_attribute("data-verdict", VERDICTS, timeout=10_000)

    page.locator(".tile").first.click()
    shown = page.evaluate(
        "[document.querySelector('.tile[aria-pressed=true]').getAttribute('aria-label'), "
        "document.getElementById('verdict').dataset.verdict]"
    )
    inspection_id = int(shown[0].split()[3].rstrip(":"))
    database = Database(tmp_path / "records.db")
    record = database.inspection(inspection_id)
    database.close()
    assert record is not None
    assert record.decision == shown[1]

    page.locator("#thaw").click()
    os.kill(line_of(process.pid), signal.SIGKILL)
    killed_at = time.monotonic()
    expect(page.locator("#verdict-word")).to_have_text("LINE DOWN", timeout=2000)
    assert time.monotonic() - killed_at < 2
    expect(verdict).to_have_attribute("data-verdict", VERDICTS, timeout=15_000)
    page.context.close()
    assert looker.faults == []
    assert looker.strangers() == []


def line_of(parent: int) -> int:
    """The line's process below `lineside up`."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            ppid = int(entry.read_text().rsplit(")", 1)[1].split()[1])
            words = (entry.parent / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if ppid == parent and b"camera" in words:
            return int(entry.parent.name)
    raise AssertionError("there is no line")


def free_port() -> int:
    """A port nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until the app answers."""
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1).close()  # noqa: S310 - our own app
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the app does not answer")
