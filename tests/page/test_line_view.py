"""The line view in a real browser: what it says is what the records say, and never too late."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from device import picture
from window import PHONE, Station

from edge_app.inference.judge import Decision

pytestmark = pytest.mark.slow  # a real browser

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
expect = sync_api.expect

WORDS = {
    "en": {"OK": "OK", "NG": "NG", "REVIEW": "REVIEW", "NONE": "NO DECISION"},
    "zh": {"OK": "合格", "NG": "不合格", "REVIEW": "待复核", "NONE": "无判定"},
}
LOCALES = {"en": "en-GB", "zh": "zh-CN"}


SEEN = """[...document.querySelectorAll("#verdict-shape use")]
  .filter((use) => use.getBBox().width > 0 && getComputedStyle(use).visibility === "visible")
  .map((use) => use.getAttribute("class"))"""
"""The shapes of the verdict that are drawn."""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_verdict_has_its_word_and_its_shape(
    look: Any, station: Station, language: str
) -> None:
    """Verdicts are told apart without colour, in the language of the browser."""
    page = look(locale=LOCALES[language]).open()
    shapes = set()
    for decision in Decision:
        station.line.part(decision, f"P-{decision}")

        expect(page.locator("#verdict")).to_have_attribute("data-verdict", decision, timeout=2000)
        expect(page.locator("#verdict-word")).to_have_text(WORDS[language][decision])
        expect(page.locator("#facts")).to_contain_text(f"P-{decision}")
        shapes.update(page.evaluate(SEEN))
    assert len(shapes) == len(Decision)


def test_the_reason_stands_beside_the_verdict(look: Any, station: Station) -> None:
    """The label, its score and the limits are there to be read."""
    page = look().open()
    station.line.part(Decision.NG)

    expect(page.locator("#why")).to_contain_text("blue")
    expect(page.locator("#why")).to_contain_text("97.5%")
    expect(page.locator(".limit-bar")).to_have_attribute(
        "aria-label", "Good score 1.5%; accepted from 90%, rejected below 50%"
    )


def test_a_killed_line_is_said_within_two_seconds(look: Any, station: Station) -> None:
    """No verdict of before is left standing as if it were current."""
    station.line.part(Decision.OK)
    page = look().open()
    expect(page.locator("#verdict")).to_have_attribute("data-verdict", "OK")

    station.line.stop()
    killed_at = time.monotonic()

    expect(page.locator("#verdict-word")).to_have_text("LINE DOWN", timeout=2000)
    assert time.monotonic() - killed_at < 2
    expect(page.locator("#why")).to_contain_text(re.compile(r"since .*\d\d:\d\d"))
    expect(page.locator("#why")).to_contain_text("Last verdict OK")
    expect(page.locator("#frame")).to_have_attribute("data-old", "")
    expect(page.locator("#live-mark")).to_be_hidden()


def test_a_line_that_comes_back_is_shown_again(look: Any, station: Station) -> None:
    """After a restart the view follows the line by itself."""
    page = look().open()
    station.line.stop()
    expect(page.locator("#verdict-word")).to_have_text("LINE DOWN", timeout=3000)

    station.line.start()
    station.line.part(Decision.REVIEW)

    expect(page.locator("#verdict-word")).to_have_text("REVIEW", timeout=3000)


def test_a_device_out_of_reach_is_said_within_two_seconds(look: Any, station: Station) -> None:
    """When the network is cut the page doesn't go on showing what it knew."""
    station.line.part(Decision.OK)
    looker = look()
    page = looker.open()
    expect(page.locator("#verdict")).to_have_attribute("data-verdict", "OK")

    page.context.set_offline(True)

    expect(page.locator("#verdict-word")).to_have_text("NO CONNECTION", timeout=2000)
    assert page.evaluate(SEEN) == ["down"]  # a shape fetched only now would never come
    page.context.set_offline(False)
    expect(page.locator("#verdict-word")).to_have_text("OK", timeout=2000)
    looker.faults[:] = [text for text in looker.faults if "ERR_INTERNET_DISCONNECTED" not in text]


def test_an_old_verdict_looks_old(look: Any, station: Station) -> None:
    """A verdict that is a minute old keeps its word, loses its colour and tells its age."""
    station.line.part(Decision.NG)
    station.line.fall_silent_for(60)
    page = look().open()

    expect(page.locator("#verdict")).to_have_attribute("data-old", "")
    expect(page.locator("#facts")).to_contain_text(re.compile(r"6\d s ago"))


def test_a_frozen_part_stays_while_the_line_goes_on(look: Any, station: Station) -> None:
    """A tap on the filmstrip holds one part and says how far the line is ahead."""
    for _ in range(3):
        station.line.part(Decision.OK)
    station.line.part(Decision.NG, "BAD-1")
    page = look().open()
    page.locator(".tile[data-verdict=NG]").click()

    for _ in range(2):
        station.line.part(Decision.OK)

    expect(page.locator("#verdict-word")).to_have_text("NG")
    expect(page.locator("#frozen-text")).to_contain_text("2 parts ahead", timeout=2000)
    page.locator("#thaw").click()
    expect(page.locator("#verdict-word")).to_have_text("OK")
    expect(page.locator("#frozen-bar")).to_be_hidden()


def test_the_counters_are_the_lines_own(look: Any, station: Station) -> None:
    """Counters and yield are what the line counts, not what the page saw."""
    station.line.shift.update(ok=96, ng=3, review=1)
    page = look().open()

    expect(page.locator("#yield")).to_have_text("96.0%")
    expect(page.locator("#counts [data-verdict=NG] b")).to_have_text("3")


def test_answer_times_stand_against_the_budget(look: Any, station: Station) -> None:
    """Percentiles and late parts are told with the budget."""
    for _ in range(20):
        station.line.part(Decision.OK, total_ms=12.0)
    station.line.part(Decision.NONE)
    page = look().open()

    expect(page.locator("#percentiles")).to_contain_text("12 ms")
    expect(page.locator("#latency-note")).to_have_text("last 21 parts · 1 late")
    expect(page.locator("#latency-chart")).to_contain_text("budget 200 ms")


def test_a_part_is_triggered_from_the_page(look: Any, station: Station) -> None:
    """The trigger goes to the line and its verdict comes back."""
    page = look().open()
    page.locator("#trigger").click()

    expect(page.locator("#verdict-word")).to_have_text("OK", timeout=2000)
    assert [(method, path) for method, path, _ in station.line.asked] == [("POST", "/trigger")]


def test_a_line_that_takes_no_parts_says_why(look: Any, station: Station) -> None:
    """A closed line is a banner with its reason, not silence."""
    station.line.changes = {"closed": {"code": 42, "reason": "model colours/2 does not load"}}
    page = look().open()

    expect(page.locator("#banner")).to_contain_text("model colours/2 does not load")


def test_a_lost_camera_greys_the_picture(look: Any, station: Station) -> None:
    """The last picture of a lost camera is never shown as live."""
    lost = {"state": "lost", "reason": "unplugged", "since_s": 4.0, "age_ms": 4000.0}
    station.line.changes = {"source": lost}
    page = look().open()

    expect(page.locator("#frame")).to_have_attribute("data-old", "")
    expect(page.locator("#banner")).to_contain_text("unplugged")


def test_an_upload_is_judged_on_the_page(look: Any) -> None:
    """A chosen picture gets its verdict, its scores and its laps."""
    page = look().open()
    page.locator("#drop-file").set_input_files(
        {"name": "part.png", "mimeType": "image/png", "buffer": picture("red")}
    )

    sheet = page.locator("#upload-sheet")
    expect(sheet).to_be_visible()
    expect(sheet.locator(".word")).to_have_text("OK")
    expect(sheet.locator(".score-bars")).to_contain_text("red")
    expect(sheet.locator(".laps-key")).to_contain_text("model")
    page.locator("#upload-close").click()
    expect(sheet).to_be_hidden()


def test_a_phone_sees_the_verdict_first(look: Any, station: Station) -> None:
    """On 390 x 844 nothing is wider than the screen and the verdict is at the top."""
    station.line.part(Decision.NONE)
    page = look(viewport=PHONE, has_touch=True, is_mobile=True).open()

    expect(page.locator("#verdict-word")).to_have_text("NO DECISION")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    box = page.locator("#verdict-word").bounding_box()
    assert box["y"] + box["height"] < PHONE["height"] / 2


def test_the_language_switch_stays(look: Any) -> None:
    """A person's language and theme are kept from page to page."""
    page = look().open()
    page.get_by_role("link", name="中文").click()
    page.goto(page.url + "records")

    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator(".views [aria-current=page]")).to_have_text("记录")


def test_the_tab_and_a_screen_reader_hear_what_is_wrong(look: Any, station: Station) -> None:
    """The tab's title is the state; what needs a person is announced, a good part is not."""
    station.line.part(Decision.OK)
    page = look().open()
    expect(page).to_have_title("OK · cam1 · Lineside")
    expect(page.locator("#announcement")).to_be_empty()

    station.line.part(Decision.NG)

    expect(page.locator("#announcement")).to_have_text("NG")
    expect(page).to_have_title("NG · cam1 · Lineside")
